"""kill -9 at random points, again and again, under load, on the real embedded database.

The test plays the provider: it repeats a webhook until it is acknowledged, in order within a conversation, and sends
receipts for some of what it accepted. Afterwards every acknowledged message must have been answered, in order, and a second
copy may exist only where it is marked as possibly doubled.
"""

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Self

import aiohttp
import pytest

from gateway.bootstrap import open_store
from gateway.model.clock import system_clock
from gateway.model.message import Message, Status
from gateway.settings import Settings
from tests.bench.gateway_process import APP_SECRET
from tests.bench.rig import ROOT
from tests.providers.graph import GraphStandIn, Recorded
from tests.providers.graph_webhooks import signed, status, statuses_webhook, text_webhook

ACCOUNT = str(10**12)
SENDERS = 20
SETTLE = 120.0
PAIR_BURST = 45


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Victim:
    """The gateway, as a process that is killed and started again on the same folder and port."""

    def __init__(self, data: Path, graph_url: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/webhooks/whatsapp/ch_wa0"
        self._environment = {
            **os.environ,
            "DATA_DIR": str(data),
            "PORT": str(self.port),
            "WHATSAPP_API_URL": graph_url,
            "ECHO": "1",
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """However the test ends, nothing is left running."""
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    async def start(self, **more: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.gateway_process",
            cwd=ROOT, env={**self._environment, **more}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        assert line.startswith(b"READY"), line

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def dead(self) -> None:
        """Until it died by itself."""
        assert self._process is not None
        await self._process.wait()

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        await self._process.wait()


class Customers:
    """Several customers, each of whom says one thing after another; each webhook is repeated until acknowledged."""

    def __init__(self, url: str, seed: int) -> None:
        self._url = url
        self._random = random.Random(seed)
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        self.acknowledged: dict[str, list[str]] = defaultdict(list)
        self.stop = asyncio.Event()
        self._receipts: list[asyncio.Task[None]] = []

    async def post(self, body: bytes) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._http.post(self._url, data=body, headers=signed(body, APP_SECRET)) as answer:
                    assert answer.status in (200, 503), answer.status
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.02)  # a provider's pause before it tries again

    async def say(self, sender: str, number: int) -> None:
        said = f"{sender} says {number}"
        body = text_webhook(sender, said, f"wamid.{sender}.{number}", int(time.time()), account=ACCOUNT)
        await self.post(body)
        self.acknowledged[sender].append(said)

    async def talk(self, sender: str) -> None:
        number = 0
        while not self.stop.is_set():
            await self.say(sender, number)
            number += 1
            # People write at their own pace: 45 messages to one person may leave at once, and then one in 6 s.
            slow = number >= PAIR_BURST // 2
            await asyncio.sleep(self._random.uniform(6, 9) if slow else self._random.uniform(0.2, 1.2))

    def accepted(self, request: Recorded) -> None:
        """The provider sends receipts for some of what it took, as it does: late, or twice, or never."""
        for _ in range(self._random.choice((0, 0, 1, 2))):
            receipt = status(
                request.wamid or "",
                self._random.choice(("sent", "delivered")),
                int(time.time()),
                recipient=str(request.body["to"]),
                message=request.message,
            )
            self._receipts.append(
                asyncio.create_task(self.post(statuses_webhook([receipt], account=ACCOUNT)))
            )

    async def close(self) -> None:
        await asyncio.gather(*self._receipts)
        await self._http.close()


async def rampage(tmp_path: Path, seed: int, kills: int) -> None:
    chance = random.Random(seed)
    holder: list[Customers] = []
    async with (
        GraphStandIn(on_accept=lambda r: holder[0].accepted(r)) as graph,
        Victim(tmp_path / "data", graph.url) as victim,
    ):
        customers = Customers(victim.url, seed)
        holder.append(customers)
        await victim.start()
        senders = [str(34_600_000_000 + n) for n in range(SENDERS)]
        talks = [asyncio.create_task(customers.talk(s)) for s in senders]
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.05, 0.6))  # the point of the kill is to be anywhere
            await victim.kill()
            await victim.start()
        customers.stop.set()
        await asyncio.gather(*talks)
        await all_answered(graph, customers)
        await customers.close()
        await victim.kill(signal.SIGTERM)
        outgoing = await stored(tmp_path / "data", senders)
    judge(graph.messages(), customers, outgoing)


async def all_answered(graph: GraphStandIn, customers: Customers) -> None:
    """Until every acknowledged message has been answered at least once."""
    wanted = {said for list_ in customers.acknowledged.values() for said in list_}
    deadline, missing = time.monotonic() + SETTLE, wanted
    while time.monotonic() < deadline:
        missing = wanted - {m.text for m in graph.messages()}
        if not missing:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"never answered: {sorted(missing)[:10]} ({len(missing)} of {len(wanted)})")


async def stored(data: Path, senders: list[str]) -> list[Message]:
    """What our own record says of every outgoing message."""
    found: list[Message] = []
    async with open_store(Settings(data_dir=data), say=lambda _: None) as store:
        mine = store.of("t0")
        for conversation in (await mine.conversations.recent(None, system_clock(), 200)).items:
            after = 0
            while True:
                page = await mine.messages.after(conversation.id, after, 200)
                found += [m for m in page.messages if m.direction == "out"]
                if not page.more:
                    break
                after = page.messages[-1].seq
    assert len({m.conversation for m in found}) == len(senders)
    return found


def given_up(message: Message) -> bool:
    return message.failure is not None and message.failure.code == "delivery:unknown"


def judge(taken: list[Recorded], customers: Customers, outgoing: list[Message], least: int = 50) -> None:
    copies = Counter(m.message for m in taken)
    flagged = {m.id for m in outgoing if m.possibly_doubled}
    unflagged = [i for i, n in copies.items() if n > 1 and i not in flagged]
    assert not unflagged, f"sent twice without a word: {unflagged}"
    # One whose outcome we do not know stands as such, or was given up as such after three deaths at its sending
    # (never sent a fourth time): the provider must have it.
    open_question = [m for m in outgoing if m.status in (Status.SENDING, Status.UNKNOWN) or given_up(m)]
    known_there = {m.id for m in open_question if m.id in copies}
    unsent = [m for m in outgoing if m.status < Status.SENT and m.id not in known_there]
    assert not unsent, "left unsent"
    by_sender: dict[str, list[str]] = defaultdict(list)
    for message in taken:
        answers = by_sender[str(message.body["to"])]
        if message.text not in answers:  # the first copy counts
            answers.append(str(message.text))
    for sender, said in customers.acknowledged.items():
        # One more may have been stored whose acknowledgement was cut off; it comes last.
        assert by_sender[sender][: len(said)] == said, f"out of order for {sender}"
    total = sum(len(s) for s in customers.acknowledged.values())
    assert total >= least, "there was hardly any load"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_25_times_nothing_is_lost_doubled_unmarked_or_out_of_order(
    tmp_path: Path, seed: int
) -> None:
    await rampage(tmp_path, seed, kills=25)


@pytest.mark.slow
@pytest.mark.timeout(3000)
async def test_killed_300_times_nothing_is_lost_doubled_unmarked_or_out_of_order(tmp_path: Path) -> None:
    await rampage(tmp_path, seed=3, kills=300)


STEPS = 22
"""Beginnings and ends of the database calls of a first exchange: eleven calls (contact and conversation are new)."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("half", [0, 1])
async def test_killed_at_each_step_of_an_exchange_it_is_answered_once_or_marked(
    tmp_path: Path, half: int
) -> None:
    """Every await between the webhook and the record of the outcome, one after the other."""
    died = 0
    for step in range(1 + half, STEPS + 1, 2):
        async with GraphStandIn() as graph, Victim(tmp_path / str(step), graph.url) as victim:
            customers = Customers(victim.url, step)
            await victim.start(DIE_AT=str(step))
            said = asyncio.create_task(customers.say("34600000000", 0))
            await asyncio.wait_for(victim.dead(), 30)
            died += 1
            await victim.start()
            await said
            await all_answered(graph, customers)
            await customers.close()
            await victim.kill()
            outgoing = await stored(tmp_path / str(step), ["34600000000"])
        judge(graph.messages(), customers, outgoing, least=1)
    assert died == STEPS // 2
