"""The store of campaigns: bound to its tenant, by an index each time, and never overwritten unseen."""

from dataclasses import replace
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from gateway.model.campaign import Campaign, Recipient, Tally, Wrong, recipient_id
from gateway.model.errors import Conflict
from gateway.model.message import Failure
from gateway.settings import Settings
from gateway.store import Store
from tests.campaigns.rig import NOON

SENDING = Campaign("cm_1", "acme", "ch_wa", "x", "news", ("es",), NOON, state="running")
SOMEBODY = Recipient(recipient_id("cm_1", "34600"), "acme", "cm_1", 0, "34600", message="m_1")


async def filled(store: Store) -> None:
    acme = store.of("acme").campaigns
    await acme.add(SENDING)
    await acme.add_recipients([SOMEBODY])
    await acme.put_tallies("cm_1", [Tally(0, {"waiting": 1}, NOON)])
    await acme.put_wrong("cm_1", [Wrong(3, "no phone")])


async def test_another_tenants_are_not_there(store: Store) -> None:
    await filled(store)
    acme, bolt = store.of("acme").campaigns, store.of("bolt").campaigns
    assert await bolt.get("cm_1") is None
    assert (await bolt.page(None, 10)).items == ()
    assert await bolt.recipients("cm_1", 0) == []
    assert await bolt.recipient(SOMEBODY.id) is None
    assert (await bolt.tallies("cm_1"), await bolt.wrong("cm_1", 0, 10)) == ([], [])
    assert await bolt.save(replace(SENDING, state="done")) is None
    await bolt.settle([replace(SOMEBODY, state="refused")])
    await bolt.forget_from("cm_1", 0)
    await bolt.forget_counts("cm_1")
    for stolen in (SENDING, SOMEBODY):
        with pytest.raises(ValueError, match="another tenant"):
            await (bolt.add(stolen) if isinstance(stolen, Campaign) else bolt.add_recipients([stolen]))
    assert await acme.get("cm_1") == SENDING
    assert await acme.recipients("cm_1", 0) == [SOMEBODY]
    assert len(await acme.tallies("cm_1")) == len(await acme.wrong("cm_1", 0, 10)) == 1
    assert await store.of("bolt").bulk.cancel("cm_1", Failure("x", "x")) == 0


async def test_who_comes_second_changes_nothing(store: Store) -> None:
    await filled(store)
    acme = store.of("acme").campaigns
    assert await acme.save(replace(SENDING, state="paused")) is not None
    assert await acme.save(replace(SENDING, state="cancelled")) is None
    assert (await acme.get("cm_1") or SENDING).state == "paused"
    with pytest.raises(Conflict):
        await acme.add(SENDING)
    assert await acme.add_recipients([SOMEBODY]) == [False]
    await acme.settle([replace(SOMEBODY, state="written")])
    await acme.settle([replace(SOMEBODY, state="refused")])
    assert (await acme.recipients("cm_1", 0))[0].state == "written"


async def test_every_query_finds_an_index(store: Store, settings: Settings) -> None:
    await filled(store)
    one = {"tenant": "acme", "campaign": "cm_1"}
    queries: list[tuple[str, dict[str, Any]]] = [
        ("campaigns", {"tenant": "acme", "created": {"$lt": NOON}}),
        ("campaigns", {"active": True}),
        ("recipients", {**one, "place": {"$gte": 0, "$lt": 1000}}),
        ("campaign_pages", one),
        ("campaign_errors", one),
        ("messages", {**one, "status": {"$in": [10, 15]}}),
        ("messages", {"todo": "held", "due": {"$lte": NOON}}),
        ("conversations", {"tenant": "acme", "contact": {"$in": ["ct_1"]}}),
        ("conversations", {"tenant": "acme"}),
    ]
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(settings.mongodb_uri)
    async with client:
        db = client.get_default_database()
        for collection, which in queries:
            plan = await db.command(
                {"explain": {"find": collection, "filter": which}, "verbosity": "queryPlanner"}
            )
            told = str(plan["queryPlanner"]["winningPlan"])
            assert "IXSCAN" in told, (collection, which)
            assert "COLLSCAN" not in told, (collection, which)
