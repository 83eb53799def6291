"""The sweeper: finds what is due in the database and pokes it again, so that a lost hint costs seconds.

Its cost is that of the open work, whatever the length of the history: the indexes it reads hold nothing else.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from gateway.model.content import Deleted, Edit
from gateway.model.ports import Clock
from gateway.model.work import Work
from gateway.store import Store
from gateway.store.open_work import Matched

Doc = dict[str, Any]

EVERY = 1.0
"""Seconds between sweeps."""

MOST = 500
MOST_BULK = 100
"""Bulk messages of a channel that one sweep pokes: a little more than leaves until the next."""


class Sweeper:
    def __init__(
        self,
        store: Store,
        work: Work,
        clock: Clock,
        room: Callable[[str], bool] = lambda _: True,
        matched: Matched | None = None,
    ) -> None:
        """`room` tells whether bulk may leave a channel now, as far as this process knows. `matched` is told of receipts that
        came before their messages were known."""
        self._matched = matched
        self._store = store
        self._room = room
        self._work = work
        self._clock = clock
        self._passed: dict[str, datetime] = {}

    async def sweep(self) -> int:
        """One sweep: the number of conversations poked. Raises Unavailable."""
        now = self._clock()
        keys = await self._store.open_work.due(now, MOST, self._passed)
        for key in keys:
            self._work.poke(key)
        for key in await self._store.open_work.bulk(now, MOST_BULK, self._room):
            self._work.poke(key)
        for receipt in await self._store.open_work.unmatched(now, MOST):
            receipts = self._store.of(receipt["tenant"]).receipts
            await self._store.open_work.match(receipts, receipt, now, self._matched)
        for waiting in await self._store.open_work.unamended(now, MOST):
            await self._store.open_work.amend_tried(waiting, await self._amend(waiting), now)
        return len(keys)

    async def _amend(self, waiting: Doc) -> bool:
        """An edit that came before its message: whether there is nothing left to do."""
        store = self._store.of(waiting["tenant"])
        edit = await store.messages.get(waiting["message"])
        if edit is None or not isinstance(edit.content, Edit | Deleted):
            return True
        changed = edit.content.content if isinstance(edit.content, Edit) else None
        return await store.amendments.amend_named(waiting["channel"], waiting["to"], changed, edit.at)
