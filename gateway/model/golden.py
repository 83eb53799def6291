"""Golden questions: what a tenant's bot must answer, or must refuse; and what became of them when they were asked."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gateway.model.answers import Said, Used

MAX_QUESTION = 500
MAX_TEXTS = 10
MAX_GOLDENS = 2_000


@dataclass(frozen=True, slots=True)
class Golden:
    """A question with what a right answer is: it contains every text of `must_contain` and cites a source whose title or
    address holds `must_cite`; or, with `must_refuse`, there is none. Case and spaces do not matter."""

    id: str
    tenant: str
    question: str
    added: datetime
    must_contain: tuple[str, ...] = ()
    must_cite: str | None = None
    must_refuse: bool = False
    language: str | None = None
    channel: str | None = None
    earlier: tuple[Said, ...] = ()


def golden_id(tenant: str, question: str, channel: str | None = None) -> str:
    """The same question on the same channel is the same golden one."""
    told = f"{tenant}\0{' '.join(question.casefold().split())}\0{channel or ''}"
    return "gq_" + hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one golden question. `rank` is the place of the first passage that holds the answer (0: not among the first
    ten; None: it must be refused). `faults` say in words what is wrong."""

    golden: str
    question: str
    must_refuse: bool
    known: bool
    text: str
    sources: tuple[str, ...] = ()
    right: bool = False
    rank: int | None = None
    faults: tuple[str, ...] = ()
    by: str = ""
    why: str = ""
    score: float = 0.0
    seconds: float = 0.0
    used: Used = field(default_factory=Used)


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares, 0 to 1, over a run; None where no question counts towards it. `p50` and `p95` are seconds an answer, `money` is
    in millionths of USD."""

    questions: int = 0
    right: int = 0
    hit1: float | None = None
    hit3: float | None = None
    mrr: float | None = None
    answered: float | None = None
    refused: float | None = None
    p50: float = 0.0
    p95: float = 0.0
    tokens: int = 0
    money: int = 0


@dataclass(frozen=True, slots=True)
class EvalRun:
    """One run over a tenant's golden questions, at a version of its knowledge."""

    id: str
    tenant: str
    at: datetime
    version: int
    by: str
    """`local`, or `provider`: whoever is set."""
    figures: Figures
    verdicts: tuple[Verdict, ...] = ()


Change = Literal["newly answered", "no longer answered", "changed", "same"]
CHANGES: tuple[Change, ...] = ("no longer answered", "changed", "newly answered", "same")
"""In the order in which they are worth reading."""


@dataclass(frozen=True, slots=True)
class Side:
    """An answer, as far as two of them are compared."""

    known: bool
    text: str = ""
    sources: tuple[str, ...] = ()
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """A real question, answered from the live knowledge and from that with the drafts in it."""

    question: str
    change: Change
    live: Side
    draft: Side
    asked: datetime | None = None
    count: int = 1
    """How often it was asked in these words."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The differences, those first that matter most; `counts` by change."""

    questions: int
    counts: Mapping[str, int]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Turned:
    """A question whose verdict is not the same in two runs."""

    question: str
    before: Verdict | None
    after: Verdict | None

    @property
    def told(self) -> str:
        """`better`, `worse`, `new`, `gone`, or `other answer`."""
        if self.before is None or self.after is None:
            return "new" if self.before is None else "gone"
        if self.before.right != self.after.right:
            return "better" if self.after.right else "worse"
        return "other answer"
