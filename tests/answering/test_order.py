"""The line that says that an answer is coming keeps the order of a conversation, whatever the provider does with it."""

import asyncio

import pytest

from gateway.model.answers import Answer, Listener, Question
from gateway.model.content import Text
from gateway.model.message import Status
from tests.conftest import Running
from tests.core.test_delivery import timed
from tests.core.test_kinds import only, said, sent
from tests.providers.graph import Fault

__all__ = ["timed"]

COMING = "One moment, please: I'm looking that up."


class Slow:
    """Knows everything, once its gate is open."""

    def __init__(self, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = asyncio.Event()
        self.thinking = 0
        self._running = running
        monkeypatch.setattr("gateway.company.HOLDS", 0.01)
        monkeypatch.setattr(running.brain, "answer", self.answer)

    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        self.thinking += 1
        await self.gate.wait()
        return Answer(True, f"About {question.text}", by="test")

    async def asked(self, text: str, number: str) -> None:
        """A question is being thought about."""
        before = self.thinking
        channel = await self._running.store.directory.channel("ch_wa")
        await self._running.gateway.inbox.put(channel, [said(self._running, Text(text), number)])
        await self._running.until(lambda: self.thinking > before)


async def test_an_answer_does_not_overtake_a_line_that_the_provider_put_off(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(timed, monkeypatch)
    timed.graph.misbehave(Fault.throttle(retry_after=30))
    await slow.asked("hours", "1")
    await timed.until(lambda: len(timed.graph.requests) == 1)
    timed.clock.move(seconds=31)  # it may go again by now, and so may the answer
    slow.gate.set()
    await timed.idle()
    for _ in range(3):
        await timed.swept()
        timed.clock.move(seconds=7)
    assert sent(timed) == [COMING, "About hours"]
    _, messages = await only(timed)
    assert [m.status for m in messages[1:]] == [Status.SENT, Status.SENT]


async def test_a_line_does_not_overtake_what_earlier_turns_have_left_to_send(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(timed, monkeypatch)
    slow.gate.set()
    timed.graph.misbehave(Fault.throttle(retry_after=30))
    await slow.asked("one", "1")
    await timed.idle()
    assert sent(timed) == []
    slow.gate.clear()
    timed.clock.move(seconds=31)
    await slow.asked("two", "2")
    await asyncio.sleep(0.1)  # much longer than HOLDS here
    assert COMING not in sent(timed)
    slow.gate.set()
    await timed.idle()
    for _ in range(3):
        await timed.swept()
        timed.clock.move(seconds=7)
    assert [t for t in sent(timed) if t != COMING] == ["About one", "About two"]


async def test_an_answer_waits_for_a_line_that_is_being_sent(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(timed, monkeypatch)
    timed.graph.misbehave(Fault("slow", seconds=0.5))
    await slow.asked("hours", "1")
    async with asyncio.timeout(10):
        while Status.SENDING not in {m.status for m in (await only(timed))[1]}:
            await asyncio.sleep(0.005)
    slow.gate.set()
    await timed.idle()
    await timed.swept()
    assert sent(timed) == [COMING, "About hours"]
    _, messages = await only(timed)
    assert [(m.status, m.possibly_doubled) for m in messages[1:]] == [(Status.SENT, False)] * 2
