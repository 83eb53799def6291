"""The lead flow, told as conversations: what the customer does, what comes back, what is saved."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.model.content import Buttons, Reply, Text
from leads.flow import NO, OFFERS, YES, offer, step
from leads.state import LeadState
from leads.texts import LANGUAGES
from tests.leads.told import EN, FULL, NOW, PLAIN, asked, context, ids, press, restored, texts

# Step by step ---------------------------------------------------------------------------------------------


def test_from_a_question_nobody_could_answer_to_a_lead() -> None:
    ctx = context()
    offered = offer(LeadState(), "Do you ship to Mars?", ctx)
    assert texts(offered) == [f"{EN.unknown} {EN.offer}"]
    assert ids(offered.say[0]) == [YES, NO]

    begun = step(offered.state, press(YES), ctx)
    assert texts(begun) == [EN.consent, EN.ask_name]
    named = step(begun.state, Text("  Ana Núñez 🌵\n"), ctx)
    assert "612" in texts(named)[0]
    phoned = step(named.state, Text("600 111 222"), ctx)
    assert texts(phoned) == [EN.ask_email]
    assert ids(phoned.say[0]) == ["lead:skip"]
    done = step(phoned.state, Text("it is ana@example.com."), ctx)

    assert texts(done) == [EN.thanks]
    assert done.save is not None
    assert (done.save.name, done.save.phone) == ("Ana Núñez 🌵", "+34600111222")
    assert (done.save.phone_kind, done.save.phone_region) == ("mobile", "ES")
    assert done.save.email == "ana@example.com"
    assert done.save.question == "Do you ship to Mars?"
    assert (done.save.consent_text, done.save.consent_at) == (EN.consent, NOW)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_goes_all_the_way(language: str) -> None:
    ctx, words = context(FULL, language=language), LANGUAGES[language]
    last = asked(ctx, "Ana", "600111222", words.skip, "10", words.skip)
    assert last.save is not None
    assert last.save.email is None
    assert last.save.fields == {"size": "10"}
    assert last.save.consent_text == words.consent
    assert texts(last) == [words.thanks]


def test_nothing_is_saved_before_the_end() -> None:
    ctx = context(FULL)
    for said in (("Ana",), ("Ana", "600111222"), ("Ana", "600111222", "skip")):
        assert asked(ctx, *said).save is None


def test_the_tenants_own_consent_line_is_shown_and_kept() -> None:
    ctx = context(replace(PLAIN, consent="We call you once. Promise."))
    begun = asked(ctx)
    assert texts(begun)[0] == "We call you once. Promise."
    last = asked(ctx, "Ana", "600111222")
    assert last.save is not None
    assert last.save.consent_text == "We call you once. Promise."


def test_consent_dates_from_the_first_detail_given() -> None:
    begun = asked(context(PLAIN))
    assert begun.state.consent_at is None
    named = step(begun.state, Text("Ana"), context(PLAIN))
    later = context(PLAIN, now=NOW.replace(hour=12))
    done = step(named.state, Text("600111222"), later)
    assert done.save is not None
    assert done.save.consent_at == NOW


@pytest.mark.parametrize("yes", ["yes", "Sure!", "sí", "Claro", "sim", "نعم", "ok"])
def test_yes_may_be_typed(yes: str) -> None:
    ctx = context()
    begun = step(offer(LeadState(), "q", ctx).state, Text(yes), ctx)
    assert begun.state.asked == "name"


def test_a_number_in_answer_to_the_offer_says_yes() -> None:
    ctx = context(PLAIN)
    begun = step(offer(LeadState(), "q", ctx).state, Text("600 111 222"), ctx)
    assert texts(begun) == [EN.consent, EN.ask_name]
    done = step(restored(begun.state), Text("Ana"), ctx)
    assert done.save is not None
    assert done.save.phone == "+34600111222"


def test_a_number_instead_of_the_name_is_kept_and_the_name_asked_again() -> None:
    current = asked(context(PLAIN), "600111222")
    assert texts(current) == [EN.ask_name]
    assert asked(context(PLAIN), "600111222", "Ana").save is not None


# No thanks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no", ["no", "No, thanks", "ahora no", "não obrigada", "لا شكرا", "cancel"])
def test_no_is_respected_for_the_rest_of_the_conversation(no: str) -> None:
    ctx = context()
    declined = step(offer(LeadState(), "q", ctx).state, Text(no), ctx)
    assert texts(declined) == [EN.declined]
    for _ in range(3):
        again = offer(restored(declined.state), "another question", ctx)
        assert again.say == (Text(EN.unknown),)
        declined = again
    assert not step(declined.state, Text("yes"), ctx).handled


def test_pressing_the_old_yes_after_a_no_is_a_change_of_mind() -> None:
    ctx = context()
    declined = step(offer(LeadState(), "q", ctx).state, press(NO), ctx)
    assert step(declined.state, press(YES), ctx).state.asked == "name"


def test_an_offer_that_is_passed_over_is_not_repeated_for_ever() -> None:
    ctx, state = context(), LeadState()
    shown = []
    for number in range(OFFERS + 2):
        current = offer(state, f"question {number}", ctx)
        shown.append(isinstance(current.say[0], Buttons))
        state = step(current.state, Text("Something else entirely"), ctx).state
    assert shown == [True] * OFFERS + [False, False]


@pytest.mark.parametrize("word", ["cancel", "STOP", "cancelar", "olvídalo", "deixa pra lá", "إلغاء"])
@pytest.mark.parametrize("said", [(), ("Ana",), ("Ana", "600111222"), ("Ana", "600111222", "skip")])
def test_a_cancel_word_ends_it_anywhere(word: str, said: tuple[str, ...]) -> None:
    last = asked(context(FULL), *said, word)
    assert texts(last) == [EN.declined]
    assert last.state.values == {}


# The lead is there ----------------------------------------------------------------------------------------


def test_a_later_question_is_added_to_the_lead() -> None:
    ctx = context(PLAIN)
    done = asked(ctx, "Ana", "600111222")
    later = offer(restored(done.state), "And to Venus?", ctx)
    assert later.say == (Text(f"{EN.unknown} {EN.noted}"),)
    assert later.save is not None
    assert later.save.question == "Do you ship to Mars?\nAnd to Venus?"
    assert later.save.phone == "+34600111222"
    same = offer(later.state, "And to Venus?", ctx)
    assert same.save is not None
    assert same.save.question == later.save.question


@pytest.mark.parametrize("choice", [YES, NO])
def test_old_buttons_after_the_lead_change_nothing(choice: str) -> None:
    done = asked(context(PLAIN), "Ana", "600111222")
    again = step(done.state, press(choice), context(PLAIN))
    assert (again.state, texts(again), again.save) == (done.state, [EN.have_details], None)


@pytest.mark.parametrize("event", [Text("yes"), Text("cancel"), Text("600111222"), press("other:thing")])
def test_after_the_lead_everything_else_is_the_brains(event: Text | Reply) -> None:
    done = asked(context(PLAIN), "Ana", "600111222")
    assert not step(done.state, event, context(PLAIN)).handled


# Answers that do not pass ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("12", "too_short"),
        ("600111222333", "too_long"),
        ("999999999", "invalid"),
        ("ok then", "not_a_number"),
    ],
)
def test_a_wrong_number_is_explained_with_an_example(text: str, problem: Any) -> None:
    last = asked(context(PLAIN), "Ana", text)
    assert texts(last) == [EN.problems[problem].format(example="+34 612 34 56 78")]


def test_the_third_wrong_number_ends_it_politely_and_a_right_one_resumes() -> None:
    ctx = context(PLAIN)
    gave_up = asked(ctx, "Ana", "12", "123", "1234")
    assert texts(gave_up) == [EN.gave_up]
    assert gave_up.save is None
    assert not step(gave_up.state, Text("What are your hours?"), ctx).handled
    assert not step(gave_up.state, Text("is 600111222 yours?"), ctx).handled
    assert offer(gave_up.state, "q", ctx).say == (Text(EN.unknown),)
    resumed = step(restored(gave_up.state), Text("ok: 600 111 222"), ctx)
    assert resumed.save is not None
    assert (resumed.save.name, resumed.save.phone) == ("Ana", "+34600111222")


def test_a_right_answer_starts_the_count_anew() -> None:
    last = asked(context(), "Ana", "12", "123", "600111222", "no-mail", "still no mail")
    assert texts(last) == [EN.bad_email]
    assert last.state.stage == "asking"


def test_an_optional_field_is_let_go_after_three_tries() -> None:
    last = asked(context(), "Ana", "600111222", "bad", "bad@", "@bad")
    assert last.save is not None
    assert last.save.email is None


@pytest.mark.parametrize("invisible", ["\u200b", "\x07\x00", "\u200f\u200e"])
def test_a_name_that_cannot_be_seen_is_asked_again(invisible: str) -> None:
    assert texts(asked(context(), invisible)) == [EN.required]


NAMES = [
    "José María",
    "محمد بن عبد الله",
    "山田 太郎",
    "👩‍👩‍👧‍👦",
    "O'Brien-Smith, Jr.",
    "e\u0301\u0327 Zo\u0308e",
    "\u200fليلى\u200f",
    "Robert'); DROP TABLE leads;--",
    "$where",
    "María de los Ángeles de la Cruz García López",
    "ñ" * 5_000,
    "😀" * 2_500,
]


@pytest.mark.parametrize("name", NAMES)
def test_names_come_back_byte_for_byte(name: str) -> None:
    last = asked(context(PLAIN), f" \t{name}\x00\r\n", "600111222")
    assert last.save is not None
    assert last.save.name.encode() == name.encode()


# Questions in the middle ----------------------------------------------------------------------------------

ASIDES = [
    ((), "How much is it?"),
    ((), "¿Cuánto cuesta?"),
    ((), "كم السعر؟"),
    ((), "i would like to know the price of the blue one"),
    (("Ana",), "why do you need it?"),
    (("Ana",), "i would rather not give it to people i do not know"),
    (("Ana", "600111222"), "what for?"),
    (("Ana", "600111222", "skip"), "what sizes do you have?"),
]


@pytest.mark.parametrize(("said", "question"), ASIDES)
def test_a_question_in_the_middle_is_for_the_brain_and_the_field_is_repeated(
    said: tuple[str, ...], question: str
) -> None:
    ctx = context(FULL)
    before = asked(ctx, *said)
    aside = step(before.state, Text(question), ctx)
    assert not aside.handled
    assert aside.state == before.state
    assert aside.say == before.say[-1:]
    unknown = offer(aside.state, question, ctx)
    assert unknown.say == (Text(EN.unknown), before.say[-1])
    assert unknown.state.asked == before.state.asked


def test_a_press_of_something_else_in_the_middle_is_for_the_brain() -> None:
    aside = step(asked(context()).state, press("menu:prices"), context())
    assert not aside.handled
    assert texts(aside) == [EN.ask_name]


@pytest.mark.parametrize("choice", [YES, "lead:skip", "lead:phone", "lead:other", "lead:nonsense"])
def test_buttons_that_do_not_fit_the_question_repeat_it(choice: str) -> None:
    before = asked(context())
    again = step(before.state, press(choice), context())
    assert (again.handled, again.state, texts(again)) == (True, before.state, [EN.ask_name])


def test_a_field_that_the_site_gave_up_is_passed_over() -> None:
    at_email = asked(context(), "Ana", "600111222")
    done = step(at_email.state, Text("hello"), context(PLAIN))
    assert done.save is not None
