"""Opting in: by a word, by a link, twice where the tenant wants it."""

from typing import Any

from gateway.model.consent import Entry
from gateway.model.content import Command, Reply, Text
from gateway.model.permission import OptIn, Permissions
from tests.conftest import Running
from tests.core.test_api import call, key_of
from tests.core.test_kinds import hear, only, said, sent

NEWS = OptIn("marketing", "I want Acme's offers on WhatsApp, at most two a month.")


async def of(running: Running) -> list[Entry]:
    return [e async for e in running.store.of("acme").ledger.all()]


async def settings(running: Running, **more: Any) -> None:
    given = {"opt_ins": {"OFFERS": NEWS}, "deep_links": {"spring": NEWS}} | more
    await running.store.directory.set_permissions("acme", Permissions(**given))


async def states(running: Running) -> dict[str, str]:
    conversation, _ = await only(running)
    return {p: s.state for p, s in conversation.consents.items()}


async def test_a_word_of_the_tenants_agrees(running: Running) -> None:
    await settings(running)
    await hear(running, said(running, Text("offers!"), "1"))
    await hear(running, said(running, Text("OFFERS"), "2"))
    [entry] = await of(running)
    assert (entry.purpose, entry.state, entry.how, entry.wording) == (
        "marketing",
        "granted",
        "keyword",
        NEWS.wording,
    )
    assert len(sent(running)) == 2


async def test_a_link_agrees(running: Running) -> None:
    await settings(running)
    await hear(running, said(running, Command("start", "spring"), "1", extra={"start": "spring"}))
    [entry] = await of(running)
    assert (entry.state, entry.how, entry.wording) == ("granted", "deep_link", NEWS.wording)
    await hear(running, said(running, Command("start", "other"), "2", extra={"start": "other"}))
    assert len(await of(running)) == 1


async def test_twice_where_the_tenant_wants_it(running: Running) -> None:
    await settings(running, double_opt_in=True)
    await hear(running, said(running, Text("offers"), "1"))
    assert await states(running) == {"marketing": "asked"}
    asked = running.graph.messages()[-1].body["interactive"]
    assert NEWS.wording in asked["body"]["text"]
    assert [b["reply"]["id"] for b in asked["action"]["buttons"]] == ["/agree marketing"]
    running.clock.move(seconds=1)
    for number in (2, 3):
        await hear(running, said(running, Reply("/agree marketing", "Yes, I agree"), str(number)))
    assert await states(running) == {"marketing": "granted"}
    first, second = await of(running)
    assert (first.state, second.state, second.how) == ("asked", "granted", "button")
    assert first.wording == second.wording == NEWS.wording


async def test_an_old_button_does_not_undo_a_stop_and_nobody_agrees_unasked(running: Running) -> None:
    await settings(running, double_opt_in=True)
    await hear(running, said(running, Reply("/agree marketing", "Yes, I agree"), "0"))
    assert await states(running) == {}
    await hear(running, said(running, Text("offers"), "1"))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("stop"), "2"))
    running.clock.move(seconds=1)
    await hear(running, said(running, Reply("/agree marketing", "Yes, I agree"), "3"))
    assert await states(running) == {"marketing": "withdrawn", "service": "withdrawn"}


async def test_a_grant_over_the_api_is_asked_for_where_there_is_a_conversation(running: Running) -> None:
    await settings(running, double_opt_in=True)
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, _ = await only(running)
    headers = await key_of(running, "acme")
    body = {
        "channel": "ch_wa",
        "contact": conversation.id,
        "wording": "By the counter: yes to offers.",
        "key": "k1",
    }
    for _ in range(2):
        status, entry = await call(running, "POST", "/api/v1/consents", headers, body)
        assert (status, entry["state"]) == (200, "asked")
        await running.idle()
    asked = [m for m in running.graph.messages() if m.body["type"] == "interactive"]
    assert len(asked) == 1
    assert "By the counter" in asked[0].body["interactive"]["body"]["text"]
    running.clock.move(seconds=1)
    await hear(running, said(running, Reply("/agree marketing", "Yes, I agree"), "2"))
    assert await states(running) == {"marketing": "granted"}


async def test_who_was_brought_in_from_a_list_is_asked_when_they_first_write(running: Running) -> None:
    await settings(running, double_opt_in=True)
    body = {"channel": "ch_wa", "contact": "+34 600 111 222", "wording": "On paper.", "evidence": "form 7"}
    status, _ = await call(running, "POST", "/api/v1/consents", await key_of(running, "acme"), body)
    assert status == 200
    running.clock.move(seconds=1)
    who = type(said(running, Text("")).identity)("whatsapp", "", "34600111222")
    await hear(running, said(running, Text("echo hello"), "1", identity=who, address="34600111222"))
    assert [m.body["type"] for m in running.graph.messages()] == ["text", "interactive"]
    assert "On paper." in running.graph.messages()[-1].body["interactive"]["body"]["text"]
