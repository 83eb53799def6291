"""Templates of a tenant: drafts that are checked here, what the provider has of them, and what it tells of their changes.

What a provider tells later is older news when its own time is earlier: it changes nothing. What it lists may itself be a
little old: for `MARGIN` before a list was asked for, its own events count more.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from loguru import logger

from consent.templates import Shown, normal, preview
from consent.templates_lint import has_own_sample, lint
from consent.templates_wire import change as changed_parts
from consent.templates_wire import definition, state, to_draft, with_draft
from gateway.facts import account_of
from gateway.model.errors import Conflict, Invalid, NotFound, ParleyError, Unavailable
from gateway.model.message import stable_id
from gateway.model.ports import ChannelEvent, Clock, TemplateAdapter
from gateway.model.template import CATEGORIES, DRAFT, TemplateChange, TemplateDef, template_id
from gateway.model.tenant import Channel
from gateway.ops.logging import stack
from gateway.store import Store, TenantStore
from gateway.store.templates import TemplatePage

Changed = Callable[[TemplateDef, TemplateDef], Awaitable[None]]
"""Told of a template as it was and as it is, whenever its state, its category or its text is another."""

TRIES: Final = 8
MARGIN: Final = timedelta(minutes=5)
GONE: Final = "DELETED"
EDITABLE_STATES: Final = frozenset({DRAFT, "APPROVED", "REINSTATED", "REJECTED", "PAUSED", "FLAGGED"})


class Templates:
    def __init__(self, store: Store, adapters: Mapping[str, TemplateAdapter], clock: Clock) -> None:
        self._store = store
        self._adapters = adapters
        self._clock = clock
        self._listeners: list[Changed] = []

    def on_change(self, listener: Changed) -> None:
        """Have somebody told of changes, in this process."""
        self._listeners.append(listener)

    # Reading

    async def get(self, tenant: str, template: str) -> TemplateDef:
        """By its id. Raises NotFound."""
        found = await self._store.of(tenant).templates.get(template)
        if found is None:
            raise NotFound(template)
        return found

    async def page(
        self, tenant: str, after: str | None, limit: int, channel: str | None = None
    ) -> TemplatePage:
        """By name; with a channel those of its business account. Raises NotFound."""
        account = await self._account(tenant, channel) if channel else None
        return await self._store.of(tenant).templates.page(after, limit, account)

    async def preview(self, tenant: str, template: str, values: Mapping[str, str]) -> Shown:
        """What the customer will see, a draft as it is written now; the template's own samples stand for what is not given.
        Raises NotFound, Invalid."""
        shown = with_draft(await self.get(tenant, template))
        return preview(shown, values)

    # Drafts

    async def create(
        self, tenant: str, name: str, language: str, draft: Mapping[str, Any], channel: str | None = None
    ) -> TemplateDef:
        """A new draft, for a channel's business account, or (without a channel) for channels that need no approval.
        Raises Invalid, NotFound, Conflict."""
        if not 0 < len(name) <= 512 or not name.isprintable():
            raise Invalid("name", "1 to 512 characters")
        if not 0 < len(language) <= 16 or not language.isascii() or not language.isprintable():
            raise Invalid("language", "a language such as en_US")
        account = await self._account(tenant, channel) if channel else ""
        language, now = normal(language), self._clock()
        empty = TemplateDef(
            id=template_id(tenant, account, name, language),
            tenant=tenant,
            account=account,
            name=name,
            language=language,
            category="UTILITY",
            body="",
            updated=now,
        )
        made, store = with_draft(empty, draft), self._store.of(tenant)
        await _keep_sample(store, made)
        if await store.templates.add(made):
            return made
        there = await store.templates.get(made.id)
        if there is not None and there.state == GONE:
            saved = await store.templates.save(replace(made, rev=there.rev))
            if saved is not None:
                return saved
        raise Conflict(f"template {name} ({language}) is there already: edit it, or take another name")

    async def edit(self, tenant: str, template: str, draft: Mapping[str, Any]) -> TemplateDef:
        """Change a draft. What the provider has stays in use as it is until the change is submitted and approved.
        Raises Invalid, NotFound, Conflict."""

        def change(t: TemplateDef) -> TemplateDef:
            if t.raw:
                raise Conflict("this template has parts that Parley does not know: edit it at the provider")
            if t.state == GONE:
                raise Conflict("this template was deleted")
            edited = with_draft(t, {**t.draft, **draft})
            if t.remote is None:
                return replace(edited, draft={}, updated=self._clock())
            return replace(t, draft={**t.draft, **draft})

        store = self._store.of(tenant)
        await _keep_sample(store, with_draft(change(await self.get(tenant, template))))
        _, after = await self._change(store, template, change)
        return after

    async def discard(self, tenant: str, template: str) -> TemplateDef:
        """Put away what was changed and not submitted. Raises NotFound, Conflict."""
        _, after = await self._change(self._store.of(tenant), template, lambda t: replace(t, draft={}))
        return after

    async def submit(self, tenant: str, template: str) -> TemplateDef:
        """Have a draft approved. Raises Invalid (naming the first mistake), NotFound, Conflict and SendError."""
        found = await self.get(tenant, template)
        wanted = with_draft(found)
        if not found.account:
            raise Conflict("this template is for channels that need no approval: it can be sent as it is")
        if found.remote and not found.draft:
            raise Conflict("there is nothing to submit: the provider has it as it is here")
        if found.remote and found.state not in EDITABLE_STATES:
            told = found.state.replace("_", " ").lower()
            raise Conflict(f"the provider has this template as {told}, and takes changes of it later only")
        if problems := lint(wanted):
            more = f" ({len(problems) - 1} more: `template lint` shows them)" if problems[1:] else ""
            raise Invalid(problems[0].field, problems[0].text + more)
        channel, adapter = await self._channel(tenant, found.account)
        handle = None
        if wanted.header is not None and has_own_sample(wanted):
            handle = await adapter.sample(channel, wanted.header.example)
        begun, category = self._clock(), found.category
        if found.remote:
            free = found.state in ("REJECTED", "PAUSED")
            await adapter.edit(channel, found.remote, changed_parts(wanted, handle, free))
            remote, now_state, category = found.remote, "PENDING", wanted.category if free else found.category
        else:
            taken = await adapter.create(channel, definition(wanted, handle))
            remote, now_state = taken.remote, state(taken.state)
            category = next((c for c in CATEGORIES if c == taken.category.upper()), wanted.category)
        now = self._clock()

        def record(t: TemplateDef) -> TemplateDef:
            # A change of ours made meanwhile stays a draft; one of the provider's counts more than its answer.
            left = {k: v for k, v in t.draft.items() if found.draft.get(k) != v}
            submitted = replace(wanted, rev=t.rev, draft=left, told=t.told, remote=remote)
            heard = t.told.get("state", t.updated) >= begun.replace(microsecond=0) and bool(t.told)
            if heard or (t.remote and not found.remote):
                return replace(
                    submitted, state=t.state, category=t.category, quality=t.quality, synced=t.synced
                )
            return replace(submitted, state=now_state, category=category, reason="", updated=now, synced=now)

        before, after = await self._change(self._store.of(tenant), template, record)
        await self.tell(before, after)
        return after

    async def delete(self, tenant: str, template: str) -> TemplateDef:
        """Delete a template, here and at the provider. What is queued with it is refused from now on. Raises NotFound,
        Conflict and SendError."""
        found = await self.get(tenant, template)
        store = self._store.of(tenant)
        if found.remote is None or found.state == GONE:
            if not await store.templates.remove(found):
                raise Conflict("the template has just been changed; try again")
            return replace(found, state=GONE)
        channel, adapter = await self._channel(tenant, found.account)
        await adapter.delete(channel, found.name, found.remote)
        before, after = await self._change(
            store, template, lambda t: replace(t, state=GONE, draft={}, updated=self._clock())
        )
        await self.tell(before, after)
        return after

    # What the provider tells

    async def told(self, channel: Channel, event: ChannelEvent) -> bool:
        """Take what a channel's provider told of a template. Every tenant that has the business account by the same app learns
        it; whether somebody has it by another app, or it is not known here, so that it has to be looked for."""
        change = event.template
        if change is None:
            return False
        look = not await self._apply(channel.tenant, change) or change.unread
        for other in await self._sharing(channel, change.account):
            if other.secrets.get("app_secret") != channel.secrets.get("app_secret"):
                look = True  # authentic to the one, but not to the other: that one asks for itself
                continue
            look |= not await self._apply(other.tenant, change)
            await self._store.of(other.tenant).events.put(other.id, event, self._clock())
        return look

    async def _sharing(self, channel: Channel, account: str) -> Sequence[Channel]:
        """Other tenants' channels of the same business account, one a tenant."""
        try:
            found = await self._store.directory.meant(channel.kind, f"waba:{account}")
        except Unavailable:
            raise
        except ParleyError:
            return ()
        return list({c.tenant: c for c in found if c.tenant != channel.tenant}.values())

    async def _apply(self, tenant: str, change: TemplateChange) -> bool:
        """Whether the template is known here."""
        store = self._store.of(tenant)
        found = await store.templates.of_remote(change.remote) if change.remote else []
        found = [t for t in found if t.account == change.account]
        if not found:
            named = await store.templates.named(change.account, change.name)
            found = [t for t in named if normal(t.language) == normal(change.language)]
            if change.state in (GONE, "PENDING_DELETION"):
                # Late news of one that was made anew: whether this one is gone, the provider's list tells.
                found = [t for t in found if None in (t.remote, change.remote)]
        now = self._clock()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        bounded = replace(change, at=min(change.at, now + MARGIN))

        def take(t: TemplateDef) -> TemplateDef:
            # A time that lies ahead of ours must not keep later lists from being believed.
            new = applied(t, bounded)
            return replace(new, updated=min(new.updated, max(t.updated, now)))

        for template in found:
            before, after = await self._change(store, template.id, take)
            await self.tell(before, after)
        return bool(found)

    async def tell(self, before: TemplateDef, after: TemplateDef) -> None:
        """Tell whoever listens, if the change matters to a sender."""
        if not matters(before, after):
            return
        for listener in self._listeners:
            try:
                await listener(before, after)
            except Unavailable:
                raise
            except Exception as error:
                logger.error("a change of a template could not be passed on: {}", stack(error))

    async def warn(self, channel: Channel, before: TemplateDef, after: TemplateDef, now: datetime) -> None:
        """Note for the owner what the provider had changed without our being told."""
        named = f"Template {after.name} ({after.language})"
        texts: list[tuple[str, bool]] = []
        if after.state != before.state:
            why = f", because of {after.reason}" if after.reason else ""
            texts.append((f"{named} is now {after.state.replace('_', ' ').lower()}{why}.", not after.usable))
        if after.category != before.category:
            moved = f"{named} was moved from {before.category.lower()} to {after.category.lower()}."
            texts.append((moved, after.category == "MARKETING"))
        for text, warning in texts:
            event = ChannelEvent(
                stable_id("we", "sync", after.id, text, now.isoformat()),
                "template_sync",
                now,
                text,
                warning=warning,
            )
            await self._store.of(channel.tenant).events.put(channel.id, event, now)

    # Shared

    async def _change(
        self, store: TenantStore, template: str, change: Callable[[TemplateDef], TemplateDef]
    ) -> tuple[TemplateDef, TemplateDef]:
        """As it was, and as it is. Raises NotFound, and Conflict when it keeps changing under us."""
        for _ in range(TRIES):
            found = await store.templates.get(template)
            if found is None:
                raise NotFound(template)
            wanted = change(found)
            if wanted == found:
                return found, found
            if saved := await store.templates.save(wanted):
                return found, saved
        raise Conflict("the template is busy; try again")

    async def _account(self, tenant: str, channel: str) -> str:
        found = await self._store.directory.channel(channel)
        if found.tenant != tenant:
            raise NotFound(channel)
        return account_of(found) if found.kind in self._adapters else ""

    async def _channel(self, tenant: str, account: str) -> tuple[Channel, TemplateAdapter]:
        """A channel through which a business account can be spoken to; one that is active before others. Raises Conflict."""
        found = [
            c
            for c in await self._store.directory.channels(tenant)
            if c.kind in self._adapters and account_of(c) == account
        ]
        if not found:
            raise Conflict("the business account of this template is not connected (any more)")
        channel = min(found, key=lambda c: c.state != "active")
        return channel, self._adapters[channel.kind]


async def _keep_sample(store: TenantStore, template: TemplateDef) -> None:
    """Its header's sample, if it is a file of ours, stays. Raises Invalid when there is none."""
    if template.header is not None and has_own_sample(template):
        try:
            await store.files.attach([template.header.example])
        except NotFound:
            told = "the id of a file of yours: POST /files makes one"
            raise Invalid("header.example", told) from None


def applied(t: TemplateDef, change: TemplateChange) -> TemplateDef:
    """A template after what the provider told of it. Pure."""
    told, new = dict(t.told), t

    def is_news(what: str) -> bool:
        known = [at for at in (told.get(what), t.synced - MARGIN if t.synced else None) if at is not None]
        if known and max(known) > change.at:
            return False
        told[what] = change.at
        return True

    if change.state is not None and is_news("state"):
        new = replace(new, state=change.state, reason=change.reason or "")
    if change.category is not None and is_news("category"):
        new = replace(new, category=change.category)
        if change.coming is not None or new.coming == change.category:
            new = replace(new, coming=change.coming or "")
    elif change.category is None and change.coming is not None and is_news("coming"):
        new = replace(new, coming=change.coming)
    if change.quality is not None and is_news("quality"):
        new = replace(new, quality=change.quality)
    return replace(new, remote=t.remote or change.remote, told=told, updated=max(t.updated, change.at))


def matters(before: TemplateDef, after: TemplateDef) -> bool:
    """Whether a sender has to know."""
    return (
        before.state != after.state
        or before.category != after.category
        or to_draft(before) != to_draft(after)
    )
