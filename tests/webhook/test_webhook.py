"""The webhook channel: every body by its table, and both directions through a running gateway."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from channels.webhook import signature
from channels.webhook.parse import parse
from gateway.model.content import Album, Command, Media, Reply, Text, Unsupported
from gateway.model.errors import NotAuthentic, NotForUs
from gateway.model.message import Status
from gateway.model.ports import InboundMessage
from gateway.model.tenant import Channel
from gateway.store.people import conversation_of
from tests.conftest import Running
from tests.core.test_api import call, key_of
from tests.core.test_files import picture, upload
from tests.webhook.cases import CASES

FOLDER = Path(__file__).parent.parent / "payloads" / "webhook"
NOW = datetime(2026, 11, 21, 10, 1, tzinfo=UTC)
SECRET = "whsec_" + "QUJD" * 8


def written(message: InboundMessage) -> str:
    silent = "~" if message.silent else ""
    match message.content:
        case Text(text=text):
            return f"{silent}text {text}"
        case Media(media=media):
            return f"{silent}media {media}"
        case Album(items=items):
            return f"{silent}album {len(items)}"
        case Reply(id=choice):
            return f"{silent}reply {choice}"
        case Command(name=name):
            return f"{silent}command {name}"
        case Unsupported(kind=kind):
            return f"{silent}?{kind}"
    return f"{silent}{message.content.type}"


def test_every_file_has_a_row_and_every_row_a_file() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_table_holds(name: str) -> None:
    found = parse("ch_1", (FOLDER / f"{name}.json").read_bytes(), NOW)
    messages = tuple(written(m) for m in found.messages)
    assert (messages, tuple(r.status.label for r in found.receipts), found.ignored) == CASES[name]


NAMES = ("type", "data", "events", "from", "id", "content", "text", "message", "at", "items")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner),
)


@given(ANYTHING)
def test_whatever_comes_is_read_or_not_for_us(value: Any) -> None:
    try:
        parse("ch_1", json.dumps(value).encode(), NOW)
    except NotForUs:
        assert not isinstance(value, dict)


def content_of(content: Any, **data: Any) -> InboundMessage:
    event = {"type": "message", "data": {"id": "m-1", "from": {"id": "c1"}, "content": content, **data}}
    [message] = parse("ch_1", json.dumps(event).encode(), NOW).messages
    return message


IMAGE = {"type": "media", "media": "image", "url": "https://h.example/1"}


@pytest.mark.parametrize(
    "content",
    [
        {**IMAGE, "size": 10**23},
        {**IMAGE, "size": -1},
        {**IMAGE, "width": "9" * 30},
        {**IMAGE, "caption": "a" * 300_000},
        {"type": "order", "catalog": "c", "items": [{"product": "p", "quantity": 2**60}]},
        {"type": "order", "catalog": "c", "items": [{"product": "p", "quantity": 1}] * 101},
        {"type": "contacts", "contacts": [{"name": "n"}] * 101},
        {"type": "contacts", "contacts": [{"name": "n" * 300_000}]},
        {"type": "album", "items": [IMAGE] * 31},
        {"type": "album", "items": []},
        {"type": "form_reply", "values": {f"f{n}": "x" for n in range(101)}},
        {"type": "form_reply", "values": {"a" * 300_000: "x"}},
        {"type": "location", "latitude": 91, "longitude": 0},
        {"type": "location", "latitude": "nan", "longitude": 0},
        {"type": "edit", "to": "m", "content": {"type": "text", "text": "a" * 300_000}},
        {"type": "edit", "to": "m", "content": {"type": "location", "latitude": 0, "longitude": -181}},
    ],
    ids=lambda c: str(c)[:70],
)
def test_what_is_out_of_bounds_is_kept_as_it_came(content: Any) -> None:
    found = content_of(content).content
    assert isinstance(found, Unsupported)
    assert found.kind == content["type"]
    assert found.raw.startswith(json.dumps(content, separators=(",", ":"))[:60_000])


def test_what_is_within_bounds_is_read() -> None:
    for content in (
        {**IMAGE, "size": 2**53, "caption": "a" * 262_144},
        {"type": "contacts", "contacts": [{"name": "n"}] * 100},
        {"type": "album", "items": [IMAGE] * 30},
        {"type": "text", "text": "a" * 300_000},
    ):
        assert content_of(content).content.type == content["type"]


def test_a_body_holds_so_many_events() -> None:
    event = {"type": "message", "data": {"from": {"id": "c"}, "content": {"type": "text", "text": "x"}}}
    assert len(parse("ch_1", json.dumps({"events": [event] * 500}).encode(), NOW).messages) == 500
    with pytest.raises(NotForUs):
        parse("ch_1", json.dumps({"events": [event] * 501}).encode(), NOW)


def test_no_person_is_a_thread() -> None:
    text = {"type": "text", "text": "x"}
    thread = content_of(text, thread="x")
    person = content_of(text, **{"from": {"id": "thread:x"}})
    assert thread.place is not None
    assert thread.place.kind != person.identity.kind
    assert conversation_of("ch_1", thread.place) != conversation_of("ch_1", person.identity)


# Signatures


def test_the_standards_own_library_agrees_both_ways() -> None:
    body, now = b'{"type":"ping"}', datetime.now(UTC)
    key = signature.key_of(SECRET)
    assert key is not None
    headers = signature.sign(key, "msg_1", now, body)
    assert Webhook(SECRET).verify(body, headers) == {"type": "ping"}
    theirs = Webhook(SECRET).sign("msg_2", now, body.decode())
    signature.verify(
        SECRET,
        {"webhook-id": "msg_2", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": theirs},
        body,
        now,
    )


def test_what_is_not_authentic_is_refused() -> None:
    body = b"{}"
    key = signature.key_of(SECRET)
    assert key is not None
    good = signature.sign(key, "msg_1", NOW, body)
    signature.verify(SECRET, good, body, NOW)
    signature.verify(SECRET, {**good, "webhook-signature": "v1,no " + good["webhook-signature"]}, body, NOW)
    for secret, headers, sent, now in (
        (SECRET, good, b"{ }", NOW),
        (SECRET, good, body, NOW + timedelta(seconds=301)),
        (SECRET, good, body, NOW - timedelta(seconds=301)),
        (SECRET, {**good, "webhook-id": "msg_2"}, body, NOW),
        (SECRET, {**good, "webhook-signature": good["webhook-signature"][:-2] + "A="}, body, NOW),
        (SECRET, {**good, "webhook-signature": "v2" + good["webhook-signature"][2:]}, body, NOW),
        (SECRET, {**good, "webhook-timestamp": "now"}, body, NOW),
        (SECRET, {**good, "webhook-signature": "\udcff"}, body, NOW),
        (SECRET, {}, body, NOW),
        ("", good, body, NOW),
        ("whsec_", good, body, NOW),
        ("whsec_AAAA", good, body, NOW),
        ("another", good, body, NOW),
    ):
        with pytest.raises(NotAuthentic):
            signature.verify(secret, headers, sent, now)


# Through a gateway


@dataclass
class System:
    """The business's own system: takes signed calls, and answers as it is told."""

    url: str = ""
    taken: list[dict[str, Any]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    file: bytes = b""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {k.lower(): v for k, v in request.headers.items()}
        signature.verify(SECRET, headers, body, self.clock())
        event = json.loads(body)
        assert headers["webhook-id"]
        if event["type"] == "message":
            self.taken.append(event["data"])
            return (
                self.answers.pop(0)
                if self.answers
                else web.json_response({"id": f"theirs-{len(self.taken)}"})
            )
        return web.Response()

    async def serve_file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.file)


@pytest.fixture
async def system(running: Running) -> AsyncIterator[System]:
    found = System(clock=running.clock)
    app = web.Application()
    app.add_routes([web.post("/parley", found.take), web.get("/file", found.serve_file)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await running.store.directory.add_channel(
        Channel(
            "ch_own", "acme", "webhook", "ch_own", "Own", running.clock(),
            config={"url": f"{found.url}/parley"}, secrets={"signing_secret": SECRET},
        )
    )  # fmt: skip
    yield found
    await runner.cleanup()


async def post(running: Running, event: dict[str, Any], identifier: str = "msg_1", **changed: str) -> int:
    body = json.dumps(event).encode()
    key = signature.key_of(SECRET)
    assert key is not None
    headers = {**signature.sign(key, identifier, running.clock(), body), **changed}
    url = f"{running.url}/webhooks/webhook/ch_own"
    async with running.http.post(url, data=body, headers=headers) as answer:
        return answer.status


def said(text: str, identifier: str = "m-1") -> dict[str, Any]:
    content = {"type": "text", "text": text}
    return {
        "type": "message",
        "data": {"id": identifier, "from": {"id": "c1", "name": "Ana"}, "content": content},
    }


async def test_a_message_in_and_its_answer_out_once(running: Running, system: System) -> None:
    for _ in range(4):
        assert await post(running, said("echo hello")) == 200
    await running.until(lambda: len(system.taken) == 1)
    await running.idle()
    [message] = system.taken
    assert (message["to"], message["content"]) == ("c1", {"type": "text", "text": "echo hello"})
    [conversation] = await running.conversations()
    transcript = await running.transcript(conversation.id)
    assert [m.status for m in transcript] == [Status.HANDLED, Status.SENT]
    assert transcript[1].provider_id == "theirs-1"
    receipt = {"type": "receipt", "data": {"message": message["id"], "status": "read"}}
    assert await post(running, receipt) == 200
    assert (await running.transcript(conversation.id))[1].status is Status.READ


async def test_what_is_not_signed_is_not_read(running: Running, system: System) -> None:
    assert await post(running, said("x"), **{"webhook-id": "msg_2"}) == 401
    assert await post(running, said("x"), **{"webhook-timestamp": "1"}) == 401
    async with running.http.post(f"{running.url}/webhooks/webhook/ch_own", data=b"{}") as answer:
        assert answer.status == 401
    assert await running.conversations() == ()


async def test_a_system_that_fails_is_tried_again_later(running: Running, system: System) -> None:
    system.answers = [web.Response(status=503), web.Response(status=500)]
    await post(running, said("echo hello"))
    await running.until(lambda: len(system.taken) == 1)
    await running.idle()
    await running.swept()
    assert len(system.taken) == 1  # not before its time
    for _ in range(2):
        running.clock.move(seconds=10)
        await running.swept()
    assert [m["content"]["text"] for m in system.taken] == ["echo hello"] * 3
    assert len({m["id"] for m in system.taken}) == 1
    [conversation] = await running.conversations()
    assert (await running.transcript(conversation.id))[-1].status is Status.SENT


async def test_a_system_that_is_gone_ends_the_channel(running: Running, system: System) -> None:
    system.answers = [web.Response(status=410)]
    await post(running, said("echo hello"))
    await running.until(lambda: len(system.taken) == 1)
    await running.idle()
    assert (await running.store.directory.channel("ch_own")).state == "disabled"


async def test_files_both_ways(running: Running, system: System) -> None:
    system.file = picture()
    event = said("x")
    event["data"]["content"] = {
        "type": "media",
        "media": "image",
        "url": f"{system.url}/file",
        "caption": "echo look",
    }
    assert await post(running, event) == 200
    await running.until(lambda: len(system.taken) == 1)
    [conversation] = await running.conversations()
    content = (await running.transcript(conversation.id))[0].content
    assert isinstance(content, Media)
    files = running.store.of("acme").files
    async with asyncio.timeout(10):
        while (await files.get(str(content.file))).state == "pending":
            pass
    file = await files.get(str(content.file))
    assert (file.state, file.mime, file.size) == ("ready", "image/png", len(system.file))
    ours = await upload(running, "b.png", picture(size=(30, 20)))
    path = f"/api/v1/conversations/{conversation.id}/messages"
    sent = {"content": {"type": "media", "media": "image", "file": ours["id"]}}
    assert (await call(running, "POST", path, await key_of(running, "acme"), sent))[0] == 200
    await running.until(lambda: len(system.taken) == 2)
    address = system.taken[1]["content"]["url"]
    async with running.http.get(running.url + "/files/" + address.rpartition("/")[2]) as answer:
        assert await answer.read() == picture(size=(30, 20))


async def test_a_file_elsewhere_is_not_fetched(running: Running, system: System) -> None:
    event = said("x")
    event["data"]["content"] = {"type": "media", "media": "image", "url": "https://169.254.169.254/latest"}
    assert await post(running, event) == 200
    await running.idle()
    [conversation] = await running.conversations()
    content = (await running.transcript(conversation.id))[0].content
    assert isinstance(content, Media)
    files = running.store.of("acme").files
    async with asyncio.timeout(10):
        while (await files.get(str(content.file))).state == "pending":
            pass
    assert "not on the host" in str((await files.get(str(content.file))).error)
