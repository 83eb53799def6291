"""Pacing: a provider's rates are kept, its waits are kept to the moment, and neither a restart nor Redis forgets them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from pymongo.monitoring import CommandStartedEvent

from channels.whatsapp.adapter import WhatsAppAdapter
from gateway.bootstrap import build, listening, open_store, working
from gateway.model.errors import Unavailable
from gateway.model.lanes import Rate, Rates
from gateway.model.message import Status
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.database import RoundTrips
from gateway.store.lanes import Lanes, Standing
from gateway.work.pace import LocalPace
from gateway.work.redis import connect
from gateway.work.shared_pace import SharedPace
from tests.conftest import MovableClock, Running, ScriptedBrain, make_tenant, make_whatsapp
from tests.providers.graph import Fault, GraphStandIn
from tests.providers.graph_webhooks import text_webhook
from tests.redis_server import RedisServer

RATES = Rates(account=Rate(0.1, burst=4), recipient=Rate(0.01, burst=3))


@dataclass
class Hands:
    """A clock that stands until it is moved; a process sees it as its wall clock and as its own monotonic one."""

    now: float = 1_800_000_000.0

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def monotonic(self) -> Callable[[], float]:
        start = self.now
        return lambda: self.now - start

    def time(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def local(hands: Hands, store: Store) -> Callable[[], LocalPace]:
    """One process after another over one database, each with a monotonic clock that begins at zero."""
    return lambda: LocalPace(hands.monotonic(), hands.clock, store.lanes)


@dataclass
class Shared:
    """Processes that share a Redis and a database."""

    stack: AsyncExitStack
    hands: Hands
    store: Store
    redis: RedisServer
    locals: list[LocalPace] = field(default_factory=list)

    def process(self) -> SharedPace:
        client = connect(self.redis.url)
        self.stack.push_async_callback(client.aclose)
        local = LocalPace(self.hands.monotonic(), self.hands.clock, self.store.lanes)
        self.locals.append(local)
        return SharedPace(local, client, self.hands.monotonic(), self.hands.time)


@pytest.fixture
async def shared(hands: Hands, store: Store, redis_server: RedisServer) -> AsyncIterator[Shared]:
    async with AsyncExitStack() as stack:
        yield Shared(stack, hands, store, redis_server)


# One process ----------------------------------------------------------------------------------------------


async def test_an_account_and_a_recipient_keep_to_their_rates(
    local: Callable[[], LocalPace], hands: Hands
) -> None:
    pace = local()
    assert [await pace.wait("ch", "one", RATES) for _ in range(3)] == [0, 0, 0]
    assert await pace.wait("ch", "one", RATES) == pytest.approx(100)
    # A message that must wait for its recipient takes no place of the account's.
    assert await pace.wait("ch", "two", RATES) == 0
    assert await pace.wait("ch", "two", RATES) == pytest.approx(10)
    assert await pace.wait("another", "two", RATES) == 0
    hands.now += 9.99
    assert await pace.wait("ch", "two", RATES) > 0
    hands.now += 0.01
    assert await pace.wait("ch", "two", RATES) == 0
    assert await pace.wait("free", "two", Rates()) == 0


async def test_bulk_leaves_room_for_replies(local: Callable[[], LocalPace]) -> None:
    pace = local()
    assert [await pace.wait("ch", f"{n}", RATES, bulk=True) for n in range(3)] == [0, 0, pytest.approx(10)]
    assert [await pace.wait("ch", "reply", RATES) for _ in range(2)] == [0, 0]
    assert await pace.wait("ch", "reply", RATES) > 0


@pytest.mark.parametrize("recipient", [None, "one"])
async def test_a_wait_holds_whom_it_concerns_for_the_time_it_names_and_no_longer(
    local: Callable[[], LocalPace], hands: Hands, recipient: str | None
) -> None:
    pace = local()
    await pace.pause("ch", 30, recipient)
    await pace.pause("ch", 10, recipient)
    assert await pace.wait("ch", "one", RATES) == pytest.approx(30)
    assert (await pace.wait("ch", "two", RATES) == 0) is (recipient is not None)
    hands.now += 29.999
    assert await pace.wait("ch", "one", RATES) > 0
    hands.now += 0.001
    assert await pace.wait("ch", "one", RATES) == 0


@pytest.mark.parametrize("recipient", [None, "one"])
async def test_a_restart_forgets_no_wait(
    local: Callable[[], LocalPace], hands: Hands, recipient: str | None
) -> None:
    await local().pause("ch", 30, recipient)  # and the process is killed
    hands.now += 10
    after = local()
    assert await after.wait("ch", "one", RATES) == pytest.approx(20, abs=0.01)
    hands.now += 19.99
    assert await after.wait("ch", "one", RATES) > 0
    hands.now += 0.02
    assert await after.wait("ch", "one", RATES) == 0


async def test_a_restart_forgets_no_used_burst(local: Callable[[], LocalPace], hands: Hands) -> None:
    before = local()
    assert [await before.wait("ch", "one", RATES) for _ in range(3)] == [0, 0, 0]
    await before.save()
    hands.now += 1
    after = local()
    assert await after.wait("ch", "one", RATES) == pytest.approx(99, abs=0.01)
    assert await after.wait("ch", "two", RATES) == 0
    assert await after.wait("ch", "two", RATES) == pytest.approx(9, abs=0.01)


class Commands(RoundTrips):
    """What was asked of the lanes."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command.get(event.command_name) == "lanes":
            self.asked.append((event.command_name, len(event.command.get("updates", ()))))


async def test_what_is_written_is_little(settings: Settings, clock: MovableClock, hands: Hands) -> None:
    """One read at the start; of what is sent, one call for all that a restart must not forget."""
    commands = Commands()
    rates = Rates(account=Rate(1000, burst=100), recipient=Rate(1, burst=8))
    async with open_store(settings, clock, listener=commands, say=lambda _: None) as store:
        commands.asked.clear()
        pace = LocalPace(hands.monotonic(), hands.clock, store.lanes)
        for recipient in range(20):
            for _ in range(4 if recipient < 3 else 1):
                assert await pace.wait("ch", f"{recipient}", rates) == 0
        await pace.save()
        await pace.save()
        assert commands.asked == [("find", 0), ("update", 3)]
        docs = await store._db["lanes"].find({}).to_list()
    # Nobody's address stands there.
    assert {d["_id"].partition("/")[0] for d in docs} == {"ch"}
    assert all(d["_id"].partition("/")[2].startswith("to_") for d in docs)


class Breaking(Lanes):
    """The rows of a database that is away while `away`."""

    def __init__(self, db: Any) -> None:
        super().__init__(db)
        self.away = False

    async def keep(self, standings: Any) -> None:
        if self.away:
            raise Unavailable("away")
        await super().keep(standings)

    async def standing(self, now: datetime) -> list[Standing]:
        if self.away:
            raise Unavailable("away")
        return await super().standing(now)


async def test_a_database_that_is_away_costs_no_wait(store: Store, hands: Hands) -> None:
    rows = Breaking(store._db)
    first = LocalPace(hands.monotonic(), hands.clock, rows)
    rows.away = True
    # What it does not know it does not guess: nothing leaves before the rows are read.
    assert await first.wait("ch", "one", RATES) > 0
    await first.pause("ch", 30)
    rows.away = False
    await first.save()
    assert await LocalPace(hands.monotonic(), hands.clock, rows).wait("ch", "one", RATES) > 29
    hands.now += 31
    assert await first.wait("ch", "one", RATES) == 0


# Several processes ----------------------------------------------------------------------------------------


async def places(paces: list[SharedPace], recipient: str, count: int, bulk: bool = False) -> int:
    waits = await asyncio.gather(
        *(paces[n % len(paces)].wait("ch", recipient, RATES, bulk) for n in range(count))
    )
    return waits.count(0)


async def test_processes_share_one_rate(shared: Shared, hands: Hands) -> None:
    three = [shared.process() for _ in range(3)]
    assert await places(three, "one", 9) == 3
    assert await places(three, "two", 9) == 1
    hands.now += 10
    assert await places(three, "two", 9) == 1
    hands.now += 40
    assert await places(three, "three", 9, bulk=True) == 2
    assert await places(three, "four", 9) == 2


@pytest.mark.parametrize("recipient", [None, "one"])
async def test_a_wait_is_every_process_s(shared: Shared, hands: Hands, recipient: str | None) -> None:
    one, two = shared.process(), shared.process()
    # Both have read what there is: what comes now, they hear of by Redis alone.
    assert [await p.wait("other", "x", RATES) for p in (one, two)] == [0, 0]
    await one.pause("ch", 30, recipient)
    assert await two.wait("ch", "one", RATES) == pytest.approx(30)
    assert (await two.wait("ch", "two", RATES) == 0) is (recipient is not None)
    hands.now += 29.99
    assert await two.wait("ch", "one", RATES) > 0
    hands.now += 0.02
    assert await two.wait("ch", "one", RATES) == 0


async def test_a_redis_that_was_flushed_is_told_again(shared: Shared, hands: Hands) -> None:
    one, two = shared.process(), shared.process()
    assert await places([two], "three", 3) == 3
    for local in shared.locals:
        await local.save()
    await one.pause("ch", 30)
    shared.redis.flush()
    # This one has not heard of the wait before.
    assert await two.wait("ch", "one", RATES) == pytest.approx(30, abs=0.01)
    shared.redis.flush()
    third = shared.process()
    assert await third.wait("ch", "one", RATES) == pytest.approx(30, abs=0.01)
    hands.now += 31
    # Three of its burst of three are used, and a third of one has come back.
    assert await third.wait("ch", "three", RATES) == pytest.approx(69, abs=0.01)


@pytest.mark.parametrize("how", ["hangs", "gone"])
async def test_without_redis_each_process_keeps_the_rate_by_itself(
    shared: Shared, hands: Hands, how: str
) -> None:
    one, two = shared.process(), shared.process()
    assert await places([one], "one", 2) == 2
    if how == "hangs":
        shared.redis.pause()
    else:
        shared.redis.kill()
    # What it sent before counts, and nothing leaves unpaced.
    assert await places([one], "one", 9) == 1
    assert await places([one], "two", 9) == 1
    await one.pause("ch", 60)
    assert await places([one], "three", 9) == 0
    if how == "hangs":
        shared.redis.go_on()
    else:
        shared.redis.start()
    hands.now += 2
    # Back again it hears what it missed; the other process goes by it at once.
    assert await one.wait("other", "x", RATES) == 0
    assert await two.wait("ch", "five", RATES) == pytest.approx(58, abs=0.01)
    hands.now += 59
    assert await two.wait("ch", "one", RATES) > 0
    assert await two.wait("ch", "two", RATES) == 0


# From outside: row 13 -------------------------------------------------------------------------------------


@asynccontextmanager
async def gateway(settings: Settings, clock: MovableClock, graph: GraphStandIn) -> AsyncIterator[Running]:
    """A gateway whose pacing goes by the moved clock, too."""

    def monotonic() -> float:
        return time.monotonic() + clock.ahead.total_seconds()

    brain = ScriptedBrain()
    async with (
        open_store(settings, clock, say=lambda _: None) as store,
        build(settings, store, clock, brain=brain, monotonic=monotonic) as built,
        listening(built.app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as http,
    ):
        if not await store.directory.tenants():
            await make_tenant(store, region="ES")
            await make_whatsapp(store)
        async with working(built):
            yield Running(built, f"http://127.0.0.1:{port}", http, brain, clock, graph)


async def ask(running: Running, text: str, sender: str) -> None:
    before, at = len(running.brain.asked), int(running.clock().timestamp())
    assert await running.post_whatsapp(text_webhook(sender, text, f"wamid.{sender}.{text}", at)) == 200
    await running.until(lambda: len(running.brain.asked) > before)
    await running.idle()


@pytest.fixture
def unmarked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No read marks: the provider's faults are for the answers."""

    async def nothing(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(WhatsAppAdapter, "mark_read", nothing)


@pytest.mark.parametrize("with_redis", [False, True])
async def test_nothing_is_early_across_a_restart(
    quiet: None,
    unmarked: None,
    settings: Settings,
    clock: MovableClock,
    graph: GraphStandIn,
    redis_server: RedisServer,
    with_redis: bool,
) -> None:
    """Row 13: 429 with Retry-After, then the process is another, and Redis has forgotten everything."""
    if with_redis:
        settings = replace(settings, redis_url=redis_server.url)
    graph.misbehave(Fault.throttle(retry_after=600))
    async with gateway(settings, clock, graph) as first:
        await ask(first, "echo 1", "34600111222")
        assert len(graph.requests) == 1
        until = clock() + timedelta(seconds=600)
    redis_server.flush()
    async with gateway(settings, clock, graph) as second:
        for n in range(3):
            await ask(second, f"echo {n}", f"3460033344{n}")
        for _ in range(11):
            clock.move(seconds=50)
            await second.swept()
            assert clock() < until
            assert len(graph.requests) == 1
        clock.move(seconds=55)
        for _ in range(40):  # what was refused itself waits up to a quarter longer
            await second.swept()
            clock.move(seconds=5)
        said = sorted(str(m.text) for m in graph.messages())
    assert said == ["echo 0", "echo 1", "echo 1", "echo 2"]


# From outside: row 14 -------------------------------------------------------------------------------------


async def test_an_hour_of_faults_loses_nothing_and_keeps_the_order(
    quiet: None, unmarked: None, settings: Settings, clock: MovableClock, graph: GraphStandIn
) -> None:
    """Row 14. While the lane is closed a minute costs one probe, and the attempts of what waits are not spent."""
    senders = [f"3460011122{n}" for n in range(6)]
    async with gateway(settings, clock, graph) as running:
        graph.always(Fault.http(500))
        for n in range(3):
            for sender in senders:
                await ask(running, f"echo {n}", sender)
        for _ in range(120):
            clock.move(seconds=30)
            before = len(graph.requests)
            await running.swept()
            assert len(graph.requests) - before <= 1
        assert graph.messages() == []
        attempts = [
            m.attempts
            for c in await running.conversations()
            for m in await running.transcript(c.id)
            if m.direction == "out"
        ]
        assert sum(attempts) == len(graph.requests) < 120
        assert 'parley_circuit_total{kind="closed"} 1' in running.gateway.metrics.text()
        graph.always(None)
        for _ in range(40):
            clock.move(seconds=30)
            await running.swept()
        assert 'parley_circuit_total{kind="opened"} 1' in running.gateway.metrics.text()
        said = {s: [m.text for m in graph.messages() if m.body["to"] == s] for s in senders}
        assert said == {s: [f"echo {n}" for n in range(3)] for s in senders}
        statuses = [
            m.status
            for c in await running.conversations()
            for m in await running.transcript(c.id)
            if m.direction == "out"
        ]
        assert set(statuses) == {Status.SENT}
