"""Several processes look at the same campaign; other channels than WhatsApp; the command line."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.bootstrap import Gateway, build, open_store, working
from gateway.commands import parser
from gateway.commands.context import Context
from gateway.model.consent import MARKETING, Entry, entry_id
from gateway.model.content import Text, plain_text
from gateway.model.conversation import Conversation
from gateway.model.message import Status
from gateway.settings import Settings
from tests.bench.gateway_process import NoEmbedder
from tests.campaigns.rig import Rig, phone
from tests.conftest import ScriptedBrain
from tests.core.test_cli import Line, line

__all__ = ["line"]


async def looks(gateways: list[Gateway]) -> None:
    await asyncio.gather(*(g.campaigns.look() for g in gateways))
    await asyncio.gather(*(g.campaigns.finished() for g in gateways))


async def test_two_processes_write_to_each_once(
    rig: Rig, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.campaigns_audience.BATCH", 7)
    monkeypatch.setattr("gateway.campaigns_run.SOME", 5)
    await rig.consent(range(60))
    async with (
        open_store(settings, rig.clock, say=lambda _: None) as store,
        build(settings, store, rig.clock, brain=ScriptedBrain(), embedder=NoEmbedder()) as other,
        working(other),
    ):
        both = [rig.running.gateway, other]
        lines = ["phone,name", *(f"+{phone(n)},Customer {n}" for n in range(60))]
        given = {"channel": "ch_wa", "name": "News", "template": "news", "variables": {"1": "contact.name"}}
        given["audience"] = {"csv": await rig.upload("\n".join(lines))}
        campaign = str((await rig.call("POST", "/campaigns", given))["campaign"]["id"])
        await rig.do(campaign, "prepare")
        for _ in range(3):
            await looks(both)
        estimate = (await rig.show(campaign))["estimate"]
        assert (estimate["recipients"], estimate["doubled"]) == (60, 0)
        await rig.do(campaign, "start")
        for _ in range(8):
            await looks(both)
            await asyncio.gather(*(g.sweeper.sweep() for g in both))
            await rig.running.until(lambda: all(g.work.idle for g in both))
            rig.clock.move(seconds=1)
        await looks(both)
    assert Counter(rig.reached()) == Counter(phone(n) for n in range(60))
    assert (await rig.show(campaign))["state"] == "done"


async def test_on_the_web_it_is_plain_and_bears_the_way_out(rig: Rig) -> None:
    now, store = rig.clock(), rig.store.of("acme")
    await rig.template(name="offer", account="", body="Hello {{1}}, an offer.", state="DRAFT")
    talks = [
        Conversation(
            f"cv_{n}", "acme", "ch_web", f"ct_{n}", f"v{n}", now, name="Ana", language="es", last_at=now
        )
        for n in range(2)
    ]
    for talk in talks:
        await store.conversations.create(talk)
    await store.ledger.record(
        [
            Entry(entry_id("acme", "w"), "acme", "ch_web", "ct_0", MARKETING, "granted", "widget", now, now),
        ]
    )
    campaign = await rig.made({"filter": {}}, channel="ch_web", template="offer")
    assert (await rig.show(campaign))["estimate"]["refused"] == {"no_consent": 1}
    await rig.do(campaign, "start")
    await rig.go(3)
    [message] = [m for m in await rig.running.transcript("cv_0") if m.campaign]
    assert (message.status, isinstance(message.content, Text)) == (Status.SENT, True)
    assert plain_text(message.content) == "Hello Ana, an offer.\n\nResponde STOP para no recibir más."
    assert [d.stage for d in message.decided] == ["written", "sent"]


async def test_the_audience_by_filter(rig: Rig) -> None:
    await rig.customers(4)
    store = rig.store.of("acme")
    talks = sorted(await rig.running.conversations(), key=lambda c: c.address)
    for talk, language in zip(talks, ("es", "en", "en-GB", None), strict=True):
        await store.conversations.save(replace(talk, language=language))

    async def count(**wanted: object) -> int:
        campaign = await rig.made({"filter": wanted})
        return int((await rig.show(campaign))["estimate"]["recipients"])

    assert await count() == 4
    assert await count(languages=["en"]) == 2
    assert await count(regions=["ES"]) == 4
    assert await count(regions=["FR"]) == 0
    assert await count(lead=True) == 0
    assert await count(lead=False) == 4
    assert await count(heard_after=rig.clock().isoformat()) == 0
    assert await count(heard_before=rig.clock().isoformat()) == 4
    assert await count(consent="utility") == 0
    assert await count(consent="marketing") == 4


async def test_the_command_line_from_the_list_to_the_results(line: Line, tmp_path: Path, rig: Rig) -> None:
    rig.clock.ahead = timedelta()  # the command line has a clock of its own
    own = ("--tenant", "acme")
    await rig.consent(range(2))
    file = tmp_path / "list.csv"
    file.write_text(f"phone,name\n+{phone(0)},=1+1\n+{phone(1)},Bob\n+{phone(2)},Cid\nnothing,X\n")
    make = ("campaign", "create", *own, "--channel", "ch_wa", "--name", "News", "--template", "news")
    made = await line(*make, "--csv", str(file), "--var", "1=contact.name|you")
    told = await line.fails(*make, "--csv", str(file), "--contact", "ct_1")
    assert "one of the three" in told
    dry = await line("campaign", "prepare", *own, made["id"], "--dry-run")
    assert (dry["recipients"], dry["allowed"], dry["wrong"]) == (3, 2, 1)
    assert (await line("campaign", "show", *own, made["id"]))["state"] == "draft"
    assert await line("campaign", "errors", *own, made["id"]) == []
    ready = await line("campaign", "prepare", *own, made["id"])
    assert (ready["recipients"], ready["refused"]) == (3, {"no_consent": 1})
    assert [e["line"] for e in await line("campaign", "errors", *own, made["id"])] == [5]
    assert (await line("campaign", "start", *own, made["id"]))["state"] == "scheduled"
    await rig.look()
    assert (await line("campaign", "pause", *own, made["id"]))["state"] == "paused"
    assert "can't be started" in await line.fails("campaign", "start", *own, made["id"])
    assert (await line("campaign", "resume", *own, made["id"]))["state"] == "running"
    await rig.go()
    results = await line("campaign", "results", *own, made["id"], "--watch")
    assert (results["state"], results["counts"]) == ("done", {"sent": 2, "refused": 1})
    [refused] = await line("campaign", "results", *own, made["id"], "--state", "refused")
    assert "has not agreed" in refused["text"]
    assert [c["name"] for c in await line("campaign", "list", *own)] == ["News"]


async def test_results_as_csv_hold_no_formulas(
    rig: Rig, line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = await rig.upload(f"phone,name\n+{phone(0)},=1+1\n")
    campaign = await rig.made({"csv": file})
    args = parser().parse_args(["campaign", "results", "--tenant", "acme", campaign, "--csv"])
    await args.call(Context(line.settings, line.store, False), args)
    head, row = capsys.readouterr().out.splitlines()
    assert head.startswith("place,address,name")
    assert row.split(",")[1:3] == [phone(0), "'=1+1"]
