"""Row 2: the answer model hangs. Webhooks are taken, and everybody whose answer does not need it is answered, told by the order
of events: nothing here waits for a clock."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest

from gateway.model.answers import Answer, Listener, Question
from gateway.settings import Settings
from gateway.store import Store
from tests.conftest import (
    ACCESS_TOKEN,
    APP_SECRET,
    MovableClock,
    make_tenant,
    make_whatsapp,
    serving,
)
from tests.providers.graph import GraphStandIn
from tests.providers.graph_webhooks import signed, text_webhook

OTHER_PHONE = "206540352242922"


@dataclass
class HangingBrain:
    """Thinks about what begins with "hang" until the gate opens; repeats everything else."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    hanging: int = 0

    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        if question.text.startswith("hang"):
            self.hanging += 1
            await self.gate.wait()
        return Answer(True, question.text, by="test")


@dataclass
class Gate:
    url: str
    http: aiohttp.ClientSession
    brain: HangingBrain
    graph: GraphStandIn

    async def ask(self, text: str, sender: int, channel: str = "ch_wa", phone: str | None = None) -> None:
        more = {"account": phone} if phone else {}
        body = text_webhook(str(sender), text, f"wamid.{sender}.{text}", int(time.time()), **more)
        url = f"{self.url}/webhooks/whatsapp/{channel}"
        async with self.http.post(url, data=body, headers=signed(body, APP_SECRET)) as answer:
            assert answer.status == 200

    def said(self) -> list[str | None]:
        return [m.text for m in self.graph.messages()]

    async def until_said(self, *texts: str) -> None:
        async with asyncio.timeout(15):
            while not set(texts) <= set(self.said()):
                await asyncio.sleep(0.01)


@pytest.fixture
async def gate(
    settings: Settings,
    store: Store,
    clock: MovableClock,
    graph: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Gate]:
    assert graph.tokens is not None
    graph.tokens[ACCESS_TOKEN].add(OTHER_PHONE)
    await make_tenant(store)
    await make_whatsapp(store)
    await make_tenant(store, "other")
    await make_whatsapp(store, "other", "ch_other", OTHER_PHONE)
    brain = HangingBrain()
    async with serving(settings, store, clock, brain) as (gateway, url), aiohttp.ClientSession() as http:
        monkeypatch.setattr(gateway.work, "_limit", PLACES)
        yield Gate(url, http, brain, graph)
        brain.gate.set()


PLACES = 12
"""How many conversations are worked on at once here: a small number of the same kind as a process's own."""


@pytest.mark.parametrize(
    "hanging",
    [PLACES // 2, PLACES * 2],
)
async def test_while_the_model_hangs_webhooks_are_taken_and_other_conversations_are_answered(
    gate: Gate, hanging: int
) -> None:
    await asyncio.gather(*(gate.ask("hang", 34_600_000_000 + n) for n in range(hanging)))
    async with asyncio.timeout(30):
        while gate.brain.hanging < hanging:
            await asyncio.sleep(0.01)
    for n in range(5):
        await gate.ask(f"other {n}", 34_700_000_000 + n, "ch_other", OTHER_PHONE)
        await gate.ask(f"same tenant {n}", 34_800_000_000 + n)
    await gate.until_said(*(f"other {n}" for n in range(5)), *(f"same tenant {n}" for n in range(5)))
    assert "hang" not in gate.said()
    gate.brain.gate.set()
    async with asyncio.timeout(60):
        while gate.said().count("hang") < hanging:
            await asyncio.sleep(0.01)
    assert gate.brain.hanging == hanging


async def test_who_thinks_too_long_does_not_know(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.answering.THINKS", 0.05)
    await gate.ask("hang", 34_600_000_000)
    async with asyncio.timeout(15):
        while not gate.said():
            await asyncio.sleep(0.01)
    assert "hang" not in gate.said()
    assert "don't know" in str(gate.said()[0])
