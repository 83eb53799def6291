"""A campaign's messages as one: how many stand in the queue, and how they step out of it and come back.

A message that stepped out is HELD without anything left to do for it: no look finds it, and no claim holds, for a claim takes
what is queued.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pymongo import UpdateOne

from gateway.model.message import Failure, Status
from gateway.store.database import SCHEMA, Database, guarded
from gateway.store.docs import Doc
from gateway.store.places import hold_places, take_places
from gateway.store.rows import DONE, failure_doc, update_each

AHEAD: Final = (Status.QUEUED, Status.HELD, Status.SENDING, Status.UNKNOWN)
WAITS: Final = {"$in": [int(Status.QUEUED), int(Status.HELD)]}


class Bulk:
    """One tenant's."""

    def __init__(self, db: Database, tenant: str) -> None:
        self._messages = db["messages"]
        self._bulk = db["bulk"]
        self._tenant = tenant

    async def ahead(self, campaign: str) -> tuple[int, int]:
        """How many of its messages are in the queue and have not ended, and how many have stepped out of it."""
        found = await self._standing(campaign, {"$in": [int(s) for s in AHEAD]})
        out = sum(1 for d in found if d.get("suspended"))
        return len(found) - out, out

    async def suspend(self, campaign: str, failure: Failure) -> int:
        """What is queued or held steps out of the queue; how many. What is being sent goes on to its end."""
        found = await self._standing(campaign, WAITS)
        ids = [d["_id"] for d in found if not d.get("suspended")]
        change: Doc = {
            "$set": {
                "v": SCHEMA,
                "status": int(Status.HELD),
                "suspended": True,
                "failure": failure_doc(failure),
            },
            "$unset": dict(DONE),
        }
        await update_each(self._messages, self._tenant, ids, {"status": WAITS}, change)
        return len(ids)

    async def resume(self, campaign: str, now: datetime) -> int:
        """What stepped out is queued again, in the order in which it was written; how many."""
        found = [d for d in await self._standing(campaign, int(Status.HELD)) if d.get("suspended")]
        found.sort(key=lambda d: d["seq"])
        by_channel: dict[str, list[str]] = {}
        for doc in found:
            by_channel.setdefault(doc["channel"], []).append(doc["_id"])
        for channel, ids in by_channel.items():
            first = await take_places(self._bulk, self._tenant, channel, len(ids), now)
            calls = []
            for place, message in enumerate(ids, first):
                back = {"status": int(Status.QUEUED), "todo": "bulk", "in_bulk": True, "due": now}
                change: Doc = {
                    "$set": {**back, "place": place},
                    "$unset": {"suspended": "", "failure": ""},
                }
                which = {
                    "_id": message,
                    "tenant": self._tenant,
                    "suspended": True,
                    "status": int(Status.HELD),
                }
                calls.append(UpdateOne(which, change))
            async with guarded():
                await self._messages.bulk_write(calls, ordered=False)
            await hold_places(self._bulk, channel, first)
        return len(found)

    async def cancel(self, campaign: str, failure: Failure) -> int:
        """What is queued, held or stepped out is never sent; how many."""
        ids = [d["_id"] for d in await self._standing(campaign, WAITS)]
        await self._cancel(ids, failure)
        return len(ids)

    async def _cancel(self, ids: Sequence[str], failure: Failure) -> None:
        change: Doc = {
            "$set": {"status": int(Status.CANCELLED), "failure": failure_doc(failure)},
            "$unset": {**DONE, "suspended": ""},
        }
        await update_each(self._messages, self._tenant, ids, {"status": WAITS}, change)

    async def _standing(self, campaign: str, status: object) -> list[Doc]:
        which = {"tenant": self._tenant, "campaign": campaign, "status": status}
        async with guarded():
            return await self._messages.find(
                which, {"status": 1, "suspended": 1, "channel": 1, "seq": 1}
            ).to_list()
