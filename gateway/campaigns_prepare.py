"""Preparing a campaign: who its recipients are, what each is told and when, and what it would come to.

It goes on from where it was stopped. What it counted is written with how far it came, in one write and after the recipients:
those behind that are of a batch that was broken off, and are removed first. Nothing is sent here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from consent import templates
from consent.hours import next_allowed
from consent.permission import Refused, decide
from gateway.campaigns_audience import Audiences, Batch, Person, read_audience
from gateway.campaigns_content import (
    Missing,
    Source,
    content_of,
    filled,
    purpose_in,
    sources_of,
    wanted_languages,
    wants_of,
)
from gateway.campaigns_progress import Progress
from gateway.facts import account_of, facts_of, zones_of
from gateway.model.campaign import Campaign, Recipient, Tally, Wrong, recipient_id
from gateway.model.consent import SERVICE, UTILITY
from gateway.model.content import Template, Text
from gateway.model.conversation import Conversation
from gateway.model.errors import Invalid
from gateway.model.message import Message, Status
from gateway.model.permission import Permissions
from gateway.model.ports import Adapter, Clock
from gateway.model.template import TemplateDef
from gateway.model.tenant import Channel, Tenant
from gateway.store import Store
from gateway.store.accounts import AccountStanding

MOST_WRONG: Final = 10_000
"""Lines that are no recipients which are kept with their reason; beyond that they are counted."""

GRACE: Final = timedelta(hours=1)
"""A local time that has been over for longer is the next day's."""

BREATH: Final = 25
"""Recipients after which the loop is given to others."""


class Overtaken(Exception):
    """Another process prepares it, or somebody has changed it."""


class Preparing:
    """Prepares one campaign. `still` tells whether it is still ours to prepare, and keeps it so."""

    def __init__(
        self,
        store: Store,
        adapters: Mapping[str, Adapter],
        clock: Clock,
        still: Callable[[], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._clock = clock
        self._still = still

    async def run(self, campaign: Campaign, *, dry: bool = False) -> Campaign:
        """Until it is `ready` or `failed`; `dry`: nothing is written, and the estimate is in what is returned.
        Raises Overtaken and Unavailable."""
        tenant = await self._store.directory.tenant(campaign.tenant)
        channel = await self._store.directory.channel(campaign.channel)
        store = self._store.of(campaign.tenant)
        found = await store.templates.named(account_of(channel), campaign.template)
        standing = await store.accounts.get(channel.id)
        try:
            if not found:
                raise Invalid("template", f"a template that there is; {campaign.template} is gone")
            job = _Job(
                campaign, tenant, channel, self._adapters[channel.kind], found, standing, self._clock()
            )
            progress = await self._all(job, dry)
        except Invalid as error:
            failed = replace(campaign, state="failed", reason=str(error), ended=self._clock())
            return failed if dry else await self._saved(failed)
        job.campaign = replace(
            job.campaign,
            estimate=estimated(progress, job),
            categories={t.language: t.category for t in found},
        )
        if dry:
            return job.campaign
        tallies = [
            Tally(
                n,
                {k: v for k, v in (("waiting", waiting), ("refused", refused)) if v},
                due,
                False,
                self._clock(),
            )
            for n, (due, waiting, refused) in enumerate(progress.pages)
        ]
        for start in range(0, len(tallies), 100):
            await store.campaigns.put_tallies(campaign.id, tallies[start : start + 100])
        return await self._saved(replace(job.campaign, state="ready", progress={}))

    async def _all(self, job: "_Job", dry: bool) -> Progress:
        campaign, store = job.campaign, self._store.of(job.campaign.tenant)
        progress = Progress.of(campaign.progress)
        audience = read_audience(campaign.audience)
        anew = audience.filter is not None
        if not dry:
            await store.campaigns.forget_from(campaign.id, progress.place)
            if not progress.place:
                await store.campaigns.forget_counts(campaign.id)
        seen: set[str] | None = set() if dry else None
        reads = Audiences(self._store, job.tenant, job.channel, wants_of(job.sources))
        async with aclosing(reads.batches(audience, 0 if anew else progress.upto)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                if not await self._still():
                    raise Overtaken
                await self._batch(job, batch, progress, seen, told=not anew)
                if not dry:
                    job.campaign = await self._saved(replace(job.campaign, progress=progress.to_doc()))
        return progress

    async def _batch(
        self, job: "_Job", batch: Batch, progress: Progress, seen: set[str] | None, told: bool
    ) -> None:
        """One batch: its recipients written, and counted in `progress`. `seen`: those of a dry run, which writes none."""
        made: dict[str, _Made] = {}
        wrong = list(batch.wrong)
        doubled = list[Person]()
        place = progress.place
        for number, person in enumerate(batch.people):
            identifier = recipient_id(job.campaign.id, person.address)
            if identifier in made or (seen is not None and identifier in seen):
                doubled.append(person)
                continue
            made[identifier] = job.made(identifier, person, place)
            place += 1
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        if seen is None:
            campaigns = self._store.of(job.campaign.tenant).campaigns
            new = await campaigns.add_recipients([m.recipient for m in made.values()])
        else:
            seen |= made.keys()
            new = [True] * len(made)
        there = [i for i, is_new in zip(made, new, strict=True) if not is_new]
        places = await self._store.of(job.campaign.tenant).campaigns.places(there) if there else {}
        for identifier, one in made.items():
            # What is there and not counted yet is of this batch: a process that had lost its lease came in between.
            own = places.get(identifier, one.recipient.place)
            if identifier in places and own < progress.place:
                doubled.append(one.person)
                continue
            progress.count(replace(one.recipient, place=own), one.refused, one.price)
            place = max(place, own + 1)
        kept = progress.wrong + progress.doubled
        if told:
            progress.doubled += len(doubled)
            progress.read += len(batch.people) + len(batch.wrong)
            wrong += [Wrong(p.line, f"{p.address} is named more than once.") for p in doubled]
        else:
            progress.read = progress.recipients
        if seen is None and kept < MOST_WRONG:
            await self._store.of(job.campaign.tenant).campaigns.put_wrong(
                job.campaign.id, sorted(wrong, key=lambda w: w.line)
            )
        progress.wrong += len(batch.wrong)
        progress.upto, progress.place = batch.upto, place

    async def _saved(self, campaign: Campaign) -> Campaign:
        saved = await self._store.of(campaign.tenant).campaigns.save(campaign)
        if saved is None:
            raise Overtaken
        return saved


@dataclass(frozen=True, slots=True)
class _Made:
    recipient: Recipient
    person: Person
    refused: Refused | None
    price: str


class _Job:
    """What holds for every recipient of one campaign."""

    def __init__(
        self,
        campaign: Campaign,
        tenant: Tenant,
        channel: Channel,
        adapter: Adapter,
        found: Sequence[TemplateDef],
        standing: AccountStanding,
        now: datetime,
    ) -> None:
        self.campaign = campaign
        self.tenant = tenant
        self.channel = channel
        self.sources: Mapping[str, Source] = sources_of(campaign)
        self.adapter = adapter
        self.standing = standing
        self.now = now
        self._found = found
        # One with parts that are not known here can't be filled in.
        self._usable = [t for t in found if t.usable and not t.raw] or found
        self._picked: dict[str | None, TemplateDef] = {}
        self._dues: dict[tuple[str, ...], datetime] = {}

    def made(self, identifier: str, person: Person, place: int) -> _Made:
        """One recipient, and what permission says of them when they are due."""
        template = self._template(person.language)
        talk = self._talk(person)
        zones = zones_of(self.channel, talk, self.tenant.permissions)
        due = self._due(zones)
        recipient = Recipient(
            id=identifier,
            tenant=self.campaign.tenant,
            campaign=self.campaign.id,
            place=place,
            address=person.address,
            contact=person.contact,
            conversation=person.conversation.id if person.conversation else None,
            name=person.name,
            language=template.language,
            region=person.region,
            zones=zones if person.timezone else (),
            due=due,
        )
        price = f"{template.category}/{person.region or '*'}"
        try:
            values = filled(self.sources, person)
            content_of(self.campaign, template, values, self.adapter.capabilities, person.language)
        except (Missing, Invalid) as error:
            refused = replace(recipient, state="refused", reason="variable", text=str(error), due=None)
            return _Made(refused, person, None, price)
        verdict = self._verdict(template, talk, due)
        told = (verdict.reason, f"{verdict.text} {verdict.remedy}".strip()) if verdict else ("", "")
        return _Made(replace(recipient, values=values, reason=told[0], text=told[1]), person, verdict, price)

    def _template(self, language: str | None) -> TemplateDef:
        if language not in self._picked:
            wanted = wanted_languages(self.campaign, language, self.tenant.language)
            found = templates.pick(self._usable, wanted)
            assert found is not None
            self._picked[language] = found
        return self._picked[language]

    def _talk(self, person: Person) -> Conversation:
        """Theirs, or as it will be when they are written to."""
        if person.conversation is not None:
            talk = person.conversation
            return talk if talk.timezone == person.timezone else replace(talk, timezone=person.timezone)
        return Conversation(
            id="",
            tenant=self.tenant.id,
            channel=self.channel.id,
            contact=person.contact,
            address=person.address,
            created=self.now,
            consents=person.consents,
            timezone=person.timezone,
        )

    def _due(self, zones: tuple[str, ...]) -> datetime:
        if zones not in self._dues:
            quiet = self.campaign.purpose not in (SERVICE, UTILITY)
            self._dues[zones] = due_of(self.campaign, self.tenant.permissions, zones, self.now, quiet=quiet)
        return self._dues[zones]

    def _verdict(self, template: TemplateDef, talk: Conversation, due: datetime) -> Refused | None:
        message = asked_of(self.campaign, template, self.adapter)
        hours = self.adapter.capabilities.service_window_hours
        known = template if isinstance(message.content, Template) else None
        facts = facts_of(self.channel, talk, self.tenant.permissions, hours, due, known, self.standing)
        # How many may be begun a day makes it longer, and refuses nobody.
        verdict = decide(message, replace(facts, left=None), due)
        return verdict if isinstance(verdict, Refused) else None


def asked_of(campaign: Campaign, template: TemplateDef, adapter: Adapter) -> Message:
    """A message of the campaign, for `decide`: what it says to whom does not matter there."""
    plain = "template" not in adapter.capabilities.kinds
    return Message(
        id="",
        tenant=campaign.tenant,
        channel=campaign.channel,
        conversation="",
        direction="out",
        author="bot",
        seq=0,
        at=campaign.created,
        content=Text("") if plain else Template(template.name, template.language),
        status=Status.QUEUED,
        purpose=purpose_in(campaign, template, adapter.capabilities),
        campaign=campaign.id,
        bulk=True,
    )


def due_of(
    campaign: Campaign, permissions: Permissions, zones: Sequence[str], now: datetime, *, quiet: bool
) -> datetime:
    """When somebody in these time zones is written to. With `local`, the campaign's time of day, as it is read in the business's
    own zone, in the first of theirs: a time that the clock skips is the one after the gap, one that comes twice the first."""
    due = campaign.at or now
    if campaign.at is not None and campaign.local:
        wall = campaign.at.astimezone(ZoneInfo(permissions.timezone)).replace(tzinfo=None)
        there = ZoneInfo(zones[0])
        due = wall.replace(tzinfo=there).astimezone(UTC)
        while due < now - GRACE:
            wall += timedelta(days=1)
            due = wall.replace(tzinfo=there).astimezone(UTC)
    if quiet and permissions.quiet is not None:
        due = next_allowed(permissions.quiet, zones, max(due, now))
    return due


def estimated(progress: Progress, job: _Job) -> dict[str, Any]:
    """What it would come to, JSON-ready but for its times."""
    permissions = job.tenant.permissions
    total, unpriced = Decimal(0), dict[str, int]()
    for key, count in sorted(progress.priced.items()):
        category, region = key.split("/")
        price = price_of(permissions, category, region)
        if price is None:
            unpriced[key] = count
        else:
            total += price * count
    seconds, by = _takes(progress.allowed, job)
    return {
        "recipients": progress.recipients,
        "allowed": progress.allowed,
        "held": dict(progress.held),
        "refused": dict(progress.refused),
        "read": progress.read,
        "wrong": progress.wrong,
        "doubled": progress.doubled,
        "languages": dict(progress.languages),
        "cost": str(total),
        "currency": permissions.currency,
        "counted": dict(progress.priced),
        "unpriced": unpriced,
        "seconds": seconds,
        "limited_by": by,
        "first": progress.first,
        "last": progress.last,
        "prepared": job.now,
    }


def price_of(permissions: Permissions, category: str, region: str) -> Decimal | None:
    """Of one message, by the tenant's table; None where it says nothing."""
    table = permissions.prices.get(category.lower(), {})
    given = table.get(region, table.get("*"))
    try:
        return Decimal(given) if given is not None else None
    except InvalidOperation:
        return None


def _takes(count: int, job: _Job) -> tuple[int, str]:
    """For how many seconds it would be sent at most rates, and what bounds it."""
    bounds: list[tuple[float, str]] = [(0.0, "")]
    rate = job.adapter.rates(job.channel, "").account
    if rate is not None and rate.per_second:
        bounds.append((count / rate.per_second, "rate"))
    if job.campaign.per_minute:
        bounds.append(((count / job.campaign.per_minute) * 60, "throttle"))
    limits = [n for n in (job.standing.limit, job.tenant.permissions.daily) if n]
    if limits and count > min(limits):
        bounds.append(((count - 1) // min(limits) * 86400.0, "limit"))
    seconds, by = max(bounds)
    return round(seconds), by
