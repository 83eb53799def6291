"""Review: files that come slowly, never, or in masses."""

import asyncio
import contextlib
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from gateway import thumbnail
from gateway.model.content import Media
from gateway.model.errors import SendError
from gateway.model.ports import Download
from tests.conftest import ORIGIN, Running, make_tenant, make_whatsapp
from tests.core.test_api import call, key_of
from tests.core.test_files import picture, visitor_token, widget_upload
from tests.core.test_kinds import hear, said
from tests.webhook.test_webhook import System, post, system  # noqa: F401


async def test_uploads_that_never_come_hold_nobody_up(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few hanging connections of anybody must not end uploads for all sites."""
    parts = urlsplit(running.url)
    monkeypatch.setattr("gateway.uploads.MOST_AT_ONCE", 4)
    monkeypatch.setattr("gateway.media.CHUNK_SECONDS", 0.5)
    hanging = []
    for _ in range(2):
        token = await visitor_token(running)
        for _ in range(2):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(
                f"POST /widget/files?site=ch_web&name=a HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\n"
                f"Authorization: Visitor {token}\r\nContent-Length: 1000\r\n\r\nx".encode()
            )
            await writer.drain()
            hanging.append((reader, writer))
    try:
        async with asyncio.timeout(10):
            for reader, _ in hanging:
                assert b" 408 " in await reader.readline()
        status, answer = await widget_upload(running, await visitor_token(running), b"hello", "a.txt")
        assert status == 200, answer
        left = await running.store.files._db["files"].count_documents({})
        assert left == 1
    finally:
        for _, writer in hanging:
            writer.close()


async def test_an_upload_that_was_dropped_under_way_is_not_said_to_be_there(running: Running) -> None:
    gate = asyncio.Event()

    async def slow() -> Any:
        yield b"x" * 300_000
        await gate.wait()
        yield b"y" * 10

    key = await key_of(running, "acme")
    request = asyncio.create_task(
        running.http.post(f"{running.url}/api/v1/files?name=a.bin", data=slow(), headers=key)
    )
    while not await running.store.files._db["file_parts"].find_one({}):
        await asyncio.sleep(0.01)
    running.clock.move(hours=2)
    await running.gateway.media.sweep()
    gate.set()
    answer = await request
    if answer.status == 200:
        found, _ = await call(running, "GET", f"/api/v1/files/{(await answer.json())['id']}", key)
        assert found == 200


def hang_for(running: Running, monkeypatch: pytest.MonkeyPatch, channel_id: str) -> list[str]:
    adapter = running.gateway.channels.webhooks["whatsapp"]
    fetched: list[str] = []

    @asynccontextmanager
    async def fetch(channel: Any, media_id: str) -> Any:
        async def chunks() -> Any:
            if channel.id == channel_id:
                await asyncio.Event().wait()
            fetched.append(media_id)
            yield b"hello"

        yield Download(chunks())

    monkeypatch.setattr(adapter, "fetch", fetch)
    return fetched


async def test_one_channels_slow_files_do_not_hold_anothers(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_tenant(running.store, "bolt")
    await make_whatsapp(running.store, "bolt", "ch_bolt", "999")
    fetched = hang_for(running, monkeypatch, "ch_wa")
    for n in range(8):
        await hear(running, said(running, Media("image", media_id=f"slow{n}"), f"s{n}"))
    bolt = await running.store.directory.channel("ch_bolt")
    await running.gateway.inbox.put(
        bolt, [said(running, Media("image", media_id="theirs"), "b1", silent=True)]
    )
    async with asyncio.timeout(8):
        while "theirs" not in fetched:
            await asyncio.sleep(0.05)


async def file_docs(running: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await running.store.files._db["files"].find({}).to_list()
    return found


async def until_file(running: Running, **wanted: Any) -> dict[str, Any]:
    """The file's record, once it is so."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not found:
            await asyncio.sleep(0.01)
            found = [d for d in await file_docs(running) if all(d.get(k) == v for k, v in wanted.items())]
    return found[0]


async def test_a_channels_thousands_do_not_hide_anothers_file(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.media.SWEEP", 4)
    await make_tenant(running.store, "bolt")
    await make_whatsapp(running.store, "bolt", "ch_bolt", "999")
    fetched = hang_for(running, monkeypatch, "ch_wa")
    many = [said(running, Media("image", media_id=f"slow{n}"), f"s{n}") for n in range(30)]
    await hear(running, *many)
    bolt = await running.store.directory.channel("ch_bolt")
    await running.gateway.inbox.put(
        bolt, [said(running, Media("image", media_id="theirs"), "b1", silent=True)]
    )
    async with asyncio.timeout(10):
        while "theirs" not in fetched:
            await running.gateway.media.sweep()
            await asyncio.sleep(0.01)
    begun = [d for d in await file_docs(running) if d["attempts"] and d["channel"] == "ch_wa"]
    assert len(begun) == 2


async def test_more_files_than_places_are_all_fetched(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as there is a place, not at the next look."""
    fetched = hang_for(running, monkeypatch, "nobody's")
    channel = await running.store.directory.channel("ch_wa")
    await running.gateway.inbox.put(
        channel, [said(running, Media("image", media_id=f"m{n}"), f"s{n}") for n in range(30)]
    )
    await running.gateway.media.sweep()
    await running.gateway.media.idle()
    assert sorted(fetched) == sorted(f"m{n}" for n in range(30))


async def test_a_download_that_stalls_is_broken_off_and_tried_later(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.media.CHUNK_SECONDS", 0.1)
    hang_for(running, monkeypatch, "ch_wa")
    await hear(running, said(running, Media("image", media_id="m1"), "1"))
    doc = await until_file(running, error="It stopped coming, or came too slowly.")
    assert (doc["state"], doc["todo"], doc["attempts"]) == ("pending", "fetch", 1)


async def test_files_of_a_disabled_channel_wait_until_it_is_enabled(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = hang_for(running, monkeypatch, "nobody's")
    channel = await running.store.directory.channel("ch_wa")
    await running.store.directory.set_channel(channel, state="disabled")
    await running.gateway.inbox.put(channel, [said(running, Media("image", media_id="m1"), "1")])
    doc = await until_file(running, held=True)
    assert (doc["state"], doc["attempts"], fetched) == ("pending", 0, [])
    running.clock.move(hours=1)
    await running.gateway.media.sweep()
    await running.gateway.media.idle()
    assert ((await file_docs(running))[0]["attempts"], fetched) == (0, [])
    await running.store.directory.set_channel(channel, state="active")
    await running.store.open_work.release_channel("acme", "ch_wa", running.clock())
    await running.gateway.media.sweep()
    doc = await until_file(running, state="ready")
    assert "held" not in doc
    assert doc["attempts"] == 1


async def test_enabling_a_channel_disturbs_nothing_under_way(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang_for(running, monkeypatch, "ch_wa")
    await hear(running, said(running, Media("image", media_id="m1"), "1"))
    before = await until_file(running, attempts=1)
    await running.store.open_work.release_channel("acme", "ch_wa", running.clock())
    assert (await file_docs(running))[0]["due"] == before["due"]


async def test_a_file_that_kills_us_each_time_is_given_up(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await running.store.directory.channel("ch_wa")
    hang_for(running, monkeypatch, "ch_wa")
    monkeypatch.setattr("gateway.media.MOST_CLAIMS", 0)
    await running.gateway.inbox.put(channel, [said(running, Media("image", media_id="m1"), "1")])
    doc = await until_file(running, state="failed")
    assert "todo" not in doc


async def test_credentials_that_were_refused_lose_no_file(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the token is mended, what came meanwhile can be had: WhatsApp keeps it for 14 days."""
    adapter = running.gateway.channels.webhooks["whatsapp"]
    fine = False
    asked = 0

    @asynccontextmanager
    async def fetch(channel: Any, media_id: str) -> Any:
        nonlocal asked
        asked += 1
        if not fine:
            raise SendError("whatsapp:190", "The access token expired.", disable_channel=True)

        async def chunks() -> Any:
            yield b"hello"

        yield Download(chunks())

    monkeypatch.setattr(adapter, "fetch", fetch)
    await hear(running, *(said(running, Media("image", media_id=f"m{n}"), f"{n}") for n in range(12)))
    async with asyncio.timeout(10):
        while [d.get("held") for d in await file_docs(running)] != [True] * 12:
            await asyncio.sleep(0.01)
    assert [(d["state"], d["attempts"]) for d in await file_docs(running)] == [("pending", 0)] * 12
    # They don't all ask with credentials that were refused.
    assert asked <= 2
    fine = True
    channel = await running.store.directory.channel("ch_wa")
    assert channel.state == "disabled"
    await running.store.directory.set_channel(channel, state="active")
    running.clock.move(hours=1)
    await running.gateway.media.sweep()
    await running.gateway.media.idle()
    assert [(d["state"], d.get("error")) for d in await file_docs(running)] == [("ready", None)] * 12


async def test_a_file_that_breaks_us_each_time_is_given_up(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = running.gateway.channels.webhooks["whatsapp"]

    @asynccontextmanager
    async def fetch(channel: Any, media_id: str) -> Any:
        nothing: dict[str, Download] = {}
        yield nothing["a fault of ours"]

    monkeypatch.setattr(adapter, "fetch", fetch)
    await hear(running, said(running, Media("image", media_id="m1"), "1"))
    for _ in range(12):
        await asyncio.sleep(0.02)
        await running.gateway.media.idle()
        running.clock.move(minutes=30)
        await running.gateway.media.sweep()
    await running.gateway.media.idle()
    doc = await running.store.files._db["files"].find_one({})
    assert doc is not None
    assert doc["state"] == "failed", doc["attempts"]


async def test_a_thumbnail_that_can_not_be_made_loses_no_file(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise OSError("no space, or no more processes")

    monkeypatch.setattr(thumbnail, "_run", broken)
    status, answer = await widget_upload(running, await visitor_token(running), picture())
    assert status == 200, answer


async def test_thumbnails_are_made_a_few_at_a_time(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    now, most = 0, 0

    async def counted(*_: Any) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        return 1

    monkeypatch.setattr(thumbnail, "_run", counted)
    tokens = [await visitor_token(running) for _ in range(12)]
    await asyncio.gather(*(widget_upload(running, t, picture()) for t in tokens))
    assert most == thumbnail.AT_ONCE


async def big(running: Running, event: Any) -> int:
    import io

    from channels.webhook import signature
    from tests.webhook.test_webhook import SECRET

    body = json.dumps(event).encode()
    key = signature.key_of(SECRET)
    assert key is not None
    headers = signature.sign(key, "big", running.clock(), body)
    async with running.http.post(
        f"{running.url}/webhooks/webhook/ch_own",
        data=io.BytesIO(body),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=120),
    ) as answer:
        return answer.status


async def stall(running: Running, event: Any, limit: float = 1.0) -> tuple[int, float, float]:
    """Status, seconds to the answer, and the loop's longest stall meanwhile."""
    longest, stop = 0.0, False

    async def watch() -> None:
        nonlocal longest
        while not stop:
            t = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - t)

    watcher = asyncio.create_task(watch())
    t = time.perf_counter()
    status = await big(running, event)
    took = time.perf_counter() - t
    with contextlib.suppress(TimeoutError):
        await running.idle()
    stop = True
    await watcher
    print(
        "status",
        status,
        "took",
        round(took, 2),
        "stall",
        round(longest, 2),
        "idle",
        round(time.perf_counter() - t, 2),
    )
    return status, took, longest


def message(content: Any, n: int = 1, who: str = "c1") -> dict[str, Any]:
    return {"type": "message", "data": {"id": f"m-{n}", "from": {"id": who}, "content": content}}


@pytest.mark.parametrize(
    ("name", "event"),
    [
        (
            "album",
            message(
                {
                    "type": "album",
                    "items": [
                        {"media": "image", "url": f"https://h.example/{n}", "type": "media"}
                        for n in range(40_000)
                    ],
                }
            ),
        ),
        (
            "caption",
            message(
                {
                    "type": "media",
                    "media": "image",
                    "url": "https://h.example/1",
                    "caption": "echo " + "a b " * 600_000,
                }
            ),
        ),
        ("text", message({"type": "text", "text": "echo " + "a. b " * 50_000})),
        ("contacts", message({"type": "contacts", "contacts": [{"name": "n"}] * 150_000})),
        ("people", {"events": [message({"type": "text", "text": "x"}, n, f"p{n}") for n in range(20_000)]}),
        ("reply", message({"type": "reply", "id": "x", "title": "echo " + "a" * 2_900_000})),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
async def test_a_large_body_holds_nobody_up(running: Running, system: System, name: str, event: Any) -> None:  # noqa: F811
    status, took, longest = await stall(running, event)
    assert status in (200, 400, 413)
    assert took < 10
    assert longest < 1.0


async def test_telegram_added_twice_keeps_the_first_ones_webhook(running: Running) -> None:
    """See gateway/commands/channel.py add_account: connect() first, the conflict second."""
    import argparse

    from gateway.commands.channel import add_account
    from gateway.commands.context import Context
    from gateway.model.errors import Conflict
    from tests.providers.bot_api import BotApi
    from tests.telegram.rig import TOKEN

    async with BotApi() as api:
        bot = api.add_bot(TOKEN, "acme_bot")
        settings = replace(
            running.gateway.settings, telegram_api_url=api.url, public_url="https://gate.example"
        )
        await make_tenant(running.store, "bolt")
        words = {"kind": "telegram", "name": None, "token": TOKEN, "secret_token": None, "poll": False}
        await add_account(
            Context(settings, running.store, True),
            argparse.Namespace(tenant="acme", quiet_seconds=None, **words),
        )
        first = bot.webhook
        with pytest.raises(Conflict):
            await add_account(
                Context(settings, running.store, True),
                argparse.Namespace(tenant="bolt", quiet_seconds=None, **words),
            )
        assert bot.webhook == first
