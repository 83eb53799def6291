"""Answers over the API: how the bot answers, what that costs, and what it would say."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from brain.answerer import Answerer
from brain.ask import Asked, ask
from brain.providers.registry import Operator, account_of
from gateway.answer_settings import changed, day_of, seen, with_key
from gateway.api.openapi import Operation
from gateway.api.shapes import Shape
from gateway.model.answers import AnswerSettings, Question, Said
from gateway.model.content import Source
from gateway.model.errors import Conflict, NotFound
from gateway.model.ports import Clock
from gateway.model.spending import Spent
from gateway.model.tenant import Tenant
from gateway.store import Store

ATTEMPTS = 5
"""How often settings are read and written again where somebody else wrote between."""


class CapsShape(Shape):
    """What may be spent in a day (UTC); null: no bound. Money in millionths of USD."""

    conversation_tokens: int | None
    contact_tokens: int | None
    tenant_tokens: int | None
    conversation_money: int | None
    contact_money: int | None
    tenant_money: int | None


class AnswersShape(Shape):
    answered_by: Annotated[str, Field(description="Who answers with these settings: local, cohere or openai")]
    has_key: Annotated[bool, Field(description="Whether the tenant has a key of its own; it is never shown")]
    provider: str
    model: str | None
    smaller: str | None
    address: str | None
    tone: str
    length: str
    languages: list[str]
    forbidden: list[str]
    greeting: str | None
    instructions: str
    hand_over: str
    links: list[str]
    threshold: float | None
    cache: bool
    stream: bool
    holding: bool
    prices: dict[str, list[int]]
    caps: CapsShape


class AnswersChange(Shape):
    """What is left out stays; null takes a setting back to its default (of a bound: removes it)."""

    provider: Literal["auto", "local", "cohere", "openai"] | None = None
    model: str | None = None
    smaller: str | None = None
    address: str | None = None
    tone: Literal["neutral", "friendly", "formal"] | None = None
    length: Literal["short", "medium", "long"] | None = None
    languages: list[str] | None = None
    forbidden: list[str] | None = None
    greeting: str | None = None
    instructions: str | None = None
    hand_over: Literal["offer", "queue", "nothing"] | None = None
    links: list[str] | None = None
    threshold: float | None = None
    cache: bool | None = None
    stream: bool | None = None
    holding: bool | None = None
    prices: dict[str, list[int]] | None = None
    caps: Annotated[
        dict[str, JsonValue] | None, Field(description='Bounds by name, such as {"contact_tokens": 50000}')
    ] = None


class KeyBody(Shape):
    key: Annotated[
        str | None, Field(max_length=500, description="The provider's key; null forgets it", repr=False)
    ]


class SpentQuery(Shape):
    day: Annotated[str | None, Field(description="Such as 2026-11-22 (UTC); today without it")] = None


class SpentRow(Shape):
    scope: Literal["tenant", "contact", "conversation"]
    id: str
    tokens: int
    money: Annotated[int, Field(description="Millionths of USD")]
    calls: int

    @classmethod
    def of(cls, s: Spent) -> "SpentRow":
        return cls(scope=s.scope, id=s.id, tokens=s.tokens, money=s.money, calls=s.calls)


class SpentList(Shape):
    day: date
    items: list[SpentRow]


class SaidShape(Shape):
    who: Literal["customer", "bot"]
    text: Annotated[str, Field(max_length=2000)]


class AskBody(Shape):
    """As a customer would ask. The provider is asked, and it counts on the tenant's bounds."""

    text: Annotated[str, Field(min_length=1, max_length=4000)]
    language: Annotated[str | None, Field(max_length=16)] = None
    channel: Annotated[str | None, Field(description="As on this channel: its collections, its links")] = None
    earlier: Annotated[list[SaidShape], Field(max_length=6)] = Field(default_factory=list)
    draft: Annotated[bool, Field(description="Ask the documents as they would be after publishing")] = False
    top: Annotated[int, Field(ge=1, le=20, description="How many passages to show")] = 5


class SourceShape(Shape):
    title: str
    url: str | None
    page: int | None

    @classmethod
    def of(cls, s: Source) -> "SourceShape":
        return cls(title=s.title, url=s.url, page=s.page)


class FoundPassage(Shape):
    text: str
    source: SourceShape
    support: float
    fused: float
    bm25: float
    cosine: float


class CitedShape(Shape):
    start: int
    end: int
    sources: list[int]


class AnswerShape(Shape):
    known: bool
    text: str
    by: str
    why: str
    score: float
    threshold: float
    asked: Annotated[str, Field(description="The question as it was searched for, if rewritten")]
    failed: Annotated[list[str], Field(description="Codes of providers that were asked in vain")]
    sources: list[SourceShape]
    cited: list[CitedShape]
    choices: list[str]
    form: str | None
    hand_over: bool
    tokens: int
    money: int
    passages: list[FoundPassage]

    @classmethod
    def of(cls, asked: Asked) -> "AnswerShape":
        a = asked.answer
        same = {
            f: getattr(a, f) for f in ("known", "text", "by", "why", "score", "asked", "form", "hand_over")
        }
        return cls(
            **same,
            threshold=asked.threshold,
            failed=list(a.failed),
            sources=[SourceShape.of(s) for s in a.sources],
            cited=[CitedShape(start=c.start, end=c.end, sources=list(c.sources)) for c in a.cited],
            choices=list(a.choices),
            tokens=a.used.tokens,
            money=a.used.money,
            passages=[
                FoundPassage(
                    text=p.passage.text,
                    source=SourceShape.of(p.passage.source),
                    support=p.support,
                    fused=p.fused,
                    bm25=p.bm25,
                    cosine=p.cosine,
                )
                for p in asked.passages
            ],
        )


class AnswerOperations:
    def __init__(self, store: Store, brain: Answerer, operator: Operator, clock: Clock) -> None:
        self._store = store
        self._brain = brain
        self._operator = operator
        self._clock = clock
        tag = "answers"
        self.operations = (
            Operation("GET", "/answers", "How the bot answers", self.get_answers, AnswersShape, tag=tag),
            Operation(
                "PATCH", "/answers", "Change how it answers", self.change_answers, AnswersShape, body=AnswersChange, tag=tag
            ),
            Operation("PUT", "/answers/key", "Set the provider's key", self.set_answers_key, None, body=KeyBody, tag=tag),
            Operation("GET", "/answers/spent", "What was spent", self.get_spent, SpentList, query=SpentQuery, tag=tag),
            Operation("POST", "/answers/ask", "What the bot would answer", self.ask_bot, AnswerShape, body=AskBody, tag=tag),
        )  # fmt: skip

    async def get_answers(self, tenant: str) -> AnswersShape:
        """The tenant's settings, never its key. Hours, forms and rules are not among them."""
        found = await self._store.directory.tenant(tenant)
        return AnswersShape(answered_by=account_of(found, self._operator).provider, **seen(found))

    async def change_answers(self, tenant: str, body: AnswersChange) -> AnswersShape:
        """Change some settings. Another provider or address forgets the key: give the new one afterwards."""
        given: dict[str, Any] = body.model_dump(exclude_unset=True)
        caps = given.pop("caps", None) or {}
        given |= {f"cap_{name}": value for name, value in caps.items()}

        def after(found: Tenant) -> tuple[AnswerSettings, dict[str, str | None]]:
            settings = changed(found.answers, given, self._operator.internal, _named)
            return settings, with_key(found, settings, None)[0]

        await self._write(tenant, after)
        return await self.get_answers(tenant)

    async def _write(
        self, tenant: str, after: Callable[[Tenant], tuple[AnswerSettings, dict[str, str | None]]]
    ) -> None:
        """What becomes of the tenant as it is now: nothing that somebody else sets meanwhile is lost."""
        directory = self._store.directory
        for left in reversed(range(ATTEMPTS)):
            found = await directory.tenant(tenant)
            try:
                await directory.set_answers(tenant, *after(found), rev=found.rev)
                return
            except Conflict:
                if not left:
                    raise

    async def set_answers_key(self, tenant: str, body: KeyBody) -> None:
        """Set or forget the tenant's own key with its provider. It is sealed and never shown again."""
        key = "none" if body.key is None else body.key
        await self._write(
            tenant, lambda found: (found.answers, with_key(found, found.answers, key, "body.key")[0])
        )

    async def get_spent(self, tenant: str, query: SpentQuery) -> SpentList:
        """What was spent on providers on a day: the tenant in all, then the dearest contacts and conversations. What is
        reserved for calls under way is in it."""
        day = day_of("query.day", query.day, self._clock())
        found = await self._store.spending.spent(tenant, day)
        return SpentList(day=day, items=[SpentRow.of(s) for s in found])

    async def ask_bot(self, tenant: str, body: AskBody) -> AnswerShape:
        """What the bot would answer, with the passages that were found and their scores. Nobody is sent anything."""
        found = await self._store.directory.tenant(tenant)
        channel = await self._store.directory.channel(body.channel) if body.channel else None
        if channel is not None and channel.tenant != tenant:
            raise NotFound(channel.id)
        question = Question(
            tenant,
            body.text,
            found.rules,
            found.knowledge,
            body.language or found.language,
            channel=body.channel,
            earlier=tuple(Said(s.who, s.text) for s in body.earlier),
            settings=found.answers,
            business=found.name,
            rev=found.rev,
            at=self._clock(),
            draft=body.draft,
            links=(*channel.site.links, *channel.origins) if channel else (),
        )
        return AnswerShape.of(await ask(self._brain, question, body.top))


def _named(name: str) -> str:
    return f"body.caps.{name.removeprefix('cap_')}" if name.startswith("cap_") else f"body.{name}"
