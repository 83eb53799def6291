"""From a question to passages: follow-ups, a provider's vectors and reranker, drafts, and what happens when each fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pytest

from brain.embed import Embedder
from brain.ingest import add_file
from brain.memory import MemoryKnowledge
from brain.port import ProviderError, Remote, Vectors
from brain.retrieve import Retriever
from brain.support import RERANKED_CALIBRATION
from gateway.model.answers import AnswerSettings, Question, Said
from gateway.model.knowledge import Chunk, Document
from tests.brain.conftest import NOW, embedder, lumen_store, store

__all__ = ["embedder", "lumen_store", "store"]


@dataclass
class Remotes:
    """A provider that does as it is told, and notes what it was asked."""

    vector: list[float] | None = None
    relevance: dict[str, float] | None = None
    fails: str = ""
    hangs: bool = False
    model: str = "v4"
    dimensions: int = 2
    embedded: list[str] = field(default_factory=list)
    shown: list[list[str]] = field(default_factory=list)

    async def of(self, question: Question) -> Remote:
        return Remote(self if self.vector else None, self if self.relevance is not None else None)

    async def embed(self, texts: Sequence[str], kind: Literal["passage", "question"]) -> Vectors:
        self.embedded += texts
        await self._trouble()
        return np.array([self.vector], dtype=np.float32)

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        self.shown.append([question, *texts])
        await self._trouble()
        told = self.relevance or {}
        return [next((v for part, v in told.items() if part in text), 0.01) for text in texts]

    async def _trouble(self) -> None:
        if self.fails:
            raise ProviderError(self.fails, "no")
        if self.hangs:
            await asyncio.Event().wait()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brain.retrieve.EMBED_SECONDS", 0.02)
    monkeypatch.setattr("brain.retrieve.RERANK_SECONDS", 0.02)


async def with_remote(store: MemoryKnowledge) -> None:
    document = Document("d", "t", "Guide", "d", "", 2, NOW, local="none", embedded="v4")
    east = Chunk("d-0", "d", 0, "Alpha.", remote=b"\x7f\x00")
    north = Chunk("d-1", "d", 1, "Beta.", remote=b"\x00\x7f")
    await store.put("t", document, [east, north])


async def test_a_follow_up_is_searched_for_as_a_whole(
    lumen_store: MemoryKnowledge, embedder: Embedder
) -> None:
    retriever = Retriever(lumen_store, embedder)
    earlier = (Said("customer", "Do you rent tandems?"), Said("bot", "Yes."))
    found = await retriever.find(Question("lumen", "how much is it per day?", earlier=earlier), 3)
    assert "Tandem" in found.passages[0].passage.text
    assert found.asked == "rent tandems how much is it per day?"
    assert not (await retriever.find(Question("lumen", "Do you rent tandems?", earlier=earlier), 3)).asked


async def test_a_question_in_another_language_than_the_documents(
    lumen_store: MemoryKnowledge, embedder: Embedder
) -> None:
    found = await Retriever(lumen_store, embedder).find(Question("lumen", "¿Dónde está la tienda?"), 3)
    assert "14 Harbour Lane" in found.passages[0].passage.text


async def test_a_providers_vectors_are_used(store: MemoryKnowledge, embedder: Embedder) -> None:
    await with_remote(store)
    for vector, text in (([1.0, 0.0], "Alpha."), ([0.0, 1.0], "Beta.")):
        remotes = Remotes(vector)
        found = await Retriever(store, embedder, remotes.of).find(Question("t", "zzz", version=1), 2)
        assert found.passages[0].passage.text == text
        assert remotes.embedded == ["zzz"]


async def test_vectors_of_another_model_are_not_asked_for(store: MemoryKnowledge, embedder: Embedder) -> None:
    await with_remote(store)
    remotes = Remotes([1.0, 0.0], model="v5")
    await Retriever(store, embedder, remotes.of).find(Question("t", "zzz", version=1), 2)
    assert remotes.embedded == []


@pytest.mark.parametrize("trouble", [{"fails": "provider:limit"}, {"hangs": True}])
async def test_what_is_here_has_to_do_where_the_provider_fails(
    lumen_store: MemoryKnowledge, embedder: Embedder, impatient: None, trouble: dict[str, Any]
) -> None:
    question = Question("lumen", "How long is the warranty on the frame?")
    local = await Retriever(lumen_store, embedder).find(question, 3)
    remotes = Remotes(relevance={}, **trouble)
    found = await Retriever(lumen_store, embedder, remotes.of).find(question, 3)
    assert remotes.shown
    assert found.passages == local.passages
    assert found.known
    assert found.failed == (trouble.get("fails", "provider:slow"),)


async def test_the_vectors_failing_leaves_words_and_meaning(
    store: MemoryKnowledge, embedder: Embedder, impatient: None
) -> None:
    await with_remote(store)
    found = await Retriever(store, embedder, Remotes([1.0, 0.0], hangs=True).of).find(
        Question("t", "beta", version=1), 2
    )
    assert found.passages[0].passage.text == "Beta."
    assert found.failed == ("provider:slow",)


async def test_a_reranker_decides_the_order_and_the_support(
    lumen_store: MemoryKnowledge, embedder: Embedder
) -> None:
    question = Question("lumen", "How much is a city bike?")
    remotes = Remotes(relevance={"Tandem": 0.9, "folding": 0.2})
    found = await Retriever(lumen_store, embedder, remotes.of).find(question, 3)
    assert "Tandem" in found.passages[0].passage.text
    assert found.calibration is RERANKED_CALIBRATION
    assert found.known
    assert len(remotes.shown[0]) > 20
    nothing = await Retriever(lumen_store, embedder, Remotes(relevance={"x": 0.01}).of).find(question, 3)
    assert not nothing.known


async def test_a_tenants_own_threshold(lumen_store: MemoryKnowledge, embedder: Embedder) -> None:
    question = Question("lumen", "How long is the warranty on the frame?")
    retriever = Retriever(lumen_store, embedder)
    assert (await retriever.find(question, 1)).known
    strict = replace(question, settings=AnswerSettings(threshold=1.0))
    assert not (await retriever.find(strict, 1)).known


class Changing(MemoryKnowledge):
    """A store in which a document is replaced between the reading of passages and of documents."""

    broken = 1

    async def chunks(self, tenant: str, draft: bool = False) -> list[Chunk]:
        found = await super().chunks(tenant, draft)
        if self.broken:
            self.broken -= 1
            return []
        return found


async def test_documents_and_passages_are_read_until_they_fit(embedder: Embedder) -> None:
    store = Changing()
    await add_file(store, embedder, "t", "a.md", b"A haircut costs $20.", NOW)
    found = await Retriever(store, embedder).find(Question("t", "What does a haircut cost?", version=1), 1)
    assert found.passages


class Drafts(MemoryKnowledge):
    """Live knowledge of one tenant; the drafts are another tenant's."""

    async def chunks(self, tenant: str, draft: bool = False) -> list[Chunk]:
        return await super().chunks("drafts" if draft else tenant)

    async def documents(self, tenant: str, draft: bool = False) -> list[Document]:
        return await super().documents("drafts" if draft else tenant)


async def test_a_draft_is_seen_when_it_is_written_and_only_as_a_draft(embedder: Embedder) -> None:
    store = Drafts()
    await add_file(store, embedder, "t", "a.md", b"A haircut costs $20.", NOW)
    retriever = Retriever(store, embedder)
    question = Question("t", "What does a haircut cost?", version=1)
    for price in (b"$30", b"$40"):
        await add_file(store, embedder, "drafts", "a.md", b"A haircut costs %s." % price, NOW)
        drafted = await retriever.find(replace(question, draft=True), 1)
        assert price.decode() in drafted.passages[0].passage.text
        assert "$20" in (await retriever.find(question, 1)).passages[0].passage.text
