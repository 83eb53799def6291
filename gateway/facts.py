"""What permission rests on, gathered for one message: from the conversation in hand, and at most two looks at the database."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from consent.facts import Facts, TemplateFacts
from consent.hours import zones_of_phone
from consent.permission import Verdict, decide, decision
from gateway.model.consent import SERVICE
from gateway.model.content import Template
from gateway.model.conversation import Conversation
from gateway.model.message import Message
from gateway.model.permission import Decision, Permissions, Stage
from gateway.model.ports import Adapter, Clock
from gateway.model.template import TemplateDef
from gateway.model.tenant import Channel
from gateway.store import Store
from gateway.store.accounts import AccountStanding

AD_WINDOW_HOURS: Final = 72
"""The service window of a customer who came by a click-to-WhatsApp ad; `ad_window_hours` of the channel changes it."""


class Permission:
    """Asks `consent.permission.decide` with the facts as they stand now."""

    def __init__(self, store: Store, adapters: Mapping[str, Adapter], clock: Clock) -> None:
        self._store = store
        self._adapters = adapters
        self._clock = clock

    async def ask(
        self, stage: Stage, channel: Channel, conversation: Conversation, message: Message
    ) -> tuple[Verdict, Decision]:
        facts = await self.facts(channel, conversation, message)
        now = self._clock()
        verdict = decide(message, facts, now)
        return verdict, decision(stage, message, facts, verdict, now)

    async def facts(self, channel: Channel, conversation: Conversation, message: Message) -> Facts:
        """An answer to somebody who wrote needs no look at the database."""
        tenant = await self._store.directory.tenant(channel.tenant)
        template: TemplateDef | None = None
        standing: AccountStanding | None = None
        store = self._store.of(channel.tenant)
        if isinstance(message.content, Template):
            account = account_of(channel)
            template, standing = await asyncio.gather(
                store.templates.find(account, message.content.name, message.content.language),
                store.accounts.get(channel.id),
            )
        elif message.purpose != SERVICE:
            standing = await store.accounts.get(channel.id)
        return facts_of(
            channel,
            conversation,
            tenant.permissions,
            self._adapters[channel.kind].capabilities.service_window_hours,
            self._clock(),
            template,
            standing,
        )


def account_of(channel: Channel) -> str:
    """The provider's business account that a channel's templates belong to; empty where there is none."""
    return str(channel.config.get("waba_id") or "")


def facts_of(
    channel: Channel,
    conversation: Conversation,
    permissions: Permissions,
    window_hours: int | None,
    now: datetime,
    template: TemplateDef | None = None,
    standing: AccountStanding | None = None,
) -> Facts:
    left = again = None
    if standing is not None:
        left, again = _left(standing, permissions, now)
    return Facts(
        owner=conversation.owner,
        channel_active=channel.state == "active",
        windowed=window_hours is not None,
        window_until=window_of(conversation, window_hours),
        last_in=conversation.last_in,
        blocked=conversation.blocked,
        consents=conversation.consents,
        template=TemplateFacts(template.state, template.category, template.usable, template.quality)
        if template
        else None,
        quality=standing.quality if standing else "",
        left=left,
        left_again=again,
        quiet=permissions.quiet,
        zones=zones_of(channel, conversation, permissions),
        cap=permissions.cap,
        marketed=conversation.marketed,
    )


def zones_of(channel: Channel, conversation: Conversation, permissions: Permissions) -> tuple[str, ...]:
    """Every time zone that a contact may be in: what somebody told, what their number tells, or the business's own."""
    if conversation.timezone:
        return (conversation.timezone,)
    if channel.kind == "whatsapp" and (found := zones_of_phone(conversation.address)):
        return found
    return (permissions.timezone,)


def window_after(
    conversation: Conversation, channel: Channel, said: Message, at: datetime, hours: int | None
) -> datetime | None:
    """Until when free text may be sent once a customer has said something at a time."""
    if hours is None:
        return None
    referral = said.extra.get("referral")
    if isinstance(referral, Mapping) and str(referral.get("source_type") or "ad") == "ad":
        hours = max(hours, _hours(channel.config.get("ad_window_hours"), AD_WINDOW_HOURS))
    until = at + timedelta(hours=hours)
    return max(until, conversation.window_until or until)


def _hours(value: object, usual: int) -> int:
    try:
        return int(str(value))
    except ValueError:
        return usual


def window_of(conversation: Conversation, hours: int | None) -> datetime | None:
    """Until when free text may be sent; None where it never could, or where there is no service window (`hours` None)."""
    if hours is None:
        return None
    if conversation.window_until is None and conversation.last_in is not None:
        return conversation.last_in + timedelta(hours=hours)  # from before it was kept
    return conversation.window_until


def _left(
    standing: AccountStanding, permissions: Permissions, now: datetime
) -> tuple[int | None, datetime | None]:
    """How many conversations may still be begun, and when there is room again."""
    left = again = None
    if standing.limit is not None:
        left, again = standing.limit - standing.begun_within_a_day(now), standing.room_again(now)
    if permissions.daily is not None:
        own = permissions.daily - standing.begun_today(now)
        if left is None or own < left:
            tomorrow = (now.astimezone(UTC) + timedelta(days=1)).replace(
                hour=0, minute=0, second=0, microsecond=0
            )
            left, again = own, tomorrow
    return left, again
