"""Sources in the database: claimed once, held, cancelled; an upload's bytes wait, and go."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from gateway.intake import Intake, source_id
from gateway.model.errors import Conflict, Invalid, NotFound
from gateway.model.knowledge import Source, SourceError
from gateway.ops.egress import Egress
from gateway.store import Store
from gateway.store.sources import PART
from tests.conftest import MovableClock, make_tenant

LEASE = timedelta(minutes=2)


@pytest.fixture
def intake(acme: Store, clock: MovableClock) -> Intake:
    return Intake(acme, clock, Egress())


async def some(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def parts_left(store: Store) -> int:
    return len(await store._db["source_parts"].find({}, {"_id": 1}).to_list())


async def test_an_uploads_bytes_wait_in_parts_and_go_when_it_was_read(
    acme: Store, clock: MovableClock, intake: Intake
) -> None:
    data = bytes(range(256)) * 1024 * 3
    made = await intake.file("acme", "a.txt", some(data[:100], data[100:]))
    assert (made.state, made.name, await parts_left(acme)) == ("waiting", "a.txt", len(data) // PART)
    [found] = await acme.sources.due(clock(), 10)
    taken = await acme.sources.claim(found, clock(), clock() + LEASE)
    assert taken is not None
    assert await acme.sources.read(taken) == data
    assert await acme.sources.end(taken, "ready", "")
    assert (await parts_left(acme), await acme.sources.read(taken)) == (0, None)
    assert await acme.sources.due(clock() + timedelta(days=400), 10) == []
    with pytest.raises(Conflict, match="upload the file again"):
        await acme.sources.again("acme", made.id)


async def test_the_same_name_again_replaces_the_upload(
    acme: Store, clock: MovableClock, intake: Intake
) -> None:
    first = await intake.file("acme", "a.txt", some(b"one"))
    taken = await acme.sources.claim(first, clock(), clock() + LEASE)
    assert taken is not None
    again = await intake.file("acme", "..\\x/a.txt", some(b"two"))
    assert (again.id, again.rev > taken.rev) == (first.id, True)
    assert not await acme.sources.going_on(taken, clock() + LEASE)
    assert not await acme.sources.end(taken, "ready", "")
    assert await acme.sources.read(again) == b"two"
    assert await parts_left(acme) == 1


async def broken() -> AsyncIterator[bytes]:
    yield b"x" * (PART + 1)
    raise ConnectionResetError


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("a.exe", some(b"x"), "name"),
        ("", some(b"x"), "name"),
        ("a.txt", some(), "body"),
        ("a.txt", some(*[b"x" * 2**20] * 21), "body"),
        ("a.docm", some(b"x"), "name"),
    ],
)
async def test_an_upload_that_is_refused_leaves_nothing(
    acme: Store, intake: Intake, name: str, content: Any, field: str
) -> None:
    with pytest.raises(Invalid) as wrong:
        await intake.file("acme", name, content)
    assert wrong.value.field == field
    assert (await acme.sources.all("acme"), await parts_left(acme)) == ([], 0)


async def test_an_upload_that_breaks_off_leaves_nothing(acme: Store, intake: Intake) -> None:
    with pytest.raises(ConnectionResetError):
        await intake.file("acme", "a.txt", broken())
    assert (await acme.sources.all("acme"), await parts_left(acme)) == ([], 0)


async def test_an_upload_whose_process_was_killed_is_swept(
    acme: Store, clock: MovableClock, intake: Intake
) -> None:
    whole = await intake.file("acme", "whole.txt", some(b"whole"))
    doc = await acme._db["sources"].find_one({"_id": whole.id})
    assert doc is not None
    now = clock()
    for name in ("s_dead.1", doc["bytes"]):
        await acme._db["sources"].insert_one(
            {
                "_id": f"{name}:upload",
                "tenant": "acme",
                "bytes": name,
                "todo": "drop",
                "due": now + timedelta(hours=1),
            }
        )
    await acme._db["source_parts"].insert_one(
        {"_id": "p", "tenant": "acme", "bytes": "s_dead.1", "data": b"x"}
    )
    assert [s.id for s in await acme.sources.all("acme")] == [whole.id]
    assert await acme.sources.sweep() == 0
    clock.move(hours=2)
    assert await acme.sources.sweep() == 2
    assert await acme.sources.read(whole) == b"whole"
    assert await parts_left(acme) == 1


async def test_one_of_two_claims_it_and_it_is_free_again_when_the_claim_ran_out(
    acme: Store, clock: MovableClock, intake: Intake
) -> None:
    await intake.site("acme", "shop.example")
    [one], [other] = await acme.sources.due(clock(), 10), await acme.sources.due(clock(), 10)
    taken = await acme.sources.claim(one, clock(), clock() + LEASE)
    assert taken is not None
    assert await acme.sources.claim(other, clock(), clock() + LEASE) is None
    assert await acme.sources.due(clock(), 10) == []
    clock.move(seconds=100)
    assert await acme.sources.going_on(taken, clock() + LEASE)
    clock.move(seconds=100)
    assert await acme.sources.due(clock(), 10) == []
    clock.move(seconds=100)
    [late] = await acme.sources.due(clock(), 10)
    assert await acme.sources.claim(late, clock(), clock() + LEASE) is not None
    assert not await acme.sources.going_on(taken, clock() + LEASE)
    assert not await acme.sources.end(taken, "ready", "")


async def test_a_site_comes_up_again_and_can_be_cancelled(
    acme: Store, clock: MovableClock, intake: Intake
) -> None:
    made = await intake.site("acme", "https://shop.example/a?PHPSESSID=1#x", every=timedelta(days=1))
    assert (made.address, made.name) == ("https://shop.example/a", "shop.example")
    taken = await acme.sources.claim(made, clock(), clock() + LEASE)
    assert taken is not None
    errors = tuple(SourceError(str(n), "broken") for n in range(150))
    done = Source(
        **{**{f: getattr(taken, f) for f in Source.__dataclass_fields__}, "done": 7, "errors": errors}
    )
    assert await acme.sources.end(done, "ready", "", {"https://shop.example/a.b": "0 etag:$x"})
    found = await acme.sources.get("acme", made.id)
    assert (found.state, found.done, len(found.errors)) == ("ready", 7, 100)
    assert dict(found.seen) == {"https://shop.example/a.b": "0 etag:$x"}
    assert await acme.sources.due(clock(), 10) == []
    [due] = await acme.sources.due(clock() + timedelta(days=1), 10)
    assert due.id == made.id
    cancelled = await acme.sources.cancel("acme", made.id)
    assert (cancelled.state, cancelled.every, cancelled.due) == ("cancelled", None, None)
    with pytest.raises(Conflict):
        await acme.sources.cancel("acme", made.id)
    assert (await acme.sources.again("acme", made.id)).state == "waiting"
    with pytest.raises(Conflict, match="already"):
        await acme.sources.again("acme", made.id)


@pytest.mark.parametrize(
    ("address", "more", "field"),
    [
        ("", {}, "address"),
        ("ftp://shop.example", {}, "address"),
        ("http://127.0.0.1/", {}, "address"),
        ("http://[::ffff:127.0.0.1]/", {}, "address"),
        ("http://shop.example:22/", {}, "address"),
        ("http://me:secret@shop.example/", {}, "address"),
        ("http://shop example/", {}, "address"),
        ("shop.example", {"depth": 11}, "depth"),
        ("shop.example", {"pages": 0}, "pages"),
        ("shop.example", {"every": timedelta(minutes=59)}, "every"),
        ("shop.example", {"collection": "none"}, "collection"),
    ],
)
async def test_a_site_that_is_refused_names_the_field(
    intake: Intake, address: str, more: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as wrong:
        await intake.site("acme", address, **more)
    assert wrong.value.field == field


async def test_another_tenants_source_is_not_there(acme: Store, intake: Intake) -> None:
    await make_tenant(acme, "bolt")
    made = await intake.text("acme", "Hours", "Always.")
    assert made.id == source_id("acme", "text", "hours") != source_id("bolt", "text", "hours")
    for call in (acme.sources.get, acme.sources.cancel, acme.sources.again, acme.sources.remove):
        with pytest.raises(NotFound):
            await call("bolt", made.id)
    with pytest.raises(NotFound):
        await intake.forget("bolt", made.id)
    assert await acme.sources.all("bolt") == []
