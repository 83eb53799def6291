"""Measures retrieval, answers and refusals on questions whose answers are known.

`python -m brain.evaluate QUESTIONS.jsonl NAME=FOLDER…` prints a table for each split, then what went wrong. A
line has `corpus` (a NAME), `split`, `question`, and, if the corpus answers it, `document` (a file's name) and
`expect` (texts that a right answer contains, all of them).
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from brain.answerer import Answerer, local_answerer
from brain.embed import Embedder, LocalEmbedder
from brain.index import ENGLISH, OTHER, Asked, Index, Weights, build
from brain.ingest import add_path, document_id
from brain.memory import MemoryKnowledge
from brain.port import Scored
from brain.rewrite import rewrite
from brain.support import Features, find, hear
from gateway.model.answers import Answer, Question, Said
from gateway.model.errors import Invalid

WAYS = {"words": Weights(1, 0), "meaning": Weights(0, 1), "fused": None}
"""Retrieval alone, by BM25, by vectors, and by both as the brain weighs them."""

_TOP = 10


@dataclass(frozen=True, slots=True)
class Case:
    """A question. `document` is None if the corpus has no answer."""

    corpus: str
    split: str
    question: str
    document: str | None = None
    expect: tuple[str, ...] = ()
    language: str = "en"
    earlier: tuple[str, ...] = ()
    """What the customer asked before, the latest last."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to a case: its right passage's rank by each way (0: not among the first ten), the final
    one's as `ranked`, the answer, and whether that is right."""

    case: Case
    ranks: Mapping[str, int]
    answer: Answer
    right: bool
    features: Features | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Shares of a split: `hit1`, `hit3` and `mrr` by way; of the answerable questions those answered rightly
    and wrongly (the rest was refused); of the others those refused."""

    questions: int
    hit1: Mapping[str, float]
    hit3: Mapping[str, float]
    mrr: Mapping[str, float]
    answered: float
    wrong: float
    refused: float


def load(path: Path) -> list[Case]:
    """The cases of a file of JSON lines."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [
        Case(**{**row, "expect": tuple(row.get("expect", ())), "earlier": tuple(row.get("earlier", ()))})
        for row in rows
    ]


async def measure(cases: Sequence[Case], corpora: Mapping[str, Path], embedder: Embedder) -> list[Outcome]:
    """Every case through ingestion, search and answer, as in service."""
    store = MemoryKnowledge()
    for name, folder in corpora.items():
        await add_path(store, embedder, name, folder, datetime.now(UTC), base=folder)
    brain = local_answerer(store, embedder)
    indexes = {
        name: build(
            await store.chunks(name), await store.documents(name), (), embedder.model, embedder.dimensions
        )
        for name in corpora
    }
    return [await _outcome(case, indexes[case.corpus], brain, embedder) for case in cases]


def summarise(outcomes: Iterable[Outcome]) -> Summary:
    """The shares over some outcomes."""
    every = list(outcomes)
    answerable = [outcome for outcome in every if outcome.case.document]
    others = [outcome for outcome in every if not outcome.case.document]
    ways = [*WAYS, "ranked"]
    ranks = {way: [outcome.ranks[way] for outcome in answerable] for way in ways}
    return Summary(
        len(every),
        {way: _mean(rank == 1 for rank in ranks[way]) for way in ways},
        {way: _mean(0 < rank <= 3 for rank in ranks[way]) for way in ways},
        {way: _mean(1 / rank if rank else 0 for rank in ranks[way]) for way in ways},
        _mean(outcome.right for outcome in answerable),
        _mean(outcome.answer.known and not outcome.right for outcome in answerable),
        _mean(not outcome.answer.known for outcome in others),
    )


def table(name: str, summary: Summary) -> str:
    """The summary as text."""
    lines = [f"{name} ({summary.questions} questions)", f"  {'':10}{'hit@1':>8}{'hit@3':>8}{'MRR':>8}"]
    for way in summary.hit1:
        scores = (summary.hit1[way], summary.hit3[way], summary.mrr[way])
        lines.append(f"  {way:10}" + "".join(f"{score:8.3f}" for score in scores))
    lines.append(
        f"  answered rightly {summary.answered:.3f}, wrongly {summary.wrong:.3f}; "
        f"refused what has no answer {summary.refused:.3f}"
    )
    return "\n".join(lines)


async def _outcome(case: Case, index: Index, brain: Answerer, embedder: Embedder) -> Outcome:
    earlier = tuple(Said("customer", text) for text in case.earlier)
    heard = await hear(embedder, rewrite(case.question, earlier))
    asked = Asked(heard.terms, heard.vector)
    usual = ENGLISH if heard.english else OTHER
    ranks = {way: _rank(case, index.search(asked, weights or usual, _TOP)) for way, weights in WAYS.items()}
    found = await find(index, embedder, heard, _TOP)
    ranks["ranked"] = _rank(case, found.passages)
    answer = await brain.answer(Question(case.corpus, case.question, earlier=earlier))
    right = answer.known and bool(case.document) and _holds(case, answer.text)
    return Outcome(case, ranks, answer, right, found.features[0] if found.features else None)


def _rank(case: Case, found: Sequence[Scored]) -> int:
    if not case.document:
        return 0
    own = document_id(case.corpus, case.document)
    for rank, scored in enumerate(found, 1):
        text = f"{scored.passage.question or ''} {scored.passage.text}"
        if scored.passage.document == own and _holds(case, text):
            return rank
    return 0


def _holds(case: Case, text: str) -> bool:
    return all(part.lower() in text.lower() for part in case.expect)


def _mean(values: Iterable[float]) -> float:
    every = list(values)
    return sum(every) / len(every) if every else 0.0


CASES = Path(__file__).parent.parent / "tests" / "brain" / "eval.jsonl"


def builtin_corpora() -> dict[str, Path]:
    """The folders of the evaluation that comes with the source."""
    folders = sorted((CASES.parent / "corpora").iterdir()) if CASES.exists() else []
    return {"lumen": CASES.parent.parent.parent / "samples"} | {f.name: f for f in folders if f.is_dir()}


async def builtin(embedder: Embedder) -> tuple[str, dict[str, dict[str, Any]]]:
    """The committed evaluation: its tables as text, and its figures by split. Raises Invalid where it is not installed."""
    if not CASES.exists():
        raise Invalid("--builtin", f"the source tree, with {CASES.name} and its documents under tests/brain")
    cases = load(CASES)
    outcomes = await measure(cases, builtin_corpora(), embedder)
    parts, value = [], {}
    for name, group in _groups(outcomes).items():
        summary = summarise(group)
        parts.append(table(name, summary))
        value[name] = asdict(summary)
    return "\n".join(parts), value


ENGLISH_SPLITS = ("tune", "held", "blind", "fresh")
UNSEEN = ("blind", "fresh")
SPECIAL = {
    "cross": "asked in another language than the documents'",
    "follow": "follow-ups on what was asked before",
}


def _groups(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """What is worth a table of its own."""
    english = [o for o in outcomes if o.case.split in ENGLISH_SPLITS]
    groups = {
        "every question": list(outcomes),
        "English": english,
        "English, not fitted": [o for o in english if o.case.split in UNSEEN],
    }
    alone = [o for o in outcomes if o.case.split not in (*ENGLISH_SPLITS, *SPECIAL)]
    for language in sorted({o.case.language for o in alone}):
        groups[language] = [o for o in alone if o.case.language == language]
    return groups | {text: [o for o in outcomes if o.case.split == split] for split, text in SPECIAL.items()}


def main(arguments: Sequence[str]) -> None:
    cases = load(Path(arguments[0]))
    corpora = {name: Path(folder) for name, _, folder in (part.partition("=") for part in arguments[1:])}
    outcomes = asyncio.run(measure(cases, corpora, LocalEmbedder()))
    for split in dict.fromkeys(case.split for case in cases):
        print(table(split, summarise(outcome for outcome in outcomes if outcome.case.split == split)))
    for outcome in outcomes:
        if outcome.right != bool(outcome.case.document) or (
            outcome.answer.known and not outcome.case.document
        ):
            print(_fault(outcome))


def _fault(outcome: Outcome) -> str:
    case, answer = outcome.case, outcome.answer
    said = answer.text.replace("\n", " / ")[:120] if answer.known else "(refused)"
    name = PurePath(case.document).name if case.document else "no answer"
    return f"{case.split}: {case.question} [{name}] {answer.score:.2f} rank {outcome.ranks['ranked']}: {said}"


if __name__ == "__main__":
    main(sys.argv[1:])
