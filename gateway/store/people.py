"""Who is who: the identities that were told to be one person (or one place), and the conversation that they share.

A person whom every payload names alike needs nothing of this: their conversation's id follows from their identity. Only
identities that came together, or changed, are kept. What was found is remembered in the process, for it never changes
but by a merge, which is written before it is used.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from pymongo.errors import DuplicateKeyError

from gateway.model.conversation import Identity
from gateway.model.message import conversation_id, stable_id
from gateway.store.codec import identity_key
from gateway.store.database import Database, guarded
from gateway.store.group import insert_new

KEPT: Final = 50_000
TRUSTED: Final = 60.0
"""Seconds that what was found is relied on: another process may have learned that two are one."""


class People:
    """One process's knowledge of shared conversations. Keyed by channel, so by tenant."""

    def __init__(self, db: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._people = db["people"]
        self._conversations = db["conversations"]
        self._contacts = db["contacts"]
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
        shared = await self._shared(tenant, keys)
        if len(identities) == 1:
            chosen = shared.get(keys[0]) or conversation_of(channel, identities[0])
        else:
            own = [conversation_of(channel, i) for i in identities]
            candidates = list(dict.fromkeys([shared[k] for k in keys if k in shared] + own))
            chosen = await self._joined(tenant, candidates, () if place else identities)
            await self._keep(tenant, channel, keys, chosen, shared)
        until = self._monotonic() + TRUSTED
        for key in keys:
            self._known[key] = chosen, until
            self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return chosen

    def _remembered(self, keys: Sequence[str]) -> str | None:
        found = {self._known.get(k, ("", 0.0)) for k in keys}
        conversations = {c for c, _ in found}
        if len(conversations) != 1 or any(until <= self._monotonic() for _, until in found):
            return None
        return conversations.pop()

    async def _shared(self, tenant: str, keys: Sequence[str]) -> dict[str, str]:
        async with guarded():
            docs = await self._people.find({"_id": {"$in": list(keys)}}).to_list()
        return {d["_id"]: d["conversation"] for d in docs if d["tenant"] == tenant}

    async def _joined(self, tenant: str, candidates: Sequence[str], identities: Sequence[Identity]) -> str:
        """Which conversation goes on; the others, if there are any, end in it."""
        async with guarded():
            docs = await self._conversations.find({"_id": {"$in": list(candidates)}}).to_list()
        standing = sorted(
            (d for d in docs if d["tenant"] == tenant and not d.get("merged_into")),
            key=lambda d: (d["created"], d["_id"]),
        )
        if not standing:
            return candidates[0]
        first, *others = standing
        for other in others:
            async with guarded():
                await self._conversations.update_one(
                    {"_id": other["_id"], "tenant": tenant},
                    {"$set": {"merged_into": first["_id"], "open": False}, "$inc": {"rev": 1}},
                )
        if identities:
            await self._unite(tenant, first["contact"], {d["contact"] for d in others}, identities)
        return str(first["_id"])

    async def _unite(
        self, tenant: str, contact: str, others: set[str], identities: Sequence[Identity]
    ) -> None:
        """All of these identities are this contact's, and what the others knew is, too."""
        found = dict.fromkeys(identities)
        known: dict[str, object] = {}
        async with guarded():
            for other in sorted(others - {contact}):
                doc = await self._contacts.find_one({"_id": other, "tenant": tenant})
                if doc is None:
                    continue
                found |= {Identity(**i): None for i in doc["identities"]}
                known = {f: doc[f] for f in ("name", "phone", "email") if doc.get(f)} | known
                # Its keys go first: no two contacts may hold the same one.
                await self._contacts.update_one(
                    {"_id": other, "tenant": tenant},
                    {"$set": {"merged_into": contact, "keys": [f"merged:{other}"]}},
                )
            which = {"_id": contact, "tenant": tenant}
            main = await self._contacts.find_one(which)
            if main is None:
                return
            missing = {f: v for f, v in known.items() if not main.get(f)}
            found = {Identity(**i): None for i in main["identities"]} | found
            try:
                await self._contacts.update_one(
                    which,
                    {
                        "$set": {
                            **missing,
                            "identities": [asdict(i) for i in found],
                            "keys": [identity_key(i) for i in found],
                        }
                    },
                )
            except DuplicateKeyError:
                # Another channel's contact holds one of them: they stay two until a person says otherwise.
                return

    async def _keep(
        self, tenant: str, channel: str, keys: Sequence[str], chosen: str, shared: Mapping[str, str]
    ) -> None:
        new = [
            {"_id": k, "v": 1, "tenant": tenant, "channel": channel, "conversation": chosen}
            for k in keys
            if k not in shared
        ]
        changed = [k for k in keys if shared.get(k, chosen) != chosen]
        async with guarded():
            if new:
                await insert_new(self._people, new)
            for key in changed:
                await self._people.update_one(
                    {"_id": key, "tenant": tenant}, {"$set": {"conversation": chosen}}
                )


def conversation_of(channel: str, identity: Identity) -> str:
    """The id of the conversation of somebody who has one identity only."""
    return conversation_id(channel, f"{identity.kind}:{identity.account}:{identity.id}")


def _id(channel: str, identity: Identity) -> str:
    return stable_id("pp", channel, identity_key(identity))
