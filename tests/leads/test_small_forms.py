"""Small forms: fields in order, each answer checked, left at any time."""

from datetime import date

import pytest

from gateway.model.answers import Ask, FormRule
from gateway.model.content import Buttons, ListMenu, Reply, Text
from leads.form_texts import form_words
from leads.forms import FormContext, FormState, FormStep, begin, check, step

CONTEXT = FormContext(date(2026, 11, 22), "en", "ES")
FORM = FormRule(
    "booking",
    (
        Ask("day", "Which day?", "date"),
        Ask("people", "How many people?", "number", least=1, most=12),
        Ask("room", "Which room?", "choice", choices=("Inside", "Terrace")),
        Ask("phone", "Your phone?", "phone"),
        Ask("mail", "Your e-mail?", "email", required=False),
    ),
    "Thank you, your table is noted.",
)


def text(step: FormStep) -> str:
    assert isinstance(step.say[-1], Text | Buttons | ListMenu)
    return step.say[-1].text


def play(*answers: str | Reply, form: FormRule = FORM) -> list[FormStep]:
    steps = [begin(form, CONTEXT)]
    for answer in answers:
        state = steps[-1].state
        assert state is not None
        # As it is kept between two messages.
        state = FormState.from_doc(state.to_doc())
        assert state is not None
        said = Text(answer) if isinstance(answer, str) else answer
        steps.append(step(form, state, said, CONTEXT))
    return steps


def test_the_fields_are_asked_for_in_order_and_the_values_are_checked_ones() -> None:
    steps = play("tomorrow", "4 people", Reply("form:Terrace", "Terrace"), "600 111 222", "skip")
    assert [text(s) for s in steps] == [f.question for f in FORM.fields] + [FORM.done]
    assert steps[-1].state is None
    assert steps[-1].done == (
        ("day", "2026-11-23"),
        ("people", "4"),
        ("room", "Terrace"),
        ("phone", "+34600111222"),
        ("mail", ""),
    )


def test_choices_and_what_may_be_skipped_are_buttons() -> None:
    steps = play("2026-12-01", "2", "inside", "+34 600 111 222")
    room, mail = steps[2].say[0], steps[4].say[0]
    assert isinstance(room, Buttons) and [c.title for c in room.choices] == ["Inside", "Terrace"]
    assert isinstance(mail, Buttons) and [c.title for c in mail.choices] == ["Skip"]
    many = FormRule("f", (Ask("c", "Which?", "choice", choices=tuple("abcd")),), "ok")
    assert isinstance(begin(many, CONTEXT).say[0], ListMenu)


def test_a_wrong_answer_is_told_what_is_expected_and_three_end_the_form() -> None:
    steps = play("soon", "someday", "never")
    assert "2026-12-31" in text(steps[1]) and "cancel" in text(steps[1])
    assert steps[2].state is not None and steps[2].state.place == 0
    assert steps[3].state is None and steps[3].done is None


@pytest.mark.parametrize("word", ["cancel", "Cancelar", "إلغاء", "never mind"])
def test_it_can_be_left_at_any_field(word: str) -> None:
    for given in ((), ("today",), ("today", "3")):
        last = play(*given, word)[-1]
        assert (last.state, last.done) == (None, None)


def test_a_question_in_between_is_not_for_the_form_unless_nobody_knows_it() -> None:
    [*_, last] = play("today", "do you have a garden?")
    assert not last.handled and text(last) == "How many people?"
    state = last.state
    assert state is not None
    notes = FormRule("f", (Ask("wish", "Any wishes?"),), "ok")
    aside = step(notes, FormState("f"), Text("Could we sit outside?"), CONTEXT)
    certain = step(notes, FormState("f"), Text("Could we sit outside?"), CONTEXT, certain=True)
    assert not aside.handled and certain.done == (("wish", "Could we sit outside?"),)


def test_a_button_of_something_else_leaves_the_form_as_it_is() -> None:
    [_, last] = play(Reply("lead:yes", "Yes"))
    assert not last.handled and last.state == FormState("booking")


def test_a_form_that_was_made_shorter_meanwhile_ends() -> None:
    last = step(FORM, FormState("booking", 9, (("day", "x"),)), Text("hello"), CONTEXT)
    assert last.state is None and last.done == (("day", "x"),)


@pytest.mark.parametrize(
    ("field", "answer", "value"),
    [
        (Ask("n", "", "number"), "about 1,5 kilos", "1.5"),
        (Ask("n", "", "number"), "-3", "-3"),
        (Ask("n", "", "number"), "2 or 3", ""),
        (Ask("n", "", "number", least=1, most=3), "4", ""),
        (Ask("d", "", "date"), "1/2/2027", "2027-02-01"),
        (Ask("d", "", "date"), "31.02.2027", ""),
        (Ask("d", "", "date"), "mañana", "2026-11-23"),
        (Ask("m", "", "email"), "it is ana@example.com, thanks", "ana@example.com"),
        (Ask("m", "", "email"), "ana at example", ""),
        (Ask("p", "", "phone"), "12", ""),
        (Ask("c", "", "choice", choices=("Sí", "No")), "si", "Sí"),
        (Ask("c", "", "choice", choices=("Sí", "No")), "maybe", ""),
        (Ask("t", ""), "  Ana \x00 ", "Ana"),
        (Ask("t", ""), " \u200b ", ""),
    ],
)
def test_what_passes_and_what_does_not(field: Ask, answer: str, value: str) -> None:
    found, wrong = check(field, answer, CONTEXT, form_words("en"))
    assert found == value
    assert bool(wrong) != bool(value)


def test_in_the_united_states_the_month_comes_first() -> None:
    context = FormContext(date(2026, 11, 22), "en", "US")
    assert check(Ask("d", "", "date"), "2/1/2027", context, form_words("en"))[0] == "2027-02-01"
