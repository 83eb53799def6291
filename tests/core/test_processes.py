"""Several processes over one database and one Redis: `web` takes in, any `worker` answers; and whatever is killed, wiped, stopped
or hangs, every message is answered once, in order."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from loguru import logger

from gateway.bootstrap import Gateway, build, listening, looking, open_store, working
from gateway.model.answers import Rule
from gateway.ops.health import Health, Metrics
from gateway.settings import Settings
from gateway.work.hints import RedisWork
from gateway.work.redis import check
from gateway.work.watch import PATIENCE, WorkerWatch
from tests.bench.gateway_process import APP_SECRET as BENCH_SECRET
from tests.bench.gateway_process import NoEmbedder
from tests.bench.rig import ROOT
from tests.conftest import (
    APP_SECRET,
    KEY,
    MovableClock,
    ScriptedBrain,
    make_site,
    make_tenant,
    make_whatsapp,
)
from tests.core.proxy import Proxy
from tests.providers.graph import Fault, GraphStandIn
from tests.providers.graph_webhooks import signed, text_webhook
from tests.redis_server import RedisServer, free_port

NOW = int(time.time())
DEADLINE = 60.0


async def until(condition: Callable[[], bool], seconds: float = DEADLINE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


class SlowBrain(ScriptedBrain):
    """Thinks a little, so that something is always under way."""

    async def answer(self, question: Any, listener: Any = None) -> Any:
        await asyncio.sleep(0.02)
        return await super().answer(question)


@dataclass
class Party:
    """Processes of one gateway, as a test makes them, and the provider that they serve."""

    settings: Settings
    graph: GraphStandIn
    clock: MovableClock
    http: aiohttp.ClientSession
    stack: AsyncExitStack
    url: str = ""
    brains: dict[str, ScriptedBrain] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @asynccontextmanager
    async def process(
        self, name: str, beside: Callable[[Gateway], Any], **settings: Any
    ) -> AsyncIterator[Gateway]:
        brain = self.brains[name] = SlowBrain()
        with_more = replace(self.settings, **settings)
        async with (
            open_store(with_more, self.clock, say=lambda _: None) as store,
            build(with_more, store, self.clock, brain=brain, embedder=NoEmbedder()) as gateway,
            beside(gateway),
        ):
            yield gateway

    async def begin(self, *workers: str) -> list[Gateway]:
        """A web process that listens, and workers."""
        gateway = await self.stack.enter_async_context(self.process("web", looking))
        port = await self.stack.enter_async_context(listening(gateway.app, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{port}"
        begun = [gateway]
        for name in workers:
            begun.append(await self.stack.enter_async_context(self.process(name, working)))
        return begun

    async def say(self, sender: str, text: str) -> None:
        body = text_webhook(sender, text, f"wamid.{sender}.{text}", NOW)
        url = f"{self.url}/webhooks/whatsapp/ch_wa"
        async with self.http.post(url, data=body, headers=signed(body, APP_SECRET)) as answer:
            assert answer.status == 200
        self.said[sender].append(text)

    def answered(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for message in self.graph.messages():
            found[str(message.body["to"])].append(str(message.text))
        return found

    async def all_answered(self) -> None:
        """Everything that was said has come back, once and in order."""
        count = sum(len(texts) for texts in self.said.values())
        try:
            await until(lambda: len(self.graph.messages()) >= count)
        finally:
            assert self.answered() == self.said


@pytest.fixture
async def party(
    settings: Settings, redis_url: str, graph: GraphStandIn, clock: MovableClock
) -> AsyncIterator[Party]:
    shared = replace(settings, redis_url=redis_url)
    async with open_store(settings, clock, say=lambda _: None) as store:
        await make_tenant(store, region="ES")
        await make_whatsapp(store)
        await make_site(store)
    async with aiohttp.ClientSession() as http, AsyncExitStack() as stack:
        yield Party(shared, graph, clock, http, stack)


async def status(http: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, str]]:
    async with http.get(f"{url}/ready") as answer:
        return answer.status, await answer.json()


async def metrics(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(f"{url}/metrics") as answer:
        return await answer.text()


async def test_what_the_web_process_takes_in_a_worker_answers(party: Party) -> None:
    front, one, two = await party.begin("one", "two")
    for n in range(5):
        for customer in range(8):
            await party.say(f"3460000000{customer}", f"echo {n}")
    await party.all_answered()
    assert party.brains["web"].asked == []
    assert len(party.brains["one"].asked) + len(party.brains["two"].asked) == 40
    assert isinstance(front.work, RedisWork)
    await until(lambda: front.work.idle and one.work.idle and two.work.idle)
    async with asyncio.timeout(DEADLINE):
        while "parley_workers 2\n" not in await metrics(party.http, party.url):
            await asyncio.sleep(0.05)


async def test_run_and_worker_share(party: Party) -> None:
    """`run` takes in and works; what it has no room for is the worker's."""
    gateway = await party.stack.enter_async_context(party.process("run", working))
    port = await party.stack.enter_async_context(listening(gateway.app, "127.0.0.1", 0))
    party.url = f"http://127.0.0.1:{port}"
    await party.stack.enter_async_context(party.process("worker", working))
    assert isinstance(gateway.work, RedisWork)
    gateway.work._local._limit = 1
    # Here who thinks keeps the place: then there is no room for a second.
    gateway.work._local.elsewhere = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    gate = party.brains["run"].gate = asyncio.Event()
    for customer in range(8):
        await party.say(f"3460000000{customer}", "echo hello")
    await until(lambda: len(party.graph.messages()) >= 7)
    gate.set()
    await party.all_answered()
    assert len(party.brains["run"].asked) >= 1
    assert len(party.brains["worker"].asked) >= 7


FAULTS: dict[str, tuple[Callable[[RedisServer], None], Callable[[RedisServer], None]]] = {
    "flushed": (RedisServer.flush, RedisServer.flush),
    "restarted": (RedisServer.kill, RedisServer.start),
    "hung": (RedisServer.pause, RedisServer.go_on),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_becomes_of_redis_everything_is_answered_once_and_in_order(
    party: Party, redis_server: RedisServer, fault: str
) -> None:
    front, one, two = await party.begin("one", "two")
    begin, end = FAULTS[fault]
    customers = [f"346000000{n:02}" for n in range(12)]

    async def talk(customer: str, numbers: range) -> None:
        for n in numbers:
            await party.say(customer, f"echo {n}")

    async def everybody(numbers: range) -> None:
        await asyncio.gather(*(talk(customer, numbers) for customer in customers))

    await everybody(range(0, 3))
    begin(redis_server)
    await everybody(range(3, 6))
    if fault != "flushed":
        await until(lambda: front.work.idle)
        assert (await status(party.http, party.url))[0] == 503
    end(redis_server)
    await everybody(range(6, 9))
    await party.all_answered()
    queues = [gateway.work for gateway in (front, one, two) if isinstance(gateway.work, RedisWork)]
    await until(lambda: [queue.count() for queue in queues] == [2, 2, 2])
    assert (await status(party.http, party.url))[0] == 200


async def test_without_redis_from_the_start_everything_is_answered(
    party: Party, redis_server: RedisServer
) -> None:
    redis_server.kill()
    await party.begin("one")
    for n in range(3):
        await party.say("34600000001", f"echo {n}")
    await party.all_answered()
    answer = {"status": "unavailable", "database": "reachable", "redis": "unreachable"}
    assert await status(party.http, party.url) == (503, answer)
    assert "parley_workers NaN\n" in await metrics(party.http, party.url)


async def test_a_worker_that_stops_ends_what_it_began_and_leaves_the_rest_to_others(party: Party) -> None:
    await party.begin("stays")
    stops = party.process("stops", working)
    await stops.__aenter__()
    gates = {name: asyncio.Event() for name in ("stays", "stops")}
    for name, gate in gates.items():
        party.brains[name].gate = gate
    asked = party.brains["stops"].asked
    customers = [f"346000000{n:02}" for n in range(40)]
    for customer in customers:
        await party.say(customer, "echo first")
    await until(lambda: len(asked) + len(party.brains["stays"].asked) == 40)
    ending = asyncio.create_task(stops.__aexit__(None, None, None))
    gates["stays"].set()
    for customer in customers:
        await party.say(customer, "echo second")
    mine = len(asked)
    assert mine > 0
    await until(lambda: len(party.graph.messages()) == 2 * (40 - mine))
    assert not ending.done()
    gates["stops"].set()
    await ending
    await party.all_answered()
    assert len(asked) == mine


class Command:
    """`python -m gateway NAME` as a process, and what it has said."""

    def __init__(self, *words: str, **environment: str) -> None:
        self._words = words
        bare = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "PYTHONPATH")}
        self._environment = bare | environment
        self.lines: list[str] = []

    async def __aenter__(self) -> "Command":
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *self._words,
            cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def until(self, words: str) -> None:
        await until(lambda: any(words in line for line in self.lines) or self._reader.done())
        assert any(words in line for line in self.lines), self.lines

    async def ended(self) -> int:
        async with asyncio.timeout(DEADLINE):
            return await self.process.wait()


@pytest.fixture
def environment(settings: Settings, redis_url: str) -> dict[str, str]:
    """What the processes of this test are told, the port included."""
    assert settings.mongodb_uri is not None
    return {
        "MONGODB_URI": settings.mongodb_uri,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(settings.data_dir),
        "SECRET_KEYS": KEY,
        "PORT": str(free_port()),
        "WHATSAPP_API_URL": settings.whatsapp_api_url,
    }


async def seed(settings: Settings) -> None:
    """A tenant whose answers are rules: no model has to think."""
    async with open_store(settings, say=lambda _: None) as store:
        await make_tenant(store, rules=(Rule("hours", "From ten to six."),))
        await make_whatsapp(store)


async def post(url: str, sender: str, text: str, wamid: str) -> None:
    body = text_webhook(sender, text, wamid, NOW)
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/webhooks/whatsapp/ch_wa", data=body, headers=signed(body, APP_SECRET)) as answer,
    ):
        assert answer.status == 200


async def test_real_processes_answer_and_stop(
    settings: Settings, environment: dict[str, str], graph: GraphStandIn
) -> None:
    await seed(settings)
    url = f"http://127.0.0.1:{environment['PORT']}"
    async with Command("gateway", "web", **environment) as front, AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(Command("gateway", "worker", **environment)) for _ in "ab"]
        await front.until("listening on")
        await post(url, "34600000001", "hours", "wamid.1")
        await until(lambda: [m.text for m in graph.messages()] == ["From ten to six."])
        # Who takes in does not work.
        async with asyncio.timeout(DEADLINE), aiohttp.ClientSession() as http:
            while "parley_workers 2\n" not in await metrics(http, url):
                await asyncio.sleep(0.05)
        for command in (*workers, front):
            await command.until("listening on" if command is front else "working")
            command.signal(signal.SIGTERM)
            assert await command.ended() == 0, command.lines
        assert not any("Traceback" in line for c in (front, *workers) for line in c.lines)


async def test_a_second_sigterm_ends_a_worker_at_once(
    settings: Settings, environment: dict[str, str], graph: GraphStandIn
) -> None:
    await seed(settings)
    graph.misbehave(Fault("hang"), 2)  # the read mark and the answer
    url = f"http://127.0.0.1:{environment['PORT']}"
    async with (
        Command("gateway", "web", **environment) as front,
        Command("gateway", "worker", **environment) as worker,
    ):
        await front.until("listening on")
        await post(url, "34600000001", "hours", "wamid.1")
        await until(lambda: not graph._faults)
        worker.signal(signal.SIGTERM)
        await worker.until("what is under way comes to its end")
        assert worker.process.returncode is None
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == -signal.SIGTERM


@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow), 4]
)
async def test_what_a_killed_worker_was_at_another_finishes(
    mongodb_uri: str, redis_url: str, graph: GraphStandIn, tmp_path: Any, step: int
) -> None:
    """kill -9 in the middle of a turn, before the provider saw its answer."""
    environment = {
        "MONGODB_URI": mongodb_uri,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(tmp_path),
        "SECRET_KEYS": KEY,
        "WHATSAPP_API_URL": graph.url,
        "ECHO": "1",
    }
    graph.tokens = None
    bench = "tests.bench.gateway_process"
    port = free_port()
    url = f"http://127.0.0.1:{port}/webhooks/whatsapp/ch_wa0"
    body = text_webhook("34600000001", "hello", "wamid.1", NOW, account=str(10**12))
    async with (
        aiohttp.ClientSession() as http,
        Command(bench, **environment, PORT=str(port), LOOKS="1") as front,
        AsyncExitStack() as stack,
    ):
        await front.until("READY")
        dies = Command(bench, **environment, PORT="0", DIE_AT=str(step))
        await (await stack.enter_async_context(dies)).until("READY")
        async with http.post(url, data=body, headers=signed(body, BENCH_SECRET)) as answer:
            assert answer.status == 200
        assert await dies.ended() == -signal.SIGKILL
        assert graph.messages() == []
        async with Command(bench, **environment, PORT="0"):
            await until(lambda: len(graph.messages()) > 0)
            assert [m.text for m in graph.messages()] == ["hello"]


# Health


async def test_ready_says_which_part_is_away_and_does_not_hang(
    mongodb_uri: str, party: Party, redis_server: RedisServer
) -> None:
    async with Proxy(mongodb_uri) as proxy:
        party.settings = replace(party.settings, mongodb_uri=proxy.uri)
        await party.begin()
        there = {"status": "ready", "database": "reachable", "redis": "reachable"}
        assert await status(party.http, party.url) == (200, there)
        redis_server.pause()
        away = {"status": "unavailable", "database": "reachable", "redis": "unreachable"}
        assert await status(party.http, party.url) == (503, away)
        redis_server.go_on()
        assert await status(party.http, party.url) == (200, there)
        await proxy.cut()
        away = {"status": "unavailable", "database": "unreachable", "redis": "reachable"}
        assert await status(party.http, party.url) == (503, away)
        proxy.mend()
        async with asyncio.timeout(DEADLINE):
            while (await status(party.http, party.url))[0] != 200:
                await asyncio.sleep(0.05)


class Hangs:
    """A database whose driver waits for as long as it likes, cancelled or not."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0

    async def ping(self) -> None:
        self.asked += 1
        while not self.go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.go.wait()
        raise RuntimeError("and then it breaks")


async def test_a_part_that_ignores_us_does_not_hold_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ops.health.PATIENCE", 0.05)
    part = Hangs()
    app = web.Application()
    app.add_routes(Health(part, Metrics()).routes())
    async with listening(app, "127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
        answer = {"status": "unavailable", "database": "unreachable"}
        assert await status(http, f"http://127.0.0.1:{port}") == (503, answer)
        assert part.asked == 1
        part.go.set()
        await asyncio.sleep(0)


async def test_nobody_working_is_said_once_and_somebody_again() -> None:
    now, count = 0.0, None
    lines: list[str] = []
    watch = WorkerWatch(lambda: count, lambda: now)
    sink = logger.add(lines.append, format="{message}")
    told = []
    try:
        for at, found in (
            (90, None),  # Redis is away: nobody can tell
            (90 + PATIENCE - 1, 0),
            (121, 1),  # it came in time
            (125, 0),
            (121 + PATIENCE, 0),
            (500, 0),
            (501, 2),
            (506, 2),
        ):
            now, count = at, found
            await watch.look()
            told += [(at, line.split(":")[0]) for line in lines]
            lines.clear()
    finally:
        logger.remove(sink)
    assert told == [(151, "no worker for 30 s"), (501, "a worker is there")]


# The doctor


@pytest.mark.parametrize(
    ("options", "running", "ok", "words"),
    [
        ((), True, True, "."),
        ((), False, False, "can't be used"),
        (("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"), True, None, "may evict our keys"),
        (("--maxmemory", "50mb"), True, True, "."),
    ],
)
async def test_the_doctor_looks_at_redis(
    options: tuple[str, ...], running: bool, ok: bool | None, words: str
) -> None:
    with RedisServer(*options) as server:
        if not running:
            server.kill()
        found = await check(server.url)
    assert found.ok is ok
    assert words in found.text
    assert bool(found.fix) is (ok is not True)


async def test_the_doctor_says_it(
    settings: Settings, environment: dict[str, str], redis_server: RedisServer
) -> None:
    await seed(settings)
    async with Command("gateway", "doctor", **environment) as there:
        assert await there.ended() == 0
    assert any(line.startswith("ok    Redis ") for line in there.lines), there.lines
    redis_server.kill()
    async with Command("gateway", "doctor", **environment) as away:
        assert await away.ended() == 1
    assert any(line.startswith("FAIL  Redis can't be used") for line in away.lines), away.lines
