"""A knowledge store in memory: for measuring and for tests."""

from collections.abc import Sequence

from gateway.model.knowledge import MAIN, Chunk, Collection, Document


class MemoryKnowledge:
    """Implements `gateway.model.ports.KnowledgeStore`. `version` is the tenant's knowledge version."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, tuple[Document, tuple[Chunk, ...]]]] = {}
        self._versions: dict[str, int] = {}

    def version(self, tenant: str) -> int:
        return self._versions.get(tenant, 0)

    async def documents(self, tenant: str, draft: bool = False) -> list[Document]:
        kept = self._kept.get(tenant, {}).values()
        return sorted((document for document, _ in kept), key=lambda document: document.title)

    async def get(self, tenant: str, document: str, draft: bool = False) -> Document | None:
        found = self._kept.get(tenant, {}).get(document)
        return found[0] if found else None

    async def put_all(self, tenant: str, documents: Sequence[tuple[Document, Sequence[Chunk]]]) -> None:
        for document, chunks in documents:
            self._kept.setdefault(tenant, {})[document.id] = (document, tuple(chunks))
        self._raise(tenant)

    async def put(self, tenant: str, document: Document, chunks: Sequence[Chunk]) -> None:
        self._kept.setdefault(tenant, {})[document.id] = (document, tuple(chunks))
        self._raise(tenant)

    async def remove(self, tenant: str, document: str, draft: bool = False) -> bool:
        there = self._kept.get(tenant, {}).pop(document, None) is not None
        if there:
            self._raise(tenant)
        return there

    async def chunks(self, tenant: str, draft: bool = False) -> list[Chunk]:
        kept = self._kept.get(tenant, {})
        return [chunk for own in sorted(kept) for chunk in kept[own][1]]

    async def collections(self, tenant: str) -> list[Collection]:
        return [Collection(tenant, MAIN)]

    def _raise(self, tenant: str) -> None:
        self._versions[tenant] = self.version(tenant) + 1
