"""Whom a campaign is for: a filter over a channel's conversations, a list of contacts, or a CSV file.

An audience comes in batches, in bounded memory; for each batch a few calls find out who these people are. Somebody who was never
written to gets their contact and their conversation when they are (`Person.sender`), not before.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import phonenumbers
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from consent.hours import is_zone
from gateway.campaigns_csv import Row, rows
from gateway.model.campaign import Wrong
from gateway.model.consent import Consents, may
from gateway.model.conversation import Contact, Conversation, Lead
from gateway.model.errors import Invalid, NotFound
from gateway.model.identity import Identity
from gateway.model.message import contact_id
from gateway.model.tenant import Channel, Tenant
from gateway.store import Store
from gateway.store.campaigns import SOME
from leads.phone import Phone, check_phone

BATCH: Final = 500
MOST_CONTACTS: Final = 10_000


class Filter(BaseModel):
    """Which of a channel's conversations; what is not given does not matter."""

    model_config = ConfigDict(extra="forbid")

    languages: list[str] | None = None
    consent: str | None = Field(None, description="Only who has granted this purpose")
    heard_after: AwareDatetime | None = None
    heard_before: AwareDatetime | None = None
    lead: bool | None = Field(None, description="Only with a lead, or only without")
    regions: list[str] | None = Field(None, description="Countries of the numbers, such as ES")
    lead_fields: dict[str, str] | None = Field(None, description="Fields of the lead and their values")


class Audience(BaseModel):
    """Exactly one of the three."""

    model_config = ConfigDict(extra="forbid")

    filter: Filter | None = None
    contacts: list[str] | None = Field(None, min_length=1, max_length=MOST_CONTACTS)
    csv: str | None = Field(None, description="The id of an uploaded file (POST /files)")

    @model_validator(mode="after")
    def _one(self) -> "Audience":
        if sum(part is not None for part in (self.filter, self.contacts, self.csv)) != 1:
            raise ValueError("one of filter, contacts and csv")
        return self


def read_audience(given: Mapping[str, Any]) -> Audience:
    """Raises Invalid."""
    try:
        return Audience.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(["audience", *(str(p)[:64] for p in first["loc"])])
        raise Invalid(where, first["msg"].removeprefix("Value error, ")) from None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody a campaign may be for. `conversation` is None for who was never in touch on the channel."""

    line: int
    address: str
    contact: str
    conversation: Conversation | None = None
    identity: Identity | None = None
    """Of who has no conversation yet."""
    known: Contact | None = None
    lead: Lead | None = None
    name: str | None = None
    language: str | None = None
    timezone: str | None = None
    region: str | None = None
    row: Mapping[str, str] = field(default_factory=dict)
    consents: Consents = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """`upto` is the line (or place) that it came to, from which preparing goes on."""

    people: tuple[Person, ...]
    wrong: tuple[Wrong, ...]
    upto: int


@dataclass(frozen=True, slots=True)
class Wants:
    """What has to be looked up of everybody besides their conversation."""

    contact: frozenset[str] = frozenset()
    """Fields of the contact."""
    leads: bool = False

    def asks_for(self, person: "Person") -> bool:
        """Whether the contact itself has to be read: what the conversation or the list tells needs no look."""
        if person.known is not None:
            return False
        unknown = {"email"}
        if not person.name:
            unknown.add("name")
        if not person.address.isdecimal():
            unknown.add("phone")
        return not self.contact.isdisjoint(unknown)


@dataclass(frozen=True, slots=True)
class _Named:
    """One of a list, before anybody knows who it is."""

    line: int
    phone: Phone | None = None
    contact: str = ""
    row: Mapping[str, str] = field(default_factory=dict)


class Audiences:
    """Reads the audiences of one tenant's channel."""

    def __init__(self, store: Store, tenant: Tenant, channel: Channel, wants: Wants) -> None:
        self._all = store
        self._store = store.of(tenant.id)
        self._tenant = tenant
        self._channel = channel
        self._wants = wants

    async def batches(self, audience: Audience, after: int) -> AsyncIterator[Batch]:
        """The people, a batch at a time, from behind a line on. A filter has no lines: it starts anew each time.
        Raises Invalid for a list that can't be read at all."""
        if audience.filter is not None:
            async for batch in self._filtered(audience.filter):
                yield batch
            return
        named, wrong, upto = list[_Named](), list[Wrong](), after
        async for one in self._listed(audience, after):
            (wrong if isinstance(one, Wrong) else named).append(one)  # type: ignore[arg-type]
            upto = one.line
            if len(named) + len(wrong) >= BATCH:
                yield await self._batch(named, wrong, upto)
                named, wrong = [], []
        if named or wrong:
            yield await self._batch(named, wrong, upto)

    async def _listed(self, audience: Audience, after: int) -> AsyncIterator[_Named | Wrong]:
        if audience.contacts is not None:
            for line, contact in enumerate(audience.contacts, 1):
                if line > after:
                    yield _Named(line, contact=contact)
            return
        try:
            file = await self._store.files.get(audience.csv or "")
        except NotFound:
            raise Invalid("audience.csv", "the id of a file of yours: POST /files makes one") from None
        if file.state != "ready":
            raise Invalid("audience.csv", f"a file that is ready; this one is {file.state}")
        async for row in rows(self._store.files.read(file)):
            if row.line > after:
                yield row if isinstance(row, Wrong) else self._named(row)

    def _named(self, row: Row) -> _Named | Wrong:
        """Who a row names: by the contact's id, else by phone."""
        zone = row.values.get("timezone", "")
        if zone and not is_zone(zone):
            return Wrong(row.line, f"timezone: an IANA name such as Europe/Madrid, not {_shown(zone)}.")
        if contact := row.values.get("contact", ""):
            return _Named(row.line, contact=contact, row=row.values)
        given = row.values.get("phone", "")
        if not given:
            return Wrong(row.line, "No phone and no contact.")
        if self._channel.kind != "whatsapp":
            return Wrong(row.line, "This channel reaches nobody by phone number: name the contact's id.")
        phone = _read_phone(given, self._tenant.region)
        if isinstance(phone, str):
            return Wrong(row.line, f"phone: {_shown(given)} is no phone number ({phone.replace('_', ' ')}).")
        return _Named(row.line, phone, row=row.values)

    async def _batch(self, named: Sequence[_Named], wrong: list[Wrong], upto: int) -> Batch:
        by_phone = [n for n in named if n.phone is not None]
        by_contact = [n for n in named if n.phone is None]
        people = [*await self._of_phones(by_phone), *await self._of_contacts(by_contact, wrong)]
        people = await self._more(sorted(people, key=lambda p: p.line))
        return Batch(tuple(people), tuple(sorted(wrong, key=lambda w: w.line)), upto)

    async def _of_phones(self, named: Sequence[_Named]) -> list[Person]:
        identities = {n.line: Identity("whatsapp", "", _digits(n)) for n in named}
        everyone = list(dict.fromkeys(identities.values()))
        people, tenant, channel = self._all.people, self._tenant.id, self._channel.id
        for start in range(0, len(everyone), SOME):
            await people.recall(tenant, channel, everyone[start : start + SOME])
        talks = {i: await people.conversation(tenant, channel, [i]) for i in everyone}
        known = await self._store.known.conversations(list(talks.values()))
        found = []
        for one in named:
            identity = identities[one.line]
            talk = await self._last(known.get(talks[identity]))
            if talk is None:
                made = contact_id(tenant, identity.kind, identity.account, identity.id)
                found.append(self._person(one, None, identity.id, made, identity))
            else:
                found.append(self._person(one, talk, talk.address, talk.contact))
        return found

    async def _last(self, talk: Conversation | None) -> Conversation | None:
        """The one that goes on in its place."""
        for _ in range(8):
            if talk is None or talk.merged_into is None:
                return talk
            talk = await self._store.conversations.get(talk.merged_into)
        return talk

    async def _of_contacts(self, named: Sequence[_Named], wrong: list[Wrong]) -> list[Person]:
        if not named:
            return []
        contacts = await self._store.known.contacts(list(dict.fromkeys(n.contact for n in named)))
        same = {i: c for c in contacts.values() for i in (c.id, *c.merged)}
        talks: dict[str, Conversation] = {}
        for talk in await self._store.known.conversations_of(list(same)):
            if talk.channel == self._channel.id and talk.merged_into is None and talk.contact in same:
                talks[same[talk.contact].id] = talk
        found = []
        for one in named:
            contact = contacts.get(one.contact)
            if contact is None:
                wrong.append(Wrong(one.line, f"There is no contact {_shown(one.contact)}."))
                continue
            known = talks.get(contact.id)
            if known is not None:
                found.append(replace(self._person(one, known, known.address, contact.id), known=contact))
                continue
            digits = (contact.phone or "").removeprefix("+")
            if self._channel.kind != "whatsapp" or not digits:
                wrong.append(
                    Wrong(one.line, f"{_shown(one.contact)} has never been in touch on this channel.")
                )
                continue
            identity = Identity("whatsapp", "", digits)
            person = self._person(one, None, digits, contact.id, identity)
            found.append(replace(person, known=contact))
        return found

    def _person(
        self,
        one: _Named,
        talk: Conversation | None,
        address: str,
        contact: str,
        identity: Identity | None = None,
    ) -> Person:
        row = one.row
        region = one.phone.region if one.phone else region_of(self._channel, address)
        return Person(
            line=one.line,
            address=address,
            contact=contact,
            conversation=talk,
            identity=identity,
            name=row.get("name") or (talk.name if talk else None),
            language=row.get("language") or (talk.language if talk else None),
            timezone=row.get("timezone") or (talk.timezone if talk else None),
            region=region,
            row=row,
            consents=talk.consents if talk else {},
        )

    async def _more(self, people: Sequence[Person]) -> list[Person]:
        """With what the campaign needs to know besides, and with the consents of who has no conversation yet."""
        new = [p for p in people if p.conversation is None]
        consents: dict[str, Consents] = {}
        for start in range(0, len(new), SOME):
            some = [p.contact for p in new[start : start + SOME]]
            consents |= await self._store.ledger.standings(some, self._channel.id)
        contacts = dict[str, Contact]()
        if asked := [p.contact for p in people if self._wants.asks_for(p)]:
            contacts = await self._store.known.contacts(asked)
        leads = dict[str, Lead]()
        if self._wants.leads:
            leads = await self._store.known.leads([p.contact for p in people], self._channel.id)
        return [
            replace(
                p,
                consents=p.consents or consents.get(p.contact, {}),
                known=p.known or contacts.get(p.contact),
                lead=leads.get(p.contact),
            )
            for p in people
        ]

    async def _filtered(self, wanted: Filter) -> AsyncIterator[Batch]:
        people, place = list[Person](), 0
        async for talk in self._store.known.all_of():
            place += 1
            if talk.channel != self._channel.id or talk.merged_into or not _fits(talk, wanted):
                continue
            person = self._person(_Named(place), talk, talk.address, talk.contact)
            if wanted.regions is not None and person.region not in [r.upper() for r in wanted.regions]:
                continue
            people.append(person)
            if len(people) >= BATCH:
                yield Batch(tuple(await self._with_leads(people, wanted)), (), place)
                people = []
        if people:
            yield Batch(tuple(await self._with_leads(people, wanted)), (), place)

    async def _with_leads(self, people: Sequence[Person], wanted: Filter) -> list[Person]:
        if wanted.lead is not None or wanted.lead_fields:
            leads = await self._store.known.leads([p.contact for p in people], self._channel.id)
            people = [p for p in people if _led(leads.get(p.contact), wanted)]
        return await self._more(people)


def region_of(channel: Channel, address: str) -> str | None:
    """The country of a number (ISO 3166 alpha-2); None where the address is none."""
    if channel.kind != "whatsapp" or not address.isdecimal():
        return None
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(f"+{address}"))
    except phonenumbers.NumberParseException:
        return None


def _read_phone(given: str, region: str | None) -> Phone | str:
    """With a country's code, or of the tenant's own country; WhatsApp's own ids (digits with the code) too."""
    phone = check_phone(given, region)
    if isinstance(phone, str) and given.isdecimal():
        whole = check_phone(f"+{given}", None)
        return whole if isinstance(whole, Phone) else phone
    return phone


def _digits(named: _Named) -> str:
    assert named.phone is not None
    return named.phone.e164.removeprefix("+")


def _fits(talk: Conversation, wanted: Filter) -> bool:
    if wanted.languages is not None:
        own = (talk.language or "").replace("_", "-").lower()
        tags = [t.replace("_", "-").lower() for t in wanted.languages]
        if own not in tags and own.split("-")[0] not in tags:
            return False
    if wanted.consent is not None and not may(talk.consents, wanted.consent):
        return False
    return _heard(talk.last_in, wanted.heard_after, wanted.heard_before)


def _heard(at: datetime | None, after: datetime | None, before: datetime | None) -> bool:
    if after is not None and (at is None or at <= after):
        return False
    return not (before is not None and at is not None and at >= before)


def _led(lead: Lead | None, wanted: Filter) -> bool:
    if wanted.lead is not None and wanted.lead != (lead is not None):
        return False
    own = (
        dict(lead.fields) | {"name": lead.name, "phone": lead.phone, "email": lead.email or ""}
        if lead
        else {}
    )
    return all(own.get(name) == value for name, value in (wanted.lead_fields or {}).items())


def _shown(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
