"""Pacing: how long a message must wait so that an account and a recipient keep to the provider's rates.

A bucket is a single number: when it would be full again (the GCRA's theoretical arrival time). In memory times are
monotonic; in the database they are the wall clock's, for the next process.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from loguru import logger

from gateway.model.errors import ParleyError
from gateway.model.lanes import Rate, Rates
from gateway.model.message import stable_id
from gateway.model.ports import Clock
from gateway.store.lanes import Lanes, Standing

KEPT = 50_000
SAVES = 1.0
"""Seconds between two writes of what was used."""

RESERVED = 0.5
"""The share of an account's burst that bulk leaves to replies."""

WORTH = 1.0
"""A bucket that is full again within so many seconds is not worth a write: a restart takes longer."""

UNREAD = 1.0
LONGEST = 24 * 3600.0
_EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane as one message asks for it. `room` is how much of the burst the message may use."""

    name: str
    rate: Rate | None
    room: float

    @property
    def quarter(self) -> float:
        """Seconds in which a quarter of the burst comes back."""
        return 0.25 * self.rate.burst / self.rate.per_second if self.rate else 0.0


def lanes_of(channel: str, recipient: str, rates: Rates, bulk: bool = False) -> tuple[Lane, Lane]:
    """The account's lane and the recipient's."""
    room = float(rates.account.burst) if rates.account else 1.0
    return (
        Lane(channel, rates.account, max(1.0, room * (1 - RESERVED)) if bulk else room),
        Lane(lane_name(channel, recipient), rates.recipient, rates.recipient.burst if rates.recipient else 1),
    )


def lane_name(channel: str, recipient: str | None) -> str:
    """A recipient's address is personal data: a lane is kept under a name made from it."""
    return channel if recipient is None else f"{channel}/{stable_id('to', recipient)}"


class LocalPace:
    """Implements `gateway.model.lanes.Pace` for one process. What `rows` kept is read once, before the first answer."""

    def __init__(self, monotonic: Callable[[], float], clock: Clock, rows: Lanes) -> None:
        self._monotonic = monotonic
        self._clock = clock
        self._rows = rows
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._paused: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._unsaved: set[str] = set()
        self._read = False
        self._reading = asyncio.Lock()

    # The port

    async def wait(self, channel: str, recipient: str, rates: Rates, bulk: bool = False) -> float:
        if not await self.recall():
            return UNREAD
        return self.grant(lanes_of(channel, recipient, rates, bulk))

    def held(self, channel: str, recipient: str) -> float:
        until = max(self._paused.get(lane_name(channel, r), 0.0) for r in (None, recipient))
        return max(0.0, until - self._monotonic())

    async def pause(self, channel: str, seconds: float, recipient: str | None = None) -> None:
        now, lane = self._monotonic(), lane_name(channel, recipient)
        self._paused = {name: until for name, until in self._paused.items() if until > now}
        self.learn(lane, paused_in=seconds)
        self._unsaved.add(lane)
        await self._keep([lane])

    async def failed(self, channel: str) -> None:
        pass

    async def worked(self, channel: str) -> None:
        pass

    # In memory

    def left(self, lanes: Iterable[Lane]) -> float:
        """Seconds until one more message may leave; nothing is taken."""
        now, needed = self._monotonic(), 0.0
        for lane in lanes:
            needed = max(needed, self._paused.get(lane.name, 0.0) - now)
            if lane.rate:
                full_in = max(self._full_at.get(lane.name, 0.0) - now, 0.0)
                needed = max(needed, full_in + (1 - lane.room) / lane.rate.per_second)
        return needed if needed > _EXACT else 0.0

    def grant(self, lanes: Iterable[Lane]) -> float:
        """The same, and where it is 0 the place is taken."""
        lanes = tuple(lanes)
        if needed := self.left(lanes):
            return needed
        now = self._monotonic()
        for lane in lanes:
            if lane.rate:
                full_in = max(self._full_at.get(lane.name, 0.0) - now, 0.0)
                self.learn(lane.name, full_in=full_in + 1 / lane.rate.per_second)
                self.used(lane)
        return 0.0

    def used(self, lane: Lane) -> None:
        """A place in it was taken: it may have to be saved."""
        self._used[lane.name] = max(WORTH, lane.quarter)

    def learn(self, lane: str, full_in: float = 0.0, paused_in: float = 0.0) -> None:
        """How a lane stands at least, in seconds from now."""
        now = self._monotonic()
        if full_in > 0:
            self._full_at[lane] = max(self._full_at.get(lane, 0.0), now + min(full_in, LONGEST))
            self._full_at.move_to_end(lane)
            while len(self._full_at) > KEPT:
                self._full_at.popitem(last=False)
        if paused_in > 0:
            self._paused[lane] = max(self._paused.get(lane, 0.0), now + min(paused_in, LONGEST))

    def standing(self) -> list[tuple[str, float, float]]:
        """Every lane that means something: its name, in how many seconds it is full, and for how many it is paused."""
        now = self._monotonic()
        names = dict.fromkeys((*self._paused, *self._full_at))
        found = ((n, self._full_at.get(n, 0.0) - now, self._paused.get(n, 0.0) - now) for n in names)
        return [
            (name, max(0.0, full), max(0.0, paused)) for name, full, paused in found if max(full, paused) > 0
        ]

    # In the database

    async def recall(self, again: bool = False) -> bool:
        """Whether what the database keeps is known; it is read once, or `again`."""
        if self._read and not again:
            return True
        async with self._reading:
            if self._read and not again:
                return True
            now = self._clock()
            try:
                standings = await self._rows.standing(now)
            except ParleyError:
                return False
            for s in standings:
                self.learn(s.lane, (s.full_at - now).total_seconds(), (s.paused_until - now).total_seconds())
            self._read = True
        return True

    async def save(self) -> None:
        """Write what a restart should not forget; called once a second and at the end. Never raises."""
        now, used = self._monotonic(), self._used
        self._used = {}
        worth = {name for name, least in used.items() if self._full_at.get(name, 0.0) - now > least}
        await self._keep([*(worth | self._unsaved)])

    async def _keep(self, lanes: list[str]) -> None:
        now, clock = self._monotonic(), self._clock()

        def at(moment: float) -> datetime:
            return _whole(clock + timedelta(seconds=max(0.0, moment - now)))

        standings = [Standing(n, at(self._full_at.get(n, 0.0)), at(self._paused.get(n, 0.0))) for n in lanes]
        try:
            await self._rows.keep(standings)
        except ParleyError as error:
            logger.warning("how {} lanes stand could not be written: {}", len(lanes), error)
            self._unsaved.update(lanes)
        else:
            self._unsaved.difference_update(lanes)


def _whole(moment: datetime) -> datetime:
    """The next whole millisecond, which is what the database keeps: a wait must not end before its time for it."""
    return moment + timedelta(microseconds=-moment.microsecond % 1000)
