"""The edge out when the provider misbehaves: nothing is lost, nothing is early, nothing overtakes, nothing is hidden."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from channels.whatsapp.adapter import WhatsAppAdapter
from gateway.bootstrap import build, listening, working
from gateway.deliver import MOST_AGE
from gateway.model.content import Template
from gateway.model.errors import SendError
from gateway.model.message import Message, Status, outgoing_id
from gateway.model.work import Key
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.messages import Messages
from tests.conftest import (
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
NOW = int(time.time())


@pytest.fixture
async def timed(
    quiet: None,
    settings: Settings,
    store: Store,
    clock: MovableClock,
    graph: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Running]:
    """Like `running`, with pacing by the moved clock too, no sweep but the test's own, and no read marks: the
    provider's faults are for the answers."""

    async def unmarked(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(WhatsAppAdapter, "mark_read", unmarked)

    def monotonic() -> float:
        return time.monotonic() + clock.ahead.total_seconds()

    await make_tenant(store, region="ES")
    await make_whatsapp(store)
    await make_site(store)
    brain = ScriptedBrain()
    async with (
        build(settings, store, clock, brain=brain, monotonic=monotonic) as gateway,
        working(gateway),
        listening(gateway.app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as http,
    ):
        yield Running(gateway, f"http://127.0.0.1:{port}", http, brain, clock, graph)


async def ask(running: Running, text: str, sender: str = SENDER) -> None:
    """A customer's message, its turn over."""
    before = len(running.brain.asked)
    assert await running.post_whatsapp(text_webhook(sender, text, f"wamid.{sender}.{text}", NOW)) == 200
    await running.until(lambda: len(running.brain.asked) > before)
    await running.idle()


async def outgoing(running: Running) -> list[Message]:
    found = []
    for conversation in await running.conversations():
        found += [m for m in await running.transcript(conversation.id) if m.direction == "out"]
    return sorted(found, key=lambda m: m.seq)


def said(running: Running) -> list[str | None]:
    return [m.text for m in running.graph.messages()]


async def test_nothing_is_sent_before_the_provider_allows_it_again(timed: Running) -> None:
    timed.graph.misbehave(Fault.throttle(retry_after=30))
    await ask(timed, "echo 1")
    await ask(timed, "echo 2")
    # The pause is the account's: another customer's answer waits as well.
    await ask(timed, "echo other", OTHER)
    assert len(timed.graph.requests) == 1
    for _ in range(5):
        timed.clock.move(seconds=5)
        await timed.swept()
        assert len(timed.graph.requests) == 1
    timed.clock.move(seconds=20)
    await timed.swept()
    await timed.swept()
    assert sorted(str(t) for t in said(timed)) == ["echo 1", "echo 2", "echo other"]
    assert [t for t in said(timed) if t != "echo other"] == ["echo 1", "echo 2"]
    assert {m.status for m in await outgoing(timed)} == {Status.SENT}


async def test_while_the_provider_fails_order_is_kept_and_nothing_is_lost(timed: Running) -> None:
    timed.graph.misbehave(Fault.http(500), 3)
    for n in range(4):
        await ask(timed, f"echo {n}")
    assert said(timed) == []
    for _ in range(6):
        timed.clock.move(seconds=10)
        await timed.swept()
    assert said(timed) == [f"echo {n}" for n in range(4)]
    assert [m.attempts for m in await outgoing(timed)] == [4, 1, 1, 1]


async def test_an_hour_of_faults_loses_nothing(timed: Running) -> None:
    timed.graph.always(Fault.http(500))
    for n in range(3):
        await ask(timed, f"echo {n}")
    for _ in range(30):
        timed.clock.move(minutes=2)
        await timed.swept()
    timed.graph.always(None)
    for _ in range(6):
        timed.clock.move(minutes=10)
        await timed.swept()
    assert said(timed) == [f"echo {n}" for n in range(3)]


async def test_what_was_given_up_is_shown_and_can_be_sent_again(timed: Running) -> None:
    timed.graph.always(Fault.http(503))
    await ask(timed, "echo dead")
    # A customer who goes on writing keeps the service window open all the while.
    for n in range(30):
        timed.clock.move(hours=1)
        at = int(timed.clock().timestamp())
        assert await timed.post_whatsapp(text_webhook(SENDER, f"unanswered {n}", f"wamid.u{n}", at)) == 200
        await timed.swept()
        if (await outgoing(timed))[0].status is Status.DEAD:
            break
    dead = (await outgoing(timed))[0]
    assert dead.status is Status.DEAD
    assert timed.clock() - dead.at >= MOST_AGE
    assert dead.failure is not None
    assert dead.failure.code == "whatsapp:http_503"
    timed.graph.always(None)
    _, key = await timed.store.access.create_key("acme", "test", timed.clock())
    url, headers = f"{timed.url}/api/v1/dead-letters", {"Authorization": f"Bearer {key}"}
    async with timed.http.get(url, headers=headers) as answer:
        [shown] = (await answer.json())["items"]
    assert (shown["id"], shown["status"]) == (dead.id, "dead")
    assert shown["failure"]["code"] == "whatsapp:http_503"
    # Within the service window it goes; the window itself is asked about again (see below).
    await ask(timed, "echo after")
    async with timed.http.post(f"{url}/{dead.id}/retry", headers=headers) as answer:
        assert answer.status == 200
        assert (await answer.json())["possibly_doubled"] is False  # it was certainly not taken
    await timed.until(lambda: "echo dead" in said(timed))
    await timed.idle()
    async with timed.http.post(f"{url}/{dead.id}/retry", headers=headers) as answer:
        assert answer.status == 409
    async with timed.http.get(url, headers=headers) as answer:
        assert (await answer.json())["items"] == []


async def test_an_unknown_outcome_is_resolved_by_the_providers_own_receipt(timed: Running) -> None:
    timed.graph.misbehave(Fault("drop"))
    await ask(timed, "echo dropped")
    [unknown] = await outgoing(timed)
    assert unknown.status is Status.UNKNOWN
    [taken] = timed.graph.messages()
    body = statuses_webhook(
        [status(taken.wamid or "", "delivered", NOW, recipient=SENDER, message=taken.message)]
    )
    assert await timed.post_whatsapp(body) == 200
    for _ in range(3):
        timed.clock.move(minutes=2)
        await timed.swept()
    [found] = await outgoing(timed)
    assert (found.status, found.provider_id, found.possibly_doubled) == (Status.DELIVERED, taken.wamid, False)
    assert len(timed.graph.messages()) == 1


@pytest.mark.parametrize("kind", ["drop", "garbage", "no_id"])
async def test_without_evidence_a_reply_is_sent_again_and_marked(timed: Running, kind: str) -> None:
    timed.graph.misbehave(Fault(kind))  # type: ignore[arg-type]
    await ask(timed, "echo dropped")
    await ask(timed, "echo next")
    assert said(timed) == ["echo dropped"]  # nothing overtakes what is not known
    timed.clock.move(seconds=5)
    await timed.swept()
    assert said(timed) == ["echo dropped"]
    timed.clock.move(seconds=10)
    await timed.swept()
    await timed.swept()
    assert said(timed) == ["echo dropped", "echo dropped", "echo next"]
    first, second = await outgoing(timed)
    assert (first.status, first.possibly_doubled) == (Status.SENT, True)
    assert (second.status, second.possibly_doubled) == (Status.SENT, False)


TEMPLATE = outgoing_id("campaign", 0)


async def test_a_template_whose_outcome_is_unknown_is_never_sent_again(timed: Running) -> None:
    await ask(timed, "echo hello")
    await make_template(timed.store, "hello_world", "en_US")
    [conversation] = await timed.conversations()
    now = timed.clock()
    template = Message(
        id=TEMPLATE, tenant="acme", channel="ch_wa", conversation=conversation.id, direction="out",
        author="bot", seq=int(now.timestamp() * 1e6), at=now, content=Template("hello_world", "en_US"),
        status=Status.QUEUED, due=now,
    )  # fmt: skip
    timed.graph.misbehave(Fault("drop"))
    await timed.store.of("acme").messages.put_outgoing([template], "test")
    timed.gateway.work.poke(Key("acme", conversation.id))
    await timed.idle()
    assert len(timed.graph.messages()) == 2
    for _ in range(4):
        timed.clock.move(minutes=10)
        await timed.swept()
    assert len(timed.graph.messages()) == 2
    found = await timed.store.of("acme").messages.get(TEMPLATE)
    assert found is not None
    assert found.status is Status.DEAD
    assert found.failure is not None
    assert found.failure.code == "delivery:unknown"


async def test_free_text_is_not_sent_once_the_window_has_closed(timed: Running) -> None:
    timed.graph.misbehave(Fault.http(500))
    await ask(timed, "echo late")
    timed.clock.move(hours=24, seconds=1)
    await timed.swept()
    [found] = await outgoing(timed)
    assert found.status is Status.HELD
    assert found.failure is not None
    assert found.failure.code == "permission:window_closed"
    assert said(timed) == []


async def test_within_the_window_it_still_goes(timed: Running) -> None:
    timed.graph.misbehave(Fault.http(500))
    await ask(timed, "echo in time")
    timed.clock.move(hours=23)
    await timed.swept()
    assert said(timed) == ["echo in time"]


async def test_a_refused_token_disables_the_channel_and_what_waits_is_sent_once_it_is_enabled(
    timed: Running,
) -> None:
    timed.graph.misbehave(Fault.error(190, status=401))
    await ask(timed, "echo 1")
    assert (await timed.store.directory.channel("ch_wa")).state == "disabled"
    await ask(timed, "echo 2")
    requests = len(timed.graph.requests)
    timed.clock.move(minutes=20)
    await timed.swept()
    assert len(timed.graph.requests) == requests  # a disabled channel asks the provider nothing
    assert {m.status for m in await outgoing(timed)} == {Status.QUEUED}
    channel = await timed.store.directory.channel("ch_wa")
    await timed.store.directory.set_channel(channel, state="active")
    for _ in range(3):
        timed.clock.move(minutes=6)
        await timed.swept()
    assert said(timed) == ["echo 1", "echo 2"]


async def test_a_refusal_for_good_fails_and_lets_the_next_one_pass(timed: Running) -> None:
    timed.graph.misbehave(Fault.error(131026))
    await ask(timed, "echo 1")
    await ask(timed, "echo 2")
    first, second = await outgoing(timed)
    assert (first.status, second.status) == (Status.FAILED, Status.SENT)
    assert first.failure is not None
    assert first.failure.code == "whatsapp:131026"
    assert said(timed) == ["echo 2"]


async def test_one_customers_trouble_is_not_anothers(timed: Running) -> None:
    timed.graph.misbehave(Fault.http(500))
    await ask(timed, "echo stuck")
    await ask(timed, "echo fine", OTHER)
    assert said(timed) == ["echo fine"]
    async with Visitor(timed).open() as tab:
        assert (await tab.ask("echo web"))["content"]["text"] == "echo web"


async def test_a_provider_that_hangs_holds_up_nobody_else(timed: Running) -> None:
    timed.graph.misbehave(Fault("slow", seconds=3600))
    assert await timed.post_whatsapp(text_webhook(SENDER, "echo hangs", "wamid.hangs", NOW)) == 200
    await timed.until(lambda: timed.brain.asked == ["echo hangs"])
    async with Visitor(timed).open() as tab:
        assert (await tab.ask("echo web"))["content"]["text"] == "echo web"
    assert said(timed) == []
    timed.graph._stopping.set()
    await timed.until(lambda: said(timed) == ["echo hangs"])


async def test_a_recipient_gets_no_more_than_the_provider_allows(timed: Running) -> None:
    rate = timed.gateway.channels.adapters["whatsapp"].capabilities.rates.recipient
    assert rate is not None
    burst, began = rate.burst, timed.clock()

    def allowed() -> int:
        """By the lane's own arithmetic: a busy machine takes its time, too."""
        return burst + int((timed.clock() - began).total_seconds() * rate.per_second)

    for n in range(burst + 3):
        assert await timed.post_whatsapp(text_webhook(SENDER, f"echo {n}", f"wamid.{n}", NOW)) == 200
    await timed.until(lambda: len(timed.brain.asked) == burst + 3, seconds=30)
    # What found the account's lane full for a moment follows at the next look.
    async with asyncio.timeout(30):
        while len(said(timed)) < burst:
            await timed.swept()
            await asyncio.sleep(0.05)
    assert len(said(timed)) <= allowed()
    timed.clock.move(seconds=7)
    await timed.swept()
    assert burst < len(said(timed)) <= allowed()
    for _ in range(4):
        timed.clock.move(seconds=7)
        await timed.swept()
    assert said(timed) == [f"echo {n}" for n in range(burst + 3)]


async def test_a_receipt_after_giving_up_shows_that_it_was_delivered(timed: Running) -> None:
    """Invariant 4: the provider's own evidence counts first, also after we stopped trying."""
    await test_a_template_whose_outcome_is_unknown_is_never_sent_again(timed)
    taken = timed.graph.messages()[-1]
    body = statuses_webhook([status(taken.wamid or "", "delivered", NOW, recipient=SENDER, message=TEMPLATE)])
    assert await timed.post_whatsapp(body) == 200
    found = await timed.store.of("acme").messages.get(TEMPLATE)
    assert found is not None
    assert found.status is Status.DELIVERED
    assert (await timed.store.of("acme").dead_letters.page(None, 10)).messages == ()


async def test_a_refused_read_mark_pauses_the_lane(quiet: None, timed: Running) -> None:
    """The provider counts every call: what it says about one holds for the next."""
    await ask(timed, "echo one")
    [conversation] = await timed.conversations()
    channel = await timed.store.directory.channel("ch_wa")
    slow = SendError("whatsapp:130429", "Too fast.", retryable=True, wait=30, scope="channel")
    await timed.gateway.deliver.refused(channel, conversation, slow)
    await ask(timed, "echo two")
    assert said(timed) == ["echo one"]


async def test_a_lane_that_is_paused_while_a_message_is_claimed_is_heeded(
    quiet: None, timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 13: the claim may take long; what the provider says meanwhile, to another send, counts."""
    whole = Messages.finish_turn

    async def slow(messages: Messages, *given: Any) -> bool:
        claimed = await whole(messages, *given)
        await timed.gateway.deliver._pace.pause("ch_wa", 30)
        return claimed

    monkeypatch.setattr(Messages, "finish_turn", slow)
    await ask(timed, "echo held")
    monkeypatch.undo()
    assert said(timed) == []
    [held] = await outgoing(timed)
    assert (held.status, held.attempts) == (Status.QUEUED, 0)
    timed.clock.move(seconds=29)
    await timed.swept()
    assert said(timed) == []
    timed.clock.move(seconds=2)
    await timed.swept()
    assert said(timed) == ["echo held"]
