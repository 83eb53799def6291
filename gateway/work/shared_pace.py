"""Pacing that all processes share: each asks Redis for a place, in one atomic call.

This process's own pace knows at least what it sent itself, so a lane that is full here is full everywhere, and Redis is not
asked. Where Redis is away, the own pace alone decides. Redis may forget everything at any time: a mark that is missing there
says so, and what this process and the database know is put there again before the next message leaves.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from redis.asyncio import Redis

from gateway.model.lanes import Rates
from gateway.work.pace import UNREAD, Lane, LocalPace, lane_name, lanes_of
from gateway.work.redis import AWAY, PREFIX, RedisError

T = TypeVar("T")

QUIET: Final = 1.0
"""Seconds that Redis is not asked after it failed."""

MARK: Final = PREFIX + "lanes"
CHUNK: Final = 500
TRIES: Final = 3

# Times are Redis's own, so that processes whose clocks differ agree. A bucket's key holds when it is full again, a pause's
# until when; both end by themselves when they mean nothing any more.
ASK: Final = """
if redis.replicate_commands then redis.replicate_commands() end  -- before Redis 7: TIME, and then writes
if redis.call('EXISTS', KEYS[1]) == 0 then return {'forgotten'} end
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] + t[2] / 1000000
end
local needed, full, paused = 0, {0, 0}, {0, 0}
for lane = 1, 2 do
  local rate, room = tonumber(ARGV[2 * lane]), tonumber(ARGV[2 * lane + 1])
  local held = redis.call('MGET', KEYS[2 * lane], KEYS[2 * lane + 1])
  full[lane] = math.max((tonumber(held[1] or '0')) - now, 0)
  paused[lane] = math.max((tonumber(held[2] or '0')) - now, 0)
  needed = math.max(needed, paused[lane])
  if rate > 0 then needed = math.max(needed, full[lane] + (1 - room) / rate) end
end
if needed > 0.000001 then
  return {tostring(needed), tostring(full[1]), tostring(paused[1]), tostring(full[2]), tostring(paused[2])}
end
for lane = 1, 2 do
  local rate = tonumber(ARGV[2 * lane])
  if rate > 0 then
    full[lane] = full[lane] + 1 / rate
    local left = math.ceil(full[lane] * 1000) + 1000
    redis.call('SET', KEYS[2 * lane], string.format('%.6f', now + full[lane]), 'PX', left)
  end
end
return {'0', tostring(full[1]), '0', tostring(full[2]), '0'}
"""

RAISE: Final = """
if redis.replicate_commands then redis.replicate_commands() end
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] + t[2] / 1000000
end
for i = 1, #KEYS do
  local seconds = tonumber(ARGV[i + 1])
  local standing = tonumber(redis.call('GET', KEYS[i]) or '0')
  if now + seconds > standing then
    redis.call('SET', KEYS[i], string.format('%.6f', now + seconds), 'PX', math.ceil(seconds * 1000) + 1000)
  end
end
"""


class SharedPace:
    """Implements `gateway.model.lanes.Pace`. `time` stands for Redis's clock where a test moves it."""

    def __init__(
        self,
        local: LocalPace,
        redis: Redis,
        monotonic: Callable[[], float],
        time: Callable[[], float] | None = None,
    ) -> None:
        self._local = local
        self._redis = redis
        self._monotonic = monotonic
        self._time = time
        self._ask = redis.register_script(ASK)
        self._raise = redis.register_script(RAISE)
        self._away = False
        self._again_at = 0.0
        self._behind = True
        """Whether Redis may not know what we know."""
        self._filling = asyncio.Lock()

    async def wait(self, channel: str, recipient: str, rates: Rates, bulk: bool = False) -> float:
        if not await self._local.recall():
            return UNREAD
        lanes = lanes_of(channel, recipient, rates, bulk)
        if needed := self._local.left(lanes):
            return needed
        told = await self._reached(lambda: self._place(lanes))
        if told is None:
            return self._local.grant(lanes)
        for lane, full, paused in zip(lanes, told[1::2], told[2::2], strict=True):
            self._local.learn(lane.name, full, paused)
            if not told[0] and lane.rate:
                self._local.used(lane)
        return told[0]

    def held(self, channel: str, recipient: str) -> float:
        return self._local.held(channel, recipient)

    async def pause(self, channel: str, seconds: float, recipient: str | None = None) -> None:
        await self._local.pause(channel, seconds, recipient)
        lane = lane_name(channel, recipient)
        if await self._reached(lambda: self._put([(_pause(lane), seconds)])) is None:
            self._behind = True

    async def failed(self, channel: str) -> None:
        pass

    async def worked(self, channel: str) -> None:
        pass

    async def _reached(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """What a call to Redis gives; None where it can't be had. While it is away one call in a while tries."""
        if self._away:
            if self._monotonic() < self._again_at:
                return None
            self._again_at = self._monotonic() + QUIET
        try:
            found = await call()
        except AWAY:
            self._away = self._behind = True
            self._again_at = self._monotonic() + QUIET
            return None
        self._away = False
        return found

    async def _place(self, lanes: tuple[Lane, Lane]) -> list[float]:
        """[seconds to wait, then for each lane in how many seconds it is full and for how many it is paused]"""
        keys = [MARK, *(key for lane in lanes for key in (_bucket(lane.name), _pause(lane.name)))]
        rates = [n for lane in lanes for n in (lane.rate.per_second if lane.rate else 0, lane.room)]
        for _ in range(TRIES):
            if self._behind:
                await self._fill()
            reply: list[Any] = await self._ask(keys=keys, args=[self._now(), *rates])
            if len(reply) > 1:
                return [float(n) for n in reply]
            self._behind = True
        raise RedisError("Redis keeps forgetting")

    async def _fill(self) -> None:
        """Tell Redis what it may have forgotten or never heard."""
        async with self._filling:
            if not self._behind:
                return
            if not await self._local.recall(again=True):
                raise RedisError("what the other processes were told can't be read")
            self._behind = False
            rows = [
                row
                for name, full, paused in self._local.standing()
                for row in ((_bucket(name), full), (_pause(name), paused))
                if row[1] > 0
            ]
            try:
                for start in range(0, len(rows), CHUNK):
                    await self._put(rows[start : start + CHUNK])
                await self._redis.set(MARK, "1")
            except BaseException:
                self._behind = True
                raise

    async def _put(self, rows: list[tuple[str, float]]) -> bool:
        await self._raise(keys=[key for key, _ in rows], args=[self._now(), *(s for _, s in rows)])
        return True

    def _now(self) -> float | str:
        return self._time() if self._time else ""


def _bucket(lane: str) -> str:
    return f"{PREFIX}lane:{lane}"


def _pause(lane: str) -> str:
    return f"{PREFIX}pause:{lane}"
