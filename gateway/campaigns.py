"""Campaigns as a person or a program sees them: made, prepared, started, paused, resumed, cancelled, looked at."""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from consent import entries, templates
from gateway.campaigns_audience import Audience, read_audience
from gateway.campaigns_content import content_of, has_way_out, read_source
from gateway.campaigns_prepare import GRACE, price_of
from gateway.campaigns_run import NEXT, heeded, standing_of, state_of, withdraw
from gateway.facts import account_of
from gateway.model.campaign import PAGE, Campaign, CampaignState, Recipient, Wrong
from gateway.model.consent import MARKETING, SERVICE, UTILITY
from gateway.model.errors import Conflict, Invalid, NotFound
from gateway.model.message import Status
from gateway.model.ports import Adapter, Clock
from gateway.model.template import TemplateDef
from gateway.model.tenant import Channel
from gateway.store import Store
from gateway.store.campaigns import CampaignPage

TRIES: Final = 8
MOST_NAME: Final = 200
MOST_PER_MINUTE: Final = 100_000
MOST_AHEAD: Final = timedelta(days=366)
MOST_PAGES: Final = 5
"""Pages of recipients that one listing looks through for those in a state."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person gives for a new campaign; see `gateway.model.campaign.Campaign`."""

    channel: str
    name: str
    template: str
    audience: Mapping[str, Any]
    languages: Sequence[str] = ()
    purpose: str = MARKETING
    variables: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None
    local: bool = False
    per_minute: int | None = None
    opt_out: bool = True
    by: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """`counts` by state: `waiting`, `refused`, `cancelled`, or how far the message has come. `cost` of what left, by the tenant's
    prices; `unpriced` what they say nothing of, by category and region. Counted `at`, the oldest part of it."""

    counts: Mapping[str, int]
    cost: Decimal
    currency: str
    unpriced: Mapping[str, int]
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient: `state` in one word, and why, plainly."""

    recipient: Recipient
    state: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class OutcomePage:
    items: tuple[Outcome, ...]
    next: int | None
    """The place from which the next page goes on; None at the end."""


class Campaigns:
    def __init__(self, store: Store, adapters: Mapping[str, Adapter], clock: Clock) -> None:
        self._store = store
        self._adapters = adapters
        self._clock = clock

    async def create(self, tenant: str, wanted: Wanted) -> tuple[Campaign, list[str]]:
        """A draft, and what its author should know of it. Raises Invalid (naming the field) and NotFound."""
        now = self._clock()
        owner = await self._store.directory.tenant(tenant)
        channel = await self._channel(tenant, wanted.channel)
        if not 1 <= len(wanted.name.strip()) <= MOST_NAME:
            raise Invalid("name", f"1 to {MOST_NAME} characters")
        purposes = entries.purposes(owner.permissions)
        if wanted.purpose not in purposes:
            raise Invalid("purpose", "one of " + ", ".join(purposes))
        if wanted.per_minute is not None and not 1 <= wanted.per_minute <= MOST_PER_MINUTE:
            raise Invalid("per_minute", f"a number from 1 to {MOST_PER_MINUTE}")
        if wanted.at is not None and not now - MOST_AHEAD < wanted.at < now + MOST_AHEAD:
            raise Invalid("at", "a time within a year")
        if wanted.local and wanted.at is None:
            raise Invalid("at", "a time: with `local`, that time of day in each contact's own zone")
        audience = read_audience(wanted.audience)
        if audience.filter is not None and audience.filter.consent not in (None, *purposes):
            raise Invalid("audience.filter.consent", "one of " + ", ".join(purposes))
        await self._check_file(tenant, audience)
        found = await self._store.of(tenant).templates.named(account_of(channel), wanted.template)
        if not found:
            raise Invalid("template", "the name of a template of this channel: `template list` shows them")
        owned = "template" in self._adapters[channel.kind].capabilities.kinds
        usable = [t for t in found if t.usable and not (owned and t.raw)]
        if not usable and any(t.usable for t in found):
            raise Invalid("template", "one whose parts Parley knows: this one can't be filled in here")
        if not usable:
            states = ", ".join(sorted({t.state.lower() for t in found}))
            raise Invalid("template", f"one that may be sent; this one is {states}")
        there = {templates.normal(t.language).split("_")[0] for t in found}
        if any(templates.normal(x).split("_")[0] not in there for x in wanted.languages):
            raise Invalid("languages", "languages of the template: " + ", ".join(t.language for t in found))
        campaign = Campaign(
            id="cm_" + secrets.token_hex(12),
            tenant=tenant,
            channel=channel.id,
            name=wanted.name.strip(),
            template=wanted.template,
            languages=tuple(wanted.languages) or tuple(t.language for t in usable),
            created=now,
            purpose=wanted.purpose,
            variables=dict(wanted.variables),
            audience=audience.model_dump(mode="json", exclude_none=True),
            at=wanted.at,
            local=wanted.local,
            per_minute=wanted.per_minute,
            opt_out=wanted.opt_out,
            by=wanted.by,
        )
        self._check_variables(campaign, usable, channel)
        await self._keep_files(campaign, usable)
        await self._store.of(tenant).campaigns.add(campaign)
        return campaign, self._warnings(campaign, found, channel)

    async def _check_file(self, tenant: str, audience: Audience) -> None:
        if audience.csv is None:
            return
        files = self._store.of(tenant).files
        try:
            file = await files.get(audience.csv)
        except NotFound:
            raise Invalid("audience.csv", "the id of a file of yours: POST /files makes one") from None
        if file.state != "ready":
            raise Invalid("audience.csv", f"a file that is ready; this one is {file.state}")
        await files.attach([file.id])

    async def _keep_files(self, campaign: Campaign, usable: Sequence[TemplateDef]) -> None:
        """The files that its headers show are the tenant's own, and stay."""
        named = {v.key for t in usable for v in templates.variables(t) if v.kind in templates.MEDIA_KINDS}
        for variable in named:
            source = read_source(variable, campaign.variables[variable])
            for file in (source.name if source.kind == "text" else "", source.fallback or ""):
                if not templates.FILE.fullmatch(file):
                    continue
                try:
                    await self._store.of(campaign.tenant).files.attach([file])
                except NotFound:
                    told = "the id of a file of yours: POST /files makes one"
                    raise Invalid(f"variables.{variable}", told) from None

    def _check_variables(self, campaign: Campaign, usable: Sequence[TemplateDef], channel: Channel) -> None:
        for variable, path in campaign.variables.items():
            read_source(variable, path)
        capabilities = self._adapters[channel.kind].capabilities
        for template in usable:
            known = templates.variables(template)
            for missing in (v for v in known if v.required and v.key not in campaign.variables):
                raise Invalid(
                    f"variables.{missing.key}",
                    f"where {missing.shown} in {missing.where} ({template.language}) comes from",
                )
            for variable in campaign.variables:
                if variable not in {v.key for v in known}:
                    raise Invalid(
                        f"variables.{variable[:64]}", f"a variable of the template in {template.language}"
                    )
            given = {v.key: v.example or "example" for v in known if v.kind == "text"}
            if all(v.kind == "text" for v in known if v.required):
                content_of(campaign, template, given, capabilities, template.language)

    def _warnings(self, campaign: Campaign, found: Sequence[TemplateDef], channel: Channel) -> list[str]:
        told = []
        for template in found:
            named = f"{template.name} ({template.language})"
            if not template.usable:
                told.append(
                    f"{named} may not be sent now ({template.state.lower()}): another language goes in its place."
                )
            if template.category == "MARKETING" and campaign.purpose in (SERVICE, UTILITY):
                told.append(f"{named} counts as marketing: only those get it who agreed to marketing.")
            bound = "template" in self._adapters[channel.kind].capabilities.kinds
            promotes = campaign.purpose not in (SERVICE, UTILITY) or template.category == "MARKETING"
            if bound and promotes and not has_way_out(template):
                told.append(
                    f"{named} does not say how to have no more of it: give it an opt-out button or a footer line."
                )
        return told

    async def get(self, tenant: str, campaign: str) -> Campaign:
        """Raises NotFound."""
        found = await self._store.of(tenant).campaigns.get(campaign)
        if found is None:
            raise NotFound(f"no campaign {campaign}")
        return found

    async def page(self, tenant: str, before: datetime | None, limit: int) -> CampaignPage:
        return await self._store.of(tenant).campaigns.page(before, limit)

    # What a person may do; each raises NotFound, Conflict when it is not the time for it, and Invalid

    async def prepare(self, tenant: str, campaign: str) -> Campaign:
        """Find out who its recipients are. It is done in the background, and goes on after a crash."""
        return await self._to(
            tenant, campaign, "prepare", "preparing", reason="", progress={}, estimate={}, ended=None
        )

    async def start(self, tenant: str, campaign: str) -> Campaign:
        """Send it from the time that it is due on."""
        found = await self.get(tenant, campaign)
        if found.state == "ready":
            await self._check(found)
            if not found.estimate.get("recipients"):
                raise Conflict("it has no recipients")
            first = found.estimate.get("first")
            if found.local and first is not None and first < self._clock() - GRACE:
                raise Conflict("its local times are over in some places: prepare it again for the next day's")
        return await self._to(tenant, campaign, "start", "scheduled", reason="")

    async def pause(self, tenant: str, campaign: str) -> Campaign:
        """What is queued is held back at once; what is being sent goes on to its end."""
        paused = await self._to(tenant, campaign, "pause", "paused", reason="Paused.")
        await withdraw(self._store.of(tenant), paused)
        return paused

    async def resume(self, tenant: str, campaign: str) -> Campaign:
        found = await self.get(tenant, campaign)
        if found.state in NEXT["resume"]:
            await self._check(found)
        back: CampaignState = "running" if found.started is not None else "scheduled"
        resumed, store = await self._to(tenant, campaign, "resume", back, reason=""), self._store.of(tenant)
        if await store.bulk.resume(campaign, self._clock()):
            await heeded(store, campaign)
        return resumed

    async def cancel(self, tenant: str, campaign: str) -> Campaign:
        """Nothing more of it is sent."""
        ended = await self._to(
            tenant, campaign, "cancel", "cancelled", reason="Cancelled.", ended=self._clock()
        )
        await withdraw(self._store.of(tenant), ended)
        return ended

    async def _check(self, campaign: Campaign) -> None:
        _, _, why = await standing_of(self._store, campaign)
        if why:
            raise Conflict(why)

    async def _to(
        self, tenant: str, campaign: str, what: str, state: CampaignState, **change: Any
    ) -> Campaign:
        for _ in range(TRIES):
            found = await self.get(tenant, campaign)
            if found.state not in NEXT[what]:
                raise Conflict(f"a campaign that is {found.state} can't be {_DONE[what]}")
            saved = await self._store.of(tenant).campaigns.save(replace(found, state=state, **change))
            if saved is not None:
                return saved
        raise Conflict("the campaign keeps changing; try again")

    # What became of it

    async def results(self, tenant: str, campaign: str) -> Results:
        """Summed from its pages' tallies."""
        found = await self.get(tenant, campaign)
        permissions = (await self._store.directory.tenant(tenant)).permissions
        counts, out, at = Counter[str](), Counter[str](), None
        for tally in await self._store.of(tenant).campaigns.tallies(campaign):
            over = found.state == "cancelled"
            counts += Counter(
                {"cancelled" if over and k == "waiting" else k: n for k, n in tally.counts.items()}
            )
            out += Counter(tally.out)
            at = min(tally.at, at or tally.at) if tally.at else at
        cost, unpriced = Decimal(0), dict[str, int]()
        for key, count in sorted(out.items()):
            price = price_of(permissions, *key.split("/"))
            if price is None:
                unpriced[key] = count
            else:
                cost += price * count
        return Results(dict(counts), cost, permissions.currency, unpriced, at)

    async def outcomes(
        self, tenant: str, campaign: str, after: int, limit: int, state: str | None = None
    ) -> OutcomePage:
        """Recipients from a place on, with what became of each as it stands now. Of those in a `state`, a page may be short and
        not the last one."""
        found, store = await self.get(tenant, campaign), self._store.of(tenant)
        pages = len(await store.campaigns.tallies(campaign))
        end = pages * PAGE if pages else int(found.progress.get("place", 0))
        items, place = list[Outcome](), after
        window = limit if state is None else PAGE
        for _ in range(MOST_PAGES):
            if place >= end or len(items) >= limit:
                break
            some = await store.campaigns.recipients(campaign, place, window)
            messages = await store.known.statuses([r.message for r in some if r.message])
            place += window
            for recipient in some:
                if len(items) >= limit:
                    place = recipient.place
                    break
                outcome = _outcome(found, recipient, *messages.get(recipient.message or "", (None, {})))
                if state is None or outcome.state == state:
                    items.append(outcome)
        return OutcomePage(tuple(items), place if place < end else None)

    async def wrong(self, tenant: str, campaign: str, after: int, limit: int) -> list[Wrong]:
        """Lines of its list that are no recipients."""
        await self.get(tenant, campaign)
        return await self._store.of(tenant).campaigns.wrong(campaign, after, limit)

    async def _channel(self, tenant: str, channel: str) -> Channel:
        found = await self._store.directory.channel(channel)
        if found.tenant != tenant:
            raise NotFound(f"no channel {channel}")
        return found


_DONE: Final[Mapping[str, str]] = {
    "prepare": "prepared",
    "start": "started",
    "pause": "paused",
    "resume": "resumed",
    "cancel": "cancelled",
}


def _outcome(
    campaign: Campaign, recipient: Recipient, status: Status | None, doc: Mapping[str, Any]
) -> Outcome:
    state = state_of(campaign, recipient, status)
    failure = doc.get("failure") if status is not None and not Status.SENT <= status < Status.FAILED else None
    reason, text = (failure["code"], failure["text"]) if failure else (recipient.reason, recipient.text)
    return Outcome(recipient, state, reason, text)
