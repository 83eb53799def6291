"""From a question to the passages that may answer it, best first, each with its support.

What a tenant's account with a provider offers (vectors, a reranker) is used within a short time; where it fails, what is here
has to do, in the same call.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from loguru import logger

from brain.cache import BUDGET, IndexCache
from brain.embed import Embedder
from brain.index import Index, Scope, build
from brain.parse.encoding import clean
from brain.port import IndexedPassage, ProviderError, Remote, RemoteOf, Reranker, Scored, Vectors, no_remote
from brain.rewrite import rewrite
from brain.support import MAX_QUESTION, RERANKED, Found, Heard, find, hear, ranked_again
from gateway.model.answers import Question
from gateway.model.errors import ParleyError
from gateway.model.knowledge import KnowledgeStore

EMBED_SECONDS = 1.5
RERANK_SECONDS = 2.0

NEAREST = 200
"""Passages that a database with vector search is asked for."""

READS = 2
"""How often documents and passages are read again where they don't fit each other."""

T = TypeVar("T")


class VectorSearch(Protocol):
    """A database that finds passages by a provider's vectors itself (gateway/store/vector_search.py)."""

    async def nearest(
        self, tenant: str, vector: Sequence[float], documents: Sequence[str] | None, limit: int
    ) -> list[tuple[str, int, float]] | None:
        """Document, position and cosine of the nearest passages of these documents (None: of all); None where it can't."""


class Retriever:
    """One for the whole process, shared by all tenants. `budget` is in bytes, for the indexes in memory."""

    def __init__(
        self,
        store: KnowledgeStore,
        embedder: Embedder,
        remote: RemoteOf = no_remote,
        budget: int = BUDGET,
        search: VectorSearch | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._remote = remote
        self._search = search
        self._indexes = IndexCache(budget)

    async def find(self, question: Question, top: int, judged: int = 1) -> Found:
        """Passages for a question, best first, whether or not they support an answer. The store's errors pass
        through; a provider's do not: then what is here has to do."""
        text = clean(question.text).strip()
        whole = rewrite(text, question.earlier)[:MAX_QUESTION]
        index = await self.index(question)
        stale = not question.draft and not self._indexes.is_of(question.tenant, question.version, index)
        scope = Scope(question.channel, question.language)
        failed: list[str] = []
        remote = await self._offered(question, failed)
        vector = await _vector(remote, index, whole, failed)
        asked = await hear(self._embedder, whole, vector)
        if vector is not None and self._search is not None and not question.draft:
            asked = replace(asked, near_by=await self._nearest(self._search, index, question, scope, vector))
        found = None
        if remote.reranker is not None:
            found = await _reranked(remote.reranker, index, asked, scope, top, failed)
        if found is None:
            found = await find(index, self._embedder, asked, top, judged, scope)
        return replace(
            found,
            asked=whole if whole != text[:MAX_QUESTION] else "",
            failed=tuple(dict.fromkeys(failed)),
            threshold=question.settings.threshold,
            stale=stale,
        )

    async def index(self, question: Question) -> Index:
        """The index that a question is for."""
        tenant = question.tenant
        if not question.draft:
            return await self._indexes.get(tenant, question.version, lambda: self._build(tenant, False))
        # Writing a draft raises no version: what it is made of tells one from another.
        documents = await self._store.documents(tenant, draft=True)
        told = "\n".join(f"{d.id} {d.checksum} {d.added} {d.collection} {d.draft}" for d in documents)
        version = int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "big")
        return await self._indexes.get(
            f"draft:{tenant}", version, lambda: self._build(tenant, True), patience=None
        )

    async def _build(self, tenant: str, draft: bool) -> Index:
        chunks, documents = (
            await self._store.chunks(tenant, draft),
            await self._store.documents(tenant, draft),
        )
        for _ in range(READS):
            held = Counter(c.document for c in chunks)
            if all(held[d.id] == d.chunks for d in documents):
                break
            # A document was replaced between the two: its old passages are gone. They are read again.
            chunks, documents = (
                await self._store.chunks(tenant, draft),
                await self._store.documents(tenant, draft),
            )
        collections = await self._store.collections(tenant)
        return await asyncio.to_thread(
            build, chunks, documents, collections, self._embedder.model, self._embedder.dimensions
        )

    async def _nearest(
        self, search: VectorSearch, index: Index, question: Question, scope: Scope, vector: Vectors
    ) -> Vectors | None:
        """The provider's cosines by the database, by place in the index; None: the index has to tell them."""
        told = await search.nearest(question.tenant, vector.tolist(), index.within(scope), NEAREST)
        return None if told is None else index.placed(told)

    async def _offered(self, question: Question, failed: list[str]) -> Remote:
        return await _within(self._remote(question), EMBED_SECONDS, failed) or Remote()


async def _vector(remote: Remote, index: Index, text: str, failed: list[str]) -> Vectors | None:
    """The provider's vector of a question, where every passage has one of the same model."""
    if remote.embedder is None or not index.remote_model or index.remote_model != remote.embedder.model:
        return None
    rows = await _within(remote.embedder.embed([text], "question"), EMBED_SECONDS, failed)
    return rows[0] if rows is not None and len(rows) == 1 else None


async def _reranked(
    reranker: Reranker, index: Index, asked: Heard, scope: Scope, top: int, failed: list[str]
) -> Found | None:
    found = asked.search(index, max(RERANKED, top), scope)
    if not found:
        return None
    relevance = await _within(reranker.rerank(asked.text, [_shown(s) for s in found]), RERANK_SECONDS, failed)
    if relevance is None or len(relevance) != len(found):
        return None
    return ranked_again(index, asked, found, relevance, top)


def _shown(scored: Scored) -> str:
    passage: IndexedPassage = scored.passage
    return "\n".join(
        (
            *(passage.headings or (passage.title,)),
            *([passage.question] if passage.question else []),
            passage.text,
        )
    )


async def _within(call: Awaitable[T], seconds: float, failed: list[str]) -> T | None:
    """What a provider answers, or None: its fault, or no answer in time."""
    try:
        async with asyncio.timeout(seconds):
            return await call
    except ProviderError as error:
        failed.append(error.code)
    except TimeoutError:
        failed.append("provider:slow")
    except ParleyError:
        # Its cost could not be counted: nothing is spent uncounted.
        failed.append("provider:cap")
    except Exception as error:
        # Whatever a provider says (numbers past every bound, …), it is not the customer's problem.
        failed.append("provider:broken")
        logger.error("a fault of ours with a provider's vectors or order: {}", type(error).__name__)
    return None
