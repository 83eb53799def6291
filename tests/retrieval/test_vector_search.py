"""MongoDB's vector search, by a stand-in that takes the documented stages; and the form that vectors are stored in."""

from dataclasses import replace
from typing import Any

import numpy as np
from pymongo.errors import OperationFailure

from brain.embed import Embedder
from brain.memory import MemoryKnowledge
from brain.retrieve import Retriever
from gateway.model.answers import Question
from gateway.model.knowledge import Chunk
from gateway.store import Store
from gateway.store.knowledge_docs import chunk_from_doc, chunk_to_doc
from gateway.store.vector_search import ASK_AGAIN, NAME, VectorSearch, definition, pipeline
from tests.brain.conftest import embedder
from tests.brain.conftest import store as memory
from tests.conftest import make_tenant
from tests.retrieval.test_index import document
from tests.retrieval.test_retriever import Remotes, with_remote

__all__ = ["embedder", "memory"]


class Cursor:
    def __init__(self, docs: list[dict[str, Any]]) -> None:
        self._docs = docs

    async def to_list(self) -> list[dict[str, Any]]:
        return self._docs


class Chunks:
    """A collection on a server with search (`queryable`), with one that is still being built, or without (None)."""

    def __init__(self, queryable: bool | None, hits: list[dict[str, Any]]) -> None:
        self.queryable, self.hits = queryable, hits
        self.asked: list[list[dict[str, Any]]] = []

    async def aggregate(self, stages: list[dict[str, Any]]) -> Cursor:
        self.asked.append(stages)
        if self.queryable is None:
            raise OperationFailure("Unrecognized pipeline stage name", 40324)
        if "$listSearchIndexes" in stages[0]:
            return Cursor([{"name": NAME, "queryable": self.queryable}])
        return Cursor(self.hits)


def search(chunks: Chunks, now: list[float] | None = None) -> VectorSearch:
    return VectorSearch({"chunks": chunks}, (lambda: now[0]) if now else (lambda: 0.0))  # type: ignore[arg-type]


def test_the_stages_are_as_documented() -> None:
    stages = pipeline("acme", np.array([0.5, -0.5]), ["d1"], 10)  # type: ignore[arg-type]
    assert stages[0]["$vectorSearch"] == {
        "index": NAME,
        "path": "remote",
        "queryVector": [0.5, -0.5],
        "numCandidates": 200,
        "limit": 10,
        "filter": {"$and": [{"tenant": {"$eq": "acme"}}, {"document": {"$in": ["d1"]}}]},
    }
    assert stages[1]["$project"]["score"] == {"$meta": "vectorSearchScore"}
    assert pipeline("acme", [1.0], None, 1000)[0]["$vectorSearch"]["numCandidates"] == 10_000
    filters = {f["path"] for f in definition(256)["fields"] if f["type"] == "filter"}
    assert filters == {"tenant", "document"}


async def test_a_server_without_it_is_asked_seldom_and_answers_none() -> None:
    for queryable in (None, False):
        now = [0.0]
        chunks = Chunks(queryable, [])
        found = search(chunks, now)
        for _ in range(3):
            assert await found.nearest("acme", [1.0], None, 5) is None
        assert len(chunks.asked) == 1
        now[0] = ASK_AGAIN
        await found.nearest("acme", [1.0], None, 5)
        assert len(chunks.asked) == 2


async def test_what_the_server_finds_decides(memory: MemoryKnowledge, embedder: Embedder) -> None:
    await with_remote(memory)
    chunks = Chunks(
        True,
        [{"document": "d", "position": 1, "score": 0.95}, {"document": "d", "position": 0, "score": 0.5}],
    )
    retriever = Retriever(memory, embedder, Remotes([1.0, 0.0]).of, search=search(chunks))
    found = await retriever.find(Question("t", "zzz", version=1), 2)
    # By its own vectors it would be the other one.
    assert found.passages[0].passage.text == "Beta."
    assert chunks.asked[1][0]["$vectorSearch"]["filter"] == {"tenant": {"$eq": "t"}}
    chunks.queryable = None
    found = await retriever.find(Question("t", "zzz", version=1), 2)
    assert found.passages[0].passage.text == "Alpha."


async def test_a_real_server_without_search_is_told_from_one_with_it(store: Store) -> None:
    assert not await store.vector_search.available()


async def test_vectors_are_stored_in_a_form_that_can_be_indexed(store: Store) -> None:
    chunk = Chunk("d-0", "d", 0, "x", remote=bytes([0, 1, 127, 128, 255]))
    doc = chunk_to_doc(chunk, "acme", "g")
    assert doc["remote"].as_vector().data == [0, 1, 127, -128, -1]
    assert chunk_from_doc(doc) == chunk
    await make_tenant(store)
    await store.knowledge.put("acme", replace(document("d"), tenant="acme"), [chunk])
    (stored,) = await store.knowledge.chunks("acme")
    assert stored.remote == chunk.remote
