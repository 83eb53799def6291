"""Documents and their passages. A document's passages are written as a new generation, then the document points
to it, then the old generation goes: readers never see half a document.

A draft is a document beside the live one, under an id of its own, with passages of its own. Publishing makes it the live
one and raises the knowledge version once for all of them.

What a process that was killed leaves behind is found by the names of generations: each is noted before its passages are
written (`pending`), and the note goes when the document points to it.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from gateway.model.errors import Conflict, Invalid, NotFound
from gateway.model.knowledge import MAIN, Chunk, Collection, Document
from gateway.model.ports import Clock
from gateway.store.database import Database, guarded
from gateway.store.directory import Directory
from gateway.store.docs import Doc
from gateway.store.knowledge_docs import chunk_from_doc, chunk_to_doc, document_from_doc, document_to_doc

BATCH: Final = 200
STALE: Final = timedelta(hours=1)
"""A writing that was noted so long ago has ended, or its process has."""

MAX_COLLECTIONS: Final = 100
MAX_NAME: Final = 60

Making = Callable[[Document, Sequence[Chunk]], Awaitable[tuple[Document, Sequence[Chunk]] | None]]
"""A document and its passages with other vectors; None: not now."""


class Knowledge:
    """Implements `gateway.model.knowledge.KnowledgeStore`."""

    def __init__(self, db: Database, directory: Directory, clock: Clock) -> None:
        self._documents = db["documents"]
        self._chunks = db["chunks"]
        self._collections = db["collections"]
        self._pending = db["pending_chunks"]
        self._directory = directory
        self._clock = clock

    # Reading

    async def documents(self, tenant: str, draft: bool = False) -> list[Document]:
        found = [document_from_doc(d) for d in await self._seen(tenant, draft)]
        return sorted(found, key=lambda d: (d.title, d.id))

    async def drafts(self, tenant: str) -> list[Document]:
        """What publishing would change, by title."""
        found = [document_from_doc(d) for d in await self._all(tenant) if d.get("draft")]
        return sorted(found, key=lambda d: (d.title, d.id))

    async def get(self, tenant: str, document: str, draft: bool = False) -> Document | None:
        doc = await self._one(tenant, document, draft)
        return None if doc is None or doc.get("gone") else document_from_doc(doc)

    async def passages(self, tenant: str, document: str, draft: bool = False) -> list[Chunk]:
        """The passages of one document, in order."""
        doc = await self._one(tenant, document, draft)
        return [] if doc is None or doc.get("gone") else await self._of(tenant, doc)

    async def _of(self, tenant: str, doc: Doc) -> list[Chunk]:
        async with guarded():
            docs = await self._chunks.find({"tenant": tenant, "generation": doc["generation"]}).to_list()
        return sorted((chunk_from_doc(d) for d in docs), key=lambda c: c.position)

    async def chunks(self, tenant: str, draft: bool = False) -> list[Chunk]:
        generations = {d["generation"] for d in await self._seen(tenant, draft)}
        found: list[Chunk] = []
        async with guarded():
            # One query for all (a quarter of the time of naming the generations): what is being written or removed is left out.
            async for doc in self._chunks.find({"tenant": tenant}).batch_size(1000):
                if doc["generation"] in generations:
                    found.append(chunk_from_doc(doc))
        return sorted(found, key=lambda c: (c.document, c.position))

    # Writing

    async def put(self, tenant: str, document: Document, chunks: Sequence[Chunk]) -> None:
        await self.put_all(tenant, [(document, chunks)])

    async def put_all(self, tenant: str, documents: Sequence[tuple[Document, Sequence[Chunk]]]) -> None:
        if any(document.tenant != tenant for document, _ in documents):
            raise ValueError("a document of another tenant")
        generations = [f"{document.id}.{secrets.token_hex(6)}" for document, _ in documents]
        docs = [
            chunk_to_doc(c, tenant, generation)
            for (_, chunks), generation in zip(documents, generations, strict=True)
            for c in chunks
        ]
        note = secrets.token_hex(12)
        async with guarded():
            await self._pending.insert_one(
                {"_id": note, "tenant": tenant, "generations": generations, "at": self._clock()}
            )
            for start in range(0, len(docs), BATCH):
                await self._chunks.insert_many(docs[start : start + BATCH], ordered=False)
            old: list[str] = []
            for (document, _), generation in zip(documents, generations, strict=True):
                place = {"_id": _place(document.id, document.draft), "tenant": tenant}
                before = await self._documents.find_one(place, {"generation": 1})
                old += [before["generation"]] if before else []
                await self._documents.replace_one(
                    place, {**document_to_doc(document), **place, "generation": generation}, upsert=True
                )
            # Those that a kill from here on would leave.
            await self._pending.update_one(
                {"_id": note, "tenant": tenant}, {"$push": {"generations": {"$each": old}}}
            )
            if any(not document.draft for document, _ in documents):
                await self._directory.raise_knowledge(tenant)
            await self._forget(tenant, old)
            await self._pending.delete_one({"_id": note, "tenant": tenant})

    async def revectored(self, tenant: str, document: Document, make: Making) -> bool:
        """Write a document's passages again as `make` gives them, if the document did not change meanwhile. False if it did, or
        `make` gave None."""
        place = _place(document.id, document.draft)
        doc = await self._one(tenant, document.id, only_draft=document.draft)
        if doc is None:
            return False
        made = await make(document_from_doc(doc), await self._of(tenant, doc))
        if made is None:
            return False
        changed, chunks = made
        generation = f"{document.id}.{secrets.token_hex(6)}"
        note = {"_id": secrets.token_hex(12), "tenant": tenant, "at": self._clock()}
        docs = [chunk_to_doc(c, tenant, generation) for c in chunks]
        async with guarded():
            await self._pending.insert_one({**note, "generations": [generation, doc["generation"]]})
            for start in range(0, len(docs), BATCH):
                await self._chunks.insert_many(docs[start : start + BATCH], ordered=False)
            done = await self._documents.update_one(
                {"_id": place, "tenant": tenant, "generation": doc["generation"]},
                {"$set": {"generation": generation, "local": changed.local, "embedded": changed.embedded}},
            )
            if done.modified_count and not document.draft:
                await self._directory.raise_knowledge(tenant)
            await self._forget(tenant, [generation, doc["generation"]])
            await self._pending.delete_one({"_id": note["_id"], "tenant": tenant})
        return bool(done.modified_count)

    async def remove(self, tenant: str, document: str, draft: bool = False) -> bool:
        """Remove a document, its draft, and the passages of both. As a `draft`: note that publishing is to remove it; what is
        a draft only, goes at once."""
        return bool(await self.remove_all(tenant, [document], draft))

    async def remove_all(self, tenant: str, documents: Sequence[str], draft: bool = False) -> int:
        """`remove` for several, with one raise of the version: how many were there."""
        there, gone = 0, []
        for document in documents:
            live, beside = (
                await self._one(tenant, document),
                await self._one(tenant, document, only_draft=True),
            )
            if (live is None and beside is None) or (draft and beside is not None and beside.get("gone")):
                continue
            there += 1
            if beside is not None:
                await self._drop(tenant, beside)
            if live is None:
                continue
            if draft:
                mark = {
                    **live,
                    "_id": _place(document, True),
                    "draft": True,
                    "gone": True,
                    "generation": "none",
                }
                async with guarded():
                    which = {"_id": mark["_id"], "tenant": tenant}
                    await self._documents.replace_one(which, mark, upsert=True)
            else:
                gone.append(live)
        if gone:
            await self._drop_live(tenant, gone)
        return there

    async def _drop_live(self, tenant: str, docs: Sequence[Doc]) -> None:
        async with guarded():
            for doc in docs:
                await self._documents.delete_one({"_id": doc["_id"], "tenant": tenant})
            await self._directory.raise_knowledge(tenant)
            await self._forget(tenant, [doc["generation"] for doc in docs])

    async def _drop(self, tenant: str, doc: Doc) -> None:
        async with guarded():
            await self._documents.delete_one({"_id": doc["_id"], "tenant": tenant})
            await self._forget(tenant, [doc["generation"]])

    async def _forget(self, tenant: str, generations: Sequence[str]) -> int:
        """Remove the passages of generations that no document points to: how many of them. A document and its draft point to
        the same one while they are published."""
        forgotten = 0
        for generation in generations:
            document = generation.rsplit(".", 1)[0]
            places = [_place(document, False), _place(document, True)]
            docs = await self._documents.find({"_id": {"$in": places}}).to_list()
            if not any(d["tenant"] == tenant and d["generation"] == generation for d in docs):
                await self._chunks.delete_many({"tenant": tenant, "generation": generation})
                forgotten += 1
        return forgotten

    # Drafts

    async def publish(self, tenant: str) -> int:
        """Make every draft live, with one raise of the version: how many there were.

        A document of the database is one place, so they change one after the other; whoever answers goes by the version,
        which is raised when all have. A publishing that was killed is finished by the next.
        """
        drafts = [d for d in await self._all(tenant) if d.get("draft")]
        if not drafts:
            return 0
        old: list[str] = []
        note = secrets.token_hex(12)
        async with guarded():
            await self._pending.insert_one(
                {"_id": note, "tenant": tenant, "generations": [], "at": self._clock()}
            )
        published: list[Doc] = []
        for stale in drafts:
            place = {"_id": _id(stale), "tenant": tenant}
            # As it is now, and again where it was written meanwhile: the passages of what it was are gone.
            doc, before = await self._one(tenant, _id(stale), only_draft=True), None
            while doc is not None and doc["generation"] != before:
                before = doc["generation"]
                async with guarded():
                    live = await self._documents.find_one(place, {"generation": 1})
                    if live is not None and live["generation"] != before:
                        old.append(live["generation"])
                        await self._pending.update_one(
                            {"_id": note, "tenant": tenant}, {"$push": {"generations": live["generation"]}}
                        )
                    if doc.get("gone"):
                        await self._documents.delete_one(place)
                    else:
                        made = {k: v for k, v in doc.items() if k not in ("draft", "gone")}
                        await self._documents.replace_one(place, {**made, **place}, upsert=True)
                published.append(doc)
                doc = await self._one(tenant, _id(stale), only_draft=True)
        async with guarded():
            await self._directory.raise_knowledge(tenant)
            for doc in published:
                # Only as it was read: one that was written meanwhile is a draft for the next time.
                await self._documents.delete_one(
                    {"_id": doc["_id"], "tenant": tenant, "generation": doc["generation"]}
                )
            await self._forget(tenant, old)
            await self._pending.delete_one({"_id": note, "tenant": tenant})
        return len(drafts)

    async def discard(self, tenant: str) -> int:
        """Put every draft away: how many there were."""
        drafts = [d for d in await self._all(tenant) if d.get("draft")]
        for doc in drafts:
            await self._drop(tenant, doc)
        return len(drafts)

    # Collections

    async def collections(self, tenant: str) -> list[Collection]:
        async with guarded():
            docs = await self._collections.find({"tenant": tenant}).to_list()
        found = {d["name"]: Collection(tenant, d["name"], tuple(d.get("channels", ()))) for d in docs}
        main = found.pop(MAIN, Collection(tenant, MAIN))
        return [main, *sorted(found.values(), key=lambda c: c.name)]

    async def set_collection(self, collection: Collection, new: bool | None = None) -> None:
        """Write a collection; with `new` it must not be there (Conflict), with `new=False` it must (NotFound). Raises Invalid
        for a bad name, and for channels that are not the tenant's."""
        name, tenant = collection.name, collection.tenant
        if not 1 <= len(name) <= MAX_NAME or name != " ".join(name.split()) or not name.isprintable():
            raise Invalid("name", f"1 to {MAX_NAME} characters, without spaces at the ends")
        there = {c.name for c in await self.collections(tenant)}
        if new and name in there:
            raise Conflict(f"there is a collection {name} already")
        if new is False and name not in there:
            raise NotFound(f"no collection {name}")
        if len(there) >= MAX_COLLECTIONS and name not in there:
            raise Invalid("name", f"at most {MAX_COLLECTIONS} collections; remove one first")
        own = {c.id for c in await self._directory.channels(tenant)}
        if wrong := [c for c in collection.channels if c not in own]:
            raise Invalid("channels", f"ids of your channels, which {wrong[0]} is not")
        place = {"_id": f"{tenant}:{name}", "tenant": tenant}
        doc = {**place, "name": name, "channels": list(dict.fromkeys(collection.channels))}
        async with guarded():
            await self._collections.replace_one(place, doc, upsert=True)
        # Which passages a channel sees is part of the knowledge.
        await self._directory.raise_knowledge(tenant)

    async def remove_collection(self, tenant: str, name: str) -> None:
        """Raises NotFound, and Conflict for one that holds documents or is `MAIN`."""
        if name == MAIN:
            raise Conflict(f"the collection {MAIN} is always there; its documents can be removed")
        if name not in {c.name for c in await self.collections(tenant)}:
            raise NotFound(f"no collection {name}")
        held = sum(d.get("collection", MAIN) == name for d in await self._all(tenant))
        if held:
            raise Conflict(
                f"the collection {name} holds {held} documents: remove them, or add them again to another collection, first"
            )
        async with guarded():
            await self._collections.delete_one({"_id": f"{tenant}:{name}", "tenant": tenant})
        await self._directory.raise_knowledge(tenant)

    async def check_collection(self, tenant: str, name: str) -> None:
        """Raises Invalid where there is no such collection."""
        if name not in (names := [c.name for c in await self.collections(tenant)]):
            raise Invalid("collection", "one of " + ", ".join(names[:20]))

    # What was left behind

    async def sweep(self) -> int:
        """Remove passages of writings that were broken off: how many generations. For all tenants."""
        async with guarded():
            notes = await self._pending.find({"at": {"$lte": self._clock() - STALE}}).limit(100).to_list()
        swept = 0
        for note in notes:
            tenant = note["tenant"]
            async with guarded():
                swept += await self._forget(tenant, note["generations"])
                await self._pending.delete_one({"_id": note["_id"], "tenant": tenant})
        return swept

    async def unlike(self, tenant: str, local: str, remote: str) -> list[Document]:
        """Documents and drafts whose vectors are of other models than these (`remote` empty: whatever they have)."""
        found = [document_from_doc(d) for d in await self._all(tenant) if not d.get("gone")]
        return [d for d in found if d.chunks and (d.local != local or (remote and d.embedded != remote))]

    async def _one(
        self, tenant: str, document: str, draft: bool = False, only_draft: bool = False
    ) -> Doc | None:
        """A document as it stands; with `draft` its draft if there is one, and `only_draft` that alone."""
        names = [_place(document, True)] if draft or only_draft else []
        names += [] if only_draft else [document]
        for name in names:
            async with guarded():
                found = await self._documents.find_one({"_id": name, "tenant": tenant})
            if found is not None:
                return found
        return None

    async def _all(self, tenant: str) -> list[Doc]:
        async with guarded():
            return await self._documents.find({"tenant": tenant}).to_list()

    async def _seen(self, tenant: str, draft: bool) -> list[Doc]:
        """The documents that are answered from, or would be after publishing."""
        docs = await self._all(tenant)
        seen = {d["_id"]: d for d in docs if not d.get("draft")}
        if draft:
            for doc in docs:
                if doc.get("draft"):
                    seen[_id(doc)] = doc
        return [d for d in seen.values() if not d.get("gone")]


def _place(document: str, draft: bool) -> str:
    return f"draft:{document}" if draft else document


def _id(doc: Doc) -> str:
    return str(doc["_id"]).removeprefix("draft:")
