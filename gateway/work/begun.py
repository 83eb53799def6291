"""Conversations that this process is about to begin: what a channel's count does not hold yet. So many as send at once would
each find the last place free otherwise. Another process's are seen once they are counted."""

from collections import Counter

from gateway.model.permission import Decision


class Begun:
    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()

    def seen(self, channel: str) -> int:
        """A mark, to be taken before the count is read."""
        return self._ended[channel]

    def take(self, channel: str, decision: Decision, seen: int) -> bool:
        """Take a place for what a decision allows; false when those under way need what is left. One that ended since the mark
        may or may not have been counted in what was read: it counts here as well."""
        if not _counts(decision):
            return True
        if self._under_way[channel] + self._ended[channel] - seen >= decision.facts["left"]:
            return False
        self._under_way[channel] += 1
        return True

    def end(self, channel: str, decision: Decision | None) -> None:
        """It was sent and counted, or will not be."""
        if decision is not None and _counts(decision):
            self._under_way[channel] -= 1
            self._ended[channel] += 1


def _counts(decision: Decision) -> bool:
    return bool(decision.facts.get("begins")) and decision.facts.get("left") is not None
