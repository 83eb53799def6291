"""What providers tell of consent: a refused send, a preference, a removed app. Each becomes an entry of the ledger.

A provider's *error* is its word alone. A sudden mass of them (`Permissions.breaker`) is more likely its fault, or ours, than
the will of so many people at once: then the channel's breaker is out, its campaigns are paused, the owner is told, and
a person decides about every further one. Until then those people are not written to, either: the entry is a withdrawal from
the start, for an advertisement too few can be sent later and one too many can't be taken back. Whoever dismisses it writes the
entry that corrects it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from loguru import logger

from consent.entries import said_at
from gateway.model.consent import MARKETING, SERVICE, Entry, derived, entry_id, version_of
from gateway.model.content import System
from gateway.model.conversation import Conversation
from gateway.model.errors import Conflict, NotFound
from gateway.model.message import Message, Receipt
from gateway.model.ports import ChannelEvent, Clock
from gateway.model.tenant import Channel
from gateway.store import Store
from gateway.store.signals import Signal

Tripped = Callable[[Channel], Awaitable[None]]
"""Told once when a channel's breaker goes out: its running campaigns are to be paused."""

PREFERENCES = {"marketing_stopped": "withdrawn", "marketing_resumed": "granted"}
ENDED = frozenset({"app_uninstalled", "tokens_revoked"})


class Signals:
    def __init__(self, store: Store, clock: Clock, tripped: Tripped | None = None) -> None:
        self._store = store
        self._clock = clock
        self.tripped = tripped

    async def opted_out(
        self, channel: Channel, conversation: Conversation, message: Message, code: str, text: str
    ) -> None:
        """The provider refused a message because its customer wants no marketing from this business. Told again it has no
        second effect."""
        now = self._clock()
        entry = Entry(
            id=entry_id(channel.tenant, message.id, code),
            tenant=channel.tenant,
            channel=channel.id,
            contact=conversation.contact,
            conversation=conversation.id,
            purpose=MARKETING,
            state="withdrawn",
            how="provider",
            at=now,
            recorded=now,
            wording=text,
            version=version_of(text),
            message=message.id,
            address=conversation.address,
            evidence=code,
        )
        store = self._store.of(channel.tenant)
        if not (await store.ledger.record([entry]))[0]:
            return
        most = (await self._store.directory.tenant(channel.tenant)).permissions.breaker
        breaker = await store.signals.heard(channel.id, now, most)
        if breaker.now:
            await self._trip(channel, now)
        elif breaker.tripped is not None:
            await store.signals.put(
                Signal(
                    id=entry_id(channel.tenant, "signal", entry.id),
                    tenant=channel.tenant,
                    channel=channel.id,
                    contact=conversation.contact,
                    entry=entry.id,
                    code=code,
                    text=text,
                    at=now,
                    conversation=conversation.id,
                    message=message.id,
                )
            )

    async def _trip(self, channel: Channel, now: datetime) -> None:
        text = (
            "Suddenly many customers opted out by errors of the provider. Campaigns on this channel are paused; further ones wait"
            " for you: `consent signals` shows them."
        )
        event = ChannelEvent(f"breaker {now.isoformat()}", "opt_out_breaker", now, text, warning=True)
        await self._store.of(channel.tenant).events.put(channel.id, event, now)
        logger.bind(tenant=channel.tenant, channel=channel.id).warning("{}: {}", event.name, text)
        if self.tripped is not None:
            await self.tripped(channel)

    async def receipts(self, channel: Channel, receipts: Sequence[Receipt]) -> None:
        """Refusals that the provider told only afterwards."""
        store = self._store.of(channel.tenant)
        for receipt in receipts:
            if receipt.failure is None or not receipt.opt_out:
                continue
            message = await store.receipts.message(channel.id, receipt)
            conversation = await store.conversations.get(message.conversation) if message else None
            if message is not None and conversation is not None:
                told = receipt.failure
                await self.opted_out(channel, conversation, message, told.code, told.text)

    async def matched(self, channel: str, receipt: Receipt) -> None:
        """A receipt that came before its message was known has found it."""
        if receipt.opt_out:
            await self.receipts(await self._store.directory.channel(channel), [receipt])

    async def heard(self, channel: Channel, messages: Sequence[Message]) -> None:
        """Preferences that customers set in the provider's app, once they are stored. In whatever order they come, the latest
        counts, for each bears its own time."""
        for message in messages:
            if isinstance(message.content, System) and message.content.event in PREFERENCES:
                await self._preference(channel, message, message.content)

    async def _preference(self, channel: Channel, message: Message, content: System) -> None:
        store = self._store.of(channel.tenant)
        conversation = await store.conversations.get(message.conversation)
        if conversation is None:
            return
        resumed = content.event == "marketing_resumed"
        if resumed and not await self._had_agreed(conversation, message.at):
            return  # they lifted a stop of the provider's; that they want our marketing they have not told us
        text = content.text or content.event.replace("_", " ")
        await store.ledger.record(
            [
                Entry(
                    id=entry_id(channel.tenant, message.id, content.event),
                    tenant=channel.tenant,
                    channel=channel.id,
                    contact=conversation.contact,
                    conversation=conversation.id,
                    purpose=MARKETING,
                    state="granted" if resumed else "withdrawn",
                    how="provider",
                    at=said_at(message.at, self._clock()),
                    recorded=self._clock(),
                    wording=text,
                    version=version_of(text),
                    message=message.id,
                    address=conversation.address,
                    evidence=content.event,
                )
            ]
        )

    async def _had_agreed(self, conversation: Conversation, at: datetime) -> bool:
        entries = await self._store.of(conversation.tenant).ledger.of(
            conversation.contact, conversation.channel
        )
        standing = derived(e for e in entries if e.at <= at).get(MARKETING)
        return standing is not None and (standing.state == "granted" or standing.before)

    async def ended(self, channel: Channel, event: ChannelEvent) -> None:
        """The workspace removed the app: nobody on the channel is to be written to. One entry, about nobody in particular."""
        if event.name not in ENDED:
            return
        await self._store.of(channel.tenant).ledger.put(
            [
                Entry(
                    id=entry_id(channel.tenant, channel.id, event.id),
                    tenant=channel.tenant,
                    channel=channel.id,
                    contact="",
                    purpose=SERVICE,
                    state="withdrawn",
                    how="provider",
                    at=event.at,
                    recorded=self._clock(),
                    wording=event.text,
                    version=version_of(event.text),
                    address=channel.account,
                    evidence=event.name,
                )
            ]
        )

    # What a person decides

    async def settle(self, tenant: str, signal: str, confirmed: bool, by: str) -> Signal:
        """Confirm a signal that waits (it was the customer's will), or dismiss it (then an entry corrects what it had become).
        Raises NotFound, and Conflict for one that is settled. With the last of a channel its breaker is reset."""
        store = self._store.of(tenant)
        found = await store.signals.get(signal)
        if found is None:
            raise NotFound(signal)
        now = self._clock()
        if found.state != "waiting":
            # A dismissal that was stopped before it was written is written now.
            if confirmed or found.state != "dismissed" or not await self._correct(found, found.by or by, now):
                raise Conflict(f"it was {found.state} already")
            return found
        if not await store.signals.settle(signal, "confirmed" if confirmed else "dismissed", by, now):
            raise Conflict("somebody else has settled it")
        if not confirmed:
            # After it: of two who decide at once, the one who was first counts.
            await self._correct(found, by, now)
        if not await store.signals.waiting(1, found.channel):
            await store.signals.reset(found.channel)
        return replace(found, state="confirmed" if confirmed else "dismissed", by=by, settled=now)

    async def _correct(self, signal: Signal, by: str, now: datetime) -> bool:
        """Whether it was to be written still."""
        ledger = self._store.of(signal.tenant).ledger
        wrong = await ledger.get(signal.entry)
        if wrong is None:
            return False
        entries = [e for e in await ledger.of(signal.contact, signal.channel) if e.id != wrong.id]
        before = derived(e for e in entries if (e.at, e.id) < (wrong.at, wrong.id)).get(wrong.purpose)
        # What had held holds again, as of when the signal came: what they said since stays the last word. Where nothing had,
        # nothing does: to be asked allows nothing.
        new = await ledger.record(
            [
                replace(
                    wrong,
                    id=entry_id(signal.tenant, wrong.id, "dismissed"),
                    state=before.state if before is not None else "asked",
                    how="agent",
                    recorded=now,
                    agent=by,
                    corrects=wrong.id,
                    note="Dismissed: the provider's error was not the customer's will.",
                )
            ]
        )
        return new[0]
