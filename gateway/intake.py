"""What a person gives the bot to know: files, texts, web sites. Each becomes a source; `gateway.learn` reads it."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import PurePath
from typing import Final

from yarl import URL

from brain.crawl.address import normal
from brain.parse import MAX_TEXT, Refused, kind_of
from brain.parse.encoding import clean, one_line
from brain.sandbox import Limits
from gateway.model.errors import Conflict, Invalid
from gateway.model.knowledge import MAIN, Source, SourceKind
from gateway.model.ports import Clock
from gateway.ops.egress import Egress
from gateway.store import Store

MOST_PAGES: Final = 5000
MOST_DEPTH: Final = 10
LEAST_EVERY: Final = timedelta(hours=1)
MOST_EVERY: Final = timedelta(days=365)
MOST_NAME: Final = 200
MOST_TITLE: Final = 120


class Intake:
    """`egress` tells which addresses may be read at all."""

    def __init__(self, store: Store, clock: Clock, egress: Egress) -> None:
        self._store = store
        self._clock = clock
        self._egress = egress

    async def file(
        self,
        tenant: str,
        name: str,
        content: AsyncIterator[bytes],
        collection: str = MAIN,
        draft: bool = False,
    ) -> Source:
        """Take an upload. One of the same name is replaced once this one was read. Raises Invalid (naming the field) for a
        kind that can't be read, one that is empty or too large, and a collection that is not there."""
        name = PurePath(one_line(clean(name)).replace("\\", "/")).name[-MOST_NAME:]
        try:
            kind_of(name)
        except Refused as refused:
            raise Invalid("name", str(refused)) from None
        source = await self._new(tenant, "file", name, name, collection, draft)
        return await self._store.sources.put(source, content, Limits().size)

    async def text(
        self, tenant: str, title: str, text: str, collection: str = MAIN, draft: bool = False
    ) -> Source:
        """Take a pasted text; one of the same title is replaced. Raises Invalid."""
        title = one_line(clean(title))
        if not 1 <= len(title) <= MOST_TITLE:
            raise Invalid("title", f"1 to {MOST_TITLE} characters")
        if not clean(text).strip() or len(text) > MAX_TEXT:
            raise Invalid("text", f"a text of 1 to {MAX_TEXT:,} characters")
        source = await self._new(tenant, "text", title, title.casefold(), collection, draft)
        return await self._store.sources.put(source, _whole(clean(text).encode()), Limits().size)

    async def site(
        self,
        tenant: str,
        address: str,
        collection: str = MAIN,
        draft: bool = False,
        depth: int = 3,
        pages: int = 200,
        every: timedelta | None = None,
    ) -> Source:
        """Take a web site, or its sitemap; the same address again changes its settings and reads it anew. Raises Invalid."""
        address = address.strip()
        if "://" not in address:
            address = "https://" + address
        try:
            url = normal(URL(address), address)
        except ValueError:
            url = None
        if url is None:
            raise Invalid("address", "the address of a web site, such as https://shop.example")
        if why := self._egress.refusal(URL(address)):
            raise Invalid("address", f"an address on the public web. {why}")
        if not 0 <= depth <= MOST_DEPTH:
            raise Invalid("depth", f"a number from 0 to {MOST_DEPTH}: how many links deep")
        if not 1 <= pages <= MOST_PAGES:
            raise Invalid("pages", f"a number from 1 to {MOST_PAGES}")
        if every is not None and not LEAST_EVERY <= every <= MOST_EVERY:
            raise Invalid("every", "a time between one hour (1h) and one year (365d)")
        source = await self._new(tenant, "site", url.host or "", str(url), collection, draft)
        made = Source(
            **{
                f: getattr(source, f)
                for f in ("id", "tenant", "kind", "name", "created", "collection", "draft")
            },
            address=str(url),
            depth=depth,
            pages=pages,
            every=every,
        )
        return await self._store.sources.put(made)

    async def forget(self, tenant: str, source: str) -> int:
        """Remove a source and all documents that came from it, drafts too: how many. Raises NotFound, and Conflict while it is
        being read."""
        found = await self._store.sources.get(tenant, source)
        if found.state == "working":
            raise Conflict(f"source {source} is being read: cancel it first")
        await self._store.sources.remove(tenant, source)
        knowledge = self._store.knowledge
        own = {
            d.id
            for draft in (False, True)
            for d in await knowledge.documents(tenant, draft)
            if d.source == source
        }
        return await knowledge.remove_all(tenant, sorted(own))

    async def _new(
        self, tenant: str, kind: SourceKind, name: str, key: str, collection: str, draft: bool
    ) -> Source:
        await self._store.knowledge.check_collection(tenant, collection)
        return Source(
            source_id(tenant, kind, key),
            tenant,
            kind,
            name,
            self._clock(),
            collection=collection,
            draft=draft,
        )


def source_id(tenant: str, kind: SourceKind, key: str) -> str:
    """The same for the same thing: `key` is a file's name, a text's title, a site's address."""
    return "s_" + hashlib.sha256(f"{tenant}\0{kind}\0{key}".encode("utf-8", "replace")).hexdigest()[:22]


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data
