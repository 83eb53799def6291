"""Thinking: what a turn comes to - manners, lead, brain, in that order. Writes nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from loguru import logger

from channels import kit
from consent.entries import Cause
from gateway import manners
from gateway.model.consent import Entry
from gateway.model.content import Album, Command, Content, FormReply, Media, Reply, System, Text, plain_text
from gateway.model.conversation import Conversation, Lead
from gateway.model.limits import LIMITS
from gateway.model.message import Message, stable_id
from gateway.model.ports import Adapter, Answer, Brain, Clock, Question
from gateway.model.tenant import Channel, Tenant
from gateway.model.texts import told, unsupported
from gateway.model.work import Work
from leads import flow
from leads.state import Context, LeadState, Step

THINKS = 15.0
"""Seconds that the brain has for an answer."""

TOLD_EVERY = timedelta(seconds=LIMITS["told"].seconds)


@dataclass(frozen=True, slots=True)
class Thought:
    """What a turn comes to: what to say, the conversation afterwards, and a lead to keep."""

    say: Sequence[Content]
    conversation: Conversation
    lead: Lead | None = None
    entries: Sequence[Entry] = ()
    """What the ledger of consent is to say of it; `conversation` says so already."""


class Thinker:
    def __init__(self, adapters: Mapping[str, Adapter], brain: Brain, clock: Clock, hints: Work) -> None:
        self._adapters = adapters
        self._brain = brain
        self._clock = clock
        self._hints = hints

    async def think(
        self, channel: Channel, tenant: Tenant, conversation: Conversation, message: Message, content: Content
    ) -> Thought:
        """What to answer to `content`, which `message` (the last of its burst) asks. Writes nothing."""
        if _is_old_news(conversation, message):
            return Thought((), conversation)
        conversation = _known(conversation, message)
        if message.extra.get("limited") == "contact":
            return self._slowed(conversation)
        said = self._understood(conversation, _asked(content))
        cause = self._cause(conversation, message)
        reaction = manners.react(
            said, conversation, tenant.name, channel.site.greeting, cause, tenant.permissions
        )
        if reaction is not None:
            return Thought(reaction.say, reaction.conversation, entries=reaction.entries)
        if conversation.owner != "bot" or conversation.stopped:
            return Thought((), conversation)
        if isinstance(said, FormReply) and not self._adapters[channel.kind].capabilities.forms:
            # A form of the business's own (a WhatsApp flow), not the one that asks for a lead's details.
            return Thought((Text(told("form", conversation.language)),), conversation)
        if not isinstance(said, Text | Reply | FormReply):
            return Thought((Text(unsupported(conversation.language)),), conversation)
        context = self._context(channel, tenant, conversation, message)
        step = flow.step(LeadState.from_doc(conversation.lead), said, context)
        if step.handled:
            return self._led(conversation, channel, step)
        asked = Question(tenant.id, plain_text(said), tenant.rules, tenant.knowledge, conversation.language)
        answer = await self._answered(asked)
        if answer.known:
            after = replace(step, say=(Text(answer.text, answer.sources), *step.say))
            return self._led(conversation, channel, after)
        return self._led(conversation, channel, flow.offer(step.state, plain_text(said), context))

    async def _answered(self, question: Question) -> Answer:
        """What the brain knows, in bounded time: who thinks too long does not know."""
        try:
            with self._hints.elsewhere():
                async with asyncio.timeout(THINKS):
                    return await self._brain.answer(question)
        except TimeoutError:
            logger.warning("the answer took longer than {:.0f} s", THINKS)
            return Answer(False)

    def _slowed(self, conversation: Conversation) -> Thought:
        """They write faster than they are answered, and are told so once in a while."""
        now = self._clock()
        recent = conversation.slowed is not None and now - conversation.slowed < TOLD_EVERY
        if recent or conversation.owner != "bot" or conversation.stopped:
            return Thought((), conversation)
        return Thought((Text(told("slow_down", conversation.language)),), replace(conversation, slowed=now))

    def _understood(self, conversation: Conversation, content: Content) -> Content:
        """A typed "2" is the second choice, if there was a question with numbers; and a choice may be a command."""
        if isinstance(content, Text) and conversation.pending is not None:
            content = kit.understand_choice(content.text, conversation.pending) or content
        if isinstance(content, Reply) and content.id.startswith("/"):
            name, _, argument = content.id[1:].partition(" ")
            content = Command(name, argument)
        return manners.words(content)

    def _cause(self, conversation: Conversation, message: Message) -> Cause:
        """What an entry that a message leads to rests on."""
        content = message.content
        return Cause(
            tenant=conversation.tenant,
            channel=conversation.channel,
            contact=conversation.contact,
            conversation=conversation.id,
            message=message.id,
            at=message.at,
            recorded=self._clock(),
            how="button" if isinstance(content, Reply) else "command",
            address=conversation.address,
            wording=plain_text(content),
        )

    def _context(
        self, channel: Channel, tenant: Tenant, conversation: Conversation, message: Message
    ) -> Context:
        sender = message.sender
        return Context(
            now=self._clock(),
            site=channel.site,
            language=conversation.language or tenant.language,
            forms=self._adapters[channel.kind].capabilities.forms,
            known_phone=sender.phone if sender else None,
            known_name=conversation.name,
            region=tenant.region,
        )

    def _led(self, conversation: Conversation, channel: Channel, step: Step) -> Thought:
        """What the lead flow came to, as a thought."""
        after = replace(conversation, lead=step.state.to_doc())
        draft = step.save
        if draft is None:
            return Thought(step.say, after)
        now = self._clock()
        lead = Lead(
            id=stable_id("ld", channel.id, conversation.contact),
            tenant=conversation.tenant,
            channel=channel.id,
            contact=conversation.contact,
            conversation=conversation.id,
            created=now,
            updated=now,
            name=draft.name,
            phone=draft.phone,
            phone_kind=draft.phone_kind,
            phone_region=draft.phone_region,
            email=draft.email,
            fields=draft.fields,
            question=draft.question,
            consent_text=draft.consent_text,
            consent_at=draft.consent_at,
        )
        return Thought(step.say, replace(after, name=draft.name), lead)


def _known(conversation: Conversation, message: Message) -> Conversation:
    """The conversation with what a message tells of its sender. Whoever says something can be reached again."""
    blocked = conversation.blocked and isinstance(message.content, System)
    sender = message.sender
    if sender is None:
        return replace(conversation, blocked=blocked)
    return replace(
        conversation,
        blocked=blocked,
        address=sender.address,
        name=conversation.name or sender.name,
        language=conversation.chosen or sender.language or conversation.language,
    )


def _is_old_news(conversation: Conversation, message: Message) -> bool:
    """What happened before the customer last wrote, and was told late."""
    last = conversation.last_in
    return isinstance(message.content, System) and last is not None and message.at < last


def _asked(content: Content) -> Content:
    """What a message asks: a file's caption is what was said with it."""
    if isinstance(content, Media) and content.caption:
        return Text(content.caption)
    if isinstance(content, Album) and (said := [m.caption for m in content.items if m.caption]):
        return Text("\n".join(said))
    return content
