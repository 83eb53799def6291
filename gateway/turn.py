"""The turn: one incoming message, or a burst of them, to zero or more answers. What it says is thought of in `think`.

Crash safety rests on the order of its writes: answers first (ids that follow from the incoming message), then the
conversation by compare-and-set on its `rev` (this commits the turn), then the incoming message as handled and, in the
same call, the claim of the first answer. Run again after any of them, a turn has the same effect once.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from loguru import logger

from gateway import bursts, outcome
from gateway.answering import Answering
from gateway.bursts import Burst
from gateway.holding import Holding
from gateway.model.answers import Asked, Brain
from gateway.model.clock import Sequencer
from gateway.model.content import (
    NEWER,
    Album,
    FormReply,
    System,
    Text,
    plain_text,
)
from gateway.model.conversation import Conversation
from gateway.model.delivery import Delivery
from gateway.model.errors import ParleyError, SendError, Unavailable
from gateway.model.message import Failure, Message, Status
from gateway.model.ports import Adapter, Clock
from gateway.model.tenant import Channel
from gateway.model.texts import broken
from gateway.model.work import Key, Work
from gateway.ops.logging import stack
from gateway.store import Store, TenantStore
from gateway.think import Thinker, Thought

OVERTAKEN = 6
"""How often a turn is run anew because somebody else changed the conversation meanwhile."""

MOST_FAILURES = 5
PREVIEW = 120
SEEN_SECONDS = 1.0
STOPPED = Failure("permission:stopped", "The customer asked for no more messages before this was sent.")
WINDOW_CLOSED = "permission:window_closed"
STALE = timedelta(hours=24)
STALE_ANSWER = Failure(
    "permission:stale", "It was held for so long that it answers nothing any more; the bot answers anew."
)
UNUSABLE, OTHERS = timedelta(minutes=5), timedelta(seconds=5)


class Overtaken(Exception):
    """Another process runs this turn, or has run it."""


class Turns:
    """Handles a conversation that has work: its turns in order, each followed by the sending of its answers."""

    def __init__(
        self,
        store: Store,
        adapters: Mapping[str, Adapter],
        brain: Brain,
        deliver: Delivery,
        clock: Clock,
        sequencer: Sequencer,
        work: Work,
        note: Callable[[Asked], None] = lambda _: None,
    ) -> None:
        """`note` is told what was asked of the brain, once its answer is committed."""
        self._store = store
        self._adapters = adapters
        self._brain = brain
        self._deliver = deliver
        self._clock = clock
        self._sequencer = sequencer
        self._hints = work
        self._note = note
        self._thinker = Thinker(adapters, Answering(brain, clock, work), clock, store)

    def without(self, *kinds: str) -> "Turns":
        """The same, but leaving conversations on these kinds of channel to other processes."""
        left = {k: a for k, a in self._adapters.items() if k not in kinds}
        return Turns(
            self._store,
            left,
            self._brain,
            self._deliver,
            self._clock,
            self._sequencer,
            self._hints,
            self._note,
        )

    async def handle(self, key: Key) -> None:
        """Do all that a conversation needs now. Safe to call at any time, any number of times."""
        with contextlib.nullcontext() if key.bulk else self._deliver.replying():
            await self._handle(key)

    async def _handle(self, key: Key) -> None:
        store = self._store.of(key.tenant)
        # In this order: a turn that is committed after the first read is seen in the second.
        async with self._deliver.at_leisure(key.bulk):
            conversation = await store.conversations.get(key.conversation)
            work = await store.messages.work(key.conversation)
        if not work:
            return
        with logger.contextualize(tenant=key.tenant, conversation=key.conversation):
            try:
                channel = await self._store.directory.channel(work[0].channel)
            except ParleyError as error:
                if isinstance(error, Unavailable):
                    raise
                logger.error("its channel can't be used: {}", error)
                await self._store.open_work.postpone(key.tenant, key.conversation, self._clock() + UNUSABLE)
                return
            if conversation is not None and conversation.merged_into:
                # A process that had not heard of it yet has stored here: it is said where the conversation goes on. There
                # nobody knows which turns were committed here.
                if done := [m.id for m in work if m.id in conversation.committed]:
                    await store.messages.finish_turn(done, None, self._deliver.lease())
                await store.messages.rehome(conversation.id, conversation.merged_into, self._clock())
                return
            if channel.kind not in self._adapters or NEWER in [m.content for m in work]:
                # Another process's, or a newer version's; it is not to be in the way of ours.
                later = self._clock() + OTHERS
                await self._store.open_work.postpone(key.tenant, key.conversation, later)
                return
            await self._work(key, channel, store, conversation, work)

    async def _work(
        self,
        key: Key,
        channel: Channel,
        store: TenantStore,
        conversation: Conversation | None,
        work: list[Message],
    ) -> None:
        waiting = [m for m in work if m.direction == "in"]
        permissions = (await self._store.directory.tenant(channel.tenant)).permissions
        unsent: list[Message] | None = await self._unsent(store, conversation, work, bool(waiting))
        while waiting:
            if conversation is not None and waiting[0].id in conversation.committed:
                await store.messages.finish_turn([waiting.pop(0).id], None, self._deliver.lease())
                continue
            burst = bursts.first(waiting, conversation, channel.quiet, self._clock(), permissions)
            if (until := burst.until or self._held(burst.messages[0])) is not None:
                # It and what follows it wait, and so does what they have written, for none of that is committed.
                uncommitted = {m.id for m in waiting}
                unsent = [m for m in unsent or () if m.turn not in uncommitted]
                self._hints.poke(key, (until - self._clock()).total_seconds())
                break
            try:
                conversation, unsent = await self._turn(channel, store, conversation, burst, unsent)
            except Unavailable:
                raise
            except Overtaken:
                return  # another process is at it
            except Exception as error:
                with contextlib.suppress(Overtaken):
                    await self._broken(channel, store, conversation, burst, unsent, error)
                return
            del waiting[: len(burst.messages)]
        if conversation is None or unsent is None:
            return
        out = await self._deliver.run(channel, conversation, unsent) if unsent else True
        if out and key.bulk and not waiting:
            now = self._clock()
            due = [m for m in work if m.bulk and not _is_aside(m, now)]
            if unsent and due:
                # Sending may have taken long: what they took back meanwhile counts.
                conversation = await store.conversations.get(conversation.id) or conversation
            await self._deliver.run(channel, conversation, due)

    async def _unsent(
        self, store: TenantStore, conversation: Conversation | None, work: list[Message], heard: bool
    ) -> list[Message]:
        """What is to be sent by now, in order. What is held is passed over, but for what its reason has ended of: free text once
        the customer has written again. An answer of the bot's that is a day old by then answers nothing any more."""
        now = self._clock()
        queued = [m for m in work if m.direction == "out" and not m.bulk]
        held = [m for m in queued if m.status is Status.HELD and m.due is not None and m.due > now]
        until = conversation.window_until if conversation is not None else None
        if not held or not (heard or (until is not None and until > now)):
            return [m for m in queued if m not in held]
        free = [m for m in held if m.failure is not None and m.failure.code == WINDOW_CLOSED]
        # What answers no turn (the button of a double opt-in) is as good as new.
        stale = [m for m in free if m.author == "bot" and m.turn is not None and now - m.at >= STALE]
        for message in stale:
            await store.messages.end(message, Status.HELD, Status.CANCELLED, STALE_ANSWER)
        released = [m for m in free if m not in stale]
        await store.messages.release([m.id for m in released], now)
        return [
            replace(m, status=Status.QUEUED, due=now) if m in released else m
            for m in queued
            if m in released or m not in held
        ]

    def _held(self, message: Message) -> datetime | None:
        """Until when a message waits: its turn broke, or an album's next file may still come."""
        waits = message.attempts or isinstance(message.content, Album)
        return message.due if waits and message.due and message.due > self._clock() else None

    async def _turn(
        self,
        channel: Channel,
        store: TenantStore,
        conversation: Conversation | None,
        burst: Burst,
        unsent: list[Message] | None,
        thought: Thought | None = None,
    ) -> tuple[Conversation, list[Message] | None]:
        """One turn, committed, and its answers sent as far as they can be. Raises Overtaken.

        `unsent` is what earlier turns left to send, None when some of it has to wait: then nothing may overtake it.
        Returns the conversation and the same for the next turn. With a `thought`, nobody thinks. The turn bears the name of
        its burst's last message.
        """
        message = burst.messages[-1]
        if conversation is None:
            conversation = await self._begin(store, message)
            if conversation.rev:
                raise Overtaken  # it has gone on since its work was read
        # What a run of this turn wrote that was stopped before it committed is not to be sent as it stands.
        stale = [m.id for m in unsent or () if m.turn in burst.ids]
        unsent = unsent if unsent is None else [m for m in unsent if m.turn not in burst.ids]
        seen = asyncio.create_task(self._seen(channel, conversation, message))
        try:
            before = conversation.stopped
            # Nothing may overtake what earlier turns have left to send.
            hold = self._holding(store, channel, conversation, burst) if unsent == [] else None
            conversation, written = await self._commit(channel, store, conversation, burst, thought, hold)
            if hold is not None and hold.waits:
                unsent = hold.waits
            if conversation.stopped and not before:
                # Another process may be about to claim what was allowed when it asked.
                await store.messages.cancel_bot(conversation.id, STOPPED, [m.id for m in written])
            if gone := [i for i in stale if i not in {m.id for m in written}]:
                await store.messages.withdraw(gone)
            first = written[0] if written and unsent == [] else None
            go = await self._deliver.may_go(channel, conversation, first) if first else None
            claim = first.id if first and go else None
            claimed = False
            try:
                claimed = await store.messages.finish_turn(burst.ids, claim, self._deliver.lease(), go)
            finally:
                if claim and not claimed:
                    self._deliver.stay(channel)
            if not claimed:
                return conversation, None if unsent is None else [*unsent, *written]
            out = await self._deliver.run(channel, conversation, written, claim)
            return conversation, [] if out else None
        finally:
            await asyncio.wait({seen}, timeout=SEEN_SECONDS)
            seen.cancel()

    async def _commit(
        self,
        channel: Channel,
        store: TenantStore,
        conversation: Conversation,
        burst: Burst,
        given: Thought | None,
        hold: Holding | None = None,
    ) -> tuple[Conversation, list[Message]]:
        """Think and write until nobody came in between. Raises Overtaken when another process runs this turn."""
        run, message = secrets.token_hex(8), burst.messages[-1]
        tenant = await self._store.directory.tenant(channel.tenant)
        able = self._adapters[channel.kind].capabilities
        for _ in range(OVERTAKEN):
            if given is not None:
                thought = replace(given, conversation=conversation)
            else:
                with self._deliver.elsewhere():
                    thought = await self._thinker.think(
                        channel,
                        tenant,
                        conversation,
                        message,
                        burst.content,
                        hold if tenant.answers.holding else None,
                    )
            after = outcome.after(channel, able, conversation, burst, thought, self._clock())
            written = outcome.written(able, conversation, message, thought, self._sequencer, self._clock())
            written = replace(written, messages=await self._deliver.written(channel, after, written.messages))
            if thought.entries:
                await store.ledger.put(thought.entries)
            own = await store.messages.put_outgoing(written.messages, run) if written.messages else []
            if thought.lead is not None:
                await store.conversations.put_lead(thought.lead)
            if thought.submission is not None:
                await store.submissions.put(thought.submission)
            last = written.messages[-1] if written.messages else message
            saved = await store.conversations.save(
                replace(after, pending=written.pending, preview=plain_text(last.content)[:PREVIEW])
            )
            if saved is not None:
                if thought.asked is not None:
                    self._note(thought.asked)
                return saved, written.messages
            conversation = await store.conversations.get(conversation.id) or conversation
            # Only what this run alone wrote: the rest may have been committed by another.
            await store.messages.withdraw(own, run)
            if not conversation.committed.isdisjoint(burst.ids) or await self._any_handled(store, burst):
                raise Overtaken
        raise RuntimeError("the conversation keeps changing")

    def _holding(
        self, store: TenantStore, channel: Channel, conversation: Conversation, burst: Burst
    ) -> Holding:
        # It leaves before the turn is committed: that they have written opens the window all the same.
        able = self._adapters[channel.kind].capabilities
        heard = replace(conversation, window_until=outcome.window(channel, able, conversation, burst))
        return Holding(
            self._deliver,
            store,
            channel,
            heard,
            burst.messages[-1],
            self._sequencer,
            self._clock,
            secrets.token_hex(8),
        )

    async def _any_handled(self, store: TenantStore, burst: Burst) -> bool:
        standing = [await store.messages.get(i) for i in burst.ids]
        return any(m is None or m.status is Status.HANDLED for m in standing)

    async def _begin(self, store: TenantStore, message: Message) -> Conversation:
        tenant = await self._store.directory.tenant(message.tenant)
        return await store.conversations.begin(message, tenant.language, self._clock())

    async def _seen(self, channel: Channel, conversation: Conversation, message: Message) -> None:
        """Tell the customer that we have it and that an answer is coming. Nothing depends on it."""
        answering = conversation.owner == "bot" and not conversation.stopped
        # A pressed button goes on turning until somebody says that it was seen.
        if message.provider_id is None or not (answering or "callback" in message.extra):
            return
        if isinstance(message.content, FormReply | System):
            return
        try:
            await self._adapters[channel.kind].mark_read(
                channel, message, conversation.address, typing=answering
            )
        except SendError as error:
            await self._deliver.refused(channel, conversation, error)
        except Exception as error:
            logger.error("marking as read broke: {}", stack(error))

    async def _broken(
        self,
        channel: Channel,
        store: TenantStore,
        conversation: Conversation | None,
        burst: Burst,
        unsent: list[Message] | None,
        error: Exception,
    ) -> None:
        """A turn that raised is tried again with growing pauses, each message of a burst by itself. In the end the customer
        is told, and a person sees why."""
        message = burst.messages[-1]
        tries = message.attempts + 1
        failure = Failure(
            "turn:broken", f"The answer broke {tries} times: {type(error).__name__}. The log says how."
        )
        logger.error("a turn broke (attempt {}): {}", tries, stack(error))
        if tries < MOST_FAILURES:
            due = self._clock() + timedelta(seconds=2.0**tries)
            for failed in burst.ids:
                await store.messages.turn_failed(failed, due, failure)
            return
        try:
            conversation = conversation or await self._begin(store, message)
            sorry = Thought((Text(broken(conversation.language)),), conversation)
            await self._turn(channel, store, conversation, burst, unsent, sorry)
        except (Unavailable, Overtaken):
            raise
        except Exception as worse:
            logger.error("the customer could not even be told: {}", stack(worse))
        await store.messages.turn_failed(message.id, None, failure)


def _is_aside(message: Message, now: datetime) -> bool:
    """Held, and not to be asked about yet: what follows it goes on."""
    return message.status is Status.HELD and message.due is not None and message.due > now
