"""A web site as it is read: what is asked for, what is taken, and how each odd page ends."""

import gzip
import tracemalloc
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from brain.crawl.address import Bounds, canonical, links, normal
from brain.crawl.crawler import Budget, Crawl, Page
from brain.crawl.fetch import Size
from tests.brain.make_pdf import pdf
from tests.knowledge.conftest import FAST, open_egress
from tests.knowledge.site import HTML, Given, WebSite


class Run:
    """One crawl: what it gave, by path."""

    def __init__(self, site: WebSite) -> None:
        self.site = site
        self.pauses: list[float] = []
        self.pages: list[Page] = []

    async def __call__(
        self, path: str = "/", budget: Budget = FAST, seen: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The reason of each page, or `read` or `same`."""
        egress = open_egress()

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)

        async with egress.session() as session:
            self.crawl = Crawl(session, self.site.url + path, egress.refusal, budget, seen, pause)
            self.pages = [page async for page in self.crawl.pages()]
        return {
            p.url.removeprefix(self.site.url): p.reason or ("same" if p.same else "read") for p in self.pages
        }

    def named(self, path: str) -> Page:
        return next(p for p in self.pages if p.url == self.site.url + path)


@pytest.fixture
def run(site: WebSite) -> Run:
    return Run(site)


async def test_pages_of_the_host_are_read_once_to_the_depth(site: WebSite, run: Run) -> None:
    site.page(
        "/",
        "Home",
        "a",
        "/one",
        "/one#part",
        "one?utm_source=x",
        "https://elsewhere.example/",
        "mailto:a@b.c",
    )
    site.page("/one", "One", "b", "/", "/two", "logo.png", "javascript:void(0)")
    site.page("/two", "Two", "c", "/three")
    site.page("/three", "Three", "d")
    assert await run(budget=Budget(depth=2, pause=0)) == {"/": "read", "/one": "read", "/two": "read"}
    assert site.paths() == ["/", "/one", "/two"]
    assert (run.crawl.whole, run.crawl.failed) == (True, "")
    assert site.headers[0]["user-agent"].startswith("ParleyBot/")
    assert "cookie" not in site.headers[-1]


async def test_robots_txt_is_heeded(site: WebSite, run: Run) -> None:
    site.give(
        "/robots.txt",
        "User-agent: *\nDisallow: /\n\nUser-agent: ParleyBot\nDisallow: /private\nDisallow: /*?sort=\nCrawl-delay: 2\n",
        Content_Type="text/plain",
    )
    site.page("/", "Home", "a", "/private/x", "/list?sort=up", "/list", "/sends")
    site.page("/list", "List", "b")
    site.pages["/sends"] = Given("", 301, {"Location": "/private/y"})
    found = await run()
    assert found == {
        "/": "read",
        "/list": "read",
        "/sends": "The page leads to one that the site's robots.txt does not let us read.",
    }
    assert set(run.pauses) == {2.0} if FAST.most_pause >= 2 else {0.0}
    await run(budget=Budget(pause=0.5, most_pause=1.5))
    assert set(run.pauses[3:]) == {1.5}


@pytest.mark.parametrize(
    ("status", "failed"),
    [
        (404, ""),
        (403, ""),
        (500, "The site's robots.txt can't be read"),
        (429, "The site's robots.txt can't be read"),
    ],
)
async def test_a_robots_txt_that_can_not_be_had(site: WebSite, run: Run, status: int, failed: str) -> None:
    site.give("/robots.txt", "x", status)
    site.page("/", "Home", "a")
    found = await run()
    assert run.crawl.failed.startswith(failed)
    assert found == ({} if failed else {"/": "read"})


async def test_a_site_that_forbids_us_is_told_so(site: WebSite, run: Run) -> None:
    site.give("/robots.txt", "User-agent: *\nDisallow: /\n", Content_Type="text/plain")
    assert await run() == {}
    assert "robots.txt does not let us" in run.crawl.failed
    assert site.paths() == []


def sitemap(*locations: str, index: bool = False) -> str:
    tag, inner = ("sitemapindex", "sitemap") if index else ("urlset", "url")
    body = "".join(f"<{inner}><loc>{loc}</loc></{inner}>" for loc in locations)
    return f'<?xml version="1.0"?><{tag} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{body}</{tag}>'


async def test_a_sitemap_and_its_index_name_the_pages(site: WebSite, run: Run) -> None:
    u = site.url
    site.give(
        "/map.xml",
        sitemap(f"{u}/a.xml", f"{u}/b.xml.gz", "https://else.example/c.xml", f"{u}/map.xml", index=True),
    )
    site.give("/a.xml", sitemap(f"{u}/one", f"{u}/two?x=1&amp;y=2", "https://elsewhere.example/x"))
    site.give(
        "/b.xml.gz",
        gzip.compress(sitemap(f"<![CDATA[{u}/three]]>").encode()),
        Content_Type="application/gzip",
    )
    for path in ("/one", "/two?x=1&y=2", "/three"):
        site.page(path, path, path, "/not-in-the-map")
    assert set(await run("/map.xml")) == {"/one", "/two?x=1&y=2", "/three"}
    assert "/not-in-the-map" not in site.asked


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>no map</html>", "not a sitemap"),
        (b"\x1f\x8b broken", "damaged"),
        (sitemap().encode(), "names no page"),
        (gzip.compress(b" " * 30 * 2**20), "larger than 20 MB"),
        (
            b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + sitemap("https://elsewhere.example/&a;").encode(),
            "names no page",
        ),
    ],
)
async def test_a_sitemap_that_is_none(site: WebSite, run: Run, body: bytes, reason: str) -> None:
    site.give("/sitemap.xml", body, Content_Type="application/xml")
    assert await run("/sitemap.xml") == {}
    assert reason in run.crawl.failed


async def test_a_sites_own_sitemap_adds_pages_that_no_link_leads_to(site: WebSite, run: Run) -> None:
    site.page("/", "Home", "a")
    site.page("/alone", "Alone", "b")
    site.give("/sitemap.xml", sitemap(f"{site.url}/alone"))
    assert set(await run()) == {"/", "/alone"}


async def test_each_odd_page_has_its_reason(site: WebSite, run: Run) -> None:
    odd: dict[str, tuple[Any, str]] = {
        "/401": (Given("", 401), "does not let us read this page (401)"),
        "/403": (Given("", 403), "does not let us read this page (403)"),
        "/404": (Given("", 404), "not there any more (404)"),
        "/410": (Given("", 410), "not there any more (410)"),
        "/418": (Given("", 418), "no page (418)"),
        "/429": (Given("", 429, {"Retry-After": "7"}), "fewer requests (429)"),
        "/500": (Given("", 500), "a fault (500)"),
        "/circle": (Given("", 302, {"Location": "/circle"}), "leads on and on"),
        "/large": (Given(b"x" * 70_000, drip=10), "larger than"),
        "/told-large": (Given(b"x" * 300_000), "larger than"),
        "/bomb": (
            Given(gzip.compress(b" " * 2**24), 200, {**HTML, "Content-Encoding": "gzip"}),
            "larger than",
        ),
        "/broken": (Given(b"\x1f\x8bnot", 200, {**HTML, "Content-Encoding": "gzip"}), "packed, and damaged"),
        "/brotli": (Given(b"x", 200, {**HTML, "Content-Encoding": "br"}), "packed in a way"),
        "/picture": (
            Given(b"\x89PNG", 200, {"Content-Type": "image/png"}),
            "neither a page, a PDF nor text (image/png)",
        ),
        "/stall": (Given("x", stall=True), "did not come within 1 seconds"),
    }
    fine = {f"/fine{n}": n for n in range(len(odd))}
    for path in fine:
        site.page(path, path, path)
    for path, (given, _) in odd.items():
        site.pages[path] = given
    # A good page between two bad ones: a site is given up after five faults in a row only.
    order = [path for both in zip(odd, fine, strict=True) for path in both]
    site.page("/", "Home", "a", *order)
    found = await run(budget=Budget(pause=0, page=Size(200_000, 1.0)))
    assert {path: reason in found[path] for path, (_, reason) in odd.items()} == dict.fromkeys(odd, True), (
        found
    )
    assert {found[path] for path in fine} == {"read"}
    assert {p.url.removeprefix(site.url) for p in run.pages if p.gone} == {"/404", "/410"}
    assert run.crawl.whole


async def test_what_a_page_is_shows_in_its_bytes_more_than_in_its_type(site: WebSite, run: Run) -> None:
    site.page("/", "Home", "a", "/pdf", "/text", "/latin", "/packed")
    site.pages["/pdf"] = Given(pdf((("A page.",),)), 200, HTML)
    site.pages["/text"] = Given("Plain.", 200, {"Content-Type": "text/plain"})
    site.pages["/latin"] = Given(
        "<p>Öffnungszeiten</p>".encode("cp1252"), 200, {"Content-Type": "text/html; charset=windows-1252"}
    )
    site.pages["/packed"] = Given(
        zlib.compress(b"<p>packed</p>"), 200, {**HTML, "Content-Encoding": "deflate"}
    )
    await run()
    assert [run.named(p).name for p in ("/pdf", "/text", "/latin")] == ["page.pdf", "page.txt", "page.html"]
    assert run.named("/latin").data == "<p>Öffnungszeiten</p>".encode()
    assert run.named("/packed").data == b"<p>packed</p>"


async def test_doubles_and_canonical_pages_are_read_once(site: WebSite, run: Run) -> None:
    site.page("/", "Home", "a", "/shop?color=1", "/shop?color=2", "/copy1", "/copy2")
    for n in (1, 2):
        body = f'<link rel="canonical" href="/shop"><h1>Shop {n}</h1>'
        site.pages[f"/shop?color={n}"] = Given(body)
        site.page(f"/copy{n}", "Same", "same")
    assert list(await run()) == ["/", "/shop", "/copy1"]


async def test_calendars_sessions_and_circles_end(site: WebSite, run: Run) -> None:
    def endless(request: web.Request) -> Given | None:
        n = len(site.asked)
        if request.path in ("/robots.txt", "/sitemap.xml"):
            return None
        more = f'<a href="/calendar/{2026 + n}/{n}">n</a><a href="/p?PHPSESSID={n}">s</a><a href="/q?page={n}">q</a>'
        return Given(f'<h1>{n}</h1>{more}<a href="a/b/">deeper</a><a href="/x;jsessionid={n}">j</a>')

    site.made = endless
    await run(budget=Budget(depth=10_000, pages=5000, pause=0))
    assert run.crawl.whole
    assert len(site.paths()) < 200
    assert sum(p.startswith("/p") for p in site.paths()) == 1


async def test_a_run_ends_at_its_pages_and_its_bytes(site: WebSite, run: Run) -> None:
    site.page("/", "Home", "a", *(f"/{n}x" for n in range(50)))
    for n in range(50):
        site.page(f"/{n}x", str(n), "x" * 10_000)
    found = await run(budget=Budget(pages=7, pause=0))
    assert (len(found), run.crawl.whole, run.crawl.note) == (
        7,
        False,
        "Stopped after 7 pages, as set: there are more.",
    )
    found = await run(budget=Budget(bytes=35_000, pause=0))
    assert (len(found), run.crawl.whole) == (5, False)
    assert "larger than one run may read" in run.crawl.note


async def test_a_site_that_gives_gigabytes_is_left(site: WebSite, run: Run) -> None:
    site.pages["/"] = Given(b"<p>" + b"x" * 65_000, drip=100_000)
    assert await run() == {}
    assert "larger than" in run.crawl.failed


async def test_a_packed_page_is_never_unpacked_whole(site: WebSite, run: Run) -> None:
    site.pages["/"] = Given(gzip.compress(b" " * 64 * 2**20), 200, {**HTML, "Content-Encoding": "gzip"})
    tracemalloc.start()
    try:
        assert await run() == {}
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert "larger than" in run.crawl.failed


async def test_only_what_changed_is_asked_for_again(site: WebSite, run: Run) -> None:
    site.page("/", "Home", "a", "/tag", "/date", "/plain", ETag='"1"')
    site.page("/tag", "Tag", "b", "/deep", ETag='"x"')
    site.page("/date", "Date", "c", **{"Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT"})
    site.page("/plain", "Plain", "d")
    site.page("/deep", "Deep", "e", ETag='"e"')
    await run()
    seen = {p.url: p.mark for p in run.pages}
    assert seen[site.url + "/deep"] == '2 etag:"e"'
    site.page("/tag", "Tag", "changed", "/deep", "/new", ETag='"y"')
    site.page("/new", "New", "f")
    found = await run(seen=seen)
    assert found == {
        "/": "same",
        "/tag": "read",
        "/date": "same",
        "/plain": "read",
        "/deep": "same",
        "/new": "read",
    }
    assert run.named("/deep").mark == seen[site.url + "/deep"]


async def test_a_site_that_is_away_fails_and_one_that_breaks_down_is_left(site: WebSite, run: Run) -> None:
    site.down = True
    assert await run() == {}
    assert run.crawl.failed.startswith("The site's robots.txt can't be read")
    site.down = False
    site.page("/", "Home", "a", *(f"/{n}x" for n in range(20)))
    site.made = lambda request: Given("", 503) if request.path.endswith("x") else None
    assert len(await run()) == 6
    assert (run.crawl.broken, run.crawl.whole) == (True, False)


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("/a#b", "http://s.example/a"),
        ("b?sid=1&x=2&utm_medium=y", "http://s.example/d/b?x=2"),
        ("../up/./x", "http://s.example/up/x"),
        ("//S.example:80/é", "http://s.example/%C3%A9"),
        ("/a;jsessionid=AF?q=1", "http://s.example/a?q=1"),
        ("&#47;entity&amp;x", "http://s.example/entity&x"),
        ("javascript:alert(1)", None), ("data:text/html,x", None), ("#top", None), ("ftp://s.example/", None),
        ("http://[bad/", None), ("x" * 1001, None), ("http://s.example:99999/", None), ("", None),
    ],
)  # fmt: skip
def test_an_address_has_one_form(link: str, address: str | None) -> None:
    found = normal(URL("http://s.example/d/e"), link)
    assert (None if found is None else str(found)) == address


def test_links_and_the_canonical_address_of_odd_pages() -> None:
    at = URL("http://s.example/d/e")
    text = "<base href='/x/'><A  class=a HREF=one>1</a><a href='two'>2</a><a\nhref=\"three\">3</a><abbr href=no><a name=no>"
    assert [u.path for u in links(at, text)] == ["/x/one", "/x/two", "/x/three"]
    assert canonical(at, "<link rel=canonical href='https://other.example/'>") is None
    assert canonical(at, "<link href=/c rel='CANONICAL'>") == URL("http://s.example/c")
    assert list(links(at, "<a " * 100_000)) == []


def test_addresses_without_end_are_bounded() -> None:
    bounds = Bounds()
    base = URL("http://s.example/")
    assert not bounds.takes(base.with_path("/a/b/a/b/a"))
    assert not bounds.takes(base.with_path("/" + "/".join(str(n) + "x" for n in range(13))))
    assert (
        sum(bounds.takes(base.with_path(f"/{y}/{m}")) for y in range(2000, 2030) for m in range(1, 13)) == 40
    )
    assert sum(bounds.takes(base.with_path(f"/2024/{m}/a-post-{m}")) for m in range(1, 100)) == 99
    assert sum(bounds.takes(base.with_path(f"/product/{n}")) for n in range(100)) == 100
    assert sum(bounds.takes(base.with_path("/q").with_query(n=str(n))) for n in range(100)) == 30
