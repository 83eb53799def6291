"""Knowledge over the API: documents, where they come from, collections, and drafts."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from brain.embed import Embedder
from brain.ingest import MAX_ANSWER, MAX_QUESTION, add_answer
from gateway.api.openapi import Operation
from gateway.api.shapes import Shape
from gateway.intake import MOST_DEPTH, MOST_PAGES, MOST_TITLE, Intake
from gateway.model.errors import NotFound
from gateway.model.knowledge import MAIN, Chunk, Collection, Document, Source
from gateway.model.ports import Clock
from gateway.store import Store

CollectionName = Annotated[str, Field(max_length=60, description="A collection's name")]
Draft = Annotated[bool, Field(description="Keep it as a draft until it is published")]


class DocumentShape(Shape):
    id: str
    title: str
    origin: Annotated[str, Field(description="The file's path or name, or the page's address")]
    chunks: Annotated[int, Field(description="How many passages it has")]
    added: datetime
    url: str | None
    media_type: str
    collection: str
    source: str | None
    language: str | None
    draft: bool
    gone: Annotated[bool, Field(description="A draft that removes the document when it is published")]

    @classmethod
    def of(cls, d: Document) -> "DocumentShape":
        return cls(**{f: getattr(d, f) for f in cls.model_fields})


class PassageShape(Shape):
    id: str
    text: str
    headings: list[str]
    page: int | None
    question: str | None
    language: str | None

    @classmethod
    def of(cls, c: Chunk) -> "PassageShape":
        values = {f: getattr(c, f) for f in cls.model_fields}
        return cls(**{**values, "headings": list(c.headings)})


class DocumentPage(Shape):
    items: list[DocumentShape]
    next: str | None


class DocumentWhole(DocumentShape):
    passages: list[PassageShape]


class DocumentQuery(Shape):
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    after: Annotated[str | None, Field(max_length=200, description="`next` of the page before")] = None
    collection: CollectionName | None = None
    drafts: Annotated[bool, Field(description="Only what publishing would change")] = False


class DraftQuery(Shape):
    draft: Annotated[bool, Field(description="The document as it would be after publishing")] = False


class ErrorShape(Shape):
    origin: str
    reason: str


class SourceShape(Shape):
    id: str
    kind: str
    name: str
    address: str | None
    collection: str
    draft: bool
    state: Annotated[str, Field(description="waiting, working, ready, failed or cancelled")]
    reason: str
    done: int
    total: int
    changed: int
    errors: list[ErrorShape]
    depth: int
    pages: int
    every: Annotated[int | None, Field(description="Seconds between looks")]
    due: datetime | None
    created: datetime
    started: datetime | None
    ended: datetime | None

    @classmethod
    def of(cls, s: Source) -> "SourceShape":
        values = {f: getattr(s, f) for f in cls.model_fields}
        values["every"] = int(s.every.total_seconds()) if s.every is not None else None
        values["errors"] = [ErrorShape(origin=e.origin, reason=e.reason) for e in s.errors]
        # While it is worked on, the time is that of the claim.
        values["due"] = None if s.state == "working" else s.due
        return cls(**values)


class SourceList(Shape):
    items: list[SourceShape]


class FileQuery(Shape):
    name: Annotated[
        str, Field(min_length=1, max_length=1024, description="The file's name; its ending tells its kind")
    ]
    collection: CollectionName = MAIN
    draft: Draft = False


class TextBody(Shape):
    title: Annotated[str, Field(max_length=MOST_TITLE)]
    text: str
    collection: CollectionName = MAIN
    draft: Draft = False


class SiteBody(Shape):
    address: Annotated[
        str, Field(max_length=1000, description="The site's address, or that of its sitemap (.xml)")
    ]
    collection: CollectionName = MAIN
    draft: Draft = False
    depth: Annotated[int, Field(description=f"How many links deep, 0 to {MOST_DEPTH}")] = 3
    pages: Annotated[int, Field(description=f"At most this many, up to {MOST_PAGES}")] = 200
    every: Annotated[
        int | None,
        Field(ge=0, le=10**9, description="Seconds between looks: an hour at least; null: only now"),
    ] = None


class AnswerBody(Shape):
    question: Annotated[str, Field(max_length=MAX_QUESTION)]
    answer: Annotated[str, Field(max_length=MAX_ANSWER)]
    collection: CollectionName = MAIN
    draft: Draft = False


class CollectionShape(Shape):
    name: CollectionName
    channels: Annotated[
        list[str],
        Field(max_length=200, default_factory=list, description="Ids of the channels it is for; none: all"),
    ]

    @classmethod
    def of(cls, c: Collection) -> "CollectionShape":
        return cls(name=c.name, channels=list(c.channels))


class ChannelsBody(Shape):
    channels: Annotated[list[str], Field(max_length=200)]


class CollectionList(Shape):
    items: list[CollectionShape]


class CountShape(Shape):
    documents: int


class KnowledgeOperations:
    def __init__(self, store: Store, intake: Intake, embedder: Embedder, clock: Clock) -> None:
        self._store = store
        self._intake = intake
        self._embedder = embedder
        self._clock = clock
        tag, source, collection = "knowledge", "/sources/{source}", "/collections/{collection}"
        self.operations = (
            Operation(
                "GET", "/documents", "The bot's documents", self.list_documents, DocumentPage, query=DocumentQuery, tag=tag
            ),
            Operation(
                "POST", "/documents/answer", "Add an answer", self.create_answer, DocumentShape, body=AnswerBody, tag=tag
            ),
            Operation(
                "GET", "/documents/{document}", "One document", self.get_document, DocumentWhole, query=DraftQuery, tag=tag
            ),
            Operation(
                "DELETE", "/documents/{document}", "Remove a document", self.delete_document, None, query=DraftQuery, tag=tag
            ),
            Operation("GET", "/sources", "Where documents come from", self.list_sources, SourceList, tag=tag),
            Operation(
                "POST", "/sources/file", "Upload a file", self.upload_document, SourceShape, query=FileQuery, tag=tag,
                upload=True,
            ),
            Operation("POST", "/sources/text", "Add a text", self.create_text, SourceShape, body=TextBody, tag=tag),
            Operation("POST", "/sources/site", "Add a web site", self.create_site, SourceShape, body=SiteBody, tag=tag),
            Operation("GET", source, "One source", self.get_source, SourceShape, tag=tag),
            Operation("POST", source + "/cancel", "Stop reading it", self.cancel_source, SourceShape, tag=tag),
            Operation("POST", source + "/again", "Read it again now", self.repeat_source, SourceShape, tag=tag),
            Operation("DELETE", source, "Remove it with its documents", self.delete_source, CountShape, tag=tag),
            Operation("GET", "/collections", "Collections", self.list_collections, CollectionList, tag=tag),
            Operation(
                "POST", "/collections", "Add a collection", self.create_collection, CollectionShape, body=CollectionShape,
                tag=tag,
            ),
            Operation(
                "PUT", collection, "Whom a collection is for", self.change_collection, CollectionShape, body=ChannelsBody,
                tag=tag,
            ),
            Operation("DELETE", collection, "Remove an empty collection", self.delete_collection, None, tag=tag),
            Operation("POST", "/drafts/publish", "Make all drafts live", self.publish_drafts, CountShape, tag=tag),
            Operation("POST", "/drafts/discard", "Put all drafts away", self.discard_drafts, CountShape, tag=tag),
        )  # fmt: skip

    async def list_documents(self, tenant: str, query: DocumentQuery) -> DocumentPage:
        """What the bot answers from, by id; with `drafts`, what publishing would change."""
        knowledge = self._store.knowledge
        found = await (knowledge.drafts(tenant) if query.drafts else knowledge.documents(tenant))
        if query.collection is not None:
            await knowledge.check_collection(tenant, query.collection)
            found = [d for d in found if d.collection == query.collection]
        found = sorted((d for d in found if query.after is None or d.id > query.after), key=lambda d: d.id)
        page = found[: query.limit]
        return DocumentPage(
            items=[DocumentShape.of(d) for d in page], next=page[-1].id if len(found) > len(page) else None
        )

    async def get_document(self, tenant: str, document: str, query: DraftQuery) -> DocumentWhole:
        """One document with its passages: what can be found and cited."""
        found = await self._store.knowledge.get(tenant, document, query.draft)
        if found is None:
            raise NotFound(document)
        passages = await self._store.knowledge.passages(tenant, document, query.draft)
        shape = DocumentShape.of(found).model_dump()
        return DocumentWhole(**shape, passages=[PassageShape.of(p) for p in passages])

    async def delete_document(self, tenant: str, document: str, query: DraftQuery) -> None:
        """Remove a document, its passages and their vectors; with `draft`, when the drafts are published."""
        if not await self._store.knowledge.remove(tenant, document, query.draft):
            raise NotFound(document)

    async def create_answer(self, tenant: str, body: AnswerBody) -> DocumentShape:
        """Add a person's answer to a question; a second one to the same question replaces the first."""
        await self._store.knowledge.check_collection(tenant, body.collection)
        added = await add_answer(
            self._store.knowledge, self._embedder, tenant, body.question, body.answer, self._clock(),
            collection=body.collection, draft=body.draft,
        )  # fmt: skip
        found = await self._store.knowledge.get(tenant, added.document or "", body.draft)
        if found is None:
            raise NotFound(added.document or "")
        return DocumentShape.of(found)

    async def list_sources(self, tenant: str) -> SourceList:
        """Uploads, texts and web sites, the latest first, with how far they are read."""
        return SourceList(items=[SourceShape.of(s) for s in await self._store.sources.all(tenant)])

    async def get_source(self, tenant: str, source: str) -> SourceShape:
        """One source: ask again until its state is `ready` or `failed`."""
        return SourceShape.of(await self._store.sources.get(tenant, source))

    async def upload_document(
        self, tenant: str, query: FileQuery, chunks: AsyncIterator[bytes]
    ) -> SourceShape:
        """Upload a document of at most 20 MB, as the body itself. It is read in the background; one of the same name is
        replaced then. A file that can't be read ends as `failed`, with the reason."""
        made = await self._intake.file(tenant, query.name, chunks, query.collection, query.draft)
        return SourceShape.of(made)

    async def create_text(self, tenant: str, body: TextBody) -> SourceShape:
        """Add a text under a title; one of the same title is replaced."""
        return SourceShape.of(
            await self._intake.text(tenant, body.title, body.text, body.collection, body.draft)
        )

    async def create_site(self, tenant: str, body: SiteBody) -> SourceShape:
        """Have a web site read, now and then `every` so often. Only what robots.txt allows, within one host."""
        every = timedelta(seconds=body.every) if body.every is not None else None
        return SourceShape.of(
            await self._intake.site(
                tenant, body.address, body.collection, body.draft, body.depth, body.pages, every
            )
        )

    async def cancel_source(self, tenant: str, source: str) -> SourceShape:
        """Stop reading it, and do not look again by itself. What was read stays."""
        return SourceShape.of(await self._store.sources.cancel(tenant, source))

    async def repeat_source(self, tenant: str, source: str) -> SourceShape:
        """Read a web site again now."""
        return SourceShape.of(await self._store.sources.again(tenant, source))

    async def delete_source(self, tenant: str, source: str) -> CountShape:
        """Remove a source and every document that came from it."""
        return CountShape(documents=await self._intake.forget(tenant, source))

    async def list_collections(self, tenant: str) -> CollectionList:
        """Collections: documents that belong together, for all channels or for some."""
        found = await self._store.knowledge.collections(tenant)
        return CollectionList(items=[CollectionShape.of(c) for c in found])

    async def create_collection(self, tenant: str, body: CollectionShape) -> CollectionShape:
        """Add a collection."""
        made = Collection(tenant, body.name, tuple(body.channels))
        await self._store.knowledge.set_collection(made, new=True)
        return CollectionShape.of(made)

    async def change_collection(self, tenant: str, collection: str, body: ChannelsBody) -> CollectionShape:
        """Say which channels a collection is for; none: every one."""
        made = Collection(tenant, collection, tuple(body.channels))
        if collection != MAIN:
            await self._store.knowledge.set_collection(made, new=False)
        else:
            await self._store.knowledge.set_collection(made)
        return CollectionShape.of(made)

    async def delete_collection(self, tenant: str, collection: str) -> None:
        """Remove a collection; refused (409) while it holds documents."""
        await self._store.knowledge.remove_collection(tenant, collection)

    async def publish_drafts(self, tenant: str) -> CountShape:
        """Make every draft live at once: how many documents."""
        return CountShape(documents=await self._store.knowledge.publish(tenant))

    async def discard_drafts(self, tenant: str) -> CountShape:
        """Put every draft away: how many documents."""
        return CountShape(documents=await self._store.knowledge.discard(tenant))
