"""Consent as the business records it: over the API and the command line, from lists, and out again for an auditor."""

import argparse
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from consent.settings import changed, shown
from gateway.commands import parser
from gateway.commands.context import Context, Failed
from gateway.consents import EXPORTED, ConsentDesk
from gateway.model.content import Command, Content, Reply, System, Text
from gateway.model.errors import Invalid
from gateway.model.permission import OptIn, Permissions
from tests.conftest import Running, make_tenant, make_whatsapp
from tests.core.test_api import call, key_of
from tests.core.test_kinds import hear, only, said, sent

HEAD = "phone,purpose,wording,version,at,evidence,age,region,note\n"


async def cli(running: Running, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    args: argparse.Namespace = parser().parse_args(list(words))
    capsys.readouterr()
    try:
        await args.call(Context(running.gateway.settings, running.store, args.json), args)
    finally:
        await running.idle()
    return capsys.readouterr().out


async def test_an_agent_records_a_withdrawal_and_nothing_leaves_any_more(running: Running) -> None:
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, _ = await only(running)
    headers = await key_of(running, "acme")
    body = {"channel": "ch_wa", "contact": conversation.id, "by": "Ana", "note": "said so on the phone"}
    status, answer = await call(running, "POST", "/api/v1/consents/withdrawals", headers, body)
    assert status == 200
    assert {(e["purpose"], e["how"], e["agent"]) for e in answer["items"]} == {
        ("service", "agent", "Ana"),
        ("marketing", "agent", "Ana"),
    }
    assert (await call(running, "POST", "/api/v1/consents/withdrawals", headers, body))[1]["items"] == []
    await hear(running, said(running, Text("echo anybody"), "2"))
    assert sent(running) == ["echo hello"]
    _, found = await call(running, "GET", f"/api/v1/consents/contacts/{conversation.id}", headers)
    assert {(s["purpose"], s["state"]) for s in found["standing"]} == {
        ("service", "withdrawn"),
        ("marketing", "withdrawn"),
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.channel"),
        ({"channel": "ch_wa", "contact": "34600111222", "wording": ""}, "body.wording"),
        ({"channel": "ch_wa", "contact": "34600111222", "wording": " "}, "wording"),
        ({"channel": "ch_wa", "contact": "34600111222", "wording": "x", "purpose": "spam"}, "purpose"),
        ({"channel": "ch_wa", "contact": "123", "wording": "x"}, "phone"),
        ({"channel": "ch_web", "contact": "34600111222", "wording": "x"}, "contact"),
        ({"channel": "ch_wa", "contact": "34600111222", "wording": "x", "at": "2999-01-01T00:00:00Z"}, "at"),
        ({"channel": "ch_wa", "contact": "34600111222", "wording": "x", "tenant": "bolt"}, "body.tenant"),
    ],
)
async def test_what_is_no_proof_is_refused_by_the_fields_name(
    running: Running, body: dict[str, Any], field: str
) -> None:
    status, problem = await call(running, "POST", "/api/v1/consents", await key_of(running, "acme"), body)
    assert (status, problem["errors"][0]["field"]) == (422, field)


async def test_another_tenants_channel_contact_and_entry_are_not_there(running: Running) -> None:
    await make_tenant(running.store, "bolt")
    await make_whatsapp(running.store, "bolt", "ch_bolt", "999")
    await hear(running, said(running, Text("stop"), "1"))
    conversation, _ = await only(running)
    [first, *_] = [e async for e in running.store.of("acme").ledger.all()]
    theirs = await key_of(running, "bolt")
    body = {"channel": "ch_wa", "contact": "34600111222", "wording": "x"}
    assert (await call(running, "POST", "/api/v1/consents", theirs, body))[0] == 404
    body = {"channel": "ch_bolt", "contact": conversation.id, "wording": "x"}
    assert (await call(running, "POST", "/api/v1/consents", theirs, body))[0] == 404
    assert (await call(running, "GET", f"/api/v1/consents/contacts/{conversation.contact}", theirs))[0] == 404
    right = {"state": "granted", "note": "mine"}
    assert (await call(running, "POST", f"/api/v1/consents/{first.id}/correction", theirs, right))[0] == 404
    assert (await call(running, "GET", "/api/v1/consents", theirs))[1]["items"] == []


async def test_a_correction_is_an_entry_and_the_wrong_one_stays(running: Running) -> None:
    await hear(running, said(running, Text("stop"), "1"))
    headers = await key_of(running, "acme")
    entries = {e.purpose: e async for e in running.store.of("acme").ledger.all()}
    right = {"state": "granted", "note": "they wrote about the bus", "by": "Ana"}
    path = f"/api/v1/consents/{entries['service'].id}/correction"
    status, corrected = await call(running, "POST", path, headers, right)
    assert (status, corrected["corrects"], corrected["state"]) == (200, entries["service"].id, "granted")
    assert (await call(running, "POST", path, headers, right))[0] == 409
    await hear(running, said(running, Text("echo hello"), "2"))
    assert sent(running)[-1] == "echo hello"
    assert len([e async for e in running.store.of("acme").ledger.all()]) == 3


LIST = HEAD + (
    "+34600111001,marketing,I agree to offers,v1,2026-01-02T10:00:00+01:00,form 1,34,ES,\n"
    "+34600111002,,I agree to offers,v1,,form 2,,,\n"
    "nobody,marketing,I agree to offers,v1,,form 3,,,\n"
    "+34600111004,spam,I agree to offers,v1,,form 4,,,\n"
    "+34600111005,marketing,,v1,,form 5,,,\n"
    "+34600111006,marketing,I agree to offers,v1,,,,,\n"
    "+34600111007,marketing,I agree to offers,v1,soon,form 7,,,\n"
    "+34600111008,marketing\n"
    "\n"
    '+34600111009,marketing,\'=HYPERLINK(x),v1,,"form, 9",,,"\'+note"\n'
)


async def test_a_list_is_brought_in_with_its_evidence_and_its_errors_by_line(
    running: Running, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text("\ufeff" + LIST, encoding="utf-8")
    where = ("--tenant", "acme", "--channel", "ch_wa", str(file), "--json")
    with pytest.raises(Failed, match="6 lines"):
        await cli(running, capsys, "consent", "import", *where, "--dry-run")
    assert [e async for e in running.store.of("acme").ledger.all()] == []
    with pytest.raises(Failed):
        await cli(running, capsys, "consent", "import", *where)
    result = json.loads(capsys.readouterr().out or "{}")
    entries = [e async for e in running.store.of("acme").ledger.all()]
    assert [(e.purpose, e.state, e.how, e.wording) for e in entries][:2] == [
        ("marketing", "granted", "import", "I agree to offers")
    ] * 2
    assert entries[-1].wording == "=HYPERLINK(x)"
    assert entries[-1].evidence == "form, 9 (list.csv, line 11)"
    assert (entries[0].age, entries[0].region, entries[0].version) == ("34", "ES", "v1")
    assert entries[0].at.isoformat() == "2026-01-02T09:00:00+00:00"
    assert (result["added"], result["there"], result["wrong"]) == (3, 0, 6)
    desk = ConsentDesk(running.store, running.clock)
    channel = await running.store.directory.channel("ch_wa")
    again = await desk.bring_in(channel, io.StringIO(LIST), "list.csv", "cli")
    assert (again.added, again.there, again.wrong) == (0, 3, 6)
    assert [n for n, _ in again.errors] == [4, 5, 6, 7, 8, 9]
    fields = [text.partition(":")[0] for _, text in again.errors]
    assert fields == ["phone", "purpose", "wording", "evidence", "at", "line"]


@pytest.mark.parametrize(
    "head", ["", "name,wording,evidence\n", "phone,wording\n", "phone,evidence,wording,=x\n"]
)
async def test_a_list_without_its_columns_is_refused_whole(running: Running, head: str) -> None:
    channel = await running.store.directory.channel("ch_wa")
    with pytest.raises(Invalid):
        await ConsentDesk(running.store, running.clock).bring_in(channel, io.StringIO(head), "x", "cli")


async def test_row_56_the_export_tells_who_wording_when_and_where_of_all(
    running: Running, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whatever way it came: word, command, button, link, preference of the provider, block, list, API, agent, correction."""
    await running.store.directory.set_permissions(
        "acme",
        Permissions(
            opt_ins={"=NEWS": OptIn("marketing")}, deep_links={"spring": OptIn("marketing", "@spring offers")}
        ),
    )
    headers = await key_of(running, "acme")
    said_so: tuple[Content, ...] = (
        Text("news"), Text("stop"), Command("start"), System("blocked", "They blocked the bot."),
        System("unblocked", "They unblocked the bot."), Command("start", "spring"), Reply("/stop", "Stop"), Text("start"),
    )  # fmt: skip
    for number, content in enumerate(said_so):
        running.clock.move(seconds=1)
        await hear(running, said(running, content, str(number)))
    conversation, _ = await only(running)
    running.clock.move(seconds=1)
    file = tmp_path / "list.csv"
    file.write_text(HEAD + "+34600111009,marketing,'-wording,v1,,form,,,\n")
    await cli(running, capsys, "consent", "import", "--tenant", "acme", "--channel", "ch_wa", str(file))
    who = ("--tenant", "acme", "--channel", "ch_wa", conversation.id)
    await cli(running, capsys, "consent", "withdraw", *who, "--purpose", "marketing", "--by", "Ana")
    await cli(running, capsys, "consent", "grant", *who, "--wording", "On the phone: yes", "--by", "Ana")
    body = {"channel": "ch_wa", "contact": conversation.id, "wording": "+api wording"}
    assert (await call(running, "POST", "/api/v1/consents", headers, body))[0] == 200
    found = await cli(running, capsys, "consent", "export", "--tenant", "acme")
    rows = list(csv.DictReader(io.StringIO(found)))
    entries = [e async for e in running.store.of("acme").ledger.all()]
    assert len(rows) == len(entries) >= 12
    assert {r["how"] for r in rows} >= {
        "keyword",
        "command",
        "deep_link",
        "provider",
        "button",
        "import",
        "agent",
        "api",
    }
    for row in rows:
        assert all(
            row[name] for name in ("contact", "wording", "at", "where", "purpose", "state", "how", "version")
        ), row
        assert row["identities"] or row["phone"]
        # No cell is a formula.
        assert not [v for v in row.values() if v.startswith(("=", "+", "-", "@"))], row
    lines = (await cli(running, capsys, "consent", "export", "--tenant", "acme", "--json")).splitlines()
    told = [json.loads(line) for line in lines]
    assert [t["id"] for t in told] == [r["id"] for r in rows]
    assert set(told[0]) == set(EXPORTED)
    assert "+api wording" in {t["wording"] for t in told}


async def test_pages_lose_nothing_though_a_lists_lines_are_of_one_moment(running: Running) -> None:
    channel = await running.store.directory.channel("ch_wa")
    lines = "".join(f"+346001{n:05d},marketing,yes,v1,,form {n},,,\n" for n in range(450))
    done = await ConsentDesk(running.store, running.clock).bring_in(
        channel, io.StringIO(HEAD + lines), "l", "cli"
    )
    assert done.added == 450
    headers, seen, before = await key_of(running, "acme"), list[str](), ""
    for _ in range(20):
        _, page = await call(running, "GET", f"/api/v1/consents?limit=100{before}", headers)
        seen += [e["id"] for e in page["items"]]
        if page["next"] is None:
            break
        before = "&before=" + page["next"].replace("+", "%2B")
    assert len(seen) == len(set(seen)) == 450


# What a tenant sets


async def test_every_setting_is_shown_set_and_taken_back(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await cli(
        running, capsys, "tenant", "permission", "acme", "stop_scope=marketing", "double_opt_in=true", "purposes=news,events",
        "timezone=Europe/Madrid", "quiet=22:00-09:30", "cap=3/hour", "daily=500", "breaker=off", "keywords.stop=Basta ya,enough",
        "not_keywords=end", 'opt_ins={"NEWS": {"purpose": "news", "wording": "Yes"}}', "currency=EUR",
        'deep_links={"spring": {"purpose": "events"}}', 'prices={"marketing": {"ES": "0.0615", "*": "0.08"}}',
    )  # fmt: skip
    found = (await running.store.directory.tenant("acme")).permissions
    assert changed(Permissions(), shown(found)) == found
    assert (found.stop_scope, found.breaker, found.daily) == ("marketing", None, 500)
    assert found.keywords == {"stop": ("Basta ya", "enough")}
    defaults = [f"{name}=default" for name in shown(found)]
    await cli(running, capsys, "tenant", "permission", "acme", *defaults)
    assert (await running.store.directory.tenant("acme")).permissions == Permissions()
    headers = await key_of(running, "acme")
    status, answer = await call(running, "PUT", "/api/v1/permission", headers, {"change": {"cap": "1/day"}})
    assert (status, answer["cap"]) == (200, "1/86400 seconds")
    assert (await call(running, "GET", "/api/v1/permission", headers))[1] == answer


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"stop_scope": "some"}, "stop_scope"),
        ({"double_opt_in": "yes"}, "double_opt_in"),
        ({"timezone": "Madrid"}, "timezone"),
        ({"quiet": "25:00-08:00"}, "quiet"),
        ({"cap": "2"}, "cap"),
        ({"cap": "0/day"}, "cap"),
        ({"daily": -1}, "daily"),
        ({"daily": True}, "daily"),
        ({"purposes": ["a.b"]}, "purposes"),
        ({"purposes": ["$where"]}, "purposes"),
        ({"purposes": ["service"]}, "purposes"),
        ({"keywords": {"shout": ["x"]}}, "keywords"),
        ({"keywords": {"stop": ["🛑"]}}, "keywords.stop"),
        ({"opt_ins": {"NEWS": {"purpose": "news"}}}, "opt_ins.NEWS"),
        ({"opt_ins": {"NEWS": "marketing"}}, "opt_ins.NEWS"),
        ({"deep_links": {"a b": {"purpose": "marketing"}}}, "deep_links.a b"),
        ({"currency": "euro"}, "currency"),
        ({"prices": {"marketing": {"ES": 0.06}}}, "prices.marketing.ES"),
        ({"prices": {"marketing": {"ES": "NaN"}}}, "prices.marketing.ES"),
        ({"prices": {"gifts": {}}}, "prices"),
    ],
)
def test_a_setting_that_is_none_is_refused_by_its_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        changed(Permissions(), change)
    assert refused.value.field == field
