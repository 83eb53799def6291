"""What a run came to, for people and as JSON: the verdict table, and the history of the first offenders."""

import json
from collections.abc import Sequence
from typing import Any

from tests.chaos.history import Doc, Finding
from tests.chaos.run import Outcome

SHOWN = 5
COLUMNS = (
    "seed", "sent", "acknowledged", "answered", "lost", "doubled", "flagged", "out of order", "went back", "unknown",
    "given up", "stuck", "other", "errors", "seconds", "faults",
)  # fmt: skip
_KEPT = (
    "_id", "channel", "conversation", "direction", "seq", "at", "status", "todo", "due", "attempts", "run", "times",
    "possibly_doubled", "failure", "turn", "provider_id",
)  # fmt: skip


def row(outcome: Outcome) -> dict[str, int]:
    verdict, counts = outcome.verdict, outcome.verdict.counts
    known = ("lost", "not stored", "not taken", "doubled", "out of order", "went back", "stuck")
    return {
        "seed": outcome.wish.seed,
        "sent": counts["sent"],
        "acknowledged": counts["acknowledged"],
        "answered": counts["answered"],
        "lost": verdict.of("lost", "not stored", "not taken"),
        "doubled": verdict.of("doubled"),
        "flagged": counts["flagged"],
        "out of order": verdict.of("out of order"),
        "went back": verdict.of("went back"),
        "unknown": counts["unknown"],
        "given up": sum(n for why, n in verdict.left.items() if why.startswith("dead")),
        "stuck": verdict.of("stuck"),
        "other": sum(f.kind not in known for f in verdict.findings),
        "errors": len(outcome.errors),
        "seconds": round(outcome.seconds),
        "faults": sum(outcome.faults.values()),
    }


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """A line a seed, and their sum."""
    rows = [row(o) for o in outcomes]
    cells = [[str(r[c]) for c in COLUMNS] for r in rows]
    total = ["total", *(str(sum(r[c] for r in rows)) for c in COLUMNS[1:])]
    lines = [list(COLUMNS), *cells, total]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def offenders(outcome: Outcome) -> list[str]:
    """The first findings of each kind, each with all that is known of its messages."""
    lines: list[str] = []
    seen: dict[str, int] = {}
    for finding in outcome.verdict.findings:
        seen[finding.kind] = seen.get(finding.kind, 0) + 1
        if seen[finding.kind] <= SHOWN:
            lines += [f"{finding.kind}: {finding.text}", *_told(outcome, finding)]
    return lines


def _told(outcome: Outcome, finding: Finding) -> list[str]:
    found = {d["_id"]: d for d in outcome.history.docs}
    docs = [found[i] for i in finding.ids if i in found]
    texts = {str(d["content"].get("text")) for d in docs}
    lines = [f"    {json.dumps(_plain(d), default=str, ensure_ascii=False)}" for d in docs]
    began = outcome.history.answered[0].began if outcome.history.answered else 0.0
    taken = [t for t in outcome.history.taken if t.text in texts]
    return lines + [f"    taken by the provider at {t.at - began:.1f} s: {t.text!r} to {t.to}" for t in taken]


def _plain(doc: Doc) -> Doc:
    return {"text": doc["content"].get("text"), **{k: doc[k] for k in _KEPT if k in doc}}


def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        **row(outcome),
        "passed": outcome.verdict.passed,
        "rate": round(outcome.rate, 1),
        "left": outcome.verdict.left,
        "faults injected": outcome.faults,
        "findings": [{"kind": f.kind, "text": f.text, "ids": f.ids} for f in outcome.verdict.findings],
    }
