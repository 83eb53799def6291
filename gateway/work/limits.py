"""Rate limits by the `limits` library: its sliding window counter, in Redis for all processes or in one process's memory."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from math import floor
from typing import Any, Final

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage, SlidingWindowCounterSupport, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter as Limiter
from redis.asyncio import ConnectionPool

from gateway.model.limits import LIMITS, SETTABLE, Limit, LimitName, parse
from gateway.work.redis import AWAY, PREFIX

KEPT: Final = 200_000
"""Windows that one process remembers; the ones that were not hit for longest go first."""

LEFT_ALONE: Final = 1.0
"""Seconds that a Redis that failed is not asked again: each call would wait for it."""


class WindowStorage(Storage, SlidingWindowCounterSupport):
    """Windows in memory, as the library's own storage in Redis keeps them; a hit costs the same at any number of keys, where
    the library's own memory storage looks at every key now and then."""

    STORAGE_SCHEME = None

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        # By key: when the current window began, its seconds, its count, and the count of the one before.
        self._windows: OrderedDict[str, tuple[float, int, int, int]] = OrderedDict()

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        if amount > limit:
            return False
        now = self._monotonic()
        began, _, current, previous = self._window(key, expiry, now)
        if floor(previous * (1 - (now - began) / expiry)) + current + amount > limit:
            return False
        self._keep(key, (began, expiry, current + amount, previous))
        return True

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        now = self._monotonic()
        began, _, current, previous = self._window(key, expiry, now)
        left = began + expiry - now
        return previous, left if previous else 0.0, current, left + expiry if current else 0.0

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        await self.clear(key)

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        began, _, current, previous = self._window(key, expiry, self._monotonic())
        self._keep(key, (began, expiry, current + amount, previous))
        return current + amount

    async def get(self, key: str) -> int:
        found = self._windows.get(key)
        return self._window(key, found[1], self._monotonic())[2] if found else 0

    async def get_expiry(self, key: str) -> float:
        """When the current window ends, by the wall clock."""
        found = self._windows.get(key)
        left = found[0] + found[1] - self._monotonic() if found else 0.0
        return time.time() + max(0.0, left)

    async def clear(self, key: str) -> None:
        self._windows.pop(key, None)

    async def reset(self) -> int | None:
        count = len(self._windows)
        self._windows.clear()
        return count

    async def check(self) -> bool:
        return True

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def _window(self, key: str, expiry: int, now: float) -> tuple[float, int, int, int]:
        found = self._windows.get(key)
        if found is None or now >= found[0] + 2 * expiry:
            return now, expiry, 0, 0
        began, _, current, _ = found
        return found if now < began + expiry else (began + expiry, expiry, 0, current)

    def _keep(self, key: str, window: tuple[float, int, int, int]) -> None:
        self._windows[key] = window
        self._windows.move_to_end(key)
        if len(self._windows) > KEPT:
            self._windows.popitem(last=False)


class RateLimits:
    """Implements `gateway.model.limits.Limits`. With a Redis it counts for all processes."""

    def __init__(
        self,
        pool: ConnectionPool | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        refused: Callable[[LimitName], None] = lambda _: None,
    ) -> None:
        """`refused` is told of every refusal, for the metrics."""
        self._monotonic = monotonic
        self._refused = refused
        self._own = Limiter(WindowStorage(monotonic))
        self._shared = _shared(pool) if pool is not None else None
        self._away, self._away_until = False, float("-inf")
        self._items: dict[tuple[LimitName, str | None], RateLimitItem] = {}

    async def take(self, name: LimitName, key: str, own: Mapping[str, str] | None = None) -> float:
        item = self._item(name, (own or {}).get(name) if name in SETTABLE else None)
        if await self._passes(name, item, key):
            return 0.0
        self._refused(name)
        # About how long until one more fits: the window slides on evenly.
        return max(1.0, item.get_expiry() / item.amount)

    async def _passes(self, name: LimitName, item: RateLimitItem, key: str) -> bool:
        if self._shared is not None:
            if self._monotonic() >= self._away_until:
                if self._away:  # one call finds out whether it is back: the others would all wait as long
                    self._away_until = self._monotonic() + LEFT_ALONE
                try:
                    passes = await self._shared.hit(item, key)
                except AWAY:
                    self._away, self._away_until = True, self._monotonic() + LEFT_ALONE
                else:
                    self._away, self._away_until = False, float("-inf")
                    return passes
            if LIMITS[name].outage == "open":
                return True
        return await self._own.hit(item, key)

    def _item(self, name: LimitName, own: str | None) -> RateLimitItem:
        found = self._items.get((name, own))
        if found is None:
            limit = _with(LIMITS[name], own)
            found = RateLimitItemPerSecond(limit.amount, limit.seconds, namespace=name)
            if len(self._items) < 1000:  # as many as tenants chose different ones
                self._items[name, own] = found
        return found


def _with(limit: Limit, own: str | None) -> Limit:
    if own is None:
        return limit
    try:
        amount, seconds = parse(own)
    except ValueError:  # written by a version that knows more than this one
        return limit
    return Limit(amount, seconds, limit.outage)


def _shared(pool: ConnectionPool) -> Limiter:
    options: dict[str, Any] = {
        "connection_pool": pool
    }  # given on to the client, whatever the library's types say
    return Limiter(
        RedisStorage("async+redis://", implementation="redispy", key_prefix=PREFIX + "limits", **options)
    )
