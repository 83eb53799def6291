"""Answers in a conversation, from the outside: rules with choices and forms, handing over, the line that holds, what is shown
while an answer is written, what was said before, thumbs, and questions without an answer."""

import asyncio
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from gateway.handoff import set_owner
from gateway.model.answers import Answer, AnswerSettings, Ask, FormRule, Hours, Listener, Question, Said, Span
from gateway.model.content import Reaction, Reply, Text
from gateway.model.errors import NotFound, Unavailable
from gateway.model.message import Status
from gateway.store import Store
from tests.conftest import Running
from tests.core.test_kinds import hear, only, said, sent
from tests.core.visitor import Visitor


class Teller:
    """A brain that answers with what it was given, after what it was told to do first."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.answers: dict[str, Answer] = {}
        self.gate: asyncio.Event | None = None
        self.drafts: list[str] = []

    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        self.questions.append(question)
        for draft in self.drafts:
            if listener is not None:
                await listener.said(draft)
        if self.gate is not None:
            await self.gate.wait()
        return self.answers.get(question.text, Answer(False))


@pytest.fixture
def teller(running: Running, monkeypatch: pytest.MonkeyPatch) -> Teller:
    found = Teller()
    monkeypatch.setattr(running.brain, "answer", found.answer)
    return found


async def answers(running: Running, **more: Any) -> None:
    await running.store.directory.set_answers("acme", AnswerSettings(**more))


async def say(running: Running, text: str, number: str) -> None:
    await hear(running, said(running, Text(text), number))


# What follows on an answer


async def test_choices_are_buttons_that_mean_what_they_say(running: Running, teller: Teller) -> None:
    teller.answers["menu"] = Answer(True, "What about?", by="rule", choices=("Prices", "Hours"))
    teller.answers["Prices"] = Answer(True, "A wash is 10 euros.", by="rule")
    await say(running, "menu", "1")
    buttons = running.graph.messages()[-1].body["interactive"]["action"]["buttons"]
    assert [b["reply"]["title"] for b in buttons] == ["Prices", "Hours"]
    await hear(running, said(running, Reply(buttons[0]["reply"]["id"], "Prices"), "2"))
    assert sent(running)[-1] == "A wash is 10 euros."


async def test_a_rule_that_hands_over_brings_a_person_who_is_told_to_be_away(
    running: Running, teller: Teller
) -> None:
    await answers(running, hours=Hours("UTC", ((Span(time(0), time(0, 0, 1)),),) * 7))
    teller.answers["complaint"] = Answer(True, "I'm sorry to hear that.", by="rule", hand_over=True)
    await say(running, "complaint", "1")
    conversation, _ = await only(running)
    assert conversation.owner == "queue"
    assert sent(running)[0] == "I'm sorry to hear that."
    assert "away" in str(sent(running)[1]) and "00:00" in str(sent(running)[1])


@pytest.mark.parametrize(("hand_over", "owner"), [("queue", "queue"), ("nothing", "bot"), ("offer", "bot")])
async def test_what_follows_on_not_knowing_is_the_tenants_choice(
    running: Running, teller: Teller, hand_over: str, owner: str
) -> None:
    await answers(running, hand_over=hand_over)
    await say(running, "who knows?", "1")
    conversation, _ = await only(running)
    assert conversation.owner == owner
    offered = running.graph.messages()[-1].body.get("interactive")
    assert bool(offered) == (hand_over == "offer")
    assert "I don't know" in str(running.graph.messages()[0].text or offered)


# Forms


FORM = FormRule("booking", (Ask("day", "Which day?", "date"), Ask("wish", "Any wishes?")), "Noted.", True)


async def test_a_form_is_begun_by_a_rule_asks_in_order_and_its_values_are_kept(
    running: Running, teller: Teller
) -> None:
    await answers(running, forms=(FORM,))
    teller.answers["book"] = Answer(True, "Gladly.", by="rule", form="booking")
    teller.answers["do you have parking?"] = Answer(True, "Yes, behind the house.", by="local")
    await say(running, "book", "1")
    assert sent(running) == ["Gladly.", "Which day?"]
    await say(running, "do you have parking?", "2")
    assert sent(running)[2:] == ["Yes, behind the house.", "Which day?"]
    await say(running, "2027-01-05", "3")
    await say(running, "Is a table by the window free?", "4")  # nobody knows: so it is the wish
    assert sent(running)[4:6] == ["Any wishes?", "Noted."]
    conversation, _ = await only(running)
    assert (conversation.owner, conversation.form) == ("queue", {})
    [kept] = await running.store.of("acme").submissions.of_form("booking", 10)
    assert kept.values == (("day", "2027-01-05"), ("wish", "Is a table by the window free?"))
    assert (kept.contact, kept.channel) == (conversation.contact, "ch_wa")


async def test_a_form_that_was_taken_away_is_in_nobodys_way(running: Running, teller: Teller) -> None:
    await answers(running, forms=(FORM,))
    teller.answers["book"] = Answer(True, "Gladly.", by="rule", form="booking")
    teller.answers["hello"] = Answer(True, "Hi.", by="local")
    await say(running, "book", "1")
    await answers(running)
    await say(running, "hello", "2")
    assert sent(running)[-1] == "Hi."
    assert (await only(running))[0].form == {}


# While it thinks


async def test_who_waits_is_told_that_the_answer_is_coming_and_the_answer_goes_behind_it(
    running: Running, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.company.HOLDS", 0.01)
    teller.gate, teller.answers["hours?"] = asyncio.Event(), Answer(True, "Nine to five.", by="test")
    channel = await running.store.directory.channel("ch_wa")
    await running.gateway.inbox.put(channel, [said(running, Text("hours?"), "1")])
    await running.until(lambda: len(sent(running)) == 1)
    assert "looking that up" in str(sent(running)[0])
    teller.gate.set()
    await running.idle()
    assert sent(running)[1:] == ["Nine to five."]
    _, messages = await only(running)
    assert [m.status for m in messages] == [Status.HANDLED, Status.SENT, Status.SENT]
    assert messages[1].seq < messages[2].seq


async def test_the_line_is_not_said_to_whom_a_person_answers_by_then(
    running: Running, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.company.HOLDS", 0.05)
    teller.answers["hello"] = Answer(True, "Hi.", by="test")
    await say(running, "hello", "1")
    conversation, _ = await only(running)
    thought_of = asyncio.Event()

    async def slow(question: Question, listener: Listener | None = None) -> Answer:
        await set_owner(running.store.of("acme"), conversation.id, "agent")
        await asyncio.sleep(0.2)  # longer than HOLDS here
        thought_of.set()
        return Answer(True, "Too late.", by="test")

    monkeypatch.setattr(running.brain, "answer", slow)
    await say(running, "hours?", "2")
    assert thought_of.is_set()
    assert sent(running) == ["Hi."]
    assert [m.content for m in (await only(running))[1]] == [Text("hello"), Text("Hi."), Text("hours?")]


async def test_the_line_is_said_once_when_a_turn_is_run_again_and_not_to_who_does_not_want_it(
    running: Running, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.company.HOLDS", 0.01)
    tries = 0

    async def broken(question: Question, listener: Listener | None = None) -> Answer:
        nonlocal tries
        tries += 1
        await running.until(lambda: len(sent(running)) == 1)
        if tries == 1:
            raise RuntimeError("it broke")
        return Answer(True, "At last.", by="test")

    monkeypatch.setattr(running.brain, "answer", broken)
    await say(running, "hours?", "1")
    running.clock.move(seconds=10)
    await running.swept()
    assert tries == 2 and len(sent(running)) == 2 and sent(running)[1] == "At last."
    await answers(running, holding=False)

    async def slow(question: Question, listener: Listener | None = None) -> Answer:
        await asyncio.sleep(0.05)  # longer than HOLDS here
        return Answer(True, "Here.", by="test")

    monkeypatch.setattr(running.brain, "answer", slow)
    await say(running, "and now?", "2")
    assert sent(running)[2:] == ["Here."]


async def test_the_widget_sees_the_answer_as_it_is_written_and_what_is_taken_back_goes(
    running: Running, teller: Teller
) -> None:
    teller.drafts = ["We open at nine.", "We open at nine. On Sundays we rest.", ""]
    teller.answers["hours?"] = Answer(True, "Nine to five.", by="test")
    async with Visitor(running).open() as tab:
        await tab.say("hours?")
        message = await tab.heard()
        assert message["content"]["text"] == "Nine to five."
        drafts = [f["text"] for f in tab.seen if f["t"] == "typing" and "text" in f]
        assert drafts == teller.drafts
    # What was shown is kept nowhere.
    [conversation] = await running.conversations()
    assert [m.direction for m in await running.transcript(conversation.id)] == ["in", "out"]


async def test_a_tenant_that_does_not_want_it_shows_nothing_before_it_is_whole(
    running: Running, teller: Teller
) -> None:
    await answers(running, stream=False)
    teller.drafts, teller.answers["hours?"] = ["We open"], Answer(True, "Nine to five.", by="test")
    async with Visitor(running).open() as tab:
        await tab.say("hours?")
        await tab.heard()
        assert not [f for f in tab.seen if f["t"] == "typing" and "text" in f]


# What the brain is told


async def test_the_brain_is_told_what_was_said_before_of_this_conversation_only(
    running: Running, teller: Teller
) -> None:
    teller.answers["hours?"] = Answer(True, "Nine to five.", by="test")
    await say(running, "hours?", "1")
    await say(running, "and on Sundays?", "2")
    first, second = teller.questions
    assert first.earlier == ()
    assert second.earlier == (Said("customer", "hours?"), Said("bot", "Nine to five."))
    assert (second.channel, second.business, second.tenant) == ("ch_wa", "Acme", "acme")
    for n in range(9):
        await say(running, f"more {n}" + "x" * 2000, f"m{n}")
    last = teller.questions[-1].earlier
    assert len(last) == 6 and all(len(s.text) <= 500 for s in last)
    async with Visitor(running).open() as tab:
        await tab.say("somebody else")
        await tab.heard()
    assert teller.questions[-1].earlier == ()


# What is kept to learn from


async def kept(running: Running) -> list[Any]:
    await running.gateway.questions.write()
    return await running.store.of("acme").asked.latest(running.clock() - timedelta(days=1), 100)


async def test_a_question_is_kept_with_its_answer_and_a_customers_thumb(
    running: Running, teller: Teller
) -> None:
    teller.answers["hours?"] = Answer(True, "Nine to five.", by="local", score=0.9)
    await say(running, "hours?", "1")
    [asked] = await kept(running)
    assert (running.gateway.metrics.counts["answers", "local"], asked.seconds >= 0) == (1, True)
    assert (asked.question, asked.known, asked.text, asked.by) == ("hours?", True, "Nine to five.", "local")
    _, messages = await only(running)
    answer = messages[-1]
    assert answer.provider_id is not None
    for emoji, thumb in (("👍🏽", "up"), ("🍕", "up"), ("👎", "down"), ("", None)):
        await hear(running, said(running, Reaction(emoji, answer.provider_id), f"r{emoji}", silent=True))
        assert (await kept(running))[0].thumb == thumb


async def test_a_visitor_rates_the_answers_of_their_own_conversation(
    running: Running, teller: Teller
) -> None:
    teller.answers["hours?"] = Answer(True, "Nine to five.", by="local")
    async with Visitor(running).open() as tab, Visitor(running).open() as other:
        await tab.say("hours?")
        message = await tab.heard()
        await other.put({"t": "rate", "id": message["id"], "thumb": "down"})
        await other.put({"t": "ping"})
        await other.next("pong")
        assert (await kept(running))[0].thumb is None
        await tab.put({"t": "rate", "id": message["id"], "thumb": "up"})
        await tab.put({"t": "rate", "id": "m_nobody", "thumb": "up"})
        await tab.put({"t": "rate", "id": message["id"], "thumb": "sideways"})
        assert (await tab.next("error"))["code"] == "bad_frame"
    assert (await kept(running))[0].thumb == "up"


async def test_questions_without_an_answer_are_grouped_without_what_is_personal(
    running: Running, teller: Teller
) -> None:
    await answers(running, hand_over="nothing")  # else the number is taken for a lead's
    questions = [
        "Do you repair electric scooters?",
        "do you repair an electric scooter, my number is 600 111 222",
        "can you repair electric scooters? ana@example.com",
        "Is there parking?",
    ]
    for n, question in enumerate(questions):
        await say(running, question, str(n))
    await kept(running)
    gaps = await running.store.of("acme").gaps.of_state("open", 10)
    assert {g.question: g.count for g in gaps} == {questions[0]: 3, questions[3]: 1}
    shown = " ".join(example for gap in gaps for example in gap.examples)
    assert "600" not in shown and "ana@" not in shown


async def test_a_gap_is_answered_in_one_step_or_dismissed_and_opens_again_if_it_is_asked_again(
    running: Running, teller: Teller
) -> None:
    await say(running, "Do you repair electric scooters?", "1")
    await kept(running)
    store, questions = running.store.of("acme").gaps, running.gateway.questions
    [gap] = await store.of_state("open", 10)
    version = (await running.store.directory.tenant("acme")).knowledge
    answered = await questions.answer("acme", gap.id, "Yes, since May.")
    assert answered.gap.state == "answered"
    documents = await running.store.knowledge.documents("acme")
    assert [d.id for d in documents] == [answered.document]
    assert (await running.store.directory.tenant("acme")).knowledge > version
    [chunk] = await running.store.knowledge.chunks("acme")
    assert (chunk.question, chunk.text) == (gap.question, "Yes, since May.")
    await say(running, "do you repair electric scooters", "2")
    await kept(running)
    assert [g.count for g in await store.of_state("open", 10)] == [2]
    assert (await questions.dismiss("acme", gap.id)).state == "dismissed"
    with pytest.raises(NotFound):
        await questions.answer("other", gap.id, "No.")


async def test_what_was_asked_is_kept_over_a_database_that_is_away(
    running: Running, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Store.keep_asked

    async def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(Store, "keep_asked", away)
    await say(running, "hours?", "1")
    with pytest.raises(Unavailable):
        await running.gateway.questions.write()
    monkeypatch.setattr(Store, "keep_asked", keep)
    assert [a.question for a in await kept(running)] == ["hours?"]


async def test_what_is_forbidden_or_no_question_is_no_gap(running: Running, teller: Teller) -> None:
    teller.answers["politics"] = replace(Answer(False), why="forbidden")
    await say(running, "politics", "1")
    await say(running, "???", "2")
    await kept(running)
    assert await running.store.of("acme").gaps.of_state("open", 10) == []
