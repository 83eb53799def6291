"""The hint queue that processes share over Redis.

One task a process talks to it: pokes, what is done and the question for more go out together, in one script call, one
call at a time. So what a process holds is known exactly, and after anything odd (a wipe, a restart, a call without an answer) it
says so, and the rest is free again. What a process holds is its own for as long as it calls: the lease is the process's.

What is taken runs in the process's own scheduler, never more than it has room for. Without Redis, the process goes by its own
hints; two processes may then be at one conversation, and the database's compare-and-set keeps their work apart.
"""

import asyncio
import contextlib
import secrets
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, Self

from loguru import logger

from gateway.model.work import Handler, Key
from gateway.work.local import LIMIT, LocalWork, Slot, slot_of
from gateway.work.redis import AWAY, PREFIX, Redis
from gateway.work.script import SCRIPT

LEASE: Final = 15.0
"""Seconds without a call after which a worker is presumed dead, and what it held is free."""

RESYNC: Final = 5.0
"""Seconds between calls that say all that is held."""

LOOK: Final = 1.0
"""Seconds between looks of a worker that nothing wakes; and between tries while Redis is away."""

LISTEN: Final = 1.0
"""Seconds that Redis may keep us waiting for a token: less than those after which a call counts as not answered."""

REPORT: Final = 5.0
"""Seconds between looks of a process that does no work: whether somebody does."""

MOST: Final = 500
"""Pokes in one call: the script is not to keep Redis for long."""

LAST_CALL: Final = 3.0
"""Seconds for what is left to say at the end."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What one call says. `room` is for so many keys, -1 when we don't work; `later` is in seconds of the loop's clock."""

    room: int
    poked: list[Key]
    later: dict[Key, float]
    done: list[Slot]
    back: list[Key]
    mode: str


class RedisWork:
    """Implements `gateway.model.work.Work`. Used as a context: within it pokes travel; `run` does work besides."""

    def __init__(
        self,
        redis: Redis,
        limit: int = LIMIT,
        failed: Callable[[Key, Exception], None] = lambda *_: None,
        prefix: str = PREFIX,
    ) -> None:
        self._local = LocalWork(limit, failed, self._ended, self._freed)
        self._redis = redis
        self._script = redis.register_script(SCRIPT)
        self._prefix = f"{prefix}work:"
        self._me = secrets.token_hex(8)
        self._poked: dict[Key, None] = {}
        self._later: dict[Key, float] = {}
        self._held: dict[Slot, Key] = {}
        self._done: dict[Slot, None] = {}
        self._back: list[Key] = []
        self._rung = asyncio.Event()
        self._bell: asyncio.Task[None] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._works = self._takes = self._member = False
        self._calling = self._away = self._closing = self._more = False
        self._resync_at = 0.0
        self._next_due: float | None = None
        self._workers: int | None = None

    @property
    def idle(self) -> bool:
        waits = self._poked or self._later or self._held or self._done or self._back or self._more
        return self._local.idle and not waits and not self._calling

    def count(self) -> int | None:
        """How many processes do the work, as of a few seconds ago; None while nobody can tell."""
        return self._workers

    def poke(self, key: Key, after: float = 0) -> None:
        if self._away or self._closing:
            # Who does no work has nobody to tell: the workers' sweepers find it.
            if self._takes:
                self._local.poke(key, after)
        elif after > 0:
            due = self._now() + after
            self._later[key] = min(due, self._later.get(key, due))
            self._rung.set()
        else:
            self._poked[key] = None
            self._rung.set()

    async def run(self, handler: Handler) -> None:
        """Until cancelled; then what has not begun is given back at once, and what runs comes to its end."""
        self._works = self._takes = True
        self._rung.set()
        local = asyncio.create_task(self._local.run(handler))
        try:
            await asyncio.Event().wait()
        finally:
            self._takes = False
            local.cancel()
            self._give_back()
            try:
                await asyncio.gather(local, return_exceptions=True)
            finally:
                self._give_back()
                self._works = False
                self._rung.set()

    def _give_back(self) -> None:
        self._back += [key for key in self._local.give_up() if self._held.pop(slot_of(key), None)]
        self._rung.set()

    async def __aenter__(self) -> Self:
        self._pump = asyncio.create_task(self._go_on(), name="hints")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Says what is left to say, if Redis is there to hear it."""
        self._closing = True
        self._rung.set()
        tasks = [task for task in (self._pump, self._bell) if task is not None]
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=LAST_CALL)
        for task in tasks:
            task.cancel()
        if tasks:
            # A library may swallow a cancellation: the process ends all the same.
            await asyncio.wait(tasks, timeout=LAST_CALL)

    # The one task that talks

    async def _go_on(self) -> None:
        while not self._closing or (self._unsaid and not self._away):
            self._rung.clear()
            call = self._next_call()
            self._calling = True
            try:
                self._heard(call, await self._script(keys=[self._prefix], args=self._arguments(call)))
            except Exception as error:  # whatever it is, the next call comes all the same
                self._unheard(call, error)
            finally:
                self._calling = False
            await self._pause()

    @property
    def _unsaid(self) -> bool:
        return bool(self._poked or self._later or self._done or self._back or self._member)

    def _next_call(self) -> _Call:
        mode, room = "", self._local.room if self._takes else 0
        if not self._works or self._closing:
            mode, room = "leave" if self._member else "", -1
        elif self._now() >= self._resync_at:
            mode = "resync"
        later = dict(islice(self._later.items(), MOST))
        call = _Call(room, list(islice(self._poked, MOST)), later, list(self._done), self._back, mode)
        for key in call.poked:
            del self._poked[key]
        for key in later:
            del self._later[key]
        self._done, self._back = {}, []
        return call

    def _arguments(self, call: _Call) -> list[str | int]:
        held = [_member(key) for key in self._held.values()] if call.mode == "resync" else []
        now = self._now()
        later: list[str | int] = []
        for key, due in call.later.items():
            later += [_member(key), max(0, int((due - now) * 1000))]
        lists: list[Sequence[str | int]] = [
            [_member(key) for key in call.poked],
            later,
            [_name(slot) for slot in call.done],
            [_member(key) for key in call.back],
            held,
        ]
        head: list[str | int] = [self._me, call.room, self._local.bulk_room, int(LEASE * 1000), call.mode]
        return [*head, *(len(found) for found in lists), *(word for found in lists for word in found)]

    def _heard(self, call: _Call, answer: Any) -> None:
        taken, known, due, self._workers, more = answer
        if self._away:
            self._away = False
            logger.info("Redis is back: work is shared again")
        self._member = call.room >= 0
        if call.mode == "leave":
            self._held.clear()
        elif call.mode == "resync":
            self._resync_at = self._now() + RESYNC
        elif self._member and not known:
            self._resync_at = 0.0
            self._rung.set()
        self._more = bool(more) and self._takes
        self._next_due = self._now() + due / 1000 if due >= 0 else None
        for member in taken:
            key = _key(member)
            self._held[slot_of(key)] = key
            self._local.poke(key)
        if taken and not self._takes:
            self._give_back()

    def _unheard(self, call: _Call, error: Exception) -> None:
        """What was done or given back need not be said again: the next call says what is held."""
        if not self._away:
            place = traceback.extract_tb(error.__traceback__)[-1]
            why = f"{type(error).__name__} at {PurePath(place.filename).name}:{place.lineno}"
            logger.warning("Redis is away ({}): this process goes on by its own hints", why)
        self._away, self._more, self._resync_at = True, False, 0.0
        self._workers = self._next_due = None
        poked, later = [*call.poked, *self._poked], call.later | self._later
        self._poked, self._later = {}, {}
        for key in poked:
            self.poke(key)
        for key, at in later.items():
            self.poke(key, at - self._now())

    async def _pause(self) -> None:
        """Until there is something to say, or to ask."""
        more = self._rung.is_set() or self._poked or self._later
        if self._closing or (more and not self._away):
            return
        self._rung.clear()
        now = self._now()
        until = now + (LOOK if self._works or self._away else REPORT)
        if self._next_due is not None and self._takes:
            until = min(until, self._next_due)
        if self._takes and not self._away and self._local.room and (self._bell is None or self._bell.done()):
            self._bell = asyncio.create_task(self._listen())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._rung.wait()

    async def _listen(self) -> None:
        """Sleep until a token wakes us."""
        replies, bulk = self._prefix + "wake:r", self._prefix + "wake:b"
        # That Redis is away, the next call finds out.
        with contextlib.suppress(*AWAY):
            while self._takes and not self._rung.is_set():
                keys = [replies, bulk] if self._local.bulk_room else [replies]
                if await self._redis.blpop(keys, timeout=LISTEN):
                    self._rung.set()

    def elsewhere(self) -> AbstractContextManager[None]:
        return self._local.elsewhere()

    def _freed(self) -> None:
        self._rung.set()

    def _ended(self, slot: Slot) -> None:
        if self._held.pop(slot, None) is not None:
            self._done[slot] = None
            self._rung.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _name(slot: Slot) -> str:
    return "/".join(slot)


def _member(key: Key) -> str:
    return ("b" if key.bulk else "r") + _name(slot_of(key))


def _key(member: bytes) -> Key:
    tenant, _, conversation = member[1:].decode().partition("/")
    return Key(tenant, conversation, bulk=member[:1] == b"b")
