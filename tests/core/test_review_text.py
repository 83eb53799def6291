"""Review: bodies, numbers, names and patterns that break us."""

import asyncio
import base64
import subprocess
import sys
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError

from gateway.model.content import Command, Text
from gateway.model.errors import StoreError, Unavailable
from gateway.store.database import guarded
from gateway.store.group import GroupedInserts
from tests.conftest import Running
from tests.core.test_api import call, key_of
from tests.core.test_desk import conversation_of, say
from tests.core.test_files import upload
from tests.core.test_kinds import hear, said, sent
from tests.webhook.test_webhook import System, post, system  # noqa: F401


def test_telling_a_files_kind_is_not_exponential() -> None:
    code = "from gateway.model.sniff import sniff; sniff(b'<!---->' * 500 + b'x')"
    subprocess.run([sys.executable, "-c", code], timeout=10, check=True)


@pytest.mark.parametrize("until", ["100000000000000000", "-1000000000000000000", "9" * 30])
async def test_an_absurd_time_in_a_file_address_is_no_fault(running: Running, until: str) -> None:
    raw = f"file\x1facme\x1ff_x\x1f{until}".encode() + b"\x1e" + bytes(32)
    token = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    async with running.http.get(f"{running.url}/files/{token}") as answer:
        assert answer.status == 404


HUGE = 10**23

DEEP: Any = "x"
for _ in range(200):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    "content",
    [
        {"type": "media", "media": "image", "url": "https://x.example/a", "size": HUGE},
        {"type": "media", "media": "image", "url": "https://x.example/a", "width": HUGE},
        {"type": "order", "catalog": "c", "items": [{"product": "p", "quantity": HUGE}]},
        {"type": "form_reply", "values": {"$set": "x", "a.b": "y", "": "z"}},
        {"type": "location", "latitude": 999, "longitude": 1e308},
        {"type": "album", "items": []},
        {"type": "edit", "to": "x", "content": {"type": "media", "media": "image", "size": HUGE}},
    ],
)
async def test_no_body_of_a_webhook_breaks_us(running: Running, system: System, content: Any) -> None:  # noqa: F811
    event = {"type": "message", "data": {"id": "m-1", "from": {"id": "c1"}, "content": content}}
    assert await post(running, event) == 200


async def test_one_poisonous_body_fails_nobody_else(running: Running, system: System) -> None:  # noqa: F811
    """Inserts of many callers are one call."""
    bad = {"type": "order", "catalog": "c", "items": [{"product": "p", "quantity": HUGE}]}

    def event(content: Any, n: int) -> dict[str, Any]:
        return {"type": "message", "data": {"id": f"m-{n}", "from": {"id": "c1"}, "content": content}}

    good = {"type": "text", "text": "echo"}
    answers = await asyncio.gather(
        *(post(running, event(bad if n % 5 == 4 else good, n), f"msg_{n}") for n in range(40))
    )
    assert [a for n, a in enumerate(answers) if n % 5 != 4] == [200] * 32


@pytest.mark.parametrize(
    "content",
    [
        {"type": "text", "text": "a\ud800b"},
        {"type": "text", "text": "a\x00b"},
        {"type": "media", "media": "image", "url": "https://x.example/a", "size": HUGE},
        {"type": "template", "name": "t", "language": "en", "components": [{"type": "body", "n": HUGE}]},
        {"type": "template", "name": "t", "language": "en", "components": [{"type": "body", "a\x00b": 1}]},
        {"type": "template", "name": "t", "language": "en", "components": [{"type": "body", "$x": 1}]},
        {"type": "template", "name": "t", "language": "en", "components": [DEEP]},
        {"type": "location", "latitude": 1e999, "longitude": 2},
        {"type": "location", "latitude": 1000, "longitude": 2},
        {"type": "buttons", "text": "x", "choices": [{"id": "\ud800", "title": "t"}]},
        {"type": "reaction", "emoji": "x", "to": "m_" + "a" * 24},
    ],
    ids=lambda c: str(c)[:60],
)
async def test_nothing_that_a_person_sends_is_a_fault_of_ours(running: Running, content: Any) -> None:
    conversation = await conversation_of(running)
    status, answer = await say(running, conversation, content)
    assert status in (200, 422), answer


async def test_a_key_or_quote_with_a_surrogate_is_no_fault(running: Running) -> None:
    conversation = await conversation_of(running)
    for more in ({"key": "\ud800"}, {"reply_to": "\ud800"}):
        status, answer = await say(running, conversation, {"type": "text", "text": "x"}, **more)
        assert status in (200, 422), (more, answer)


@pytest.mark.parametrize("name", ["%FF", "%ED%A0%80", "a%00b", "%F0%9F%98%80" * 300])
async def test_a_files_name_may_be_anything(running: Running, name: str) -> None:
    from yarl import URL

    async with running.http.post(
        URL(f"{running.url}/api/v1/files?name={name}", encoded=True),
        data=b"hello",
        headers=await key_of(running, "acme"),
    ) as answer:
        assert answer.status in (200, 422)


async def test_a_command_that_nobody_made_is_answered_by_its_words(running: Running) -> None:
    running.brain.known = {"prices shoes": "From 30 €.", "hours": "Nine to six."}
    await hear(running, said(running, Command("prices", "shoes"), "1"))
    await hear(running, said(running, Command("hours"), "2"))
    assert sent(running) == ["From 30 €.", "Nine to six."]


async def test_a_long_text_of_a_person_is_not_a_thousand_messages(running: Running) -> None:
    conversation = await conversation_of(running)
    status, answer = await call(
        running,
        "POST",
        f"/api/v1/conversations/{conversation}/messages",
        await key_of(running, "acme"),
        {"content": {"type": "text", "text": "word " * 190_000}},
    )
    assert status == 422, len(answer["items"])


async def test_the_address_of_slack_is_the_one_that_slack_calls(running: Running) -> None:
    from gateway.model.tenant import Channel

    await running.store.directory.add_channel(
        Channel("ch_sl", "acme", "slack", "T1", "S", running.clock(), secrets={"bot_token": "x"})
    )
    _, answer = await call(running, "GET", "/api/v1/channels", await key_of(running, "acme"))
    [slack] = [c for c in answer["items"] if c["kind"] == "slack"]
    assert slack["webhook"].endswith("/webhooks/slack/events")


async def test_an_empty_file_can_be_downloaded(running: Running) -> None:
    from gateway.files import FileLinks  # noqa: F401
    from gateway.model.file import File

    files = running.store.of("acme").files
    file = File(
        id="f_e", tenant="acme", channel="ch_wa", state="pending", created=running.clock(), name="e.txt"
    )
    await files.expect([file])
    await files.ready(file)
    _, answer = await call(running, "GET", "/api/v1/files/f_e", await key_of(running, "acme"))
    url = running.url + "/files/" + answer["url"].rpartition("/files/")[2]
    async with running.http.get(url) as got:
        assert (got.status, await got.read()) == (200, b"")


async def test_a_file_with_a_missing_part_is_cut_not_mixed(running: Running) -> None:
    """What comes after the head of an answer is the file's, or nothing."""
    file = await upload(running, "a.bin", b"x" * 600_000)
    db = running.store.files._db
    await db["file_parts"].delete_many({"_id": {"$regex": ":1$"}})
    import aiohttp

    url = running.url + "/files/" + file["url"].rpartition("/files/")[2]
    got = b""
    try:
        async with running.http.get(url) as answer:
            async for chunk in answer.content.iter_any():
                got += chunk
    except aiohttp.ClientError:
        pass
    assert got.strip(b"x") == b""


async def test_echo_of_text(running: Running) -> None:
    await hear(running, said(running, Text("echo x")))
    assert sent(running) == ["echo x"]


@pytest.mark.parametrize(
    "content",
    [
        {"type": "reply", "id": "x", "title": "echo", "to": "\ud800"},
        {"type": "form_reply", "values": {"\ud800": "x", "b": "\ud800"}},
        {"type": "form_reply", "values": {"$set": "x", "a.b": "y"}, "to": "\ud800"},
    ],
)
async def test_a_visitor_can_not_poison_the_inserts(running: Running, content: Any) -> None:
    from tests.core.visitor import Visitor

    async with Visitor(running).open() as tab:
        await tab.put({"t": "send", "id": "client-12345", "content": content})
        assert (await tab.next("error"))["code"] == "bad_frame"


async def test_a_tenants_key_can_not_break_anothers_webhooks(running: Running) -> None:
    """While one tenant sends a text that can't be written, another's customers are stored."""
    from tests.conftest import make_tenant, make_whatsapp
    from tests.providers.graph_webhooks import text_webhook

    conversation = await conversation_of(running)
    await make_tenant(running.store, "bolt")
    await make_whatsapp(running.store, "bolt", "ch_bolt", "999")
    key = await key_of(running, "acme")
    stop = False

    async def poison() -> None:
        while not stop:
            await call(
                running,
                "POST",
                f"/api/v1/conversations/{conversation}/messages",
                key,
                {"content": {"type": "text", "text": "\ud800"}},
            )

    poisoners = [asyncio.create_task(poison()) for _ in range(8)]
    at = int(running.clock().timestamp())
    statuses = []
    for n in range(60):
        body = text_webhook(f"3460011{n:04}", "echo hello", f"wamid.b{n}", at, account="999")
        statuses.append(await running.post_whatsapp(body, "ch_bolt"))
    stop = True
    await asyncio.gather(*poisoners)
    assert set(statuses) == {200}, {s: statuses.count(s) for s in set(statuses)}


class Refusing:
    """A collection that writes everything but what is called bad, as the server does for one document among many."""

    def __init__(self, collection: Any) -> None:
        self.collection = collection
        self.calls = 0

    async def insert_many(self, docs: list[dict[str, Any]], ordered: bool) -> None:
        self.calls += 1
        good = [n for n, d in enumerate(docs) if d["_id"] != "bad"]
        errors = [{"index": n, "code": 121} for n in range(len(docs)) if n not in good]
        try:
            await self.collection.insert_many([docs[n] for n in good], ordered=ordered)
        except BulkWriteError as error:
            told = (error.details or {})["writeErrors"]
            errors += [{"index": good[e["index"]], "code": e["code"]} for e in told]
        if errors:
            raise BulkWriteError({"writeErrors": errors})


@pytest.mark.parametrize("of_the_server", [False, True])
async def test_only_the_guilty_caller_of_a_batch_gets_its_error(
    running: Running, of_the_server: bool
) -> None:
    """Both for what has no form in BSON and for what the server refuses; the others hear what became of theirs."""
    collection: Any = running.store.files._db["things"]
    group = GroupedInserts(Refusing(collection) if of_the_server else collection)  # type: ignore[arg-type]
    await group.insert([{"_id": "old"}])

    async def put(docs: list[dict[str, Any]]) -> list[bool] | StoreError:
        try:
            async with guarded():
                return await group.insert(docs)
        except StoreError as error:
            return error

    parts: list[list[dict[str, Any]]] = [[{"_id": f"{n}"}, {"_id": "old"}] for n in range(9)]
    parts[4] = [{"_id": "4"}, {"_id": "bad", "n": "canary" if of_the_server else HUGE}]
    outcomes = await asyncio.gather(*(put(part) for part in parts))
    refused = outcomes.pop(4)
    assert isinstance(refused, StoreError)
    assert not any(word in str(refused) for word in ("bad", "canary", str(HUGE)))
    assert outcomes == [[True, False]] * 8


async def test_a_database_that_is_gone_is_nobodys_fault(running: Running) -> None:
    """Then nothing is written one by one: every caller hears at once that it can't be reached."""

    class Gone(Refusing):
        async def insert_many(self, docs: list[dict[str, Any]], ordered: bool) -> None:
            self.calls += 1
            raise AutoReconnect("gone")

    gone = Gone(None)
    group = GroupedInserts(gone)  # type: ignore[arg-type]

    async def put(number: int) -> None:
        async with guarded():
            await group.insert([{"_id": number}])

    outcomes = await asyncio.gather(*(put(n) for n in range(9)), return_exceptions=True)
    assert [type(o) for o in outcomes] == [Unavailable] * 9
    assert gone.calls <= 2


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"type": "text", "text": "a\ud800b"}, "content.text"),
        ({"type": "text", "text": "a\x00b"}, "content.text"),
        ({"type": "text", "\ud800": 1}, "content"),
        ({"type": "template", "name": "t", "language": "e", "components": [{"n": HUGE}]}, "content.components.0.n"),
        ({"type": "template", "name": "t", "language": "e", "components": [{"a\x00": 1}]}, "content.components.0"),
        ({"type": "flow", "text": "x", "button": "b", "flow": "f", "data": {"x": [{"y": "\udfff"}]}}, "content.data.x.0.y"),
        ({"type": "flow", "text": "x", "button": "b", "flow": "f", "data": DEEP}, "content"),
        ({"type": "media", "media": "image", "url": "https://x.example/a", "size": 2**60}, "content.size"),
        ({"type": "media", "media": "image", "url": "https://x.example/a", "width": -1}, "content.width"),
        ({"type": "location", "latitude": 1e999, "longitude": 2}, "content.latitude"),
        ({"type": "location", "latitude": "nan", "longitude": 2}, "content.latitude"),
        ({"type": "location", "latitude": 2, "longitude": -181}, "content.longitude"),
    ],
    ids=lambda c: c if isinstance(c, str) else "",
)  # fmt: skip
async def test_what_can_not_be_written_is_refused_by_its_name(
    running: Running, content: Any, field: str
) -> None:
    conversation = await conversation_of(running)
    status, answer = await say(running, conversation, content)
    assert (status, answer["errors"][0]["field"]) == (422, field), answer


async def test_a_command_is_known_or_is_its_words() -> None:
    from gateway.manners import words

    assert words(Command("Prices", "shoes 42")) == Text("Prices shoes 42")
    assert words(Command("prices")) == Text("prices")
    for name in ("start", "STOP", "help", "human", "language"):
        assert words(Command(name, "x")) == Command(name, "x")
    assert words(Text("/start")) == Text("/start")
