"""Rate limits inward: what is over one is refused cheaply or kept and not answered, the customer is told once, and others
go on. On a real Redis, and while it is away."""

import asyncio
import random
from collections import deque
from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from limits import RateLimitItemPerSecond
from limits.aio.strategies import FixedWindowRateLimiter

from gateway.model.content import Command, Text
from gateway.model.limits import LIMITS, SETTABLE, parse
from gateway.model.message import Status
from gateway.ops.door import Door
from gateway.settings import SettingsError, load
from gateway.work.limits import KEPT, RateLimits, WindowStorage
from gateway.work.redis import PREFIX, connect
from tests.conftest import ORIGIN, Running, make_site
from tests.core.test_api import key_of
from tests.core.test_kinds import hear, said, sent
from tests.core.visitor import Visitor
from tests.providers.graph_webhooks import text_webhook
from tests.redis_server import RedisServer

AWAY = {"X-Forwarded-For": "203.0.113.9"}
"""A request that came through the proxy on this machine, from elsewhere."""

SLOW = "You are writing faster than I can answer. Please wait a minute; our team can read all of it."


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def few(running: Running, **limits: str) -> None:
    await running.store.directory.set_limits("acme", limits)


# What customers bring


async def test_a_customer_over_the_limit_is_kept_and_told_once(running: Running) -> None:
    await few(running, contact="2/minute")
    for number in range(6):
        await hear(running, said(running, Text(f"echo {number}"), str(number)))
    assert sent(running) == ["echo 0", "echo 1", SLOW]
    [conversation] = await running.conversations()
    inbound = [m for m in await running.transcript(conversation.id) if m.direction == "in"]
    assert [m.extra.get("limited") for m in inbound] == [None, None, *["contact"] * 4]
    assert {m.status for m in inbound} == {Status.HANDLED}
    running.clock.move(minutes=5)
    await running.swept()
    assert len(sent(running)) == 3


async def test_who_wants_no_more_messages_is_always_heard(running: Running) -> None:
    await few(running, contact="1/minute")
    for number in range(3):
        await hear(running, said(running, Text(f"echo {number}"), str(number)))
    await hear(running, said(running, Command("stop"), "stop"))
    [conversation] = await running.conversations()
    assert conversation.stopped


async def test_one_customers_limit_is_not_anothers(running: Running) -> None:
    await few(running, contact="1/minute")
    for sender in ("34600111222", "34600111333"):
        for number in range(2):
            body = text_webhook(
                sender, f"echo {sender}", f"wamid.{sender}.{number}", int(running.clock().timestamp())
            )
            assert await running.post_whatsapp(body) == 200
            await running.idle()
    assert [t for t in sent(running) if t != SLOW] == ["echo 34600111222", "echo 34600111333"]


async def test_a_repeated_webhook_counts_once(running: Running) -> None:
    await few(running, contact="2/minute")
    body = text_webhook("34600111222", "echo one", "wamid.1", int(running.clock().timestamp()))
    assert await asyncio.gather(*(running.post_whatsapp(body) for _ in range(8))) == [200] * 8
    await hear(running, said(running, Text("echo two"), "2"))
    assert sent(running) == ["echo one", "echo two"]


async def test_a_tenant_over_the_limit_waits_and_is_answered(quiet: None, running: Running) -> None:
    await few(running, tenant="2/minute")
    for number in range(4):
        await hear(running, said(running, Text(f"echo {number}"), str(number)))
    assert sent(running) == ["echo 0", "echo 1"]
    [conversation] = await running.conversations()
    late = await running.store.of("acme").messages.work(conversation.id)
    assert [m.extra.get("limited") for m in late] == ["tenant", "tenant"]
    running.clock.move(seconds=31)
    await running.swept()
    assert sent(running) == ["echo 0", "echo 1", "echo 2", "echo 3"]


# Keys, pages, addresses


async def test_a_key_over_its_limit_is_told_how_long_to_wait(running: Running) -> None:
    await few(running, api="2/minute")
    headers = await key_of(running, "acme")
    answers = []
    for _ in range(3):
        async with running.http.get(f"{running.url}/api/v1/leads", headers=headers) as answer:
            answers.append(
                (answer.status, answer.headers.get("Retry-After"), (await answer.json()).get("code"))
            )
    assert answers == [(200, None, None), (200, None, None), (429, "30", "limit_api")]


async def test_who_guesses_keys_is_shut_out_and_others_are_not(running: Running) -> None:
    most = LIMITS["guess"].amount
    for number in range(most + 3):
        async with running.http.get(
            f"{running.url}/api/v1/leads", headers={"Authorization": f"Bearer guess{number}", **AWAY}
        ) as answer:
            assert answer.status == (401 if number <= most else 429), number
    good = await key_of(running, "acme")
    async with running.http.get(f"{running.url}/api/v1/leads", headers={**good, **AWAY}) as answer:
        assert answer.status == 429
    async with running.http.get(
        f"{running.url}/api/v1/leads", headers={**good, "X-Forwarded-For": "203.0.113.10"}
    ) as answer:
        assert answer.status == 200


async def test_wrong_signatures_for_one_channel_leave_the_others_open(running: Running) -> None:
    await make_site(running.store, identifier="ch_two")
    body = text_webhook("34600111222", "echo one", "wamid.1", int(running.clock().timestamp()))
    answers = [
        await running.post_whatsapp(body, secret="wrong-secret-0123456789", **AWAY)
        for _ in range(LIMITS["guess"].amount + 2)
    ]
    assert answers[-1] == 429
    assert await running.post_whatsapp(body, channel=None, **AWAY) == 200


async def test_sessions_of_one_address_are_bounded(running: Running) -> None:
    async def session(address: str) -> int:
        async with running.http.post(
            f"{running.url}/widget/session", json={"site": "ch_web"},
            headers={"Origin": ORIGIN, "X-Forwarded-For": address},
        ) as answer:  # fmt: skip
            return answer.status

    most = LIMITS["address"].amount
    assert [await session("203.0.113.9") for _ in range(most + 1)] == [200] * most + [429]
    assert await session("203.0.113.10") == 200


async def test_a_visitor_over_the_limit_is_refused_before_anything_is_stored(running: Running) -> None:
    await few(running, contact="2/minute")
    visitor = Visitor(running)
    async with visitor.open() as tab:
        for number in range(4):
            await tab.put(
                {
                    "t": "send",
                    "id": f"0000000{number}-aaaa",
                    "content": {"type": "text", "text": f"echo {number}"},
                }
            )
        refused = [await tab.next("error") for _ in range(2)]
        assert [(f["code"], f["id"]) for f in refused] == [
            ("slow_down", "00000002-aaaa"),
            ("slow_down", "00000003-aaaa"),
        ]
    async with Visitor(running).open() as other:
        assert (await other.ask("echo me"))["content"]["text"] == "echo me"
    await running.idle()
    stored = await running.transcript(tab.conversation)
    assert [m.client_id for m in stored if m.direction == "in"] == ["00000000-aaaa", "00000001-aaaa"]
    [event] = await running.store.of("acme").events.latest("ch_web", 9)
    assert (event.name, tab.conversation in event.text) == ("limited", True)


async def test_sessions_of_one_site_are_bounded(running: Running) -> None:
    await few(running, site="2/minute")
    await make_site(running.store, identifier="ch_two")
    codes = [
        (await Visitor(running).post({"site": "ch_web", "token": None, "language": "en"}))[0]
        for _ in range(3)
    ]
    assert codes == [200, 200, 429]
    assert (await Visitor(running).post({"site": "ch_two", "token": None, "language": "en"}))[0] == 200


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not our proxy: it may say what it likes
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        (
            "127.0.0.1",
            "6.6.6.6, 198.51.100.1",
            "198.51.100.1",
        ),  # what the customer wrote themselves counts nothing
        ("127.0.0.1", "198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1:443", "198.51.100.1"),
        ("127.0.0.1", "[2001:db8:1:2::9]:443", "2001:db8:1:2:3::1"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "", None),
        ("127.0.0.1", "garbage", None),
    ],
)
async def test_whose_address_it_is(peer: str, forwarded: str, who: str | None) -> None:
    door = Door(RateLimits(), [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")])
    request = make_mocked_request("GET", "/", {"X-Forwarded-For": forwarded} if forwarded else {})
    found = door._who(request.clone(remote=peer))
    expected = door._who(make_mocked_request("GET", "/").clone(remote=who)) if who else None
    assert found == expected


def test_trusted_proxies_are_networks() -> None:
    assert load({"TRUSTED_PROXIES": "10.0.0.1, fd00::/8"}).trusted_proxies == (
        ip_network("10.0.0.1"),
        ip_network("fd00::/8"),
    )
    with pytest.raises(SettingsError, match="TRUSTED_PROXIES: expected networks"):
        load({"TRUSTED_PROXIES": "proxy.example"})


# Counting


async def test_a_window_slides() -> None:
    """Against a plain count of every hit: never more than the amount in a window, and a fair share of it."""
    time, chance = Time(), random.Random(7)
    limits = RateLimits(monotonic=time)
    most, seconds = LIMITS["contact"].amount, LIMITS["contact"].seconds
    passed: deque[float] = deque()
    total = 0
    for _ in range(5000):
        time.now += chance.expovariate(2.0)
        if not await limits.take("contact", "a"):
            passed.append(time.now)
            total += 1
        while passed and passed[0] <= time.now - seconds:
            passed.popleft()
        assert len(passed) <= most * 1.5  # the counter weighs the last window evenly: an estimate
    assert total >= 0.9 * most * (time.now - 1000) / seconds


async def test_on_redis_all_processes_count_together(redis_server: RedisServer) -> None:
    one, two = connect(redis_server.url), connect(redis_server.url)
    first, second = RateLimits(one.connection_pool), RateLimits(two.connection_pool)
    most = LIMITS["contact"].amount
    answers = await asyncio.gather(*((first, second)[n % 2].take("contact", "a") for n in range(most + 20)))
    assert len([a for a in answers if not a]) == most
    assert await second.take("contact", "b") == 0
    keys = await one.keys("*")
    assert keys
    assert all(PREFIX in str(k) for k in keys)
    await one.aclose()
    await two.aclose()


@pytest.mark.parametrize("how", ["down", "hangs"])
async def test_while_redis_is_away_a_closed_limit_is_kept_and_an_open_one_is_not(
    redis_server: RedisServer, how: str
) -> None:
    redis, time = connect(redis_server.url), Time()
    limits = RateLimits(redis.connection_pool, time)
    assert await limits.take("contact", "a") == 0
    redis_server.kill() if how == "down" else redis_server.pause()
    guesses = [await limits.take("guess", "a") for _ in range(LIMITS["guess"].amount + 5)]
    assert [bool(g) for g in guesses] == [False] * LIMITS["guess"].amount + [True] * 5
    assert {await limits.take("contact", "a") for _ in range(LIMITS["contact"].amount * 2)} == {0.0}
    if how == "down":
        redis_server.start()
    else:
        redis_server.go_on()
    time.now += 2
    for _ in range(LIMITS["contact"].amount):
        await limits.take("contact", "a")
    assert await limits.take("contact", "a") > 0
    await redis.aclose()


async def test_a_tenants_own_limit_counts_by_itself() -> None:
    limits = RateLimits(monotonic=Time())
    own = {"contact": "1/hour", "guess": "1/hour", "api": "nonsense"}
    assert await limits.take("contact", "a", own) == 0
    assert await limits.take("contact", "a", own) == 3600
    assert await limits.take("contact", "a") == 0
    assert [await limits.take("guess", "a", own) for _ in range(2)] == [0, 0]  # not a tenant's to set
    assert await limits.take("api", "a", own) == 0


async def test_the_storage_does_all_that_the_librarys_contract_asks() -> None:
    """Its other strategies, too: the fixed window counts with it as with the library's own."""
    time = Time()
    storage = WindowStorage(time)
    limiter, item = FixedWindowRateLimiter(storage), RateLimitItemPerSecond(2, 10)
    assert [await limiter.hit(item, "a") for _ in range(3)] == [True, True, False]
    assert await storage.get(item.key_for("a")) == 3
    assert (await limiter.get_window_stats(item, "a")).remaining == 0
    time.now += 10
    assert await storage.get(item.key_for("a")) == 0
    assert await limiter.hit(item, "a")
    await limiter.clear(item, "a")
    assert (await storage.get(item.key_for("a")), await storage.reset()) == (0, 0)


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.work.limits.KEPT", 100)
    storage = WindowStorage(Time())
    for number in range(1000):
        assert await storage.acquire_sliding_window_entry(f"k{number}", 1, 60)
    assert await storage.reset() == 100
    assert KEPT > 10_000


@pytest.mark.parametrize(
    "text", ["", "5", "0/minute", "-1/minute", "5/week", "x/minute", "9999999/day", "5/minute/2", "٥/minute"]
)
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match=r"AMOUNT/UNIT|an amount"):
        parse(text)


def test_every_limit_says_what_it_is_and_what_an_outage_does() -> None:
    for name, limit in LIMITS.items():
        assert limit.text
        assert limit.outage == ("closed" if name in ("address", "guess", "socket") else "open")
        if name in SETTABLE:
            assert parse(str(limit)) == (limit.amount, limit.seconds)
