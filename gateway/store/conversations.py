"""Conversations, contacts and leads of one tenant."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from gateway.model.conversation import Contact, Conversation, Lead
from gateway.model.message import Message, contact_id
from gateway.store.codec import (
    contact_from_doc,
    contact_to_doc,
    conversation_from_doc,
    conversation_to_doc,
    identity_key,
    lead_from_doc,
    lead_to_doc,
)
from gateway.store.database import Database, guarded
from gateway.store.group import insert_new
from gateway.store.ledger import Ledger
from gateway.store.rows import find_named

T = TypeVar("T")
OPTIONAL = (
    "pending",
    "lead",
    "form",
    "recent",
    "name",
    "language",
    "chosen",
    "turn",
    "merged",
    "blocked",
    "stopped",
    "consents",
    "window_until",
    "marketed",
    "timezone",
    "slowed",
    "merged_into",
)

MOST_MARKETED = 20

# A page sorted by time is looked for in these windows first: the embedded server sorts all that a filter finds.
EPOCH = datetime(1970, 1, 2, tzinfo=UTC)
WINDOWS = (timedelta(days=2), timedelta(days=30), timedelta(days=36500))


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page, newest first; `next` is the cursor of the next page, None at the end."""

    items: tuple[T, ...]
    next: datetime | None


class Conversations:
    def __init__(self, db: Database, tenant: str) -> None:
        self._conversations = db["conversations"]
        self._contacts = db["contacts"]
        self._leads = db["leads"]
        self._ledger = Ledger(db, tenant)
        self._tenant = tenant

    async def get(self, conversation: str) -> Conversation | None:
        async with guarded():
            doc = await self._conversations.find_one({"_id": conversation, "tenant": self._tenant})
        return conversation_from_doc(doc) if doc else None

    async def said(self, conversation: str, at: datetime, preview: str) -> None:
        """A person said something: it is what the lists show. A turn at the same time shows its own."""
        async with guarded():
            await self._conversations.update_one(
                {"_id": conversation, "tenant": self._tenant},
                {"$max": {"last_at": at}, "$set": {"preview": preview}},
            )

    async def there(self, conversations: Sequence[str]) -> set[str]:
        """Those of the conversations that there are."""
        if not conversations:
            return set()
        async with guarded():
            docs = await find_named(self._conversations, "_id", conversations, {}, {"tenant": 1})
        return {str(d["_id"]) for d in docs if d["tenant"] == self._tenant}

    async def create(self, conversation: Conversation) -> Conversation:
        """Write a new conversation; returns the one that stands (another process may have been first)."""
        if conversation.tenant != self._tenant:
            raise ValueError("a conversation of another tenant")
        async with guarded():
            new = await insert_new(self._conversations, [conversation_to_doc(conversation)])
        if new[0]:
            return conversation
        standing = await self.get(conversation.id)
        if standing is None:
            raise ValueError("a conversation id of another tenant")
        return standing

    async def begin(self, message: Message, language: str, now: datetime) -> Conversation:
        """The contact and the conversation of somebody who writes, or is written to, for the first time."""
        sender = message.sender
        if message.tenant != self._tenant or sender is None:
            raise ValueError("a message of another tenant, or of nobody")
        identity = sender.identity
        contact = await self.put_contact(
            Contact(
                id=contact_id(self._tenant, identity.kind, identity.account, identity.id),
                tenant=self._tenant,
                identities=(identity, *(a for a in sender.aliases if a != identity)),
                name=sender.name,
                phone=sender.phone,
                created=now,
            )
        )
        begun = await self.create(
            Conversation(
                # Who was written of before they wrote (an import, a restored backup) begins with what they said.
                consents=await self._ledger.standing(contact.id, message.channel, contact.merged),
                id=message.conversation,
                tenant=self._tenant,
                channel=message.channel,
                contact=contact.id,
                address=sender.address,
                created=now,
                name=sender.name,
                language=sender.language or language,
                last_at=now,
            )
        )
        # Whoever wrote an entry since it was read found no conversation to write its outcome on.
        if await self._ledger.standing(contact.id, message.channel, contact.merged) == begun.consents:
            return begun
        await self._ledger.restate(contact.id, message.channel)
        return await self.get(begun.id) or begun

    async def save(self, conversation: Conversation) -> Conversation | None:
        """Write it if nobody else did since it was read; returns what stands now, None when overtaken."""
        saved = replace(conversation, rev=conversation.rev + 1)
        doc = conversation_to_doc(saved)
        unset = {f: "" for f in OPTIONAL if f not in doc}
        change = {"$set": {k: v for k, v in doc.items() if k not in ("_id", "v", "tenant", "created")}}
        async with guarded():
            result = await self._conversations.update_one(
                {"_id": conversation.id, "tenant": self._tenant, "rev": conversation.rev},
                {**change, "$unset": unset} if unset else change,
            )
        return saved if result.modified_count else None

    async def marketed(self, conversation: Conversation, now: datetime) -> None:
        """Marketing was sent to them just now."""
        async with guarded():
            await self._conversations.update_one(
                {"_id": conversation.id, "tenant": self._tenant},
                {"$push": {"marketed": {"$each": [now], "$slice": -MOST_MARKETED}}, "$inc": {"rev": 1}},
            )

    async def of_contact(self, contacts: Sequence[str]) -> list[Conversation]:
        """Every conversation of these contacts, on any channel."""
        async with guarded():
            docs = await self._conversations.find(
                {"tenant": self._tenant, "contact": {"$in": list(contacts)}}
            ).to_list()
        return [conversation_from_doc(d) for d in docs]

    async def reach(
        self,
        conversation: str,
        *,
        blocked: bool | None = None,
        address: str | None = None,
        window_until: datetime | None = None,
    ) -> None:
        """Note that the customer can('t) be reached, where they are now, or until when free text is taken. Whoever works on it
        sees it changed."""
        change: dict[str, object] = {}
        if blocked is not None:
            change["blocked"] = blocked
        if address is not None:
            change["address"] = address
        if window_until is not None:
            change["window_until"] = window_until
        async with guarded():
            await self._conversations.update_one(
                {"_id": conversation, "tenant": self._tenant}, {"$set": change, "$inc": {"rev": 1}}
            )

    async def recent(self, before: datetime | None, now: datetime, limit: int) -> Listed[Conversation]:
        """Conversations by their last message, newest first."""
        docs = await self._page("conversations", "last_at", before, now, limit)
        items = tuple(conversation_from_doc(d) for d in docs[:limit])
        return Listed(items, items[-1].last_at if len(docs) > limit else None)

    async def leads(self, before: datetime | None, now: datetime, limit: int) -> Listed[Lead]:
        """Leads by their last change, newest first."""
        docs = await self._page("leads", "updated", before, now, limit)
        items = tuple(lead_from_doc(d) for d in docs[:limit])
        return Listed(items, items[-1].updated if len(docs) > limit else None)

    async def _page(
        self, collection: str, field: str, before: datetime | None, now: datetime, limit: int
    ) -> Sequence[dict[str, object]]:
        source = self._leads if collection == "leads" else self._conversations
        upto = max(before or now + timedelta(days=1), EPOCH)
        docs: list[dict[str, object]] = []
        for window in WINDOWS:
            since = max(upto - window, EPOCH) if upto - EPOCH > window else EPOCH - timedelta(days=1)
            async with guarded():
                docs = await (
                    source.find({"tenant": self._tenant, field: {"$lt": upto, "$gt": since}})
                    .sort(field, -1)
                    .limit(limit + 1)
                    .to_list()
                )
            if len(docs) > limit:
                break
        return docs

    async def put_contact(self, contact: Contact) -> Contact:
        """Write a new contact, or find the one that has one of its identities."""
        if contact.tenant != self._tenant:
            raise ValueError("a contact of another tenant")
        async with guarded():
            doc = await self._contacts.find_one(
                {"tenant": self._tenant, "keys": {"$in": [identity_key(i) for i in contact.identities]}}
            )
            if doc is None:
                await insert_new(self._contacts, [contact_to_doc(contact)])
        return contact_from_doc(doc) if doc else contact

    async def contact(self, contact: str) -> Contact | None:
        async with guarded():
            doc = await self._contacts.find_one({"_id": contact, "tenant": self._tenant})
        return contact_from_doc(doc) if doc else None

    async def main_contact(self, contact: str) -> str | None:
        """The contact itself, or the one that it turned out to be."""
        passed = set[str]()
        while contact not in passed:
            passed.add(contact)
            async with guarded():
                doc = await self._contacts.find_one(
                    {"_id": contact, "tenant": self._tenant}, {"merged_into": 1}
                )
            if doc is None:
                return None
            contact = doc.get("merged_into") or contact
        return contact

    async def lead(self, lead: str) -> Lead | None:
        async with guarded():
            doc = await self._leads.find_one({"_id": lead, "tenant": self._tenant})
        return lead_from_doc(doc) if doc else None

    async def put_lead(self, lead: Lead) -> None:
        """Write a lead in place of an earlier one of the same contact and channel; `created` stays."""
        if lead.tenant != self._tenant:
            raise ValueError("a lead of another tenant")
        doc = lead_to_doc(lead)
        created = doc.pop("created")
        identifier = doc.pop("_id")
        async with guarded():
            await self._leads.update_one(
                {"_id": identifier, "tenant": self._tenant},
                {"$set": doc, "$min": {"created": created}},
                upsert=True,
            )
            await self._contacts.update_one(
                {"_id": lead.contact, "tenant": self._tenant},
                {
                    "$set": {
                        "name": lead.name,
                        "phone": lead.phone,
                        **({"email": lead.email} if lead.email else {}),
                    }
                },
            )
