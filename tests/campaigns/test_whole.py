"""A campaign from the API to the provider: who gets it, who does not and why, what it costs."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from gateway.model.content import Text
from gateway.model.identity import Identity
from gateway.model.permission import Cap
from tests.campaigns.rig import Rig, phone
from tests.conftest import WABA, make_tenant, make_whatsapp
from tests.core.test_kinds import hear, said


async def test_everybody_who_agreed_gets_it_once(rig: Rig) -> None:
    await rig.customers(3)
    await rig.customers(2, consent=False, first=3)
    campaign = await rig.made({"filter": {}})
    shown = await rig.show(campaign)
    assert shown["state"] == "ready"
    assert (shown["estimate"]["allowed"], shown["estimate"]["refused"]) == (3, {"no_consent": 2})
    assert rig.sent == []
    await rig.do(campaign, "start")
    await rig.go()
    assert sorted(rig.reached()) == [phone(n) for n in range(3)]
    names = {m.body["to"]: m.body["template"]["components"][0]["parameters"][0]["text"] for m in rig.sent}
    assert names == {phone(n): f"Customer {n}" for n in range(3)}
    assert (await rig.show(campaign))["state"] == "done"
    results = await rig.call("GET", f"/campaigns/{campaign}/results")
    assert results["counts"] == {"sent": 3, "refused": 2}
    refused = [r for r in await rig.recipients(campaign) if r["state"] == "refused"]
    assert "has not agreed to marketing" in refused[0]["text"]
    assert "consent grant" in refused[0]["text"]


async def test_numbers_of_a_list_become_contacts_when_they_are_written_to(rig: Rig) -> None:
    await rig.consent(range(4))
    campaign = await rig.csv(range(5))
    assert await rig.running.conversations() == ()
    await rig.do(campaign, "start")
    await rig.go()
    assert sorted(rig.reached()) == [phone(n) for n in range(4)]
    there = {c.address: c.name for c in await rig.running.conversations()}
    assert there[phone(1)] == "Customer 1"
    assert Counter(r["state"] for r in await rig.recipients(campaign)) == {"sent": 4, "refused": 1}


async def test_the_frequency_cap_holds_over_campaigns(rig: Rig) -> None:
    await rig.permissions(cap=Cap(1, timedelta(days=1)))
    await rig.customers(2)
    first, second = await rig.made({"filter": {}}), await rig.made({"filter": {}})
    for campaign in (first, second):
        await rig.do(campaign, "start")
        await rig.go()
        assert len(rig.sent) == 2
    assert {r["reason"] for r in await rig.recipients(second)} == {"frequency"}


async def test_what_it_costs_is_told_before_and_after(rig: Rig) -> None:
    prices = {"marketing": {"ES": "0.05", "GB": "0.07"}}
    await rig.permissions(prices=prices, currency="EUR")
    await rig.consent(range(3))
    lines = ["phone", *(f"+{phone(n)}" for n in range(3)), "+4915112345678"]
    file = await rig.upload("\n".join(lines))
    campaign = await rig.made({"csv": file}, variables={"1": '"friend"'}, per_minute=60)
    estimate = (await rig.show(campaign))["estimate"]
    assert (estimate["cost"], estimate["currency"], estimate["refused"]) == ("0.15", "EUR", {"no_consent": 1})
    assert (estimate["seconds"], estimate["limited_by"]) == (3, "throttle")
    await rig.do(campaign, "start")
    await rig.go()
    results = await rig.call("GET", f"/campaigns/{campaign}/results")
    assert (results["cost"], results["unpriced"]) == ("0.15", {})


async def test_a_price_that_nobody_gave_is_named(rig: Rig) -> None:
    await rig.customers(1)
    campaign = await rig.made({"filter": {}})
    assert (await rig.show(campaign))["estimate"]["unpriced"] == {"MARKETING/ES": 1}


async def test_the_contacts_own_language_goes_first(rig: Rig) -> None:
    await rig.template(language="en")
    await rig.consent(range(2))
    file = await rig.upload(f"phone,language\n{phone(0)},en\n{phone(1)},fr\n")
    campaign = await rig.made({"csv": file}, languages=["es", "en"])
    await rig.do(campaign, "start")
    await rig.go()
    told = {m.body["to"]: m.body["template"]["language"]["code"] for m in rig.sent}
    assert told == {phone(0): "en", phone(1): "es"}


async def test_a_variable_without_a_value_is_no_message(rig: Rig) -> None:
    await rig.consent(range(2))
    file = await rig.upload(f"phone,code\n{phone(0)},A1\n{phone(1)},\n")
    campaign = await rig.made({"csv": file}, variables={"1": "row.code"})
    await rig.do(campaign, "start")
    await rig.go()
    assert rig.reached() == [phone(0)]
    [other] = [r for r in await rig.recipients(campaign) if r["state"] == "refused"]
    assert (other["reason"], "row.code" in other["text"]) == ("variable", True)


async def test_two_conversations_of_one_person_are_one_message(rig: Rig) -> None:
    """A number and a business-scoped id turn out to be one after the campaign was prepared."""
    await rig.customers(1)
    scoped = Identity("whatsapp", WABA, "ES.13491208655302741918")
    stranger = said(rig.running, Text("echo hello"), "other", identity=scoped, address=scoped.id)
    await hear(rig.running, stranger)
    campaign = await rig.made({"filter": {}})
    assert (await rig.show(campaign))["estimate"]["recipients"] == 2
    same = said(
        rig.running, Text("echo again"), "same", address=phone(0),
        identity=replace(stranger.identity, account="", id=phone(0)), aliases=(scoped,),
    )  # fmt: skip
    await hear(rig.running, same)
    await rig.do(campaign, "start")
    await rig.go()
    assert len(rig.sent) == 1
    assert Counter(r["reason"] for r in await rig.recipients(campaign)) == {"": 1, "doubled": 1}


async def test_another_tenants_campaign_is_none(rig: Rig) -> None:
    await rig.customers(1)
    campaign = await rig.made({"filter": {}})
    await make_tenant(rig.store, "other")
    await make_whatsapp(rig.store, "other", "ch_other", "999")
    _, rig.key = await rig.store.access.create_key("other", "test", rig.clock())
    for path in ("", "/results", "/recipients", "/errors"):
        await rig.call("GET", f"/campaigns/{campaign}{path}", status=404)
    for what in ("prepare", "start", "pause", "resume", "cancel"):
        await rig.do(campaign, what, status=404)
    given = {"channel": "ch_wa", "name": "x", "template": "news", "audience": {"filter": {}}}
    await rig.call("POST", "/campaigns", given, status=404)
    [contact] = {c.contact for c in await rig.running.conversations()}
    await rig.template(account=WABA)
    rig.key = (await rig.store.access.create_key("acme", "again", rig.clock()))[1]
    foreign = await rig.made({"contacts": [contact, "ct_nobody"]})
    assert (await rig.show(foreign))["estimate"]["wrong"] == 1
    [error] = (await rig.call("GET", f"/campaigns/{foreign}/errors"))["items"]
    assert (error["line"], error["text"]) == (2, "There is no contact ct_nobody.")


async def test_what_does_not_fit_is_refused_when_it_is_made(rig: Rig) -> None:
    given = {"channel": "ch_wa", "name": "News", "template": "news", "audience": {"filter": {}}}
    good = {"variables": {"1": "contact.name|you"}}
    for wrong, field in (
        ({}, "variables.1"),
        ({"variables": {"1": "contact.shoe"}}, "variables.1"),
        ({"variables": {"1": "contact.name", "2": '"x"'}}, "variables.2"),
        ({**good, "template": "nothing"}, "template"),
        ({**good, "purpose": "fun"}, "purpose"),
        ({**good, "local": True}, "at"),
        ({**good, "audience": {"csv": "f_nothing"}}, "audience.csv"),
    ):
        answer = await rig.call("POST", "/campaigns", given | wrong, status=422)
        assert answer["errors"][0]["field"] == field
    await rig.template(name="bare", body="Hello {{1}}, we have news.")
    made = await rig.call("POST", "/campaigns", given | good | {"template": "bare"})
    assert "opt-out" in made["warnings"][0]
