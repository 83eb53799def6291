"""Passages by a provider's vectors, found by MongoDB's own vector search, where the server has one.

Built against the documented syntax (https://www.mongodb.com/docs/vector-search/query/aggregation-stages/vector-search-stage/,
https://www.mongodb.com/docs/manual/reference/operator/aggregation/listSearchIndexes/) and exercised against a stand-in only: no
server with search was at hand. The index is the operator's to make (`definition`), on the collection `chunks`. Only with
VECTOR_SEARCH=on, and only while the server says that the index can be queried; else the index in memory does the same.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from gateway.model.errors import ParleyError
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc

NAME: Final = "parley_passages"
PATH: Final = "remote"
CANDIDATES: Final = 20
"""Looked at for each one wanted, as the documentation recommends."""

MOST_CANDIDATES: Final = 10_000
ASK_AGAIN: Final = 300.0
"""Seconds until the server is asked again whether it has the index."""


def definition(dimensions: int) -> Doc:
    """What to create the search index `NAME` with (type `vectorSearch`)."""
    vector = {"type": "vector", "path": PATH, "numDimensions": dimensions, "similarity": "cosine"}
    return {"fields": [vector, {"type": "filter", "path": "tenant"}, {"type": "filter", "path": "document"}]}


def pipeline(tenant: str, vector: Sequence[float], documents: Sequence[str] | None, limit: int) -> list[Doc]:
    """The nearest passages of a tenant, of these documents (None: of all)."""
    which: Doc = {"tenant": {"$eq": tenant}}
    if documents is not None:
        which = {"$and": [which, {"document": {"$in": list(documents)}}]}
    search = {
        "index": NAME,
        "path": PATH,
        "queryVector": [float(value) for value in vector],
        "numCandidates": min(limit * CANDIDATES, MOST_CANDIDATES),
        "limit": limit,
        "filter": which,
    }
    told = {"_id": 0, "document": 1, "position": 1, "score": {"$meta": "vectorSearchScore"}}
    return [{"$vectorSearch": search}, {"$project": told}]


class VectorSearch:
    """Implements `brain.retrieve.VectorSearch`."""

    def __init__(self, db: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._chunks = db["chunks"]
        self._monotonic = monotonic
        self._asked = float("-inf")
        self._there = False

    async def available(self) -> bool:
        """Whether the server has the index and it can be queried; asked at most every ASK_AGAIN seconds."""
        now = self._monotonic()
        if now - self._asked >= ASK_AGAIN:
            self._asked = now
            try:
                found = await self._aggregated([{"$listSearchIndexes": {"name": NAME}}])
            except ParleyError:
                found = []  # a server without search refuses the stage
            self._there = any(one.get("name") == NAME and one.get("queryable") for one in found)
        return self._there

    async def nearest(
        self, tenant: str, vector: Sequence[float], documents: Sequence[str] | None, limit: int
    ) -> list[tuple[str, int, float]] | None:
        """Document, position and cosine of the nearest passages; None where the server can't."""
        if not await self.available():
            return None
        try:
            found = await self._aggregated(pipeline(tenant, vector, documents, limit))
        except ParleyError:
            return None
        # For cosine the score is (1 + cosine) / 2.
        return [(d["document"], d["position"], 2 * float(d["score"]) - 1) for d in found]

    async def _aggregated(self, stages: list[Doc]) -> list[dict[str, Any]]:
        async with guarded():
            return await (await self._chunks.aggregate(stages)).to_list()
