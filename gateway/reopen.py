"""Writing to somebody again: the templates that may be sent in a conversation, filled in as far as we know them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from consent.permission import Refused, decide
from consent.templates import (
    FILE,
    Shown,
    Variable,
    checked,
    components,
    missing,
    normal,
    pick,
    plain,
    preview,
    render,
    variables,
)
from gateway.facts import account_of, facts_of
from gateway.model.consent import MARKETING, SERVICE, UTILITY
from gateway.model.content import Content, Template
from gateway.model.conversation import Contact, Conversation, Lead
from gateway.model.errors import Conflict, Invalid, NotFound
from gateway.model.message import Message, Status, stable_id
from gateway.model.ports import Adapter, Clock
from gateway.model.template import TemplateDef
from gateway.model.tenant import Channel, Tenant
from gateway.store import Store

MOST_OFFERS: Final = 200
MOST_VALUE: Final = 200
_GREETING: Final = re.compile(
    r"(hi|hello|hey|dear|hola|querido|querida|estimado|estimada|ol[aá]|oi|caro|cara|bonjour|salut|ch[eè]re?|hallo|liebe[r]?|"
    r"ciao|buongiorno|salve|namaste|नमस्ते|مرحبا|أهلا|مرحباً)[ ,!]*",
    re.IGNORECASE,
)
"""What stands before a person's name: a numbered variable behind it is the name."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A template that could be sent in a conversation. `values` is what is known of its variables; `refused` says why
    permission would not let it pass, with what to do."""

    template: TemplateDef
    variables: tuple[Variable, ...]
    values: Mapping[str, str]
    shown: Shown
    lacking: tuple[str, ...] = ()
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A template as it is said in a conversation: what is sent, what it is for, and what the customer sees."""

    contents: tuple[Content, ...]
    purpose: str
    shown: Shown
    template: TemplateDef


@dataclass(frozen=True, slots=True)
class Known:
    """What variables are filled in from."""

    conversation: Conversation
    tenant: Tenant
    contact: Contact | None = None
    lead: Lead | None = None
    agent: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


class Reopen:
    def __init__(self, store: Store, adapters: Mapping[str, Adapter], clock: Clock) -> None:
        self._store = store
        self._adapters = adapters
        self._clock = clock

    async def offers(self, tenant: str, conversation: str, agent: str = "", find: str = "") -> list[Offer]:
        """The templates that may be sent in a conversation, one a name, in the customer's language as far as there is one.
        `find` is part of the name. Raises NotFound."""
        channel, known = await self.known(tenant, conversation, agent)
        store, account = self._store.of(tenant), account_of(channel)
        best: dict[str, TemplateDef] = {}
        wanted = languages(known)
        async for template in store.templates.all(account):
            if not template.usable or template.raw or find.lower() not in template.name.lower():
                continue
            before = best.get(template.name)
            found = pick([before, template] if before else [template], wanted)
            if found is not None:
                best[template.name] = found
        standing = await store.accounts.get(channel.id)
        hours = self._adapters[channel.kind].capabilities.service_window_hours
        offers = []
        for name in sorted(best)[:MOST_OFFERS]:
            template = best[name]
            said = self._message(known.conversation, template)
            facts = facts_of(
                channel,
                known.conversation,
                known.tenant.permissions,
                hours,
                self._clock(),
                template,
                standing,
            )
            verdict = decide(said, facts, self._clock())
            offers.append(offer(template, known, verdict if isinstance(verdict, Refused) else None))
        return offers

    def _message(self, conversation: Conversation, template: TemplateDef) -> Message:
        """One that is never written: for asking whether it might be sent."""
        return Message(
            id="",
            tenant=conversation.tenant,
            channel=conversation.channel,
            conversation=conversation.id,
            direction="out",
            author="agent",
            seq=0,
            at=self._clock(),
            content=Template(template.name, template.language),
            status=Status.QUEUED,
            purpose=purpose_for(template, conversation),
        )

    async def known(self, tenant: str, conversation: str, agent: str = "") -> tuple[Channel, Known]:
        """Raises NotFound."""
        store = self._store.of(tenant)
        found = await store.conversations.get(conversation)
        if found is None:
            raise NotFound(conversation)
        channel = await self._store.directory.channel(found.channel)
        contact = await store.conversations.contact(found.contact)
        lead = await store.conversations.lead(stable_id("ld", channel.id, found.contact))
        return channel, Known(found, await self._store.directory.tenant(tenant), contact, lead, agent)

    async def write(
        self,
        tenant: str,
        conversation: str,
        name: str,
        language: str | None,
        values: Mapping[str, str],
        agent: str = "",
    ) -> Written:
        """A template for one conversation, as its channel takes it; what is not given is filled in from what we know.
        Raises NotFound, Conflict (the template may not be used) and Invalid, naming the variable."""
        channel, known = await self.known(tenant, conversation, agent)
        template = await self._chosen(channel, known, name, language)
        filled = {**fill(template, known), **values}
        given = checked(template, filled)
        if "template" in self._adapters[channel.kind].capabilities.kinds:
            if template.raw:
                raise Conflict(
                    f"template {name} has parts that Parley does not know: it can be sent as plain `content`"
                )
            sent: tuple[Content, ...] = (
                Template(template.name, template.language, components(template, given)),
            )
        else:
            sent = tuple(plain(template, given))
        return Written(sent, purpose_for(template, known.conversation), render(template, given), template)

    async def _chosen(self, channel: Channel, known: Known, name: str, language: str | None) -> TemplateDef:
        own = "template" in self._adapters[channel.kind].capabilities.kinds
        found = await self._store.of(channel.tenant).templates.named(
            account_of(channel) if own else None, name
        )
        there = [t for t in found if t.state != "DELETED"]
        if language:
            there = [t for t in there if normal(t.language) == normal(language)]
        if not there:
            what = f"{name} ({language})" if language else name
            raise Invalid(
                "template.name",
                f"a template that there is; {what} is not known here: `template list` shows them",
            )
        # Elsewhere it is plain content, whatever the provider thinks of it.
        usable = [t for t in there if t.usable or not own]
        if not usable:
            told = there[0].state.replace("_", " ").lower()
            raise Conflict(
                f"the provider has template {name} as {told}: send another, or wait until it is approved"
            )
        chosen = pick(usable, languages(known))
        assert chosen is not None
        return chosen


def languages(known: Known) -> list[str]:
    """The languages to write in, in this order: the customer's, the business's."""
    return [x for x in (known.conversation.chosen, known.conversation.language, known.tenant.language) if x]


def purpose_for(template: TemplateDef, conversation: Conversation) -> str:
    """What a template that a person sends is for. To somebody who has written it is an answer, unless it is marketing."""
    if template.category == "MARKETING":
        return MARKETING
    if template.category == "UTILITY" and conversation.last_in is None:
        return UTILITY
    return SERVICE


def offer(template: TemplateDef, known: Known, refused: Refused | None = None) -> Offer:
    values = fill(template, known)
    lacking = tuple(missing(template, values))
    # What is not known yet is shown as the variable that it is: a sample would look like the truth.
    shown = preview(template, {**{v.key: v.shown for v in variables(template) if v.key in lacking}, **values})
    return Offer(template, variables(template), values, shown, lacking, refused)


def fill(template: TemplateDef, known: Known) -> dict[str, str]:
    """What is known of a template's variables, by key; nothing is made up."""
    facts = _facts(known)
    found: dict[str, str] = {}
    for variable in variables(template):
        name = variable.shown.strip("{} ").lower()
        if variable.kind == "text":
            value = facts.get(name, "") if not name.isdecimal() else _greeted(template, variable, facts)
        elif variable.kind in ("image", "video", "document") and FILE.fullmatch(variable.example):
            value = variable.example
        else:
            value = ""
        if value:
            found[variable.key] = value
    return found


def _greeted(template: TemplateDef, variable: Variable, facts: Mapping[str, str]) -> str:
    if variable.key.startswith("header.") and template.header is not None:
        before = template.header.text.split("{{")[0]
    else:
        before = re.split(r"\{\{\s*" + re.escape(variable.key) + r"\s*\}\}", template.body)[0]
    return facts.get("first_name", "") if _GREETING.fullmatch(before.strip().lower()) else ""


def _facts(known: Known) -> dict[str, str]:
    lead, contact, conversation = known.lead, known.contact, known.conversation
    name = (lead.name if lead else "") or (contact.name if contact else "") or conversation.name or ""
    phone = (lead.phone if lead else "") or (contact.phone if contact else "") or ""
    email = (lead.email if lead else "") or (contact.email if contact else "") or ""
    question = (lead.question if lead else "") or ""
    facts = dict(lead.fields) if lead else {}
    named = (
        (name, ("name", "full_name", "customer_name", "customer", "contact_name")),
        (name.split(" ")[0], ("first_name", "firstname")),
        (name.partition(" ")[2], ("last_name", "surname")),
        (phone, ("phone", "phone_number", "mobile")),
        (email, ("email", "email_address")),
        (question, ("question",)),
        (known.tenant.name, ("business", "business_name", "company", "shop")),
        (known.agent, ("agent", "agent_name")),
    )
    for value, names in named:
        facts |= dict.fromkeys(names, value)
    facts |= known.extra
    # A value stands on one line, and is one that the provider takes.
    return {n.lower(): " ".join(v.split())[:MOST_VALUE] for n, v in facts.items() if v and v.strip()}
