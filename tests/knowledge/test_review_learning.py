"""What an adversarial reading found in learning: sites that are written to hold us up, and writings that meet."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from yarl import URL

from brain.chunk import chunk, sentences
from brain.crawl.address import canonical, links
from brain.crawl.crawler import Crawl, Page
from brain.crawl.sitemap import read_sitemap
from brain.parse import Section
from gateway.intake import Intake
from gateway.learn import Learner
from gateway.model.knowledge import Chunk, Document
from gateway.store import Store
from tests.conftest import MovableClock
from tests.knowledge.conftest import FAST, open_egress
from tests.knowledge.site import WebSite

AT = URL("https://shop.example/")


# Each of these took from a minute to years, in one call that nothing else can run beside.


@pytest.mark.timeout(20)
def test_a_page_of_nothing_but_openings_is_read_at_once() -> None:
    assert list(links(AT, "<a " * 1_500_000)) == []
    assert list(links(AT, "<a href=" * 500_000)) == []
    assert list(links(AT, "<a href" + " " * 3_000_000)) == []
    assert canonical(AT, "<link " * 800_000) is None


@pytest.mark.timeout(20)
def test_a_sitemap_of_spaces_is_read_at_once() -> None:
    assert read_sitemap(AT, b"<urlset><loc>" + b" " * 1_000_000) == (False, [])
    assert read_sitemap(AT, b"<urlset>" + (b"<loc>" + b" " * 1_900) * 5_000) == (False, [])


def test_addresses_of_a_sitemap_are_found_however_they_are_written() -> None:
    body = b"<urlset><url><loc>\n /a </loc></url><loc><![CDATA[ /b?x=1 ]]></loc><s:loc>/c?x=1&amp;y=2</s:loc></urlset>"
    assert [str(url) for url in read_sitemap(AT, body)[1]] == [
        "https://shop.example/a",
        "https://shop.example/b?x=1",
        "https://shop.example/c?x=1&y=2",
    ]


async def crawled(site: WebSite, path: str = "/", budget: Any = FAST) -> tuple[Crawl, list[Page]]:
    egress = open_egress()
    async with egress.session() as session:
        crawl = Crawl(session, site.url + path, egress.refusal, budget)
        return crawl, [page async for page in crawl.pages()]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("charset", ["punycode", "idna", "undefined", "unicode_escape", "zip", "no-such"])
async def test_a_page_in_a_charset_that_is_none_is_read_as_it_stands(site: WebSite, charset: str) -> None:
    site.give("/", f"<h1>Open</h1><p>{'a-b ' * 40_000}</p>", Content_Type=f"text/html; charset={charset}")
    crawl, pages = await crawled(site)
    assert [page.reason for page in pages] == [""]
    assert crawl.whole and not crawl.failed


async def test_what_is_too_large_counts_for_what_a_run_may_read(site: WebSite) -> None:
    site.page("/", "Start", "", *(f"/big{n}" for n in range(30)))
    for n in range(30):
        site.give(f"/big{n}", "x" * 150_000)
    small = replace(FAST, page=replace(FAST.page, most=100_000), bytes=500_000)
    site.made = lambda _: None
    # Without a length beforehand, so that it is read before it is refused.
    for n in range(30):
        site.pages[f"/big{n}"].drip = 1
    crawl, _ = await crawled(site, budget=small)
    assert crawl.note.startswith("Stopped after") and not crawl.whole
    assert len(site.paths()) < 12


async def test_a_site_may_take_so_long_and_no_longer(site: WebSite) -> None:
    site.page("/", "Start", "words", "/a", "/b")
    site.page("/a", "A", "words a")
    site.page("/b", "B", "words b")
    crawl, pages = await crawled(site, budget=replace(FAST, seconds=0))
    assert len(pages) == 1
    assert "minutes" in crawl.note and not crawl.whole


async def test_more_addresses_than_any_run_reads_are_not_kept(
    site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brain.crawl.crawler.MOST_WAITING", 5)
    names = "".join(f"<url><loc>/p{n}</loc></url>" for n in range(100))
    site.page("/", "Start", "words")
    site.give("/sitemap.xml", f"<urlset>{names}</urlset>", Content_Type="application/xml")
    crawl, _ = await crawled(site)
    assert crawl.total == 5
    assert not crawl.whole  # nothing may be taken for gone


# The worker


async def _piece(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_a_file_does_not_wait_for_somebody_elses_site(
    learner: Learner, acme: Store, site: WebSite, clock: MovableClock
) -> None:
    intake = Intake(acme, clock, open_egress())
    site.page("/", "Start", "words")
    site.pages["/"].stall = True
    slow = await intake.site("acme", site.url)
    task = asyncio.create_task(learner.look())
    while "/" not in site.asked:
        await asyncio.sleep(0.005)
    file = await intake.file("acme", "hours.txt", _piece(b"We are open from nine to five."))
    await learner.uploads()
    assert (await acme.sources.get("acme", file.id)).state == "ready"
    assert (await acme.sources.get("acme", slow.id)).state == "working"
    site.released.set()
    task.cancel()
    await asyncio.wait({task})


async def test_a_source_that_is_removed_while_it_is_read_leaves_nothing(
    learner: Learner, acme: Store, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(acme, clock, open_egress())
    reading, go_on = asyncio.Event(), asyncio.Event()
    add = learner._add

    async def slowly(*given: Any) -> Any:
        reading.set()
        await go_on.wait()
        return await add(*given)

    monkeypatch.setattr(learner, "_add", slowly)
    monkeypatch.setattr("gateway.learn.BEAT", 3600.0)
    source = await intake.file("acme", "hours.txt", _piece(b"We are open from nine to five."))
    task = asyncio.create_task(learner.look())
    await reading.wait()
    # What the message to who removes it says: cancel first.
    await acme.sources.cancel("acme", source.id)
    await intake.forget("acme", source.id)
    go_on.set()
    await task
    assert await acme.knowledge.documents("acme") == []
    assert await acme.knowledge.chunks("acme") == []


async def test_a_source_that_comes_again_is_not_taken_for_its_former_self(
    acme: Store, clock: MovableClock
) -> None:
    intake = Intake(acme, clock, open_egress())
    first = await intake.text("acme", "Hours", "We are open from nine to five.")
    taken = await acme.sources.claim(first, clock(), clock())
    assert taken is not None
    await acme.sources.cancel("acme", first.id)
    await intake.forget("acme", first.id)
    clock.move(seconds=1)
    second = await intake.text("acme", "Hours", "We are open from ten to six.")
    again = await acme.sources.claim(second, clock(), clock())
    assert again is not None
    assert not await acme.sources.going_on(taken, clock())
    assert not await acme.sources.end(taken, "ready", "")
    assert await acme.sources.read(again) == b"We are open from ten to six."


# Drafts


def document(checksum: str) -> tuple[Document, list[Chunk]]:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    made = Document("d1", "acme", "Hours", "hours.txt", checksum, 1, at, draft=True)
    return made, [Chunk("d1-0", "d1", 0, f"text {checksum}")]


async def test_a_draft_that_is_written_while_it_is_published_is_not_published_empty(
    acme: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await acme.knowledge.put("acme", *document("one"))
    listed = acme.knowledge._all

    async def and_then_it_changes(tenant: str) -> Any:
        found = await listed(tenant)
        monkeypatch.setattr(acme.knowledge, "_all", listed)
        await acme.knowledge.put("acme", *document("two"))
        return found

    monkeypatch.setattr(acme.knowledge, "_all", and_then_it_changes)
    await acme.knowledge.publish("acme")
    assert [c.text for c in await acme.knowledge.chunks("acme")] == ["text two"]
    assert await acme.knowledge.drafts("acme") == []


# A site that is not itself


async def _again(learner: Learner, store: Store, source: str) -> str:
    await store.sources.again("acme", source)
    await learner.look()
    return (await store.sources.get("acme", source)).reason


@pytest.mark.parametrize("how", ["redirected", "the same"])
async def test_a_site_that_shows_one_page_for_all_loses_none_of_them(
    learner: Learner, acme: Store, site: WebSite, clock: MovableClock, how: str
) -> None:
    paths = ["/", "/a", "/b", "/c", "/d"]

    def well() -> None:
        for path in paths:
            site.page(path, f"Page {path}", f"words of {path}", *paths)

    well()
    source = await Intake(acme, clock, open_egress()).site("acme", site.url)
    await learner.look()
    before = {d.origin for d in await acme.knowledge.documents("acme")}
    assert len(before) == 5
    site.page("/soon", "We are back soon", "We work on the site.")
    for path in paths:
        if how == "redirected":
            site.give(path, "", 302, Location="/soon")
        else:
            site.page(path, "Oops", "Something went wrong.")
    for _ in range(2):
        assert "one and the same" in await _again(learner, acme, source.id)
        assert before <= {d.origin for d in await acme.knowledge.documents("acme")}
    well()
    assert await _again(learner, acme, source.id) == ""
    assert before <= {d.origin for d in await acme.knowledge.documents("acme")}
    shown = " ".join(c.text for c in await acme.knowledge.chunks("acme"))
    assert all(f"words of {path}" in shown for path in paths)


@pytest.mark.timeout(20)
def test_a_text_of_nothing_but_abbreviations_is_cut_at_once() -> None:
    assert chunk((Section(("Dr. " * 100_000,)),))
    assert sentences("Ask Dr. Who. Then go.") == ["Ask Dr. Who.", "Then go."]
