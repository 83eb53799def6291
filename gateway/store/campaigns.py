"""Campaigns of one tenant, their recipients by place, and a tally a page of them.

Nothing here reads a whole campaign at once: recipients are read a page (`PAGE` places) at a time, and what became of 100,000 of
them is summed from 100 tallies. The embedded server takes quadratic time for a long `$in`: `SOME` ids are asked for at once.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Final

from pymongo import UpdateOne

from gateway.model.campaign import PAGE, Campaign, Recipient, Tally, Wrong
from gateway.model.conversation import Contact, Conversation, Lead
from gateway.model.errors import Conflict
from gateway.model.identity import Identity
from gateway.model.message import Status, stable_id
from gateway.store.codec import contact_from_doc, conversation_from_doc, identity_key, lead_from_doc
from gateway.store.database import SCHEMA, Collection, Database, guarded
from gateway.store.docs import Doc, aware, read_as
from gateway.store.group import insert_new
from gateway.store.rows import find_named

SOME: Final = 100


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """Campaigns, the latest first; `next` is the cursor of the next page, None at the end."""

    items: tuple[Campaign, ...]
    next: datetime | None


class Campaigns:
    def __init__(self, db: Database, tenant: str) -> None:
        self._campaigns = db["campaigns"]
        self._recipients = db["recipients"]
        self._pages = db["campaign_pages"]
        self._wrong = db["campaign_errors"]
        self._tenant = tenant

    # Campaigns

    async def add(self, campaign: Campaign) -> Campaign:
        """Raises Conflict when its id is there."""
        self._own(campaign.tenant)
        async with guarded():
            new = await insert_new(self._campaigns, [_to_doc(campaign)])
        if not new[0]:
            raise Conflict(f"campaign {campaign.id} is there already")
        return campaign

    async def get(self, campaign: str) -> Campaign | None:
        async with guarded():
            doc = await self._campaigns.find_one({"_id": campaign, "tenant": self._tenant})
        return _from_doc(doc) if doc else None

    async def save(self, campaign: Campaign) -> Campaign | None:
        """Write it if nobody else did since it was read; what stands now, None when overtaken."""
        saved = replace(campaign, rev=campaign.rev + 1)
        which = {"_id": campaign.id, "tenant": self._tenant, "rev": campaign.rev}
        async with guarded():
            result = await self._campaigns.replace_one(which, _to_doc(saved))
        return saved if result.modified_count else None

    async def page(self, before: datetime | None, limit: int) -> CampaignPage:
        which: Doc = {"tenant": self._tenant}
        if before is not None:
            which["created"] = {"$lt": before}
        async with guarded():
            docs = await self._campaigns.find(which).sort("created", -1).limit(limit + 1).to_list()
        found = tuple(_from_doc(d) for d in docs[:limit])
        return CampaignPage(found, found[-1].created if len(docs) > limit else None)

    # Recipients

    async def add_recipients(self, recipients: Sequence[Recipient]) -> list[bool]:
        """For each whether it is new: an address is one recipient, however often it comes."""
        for recipient in recipients:
            self._own(recipient.tenant)
        if not recipients:
            return []
        async with guarded():
            return await insert_new(self._recipients, [_recipient_to_doc(r) for r in recipients])

    async def forget_from(self, campaign: str, place: int) -> None:
        """Remove recipients from a place on: a preparation was stopped before it counted them."""
        which = {"tenant": self._tenant, "campaign": campaign, "place": {"$gte": place}}
        async with guarded():
            await self._recipients.delete_many(which)

    async def forget_counts(self, campaign: str) -> None:
        """Remove the tallies and the wrong lines: it is prepared anew."""
        which = {"tenant": self._tenant, "campaign": campaign}
        async with guarded():
            await self._pages.delete_many(which)
            await self._wrong.delete_many(which)

    async def recipients(self, campaign: str, first: int, count: int = PAGE) -> list[Recipient]:
        """Those in so many places from one on, in order."""
        places = {"$gte": first, "$lt": first + count}
        async with guarded():
            docs = await self._recipients.find(
                {"tenant": self._tenant, "campaign": campaign, "place": places}
            ).to_list()
        return sorted((recipient_from_doc(d) for d in docs), key=lambda r: r.place)

    async def recipient(self, recipient: str) -> Recipient | None:
        async with guarded():
            doc = await self._recipients.find_one({"_id": recipient, "tenant": self._tenant})
        return recipient_from_doc(doc) if doc else None

    async def places(self, recipients: Sequence[str]) -> dict[str, int]:
        """The places of those of them that are there."""
        async with guarded():
            docs = await find_named(self._recipients, "_id", recipients, {}, {"tenant": 1, "place": 1})
        return {d["_id"]: int(d["place"]) for d in docs if d["tenant"] == self._tenant}

    async def settle(self, recipients: Sequence[Recipient]) -> None:
        """Write what became of recipients that waited (or when they are due now)."""
        calls = [
            UpdateOne({"_id": r.id, "tenant": self._tenant, "state": "waiting"}, _changed(r))
            for r in recipients
        ]
        if calls:
            async with guarded():
                await self._recipients.bulk_write(calls, ordered=False)

    # Tallies

    async def tallies(self, campaign: str) -> list[Tally]:
        async with guarded():
            docs = await self._pages.find({"tenant": self._tenant, "campaign": campaign}).to_list()
        return sorted((_tally(d) for d in docs), key=lambda t: t.page)

    async def put_tallies(self, campaign: str, tallies: Sequence[Tally]) -> None:
        calls = [
            UpdateOne(
                {"_id": f"{campaign}.{t.page}", "tenant": self._tenant},
                {
                    "$set": {
                        "campaign": campaign,
                        "page": t.page,
                        "counts": dict(t.counts),
                        "out": dict(t.out),
                        "next": t.next,
                        "settled": t.settled,
                        "at": t.at,
                    }
                },
                upsert=True,
            )
            for t in tallies
        ]
        if calls:
            async with guarded():
                await self._pages.bulk_write(calls, ordered=False)

    # Lines of a list that are no recipients

    async def put_wrong(self, campaign: str, wrong: Sequence[Wrong]) -> None:
        """Keep them by the number of their first line: kept again, they are the same."""
        if not wrong:
            return
        first = wrong[0].line
        doc = {
            "tenant": self._tenant,
            "campaign": campaign,
            "first": first,
            "lines": [[w.line, w.text] for w in wrong],
        }
        async with guarded():
            await self._wrong.replace_one(
                {"_id": f"{campaign}.{first}", "tenant": self._tenant}, doc, upsert=True
            )

    async def wrong(self, campaign: str, after: int, limit: int) -> list[Wrong]:
        """Those behind a line, in order."""
        found: list[Wrong] = []
        async with guarded():
            docs = await self._wrong.find({"tenant": self._tenant, "campaign": campaign}).to_list()
        for doc in sorted(docs, key=lambda d: d["first"]):
            found += [Wrong(line, text) for line, text in doc["lines"] if line > after]
            if len(found) >= limit:
                break
        return found[:limit]

    def _own(self, tenant: str) -> None:
        if tenant != self._tenant:
            raise ValueError("a campaign of another tenant")


class Known:
    """What is known of many people at once: a few calls for hundreds of them. One tenant's."""

    def __init__(self, db: Database, tenant: str) -> None:
        self._conversations = db["conversations"]
        self._contacts = db["contacts"]
        self._leads = db["leads"]
        self._messages = db["messages"]
        self._tenant = tenant

    async def conversations(self, ids: Sequence[str]) -> dict[str, Conversation]:
        docs = await self._some(self._conversations, "_id", ids)
        return {d["_id"]: conversation_from_doc(d) for d in docs}

    async def conversations_of(self, contacts: Sequence[str]) -> list[Conversation]:
        """Every conversation of these contacts, on any channel."""
        docs = await self._some(self._conversations, "contact", contacts)
        return [conversation_from_doc(d) for d in docs]

    async def contacts(self, ids: Sequence[str]) -> dict[str, Contact]:
        """By the id that was asked for: of one that turned out to be another's, that other."""
        docs = {d["_id"]: d for d in await self._some(self._contacts, "_id", ids)}
        into = {i: str(d["merged_into"]) for i, d in docs.items() if d.get("merged_into")}
        if into:
            mains = await self.contacts(sorted(set(into.values())))
            return {
                i: mains[into[i]] if i in into else contact_from_doc(d)
                for i, d in docs.items()
                if i not in into or into[i] in mains
            }
        return {i: contact_from_doc(d) for i, d in docs.items()}

    async def contacts_named(self, identities: Sequence[Identity]) -> dict[Identity, Contact]:
        """The contacts that have one of these identities."""
        keys = {identity_key(i): i for i in identities}
        docs = await self._some(self._contacts, "keys", list(keys))
        return {keys[k]: contact_from_doc(d) for d in docs for k in d["keys"] if k in keys}

    async def leads(self, contacts: Sequence[str], channel: str) -> dict[str, Lead]:
        """The leads that a channel's conversations captured of these contacts."""
        docs = await self._some(self._leads, "_id", [lead_id(channel, c) for c in contacts])
        return {d["contact"]: lead_from_doc(d) for d in docs}

    async def statuses(self, messages: Sequence[str]) -> dict[str, tuple[Status, Doc]]:
        """How far these messages have come, and the reason, if there is one."""
        shown = {"tenant": 1, "status": 1, "failure": 1, "times": 1}
        docs = await self._some(self._messages, "_id", messages, shown)
        return {d["_id"]: (_status(d["status"]), d) for d in docs}

    async def all_of(self) -> AsyncIterator[Conversation]:
        """Every conversation of the tenant, once, a page at a time."""
        async with guarded():
            async for doc in self._conversations.find({"tenant": self._tenant}).batch_size(500):
                yield conversation_from_doc(doc)

    async def _some(
        self,
        collection: Collection,
        field: str,
        values: Sequence[str],
        shown: Mapping[str, int] | None = None,
    ) -> list[Doc]:
        found: list[Doc] = []
        for start in range(0, len(values), SOME):
            which: Doc = {field: {"$in": list(values[start : start + SOME])}}
            if field != "_id":
                which["tenant"] = self._tenant
            async with guarded():
                found += await collection.find(which, shown).to_list()
        return [d for d in found if d["tenant"] == self._tenant]


class ActiveCampaigns:
    """Campaigns of every tenant that have something left to do: for the runner, never for a request."""

    def __init__(self, db: Database) -> None:
        self._campaigns = db["campaigns"]

    async def all(self) -> list[Campaign]:
        async with guarded():
            docs = await self._campaigns.find({"active": True}).to_list()
        return [_from_doc(d) for d in docs]


def lead_id(channel: str, contact: str) -> str:
    """A contact has one lead a channel."""
    return stable_id("ld", channel, contact)


def _status(number: int) -> Status:
    return max(s for s in Status if s <= number)


_NAMES: Final = tuple(f.name for f in fields(Campaign) if f.name != "id")


def _to_doc(c: Campaign) -> Doc:
    doc: Doc = {name: getattr(c, name) for name in _NAMES}
    doc |= {
        "_id": c.id,
        "v": SCHEMA,
        "languages": list(c.languages),
        # Names of variables and columns are people's own: as keys they could be paths.
        "variables": [[name, path] for name, path in c.variables.items()],
        "audience": dict(c.audience),
        "counts": dict(c.counts),
        "estimate": dict(c.estimate),
        "progress": dict(c.progress),
        "categories": dict(c.categories),
        "paced": [[at, count] for at, count in c.paced],
        "active": True if c.active else None,
    }
    return {k: v for k, v in doc.items() if v is not None}


def _from_doc(d: Doc) -> Campaign:
    times = {name: aware(d.get(name)) for name in ("at", "started", "ended", "last")}
    return read_as(
        Campaign,
        d,
        id=d["_id"],
        created=aware(d["created"]),
        languages=tuple(d.get("languages", ())),
        variables=dict(d.get("variables", ())),
        paced=tuple((aware(at), count) for at, count in d.get("paced", ())),
        **times,
    )


def _recipient_to_doc(r: Recipient) -> Doc:
    doc: Doc = {f.name: getattr(r, f.name) for f in fields(r) if f.name != "id"}
    doc |= {"_id": r.id, "zones": list(r.zones), "values": [[k, v] for k, v in r.values.items()]}
    return {k: v for k, v in doc.items() if v not in (None, "", [])}


def recipient_from_doc(d: Doc) -> Recipient:
    return read_as(
        Recipient,
        d,
        id=d["_id"],
        zones=tuple(d.get("zones", ())),
        values=dict(d.get("values", ())),
        due=aware(d.get("due")),
        held=aware(d.get("held")),
    )


def _changed(r: Recipient) -> Doc:
    names = ("state", "contact", "conversation", "message", "reason", "text", "due", "held")
    change: Doc = {"$set": {n: v for n in names if (v := getattr(r, n)) is not None}}
    return change if r.held is not None else {**change, "$unset": {"held": ""}}


def _tally(d: Doc) -> Tally:
    return read_as(Tally, d, next=aware(d.get("next")), at=aware(d.get("at")))
