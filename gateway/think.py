"""Thinking: what a turn comes to - manners, lead, brain, in that order. Writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from channels import kit
from consent import entries as entries_of
from consent import keywords, means
from consent.entries import Cause
from consent.folding import fold
from consent.keywords import Keyword
from gateway import manners
from gateway.answering import Answering, Filled, Replied, shown
from gateway.company import Company, Hold
from gateway.model.answers import Asked, Submission
from gateway.model.consent import MARKETING, SERVICE, Entry, How, applied
from gateway.model.content import Album, Command, Content, FormReply, Media, Reply, System, Text, plain_text
from gateway.model.conversation import Conversation, Lead
from gateway.model.limits import LIMITS
from gateway.model.message import Message, stable_id
from gateway.model.ports import Adapter, Clock
from gateway.model.tenant import Channel, Tenant
from gateway.model.texts import told, unsupported
from gateway.store import Store
from leads import flow
from leads.state import Context, LeadState, Step
from leads.texts import wording

TOLD_EVERY = timedelta(seconds=LIMITS["told"].seconds)


@dataclass(frozen=True, slots=True)
class Thought:
    """What a turn comes to: what to say, the conversation afterwards, and a lead to keep."""

    say: Sequence[Content]
    conversation: Conversation
    lead: Lead | None = None
    entries: Sequence[Entry] = ()
    """What the ledger of consent is to say of it; `conversation` says so already."""
    asked: Asked | None = None
    submission: Submission | None = None
    confirms: bool = False
    """It says that there will be no more messages, and so leaves whoever owns the conversation."""


class Thinker:
    def __init__(
        self, adapters: Mapping[str, Adapter], answering: Answering, clock: Clock, store: Store
    ) -> None:
        """The store is read only, and only where somebody confirms what they were asked."""
        self._store = store
        self._adapters = adapters
        self._answering = answering
        self._clock = clock

    async def think(
        self,
        channel: Channel,
        tenant: Tenant,
        conversation: Conversation,
        message: Message,
        content: Content,
        hold: Hold | None = None,
    ) -> Thought:
        """What to answer to `content`, which `message` (the last of its burst) asks. Writes nothing, but for what `hold` writes:
        that the answer is coming."""
        if _is_old_news(conversation, message):
            return Thought((), conversation)
        conversation = _known(conversation, message)
        if message.extra.get("limited") == "contact":
            return self._slowed(conversation)
        said, keyword = self._understood(conversation, tenant, _asked(content))
        cause = self._cause(conversation, message, said, keyword)
        back: Sequence[Entry] = ()
        if not isinstance(content, System) and not (keyword is not None and keyword.family == "stop"):
            # A missed "unblocked" must not silence anybody: whoever writes can be written to.
            back = entries_of.returned(replace(cause, how="message"), conversation.consents)
            conversation = replace(conversation, consents=applied(conversation.consents, back))
        company = Company(self._adapters[channel.kind], channel, conversation, message, hold)
        thought = await self._thought(channel, tenant, conversation, message, said, keyword, cause, company)
        if conversation.turn is None:
            thought = await self._asking(conversation, thought)
        return replace(thought, entries=(*back, *thought.entries)) if back else thought

    async def _thought(
        self,
        channel: Channel,
        tenant: Tenant,
        conversation: Conversation,
        message: Message,
        said: Content,
        keyword: Keyword | None,
        cause: Cause,
        company: Company,
    ) -> Thought:
        confirmed = await self._shown(conversation, said)
        reaction = manners.react(
            said,
            conversation,
            tenant.name,
            channel.site.greeting or tenant.answers.greeting,
            cause,
            tenant.permissions,
            keyword,
            confirmed,
            self._answering.away(tenant, conversation.language),
        )
        if reaction is not None:
            return Thought(
                reaction.say,
                reaction.conversation,
                entries=reaction.entries,
                confirms=reaction.confirms,
            )
        if conversation.owner != "bot" or conversation.stopped:
            return Thought((), conversation)
        if _proposes(said, tenant):
            return Thought((manners.ask_stop(conversation, tenant.permissions),), conversation)
        if isinstance(said, FormReply) and not self._adapters[channel.kind].capabilities.forms:
            # A form of the business's own (a WhatsApp flow), not the one that asks for a lead's details.
            return Thought((Text(told("form", conversation.language)),), conversation)
        if not isinstance(said, Text | Reply | FormReply):
            return Thought((Text(unsupported(conversation.language)),), conversation)
        filled = self._answering.fill(channel, tenant, conversation, message, said)
        if filled is not None and filled.handled:
            return self._of_form(tenant, filled)
        conversation = filled.conversation if filled else conversation
        context = self._context(channel, tenant, conversation, message)
        step = flow.step(LeadState.from_doc(conversation.lead), said, context)
        if step.handled:
            return self._consented(self._led(conversation, channel, step), channel, tenant, step, cause)
        replied = await self._answering.ask(channel, tenant, conversation, message, said, company)
        thought = self._replied(channel, tenant, message, said, replied, step, context)
        return replace(thought, asked=replied.asked)

    def _replied(
        self,
        channel: Channel,
        tenant: Tenant,
        message: Message,
        said: Content,
        replied: Replied,
        step: Step,
        context: Context,
    ) -> Thought:
        """What follows on the brain's answer."""
        answer, conversation = replied.answer, replied.conversation
        if answer.opt_out:
            return Thought((manners.ask_stop(conversation, tenant.permissions),), conversation)
        if answer.known:
            say = (shown(answer, conversation.language),)
            if answer.form:
                begun = self._answering.begin(channel, tenant, conversation, answer.form)
                return Thought((*say, *begun.say), begun.conversation)
            if answer.hand_over:
                return self._handed(tenant, conversation, say)
            # The form that is open asks again, and not the lead's question as well.
            filled = self._answering.fill(channel, tenant, conversation, message, said)
            again = filled.say if filled else step.say
            return self._led(conversation, channel, replace(step, say=(*say, *again)))
        filled = self._answering.fill(channel, tenant, conversation, message, said, certain=True)
        if filled is not None and filled.handled:
            return self._of_form(tenant, filled)
        if tenant.answers.hand_over == "queue":
            return self._handed(tenant, conversation, (Text(wording(context.language).unknown),))
        if tenant.answers.hand_over == "nothing":
            return Thought((Text(wording(context.language).unknown),), conversation)
        return self._led(conversation, channel, flow.offer(step.state, plain_text(said), context))

    def _of_form(self, tenant: Tenant, filled: Filled) -> Thought:
        """What a small form came to. Who takes over at its end is told of."""
        thought = Thought(filled.say, filled.conversation, submission=filled.submission)
        if filled.conversation.owner == "bot":
            return thought
        told_so = self._handed(tenant, filled.conversation, filled.say)
        return replace(told_so, submission=filled.submission)

    def _handed(self, tenant: Tenant, conversation: Conversation, say: Sequence[Content]) -> Thought:
        """A person takes over, and the customer is told so."""
        away = self._answering.away(tenant, conversation.language)
        line = " ".join(part for part in (told("human", conversation.language), away) if part)
        return Thought((*say, Text(line)), replace(conversation, owner="queue"))

    async def _shown(self, conversation: Conversation, said: Content) -> str:
        """The words that somebody was shown who confirms them now."""
        if not isinstance(said, Command) or said.name.lower() != "agree":
            return ""
        standing = conversation.consents.get(said.argument.strip())
        if standing is None or standing.state != "asked":
            return ""
        entry = await self._store.of(conversation.tenant).ledger.get(standing.entry)
        return entry.wording if entry is not None else ""

    async def _asking(self, conversation: Conversation, thought: Thought) -> Thought:
        """Who agreed before they ever wrote here (an import, the API) is asked to confirm it when they do."""
        open_still = [p for p, s in conversation.consents.items() if s.state == "asked"]
        if not open_still or conversation.owner != "bot" or thought.conversation.stopped:
            return thought
        ledger, asked = self._store.of(conversation.tenant).ledger, list[Content]()
        for purpose in open_still:
            standing = thought.conversation.consents.get(purpose)
            if standing is not None and standing.state == "asked":
                entry = await ledger.get(standing.entry)
                wording = entry.wording if entry is not None else purpose
                asked.append(manners.ask_agree(purpose, wording, conversation.language))
        return replace(thought, say=(*thought.say, *asked))

    def _slowed(self, conversation: Conversation) -> Thought:
        """They write faster than they are answered, and are told so once in a while."""
        now = self._clock()
        recent = conversation.slowed is not None and now - conversation.slowed < TOLD_EVERY
        if recent or conversation.owner != "bot" or conversation.stopped:
            return Thought((), conversation)
        return Thought((Text(told("slow_down", conversation.language)),), replace(conversation, slowed=now))

    def _understood(
        self, conversation: Conversation, tenant: Tenant, content: Content
    ) -> tuple[Content, Keyword | None]:
        """A typed "2" is the second choice, if there was a question with numbers; a choice may be a command; and a text may be
        nothing but a keyword. A stop is one whatever was asked."""
        keyword = keywords.in_content(content, tenant.permissions) if isinstance(content, Text) else None
        if isinstance(content, Text) and (keyword is None or keyword.family != "stop"):
            if conversation.pending is not None:
                choice = kit.understand_choice(content.text, conversation.pending)
                content, keyword = (choice, None) if choice is not None else (content, keyword)
            if keyword is not None and isinstance(content, Text) and _has_rule(tenant, content.text):
                keyword = None
        if isinstance(content, Reply) and content.id.startswith("/"):
            name, _, argument = content.id[1:].partition(" ")
            content = Command(name, argument)
        return manners.words(content), keyword

    def _cause(
        self, conversation: Conversation, message: Message, said: Content, keyword: Keyword | None
    ) -> Cause:
        """What an entry that a message leads to rests on."""
        content = message.content
        how: How = "command"
        if keyword is not None:
            how = "keyword"
        elif isinstance(content, System):
            how = "provider"
        elif isinstance(content, Reply) or (isinstance(content, Text) and isinstance(said, Command)):
            how = "button"
        elif isinstance(content, FormReply):
            how = "form"
        return Cause(
            tenant=conversation.tenant,
            channel=conversation.channel,
            contact=conversation.contact,
            conversation=conversation.id,
            message=message.id,
            at=entries_of.said_at(message.at, self._clock()),
            recorded=self._clock(),
            how=how,
            address=conversation.address,
            wording=content.text if isinstance(content, System) else plain_text(content),
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

    def _consented(
        self, thought: Thought, channel: Channel, tenant: Tenant, step: Step, cause: Cause
    ) -> Thought:
        """With what the customer agreed to by sending their details, and by the box beside them."""
        how: How = "widget" if channel.kind == "web" else "form"
        entries: list[Entry] = []
        say = thought.say
        if step.consented:
            sent = replace(cause, how=how, wording=step.consented)
            entries.append(entries_of.grant(sent, SERVICE, tenant.permissions))
        standing = thought.conversation.consents.get(MARKETING)
        if step.marketing and not (standing is not None and standing.state == "granted"):
            ticked = replace(cause, how=how, wording=step.marketing)
            entries.append(entries_of.grant(ticked, MARKETING, tenant.permissions))
            if entries[-1].state == "asked":
                language = thought.conversation.language
                say = (*say, manners.ask_agree(MARKETING, step.marketing, language))
        after = replace(thought.conversation, consents=applied(thought.conversation.consents, entries))
        return replace(thought, say=say, conversation=after, entries=tuple(entries)) if entries else thought

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


def _has_rule(tenant: Tenant, text: str) -> bool:
    """Whether the tenant answers this very word itself: help and start are theirs to answer then, a stop never is."""
    said = fold(text)
    return any(not rule.regex and fold(rule.pattern) == said for rule in tenant.rules)


def _proposes(said: Content, tenant: Tenant) -> bool:
    """Whether they seem to want no more messages. A template's button that was made without an id of ours (WhatsApp gives its
    text then) may be the provider's own "Stop promotions"."""
    if isinstance(said, Text):
        return means.proposes(said.text)
    if not isinstance(said, Reply) or said.id != said.title or _has_rule(tenant, said.title):
        return False
    keyword = keywords.match(said.title, tenant.permissions)
    return means.proposes(said.title) or (keyword is not None and keyword.family == "stop")


def _asked(content: Content) -> Content:
    """What a message asks: a file's caption is what was said with it."""
    if isinstance(content, Media) and content.caption:
        return Text(content.caption)
    if isinstance(content, Album) and (said := [m.caption for m in content.items if m.caption]):
        return Text("\n".join(said))
    return content
