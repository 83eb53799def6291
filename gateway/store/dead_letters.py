"""Dead letters: outgoing messages of one tenant that were given up, and what a person decides about each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.model.message import Message, Status
from gateway.store.codec import message_from_doc
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc
from gateway.store.places import hold_places, take_places

UNSURE = "delivery:unknown"
"""Why a message was given up that the customer may have."""


@dataclass(frozen=True, slots=True)
class DeadPage:
    """Dead letters, the latest first; `next` is the cursor of the next page, None at the end."""

    messages: tuple[Message, ...]
    next: int | None


class DeadLetters:
    def __init__(self, db: Database, tenant: str) -> None:
        self._messages = db["messages"]
        self._bulk = db["bulk"]
        self._tenant = tenant

    async def page(self, before: int | None, limit: int) -> DeadPage:
        """Those before a cursor (a message's `seq`), the latest first."""
        which: Doc = {"dead": True, "tenant": self._tenant}
        if before is not None:
            which["seq"] = {"$lt": before}
        async with guarded():
            docs = await self._messages.find(which).sort("seq", -1).limit(limit + 1).to_list()
        found = tuple(message_from_doc(d) for d in docs[:limit])
        return DeadPage(found, found[-1].seq if len(docs) > limit else None)

    async def get(self, message: str) -> Message | None:
        """One, if it is a dead letter."""
        async with guarded():
            doc = await self._messages.find_one({"_id": message, "tenant": self._tenant})
        return message_from_doc(doc) if doc and doc.get("dead") else None

    async def retry(self, messages: Sequence[Message], now: datetime) -> list[Message]:
        """Queue them again, their attempts anew; those that were. One that the customer may have is marked as possibly
        doubled."""
        queued = []
        for message in messages:
            change: Doc = {
                "status": int(Status.QUEUED),
                "due": now,
                "retried": now,
                "todo": "send",
                "attempts": 0,
                "unknowns": 0,
            }
            if message.failure is not None and message.failure.code == UNSURE:
                change["possibly_doubled"] = True
            place = None
            if message.bulk:  # it goes behind what waits already
                place = await take_places(self._bulk, self._tenant, message.channel, 1, now)
                change |= {"todo": "bulk", "in_bulk": True, "place": place}
            if await self._decided(message, {"$set": change, "$unset": {"dead": ""}}):
                queued.append(message)
            if place is not None:
                await hold_places(self._bulk, message.channel, place)
        return queued

    async def discard(self, messages: Sequence[Message], now: datetime) -> list[Message]:
        """It stays given up, and nobody has to look at it any more; those that were dead letters."""
        change = {"$set": {"extra.discarded": now}, "$unset": {"dead": ""}}
        return [m for m in messages if await self._decided(m, change)]

    async def confirm(self, message: Message, now: datetime) -> bool:
        """A person has seen that the customer has it."""
        change = {
            "$max": {"status": int(Status.SENT)},
            "$min": {"times.sent": now},
            "$unset": {"dead": "", "failure": ""},
        }
        return await self._decided(message, change)

    async def _decided(self, message: Message, change: Doc) -> bool:
        which = {"_id": message.id, "tenant": self._tenant, "status": int(Status.DEAD), "dead": True}
        async with guarded():
            return (await self._messages.update_one(which, change)).modified_count == 1
