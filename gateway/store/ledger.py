"""The ledger of consent: entries are only ever added. What follows from them is kept on each conversation, to be asked at
once."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.model.consent import Consents, Entry, derived
from gateway.store.codec import conversation_from_doc
from gateway.store.consent_docs import consents_to_doc, entry_from_doc, entry_to_doc
from gateway.store.database import Collection, Database, guarded
from gateway.store.docs import Doc
from gateway.store.group import insert_new
from gateway.store.rows import MOST_NAMED

TRIES = 8
PAGE = 500

Keep = Callable[[str, Sequence[Entry]], Awaitable[None]]
"""Keeps a tenant's entries somewhere else, too. Never raises for a place that can't be written."""


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries, the latest first; `next` is the cursor of the next page, None at the end."""

    entries: tuple[Entry, ...]
    next: datetime | None


class Ledger:
    """One tenant's."""

    def __init__(self, db: Database, tenant: str, keep: Keep | None = None) -> None:
        """`keep` is given what is about to be added, to be kept beside the database."""
        self._keep = keep
        self._entries = db["ledger"]
        self._conversations = db["conversations"]
        self._contacts = db["contacts"]
        self._tenant = tenant

    async def put(self, entries: Sequence[Entry]) -> list[bool]:
        """Add entries; for each whether it is new. Whoever writes their outcome on the conversation does so itself (a turn)."""
        if any(e.tenant != self._tenant for e in entries):
            raise ValueError("an entry of another tenant")
        if not entries:
            return []
        if self._keep is not None:
            # Before the database has it: a run that is stopped in between puts in more than was said aloud, never less.
            await self._keep(self._tenant, entries)
        async with guarded():
            return await insert_new(self._entries, [entry_to_doc(e) for e in entries])

    async def record(self, entries: Sequence[Entry]) -> list[bool]:
        """Add entries, and bring the conversations of those they are about to what follows from them."""
        new = await self.put(entries)
        for contact, channel in dict.fromkeys((e.contact, e.channel) for e in entries if e.contact):
            await self.restate(contact, channel)
        return new

    async def of(
        self, contact: str, channel: str | None = None, merged: Sequence[str] | None = None
    ) -> list[Entry]:
        """All entries about a contact, and about those that turned out to be the same one (`merged`, if the caller knows them);
        oldest first."""
        same = await self._same(contact) if merged is None else [contact, *merged]
        async with guarded():
            docs = await self._entries.find({"tenant": self._tenant, "contact": {"$in": same}}).to_list()
        # The channel is looked at here: a field behind one that may be several would cost the embedded server a scan.
        found = [entry_from_doc(d) for d in docs if channel is None or d["channel"] == channel]
        return sorted(found, key=lambda e: (e.at, e.id))

    async def get(self, entry: str) -> Entry | None:
        async with guarded():
            doc = await self._entries.find_one({"_id": entry, "tenant": self._tenant})
        return entry_from_doc(doc) if doc else None

    async def standing(self, contact: str, channel: str, merged: Sequence[str] | None = None) -> Consents:
        """What holds for a contact on a channel, by the entries."""
        return derived(await self.of(contact, channel, merged))

    async def standings(self, contacts: Sequence[str], channel: str) -> dict[str, Consents]:
        """The same for many at once; who has no entry has none here. Merged contacts are not followed."""
        found: dict[str, list[Entry]] = {}
        for start in range(0, len(contacts), MOST_NAMED):
            which = {"tenant": self._tenant, "contact": {"$in": list(contacts[start : start + MOST_NAMED])}}
            async with guarded():
                async for doc in self._entries.find(which):
                    if doc["channel"] == channel:
                        found.setdefault(doc["contact"], []).append(entry_from_doc(doc))
        return {contact: derived(entries) for contact, entries in found.items()}

    async def restate(self, contact: str, channel: str) -> None:
        """Write what follows from the entries on the contact's conversations of a channel."""
        same = await self._same(contact)
        for _ in range(TRIES):
            consents = derived(await self.of(contact, channel))
            async with guarded():
                docs = await self._conversations.find(
                    {"tenant": self._tenant, "contact": {"$in": same}}
                ).to_list()
            overtaken = False
            for doc in docs:
                if doc["channel"] != channel or conversation_from_doc(doc).consents == consents:
                    continue
                overtaken |= not await self._state(self._conversations, doc, consents)
            if not overtaken:
                return

    async def _state(self, conversations: Collection, doc: Doc, consents: Consents) -> bool:
        # A consent that an entry without a ledger left (`stopped` of the first versions) stands until an entry speaks of it.
        kept = {p: s for p, s in conversation_from_doc(doc).consents.items() if not s.entry}
        stands = {**kept, **consents}
        stopped = "service" in stands and stands["service"].state == "withdrawn"
        change: Doc = {"$set": {"consents": consents_to_doc(stands)}, "$inc": {"rev": 1}}
        change.setdefault("$set" if stopped else "$unset", {})["stopped"] = True if stopped else ""
        async with guarded():
            result = await conversations.update_one(
                {"_id": doc["_id"], "tenant": self._tenant, "rev": doc["rev"]}, change
            )
        return result.modified_count == 1

    async def page(self, before: datetime | None, limit: int, channel: str | None = None) -> EntryPage:
        """The tenant's entries by the time they were written down, the latest first."""
        which: Doc = {"tenant": self._tenant}
        if before is not None:
            which["recorded"] = {"$lt": before}
        async with guarded():
            cursor = self._entries.find(which).sort("recorded", -1)
            docs = list[Doc]()
            async for doc in cursor if channel is not None else cursor.limit(limit + 1):
                if channel is None or doc["channel"] == channel:
                    docs.append(doc)
                    if len(docs) > limit:
                        break
            more = len(docs) > limit
            if more and docs[limit]["recorded"] == docs[limit - 1]["recorded"]:
                # Those of one moment (a file's lines) stay together: the cursor could not part them.
                moment = docs[limit]["recorded"]
                same = await self._entries.find({"tenant": self._tenant, "recorded": moment}).to_list()
                same = [d for d in same if channel is None or d["channel"] == channel]
                docs = [*(d for d in docs[:limit] if d["recorded"] != moment), *same]
                limit = len(docs)
        found = tuple(entry_from_doc(d) for d in docs[:limit])
        return EntryPage(found, found[-1].recorded if more else None)

    async def all(self) -> AsyncIterator[Entry]:
        """Every entry of the tenant, oldest first, a page at a time: for an export."""
        async with guarded():
            async for doc in (
                self._entries.find({"tenant": self._tenant}).sort("recorded", 1).batch_size(PAGE)
            ):
                yield entry_from_doc(doc)

    async def _same(self, contact: str) -> list[str]:
        async with guarded():
            which = {"_id": contact, "tenant": self._tenant}
            doc = await self._contacts.find_one(which, {"merged": 1, "merged_into": 1}) or {}
            # What is said of one who turned out to be another (a receipt of an old message, an id that somebody kept) is said
            # of that other one.
            passed = {contact}
            while (main := doc.get("merged_into")) and main not in passed:
                passed.add(main)
                which["_id"] = main
                doc = await self._contacts.find_one(which, {"merged": 1, "merged_into": 1}) or {}
        return list(dict.fromkeys((contact, *sorted(passed), *doc.get("merged", ()))))
