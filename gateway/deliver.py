"""The edge out: queued messages leave in order, each asked about again at the last moment, each outcome recorded.

A message is claimed (`sending`, with a lease) before the provider sees it. If we die in between, the lease runs
out and the message is `unknown`: the provider's own evidence may still resolve it; failing that, a reply in a
conversation is sent again and marked as possibly doubled, a template never is.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from loguru import logger

from consent.permission import Refused
from gateway.facts import Permission
from gateway.model.consent import SERVICE, UTILITY
from gateway.model.content import Album, Deleted, Edit, Media, Reaction, Template
from gateway.model.conversation import Conversation
from gateway.model.errors import ParleyError, SendError
from gateway.model.lanes import Pace, Scope
from gateway.model.message import Failure, Message, Status, is_message_id
from gateway.model.permission import Decision
from gateway.model.ports import Adapter, Clock, Outgoing
from gateway.model.tenant import Channel
from gateway.ops.logging import stack
from gateway.signals import Signals
from gateway.store import Store
from gateway.work.begun import Begun
from gateway.work.bulk_room import BulkRoom
from gateway.work.leisure import Leisure

LEASE = timedelta(seconds=60)
"""Longer than any send may take: after it the sender is presumed dead."""

EVIDENCE = timedelta(seconds=10)
"""How long the provider's receipts have to tell what became of a message whose outcome is unknown."""

HOLD = timedelta(minutes=5)
MOST_AGE = timedelta(hours=24)
"""How long a message that the provider certainly did not take is tried again."""

MOST_HELD = timedelta(days=7)
"""How long a message is held that may not be sent for the moment."""

WINDOW_CLOSED: Final = "permission:window_closed"

MOST_DOUBLED = 3
"""How often at most a message is sent whose outcome is unknown each time: the customer may have every copy."""

LONGEST_PAUSE: Final = 300.0
PAUSES: Final[Mapping[Scope, tuple[float, float]]] = {
    "message": (2.0, LONGEST_PAUSE),
    "recipient": (6.0, LONGEST_PAUSE),
    "channel": (1.0, 60.0),
}
"""Seconds before the first further attempt, and at most; they double in between. By whom a refusal concerns: what concerns the
whole channel is tried about as often as its lane is probed."""

AT_ONCE = 32
"""Sends of one account that may be under way at once: one that hangs must not take every place."""

FULL = timedelta(seconds=0.5)

BULK_STAYS = timedelta(seconds=0.25)
"""Bulk that has to wait no longer keeps its place in the process; what waits longer goes back to the database."""


class Deliver:
    def __init__(
        self,
        store: Store,
        adapters: Mapping[str, Adapter],
        pace: Pace,
        clock: Clock,
        log: Callable[[str, Message, str], None] = lambda *_: None,
        jitter: Callable[[], float] = random.random,
        signals: Signals | None = None,
    ) -> None:
        self._signals = signals or Signals(store, clock)
        self._permission = Permission(store, adapters, clock)
        self._store = store
        self._adapters = adapters
        self._pace = pace
        self._clock = clock
        self._log = log
        self._jitter = jitter
        self._under_way: Counter[str] = Counter()
        self._bulk = BulkRoom(clock)
        self._begun = Begun()
        self._leisure = Leisure()

    async def may_go(self, channel: Channel, conversation: Conversation, message: Message) -> Decision | None:
        """The decision by which a message just written may be claimed at once: allowed, and its lanes have room. A place in them
        is taken then. Else None."""
        verdict, decision = await self._permission.ask("sent", channel, conversation, message)
        if isinstance(verdict, Refused) or await self._pause(channel, conversation, message):
            return None
        return decision

    async def written(
        self, channel: Channel, conversation: Conversation, messages: Sequence[Message]
    ) -> list[Message]:
        """The messages with what permission says of each now, as they are to be written. It keeps none from being written, for
        it is asked again when they are sent."""
        asked = [(m, await self._permission.ask("written", channel, conversation, m)) for m in messages]
        return [replace(m, decided=(decision,)) for m, (_, decision) in asked]

    async def _pause(self, channel: Channel, conversation: Conversation, message: Message) -> timedelta:
        """How long a message has to wait for room in its lanes; none takes a place in them, to be given back."""
        if self._under_way[channel.id] >= AT_ONCE:
            return FULL
        # Taken before anything is awaited: several conversations ask at once.
        self._under_way[channel.id] += 1
        wait = 1.0
        try:
            rates = self._adapters[channel.kind].rates(channel, conversation.address)
            wait = await self._pace.wait(channel.id, conversation.address, rates, message.bulk)
        finally:
            if wait:
                self.stay(channel)
        # Less than a microsecond is a wait, too.
        return max(timedelta(seconds=wait), timedelta.resolution) if wait else timedelta()

    def has_room_for_bulk(self, channel: str) -> bool:
        """Whether bulk may leave an account now, as far as this process knows."""
        return self._bulk.is_open(channel)

    def at_leisure(self, bulk: bool) -> AbstractAsyncContextManager[None]:
        return self._leisure.bulk() if bulk else nullcontext()

    def replying(self) -> AbstractContextManager[None]:
        return self._leisure.replying()

    def elsewhere(self, bulk: bool = False) -> AbstractContextManager[None]:
        return nullcontext() if bulk else self._leisure.elsewhere()

    def stay(self, channel: Channel) -> None:
        """Give a place among those under way back."""
        self._under_way[channel.id] -= 1
        if not self._under_way[channel.id]:
            del self._under_way[channel.id]

    def lease(self) -> datetime:
        return self._clock() + LEASE

    async def run(
        self,
        channel: Channel,
        conversation: Conversation,
        messages: Sequence[Message],
        claimed: str | None = None,
    ) -> bool:
        """Send what is queued, in order, up to the first that has to wait. `claimed` was taken already.

        Returns whether everything is out of the way. The conversation is read again before every message but
        the first: a person may have taken over meanwhile.
        """
        store = self._store.of(channel.tenant)
        for place, message in enumerate(messages):
            if place:
                conversation = await store.conversations.get(conversation.id) or conversation
            wait = None
            decision = None
            if message.id == claimed or (decision := await self._claim(channel, conversation, message)):
                try:
                    wait = await self._send(channel, conversation, message, decision)
                finally:
                    self._begun.end(channel.id, decision)
            else:
                standing = await store.messages.get(message.id)
                # What is held has stepped aside: what follows it goes on.
                if standing is not None and not (standing.status.ended or standing.status is Status.HELD):
                    # Another process's send ends when it ends, long before its lease.
                    sending = standing.status is Status.SENDING or standing.due is None
                    wait = self._clock() + FULL if sending else standing.due
            if wait is not None:
                if place + 1 < len(messages):
                    await store.messages.wait_behind(message, wait)
                return False
        return True

    async def _claim(self, channel: Channel, conversation: Conversation, message: Message) -> Decision | None:
        """Take one message for sending, by the decision that it may; None when it has to wait, or must not be sent."""
        messages = self._store.of(channel.tenant).messages
        now = self._clock()
        if message.due is not None and message.due > now:
            return None
        if message.bulk and not self._bulk.is_open(channel.id):
            return None
        if message.status is Status.SENDING and not await self._recover(channel, message, now):
            return None
        if message.status is Status.UNKNOWN and not await self._send_again(message):
            return None
        seen = self._begun.seen(channel.id)
        verdict, decision = await self._permission.ask("sent", channel, conversation, message)
        if isinstance(verdict, Refused):
            await self._refuse(channel, message, verdict, decision)
            return None
        if message.status is Status.HELD:
            await messages.release([message.id], now)
        if not self._begun.take(channel.id, decision, seen):
            await messages.requeue(message.id, Status.QUEUED, now + FULL, False)
            return None
        claimed = False
        try:
            claimed = await self._take(channel, conversation, message, decision)
        finally:
            if not claimed:
                self._begun.end(channel.id, decision)
        return decision if claimed else None

    async def _take(
        self, channel: Channel, conversation: Conversation, message: Message, decision: Decision
    ) -> bool:
        """Claim what may be sent, if there is room in its lanes; else it waits."""
        messages = self._store.of(channel.tenant).messages
        pause = await self._pause(channel, conversation, message)
        if message.bulk and timedelta(0) < pause <= BULK_STAYS:
            await asyncio.sleep(pause.total_seconds())
            pause = await self._pause(channel, conversation, message)
        if message.bulk:
            self._bulk.found(channel.id, pause)
        if pause:
            await messages.requeue(message.id, Status.QUEUED, self._clock() + pause, False)
            return False
        claimed = False
        try:
            async with self.at_leisure(message.bulk):
                claimed = await messages.claim(message.id, self.lease(), decision)
        finally:
            if not claimed:
                self.stay(channel)
        return claimed

    async def _recover(self, channel: Channel, message: Message, now: datetime) -> bool:
        """Its sender died. Where sending twice has no second effect it is queued again, else it is unknown."""
        messages = self._store.of(channel.tenant).messages
        assert message.due is not None
        if self._adapters[channel.kind].capabilities.idempotent:
            return await messages.requeue(message.id, Status.SENDING, now, False)
        self._log("unknown", message, "the sender was stopped before the outcome was recorded")
        await messages.presume_unknown(message.id, message.due, now + EVIDENCE)
        return False

    async def _send_again(self, message: Message) -> bool:
        """No evidence came in time."""
        messages = self._store.of(message.tenant).messages
        if message.campaign or isinstance(message.content, Template) or message.unknowns >= MOST_DOUBLED:
            text = "It may have been sent, so it is not sent again. Look at the customer's chat."
            await messages.end(message, Status.UNKNOWN, Status.DEAD, Failure("delivery:unknown", text))
            return False
        self._log("possibly doubled", message, "sent again without evidence of the first attempt")
        return await messages.requeue(message.id, Status.UNKNOWN, self._clock(), True)

    async def _refuse(self, channel: Channel, message: Message, verdict: Refused, decision: Decision) -> None:
        messages = self._store.of(channel.tenant).messages
        failure = _failure(verdict)
        if verdict.reason == "channel_disabled":
            # What we know of the channel may be a moment old, and it may just have been mended.
            await self._store.directory.refresh()
            mended = (await self._store.directory.channel(channel.id)).state == "active"
            if self._is_old(message) and not mended and not message.bulk:
                await messages.end(message, message.status, Status.DEAD, failure, decision)
                self._log("given up", message, verdict.reason)
                return
            if message.status is Status.HELD:
                await messages.release([message.id], self._clock())
            await messages.wait(message.id, self._clock() + (FULL if mended else HOLD), failure)
            if message.bulk and not mended:
                self._bulk.found(channel.id, HOLD)
        elif verdict.hold and self._clock() - (message.retried or message.at) < MOST_HELD:
            due = verdict.until or (message.retried or message.at) + MOST_HELD
            await messages.hold(message, due, failure, decision)
        else:
            # A person wrote it for one customer: what became of it is theirs to see.
            given_up = verdict.hold and message.campaign is None
            status = Status.DEAD if given_up else Status.FAILED
            await messages.end(message, message.status, status, failure, decision)
        self._log("refused", message, verdict.reason)

    async def _send(
        self, channel: Channel, conversation: Conversation, message: Message, decision: Decision | None
    ) -> datetime | None:
        """Hand a claimed message to its channel; None when the next may follow, else until when it waits."""
        outgoing = Outgoing(
            id=message.id,
            conversation=message.conversation,
            address=conversation.address,
            content=message.content,
            seq=message.seq,
            at=message.at,
            author=message.author,
            reply_to=message.reply_to,
        )
        if held := self._pace.held(channel.id, conversation.address):
            # The provider has said so since this message took its place: the claim itself may have taken long.
            self.stay(channel)
            due = self._clock() + timedelta(seconds=held)
            await self._store.of(channel.tenant).messages.give_back(message, due)
            return due
        large = isinstance(message.content, Media | Album)
        holding = asyncio.create_task(self._hold_claim(channel, message)) if large else None
        try:
            outgoing = await self._referring(channel, outgoing)
            with self.elsewhere(message.bulk):
                accepted = await self._adapters[channel.kind].send(channel, outgoing)
        except SendError as error:
            return await self._failed(channel, conversation, message, error)
        except Exception as error:  # a fault of ours, before or after the provider took it
            logger.error("a send broke: {}", stack(error))
            text = "Sending broke on our side; the log says how."
            broken = SendError("delivery:broken", text, outcome="unknown")
            return await self._failed(channel, conversation, message, broken)
        finally:
            if holding is not None:
                holding.cancel()
            self.stay(channel)
        async with self.at_leisure(message.bulk):
            messages = self._store.of(channel.tenant).messages
            await messages.sent(message.id, accepted.provider_id, self._clock())
            await self._count(channel, conversation, decision)
        await self._pace.worked(channel.id)
        return None

    async def _count(self, channel: Channel, conversation: Conversation, decision: Decision | None) -> None:
        """What quotas and the frequency cap rest on."""
        store, told = self._store.of(channel.tenant), decision.facts if decision else {}
        if told.get("begins"):
            await store.accounts.began(channel.id, self._clock())
        if told.get("purpose", SERVICE) not in (SERVICE, UTILITY):
            await store.conversations.marketed(conversation, self._clock())

    async def _hold_claim(self, channel: Channel, message: Message) -> None:
        """A file takes its time: while its sending goes on, nobody is to presume its sender dead."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            with contextlib.suppress(ParleyError):
                await self._store.of(channel.tenant).messages.renew(message, self.lease())

    async def _referring(self, channel: Channel, outgoing: Outgoing) -> Outgoing:
        """With the provider's ids in place of ours, where it names another message. Raises SendError."""
        content, reply_to = outgoing.content, outgoing.reply_to
        if isinstance(content, Edit | Deleted | Reaction):
            content = replace(content, to=await self._named(channel, content.to))
        if reply_to is not None:
            reply_to = await self._named(channel, reply_to)
        return replace(outgoing, content=content, reply_to=reply_to)

    async def _named(self, channel: Channel, message: str) -> str:
        if not is_message_id(message):
            return message
        found = await self._store.of(channel.tenant).messages.get(message)
        if found is None or found.channel != channel.id or found.provider_id is None:
            raise SendError("delivery:no_such_message", "The message that this one is about is not there.")
        return found.provider_id

    async def _failed(
        self, channel: Channel, conversation: Conversation, message: Message, error: SendError
    ) -> datetime | None:
        messages = self._store.of(channel.tenant).messages
        if error.blocked or error.moved:
            conversations = self._store.of(channel.tenant).conversations
            await conversations.reach(conversation.id, blocked=error.blocked or None, address=error.moved)
        if error.opt_out:
            await self._signals.opted_out(channel, conversation, message, error.code, error.text)
        failure = Failure(error.code, error.text)
        self._log("not sent", message, error.code)
        await self.refused(channel, conversation, error)
        wait = self._wait(message, error)
        if error.disable_channel:
            await self._store.directory.disable(channel)
        if error.window_closed and not message.campaign:
            await self._close_window(channel, conversation, message, failure)
            return None
        if wait is None:
            status = Status.DEAD if error.retryable else Status.FAILED
            await messages.end(message, Status.SENDING, status, failure)
            return None
        due = self._clock() + wait
        await messages.retry(message, due, failure, error.outcome == "unknown")
        return due

    async def _close_window(
        self, channel: Channel, conversation: Conversation, message: Message, failure: Failure
    ) -> None:
        """The provider counts the service window as closed, whatever we had reckoned: held as if we had known."""
        store, now = self._store.of(channel.tenant), self._clock()
        await store.conversations.reach(conversation.id, window_until=now)
        due = (message.retried or message.at) + MOST_HELD
        told = Decision("sent", now, False, "window_closed", failure.text, facts={"by": failure.code})
        await store.messages.hold_back(message, due, replace(failure, code=WINDOW_CLOSED), told)

    async def refused(self, channel: Channel, conversation: Conversation, error: SendError) -> None:
        """Tell the lanes what a refusal says of more than its message."""
        if not error.code.startswith(channel.kind):
            return  # ours: the provider was not asked
        if error.wait and error.scope != "message":
            recipient = conversation.address if error.scope == "recipient" else None
            await self._pace.pause(channel.id, error.wait, recipient)
        elif error.scope == "channel":
            await self._pace.failed(channel.id)
        else:
            await self._pace.worked(channel.id)

    def _wait(self, message: Message, error: SendError) -> timedelta | None:
        """How long until it is tried again; None: never."""
        if error.outcome == "unknown":
            return EVIDENCE
        if error.disable_channel:
            return HOLD
        if error.moved and message.attempts < MOST_DOUBLED:
            return timedelta(0)
        tries = message.attempts + 1
        if (
            not error.retryable
            or self._is_old(message)
            or (error.most_attempts and tries >= error.most_attempts)
        ):
            return None
        if error.wait:  # for the time that the provider names, and no longer
            return timedelta(seconds=error.wait)
        first, longest = PAUSES[error.scope]
        pause = min(longest, first * 2.0 ** min(tries - 1, 20))
        return timedelta(seconds=pause * (1 + 0.25 * self._jitter()))

    def _is_old(self, message: Message) -> bool:
        """Whether it was tried for long enough: since it was written, or a person had it tried again."""
        return self._clock() - (message.retried or message.at) >= MOST_AGE


def _failure(verdict: Refused) -> Failure:
    return Failure(f"permission:{verdict.reason}", f"{verdict.text} {verdict.remedy}".strip())
