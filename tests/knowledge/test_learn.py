"""The background worker: sources become documents, once, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from brain.ingest import add_file
from gateway.intake import Intake
from gateway.learn import BEAT, Learner
from gateway.model.errors import Conflict, NotFound
from gateway.model.knowledge import Source
from gateway.store import Store
from tests.conftest import MovableClock, make_tenant
from tests.knowledge.conftest import FAST, Providers, Vector, open_egress
from tests.knowledge.office import docx, paragraph
from tests.knowledge.site import Given, WebSite


@pytest.fixture
def intake(acme: Store, clock: MovableClock) -> Intake:
    return Intake(acme, clock, open_egress())


async def some(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def titles(store: Store, draft: bool = False) -> list[str]:
    return [d.title for d in await store.knowledge.documents("acme", draft)]


async def texts(store: Store) -> list[str]:
    return sorted(c.text for c in await store.knowledge.chunks("acme"))


async def version(store: Store) -> int:
    return (await store.directory.tenant("acme")).knowledge


async def one(store: Store, source: Source) -> Source:
    return await store.sources.get("acme", source.id)


async def test_an_upload_a_text_and_a_locked_file(acme: Store, intake: Intake, learner: Learner) -> None:
    await acme.knowledge.set_collection(intake_collection := _shop())
    word = await intake.file(
        "acme", "Hours.docx", some(docx(paragraph("Open at nine."))), intake_collection.name
    )
    text = await intake.text("acme", "Parking", "Behind the house.", draft=True)
    bad = await intake.file("acme", "old.pdf", some(b"%PDF-1.4 broken"))
    await learner.look()
    found = {d.title: d for d in await acme.knowledge.documents("acme", draft=True)}
    assert (found["Hours"].collection, found["Hours"].source, found["Hours"].local) == (
        "shop",
        word.id,
        "test/8",
    )
    assert (found["Parking"].draft, found["Parking"].source) == (True, text.id)
    assert await titles(acme) == ["Hours"]
    states = {s.id: (s.state, s.done, s.total, s.changed) for s in await acme.sources.all("acme")}
    assert states == {word.id: ("ready", 1, 1, 1), text.id: ("ready", 1, 1, 1), bad.id: ("failed", 1, 1, 0)}
    assert (await one(acme, bad)).reason.startswith("The PDF is damaged")
    assert await acme._db["source_parts"].find({}).to_list() == []


def _shop() -> Any:
    from gateway.model.knowledge import Collection

    return Collection("acme", "shop")


async def test_a_site_is_read_and_read_again_when_it_is_due(
    acme: Store, intake: Intake, learner: Learner, site: WebSite, clock: MovableClock
) -> None:
    site.page("/", "Home", "Welcome.", "/prices", "/gone", "/same", ETag='"1"')
    site.page("/prices", "Prices", "Ten.", ETag='"1"')
    site.page("/gone", "Gone", "Soon.", ETag='"1"')
    site.page("/same", "Same", "Always.", ETag='"1"')
    made = await intake.site("acme", site.url, every=timedelta(days=1))
    await learner.look()
    assert await titles(acme) == ["Gone", "Home", "Prices", "Same"]
    [document] = [d for d in await acme.knowledge.documents("acme") if d.title == "Prices"]
    assert (document.url, document.media_type) == (site.url + "/prices", "text/html")
    first = await one(acme, made)
    assert (first.state, first.done, first.total, first.changed) == ("ready", 4, 4, 4)
    before = await version(acme)
    await learner.look()
    assert await version(acme) == before
    clock.move(days=1)
    site.page("/prices", "Prices", "Twelve.", ETag='"2"')
    del site.pages["/gone"]
    asked = len(site.asked)
    await learner.look()
    assert await titles(acme) == ["Home", "Prices", "Same"]
    assert await texts(acme) == ["Always.", "Twelve.", "Welcome."]
    again = await one(acme, made)
    assert (again.state, again.done, again.changed) == ("ready", 4, 2)
    assert [(e.origin, "404" in e.reason) for e in again.errors] == [(site.url + "/gone", True)]
    assert len(site.asked) > asked
    # Nothing changed: nothing is written.
    clock.move(days=1)
    before = await version(acme)
    await learner.look()
    assert (await one(acme, made)).changed == 0
    assert await version(acme) == before


async def test_a_site_that_is_down_keeps_its_documents(
    acme: Store, intake: Intake, learner: Learner, site: WebSite, clock: MovableClock
) -> None:
    site.page("/", "Home", "Welcome.", *(f"/p{n}" for n in range(8)))
    for n in range(8):
        site.page(f"/p{n}", f"P{n}", f"Text {n}.")
    made = await intake.site("acme", site.url, every=timedelta(days=1))
    await learner.look()
    assert len(await titles(acme)) == 9
    clock.move(days=1)
    site.down = True
    await learner.look()
    failed = await one(acme, made)
    assert (failed.state, failed.reason.startswith("The site's robots.txt")) == ("failed", True)
    assert len(await titles(acme)) == 9
    # The first page answers, then the site breaks down in the middle.
    clock.move(days=1)
    site.down = False
    for n in range(8):
        site.pages[f"/p{n}"] = Given("", 503 if n else 404)
    await learner.look()
    assert len(await titles(acme)) == 9
    assert "fault after fault" in (await one(acme, made)).reason
    # Pages beyond the budget stay, too.
    clock.move(days=1)
    for n in range(8):
        site.page(f"/p{n}", f"P{n}", f"Text {n}.")
    await intake.site("acme", site.url, pages=3)
    await learner.look()
    assert len(await titles(acme)) == 9


async def test_a_page_that_lies_about_its_type_has_a_reason_and_leaves_the_others(
    acme: Store, intake: Intake, learner: Learner, site: WebSite
) -> None:
    site.page("/", "Home", "Welcome.", "/zip", "/scan")
    site.pages["/zip"] = Given(b"PK\x03\x04" + bytes(range(256)) * 9)
    site.pages["/scan"] = Given(b"%PDF-1.4 broken", headers={"Content-Type": "application/pdf"})
    made = await intake.site("acme", site.url)
    await learner.look()
    found = await one(acme, made)
    assert (found.state, found.done, len(found.errors)) == ("ready", 3, 2)
    assert await titles(acme) == ["Home"]


async def test_a_removed_document_of_a_site_comes_back_though_the_page_is_the_same(
    acme: Store, intake: Intake, learner: Learner, site: WebSite
) -> None:
    site.page("/", "Home", "Welcome.", ETag='"1"')
    made = await intake.site("acme", site.url)
    await learner.look()
    [document] = await acme.knowledge.documents("acme")
    await acme.knowledge.remove("acme", document.id)
    await acme.sources.again("acme", made.id)
    await learner.look()
    assert await titles(acme) == ["Home"]


async def test_cancelling_stops_the_work_in_its_middle(
    acme: Store, intake: Intake, learner: Learner, site: WebSite
) -> None:
    site.page("/", "Home", "Welcome.", "/stalls")
    site.pages["/stalls"] = Given("x", stall=True)
    made = await intake.site("acme", site.url)
    with pytest.raises(Conflict):
        await acme.sources.again("acme", made.id)
    slow = Learner(acme, Vector(), learner._clock, open_egress(), budget=None)
    reading = asyncio.create_task(slow.look())
    while "/stalls" not in site.asked:
        await asyncio.sleep(0.01)
    with pytest.raises(Conflict):
        await intake.forget("acme", made.id)
    await acme.sources.cancel("acme", made.id)
    await asyncio.wait_for(reading, 10 * BEAT)
    assert (await one(acme, made)).state == "cancelled"


async def test_a_process_that_stops_gives_its_source_back(
    acme: Store, intake: Intake, learner: Learner, site: WebSite, clock: MovableClock
) -> None:
    site.page("/", "Home", "Welcome.", "/stalls")
    site.pages["/stalls"] = Given("x", stall=True)
    made = await intake.site("acme", site.url)
    reading = asyncio.create_task(learner.look())
    while "/stalls" not in site.asked:
        await asyncio.sleep(0.01)
    assert await acme.sources.due(clock(), 10) == []
    reading.cancel()
    await asyncio.wait({reading})
    assert [s.id for s in await acme.sources.due(clock(), 10)] == [made.id]


async def test_a_killed_run_is_started_again_when_its_claim_ran_out_and_nothing_is_doubled(
    acme: Store, intake: Intake, learner: Learner, site: WebSite, clock: MovableClock, vector: Vector
) -> None:
    site.page("/", "Home", "Welcome.", *(f"/p{n}" for n in range(20)))
    for n in range(20):
        site.page(f"/p{n}", f"P{n}", f"Text {n}.")
    made = await intake.site("acme", site.url)
    # The first batch is written; then the process is gone, and its claim stands.
    taken = await acme.sources.claim(made, clock(), clock() + timedelta(minutes=2))
    assert taken is not None
    for n in range(3):
        page = site.pages[f"/p{n}"].body
        assert isinstance(page, str)
        await add_file(
            *(acme.knowledge, vector, "acme", f"{site.url}/p{n}", page.encode(), clock()), url=f"{site.url}/p{n}",
            source=made.id,
        )  # fmt: skip
    await learner.look()
    assert site.asked == []
    clock.move(minutes=3)
    await learner.look()
    found = await one(acme, made)
    assert (found.state, found.done) == ("ready", 21)
    assert len(await titles(acme)) == 21 == len(await acme.knowledge.chunks("acme"))


async def test_forgetting_a_source_takes_its_documents_and_drafts(
    acme: Store, intake: Intake, learner: Learner, site: WebSite, vector: Vector, clock: MovableClock
) -> None:
    await add_file(acme.knowledge, vector, "acme", "stays.md", b"Stays.", clock())
    site.page("/", "Home", "Welcome.", "/b")
    site.page("/b", "B", "More.")
    made = await intake.site("acme", site.url)
    await learner.look()
    await intake.site("acme", site.url, draft=True)
    site.page("/b", "B", "Changed.")
    await learner.look()
    assert len(await acme.knowledge.drafts("acme")) == 1
    assert await intake.forget("acme", made.id) == 2
    assert await texts(acme) == ["Stays."]
    assert await acme.knowledge.drafts("acme") == []
    with pytest.raises(NotFound):
        await acme.sources.get("acme", made.id)


async def test_another_model_is_taken_up_document_by_document_without_a_gap(
    acme: Store, learner: Learner, vector: Vector, providers: Providers, clock: MovableClock
) -> None:
    for n in range(3):
        await add_file(acme.knowledge, vector, "acme", f"{n}.md", f"Text {n}.".encode(), clock())
    assert await learner.reembed("acme") == 0
    remote = providers.of["acme"] = Vector("embed-v4.0/16", 16)
    remote.fail = True
    assert await learner.reembed("acme") == 0
    assert {d.embedded for d in await acme.knowledge.documents("acme")} == {""}
    remote.fail = False
    assert await learner.reembed("acme") == 3
    assert {d.embedded for d in await acme.knowledge.documents("acme")} == {"embed-v4.0/16"}
    assert {len(c.remote) for c in await acme.knowledge.chunks("acme")} == {16}
    newer = providers.of["acme"] = Vector("embed-v5/32", 32)
    assert await learner.reembed("acme") == 3
    assert len(newer.calls) == 3
    assert {len(c.remote) for c in await acme.knowledge.chunks("acme")} == {32}
    assert await texts(acme) == ["Text 0.", "Text 1.", "Text 2."]
    # A new local model: the same way.
    other = Learner(acme, Vector("local/4", 4), clock, open_egress(), providers, FAST)
    assert await other.reembed("acme") == 3
    assert {(d.local, d.embedded) for d in await acme.knowledge.documents("acme")} == {
        ("local/4", "embed-v5/32")
    }


async def test_now_and_then_it_tidies_up_for_every_tenant(
    acme: Store, learner: Learner, vector: Vector, providers: Providers, clock: MovableClock
) -> None:
    await make_tenant(acme, "bolt")
    await add_file(acme.knowledge, vector, "bolt", "a.md", b"Text.", clock())
    providers.of["bolt"] = Vector("embed-v4.0/16", 16)
    await learner.look()
    assert providers.of["bolt"].calls == []
    clock.move(seconds=61)
    await learner.look()
    assert {d.embedded for d in await acme.knowledge.documents("bolt")} == {"embed-v4.0/16"}
    # Another local model, a killed writing and a dead upload: less often.
    later = Learner(acme, Vector("local/4", 4), clock, open_egress(), Providers(), FAST)
    note = {"_id": "n", "tenant": "bolt", "generations": ["dead.1"], "at": clock()}
    await acme._db["pending_chunks"].insert_one(note)
    clock.move(hours=2)
    await later.look()
    clock.move(seconds=61)
    await later.look()
    assert len(await acme._db["pending_chunks"].find({}).to_list()) == 1
    clock.move(minutes=10)
    await later.look()
    assert await acme._db["pending_chunks"].find({}).to_list() == []
    assert {d.local for d in await acme.knowledge.documents("bolt")} == {"local/4"}
