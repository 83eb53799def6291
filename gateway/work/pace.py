"""Pacing: how long a message must wait so that an account and a recipient keep to the provider's rates."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway.model.lanes import Rate, Rates

KEPT = 50_000
RESERVED = 0.5
"""The share of an account's burst that bulk leaves to replies."""


@dataclass(slots=True)
class _Bucket:
    """Tokens as a single number: when the bucket would be full again (the GCRA's theoretical arrival time)."""

    full_at: float = 0.0


class LocalPace:
    """Implements `gateway.model.lanes.Pace` for one process. Seconds by a monotonic clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._paused: dict[str, float] = {}

    async def wait(self, channel: str, recipient: str, rates: Rates, bulk: bool = False) -> float:
        now = self._monotonic()
        lanes: list[tuple[str, Rate, float]] = []
        if rates.account:
            room = float(rates.account.burst)
            lanes.append((channel, rates.account, max(1.0, room * (1 - RESERVED)) if bulk else room))
        if rates.recipient:
            lanes.append((f"{channel}/{recipient}", rates.recipient, rates.recipient.burst))
        needed = max(
            0.0,
            self._paused.get(channel, 0.0) - now,
            self._paused.get(f"{channel}/{recipient}", 0.0) - now,
        )
        for name, rate, burst in lanes:
            full_at = max(self._bucket(name).full_at, now)
            needed = max(needed, full_at + (1 - burst) / rate.per_second - now)
        if needed > 1e-9:
            return needed
        for name, rate, _ in lanes:
            bucket = self._bucket(name)
            bucket.full_at = max(bucket.full_at, now) + 1 / rate.per_second
        return 0.0

    async def pause(self, channel: str, seconds: float, recipient: str | None = None) -> None:
        lane = channel if recipient is None else f"{channel}/{recipient}"
        self._paused[lane] = max(self._paused.get(lane, 0.0), self._monotonic() + seconds)

    async def failed(self, channel: str) -> None:
        pass

    async def worked(self, channel: str) -> None:
        pass

    def _bucket(self, name: str) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket()
            while len(self._buckets) > KEPT:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        return bucket
