"""The circuit: a provider that keeps failing is left alone for a while, then asked with a single message.

Each process has its own. A result is matched with its send by the task that asked for the place and then reports: what was
begun before the lane last changed says nothing of how it stands now.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

from gateway.model.lanes import Pace, Rates

FAILURES: Final = 5
"""So many in a row close the lane, if more than one recipient met them: one message that a provider trips over must not
hold up everybody else."""

FIRST, LONGEST = 1.0, 60.0
PROBING: Final = 1.0
"""How long the others wait at least while one message probes."""

PROBE: Final = 60.0
"""Seconds after which a probe without a result is given up, and another may go."""

Task = asyncio.Task[Any]
Told = Callable[[str, Literal["closed", "opened"]], None]


@dataclass(slots=True)
class _Lane:
    recipients: set[str] = field(default_factory=set)
    failures: int = 0
    closed: int = 0
    """How often in a row it was closed; 0: it is open."""
    until: float = 0.0
    changed: int = 0
    """When it was last closed or opened, as a step."""
    probe: Task | None = None
    probe_since: float = 0.0


@dataclass(frozen=True, slots=True)
class _Begun:
    channel: str
    recipient: str
    step: int


class Circuit:
    """Implements `gateway.model.lanes.Pace` around another. `told` hears of each lane that closes or opens."""

    def __init__(
        self, pace: Pace, monotonic: Callable[[], float], random: Callable[[], float], told: Told
    ) -> None:
        self._pace = pace
        self._monotonic = monotonic
        self._random = random
        self._told = told
        self._lanes: dict[str, _Lane] = {}
        """Those that have failed since they last worked."""
        self._begun: WeakKeyDictionary[Task, _Begun] = WeakKeyDictionary()
        self._steps = 0
        """Beginnings of sends and changes of lanes, counted: the order of both."""

    async def wait(self, channel: str, recipient: str, rates: Rates, bulk: bool = False) -> float:
        task, lane = asyncio.current_task(), self._lanes.get(channel)
        assert task is not None
        if lane is not None and lane.closed:
            if needed := self._shut(lane, task):
                return needed
            lane.probe, lane.probe_since = task, self._monotonic()
        step, needed = self._step(), 1.0
        try:
            needed = await self._pace.wait(channel, recipient, rates, bulk)
        finally:
            if needed and lane is not None and lane.probe is task:
                lane.probe = None
        if not needed:
            self._begun[task] = _Begun(channel, recipient, step)
        return needed

    def held(self, channel: str, recipient: str) -> float:
        return self._pace.held(channel, recipient)

    async def pause(self, channel: str, seconds: float, recipient: str | None = None) -> None:
        lane, begun = self._lanes.get(channel), self._result(channel)
        if lane is not None and lane.closed and begun is not None and begun.step > lane.changed:
            self._open(channel)  # it is there, and says itself how long to wait
        await self._pace.pause(channel, seconds, recipient)

    async def failed(self, channel: str) -> None:
        begun = self._result(channel)
        if begun is None:
            return
        lane = self._lanes.setdefault(channel, _Lane())
        if begun.step < lane.changed:
            return
        lane.failures += 1
        lane.recipients.add(begun.recipient)
        if lane.closed or (lane.failures >= FAILURES and len(lane.recipients) > 1):
            self._close(channel, lane)

    async def worked(self, channel: str) -> None:
        begun, lane = self._result(channel), self._lanes.get(channel)
        if lane is None or begun is None or begun.step < lane.changed:
            return
        if lane.closed:
            self._open(channel)
        else:
            lane.failures = 0
            lane.recipients.clear()

    def _result(self, channel: str) -> _Begun | None:
        """The send that this task has a result of."""
        task = asyncio.current_task()
        begun = self._begun.pop(task, None) if task is not None else None
        return begun if begun is not None and begun.channel == channel else None

    def _step(self) -> int:
        self._steps += 1
        return self._steps

    def _shut(self, lane: _Lane, task: Task) -> float:
        """Seconds that a message waits at a closed lane; 0: it is the probe."""
        now = self._monotonic()
        if lane.until > now:
            return lane.until - now
        lost = lane.probe is None or lane.probe is task or lane.probe.done()
        if lost or now - lane.probe_since > PROBE:
            return 0.0
        return PROBING * (1 + self._random())

    def _close(self, channel: str, lane: _Lane) -> None:
        first = not lane.closed
        pause = min(LONGEST, FIRST * 2.0**lane.closed)
        lane.closed = min(lane.closed + 1, 16)
        lane.changed = self._step()
        lane.until = self._monotonic() + pause * (1 + 0.25 * self._random())
        lane.probe = None
        if first:
            self._told(channel, "closed")

    def _open(self, channel: str) -> None:
        self._lanes[channel] = _Lane(changed=self._step())
        self._told(channel, "opened")
