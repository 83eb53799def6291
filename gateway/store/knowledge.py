"""Documents and their passages. A document's passages are written as a new generation, then the document points
to it, then the old generation goes: readers never see half a document."""

import secrets
from collections.abc import Sequence

from gateway.model.ports import Chunk, Document
from gateway.store.codec import chunk_from_doc, chunk_to_doc, document_from_doc, document_to_doc
from gateway.store.database import Database, guarded
from gateway.store.directory import Directory

BATCH = 200


class Knowledge:
    """Implements `gateway.model.ports.KnowledgeStore`."""

    def __init__(self, db: Database, directory: Directory) -> None:
        self._documents = db["documents"]
        self._chunks = db["chunks"]
        self._directory = directory

    async def documents(self, tenant: str) -> list[Document]:
        async with guarded():
            docs = await self._documents.find({"tenant": tenant}).to_list()
        return sorted((document_from_doc(d) for d in docs), key=lambda d: (d.title, d.id))

    async def put(self, tenant: str, document: Document, chunks: Sequence[Chunk]) -> None:
        if document.tenant != tenant:
            raise ValueError("a document of another tenant")
        generation = f"{document.id}.{secrets.token_hex(6)}"
        docs = [chunk_to_doc(c, tenant, generation) for c in chunks]
        async with guarded():
            for start in range(0, len(docs), BATCH):
                await self._chunks.insert_many(docs[start : start + BATCH], ordered=False)
            old = await self._documents.find_one({"_id": document.id, "tenant": tenant}, {"generation": 1})
            await self._documents.replace_one(
                {"_id": document.id, "tenant": tenant},
                {**document_to_doc(document), "generation": generation},
                upsert=True,
            )
            await self._directory.raise_knowledge(tenant)
            if old:
                await self._chunks.delete_many({"tenant": tenant, "generation": old["generation"]})

    async def remove(self, tenant: str, document: str) -> bool:
        async with guarded():
            old = await self._documents.find_one({"_id": document, "tenant": tenant}, {"generation": 1})
            if old is None:
                return False
            await self._documents.delete_one({"_id": document, "tenant": tenant})
            await self._directory.raise_knowledge(tenant)
            await self._chunks.delete_many({"tenant": tenant, "generation": old["generation"]})
        return True

    async def chunks(self, tenant: str) -> list[Chunk]:
        async with guarded():
            documents = await self._documents.find({"tenant": tenant}, {"generation": 1}).to_list()
            docs = []
            for document in documents:
                docs += await self._chunks.find(
                    {"tenant": tenant, "generation": document["generation"]}
                ).to_list()
        return sorted((chunk_from_doc(d) for d in docs), key=lambda c: (c.document, c.position))
