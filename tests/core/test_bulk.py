"""Bulk: many messages alike leave when no reply is in their way, each once, every account's in turn."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from gateway.model.content import Text
from gateway.model.message import Message, Status, stable_id
from tests.conftest import Running, make_tenant, make_whatsapp
from tests.core.test_kinds import hear, said, sent
from tests.providers.graph_webhooks import text_webhook

MANY = 60


async def greet(running: Running, count: int) -> list[str]:
    """Customers who have written, and so may be written to; their conversations."""
    before = {c.id for c in await running.conversations()}
    for number in range(count):
        phone = str(34600000000 + number)
        await hear(
            running,
            said(running, Text("echo hello"), f"hello.{number}", address=phone,
                 identity=replace(said(running, Text("")).identity, id=phone)),
        )  # fmt: skip
    return [c.id for c in await running.conversations() if c.id not in before]


def advert(running: Running, conversation: str, tenant: str = "acme", channel: str = "ch_wa") -> Message:
    return Message(
        id=stable_id("m", "advert", conversation),
        tenant=tenant,
        channel=channel,
        conversation=conversation,
        direction="out",
        author="bot",
        seq=int(running.clock().timestamp() * 1e6),
        at=running.clock(),
        content=Text("advert"),
        status=Status.QUEUED,
        due=running.clock(),
        bulk=True,
    )


async def queue(running: Running, conversations: Sequence[str]) -> list[bool]:
    """Written twice: the second time adds nothing."""
    messages = [advert(running, c) for c in conversations]
    await running.store.of("acme").messages.put_bulk(messages, running.clock())
    return await running.store.of("acme").messages.put_bulk(messages, running.clock())


async def swept_until(running: Running, adverts: int, looks: int = 60) -> None:
    for _ in range(looks):
        await running.swept()
        if sent(running).count("advert") >= adverts:
            return
        running.clock.move(seconds=1)


async def test_bulk_leaves_each_once_and_is_forgotten(quiet: None, running: Running) -> None:
    conversations = await greet(running, MANY)
    assert not any(await queue(running, conversations))
    await swept_until(running, MANY)
    running.clock.move(hours=2)
    await running.swept()
    assert sent(running).count("advert") == MANY
    page = [m for c in conversations for m in await running.transcript(c) if m.content == Text("advert")]
    assert {(m.status, m.bulk) for m in page} == {(Status.SENT, True)}
    assert await running.store.open_work._bulk.find({}).to_list() == []


async def test_a_reply_does_not_wait_for_bulk(quiet: None, running: Running) -> None:
    conversations = await greet(running, MANY)
    await queue(running, conversations)
    await running.gateway.sweeper.sweep()
    body = text_webhook("34611111111", "echo first", "wamid.first", int(running.clock().timestamp()))
    assert await running.post_whatsapp(body) == 200
    await running.until(lambda: "echo first" in sent(running))
    assert sent(running).count("advert") < MANY
    await swept_until(running, MANY)
    assert sent(running).count("advert") == MANY


async def test_a_reply_in_the_same_conversation_goes_first(quiet: None, running: Running) -> None:
    [conversation] = await greet(running, 1)
    await queue(running, [conversation])
    await hear(running, said(running, Text("echo now"), "now", address="34600000000",
                             identity=replace(said(running, Text("")).identity, id="34600000000")))  # fmt: skip
    assert sent(running) == ["echo hello", "echo now"]
    await swept_until(running, 1)
    assert sent(running) == ["echo hello", "echo now", "advert"]


async def test_bulk_of_a_paused_account_is_left_alone_until_it_may_leave(
    quiet: None, running: Running
) -> None:
    conversations = await greet(running, 20)
    await queue(running, conversations)
    await running.gateway.deliver._pace.pause("ch_wa", 3600)
    await running.swept()
    assert not running.gateway.deliver.has_room_for_bulk("ch_wa")
    waiting = [m for c in conversations for m in await running.store.of("acme").messages.work(c)]
    assert {(m.status, m.attempts) for m in waiting} == {(Status.QUEUED, 0)}
    assert sent(running).count("advert") == 0
    running.clock.move(seconds=31)
    assert running.gateway.deliver.has_room_for_bulk("ch_wa")


async def test_every_accounts_bulk_is_looked_at_in_turn(quiet: None, running: Running) -> None:
    other = "106540352242923"
    await make_tenant(running.store, "bolt")
    await make_whatsapp(running.store, "bolt", "ch_bolt", other)
    mine = [advert(running, f"cv_a{n}") for n in range(5)]
    theirs = [advert(running, f"cv_b{n}", "bolt", "ch_bolt") for n in range(3)]
    await running.store.of("acme").messages.put_bulk(mine, running.clock())
    await running.store.of("bolt").messages.put_bulk(theirs, running.clock())
    keys = await running.store.open_work.bulk(running.clock(), 4, lambda _: True)
    assert [k.tenant for k in keys] in (
        ["acme", "bolt", "acme", "bolt", "acme", "bolt", "acme"],
        ["bolt", "acme", "bolt", "acme", "bolt", "acme", "acme"],
    )
    assert all(k.bulk for k in keys)
    assert {k.tenant for k in await running.store.open_work.bulk(running.clock(), 4, "ch_wa".__eq__)} == {
        "acme"
    }


async def test_bulk_whose_sender_died_is_looked_at_again(quiet: None, running: Running) -> None:
    [conversation] = await greet(running, 1)
    await queue(running, [conversation])
    messages = running.store.of("acme").messages
    [message] = await messages.work(conversation)
    assert await messages.claim(message.id, running.clock() + timedelta(seconds=60))
    for _ in range(4):
        running.clock.move(seconds=61)
        await running.swept()
    assert sent(running).count("advert") == 1
    found = await messages.get(message.id)
    assert found is not None
    assert (found.status, found.possibly_doubled) == (Status.SENT, True)


async def test_what_is_held_by_a_disabled_channel_ends_after_a_day(quiet: None, running: Running) -> None:
    await running.store.directory.set_channel(
        await running.store.directory.channel("ch_wa"), state="disabled"
    )
    await hear(running, said(running, Text("echo late")))
    [conversation] = await running.conversations()
    running.clock.move(hours=23)
    await running.swept()
    [held] = await running.store.of("acme").messages.work(conversation.id)
    assert held.status is Status.QUEUED
    running.clock.move(minutes=61)
    await running.swept()
    found = await running.store.of("acme").messages.get(held.id)
    assert found is not None
    assert found.failure is not None
    assert (found.status, found.failure.code) == (Status.DEAD, "permission:channel_disabled")
