"""Consent over the API: recorded with its proof, taken back, corrected, listed; and what is set about permission."""

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from consent.settings import changed, shown
from gateway.api import shapes
from gateway.api.openapi import Operation
from gateway.consents import ConsentDesk, Said
from gateway.model.consent import Entry
from gateway.model.errors import NotFound
from gateway.model.ports import Clock
from gateway.model.tenant import Channel
from gateway.model.work import Work
from gateway.signals import Signals
from gateway.store import Store
from gateway.store.signals import Signal

Words = Annotated[str, Field(min_length=1, max_length=4000)]
Note = Annotated[str, Field(max_length=1000)]
Who = Annotated[
    str,
    Field(
        min_length=3,
        max_length=64,
        description="A contact's id, a conversation's, or on WhatsApp a phone number",
    ),
]
Key = Annotated[
    str, Field(min_length=1, max_length=128, description="Sent again with the same key, nothing is added")
]


class EntryShape(shapes.Shape):
    id: str
    channel: str
    contact: str
    purpose: str
    state: Literal["granted", "withdrawn", "asked"]
    how: str
    at: datetime
    recorded: datetime
    conversation: str | None
    wording: str
    version: str
    message: str | None
    address: str | None
    agent: str | None
    evidence: str | None
    age: str | None
    region: str | None
    note: str | None
    corrects: str | None

    @classmethod
    def of(cls, e: Entry) -> "EntryShape":
        return cls(**{f: getattr(e, f) for f in cls.model_fields})


class EntryPage(shapes.Shape):
    items: list[EntryShape]
    next: datetime | None = None


class StandingShape(shapes.Shape):
    channel: str
    purpose: str
    state: str
    at: datetime
    how: str
    entry: str


class ContactConsents(shapes.Shape):
    contact: str
    standing: list[StandingShape]
    entries: list[EntryShape]


class Granting(shapes.Shape):
    """Somebody agreed. `wording` is what they were shown, `evidence` what proves it."""

    channel: str
    contact: Who
    wording: Words
    purpose: str = "marketing"
    evidence: Note | None = None
    at: AwareDatetime | None = None
    version: Annotated[str, Field(max_length=64)] = ""
    address: Note | None = None
    age: Note | None = None
    region: Note | None = None
    note: Note | None = None
    by: Annotated[str, Field(min_length=1, max_length=128)] = "api"
    key: Key | None = None


class Withdrawing(shapes.Shape):
    """Somebody takes a purpose back, or (without one) everything."""

    channel: str
    contact: Who
    purpose: str | None = None
    note: Note | None = None
    by: Annotated[str, Field(min_length=1, max_length=128)] = "api"


class Correcting(shapes.Shape):
    state: Literal["granted", "withdrawn", "asked"]
    note: Annotated[str, Field(min_length=1, max_length=1000)]
    by: Annotated[str, Field(min_length=1, max_length=128)] = "api"


class Importing(shapes.Shape):
    """`csv`: a list with a head; at most what a body takes. `dry_run` only says what would be wrong."""

    channel: str
    csv: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1, max_length=200)]
    dry_run: bool = False
    by: Annotated[str, Field(min_length=1, max_length=128)] = "api"


class LineError(shapes.Shape):
    line: int
    error: str


class ImportedShape(shapes.Shape):
    added: int
    there: int
    wrong: int
    errors: list[LineError]


class SignalShape(shapes.Shape):
    id: str
    channel: str
    contact: str
    entry: str
    code: str
    text: str
    at: datetime
    state: str
    by: str | None

    @classmethod
    def of(cls, s: Signal) -> "SignalShape":
        return cls(**{f: getattr(s, f) for f in cls.model_fields})


class SignalList(shapes.Shape):
    items: list[SignalShape]


class Deciding(shapes.Shape):
    """`confirmed`: it was the customer's will; else it was the provider's fault, and is corrected."""

    confirmed: bool
    by: Annotated[str, Field(min_length=1, max_length=128)] = "api"


class PermissionShape(shapes.Shape):
    """What a tenant sets about permission; see `docs/consent.md`."""

    purposes: list[str]
    stop_scope: Literal["all", "marketing"]
    double_opt_in: bool
    timezone: str
    quiet: str | None
    cap: str | None
    daily: int | None
    breaker: str | None
    keywords: dict[str, list[str]]
    not_keywords: list[str]
    opt_ins: dict[str, dict[str, str]]
    deep_links: dict[str, dict[str, str]]
    currency: str
    prices: dict[str, dict[str, str]]


class PermissionChange(shapes.Shape):
    """Only what is given is changed."""

    change: Annotated[dict[str, Any], Field(max_length=20)]


class ConsentOperations:
    def __init__(self, store: Store, work: Work, clock: Clock) -> None:
        self._store = store
        self._desk = ConsentDesk(store, clock, work.poke)
        self._signals = Signals(store, clock)
        self.operations = (
            Operation(
                "GET", "/consents", "The ledger of consent", self.list_consents, EntryPage,
                query=shapes.PageQuery, tag="consent",
            ),
            Operation(
                "POST", "/consents", "Record that somebody agreed", self.grant_consent, EntryShape, body=Granting,
                tag="consent",
            ),
            Operation(
                "POST", "/consents/withdrawals", "Record that somebody takes it back", self.withdraw_consent,
                EntryPage, body=Withdrawing, tag="consent",
            ),
            Operation(
                "POST", "/consents/imports", "Bring in a list", self.import_consents, ImportedShape, body=Importing,
                tag="consent",
            ),
            Operation(
                "GET", "/consents/contacts/{contact}", "What holds for a contact", self.get_consents,
                ContactConsents, tag="consent",
            ),
            Operation(
                "GET", "/consents/signals", "Opt-outs that wait for a person", self.list_signals, SignalList,
                query=shapes.LimitQuery, tag="consent",
            ),
            Operation(
                "POST", "/consents/signals/{signal}", "Confirm or dismiss one", self.settle_signal, SignalShape,
                body=Deciding, tag="consent",
            ),
            Operation(
                "POST", "/consents/{entry}/correction", "Correct an entry", self.correct_consent, EntryShape,
                body=Correcting, tag="consent",
            ),
            Operation("GET", "/permission", "What is set about permission", self.get_permission, PermissionShape, tag="consent"),
            Operation(
                "PUT", "/permission", "Change what is set about permission", self.change_permission, PermissionShape,
                body=PermissionChange, tag="consent",
            ),
        )  # fmt: skip

    async def list_consents(self, tenant: str, query: shapes.PageQuery) -> EntryPage:
        """Entries by the time they were written down, the latest first. Those of one moment stay on one page, so that it may hold
        a few more than was asked for."""
        page = await self._store.of(tenant).ledger.page(query.before, query.limit)
        return EntryPage(items=_shapes(page.entries), next=page.next)

    async def grant_consent(self, tenant: str, body: Granting) -> EntryShape:
        """Record that somebody agreed to a purpose, with what they were shown. With double opt-in they are asked to confirm it:
        the entry is `asked` then."""
        told = body.model_dump(exclude={"channel", "contact", "key"})
        channel = await self._channel(tenant, body.channel)
        return EntryShape.of(await self._desk.grant(channel, body.contact, Said(**told), "api", body.key))

    async def withdraw_consent(self, tenant: str, body: Withdrawing) -> EntryPage:
        """Record that somebody takes a purpose, or everything, back. What was taken back already is not written again."""
        channel = await self._channel(tenant, body.channel)
        said = Said(by=body.by, purpose=body.purpose or "service", note=body.note)
        entries = await self._desk.withdraw(channel, body.contact, said, everything=body.purpose is None)
        return EntryPage(items=_shapes(entries))

    async def correct_consent(self, tenant: str, entry: str, body: Correcting) -> EntryShape:
        """Write the entry that stands in place of a wrong one. The wrong one stays, and counts no more."""
        return EntryShape.of(await self._desk.correct(tenant, entry, body.state, body.by, body.note))

    async def get_consents(self, tenant: str, contact: str) -> ContactConsents:
        """What a contact (named by their id, or one of their conversations') agreed to on each channel, and every entry."""
        found = await self._desk.contact(tenant, contact)
        standing = await self._desk.standing(tenant, found)
        return ContactConsents(
            contact=found,
            standing=[
                StandingShape(channel=c, purpose=p, state=s.state, at=s.at, how=s.how, entry=s.entry)
                for c, consents in standing.items()
                for p, s in consents.items()
            ],
            entries=_shapes(await self._store.of(tenant).ledger.of(found)),
        )

    async def import_consents(self, tenant: str, body: Importing) -> ImportedShape:
        """Bring in people who agreed elsewhere, with the evidence. Lines that can't be used are told; the others are taken."""
        channel = await self._channel(tenant, body.channel)
        done = await self._desk.bring_in(
            channel, io.StringIO(body.csv, newline=""), body.source, body.by, dry=body.dry_run
        )
        errors = [LineError(line=n, error=text) for n, text in done.errors]
        return ImportedShape(added=done.added, there=done.there, wrong=done.wrong, errors=errors)

    async def list_signals(self, tenant: str, query: shapes.LimitQuery) -> SignalList:
        """Opt-outs that a provider's errors told after so many others that a person is to look at them."""
        waiting = await self._store.of(tenant).signals.waiting(query.limit)
        return SignalList(items=[SignalShape.of(s) for s in waiting])

    async def settle_signal(self, tenant: str, signal: str, body: Deciding) -> SignalShape:
        """Confirm a signal, or dismiss it: then what had held before holds again."""
        return SignalShape.of(await self._signals.settle(tenant, signal, body.confirmed, body.by))

    async def get_permission(self, tenant: str) -> PermissionShape:
        """Every setting of permission as it stands."""
        return PermissionShape(**shown((await self._store.directory.tenant(tenant)).permissions))

    async def change_permission(self, tenant: str, body: PermissionChange) -> PermissionShape:
        """Change settings of permission; what is not named stays. The form of each is that of the answer."""
        own = changed((await self._store.directory.tenant(tenant)).permissions, body.change)
        await self._store.directory.set_permissions(tenant, own)
        return PermissionShape(**shown(own))

    async def _channel(self, tenant: str, channel: str) -> Channel:
        found = await self._store.directory.channel(channel)
        if found.tenant != tenant:
            raise NotFound(channel)
        return found


def _shapes(entries: Sequence[Entry]) -> list[EntryShape]:
    return [EntryShape.of(e) for e in entries]
