"""What a review of permission found: each test failed before its fault was mended."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from consent.facts import Facts, TemplateFacts
from consent.hours import next_allowed, zones_of_phone
from consent.permission import Allowed, Refused, decide
from gateway import outbox
from gateway.consents import ConsentDesk, Said
from gateway.handoff import set_owner
from gateway.model.consent import Consents, Entry, Standing
from gateway.model.content import Text
from gateway.model.message import Message, Status
from gateway.model.permission import Permissions, Quiet
from gateway.model.work import Key
from gateway.store.ledger import Ledger
from tests.conftest import Running, make_template
from tests.core.test_bulk import advert, greet
from tests.permission.rig import found, hear, offer, say, sent, state
from tests.permission.test_holding import set_permissions
from tests.permission.test_ledger import known_by
from tests.providers.graph import Fault

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_number_of_many_zones_is_quiet_in_every_one() -> None:
    """A Russian mobile number may be in 16 zones, of which 12 were looked at: at 6 in the morning in Moscow it was sent."""
    zones = zones_of_phone("+79161234567")
    assert {"Europe/Moscow", "Asia/Anadyr"} <= set(zones)
    at = next_allowed(Quiet(time(21), time(7)), ("Europe/Moscow",), datetime(2026, 11, 22, 3, 0, tzinfo=UTC))
    assert next_allowed(Quiet(time(21), time(7)), zones, datetime(2026, 11, 22, 3, 0, tzinfo=UTC)) >= at


@pytest.mark.parametrize(
    ("how", "later", "category", "allowed"),
    [
        ("provider", 1, "MARKETING", False),
        ("provider", -1, "MARKETING", True),  # they have agreed since
        ("provider", 1, "UTILITY", True),
        ("agent", 1, "MARKETING", True),  # what a person recorded of marketing is of that purpose alone
    ],
)
def test_who_told_the_provider_no_marketing_gets_none_under_another_name(
    how: Any, later: int, category: str, allowed: bool
) -> None:
    """131050 withdrew `marketing`; a campaign for the tenant's own `news` went on to be sent, and refused again, and again."""
    consents: Consents = {
        "news": Standing("granted", NOON, "keyword", "ce_1"),
        "marketing": Standing("withdrawn", NOON + timedelta(hours=later), how, "ce_2"),
    }
    message = Message(
        "m_1", "acme", "ch_wa", "cv_1", "out", "bot", 1, NOON, offer(), Status.QUEUED, purpose="news"
    )
    facts = Facts("bot", consents=consents, template=TemplateFacts("APPROVED", category, True))
    verdict = decide(message, facts, NOON + timedelta(days=1))
    assert isinstance(verdict, Allowed) is allowed
    assert allowed or (isinstance(verdict, Refused) and verdict.reason == "withdrawn")


async def test_what_is_said_of_a_contact_that_became_another_counts(timed: Running) -> None:
    """An id that was kept, or a receipt of a message before the merge, names the contact of then."""
    await known_by(timed, 1, user="US.13491208655302741918")
    await known_by(timed, 2, phone="34600111222")
    before = await timed.conversations()
    await known_by(timed, 3, phone="34600111222", user="US.13491208655302741918")
    [main] = [c for c in await timed.conversations() if c.merged_into is None]
    [old] = [c.contact for c in before if c.contact != main.contact]
    at, own = timed.clock(), timed.store.of("acme")
    await own.ledger.record([Entry("ce_stop", "acme", "ch_wa", old, "service", "withdrawn", "agent", at, at)])
    standing = await own.conversations.get(main.id)
    assert standing is not None
    assert standing.stopped
    assert [e.id for e in await own.ledger.of(main.contact)] == ["ce_stop"]


async def test_what_is_recorded_while_a_conversation_begins_is_not_lost(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry came between the look at the ledger and the writing of the conversation: its outcome found no place."""
    whole, done = Ledger.standing, list[str]()

    async def slow(self: Ledger, contact: str, channel: str, merged: Sequence[str] | None = None) -> Consents:
        found = await whole(self, contact, channel, merged)
        if not done:
            done.append(contact)
            at = timed.clock()
            entry = Entry("ce_1", "acme", channel, contact, "service", "withdrawn", "agent", at, at)
            await timed.store.of("acme").ledger.record([entry])
        return found

    monkeypatch.setattr(Ledger, "standing", slow)
    conversation = await hear(timed, "echo hello")
    assert conversation.stopped
    assert sent(timed) == []


async def test_what_they_took_back_during_a_long_send_holds_for_bulk_behind_it(
    timed: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await timed.store.directory.set_permissions("acme", Permissions(quiet=None, cap=None))
    conversation = await hear(timed, "echo hello")
    at, own = timed.clock(), timed.store.of("acme")
    ledger = own.ledger
    granted = Entry("ce_1", "acme", "ch_wa", conversation.contact, "marketing", "granted", "api", at, at)
    await ledger.record([granted])
    timed.clock.move(seconds=1)
    adapter = timed.gateway.deliver._adapters["whatsapp"]
    whole = adapter.send

    async def long(*given: Any) -> Any:
        now = timed.clock()
        back = replace(granted, id="ce_2", state="withdrawn", at=now, recorded=now)
        await ledger.record([back])
        return await whole(*given)

    bulk = replace(advert(timed, conversation.id), purpose="marketing")
    await own.messages.put_bulk([bulk], timed.clock())
    fresh = await own.conversations.get(conversation.id)
    assert fresh is not None
    [person] = outbox.of_person(
        fresh, "k", [Text("a long one")], timed.gateway.desk._sequencer, timed.clock()
    )
    await own.messages.put_queued([person])
    monkeypatch.setattr(adapter, "send", long)
    timed.gateway.work.poke(Key("acme", conversation.id, bulk=True))
    await timed.idle()
    assert state(await found(timed, bulk.id)) == (Status.FAILED, "permission:withdrawn")
    assert sent(timed) == ["echo hello", "a long one"]


async def test_the_question_of_a_double_opt_in_is_held_and_not_given_up(timed: Running) -> None:
    """Asked while the window was closed, it was taken for an old answer, and they were never asked."""
    await set_permissions(timed, Permissions(double_opt_in=True, quiet=None))
    conversation = await hear(timed, "echo hello")
    timed.clock.move(hours=25)
    desk = ConsentDesk(timed.store, timed.clock, timed.gateway.work.poke)
    channel = await timed.store.directory.channel("ch_wa")
    await desk.grant(channel, conversation.contact, Said("Ana", wording="Yes to offers."))
    await timed.idle()
    timed.clock.move(hours=30)
    await hear(timed, "echo again", 2)
    kinds = [m.body["type"] for m in timed.graph.messages()]
    assert kinds == ["text", "interactive", "text"]


async def test_a_stop_that_is_told_late_does_not_say_what_is_not_so(timed: Running) -> None:
    """STOP, START; the STOP's webhook comes after: they were told that they would hear no more, and heard more."""
    await hear(timed, "echo hello")
    stopped = timed.clock()
    timed.clock.move(seconds=10)
    await hear(timed, "STOP", 2)
    timed.clock.move(seconds=10)
    await hear(timed, "START", 3)
    before = len(sent(timed))
    timed.clock.move(seconds=10)
    conversation = await hear(timed, "stop", 4, at=stopped)
    assert not conversation.stopped
    assert sent(timed)[before:] == []


async def test_a_stop_ends_a_purpose_that_the_tenant_has_no_more(timed: Running) -> None:
    await set_permissions(timed, Permissions(purposes=("news",), stop_scope="marketing", quiet=None))
    conversation = await hear(timed, "echo hello")
    at = timed.clock()
    entry = Entry("ce_1", "acme", "ch_wa", conversation.contact, "news", "granted", "api", at, at)
    await timed.store.of("acme").ledger.record([entry])
    await set_permissions(timed, Permissions(stop_scope="marketing", quiet=None))
    timed.clock.move(seconds=2)
    conversation = await hear(timed, "STOP", 2)
    assert conversation.consents["news"].state == "withdrawn"
    queued = replace(offer(), name="nowhere")
    assert (
        await say(timed, conversation, queued, "1", purpose="news", author="bot")
    ).status is not Status.SENT


async def test_many_at_once_begin_no_more_than_may_be_begun(timed: Running) -> None:
    """`daily` was looked at by many at once, and each found room."""
    await set_permissions(timed, Permissions(daily=3, quiet=None, cap=None))
    own, adverts = timed.store.of("acme"), []
    await make_template(timed.store, "offer", "en", "MARKETING")
    for number, conversation in enumerate(await greet(timed, 20)):
        talk = await own.conversations.get(conversation)
        assert talk is not None
        at = timed.clock()
        entry = Entry(f"ce_{number}", "acme", "ch_wa", talk.contact, "marketing", "granted", "api", at, at)
        await own.ledger.record([entry])
        adverts.append(replace(advert(timed, conversation), content=offer(), purpose="marketing"))
    await own.messages.put_bulk(adverts, timed.clock())
    for _ in range(10):
        timed.clock.move(seconds=1)
        await timed.swept()
    assert sent(timed).count("offer") == 3


async def test_a_template_needs_the_same_consent_whichever_way_a_person_says_it(timed: Running) -> None:
    """Said as content, a utility template reached somebody who had never written nor agreed."""
    await make_template(timed.store, "order", "en", "UTILITY")
    desk = timed.gateway.desk
    conversation = await desk.begin("acme", "ch_wa", "+34600111222")
    content = {"type": "template", "name": "order", "language": "en"}
    [asked] = await desk.say("acme", conversation, content)
    await timed.idle()
    assert state(await found(timed, asked.id)) == (Status.FAILED, "permission:no_consent")
    assert sent(timed) == []
    await hear(timed, "hello")
    [answer] = await desk.say("acme", conversation, content)
    await timed.idle()
    assert (await found(timed, answer.id)).status is Status.SENT


async def test_a_stop_is_confirmed_though_a_person_takes_over_before_it_is_sent(timed: Running) -> None:
    conversation = await hear(timed, "echo hello")
    timed.graph.misbehave(Fault.http(500))
    await hear(timed, "STOP", 2)
    assert sent(timed) == ["echo hello"]
    await set_owner(timed.store.of("acme"), conversation.id, "agent")
    timed.clock.move(seconds=30)
    await timed.swept()
    assert len(sent(timed)) == 2
    assert "/start" in sent(timed)[-1]
