"""What happens in the middle of a campaign: pauses, a STOP, a person who takes over, a template that is moved, a full quota."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.model.content import Command
from gateway.model.message import Status
from gateway.model.permission import Cap
from gateway.store.messages import Messages
from tests.campaigns.rig import Rig, phone, statuses
from tests.core.test_kinds import hear, said
from tests.providers.graph import Fault
from tests.providers.graph_webhooks import status, statuses_webhook

MANY = 6


async def queued(rig: Rig, count: int = MANY, **more: object) -> tuple[str, list[str]]:
    """A campaign whose messages are written, and none has left."""
    conversations = await rig.customers(count)
    campaign = await rig.made({"filter": {}}, **more)
    await rig.do(campaign, "start")
    await rig.look()
    assert await statuses(rig, conversations) == [Status.QUEUED] * count
    return campaign, conversations


async def test_paused_nothing_leaves_and_resumed_everything_does_once(rig: Rig) -> None:
    campaign, conversations = await queued(rig)
    await rig.do(campaign, "pause")
    assert await statuses(rig, conversations) == [Status.HELD] * MANY
    await rig.go(3)
    assert rig.sent == []
    assert await rig.store.open_work._messages.find({"in_bulk": True}).to_list() == []
    await rig.do(campaign, "resume")
    await rig.go()
    assert sorted(rig.reached()) == [phone(n) for n in range(MANY)]
    assert (await rig.show(campaign))["state"] == "done"


async def test_paused_and_killed_before_its_messages_were_held_they_are_held_at_the_next_look(
    rig: Rig,
) -> None:
    campaign, conversations = await queued(rig)
    found = await rig.store.of("acme").campaigns.get(campaign)
    assert found is not None
    await rig.store.of("acme").campaigns.save(replace(found, state="paused"))
    await rig.go(2)
    assert (rig.sent, await statuses(rig, conversations)) == ([], [Status.HELD] * MANY)


async def test_resumed_and_killed_before_its_messages_were_queued_they_are_at_the_next_look(rig: Rig) -> None:
    campaign, _ = await queued(rig)
    await rig.do(campaign, "pause")
    found = await rig.store.of("acme").campaigns.get(campaign)
    assert found is not None
    await rig.store.of("acme").campaigns.save(replace(found, state="running"))
    await rig.go()
    assert len(rig.sent) == MANY


@pytest.mark.parametrize("stage", ["draft", "ready", "scheduled", "running", "paused"])
async def test_cancelled_at_any_stage_nothing_is_sent(rig: Rig, stage: str) -> None:
    conversations = await rig.customers(MANY)
    given = {"channel": "ch_wa", "name": "News", "template": "news", "audience": {"filter": {}}}
    given["variables"] = {"1": "contact.name|you"}
    campaign = str((await rig.call("POST", "/campaigns", given))["campaign"]["id"])
    if stage != "draft":
        await rig.prepared(campaign)
    if stage in ("scheduled", "running", "paused"):
        await rig.do(campaign, "start")
    if stage in ("running", "paused"):
        await rig.look()
    if stage == "paused":
        await rig.do(campaign, "pause")
    assert (await rig.show(campaign))["state"] == stage
    await rig.do(campaign, "cancel")
    await rig.go(3)
    assert rig.sent == []
    for what in ("start", "pause", "resume", "cancel", "prepare"):
        await rig.do(campaign, what, status=409)
    if stage in ("running", "paused"):
        assert await statuses(rig, conversations) == [Status.CANCELLED] * MANY
    if stage != "draft":
        assert {r["state"] for r in await rig.recipients(campaign)} == {"cancelled"}


async def test_a_stop_in_the_middle_is_heeded(rig: Rig) -> None:
    _, conversations = await queued(rig)
    own = said(rig.running, Command("stop"), "stop", address=phone(2))
    await hear(rig.running, replace(own, identity=replace(own.identity, id=phone(2))))
    await rig.go()
    assert sorted(rig.reached()) == [phone(n) for n in range(MANY) if n != 2]
    assert (await statuses(rig, conversations))[2] is Status.CANCELLED


async def test_while_a_person_owns_the_conversation_it_waits(rig: Rig) -> None:
    campaign, conversations = await queued(rig)
    await rig.call("PUT", f"/conversations/{conversations[1]}/owner", {"owner": "agent"})
    await rig.go()
    assert phone(1) not in rig.reached()
    assert (await statuses(rig, conversations))[1] is Status.HELD
    await rig.call("PUT", f"/conversations/{conversations[1]}/owner", {"owner": "bot"})
    rig.clock.move(hours=1, minutes=1)
    await rig.go()
    assert sorted(rig.reached()) == [phone(n) for n in range(MANY)]
    assert (await rig.show(campaign))["state"] == "done"


async def test_a_template_that_is_moved_to_marketing_stops_it_at_once(rig: Rig) -> None:
    template = await rig.template(name="order", category="UTILITY")
    await rig.customers(MANY, consent=False)
    await rig.consent(range(MANY), "utility")
    campaign = await rig.made({"filter": {}}, template="order", purpose="utility")
    await rig.do(campaign, "start")
    await rig.look()
    await rig.changed(template, category="MARKETING")
    shown = await rig.show(campaign)
    assert (shown["state"], "from utility to marketing" in shown["reason"]) == ("stopped", True)
    await rig.go(3)
    assert rig.sent == []
    refused = await rig.do(campaign, "resume", status=409)
    assert "other consents and prices" in refused["detail"]
    events = (await rig.call("GET", "/channels/ch_wa/events"))["items"]
    assert "was stopped" in events[0]["text"]


async def test_a_paused_template_stops_it_until_it_is_back(rig: Rig) -> None:
    template = await rig.template()
    campaign, _ = await queued(rig)
    await rig.changed(template, state="PAUSED")
    assert (await rig.show(campaign))["state"] == "stopped"
    await rig.go(3)
    assert rig.sent == []
    await rig.do(campaign, "resume", status=409)
    await rig.changed(template, state="APPROVED")
    await rig.do(campaign, "resume")
    await rig.go()
    assert len(rig.sent) == MANY


async def test_a_disabled_channel_stops_it(rig: Rig) -> None:
    campaign, _ = await queued(rig)
    await rig.store.directory.disable(await rig.store.directory.channel("ch_wa"))
    await rig.go(2)
    assert (await rig.show(campaign))["state"] == "stopped"
    assert rig.sent == []


async def test_a_mass_of_opt_outs_stops_it_until_a_person_has_looked(rig: Rig) -> None:
    await rig.permissions(breaker=Cap(2, timedelta(minutes=10)))
    campaign, _ = await queued(rig, 40)
    rig.running.graph.misbehave(Fault.error(131050), 3)
    await rig.running.swept()
    shown = await rig.show(campaign)
    assert (shown["state"], "consent signals" in shown["reason"]) == ("stopped", True)
    out = len(rig.sent)
    assert out < 37
    await rig.go(3)
    await rig.do(campaign, "resume", status=409)
    assert len(rig.sent) == out
    await rig.store.of("acme").signals.reset("ch_wa")
    await rig.do(campaign, "resume")
    await rig.go()
    assert len(rig.reached()) == len(set(rig.reached())) == 37


async def test_the_providers_limit_holds_and_goes_on_the_next_day(rig: Rig) -> None:
    await rig.customers(MANY)
    await rig.store.of("acme").accounts.told("ch_wa", rig.clock(), limit=4)
    campaign = await rig.made({"filter": {}})
    assert (await rig.show(campaign))["estimate"]["limited_by"] == "limit"
    await rig.do(campaign, "start")
    await rig.go()
    assert len(rig.sent) == 4
    waiting = [r for r in await rig.recipients(campaign) if r["state"] == "waiting"]
    assert {r["reason"] for r in waiting} == {"quota"}
    rig.clock.move(hours=26)
    await rig.go()
    assert len(rig.sent) == MANY
    assert (await rig.show(campaign))["state"] == "done"


async def test_the_throttle_holds_in_any_minute(rig: Rig) -> None:
    await rig.customers(12)
    campaign = await rig.made({"filter": {}}, per_minute=6)
    await rig.do(campaign, "start")
    await rig.go(12, seconds=5)
    assert 5 <= len(rig.sent) <= 6
    await rig.go(16, seconds=5)
    assert len(rig.sent) == 12


async def test_provider_evidence_of_what_became_of_it_is_counted(rig: Rig) -> None:
    campaign, _ = await queued(rig)
    await rig.go()
    for number, message in enumerate(rig.sent):
        receipt = status(
            message.wamid or "", "read" if number % 2 else "failed", int(rig.clock().timestamp()),
            recipient=str(message.body["to"]), message=message.message, code=None if number % 2 else 131026,
        )  # fmt: skip
        assert await rig.running.post_whatsapp(statuses_webhook([receipt])) == 200
    rig.clock.move(minutes=10)
    await rig.look()
    counts = (await rig.call("GET", f"/campaigns/{campaign}/results"))["counts"]
    assert counts == {"read": 3, "failed": 3}


@pytest.mark.parametrize("what", ["pause", "cancel"])
async def test_a_pause_or_cancel_while_messages_are_being_written_holds_them(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """It comes between the look that found the campaign running and the writing: what it withdrew did not hold these."""
    conversations = await rig.customers(MANY)
    campaign = await rig.made({"filter": {}})
    await rig.do(campaign, "start")
    real = Messages.put_bulk

    async def late(self: Messages, *given: Any) -> list[bool]:
        await rig.do(campaign, what)
        return await real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Messages, "put_bulk", late)
        await rig.look()
    wanted = Status.HELD if what == "pause" else Status.CANCELLED
    assert await statuses(rig, conversations) == [wanted] * MANY
    await rig.go(2)
    assert rig.sent == []
