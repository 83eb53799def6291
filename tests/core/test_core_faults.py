"""Faults of the core's own surroundings: what breaks, hangs or comes too late neither stops the rest nor is hidden."""

import argparse
import asyncio
import io
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from loguru import logger
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, PyMongoError, WriteError

from channels.whatsapp.adapter import WhatsAppAdapter
from gateway import deliver, session, turn
from gateway.bootstrap import build, listening, working
from gateway.commands.channel import set_state
from gateway.commands.context import Context
from gateway.handoff import set_owner
from gateway.model.content import Template, Text
from gateway.model.conversation import Conversation
from gateway.model.errors import ParleyError, StoreError, Unavailable
from gateway.model.identity import Identity
from gateway.model.message import Message, Receipt, Status, stable_id
from gateway.model.ports import InboundMessage, Outgoing, Sent
from gateway.model.tenant import Channel
from gateway.model.texts import broken
from gateway.model.work import Key
from gateway.ops.again import again_and_again
from gateway.ops.logging import configure
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.conversations import Conversations
from gateway.store.database import guarded
from gateway.store.directory import Directory
from gateway.store.messages import Messages
from gateway.store.open_work import MATCH_TRIES
from gateway.work.sweeper import Sweeper
from tests.bench.gateway_process import NoEmbedder
from tests.conftest import (
    ACCESS_TOKEN,
    ORIGIN,
    MovableClock,
    Running,
    ScriptedBrain,
    make_site,
    make_template,
    make_tenant,
    make_whatsapp,
)
from tests.core.visitor import Visitor
from tests.providers.graph import Fault, GraphStandIn
from tests.providers.graph_webhooks import status, statuses_webhook, text_webhook

SENDER = "34600111222"
OTHER = "34600333444"
OTHER_PHONE = "206540352242922"
NOW = int(time.time())


async def unmarked(*_: object, **__: object) -> None:
    pass


@pytest.fixture
async def timed(
    quiet: None,
    settings: Settings,
    store: Store,
    clock: MovableClock,
    graph: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Running]:
    """A gateway at work with pacing by the moved clock, no sweep but the test's own, and no read marks. Besides `acme`
    there is the tenant `other` with the WhatsApp channel `ch_other`."""
    monkeypatch.setattr(WhatsAppAdapter, "mark_read", unmarked)

    def monotonic() -> float:
        return time.monotonic() + clock.ahead.total_seconds()

    assert graph.tokens is not None
    graph.tokens[ACCESS_TOKEN].add(OTHER_PHONE)
    await make_tenant(store, region="ES")
    await make_whatsapp(store)
    await make_site(store)
    await make_tenant(store, "other")
    await make_whatsapp(store, "other", "ch_other", OTHER_PHONE)
    brain = ScriptedBrain()
    async with (
        build(settings, store, clock, brain=brain, embedder=NoEmbedder(), monotonic=monotonic) as gateway,
        working(gateway),
        listening(gateway.app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as http,
    ):
        yield Running(gateway, f"http://127.0.0.1:{port}", http, brain, clock, graph)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the gateway logs, in its own form."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("DEBUG", "text", stream)
    yield stream
    logger.remove()
    root.handlers[:] = handlers
    root.setLevel(level)


async def post(running: Running, text: str, sender: str = SENDER) -> None:
    body = text_webhook(sender, text, f"wamid.{sender}.{text}", int(running.clock().timestamp()))
    assert await running.post_whatsapp(body) == 200


async def ask(running: Running, text: str, sender: str = SENDER) -> None:
    """A customer's message, its turn over."""
    await post(running, text, sender)
    await running.idle()


async def outgoing(running: Running, tenant: str = "acme") -> list[Message]:
    found = []
    for conversation in await running.conversations(tenant):
        page = await running.transcript(conversation.id, tenant)
        found += [m for m in page if m.direction == "out"]
    return sorted(found, key=lambda m: m.seq)


async def standing(running: Running, message: str) -> Message:
    found = await running.store.of("acme").messages.get(message)
    assert found is not None
    return found


def said(running: Running) -> list[str | None]:
    return [m.text for m in running.graph.messages()]


def inbound(text: str, sender: str) -> InboundMessage:
    at = datetime.fromtimestamp(NOW, UTC)
    return InboundMessage(f"{sender}.{text}", Identity("whatsapp", "", sender), sender, at, Text(text))


# One tenant's trouble is not another's ------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["disabled", "unusable"])
async def test_what_can_not_be_done_keeps_nobody_elses_work_from_being_found(
    timed: Running, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """A sweep looks at so many at most. Conversations that only wait must not fill it (here with a smaller number)."""
    monkeypatch.setattr("gateway.work.sweeper.MOST", 10)
    channel = await timed.store.directory.channel("ch_wa")
    if why == "disabled":
        await timed.store.directory.set_channel(channel, state="disabled")
        channel = await timed.store.directory.channel("ch_wa")
    else:
        channel = replace(channel, id="ch_gone")  # as one whose secrets can't be opened: looking it up raises
    senders = [str(34600000000 + n) for n in range(15)]
    await timed.gateway.inbox.put(channel, [inbound(f"echo {n}", s) for s in senders for n in (1, 2)])
    await timed.idle()
    timed.graph.misbehave(Fault.http(500))
    other = await timed.store.directory.channel("ch_other")
    await timed.gateway.inbox.put(other, [inbound("echo retry", OTHER)])
    await timed.idle()
    lost = (await timed.gateway.inbox._put(other, inbound("echo lost hint", SENDER), None)).message
    await timed.store.of("other").messages.put_incoming([lost], timed.clock(), frozenset())
    assert said(timed) == []
    timed.clock.move(seconds=10)
    for _ in range(3):
        await timed.swept()
    assert sorted(str(t) for t in said(timed)) == ["echo lost hint", "echo retry"]


async def test_hanging_sends_of_one_account_leave_room_for_everybody_else(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With small numbers: 4 sends of one account at once, 12 conversations at once, 40 customers."""
    monkeypatch.setattr(deliver, "AT_ONCE", 4)
    monkeypatch.setattr(timed.gateway.work, "_limit", 12)
    hanging: list[str] = []
    go = asyncio.Event()
    whole = WhatsAppAdapter.send

    async def hangs(self: WhatsAppAdapter, channel: Channel, message: Outgoing) -> Sent:
        if channel.id == "ch_wa" and not go.is_set():
            hanging.append(message.id)
            await go.wait()
        return await whole(self, channel, message)

    monkeypatch.setattr(WhatsAppAdapter, "send", hangs)
    senders = [str(34600000000 + n) for n in range(40)]
    for sender in senders[:4]:
        await post(timed, f"echo {sender}", sender)
    await timed.until(lambda: len(hanging) == 4)
    for sender in senders[4:]:
        await post(timed, f"echo {sender}", sender)
    other = await timed.store.directory.channel("ch_other")
    await timed.gateway.inbox.put(other, [inbound("echo other", OTHER)])
    async with Visitor(timed).open() as tab:
        assert (await tab.ask("echo web"))["content"]["text"] == "echo web"
    await timed.until(lambda: said(timed) == ["echo other"])
    assert len(hanging) == 4
    go.set()
    await timed.until(lambda: len(said(timed)) == 5)
    for _ in range(12):
        timed.clock.move(seconds=1)
        await timed.swept()
    assert sorted(str(t) for t in said(timed)) == sorted([*(f"echo {s}" for s in senders), "echo other"])


# Loops that go on ---------------------------------------------------------------------------------------------


async def test_a_loop_goes_on_whatever_one_look_raises(logged: io.StringIO) -> None:
    faults: list[Exception] = [
        KeyError("unexpected"),
        Unavailable("away"),
        ParleyError("ours"),
        ValueError("x"),
    ]
    done = asyncio.Event()

    async def look() -> None:
        if faults:
            raise faults.pop(0)
        done.set()

    loop = asyncio.create_task(again_and_again("sweeper", look, 0.0, asyncio.Event()))
    async with asyncio.timeout(10):
        await done.wait()
    assert not loop.done()
    loop.cancel()
    assert logged.getvalue().count("the sweeper broke; it goes on") == 3
    assert "KeyError" in logged.getvalue()


async def test_sweeper_and_directory_survive_a_fault_they_do_not_know(
    settings: Settings, store: Store, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.bootstrap.EVERY", 0.01)
    monkeypatch.setattr("gateway.bootstrap.POLL", 0.01)
    looks = Counter[str]()
    again = {name: asyncio.Event() for name in ("sweeper", "directory")}

    def looked(name: str) -> None:
        looks[name] += 1
        if looks[name] == 1:
            raise KeyError(name)
        again[name].set()

    async def sweep(_: Sweeper) -> int:
        looked("sweeper")
        return 0

    async def refresh(_: Directory) -> None:
        looked("directory")

    monkeypatch.setattr(Sweeper, "sweep", sweep)
    monkeypatch.setattr(Directory, "refresh", refresh)
    async with (
        build(settings, store, clock, brain=ScriptedBrain(), embedder=NoEmbedder()) as gateway,
        working(gateway),
        asyncio.timeout(10),
    ):
        for event in again.values():
            await event.wait()


# Sends that break ---------------------------------------------------------------------------------------------


async def broken_send(self: WhatsAppAdapter, channel: Channel, message: Outgoing) -> Sent:
    """The provider takes it, and then we stumble."""
    await SEND(self, channel, message)
    raise KeyError("unexpected")


SEND = WhatsAppAdapter.send


async def test_a_send_that_breaks_unexpectedly_is_given_up_after_three_copies(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WhatsAppAdapter, "send", broken_send)
    await ask(timed, "echo odd")
    await timed.swept()
    assert said(timed) == ["echo odd"]  # not again at once
    [message] = await outgoing(timed)
    assert message.failure is not None
    assert (message.status, message.failure.code) == (Status.UNKNOWN, "delivery:broken")
    for _ in range(8):
        timed.clock.move(minutes=2)
        await timed.swept()
        await timed.swept()
    assert said(timed) == ["echo odd"] * 3
    [message] = await outgoing(timed)
    assert (message.status, message.attempts, message.possibly_doubled) == (Status.DEAD, 3, True)
    assert message.failure is not None
    assert message.failure.code == "delivery:unknown"
    assert await dead_ids(timed) == [message.id]
    # And it stands in nobody's way.
    monkeypatch.undo()
    monkeypatch.setattr(WhatsAppAdapter, "mark_read", unmarked)
    await ask(timed, "echo next")
    assert said(timed)[3:] == ["echo next"]


async def test_a_record_that_breaks_after_the_send_ends_the_same_way(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider has it; our note of that fails each time."""

    async def unrecorded(*_: object) -> None:
        raise StoreError("the database refused a call")

    monkeypatch.setattr(Messages, "sent", unrecorded)
    await ask(timed, "echo odd")
    for _ in range(12):
        timed.clock.move(minutes=2)
        await timed.swept()
    assert said(timed) == ["echo odd"] * 3
    [message] = await outgoing(timed)
    assert (message.status, message.attempts) == (Status.DEAD, 3)


async def test_a_provider_that_fails_for_an_hour_costs_no_message_and_no_order(timed: Running) -> None:
    timed.graph.always(Fault.http(500))
    for n in range(3):
        await ask(timed, f"echo {n}")
    await ask(timed, "echo other", OTHER)
    for _ in range(60):
        timed.clock.move(minutes=1)
        await timed.swept()
    assert said(timed) == []
    assert {m.status for m in await outgoing(timed)} == {Status.QUEUED}
    assert len(timed.graph.requests) < 60  # it is asked less and less often
    timed.graph.always(None)
    timed.clock.move(seconds=deliver.LONGEST_PAUSE * 1.25)
    for _ in range(3):
        await timed.swept()
        timed.clock.move(seconds=3)  # one message probes, and the others wait for a moment
    assert [t for t in said(timed) if t != "echo other"] == ["echo 0", "echo 1", "echo 2"]
    assert said(timed).count("echo other") == 1
    assert {m.status for m in await outgoing(timed)} == {Status.SENT}


async def test_it_is_given_up_after_a_day_and_a_person_may_start_it_anew(timed: Running) -> None:
    timed.graph.always(Fault.http(500))
    await ask(timed, "echo old")
    [message] = await outgoing(timed)
    for hour in range(1, 25):
        await ask(timed, f"still there {hour}")  # keeps the service window open
        assert (await standing(timed, message.id)).status is Status.QUEUED
        timed.clock.move(hours=1)
        await timed.swept()
    dead = await standing(timed, message.id)
    assert (dead.status, dead.failure and dead.failure.code) == (Status.DEAD, "whatsapp:http_500")
    assert timed.clock() - message.at >= timedelta(hours=24)
    assert await timed.store.of("acme").dead_letters.retry([dead], timed.clock()) == [dead]
    assert message.id not in await dead_ids(timed)
    assert (await standing(timed, message.id)).attempts == 0
    assert await timed.store.of("acme").dead_letters.retry([dead], timed.clock()) == []
    timed.graph.always(None)
    await ask(timed, "echo new")
    for _ in range(3):
        timed.clock.move(minutes=6)
        await timed.swept()
    assert "echo old" in said(timed)
    assert (await standing(timed, message.id)).status is Status.SENT


async def test_what_is_started_anew_has_all_its_attempts_again(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WhatsAppAdapter, "send", broken_send)
    await ask(timed, "echo odd")
    for _ in range(6):
        timed.clock.move(minutes=2)
        await timed.swept()
    [message] = await outgoing(timed)
    assert message.status is Status.DEAD
    assert await timed.store.of("acme").dead_letters.retry([message], timed.clock())
    for _ in range(8):
        timed.clock.move(minutes=2)
        await timed.swept()
    assert said(timed) == ["echo odd"] * 6
    assert (await standing(timed, message.id)).status is Status.DEAD


async def test_a_code_that_nobody_knows_is_tried_twice(timed: Running) -> None:
    timed.graph.always(Fault.error(987654))
    await ask(timed, "echo odd")
    for _ in range(8):
        timed.clock.move(minutes=6)
        await timed.swept()
    assert len(timed.graph.requests) == 2
    [message] = await outgoing(timed)
    assert (message.status, message.attempts) == (Status.DEAD, 2)
    assert message.failure is not None
    assert message.failure.code == "whatsapp:987654"


# Turns that break ---------------------------------------------------------------------------------------------


async def test_a_turn_that_keeps_breaking_waits_and_in_the_end_the_customer_is_told(timed: Running) -> None:
    timed.brain.fail = [RuntimeError("odd") for _ in range(turn.MOST_FAILURES)]
    await ask(timed, "echo broken")
    for tries in range(1, turn.MOST_FAILURES):
        # Neither the customer's next messages nor any number of sweeps bring the next attempt forward.
        await ask(timed, f"echo {tries}")
        timed.clock.move(seconds=2.0**tries - 1)
        await timed.swept()
        await timed.swept()
        assert timed.brain.asked == ["echo broken"] * tries
        timed.clock.move(seconds=1)
        await timed.swept()
        assert timed.brain.asked[: tries + 1] == ["echo broken"] * (tries + 1)
    await timed.swept()
    assert timed.brain.fail == []
    later = [f"echo {n}" for n in range(1, turn.MOST_FAILURES)]
    assert timed.brain.asked == ["echo broken"] * turn.MOST_FAILURES + later
    assert said(timed) == [broken("en"), *later]
    [conversation] = await timed.conversations()
    first = (await timed.transcript(conversation.id))[0]
    assert (first.status, first.attempts) == (Status.HANDLED, turn.MOST_FAILURES)
    assert first.failure is not None
    assert first.failure.code == "turn:broken"


async def test_a_turn_that_breaks_says_nothing_of_the_message(
    timed: Running, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's errors hold the document that was refused; what becomes of them holds no word of it."""
    secret = "echo my card is 4111-1111"

    async def refused(self: Messages, messages: list[Message], run: str) -> None:
        content = messages[0].content
        assert isinstance(content, Text)
        async with guarded():
            raise bulk_error(content.text)

    monkeypatch.setattr(Messages, "put_outgoing", refused)
    await ask(timed, secret)
    assert "a turn broke (attempt 1)" in logged.getvalue()
    assert "StoreError" in logged.getvalue()
    assert "4111" not in logged.getvalue()
    [conversation] = await timed.conversations()
    [message] = await timed.transcript(conversation.id)
    assert message.failure is not None
    assert "StoreError" in message.failure.text
    assert "4111" not in message.failure.text


def bulk_error(text: str, **more: object) -> BulkWriteError:
    error = {"index": 0, "code": 2, "errmsg": f"bad value in {text}", "op": {"content": {"text": text}}}
    return BulkWriteError({"writeErrors": [error], "writeConcernErrors": [], "nInserted": 0, **more})


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (bulk_error("a secret"), StoreError),
        (bulk_error("a secret", writeConcernErrors=[{"code": 189, "errmsg": "a secret"}]), Unavailable),
        (DuplicateKeyError("a secret", 11000, {"keyValue": {"text": "a secret"}}), StoreError),
        (WriteError("a secret", 2, {"op": {"text": "a secret"}}), StoreError),
        (AutoReconnect("a secret", ["a secret"]), Unavailable),
    ],
)
async def test_an_error_of_the_store_never_holds_a_document(
    error: PyMongoError, becomes: type[ParleyError], logged: io.StringIO
) -> None:
    with pytest.raises(ParleyError) as caught:
        async with guarded():
            raise error
    assert type(caught.value) is becomes
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    logger.opt(exception=caught.value).error("as a log shows it")
    assert becomes.__name__ in logged.getvalue()
    assert "a secret" not in logged.getvalue().split("as a log shows it")[1].split("raise error")[-1]


async def dead_ids(timed: Running) -> list[str]:
    return [m.id for m in (await timed.store.of("acme").dead_letters.page(None, 10)).messages]


# Evidence that comes late -------------------------------------------------------------------------------------


async def test_a_template_that_was_given_up_and_arrived_is_no_dead_letter(timed: Running) -> None:
    await ask(timed, "echo hello")
    await make_template(timed.store, "hello_world", "en_US")
    [conversation] = await timed.conversations()
    messages = timed.store.of("acme").messages
    [hello] = await outgoing(timed)
    template = replace(
        hello, id=stable_id("m", "template"), seq=hello.seq + 1, content=Template("hello_world", "en_US"), author="agent",
        status=Status.QUEUED, turn=None, provider_id=None, attempts=0, due=timed.clock(),
    )  # fmt: skip
    timed.graph.misbehave(Fault("drop"))
    await messages.put_outgoing([template], "test")
    timed.gateway.work.poke(Key("acme", conversation.id))
    await timed.idle()
    assert (await standing(timed, template.id)).status is Status.UNKNOWN
    timed.clock.move(minutes=1)
    await timed.swept()
    assert (await standing(timed, template.id)).status is Status.DEAD
    assert await dead_ids(timed) == [template.id]
    taken = timed.graph.messages()[-1]
    assert taken.message == template.id
    body = statuses_webhook(
        [status(taken.wamid or "", "delivered", NOW, recipient=SENDER, message=template.id)]
    )
    assert await timed.post_whatsapp(body) == 200
    found = await standing(timed, template.id)
    assert (found.status, found.provider_id) == (Status.DELIVERED, taken.wamid)
    assert await dead_ids(timed) == []
    timed.clock.move(minutes=5)
    await timed.swept()
    assert len(timed.graph.messages()) == 2


async def test_what_was_withdrawn_at_a_takeover_and_was_read_is_shown_as_read(timed: Running) -> None:
    timed.graph.misbehave(Fault("drop"))
    await ask(timed, "echo lost")
    [message] = await outgoing(timed)
    assert message.status is Status.UNKNOWN
    await set_owner(timed.store.of("acme"), message.conversation, "agent")
    assert (await standing(timed, message.id)).status is Status.CANCELLED
    [taken] = timed.graph.messages()
    body = statuses_webhook([status(taken.wamid or "", "read", NOW, recipient=SENDER, message=message.id)])
    assert await timed.post_whatsapp(body) == 200
    timed.clock.move(minutes=5)
    await timed.swept()
    assert (await standing(timed, message.id)).status is Status.READ
    assert len(timed.graph.messages()) == 1


async def test_receipts_of_messages_that_are_not_ours_are_given_up(timed: Running) -> None:
    receipt = Receipt("wamid.of-another-system", Status.DELIVERED, timed.clock())
    await timed.store.of("acme").receipts.apply("ch_wa", [receipt], timed.clock())

    async def kept() -> int:
        return len(await timed.store.open_work.unmatched(timed.clock() + timedelta(days=1), 10))

    for tries in range(1, MATCH_TRIES + 1):
        assert await kept() == 1, tries
        timed.clock.move(seconds=2.0**tries + 1)
        await timed.swept()
    assert await kept() == 0


async def test_what_a_widget_acknowledges_before_our_own_record_is_not_lost(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, go = asyncio.Event(), asyncio.Event()
    whole = Messages.sent

    async def late(self: Messages, message: str, provider_id: str, at: datetime) -> None:
        recording.set()
        await go.wait()
        await whole(self, message, provider_id, at)

    monkeypatch.setattr(Messages, "sent", late)
    for frame, expected in (("delivered", Status.DELIVERED), ("seen", Status.READ)):
        recording.clear()
        go.clear()
        async with Visitor(timed).open() as tab:
            answer = await tab.ask("echo fast")
            await recording.wait()
            assert (await standing(timed, answer["id"])).status is Status.SENDING
            await tab.put({"t": frame, "upto": answer["seq"]})
            await tab.put({"t": "ping"})
            await tab.next("pong")
            assert (await standing(timed, answer["id"])).status is expected
            go.set()
            await timed.idle()
            assert (await standing(timed, answer["id"])).status is expected
    timed.clock.move(minutes=5)
    await timed.swept()
    assert await timed.store.open_work.due(timed.clock() + timedelta(days=1), 10) == []


# Channels and sites that are switched off and on ---------------------------------------------------------------


async def test_an_old_refusal_does_not_disable_a_channel_that_was_mended(timed: Running) -> None:
    directory = timed.store.directory
    old = await directory.channel("ch_wa")
    await directory.set_channel(old, secrets={"access_token": ACCESS_TOKEN})
    await directory.disable(old)
    assert (await directory.channel("ch_wa")).state == "active"
    await directory.disable(await directory.channel("ch_wa"))
    assert (await directory.channel("ch_wa")).state == "disabled"


async def test_what_was_held_leaves_as_soon_as_the_channel_is_enabled(timed: Running) -> None:
    """Without waiting for anything's own time: the command says that it is due."""
    timed.graph.misbehave(Fault.error(190, status=401))
    await ask(timed, "echo 1")
    await ask(timed, "echo 2")
    timed.clock.move(seconds=30)
    await timed.swept()
    assert said(timed) == []
    assert (await timed.store.directory.channel("ch_wa")).state == "disabled"
    context = Context(timed.gateway.settings, timed.store, as_json=True)
    await set_state(context, argparse.Namespace(channel="ch_wa", state="active"))
    await timed.swept()
    await timed.swept()
    assert said(timed) == ["echo 1", "echo 2"]


async def test_a_channel_id_of_another_kind_of_thing_does_not_exist(timed: Running) -> None:
    """A tenant's id, whether or not the directory has it in memory, and a channel of another kind."""
    await timed.store.directory.tenant("acme")
    await timed.store.directory.channel("ch_wa")
    body = text_webhook(SENDER, "echo x", "wamid.x", NOW)
    for odd in ("acme", "other", "ch_web", "nothing"):
        assert await timed.post_whatsapp(body, channel=odd) == 404, odd
        async with timed.http.get(f"{timed.url}/webhooks/whatsapp/{odd}?hub.mode=subscribe") as answer:
            assert answer.status == 404, odd
    for odd in ("acme", "other", "ch_wa", "nothing"):
        code, found = await Visitor(timed).post({"site": odd})
        assert (code, found["code"]) == (404, "no_site"), odd


async def test_a_session_whose_body_comes_in_two_segments(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    whole = session._upto

    async def reading(request: web.Request, limit: int) -> bytes:
        begun.set()
        return await whole(request, limit)

    monkeypatch.setattr("gateway.session._upto", reading)
    body = b'{"site": "ch_web"}'
    head = (
        f"POST /widget/session HTTP/1.1\r\nHost: shop\r\nOrigin: {ORIGIN}\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    url = urlsplit(timed.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(head.encode() + body[:9])
        await writer.drain()
        await begun.wait()
        writer.write(body[9:])
        await writer.drain()
        async with asyncio.timeout(10):
            answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"ticket"' in answer


@pytest.mark.parametrize("change", ["disabled", "origin"])
async def test_a_site_that_is_closed_ends_its_sockets_with_their_next_frame(
    timed: Running, change: str
) -> None:
    async with Visitor(timed).open() as tab:
        assert (await tab.ask("echo before"))["content"]["text"] == "echo before"
        site = await timed.store.directory.channel("ch_web")
        if change == "disabled":
            await timed.store.directory.set_channel(site, state="disabled")
        else:
            await timed.store.directory.set_channel(site, settings={"origins": ["https://new.example"]})
        await tab.put({"t": "send", "id": "client-after", "content": {"type": "text", "text": "echo after"}})
        assert await tab.closed() == 4403
    assert timed.brain.asked == ["echo before"]


# The start ----------------------------------------------------------------------------------------------------


async def test_a_start_releases_what_was_under_way_and_not_what_waits(timed: Running) -> None:
    timed.graph.misbehave(Fault("drop"))
    await ask(timed, "echo unknown")
    timed.graph.misbehave(Fault.throttle(retry_after=100))
    await ask(timed, "echo retry", OTHER)
    unknown, retry = await outgoing(timed)
    assert (unknown.status, retry.status) == (Status.UNKNOWN, Status.QUEUED)
    messages, now = timed.store.of("acme").messages, timed.clock()
    sending = replace(
        unknown, id="m_sending", conversation="cv_x", status=Status.QUEUED, due=now, turn=None, attempts=0
    )
    await messages.put_outgoing([sending], "test")
    assert await messages.claim(sending.id, timed.gateway.deliver.lease())
    asked = next(m for m in await timed.transcript(unknown.conversation) if m.direction == "in")
    waiting = replace(asked, id="m_turn", conversation="cv_y", status=Status.RECEIVED)
    assert await messages.put_incoming([waiting], now, frozenset()) == [True]
    await timed.store.open_work.release(now)
    assert await standing(timed, unknown.id) == unknown
    assert await standing(timed, retry.id) == retry
    assert set(await timed.store.open_work.due(now, 10)) == {Key("acme", "cv_x"), Key("acme", "cv_y")}


async def test_answers_of_a_turn_that_did_not_commit_are_not_sent(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were written before it broke; until it is run again they are nobody's answers."""
    save, failing = Conversations.save, [True]

    async def breaking(self: Conversations, conversation: Conversation) -> Conversation | None:
        if failing:
            raise ValueError
        return await save(self, conversation)

    monkeypatch.setattr(Conversations, "save", breaking)
    assert await timed.post_whatsapp(text_webhook(SENDER, "echo a", "wamid.a", NOW)) == 200
    await timed.idle()
    assert await timed.post_whatsapp(text_webhook(SENDER, "echo b", "wamid.b", NOW)) == 200
    await timed.swept()
    assert timed.graph.messages() == []
    failing.clear()
    timed.clock.move(seconds=3)
    await timed.swept()
    await timed.swept()
    assert [m.text for m in timed.graph.messages()] == ["echo a", "echo b"]


async def test_the_customer_is_told_although_the_conversation_changed_meanwhile(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed.brain.fail = [ValueError() for _ in range(turn.MOST_FAILURES)]
    save, overtaken = Conversations.save, [False]
    assert await timed.post_whatsapp(text_webhook(SENDER, "hello", "wamid.h", NOW)) == 200
    await timed.idle()
    for _ in range(turn.MOST_FAILURES - 2):
        timed.clock.move(seconds=60)
        await timed.swept()
    assert timed.graph.messages() == []
    [key] = [Key("acme", c.id) for c in await timed.conversations()]

    async def nudged(self: Conversations, conversation: Conversation) -> Conversation | None:
        if not overtaken[0]:
            overtaken[0] = True
            standing = await self.get(key.conversation)
            assert standing is not None
            await save(self, replace(standing, name="changed by somebody"))
        return await save(self, conversation)

    monkeypatch.setattr(Conversations, "save", nudged)
    timed.clock.move(seconds=60)
    await timed.swept()
    assert [m.text for m in timed.graph.messages()] == [broken("en")]
