"""Several quick messages of one person are answered once, after the channel's quiet time, whatever crashes in between."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway import bursts
from gateway.model.content import Command, Content, Location, Text
from gateway.model.conversation import Conversation, Pending
from gateway.model.message import Message, Status
from gateway.model.work import Key
from gateway.store import Store
from gateway.store.conversations import Conversations
from gateway.store.messages import Messages
from leads.state import LeadState
from tests.conftest import Running
from tests.core.test_kinds import hear, only, said, sent
from tests.core.test_two_processes import Pair, pair

__all__ = ["pair"]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
QUIET = timedelta(seconds=5)


@pytest.fixture
async def merging(quiet: None, running: Running) -> Running:
    await set_quiet(running.store, "ch_wa", 5)
    return running


async def set_quiet(store: Store, channel: str, seconds: float) -> None:
    found = await store.directory.channel(channel)
    await store.directory.set_channel(found, settings={"config.quiet_seconds": seconds})


def waiting(number: int, content: Content | None = None, due: float = 5, **more: Any) -> Message:
    return Message(
        f"m{number}", "acme", "ch", "cv", "in", "customer", number, NOW, content or Text(f"t{number}"),
        Status.RECEIVED, due=NOW + timedelta(seconds=due), **more,
    )  # fmt: skip


def talk(**more: Any) -> Conversation:
    return Conversation("cv", "acme", "ch", "ct", "1", NOW, **more)


def first(*messages: Message, conversation: Conversation | None = None, after: float = 0) -> bursts.Burst:
    return bursts.first(messages, conversation, QUIET, NOW + timedelta(seconds=after))


async def test_quick_messages_are_answered_together(merging: Running) -> None:
    await hear(merging, said(merging, Text("echo one"), "1"))
    merging.clock.move(seconds=2)
    await hear(merging, said(merging, Text("two"), "2"))
    await hear(merging, said(merging, Text("three"), "3"))
    merging.clock.move(seconds=4)  # the first is due, the last is not
    await merging.swept()
    assert sent(merging) == []
    merging.clock.move(seconds=2)
    await merging.swept()
    assert sent(merging) == ["echo one\ntwo\nthree"]
    assert merging.brain.asked == ["echo one\ntwo\nthree"]
    merging.clock.move(seconds=60)
    await merging.swept()
    _, transcript = await only(merging)
    assert [m.status for m in transcript if m.direction == "in"] == [Status.HANDLED] * 3
    assert len(sent(merging)) == 1


async def test_without_a_quiet_time_each_is_answered(running: Running) -> None:
    await hear(running, said(running, Text("echo one"), "1"), said(running, Text("echo two"), "2"))
    assert sent(running) == ["echo one", "echo two"]


async def test_a_burst_answers_itself_when_it_is_over(running: Running) -> None:
    """No sweep, no moved clock: the process wakes itself."""
    await set_quiet(running.store, "ch_wa", 0.3)
    await hear(running, said(running, Text("echo one"), "1"))
    await hear(running, said(running, Text("two"), "2"))
    await running.until(lambda: sent(running) == ["echo one\ntwo"])


async def test_what_has_an_effect_of_its_own_ends_a_burst_at_once(merging: Running) -> None:
    await hear(merging, said(merging, Text("echo one"), "1"))
    await hear(merging, said(merging, Text("two"), "2"))
    assert sent(merging) == []
    await hear(merging, said(merging, Command("stop"), "3"))
    assert sent(merging)[0] == "echo one\ntwo"
    conversation, _ = await only(merging)
    assert conversation.stopped


async def test_whoever_goes_on_writing_is_answered_all_the_same(merging: Running) -> None:
    for number in range(4):
        await hear(merging, said(merging, Text(f"echo {number}"), str(number)))
        merging.clock.move(seconds=4)
    await merging.swept()
    assert sent(merging) == ["echo 0\necho 1\necho 2\necho 3"]


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_stop_around_the_commit_answers_each_message_once(
    merging: Running, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The process stops with the burst's answer written, or committed and the burst not ended; then more is said."""
    owner: type = Conversations if where == "before" else Messages
    name = "save" if where == "before" else "finish_turn"
    whole = getattr(owner, name)

    class Stopped(BaseException):
        pass

    async def stops(*_: Any, **__: Any) -> Any:
        raise Stopped

    await hear(merging, said(merging, Text("echo one"), "1"))
    [(message, _)] = await hear(merging, said(merging, Text("two"), "2"))
    merging.clock.move(seconds=6)
    monkeypatch.setattr(owner, name, stops)
    with pytest.raises(Stopped):
        await merging.gateway.turns.handle(Key("acme", message.conversation))
    monkeypatch.setattr(owner, name, whole)
    await hear(merging, said(merging, Text("echo three"), "3"))
    merging.clock.move(minutes=2)
    await merging.swept()
    if where == "before":
        assert sent(merging) == ["echo one\ntwo\necho three"]
    else:
        assert sent(merging) == ["echo one\ntwo", "echo three"]
    _, transcript = await only(merging)
    assert {m.status for m in transcript if m.direction == "in"} == {Status.HANDLED}
    assert len([m for m in transcript if m.direction == "out"]) == len(sent(merging))


async def test_two_processes_that_see_different_bursts_answer_each_message_once(pair: Pair) -> None:
    await set_quiet(pair.one.store, "ch_wa", 5)
    await pair.two.store.directory.refresh()
    channel = await pair.one.store.directory.channel("ch_wa")
    pair.channel = channel
    key, _ = await pair.put("one", "two")
    pair.clock.move(seconds=6)
    gate = pair.one.brain.gates["one\ntwo"] = asyncio.Event()
    late = asyncio.create_task(pair.one.handle(key))
    await pair.one.brain.thinking.wait()
    await pair.put("three")
    pair.clock.move(seconds=6)
    await pair.two.handle(key)
    gate.set()
    await late
    for process in (pair.one, pair.two):
        pair.clock.move(minutes=2)
        await process.handle(key)
    assert pair.said == ["re: one\ntwo\nthree"]


async def test_a_broken_turn_of_a_burst_is_tried_message_by_message(merging: Running) -> None:
    merging.brain.fail = [RuntimeError("broken")]
    await hear(merging, said(merging, Text("echo one"), "1"))
    await hear(merging, said(merging, Text("echo two"), "2"))
    for _ in range(4):
        merging.clock.move(seconds=10)
        await merging.swept()
    assert sent(merging) == ["echo one", "echo two"]


@pytest.mark.parametrize(
    ("messages", "conversation", "after", "ids", "until"),
    [
        ((waiting(1),), None, 0, ("m1",), 5),
        ((waiting(1),), None, 5, ("m1",), None),
        ((waiting(1, due=5), waiting(2, due=7)), None, 6, ("m1", "m2"), 7),
        ((waiting(1, due=5), waiting(2, due=40)), None, 14, ("m1", "m2"), 15),
        ((waiting(1, due=5), waiting(2, due=40)), None, 15, ("m1", "m2"), None),
        ((waiting(1), waiting(2, Location(1, 2)), waiting(3)), None, 0, ("m1",), None),
        ((waiting(1, Command("help")), waiting(2)), None, 0, ("m1",), None),
        ((waiting(1), waiting(2, attempts=1)), None, 0, ("m1",), None),
        ((waiting(1, attempts=1), waiting(2)), None, 0, ("m1",), None),
        ((waiting(1), waiting(2)), talk(pending=Pending("m0", (("a", "A"),))), 0, ("m1",), None),
        ((waiting(1), waiting(2)), talk(lead=LeadState("asking", "phone").to_doc()), 0, ("m1",), None),
        ((waiting(1), waiting(2)), talk(lead=LeadState("done").to_doc()), 9, ("m1", "m2"), None),
        (tuple(waiting(n) for n in range(30)), None, 0, tuple(f"m{n}" for n in range(20)), None),
    ],
)
def test_what_is_merged(
    messages: tuple[Message, ...],
    conversation: Conversation | None,
    after: float,
    ids: tuple[str, ...],
    until: float | None,
) -> None:
    found = first(*messages, conversation=conversation, after=after)
    assert found.ids == ids
    assert found.until == (None if until is None else NOW + timedelta(seconds=until))
