"""A brain with providers that are real servers: documents in memory, spending counted in memory, a listener that remembers."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import aiohttp

from brain.answerer import Answerer
from brain.circuit import Circuits
from brain.embed import Embedder
from brain.memory import MemoryKnowledge
from brain.port import Account, no_remote
from brain.providers.local import Quote
from brain.providers.registry import Providers
from brain.retrieve import Retriever
from brain.spend import Meter
from brain.writer import Patience
from gateway.model.answers import Answer, AnswerSettings, Question
from gateway.model.knowledge import Chunk, Document
from gateway.model.spending import Bound, Spent
from tests.providers.models import ModelStandIn

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@dataclass
class Heard:
    """Implements `Listener`."""

    said_so_far: list[str] = field(default_factory=list)

    async def said(self, text: str) -> None:
        self.said_so_far.append(text)

    @property
    def shown(self) -> str:
        return self.said_so_far[-1] if self.said_so_far else ""

    def grew(self) -> bool:
        """Whether every text went on from the one before, or took it back."""
        pairs = zip(self.said_so_far, self.said_so_far[1:], strict=False)
        return all(not later or not earlier or later.startswith(earlier) for earlier, later in pairs)


@dataclass
class MemorySpending:
    """Implements `Spending`, for one process."""

    kept: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)

    async def reserve(
        self, tenant: str, day: date, bounds: Sequence[Bound], tokens: int, money: int
    ) -> Bound | None:
        for bound in bounds:
            have = self.kept.get((tenant, bound.scope, bound.id), [0, 0])
            if (bound.tokens is not None and have[0] >= bound.tokens) or (
                bound.money is not None and have[1] >= bound.money
            ):
                return bound
        await self.settle(tenant, day, bounds, tokens, money)
        return None

    async def settle(self, tenant: str, day: date, bounds: Sequence[Bound], tokens: int, money: int) -> None:
        for bound in bounds:
            have = self.kept.setdefault((tenant, bound.scope, bound.id), [0, 0])
            have[0] += tokens
            have[1] += money

    async def spent(self, tenant: str, day: date) -> list[Spent]:
        return [Spent(s, i, day, *have) for (t, s, i), have in self.kept.items() if t == tenant]  # type: ignore[arg-type]


@dataclass
class Rig:
    """A brain of the tenant `t`; `account` is what its provider is asked with."""

    brain: Answerer
    knowledge: MemoryKnowledge
    embedder: Embedder
    spending: MemorySpending
    providers: Providers
    circuits: Circuits
    account: dict[str, Account]
    now: list[float]

    async def knows(
        self,
        *passages: str,
        tenant: str = "t",
        title: str = "Guide",
        url: str | None = None,
        ident: str = "d",
    ) -> None:
        """A document of these passages, each as `heading: text`."""
        vectors = await self.embedder.embed(list(passages))
        chunks = []
        for place, passage in enumerate(passages):
            heading, _, text = passage.partition(": ")
            vector = vectors[place].astype("<f2").tobytes()
            chunks.append(
                Chunk(
                    f"{ident}:{place}",
                    ident,
                    place,
                    text or heading,
                    (heading,) if text else (),
                    vector=vector,
                )
            )
        document = Document(
            ident, tenant, title, f"{ident}.md", "", len(chunks), NOW, url=url, local=self.embedder.model
        )
        await self.knowledge.put(tenant, document, chunks)

    def question(self, text: str, tenant: str = "t", **more: Any) -> Question:
        account = self.account.get(tenant)
        settings = account.settings if account else AnswerSettings()
        base = Question(
            tenant, text, version=self.knowledge.version(tenant), settings=settings, business="Lumen Bikes",
            conversation="c1", contact="p1",
        )  # fmt: skip
        return replace(base, **more)

    async def ask(self, text: str, heard: Heard | None = None, **more: Any) -> Answer:
        return await self.brain.answer(self.question(text, **more), heard)

    def account_of(self, provider: Any, stand_in: ModelStandIn, tenant: str = "t", **settings: Any) -> None:
        """The tenant's account with a stand-in."""
        path = "/v1" if provider == "openai" else ""
        own = AnswerSettings(provider=provider, address=stand_in.url + path if path else None, **settings)
        self.account[tenant] = Account(tenant, own, provider, stand_in.key, stand_in.url + path)


@asynccontextmanager
async def rigged(
    embedder: Embedder, patience: Patience | None = None, remote: bool = False
) -> AsyncIterator[Rig]:
    knowledge, spending, account = MemoryKnowledge(), MemorySpending(), dict[str, Account]()
    now = [time.monotonic()]

    async def find(tenant: str) -> Account:
        return account.get(tenant) or Account(tenant, AnswerSettings())

    async with aiohttp.ClientSession() as session:
        meter = Meter(spending, lambda: NOW)
        circuits = Circuits(lambda: now[0])
        providers = Providers(session, session, find, meter)
        brain = Answerer(
            Retriever(knowledge, embedder, providers.remote if remote else no_remote),
            embedder,
            Quote(embedder),
            providers.models,
            meter,
            circuits,
            patience,
        )
        yield Rig(brain, knowledge, embedder, spending, providers, circuits, account, now)
