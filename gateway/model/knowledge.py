"""Knowledge: what a tenant's bot answers from, and the port of the store that keeps it.

A document is one file, page or answer; its passages (chunks) are what is found and cited. Documents stand in
collections, which may be for all of a tenant's channels or for some. A source is where documents come from and are
looked for again: an upload, a web site, a pasted text. Changes can be kept as a draft until they are published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

MAIN = "main"
"""The collection of every tenant that is always there, for all of its channels."""

SourceKind = Literal["file", "site", "text"]
SourceState = Literal["waiting", "working", "ready", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents that belong together. `channels` are the ids of those it is for; none: for every one."""

    tenant: str
    name: str
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage. `headings` is the path of headings above it; `vector` is float16 bytes of the local embedder,
    normalised; `remote` is int8 bytes of a provider's (see `Document.embedded`)."""

    id: str
    document: str
    position: int
    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    vector: bytes = b""
    question: str | None = None
    """For a question-and-answer pair: the question; `text` is then the answer."""
    language: str | None = None
    """A BCP 47 tag, if it could be told."""
    remote: bytes = b""


@dataclass(frozen=True, slots=True)
class Document:
    """One file, page or answer. `checksum` is SHA-256 of its bytes; `origin` its path or address.

    `local` and `embedded` name the models that made its passages' vectors; `embedded` is empty without a provider's.
    A draft replaces the live document of the same id once it is published, and removes it then if it is `gone`.
    """

    id: str
    tenant: str
    title: str
    origin: str
    checksum: str
    chunks: int
    added: datetime
    url: str | None = None
    media_type: str = "text/plain"
    collection: str = MAIN
    source: str | None = None
    language: str | None = None
    local: str = ""
    embedded: str = ""
    draft: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class SourceError:
    """What of a source could not be read, and why: a sentence for a person."""

    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where documents come from. `address` is that of a site; `name` that of a file or text.

    `done` of `total` items were read in the last run (`total` may grow while a site is crawled); `errors` are the
    first 100 of it. `every` is when it is looked at again; `due` when it is next.
    """

    id: str
    tenant: str
    kind: SourceKind
    name: str
    created: datetime
    collection: str = MAIN
    address: str | None = None
    rev: int = 0
    state: SourceState = "waiting"
    draft: bool = False
    depth: int = 3
    pages: int = 200
    every: timedelta | None = None
    due: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    done: int = 0
    total: int = 0
    changed: int = 0
    errors: tuple[SourceError, ...] = ()
    reason: str = ""
    seen: Mapping[str, str] = field(default_factory=dict)
    """Of each page the last run's validator (ETag or Last-Modified), to ask only for what changed."""


class KnowledgeStore(Protocol):
    """A tenant's documents and passages. Implemented by gateway.store; every call is for one tenant.

    With `draft` a call sees or writes the knowledge as it would be after publishing: live documents, with drafts in
    place of those of the same id.
    """

    async def documents(self, tenant: str, draft: bool = False) -> list[Document]:
        """All documents, by title."""

    async def get(self, tenant: str, document: str, draft: bool = False) -> Document | None:
        """One document."""

    async def put(self, tenant: str, document: Document, chunks: Sequence[Chunk]) -> None:
        """Write a document with its passages in place of an earlier one with the same id, and raise the
        tenant's knowledge version, unless it is a draft."""

    async def put_all(self, tenant: str, documents: Sequence[tuple[Document, Sequence[Chunk]]]) -> None:
        """`put` for several, all of them drafts or none, with one raise of the version."""

    async def remove(self, tenant: str, document: str, draft: bool = False) -> bool:
        """Remove a document and its passages; whether it was there."""

    async def chunks(self, tenant: str, draft: bool = False) -> list[Chunk]:
        """All passages of all documents, in the order of document and position."""

    async def collections(self, tenant: str) -> list[Collection]:
        """All collections, `MAIN` first, then by name."""
