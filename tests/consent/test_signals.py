"""What providers signal: each becomes an entry, a mass of errors is put before a person."""

from dataclasses import replace
from datetime import timedelta

from gateway.model.consent import MARKETING, Consents, Entry
from gateway.model.content import System, Text
from gateway.model.conversation import Conversation
from gateway.model.message import Message
from gateway.model.permission import Cap, Permissions
from gateway.model.ports import ChannelEvent
from gateway.model.tenant import Channel
from tests.conftest import Running
from tests.core.test_api import call, key_of
from tests.core.test_bulk import advert
from tests.core.test_kinds import hear, only, said, sent
from tests.providers.graph import Fault
from tests.providers.graph_webhooks import status, statuses_webhook, webhook

WHO = "34600111222"


async def of(running: Running) -> list[Entry]:
    return [e async for e in running.store.of("acme").ledger.all()]


async def standing(running: Running, conversation: Conversation) -> Consents:
    found = await running.store.of("acme").conversations.get(conversation.id)
    assert found is not None
    ledger = running.store.of("acme").ledger
    assert await ledger.standing(found.contact, found.channel) == found.consents
    return found.consents


async def agreed(running: Running, conversation: Conversation) -> None:
    at = running.clock()
    entry = Entry(
        f"ce_{conversation.id}", "acme", "ch_wa", conversation.contact, MARKETING, "granted", "import", at, at
    )
    await running.store.of("acme").ledger.record([entry])
    running.clock.move(seconds=1)


async def preference(running: Running, value: str, at: int) -> None:
    told = {
        "wa_id": WHO,
        "detail": f"User requested to {value} marketing messages",
        "category": "marketing_messages",
        "value": value,
        "timestamp": at,
    }
    contacts = [{"profile": {"name": "Sheena"}, "wa_id": WHO}]
    body = webhook({"contacts": contacts, "user_preferences": [told]}, field="user_preferences")
    assert await running.post_whatsapp(body) == 200
    await running.idle()


async def test_a_preference_becomes_an_entry_whenever_it_comes_and_however_often(running: Running) -> None:
    address = {"address": WHO, "identity": replace(said(running, Text("")).identity, id=WHO)}
    await hear(running, said(running, Text("echo hello"), "1", **address))
    conversation, _ = await only(running)
    await agreed(running, conversation)
    now = int(running.clock().timestamp()) + 5
    for _ in range(2):
        await preference(running, "stop", now)
    assert (await standing(running, conversation))[MARKETING].state == "withdrawn"
    await preference(running, "resume", now + 20)
    assert (await standing(running, conversation))[MARKETING].state == "granted"
    await preference(running, "stop", now + 10)  # told late: the later word stands
    assert (await standing(running, conversation))[MARKETING].state == "granted"
    told = [e for e in await of(running) if e.how == "provider"]
    assert [(e.state, e.at.timestamp() - now) for e in sorted(told, key=lambda e: e.at)] == [
        ("withdrawn", 0), ("withdrawn", 10), ("granted", 20),
    ]  # fmt: skip
    assert all(e.wording and e.message and e.address for e in told)


async def test_who_never_agreed_has_not_agreed_by_lifting_a_stop(running: Running) -> None:
    now = int(running.clock().timestamp())
    await preference(running, "resume", now)
    await preference(running, "stop", now + 1)
    await preference(running, "resume", now + 2)
    conversation, _ = await only(running)
    assert (await standing(running, conversation))[MARKETING].state == "withdrawn"


async def test_a_refusal_told_afterwards_becomes_an_entry(running: Running) -> None:
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, transcript = await only(running)
    ours = transcript[-1]
    at = int(running.clock().timestamp())
    body = statuses_webhook(
        [status(str(ours.provider_id), "failed", at, recipient=WHO, message=ours.id, code=131050)]
    )
    for _ in range(2):
        assert await running.post_whatsapp(body) == 200
    assert (await standing(running, conversation))[MARKETING].state == "withdrawn"
    [entry] = await of(running)
    assert (entry.how, entry.evidence, entry.message) == ("provider", "whatsapp:131050", ours.id)


async def test_a_block_takes_all_back_and_whoever_writes_can_be_written_to(running: Running) -> None:
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, _ = await only(running)
    await agreed(running, conversation)
    running.clock.move(seconds=1)
    await hear(running, said(running, System("blocked", "The customer blocked the bot."), "2"))
    found = await standing(running, conversation)
    assert {p: s.state for p, s in found.items()} == {"service": "withdrawn", "marketing": "withdrawn"}
    running.clock.move(seconds=1)
    before = len(sent(running))
    await hear(running, said(running, Text("echo I am back"), "3"))  # "unblocked" never came
    assert sent(running)[before:] == ["echo I am back"]
    found = await standing(running, conversation)
    assert (found["service"].state, found["service"].how) == ("granted", "message")
    assert found[MARKETING].state == "withdrawn"
    running.clock.move(seconds=1)
    await hear(running, said(running, System("blocked", "The customer blocked the bot."), "4"))
    running.clock.move(seconds=1)
    await hear(running, said(running, System("unblocked", "The customer unblocked the bot."), "5"))
    assert (await standing(running, conversation))["service"].how == "provider"
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo again"), "6"))
    assert sent(running)[-1] == "echo again"


async def test_a_block_does_not_undo_a_stop(running: Running) -> None:
    await hear(running, said(running, Text("stop"), "1"))
    for number, event in enumerate(("blocked", "unblocked"), 2):
        running.clock.move(seconds=1)
        await hear(running, said(running, System(event, event), str(number)))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo hello"), "9"))
    conversation, _ = await only(running)
    assert conversation.stopped
    assert len(sent(running)) == 1


async def test_a_removed_app_is_one_entry(running: Running) -> None:
    channel = await running.store.directory.channel("ch_wa")
    event = ChannelEvent("ev1", "app_uninstalled", running.clock(), "The app was removed.", disable=True)
    for _ in range(2):
        await running.gateway.receive._happened(channel, event)
    [entry] = await of(running)
    assert (entry.contact, entry.purpose, entry.state, entry.how) == ("", "service", "withdrawn", "provider")


# The breaker


async def refused(running: Running, count: int, first: int = 0) -> list[Conversation]:
    """So many customers whose messages the provider refuses with 131050."""
    talks = []
    for number in range(first, first + count):
        who = str(34611000000 + number)
        identity = replace(said(running, Text("")).identity, id=who)
        await hear(running, said(running, Text("echo hi"), f"r{number}", address=who, identity=identity))
        talks.append(next(c for c in await running.conversations() if c.address == who))
        await agreed(running, talks[-1])
        running.graph.misbehave(Fault.error(131050))
        message: Message = replace(advert(running, talks[-1].id), purpose="service")
        await running.store.of("acme").messages.put_bulk([message], running.clock())
        running.clock.move(seconds=1)
        await running.swept()
        found = await running.store.of("acme").messages.get(message.id)
        assert found is not None
        assert found.failure is not None
        assert found.failure.code == "whatsapp:131050"
    return talks


async def test_a_mass_of_errors_waits_for_a_person_and_nobody_is_written_to_meanwhile(
    running: Running,
) -> None:
    tripped: list[str] = []

    async def pause(channel: Channel) -> None:
        tripped.append(channel.id)

    signals = running.gateway.receive._signals
    signals.tripped = pause
    await running.store.directory.set_permissions(
        "acme", Permissions(breaker=Cap(3, timedelta(minutes=10)), quiet=None, cap=None)
    )
    talks = await refused(running, 5)
    assert tripped == ["ch_wa"]
    for talk in talks:
        assert (await standing(running, talk))[MARKETING].state == "withdrawn"
    [event] = [e for e in await running.store.of("acme").events.latest("ch_wa", 10) if e.warning]
    assert event.name == "opt_out_breaker"
    headers = await key_of(running, "acme")
    _, waiting = await call(running, "GET", "/api/v1/consents/signals", headers)
    assert [s["contact"] for s in waiting["items"]] == [t.contact for t in talks[3:]]
    # One is confirmed and stands; the other is dismissed, and what had held holds again.
    one, two = (s["id"] for s in waiting["items"])
    path = "/api/v1/consents/signals/"
    assert (await call(running, "POST", path + one, headers, {"confirmed": True}))[0] == 200
    assert (await call(running, "POST", path + two, headers, {"confirmed": False, "by": "Ana"}))[0] == 200
    assert (await call(running, "POST", path + two, headers, {"confirmed": False}))[0] == 409
    assert (await call(running, "POST", path + "sg_none", headers, {"confirmed": True}))[0] == 404
    assert (await standing(running, talks[3]))[MARKETING].state == "withdrawn"
    assert (await standing(running, talks[4]))[MARKETING].state == "granted"
    correcting = [e for e in await of(running) if e.corrects]
    assert [(e.agent, e.how) for e in correcting] == [("Ana", "agent")]
    # With the last of them the breaker is in again.
    await refused(running, 1, first=10)
    assert tripped == ["ch_wa"]
    assert await running.store.of("acme").signals.waiting(10) == []


async def test_a_few_over_a_long_time_trip_nothing(running: Running) -> None:
    await running.store.directory.set_permissions(
        "acme", Permissions(breaker=Cap(3, timedelta(minutes=1)), quiet=None, cap=None)
    )
    for number in range(5):
        await refused(running, 1, first=number)
        running.clock.move(seconds=40)
    assert (await running.store.of("acme").signals.breaker("ch_wa")).tripped is None


async def test_no_tenant_sees_or_settles_anothers_signals(running: Running) -> None:
    await running.store.directory.set_permissions(
        "acme", Permissions(breaker=Cap(1, timedelta(minutes=10)), quiet=None, cap=None)
    )
    await refused(running, 2)
    [signal] = await running.store.of("acme").signals.waiting(10)
    bolt = running.store.of("bolt").signals
    assert await bolt.get(signal.id) is None
    assert await bolt.waiting(10) == []
    assert not await bolt.settle(signal.id, "dismissed", "x", running.clock())
    await bolt.reset("ch_wa")
    assert (await bolt.heard("ch_wa", running.clock(), Cap(9, timedelta(hours=1)))).tripped is None
    acme = running.store.of("acme").signals
    assert (await acme.breaker("ch_wa")).tripped is not None
    assert await acme.waiting(10) == [signal]
