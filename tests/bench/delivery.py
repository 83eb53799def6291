"""`limits`, `sweeper`, `fairness`: what keeps one tenant's load from being another's wait."""

import asyncio
import statistics
import time
from dataclasses import replace
from datetime import timedelta

from gateway.bootstrap import open_store
from gateway.model.clock import system_clock
from gateway.model.content import Text
from gateway.model.conversation import Conversation
from gateway.model.message import Message, Status, stable_id
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.codec import conversation_to_doc, message_to_doc
from gateway.work.limits import RateLimits
from gateway.work.local import LocalWork
from gateway.work.redis import connect
from gateway.work.sweeper import Sweeper
from tests.bench.load import Exchanges, stand_in
from tests.bench.rig import Row, at_most, child, folder, percentile, plain, show
from tests.redis_server import RedisServer

KEYS = 10_000
BATCH = 1000
FINISHED = 100_000
BULK = 100_000
REPLIES = 15.0
"""Replies a second that the other tenant gets."""


async def limits(scale: float) -> bool:
    keys = [f"cv_{n}" for n in range(KEYS)]
    own = RateLimits()
    for key in keys:
        await own.take("contact", key)
    start = time.perf_counter()
    for key in keys:
        await own.take("contact", key)
    rows = [at_most("one process, 10,000 keys", (time.perf_counter() - start) / KEYS * 1e6, 20.0, "us")]
    with RedisServer() as server:
        redis = connect(server.url)
        shared = RateLimits(redis.connection_pool)
        each = max(20, int(400 * scale))

        async def hits(first: int) -> None:
            for n in range(each):
                await shared.take("contact", keys[(first * 7919 + n) % KEYS])

        await asyncio.gather(*(hits(n) for n in range(50)))
        start = time.perf_counter()
        await asyncio.gather(*(hits(n) for n in range(50)))
        took = (time.perf_counter() - start) / (each * 50)
        rows.append(at_most("on Redis, 50 at a time", took * 1e6, 250.0, "us"))
        assert await redis.dbsize() > 0, "nothing was counted in Redis"
        await redis.aclose()
    return show("limits: one hit", rows)


async def sweeper(scale: float) -> bool:
    looks = int(400 * scale) or 40
    async with folder() as data, open_store(Settings(data_dir=data / "d"), say=lambda _: None) as store:
        sweeps = Sweeper(store, LocalWork(), system_clock)
        await _insert(store, [_finished(0)])
        few = await _looks(sweeps, looks)
        count = int(FINISHED * scale)
        for first in range(1, count, BATCH):
            await _insert(store, [_finished(n) for n in range(first, min(first + BATCH, count))])
        many = await _looks(sweeps, looks)
        again = await _looks(sweeps, looks)
    return show(
        f"sweeper: one look, with 1 and with {count:,} finished messages",
        [
            plain("with one", f"{few * 1000:.2f} ms"),
            plain("with all", f"{min(many, again) * 1000:.2f} ms"),
            at_most("with all / with one", min(many, again) / few, 1.1),
        ],
    )


async def _looks(sweeps: Sweeper, count: int) -> float:
    """Seconds of one look: the median."""
    took = []
    for _ in range(count):
        start = time.perf_counter()
        await sweeps.sweep()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def _finished(number: int) -> Message:
    at = system_clock() - timedelta(days=1)
    return Message(
        id=stable_id("m", "finished", str(number)), tenant="t0", channel="ch_wa0", conversation=f"cv_{number // 50}",
        direction="out", author="bot", seq=number, at=at, content=Text("The shop is open from ten to six."),
        status=Status.SENT, provider_id=f"wamid.finished.{number}",
    )  # fmt: skip


async def _insert(store: Store, messages: list[Message]) -> None:
    await store._db["messages"].insert_many([message_to_doc(m, None) for m in messages], ordered=False)


async def fairness(scale: float) -> bool:
    """Tenant 0's replies alone, and while tenant 1 has a campaign queued."""
    driving: list[Exchanges] = []
    seconds = max(5.0, 40 * scale)
    sent: list[int] = [0]
    async with stand_in(lambda: driving[-1] if driving else None) as graph, folder() as data:
        environment = {"DATA_DIR": str(data / "d"), "WHATSAPP_API_URL": graph.url, "TENANTS": "2"}
        async with child("tests.bench.gateway_process", **environment) as gateway:
            driving.append(Exchanges(gateway, 1, 200))
            await driving[-1].at_concurrency(200, 8)
            alone = await _measured(driving[-1], seconds)
            count = int(BULK * scale)
            async with open_store(Settings(data_dir=data / "d"), say=lambda _: None) as store:
                await _campaign(store, count)
                before = await _left(store, count)
                beside = await _measured(driving[-1], seconds)
                sent[0] = before - await _left(store, count)
    rows: list[Row] = [
        plain(
            "alone: p50, p99", f"{percentile(alone, 0.5) * 1000:.1f}, {percentile(alone, 0.99) * 1000:.1f} ms"
        ),
        plain(
            "beside: p50, p99",
            f"{percentile(beside, 0.5) * 1000:.1f}, {percentile(beside, 0.99) * 1000:.1f} ms",
        ),
        plain("campaign messages sent meanwhile", f"{sent[0]} ({sent[0] / seconds:.0f}/s)"),
        at_most("p99 beside / alone", percentile(beside, 0.99) / percentile(alone, 0.99), 1.5),
    ]
    return show(
        f"fairness: a tenant's replies at {REPLIES:.0f}/s while another has {count:,} campaign messages queued",
        rows,
    )


async def _measured(exchanges: Exchanges, seconds: float) -> list[float]:
    exchanges.took.clear()
    await exchanges.at_rate(REPLIES, seconds)
    return list(exchanges.took)


async def _left(store: Store, count: int) -> int:
    found = store._db["messages"].find({"channel": "ch_wa1", "in_bulk": True}, {"_id": 1}).limit(count)
    return len(await found.to_list())


async def _campaign(store: Store, count: int) -> None:
    now = system_clock()
    talk = Conversation("", "t1", "ch_wa1", "ct", "", now, last_in=now, last_at=now)
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        talks = [replace(talk, id=f"cv_bulk{n}", address=str(34_700_000_000 + n)) for n in numbers]
        await store._db["conversations"].insert_many([conversation_to_doc(t) for t in talks], ordered=False)
        await store.of("t1").messages.put_bulk([_advert(t) for t in talks], now)


def _advert(talk: Conversation) -> Message:
    at = system_clock()
    return Message(
        id=stable_id("m", "bulk", talk.id), tenant=talk.tenant, channel=talk.channel, conversation=talk.id,
        direction="out", author="bot", seq=1, at=at, content=Text("We have news."), status=Status.QUEUED, due=at,
        bulk=True,
    )  # fmt: skip
