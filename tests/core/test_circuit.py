"""The circuit: a provider that keeps failing is asked with one message at growing intervals, and let go at once when it works."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from gateway.model.lanes import Rates
from gateway.work.circuit import FAILURES, PROBE, Circuit

NONE = Rates()


class Inner:
    """A pace that lets everything go, unless `needed` says otherwise."""

    def __init__(self) -> None:
        self.needed = 0.0
        self.paused: list[tuple[str, float, str | None]] = []

    def held(self, channel: str, recipient: str) -> float:
        return 0.0

    async def wait(self, channel: str, recipient: str, rates: Rates, bulk: bool = False) -> float:
        await asyncio.sleep(0)
        return self.needed

    async def pause(self, channel: str, seconds: float, recipient: str | None = None) -> None:
        self.paused.append((channel, seconds, recipient))

    async def failed(self, channel: str) -> None:
        raise AssertionError

    async def worked(self, channel: str) -> None:
        raise AssertionError


class Send:
    """One send as Deliver makes it: one task asks for a place and later reports."""

    def __init__(self, rig: "Rig", recipient: str, channel: str) -> None:
        self.rig, self.recipient, self.channel = rig, recipient, channel
        self.asked: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.result: asyncio.Future[Callable[[], Awaitable[None]] | None] = (
            asyncio.get_running_loop().create_future()
        )
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        self.asked.set_result(await self.rig.circuit.wait(self.channel, self.recipient, NONE))
        if report := await self.result:
            await report()

    async def ends(self, how: Literal["failed", "worked", "paused", "nothing"]) -> None:
        circuit, channel = self.rig.circuit, self.channel
        reports: dict[str, Callable[[], Awaitable[None]] | None] = {
            "failed": lambda: circuit.failed(channel),
            "worked": lambda: circuit.worked(channel),
            "paused": lambda: circuit.pause(channel, 30),
            "nothing": None,
        }
        self.result.set_result(reports[how])
        await self.task


class Rig:
    def __init__(self) -> None:
        self.now = 100.0
        self.inner = Inner()
        self.told: list[tuple[str, str]] = []
        self.circuit = Circuit(
            self.inner, lambda: self.now, lambda: 0.0, lambda channel, what: self.told.append((channel, what))
        )

    async def begin(self, recipient: str = "a", channel: str = "ch") -> tuple[Send, float]:
        send = Send(self, recipient, channel)
        return send, await send.asked

    async def go(self, how: Literal["failed", "worked", "paused", "nothing"], recipient: str = "a") -> float:
        send, wait = await self.begin(recipient)
        await send.ends("nothing" if wait else how)
        return wait

    async def close(self) -> None:
        for n in range(FAILURES):
            assert await self.go("failed", f"{n % 2}") == 0


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_few_failures_in_a_row_close_it_for_growing_times(rig: Rig) -> None:
    await rig.close()
    assert rig.told == [("ch", "closed")]
    waits = []
    for _ in range(9):
        waits.append(await rig.go("failed"))
        rig.now += waits[-1]
        assert await rig.go("failed") == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    other, wait = await rig.begin("a", "another")
    assert wait == 0
    await other.ends("worked")
    rig.now += 60
    assert await rig.go("worked") == 0
    assert [await rig.go("worked", f"{n}") for n in range(20)] == [0] * 20
    assert rig.told == [("ch", "closed"), ("ch", "opened")]
    # It begins anew.
    await rig.close()
    assert await rig.go("failed") == 1


async def test_failures_with_successes_between_them_do_not_close_it(rig: Rig) -> None:
    for _ in range(10):
        for n in range(FAILURES - 1):
            assert await rig.go("failed", f"{n}") == 0
        assert await rig.go("worked") == 0
    assert rig.told == []


async def test_one_recipient_s_message_that_fails_holds_up_nobody(rig: Rig) -> None:
    for _ in range(3 * FAILURES):
        assert await rig.go("failed", "the same") == 0
    assert await rig.go("worked", "somebody") == 0


async def test_exactly_one_message_probes(rig: Rig) -> None:
    await rig.close()
    rig.now += 1
    sends = await asyncio.gather(*(rig.begin(f"{n}") for n in range(50)))
    assert [wait for _, wait in sends].count(0) == 1
    assert all(0 < wait <= 2 for _, wait in sends if wait)
    [probe] = [send for send, wait in sends if not wait]
    for send, wait in sends:
        if wait:
            await send.ends("nothing")
    await probe.ends("worked")
    assert await rig.go("worked") == 0


async def test_a_probe_that_comes_to_nothing_is_followed_by_another(rig: Rig) -> None:
    await rig.close()
    rig.now += 1
    assert await rig.go("nothing") == 0  # its claim was lost
    rig.inner.needed = 5.0
    assert await rig.go("nothing") == 5  # its lane has no room
    rig.inner.needed = 0.0
    hanging, wait = await rig.begin()
    assert wait == 0
    assert await rig.go("worked") > 0
    rig.now += PROBE + 1
    assert await rig.go("worked") == 0
    await hanging.ends("failed")
    assert await rig.go("worked") == 0
    assert rig.told[-1] == ("ch", "opened")


@pytest.mark.parametrize("late", ["failed", "worked"])
async def test_late_results_of_before_change_nothing(rig: Rig, late: Literal["failed", "worked"]) -> None:
    before = [await rig.begin(f"{n}") for n in range(3 * FAILURES)]
    await rig.close()
    for send, _ in before[:FAILURES]:
        await send.ends(late)
    assert await rig.go("nothing") == 1
    rig.now += 1
    probe, wait = await rig.begin()
    assert wait == 0
    for send, _ in before[FAILURES : 2 * FAILURES]:
        await send.ends(late)
    assert await rig.go("nothing") > 0
    await probe.ends("worked")
    for send, _ in before[2 * FAILURES :]:
        await send.ends(late)
    assert await rig.go("worked") == 0
    assert rig.told == [("ch", "closed"), ("ch", "opened")]


async def test_a_provider_that_says_how_long_to_wait_is_there(rig: Rig) -> None:
    await rig.close()
    rig.now += 1
    assert await rig.go("paused") == 0
    assert rig.inner.paused == [("ch", 30, None)]
    assert rig.told[-1] == ("ch", "opened")
