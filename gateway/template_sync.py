"""Templates as the provider lists them, brought here: once an hour a business account, by one process, and at once for a new
channel or when the provider has told of something that is not known here."""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from loguru import logger

from consent.templates import MEDIA_KINDS
from consent.templates_wire import read, to_draft
from gateway.facts import account_of
from gateway.model.errors import Conflict, ParleyError, SendError, Unavailable
from gateway.model.ports import AccountTold, ChannelEvent, Clock, TemplateAdapter
from gateway.model.template import CATEGORIES, DRAFT, TemplateDef
from gateway.model.tenant import Channel
from gateway.store import Store
from gateway.templates import GONE, MARGIN, Templates

EVERY: Final = timedelta(hours=1)
RETRY: Final = timedelta(minutes=5)
MOST_TIME: Final = timedelta(minutes=5)
"""How long one account may take: whoever died over it is followed by another after that."""
ANEW: Final = timedelta(minutes=1)
"""How soon after a look that was asked for the next may follow: many events come together."""
AT_ONCE: Final = 4
TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync found: how many the provider has, and how many of them changed something here."""

    seen: int = 0
    added: int = 0
    changed: int = 0
    deleted: int = 0


class TemplateSync:
    def __init__(
        self,
        store: Store,
        adapters: Mapping[str, TemplateAdapter],
        templates: Templates,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._templates = templates
        self._clock = clock
        self._jitter = jitter
        self._next: dict[tuple[str, str], datetime] = {}
        self._asked: dict[tuple[str, str], datetime] = {}
        self.wake = asyncio.Event()

    # When

    async def look(self) -> None:
        """Sync every business account whose time has come. Accounts of one process are done a few at a time."""
        now, due = self._clock(), dict[tuple[str, str], Channel]()
        there = set()
        for kind in self._adapters:
            for channel in await self._store.directory.of_kind(kind):
                key = (channel.tenant, account_of(channel))
                there.add(key)
                if channel.state == "active" and key[1] and self._next.get(key, now) <= now:
                    due.setdefault(key, channel)
        self._next = {k: at for k, at in self._next.items() if k in there}
        self._asked = {k: at for k, at in self._asked.items() if k in there}
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(key: tuple[str, str], channel: Channel) -> None:
            async with limit:
                await self._look_at(key, channel)

        await asyncio.gather(*(one(k, c) for k, c in due.items()))

    async def _look_at(self, key: tuple[str, str], channel: Channel) -> None:
        """One account, if its turn is ours: whoever has the lease has done it, or is at it."""
        name, holder, now = f"templates:{key[0]}:{key[1]}", secrets.token_hex(8), self._clock()
        asked = self._asked.pop(key, None)
        if asked is not None:
            name += ":asked"
        self._next[key] = now + RETRY * (1 + self._jitter())
        if not await self._store.leases.hold(name, holder, now, now + MOST_TIME):
            return
        wait = EVERY * (0.75 + 0.5 * self._jitter())
        try:
            await self.sync(channel)
        except Unavailable:
            raise
        except ParleyError as error:
            wait = RETRY
            logger.bind(tenant=channel.tenant, channel=channel.id).warning(
                "the templates could not be synced, it is tried again: {}", error
            )
        done = self._clock()
        self._next[key] = done + wait
        await self._store.leases.hold(name, holder, done, done + (ANEW if asked is not None else wait))

    def ask(self, channel: Channel, account: str) -> None:
        """Have an account looked at soon, in this process, for every tenant that is connected to it here."""
        now = self._clock()
        for key in {(channel.tenant, account), *(k for k in self._next if k[1] == account)}:
            self._asked[key] = now
            self._next[key] = now
        self.wake.set()

    # What

    async def sync(self, channel: Channel) -> Synced:
        """One channel's business account, and what its numbers may do. Raises SendError; what was read before it broke off is
        kept, and nothing is taken as deleted then."""
        adapter = self._adapters.get(channel.kind)
        if adapter is None or not adapter.business(channel):
            raise Conflict(
                "this channel has no templates: they exist on WhatsApp only, for a number with a waba_id"
            )
        account, start = adapter.business(channel), _whole(self._clock())
        store, found = self._store.of(channel.tenant), Synced()
        async for rows in adapter.rows(channel):
            found = await self._take(channel, account, rows, start, found)
        async for template in store.templates.all(account):
            unseen = template.synced is None or template.synced < start
            if unseen and template.remote and template.state != GONE and template.updated < start - MARGIN:
                found = replace(found, deleted=found.deleted + await self._gone(channel, template, start))
        for own in await self._store.directory.channels(channel.tenant):
            if own.kind == channel.kind and adapter.business(own) == account:
                await self._standing(own, adapter)
        return found

    async def _standing(self, channel: Channel, adapter: TemplateAdapter) -> None:
        try:
            told = await adapter.standing(channel)
        except SendError as error:
            logger.bind(tenant=channel.tenant, channel=channel.id).warning(
                "what the number may send could not be asked for: {}", error
            )
            return
        await self.account(channel, told, self._clock())

    async def account(self, channel: Channel, told: AccountTold, at: datetime) -> None:
        """Keep what the provider told of an account; older news than what is known is dropped."""
        accounts = self._store.of(channel.tenant).accounts
        known = (await accounts.get(channel.id)).checked
        if known is not None and at < known - MARGIN:
            return
        if told.limit is not None or told.unlimited or told.quality is not None:
            at = max(at, known or at)
            await accounts.told(
                channel.id, at, limit=told.limit, unlimited=told.unlimited, quality=told.quality
            )

    async def happened(self, channel: Channel, event: ChannelEvent) -> None:
        """Take what a webhook told of templates and of the account."""
        if event.template is not None and await self._templates.told(channel, event):
            self.ask(channel, event.template.account)
        if event.account is not None:
            await self.account(channel, event.account, event.at)
            if event.account.look:
                self.ask(channel, account_of(channel))

    async def _take(
        self,
        channel: Channel,
        account: str,
        rows: Sequence[Mapping[str, Any]],
        start: datetime,
        so_far: Synced,
    ) -> Synced:
        """One page of the provider's list."""
        templates = self._store.of(channel.tenant).templates
        told = {}
        for row in rows:
            if (one := read(row, channel.tenant, account, start)) is not None:
                told[one.id] = (one, _coming(row))
        known = await templates.some(list(told))
        new = [_listed(None, t, coming, start) for i, (t, coming) in told.items() if i not in known]
        added = sum(await templates.add_many(new))
        same, changed = [], 0
        for i, before in known.items():
            after = _listed(before, *told[i], start)
            if _content(before) == _content(after):
                same.append(i)
            else:
                changed += await self._merge(channel, before, told[i], start)
        await templates.seen(same, start)
        return replace(
            so_far,
            seen=so_far.seen + len(told),
            added=so_far.added + added,
            changed=so_far.changed + changed,
        )

    async def _merge(
        self, channel: Channel, before: TemplateDef | None, told: tuple[TemplateDef, str], start: datetime
    ) -> bool:
        templates = self._store.of(channel.tenant).templates
        for _ in range(TRIES):
            if before is None or before.updated >= start:
                return False  # deleted, submitted or told of meanwhile: the next list is asked
            after = replace(_listed(before, *told, start), updated=_whole(self._clock()))
            if saved := await templates.save(after):
                await self._templates.tell(before, saved)
                if before.remote:
                    await self._templates.warn(channel, before, saved, start)
                return True
            before = await templates.get(before.id)
        return False

    async def _gone(self, channel: Channel, template: TemplateDef, start: datetime) -> bool:
        after = await self._store.of(channel.tenant).templates.save(
            replace(template, state=GONE, updated=_whole(self._clock()), synced=start)
        )
        if after is None:
            return False
        await self._templates.tell(template, after)
        await self._templates.warn(channel, template, after, start)
        return True


def _coming(row: Mapping[str, Any]) -> str:
    coming = str(row.get("correct_category") or "").upper()
    return coming if coming in CATEGORIES and coming != str(row.get("category") or "").upper() else ""


def _listed(before: TemplateDef | None, told: TemplateDef, coming: str, start: datetime) -> TemplateDef:
    """A template as the provider lists it, with what only we know of it, and what its events told while the list was made."""
    if before is None:
        return replace(told, coming=coming)
    after = replace(
        told, rev=before.rev, draft=before.draft, coming=coming or before.coming, updated=before.updated
    )
    if after.state == before.state and not after.reason:
        after = replace(after, reason=before.reason)
    if after.coming == after.category:
        after = replace(after, coming="")
    header = before.header
    if header and after.header and after.header.kind == header.kind in MEDIA_KINDS and header.example:
        # The provider tells the sample's address, which is another each time.
        after = replace(after, header=header)
    if before.state == DRAFT and before.remote is None:
        # Made at the provider while a draft of the same name was being written here: neither is lost.
        own, theirs = to_draft(before), to_draft(after)
        return replace(after, draft={n: v for n, v in own.items() if theirs[n] != v})
    heard = {what for what, at in before.told.items() if at > start - MARGIN}
    for what in heard & {"state", "category", "quality"}:
        after = replace(after, **{what: getattr(before, what)})
    return replace(after, reason=before.reason if "state" in heard else after.reason, told=before.told)


def _content(t: TemplateDef) -> TemplateDef:
    """What of a template makes it another."""
    return replace(t, synced=None, told={}, rev=0)


def _whole(now: datetime) -> datetime:
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
