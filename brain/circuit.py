"""Which models are left alone for a while: one that fails again and again is not waited for by every customer."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FAILURES: Final = 3
REST: Final = 30.0
"""Seconds until one call tries again."""

LONGEST: Final = 300.0
MOST: Final = 10_000
COUNTED: Final = frozenset(
    {"provider:broken", "provider:slow", "provider:away", "provider:limit", "provider:key"}
)
"""Failures that say something of the next call, too."""


@dataclass
class _State:
    failures: int = 0
    until: float = 0.0


class Circuits:
    """By `LanguageModel.account`. `monotonic` in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._states: OrderedDict[str, _State] = OrderedDict()

    def allows(self, account: str) -> bool:
        """Whether to call it. After its rest one call is let through; the others wait for what becomes of it."""
        state = self._states.get(account)
        if state is None or state.until == 0.0:
            return True
        if self._now() < state.until:
            return False
        state.until = self._now() + REST
        return True

    def worked(self, account: str) -> None:
        self._states.pop(account, None)

    def failed(self, account: str, code: str, wait: float | None = None) -> None:
        """A provider that says how long to wait is believed at once."""
        if code not in COUNTED:
            return
        state = self._states.setdefault(account, _State())
        self._states.move_to_end(account)
        state.failures += 1
        if state.failures >= FAILURES or (wait and code == "provider:limit"):
            state.until = self._now() + min(
                max(wait or 0.0, REST if state.failures >= FAILURES else 0.0), LONGEST
            )
        while len(self._states) > MOST:
            self._states.popitem(last=False)
