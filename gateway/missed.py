"""What a widget's socket missed: frames from other processes that were lost on their way are read from the store.

The widget drops what it has already (docs/widget-protocol.md), so that reading too much harms nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from channels.registry import Hub, WebAdapter
from gateway.model.errors import ParleyError, Unavailable
from gateway.ops.again import again_and_again
from gateway.sockets import OVERLAP, RESUME_PAGE
from gateway.store import Store

EVERY = 2.0
"""Seconds between looks at lively conversations while nothing arrives from other processes."""

LIVELY = 600.0
AT_ONCE = 8


class Missed:
    def __init__(self, store: Store, adapter: WebAdapter, arrives: Callable[[], bool]) -> None:
        """`arrives` says whether frames of other processes do."""
        self._store = store
        self._adapter = adapter
        self._hub: Hub = adapter.hub
        self._arrives = arrives
        self._todo: dict[str, None] = {}
        self._wake = asyncio.Event()

    def tell(self, conversation: str) -> None:
        """Something of it may have been missed."""
        self._todo[conversation] = None
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(
            again_and_again("reader of missed frames", self._look, EVERY, stop, self._wake), name="missed"
        )
        try:
            yield
        finally:
            stop.set()
            self._wake.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _look(self) -> None:
        todo, self._todo = self._todo, {}
        if not self._arrives():
            todo |= dict.fromkeys(self._hub.lively(LIVELY))
        left = iter(todo)

        async def some() -> None:
            for conversation in left:
                try:
                    await self._read(conversation)
                except ParleyError as error:
                    self._todo[conversation] = None
                    if isinstance(error, Unavailable):
                        return

        await asyncio.gather(*(some() for _ in range(min(AT_ONCE, len(todo)))))
        self._todo |= dict.fromkeys(left)

    async def _read(self, conversation: str) -> None:
        """Give its sockets what they lack. Raises ParleyError."""
        room = self._hub.room(conversation)
        if room is None:
            return
        gap, room.gap = room.gap, None
        start = gap if gap is not None else room.read
        if start is None:
            return
        after = max(0, start - OVERLAP)
        messages = self._store.of(room.tenant).messages
        try:
            more = True
            while more:
                page = await messages.after(conversation, after, RESUME_PAGE)
                for message in page.messages:
                    if message.direction == "in" or message.status.out:
                        self._hub.give(conversation, self._adapter.shown(room.tenant, message))
                more = page.more
                after = page.messages[-1].seq if page.messages else after
            room.has_read(after)
        except BaseException:
            room.may_lack(start)
            raise
