"""A web site, page by page, within one host: what robots.txt allows, so deep, so many pages, so many bytes, in so much time.

From an address that ends in `.xml` (or `.xml.gz`) it reads the sitemap and what that names, nothing else. From any other it
follows links, and takes what the site's own sitemap names for links of the first page. robots.txt is read by RFC 9309.
"""

import asyncio
import codecs
import hashlib
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp
from protego import Protego
from yarl import URL

from brain.crawl.address import Bounds, canonical, is_page, links, normal, same_site
from brain.crawl.fetch import Failed, Refusal, Reply, Size, fetch
from brain.crawl.sitemap import MAX_BYTES, MAX_SITEMAPS, is_sitemap, read_sitemap

ROBOT = "ParleyBot"
_TYPES = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
}
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w-]{2,20})", re.IGNORECASE)
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
"""What Python can decode, and no page is in: some take for ever, some raise for anything."""

MOST_WAITING = 20_000
"""Addresses that one run keeps in mind: more than it may ever read."""

_FAULTS = 5
"""Failures of the site, one after the other, that end a run."""

Pause = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Budget:
    """What one run may cost: links deep, pages, bytes in all, seconds in all, seconds between requests (more where
    robots.txt asks for it, up to `most_pause`)."""

    depth: int = 3
    pages: int = 200
    bytes: int = 200 * 1024 * 1024
    seconds: float = 3600.0
    pause: float = 0.2
    most_pause: float = 10.0
    page: Size = field(default_factory=Size)


@dataclass(frozen=True, slots=True)
class Page:
    """One address and what came of it. `data` is None where it was not read: then `reason` says why, or it is `same` as the
    last time. `name` ends so that its kind can be told."""

    url: str
    name: str = ""
    data: bytes | None = field(default=None, repr=False)
    mark: str = ""
    """How deep it lies and its validator (ETag or Last-Modified), for the next run."""
    same: bool = False
    gone: bool = False
    reason: str = ""


class Crawl:
    """One run over a site. After `pages` has ended, `whole` says whether it saw all that it may see, `failed` why it saw nothing,
    `broken` that the site gave up in the middle.

    `seen` are the addresses of the last run with their marks: they are asked for again, whether or not a link leads there, for a
    page that has not changed shows us no links.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        start: str,
        refusal: Refusal,
        budget: Budget,
        seen: Mapping[str, str] | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._session = session
        self._start = normal(URL(start), start)
        self._refusal = refusal
        self._budget = budget
        self._seen = dict(seen or {})
        self._pause = pause
        self._waiting: deque[tuple[URL, int]] = deque()
        self._known: set[str] = set()
        self._taken: set[str] = set()
        self._sums: dict[str, str] = {}
        self._bounds = Bounds()
        self._robots: Protego | None = None
        self._host = self._start or URL()
        self._cut = False
        self._left = budget.bytes
        self.total = 0
        self.whole = False
        self.failed = ""
        self.broken = False
        self.doubles: dict[str, str] = {}
        """Addresses that gave what another one had given, and which."""
        self.note = ""
        """Why it stopped before the end."""

    async def pages(self) -> AsyncIterator[Page]:
        """Each page of the site once. Never raises for what the site does."""
        if self._start is None:
            self.failed = "This is not the address of a web site."
            return
        try:
            await self._begin(self._start)
        except Failed as error:
            self.failed = str(error)
            return
        read = faults = 0
        until = asyncio.get_running_loop().time() + self._budget.seconds
        listed = is_sitemap(self._start)
        while self._waiting:
            if read >= self._budget.pages:
                self.note = f"Stopped after {read} pages, as set: there are more."
                return
            if self._left <= 0:
                self.note = f"Stopped after {self._budget.bytes / 2**20:.0f} MB: the site is larger than one run may read."
                return
            if read and asyncio.get_running_loop().time() > until:
                minutes = self._budget.seconds / 60
                self.note = (
                    f"Stopped after {minutes:.0f} minutes: the site is too slow for all of it to be read."
                )
                return
            url, depth = self._waiting.popleft()
            if read:
                await self._pause(self._between())
            read += 1
            try:
                found, more = await self._read(url, depth)
                faults = 0
            except Failed as error:
                if read == 1 and not listed:
                    self.failed = str(error)
                    return
                faults = faults + 1 if error.kind == "later" else 0
                yield Page(str(url), gone=error.kind == "gone", reason=str(error))
                if faults >= _FAULTS:
                    self.broken, self.note = True, "Stopped: the site had fault after fault."
                    return
                continue
            if found is not None:
                yield found
            if not listed and depth < self._budget.depth:
                await asyncio.to_thread(self._add_all, more, depth + 1)
        self.whole = not self._cut

    async def _begin(self, start: URL) -> None:
        await self._read_robots(start)
        if not self._allowed(start):
            raise Failed("refused", "The site's robots.txt does not let us read this address.")
        if is_sitemap(start):
            await asyncio.to_thread(self._add_all, await self._sitemaps([start], strict=True), 0)
            if not self._waiting:
                raise Failed("wrong", "The sitemap names no page of this site that may be read.")
        else:
            self._add(start, 0)
            await self._from_sitemap(start)
        for address, mark in self._seen.items():
            if (url := normal(start, address)) is not None:
                self._add(url, _depth(mark))

    async def _from_sitemap(self, start: URL) -> None:
        """What the site's own sitemap names; a site needs none."""
        if self._budget.depth < 1:
            return
        told = [normal(start, address) for address in (self._robots.sitemaps if self._robots else ())]
        wanted = [url for url in told if url is not None and same_site(url, start)]
        found = await self._sitemaps(
            wanted or [start.with_path("/sitemap.xml").with_query(None)], strict=False
        )
        await asyncio.to_thread(self._add_all, found, 1)

    async def _sitemaps(self, wanted: list[URL], strict: bool) -> list[URL]:
        out: list[URL] = []
        asked: set[URL] = set()
        while wanted and len(asked) < MAX_SITEMAPS and len(out) < MOST_WAITING and self._left > 0:
            url = wanted.pop(0)
            if url in asked or not same_site(url, self._host):
                continue
            asked.add(url)
            try:
                reply = await self._fetch(url, Size(MAX_BYTES, self._budget.page.seconds))
                index, found = await asyncio.to_thread(read_sitemap, reply.url, reply.body)
            except Failed:
                if strict and len(asked) == 1:
                    raise
                continue
            if index:
                wanted += found
            else:
                out += found
        return out

    async def _read_robots(self, start: URL) -> None:
        url = start.with_path("/robots.txt").with_query(None)
        try:
            reply = await fetch(
                self._session, url, self._refusal, Size(512 * 1024, self._budget.page.seconds)
            )
        except Failed as error:
            if error.kind == "later":
                # RFC 9309, 2.3.1.4: a site whose rules can't be had is not read.
                raise Failed("later", f"The site's robots.txt can't be read: {error}") from None
            if error.kind == "refused" and self._refusal(start):
                raise
            self._robots = None
            return
        self._robots = Protego.parse(reply.body.decode("utf-8", "replace"))

    def _allowed(self, url: URL) -> bool:
        return self._robots is None or self._robots.can_fetch(str(url), ROBOT)

    def _follows(self, to: URL) -> str | None:
        if not same_site(to, self._host):
            return "The page leads to another site."
        return (
            None
            if self._allowed(to)
            else "The page leads to one that the site's robots.txt does not let us read."
        )

    def _between(self) -> float:
        asked = (self._robots.crawl_delay(ROBOT) if self._robots else None) or 0.0
        return min(max(self._budget.pause, float(asked)), max(self._budget.most_pause, self._budget.pause))

    def _add_all(self, found: Iterable[URL], depth: int) -> None:
        for url in found:
            self._add(url, depth)

    def _add(self, url: URL, depth: int) -> None:
        if len(self._known) >= MOST_WAITING:
            self._cut = True
            return
        if str(url) in self._known or not same_site(url, self._host) or not is_page(url):
            return
        if not self._bounds.takes(url) or not self._allowed(url):
            return
        self._known.add(str(url))
        self._waiting.append((url, depth))
        self.total += 1

    async def _fetch(self, url: URL, size: Size, validator: str = "") -> Reply:
        try:
            reply = await fetch(self._session, url, self._refusal, size, validator, self._follows)
        except Failed as error:
            self._left -= error.read
            raise
        self._left -= len(reply.body)
        return reply

    async def _read(self, url: URL, depth: int) -> tuple[Page | None, list[URL]]:
        """The page, None where it is another one's double, and its links. Raises Failed."""
        mark = self._seen.get(str(url), "")
        reply = await self._fetch(url, self._budget.page, mark.partition(" ")[2])
        if not reply.fresh:
            if str(url) in self._taken:
                return None, []
            self._taken.add(str(url))
            return Page(str(url), same=True, mark=mark), []
        at = normal(reply.url, str(reply.url)) or reply.url
        self._known.add(str(at))
        kind = "pdf" if reply.body.startswith(b"%PDF-") else _TYPES.get(reply.type)
        if kind is None:
            raise Failed(
                "wrong", f"This is neither a page, a PDF nor text ({reply.type or 'no type given'})."
            )
        body, text, more = reply.body, "", list[URL]()
        if kind != "pdf":
            body = await asyncio.to_thread(_utf8, reply)
        if kind == "html":
            text = body.decode("utf-8", "replace")
            own = await asyncio.to_thread(canonical, at, text)
            more = await asyncio.to_thread(lambda: list(links(at, text)))
            if own is not None and self._allowed(own):
                at = own
                self._known.add(str(own))
        checksum = hashlib.sha256(body).hexdigest()
        first = str(at) if str(at) in self._taken else self._sums.setdefault(checksum, str(at))
        if first != str(at) or first in self._taken:
            self.doubles[str(url)] = first
            return None, []
        self._taken.add(str(at))
        return Page(str(at), f"page.{kind}", body, f"{depth} {reply.validator}"), more


def _depth(mark: str) -> int:
    depth = mark.partition(" ")[0]
    return int(depth) if depth.isdecimal() else 0


def _utf8(reply: Reply) -> bytes:
    """The body in UTF-8, by what the site or the page says that it is in."""
    told = _CHARSET.search(reply.body[:4096]) if reply.type != "text/plain" else None
    charset = reply.charset or (told[1].decode("ascii", "replace") if told else None)
    if charset is None or charset.lower() in ("utf-8", "utf8", "ascii", "us-ascii"):
        return reply.body
    try:
        if codecs.lookup(charset).name in _NO_CHARSETS:
            return reply.body
        return reply.body.decode(charset, "replace").encode("utf-8", "replace")
    except (LookupError, ValueError):
        return reply.body
