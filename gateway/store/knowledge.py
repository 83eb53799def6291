"""Documents and their passages. A document's passages are written as a new generation, then the document points
to it, then the old generation goes: readers never see half a document.

A draft is a document beside the live one, under an id of its own, with passages of its own. Publishing makes it the live
one and raises the knowledge version once for all of them.
"""

import secrets
from collections.abc import Sequence

from gateway.model.knowledge import MAIN, Chunk, Collection, Document
from gateway.store.database import Database, guarded
from gateway.store.directory import Directory
from gateway.store.docs import Doc
from gateway.store.knowledge_docs import chunk_from_doc, chunk_to_doc, document_from_doc, document_to_doc

BATCH = 200


class Knowledge:
    """Implements `gateway.model.knowledge.KnowledgeStore`."""

    def __init__(self, db: Database, directory: Directory) -> None:
        self._documents = db["documents"]
        self._chunks = db["chunks"]
        self._collections = db["collections"]
        self._directory = directory

    async def documents(self, tenant: str, draft: bool = False) -> list[Document]:
        found = [document_from_doc(d) for d in await self._seen(tenant, draft)]
        return sorted(found, key=lambda d: (d.title, d.id))

    async def drafts(self, tenant: str) -> list[Document]:
        """What publishing would change, by title."""
        async with guarded():
            docs = await self._documents.find({"tenant": tenant}).to_list()
        return sorted((document_from_doc(d) for d in docs if d.get("draft")), key=lambda d: (d.title, d.id))

    async def put(self, tenant: str, document: Document, chunks: Sequence[Chunk]) -> None:
        if document.tenant != tenant:
            raise ValueError("a document of another tenant")
        generation = f"{document.id}.{secrets.token_hex(6)}"
        docs = [chunk_to_doc(c, tenant, generation) for c in chunks]
        place = {"_id": _place(document.id, document.draft), "tenant": tenant}
        async with guarded():
            for start in range(0, len(docs), BATCH):
                await self._chunks.insert_many(docs[start : start + BATCH], ordered=False)
            old = await self._documents.find_one(place, {"generation": 1})
            await self._documents.replace_one(
                place, {**document_to_doc(document), **place, "generation": generation}, upsert=True
            )
            if not document.draft:
                await self._directory.raise_knowledge(tenant)
            if old:
                await self._chunks.delete_many({"tenant": tenant, "generation": old["generation"]})

    async def remove(self, tenant: str, document: str, draft: bool = False) -> bool:
        place = {"_id": _place(document, draft), "tenant": tenant}
        async with guarded():
            old = await self._documents.find_one(place, {"generation": 1})
            if old is None:
                return False
            await self._documents.delete_one(place)
            if not draft:
                await self._directory.raise_knowledge(tenant)
            await self._chunks.delete_many({"tenant": tenant, "generation": old["generation"]})
        return True

    async def chunks(self, tenant: str, draft: bool = False) -> list[Chunk]:
        docs: list[Doc] = []
        for document in await self._seen(tenant, draft):
            async with guarded():
                docs += await self._chunks.find(
                    {"tenant": tenant, "generation": document["generation"]}
                ).to_list()
        return sorted((chunk_from_doc(d) for d in docs), key=lambda c: (c.document, c.position))

    async def collections(self, tenant: str) -> list[Collection]:
        async with guarded():
            docs = await self._collections.find({"tenant": tenant}).to_list()
        found = {d["name"]: Collection(tenant, d["name"], tuple(d.get("channels", ()))) for d in docs}
        main = found.pop(MAIN, Collection(tenant, MAIN))
        return [main, *sorted(found.values(), key=lambda c: c.name)]

    async def _seen(self, tenant: str, draft: bool) -> list[Doc]:
        """The documents that are answered from, or would be after publishing."""
        async with guarded():
            docs = await self._documents.find({"tenant": tenant}).to_list()
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
