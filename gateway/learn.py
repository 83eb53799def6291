"""Learning: what a process does in the background so that the bot knows what its sources say.

One source at a time in a process. How far it is is written at most once a second, and holds the claim; when the write finds
that a person has cancelled or changed the source, the work stops. A process that is killed in the middle leaves whole documents
(each is written at once, under an id of its own), and the next one starts the source again: nothing is doubled.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from loguru import logger

from brain.crawl.crawler import Budget, Crawl, Page
from brain.embed import Embedder
from brain.ingest import AddResult, Given, Into, add_files, document_id
from brain.port import RemoteOf, no_remote
from brain.vectors import Embedders, embedded
from gateway.model.answers import Question
from gateway.model.errors import NotFound
from gateway.model.knowledge import Chunk, Document, Source, SourceError
from gateway.model.ports import Clock
from gateway.ops.egress import Egress
from gateway.ops.logging import stack
from gateway.store import Store
from gateway.store.sources import MOST_ERRORS

LEASE: Final = timedelta(minutes=2)
BEAT: Final = 1.0
"""Seconds between writes of how far it is."""

SOME_PAGES: Final = 16
"""Pages that are indexed together."""

TIDY: Final = timedelta(minutes=10)
"""Between looks for what was left behind, and for local vectors of another model."""

EMBEDS: Final = timedelta(minutes=1)
"""Between looks for documents that lack a provider's vectors: until all have them, the tenant's are not used."""

LOOKED_AT: Final = 200
"""Sources that are due, the first, among which uploads are looked for."""

_EMBEDDING: Final = "reembed"


_ALL_ONE: Final = (
    "Most of the site's pages show one and the same now, so what they said before was kept. If that is how it is meant, remove "
    "the source and add it again."
)


def _all_one(there: Iterable[str], doubles: Mapping[str, str]) -> bool:
    """Whether most of the pages that we have (three at least) give one and the same page now: the site is not itself."""
    before = list(there)
    same = Counter(doubles[address] for address in before if address in doubles)
    most = max(same.values(), default=0)
    return most >= 3 and most * 2 > len(before)


@dataclass
class _Run:
    """How far one source is."""

    source: Source
    done: int = 0
    total: int = 0
    changed: int = 0
    errors: list[SourceError] = field(default_factory=list)
    state: str = "ready"
    reason: str = ""
    seen: dict[str, str] | None = None

    def take(self, results: Sequence[AddResult]) -> None:
        self.done += len(results)
        self.changed += sum(r.outcome in ("added", "replaced") for r in results)
        for result in results:
            if result.outcome == "refused":
                self.wrong(result.origin, result.reason)

    def wrong(self, origin: str, reason: str) -> None:
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(SourceError(origin, reason))

    @property
    def standing(self) -> Source:
        return replace(
            self.source,
            done=self.done,
            total=max(self.total, self.done),
            changed=self.changed,
            errors=tuple(self.errors),
        )


class Learner:
    """`remote` tells a tenant's provider of vectors. `budget` is what a site may cost besides its own depth and pages."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        clock: Clock,
        egress: Egress,
        remote: RemoteOf = no_remote,
        budget: Budget | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._clock = clock
        self._egress = egress
        self._remote = remote
        self._budget = budget or Budget()
        self._name = secrets.token_hex(8)
        self._tidied: datetime | None = None
        self._embedded: datetime | None = None

    async def look(self) -> None:
        """Read every source that is due, then tidy up now and then."""
        while taken := await self._next():
            await self._run(taken)
        now = self._clock()
        if self._tidied is None or self._embedded is None:
            # A process that starts sees to its customers first.
            self._tidied = self._embedded = now
        if now - self._tidied >= TIDY:
            self._tidied = self._embedded = now
            await self.tidy()
        elif now - self._embedded >= EMBEDS:
            self._embedded = now
            await self._embed_all(only_remote=True)

    async def uploads(self) -> None:
        """Read what people gave, but for web sites: nobody's file is to wait for another's site, which may take an hour."""
        while taken := await self._next(sites=False):
            await self._run(taken)

    async def _next(self, sites: bool = True) -> Source | None:
        """The source that is due longest, taken."""
        now = self._clock()
        for source in await self._store.sources.due(now, 20 if sites else LOOKED_AT):
            if (sites or source.kind != "site") and (
                taken := await self._store.sources.claim(source, now, now + LEASE)
            ):
                return taken
        return None

    async def read(self, source: Source) -> bool:
        """Read this source now; False if somebody else is faster."""
        now = self._clock()
        taken = await self._store.sources.claim(source, now, now + LEASE)
        if taken is not None:
            await self._run(taken)
        return taken is not None

    async def tidy(self) -> None:
        """Remove what killed processes left, and make vectors of the models that are in use now."""
        await self._store.sources.sweep()
        await self._store.knowledge.sweep()
        await self._embed_all(only_remote=False)

    async def _embed_all(self, only_remote: bool) -> None:
        """One process at a time sees to all tenants, or to those with a provider of vectors."""
        now = self._clock()
        if not await self._store.leases.hold(_EMBEDDING, self._name, now, now + TIDY):
            return
        for tenant in await self._store.directory.tenants():
            if not only_remote or (await self._embedders(tenant.id)).remote is not None:
                await self.reembed(tenant.id)

    async def _run(self, source: Source) -> None:
        await self._work(source)
        try:
            await self._store.sources.get(source.tenant, source.id)
        except NotFound:
            # It was removed meanwhile: what was written after that goes, too.
            own = [*await self._own(source), *await self._own(replace(source, draft=not source.draft))]
            await self._store.knowledge.remove_all(
                source.tenant, sorted({document_id(source.tenant, o) for o in own})
            )

    async def _work(self, source: Source) -> None:
        run = _Run(source)
        work = asyncio.create_task(self._learn(run), name=f"source {source.id}")
        try:
            while not (await asyncio.wait({work}, timeout=BEAT))[0]:
                # A write of every second holds the claim, too.
                if not await self._store.sources.going_on(run.standing, self._clock() + LEASE):
                    return
            try:
                work.result()
            except Exception as error:
                logger.error("source {} could not be read: {}", source.id, stack(error))
                run.state, run.reason = "failed", "Something went wrong on our side. Try again."
            await self._store.sources.end(run.standing, run.state, run.reason, run.seen)
        except asyncio.CancelledError:
            await self._store.sources.give_back(source, self._clock())
            raise
        finally:
            work.cancel()
            await asyncio.wait({work})

    async def _learn(self, run: _Run) -> None:
        if run.source.kind == "site":
            await self._site(run)
        else:
            await self._upload(run)

    async def _embedders(self, tenant: str) -> Embedders:
        return Embedders(self._embedder, (await self._remote(Question(tenant, ""))).embedder)

    async def _add(self, run: _Run, given: Sequence[Given]) -> list[AddResult]:
        s = run.source
        into = Into(s.tenant, s.collection, s.draft, s.id)
        embedders = await self._embedders(s.tenant)
        return await add_files(self._store.knowledge, embedders, into, given, self._clock())

    async def _upload(self, run: _Run) -> None:
        source = run.source
        run.total = 1
        data = await self._store.sources.read(source)
        if data is None:
            run.state, run.reason = "failed", "The upload's bytes are gone. Upload it again."
            return
        given = Given(source.name, data)
        if source.kind == "text":
            given = Given(f"text:{source.name.casefold()}", data, "pasted.txt", title=source.name)
        results = await self._add(run, [given])
        run.take(results)
        if results[0].outcome == "refused":
            run.state, run.reason = "failed", results[0].reason

    # Sites

    async def _site(self, run: _Run) -> None:
        source = run.source
        there = await self._own(source)
        # A page is only asked "changed since?" if we still have what it said.
        seen = {address: mark for address, mark in source.seen.items() if address in there}
        budget = replace(self._budget, depth=source.depth, pages=source.pages)
        marks: dict[str, str] = {}
        gone: set[str] = set()
        kept: set[str] = set()
        async with self._egress.session() as session:
            crawl = Crawl(session, source.address or "", self._egress.refusal, budget, seen)
            waiting: list[Page] = []
            async for page in crawl.pages():
                run.total = min(max(crawl.total, run.total), source.pages)
                if page.gone:
                    gone.add(page.url)
                else:
                    kept.add(page.url)
                if page.data is not None:
                    waiting.append(page)
                elif page.same:
                    marks[page.url] = page.mark
                    run.done += 1
                else:
                    run.done += 1
                    run.wrong(page.url, page.reason)
                    if page.url in seen and not page.gone:
                        marks[page.url] = seen[page.url]
                if len(waiting) >= SOME_PAGES:
                    await self._pages(run, waiting, marks)
                    waiting = []
            await self._pages(run, waiting, marks)
        if crawl.failed:
            # The site may be back tomorrow: what it said stays.
            run.state, run.reason, run.seen = "failed", crawl.failed, dict(source.seen)
            return
        lost = [o for o in there if o in gone or (crawl.whole and o not in kept)]
        run.total, run.reason, run.seen = run.done, crawl.note, marks
        if _all_one(there, crawl.doubles):
            # "We are back soon", or an error that says that all is well: asked for again the next time.
            run.reason, run.seen = _ALL_ONE, {**seen, **marks}
        elif not crawl.broken:
            ids = [there[origin].id for origin in lost]
            run.changed += await self._store.knowledge.remove_all(source.tenant, ids, source.draft)

    async def _pages(self, run: _Run, pages: Sequence[Page], marks: dict[str, str]) -> None:
        if not pages:
            return
        given = [Given(p.url, p.data or b"", p.name, url=p.url) for p in pages]
        results = await self._add(run, given)
        for page, result in zip(pages, results, strict=True):
            if result.outcome != "refused":
                marks[page.url] = page.mark
        run.take(results)

    async def _own(self, source: Source) -> dict[str, Document]:
        found = await self._store.knowledge.documents(source.tenant, source.draft)
        return {d.origin: d for d in found if d.source == source.id}

    # Vectors

    async def reembed(self, tenant: str) -> int:
        """Make the vectors again of documents that have those of another model, one document after the other, each
        replaced at once: how many. A provider that fails is asked again another time."""
        embedders = await self._embedders(tenant)
        remote = embedders.remote.model if embedders.remote else ""
        done = 0
        for document in await self._store.knowledge.unlike(tenant, embedders.local.model, remote):

            async def make(d: Document, chunks: Sequence[Chunk]) -> tuple[Document, Sequence[Chunk]] | None:
                ((made, own),) = await embedded([(d, chunks)], embedders)
                better = made.local != d.local or made.embedded
                return (made, own) if better else None

            if await self._store.knowledge.revectored(tenant, document, make):
                done += 1
            elif remote:
                break  # the provider is away, or the document changed: there is another time
        return done
