"""The ledger: what follows from entries in any order, with corrections, and how a contact's conversations learn of it."""

import itertools
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consent.entries import Cause, start, stop
from gateway.model.consent import Entry, State, applied, derived, joined, may
from gateway.model.permission import Permissions
from gateway.store import Store
from tests.conftest import Running, make_tenant
from tests.providers.graph_webhooks import text_webhook

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def said(number: int, purpose: str, state: State, minutes: int = 0, **more: str) -> Entry:
    at = NOON + timedelta(minutes=minutes)
    return Entry(f"ce_{number}", "acme", "ch_wa", "ct_1", purpose, state, "api", at, at, **more)


def cause(number: int) -> Cause:
    at = NOON + timedelta(minutes=number)
    return Cause("acme", "ch_wa", "ct_1", "cv_1", f"m_{number}", at, at)


def test_the_latest_word_counts_whatever_order_entries_come_in() -> None:
    entries = [
        said(1, "marketing", "granted"),
        said(2, "marketing", "withdrawn", 5),
        said(3, "marketing", "granted", 9),
        said(4, "service", "withdrawn", 7),
    ]
    for order in itertools.permutations(entries):
        found = derived(order)
        assert {p: s.state for p, s in found.items()} == {"marketing": "granted", "service": "withdrawn"}
    late = applied(derived(entries), [said(0, "marketing", "withdrawn", 6)])
    assert late["marketing"].state == "granted"


def test_of_two_words_of_one_second_the_one_written_down_later_counts() -> None:
    """Providers tell whole seconds: STOP and START within one must not be told apart by chance."""
    for number in range(20):
        stop_ = said(number, "marketing", "withdrawn")
        start_ = replace(
            said(100 - number, "marketing", "granted"), recorded=NOON + timedelta(milliseconds=5)
        )
        for order in ([stop_, start_], [start_, stop_]):
            assert derived(order)["marketing"].state == "granted"
        assert applied(derived([stop_]), [start_])["marketing"].state == "granted"
        assert applied(derived([start_]), [stop_])["marketing"].state == "granted"


def test_an_entry_that_was_wrong_counts_no_more() -> None:
    wrong = said(2, "marketing", "withdrawn", 5)
    right = said(3, "marketing", "granted", 1, corrects="ce_2")
    assert derived([said(1, "marketing", "asked"), wrong, right])["marketing"].state == "granted"


def test_a_stop_ends_everything_and_a_start_gives_back_what_there_was() -> None:
    """And never more: who had not agreed to marketing before has not by a START."""
    permissions = Permissions(purposes=("events", "news"))
    before = derived([said(1, "events", "granted", -9), said(2, "news", "withdrawn", -9)])
    stopped = stop(cause(1), before, permissions, "all")
    assert {e.purpose for e in stopped} == {"service", "marketing", "events"}
    after = applied(before, stopped)
    assert not any(may(after, p) for p in ("service", "marketing", "events", "news", "utility"))
    assert stop(cause(2), after, permissions, "all") == []
    again = applied(after, start(cause(3), after, permissions))
    assert {p for p in ("service", "marketing", "events", "news", "utility") if may(again, p)} == {
        "service",
        "events",
    }


def test_a_start_does_not_give_back_what_somebody_else_took_back() -> None:
    before = derived([said(1, "marketing", "granted", -9), said(2, "marketing", "withdrawn", -5)])
    assert start(cause(1), before, Permissions()) == []
    after = applied(before, stop(cause(2), before, Permissions(), "all"))
    again = applied(after, start(cause(3), after, Permissions()))
    assert (may(again, "service"), may(again, "marketing")) == (True, False)


def test_a_stop_of_marketing_leaves_answers_and_utility() -> None:
    before = derived([said(1, "marketing", "granted", -9), said(2, "utility", "granted", -9)])
    after = applied(before, stop(cause(1), before, Permissions(), "marketing"))
    assert (may(after, "service"), may(after, "utility"), may(after, "marketing")) == (True, True, False)


def test_of_two_that_are_one_the_latest_word_of_each_purpose_counts() -> None:
    one = derived([said(1, "marketing", "granted", 5), said(2, "service", "withdrawn", 1)])
    other = derived([said(3, "marketing", "withdrawn", 3), said(4, "service", "granted", 4)])
    for found in (joined(one, other), joined(other, one)):
        assert {p: s.state for p, s in found.items()} == {"marketing": "granted", "service": "granted"}


@pytest.mark.parametrize("seed", range(20))
def test_entries_one_by_one_or_all_at_once_come_to_the_same(seed: int) -> None:
    chance = random.Random(seed)
    states: tuple[State, ...] = ("granted", "withdrawn", "asked")
    entries = [
        said(
            n, chance.choice(["service", "marketing", "events"]), chance.choice(states), chance.randrange(30)
        )
        for n in range(40)
    ]
    in_order = sorted(entries, key=lambda e: (e.at, e.id))
    found = derived(entries)
    one_by_one = applied({}, in_order)
    assert found == one_by_one
    chance.shuffle(entries)
    assert {p: s.entry for p, s in applied({}, entries).items()} == {p: s.entry for p, s in found.items()}


async def test_a_conversation_learns_what_was_written_of_its_contact(running: Running) -> None:
    await running.post_whatsapp(text_webhook("34600111222", "echo hello", "wamid.1", now(running)))
    await running.idle()
    [conversation] = await running.conversations()
    own = running.store.of("acme")
    at = running.clock()
    entry = replace(said(1, "marketing", "granted"), contact=conversation.contact, at=at, recorded=at)
    assert await own.ledger.record([entry]) == [True]
    assert await own.ledger.record([entry]) == [False]
    [conversation] = await running.conversations()
    assert conversation.consents["marketing"].state == "granted"
    assert [e.id for e in await own.ledger.of(conversation.contact)] == ["ce_1"]


async def test_who_was_written_of_before_they_wrote_begins_with_it(running: Running) -> None:
    """An imported list, a backup that was put back: the conversation is made later, the word stands already."""
    await running.post_whatsapp(text_webhook("34600111222", "echo hello", "wamid.1", now(running)))
    await running.idle()
    [conversation] = await running.conversations()
    at = running.clock()
    entry = replace(
        said(1, "service", "withdrawn"), contact=conversation.contact, at=at + timedelta(hours=1), recorded=at
    )
    await running.store.of("acme").ledger.put([entry])
    await running.store._db["conversations"].delete_many({})
    sent = len(running.graph.messages())
    await running.post_whatsapp(text_webhook("34600111222", "echo again", "wamid.2", now(running)))
    await running.idle()
    [conversation] = await running.conversations()
    assert conversation.stopped
    assert len(running.graph.messages()) == sent


async def test_a_conversation_that_was_stopped_before_there_was_a_ledger_is_stopped(
    store: Store, running: Running
) -> None:
    await running.post_whatsapp(text_webhook("34600111222", "echo hello", "wamid.1", now(running)))
    await running.idle()
    await running.store._db["conversations"].update_one(
        {}, {"$set": {"stopped": True}, "$unset": {"consents": ""}}
    )
    [conversation] = await running.conversations()
    assert conversation.stopped
    at = running.clock()
    entry = replace(said(1, "marketing", "granted"), contact=conversation.contact, at=at, recorded=at)
    await running.store.of("acme").ledger.record([entry])
    [conversation] = await running.conversations()
    assert conversation.stopped
    assert conversation.consents["marketing"].state == "granted"


async def test_what_was_said_of_either_is_said_of_the_one(running: Running) -> None:
    """Three contacts become one by two merges: every entry about any of them counts."""
    users = ("US.13491208655302741918", "US.2222222222", "")
    for number, user in enumerate(users[:2]):
        await known_by(running, number, user=user)
    await known_by(running, 3, phone="34600111222")
    own = running.store.of("acme")
    talks = sorted(await running.conversations(), key=lambda c: c.created)
    at = running.clock()
    for number, talk in enumerate(talks):
        entry = replace(said(number, f"p{number}", "granted"), contact=talk.contact, at=at, recorded=at)
        await own.ledger.record([entry])
    await known_by(running, 4, phone="34600111222", user=users[1])
    running.store.people._known.clear()
    await known_by(running, 5, phone="34600111222", user=users[0])
    [main] = [c for c in await running.conversations() if c.merged_into is None]
    assert {e.purpose for e in await own.ledger.of(main.contact)} == {"p0", "p1", "p2"}
    assert set(main.consents) == {"p0", "p1", "p2"}


async def known_by(running: Running, number: int, phone: str = "", user: str = "") -> None:
    running.clock.move(seconds=1)
    body = json.loads(
        text_webhook(phone or "34600999999", f"echo {number}", f"wamid.k{number}", now(running))
    )
    value = body["entry"][0]["changes"][0]["value"]
    [message], [contact] = value["messages"], value["contacts"]
    if not phone:
        del message["from"], contact["wa_id"]
    if user:
        message["from_user_id"] = contact["user_id"] = user
    assert await running.post_whatsapp(json.dumps(body).encode()) == 200
    await running.idle()


async def test_another_tenants_entries_are_not_written_nor_read(running: Running) -> None:
    await make_tenant(running.store, "bolt")
    with pytest.raises(ValueError, match="another tenant"):
        await running.store.of("bolt").ledger.record([said(1, "marketing", "granted")])
    await running.store.of("acme").ledger.put([said(1, "marketing", "granted")])
    assert await running.store.of("bolt").ledger.of("ct_1") == []
    assert await running.store.of("bolt").ledger.get("ce_1") is None


def now(running: Running) -> int:
    return int(running.clock().timestamp())
