"""Writing a campaign's messages: each recipient asked about, each written exactly once, whatever crashes.

A message's id follows from its recipient, so that writing it again adds nothing. Who was written to before a crash is told by the
message that is there: they are not asked about again, for the message itself would count against them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from consent.permission import Refused, decide, decision
from gateway.campaigns_content import content_of
from gateway.campaigns_prepare import asked_of
from gateway.facts import facts_of
from gateway.model.campaign import Campaign, Recipient, campaign_message, recipient_id
from gateway.model.clock import Sequencer
from gateway.model.content import Template
from gateway.model.conversation import Contact, Conversation
from gateway.model.errors import Invalid
from gateway.model.identity import Identity
from gateway.model.message import Message, Sender, Status, contact_id, outgoing_id
from gateway.model.permission import Decision
from gateway.model.ports import Adapter, Clock
from gateway.model.template import TemplateDef
from gateway.model.tenant import Channel, Tenant
from gateway.store import Store
from gateway.store.accounts import AccountStanding

AGAIN: Final = timedelta(hours=1)
MOST_HELD: Final = timedelta(days=3)
"""How long a recipient waits for what permission asks for; the room in the provider's limit is waited for without end."""

PATIENT: Final = frozenset({"quota"})


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for all recipients of one look."""

    campaign: Campaign
    tenant: Tenant
    channel: Channel
    templates: Mapping[str, TemplateDef]
    """By language."""
    standing: AccountStanding
    ahead: int
    """Messages that are written and not yet counted as begun."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of some recipients: each as it stands now, and the messages to be queued."""

    recipients: tuple[Recipient, ...]
    messages: tuple[Message, ...]


class Writing:
    def __init__(
        self, store: Store, adapters: Mapping[str, Adapter], clock: Clock, sequencer: Sequencer
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._clock = clock
        self._sequencer = sequencer

    async def of(self, setting: Setting, recipients: Sequence[Recipient]) -> Written:
        """Their messages, with what permission says of each. Contacts and conversations that are not there yet are made;
        nothing else is written."""
        known = self._store.of(setting.tenant.id).known
        there = await known.statuses([campaign_message(r.id) for r in recipients])
        talks = await known.conversations([r.conversation for r in recipients if r.conversation])
        unknown = [r for r in recipients if (r.conversation or "") not in talks]
        begun, strangers = await self._unknown(setting, unknown) if unknown else ({}, {})
        messages, settled, ahead = list[Message](), list[Recipient](), setting.ahead
        for recipient in recipients:
            was_written = campaign_message(recipient.id) in there
            if recipient.id in strangers and not was_written:
                refused = self._asked(setting, recipient, strangers[recipient.id], ahead, was_written)
                if isinstance(refused, Recipient):
                    settled.append(refused)  # nobody becomes a contact to whom nothing is written
                    continue
            before = talks.get(recipient.conversation or "") or begun.get(recipient.id)
            talk = await self._talk(setting, recipient, before)
            if not was_written and await self._is_another(setting, recipient, talk):
                text = "The same person as another recipient: their conversations have become one."
                settled.append(replace(recipient, state="refused", reason="doubled", text=text))
                continue
            found = self._asked(setting, recipient, talk, ahead, was_written)
            if isinstance(found, Recipient):
                settled.append(found)
                continue
            ahead += not was_written
            messages += found
            settled.append(_written(recipient, talk))
        return Written(tuple(settled), tuple(messages))

    async def _unknown(
        self, setting: Setting, recipients: Sequence[Recipient]
    ) -> tuple[dict[str, Conversation], dict[str, Conversation]]:
        """By recipient: conversations that were begun since it was prepared, and those that there would be, with what the
        ledger tells of these people."""
        store, people = self._store.of(setting.tenant.id), self._store.people
        identities = {r.id: Identity(setting.channel.kind, "", r.address) for r in recipients}
        place = (setting.tenant.id, setting.channel.id)
        await people.recall(*place, list(identities.values()))
        places = {r.id: await people.conversation(*place, [identities[r.id]]) for r in recipients}
        there = await store.known.conversations(list(dict.fromkeys(places.values())))
        begun = {r.id: there[places[r.id]] for r in recipients if places[r.id] in there}
        new = {r.id: r for r in recipients if r.id not in begun}
        contacts = await store.known.contacts_named([identities[i] for i in new])
        known = {i: contacts.get(identities[i]) for i in new}
        strangers = {i: self._stranger(setting, r, places[i], known[i]) for i, r in new.items()}
        told = await store.ledger.standings([s.contact for s in strangers.values()], setting.channel.id)
        for i, contact in known.items():
            consents = told.get(strangers[i].contact, {})
            if contact is not None and contact.merged:
                consents = await store.ledger.standing(contact.id, setting.channel.id, contact.merged)
            strangers[i] = replace(strangers[i], consents=consents)
        return begun, strangers

    def _stranger(
        self, setting: Setting, recipient: Recipient, place: str, contact: Contact | None
    ) -> Conversation:
        own = contact_id(setting.tenant.id, setting.channel.kind, "", recipient.address)
        return Conversation(
            id=place,
            tenant=setting.tenant.id,
            channel=setting.channel.id,
            contact=contact.id if contact is not None else own,
            address=recipient.address,
            created=self._clock(),
            timezone=recipient.zones[0] if recipient.zones else None,
        )

    async def _talk(self, setting: Setting, recipient: Recipient, talk: Conversation | None) -> Conversation:
        store = self._store.of(setting.tenant.id)
        for _ in range(8):
            if talk is None or talk.merged_into is None:
                break
            talk = await store.conversations.get(talk.merged_into)
        if talk is None:
            talk = await self._begun(setting, recipient)
        if recipient.zones and talk.timezone is None:
            talk = await store.conversations.save(replace(talk, timezone=recipient.zones[0])) or talk
        return talk

    async def _begun(self, setting: Setting, recipient: Recipient) -> Conversation:
        """The contact and the conversation of somebody who was never in touch: they are written to now."""
        identity = Identity(setting.channel.kind, "", recipient.address)
        place = await self._store.people.conversation(setting.tenant.id, setting.channel.id, [identity])
        sender = Sender(
            identity,
            recipient.address,
            recipient.name,
            f"+{recipient.address}" if recipient.address.isdecimal() else None,
            recipient.language.replace("_", "-") or None,
        )
        message = replace(self._message(setting, recipient, place, 0), sender=sender)
        store = self._store.of(setting.tenant.id)
        begun = await store.conversations.begin(message, setting.tenant.language, self._clock())
        if begun.merged_into is not None:
            return await store.conversations.get(begun.merged_into) or begun
        return begun

    async def _is_another(self, setting: Setting, recipient: Recipient, talk: Conversation) -> bool:
        """Whether the person is a recipient by another address, too: then that one counts."""
        if talk.address == recipient.address:
            return False
        other = recipient_id(setting.campaign.id, talk.address)
        return await self._store.of(setting.tenant.id).campaigns.recipient(other) is not None

    def _asked(
        self, setting: Setting, recipient: Recipient, talk: Conversation, ahead: int, was_written: bool
    ) -> list[Message] | Recipient:
        """The messages, or the recipient as refused or put off."""
        campaign, now = setting.campaign, self._clock()
        adapter = self._adapters[setting.channel.kind]
        template = setting.templates.get(recipient.language)
        message = self._message(setting, recipient, talk.id, 0)
        if template is not None:
            asked = asked_of(campaign, template, adapter)
            message = replace(message, content=asked.content, purpose=asked.purpose)
        is_template = isinstance(message.content, Template)
        facts = facts_of(
            setting.channel,
            talk,
            setting.tenant.permissions,
            adapter.capabilities.service_window_hours,
            now,
            template if is_template else None,
            setting.standing,
        )
        if facts.left is not None:
            facts = replace(facts, left=facts.left - ahead)
        verdict = decide(message, facts, now)
        if isinstance(verdict, Refused) and not was_written:
            return _refused(recipient, verdict, now)
        if template is None:
            text = f"Template {campaign.template} ({recipient.language}) is not there any more."
            wrong = replace(recipient, state="refused", reason="template_unknown", text=text)
            return _written(recipient, talk) if was_written else wrong
        try:
            contents = content_of(campaign, template, recipient.values, adapter.capabilities, talk.language)
        except Invalid as error:
            wrong = replace(recipient, state="refused", reason="variable", text=str(error))
            return _written(recipient, talk) if was_written else wrong
        told = decision("written", message, facts, verdict, now)
        return [
            replace(
                self._message(setting, recipient, talk.id, part, told),
                content=content,
                purpose=message.purpose,
            )
            for part, content in enumerate(contents)
        ]

    def _message(
        self,
        setting: Setting,
        recipient: Recipient,
        conversation: str,
        part: int,
        told: Decision | None = None,
    ) -> Message:
        now = self._clock()
        return Message(
            id=outgoing_id(recipient.id, part),
            tenant=setting.tenant.id,
            channel=setting.channel.id,
            conversation=conversation,
            direction="out",
            author="bot",
            seq=self._sequencer.next(),
            at=now,
            content=Template(setting.campaign.template, recipient.language),
            status=Status.QUEUED,
            due=now,
            purpose=setting.campaign.purpose,
            campaign=setting.campaign.id,
            decided=(told,) if told is not None else (),
            bulk=True,
        )


def _written(recipient: Recipient, talk: Conversation) -> Recipient:
    return replace(
        recipient,
        state="written",
        message=campaign_message(recipient.id),
        contact=talk.contact,
        conversation=talk.id,
        reason="",
        text="",
    )


def _refused(recipient: Recipient, verdict: Refused, now: datetime) -> Recipient:
    text = f"{verdict.text} {verdict.remedy}".strip()
    since = recipient.held or now
    waits = verdict.hold and (verdict.reason in PATIENT or now - since < MOST_HELD)
    if not waits:
        return replace(recipient, state="refused", reason=verdict.reason, text=text)
    held = None if verdict.reason in PATIENT else since
    return replace(recipient, reason=verdict.reason, text=text, due=verdict.until or now + AGAIN, held=held)
