"""Where documents come from: uploads, pasted texts and web sites, and the work that they make.

A source that is to be looked at has `todo` and `due`. Whoever works on it claims it by compare-and-set on `rev` and holds it
by moving `due` ahead; a process that is killed lets it run out, and the next one starts the source again. A change by a
person raises `rev`, so that the work under way finds itself replaced.

The bytes of an upload wait in parts of 256 kB under a name of that upload's own, and go when they were read.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.model.errors import Conflict, Invalid, NotFound
from gateway.model.knowledge import Source, SourceError
from gateway.model.ports import Clock
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc, aware, slim

PART: Final = 256 * 1024
UPLOAD_LASTS: Final = timedelta(hours=1)
"""An upload that began so long ago and has not ended never will."""

MOST_ERRORS: Final = 100
MOST_SOURCES: Final = 1000
LEARN: Final = "learn"
DROP: Final = "drop"

_TIMES: Final = ("created", "due", "started", "ended")
_NAMES: Final = tuple(f.name for f in fields(Source) if f.name != "id")


class Sources:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._sources = db["sources"]
        self._parts = db["source_parts"]
        self._clock = clock

    async def all(self, tenant: str) -> list[Source]:
        """Every source, the latest first."""
        async with guarded():
            docs = await self._sources.find({"tenant": tenant}).to_list()
        found = [source_from_doc(d) for d in docs if d.get("todo") != DROP]
        return sorted(found, key=lambda s: (s.created, s.id), reverse=True)

    async def get(self, tenant: str, source: str) -> Source:
        """Raises NotFound."""
        doc = await self._doc(tenant, source)
        if doc.get("todo") == DROP:
            raise NotFound(f"no source {source}")
        return source_from_doc(doc)

    async def put(self, source: Source, content: AsyncIterator[bytes] | None = None, most: int = 0) -> Source:
        """Write a source that is to be looked at now, in place of one with the same id, with its bytes (at most `most`).
        Raises Invalid where there are more or none, or too many sources."""
        now = self._clock()
        before = await self._find(source.tenant, source.id)
        if before is None and len(await self.all(source.tenant)) >= MOST_SOURCES:
            raise Invalid("source", f"at most {MOST_SOURCES} sources; remove some first")
        name, parts = f"{source.id}.{secrets.token_hex(6)}", 0
        if content is not None:
            marker = f"{name}:upload"
            place = {"_id": marker, "tenant": source.tenant}
            async with guarded():
                # What a killed upload leaves is found by this.
                await self._sources.insert_one(
                    {**place, "bytes": name, "todo": DROP, "due": now + UPLOAD_LASTS}
                )
            try:
                parts = await self._write(source.tenant, name, content, most)
            except BaseException:
                await self._drop_bytes(source.tenant, name)
                async with guarded():
                    await self._sources.delete_one(place)
                raise
        # One that was removed and comes again must not be taken for its former self by who still works on that.
        first = int(now.timestamp() * 1000)
        source = replace(source, rev=(before["rev"] if before else first) + 1, state="waiting", due=now)
        place = {"_id": source.id, "tenant": source.tenant}
        doc = {**source_to_doc(source), "todo": LEARN}
        if content is not None:
            doc |= {"bytes": name, "parts": parts}
        async with guarded():
            await self._sources.replace_one(place, doc, upsert=True)
            if content is not None:
                await self._sources.delete_one({"_id": f"{name}:upload", "tenant": source.tenant})
        if before and before.get("bytes"):
            await self._drop_bytes(source.tenant, before["bytes"])
        return source

    async def _write(self, tenant: str, name: str, content: AsyncIterator[bytes], most: int) -> int:
        kept, number, size = bytearray(), 0, 0

        async def flush() -> None:
            nonlocal number
            doc = {"_id": f"{name}:{number}", "tenant": tenant, "bytes": name, "data": bytes(kept[:PART])}
            async with guarded():
                await self._parts.insert_one(doc)
            del kept[:PART]
            number += 1

        async for piece in content:
            size += len(piece)
            if size > most:
                raise Invalid("body", f"a file of at most {most / 2**20:.0f} MB; split it into smaller files")
            kept += piece
            while len(kept) >= PART:
                await flush()
        if not size:
            raise Invalid("body", "a file that is not empty")
        if kept:
            await flush()
        return number

    async def read(self, source: Source) -> bytes | None:
        """The bytes of an upload; None when they were read and dropped."""
        doc = await self._doc(source.tenant, source.id)
        if not doc.get("bytes"):
            return None
        parts: list[bytes] = []
        for number in range(doc["parts"]):
            async with guarded():
                part = await self._parts.find_one(
                    {"_id": f"{doc['bytes']}:{number}", "tenant": source.tenant}
                )
            if part is None:
                return None
            parts.append(part["data"])
        return b"".join(parts)

    async def due(self, now: datetime, limit: int) -> list[Source]:
        """Sources of all tenants that are to be looked at, those due first."""
        async with guarded():
            docs = await (
                self._sources.find({"todo": LEARN, "due": {"$lte": now}})
                .sort("due", 1)
                .limit(limit)
                .to_list()
            )
        return [source_from_doc(d) for d in docs]

    async def release(self, now: datetime) -> None:
        """Whoever held a source is gone: only to be called where nobody else works on this database."""
        async with guarded():
            docs = await self._sources.find({"todo": LEARN}).to_list()
        for source in (source_from_doc(d) for d in docs if d.get("state") == "working"):
            await self.give_back(source, now)

    async def give_back(self, source: Source, now: datetime) -> None:
        """Its reading stops in the middle: the next process may begin at once."""
        await self._change(source, {"$set": {"state": "waiting", "due": now}, "$inc": {"rev": 1}})

    async def claim(self, source: Source, now: datetime, lease: datetime) -> Source | None:
        """Take a source, if nobody has changed or taken it since it was read."""
        fresh: Doc = {"state": "working", "done": 0, "total": 0, "changed": 0, "errors": [], "reason": ""}
        taken = replace(
            source, rev=source.rev + 1, state="working", due=lease, started=now, ended=None, done=0, total=0, changed=0,
            errors=(), reason="",
        )  # fmt: skip
        done = await self._change(
            source,
            {"$set": {**fresh, "due": lease, "started": now}, "$inc": {"rev": 1}, "$unset": {"ended": ""}},
        )
        return taken if done else None

    async def going_on(self, source: Source, lease: datetime) -> bool:
        """Write how far it is, and hold it longer. False when a person changed or cancelled it: the work is to stop."""
        return await self._change(source, {"$set": {**_standing(source), "due": lease}})

    async def end(
        self, source: Source, state: str, reason: str, seen: Mapping[str, str] | None = None
    ) -> bool:
        """The run is over. It is looked at again after `every`; its bytes go."""
        now = self._clock()
        change: Doc = {"$set": {**_standing(source), "state": state, "reason": reason, "ended": now}}
        if seen is not None:
            change["$set"]["seen"] = _pairs(seen)
        if source.every is not None:
            change["$set"] |= {"todo": LEARN, "due": now + source.every}
        else:
            change["$unset"] = {"todo": "", "due": ""}
        doc = await self._find(source.tenant, source.id)
        done = await self._change(source, change)
        if done and doc and doc.get("bytes"):
            await self._drop_bytes(source.tenant, doc["bytes"])
            async with guarded():
                await self._sources.update_one(
                    {"_id": source.id, "tenant": source.tenant}, {"$unset": {"bytes": "", "parts": ""}}
                )
        return done

    async def cancel(self, tenant: str, source: str) -> Source:
        """Stop what is under way, and look no more by itself. Raises NotFound, and Conflict when there is nothing to stop."""
        found = await self.get(tenant, source)
        if found.due is None:
            raise Conflict(f"source {source} is {found.state}: there is nothing to cancel")
        doc = await self._doc(tenant, source)
        change: Doc = {
            "$set": {"state": "cancelled", "ended": self._clock(), "reason": "Cancelled."},
            "$inc": {"rev": 1},
            "$unset": {"todo": "", "due": "", "every": "", "bytes": "", "parts": ""},
        }
        if not await self._change(found, change):
            raise Conflict(f"source {source} changed just now; look again")
        if doc.get("bytes"):
            await self._drop_bytes(tenant, doc["bytes"])
        return await self.get(tenant, source)

    async def again(self, tenant: str, source: str) -> Source:
        """Look at it now. Raises NotFound, and Conflict while it is looked at, or when its bytes are gone."""
        found = await self.get(tenant, source)
        doc = await self._doc(tenant, source)
        if found.state in ("waiting", "working") and found.due is not None and doc.get("todo") == LEARN:
            raise Conflict(f"source {source} is {found.state} already")
        if found.kind != "site" and not doc.get("bytes"):
            raise Conflict("an upload is read once: upload the file again")
        change: Doc = {
            "$set": {"state": "waiting", "due": self._clock(), "todo": LEARN, "reason": ""},
            "$inc": {"rev": 1},
        }
        if not await self._change(found, change):
            raise Conflict(f"source {source} changed just now; look again")
        return await self.get(tenant, source)

    async def remove(self, tenant: str, source: str) -> None:
        """Remove a source and its bytes, not its documents. Raises NotFound."""
        doc = await self._doc(tenant, source)
        async with guarded():
            await self._sources.delete_one({"_id": source, "tenant": tenant})
        if doc.get("bytes"):
            await self._drop_bytes(tenant, doc["bytes"])

    async def sweep(self) -> int:
        """Remove uploads that never ended: how many."""
        async with guarded():
            docs = (
                await self._sources.find({"todo": DROP, "due": {"$lte": self._clock()}}).limit(100).to_list()
            )
        for doc in docs:
            # Killed between the two writes at its end, the upload is whole, and its source waits for it.
            whole = await self._find(doc["tenant"], doc["bytes"].rsplit(".", 1)[0])
            if whole is None or whole.get("bytes") != doc["bytes"]:
                await self._drop_bytes(doc["tenant"], doc["bytes"])
            async with guarded():
                await self._sources.delete_one({"_id": doc["_id"], "tenant": doc["tenant"]})
        return len(docs)

    async def _drop_bytes(self, tenant: str, name: str) -> None:
        async with guarded():
            await self._parts.delete_many({"tenant": tenant, "bytes": name})

    async def _find(self, tenant: str, source: str) -> Doc | None:
        async with guarded():
            return await self._sources.find_one({"_id": source, "tenant": tenant})

    async def _doc(self, tenant: str, source: str) -> Doc:
        doc = await self._find(tenant, source)
        if doc is None:
            raise NotFound(f"no source {source}")
        return doc

    async def _change(self, source: Source, change: Doc) -> bool:
        which = {"_id": source.id, "tenant": source.tenant, "rev": source.rev}
        async with guarded():
            return bool((await self._sources.update_one(which, change)).matched_count)


def _standing(source: Source) -> Doc:
    errors = [[e.origin, e.reason] for e in source.errors[:MOST_ERRORS]]
    return {"done": source.done, "total": source.total, "changed": source.changed, "errors": errors}


def _pairs(seen: Mapping[str, str]) -> list[list[str]]:
    # Addresses have dots in them: no names of fields.
    return [[address, validator] for address, validator in seen.items()]


def source_to_doc(s: Source) -> Doc:
    doc: dict[str, Any] = {name: getattr(s, name) for name in _NAMES}
    every = s.every.total_seconds() if s.every is not None else None
    return slim({**doc, "_id": s.id, "v": 1, "every": every, **_standing(s), "seen": _pairs(s.seen)})


def source_from_doc(d: Doc) -> Source:
    values: dict[str, Any] = {name: d[name] for name in _NAMES if name in d}
    values |= {name: aware(values.get(name)) for name in _TIMES}
    values["every"] = timedelta(seconds=d["every"]) if d.get("every") is not None else None
    values["errors"] = _errors(d.get("errors", ()))
    values["seen"] = dict(d.get("seen", ()))
    return Source(id=d["_id"], **values)


def _errors(found: Sequence[Sequence[str]]) -> tuple[SourceError, ...]:
    return tuple(SourceError(origin, reason) for origin, reason in found)
