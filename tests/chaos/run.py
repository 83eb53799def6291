"""One run: the stack is started and measured, customers write while faults happen, everything is left to settle, and what
came of it is gathered for the audit."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from gateway.bootstrap import open_store
from gateway.deliver import LEASE
from gateway.model.message import Status
from gateway.settings import Settings, load
from gateway.store.database import connect, database
from tests.chaos.audit import audit
from tests.chaos.faults import Faults
from tests.chaos.history import Doc, History, Verdict
from tests.chaos.load import LATER, PATIENCE, Customers, Provider
from tests.chaos.providers import Providers, Watch, WatchedBots, WatchedGraph
from tests.chaos.stack import Stack, stack
from tests.chaos.visitor import Visitor
from tests.chaos.world import Customer, bot_token, customers, number, settle_in

WARM = 40
"""Messages that measure what the machine sustains before the run."""

SHARE, LEAST, MOST = 0.8, 4.0, 60.0
"""Of what was measured, so much is asked for, between these rates a second: faults take their part."""

AFTER_LEASE = 90.0
"""Seconds beyond a claim's lease in which everything must be done once the faults have ended."""

PATIENT = 90.0
"""Seconds that the load may take besides four times what its rate says."""

KEY = "a-chaos-key-of-thirty-two-characters-1"

NOTHING: Mapping[str, str] = {}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to run. `lease` None: production's own."""

    seed: int
    messages: int
    processes: int
    faults: tuple[str, ...]
    redis: bool = True
    lease: float | None = None
    brief: bool = False

    @property
    def claim(self) -> float:
        return self.lease or LEASE.total_seconds()


@dataclass(frozen=True, slots=True)
class Outcome:
    wish: Wish
    verdict: Verdict
    history: History
    seconds: float
    rate: float
    faults: dict[str, int] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    """What our processes logged as errors."""


@dataclass
class Running:
    wish: Wish
    stack: Stack
    providers: Providers
    watch: Watch
    http: aiohttp.ClientSession
    provider: Provider
    said: Customers
    rate: float = LEAST
    visitors: list[Visitor] = field(default_factory=list)


async def run(wish: Wish, folder: Path, say: Say) -> Outcome:
    began = time.monotonic()
    async with ready(wish, folder) as it:
        await _measure(it, say)
        faults = Faults(it.stack, it.providers, it.http, wish.seed, wish.faults, wish.claim, wish.brief)
        mayhem = asyncio.create_task(faults.run())
        try:
            await _talks(it, faults, say)
        finally:
            faults.stop()
            await mayhem
        say("the faults have ended; what is left is done")
        await settled(it, say)
        history = await gathered(it)
    verdict = audit(history)
    seconds = time.monotonic() - began
    return Outcome(
        wish, verdict, history, seconds, it.rate, dict(faults.done), tuple(faults.log), _errors(folder)
    )


@asynccontextmanager
async def ready(wish: Wish, folder: Path, more: Mapping[str, str] = NOTHING) -> AsyncIterator[Running]:
    """Everything started and serving. `more` is added to the environment of our processes."""
    gateways: dict[int, Callable[[], str]] = {}
    watch = Watch(lambda port: gateways[port]() if port in gateways else "", [], [])
    held: list[Running] = []

    def accepted(request: Any) -> None:
        held[0].provider.receipts(f"wa{int(request.phone) - int(number(0))}", request)

    async with WatchedGraph(watch, accepted) as whatsapp, WatchedBots(watch) as telegram:
        for tenant in range(2):
            telegram.add_bot(bot_token(tenant), f"bot{tenant}_bot")
        own = [await _environment(wish, whatsapp, telegram) | dict(more) for _ in range(wish.processes)]
        async with (
            stack(folder, wish.processes, own, wish.redis) as found,
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE)
            ) as http,
        ):
            for gateway, environment in zip(found.gateways, own, strict=True):
                for name in ("WHATSAPP_API_URL", "TELEGRAM_API_URL"):
                    port = int(environment[name].rpartition(":")[2])
                    gateways[port] = lambda g=gateway: f"{g.name}#{g.started}"  # type: ignore[misc]
            await _filled(found, folder)
            for gateway in found.gateways:
                gateway.open()
            await asyncio.gather(*(g.ready(http) for g in found.gateways))
            provider = Provider(http, [w.url for w in found.webs], wish.seed, 4.0 if wish.brief else LATER)
            it = Running(
                wish,
                found,
                Providers(whatsapp, telegram),
                watch,
                http,
                provider,
                Customers(provider, lambda: it.rate),
            )
            held.append(it)
            yield it


async def _environment(wish: Wish, whatsapp: WatchedGraph, telegram: WatchedBots) -> dict[str, str]:
    own: dict[str, str] = {
        "WHATSAPP_API_URL": await whatsapp.another(),
        "TELEGRAM_API_URL": await telegram.another(),
        "SECRET_KEYS": KEY,
    }
    return own | ({"CHAOS_LEASE": str(wish.lease)} if wish.lease else {})


async def _filled(found: Stack, folder: Path) -> None:
    settings: Settings = replace(
        load({}), mongodb_uri=found.database.uri, secret_keys=(KEY,), data_dir=folder
    )
    async with open_store(settings, say=lambda _: None) as store:
        await settle_in(store)


async def _measure(it: Running, say: Say) -> None:
    """How many exchanges a second this machine does now: some customers write once, all at the same moment."""
    began = time.monotonic()
    warm = [
        replace(c, name=f"first{n}", address=f"{c.address}9{n:03}", count=1) for n, c in enumerate(_some())
    ]
    it.rate = 1e6
    await asyncio.gather(*(it.said.talk(c, 1) for c in warm))
    async with asyncio.timeout(120):
        while not set(it.said.said) <= {t.text for t in taken(it)}:
            await asyncio.sleep(0.02)
    measured = WARM / (time.monotonic() - began)
    it.rate = max(LEAST, min(MOST, SHARE * measured))
    say(f"{measured:.0f} exchanges a second were measured; {it.rate:.0f} a second are asked for")


def _some() -> list[Customer]:
    return [c for c in customers(0, WARM * 40) if c.kind == "whatsapp"][:WARM]


def taken(it: Running) -> list[Any]:
    return [*it.providers.whatsapp.taken(), *it.providers.telegram.taken()]


async def _talks(it: Running, faults: Faults, say: Say) -> None:
    """Until everybody has said everything and was acknowledged."""
    everybody = customers(it.wish.seed, it.wish.messages)
    among = len(everybody)
    urls = [w.url for w in it.stack.webs]
    it.visitors = [Visitor(it.http, urls, c, lambda: it.rate, among) for c in everybody if c.kind == "web"]
    talks = [asyncio.create_task(it.said.talk(c, among)) for c in everybody if c.kind != "web"]
    talks += [asyncio.create_task(v.talk()) for v in it.visitors]
    deadline = time.monotonic() + PATIENT + 4 * it.wish.messages / it.rate
    left = set(talks)
    while left and time.monotonic() < deadline:
        _, left = await asyncio.wait(left, timeout=1.0)
        told = it.said.acknowledged + sum(s.acknowledged for v in it.visitors for s in v.said.values())
        say(f"{told}/{it.wish.messages + WARM} acknowledged, {sum(faults.done.values())} faults")
    for talk in left:  # the audit says what nobody took
        talk.cancel()
    await asyncio.gather(*talks, return_exceptions=bool(left))


async def settled(it: Running, say: Say) -> None:
    """Until nothing is left to do, or for as long as it may take at most."""
    await asyncio.gather(*(g.ready(it.http) for g in it.stack.gateways))
    await it.provider.done()
    client = connect(it.stack.database.uri)
    try:
        messages = database(client)["messages"]
        deadline = time.monotonic() + it.wish.claim + AFTER_LEASE
        while time.monotonic() < deadline:
            # What is held has its reason, and waits for the customer, or for a time of its own.
            found = [
                await messages.find({"todo": todo}, {"status": 1}).to_list() for todo in ("turn", "send")
            ]
            left = [[d for d in docs if d["status"] != Status.HELD] for docs in found]
            if not any(left):
                await it.provider.done()  # receipts of the last answers
                return
            say(f"{sum(map(len, left))} messages are under way")
            await asyncio.sleep(0.5)
    finally:
        await client.close()


async def gathered(it: Running) -> History:
    shown = [t for v in it.visitors for t in await v.look()]
    client = connect(it.stack.database.uri)
    try:
        docs: list[Doc] = await database(client)["messages"].find({}).to_list()
    finally:
        await client.close()
    said = [*it.said.said.values(), *(s for v in it.visitors for s in v.said.values())]
    return History(
        said=said,
        docs=docs,
        taken=[*taken(it), *shown],
        told=it.provider.told,
        answered=it.provider.answered,
        away=it.stack.away,
        asked=it.watch.asked,
        refused=it.watch.refused,
        ended=[e for g in it.stack.gateways for e in g.ends],
        shared=it.wish.redis,
    )


def _errors(folder: Path) -> tuple[str, ...]:
    lines = (
        line for log in sorted(folder.glob("*.log")) for line in log.read_text(errors="replace").splitlines()
    )
    return tuple(line for line in lines if " ERROR " in line)
