"""Tenants and channels: read on every request, changed rarely, so kept in memory.

`Directory` holds what was asked for and forgets what a poll of the `changed` stamps finds changed, in this or
any other process. One poll costs two round trips in `POLL` seconds a process, not one an exchange.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from pymongo.errors import DuplicateKeyError

from gateway.model.answers import AnswerSettings, Rule
from gateway.model.errors import Conflict, NotFound, ParleyError
from gateway.model.permission import Permissions
from gateway.model.ports import Clock
from gateway.model.tenant import Channel, ChannelKind, ChannelState, Tenant
from gateway.store.answer_docs import rules_to_docs, settings_to_doc
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc
from gateway.store.tenant_docs import (
    channel_from_doc,
    channel_to_doc,
    permissions_to_doc,
    tenant_from_doc,
    tenant_to_doc,
)
from gateway.store.vault import SealBroken, Vault

Found = TypeVar("Found", Tenant, Channel)

POLL = 1.0
KEPT = 20_000
OVERLAP = timedelta(seconds=30)
"""How far back a poll looks: clocks of processes differ, and a write takes time to be seen."""


class Directory:
    """Tenants and channels by id. `channel` and `tenant` raise NotFound."""

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._tenants = db["tenants"]
        self._channels = db["channels"]
        self._vault = vault
        self._clock = clock
        self._known: OrderedDict[tuple[type, str], Tenant | Channel] = OrderedDict()
        self._accounts: dict[tuple[str, str], str] = {}
        self._since = clock() - OVERLAP

    # Reading

    async def tenant(self, tenant: str) -> Tenant:
        found = self._kept(Tenant, tenant)
        if found is None:
            async with guarded():
                doc = await self._tenants.find_one({"_id": tenant})
            if doc is None:
                raise NotFound(f"no tenant {tenant}")
            found = self._keep(self._tenant(doc))
        return found

    async def channel(self, channel: str) -> Channel:
        found = self._kept(Channel, channel)
        if found is None:
            async with guarded():
                doc = await self._channels.find_one({"_id": channel})
            if doc is None:
                raise NotFound(f"no channel {channel}")
            found = self._keep(self._opened(doc))
        return found

    async def by_account(self, kind: ChannelKind, account: str) -> Channel:
        known = self._accounts.get((kind, account))
        if known is None:
            async with guarded():
                doc = await self._channels.find_one({"kind": kind, "account": account}, {"_id": 1})
            if doc is None:
                raise NotFound(f"no {kind} channel for this account")
            known = self._accounts[kind, account] = doc["_id"]
        return await self.channel(known)

    async def meant(self, kind: ChannelKind, account: str) -> list[Channel]:
        """The channels that an account's name means: one, or for `<name>:<id>` every one whose config has that
        `<name>_id`. Raises NotFound."""
        name, separator, identifier = account.partition(":")
        if not separator:
            return [await self.by_account(kind, account)]
        async with guarded():
            docs = await self._channels.find({"kind": kind}, {f"config.{name}_id": 1}).to_list()
        ids = [d["_id"] for d in docs if d.get("config", {}).get(f"{name}_id") == identifier]
        if not ids:
            raise NotFound(f"no {kind} channel for this {name}")
        return [await self.channel(i) for i in ids]

    async def channels(self, tenant: str) -> list[Channel]:
        async with guarded():
            docs = await self._channels.find({"tenant": tenant}).to_list()
        return sorted((self._opened(d) for d in docs), key=lambda c: c.created)

    async def of_kind(self, kind: str) -> list[Channel]:
        """Every tenant's channels of a kind; one whose secrets can't be opened is left out."""
        async with guarded():
            docs = await self._channels.find({"kind": kind}).to_list()
        found = []
        for doc in docs:
            with contextlib.suppress(ParleyError):
                found.append(self._opened(doc))
        return found

    async def tenants(self, limit: int = 1000) -> list[Tenant]:
        async with guarded():
            docs = await self._tenants.find({}).limit(limit).to_list()
        return sorted((self._tenant(d) for d in docs), key=lambda t: t.created)

    def _kept(self, kind: type[Found], key: str) -> Found | None:
        found = self._known.get((kind, key))
        if not isinstance(found, kind):
            return None
        self._known.move_to_end((kind, key))
        return found

    def _keep(self, found: Found) -> Found:
        self._known[type(found), found.id] = found
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found

    def _tenant(self, doc: Doc) -> Tenant:
        """A tenant's own keys that can't be opened are as good as none: its customers are answered without them."""
        secrets = {}
        for name, sealed in doc.get("secrets", {}).items():
            with contextlib.suppress(SealBroken):
                secrets[name] = self._vault.open(sealed, doc["_id"], doc["_id"])
        return tenant_from_doc(doc, secrets)

    def _opened(self, doc: Doc) -> Channel:
        sealed = doc.get("secrets", {})
        try:
            secrets = {k: self._vault.open(v, doc["tenant"], doc["_id"]) for k, v in sealed.items()}
        except SealBroken:
            raise ParleyError(
                f"the secrets of channel {doc['_id']} can't be opened: SECRET_KEYS lacks the key that sealed them"
            ) from None
        return channel_from_doc(doc, secrets)

    # Following changes

    async def refresh(self) -> None:
        """Forget what changed since the last time. Raises Unavailable."""
        now = self._clock()
        async with guarded():
            for kind, collection in ((Tenant, self._tenants), (Channel, self._channels)):
                cursor = collection.find({"changed": {"$gt": self._since}}, {"rev": 1})
                async for doc in cursor:
                    kept = self._known.get((kind, doc["_id"]))
                    if kept is not None and kept.rev != doc["rev"]:
                        del self._known[kind, doc["_id"]]
        self._since = now - OVERLAP

    # Writing

    async def add_tenant(self, tenant: Tenant) -> None:
        """Raises Conflict when the id is taken."""
        sealed = {k: self._vault.seal(v, tenant.id, tenant.id) for k, v in tenant.secrets.items()}
        async with guarded():
            try:
                await self._tenants.insert_one({**tenant_to_doc(tenant, sealed), "changed": self._clock()})
            except DuplicateKeyError:
                raise Conflict(f"tenant {tenant.id} exists already") from None

    async def set_rules(self, tenant: str, rules: Sequence[Rule]) -> None:
        await self._change(self._tenants, tenant, {"$set": {"rules": rules_to_docs(tuple(rules))}})

    async def set_answers(
        self,
        tenant: str,
        answers: AnswerSettings,
        secrets: Mapping[str, str | None] | None = None,
        rev: int | None = None,
    ) -> None:
        """`secrets`: keys to set, or to forget (None). With `rev`, only as long as the tenant is that which was read: raises
        Conflict where somebody else has changed it since."""
        change: Doc = {"$set": {"answers": settings_to_doc(answers)}}
        for name, value in (secrets or {}).items():
            if value is None:
                change.setdefault("$unset", {})[f"secrets.{name}"] = ""
            else:
                change["$set"][f"secrets.{name}"] = self._vault.seal(value, tenant, tenant)
        await self._change(self._tenants, tenant, change, rev)

    async def set_limits(self, tenant: str, limits: Mapping[str, str]) -> None:
        await self._change(self._tenants, tenant, {"$set": {"limits": dict(limits)}})

    async def set_permissions(self, tenant: str, permissions: Permissions) -> None:
        await self._change(self._tenants, tenant, {"$set": {"permissions": permissions_to_doc(permissions)}})

    async def raise_knowledge(self, tenant: str) -> None:
        await self._change(self._tenants, tenant, {"$inc": {"knowledge": 1}})

    async def add_channel(self, channel: Channel) -> None:
        """Raises Conflict when the account is connected already, here or by another tenant."""
        sealed = {k: self._vault.seal(v, channel.tenant, channel.id) for k, v in channel.secrets.items()}
        async with guarded():
            try:
                await self._channels.insert_one({**channel_to_doc(channel, sealed), "changed": self._clock()})
            except DuplicateKeyError:
                raise Conflict(f"this {channel.kind} account is connected already") from None

    async def disable(self, channel: Channel) -> None:
        """The provider refused its credentials. A channel that was changed since it was read is left alone."""
        change = {"$set": {"state": "disabled", "changed": self._clock()}, "$inc": {"rev": 1}}
        async with guarded():
            await self._channels.update_one({"_id": channel.id, "rev": channel.rev}, change)
        self._known.pop((Channel, channel.id), None)

    async def set_channel(
        self,
        channel: Channel,
        *,
        state: ChannelState | None = None,
        secrets: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        change: Doc = dict(settings or {})
        if state is not None:
            change["state"] = state
        for name, value in (secrets or {}).items():
            change[f"secrets.{name}"] = self._vault.seal(value, channel.tenant, channel.id)
        await self._change(self._channels, channel.id, {"$set": change} if change else {})

    async def keep(self, channel: Channel, secrets: Mapping[str, str], config: Mapping[str, Any]) -> None:
        """Write what an adapter has changed: a rotated token, what the provider told. What is not named stays."""
        settings = {f"config.{name}": value for name, value in config.items()}
        await self.set_channel(channel, secrets=secrets, settings=settings)

    async def _change(self, collection: Any, record: str, change: Doc, rev: int | None = None) -> None:
        update: Doc = {**change, "$inc": {**change.get("$inc", {}), "rev": 1}}
        update["$set"] = {**change.get("$set", {}), "changed": self._clock()}
        async with guarded():
            which: Doc = {"_id": record} if rev is None else {"_id": record, "rev": rev}
            result = await collection.update_one(which, update)
        for kind in (Tenant, Channel):
            self._known.pop((kind, record), None)
        if not result.matched_count:
            if rev is not None:
                raise Conflict("somebody else changed it at the same time: look at it, and try again")
            raise NotFound(f"no record {record}")
