"""Who is who: the identities that were told to be one person (or one place), and the conversation that they share.

A person whom every payload names alike needs nothing of this: their conversation's id follows from their identity. Only
identities that came together, or changed, are kept. What was found is remembered in the process, for it never changes
but by a merge, which is written before it is used.
"""

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from pymongo.errors import DuplicateKeyError

from gateway.model.consent import SERVICE, joined
from gateway.model.identity import Identity
from gateway.model.message import conversation_id, stable_id
from gateway.store.codec import conversation_from_doc, identity_key
from gateway.store.consent_docs import consents_to_doc
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc, read_as
from gateway.store.group import insert_new
from gateway.store.rows import MOST_NAMED

KEPT: Final = 50_000
TRUSTED: Final = 60.0
"""Seconds that what was found is relied on: another process may have learned that two are one."""

TRIES: Final = 8


class People:
    """One process's knowledge of shared conversations. Keyed by channel, so by tenant.

    The order of the writes is what makes a stop between any two of them harmless: first every identity is led to the
    conversation that goes on, then the others end in it, and last the identities are marked as `joined`. Whatever was left
    undone is done when the same identities come again.
    """

    def __init__(self, db: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._people = db["people"]
        self._conversations = db["conversations"]
        self._contacts = db["contacts"]
        self._messages = db["messages"]
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def conversation(
        self, tenant: str, channel: str, identities: Sequence[Identity], *, place: bool = False
    ) -> str:
        """The conversation of somebody who was named by all of these identities, the first being the main one.

        Where they had conversations apart, the one that was there first goes on, for all of them, and their contacts
        become one. The identities of a `place` (a group) are no contact's.
        """
        keys = [_id(channel, i) for i in identities]
        if (known := self._remembered(keys)) is not None:
            return known
        rows = await self._rows(tenant, keys)
        led = {rows[k]["conversation"] for k in keys if k in rows}
        if len(led) == 1 and all(k in rows and rows[k].get("joined") for k in keys):
            chosen = str(led.pop())
        elif len(identities) == 1:
            chosen = str(rows[keys[0]]["conversation"]) if rows else conversation_of(channel, identities[0])
        else:
            candidates = list(dict.fromkeys([*led, *(conversation_of(channel, i) for i in identities)]))
            chosen = await self._join(tenant, channel, candidates, keys, () if place else identities)
        self._remember(keys, chosen)
        return chosen

    async def recall(self, tenant: str, channel: str, identities: Sequence[Identity]) -> None:
        """Look up many at once who are named in one way only, so that `conversation` need not ask for each."""
        names = {_id(channel, i): i for i in identities}
        keys = [k for k in names if self._remembered([k]) is None]
        for start in range(0, len(keys), MOST_NAMED):
            page = keys[start : start + MOST_NAMED]
            rows = await self._rows(tenant, page)
            for key in page:
                led = rows[key]["conversation"] if key in rows else conversation_of(channel, names[key])
                self._remember([key], str(led))

    def _remembered(self, keys: Sequence[str]) -> str | None:
        found = {self._known.get(k, ("", 0.0)) for k in keys}
        conversations = {c for c, _ in found}
        if len(conversations) != 1 or any(until <= self._monotonic() for _, until in found):
            return None
        return conversations.pop()

    def _remember(self, keys: Sequence[str], conversation: str) -> None:
        until = self._monotonic() + TRUSTED
        for key in keys:
            self._known[key] = conversation, until
            self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    async def _rows(self, tenant: str, keys: Sequence[str]) -> dict[str, Doc]:
        async with guarded():
            docs = await self._people.find({"_id": {"$in": list(keys)}}).to_list()
        return {d["_id"]: d for d in docs if d["tenant"] == tenant}

    async def _join(
        self,
        tenant: str,
        channel: str,
        candidates: Sequence[str],
        keys: Sequence[str],
        identities: Sequence[Identity],
    ) -> str:
        standing = await self._standing(tenant, candidates)
        if not standing:
            chosen, fresh = await self._begun(tenant, candidates)
            # A contact that begins with this message begins with all its identities.
            await self._keep(tenant, channel, keys, chosen, candidates, joined=fresh)
            return chosen
        first, *others = standing
        chosen = str(first["_id"])
        await self._keep(tenant, channel, keys, chosen, candidates)
        for other in others:
            await self._end_in(tenant, other, chosen)
        if identities:
            await self._unite(tenant, first["contact"], {d["contact"] for d in others}, identities)
        async with guarded():
            await self._people.update_many({"_id": {"$in": list(keys)}}, {"$set": {"joined": True}})
        return chosen

    async def _standing(self, tenant: str, candidates: Sequence[str]) -> list[Doc]:
        """The candidates, or what they have ended in, oldest first."""
        wanted, found = set(candidates), dict[str, Doc]()
        while wanted:
            async with guarded():
                docs = await self._conversations.find({"_id": {"$in": sorted(wanted)}}).to_list()
            found |= {d["_id"]: d for d in docs if d["tenant"] == tenant}
            wanted = {d["merged_into"] for d in found.values() if d.get("merged_into")} - set(found)
            wanted -= {i for i in wanted if not docs}
        ends = [d for d in found.values() if not d.get("merged_into")]
        return sorted(ends, key=lambda d: (d["created"], d["_id"]))

    async def _begun(self, tenant: str, candidates: Sequence[str]) -> tuple[str, bool]:
        """None is there yet: the one that a message already waits in, else the main identity's, which is new then."""
        for candidate in candidates:
            which = {"tenant": tenant, "conversation": candidate, "todo": {"$gt": ""}}
            async with guarded():
                if await self._messages.find_one(which, {"_id": 1}) is not None:
                    return candidate, False
        return candidates[0], True

    async def _keep(
        self,
        tenant: str,
        channel: str,
        keys: Sequence[str],
        chosen: str,
        candidates: Sequence[str],
        joined: bool = False,
    ) -> None:
        """Lead every one of these identities, and those that were led to one of the candidates, to the chosen one."""
        rows = [
            {
                "_id": k,
                "v": 1,
                "tenant": tenant,
                "channel": channel,
                "conversation": chosen,
                **({"joined": True} if joined else {}),
            }
            for k in keys
        ]
        others = [c for c in candidates if c != chosen]
        async with guarded():
            new = await insert_new(self._people, rows)
            if not all(new):
                await self._people.update_many(
                    {"_id": {"$in": list(keys)}}, {"$set": {"conversation": chosen}}
                )
            for other in others:
                await self._people.update_many(
                    {"tenant": tenant, "conversation": other}, {"$set": {"conversation": chosen}}
                )

    async def _end_in(self, tenant: str, other: Doc, chosen: str) -> None:
        """Another conversation of the same person ends: what was decided in it holds for the one that goes on."""
        for _ in range(TRIES):
            async with guarded():
                main = await self._conversations.find_one({"_id": chosen, "tenant": tenant})
                if main is None:
                    return
                change = _carried(main, other)
                done = await self._conversations.update_one(
                    {"_id": chosen, "tenant": tenant, "rev": main["rev"]},
                    {"$set": change, "$inc": {"rev": 1}},
                )
            if done.modified_count:
                break
        async with guarded():
            await self._conversations.update_one(
                {"_id": other["_id"], "tenant": tenant},
                {"$set": {"merged_into": chosen, "open": False}, "$inc": {"rev": 1}},
            )

    async def _unite(
        self, tenant: str, contact: str, others: set[str], identities: Sequence[Identity]
    ) -> None:
        """All of these identities are this contact's, and what the others knew is, too."""
        found = dict.fromkeys(identities)
        known: dict[str, object] = {}
        which = {"_id": contact, "tenant": tenant}
        async with guarded():
            # First: what the ledger says of the others is said of this one, too, wherever we are stopped after it.
            docs = await self._contacts.find({"_id": {"$in": [contact, *others]}}).to_list()
            same = [i for d in docs if d["tenant"] == tenant for i in (d["_id"], *d.get("merged", ()))]
            await self._contacts.update_one(which, {"$set": {"merged": sorted(set(same) - {contact})}})
            for other in sorted(others - {contact}):
                doc = await self._contacts.find_one({"_id": other, "tenant": tenant})
                if doc is None:
                    continue
                found |= {read_as(Identity, i): None for i in doc["identities"]}
                known = {f: doc[f] for f in ("name", "phone", "email") if doc.get(f)} | known
                # Its keys go first: no two contacts may hold the same one.
                await self._contacts.update_one(
                    {"_id": other, "tenant": tenant},
                    {"$set": {"merged_into": contact, "keys": [f"merged:{other}"]}},
                )
            main = await self._contacts.find_one(which)
            if main is None:
                return
            missing = {f: v for f, v in known.items() if not main.get(f)}
            found = {read_as(Identity, i): None for i in main["identities"]} | found
            change = {
                **missing,
                "identities": [asdict(i) for i in found],
                "keys": [identity_key(i) for i in found],
            }
            # Another channel's contact may hold one of them: the two stay two until a person says otherwise.
            with contextlib.suppress(DuplicateKeyError):
                await self._contacts.update_one(which, {"$set": change})


_OWNERS: Final = ("bot", "queue", "agent")


def _carried(main: Doc, other: Doc) -> Doc:
    """What the conversation that goes on takes over: whoever answered answers, and who said stop is not written to."""
    owner = max(main["owner"], other["owner"], key=_OWNERS.index)
    change: Doc = {"owner": owner}
    consents = joined(conversation_from_doc(main).consents, conversation_from_doc(other).consents)
    if consents:
        service = consents.get(SERVICE)
        change["consents"] = consents_to_doc(consents)
        change["stopped"] = service is not None and service.state == "withdrawn"
    for name in ("chosen", "lead", "form", "recent", "name", "timezone"):
        if other.get(name) and not main.get(name):
            change[name] = other[name]
    for name in ("last_in", "window_until"):
        if other.get(name) and (not main.get(name) or other[name] > main[name]):
            change[name] = other[name]
    if marketed := sorted({*main.get("marketed", ()), *other.get("marketed", ())}):
        change["marketed"] = marketed
    return change


def conversation_of(channel: str, identity: Identity) -> str:
    """The id of the conversation of somebody who has one identity only."""
    # A colon within the account must not make it another one's.
    account = (
        identity.account.replace("%", "%25").replace(":", "%3a")
        if ":" in identity.account
        else identity.account
    )
    return conversation_id(channel, f"{identity.kind}:{account}:{identity.id}")


def _id(channel: str, identity: Identity) -> str:
    return stable_id("pp", channel, identity_key(identity))
