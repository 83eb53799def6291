"""Files of one tenant, in the database: one path for every installation, in its backups, bound to its tenant.

A file's bytes are parts of 256 kB under a generation, a name that each writing of it has to itself: one that was
stopped in the middle leaves parts that nobody reads, and the next removes them. Whoever finishes sets the generation.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.model.errors import NotFound, SendError, StoreError
from gateway.model.file import File
from gateway.model.ports import Clock, OpenFile
from gateway.store.codec import Doc, aware
from gateway.store.database import Database, guarded
from gateway.store.group import insert_new

PART: Final = 256 * 1024
UPLOAD_LASTS: Final = timedelta(hours=1)
"""An upload that has not ended by then never will."""

_FIELDS: Final = tuple(f.name for f in fields(File) if f.name != "id")


class Files:
    def __init__(self, db: Database, tenant: str, clock: Clock) -> None:
        self._files = db["files"]
        self._parts = db["file_parts"]
        self._tenant = tenant
        self._clock = clock

    # Records

    async def expect(self, files: Sequence[File]) -> None:
        """Write records of files that are still to be fetched; ones that are there stay."""
        docs = [self._doc(f, "fetch", f.created) for f in files]
        async with guarded():
            await insert_new(self._files, docs)

    async def begin(self, file: File) -> None:
        """Write the record of a file that is being sent to us."""
        async with guarded():
            await self._files.insert_one(self._doc(file, "drop", file.created + UPLOAD_LASTS))

    def _doc(self, file: File, todo: str, due: datetime) -> Doc:
        if file.tenant != self._tenant:
            raise ValueError("a file of another tenant")
        doc = {f: getattr(file, f) for f in _FIELDS}
        return {
            "_id": file.id,
            "v": 1,
            **{k: v for k, v in doc.items() if v is not None},
            "todo": todo,
            "due": due,
        }

    async def get(self, file: str) -> File:
        """Raises NotFound."""
        async with guarded():
            doc = await self._files.find_one({"_id": file, "tenant": self._tenant})
        if doc is None:
            raise NotFound(f"no file {file}")
        return file_from_doc(doc)

    async def some(self, files: Sequence[str]) -> dict[str, File]:
        """Those of the files that there are."""
        if not files:
            return {}
        async with guarded():
            docs = await self._files.find({"_id": {"$in": list(dict.fromkeys(files))}}).to_list()
        return {d["_id"]: file_from_doc(d) for d in docs if d["tenant"] == self._tenant}

    async def claim(self, file: str, seen: int, lease: datetime) -> bool:
        """Take a file for fetching: `seen` is its number of attempts as it was read."""
        return await self._change(
            {"_id": file, "tenant": self._tenant, "state": "pending", "attempts": seen},
            {"$set": {"due": lease}, "$inc": {"attempts": 1}},
        )

    async def ready(self, file: File) -> bool:
        """It is whole. `file` as it stands now; another that ended first stays."""
        doc = {f: getattr(file, f) for f in ("name", "mime", "size", "sha256", "generation", "parts")}
        more = {f: getattr(file, f) for f in ("width", "height", "thumbnail") if getattr(file, f) is not None}
        done = await self._change(
            {"_id": file.id, "tenant": self._tenant, "state": {"$in": ["pending", "uploading"]}},
            {"$set": {**doc, **more, "state": "ready"}, "$unset": {"todo": "", "due": "", "error": ""}},
        )
        await self._sweep(file.id, file.attempts, keep=file.generation if done else "")
        return done

    async def renew(self, file: str, attempts: int, lease: datetime) -> None:
        """Its fetching goes on: the claim holds on."""
        await self._change(
            {"_id": file, "tenant": self._tenant, "state": "pending", "attempts": attempts},
            {"$set": {"due": lease}},
        )

    async def again(self, file: str, attempts: int, due: datetime, error: str) -> None:
        await self._change(
            {"_id": file, "tenant": self._tenant, "state": "pending", "attempts": attempts},
            {"$set": {"due": due, "error": error}},
        )

    async def failed(self, file: File, error: str) -> None:
        """It can't be had. Its parts are removed."""
        await self._change(
            {"_id": file.id, "tenant": self._tenant, "state": {"$in": ["pending", "uploading"]}},
            {"$set": {"state": "failed", "error": error}, "$unset": {"todo": "", "due": ""}},
        )
        await self._sweep(file.id, file.attempts, keep="")

    async def drop(self, file: File) -> None:
        """Remove a file that was never finished."""
        await self._sweep(file.id, file.attempts, keep="")
        async with guarded():
            await self._files.delete_one({"_id": file.id, "tenant": self._tenant, "state": "uploading"})

    async def _change(self, which: Doc, change: Doc) -> bool:
        async with guarded():
            return bool((await self._files.update_one(which, change)).modified_count)

    async def _sweep(self, file: str, attempts: int, keep: str) -> None:
        for attempt in range(attempts + 1):
            generation = generation_of(file, attempt)
            if generation != keep:
                async with guarded():
                    await self._parts.delete_many({"tenant": self._tenant, "generation": generation})

    # Bytes

    async def write(self, generation: str, number: int, data: bytes) -> None:
        doc = {
            "_id": f"{generation}:{number}",
            "tenant": self._tenant,
            "generation": generation,
            "data": data,
        }
        async with guarded():
            await self._parts.replace_one({"_id": doc["_id"], "tenant": self._tenant}, doc, upsert=True)

    async def read(self, file: File, first: int = 0) -> AsyncIterator[bytes]:
        """The bytes of a ready file, from its part number `first` on. Raises StoreError when a part is gone."""
        for number in range(first, file.parts):
            async with guarded():
                doc = await self._parts.find_one(
                    {"_id": f"{file.generation}:{number}", "tenant": self._tenant}
                )
            if doc is None:
                raise StoreError(f"part {number} of file {file.id} is missing")
            yield doc["data"]

    # What adapters use

    async def open(self, file: str) -> OpenFile:
        found = await self.get(file)
        if found.state in ("pending", "uploading"):
            raise SendError("file:pending", "The file is still on its way to us.", retryable=True, wait=None)
        if found.state == "failed":
            raise SendError("file:failed", f"The file could not be had: {found.error or 'no reason given'}")
        return OpenFile(found.id, found.name, found.mime, found.size, lambda: self.read(found))

    async def uploaded(self, file: str, channel: str) -> str | None:
        async with guarded():
            doc = await self._files.find_one({"_id": file, "tenant": self._tenant}, {"uploads": 1})
        kept = (doc or {}).get("uploads", {}).get(channel)
        until = aware(kept["until"]) if kept else None
        return kept["id"] if until and until > self._clock() and kept["id"] else None

    async def remember(self, file: str, channel: str, provider_id: str, until: datetime) -> None:
        kept = {"id": provider_id, "until": until}
        await self._change({"_id": file, "tenant": self._tenant}, {"$set": {f"uploads.{channel}": kept}})


class AllFiles:
    """Files of every tenant: for adapters (the port `Files`) and for the fetcher, never for a request."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def of(self, tenant: str) -> Files:
        return Files(self._db, tenant, self._clock)

    async def open(self, tenant: str, file: str) -> OpenFile:
        return await self.of(tenant).open(file)

    async def uploaded(self, tenant: str, file: str, channel: str) -> str | None:
        return await self.of(tenant).uploaded(file, channel)

    async def remember(self, tenant: str, file: str, channel: str, provider_id: str, until: datetime) -> None:
        await self.of(tenant).remember(file, channel, provider_id, until)

    async def due(self, todo: str, now: datetime, limit: int) -> list[File]:
        """Files to be fetched (`fetch`), or uploads that were never finished (`drop`)."""
        async with guarded():
            docs = await (
                self._db["files"]
                .find({"todo": todo, "due": {"$lte": now}})
                .sort("due", 1)
                .limit(limit)
                .to_list()
            )
        return [file_from_doc(d) for d in docs]


def generation_of(file: str, attempt: int) -> str:
    return f"{file}.{attempt}"


def file_from_doc(d: Doc) -> File:
    values: dict[str, Any] = {f: d[f] for f in _FIELDS if f in d}
    values["created"] = aware(values["created"])
    return File(id=d["_id"], **values)


def attempted(file: File) -> File:
    """The file as it stands after `claim`."""
    attempt = file.attempts + 1
    return replace(file, attempts=attempt, generation=generation_of(file.id, attempt))
