"""Bulk that is held steps out of its channel's queue, comes back when it is due, and is in nobody's way."""

from dataclasses import replace
from datetime import timedelta

from gateway.model.message import Failure, Message, Status
from gateway.model.permission import Decision
from gateway.store.open_work import MOST_WINDOWS, WINDOW
from tests.campaigns.rig import Rig
from tests.conftest import Running
from tests.core.test_bulk import advert, greet, swept_until
from tests.core.test_kinds import sent

WHY = Failure("permission:quota", "The channel has begun as many conversations as it may.")


async def hold(running: Running, messages: list[Message], hours: float) -> None:
    due = running.clock() + timedelta(hours=hours)
    for message in messages:
        told = Decision("sent", running.clock(), False, "quota")
        await running.store.of("acme").messages.hold(message, due, WHY, told)


async def test_what_is_held_lets_others_by_and_comes_back(quiet: None, running: Running) -> None:
    conversations = await greet(running, 30)
    messages = [advert(running, c) for c in conversations]
    store = running.store.of("acme")
    await store.messages.put_bulk(messages, running.clock())
    await hold(running, messages[:20], 2)
    await swept_until(running, 10)
    assert sent(running).count("advert") == 10
    queue = await running.store.open_work._messages.find({"channel": "ch_wa", "in_bulk": True}).to_list()
    assert queue == []
    running.clock.move(hours=3)
    await swept_until(running, 30)
    assert sent(running).count("advert") == 30


async def test_more_held_than_one_look_reads_hides_nothing(quiet: None, running: Running) -> None:
    [conversation, other] = await greet(running, 2)
    store, clock = running.store.of("acme"), running.clock
    first = advert(running, conversation)
    many = MOST_WINDOWS * WINDOW + 10
    held = [replace(first, id=f"m_held{n}", seq=first.seq + n) for n in range(many)]
    for start in range(0, many, 500):
        await store.messages.put_bulk(held[start : start + 500], clock())
    await running.store.open_work._messages.update_many(
        {"tenant": "acme", "conversation": conversation, "todo": "bulk"},
        {"$set": {"status": int(Status.HELD), "due": clock() + timedelta(hours=5), "todo": "held"},
         "$unset": {"in_bulk": "", "place": ""}},
    )  # fmt: skip
    await store.messages.put_bulk([advert(running, other)], clock())
    await swept_until(running, 1, looks=5)
    assert sent(running).count("advert") == 1


async def test_behind_a_held_one_the_same_conversations_next_goes_on(quiet: None, running: Running) -> None:
    [conversation] = await greet(running, 1)
    store = running.store.of("acme")
    first = advert(running, conversation)
    second = replace(first, id="m_second", seq=first.seq + 1)
    await store.messages.put_bulk([first, second], running.clock())
    await hold(running, [first], 2)
    await swept_until(running, 1, looks=3)
    found = {m.id: m.status for m in await running.transcript(conversation) if m.bulk}
    assert found == {first.id: Status.HELD, "m_second": Status.SENT}


async def test_a_suspended_message_is_released_by_nobody(rig: Rig) -> None:
    [conversation] = await rig.customers(1)
    campaign = await rig.made({"filter": {}})
    await rig.do(campaign, "start")
    await rig.look()
    await rig.do(campaign, "pause")
    [message] = [m for m in await rig.running.transcript(conversation) if m.campaign]
    await rig.store.of("acme").messages.release([message.id], rig.clock())
    assert not await rig.store.of("acme").messages.claim(message.id, rig.clock())
    await rig.go(2)
    assert rig.sent == []
