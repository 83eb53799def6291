"""Row 15: who sends slowly, in or out, holds no connection: not a webhook's sender, not a provider with its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from channels import http
from gateway.bootstrap import listening
from gateway.model.message import Message, Status
from gateway.ops import patience
from gateway.ops.patience import Patience
from gateway.settings import Settings
from gateway.store import Store
from tests.conftest import (
    APP_SECRET,
    MovableClock,
    Running,
    ScriptedBrain,
    make_tenant,
    make_whatsapp,
    serving,
)
from tests.providers.graph_webhooks import signed, text_webhook

FREED = 30.0
"""Seconds: the row's own bound."""


@asynccontextmanager
async def dribbled(url: str, head: bytes, drop: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which the head is sent whole and then a byte now and then, until it is cut."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head)

    async def drip() -> None:
        while not writer.is_closing():
            writer.write(drop)
            await asyncio.sleep(0.05)

    drips = asyncio.create_task(drip())
    try:
        yield reader
    finally:
        drips.cancel()
        writer.transport.abort()
        await asyncio.gather(drips, return_exceptions=True)


async def cut(reader: asyncio.StreamReader) -> bytes:
    """What came before the connection was cut."""
    try:
        return await asyncio.wait_for(reader.read(), FREED)
    except ConnectionResetError:
        return b""


def head(path: str, size: int, **headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {size}"]
    return "\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers.items()), "", ""]).encode()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same looks, sooner."""
    monkeypatch.setattr(Patience.__init__, "__defaults__", (0.3, patience.LEAST, patience.HEAD))


@pytest.mark.parametrize("path", ["/webhooks/whatsapp/ch_wa", "/widget/session"])
async def test_a_dribbled_body_is_cut_and_nobody_else_notices(
    impatient: None, running: Running, path: str
) -> None:
    sign = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    body = text_webhook("34600111222", "echo quick", "wamid.quick", 1_800_000_000)
    async with dribbled(running.url, head(path, 2000, **sign), b"x") as reader:
        assert await running.post_whatsapp(body) == 200
        assert await cut(reader) == b""
    await running.until(lambda: [m.text for m in running.graph.messages()] == ["echo quick"])


async def test_a_large_body_that_moves_is_taken(impatient: None, running: Running) -> None:
    """Slow, and not too slow: it takes several looks, and is whole in the end."""
    body = text_webhook("34600111222", "echo " + "x" * 200_000, "wamid.large", 1_800_000_000)

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 20_000):
            yield body[start : start + 20_000]
            await asyncio.sleep(0.1)

    url = f"{running.url}/webhooks/whatsapp/ch_wa"
    headers = {**signed(body, APP_SECRET), "Content-Length": str(len(body))}
    async with running.http.post(url, data=parts(), headers=headers) as answer:
        assert answer.status == 200


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_with_its_own_patience_a_dribbled_body_is_cut_within_thirty_seconds(running: Running) -> None:
    sign = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    async with dribbled(running.url, head("/webhooks/whatsapp/ch_wa", 2000, **sign), b"x") as reader:
        assert await cut(reader) == b""


@pytest.fixture
async def dribbling_provider() -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """WhatsApp's API, which answers a byte now and then for ever: its address, that it was asked, that it was left."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        asked.set()
        try:
            while request.transport is not None and not request.transport.is_closing():
                await response.write(b" ")
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        left.set()
        return response

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    async with listening(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}", asked, left


async def test_a_provider_that_dribbles_its_answer_is_left(
    settings: Settings,
    store: Store,
    dribbling_provider: tuple[str, asyncio.Event, asyncio.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bound on the whole call ends it, however busily bytes arrive; here with less time. What it came to is unknown."""
    url, asked, left = dribbling_provider
    assert http.TIMEOUT.total is not None
    assert http.TIMEOUT.total <= FREED
    monkeypatch.setitem(http.call.__kwdefaults__ or {}, "timeout", aiohttp.ClientTimeout(total=1.0))
    clock = MovableClock()
    await make_tenant(store)
    await make_whatsapp(store)
    away = replace(settings, whatsapp_api_url=url)
    async with (
        serving(away, store, clock, ScriptedBrain()) as (_, own),
        aiohttp.ClientSession() as session,
    ):
        body = text_webhook("34600111222", "echo slow", "wamid.slow", int(clock().timestamp()))
        hook = f"{own}/webhooks/whatsapp/ch_wa"
        async with session.post(hook, data=body, headers=signed(body, APP_SECRET)) as answer:
            assert answer.status == 200
        async with asyncio.timeout(FREED):
            await asked.wait()
            await left.wait()
            while [m.status for m in await _answers(store)] != [Status.UNKNOWN]:
                await asyncio.sleep(0.02)


async def _answers(store: Store) -> list[Message]:
    mine = store.of("acme")
    found = (await mine.conversations.recent(None, MovableClock()(), 10)).items
    pages = [await mine.messages.before(c.id, None, 10) for c in found]
    return [m for page in pages for m in page.messages if m.direction == "out"]


@pytest.mark.parametrize("begun", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: "])
async def test_a_head_that_does_not_come_is_cut_and_an_idle_connection_is_not(
    running: Running, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    held = running.gateway.app[patience.PATIENCE]
    monkeypatch.setattr(held, "_head", 0.3)
    host, port = running.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await reader.readline()
    async with dribbled(running.url, begun, b"a" if begun else b"") as slow:
        assert b"200" not in await cut(slow)
    assert not held._silent
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    rest = await asyncio.wait_for(reader.readuntil(b"HTTP/1.1 200"), FREED)
    assert rest
    writer.close()
