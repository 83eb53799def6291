"""What may not be sent now is held with its reason, in nobody's way, and goes once it may: the service window, quiet hours,
templates, quotas. Seen at the provider's stand-in."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway import outbox
from gateway.model.consent import Entry
from gateway.model.content import Text
from gateway.model.message import Status
from gateway.model.permission import Cap, Permissions, Quiet
from gateway.model.work import Key
from tests.conftest import Running, make_template
from tests.permission.rig import SENDER, found, hear, offer, say, sent, state
from tests.providers.graph import Fault
from tests.providers.graph_webhooks import text_webhook

AD = {
    "source_url": "https://fb.me/3cr4Wqqkv",
    "source_id": "120226305854810726",
    "source_type": "ad",
    "headline": "Chat with us",
    "ctwa_clid": "Aff-n8ZTODiE79d22KtAwQKj9e_mIEOOj27vDVwFjN80dp4",
}


async def agree(running: Running, contact: str, purpose: str = "marketing") -> None:
    now = running.clock()
    entry = Entry(f"ce_{purpose}", "acme", "ch_wa", contact, purpose, "granted", "api", now, now)
    await running.store.of("acme").ledger.record([entry])


async def test_free_text_after_the_window_is_held_until_the_customer_writes(timed: Running) -> None:
    """Row 54: at 24 h + 1 s nothing free is sent; what was held goes first when they write, in order."""
    conversation = await hear(timed, "echo hello")
    timed.clock.move(hours=24, seconds=1)
    first = await say(timed, conversation, "Are you still there?", "1")
    second = await say(timed, conversation, "We kept one for you.", "2")
    assert [state(m) for m in (first, second)] == [(Status.HELD, "permission:window_closed")] * 2
    assert first.failure is not None
    assert "Send a template" in first.failure.text
    for _ in range(3):
        timed.clock.move(hours=30)
        await timed.swept()
    assert sent(timed) == ["echo hello"]
    await hear(timed, "echo yes", 2)
    assert sent(timed) == ["echo hello", "Are you still there?", "We kept one for you.", "echo yes"]
    assert (await found(timed, first.id)).status is Status.SENT


async def test_up_to_the_last_second_of_the_window_it_goes(timed: Running) -> None:
    conversation = await hear(timed, "echo hello")
    until = conversation.window_until
    assert until is not None
    timed.clock.move(seconds=(until - timed.clock()).total_seconds() - 1)
    assert (await say(timed, conversation, "In time", "1")).status is Status.SENT


async def test_what_is_held_is_in_nobodys_way(timed: Running) -> None:
    await make_template(timed.store, "offer", "en")
    conversation = await hear(timed, "echo hello")
    timed.clock.move(hours=25)
    held = await say(timed, conversation, "Are you still there?", "1")
    template = await say(timed, conversation, offer(), "2")
    assert (held.status, template.status) == (Status.HELD, Status.SENT)
    assert sent(timed) == ["echo hello", "offer"]


async def test_what_was_queued_with_it_goes_at_once(timed: Running) -> None:
    """Both are found by the same look: the second does not wait behind the first, not even for a moment."""
    await make_template(timed.store, "offer", "en")
    conversation = await hear(timed, "echo hello")
    timed.clock.move(hours=25)
    sequencer = timed.gateway.desk._sequencer
    both = outbox.of_person(conversation, "both", [Text("Still there?"), offer()], sequencer, timed.clock())
    await timed.store.of("acme").messages.put_queued(both)
    timed.gateway.work.poke(Key("acme", conversation.id))
    await timed.idle()
    assert [(await found(timed, m.id)).status for m in both] == [Status.HELD, Status.SENT]
    assert sent(timed) == ["echo hello", "offer"]


async def test_an_answer_of_the_bots_that_is_a_day_old_answers_nothing_any_more(timed: Running) -> None:
    timed.graph.misbehave(Fault.http(500))
    conversation = await hear(timed, "echo late")
    timed.clock.move(hours=24, seconds=1)
    await timed.swept()
    [_, answer] = await timed.transcript(conversation.id)
    assert state(answer) == (Status.HELD, "permission:window_closed")
    await hear(timed, "echo now", 2)
    assert state(await found(timed, answer.id)) == (Status.CANCELLED, "permission:stale")
    assert sent(timed) == ["echo now"]


async def test_what_is_held_for_a_week_is_given_up_and_says_so(timed: Running) -> None:
    conversation = await hear(timed, "echo hello")
    timed.clock.move(hours=25)
    held = await say(timed, conversation, "Are you still there?", "1")
    timed.clock.move(days=7, seconds=1)
    await timed.swept()
    assert state(await found(timed, held.id)) == (Status.DEAD, "permission:window_closed")
    letters = await timed.store.of("acme").dead_letters.page(None, 10)
    assert [m.id for m in letters.messages] == [held.id]


async def test_who_came_by_an_ad_has_a_longer_window(timed: Running) -> None:
    conversation = await hear(timed, "echo hello", referral=AD)
    timed.clock.move(hours=71)
    assert (await say(timed, conversation, "Still on?", "1")).status is Status.SENT
    timed.clock.move(hours=1, seconds=1)
    assert (await say(timed, conversation, "And now?", "2")).status is Status.HELD


async def test_a_later_message_does_not_shorten_the_window_of_an_ad(timed: Running) -> None:
    await hear(timed, "echo hello", referral=AD)
    timed.clock.move(hours=1)
    conversation = await hear(timed, "echo again", 2)
    timed.clock.move(hours=60)
    assert (await say(timed, conversation, "Still on?", "1")).status is Status.SENT


async def test_where_the_provider_counts_otherwise_it_is_held_not_lost(timed: Running) -> None:
    """131047: the provider's word counts, whatever we had reckoned."""
    conversation = await hear(timed, "echo hello", referral=AD)
    timed.clock.move(hours=30)
    timed.graph.misbehave(Fault.error(131047))
    held = await say(timed, conversation, "Still on?", "1")
    assert state(held) == (Status.HELD, "permission:window_closed")
    assert (await say(timed, conversation, "Hello?", "2")).status is Status.HELD
    assert sent(timed) == ["echo hello"]
    await hear(timed, "echo yes", 2)
    assert sent(timed) == ["echo hello", "Still on?", "Hello?", "echo yes"]


async def test_what_only_happened_opens_no_window(timed: Running) -> None:
    conversation = await hear(timed, "echo hello")
    timed.clock.move(hours=25)
    held = await say(timed, conversation, "Still there?", "1")
    at = str(int(timed.clock().timestamp()))
    moved = {"body": "changed", "type": "user_changed_number", "wa_id": "34600999888"}
    body = text_webhook(SENDER, "x", "wamid.9", int(at))
    changed = json.loads(body)
    value = changed["entry"][0]["changes"][0]["value"]
    value["messages"] = [
        {"from": SENDER, "id": "wamid.9", "timestamp": at, "type": "system", "system": moved}
    ]
    assert await timed.post_whatsapp(json.dumps(changed).encode()) == 200
    await timed.idle()
    assert (await found(timed, held.id)).status is Status.HELD


async def test_marketing_waits_for_the_morning_of_whoever_gets_it(timed: Running) -> None:
    await make_template(timed.store, "offer", "en", "MARKETING")
    conversation = await hear(timed, "echo hello")
    await agree(timed, conversation.contact)
    await quiet_now(timed)
    held = await say(timed, conversation, offer(), "1", purpose="marketing")
    assert state(held) == (Status.HELD, "permission:quiet_hours")
    timed.clock.move(minutes=59)
    await timed.swept()
    assert sent(timed) == ["echo hello"]
    answered = await say(timed, conversation, "An answer goes at any hour", "2")
    assert answered.status is Status.SENT
    timed.clock.move(minutes=62)
    await timed.swept()
    assert sent(timed)[-1] == "offer"
    assert (await found(timed, held.id)).status is Status.SENT


async def quiet_now(timed: Running) -> None:
    """It is quiet in Madrid for another hour."""
    from zoneinfo import ZoneInfo

    local = timed.clock().astimezone(ZoneInfo("Europe/Madrid"))
    start, end = local - timedelta(hours=1), local + timedelta(hours=1)
    quiet = Quiet(start.time().replace(microsecond=0), end.time().replace(microsecond=0))
    await set_permissions(timed, Permissions(quiet=quiet))


async def set_permissions(timed: Running, permissions: Permissions) -> None:
    from gateway.store.tenant_docs import permissions_to_doc

    await timed.store._db["tenants"].update_one(
        {"_id": "acme"},
        {
            "$set": {"permissions": permissions_to_doc(permissions), "changed": timed.clock()},
            "$inc": {"rev": 1},
        },
    )
    timed.store.directory._known.clear()


async def test_a_paused_template_waits_and_a_disabled_one_does_not(timed: Running) -> None:
    await make_template(timed.store, "offer", "en", state="PAUSED")
    await make_template(timed.store, "gone", "en", state="DISABLED")
    conversation = await hear(timed, "echo hello")
    held = await say(timed, conversation, offer(), "1")
    gone = await say(timed, conversation, offer("gone"), "2")
    assert state(held) == (Status.HELD, "permission:template_paused")
    assert state(gone) == (Status.FAILED, "permission:template_disabled")
    await make_template(timed.store, "offer", "en")
    timed.clock.move(hours=1, seconds=1)
    await timed.swept()
    assert sent(timed) == ["echo hello", "offer"]


async def test_a_template_that_became_marketing_does_not_reach_who_never_agreed(timed: Running) -> None:
    await make_template(timed.store, "offer", "en", "UTILITY", state="PAUSED")
    conversation = await hear(timed, "echo hello")
    held = await say(timed, conversation, offer(), "1")
    assert held.status is Status.HELD
    await make_template(timed.store, "offer", "en", "MARKETING")
    timed.clock.move(hours=1, seconds=1)
    await timed.swept()
    assert state(await found(timed, held.id)) == (Status.FAILED, "permission:category")
    assert sent(timed) == ["echo hello"]


@pytest.mark.parametrize("whose", ["provider", "own"])
async def test_beyond_the_quota_it_waits_for_room(timed: Running, whose: str) -> None:
    await make_template(timed.store, "offer", "en")
    conversation = await hear(timed, "echo hello")
    if whose == "provider":
        await timed.store.of("acme").accounts.told("ch_wa", timed.clock(), limit=2)
    else:
        await set_permissions(timed, Permissions(daily=2))
    timed.clock.move(hours=26)
    taken = [await say(timed, conversation, offer(), str(n)) for n in range(3)]
    assert [m.status for m in taken] == [Status.SENT, Status.SENT, Status.HELD]
    assert state(taken[-1]) == (Status.HELD, "permission:quota")
    timed.clock.move(hours=26)
    await timed.swept()
    assert (await found(timed, taken[-1].id)).status is Status.SENT


async def test_the_frequency_cap_counts_what_was_taken(timed: Running) -> None:
    await make_template(timed.store, "offer", "en", "MARKETING")
    conversation = await hear(timed, "echo hello")
    await agree(timed, conversation.contact)
    await set_permissions(timed, Permissions(quiet=None, cap=Cap(1, timedelta(days=1))))
    timed.graph.misbehave(Fault.error(131026))  # refused: it counts as none
    await say(timed, conversation, offer(), "0")
    assert (await say(timed, conversation, offer(), "1")).status is Status.SENT
    assert state(await say(timed, conversation, offer(), "2")) == (Status.FAILED, "permission:frequency")
    timed.clock.move(days=1, seconds=1)
    assert (await say(timed, conversation, offer(), "3")).status is Status.SENT


async def test_a_stop_ends_what_was_held(timed: Running) -> None:
    timed.graph.misbehave(Fault.http(500))
    conversation = await hear(timed, "echo late")
    timed.clock.move(hours=24, seconds=1)
    await timed.swept()
    person = await say(timed, conversation, "Are you there?", "1")
    assert person.status is Status.HELD
    await hear(timed, "STOP", 2)
    await timed.swept()
    kept = await timed.transcript(conversation.id)
    assert [m.status for m in kept if m.direction == "out"][:2] == [Status.CANCELLED, Status.FAILED]
    assert len(sent(timed)) == 1, "the confirmation of the stop, and nothing else"


async def test_a_stop_whose_turn_waits_is_in_time_for_a_campaign(timed: Running) -> None:
    """Its turn waits for one that thinks; so does all else of the conversation, be it a campaign's."""
    await make_template(timed.store, "offer", "en", "MARKETING")
    conversation = await hear(timed, "echo hello")
    await agree(timed, conversation.contact)
    await set_permissions(timed, Permissions(quiet=None, cap=None))
    timed.brain.gate = asyncio.Event()
    now = int(timed.clock().timestamp())
    asked = len(timed.brain.asked)
    assert await timed.post_whatsapp(text_webhook(SENDER, "hm?", "wamid.2", now)) == 200
    await timed.until(lambda: len(timed.brain.asked) > asked)
    assert await timed.post_whatsapp(text_webhook(SENDER, "STOP", "wamid.3", now)) == 200
    [offered] = outbox.of_person(
        conversation, "bulk", [offer()], timed.gateway.desk._sequencer, timed.clock()
    )
    bulk = replace(offered, author="bot", bulk=True, purpose="marketing", campaign="cm_1")
    await timed.store.of("acme").messages.put_bulk([bulk], timed.clock())
    timed.gateway.work.poke(Key("acme", conversation.id, bulk=True))
    await timed.gateway.sweeper.sweep()
    timed.brain.gate.set()
    await timed.idle()
    assert state(await found(timed, bulk.id)) == (Status.CANCELLED, "permission:stopped")
    confirmations = [t for t in sent(timed) if t.startswith("You won't get any more messages")]
    assert (len(confirmations), "offer" in sent(timed)) == (1, False)
    entries = await timed.store.of("acme").ledger.of(conversation.contact)
    assert [e.state for e in entries if e.purpose == "service"] == ["withdrawn"]


async def test_every_decision_is_kept_with_what_it_rested_on(timed: Running) -> None:
    conversation = await hear(timed, "echo hello")
    [_, answer] = await timed.transcript(conversation.id)
    assert [(d.stage, d.allowed) for d in answer.decided] == [("written", True), ("sent", True)]
    assert all(d.facts["owner"] == "bot" and d.facts["window_until"] for d in answer.decided)
    timed.clock.move(hours=25)
    held = await say(timed, conversation, "Late", "1")
    [decision] = held.decided
    assert (decision.stage, decision.allowed, decision.reason) == ("sent", False, "window_closed")
    assert decision.remedy.startswith("Send a template")
    assert decision.at <= timed.clock()


async def test_facts_are_gathered_in_at_most_two_round_trips(timed: Running, trips: object) -> None:
    from gateway.facts import Permission
    from gateway.store.database import RoundTrips

    assert isinstance(trips, RoundTrips)
    await make_template(timed.store, "offer", "en", "MARKETING")
    conversation = await hear(timed, "echo hello")
    channel = await timed.store.directory.channel("ch_wa")
    permission = Permission(timed.store, timed.gateway.channels.adapters, timed.clock)
    for content, purpose, most in (("Hi", "service", 0), ("News", "marketing", 1), (offer(), "marketing", 2)):
        message = await say(timed, conversation, content, purpose + str(most), purpose=purpose)
        before = trips.total
        await permission.facts(channel, conversation, message)
        assert trips.total - before <= most
