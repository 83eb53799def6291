"""Consent as people and programs of the business record it: granted with its proof, taken back, corrected, listed, brought in
from a list, given out for an auditor."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from channels.degrade import degrade
from channels.registry import CAPABILITIES
from consent import entries as entries_of
from gateway.manners import ask_agree
from gateway.model.cells import plain_cell
from gateway.model.clock import Sequencer
from gateway.model.consent import SERVICE, Consents, Entry, How, State, derived, entry_id, version_of
from gateway.model.conversation import Contact, Conversation
from gateway.model.errors import Conflict, Invalid, NotFound
from gateway.model.identity import Identity
from gateway.model.message import Failure, Message, Status, contact_id, outgoing_id
from gateway.model.permission import Permissions
from gateway.model.ports import Clock
from gateway.model.tenant import Channel
from gateway.model.work import Key
from gateway.store import Store, TenantStore
from leads.phone import Phone, check_phone

IMPORTED: Final = (
    "contact",
    "phone",
    "purpose",
    "wording",
    "version",
    "at",
    "evidence",
    "age",
    "region",
    "note",
)
"""Columns of a list: `contact` or `phone`, `wording` and `evidence` are needed; `purpose` is marketing without one."""

EXPORTED: Final = (
    "id", "tenant", "channel", "channel_kind", "channel_name", "contact", "name", "phone", "identities", "purpose", "state",
    "wording", "version", "how", "at", "recorded", "where", "conversation", "message", "address", "agent", "evidence", "age",
    "region", "note", "corrects",
)  # fmt: skip

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
STOPPED: Final = Failure("permission:stopped", "A person recorded that the customer wants no more messages.")
BATCH: Final = 200
MOST_ERRORS: Final = 1000
MOST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Said:
    """What is recorded of one person. `at`: when they said it, if not now; `by`: who writes it down."""

    by: str
    purpose: str = "marketing"
    wording: str = ""
    evidence: str | None = None
    at: datetime | None = None
    version: str = ""
    age: str | None = None
    region: str | None = None
    note: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a list. `errors` are `(line, what is wrong)`, the first thousand; `wrong` counts all."""

    added: int
    there: int
    wrong: int
    errors: tuple[tuple[int, str], ...]


class ConsentDesk:
    """`poke` says that a conversation has work; without one its sweep finds it."""

    def __init__(self, store: Store, clock: Clock, poke: Callable[[Key], None] = lambda _: None) -> None:
        self._store = store
        self._clock = clock
        self._poke = poke

    # One person

    async def grant(
        self, channel: Channel, who: str, said: Said, how: How = "api", key: str | None = None
    ) -> Entry:
        """Record that somebody agreed. `who` is a contact, a conversation, or on WhatsApp a phone number. Where the tenant has
        double opt-in they are asked to confirm it; who has agreed already is not asked again, and the entry that stands is
        returned. Raises Invalid and NotFound."""
        permissions = await self._permissions(channel)
        if not said.wording.strip():
            raise Invalid("wording", "the words that they were shown when they agreed")
        if how == "import" and not (said.evidence or "").strip():
            raise Invalid("evidence", "what proves it: a form, a contract, a file and its line")
        await self._check(channel, said, permissions)
        asks = permissions.double_opt_in and said.purpose != SERVICE
        contact = await self._contact(channel, who)
        if asks and (there := await self._granted(channel, contact, said.purpose)) is not None:
            return there
        entry = self._entry(channel, contact, said, "asked" if asks else "granted", how, key)
        if (await self._store.of(channel.tenant).ledger.record([entry]))[0] and asks:
            await self._ask(channel, entry)
        return entry

    async def _granted(self, channel: Channel, contact: str, purpose: str) -> Entry | None:
        ledger = self._store.of(channel.tenant).ledger
        standing = (await ledger.standing(contact, channel.id)).get(purpose)
        if standing is None or standing.state != "granted":
            return None
        return await ledger.get(standing.entry)

    async def withdraw(
        self, channel: Channel, who: str, said: Said, how: How = "agent", *, everything: bool = False
    ) -> list[Entry]:
        """Record that somebody takes a purpose back, or everything; what they have taken back already is not written again.
        What the bot had queued for somebody who wants nothing more is withdrawn, too."""
        permissions = await self._permissions(channel)
        contact = await self._contact(channel, who)
        await self._check(channel, said, permissions, everything)
        store = self._store.of(channel.tenant)
        known = await store.ledger.standing(contact, channel.id)
        told = replace(said, wording=said.wording or said.note or f"Recorded by {said.by}.")
        wanted = entries_of.every(permissions, known) if everything else (said.purpose,)
        # Nobody can be asked about what they never agreed to; service and marketing are ended whatever was said before.
        ended = [
            p
            for p in wanted
            if (p in known or p in (SERVICE, "marketing") or not everything)
            # A provider's word ends when its customer writes again, a person's does not.
            and not (p in known and known[p].state == "withdrawn" and known[p].how != "provider")
        ]
        entries = [self._entry(channel, contact, replace(told, purpose=p), "withdrawn", how) for p in ended]
        await store.ledger.record(entries)
        if SERVICE in ended:
            for talk in await store.conversations.of_contact([contact]):
                if talk.channel == channel.id:
                    await store.messages.cancel_bot(talk.id, STOPPED)
        return entries

    async def correct(
        self, tenant: str, entry: str, state: State, by: str, note: str, wording: str | None = None
    ) -> Entry:
        """Write the entry that stands in place of a wrong one, from the same time on. Raises NotFound, Conflict, Invalid."""
        ledger = self._store.of(tenant).ledger
        wrong = await ledger.get(entry)
        if wrong is None:
            raise NotFound(entry)
        if not note.strip():
            raise Invalid("note", "why it was wrong")
        if any(e.corrects == entry for e in await ledger.of(wrong.contact, wrong.channel)):
            raise Conflict("it is corrected already: correct the entry that stands in its place")
        shown = wrong.wording if wording is None else wording
        right = replace(
            wrong,
            id=entry_id(tenant, entry, "corrected"),
            state=state,
            how="agent",
            recorded=self._clock(),
            wording=shown,
            version=version_of(shown),
            agent=by,
            note=note,
            corrects=entry,
        )
        if not (await ledger.record([right]))[0]:
            raise Conflict("somebody else has corrected it just now")
        return right

    async def standing(self, tenant: str, contact: str) -> dict[str, Consents]:
        """What holds for a contact, by channel. Raises NotFound."""
        found = await self.contact(tenant, contact)
        entries = await self._store.of(tenant).ledger.of(found)
        return {
            channel: derived(e for e in entries if e.channel == channel)
            for channel in dict.fromkeys(e.channel for e in entries)
        }

    async def contact(self, tenant: str, who: str) -> str:
        """The contact that an id means: their own, that of one of their conversations, or the one that they turned out to be.
        Raises NotFound."""
        conversations = self._store.of(tenant).conversations
        if (talk := await conversations.get(who)) is not None:
            return await conversations.main_contact(talk.contact) or talk.contact
        found = await conversations.main_contact(who)
        if found is None:
            raise NotFound(f"no contact {who}")
        return found

    # A list

    async def bring_in(
        self,
        channel: Channel,
        text: io.TextIOBase | Iterable[str],
        source: str,
        by: str,
        *,
        dry: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Imported:
        """Read a list (CSV with a head) of people who agreed, with its evidence. A line that can't be used is told with what is
        wrong; the others are taken. Read again, nothing is added twice, so that a run that was stopped is begun anew."""
        rows = csv.DictReader(text)
        head = [n.strip().lower() for n in _head(rows)]
        if any(len(n) > MOST_NAME for n in head):
            raise Invalid("columns", f"names of at most {MOST_NAME} characters")
        if len(head) != len(set(head)):
            raise Invalid("columns", "each column once")
        if unknown := [n for n in head if n not in IMPORTED]:
            raise Invalid(unknown[0], "one of the columns " + ", ".join(IMPORTED))
        if not {"contact", "phone"} & set(head) or "wording" not in head or "evidence" not in head:
            raise Invalid("columns", "contact or phone, wording, and evidence at least")
        rows.fieldnames = head
        permissions = await self._permissions(channel)
        added = there = wrong = done = 0
        errors: list[tuple[int, str]] = []
        lines = iter(_lines(rows))
        while batch := list(islice(lines, BATCH)):
            told: list[tuple[int, Entry]] = []
            undated: set[str] = set()
            faults: list[tuple[int, str]] = []
            for line, row in batch:
                try:
                    entry = await self._imported(channel, row, source, line, by, permissions, dry)
                except (Invalid, NotFound) as error:
                    faults.append((line, str(error)))
                    continue
                told.append((line, entry))
                if not (row.get("at") or "").strip():
                    undated.add(entry.id)
            entries, known, old = await self._against(channel, told, undated)
            faults += old
            there += known
            wrong += len(faults)
            errors += sorted(faults)[: MOST_ERRORS - len(errors)]
            if dry:
                added += len(entries)
            else:
                new = await self._store.of(channel.tenant).ledger.record(entries)
                added, there = added + sum(new), there + new.count(False)
                for entry in (e for e, n in zip(entries, new, strict=True) if n and e.state == "asked"):
                    await self._ask(channel, entry)
            done += len(batch)
            progress(done)
        return Imported(added, there, wrong, tuple(errors))

    async def _against(
        self, channel: Channel, told: Sequence[tuple[int, Entry]], undated: Set[str]
    ) -> tuple[list[Entry], int, list[tuple[int, str]]]:
        """What is to be added of a list by what holds already, how many have agreed before they are asked, and what is wrong. A
        list that does not say when must not undo what they took back since."""
        ledger = self._store.of(channel.tenant).ledger
        known = await ledger.standings(list(dict.fromkeys(e.contact for _, e in told)), channel.id)
        entries, there, wrong = list[Entry](), 0, list[tuple[int, str]]()
        for line, entry in told:
            standing = known.get(entry.contact, {}).get(entry.purpose)
            if standing is None:
                entries.append(entry)
            elif entry.state == "asked" and standing.state == "granted":
                there += 1
            elif standing.state == "withdrawn" and entry.id in undated and not await ledger.get(entry.id):
                since = f"{standing.at:%Y-%m-%d %H:%M} UTC"
                wrong.append((line, str(Invalid("at", f"when they agreed: they took it back on {since}"))))
            else:
                entries.append(entry)
        return entries, there, wrong

    async def _imported(
        self,
        channel: Channel,
        row: Mapping[str, str],
        source: str,
        line: int,
        by: str,
        permissions: Permissions,
        dry: bool,
    ) -> Entry:
        if None in row.values() or None in row:  # a line with too few or too many cells
            raise Invalid("line", "as many cells as the head has")
        told = {name: plain_cell(value) for name, value in row.items()}
        for name in ("wording", "evidence"):
            if not told.get(name):
                raise Invalid(name, "something: it is the proof")
        said = Said(
            by=by,
            purpose=told.get("purpose") or "marketing",
            wording=told["wording"],
            evidence=f"{told['evidence']} ({source}, line {line})",
            at=_moment(told.get("at") or ""),
            version=told.get("version") or "",
            **{n: told.get(n) or None for n in ("age", "region", "note")},
        )
        await self._check(channel, said, permissions)
        who = told.get("contact") or told.get("phone") or ""
        contact = await self._contact(channel, who, make=not dry)
        asks = permissions.double_opt_in and said.purpose != SERVICE
        key = "\x1f".join((contact, said.purpose, said.wording, told["evidence"], told.get("at") or ""))
        return self._entry(channel, contact, said, "asked" if asks else "granted", "import", key)

    # An export

    async def exported(self, tenant: str) -> AsyncIterator[dict[str, Any]]:
        """Every entry with who, the wording, when and where: a row each, the oldest first."""
        store = self._store.of(tenant)
        channels = {c.id: c for c in await self._store.directory.channels(tenant)}
        batch: list[Entry] = []
        async for entry in store.ledger.all():
            batch.append(entry)
            if len(batch) == BATCH:
                for row in await self._rows(store, channels, batch):
                    yield row
                batch = []
        for row in await self._rows(store, channels, batch):
            yield row

    async def _rows(
        self, store: TenantStore, channels: Mapping[str, Channel], entries: Sequence[Entry]
    ) -> list[dict[str, Any]]:
        contacts = await store.known.contacts(sorted({e.contact for e in entries if e.contact}))
        return [row_of(e, channels.get(e.channel), contacts.get(e.contact)) for e in entries]

    # What they share

    async def _permissions(self, channel: Channel) -> Permissions:
        return (await self._store.directory.tenant(channel.tenant)).permissions

    async def _check(
        self, channel: Channel, said: Said, permissions: Permissions, everything: bool = False
    ) -> None:
        known = entries_of.purposes(permissions)
        if not everything and said.purpose not in known:
            raise Invalid("purpose", "one of " + ", ".join(known))
        if said.at is not None and not EPOCH <= said.at <= self._clock():
            raise Invalid("at", "a time that has come, since 1970")

    async def _contact(self, channel: Channel, who: str, make: bool = True) -> str:
        store = self._store.of(channel.tenant)
        if who.startswith(("ct_", "cv_")):
            return await self.contact(channel.tenant, who)
        if channel.kind != "whatsapp":
            raise Invalid("contact", "the id of a contact or of a conversation; phone numbers are WhatsApp's")
        region = (await self._store.directory.tenant(channel.tenant)).region
        phone = check_phone(who, region)
        if not isinstance(phone, Phone):
            raise Invalid("phone", f"a phone number with its prefix, such as +34 600 111 222 ({phone})")
        identity = Identity("whatsapp", "", phone.e164.lstrip("+"))
        contact = Contact(
            id=contact_id(channel.tenant, identity.kind, identity.account, identity.id),
            tenant=channel.tenant,
            identities=(identity,),
            name=None,
            phone=phone.e164,
            created=self._clock(),
        )
        return (await store.conversations.put_contact(contact)).id if make else contact.id

    def _entry(
        self, channel: Channel, contact: str, said: Said, state: State, how: How, key: str | None = None
    ) -> Entry:
        now = self._clock()
        cause = key if key is not None else f"{contact} {now.isoformat()}"
        return Entry(
            id=entry_id(channel.tenant, channel.id, how, cause, said.purpose, state),
            tenant=channel.tenant,
            channel=channel.id,
            contact=contact,
            purpose=said.purpose,
            state=state,
            how=how,
            at=said.at or now,
            recorded=now,
            wording=said.wording,
            version=said.version or version_of(said.wording),
            address=said.address,
            agent=said.by,
            evidence=said.evidence,
            age=said.age,
            region=said.region,
            note=said.note,
        )

    async def _ask(self, channel: Channel, entry: Entry) -> None:
        """Send the button of a double opt-in to somebody who has a conversation; whoever has none is asked when they write."""
        store = self._store.of(channel.tenant)
        talks = await store.conversations.of_contact([entry.contact])
        for talk in talks:
            if talk.channel == channel.id and not talk.merged_into:
                await self._say(store, channel, talk, entry)

    async def _say(self, store: TenantStore, channel: Channel, talk: Conversation, entry: Entry) -> None:
        button = ask_agree(entry.purpose, entry.wording, talk.language)
        parts, pending = degrade(button, CAPABILITIES[channel.kind], language=talk.language)
        now, sequencer = self._clock(), Sequencer(self._clock)
        messages = [
            Message(
                id=outgoing_id(entry.id, n),
                tenant=channel.tenant,
                channel=channel.id,
                conversation=talk.id,
                direction="out",
                author="bot",
                seq=sequencer.next(),
                at=now,
                content=part,
                status=Status.QUEUED,
                due=now,
            )
            for n, part in enumerate(parts)
        ]
        await store.messages.put_queued(messages)
        if pending is not None and messages:
            fresh = await store.conversations.get(talk.id) or talk
            await store.conversations.save(replace(fresh, pending=replace(pending, message=messages[-1].id)))
        self._poke(Key(channel.tenant, talk.id))


def row_of(entry: Entry, channel: Channel | None, contact: Contact | None) -> dict[str, Any]:
    """One line of an export: who, what they were shown, when, and where."""
    told: dict[str, Any] = {f: getattr(entry, f) for f in EXPORTED if hasattr(entry, f)}
    place = channel.name if channel is not None else entry.channel
    told |= {
        "channel_kind": channel.kind if channel is not None else "",
        "channel_name": place,
        "name": contact.name if contact is not None else None,
        "phone": contact.phone if contact is not None else None,
        "identities": " ".join(f"{i.kind}:{i.account}:{i.id}" for i in contact.identities) if contact else "",
        "contact": entry.contact or "everybody on the channel",
        "where": ", ".join(p for p in (place, entry.address or entry.evidence or entry.message or "") if p),
    }
    return {name: told.get(name) for name in EXPORTED}


def _head(rows: "csv.DictReader[str]") -> Sequence[str]:
    try:
        return rows.fieldnames or ()
    except csv.Error as error:
        raise Invalid("columns", f"a head that can be read ({error})") from None


def _lines(rows: "csv.DictReader[str]") -> Iterable[tuple[int, Mapping[str, str]]]:
    try:
        for row in rows:
            if any(v for v in row.values()):
                yield rows.line_num, row
    except csv.Error as error:
        raise Invalid(f"line {rows.line_num}", str(error)) from None


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("at", "a time such as 2026-03-01T10:00:00+01:00") from None
