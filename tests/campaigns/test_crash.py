"""Stopped anywhere, a campaign goes on: nobody is written to twice, nobody is missed."""

import asyncio
import random
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import media
from gateway.bootstrap import open_store
from gateway.campaigns import Campaigns, Wanted
from gateway.model.campaign import Campaign
from gateway.model.clock import system_clock
from gateway.model.consent import Entry, entry_id
from gateway.model.errors import Unavailable
from gateway.model.message import contact_id
from gateway.model.permission import Cap, Permissions
from gateway.model.template import TemplateDef, template_id
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.bulk import Bulk
from gateway.store.campaigns import Campaigns as Stored
from gateway.store.campaigns import Known
from gateway.store.conversations import Conversations
from gateway.store.messages import Messages
from tests.bench.campaign import _adapters
from tests.bench.gateway_process import fill
from tests.campaigns.rig import HELLO, Rig, phone
from tests.core.test_crash import Victim
from tests.providers.graph import GraphStandIn

STEPS: list[tuple[type, str]] = [
    (Stored, "save"),
    (Stored, "add_recipients"),
    (Stored, "put_tallies"),
    (Stored, "put_wrong"),
    (Stored, "settle"),
    (Messages, "put_bulk"),
    (Conversations, "begin"),
    (Known, "statuses"),
    (Bulk, "ahead"),
]
"""What preparing and running write and read, in the store."""


def breaks(monkeypatch: pytest.MonkeyPatch, where: type, name: str, when: str, at: int) -> list[int]:
    """The call number `at` is broken off before or after it had its effect; how many calls there were."""
    real, calls = getattr(where, name), [0]

    async def broken(self: Any, *given: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == at and when == "before":
            raise Unavailable("killed")
        found = await real(self, *given, **more)
        if calls[0] == at:
            raise Unavailable("killed")
        return found

    monkeypatch.setattr(where, name, broken)
    return calls


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("where", "name"), STEPS)
async def test_broken_off_at_any_write_it_goes_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, where: type, name: str, when: str
) -> None:
    monkeypatch.setattr("gateway.campaigns_audience.BATCH", 4)
    monkeypatch.setattr("gateway.campaigns_run.SOME", 3)
    for at in (1, 2, 3):
        numbers = range(100 * at, 100 * at + 10)
        await rig.consent(numbers)
        given = ["phone", *(f"+{phone(n)}" for n in numbers), "nonsense", f"+{phone(100 * at)}"]
        file = await rig.upload("\n".join(given))
        with monkeypatch.context() as patch:
            calls = breaks(patch, where, name, when, at)
            campaign = await _made(rig, file)
            rig.running.graph.requests.clear()
            for _ in range(6):
                await rig.look()
                found = await rig.show(campaign)
                if found["state"] == "ready":
                    estimate = found["estimate"]
                    counted = [estimate[k] for k in ("recipients", "allowed", "wrong", "doubled")]
                    assert counted == [10, 10, 1, 1]
                    await rig.do(campaign, "start")
                await rig.running.swept()
                rig.clock.move(seconds=1)
        await rig.go(3)
        assert calls[0] >= 1
        assert Counter(rig.reached()) == Counter(phone(n) for n in numbers), at
        assert (await rig.show(campaign))["state"] == "done"
        counts = (await rig.call("GET", f"/campaigns/{campaign}/results"))["counts"]
        assert sum(counts.values()) == 10


async def _made(rig: Rig, file: str) -> str:
    """A campaign to be prepared; what the API is asked is not what breaks."""
    service = Campaigns(rig.store, rig.running.gateway.channels.adapters, rig.clock)
    wanted = Wanted("ch_wa", "News", "news", {"csv": file}, variables={"1": '"friend"'})
    for _ in range(4):
        try:
            made, _ = await service.create("acme", wanted)
            break
        except Unavailable:
            continue
    for _ in range(4):
        try:
            await service.prepare("acme", made.id)
            break
        except Exception:
            continue
    return made.id


async def test_a_message_that_was_written_before_the_crash_does_not_count_against_its_recipient(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent, and counted by the frequency cap, before it was noted who had been written to."""
    await rig.permissions(cap=Cap(1, timedelta(days=1)))
    await rig.customers(3)
    campaign = await rig.made({"filter": {}})
    await rig.do(campaign, "start")
    with monkeypatch.context() as patch:
        breaks(patch, Stored, "settle", "before", 1)
        await rig.look()
    await rig.running.swept()
    assert len(rig.sent) == 3
    await rig.go(3)
    assert len(rig.sent) == 3
    assert {r["state"] for r in await rig.recipients(campaign)} == {"sent"}


# Real processes


async def prepared_world(store: Store, count: int) -> str:
    """A tenant with a template and consents, and a campaign to be prepared."""
    await fill(store, 1)
    await store.directory.set_permissions("t0", Permissions(quiet=None, cap=None))
    now = system_clock()
    await store.of("t0").templates.put(
        TemplateDef(
            template_id("t0", "", "news", "es"), "t0", "", "news", "es", "MARKETING", HELLO, now, state="APPROVED",
            examples={"1": "Ana"},
        )
    )  # fmt: skip
    for first in range(0, count, 500):
        await store.of("t0").ledger.put([_entry(n) for n in range(first, min(count, first + 500))])

    async def parts() -> Any:
        yield ("phone,name\n" + "".join(f"+{phone(n)},Customer {n}\n" for n in range(count))).encode()

    file = await media.take(store.of("t0").files, "t0", "", None, "x.csv", parts(), media.MOST_BYTES, now)
    service = Campaigns(store, _adapters(), system_clock)
    wanted = Wanted("ch_wa0", "News", "news", {"csv": file.id}, variables={"1": "contact.name"})
    made, _ = await service.create("t0", wanted)
    await service.prepare("t0", made.id)
    return made.id


def _entry(number: int) -> Entry:
    now, contact = system_clock(), contact_id("t0", "whatsapp", "", phone(number))
    return Entry(
        entry_id("t0", str(number)),
        "t0",
        "ch_wa0",
        contact,
        "marketing",
        "granted",
        "import",
        now,
        now,
        evidence="x",
    )


async def rampage(tmp_path: Path, seed: int, count: int, kills: int) -> None:
    chance, data = random.Random(seed), tmp_path / "data"
    settings = Settings(data_dir=data)
    async with open_store(settings, say=lambda _: None) as store:
        campaign = await prepared_world(store, count)
    async with GraphStandIn() as graph, Victim(data, graph.url) as victim:
        killed = 0
        while True:
            await victim.start()
            state = await _until(
                settings, campaign, {"ready"}, chance.uniform(0.1, 0.9) if killed < kills else 120
            )
            if state == "ready":
                break
            await victim.kill()
            killed += 1
        async with open_store(settings, say=lambda _: None) as store:
            ready = await _judge_prepared(store, campaign, count)
            await Campaigns(store, _adapters(), system_clock).start("t0", ready.id)
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.3, 1.5))  # the point of the kill is to be anywhere
            await victim.kill()
            await victim.start()
        assert await _until(settings, campaign, {"done"}, 240) == "done"
        await victim.kill(signal.SIGTERM)
        reached = Counter(str(m.body["to"]) for m in graph.messages())
        async with open_store(settings, say=lambda _: None) as store:
            await _judge(store, campaign, count, reached, kills)


async def _until(settings: Settings, campaign: str, states: set[str], seconds: float) -> str:
    """The campaign's state once it is one of these, or the time is over."""
    deadline = asyncio.get_running_loop().time() + seconds
    async with open_store(settings, say=lambda _: None) as store:
        while True:
            found = await store.of("t0").campaigns.get(campaign)
            assert found is not None
            if found.state in states or asyncio.get_running_loop().time() > deadline:
                return found.state
            await asyncio.sleep(0.05)


async def _judge_prepared(store: Store, campaign: str, count: int) -> Campaign:
    found = await store.of("t0").campaigns.get(campaign)
    assert found is not None
    assert (found.estimate["recipients"], found.estimate["allowed"], found.estimate["doubled"]) == (
        count,
        count,
        0,
    )
    addresses = Counter[str]()
    for first in range(0, count + 1000, 1000):
        addresses.update(r.address for r in await store.of("t0").campaigns.recipients(campaign, first))
    assert addresses == Counter(phone(n) for n in range(count))
    return found


async def _judge(store: Store, campaign: str, count: int, reached: Counter[str], kills: int) -> None:
    doubled = {address: n for address, n in reached.items() if n > 1}
    assert not doubled, f"sent twice: {doubled}"
    outcomes = Counter[str]()
    for first in range(0, count + 1000, 1000):
        recipients = await store.of("t0").campaigns.recipients(campaign, first)
        messages = await store.of("t0").known.statuses([r.message for r in recipients if r.message])
        for recipient in recipients:
            assert recipient.state == "written", recipient
            status, doc = messages[recipient.message or ""]
            outcomes[status.label] += 1
            if recipient.address not in reached:
                # Claimed, and killed before the provider was asked: it says so, and is never sent a second time.
                assert doc["failure"]["code"] == "delivery:unknown", (status, doc)
    assert sum(outcomes.values()) == count
    assert outcomes["dead"] <= 32 * kills


@pytest.mark.timeout(400)
async def test_killed_again_and_again_nobody_is_doubled_or_missed(tmp_path: Path) -> None:
    await rampage(tmp_path, seed=1, count=800, kills=3)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", [2, 3])
async def test_killed_fifty_times_nobody_is_doubled_or_missed(tmp_path: Path, seed: int) -> None:
    await rampage(tmp_path, seed, count=20_000, kills=50)
