"""Two processes over one database, at the same conversation at the same time: every step of one may fall between any
two steps of the other, and the customer still gets each answer once and in order."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from gateway import outbox
from gateway.bootstrap import Gateway, build, open_store, working
from gateway.handoff import set_owner
from gateway.model.answers import Answer, Listener, Question
from gateway.model.content import Text
from gateway.model.errors import SendError
from gateway.model.identity import Identity
from gateway.model.lanes import Rates
from gateway.model.message import Message, Status
from gateway.model.ports import Adapter, InboundMessage, Outgoing, Sent, Setting
from gateway.model.tenant import Channel
from gateway.model.work import Key
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.messages import Messages
from tests.bench.gateway_process import NoEmbedder
from tests.conftest import MovableClock, make_tenant, make_whatsapp

SENDER = "34600111222"


class Brain:
    """Repeats the question. A question with a gate is thought about until the gate opens; `thinking` says it began."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.thinking = asyncio.Event()

    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        self.asked.append(question.text)
        if question.text in self.gates:
            self.thinking.set()
            await self.gates[question.text].wait()
        return Answer(True, f"re: {question.text}", by="test")


class Provider:
    """WhatsApp as one process sees it: takes every message, after `gate` if there is one; `began` says it has one."""

    kind = "whatsapp"
    settings: tuple[Setting, ...] = ()

    def __init__(self, real: Adapter, name: str, taken: list[tuple[str, str, str]]) -> None:
        self.capabilities = replace(real.capabilities, rates=Rates())
        self.began = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.fail: list[Exception] = []
        self._name = name
        self._taken = taken

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        assert isinstance(message.content, Text)
        self._taken.append((self._name, message.conversation, message.content.text))
        self.began.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.fail:
            raise self.fail.pop(0)
        return Sent(f"wamid.{message.id}")

    def rates(self, channel: Channel, address: str) -> Rates:
        return self.capabilities.rates

    async def mark_read(self, channel: Channel, message: Message, address: str, typing: bool) -> None:
        pass


@dataclass
class Process:
    gateway: Gateway
    store: Store
    brain: Brain
    provider: Provider

    async def handle(self, key: Key) -> None:
        await self.gateway.turns.handle(key)

    @property
    def messages(self) -> Messages:
        return self.store.of("acme").messages


@dataclass
class Pair:
    one: Process
    two: Process
    channel: Channel
    clock: MovableClock
    taken: list[tuple[str, str, str]] = field(default_factory=list)
    """What the provider was handed, by whom, in order: process, conversation, text."""

    @property
    def said(self) -> list[str]:
        return [text for _, _, text in self.taken]

    async def put(self, *texts: str, sender: str = SENDER) -> tuple[Key, list[Message]]:
        """A customer's messages, stored; nobody has been told."""
        incoming = [
            InboundMessage(f"{sender}.{t}", Identity("whatsapp", "", sender), sender, self.clock(), Text(t))
            for t in texts
        ]
        stored = [m for m, _ in await self.one.gateway.inbox.put(self.channel, incoming)]
        return Key("acme", stored[0].conversation), stored

    async def shown(self, key: Key) -> list[tuple[str, Status, bool]]:
        """Outgoing messages: text, status, possibly doubled."""
        page = await self.one.messages.before(key.conversation, None, 200)
        return [
            (cast(Text, m.content).text, m.status, m.possibly_doubled)
            for m in page.messages
            if m.direction == "out"
        ]


@pytest.fixture
async def pair(quiet: None, settings: Settings, clock: MovableClock) -> AsyncIterator[Pair]:
    taken: list[tuple[str, str, str]] = []
    async with AsyncExitStack() as stack:
        processes = []
        for name in ("one", "two"):
            store = await stack.enter_async_context(open_store(settings, clock, say=lambda _: None))
            brain = Brain()
            gateway = await stack.enter_async_context(
                build(settings, store, clock, brain=brain, embedder=NoEmbedder())
            )
            adapters = cast(dict[str, Adapter], gateway.channels.adapters)
            provider = Provider(adapters["whatsapp"], name, taken)
            adapters["whatsapp"] = cast(Adapter, provider)
            processes.append(Process(gateway, store, brain, provider))
        await make_tenant(processes[0].store)
        channel = await make_whatsapp(processes[0].store)
        yield Pair(processes[0], processes[1], channel, clock, taken)


def paused_before_finishing(
    monkeypatch: pytest.MonkeyPatch, process: Process
) -> tuple[asyncio.Event, asyncio.Event]:
    """Stop this process between the commit of a turn and the claim of its answer: (it is there, let it go on)."""
    reached, go = asyncio.Event(), asyncio.Event()
    whole, inserts = Messages.finish_turn, process.store._inserts

    async def waiting(self: Messages, *given: Any) -> bool:
        if self._inserts is inserts and not reached.is_set():
            reached.set()
            await go.wait()
        return await whole(self, *given)

    monkeypatch.setattr(Messages, "finish_turn", waiting)
    return reached, go


async def test_a_turn_that_the_other_process_committed_is_not_committed_again(pair: Pair) -> None:
    key, (_, second) = await pair.put("first", "second")
    gate = pair.two.brain.gates["first"] = asyncio.Event()
    slow = asyncio.create_task(pair.two.handle(key))
    await pair.two.brain.thinking.wait()
    await pair.one.handle(key)
    conversations = pair.one.store.of("acme").conversations
    before = await conversations.get(key.conversation)
    gate.set()
    await slow
    after = await conversations.get(key.conversation)
    assert before is not None
    assert after is not None
    assert (before.turn, after.turn, after.rev) == (second.id, second.id, before.rev)
    assert pair.two.brain.asked == ["first"]
    assert pair.taken == [("one", key.conversation, "re: first"), ("one", key.conversation, "re: second")]
    assert await pair.shown(key) == [
        ("re: first", Status.SENT, False),
        ("re: second", Status.SENT, False),
    ]


async def test_no_answer_overtakes_one_that_the_other_process_is_sending(pair: Pair) -> None:
    key, _ = await pair.put("first", "second")
    gate = pair.two.brain.gates["first"] = asyncio.Event()
    pair.one.provider.gate = asyncio.Event()
    slow = asyncio.create_task(pair.two.handle(key))
    await pair.two.brain.thinking.wait()
    sending = asyncio.create_task(pair.one.handle(key))
    await pair.one.provider.began.wait()
    gate.set()
    await slow  # it lost the first turn ...
    await pair.two.handle(key)  # ... and is asked again: it may do the second turn, and not send it
    assert pair.said == ["re: first"]
    pair.one.provider.gate.set()
    await sending
    for _ in range(2):
        pair.clock.move(seconds=61)
        await pair.two.handle(key)
    assert pair.said == ["re: first", "re: second"]
    assert [s for _, s, _ in await pair.shown(key)] == [Status.SENT, Status.SENT]


async def test_what_a_stopped_run_left_is_sent_once_and_not_withdrawn_by_a_late_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run died before its commit and left an answer. Two processes run the turn again; the one that is late finds
    it committed when the answer waits to be claimed, and must leave it alone."""
    key, [asked] = await pair.put("first")
    left = outbox.write(asked, [Text("re: first")], pair.one.gateway.turns._sequencer, pair.clock())
    await pair.one.messages.put_outgoing(left, "a run that died")
    gate = pair.two.brain.gates["first"] = asyncio.Event()
    late = asyncio.create_task(pair.two.handle(key))
    await pair.two.brain.thinking.wait()
    reached, go = paused_before_finishing(monkeypatch, pair.one)
    quick = asyncio.create_task(pair.one.handle(key))
    await reached.wait()
    gate.set()
    await late
    go.set()
    await quick
    await pair.two.handle(key)
    assert pair.said == ["re: first"]
    assert await pair.shown(key) == [("re: first", Status.SENT, False)]


async def test_parts_that_the_rerun_does_not_say_are_not_sent(pair: Pair) -> None:
    """The run that died had said more: what the committed one does not say is withdrawn."""
    key, [asked] = await pair.put("first")
    contents = [Text("an older answer"), Text("and more of it")]
    left = outbox.write(asked, contents, pair.one.gateway.turns._sequencer, pair.clock())
    await pair.one.messages.put_outgoing(left, "a run that died")
    await pair.one.handle(key)
    await pair.two.handle(key)
    assert pair.said == ["re: first"]
    assert await pair.shown(key) == [("re: first", Status.SENT, False)]


async def test_an_answer_is_sent_though_the_other_process_ended_its_turn(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call ends the turn and claims the answer. That the turn was ended already says nothing of the claim."""
    key, [asked] = await pair.put("first")
    reached, go = paused_before_finishing(monkeypatch, pair.one)
    quick = asyncio.create_task(pair.one.handle(key))
    await reached.wait()
    await pair.two.messages.finish_turn(asked.id, None, pair.clock())
    go.set()
    await quick
    assert pair.taken == [("one", key.conversation, "re: first")]
    for _ in range(2):
        pair.clock.move(minutes=5)
        await pair.two.handle(key)
    assert pair.said == ["re: first"]
    assert await pair.shown(key) == [("re: first", Status.SENT, False)]


@pytest.mark.parametrize("why", ["a person owns it", "the channel is disabled"])
async def test_a_refusal_does_not_overwrite_what_the_other_process_is_sending(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    key, _ = await pair.put("first")
    reached, go = paused_before_finishing(monkeypatch, pair.one)
    pair.one.provider.gate = asyncio.Event()
    sending = asyncio.create_task(pair.one.handle(key))
    await reached.wait()
    queued = [m for m in await pair.two.messages.work(key.conversation) if m.direction == "out"]
    assert [m.status for m in queued] == [Status.QUEUED]
    go.set()
    await pair.one.provider.began.wait()
    conversation = await pair.two.store.of("acme").conversations.get(key.conversation)
    assert conversation is not None
    channel = pair.channel
    if why == "a person owns it":
        conversation = replace(conversation, owner="agent")
    else:
        channel = replace(channel, state="disabled")
    # The other process read this message while it was queued, and refuses it now.
    await pair.two.gateway.deliver.run(channel, conversation, queued)
    standing = await pair.two.messages.get(queued[0].id)
    assert standing is not None
    assert (standing.status, standing.failure) == (Status.SENDING, None)
    pair.one.provider.gate.set()
    await sending
    assert pair.said == ["re: first"]
    standing = await pair.two.messages.get(queued[0].id)
    assert standing is not None
    assert (standing.status, standing.failure) == (Status.SENT, None)


@pytest.mark.parametrize("outcome", ["refused", "unknown", "for good"])
async def test_a_late_failure_does_not_touch_what_the_other_process_is_sending(
    pair: Pair, outcome: str
) -> None:
    """The first sender was given up, the message claimed anew; then the first send fails after all."""
    key, _ = await pair.put("first")
    pair.one.provider.gate, pair.two.provider.gate = asyncio.Event(), asyncio.Event()
    pair.one.provider.fail = [
        SendError("test:late", "Late.", outcome != "for good", outcome="unknown")
        if outcome == "unknown"
        else SendError("test:late", "Late.", outcome != "for good")
    ]
    first = asyncio.create_task(pair.one.handle(key))
    await pair.one.provider.began.wait()
    pair.clock.move(minutes=2)  # its lease is over: presumed unknown
    await pair.two.handle(key)
    pair.clock.move(seconds=20)  # and no evidence came
    second = asyncio.create_task(pair.two.handle(key))
    await pair.two.provider.began.wait()
    [claimed] = await pair.two.messages.work(key.conversation)
    assert (claimed.status, claimed.attempts) == (Status.SENDING, 2)
    pair.one.provider.gate.set()
    await first
    assert await pair.two.messages.work(key.conversation) == [claimed]
    pair.two.provider.gate.set()
    await second
    assert await pair.shown(key) == [("re: first", Status.SENT, True)]
    assert pair.said == ["re: first", "re: first"]


async def test_a_takeover_in_the_other_process_between_commit_and_claim_silences_the_answer(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = await pair.put("first")
    reached, go = paused_before_finishing(monkeypatch, pair.one)
    quick = asyncio.create_task(pair.one.handle(key))
    await reached.wait()
    await set_owner(pair.two.store.of("acme"), key.conversation, "agent")
    go.set()
    await quick
    for process in (pair.one, pair.two):
        pair.clock.move(minutes=5)
        await process.handle(key)
    assert pair.said == []
    assert await pair.shown(key) == [("re: first", Status.CANCELLED, False)]
    conversation = await pair.one.store.of("acme").conversations.get(key.conversation)
    assert conversation is not None
    assert conversation.owner == "agent"


async def test_two_processes_at_one_backlog_answer_everything_once_and_in_order(pair: Pair) -> None:
    texts = ("first", "second", "third")
    senders = [str(34600000000 + n) for n in range(50)]
    keys = [(await pair.put("hello", sender=s))[0] for s in senders]
    await asyncio.gather(*(pair.one.handle(k) for k in keys))
    pair.taken.clear()
    for sender in senders:
        await pair.put(*texts, sender=sender)
    answers = [f"re: {t}" for t in texts]
    async with working(pair.one.gateway), working(pair.two.gateway):
        async with asyncio.timeout(60):
            while len(pair.taken) < len(keys) * len(texts):
                pair.clock.move(seconds=61)
                await asyncio.gather(pair.one.gateway.sweeper.sweep(), pair.two.gateway.sweeper.sweep())
                await idle(pair)
    said = defaultdict(list)
    for _, conversation, text in pair.taken:
        said[conversation].append(text)
    assert said == {k.conversation: answers for k in keys}
    for key in keys:
        assert await pair.shown(key) == [(a, Status.SENT, False) for a in ("re: hello", *answers)]
    assert {name for name, _, _ in pair.taken} == {"one", "two"}


async def idle(pair: Pair) -> None:
    await until(lambda: pair.one.gateway.work.idle and pair.two.gateway.work.idle)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)
