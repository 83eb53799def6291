"""The hint queue of one process: an asyncio scheduler keyed by conversation.

Tenants are taken in turn, and keys of one tenant in the order in which they were first poked. What is bulk starts only
when no reply waits. A key that is poked while it runs, runs once more afterwards; two runs for one conversation
never overlap, be they replies or bulk.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.model.work import Handler, Key

LIMIT = 256
"""Keys that run at once in a process."""

MOST = 2048
"""Keys that run at once, with those whose handlers only wait for somebody else."""

BULK = 4
"""Bulk keys that run at once in a process: what they hold, a reply that comes waits for."""

Slot = tuple[str, str]
"""What only one run may have at a time: a tenant's conversation."""


def slot_of(key: Key) -> Slot:
    return key.tenant, key.conversation


class Waiting:
    """Keys that wait, a tenant at a time. Every step costs the same, however many wait."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, OrderedDict[Key, None]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: Key) -> bool:
        return key in self._tenants.get(key.tenant, ())

    def add(self, key: Key) -> None:
        keys = self._tenants.setdefault(key.tenant, OrderedDict())
        if key not in keys:
            keys[key] = None
            self._count += 1

    def take(self) -> Key:
        """The next tenant's oldest key; the tenant goes behind all others. There must be one."""
        tenant, keys = self._tenants.popitem(last=False)
        key, _ = keys.popitem(last=False)
        self._count -= 1
        if keys:
            self._tenants[tenant] = keys
        return key


class LocalWork:
    """Implements `gateway.model.work.Work`. `failed` is told of a handler's error; the sweeper tries again. `ended` is
    told of a conversation for which nothing runs or waits any more."""

    def __init__(
        self,
        limit: int = LIMIT,
        failed: Callable[[Key, Exception], None] = lambda *_: None,
        ended: Callable[[Slot], None] = lambda _: None,
        freed: Callable[[], None] = lambda: None,
    ) -> None:
        """`freed` is told that there may be room for one more."""
        self._freed = freed
        self._limit = limit
        self._failed = failed
        self._ended = ended
        self._replies, self._bulk = Waiting(), Waiting()
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._running: dict[Slot, asyncio.Task[None]] = {}
        self._bulk_running = 0
        self._elsewhere = 0
        self._again: dict[Slot, dict[Key, None]] = {}
        self._handler: Handler | None = None

    @property
    def idle(self) -> bool:
        return not self._replies and not self._bulk and not self._running

    @property
    def room(self) -> int:
        """How many more keys could begin at once."""
        return max(0, self._places - len(self._replies) - len(self._bulk))

    @property
    def _places(self) -> int:
        return min(self._limit - len(self._running) + self._elsewhere, MOST - len(self._running))

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        self._elsewhere += 1
        self._start()
        self._freed()
        try:
            yield
        finally:
            self._elsewhere -= 1

    @property
    def bulk_room(self) -> int:
        """How many of them may be bulk."""
        return max(0, min(self.room, BULK - self._bulk_running - len(self._bulk)))

    def poke(self, key: Key, after: float = 0) -> None:
        if after > 0:
            self._poke_later(key, after)
        elif slot_of(key) in self._running:
            self._again.setdefault(slot_of(key), {})[key] = None
        else:
            (self._bulk if key.bulk else self._replies).add(key)
            self._start()

    def _poke_later(self, key: Key, after: float) -> None:
        """Lost with the process; the sweeper looks at what is due."""
        loop = asyncio.get_running_loop()
        there = self._later.get(key)
        if there is not None:
            if there.when() <= loop.time() + after:
                return
            there.cancel()
        self._later[key] = loop.call_later(after, self._due, key)

    def _due(self, key: Key) -> None:
        del self._later[key]
        self.poke(key)

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

    def give_up(self) -> list[Key]:
        """What has not begun, and will not: it is somebody else's."""
        given = []
        for waiting in (self._replies, self._bulk):
            while waiting:
                given.append(waiting.take())
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()
        return given

    def _start(self) -> None:
        while self._handler is not None and self._places > 0:
            if self._replies:
                key = self._replies.take()
            elif self._bulk and self._bulk_running < BULK:
                key = self._bulk.take()
            else:
                return
            slot = slot_of(key)
            if slot in self._running:
                self._again.setdefault(slot, {})[key] = None
                continue
            self._bulk_running += key.bulk
            self._running[slot] = asyncio.create_task(self._one(key, self._handler))

    async def _one(self, key: Key, handler: Handler) -> None:
        slot = slot_of(key)
        try:
            await handler(key)
        except Exception as error:
            self._failed(key, error)
        except asyncio.CancelledError:
            # Broken off: there is still work.
            self._again.setdefault(slot, {})[key] = None
            raise
        finally:
            del self._running[slot]
            self._bulk_running -= key.bulk
            for again in self._again.pop(slot, ()):
                (self._bulk if again.bulk else self._replies).add(again)
            if Key(*slot) not in self._replies and Key(*slot, bulk=True) not in self._bulk:
                self._ended(slot)
            self._start()
