"""Time, injected: aware, UTC; and the order of messages, which is made of it."""

from datetime import UTC, datetime

from gateway.model.ports import Clock


def system_clock() -> datetime:
    return datetime.now(UTC)


class Sequencer:
    """Places in a conversation: microseconds since 1970, each greater than the one before it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self, after: int = 0) -> int:
        """The next place; greater than `after` too, whatever another process's clock said."""
        now = int(self._clock().timestamp() * 1_000_000)
        self._last = max(now, self._last + 1, after + 1)
        return self._last
