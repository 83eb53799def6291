"""The journal of withdrawals: beside the database, so that a backup that is restored does not undo them.

One line an entry, with the identities of who it is about, flushed to the disk before the confirmation leaves. At the start
the lines that the ledger lacks are put back. Grants by people themselves are in it too, for who came back must not be
silenced; imported grants are not: a restored backup is rather without them.

A line begins with a line break as well as it ends with one: one that was cut off by a crash spoils no other.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from loguru import logger

from gateway.model.consent import Entry, entry_id
from gateway.model.conversation import Contact
from gateway.model.identity import Identity
from gateway.store.codec import contact_to_doc, identity_key
from gateway.store.consent_docs import entry_to_doc
from gateway.store.database import Database, Doc, guarded
from gateway.store.group import insert_new
from gateway.store.ledger import Ledger

NAME: Final = "withdrawals.jsonl"
BATCH: Final = 100
BLOCK: Final = 256 * 1024
MOST_LINE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One entry, and who it is about: what brings a contact back that the backup lacks."""

    entry: Entry
    identities: tuple[Identity, ...] = ()
    name: str | None = None
    phone: str | None = None


def belongs(entry: Entry) -> bool:
    """Whether an entry goes into the journal."""
    return entry.state == "withdrawn" or entry.corrects is not None or entry.how != "import"


class Journal:
    """One file, written by every process on the folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    async def write(self, lines: Sequence[Line]) -> bool:
        """Append lines and flush them to the disk; whether that worked. What does not is said in the log: the database has
        the entries all the same."""
        if not lines:
            return True
        data = b"".join(b"\n" + _dump(line) + b"\n" for line in lines)
        try:
            await asyncio.to_thread(_append, self.path, data)
        except OSError as error:
            logger.critical(
                "{} can't be written ({}): {} entries of consent are in the database alone, and a restored backup loses them",
                self.path, error.strerror or type(error).__name__, len(lines),
            )  # fmt: skip
            return False
        return True

    async def put_back(self, db: Database) -> int:
        """Put back what the ledger lacks; how many. Read from the end, until a whole batch is there. Never raises for what the
        file holds."""
        missing: list[Line] = []
        broken = 0
        batches = _backwards(self.path)
        while True:
            try:
                rows = await asyncio.to_thread(next, batches, None)
            except OSError as error:
                logger.error("{} can't be read: {}", self.path, error.strerror or type(error).__name__)
                break
            if rows is None:
                break
            read = [_load(row) for row in rows]
            broken += read.count(None)
            lines = [line for line in read if line is not None]
            lacks = await _lacking(db, lines)
            missing += lacks
            if lines and not lacks:
                break
        if broken:
            logger.error("{} holds {} lines that can't be read; they are passed over", self.path, broken)
        # The oldest first: stopped in between, the next start finds the newest still missing.
        missing.reverse()
        for start in range(0, len(missing), BATCH):
            await _restore(db, missing[start : start + BATCH])
        if missing:
            logger.warning("put back {} entries of consent that the database lacked", len(missing))
        return len(missing)


def _dump(line: Line) -> bytes:
    row: dict[str, Any] = {k: v for k, v in asdict(line.entry).items() if v not in (None, "")}
    row["at"], row["recorded"] = line.entry.at.isoformat(), line.entry.recorded.isoformat()
    who = {"identities": [asdict(i) for i in line.identities], "name": line.name, "phone": line.phone}
    # ASCII: half a character (a lone surrogate) has no other form.
    return json.dumps({"entry": row, "who": who}, separators=(",", ":")).encode("ascii")


def _load(row: bytes) -> Line | None:
    try:
        found = json.loads(row)
        known = {f.name for f in fields(Entry)}
        told = {k: v for k, v in found["entry"].items() if k in known}
        told["at"], told["recorded"] = (datetime.fromisoformat(told[k]) for k in ("at", "recorded"))
        entry = Entry(**told)
        if entry.at.tzinfo is None or not all((entry.id, entry.tenant, entry.channel, entry.purpose)):
            return None
        entry_to_doc(entry)
        who = found["who"]
        return Line(entry, tuple(Identity(**i) for i in who["identities"]), who["name"], who["phone"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _append(path: Path, data: bytes) -> None:
    place = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)  # lines of several processes follow each other
        view = memoryview(data)
        while view:
            view = view[os.write(place, view) :]
        os.fsync(place)
    finally:
        os.close(place)


def _backwards(path: Path) -> Iterator[list[bytes]]:
    """The lines from the last on, in batches; blank ones are left out."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        upto, rest = file.seek(0, os.SEEK_END), b""
        found: list[bytes] = []
        while upto:
            start = max(0, upto - BLOCK)
            file.seek(start)
            rest, *lines = (file.read(upto - start) + rest).split(b"\n")
            upto = start
            found += [line for line in reversed(lines) if line.strip()]
            if len(rest) > MOST_LINE:  # no line of ours
                found.append(b"?")
                rest = b""
            while len(found) >= BATCH:
                yield found[:BATCH]
                found = found[BATCH:]
        if rest.strip():
            found.append(rest)
        if found:
            yield found


async def _lacking(db: Database, lines: Sequence[Line]) -> list[Line]:
    if not lines:
        return []
    async with guarded():
        docs = await db["ledger"].find({"_id": {"$in": [x.entry.id for x in lines]}}, {"_id": 1}).to_list()
    there = {d["_id"] for d in docs}
    return [line for line in lines if line.entry.id not in there]


async def _restore(db: Database, lines: Sequence[Line]) -> None:
    """Entries of the ledger, the contacts they are about, and what follows from them on conversations. Somebody whom the backup
    knows as another contact (or as several) is silenced there as well."""
    entries: dict[str, Entry] = {}
    for line in lines:
        entries[line.entry.id] = line.entry
        for contact in await _contacts(db, line):
            copy = replace(
                line.entry, id=entry_id(line.entry.tenant, line.entry.id, contact), contact=contact
            )
            entries[copy.id] = copy
    async with guarded():
        await insert_new(db["ledger"], [entry_to_doc(e) for e in entries.values()])
    told = {(e.tenant, e.contact, e.channel): None for e in entries.values() if e.contact}
    for tenant, contact, channel in told:
        await Ledger(db, tenant).restate(contact, channel)


async def _contacts(db: Database, line: Line) -> list[str]:
    """The other contacts that hold one of the identities. The contact itself is made anew where there is none."""
    entry = line.entry
    if not entry.contact or not line.identities:
        return []
    keys = [identity_key(i) for i in line.identities]
    async with guarded():
        docs = await db["contacts"].find({"tenant": entry.tenant, "keys": {"$in": keys}}).to_list()
        if not docs:
            contact = Contact(
                entry.contact, entry.tenant, line.identities, line.name, line.phone, entry.recorded
            )
            await insert_new(db["contacts"], [contact_to_doc(contact)])
    return [str(d["_id"]) for d in docs if d["_id"] != entry.contact and entry.contact not in _merged(d)]


def _merged(doc: Mapping[str, Any]) -> Iterable[str]:
    merged: Iterable[str] = doc.get("merged", ())
    return merged


async def lines_of(db: Database, tenant: str, entries: Sequence[Entry]) -> list[Line]:
    """Entries with who they are about, as the database knows them now."""
    wanted = [e for e in entries if belongs(e)]
    contacts = sorted({e.contact for e in wanted if e.contact})
    known: dict[str, Doc] = {}
    for start in range(0, len(contacts), BATCH):
        async with guarded():
            docs = await db["contacts"].find({"_id": {"$in": contacts[start : start + BATCH]}}).to_list()
        known |= {d["_id"]: d for d in docs if d["tenant"] == tenant}
    return [_line(e, known.get(e.contact, {})) for e in wanted]


def _line(entry: Entry, contact: Mapping[str, Any]) -> Line:
    identities = tuple(Identity(i["kind"], i["account"], i["id"]) for i in contact.get("identities", ()))
    return Line(entry, identities, contact.get("name"), contact.get("phone"))
