"""What customers asked and what became of it: to learn from, for 90 days."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

from gateway.model.answers import Asked, Thumb
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc, aware
from gateway.store.group import insert_new
from gateway.store.rows import by_provider_id, find_named

KEPT: Final = timedelta(days=90)

LOOKED_AT: Final = 2_000


# Once: making one takes milliseconds, and a store is made for every message.
_ASKED: Final = TypeAdapter(Asked)


class AskedStore:
    """One tenant's."""

    def __init__(self, db: Database, tenant: str) -> None:
        self._db = db
        self._asked = db["asked"]
        self._messages = db["messages"]
        self._tenant = tenant

    async def put(self, asked: Sequence[Asked]) -> None:
        """Keep what was asked; what is there already stays as it is. Raises Unavailable."""
        if any(one.tenant != self._tenant for one in asked):
            raise ValueError("a question of another tenant")
        await keep(self._db, asked)

    async def get(self, asked: str) -> Asked | None:
        """By the id of the message that asked."""
        async with guarded():
            doc = await self._asked.find_one({"_id": asked, "tenant": self._tenant})
        return self._read(doc) if doc else None

    async def latest(self, since: datetime, limit: int) -> list[Asked]:
        """What was asked since then, the latest first."""
        which = {"tenant": self._tenant, "at": {"$gte": since}}
        async with guarded():
            docs = await self._asked.find(which).sort("at", -1).limit(limit).to_list()
        return [self._read(d) for d in docs]

    async def rated(self, since: datetime, thumb: Thumb, limit: int) -> list[Asked]:
        """Those that a customer or an agent rated so since then, the latest first. At most 2,000 questions are looked at."""
        found = await self.latest(since, LOOKED_AT)
        return [a for a in found if thumb in (a.thumb, a.agent_thumb)][:limit]

    async def thumbs(self, asked: Sequence[str]) -> dict[str, Thumb | None]:
        """By id what an agent thinks of the answer: only of those that are kept."""
        async with guarded():
            docs = await find_named(
                self._asked, "_id", list(dict.fromkeys(asked)), {}, {"tenant": 1, "agent_thumb": 1}
            )
        return {d["_id"]: d.get("agent_thumb") for d in docs if d["tenant"] == self._tenant}

    async def of_message(self, message: str) -> str | None:
        """The id of the question that one of our messages answers."""
        async with guarded():
            doc = await self._messages.find_one({"_id": message, "tenant": self._tenant}, {"turn": 1})
        return str(doc["turn"]) if doc and doc.get("turn") else None

    async def of_provider(self, channel: str, provider_id: str) -> str | None:
        """The same for the message that the provider calls so."""
        found = await by_provider_id(self._messages, self._tenant, channel, provider_id)
        return await self.of_message(found) if found else None

    async def rate(self, asked: str, thumb: Thumb | None, agent: bool = False) -> bool:
        """What a customer, or an agent, thinks of the answer; None takes it back. Whether there is such an answer."""
        field = "agent_thumb" if agent else "thumb"
        async with guarded():
            result = await self._asked.update_one(
                {"_id": asked, "tenant": self._tenant}, {"$set": {field: thumb}}
            )
        return result.matched_count == 1

    def _read(self, doc: Doc) -> Asked:
        return _ASKED.validate_python({**doc, "id": doc["_id"], "at": aware(doc["at"])})


async def keep(db: Database, asked: Sequence[Asked]) -> None:
    """Keep what was asked, of all tenants in one call: each document names its own."""
    docs = []
    for one in asked:
        doc: Doc = _ASKED.dump_python(one)
        docs.append({"_id": doc.pop("id"), "v": 1, **doc, "expires": one.at + KEPT})
    async with guarded():
        await insert_new(db["asked"], docs)
