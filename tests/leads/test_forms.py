"""The lead flow where the channel knows or shows more: known numbers, forms; and its state."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.model.content import Buttons, Form, FormReply, Reply, Text
from gateway.model.tenant import ExtraField
from leads.flow import YES, offer, step
from leads.state import LeadState, Step
from leads.texts import LANGUAGES
from tests.leads.told import EN, FULL, PLAIN, asked, context, ids, press, restored, texts

# What the channel knows -----------------------------------------------------------------------------------

KNOWN = {"known_phone": "+34600111222", "known_name": "Ana"}


def test_the_known_number_is_offered_and_taken_with_one_tap() -> None:
    ctx = context(PLAIN, **KNOWN)
    begun = asked(ctx)
    assert ids(begun.say[-1]) == ["lead:name"]
    named = step(begun.state, press("lead:name"), ctx)
    assert isinstance(named.say[0], Buttons)
    assert [choice.title for choice in named.say[0].choices] == ["Use +34600111222", EN.other_phone]
    done = step(named.state, press("lead:phone"), ctx)
    assert done.save is not None
    assert (done.save.name, done.save.phone) == ("Ana", "+34600111222")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("phone", ["+34600111222", "+5491112345678", "+8613812345678", "+4915123456789"])
def test_the_title_with_the_known_number_fits(language: str, phone: str) -> None:
    ctx = context(PLAIN, language=language, known_phone=phone)
    button = asked(ctx, "Ana").say[0]
    assert isinstance(button, Buttons)
    assert all(len(choice.title) <= 20 for choice in button.choices)
    assert phone in button.choices[0].title


@pytest.mark.parametrize("refusal", [press("lead:other"), Text("no")])
def test_another_number_may_be_given(refusal: Reply | Text) -> None:
    ctx = context(PLAIN, **KNOWN)
    other = step(asked(ctx, "Ana").state, refusal, ctx)
    assert "612" in texts(other)[0]
    done = step(other.state, Text("+44 7911 123456"), ctx)
    assert done.save is not None
    assert done.save.phone == "+447911123456"


def test_yes_takes_the_known_number() -> None:
    assert asked(context(PLAIN, **KNOWN), "Ana", "yes").save is not None


def test_a_known_number_that_does_not_exist_is_not_offered() -> None:
    assert isinstance(asked(context(PLAIN, known_phone="+34999999999"), "Ana").say[0], Text)


def test_a_mexican_whatsapp_number_is_offered_as_it_is_dialled() -> None:
    button = asked(context(PLAIN, known_phone="+5215512345678"), "Ana").say[0]
    assert isinstance(button, Buttons)
    assert button.choices[0].title == "Use +525512345678"


def test_a_long_known_name_is_not_a_button() -> None:
    begun = asked(context(PLAIN, known_name="Wolfeschlegelsteinhausenbergerdorff"))
    assert begun.say[-1] == Text(EN.ask_name)


# Forms ----------------------------------------------------------------------------------------------------


def form_of(current: Step) -> Form:
    form = current.say[-1]
    assert isinstance(form, Form)
    return form


def test_a_form_asks_everything_at_once() -> None:
    ctx = context(FULL, forms=True, **KNOWN)
    form = form_of(asked(ctx))
    assert [field.name for field in form.fields] == ["name", "phone", "email", "x:size", "x:note"]
    assert [field.required for field in form.fields] == [True, True, False, True, False]
    assert [field.value for field in form.fields] == ["Ana", "+34600111222", "", "", ""]
    assert form.consent == EN.consent


def test_a_filled_in_form_is_a_lead() -> None:
    ctx = context(FULL, forms=True)
    values = {"name": " 山田 ", "phone": "٦٠٠١١١٢٢٢", "email": "", "x:size": "10", "unknown": "x"}
    done = step(asked(ctx).state, FormReply(values), ctx)
    assert texts(done) == [EN.thanks]
    assert done.save is not None
    assert (done.save.name, done.save.phone, done.save.email) == ("山田", "+34600111222", None)
    assert done.save.fields == {"size": "10"}
    assert done.save.question == "Do you ship to Mars?"


def test_what_is_wrong_comes_back_beside_each_field_with_what_was_typed() -> None:
    ctx = context(FULL, forms=True)
    wrong = step(asked(ctx).state, FormReply({"name": "Ana", "phone": "12", "email": "x"}), ctx)
    errors = {field.name: field.error for field in form_of(wrong).fields}
    assert errors["name"] is None
    assert errors["phone"] == EN.problems["too_short"].format(example="+34 612 34 56 78")
    assert errors["email"] == EN.bad_email
    assert errors["x:size"] == EN.required
    assert errors["x:note"] is None
    values = {field.name: field.value for field in form_of(wrong).fields}
    assert (values["name"], values["phone"], values["email"]) == ("Ana", "12", "x")
    assert wrong.save is None


def test_the_third_wrong_form_ends_it_and_a_number_resumes_with_what_was_right() -> None:
    ctx = context(PLAIN, forms=True)
    current = asked(ctx)
    for _ in range(3):
        current = step(restored(current.state), FormReply({"name": "Ana", "phone": "12"}), ctx)
    assert texts(current) == [EN.gave_up]
    done = step(restored(current.state), Text("600111222"), ctx)
    assert done.save is not None
    assert done.save.name == "Ana"


def test_giving_up_on_something_else_does_not_speak_of_the_number() -> None:
    ctx = context(PLAIN, forms=True)
    current = asked(ctx)
    for _ in range(3):
        current = step(current.state, FormReply({"name": "", "phone": "600111222"}), ctx)
    assert texts(current) == [EN.left]


def test_a_cancelled_form_is_a_no() -> None:
    ctx = context(forms=True)
    declined = step(asked(ctx).state, FormReply({}, cancelled=True), ctx)
    assert texts(declined) == [EN.declined]
    assert offer(declined.state, "q", ctx).say == (Text(EN.unknown),)


def test_typing_beside_an_open_form_is_for_the_brain() -> None:
    ctx = context(forms=True)
    begun = asked(ctx)
    aside = step(begun.state, Text("What are your hours?"), ctx)
    assert (aside.handled, aside.say, aside.state) == (False, (), begun.state)
    assert step(aside.state, Text("cancel"), ctx).state.stage == "declined"


def test_yes_again_shows_the_form_again() -> None:
    ctx = context(forms=True)
    assert form_of(step(asked(ctx).state, press(YES), ctx))


@pytest.mark.parametrize("stage", ["idle", "offered", "declined", "gave_up", "asking"])
def test_a_form_is_taken_whenever_it_comes(stage: Any) -> None:
    ctx = context(PLAIN, forms=True)
    done = step(LeadState(stage=stage), FormReply({"name": "Ana", "phone": "600111222"}), ctx)
    assert done.save is not None
    assert done.save.consent_text == EN.consent


def test_the_same_form_twice_is_one_lead_and_a_changed_one_updates_it() -> None:
    ctx = context(PLAIN, forms=True)
    reply = FormReply({"name": "Ana", "phone": "600111222"})
    done = step(asked(ctx).state, reply, ctx)
    assert step(done.state, reply, ctx).save is None
    changed = step(done.state, FormReply({"name": "Ana B", "phone": "600111222"}), ctx)
    assert changed.save is not None
    assert changed.save.name == "Ana B"


# State ----------------------------------------------------------------------------------------------------


def test_an_empty_state_is_an_empty_document() -> None:
    assert LeadState().to_doc() == {}
    assert LeadState.from_doc({}) == LeadState.from_doc(None) == LeadState()


def test_a_document_of_another_kind_starts_anew() -> None:
    assert LeadState.from_doc({"stage": "flying"}) == LeadState()


def test_field_names_that_a_document_could_not_hold_survive() -> None:
    site = replace(PLAIN, fields=(ExtraField("a.b$c", "Odd"),))
    last = asked(context(site), "Ana", "600111222", "value")
    assert restored(last.state).values["x:a.b$c"] == "value"
    assert last.save is not None
    assert last.save.fields == {"a.b$c": "value"}
