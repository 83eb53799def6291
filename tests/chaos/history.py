"""What one run leaves behind for the audit: plain values, so that a test can write one by hand.

Every text that a customer says is used once, and its answer repeats it: a text names one message throughout. Times are
`time.monotonic()` of the run; documents are the database's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that a customer said: the `number`-th. `old`: its time is so far back that no answer may be sent."""

    text: str
    customer: str
    number: int
    acknowledged: bool
    old: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """An answer that a provider took (or that a widget showed)."""

    text: str
    at: float
    to: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A receipt that we acknowledged: of the message that the provider calls `provider_id`, and, where it echoes it, by
    our own id."""

    provider_id: str
    status: int
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """One webhook's answer. `status` 0: none came."""

    began: float
    ended: float
    status: int
    what: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which something was away."""

    what: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A send that reached a provider: by which process, on which account."""

    who: str
    account: str
    at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A 429 with its Retry-After: the account is not to be asked again before `until`."""

    who: str
    account: str
    at: float
    until: float


LATE = 124
"""In place of an exit code: it did not end within 30 seconds of SIGTERM."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process of ours that ended, and its exit code (negative: by that signal)."""

    who: str
    at: float
    code: int


@dataclass(frozen=True, slots=True)
class History:
    said: Sequence[Said] = ()
    docs: Sequence[Doc] = ()
    taken: Sequence[Taken] = ()
    told: Sequence[Told] = ()
    answered: Sequence[Answered] = ()
    away: Sequence[Window] = ()
    asked: Sequence[Asked] = ()
    refused: Sequence[Refused] = ()
    ended: Sequence[Ended] = ()
    shared: bool = True
    """Whether the processes share their lanes (a Redis was there)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be. `ids` are messages of ours."""

    kind: str
    text: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    findings: tuple[Finding, ...]
    counts: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    """What was given up or refused, by reason."""

    @property
    def passed(self) -> bool:
        return not self.findings

    def of(self, *kinds: str) -> int:
        return sum(f.kind in kinds for f in self.findings)
