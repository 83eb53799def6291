"""Decisions about one tenant's messages, as they were kept with them: whether each might be sent, why, and what that rested
on."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.model.message import Message
from gateway.store.codec import message_from_doc
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc

PAGE = 500


@dataclass(frozen=True, slots=True)
class DecidedPage:
    """Messages that were decided about, the latest first; `next` is the cursor of the next page (a `seq`), None at the end."""

    messages: tuple[Message, ...]
    next: int | None


class Decisions:
    def __init__(self, db: Database, tenant: str) -> None:
        self._messages = db["messages"]
        self._conversations = db["conversations"]
        self._tenant = tenant

    async def page(self, conversations: Sequence[str], before: int | None, limit: int) -> DecidedPage:
        """Of these conversations (a contact's), those before a cursor."""
        found: list[Message] = []
        for conversation in conversations:
            found += await self._of(conversation, before, limit + 1)
        found.sort(key=lambda m: -m.seq)
        return DecidedPage(tuple(found[:limit]), found[limit - 1].seq if len(found) > limit else None)

    async def _of(self, conversation: str, before: int | None, limit: int) -> list[Message]:
        which: Doc = {"tenant": self._tenant, "conversation": conversation}
        found: list[Message] = []
        while len(found) < limit:
            if before is not None:
                which["seq"] = {"$lt": before}
            async with guarded():
                docs = await self._messages.find(which).sort("seq", -1).limit(limit).to_list()
            found += [message_from_doc(d) for d in docs if d.get("decided")]
            if len(docs) < limit:
                break
            before = docs[-1]["seq"]
        return found[:limit]

    async def all(self) -> AsyncIterator[Message]:
        """Every message that was decided about, a conversation at a time: for an export."""
        async with guarded():
            ids = [
                d["_id"]
                async for d in self._conversations.find({"tenant": self._tenant}, {"_id": 1}).batch_size(PAGE)
            ]
        for conversation in ids:
            before: int | None = None
            while True:
                page = await self._of(conversation, before, PAGE)
                for message in page:
                    yield message
                if len(page) < PAGE:
                    break
                before = page[-1].seq
