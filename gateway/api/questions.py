"""Questions over the API: what was asked, what customers and agents think of the answers, and what has no answer yet."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from gateway.api import shapes
from gateway.api.openapi import Operation
from gateway.model.answers import Asked, Gap, Thumb
from gateway.model.errors import NotFound
from gateway.model.ports import Clock
from gateway.questions import Questions, since
from gateway.store import Store


class AskedQuery(shapes.Shape):
    days: Annotated[int, Field(ge=1, le=90)] = 30
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    thumb: Thumb | None = None


class GapQuery(shapes.Shape):
    state: Literal["open", "answered", "dismissed"] = "open"
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class AskedShape(shapes.Shape):
    id: str
    at: datetime
    question: str
    known: bool
    text: str
    by: str
    why: str
    score: float
    sources: list[str]
    conversation: str
    channel: str
    version: int
    language: str | None
    seconds: float
    tokens: int
    money: int
    thumb: Thumb | None
    agent_thumb: Thumb | None

    @classmethod
    def of(cls, a: Asked) -> "AskedShape":
        own = {f: getattr(a, f) for f in cls.model_fields if f not in ("sources", "tokens", "money")}
        return cls(**own, sources=[s.title for s in a.sources], tokens=a.used.tokens, money=a.used.money)


class AskedList(shapes.Shape):
    items: list[AskedShape]


class GapShape(shapes.Shape):
    id: str
    question: str
    count: int
    first: datetime
    last: datetime
    language: str | None
    examples: list[str]
    state: Literal["open", "answered", "dismissed"]
    document: str | None

    @classmethod
    def of(cls, g: Gap) -> "GapShape":
        return cls(**{**{f: getattr(g, f) for f in cls.model_fields}, "examples": list(g.examples)})


class GapList(shapes.Shape):
    items: list[GapShape]


class Rating(shapes.Shape):
    """What an agent thinks of an answer; null takes it back."""

    thumb: Thumb | None


class GapAnswer(shapes.Shape):
    answer: Annotated[str, Field(min_length=1, max_length=4000)]
    collection: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class Keeping(shapes.Shape):
    collection: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class Kept(shapes.Shape):
    document: str


class QuestionOperations:
    def __init__(self, store: Store, questions: Questions, clock: Clock) -> None:
        self._store = store
        self._questions = questions
        self._clock = clock
        one = "/gaps/{gap}"
        self.operations = (
            Operation(
                "GET", "/questions", "What was asked", self.list_asked, AskedList, query=AskedQuery, tag="answers"
            ),
            Operation(
                "PUT", "/questions/{asked}/thumb", "Rate an answer", self.rate_asked, None, body=Rating, tag="answers"
            ),
            Operation(
                "POST", "/messages/{message}/keep", "Keep an answer as knowledge", self.keep_answer, Kept, body=Keeping,
                tag="answers",
            ),
            Operation("GET", "/gaps", "What has no answer", self.list_gaps, GapList, query=GapQuery, tag="answers"),
            Operation("POST", one + "/answer", "Give it an answer", self.answer_gap, GapShape, body=GapAnswer, tag="answers"),
            Operation("POST", one + "/dismiss", "It needs no answer", self.dismiss_gap, GapShape, tag="answers"),
        )  # fmt: skip

    async def list_asked(self, tenant: str, query: AskedQuery) -> AskedList:
        """What the bot was asked in the last days, the latest first; with `thumb` what was rated so, by whomever."""
        start = since(self._clock(), query.days)
        asked = self._store.of(tenant).asked
        if query.thumb is None:
            return AskedList(items=[AskedShape.of(a) for a in await asked.latest(start, query.limit)])
        found = await asked.rated(start, query.thumb, query.limit)
        return AskedList(items=[AskedShape.of(a) for a in found])

    async def rate_asked(self, tenant: str, asked: str, body: Rating) -> None:
        """Say what an agent thinks of an answer. `asked` is the id of the customer's message."""
        if not await self._questions.rate(tenant, asked, body.thumb, agent=True):
            raise NotFound(f"no question {asked}")

    async def keep_answer(self, tenant: str, message: str, body: Keeping) -> Kept:
        """Keep what an agent answered in a conversation: with the question before it, it becomes a document of its own."""
        return Kept(document=await self._questions.keep(tenant, message, body.collection))

    async def list_gaps(self, tenant: str, query: GapQuery) -> GapList:
        """Questions that no document answers, grouped by what they mean, the latest asked first."""
        found = await self._store.of(tenant).gaps.of_state(query.state, query.limit)
        return GapList(items=[GapShape.of(g) for g in found])

    async def answer_gap(self, tenant: str, gap: str, body: GapAnswer) -> GapShape:
        """Write the answer: it becomes a document of its own, and the bot knows it at once."""
        done = await self._questions.answer(tenant, gap, body.answer, body.collection)
        return GapShape.of(done.gap)

    async def dismiss_gap(self, tenant: str, gap: str) -> GapShape:
        """It needs no answer. Asked again, it comes back."""
        return GapShape.of(await self._questions.dismiss(tenant, gap))
