"""The brain that needs nobody: rules, small talk, then the tenant's own documents."""

import asyncio
from dataclasses import replace

from brain.cache import BUDGET, IndexCache
from brain.embed import Embedder
from brain.index import Index, build
from brain.parse.encoding import clean
from brain.port import Provider
from brain.providers.local import Quote
from brain.rules import match_rule
from brain.small_talk import small_talk
from brain.support import Found, find
from gateway.model.ports import Answer, KnowledgeStore, Question

PASSAGES = 5
"""How many passages a provider is given."""


class LocalBrain:
    """Implements `gateway.model.ports.Brain`. One for the whole process, shared by all tenants.

    `provider` words the answer; without one it is quoted. Whether there is an answer at all is decided here,
    the same for every provider. `budget` is in bytes, for the indexes in memory.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        embedder: Embedder,
        provider: Provider | None = None,
        budget: int = BUDGET,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._provider = provider or Quote(embedder)
        self._indexes = IndexCache(budget)

    async def answer(self, question: Question) -> Answer:
        """A rule's answer, a courtesy, the documents' answer, or one that is not known. The store's errors
        pass through."""
        if early := self.without_search(question):
            return early
        found = await self.find(question, PASSAGES)
        return await self.conclude(question, found)

    def without_search(self, question: Question) -> Answer | None:
        """The answer that needs no document: of a rule, to a greeting, to a message without text."""
        text = clean(question.text).strip()
        if not text:
            return Answer(known=False)
        if rule := match_rule(question.rules, text):
            return Answer(True, rule.answer, score=1.0, by="rule")
        if said := small_talk(text):
            return Answer(True, said, score=1.0, by="local")
        return None

    async def find(self, question: Question, top: int, judged: int = 1) -> Found:
        """Passages for a question, best first, whether or not they support an answer."""
        index = await self._indexes.get(
            question.tenant, question.version, lambda: self._build(question.tenant)
        )
        return await find(index, self._embedder, clean(question.text).strip(), top, judged)

    async def conclude(self, question: Question, found: Found) -> Answer:
        """The provider's answer from passages that support one."""
        if not found.known:
            score = found.passages[0].support if found.passages else 0.0
            return Answer(known=False, score=score, by=self._provider.name)
        asked = replace(question, text=clean(question.text).strip())
        return await self._provider.answer(asked, found.passages)

    async def _build(self, tenant: str) -> Index:
        chunks = await self._store.chunks(tenant)
        documents = await self._store.documents(tenant)
        return await asyncio.to_thread(build, chunks, documents, self._embedder.dimensions)
