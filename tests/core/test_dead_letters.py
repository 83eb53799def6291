"""What was given up: listed page by page, looked at, sent again, put away, or confirmed by a person; over the API and the
command line, each tenant's own."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.model.content import Text
from gateway.model.message import Failure, Message, Status
from tests.conftest import Running, make_tenant
from tests.core.test_api import key_of
from tests.core.test_kinds import hear, only, said, sent

UNSURE = Failure("delivery:unknown", "It may have been sent.")
REFUSED = Failure("whatsapp:http_500", "The provider has a fault.")


async def given_up(running: Running, count: int = 1, failure: Failure = REFUSED) -> list[Message]:
    """A customer whose last messages from us were given up."""
    await hear(running, said(running, Text("echo hello")))
    _, transcript = await only(running)
    messages = [
        replace(
            transcript[-1], id=f"m_dead{n}", seq=transcript[-1].seq + 1 + n, content=Text(f"dead {n}"),
            status=Status.QUEUED, due=running.clock(), provider_id=None, turn=None, author="agent",
        )
        for n in range(count)
    ]  # fmt: skip
    store = running.store.of("acme").messages
    await store.put_queued(messages)
    for message in messages:
        await store.end(message, Status.QUEUED, Status.DEAD, failure)
    return messages


async def call(running: Running, method: str, path: str, tenant: str = "acme") -> tuple[int, Any]:
    headers = await key_of(running, tenant)
    async with running.http.request(
        method, f"{running.url}/api/v1/dead-letters{path}", headers=headers
    ) as answer:
        return answer.status, await answer.json()


async def listed(running: Running) -> list[str]:
    code, page = await call(running, "GET", "")
    assert code == 200
    return [m["id"] for m in page["items"]]


async def test_they_come_page_by_page_latest_first(quiet: None, running: Running) -> None:
    await given_up(running, 5)
    found: list[str] = []
    before = ""
    while True:
        code, page = await call(running, "GET", f"?limit=2{before}")
        assert code == 200
        found += [m["id"] for m in page["items"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert found == [f"m_dead{n}" for n in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(("failure", "doubled"), [(REFUSED, False), (UNSURE, True)])
async def test_one_is_sent_again(quiet: None, running: Running, failure: Failure, doubled: bool) -> None:
    await given_up(running, 1, failure)
    code, shown = await call(running, "POST", "/m_dead0/retry")
    assert (code, shown["possibly_doubled"]) == (200, doubled)
    await running.until(lambda: sent(running) == ["echo hello", "dead 0"])
    await running.idle()
    assert await listed(running) == []
    assert (await call(running, "POST", "/m_dead0/retry"))[0] == 409


async def test_one_is_put_away(quiet: None, running: Running) -> None:
    await given_up(running, 2)
    code, shown = await call(running, "POST", "/m_dead0/discard")
    assert (code, shown["status"]) == (200, "dead")
    assert await listed(running) == ["m_dead1"]
    assert (await call(running, "POST", "/m_dead0/discard"))[0] == 409
    assert (await call(running, "GET", "/m_dead0"))[0] == 404
    assert sent(running) == ["echo hello"]


async def test_a_person_confirms_that_one_arrived(quiet: None, running: Running) -> None:
    await given_up(running, 1, UNSURE)
    code, shown = await call(running, "GET", "/m_dead0")
    assert (code, shown["failure"]["code"]) == (200, "delivery:unknown")
    code, shown = await call(running, "POST", "/m_dead0/confirm")
    assert (code, shown["status"], shown["failure"]) == (200, "sent", None)
    assert await listed(running) == []
    assert sent(running) == ["echo hello"]


async def test_another_tenants_are_not_there(quiet: None, running: Running) -> None:
    await given_up(running)
    await make_tenant(running.store, "bolt")
    assert (await call(running, "GET", "/m_dead0", "bolt"))[0] == 404
    for decision in ("retry", "discard", "confirm"):
        assert (await call(running, "POST", f"/m_dead0/{decision}", "bolt"))[0] == 404
    assert await listed(running) == ["m_dead0"]


async def test_the_metrics_alarm_about_them(quiet: None, running: Running) -> None:
    async def shown() -> str:
        async with running.http.get(f"{running.url}/metrics") as answer:
            return next(x for x in (await answer.text()).splitlines() if x.startswith("parley_dead_letters "))

    assert await shown() == "parley_dead_letters 0"
    await given_up(running, 3)
    assert await shown() == "parley_dead_letters 3"
    await call(running, "POST", "/m_dead0/discard")
    assert await shown() == "parley_dead_letters 2"
