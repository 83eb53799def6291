"""The command line about delivery: a tenant's limits, a channel's quiet time, and what was given up."""

from datetime import timedelta

import pytest

from gateway.model.clock import system_clock
from gateway.model.content import Text
from gateway.model.message import Failure, Message, Status
from gateway.store import Store
from tests.conftest import ORIGIN, make_tenant, make_whatsapp
from tests.core.test_cli import Line, line

__all__ = ["line"]


async def test_a_tenants_limits_are_shown_and_changed(line: Line) -> None:
    await make_tenant(line.store)
    shown = {r["limit"]: r for r in await line("tenant", "limits", "acme")}
    assert set(shown) == {"contact", "tenant", "site", "api"}
    assert (shown["contact"]["at_most"], shown["contact"]["own"]) == ("60/minute", False)
    changed = await line("tenant", "limits", "acme", "contact=5/hour", "api=9/second")
    assert {r["limit"]: r["at_most"] for r in changed if r["own"]} == {"contact": "5/hour", "api": "9/second"}
    assert (await line.store.directory.tenant("acme")).limits == {"contact": "5/hour", "api": "9/second"}
    await line("tenant", "limits", "acme", "contact=default")
    assert (await line.store.directory.tenant("acme")).limits == {"api": "9/second"}
    for wrong, named in (
        ("contact=5", "contact"),
        ("guess=5/hour", "guess"),
        ("x", "x"),
        ("api=0/hour", "api"),
    ):
        assert (await line.fails("tenant", "limits", "acme", wrong)).startswith(named)
    assert "nobody" in await line.fails("tenant", "limits", "nobody")


async def test_a_channels_quiet_time(line: Line) -> None:
    await make_tenant(line.store)
    made = await line(
        "channel", "add", "web", "--tenant", "acme", "--origin", ORIGIN, "--quiet-seconds", "1.5"
    )
    assert (await line.store.directory.channel(made["id"])).quiet == timedelta(seconds=1.5)
    assert (await line("channel", "set", made["id"], "--quiet-seconds", "0"))["changed"] == ["quiet_seconds"]
    assert (await line.store.directory.channel(made["id"])).quiet == timedelta()
    for wrong in ("11", "-1", "nan", "soon", "inf"):
        told = await line.fails("channel", "set", made["id"], "--quiet-seconds=" + wrong)
        assert told.startswith("--quiet-seconds"), wrong


@pytest.fixture
async def dead(line: Line) -> list[str]:
    await make_tenant(line.store)
    await make_whatsapp(line.store)
    return [await give_up(line.store, n) for n in range(3)]


async def give_up(store: Store, number: int) -> str:
    message = Message(
        f"m_dead{number}", "acme", "ch_wa", "cv_x", "out", "bot", number, system_clock(), Text(f"text {number}"),
        Status.QUEUED, due=system_clock(),
    )  # fmt: skip
    messages = store.of("acme").messages
    await messages.put_queued([message])
    await messages.end(
        message, Status.QUEUED, Status.DEAD, Failure("whatsapp:http_500", "The provider has a fault.")
    )
    return message.id


async def test_what_was_given_up_is_listed_looked_at_and_decided(line: Line, dead: list[str]) -> None:
    of = ("--tenant", "acme")
    assert [m["id"] for m in await line("deadletter", "list", *of)] == dead[::-1]
    shown = await line("deadletter", "show", *of, dead[0])
    assert (shown["text"], shown["failure"]) == ("text 0", "whatsapp:http_500: The provider has a fault.")
    assert await line("deadletter", "confirm", *of, dead[0]) == {"id": dead[0], "confirmed": True}
    assert await line("deadletter", "discard", *of, dead[1]) == {"discarded": [dead[1]]}
    assert await line("deadletter", "retry", *of, "--all") == {"queued": [dead[2]]}
    assert await line("deadletter", "list", *of) == []
    found = [await line.store.of("acme").messages.get(i) for i in dead]
    assert [m and m.status for m in found] == [Status.SENT, Status.DEAD, Status.QUEUED]


async def test_decisions_about_what_is_not_there(line: Line, dead: list[str]) -> None:
    for action in ("show", "retry", "discard", "confirm"):
        assert "deadletter list" in await line.fails("deadletter", action, "--tenant", "acme", "m_x")
        assert "nobody" in await line.fails("deadletter", action, "--tenant", "nobody", "m_x")
    for action in ("retry", "discard"):
        assert (await line.fails("deadletter", action, "--tenant", "acme")).startswith("MESSAGE or --all")
        assert (await line.fails("deadletter", action, "--tenant", "acme", "m_x", "--all")).startswith(
            "MESSAGE"
        )
    assert len(await line("deadletter", "list", "--tenant", "acme")) == 3
