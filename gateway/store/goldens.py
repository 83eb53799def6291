"""One tenant's golden questions, and the runs over them."""

from collections.abc import Sequence
from typing import Final

from pydantic import TypeAdapter

from gateway.model.golden import EvalRun, Golden
from gateway.store.database import SCHEMA, Database, guarded

KEPT_RUNS: Final = 100
"""Older runs go when a new one is written."""


# Once: making one takes milliseconds, and a store is made for every message.
_GOLDEN: Final = TypeAdapter(Golden)
_EVAL_RUN: Final = TypeAdapter(EvalRun)


class GoldenStore:
    def __init__(self, db: Database, tenant: str) -> None:
        self._goldens = db["goldens"]
        self._tenant = tenant

    async def put(self, goldens: Sequence[Golden]) -> None:
        """Write them, each in place of one with the same id."""
        for golden in goldens:
            if golden.tenant != self._tenant:
                raise ValueError("a golden question of another tenant")
            doc = _GOLDEN.dump_python(golden)
            place = {"_id": doc.pop("id"), "tenant": self._tenant}
            async with guarded():
                await self._goldens.replace_one(place, {**doc, **place, "v": SCHEMA}, upsert=True)

    async def all(self) -> list[Golden]:
        """In the order in which they were added."""
        async with guarded():
            docs = await self._goldens.find({"tenant": self._tenant}).to_list()
        found = [_GOLDEN.validate_python({**d, "id": d["_id"]}) for d in docs]
        return sorted(found, key=lambda g: (g.added, g.id))

    async def get(self, golden: str) -> Golden | None:
        async with guarded():
            doc = await self._goldens.find_one({"_id": golden, "tenant": self._tenant})
        return _GOLDEN.validate_python({**doc, "id": doc["_id"]}) if doc else None

    async def remove(self, golden: str) -> bool:
        """Whether it was there."""
        async with guarded():
            result = await self._goldens.delete_one({"_id": golden, "tenant": self._tenant})
        return result.deleted_count == 1


class EvalRuns:
    def __init__(self, db: Database, tenant: str) -> None:
        self._runs = db["eval_runs"]
        self._tenant = tenant

    async def put(self, run: EvalRun) -> None:
        if run.tenant != self._tenant:
            raise ValueError("a run of another tenant")
        doc = _EVAL_RUN.dump_python(run)
        place = {"_id": doc.pop("id"), "tenant": self._tenant}
        async with guarded():
            await self._runs.replace_one(place, {**doc, **place, "v": SCHEMA}, upsert=True)
            old = await self._runs.find({"tenant": self._tenant}, {"at": 1}).to_list()
            for stale in sorted(old, key=lambda d: d["at"], reverse=True)[KEPT_RUNS:]:
                await self._runs.delete_one({"_id": stale["_id"], "tenant": self._tenant})

    async def get(self, run: str) -> EvalRun | None:
        async with guarded():
            doc = await self._runs.find_one({"_id": run, "tenant": self._tenant})
        return _EVAL_RUN.validate_python({**doc, "id": doc["_id"]}) if doc else None

    async def latest(self, limit: int) -> list[EvalRun]:
        """The latest first, without their verdicts."""
        async with guarded():
            cursor = self._runs.find({"tenant": self._tenant}, {"verdicts": 0}).sort("at", -1).limit(limit)
            docs = await cursor.to_list()
        return [_EVAL_RUN.validate_python({**d, "id": d["_id"]}) for d in docs]
