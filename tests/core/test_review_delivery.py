"""Review: delivery past one machine. Bulk and dead letters, bursts, merges, limits and addresses, a newer version beside us."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from gateway.bootstrap import open_store
from gateway.model.content import Command, Media, Reply, Text
from gateway.model.errors import SendError, StoreError, Unavailable
from gateway.model.identity import Identity
from gateway.model.lanes import Rates
from gateway.model.limits import LIMITS, LimitName
from gateway.model.message import Failure, Message, Sender, Status
from gateway.model.ports import InboundMessage
from gateway.model.work import Key
from gateway.ops.door import Door
from gateway.settings import Settings
from gateway.store.conversations import Conversations
from gateway.store.group import GroupedInserts
from gateway.store.lanes import Lanes
from gateway.store.messages import Messages
from gateway.work.limits import RateLimits
from gateway.work.redis import connect
from gateway.work.sweeper import Sweeper
from tests.conftest import Running, make_tenant
from tests.core.test_bulk import advert, greet, queue
from tests.core.test_bursts import first, merging, waiting
from tests.core.test_kinds import BSUID, BY_ID, hear, only, said, sent
from tests.core.test_limits import AWAY, Time, few
from tests.core.test_pace import Hands, Shared, hands, shared
from tests.core.test_two_processes import Pair, pair
from tests.redis_server import RedisServer

__all__ = ["hands", "merging", "pair", "shared"]


def agent_reply(running: Running, conversation: str, text: str) -> Message:
    return replace(
        advert(running, conversation), id=f"m_{text}", author="agent", content=Text(text), bulk=False,
        seq=int(running.clock().timestamp() * 1e6) + 1_000_000,
    )  # fmt: skip


# Bulk and dead letters


async def test_bulk_that_was_given_up_is_sent_again(quiet: None, running: Running) -> None:
    conversations = await greet(running, 2)
    await queue(running, conversations)
    store = running.store.of("acme")
    for conversation in conversations:
        [message] = await store.messages.work(conversation)
        await store.messages.end(message, Status.QUEUED, Status.DEAD, Failure("x:500", "down"))
    dead = (await store.dead_letters.page(None, 10)).messages
    assert len(await store.dead_letters.retry(dead, running.clock())) == 2
    for _ in range(4):
        running.clock.move(seconds=1)
        await running.swept()
    assert sent(running).count("advert") == 2
    assert await running.store.open_work.due(running.clock() + timedelta(days=1), 10) == []
    assert {
        m.bulk for c in conversations for m in await running.transcript(c) if m.content == Text("advert")
    } == {True}


async def test_bulk_that_fails_holds_up_no_reply(quiet: None, running: Running) -> None:
    """An agent writes while the first of two bulk messages to the same customer is refused for five minutes."""
    [conversation] = await greet(running, 1)
    adverts = [replace(advert(running, conversation), id=f"m_{n}", seq=n + 1) for n in (1, 2)]
    await running.store.of("acme").messages.put_bulk(adverts, running.clock())
    adapter = running.gateway.deliver._adapters["whatsapp"]
    real = adapter.send

    async def send(*given: Any) -> Any:
        adapter.send = real  # type: ignore[method-assign]
        await running.store.of("acme").messages.put_queued([agent_reply(running, conversation, "now")])
        raise SendError("x:1", "later", retryable=True, wait=300)

    adapter.send = send  # type: ignore[method-assign,assignment]
    await running.swept()
    await running.gateway.turns.handle(Key("acme", conversation))
    assert "now" in sent(running)
    assert "advert" not in sent(running)


async def test_bulk_written_slowly_is_not_passed_over(
    quiet: None, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One campaign has its places and is not yet written when its queue is looked at; another's waits for hours behind it."""
    messages, insert = running.store.of("acme").messages, GroupedInserts.insert
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: GroupedInserts, docs: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await insert(self, docs)

    monkeypatch.setattr(GroupedInserts, "insert", slow)
    late = asyncio.create_task(
        messages.put_bulk([advert(running, f"cv_{n}") for n in range(200)], running.clock())
    )
    await begun.wait()
    monkeypatch.setattr(GroupedInserts, "insert", insert)
    open_work = running.store.open_work
    assert await open_work.bulk(running.clock(), 300, lambda _: True) == []
    held = replace(advert(running, "cv_held"), due=running.clock() + timedelta(hours=5))
    await messages.put_bulk([held], running.clock())
    go_on.set()
    await late
    await open_work.bulk(running.clock(), 300, lambda _: True)
    assert len(await open_work.bulk(running.clock(), 300, lambda _: True)) == 200


async def test_bulk_of_a_disabled_channel_is_left_alone(quiet: None, running: Running) -> None:
    """Each look at it costs a handful of database calls, and there may be a hundred thousand."""
    conversations = await greet(running, 12)
    await queue(running, conversations)
    channel = await running.store.directory.channel("ch_wa")
    await running.store.directory.set_channel(channel, state="disabled")
    await running.swept()
    assert not running.gateway.deliver.has_room_for_bulk("ch_wa")
    await running.store.directory.set_channel(await running.store.directory.channel("ch_wa"), state="active")
    running.clock.move(minutes=6)
    for _ in range(12):
        running.clock.move(seconds=10)
        await running.swept()
    assert sent(running).count("advert") == 12


class Heard:
    """A hint queue that only notes what it was told."""

    idle = True

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def poke(self, key: Key, after: float = 0) -> None:
        self.keys.append(key)


async def test_work_that_gets_nowhere_does_not_hide_what_is_due_behind_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant's conversations stay due (they break, or there are too many); another tenant's hint was lost."""
    monkeypatch.setattr("gateway.work.sweeper.MOST", 10)
    await make_tenant(running.store, "bolt")
    heard, now = Heard(), running.clock()
    for n in range(25):
        message = agent_reply(running, f"cv_stuck{n}", f"stuck{n}")
        await running.store.of("acme").messages.put_queued(
            [replace(message, due=now - timedelta(minutes=30 - n))]
        )
    theirs = replace(agent_reply(running, "cv_bolt", "theirs"), tenant="bolt", due=now - timedelta(seconds=1))
    await running.store.of("bolt").messages.put_queued([theirs])
    sweeper = Sweeper(running.store, heard, running.clock)  # type: ignore[arg-type]
    for _ in range(3):
        await sweeper.sweep()
    assert Key("bolt", "cv_bolt") in heard.keys
    for _ in range(3):
        await sweeper.sweep()
    assert heard.keys.count(Key("bolt", "cv_bolt")) == 2


async def test_a_wait_shorter_than_a_microsecond_keeps_no_place(running: Running) -> None:
    deliver = running.gateway.deliver
    channel = await running.store.directory.channel("ch_wa")
    await hear(running, said(running, Text("echo one")))
    conversation, transcript = await only(running)

    class Soon:
        async def wait(self, channel: str, recipient: str, rates: Rates, bulk: bool = False) -> float:
            return 2e-7

    deliver._pace = Soon()  # type: ignore[assignment]
    assert await deliver._pause(channel, conversation, transcript[-1])
    assert not deliver._under_way


# Bursts


async def test_what_a_broken_burst_wrote_waits_with_its_messages(
    merging: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It broke between its answer and its commit: its messages are tried again one by one, and the answer is none."""
    whole = Conversations.save

    async def breaks(*_: Any) -> Any:
        raise StoreError("refused")

    await hear(merging, said(merging, Text("echo zero"), "0"))
    merging.clock.move(seconds=6)
    await merging.swept()
    await hear(merging, said(merging, Text("echo one"), "1"))
    [(message, _)] = await hear(merging, said(merging, Text("echo two"), "2"))
    merging.clock.move(seconds=6)
    monkeypatch.setattr(Conversations, "save", breaks)
    await merging.swept()
    monkeypatch.setattr(Conversations, "save", whole)
    await merging.gateway.turns.handle(Key("acme", message.conversation))
    assert sent(merging) == ["echo zero"]
    for _ in range(3):
        merging.clock.move(seconds=10)
        await merging.swept()
    assert sent(merging) == ["echo zero", "echo one", "echo two"]


async def test_a_burst_that_was_committed_is_not_answered_again_where_its_conversation_goes_on(
    merging: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We stop between the commit and the end of the turn; then the two conversations of that person become one."""
    await hear(merging, said(merging, Text("echo old"), "0", identity=BY_ID, address=BSUID))
    merging.clock.move(seconds=6)
    await merging.swept()
    await hear(merging, said(merging, Text("echo one"), "1"))
    [(message, _)] = await hear(merging, said(merging, Text("two"), "2"))
    merging.clock.move(seconds=6)
    whole = Messages.finish_turn

    class Stopped(BaseException):
        pass

    async def stops(*_: Any, **__: Any) -> Any:
        raise Stopped

    monkeypatch.setattr(Messages, "finish_turn", stops)
    with pytest.raises(Stopped):
        await merging.gateway.turns.handle(Key("acme", message.conversation))
    monkeypatch.setattr(Messages, "finish_turn", whole)
    await hear(merging, said(merging, Text("echo three"), "3", aliases=(BY_ID,)))
    await merging.gateway.turns.handle(Key("acme", message.conversation))
    for _ in range(3):
        merging.clock.move(seconds=20)
        await merging.swept()
    assert sorted(str(t) for t in sent(merging)) == ["echo old", "echo one\ntwo", "echo three"]


def test_a_clock_that_was_set_back_makes_nobody_wait() -> None:
    assert first(waiting(1), after=-3600).until is None


def test_two_people_in_one_place_are_not_merged() -> None:
    ana, bo = (Sender(Identity("telegram", "", n), n) for n in ("1", "2"))
    burst = first(waiting(1, sender=ana), waiting(2, sender=ana), waiting(3, sender=bo))
    assert burst.ids == ("m1", "m2")
    assert burst.until is None


# Merges


async def test_whose_sender_died_in_a_conversation_that_has_ended_in_another_is_sent(
    quiet: None, running: Running
) -> None:
    await hear(running, said(running, Text("echo by id"), "1", identity=BY_ID, address=BSUID))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo by phone"), "2"))
    older, newer = sorted(await running.conversations(), key=lambda c: c.created)
    messages = running.store.of("acme").messages
    [letter] = [agent_reply(running, newer.id, "late")]
    await messages.put_queued([letter])
    assert await messages.claim(letter.id, running.clock() + timedelta(seconds=60))
    saved = await running.store.of("acme").conversations.save(replace(newer, merged_into=older.id))
    assert saved is not None
    for _ in range(6):
        running.clock.move(seconds=61)
        await running.swept()
    found = await messages.get(letter.id)
    assert found is not None
    assert (found.status, found.possibly_doubled) == (Status.SENT, True)


# Permission


async def test_what_waits_for_its_place_while_the_customer_says_stop_does_not_leave(pair: Pair) -> None:
    """Redis was flushed: one process asks for a place for bulk (which takes as long as Redis does), another is told STOP."""
    key, [heard] = await pair.put("first")
    await pair.one.handle(key)
    asks, go_on = asyncio.Event(), asyncio.Event()
    deliver = pair.one.gateway.deliver
    real = deliver._pace.wait

    async def slow(*given: Any) -> float:
        asks.set()
        await go_on.wait()
        return await real(*given)

    deliver._pace.wait = slow  # type: ignore[method-assign,assignment]
    letter = replace(
        heard, id="m_bulk", direction="out", author="bot", content=Text("advert"), status=Status.QUEUED,
        due=pair.clock(), bulk=True, seq=heard.seq + 9_000_000, provider_id=None,
    )  # fmt: skip
    await pair.one.messages.put_bulk([letter], pair.clock())
    bulk = asyncio.create_task(pair.one.handle(replace(key, bulk=True)))
    await asks.wait()
    stop = InboundMessage("stop", heard.sender.identity, "x", pair.clock(), Command("stop"))  # type: ignore[union-attr]
    await pair.two.gateway.inbox.put(pair.channel, [stop])
    await pair.two.handle(key)
    go_on.set()
    await bulk
    assert "advert" not in pair.said
    assert pair.said[-1].startswith("You won't get any more messages")
    found = await pair.one.messages.get("m_bulk")
    assert found is not None
    assert found.failure is not None
    assert (found.status, found.failure.code) == (Status.CANCELLED, "permission:stopped")


# Limits and addresses


async def test_a_pressed_stop_is_heard_over_the_limit(running: Running) -> None:
    await few(running, contact="1/minute")
    for number in range(3):
        await hear(running, said(running, Text(f"echo {number}"), str(number)))
    await hear(running, said(running, Reply("/stop", "Stop"), "stop"))
    [conversation] = await running.conversations()
    assert conversation.stopped


async def test_an_album_counts_once(running: Running) -> None:
    await few(running, contact="2/minute")
    for n in range(4):
        part = Media("image", "image/jpeg", media_id=f"m{n}", caption="echo look" if n == 0 else None)
        await hear(running, said(running, part, str(n), album="g"))
    running.clock.move(seconds=3)
    await running.swept()
    parts = [said(running, Media("image", media_id=f"n{n}"), f"n{n}", album="h") for n in range(3)]
    await hear(running, *parts)
    await hear(running, said(running, Media("image", media_id="n9"), "n9", album="i"))
    running.clock.move(seconds=3)
    await running.swept()
    assert sent(running)[0] == "echo look"
    _, transcript = await only(running)
    assert [m.extra.get("limited") for m in transcript if m.direction == "in"] == [None, None, "contact"]


def test_a_proxy_that_adds_a_header_of_its_own_names_the_address() -> None:
    """HAProxy adds a second X-Forwarded-For behind the one that the client made up."""
    door = Door(RateLimits(), [ip_network("127.0.0.0/8")])
    headers = CIMultiDict([("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "198.51.100.1")])
    request = make_mocked_request("GET", "/", headers).clone(remote="127.0.0.1")
    assert str(door._address(request)) == "198.51.100.1"


async def test_guessed_keys_count_together_whatever_the_path_names(running: Running) -> None:
    statuses = []
    for number in range(LIMITS["guess"].amount + 2):
        async with running.http.get(
            f"{running.url}/api/v1/channels/ch{number}/events", headers={"Authorization": "Bearer no", **AWAY}
        ) as answer:
            statuses.append(answer.status)
    assert statuses[-1] == 429


async def test_a_guess_costs_the_same_memory_whatever_it_names() -> None:
    keys: list[str] = []

    class Full:
        async def take(self, name: LimitName, key: str, own: Mapping[str, str] | None = None) -> float:
            keys.append(key)
            return 1.0

    door = Door(Full(), [])
    await door.guessed(make_mocked_request("GET", "/").clone(remote="203.0.113.9"), "x" * 8000)
    assert max(len(k) for k in (*keys, *door._shut)) < 100


async def test_one_call_finds_out_whether_a_hung_redis_is_back(redis_server: RedisServer) -> None:
    redis, time = connect(redis_server.url), Time()
    limits = RateLimits(redis.connection_pool, time)
    assert limits._shared is not None
    asked, hit = list[str](), limits._shared.hit

    async def counted(*given: Any) -> bool:
        asked.append("")
        return await hit(*given)

    limits._shared.hit = counted  # type: ignore[method-assign,assignment]
    redis_server.pause()
    await limits.take("contact", "a")
    asked.clear()
    time.now += 2
    await asyncio.gather(*(limits.take("contact", f"a{n}") for n in range(20)))
    assert len(asked) == 1
    redis_server.go_on()
    await redis.aclose()


async def test_a_flushed_redis_is_not_told_all_while_the_database_is_away(
    shared: Shared, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process was told to wait: what this one knows is not all there is to know."""
    one, two = shared.process(), shared.process()
    assert await two.wait("ch", "b", Rates()) == 0
    await one.pause("ch", 100)
    client = connect(shared.redis.url)
    await client.flushall()
    standing = Lanes.standing

    async def away(*_: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(Lanes, "standing", away)
    await two.wait("ch", "c", Rates())
    monkeypatch.setattr(Lanes, "standing", standing)
    hands.now += 10
    assert await two.wait("ch", "d", Rates()) > 0
    await client.aclose()


# A newer version beside us


async def test_what_a_newer_version_added_inside_a_document_is_passed_over(
    quiet: None, running: Running, settings: Settings
) -> None:
    await hear(running, said(running, Text("echo one"), "1"))
    [(message, _)] = await hear(running, said(running, Text("echo two"), "2"))
    db: Any = running.store._db
    rule = {"pattern": "hi", "answer": "hello", "regex": False, "novelty": 1}
    field = {"name": "n", "label": "l", "required": False, "novelty": 1}
    await db["channels"].update_one({"_id": "ch_web"}, {"$set": {"site.novelty": 1, "site.fields": [field]}})
    await db["tenants"].update_one({"_id": "acme"}, {"$set": {"rules": [rule]}})
    newer = {"sender.novelty": 1, "sender.identity.novelty": 1}
    await db["messages"].update_one({"_id": message.id}, {"$set": newer})
    await db["contacts"].update_many({}, {"$set": {"identities.0.novelty": 1}})
    async with open_store(settings, say=lambda _: None) as store:
        assert (await store.directory.channel("ch_web")).site.fields[0].name == "n"
        assert (await store.directory.tenant("acme")).rules[0].answer == "hello"
        assert (await store.of("acme").messages.get(message.id)) is not None
        conversation = await store.of("acme").conversations.get(message.conversation)
        assert conversation is not None
        assert (await store.of("acme").conversations.contact(conversation.contact)) is not None
