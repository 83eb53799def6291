"""The hint queue, in one process and shared over a real Redis: one run at a time a conversation, tenants in turn, replies before
bulk, and whatever becomes of Redis, everything goes on by itself."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.model.work import Key, Work
from gateway.work.hints import RedisWork
from gateway.work.local import BULK, LocalWork
from gateway.work.redis import Redis, connect
from tests.redis_server import RedisServer


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


@dataclass
class Ran:
    """A handler of several processes: what ran, in order, and whether two runs of a conversation ever met."""

    begun: list[Key] = field(default_factory=list)
    ended: list[Key] = field(default_factory=list)
    by: list[str] = field(default_factory=list)
    under_way: set[tuple[str, str]] = field(default_factory=set)
    gates: dict[Key, asyncio.Event] = field(default_factory=dict)
    met: list[Key] = field(default_factory=list)
    most_bulk: int = 0
    pause: Callable[[], float] = lambda: 0.0

    async def handle(self, key: Key, by: str = "") -> None:
        slot = key.tenant, key.conversation
        if slot in self.under_way:
            self.met.append(key)
        self.under_way.add(slot)
        self.begun.append(key)
        self.by.append(by)
        running = Counter(k.bulk for k in self.begun) - Counter(k.bulk for k in self.ended)
        self.most_bulk = max(self.most_bulk, running[True])
        try:
            if key in self.gates:
                await self.gates[key].wait()
            await asyncio.sleep(self.pause())
        finally:
            self.under_way.discard(slot)
            self.ended.append(key)

    def gate(self, key: Key) -> asyncio.Event:
        return self.gates.setdefault(key, asyncio.Event())


@dataclass
class Shared:
    """Processes as their queues, over one Redis."""

    server: RedisServer
    stack: AsyncExitStack
    ran: Ran = field(default_factory=Ran)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def queue(self, limit: int = 256) -> RedisWork:
        redis = connect(self.server.url)
        self.stack.push_async_callback(redis.aclose)
        return await self.stack.enter_async_context(RedisWork(redis, limit))

    def works(self, queue: RedisWork, name: str = "") -> None:
        task = self.tasks[name] = asyncio.create_task(queue.run(lambda key: self.ran.handle(key, name)))

        async def end() -> None:
            task.cancel()
            for gate in self.ran.gates.values():
                gate.set()
            await asyncio.gather(task, return_exceptions=True)

        self.stack.push_async_callback(end)


@pytest.fixture
async def shared(redis_server: RedisServer) -> AsyncIterator[Shared]:
    async with AsyncExitStack() as stack:
        yield Shared(redis_server, stack)


@asynccontextmanager
async def looking_in(server: RedisServer) -> AsyncIterator[Redis]:
    redis = connect(server.url)
    try:
        yield redis
    finally:
        await redis.aclose()


@asynccontextmanager
async def queue_of(kind: str, server: RedisServer, ran: Ran, limit: int) -> AsyncIterator[Work]:
    """One process that works, on one of the two queues."""
    async with AsyncExitStack() as stack:
        work: Work
        if kind == "local":
            work = LocalWork(limit)
        else:
            work = await Shared(server, stack).queue(limit)
        task = asyncio.create_task(work.run(ran.handle))
        try:
            yield work
        finally:
            for gate in ran.gates.values():
                gate.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


both = pytest.mark.parametrize("kind", ["local", "redis"])
FIRST = Key("first", "holds the place")


@both
async def test_a_key_that_is_poked_while_it_runs_runs_once_more(kind: str, redis_server: RedisServer) -> None:
    ran, key = Ran(), Key("acme", "c")
    gate = ran.gate(key)
    async with queue_of(kind, redis_server, ran, 256) as work:
        work.poke(key)
        assert not work.idle
        await until(lambda: ran.begun == [key])
        for _ in range(10):
            work.poke(key)
            await asyncio.sleep(0)
        await until(lambda: len(getattr(work, "_poked", ())) == 0)
        gate.set()
        await until(lambda: work.idle and len(ran.ended) > 1)
        await until(lambda: work.idle)
    assert ran.ended == [key, key]
    assert not ran.met


@both
async def test_another_tenants_key_is_next_behind_five_thousand(kind: str, redis_server: RedisServer) -> None:
    ran = Ran()
    gate = ran.gate(FIRST)
    async with queue_of(kind, redis_server, ran, 1) as work:
        work.poke(FIRST)
        await until(lambda: ran.begun == [FIRST])
        for n in range(5000):
            work.poke(Key("big", f"c{n}"))
        await until(lambda: not getattr(work, "_poked", ()))
        for n in range(3):
            work.poke(Key("small", f"c{n}"))
        await until(lambda: not getattr(work, "_poked", ()))
        gate.set()
        await until(lambda: len(ran.ended) > 100)
    order = [k.tenant for k in ran.begun[1:8]]
    assert order == ["big", "small", "big", "small", "big", "small", "big"]
    big = [k.conversation for k in ran.begun if k.tenant == "big"]
    assert big == [f"c{n}" for n in range(len(big))]
    assert max(Counter(ran.begun).values()) == 1


@both
async def test_bulk_begins_when_no_reply_waits_and_a_few_at_once(
    kind: str, redis_server: RedisServer
) -> None:
    ran = Ran()
    gate = ran.gate(FIRST)
    bulk = [Key("acme", f"b{n}", bulk=True) for n in range(20)]
    ran.gate(bulk[0])
    replies = [Key("acme", f"r{n}") for n in range(10)]
    async with queue_of(kind, redis_server, ran, 1) as work:
        work.poke(FIRST)
        await until(lambda: ran.begun == [FIRST])
        for key in (*bulk[:3], *replies):
            work.poke(key)
        await until(lambda: not getattr(work, "_poked", ()))
        gate.set()
        await until(lambda: len(ran.begun) == 12)
        assert ran.begun == [FIRST, *replies, bulk[0]]
    ran = Ran()
    gates = [ran.gate(key) for key in bulk]
    async with queue_of(kind, redis_server, ran, 64) as work:
        for key in bulk:
            work.poke(key)
        await until(lambda: len(ran.begun) == BULK)
        late = Key("acme", "a reply that comes now")
        work.poke(late)
        await until(lambda: late in ran.ended)
        assert len(ran.begun) == BULK + 1
        for open_gate in gates:
            open_gate.set()
        await until(lambda: set(bulk) <= set(ran.ended))
    assert ran.most_bulk == BULK


@both
async def test_bulk_and_reply_of_one_conversation_never_meet(kind: str, redis_server: RedisServer) -> None:
    ran, reply, bulk = Ran(), Key("acme", "c"), Key("acme", "c", bulk=True)
    gates = {key: ran.gate(key) for key in (reply, bulk)}
    async with queue_of(kind, redis_server, ran, 64) as work:
        work.poke(bulk)
        await until(lambda: ran.begun == [bulk])
        work.poke(reply)
        work.poke(Key("acme", "other"))
        await until(lambda: Key("acme", "other") in ran.ended)
        assert reply not in ran.begun
        gates[bulk].set()
        await until(lambda: reply in ran.begun)
        work.poke(bulk)
        work.poke(Key("acme", "another"))
        await until(lambda: Key("acme", "another") in ran.ended)
        assert Counter(ran.begun)[bulk] == 1
        gates[reply].set()
        await until(lambda: Counter(ran.ended)[bulk] == 2 and work.idle)
    assert not ran.met


@both
async def test_bulk_and_reply_of_one_conversation_that_waited_together_never_meet(
    kind: str, redis_server: RedisServer
) -> None:
    ran, reply, bulk = Ran(), Key("acme", "c"), Key("acme", "c", bulk=True)
    places = [Key("acme", f"holds {n}") for n in range(2)]
    gates = {key: ran.gate(key) for key in (*places, reply, bulk)}
    async with queue_of(kind, redis_server, ran, 2) as work:
        for key in places:
            work.poke(key)
        await until(lambda: ran.begun == places)
        work.poke(bulk)
        work.poke(reply)
        await until(lambda: not getattr(work, "_poked", ()))
        for key in places:
            gates[key].set()
        await until(lambda: reply in ran.begun)
        work.poke(Key("acme", "other"))
        await until(lambda: Key("acme", "other") in ran.ended)
        assert bulk not in ran.begun
        gates[reply].set()
        await until(lambda: bulk in ran.begun)
        gates[bulk].set()
        await until(lambda: work.idle)
    assert not ran.met


@both
async def test_pokes_for_later_are_one_and_the_earliest_counts(kind: str, redis_server: RedisServer) -> None:
    ran, key = Ran(), Key("acme", "c")
    async with queue_of(kind, redis_server, ran, 64) as work:
        for _ in range(1000):
            work.poke(key, 3600)
        work.poke(Key("acme", "after it"), 0.6)
        work.poke(key, 0.3)
        if isinstance(work, RedisWork):  # it merges by itself what has not gone out
            await until(lambda: not work._later)
        work.poke(key, 3000)
        work.poke(Key("acme", "before it"), 0.1)
        await until(lambda: len(ran.ended) == 3)
        assert [k.conversation for k in ran.ended] == ["before it", "c", "after it"]
        work.poke(key, 3600)
        work.poke(key)
        await until(lambda: ran.ended.count(key) == 2 and work.idle)
        if isinstance(work, LocalWork):
            timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
            assert len([t for t in timers if t._callback == work._due and not t.cancelled()]) == 1
        else:
            async with looking_in(redis_server) as redis:
                assert await redis.zcard("parley:work:later") == 1


async def test_a_poke_for_later_wakes_a_worker_in_time(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker sleeps until it is woken; somebody else says what will be due."""
    web, worker = await shared.queue(), await shared.queue()
    shared.works(worker)
    for name in ("LOOK", "REPORT", "RESYNC"):
        monkeypatch.setattr(f"gateway.work.hints.{name}", 3600.0)
    for n in range(5):
        web.poke(Key("acme", f"c{n}"))
        await until(lambda n=n: len(shared.ran.ended) == 2 * n + 1 and worker.idle)  # type: ignore[misc]
        web.poke(Key("acme", f"later {n}"), 0.05)
        await until(lambda n=n: len(shared.ran.ended) == 2 * n + 2)  # type: ignore[misc]


@pytest.mark.parametrize("seed", range(4))
async def test_two_workers_never_run_one_conversation_at_once(shared: Shared, seed: int) -> None:
    """A random schedule over three processes. After its last poke every key runs once more."""
    dice = random.Random(seed)
    shared.ran.pause = lambda: dice.choice([0, 0, 0.001, 0.01])
    web, one, two = await shared.queue(), await shared.queue(7), await shared.queue(7)
    shared.works(one, "one")
    shared.works(two, "two")
    keys = [Key(f"t{n % 3}", f"c{n % 10}", bulk=n % 4 == 0) for n in range(40)]
    poked: dict[Key, int] = {}
    for _ in range(1500):
        key = dice.choice(keys)
        poked[key] = len(shared.ran.begun)
        dice.choice([web, one, two]).poke(key, dice.choice([0, 0, 0, 0.01, 0.05]))
        if dice.random() < 0.3:
            await asyncio.sleep(dice.choice([0, 0.001, 0.005]))

    def caught_up() -> bool:
        last = {key: n for n, key in enumerate(shared.ran.begun)}
        idle = web.idle and one.idle and two.idle
        return idle and all(last.get(key, -1) >= at for key, at in poked.items())

    await until(caught_up)
    assert not shared.ran.met
    assert {"one", "two"} <= set(shared.ran.by)


async def test_many_pokes_at_once_all_go_out_at_once(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one call carries. Nobody looks by himself here."""
    web, worker = await shared.queue(), await shared.queue()
    shared.works(worker)
    await until(lambda: worker.count() == 1)
    for name in ("LOOK", "REPORT"):
        monkeypatch.setattr(f"gateway.work.hints.{name}", 3600.0)
    for n in range(3000):
        web.poke(Key("acme", f"c{n}"))
    await until(lambda: len(shared.ran.ended) == 3000)


async def test_work_that_one_has_no_room_for_is_the_others(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is told: nobody looks by himself here."""
    one, two = await shared.queue(3), await shared.queue(3)
    monkeypatch.setattr("gateway.work.hints.LOOK", 3600.0)
    keys = [Key("acme", f"c{n}") for n in range(6)]
    gates = [shared.ran.gate(key) for key in keys]
    shared.works(one, "one")
    shared.works(two, "two")
    for key in keys:
        one.poke(key)
    await until(lambda: len(shared.ran.begun) == 6)
    assert Counter(shared.ran.by) == {"one": 3, "two": 3}
    for gate in gates:
        gate.set()
    await until(lambda: one.idle and two.idle)


async def test_what_a_dead_worker_held_is_done_by_another(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.work.hints.LEASE", 1.5)
    web, dies, lives = await shared.queue(), await shared.queue(), await shared.queue()
    key, waiting = Key("acme", "c"), Key("acme", "d", bulk=True)
    shared.ran.gate(key)
    shared.ran.gate(waiting)
    shared.works(dies, "dies")
    web.poke(key)
    web.poke(waiting)
    await until(lambda: len(shared.ran.begun) == 2)
    web.poke(key)
    assert dies._pump is not None
    dies._pump.cancel()  # as a kill -9: it says nothing more
    shared.works(lives, "lives")
    await until(lambda: len(shared.ran.begun) >= 4)
    assert shared.ran.by[:4] == ["dies", "dies", "lives", "lives"]
    assert set(shared.ran.begun[2:4]) == {key, waiting}
    assert lives.count() == 1


@pytest.mark.parametrize("seed", range(6))
async def test_what_a_stopped_worker_took_and_did_not_begin_is_anothers_at_once(
    shared: Shared, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at a random moment. Neither a lease nor a later look gives anything back here."""
    monkeypatch.setattr("gateway.work.hints.LEASE", 3600.0)
    monkeypatch.setattr("gateway.work.hints.RESYNC", 3600.0)
    dice = random.Random(seed)
    web, stops, stays = await shared.queue(), await shared.queue(), await shared.queue()
    held = Key("acme", "runs while it stops")
    gate = shared.ran.gate(held)
    shared.works(stops, "stops")
    web.poke(held)
    await until(lambda: shared.ran.begun == [held])
    keys = [Key("acme", f"c{n}") for n in range(300)]
    for n, key in enumerate(keys):
        web.poke(key)
        if n == 250:
            for _ in range(dice.randrange(60)):
                await asyncio.sleep(0)
            shared.tasks["stops"].cancel()
    shared.works(stays, "stays")
    await until(lambda: set(keys) <= set(shared.ran.ended))
    assert not shared.tasks["stops"].done()
    web.poke(held)
    await until(lambda: web.idle)
    gate.set()
    await until(lambda: shared.ran.begun.count(held) == 2)
    assert [by for key, by in zip(shared.ran.begun, shared.ran.by, strict=True) if key == held] == [
        "stops",
        "stays",
    ]
    await until(lambda: stays.count() == 1)
    assert not shared.ran.met


async def test_what_a_worker_could_not_end_is_anothers_at_once(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time to stop is over: what runs is broken off."""
    for name in ("LEASE", "RESYNC", "REPORT"):
        monkeypatch.setattr(f"gateway.work.hints.{name}", 3600.0)
    web, stops, stays = await shared.queue(), await shared.queue(), await shared.queue()
    key = Key("acme", "c")
    gate = shared.ran.gate(key)
    shared.works(stops, "stops")
    web.poke(key)
    await until(lambda: shared.ran.begun == [key])
    task = shared.tasks["stops"]
    task.cancel()
    shared.works(stays, "stays")
    other = Key("acme", "d")
    web.poke(other)
    await until(lambda: other in shared.ran.ended)
    assert shared.ran.begun == [key, other]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: len(shared.ran.begun) == 3)
    assert (shared.ran.begun[2], shared.ran.by[2]) == (key, "stays")
    gate.set()
    await until(lambda: stays.idle)
    assert not shared.ran.met


async def test_a_process_that_is_gone_holds_nothing(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closed while something ran that nobody ended."""
    for name in ("LEASE", "RESYNC", "REPORT"):
        monkeypatch.setattr(f"gateway.work.hints.{name}", 3600.0)
    web, stays, key = await shared.queue(), await shared.queue(), Key("acme", "c")
    shared.ran.gate(key)
    async with AsyncExitStack() as gone:
        redis = await gone.enter_async_context(looking_in(shared.server))
        leaves = await gone.enter_async_context(RedisWork(redis))
        shared.works(leaves, "leaves")
        web.poke(key)
        await until(lambda: shared.ran.begun == [key])
        shared.works(stays, "stays")
        await until(lambda: stays.count() == 2)
    await until(lambda: len(shared.ran.begun) == 2)
    assert shared.ran.by == ["leaves", "stays"]


async def test_a_take_whose_answer_was_lost_is_found_again(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when Redis hung: it may do afterwards what nobody waits for any more."""
    monkeypatch.setattr("gateway.work.hints.RESYNC", 0.2)
    worker, key = await shared.queue(), Key("acme", "c")
    shared.works(worker)
    await until(lambda: worker.count() == 1)
    async with looking_in(shared.server) as redis:
        await redis.hset("parley:work:busy", "acme/c", f"r{worker._me}")
    await until(lambda: shared.ran.ended == [key])


async def test_after_a_wipe_what_runs_is_still_the_runners(shared: Shared) -> None:
    web, one, two = await shared.queue(), await shared.queue(), await shared.queue()
    key = Key("acme", "c")
    gate = shared.ran.gate(key)
    shared.works(one, "one")
    web.poke(key)
    await until(lambda: shared.ran.begun == [key])
    shared.works(two, "two")
    await until(lambda: two.count() == 2)
    shared.server.flush()
    async with looking_in(shared.server) as redis:
        while not await redis.hexists("parley:work:busy", "acme/c"):
            await asyncio.sleep(0.01)
    web.poke(key)
    other = Key("acme", "d")
    web.poke(other)
    await until(lambda: other in shared.ran.ended)
    assert shared.ran.begun.count(key) == 1
    gate.set()
    await until(lambda: shared.ran.ended.count(key) == 2)
    assert not shared.ran.met


@pytest.mark.parametrize("how", ["killed", "hung"])
async def test_without_redis_a_worker_goes_by_its_own_hints_and_comes_back(shared: Shared, how: str) -> None:
    web, worker = await shared.queue(), await shared.queue()
    shared.works(worker)
    web.poke(Key("acme", "before"))
    await until(lambda: len(shared.ran.ended) == 1)
    if how == "killed":
        shared.server.kill()
    else:
        shared.server.pause()
    worker.poke(Key("acme", "meanwhile"))
    worker.poke(Key("acme", "a little later"), 0.05)
    await until(lambda: len(shared.ran.ended) == 3)
    for n in range(20):
        web.poke(Key("acme", f"lost {n}"))
    await until(lambda: web.count() is None and worker.count() is None)
    await until(lambda: web.idle)
    await until(lambda: worker.idle)
    if how == "killed":
        shared.server.start()
    else:
        shared.server.go_on()
    await until(lambda: web.count() == 1 and worker.count() == 1)
    web.poke(Key("acme", "after"))
    await until(lambda: Key("acme", "after") in shared.ran.ended and worker.idle)
    assert not shared.ran.met


async def test_redis_that_was_never_there(shared: Shared) -> None:
    shared.server.kill()
    worker = await shared.queue()
    shared.works(worker)
    worker.poke(Key("acme", "c"))
    await until(lambda: len(shared.ran.ended) == 1)
    shared.server.start()
    await until(lambda: worker.count() == 1)


async def test_a_handler_that_breaks_is_told_and_does_not_hold_its_key(redis_server: RedisServer) -> None:
    failed: list[tuple[Key, str]] = []
    redis, runs = connect(redis_server.url), 0

    async def breaks(key: Key) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError("broken")

    async with RedisWork(redis, failed=lambda key, error: failed.append((key, str(error)))) as work:
        task = asyncio.create_task(work.run(breaks))
        key = Key("acme", "c")
        work.poke(key)
        await until(lambda: bool(failed) and work.idle)
        work.poke(key)
        await until(lambda: runs == 2 and work.idle)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert failed == [(key, "broken")]
    assert await redis.zcard("parley:work:workers") == 0
    await redis.aclose()


async def test_nothing_is_left_behind_in_redis(shared: Shared) -> None:
    """Its size is that of the open work, however much was done."""
    web, worker = await shared.queue(), await shared.queue()
    shared.works(worker)
    for n in range(500):
        web.poke(Key(f"t{n % 50}", f"c{n}", bulk=n % 2 == 0))
    await until(lambda: len(shared.ran.ended) == 500 and worker.idle)
    async with looking_in(shared.server) as redis:
        left = {k.decode() if isinstance(k, bytes) else k for k in await redis.keys("*")}
    assert left <= {"parley:work:number", "parley:work:workers", "parley:work:wake:r", "parley:work:wake:b"}
