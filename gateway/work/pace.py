"""Pacing: how long a message must wait so that an account and a recipient keep to the provider's rates."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway.model.capabilities import Capabilities

KEPT = 50_000


@dataclass(slots=True)
class _Bucket:
    """Tokens as a single number: when the bucket would be full again (the GCRA's theoretical arrival time)."""

    full_at: float = 0.0


class Pacer:
    """Seconds by a monotonic clock. State is this process's own; the provider's 429 corrects what it can't see."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._paused: dict[str, float] = {}

    def wait(self, channel: str, recipient: str, capabilities: Capabilities) -> float:
        """Seconds until one more message may leave; 0 takes the place at once, anything else takes none."""
        now = self._monotonic()
        lanes: list[tuple[str, float, int]] = []
        if capabilities.account_rate:
            lanes.append((channel, capabilities.account_rate, max(1, int(capabilities.account_rate))))
        if capabilities.recipient_rate:
            lanes.append(
                (f"{channel}/{recipient}", capabilities.recipient_rate, capabilities.recipient_burst)
            )
        needed = max(0.0, self._paused.get(channel, 0.0) - now)
        for name, rate, burst in lanes:
            full_at = max(self._bucket(name).full_at, now)
            needed = max(needed, full_at + 1 / rate - now - burst / rate)
        if needed > 1e-9:
            return needed
        for name, rate, _ in lanes:
            bucket = self._bucket(name)
            bucket.full_at = max(bucket.full_at, now) + 1 / rate
        return 0.0

    def pause(self, channel: str, seconds: float) -> None:
        """The provider said how long to wait: nothing of this account leaves before."""
        self._paused[channel] = max(self._paused.get(channel, 0.0), self._monotonic() + seconds)

    def _bucket(self, name: str) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket()
            while len(self._buckets) > KEPT:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        return bucket
