"""`work`: the same exchanges in one process, and over Redis with one and with two workers; and the queue alone."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.model.work import Key
from gateway.store.embedded import embedded
from gateway.work.hints import RedisWork
from gateway.work.redis import connect
from tests.bench.load import Exchanges, stand_in
from tests.bench.rig import Child, Row, at_least, at_most, child, folder, own_cpu, plain, show
from tests.providers.graph import GraphStandIn
from tests.redis_server import RedisServer

GATEWAY = "tests.bench.gateway_process"
TENANTS = 20
"""So many numbers that no account's own rate is what bounds it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One load: exchanges a second, and processor milliseconds an exchange of each process."""

    rate: float
    cpu: dict[str, float]

    @property
    def ours(self) -> float:
        return sum(ms for name, ms in self.cpu.items() if name not in ("database", "redis"))

    def rows(self, title: str) -> list[Row]:
        parts = ", ".join(f"{name} {ms:.2f}" for name, ms in self.cpu.items())
        return [plain(f"{title}: rate", f"{self.rate:.0f}/s"), plain(f"{title}: ms an exchange", parts)]


async def run(scale: float) -> bool:
    driving: list[Exchanges] = []
    count = int(1500 * scale)
    async with stand_in(lambda: driving[-1] if driving else None) as graph:
        alone = await _exchanges(graph, driving, count, ("run",), shared=False)
        both = await _exchanges(graph, driving, count, ("run",))
        one = await _exchanges(graph, driving, count, ("web", "worker"))
        two = await _exchanges(graph, driving, count, ("web", "worker 1", "worker 2"))
    held = show(
        "work: a WhatsApp message in, a reply out, 32 at a time, on one embedded database (one core)",
        [
            *alone.rows("one process"),
            *both.rows("one process over Redis"),
            *one.rows("web and a worker"),
            *two.rows("web and two workers"),
            plain("two workers / one", f"{two.rate / one.rate:.2f} x"),
            at_most("processor time, one process over Redis / without", both.ours / alone.ours, 1.6),
            at_most("processor time, web and a worker / one process", one.ours / alone.ours, 1.6),
        ],
    )
    return await _hints(scale) and held


async def _exchanges(
    graph: GraphStandIn, driving: list[Exchanges], count: int, roles: tuple[str, ...], shared: bool = True
) -> Figures:
    async with folder() as data, AsyncExitStack() as stack:
        (data / "db").mkdir()
        uri = await stack.enter_async_context(embedded(data / "db", lambda _: None))
        redis = stack.enter_context(RedisServer())
        base = {"DATA_DIR": str(data), "MONGODB_URI": uri, "WHATSAPP_API_URL": graph.url}
        base |= {"REDIS_URL": redis.url if shared else "", "TENANTS": str(TENANTS)}
        watched: dict[str, Child] = {}
        for role in roles:
            more = {"LOOKS": "1"} if role == "web" else {}
            watched[role] = await stack.enter_async_context(child(GATEWAY, **base, **more))
        watched["database"] = Child(json.loads((data / "db" / "embedded.json").read_text())["pid"], "")
        if shared:
            watched["redis"] = Child(redis.pid, "")
        driving.append(Exchanges(watched[roles[0]], TENANTS, 200))
        await driving[-1].at_concurrency(200, 8)
        before = {name: process.cpu() for name, process in watched.items()}
        rate = await driving[-1].at_concurrency(count, 32)
        return Figures(rate, {name: (p.cpu() - before[name]) / count * 1000 for name, p in watched.items()})


# The queue alone: no database, so that nothing but the processor bounds it


@asynccontextmanager
async def _workers(
    number: int, **environment: str
) -> AsyncIterator[tuple[RedisWork, RedisServer, list[Child]]]:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(RedisServer())
        told = {"REDIS_URL": server.url, **environment}
        workers = [
            await stack.enter_async_context(child("tests.bench.hints_process", **told)) for _ in range(number)
        ]
        redis = connect(server.url)
        stack.push_async_callback(redis.aclose)
        yield await stack.enter_async_context(RedisWork(redis)), server, workers


async def _handled(number: int, count: int, **environment: str) -> tuple[float, list[float]]:
    """`count` keys of 20 tenants, poked together: handled a second, and processor ms a key of each worker, of Redis, of us."""
    async with _workers(number, **environment) as (work, server, workers):
        watched = [*workers, Child(server.pid, "")]
        before, start, own = [w.cpu() for w in watched], time.perf_counter(), own_cpu()
        for n in range(count):
            work.poke(Key(f"t{n % 20}", f"c{n}"))
        redis = connect(server.url)
        while not work.idle or await redis.exists("parley:work:busy", "parley:work:tenants:r"):
            await asyncio.sleep(0.01)
        took = time.perf_counter() - start
        await redis.aclose()
        spent = [w.cpu() - b for w, b in zip(watched, before, strict=True)] + [own_cpu() - own]
        return count / took, [s / count * 1000 for s in spent]


async def _hints(scale: float) -> bool:
    rows: list[Row] = []
    waits = {"PLACES": "16", "WAIT": "20"}
    burns = {"PLACES": "16", "BURN": "2"}
    found: dict[str, list[float]] = {}
    for name, count, load in (
        ("waits 20 ms", int(8000 * scale), waits),
        ("computes 2 ms", int(3000 * scale), burns),
        ("does nothing", int(40000 * scale), {"PLACES": "256"}),
    ):
        for number in (1, 2):
            rate, spent = await _handled(number, count, **load)
            found.setdefault(name, []).append(rate)
            parts = ", ".join(
                f"{n} {ms:.3f}"
                for n, ms in zip(
                    [*(f"worker {i + 1}" for i in range(number)), "redis", "poker"], spent, strict=True
                )
            )
            rows.append(plain(f"{name}, {number} worker{'s' if number > 1 else ''}: rate", f"{rate:.0f}/s"))
            rows.append(plain(f"{name}, {number}: ms a key", parts))
    for name, (one, two) in found.items():
        # Workers, Redis and whoever pokes share the machine: only what waits is bounded by nothing but its places.
        if name.startswith("waits"):
            rows.append(at_least(f"{name}: two workers / one", two / one, 1.7))
        else:
            rows.append(plain(f"{name}: two workers / one", f"{two / one:.2f} x"))
    return show("work: the queue alone, without a database", rows)
