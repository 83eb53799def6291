"""Running campaigns: a look a second in each process, one process at a time a campaign.

A look writes the messages of recipients who are due, as many as keep a few hundred ahead in their channel's queue, and counts
what became of those before. All that it needs to go on after a crash stands in the database.
"""

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from loguru import logger

from gateway.campaigns_prepare import Overtaken, Preparing
from gateway.campaigns_send import Setting, Writing
from gateway.facts import account_of
from gateway.model.campaign import PAGE, Campaign, CampaignState, Recipient, Tally
from gateway.model.clock import Sequencer
from gateway.model.errors import ParleyError, Unavailable
from gateway.model.message import Failure, Message, Status, stable_id
from gateway.model.ports import Adapter, ChannelEvent, Clock
from gateway.model.template import TemplateDef
from gateway.model.tenant import Channel
from gateway.ops.logging import stack
from gateway.store import Store, TenantStore
from gateway.store.campaigns import SOME

LEASE: Final = timedelta(seconds=30)
AHEAD: Final = 300
"""Messages of a campaign that stand in the queue at once: so many are to be withdrawn when it is paused."""

OVER: Final = timedelta(days=3)
"""What has not left so long after the last was written is given up; and how long receipts are counted afterwards."""

SLOWEST: Final = 600.0
"""Seconds between counts of a page whose campaign has been quiet for long."""

MINUTE: Final = timedelta(minutes=1)
SHARES: Final = 6
"""A minute's messages are written in so many parts."""

FINAL: Final = frozenset({Status.READ, Status.FAILED, Status.CANCELLED, Status.DEAD})
LEFT: Final = frozenset({Status.SENT, Status.DELIVERED, Status.READ})
PAUSED: Final = Failure("campaign:paused", "The campaign is paused.")
STOPPED: Final = Failure("campaign:stopped", "The campaign was stopped.")
CANCELLED: Final = Failure("campaign:cancelled", "The campaign was cancelled before this was sent.")
ENDED: Final = Failure("campaign:over", "The campaign is over: this could not be sent for three days.")

TRIPPED: Final = (
    "Suddenly many customers opted out by errors of the provider: somebody has to look first (`consent signals`). Resume the"
    " campaign when that is done."
)


class Runner:
    """This process's part in running campaigns."""

    def __init__(
        self,
        store: Store,
        adapters: Mapping[str, Adapter],
        clock: Clock,
        sequencer: Sequencer,
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._clock = clock
        self._writing = Writing(store, adapters, clock, sequencer)
        self._holder = secrets.token_hex(8)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Begin what there is to do for each active campaign that nobody in this process is at. Raises Unavailable."""
        for campaign in await self._store.active_campaigns.all():
            if campaign.id not in self._tasks:
                task = asyncio.create_task(self._one(campaign), name=f"campaign {campaign.id}")
                self._tasks[campaign.id] = task
                task.add_done_callback(lambda _, i=campaign.id: self._tasks.pop(i, None))  # type: ignore[misc]

    async def finished(self) -> None:
        """Until this process is at no campaign."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def close(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _one(self, campaign: Campaign) -> None:
        name = f"campaign:{campaign.id}"
        try:
            if not await self._hold(name):
                return
            try:
                with logger.contextualize(tenant=campaign.tenant):
                    await self._work(campaign, lambda: self._hold(name))
            finally:
                with contextlib.suppress(ParleyError):
                    await self._store.leases.give_up(name, self._holder)
        except (Unavailable, Overtaken):
            pass
        except Exception as error:
            logger.error("a look at campaign {} broke; it goes on: {}", campaign.id, stack(error))

    async def _hold(self, name: str) -> bool:
        now = self._clock()
        return await self._store.leases.hold(name, self._holder, now, now + LEASE)

    async def _work(self, campaign: Campaign, still: Callable[[], Awaitable[bool]]) -> None:
        # Read again under the lease: another process may have gone on with it.
        found = await self._store.of(campaign.tenant).campaigns.get(campaign.id)
        match found:
            case Campaign(state="preparing"):
                await Preparing(self._store, self._adapters, self._clock, still).run(found)
            case Campaign(state="scheduled" | "running"):
                await self._step(found, still)
            case Campaign(state="paused" | "stopped" | "cancelled" | "done"):
                await withdraw(self._store.of(found.tenant), found)
                await self._count(found)

    async def template_changed(self, before: TemplateDef, after: TemplateDef) -> None:
        """A template was paused, disabled or moved to another category: what uses it stops at once."""
        for campaign in await self._store.active_campaigns.all():
            uses = campaign.tenant == after.tenant and campaign.template == after.name
            if uses and campaign.state in ("scheduled", "running"):
                # Overtaken: whoever runs it looks at its template again within the second.
                with contextlib.suppress(Overtaken):
                    await self._checked(campaign)

    async def channel_tripped(self, channel: Channel) -> None:
        """A mass of opt-outs: what runs on the channel stops at once."""
        for campaign in await self._store.active_campaigns.all():
            if campaign.channel == channel.id and campaign.state in ("scheduled", "running"):
                with contextlib.suppress(Overtaken):
                    await self._checked(campaign)

    # A look at one that runs

    async def _step(self, campaign: Campaign, still: Callable[[], Awaitable[bool]]) -> None:
        checked = await self._checked(campaign)
        if checked is None:
            return
        campaign, channel, templates = checked
        store, now = self._store.of(campaign.tenant), self._clock()
        tallies = await store.campaigns.tallies(campaign.id)
        ready = [t for t in tallies if t.next is not None and t.next <= now]
        if campaign.state == "scheduled":
            if not ready and any(t.next is not None for t in tallies):
                return
            campaign = await self._saved(replace(campaign, state="running", started=now))
        ahead, suspended = await store.bulk.ahead(campaign.id)
        if suspended:
            ahead += await store.bulk.resume(campaign.id, now)
            await heeded(store, campaign.id)
        room = min(AHEAD - ahead, _throttled(campaign, now))
        setting = Setting(
            campaign,
            await self._store.directory.tenant(campaign.tenant),
            channel,
            templates,
            await store.accounts.get(channel.id),
            ahead,
        )
        for tally in ready:
            if room <= 0 or not await still():
                break
            setting, room = await self._page(setting, tally, room)
        tallies = await self._count(setting.campaign)
        await self._ended(setting.campaign, tallies, store)

    async def _page(self, setting: Setting, tally: Tally, room: int) -> tuple[Setting, int]:
        """Write those of a page who are due, as many as there is room for. Raises Overtaken once it does not run any more."""
        campaign, now = setting.campaign, self._clock()
        store = self._store.of(campaign.tenant)
        recipients = {r.id: r for r in await store.campaigns.recipients(campaign.id, tally.page * PAGE)}
        due = [r for r in recipients.values() if r.state == "waiting" and _is_due(r, now)]
        while due and room > 0:
            some, due = due[: min(room, SOME)], due[min(room, SOME) :]
            written = await self._writing.of(setting, some)
            if written.messages:
                count = sum(1 for r in written.recipients if r.state == "written")
                paced = (*_paced(campaign, now), (now, count))
                campaign = await self._saved(replace(campaign, paced=paced, last=now))
                await self._put(store, campaign, written.messages)
                room -= count
                setting = replace(setting, campaign=campaign, ahead=setting.ahead + count)
            await store.campaigns.settle(written.recipients)
            recipients |= {r.id: r for r in written.recipients}
        waiting = [r for r in recipients.values() if r.state == "waiting"]
        following = min((r.due or now for r in waiting), default=None)
        if following != tally.next:
            await store.campaigns.put_tallies(
                campaign.id,
                [replace(tally, next=following, settled=False, counts=_states(recipients.values()))],
            )
        return setting, room

    async def _put(self, store: TenantStore, campaign: Campaign, messages: Sequence[Message]) -> None:
        await store.messages.put_bulk(messages, self._clock())
        await heeded(store, campaign.id)

    async def _checked(self, campaign: Campaign) -> tuple[Campaign, Channel, dict[str, TemplateDef]] | None:
        """The campaign may run, with what it runs on; else it was stopped, with the reason."""
        channel, templates, why = await standing_of(self._store, campaign)
        if not why:
            return campaign, channel, templates
        store = self._store.of(campaign.tenant)
        stopped = await store.campaigns.save(replace(campaign, state="stopped", reason=why))
        if stopped is None:
            raise Overtaken
        await withdraw(store, stopped)
        now = self._clock()
        event = ChannelEvent(
            stable_id("we", "campaign", campaign.id, now.isoformat()),
            "campaign_stopped",
            now,
            f"Campaign {campaign.name} was stopped. {why}",
            {"campaign": campaign.id},
            warning=True,
        )
        await store.events.put(channel.id, event, now)
        logger.warning("campaign {} was stopped: {}", campaign.id, why)
        return None

    async def _ended(self, campaign: Campaign, tallies: Sequence[Tally], store: TenantStore) -> None:
        if any(t.next is not None for t in tallies):
            return
        ahead, _ = await store.bulk.ahead(campaign.id)
        now = self._clock()
        if ahead and not (campaign.last is not None and now - campaign.last >= OVER):
            return
        if ahead:
            await store.bulk.cancel(campaign.id, ENDED)
        await self._saved(replace(campaign, state="done", ended=now))

    async def _saved(self, campaign: Campaign) -> Campaign:
        saved = await self._store.of(campaign.tenant).campaigns.save(campaign)
        if saved is None:
            raise Overtaken
        return saved

    # What became of them

    async def _count(self, campaign: Campaign) -> list[Tally]:
        """Count a page anew, the one that was counted longest ago, if it is time; all tallies as they stand then."""
        store, now = self._store.of(campaign.tenant), self._clock()
        tallies = await store.campaigns.tallies(campaign.id)
        quiet = (now - (campaign.last or campaign.created)).total_seconds() / 20
        pause = timedelta(seconds=min(SLOWEST, max(1.0, quiet)))
        over = campaign.state in ("cancelled", "done")
        late = over and campaign.ended is not None and now - campaign.ended >= OVER
        open_ = [t for t in tallies if not t.settled and (late or t.at is None or abs(now - t.at) >= pause)]
        if open_:
            oldest = min(open_, key=lambda t: t.at.timestamp() if t.at else 0.0)
            counted = await counted_page(store, campaign, oldest, now)
            counted = replace(counted, settled=counted.settled or late)
            await store.campaigns.put_tallies(campaign.id, [counted])
            tallies = [counted if t.page == counted.page else t for t in tallies]
        if over and all(t.settled for t in tallies):
            with contextlib.suppress(Overtaken):
                await self._saved(replace(campaign, settled=True))
        return tallies


async def withdraw(store: TenantStore, campaign: Campaign) -> None:
    """What of a campaign that does not run is still in the queue leaves it."""
    match campaign.state:
        case "paused":
            await store.bulk.suspend(campaign.id, PAUSED)
        case "stopped":
            await store.bulk.suspend(campaign.id, STOPPED)
        case "cancelled":
            await store.bulk.cancel(campaign.id, CANCELLED)


async def heeded(store: TenantStore, campaign: str) -> None:
    """After something was queued: who paused or cancelled it in between has withdrawn what was there then, and not this."""
    found = await store.campaigns.get(campaign)
    if found is not None:
        await withdraw(store, found)


async def counted_page(store: TenantStore, campaign: Campaign, tally: Tally, now: datetime) -> Tally:
    """A page's tally as it is now."""
    recipients = await store.campaigns.recipients(campaign.id, tally.page * PAGE)
    messages = await store.known.statuses([r.message for r in recipients if r.message])
    over = campaign.state in ("cancelled", "done")
    counts, out, settled = Counter[str](), Counter[str](), True
    for recipient in recipients:
        status = messages[recipient.message][0] if recipient.message in messages else None
        counts[state_of(campaign, recipient, status)] += 1
        if recipient.state == "waiting":
            settled &= over
        elif recipient.state == "written":
            settled &= status in FINAL
        if status in LEFT:
            category = campaign.categories.get(recipient.language, "")
            out[f"{category}/{recipient.region or '*'}"] += 1
    waiting = [r.due or now for r in recipients if r.state == "waiting"]
    return Tally(tally.page, dict(counts), min(waiting, default=None), settled, now, dict(out))


def state_of(campaign: Campaign, recipient: Recipient, status: Status | None) -> str:
    """In one word: `waiting`, `refused`, `cancelled`, or how far their message has come."""
    if recipient.state == "waiting" and campaign.state == "cancelled":
        return "cancelled"
    return status.label if status is not None else recipient.state


async def standing_of(store: Store, campaign: Campaign) -> tuple[Channel, dict[str, TemplateDef], str]:
    """What a campaign rests on, as it stands now: its channel, its template by language, and why it must not go on."""
    channel = await store.directory.channel(campaign.channel)
    own = store.of(campaign.tenant)
    templates = {t.language: t for t in await own.templates.named(account_of(channel), campaign.template)}
    why = reason_to_stop(campaign, channel, templates)
    if not why and (await own.signals.breaker(channel.id)).tripped is not None:
        why = TRIPPED
    return channel, templates, why


def reason_to_stop(campaign: Campaign, channel: Channel, templates: Mapping[str, TemplateDef]) -> str:
    """Why it must not go on, in plain words with what to do; empty if it may."""
    if channel.state != "active":
        return "Its channel is disabled. Mend it with `channel check`, enable it, then resume the campaign."
    for language in campaign.estimate.get("languages", {}):
        named = f"Template {campaign.template} ({language})"
        template = templates.get(language)
        if template is None:
            return f"{named} is gone. Make a new campaign with another one."
        if not template.usable:
            state = template.state.replace("_", " ").lower()
            return f"The provider has it as {state}: {named}. Resume the campaign when it is approved again."
        before = campaign.categories.get(language, template.category)
        if before != template.category:
            return (
                f"{named} was moved from {before.lower()} to {template.category.lower()}: other consents and prices hold."
                " Prepare a new campaign with it if that is right."
            )
    return ""


def _is_due(recipient: Recipient, now: datetime) -> bool:
    return recipient.due is None or recipient.due <= now


def _states(recipients: Iterable[Recipient]) -> dict[str, int]:
    return dict(Counter(r.state for r in recipients))


def _paced(campaign: Campaign, now: datetime) -> tuple[tuple[datetime, int], ...]:
    # One that lies far ahead is of a clock that was moved back.
    return tuple((at, count) for at, count in campaign.paced if abs(now - at) < MINUTE)


def _throttled(campaign: Campaign, now: datetime) -> int:
    """How many may be written now: never more than the throttle within any minute, spread over it."""
    if campaign.per_minute is None:
        return AHEAD
    recent = _paced(campaign, now)
    share = -(-campaign.per_minute // SHARES)
    just = sum(count for at, count in recent if now - at < MINUTE / SHARES)
    return min(campaign.per_minute - sum(count for _, count in recent), share - just)


NEXT: Final[Mapping[str, tuple[CampaignState, ...]]] = {
    "prepare": ("draft", "ready", "failed"),
    "start": ("ready",),
    "pause": ("scheduled", "running"),
    "resume": ("paused", "stopped"),
    "cancel": ("draft", "preparing", "ready", "scheduled", "running", "paused", "stopped"),
}
"""From which states a person may do what."""
