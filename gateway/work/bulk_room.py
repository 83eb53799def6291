"""Which accounts have room for bulk, as far as one process knows."""

from datetime import datetime, timedelta

from gateway.model.ports import Clock

BULK_CLOSES, BULK_CLOSED = 5, timedelta(seconds=30)
"""After so many bulk messages in a row without room, an account's bulk is not looked at until the first of them has room."""


class BulkRoom:
    """Which accounts' bulk is not worth looking at for a while: their lanes are full or paused."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._without: dict[str, list[datetime]] = {}
        self._closed: dict[str, datetime] = {}

    def is_open(self, channel: str) -> bool:
        until = self._closed.get(channel)
        if until is not None and until <= self._clock():
            del self._closed[channel]
            until = None
        return until is None

    def found(self, channel: str, pause: timedelta) -> None:
        """What one message found: room (no pause), or how long there is none."""
        if not pause:
            self._without.pop(channel, None)
            return
        waits = self._without.setdefault(channel, [])
        waits.append(self._clock() + pause)
        if len(waits) >= BULK_CLOSES:
            self._closed[channel] = min(*waits, self._clock() + BULK_CLOSED)
            del self._without[channel]
