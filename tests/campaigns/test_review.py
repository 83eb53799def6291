"""What a review of campaigns found: each was wrong once."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.campaigns_csv import Row
from gateway.commands import parser
from gateway.commands.context import Context
from gateway.model.campaign import Recipient
from gateway.model.conversation import Conversation
from gateway.model.errors import Invalid
from gateway.model.message import Status
from gateway.model.template import Header
from gateway.store.bulk import Bulk
from gateway.store.campaigns import Campaigns
from tests.campaigns.rig import NOON, Rig, phone, statuses
from tests.campaigns.test_csv import read

GIVEN = {"channel": "ch_wa", "name": "News", "template": "news", "audience": {"filter": {}}}
NAMED = {"variables": {"1": "contact.name|you"}}


async def test_one_that_can_be_written_to_nobody_ends(rig: Rig) -> None:
    """Everybody lacks a value: nobody is ever due, and it was `scheduled` for ever."""
    await rig.consent(range(2))
    file = await rig.upload(f"phone,code\n{phone(0)},\n{phone(1)},\n")
    campaign = await rig.made({"csv": file}, variables={"1": "row.code"})
    await rig.do(campaign, "start")
    await rig.go(2)
    assert (await rig.show(campaign))["state"] == "done"
    assert Counter(r["state"] for r in await rig.recipients(campaign)) == {"refused": 2}


async def test_who_may_not_be_written_to_becomes_no_contact(rig: Rig) -> None:
    await rig.consent([0])
    campaign = await rig.csv(range(3))
    await rig.do(campaign, "start")
    await rig.go()
    assert rig.reached() == [phone(0)]
    assert {c.address for c in await rig.running.conversations()} == {phone(0)}
    assert {r["reason"] for r in await rig.recipients(campaign) if r["state"] == "refused"} == {"no_consent"}


async def test_who_was_known_by_another_channel_is_found_by_their_consent(rig: Rig) -> None:
    """Their contact has another id than their number tells: what they agreed to counts for a new conversation."""
    first, _ = await rig.customers(2)
    store = rig.store.of("acme")
    talk = await store.conversations.get(first)
    assert talk is not None
    await store.conversations._conversations.delete_one({"_id": first})
    campaign = await rig.csv([0])
    await rig.do(campaign, "start")
    await rig.go()
    assert rig.reached() == [phone(0)]
    again = await store.conversations.get(first)
    assert again is not None and again.contact == talk.contact


async def test_marketing_called_service_needs_consent_on_a_site_too(rig: Rig) -> None:
    await rig.template(name="offer", account="", body="Hello {{1}}, an offer.", state="DRAFT")
    now = rig.clock()
    talk = Conversation("cv_0", "acme", "ch_web", "ct_0", "v0", now, name="Ana", language="es", last_at=now)
    await rig.store.of("acme").conversations.create(talk)
    campaign = await rig.made({"filter": {}}, channel="ch_web", template="offer", purpose="service")
    assert (await rig.show(campaign))["estimate"]["allowed"] == 0
    await rig.do(campaign, "start")
    await rig.go(2)
    [one] = await rig.recipients(campaign)
    assert (one["state"], one["reason"]) == ("refused", "no_consent")


async def test_a_template_with_parts_that_nobody_knows_is_refused(rig: Rig) -> None:
    await rig.template(name="carousel", raw={"components": [{"type": "CAROUSEL", "cards": []}]})
    answer = await rig.call("POST", "/campaigns", GIVEN | NAMED | {"template": "carousel"}, status=422)
    assert answer["errors"][0]["field"] == "template"


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\x0b", "\x0c", "\x1e"])
async def test_only_a_new_line_ends_a_row(mark: str) -> None:
    found = await read(f"name,phone\nAna{mark}Maria,+34600\n")
    assert [one.values for one in found if isinstance(one, Row)] == [
        {"name": f"Ana{mark}Maria", "phone": "+34600"}
    ]


async def test_what_held_them_is_forgotten_once_it_is_over(rig: Rig) -> None:
    """Else three days' patience with a person who has the conversation would count days of waiting for the quota."""
    await rig.consent([0])
    campaign = await rig.csv([0])
    store = rig.store.of("acme").campaigns
    [one] = await store.recipients(campaign, 0)
    await store.settle([replace(one, held=NOON)])
    await store.settle([replace(one, held=None, reason="quota")])
    [after] = await store.recipients(campaign, 0)
    assert (after.held, after.reason) == (None, "quota")


async def test_a_local_time_that_is_over_when_it_starts_is_not_written_at_any_other(rig: Rig) -> None:
    await rig.customers(1)
    at = (NOON + timedelta(hours=1)).isoformat()
    campaign = await rig.made({"filter": {}}, at=at, local=True)
    rig.clock.move(hours=6)
    answer = await rig.do(campaign, "start", status=409)
    assert "prepare it again" in answer["detail"]
    await rig.prepared(campaign)
    await rig.do(campaign, "start")
    await rig.go(2)
    assert rig.sent == []


async def test_paused_before_anybody_was_due_it_is_scheduled_again(rig: Rig) -> None:
    await rig.customers(1)
    campaign = await rig.made({"filter": {}}, at=(NOON + timedelta(hours=2)).isoformat())
    await rig.do(campaign, "start")
    await rig.look()
    await rig.do(campaign, "pause")
    assert (await rig.do(campaign, "resume"))["state"] == "scheduled"
    rig.clock.move(hours=2, minutes=1)
    await rig.go()
    shown = await rig.show(campaign)
    assert (shown["state"], len(rig.sent)) == ("done", 1)
    assert shown["started"] is not None


async def test_a_pause_while_it_is_being_resumed_holds(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    conversations = await rig.customers(3)
    campaign = await rig.made({"filter": {}})
    await rig.do(campaign, "start")
    await rig.look()
    await rig.do(campaign, "pause")
    real = Bulk.resume

    async def late(self: Bulk, *given: Any) -> int:
        await rig.do(campaign, "pause")
        return await real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Bulk, "resume", late)
        await rig.do(campaign, "resume")
    assert await statuses(rig, conversations) == [Status.HELD] * 3
    assert (await rig.show(campaign))["state"] == "paused"


async def test_what_was_written_before_a_crash_is_not_told_as_refused(rig: Rig) -> None:
    """Its template was given another text since: the message is in the queue all the same."""
    await rig.customers(1)
    template = await rig.template()
    campaign = await rig.made({"filter": {}})
    await rig.do(campaign, "start")
    store = rig.store.of("acme").campaigns
    [before] = await store.recipients(campaign, 0)
    [tally] = await store.tallies(campaign)
    await rig.look()
    await store._recipients.update_one(
        {"_id": before.id}, {"$set": {"state": "waiting"}, "$unset": {"message": ""}}
    )
    await store.put_tallies(campaign, [tally])
    await rig.changed(template, body="Hello {{1}}, {{2}}, we have news. Reply STOP to end.")
    await rig.look()
    [after] = await store.recipients(campaign, 0)
    assert (after.state, after.reason, after.message is not None) == ("written", "", True)


async def test_lines_that_are_named_again_and_again_are_kept_to_a_bound(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.campaigns_audience.BATCH", 5)
    monkeypatch.setattr("gateway.campaigns_prepare.MOST_WRONG", 10)
    file = await rig.upload("\n".join(["phone", *[phone(0)] * 60]))
    campaign = await rig.made({"csv": file}, variables={"1": '"you"'})
    assert (await rig.show(campaign))["estimate"]["doubled"] == 59
    told = (await rig.call("GET", f"/campaigns/{campaign}/errors?limit=100"))["items"]
    assert 10 <= len(told) <= 15


async def test_recipients_that_a_slow_process_wrote_meanwhile_are_counted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had lost its lease, and its batch came between our removal and our writing: they are there, and were nobody's."""
    await rig.consent(range(4))
    real = Campaigns.add_recipients

    async def after_another(self: Campaigns, recipients: list[Recipient]) -> list[bool]:
        await real(self, recipients)
        return await real(self, recipients)

    with monkeypatch.context() as patch:
        patch.setattr(Campaigns, "add_recipients", after_another)
        campaign = await rig.csv(range(4))
    estimate = (await rig.show(campaign))["estimate"]
    assert (estimate["recipients"], estimate["allowed"], estimate["doubled"]) == (4, 4, 0)
    await rig.do(campaign, "start")
    await rig.go()
    assert sorted(rig.reached()) == [phone(n) for n in range(4)]


async def test_a_clock_that_was_moved_back_holds_the_throttle_no_longer_than_a_minute(rig: Rig) -> None:
    await rig.customers(12)
    campaign = await rig.made({"filter": {}}, per_minute=6)
    rig.clock.move(hours=4)
    await rig.do(campaign, "start")
    await rig.go(8, seconds=5)
    await rig.running.swept()
    rig.at(rig.clock() - timedelta(hours=3))
    await rig.go(40, seconds=5)
    assert len(rig.sent) == 12


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"channel": "\ud800"}, "body.channel"),
        ({"languages": ["\ud800"]}, "body.languages.0"),
        ({"audience": {"contacts": ["\ud800"]}}, "body.audience.contacts.0"),
        ({"audience": {"filter": {"lead_fields": {"a\x00": "x"}}}}, "body.audience.filter.lead_fields"),
        ({"audience": {"filter": {"consent": "parties"}}}, "audience.filter.consent"),
        ({"languages": ["klingon"]}, "languages"),
        ({"variables": {"1": '""'}}, "variables.1"),
    ],
)
async def test_odd_values_are_refused_by_name(rig: Rig, wrong: dict[str, Any], field: str) -> None:
    answer = await rig.call("POST", "/campaigns", GIVEN | NAMED | wrong, status=422)
    assert answer["errors"][0]["field"] == field


async def test_a_fallback_stands_on_one_line(rig: Rig) -> None:
    await rig.consent([0])
    file = await rig.upload(f"phone\n{phone(0)}\n")
    campaign = await rig.made({"csv": file}, variables={"1": "row.name|dear\t\n     friend"})
    assert (await rig.show(campaign))["estimate"]["refused"] == {}


@pytest.mark.parametrize("given", ["lead=maybe", "all=no"])
async def test_a_filter_of_the_command_line_is_not_guessed_at(rig: Rig, given: str) -> None:
    words = ["campaign", "create", "--tenant", "acme", "--channel", "ch_wa", "--name", "x", "--template"]
    args = parser().parse_args([*words, "news", "--var", "1=contact.name|you", "--filter", given])
    with pytest.raises(Invalid) as told:
        await args.call(Context(rig.running.gateway.settings, rig.store, False), args)
    assert told.value.field == "--filter"


async def test_a_file_that_a_campaign_carries_is_kept_and_is_the_tenants_own(rig: Rig) -> None:
    await rig.template(name="poster", body="News. Reply STOP to end.", header=Header("image", example="1"))
    file = await rig.upload(b"\x89PNG\r\n\x1a\n" + b"0" * 64, "poster.png")
    given = GIVEN | {"template": "poster"}
    foreign = {"variables": {"header": f'"f_{"a" * 24}"'}}
    answer = await rig.call("POST", "/campaigns", given | foreign, status=422)
    assert answer["errors"][0]["field"] == "variables.header"
    await rig.call("POST", "/campaigns", given | {"variables": {"header": f'"{file}"'}})
    doc = await rig.store.of("acme").files._files.find_one({"_id": file})
    assert doc is not None and "due" not in doc
