"""The edge out: queued messages leave in order, each asked about again at the last moment, each outcome recorded.

A message is claimed (`sending`, with a lease) before the provider sees it. If we die in between, the lease runs
out and the message is `unknown`: the provider's own evidence may still resolve it; failing that, a reply in a
conversation is sent again and marked as possibly doubled, a template never is.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from consent.permission import Facts, Refused, decide
from gateway.model.content import Template
from gateway.model.conversation import Conversation
from gateway.model.errors import SendError
from gateway.model.message import Failure, Message, Status
from gateway.model.ports import Adapter, Clock, Outgoing
from gateway.model.tenant import Channel
from gateway.store import Store
from gateway.work.pace import Pacer

LEASE = timedelta(seconds=60)
"""Longer than any send may take: after it the sender is presumed dead."""

EVIDENCE = timedelta(seconds=10)
"""How long the provider's receipts have to tell what became of a message whose outcome is unknown."""

HOLD = timedelta(minutes=5)
MOST_ATTEMPTS = 8
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0


class Deliver:
    def __init__(
        self,
        store: Store,
        adapters: Mapping[str, Adapter],
        pacer: Pacer,
        clock: Clock,
        log: Callable[[str, Message, str], None] = lambda *_: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._pacer = pacer
        self._clock = clock
        self._log = log
        self._jitter = jitter

    def may_go(self, channel: Channel, conversation: Conversation, message: Message) -> bool:
        """Whether a message just written may be claimed at once: allowed, and its lanes have room (a place in
        them is taken then)."""
        facts = self._facts(channel, conversation)
        if isinstance(decide(message, facts, self._clock()), Refused):
            return False
        capabilities = self._adapters[channel.kind].capabilities
        return self._pacer.wait(channel.id, conversation.address, capabilities) == 0

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
            if message.id != claimed and not await self._claim(channel, conversation, message):
                if await self._gone(channel, message):
                    continue
                return False
            if not await self._send(channel, conversation, message):
                return False
        return True

    async def _gone(self, channel: Channel, message: Message) -> bool:
        """Whether a message that could not be claimed no longer stands in the way of the next."""
        standing = await self._store.of(channel.tenant).messages.get(message.id)
        return standing is None or standing.status >= Status.SENT

    async def _claim(self, channel: Channel, conversation: Conversation, message: Message) -> bool:
        """Take one message for sending; False when it has to wait, or must not be sent."""
        messages = self._store.of(channel.tenant).messages
        now = self._clock()
        if message.due is not None and message.due > now:
            return False
        if message.status is Status.SENDING and not await self._recover(channel, message, now):
            return False
        if message.status is Status.UNKNOWN and not await self._send_again(message):
            return False
        verdict = decide(message, self._facts(channel, conversation), now)
        if isinstance(verdict, Refused):
            await self._refuse(channel, message, verdict)
            return False
        capabilities = self._adapters[channel.kind].capabilities
        pause = self._pacer.wait(channel.id, conversation.address, capabilities)
        if pause:
            await messages.requeue(message.id, Status.QUEUED, now + timedelta(seconds=pause), False)
            return False
        return await messages.claim(message.id, self.lease())

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
        if isinstance(message.content, Template):
            text = "It may have been sent; a template is never sent twice. Look at the recipient's chat."
            await messages.end(message.id, Status.DEAD, Failure("delivery:unknown", text))
            return False
        self._log("possibly doubled", message, "sent again without evidence of the first attempt")
        return await messages.requeue(message.id, Status.UNKNOWN, self._clock(), True)

    async def _refuse(self, channel: Channel, message: Message, verdict: Refused) -> None:
        messages = self._store.of(channel.tenant).messages
        failure = Failure(f"permission:{verdict.reason}", verdict.text)
        if verdict.hold:
            await messages.hold(message.id, self._clock() + HOLD, failure)
        else:
            await messages.end(message.id, Status.FAILED, failure)
        self._log("refused", message, verdict.reason)

    async def _send(self, channel: Channel, conversation: Conversation, message: Message) -> bool:
        """Hand a claimed message to its channel; whether the next one may follow."""
        messages = self._store.of(channel.tenant).messages
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
        try:
            accepted = await self._adapters[channel.kind].send(channel, outgoing)
        except SendError as error:
            return await self._failed(channel, message, error)
        await messages.sent(message.id, accepted.provider_id, self._clock())
        return True

    async def _failed(self, channel: Channel, message: Message, error: SendError) -> bool:
        messages = self._store.of(channel.tenant).messages
        failure = Failure(error.code, error.text)
        self._log("not sent", message, error.code)
        if error.disable_channel:
            await self._store.directory.set_channel(channel, state="disabled")
            await messages.retry(message.id, self._clock() + HOLD, failure, False)
            return False
        attempts = message.attempts + 1
        if error.outcome == "unknown" and attempts < MOST_ATTEMPTS:
            await messages.retry(message.id, self._clock() + EVIDENCE, failure, True)
            return False
        if error.wait:
            self._pacer.pause(channel.id, error.wait)
        if error.retryable and attempts < MOST_ATTEMPTS:
            pause = error.wait or min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempts - 1))
            pause *= 1 + 0.25 * self._jitter()
            await messages.retry(message.id, self._clock() + timedelta(seconds=pause), failure, False)
            return False
        await messages.end(message.id, Status.DEAD if error.retryable else Status.FAILED, failure)
        return True

    def _facts(self, channel: Channel, conversation: Conversation) -> Facts:
        return Facts(
            owner=conversation.owner,
            channel_active=channel.state == "active",
            window_hours=self._adapters[channel.kind].capabilities.service_window_hours,
            last_in=conversation.last_in,
        )
