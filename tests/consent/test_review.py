"""What a review of consent found: each test failed before its fault was mended."""

import io
from datetime import timedelta
from typing import Any

import pytest

from consent.settings import changed
from gateway.commands.decision import _cell
from gateway.consents import ConsentDesk, Said
from gateway.model.consent import MARKETING, Entry
from gateway.model.content import Reply, Text
from gateway.model.errors import Conflict, Invalid
from gateway.model.permission import Permissions
from gateway.signals import Signals
from gateway.store.signals import Signal
from tests.conftest import Running
from tests.consent.test_signals import agreed, of, preference, standing
from tests.core.test_kinds import hear, only, said, sent
from tests.providers.graph_webhooks import status, statuses_webhook

HEAD = "phone,wording,at,evidence\n"


async def desk_of(running: Running) -> tuple[ConsentDesk, Any]:
    desk = ConsentDesk(running.store, running.clock, running.gateway.work.poke)
    return desk, await running.store.directory.channel("ch_wa")


async def test_a_list_that_does_not_say_when_does_not_undo_an_opt_out(running: Running) -> None:
    """Whoever brought their old list in again had everybody agree anew, as of now."""
    desk, channel = await desk_of(running)
    who = "+34600111222"
    entry = await desk.grant(channel, who, Said("Ana", wording="Yes.", evidence="form 1"))
    running.clock.move(seconds=1)
    await desk.withdraw(channel, entry.contact, Said("Ana", "marketing", note="no more"))
    running.clock.move(seconds=1)
    text = f"{HEAD}{who},Yes.,,form 1\n+34600111333,Yes.,,form 2\n"
    done = await desk.bring_in(channel, io.StringIO(text), "list.csv", "cli")
    assert (done.added, done.there, done.wrong) == (1, 0, 1)
    assert [(n, told.partition(":")[0]) for n, told in done.errors] == [(2, "at")]
    held = await running.store.of("acme").ledger.standing(entry.contact, "ch_wa")
    assert held[MARKETING].state == "withdrawn"
    running.clock.move(days=1)
    dated = f"{HEAD}{who},Yes.,{(running.clock() - timedelta(hours=1)).isoformat()},form 3\n"
    assert (await desk.bring_in(channel, io.StringIO(dated), "list.csv", "cli")).added == 1
    held = await running.store.of("acme").ledger.standing(entry.contact, "ch_wa")
    assert held[MARKETING].state == "granted"


async def test_a_list_that_was_read_is_there_though_somebody_opted_out_since(running: Running) -> None:
    desk, channel = await desk_of(running)
    text = f"{HEAD}+34600111222,Yes.,,form 1\n"
    assert (await desk.bring_in(channel, io.StringIO(text), "list.csv", "cli")).added == 1
    running.clock.move(seconds=1)
    [entry] = await of(running)
    await desk.withdraw(channel, entry.contact, Said("Ana", "marketing"))
    again = await desk.bring_in(channel, io.StringIO(text), "list.csv", "cli")
    assert (again.added, again.there, again.wrong) == (0, 1, 0)


async def test_who_has_agreed_is_not_asked_again_and_does_not_lose_it(running: Running) -> None:
    """With double opt-in a further proof put a confirmed consent back to `asked`."""
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, _ = await only(running)
    await agreed(running, conversation)
    await running.store.directory.set_permissions("acme", Permissions(double_opt_in=True))
    desk, channel = await desk_of(running)
    entry = await desk.grant(channel, conversation.id, Said("Ana", wording="Yes."))
    assert (entry.id, entry.state) == (f"ce_{conversation.id}", "granted")
    contact = f"contact,wording,evidence\n{conversation.id},Yes.,form 1\n"
    done = await desk.bring_in(channel, io.StringIO(contact), "list.csv", "cli")
    await running.idle()
    assert (done.added, done.there) == (0, 1)
    assert (await standing(running, conversation))[MARKETING].state == "granted"
    assert sent(running) == ["echo hello"]


async def test_a_persons_word_stands_over_a_providers(running: Running) -> None:
    """They had stopped marketing in the app, and told us on the phone as well: lifting the first undid the second."""
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, _ = await only(running)
    await agreed(running, conversation)
    at = int(running.clock().timestamp())
    await preference(running, "stop", at)
    running.clock.move(seconds=5)
    desk, channel = await desk_of(running)
    [entry] = await desk.withdraw(channel, conversation.id, Said("Ana", "marketing", note="on the phone"))
    assert (entry.how, entry.agent) == ("agent", "Ana")
    assert (await desk.withdraw(channel, conversation.id, Said("Ana", "marketing"))) == []


async def test_a_preference_of_the_same_second_as_a_grant_is_the_later_word(running: Running) -> None:
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, _ = await only(running)
    running.clock.move(seconds=1 - running.clock().microsecond / 1e6)
    second = int(running.clock().timestamp())
    running.clock.move(seconds=0.4)
    await agreed(running, conversation)
    await preference(running, "stop", second)
    assert (await standing(running, conversation))[MARKETING].state == "withdrawn"


async def test_a_refusal_that_was_told_before_its_message_was_known_is_an_opt_out(running: Running) -> None:
    """Its receipt was kept and matched later; that it was an opt-out had been forgotten."""
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, transcript = await only(running)
    ours, messages = transcript[-1], running.store.of("acme").messages._messages
    await messages.update_one({"_id": ours.id}, {"$unset": {"provider_id": ""}})
    at = int(running.clock().timestamp())
    told = status(str(ours.provider_id), "failed", at, recipient="34600111222", code=131050)
    told.pop("biz_opaque_callback_data", None)
    assert await running.post_whatsapp(statuses_webhook([told])) == 200
    assert await of(running) == []
    await messages.update_one({"_id": ours.id}, {"$set": {"provider_id": ours.provider_id}})
    running.clock.move(seconds=5)
    await running.swept()
    assert (await standing(running, conversation))[MARKETING].state == "withdrawn"


@pytest.mark.parametrize("title", ["Stop promotions", "STOP", "Unsubscribe"])
async def test_the_providers_own_button_is_heard(running: Running, title: str) -> None:
    """A template's button without an id of ours comes with its text: it was answered as a question."""
    await hear(running, said(running, Text("echo hello"), "1"))
    await hear(running, said(running, Reply(title, title), "2"))
    [_, asked] = running.graph.messages()
    assert asked.body["type"] == "interactive"
    ids = [b["reply"]["id"] for b in asked.body["interactive"]["action"]["buttons"]]
    assert ids[0].startswith("/stop")


async def test_who_confirms_a_signal_first_is_not_undone_by_who_dismisses_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The correction was written before it was known whose decision counted."""
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, _ = await only(running)
    await agreed(running, conversation)
    at, own = running.clock(), running.store.of("acme")
    out = Entry("ce_out", "acme", "ch_wa", conversation.contact, MARKETING, "withdrawn", "provider", at, at)
    await own.ledger.record([out])
    await own.signals.put(
        Signal("sg_1", "acme", "ch_wa", conversation.contact, "ce_out", "whatsapp:131050", "no", at)
    )
    signals = Signals(running.store, running.clock)
    whole = own.signals.get

    async def late(signal: str) -> Signal | None:
        found = await whole(signal)
        await own.signals.settle(signal, "confirmed", "Bea", running.clock())
        return found

    fresh = running.store.of("acme")
    monkeypatch.setattr(type(fresh.signals), "get", lambda _, signal: late(signal))
    with pytest.raises(Conflict):
        await signals.settle("acme", "sg_1", confirmed=False, by="Ana")
    assert (await standing(running, conversation))[MARKETING].state == "withdrawn"


async def test_a_dismissal_that_was_stopped_between_is_done_again(running: Running) -> None:
    await hear(running, said(running, Text("echo hello"), "1"))
    conversation, _ = await only(running)
    await agreed(running, conversation)
    at, own = running.clock(), running.store.of("acme")
    out = Entry("ce_out", "acme", "ch_wa", conversation.contact, MARKETING, "withdrawn", "provider", at, at)
    await own.ledger.record([out])
    await own.signals.put(
        Signal("sg_1", "acme", "ch_wa", conversation.contact, "ce_out", "whatsapp:131050", "no", at)
    )
    await own.signals.settle("sg_1", "dismissed", "Ana", at)  # and then it was stopped
    signals = Signals(running.store, running.clock)
    await signals.settle("acme", "sg_1", confirmed=False, by="Ana")
    assert (await standing(running, conversation))[MARKETING].state == "granted"
    with pytest.raises(Conflict):
        await signals.settle("acme", "sg_1", confirmed=False, by="Ana")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cap": "50/day"}, "cap"),  # so many sends are not remembered: it was never reached
        ({"breaker": "1000000/day"}, "breaker"),
        ({"prices": {"marketing": {"*": "1e999999"}}}, "prices.marketing.*"),
        ({"keywords": {"stop": ["\ud800no"]}}, "keywords.stop"),
        ({"not_keywords": ["a\x00"]}, "not_keywords"),
        ({"opt_ins": {"\ud800no": {"purpose": "marketing"}}}, "opt_ins"),
        ({"opt_ins": {"NEWS": {"purpose": "marketing", "wording": "a\udc00"}}}, "opt_ins.NEWS"),
        ({"timezone": "localtime\x00"}, "timezone"),
        ({"quiet": "08:00-08:00"}, "quiet"),  # it may mean all day, and meant never
    ],
)
def test_a_setting_that_could_not_be_kept_is_refused_by_its_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        changed(Permissions(), change)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (f"{HEAD}+34600111222,Yes.,0001-01-01T00:00:00+14:00,form\n", "at"),
        (f"{HEAD}+34600111222,Yes.,0900-01-01,form\n", "at"),
    ],
)
async def test_a_time_that_cannot_be_kept_is_a_fault_of_its_line(
    running: Running, text: str, field: str
) -> None:
    desk, channel = await desk_of(running)
    done = await desk.bring_in(channel, io.StringIO(text), "list.csv", "cli")
    assert [(n, told.partition(":")[0]) for n, told in done.errors] == [(2, field)]


@pytest.mark.parametrize("head", ["x" * 140_000 + "\n", "phone,phone,wording,evidence\n"])
async def test_a_head_that_cannot_be_read_is_refused(running: Running, head: str) -> None:
    desk, channel = await desk_of(running)
    with pytest.raises(Invalid) as refused:
        await desk.bring_in(channel, io.StringIO(head), "list.csv", "cli")
    assert refused.value.field == "columns"


def test_no_cell_of_the_decisions_is_a_formula() -> None:
    """What a provider says of a refusal stands in it."""
    assert _cell('=HYPERLINK("https://example.com")').startswith("'=")
    assert (_cell(None), _cell(True), _cell({"a": 1})) == ("", "yes", '{"a": 1}')
