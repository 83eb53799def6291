"""Every decision can be looked up by contact and exported: with its reason, its remedy and the facts that it rested on."""

import csv
import io
import json
from argparse import Namespace
from typing import Any

import pytest

from gateway.commands.context import Context, Failed
from gateway.commands.decision import COLUMNS, export_decisions, list_decisions
from tests.conftest import Running, make_tenant
from tests.core.test_api import call, key_of
from tests.permission.rig import hear, say


async def lived(timed: Running) -> str:
    """A conversation with an answer that was sent and words of a person that are held; the contact's id."""
    conversation = await hear(timed, "echo hello")
    timed.clock.move(hours=25)
    await say(timed, conversation, "=cmd|' /C calc'!A0", "1")
    return conversation.contact


async def test_by_the_api_a_page_at_a_time(timed: Running) -> None:
    contact = await lived(timed)
    key, path = await key_of(timed, "acme"), f"/api/v1/contacts/{contact}/decisions"
    status, first = await call(timed, "GET", f"{path}?limit=1", key)
    assert status == 200
    [held] = first["items"]
    [decision] = held["decisions"]
    assert (held["status"], decision["reason"], decision["allowed"]) == ("held", "window_closed", False)
    assert decision["facts"]["owner"] == "bot"
    assert decision["remedy"].startswith("Send a template")
    _, second = await call(timed, "GET", f"{path}?before={first['next']}", key)
    [answer] = second["items"]
    assert [d["stage"] for d in answer["decisions"]] == ["written", "sent"]
    assert second["next"] is None


async def test_another_tenants_contact_is_none(timed: Running) -> None:
    contact = await lived(timed)
    await make_tenant(timed.store, "bolt")
    key = await key_of(timed, "bolt")
    status, _ = await call(timed, "GET", f"/api/v1/contacts/{contact}/decisions", key)
    assert status == 404


async def test_by_the_command_line(timed: Running, capsys: pytest.CaptureFixture[str]) -> None:
    contact = await lived(timed)
    [conversation] = await timed.conversations()
    context = Context(timed.gateway.settings, timed.store, False)
    for named in (contact, conversation.id):
        await list_decisions(context, Namespace(tenant="acme", contact=named, limit=50))
        shown = capsys.readouterr().out
        assert "held" in shown
        assert "window_closed: The service window is closed" in shown
        assert "Send a template" in shown
    with pytest.raises(Failed, match="no contact"):
        await list_decisions(context, Namespace(tenant="acme", contact="ct_none", limit=50))


@pytest.mark.parametrize("as_json", [False, True])
async def test_all_of_them_as_a_file(
    timed: Running, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    await lived(timed)
    context = Context(timed.gateway.settings, timed.store, as_json)
    await export_decisions(context, Namespace(tenant="acme", json=as_json))
    out = capsys.readouterr().out
    rows: list[dict[str, Any]]
    if as_json:
        rows = [json.loads(line) for line in out.splitlines()]
        assert {r["facts"]["owner"] for r in rows} == {"bot"}
    else:
        rows = list(csv.DictReader(io.StringIO(out)))
        assert tuple(rows[0]) == COLUMNS
        assert {json.loads(r["facts"])["owner"] for r in rows} == {"bot"}
    assert sorted((r["stage"], r["reason"]) for r in rows) == [
        ("sent", ""),
        ("sent", "window_closed"),
        ("written", ""),
    ]
