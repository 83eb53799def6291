"""The hint queue of one process: an asyncio scheduler keyed by conversation.

A key that is poked while its handler runs, runs once more afterwards; two runs of one key never overlap. At
most `limit` keys run at once; the rest wait in the order in which they were first poked.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from gateway.model.work import Handler, Key


class LocalWork:
    """Implements `gateway.model.work.Work`. `failed` is told of a handler's error; the sweeper tries again."""

    def __init__(self, limit: int = 256, failed: Callable[[Key, Exception], None] = lambda *_: None) -> None:
        self._limit = limit
        self._failed = failed
        self._waiting: OrderedDict[Key, None] = OrderedDict()
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._again: set[Key] = set()
        self._handler: Handler | None = None

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._running

    def poke(self, key: Key, after: float = 0) -> None:
        if after > 0:
            # Lost with the process; the sweeper looks at what is due.
            asyncio.get_running_loop().call_later(after, self.poke, key)
        elif key in self._running:
            self._again.add(key)
        else:
            self._waiting[key] = None
            self._start()

    async def run(self, handler: Handler) -> None:
        """Until cancelled; then lets what runs come to its end."""
        self._handler = handler
        try:
            self._start()
            await asyncio.Event().wait()
        finally:
            self._handler = None
            if self._running:
                await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _start(self) -> None:
        while self._handler is not None and self._waiting and len(self._running) < self._limit:
            key, _ = self._waiting.popitem(last=False)
            self._running[key] = asyncio.create_task(self._one(key, self._handler))

    async def _one(self, key: Key, handler: Handler) -> None:
        try:
            await handler(key)
        except Exception as error:
            self._failed(key, error)
        finally:
            del self._running[key]
            if key in self._again:
                self._again.discard(key)
                self._waiting[key] = None
            self._start()
