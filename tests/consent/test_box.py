"""The box beside a lead form: what is ticked is agreed to, and what is not, is not."""

from typing import Any

import pytest

from gateway.model.consent import Entry
from gateway.model.permission import Permissions
from leads.texts import wording
from tests.conftest import Running
from tests.core.visitor import Tab, Visitor

WORDS = "Yes, send me Acme's offers, at most two a month."
DETAILS = {"name": "Ana", "phone": "+34 600 111 222", "email": ""}


async def of(running: Running) -> list[Entry]:
    return [e async for e in running.store.of("acme").ledger.all()]


async def settings(running: Running, **permissions: Any) -> None:
    channel = await running.store.directory.channel("ch_web")
    await running.store.directory.set_channel(channel, settings={"site.marketing": WORDS})
    await running.store.directory.set_permissions("acme", Permissions(**permissions))


async def form(tab: Tab) -> dict[str, Any]:
    await tab.ask("unknown thing")
    await tab.send({"type": "reply", "id": "lead:yes", "title": "Yes"})
    return await tab.heard()


async def filled(tab: Tab, asked: dict[str, Any], **values: str) -> dict[str, Any]:
    await tab.send({"type": "form_reply", "values": {**DETAILS, **values}, "to": asked["id"]})
    return await tab.heard()


async def test_ticked_it_is_a_grant_with_its_words_and_the_form_is_one_of_service(running: Running) -> None:
    await settings(running)
    async with Visitor(running).open() as tab:
        asked = await form(tab)
        box = asked["content"]["fields"][-1]
        assert {k: box.get(k, "") for k in ("name", "kind", "label", "required", "value")} == {
            "name": "marketing", "kind": "checkbox", "label": WORDS, "required": False, "value": "",
        }  # fmt: skip
        again = await filled(tab, asked, phone="12", marketing="yes")
        assert again["content"]["fields"][-1]["value"] == "yes"  # they ticked it themselves
        await filled(tab, again, marketing="yes")
    entries = {e.purpose: e for e in await of(running)}
    assert set(entries) == {"service", "marketing"}
    assert [(e.state, e.how) for e in entries.values()] == [("granted", "widget")] * 2
    assert entries["marketing"].wording == WORDS
    assert entries["service"].wording == wording("en").consent
    assert all(e.address and e.message and e.version for e in entries.values())
    [lead] = await running.leads()
    assert lead.fields == {}


@pytest.mark.parametrize("values", [{}, {"marketing": ""}, {"marketing": "on"}, {"marketing": "true"}])
async def test_what_was_not_ticked_is_not_agreed_to(running: Running, values: dict[str, str]) -> None:
    await settings(running)
    async with Visitor(running).open() as tab:
        await filled(tab, await form(tab), **values)
    assert [e.purpose for e in await of(running)] == ["service"]


async def test_without_a_box_nobody_can_tick_one(running: Running) -> None:
    async with Visitor(running).open() as tab:
        asked = await form(tab)
        assert [f.get("kind", "text") for f in asked["content"]["fields"]] == ["text", "phone", "email"]
        await filled(tab, asked, marketing="yes")
    assert [e.purpose for e in await of(running)] == ["service"]


async def test_the_words_are_those_that_were_shown(running: Running) -> None:
    await settings(running)
    async with Visitor(running).open() as tab:
        asked = await form(tab)
        channel = await running.store.directory.channel("ch_web")
        await running.store.directory.set_channel(channel, settings={"site.marketing": "Other words."})
        await filled(tab, asked, marketing="yes")
    assert {e.purpose: e.wording for e in await of(running)}["marketing"] == WORDS


async def test_twice_where_the_tenant_wants_it(running: Running) -> None:
    await settings(running, double_opt_in=True)
    async with Visitor(running).open() as tab:
        await filled(tab, await form(tab), marketing="yes")
        button = await tab.heard()
        assert button["content"]["choices"][0]["id"] == "/agree marketing"
        await tab.send({"type": "reply", "id": "/agree marketing", "title": "Yes, I agree"})
        await tab.heard()
    states = [(e.purpose, e.state) for e in await of(running)]
    assert sorted(states) == [("marketing", "asked"), ("marketing", "granted"), ("service", "granted")]
