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
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc, aware
from gateway.store.group import insert_new

PART: Final = 256 * 1024
UPLOAD_LASTS: Final = timedelta(minutes=10)
"""An upload of which no byte came for so long is over: its process is gone. Bytes renew it."""

UNSAID_LASTS: Final = timedelta(days=7)
DROPS_UNSAID: Final = True
"""Whether a file that was uploaded and never said or sent is removed after `UNSAID_LASTS`: everything that says or
sends a file attaches it first (`attach`)."""

_FIELDS: Final = tuple(f.name for f in fields(File) if f.name != "id")


class Files:
    def __init__(self, db: Database, tenant: str, clock: Clock) -> None:
        self._files = db["files"]
        self._parts = db["file_parts"]
        self._unsaid = db["unsaid"]
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
        doc = self._doc(file, "drop", file.created + UPLOAD_LASTS)
        async with guarded():
            if file.conversation:
                which = {"_id": file.conversation, "tenant": self._tenant}
                await self._unsaid.update_one(which, {"$push": {"files": file.id}}, upsert=True)
            await self._files.insert_one(doc)

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

    async def claim(self, file: str, seen: int, now: datetime, lease: datetime) -> bool:
        """Take a file for fetching, if it is due: `seen` is its number of attempts as it was read."""
        due = {"state": "pending", "attempts": seen, "due": {"$lte": now}}
        return await self._change(
            {"_id": file, "tenant": self._tenant, **due},
            {"$set": {"due": lease}, "$inc": {"attempts": 1}, "$unset": {"held": ""}},
        )

    async def ready(self, file: File) -> bool:
        """It is whole. `file` as it stands now; another that ended first stays. False when it was removed meanwhile, or
        somebody else ended it: nothing of this writing is left."""
        doc = {f: getattr(file, f) for f in ("name", "mime", "size", "sha256", "generation", "parts")}
        more = {f: getattr(file, f) for f in ("width", "height", "thumbnail") if getattr(file, f) is not None}
        change: Doc = {"$set": {**doc, **more, "state": "ready"}, "$unset": {"error": ""}}
        if file.state == "uploading" and DROPS_UNSAID:  # no message carries it yet
            change["$set"] |= {"todo": "drop", "due": self._clock() + UNSAID_LASTS}
        else:
            change["$unset"] |= {"todo": "", "due": ""}
        done = await self._change(
            {"_id": file.id, "tenant": self._tenant, "state": {"$in": ["pending", "uploading"]}}, change
        )
        await self._sweep(file.id, file.attempts, keep=file.generation if done else "")
        return done

    async def attach(self, files: Sequence[str]) -> None:
        """A message is going to carry these files: they stay. To be called before the message is written; then a stop in
        between leaves a file too many, never one too few. Raises NotFound when one is not there (any more)."""
        for file in dict.fromkeys(files):
            async with guarded():
                found = await self._files.update_one(
                    {"_id": file, "tenant": self._tenant, "state": "ready"},
                    {"$unset": {"todo": "", "due": ""}},
                )
            if not found.matched_count:
                raise NotFound(f"no file {file}")

    async def unsaid(self, conversation: str, limit: int) -> int:
        """How many files a visitor has uploaded and not said, at the most; right where it is `limit` or more."""
        which = {"_id": conversation, "tenant": self._tenant}
        async with guarded():
            listed: list[str] = (await self._unsaid.find_one(which) or {}).get("files", [])
            if len(listed) < limit:
                return len(listed)
            # The list is only ever added to; now those that were said since, or are gone, leave it.
            docs = await self._files.find({"_id": {"$in": listed}}, {"todo": 1}).to_list()
            left = {d["_id"] for d in docs if d.get("todo") == "drop"}
            await self._unsaid.update_one(
                which, {"$pull": {"files": {"$in": [f for f in listed if f not in left]}}}
            )
        return len(left)

    async def coming(self, file: str) -> bool:
        """Bytes of an upload come. False when it was removed meanwhile."""
        return await self._change(
            {"_id": file, "tenant": self._tenant, "state": "uploading"},
            {"$set": {"due": self._clock() + UPLOAD_LASTS}},
        )

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

    async def give_back(self, file: str, attempts: int, due: datetime, error: str) -> None:
        """Its channel can't be used now: this attempt, the one numbered `attempts`, did not count."""
        # The next attempt writes under the same name.
        async with guarded():
            generation = generation_of(file, attempts)
            await self._parts.delete_many({"tenant": self._tenant, "generation": generation})
        await self._change(
            {"_id": file, "tenant": self._tenant, "state": "pending", "attempts": attempts},
            {"$set": {"due": due, "error": error, "held": True}, "$inc": {"attempts": -1}},
        )

    async def failed(self, file: File, error: str) -> None:
        """It can't be had. Its parts are removed."""
        await self._change(
            {"_id": file.id, "tenant": self._tenant, "state": {"$in": ["pending", "uploading"]}},
            {"$set": {"state": "failed", "error": error}, "$unset": {"todo": "", "due": ""}},
        )
        await self._sweep(file.id, file.attempts, keep="")

    async def drop(self, file: File) -> None:
        """Remove an upload that was never finished; its sender says so."""
        await self._remove(file, {"state": {"$in": ["uploading", "failed"]}})

    async def _remove(self, file: File, standing: Doc) -> None:
        """Its record fails first: from then on nobody can finish, say or read it, and a stop in between is taken up again."""
        which = {"_id": file.id, "tenant": self._tenant, "todo": "drop"}
        async with guarded():
            found = await self._files.update_one(
                {**which, **standing}, {"$set": {"state": "failed", "error": "It was never sent."}}
            )
        if found.matched_count:
            await self._sweep(file.id, file.attempts, keep="")
            async with guarded():
                await self._files.delete_one({**which, "state": "failed"})
                if file.conversation:
                    listed = {"_id": file.conversation, "tenant": self._tenant}
                    await self._unsaid.update_one(listed, {"$pull": {"files": file.id}})
                    await self._unsaid.delete_one({**listed, "files": []})

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

    async def expire(self, file: File, now: datetime) -> None:
        """Remove an upload that was never finished, or one that was never said, if it is still due."""
        await self.of(file.tenant)._remove(file, {"due": {"$lte": now}})

    async def put_off(self, files: Sequence[File], due: datetime) -> None:
        """Their channels can't be used now. `release_channel` finds them before `due`."""
        async with guarded():
            await self._db["files"].update_many(
                {"_id": {"$in": [f.id for f in files]}, "state": "pending"},
                {"$set": {"due": due, "held": True}},
            )

    async def due(self, todo: str, now: datetime, limit: int, skip: int = 0) -> list[File]:
        """Files to be fetched (`fetch`), or uploads that were never finished or said (`drop`): those due first, after the
        first `skip`."""
        async with guarded():
            docs = await (
                self._db["files"]
                .find({"todo": todo, "due": {"$lte": now}})
                .sort("due", 1)
                .skip(skip)
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
