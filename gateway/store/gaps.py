"""Questions that nobody's documents answer, grouped."""

from dataclasses import replace
from typing import Final, Literal

from pydantic import TypeAdapter

from gateway.model.answers import Gap
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc, aware

GapState = Literal["open", "answered", "dismissed"]

EXAMPLES: Final = 10


# Once: making one takes milliseconds, and a store is made for every message.
_GAP: Final = TypeAdapter(Gap)


class GapStore:
    """One tenant's."""

    def __init__(self, db: Database, tenant: str) -> None:
        self._gaps = db["gaps"]
        self._tenant = tenant

    async def add(self, gap: Gap) -> None:
        """A question more: a new group, or one more in the group of this id. One that was settled is open again, for
        its answer does not do."""
        if gap.tenant != self._tenant:
            raise ValueError("a gap of another tenant")
        place = {"_id": gap.id, "tenant": self._tenant}
        async with guarded():
            old = await self._gaps.find_one(place)
            if old is None:
                doc: Doc = _GAP.dump_python(gap)
                del doc["id"]
                await self._gaps.replace_one(place, {**place, "v": 1, **doc}, upsert=True)
                return
            known = self._read(old)
            examples = tuple(dict.fromkeys((*gap.examples, *known.examples)))[:EXAMPLES]
            change = {"last": gap.last, "examples": list(examples), "state": "open"}
            await self._gaps.update_one(place, {"$set": change, "$inc": {"count": gap.count}})

    async def get(self, gap: str) -> Gap | None:
        async with guarded():
            doc = await self._gaps.find_one({"_id": gap, "tenant": self._tenant})
        return self._read(doc) if doc else None

    async def of_state(self, state: GapState, limit: int) -> list[Gap]:
        """The latest asked first."""
        which = {"tenant": self._tenant, "state": state}
        async with guarded():
            docs = await self._gaps.find(which).sort("last", -1).limit(limit).to_list()
        return [self._read(d) for d in docs]

    async def settle(self, gap: str, state: GapState, document: str | None = None) -> Gap | None:
        """The gap as it is then; None if there is none."""
        found = await self.get(gap)
        if found is None:
            return None
        async with guarded():
            await self._gaps.update_one(
                {"_id": gap, "tenant": self._tenant}, {"$set": {"state": state, "document": document}}
            )
        return replace(found, state=state, document=document)

    def _read(self, doc: Doc) -> Gap:
        times = {name: aware(doc[name]) for name in ("first", "last")}
        return _GAP.validate_python({**doc, **times, "id": doc["_id"]})
