"""The sweeper: finds what is due in the database and pokes it again, so that a lost hint costs seconds.

Its cost is that of the open work, whatever the length of the history: the indexes it reads hold nothing else.
"""

from gateway.model.ports import Clock, Work
from gateway.store import Store

EVERY = 1.0
"""Seconds between sweeps."""

MOST = 500


class Sweeper:
    def __init__(self, store: Store, work: Work, clock: Clock) -> None:
        self._store = store
        self._work = work
        self._clock = clock

    async def sweep(self) -> int:
        """One sweep: the number of conversations poked. Raises Unavailable."""
        now = self._clock()
        keys = await self._store.open_work.due(now, MOST)
        for key in keys:
            self._work.poke(key)
        for receipt in await self._store.open_work.unmatched(now, MOST):
            messages = self._store.of(receipt["tenant"]).messages
            await self._store.open_work.match(messages, receipt, now)
        return len(keys)
