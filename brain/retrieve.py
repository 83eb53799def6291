"""From a question to the passages that may answer it, best first, each with its support."""

import asyncio

from brain.cache import BUDGET, IndexCache
from brain.embed import Embedder
from brain.index import Index, build
from brain.parse.encoding import clean
from brain.port import RemoteOf, no_remote
from brain.support import Found, find
from gateway.model.answers import Question
from gateway.model.knowledge import KnowledgeStore


class Retriever:
    """One for the whole process, shared by all tenants. `budget` is in bytes, for the indexes in memory."""

    def __init__(
        self,
        store: KnowledgeStore,
        embedder: Embedder,
        remote: RemoteOf = no_remote,
        budget: int = BUDGET,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._remote = remote
        self._indexes = IndexCache(budget)

    async def find(self, question: Question, top: int, judged: int = 1) -> Found:
        """Passages for a question, best first, whether or not they support an answer. The store's errors pass
        through; a provider's do not: then what is here has to do."""
        index = await self._indexes.get(
            question.tenant, question.version, lambda: self._build(question.tenant)
        )
        return await find(index, self._embedder, clean(question.text).strip(), top, judged)

    async def _build(self, tenant: str) -> Index:
        chunks = await self._store.chunks(tenant)
        documents = await self._store.documents(tenant)
        return await asyncio.to_thread(build, chunks, documents, self._embedder.dimensions)
