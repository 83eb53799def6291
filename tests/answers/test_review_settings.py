"""What a reviewer broke about settings and the words of the business: nothing that somebody sets is lost, and nobody hears of
another day."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from brain.embed import Embedder
from brain.port import IndexedPassage, Scored
from brain.providers.local import Quote
from gateway.model.answers import Question
from gateway.model.errors import Conflict
from tests.answers.rig import Rig
from tests.conftest import MovableClock, Running
from tests.providers.openai import OpenAIStandIn

KEY = "a-provider-key-123456"
TABLE = (
    "Day: Monday, Shop: closed, Workshop: closed\nDay: Tuesday to Friday, Shop: 10:00 to 18:30, Workshop: 9:00 to 18:00\n"
    "Day: Saturday, Shop: 9:30 to 16:00, Workshop: 9:30 to 14:00\n"
    "Day: Sunday, Shop: 11:00 to 15:00, May to September only, Workshop: closed\n"
    "We are closed on public holidays and from 24 December to 2 January. On the first Tuesday of each month we open at noon."
)


@pytest.mark.parametrize(
    ("asked", "said", "unsaid"),
    [
        ("When are you open on Saturday?", ["9:30 to 16:00"], ["Monday", "Tuesday", "Sunday"]),
        ("Are you open on Wednesdays?", ["10:00 to 18:30"], ["Monday", "Saturday"]),
        ("When are you open at the weekend?", ["9:30 to 16:00", "11:00 to 15:00"], ["Monday", "Tuesday"]),
        ("When are you open?", ["Tuesday to Friday"], []),
    ],
)
async def test_who_asks_for_a_day_hears_of_that_day(
    embedder: Embedder, asked: str, said: list[str], unsaid: list[str]
) -> None:
    passage = IndexedPassage(TABLE, "d", "About", ("Opening hours",))
    answer = await Quote(embedder).answer(Question("t", asked), [Scored(passage, 1.0, 1.0, 1.0, 1.0)])
    assert all(part in answer.text for part in said)
    assert not any(part in answer.text for part in unsaid)


@pytest.fixture
async def api(running: Running, clock: MovableClock) -> AsyncIterator[Any]:
    _, secret = await running.store.access.create_key("acme", "test", clock())

    async def call(method: str, path: str, body: Any) -> int:
        url = f"{running.url}/api/v1/answers{path}"
        headers = {"Authorization": f"Bearer {secret}"}
        async with running.http.request(method, url, json=body, headers=headers) as answer:
            return answer.status

    yield call


async def test_changes_at_the_same_time_are_all_kept(
    api: Any, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read the settings before either writes."""
    directory, both = running.store.directory, asyncio.Barrier(2)
    read, reads = directory.tenant, 0

    async def together(tenant: str) -> Any:
        nonlocal reads
        found = await read(tenant)
        reads += 1
        if reads <= 2:
            await both.wait()
        return found

    monkeypatch.setattr("gateway.api.answers.AnswerOperations.get_answers", _nothing)
    monkeypatch.setattr(directory, "tenant", together)
    statuses = await asyncio.gather(
        api("PATCH", "", {"tone": "formal"}), api("PUT", "/key", {"key": KEY}), return_exceptions=True
    )
    after = await read("acme")
    assert (after.answers.tone, after.secrets.get("answers")) == ("formal", KEY), statuses


async def _nothing(*_: object) -> None:
    return None


async def test_settings_that_somebody_else_changed_since_are_not_written_over(running: Running) -> None:
    before = await running.store.directory.tenant("acme")
    await running.store.directory.set_answers("acme", before.answers, {"answers": KEY}, rev=before.rev)
    with pytest.raises(Conflict):
        await running.store.directory.set_answers("acme", before.answers, {"answers": None}, rev=before.rev)
    assert (await running.store.directory.tenant("acme")).secrets == {"answers": KEY}


async def test_a_model_whose_answer_is_not_said_is_there_again(rig: Rig, openai: OpenAIStandIn) -> None:
    """After its rest one call is let through; that it came back with German does not mean another rest."""
    rig.account_of("openai", openai, model="m")
    asked = "How much does a full service cost?"
    openai.behave = ["500", "500", "500"]
    for _ in range(4):
        assert (await rig.ask(asked)).by == "local"
    assert len(openai.calls) == 3
    rig.now[0] += 31
    openai.write = lambda _: "Ein kompletter Service kostet 120 Euro und dauert zwei Arbeitstage. [1]"
    assert (await rig.ask(asked)).why == "language"
    openai.write = lambda _: "A full service costs €120. [1]"
    assert (await rig.ask(asked)).by == "openai"
