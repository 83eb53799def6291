"""Golden questions, runs over them, and replays, over the API. What is asked at once is bounded: longer runs are the command's
(`knowledge eval`, `knowledge replay`)."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from pydantic import Field

from gateway.api import shapes
from gateway.api.openapi import Operation
from gateway.knowing import Knowing
from gateway.model.errors import NotFound
from gateway.model.golden import (
    MAX_QUESTION,
    MAX_TEXTS,
    Change,
    Difference,
    EvalRun,
    Figures,
    Golden,
    Side,
    Verdict,
    golden_id,
)
from gateway.model.ports import Clock
from gateway.store import Store

AT_ONCE = 50


class GoldenBody(shapes.Shape):
    """Either what the answer must contain or cite, or that it must be refused."""

    question: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION)]
    must_contain: Annotated[list[str], Field(max_length=MAX_TEXTS, default_factory=list)]
    must_cite: Annotated[
        str | None, Field(max_length=400, description="A part of a source's title or address")
    ] = None
    must_refuse: bool = False
    language: Annotated[str | None, Field(max_length=16)] = None
    channel: Annotated[str | None, Field(max_length=64, description="The channel that it is asked on")] = None


class FromAskedBody(shapes.Shape):
    must_contain: Annotated[list[str], Field(max_length=MAX_TEXTS, default_factory=list)]
    must_refuse: bool = False


class GoldenShape(shapes.Shape):
    id: str
    question: str
    added: datetime
    must_contain: list[str]
    must_cite: str | None
    must_refuse: bool
    language: str | None
    channel: str | None

    @classmethod
    def of(cls, g: Golden) -> "GoldenShape":
        same = {f: getattr(g, f) for f in cls.model_fields if f != "must_contain"}
        return cls(**same, must_contain=list(g.must_contain))


class GoldenList(shapes.Shape):
    items: list[GoldenShape]


class AskingBody(shapes.Shape):
    limit: Annotated[int, Field(ge=1, le=AT_ONCE)] = AT_ONCE
    provider: Annotated[
        bool, Field(description="Ask the tenant's provider, which costs; else only local")
    ] = False


class ReplayBody(AskingBody):
    days: Annotated[int, Field(ge=1, le=90)] = 30


class FiguresShape(shapes.Shape):
    """Shares, 0 to 1; null where no question counts towards it. Times in seconds, money in millionths of USD."""

    questions: int
    right: int
    hit1: float | None
    hit3: float | None
    mrr: float | None
    answered: float | None
    refused: float | None
    p50: float
    p95: float
    tokens: int
    money: int

    @classmethod
    def of(cls, f: Figures) -> "FiguresShape":
        return cls(**asdict(f))


class VerdictShape(shapes.Shape):
    golden: str
    question: str
    must_refuse: bool
    known: bool
    text: str
    sources: list[str]
    right: bool
    rank: int | None
    faults: list[str]
    by: str
    why: str
    score: float
    seconds: float

    @classmethod
    def of(cls, v: Verdict) -> "VerdictShape":
        made = ("sources", "faults")
        same = {f: getattr(v, f) for f in cls.model_fields if f not in made}
        return cls(**same, sources=list(v.sources), faults=list(v.faults))


class RunShape(shapes.Shape):
    id: str
    at: datetime
    version: int
    by: str
    figures: FiguresShape
    verdicts: list[VerdictShape]

    @classmethod
    def of(cls, r: EvalRun) -> "RunShape":
        return cls(
            id=r.id,
            at=r.at,
            version=r.version,
            by=r.by,
            figures=FiguresShape.of(r.figures),
            verdicts=[VerdictShape.of(v) for v in r.verdicts],
        )


class RunList(shapes.Shape):
    items: list[RunShape]


class SideShape(shapes.Shape):
    known: bool
    text: str
    sources: list[str]
    score: float

    @classmethod
    def of(cls, s: Side) -> "SideShape":
        return cls(known=s.known, text=s.text, sources=list(s.sources), score=s.score)


class DifferenceShape(shapes.Shape):
    question: str
    change: Change
    live: SideShape
    draft: SideShape
    asked: datetime | None
    count: int

    @classmethod
    def of(cls, d: Difference) -> "DifferenceShape":
        return cls(
            question=d.question,
            change=d.change,
            live=SideShape.of(d.live),
            draft=SideShape.of(d.draft),
            asked=d.asked,
            count=d.count,
        )


class ReplayShape(shapes.Shape):
    questions: int
    counts: Annotated[dict[str, int], Field(description="How many of each change")]
    differences: list[DifferenceShape]


class GoldenOperations:
    def __init__(self, store: Store, knowing: Knowing, clock: Clock) -> None:
        self._store = store
        self._knowing = knowing
        self._clock = clock
        tag, runs = "knowledge", "/evaluations"
        self.operations = (
            Operation("GET", "/goldens", "Golden questions", self.list_goldens, GoldenList, tag=tag),
            Operation("POST", "/goldens", "Add a golden question", self.add_golden, GoldenShape, body=GoldenBody, tag=tag),
            Operation("DELETE", "/goldens/{golden}", "Remove a golden question", self.remove_golden, None, tag=tag),
            Operation(
                "POST", "/questions/{asked}/golden", "Make a golden question of a real one", self.golden_from_asked,
                GoldenShape, body=FromAskedBody, tag=tag,
            ),
            Operation("POST", runs, "Ask the golden questions", self.run_evaluation, RunShape, body=AskingBody, tag=tag),
            Operation("GET", runs, "Earlier runs", self.list_evaluations, RunList, query=shapes.LimitQuery, tag=tag),
            Operation("GET", runs + "/{run}", "One run", self.get_evaluation, RunShape, tag=tag),
            Operation(
                "POST", "/replays", "What the drafts would change", self.replay_questions, ReplayShape, body=ReplayBody,
                tag=tag,
            ),
        )  # fmt: skip

    async def list_goldens(self, tenant: str) -> GoldenList:
        """All golden questions, in the order in which they were added."""
        return GoldenList(items=[GoldenShape.of(g) for g in await self._store.of(tenant).goldens.all()])

    async def add_golden(self, tenant: str, body: GoldenBody) -> GoldenShape:
        """Add a question with what a right answer is; the same question is replaced."""
        golden = Golden(
            golden_id(tenant, body.question, body.channel),
            tenant,
            body.question.strip(),
            self._clock(),
            tuple(body.must_contain),
            body.must_cite,
            body.must_refuse,
            body.language,
            body.channel,
        )
        await self._knowing.add(tenant, [golden])
        return GoldenShape.of(golden)

    async def remove_golden(self, tenant: str, golden: str) -> None:
        """Remove a golden question. Runs over it stay."""
        if not await self._store.of(tenant).goldens.remove(golden):
            raise NotFound(golden)

    async def golden_from_asked(self, tenant: str, asked: str, body: FromAskedBody) -> GoldenShape:
        """Make a golden question of one that a customer asked. Without `must_contain` and `must_refuse` it has to cite what it
        cited then."""
        made = await self._knowing.from_asked(tenant, asked, body.must_contain, body.must_refuse)
        return GoldenShape.of(made)

    async def run_evaluation(self, tenant: str, body: AskingBody) -> RunShape:
        """Ask the first golden questions, judge the answers, and keep the run."""
        return RunShape.of(await self._knowing.evaluate(tenant, body.limit, body.provider))

    async def list_evaluations(self, tenant: str, query: shapes.LimitQuery) -> RunList:
        """Earlier runs, the latest first, without their verdicts."""
        found = await self._store.of(tenant).eval_runs.latest(query.limit)
        return RunList(items=[RunShape.of(r) for r in found])

    async def get_evaluation(self, tenant: str, run: str) -> RunShape:
        """One run with the verdict on each question."""
        found = await self._store.of(tenant).eval_runs.get(run)
        if found is None:
            raise NotFound(run)
        return RunShape.of(found)

    async def replay_questions(self, tenant: str, body: ReplayBody) -> ReplayShape:
        """Ask the latest real questions again, of the live knowledge and of that with the drafts in it. Those whose answers
        would not be the same stand first."""
        found = await self._knowing.replay(tenant, body.days, body.limit, body.provider)
        return ReplayShape(
            questions=found.questions,
            counts=dict(found.counts),
            differences=[DifferenceShape.of(d) for d in found.differences],
        )
