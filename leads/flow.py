"""The lead flow: a pure state machine from "I don't know that" to a lead with a number that exists.

    brain does not know ─▶ offer ─yes─▶ form, or name ▶ phone ▶ email ▶ extra fields ─▶ done
                             └──no──▶ declined, and not asked again

`turn` asks `step` first for every text, reply and filled-in form; what is not handled goes to the brain, and
what the brain does not know goes to `offer`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.model.content import Buttons, Choice, Content, Form, FormReply, Reply, Text
from leads.fields import (
    MARKETING_BOX,
    OTHER_PHONE,
    SKIP,
    TICKED,
    USE_NAME,
    USE_PHONE,
    Wanted,
    ask,
    ask_other_phone,
    check,
    form_fields,
    is_aside,
    known,
    wanted,
)
from leads.phone import Phone, check_phone
from leads.state import Context, LeadDraft, LeadState, Step
from leads.texts import wording
from leads.words import Meaning, is_question, meaning

YES: Final = "lead:yes"
NO: Final = "lead:no"
TRIES: Final = 3
OFFERS: Final = 3
MAX_QUESTION: Final = 4000

Event = Text | Reply | FormReply


def offer(state: LeadState, question: str, context: Context) -> Step:
    """What to say when the brain does not know: always that it doesn't, and an offer where one is welcome."""
    words = wording(context.language)
    state = replace(state, question=_joined(state.question, question))
    match state.stage:
        case "done":
            return Step(state, (Text(f"{words.unknown} {words.noted}"),), _draft(state, context))
        case "asking":
            return Step(state, (Text(words.unknown), *_repeat(state, context)))
        case "form" | "declined" | "gave_up":
            return Step(state, (Text(words.unknown),))
    if state.offers >= OFFERS:
        return Step(state, (Text(words.unknown),))
    choices = (Choice(YES, words.yes), Choice(NO, words.no))
    asked = replace(state, stage="offered", offers=state.offers + 1)
    return Step(asked, (Buttons(f"{words.unknown} {words.offer}", choices),))


def step(state: LeadState, event: Event, context: Context) -> Step:
    """What one event of the customer leads to. Never raises for what a customer may send."""
    match event:
        case FormReply():
            return _form_reply(state, event, context)
        case Reply() if event.id.startswith("lead:"):
            return _REPLIES.get(event.id, _pressed_other)(state, context)
        case Text():
            return _text(state, event.text, context)
    return Step(state, _repeat(state, context), handled=False)


# Texts ----------------------------------------------------------------------------------------------------


def _text(state: LeadState, text: str, context: Context) -> Step:
    means = meaning(text)
    match state.stage:
        case "offered" if "yes" in means:
            return _begin(state, context)
        case "offered" if phone := _phone_in(text, context):
            # An answer that is the number itself says yes by giving it.
            return _begin(state, context, {"phone": phone})
        case "offered" if means & {"no", "cancel"}:
            return _decline(state, context)
        case "form" if "cancel" in means:
            return _decline(state, context)
        case "asking":
            return _answer(state, text, context)
        case "gave_up":
            return _late_phone(state, text, context)
    return Step(state, handled=False)


def _answer(state: LeadState, text: str, context: Context) -> Step:
    """A text while a field is asked for."""
    field = _asked(state, context)
    if field is None:
        return _advance(state, context)
    if short := _short_answer(state, field, meaning(text), context):
        return short
    if is_aside(field, text):
        return Step(state, _repeat(state, context), handled=False)
    has_letters = any(char.isalpha() for char in text)
    if field.key == "name" and not has_letters and (phone := _phone_in(text, context)):
        # The number came first: keep it, and ask for the name again.
        return _give(state, _field("phone", context), phone, context)
    value, error = check(field, text, context)
    return _wrong(state, field, error, context) if error else _give(state, field, value, context)


def _short_answer(
    state: LeadState, field: Wanted, means: frozenset[Meaning], context: Context
) -> Step | None:
    """What "cancel", "no", "skip" or "yes" mean for this field; None if they are just what was asked for."""
    told = known(field, context)
    if "cancel" in means:
        return _decline(state, context)
    if "no" in means and field.key == "phone" and told and state.tries == 0:
        # It is the known number that is refused, not the whole.
        return Step(replace(state, tries=1), (ask_other_phone(context),))
    if "no" in means and field.key in ("name", "phone"):
        return _decline(state, context)
    if not field.required and ("skip" in means or ("no" in means and field.key == "email")):
        return _give(state, field, "", context)
    return _give(state, field, told, context) if "yes" in means and told else None


def _wrong(state: LeadState, field: Wanted, error: str, context: Context) -> Step:
    state = replace(state, tries=state.tries + 1)
    if state.tries < TRIES:
        return Step(state, (Text(error),))
    if not field.required:
        # An optional field is not worth a quarrel.
        return _give(state, field, "", context)
    return _give_up(state, field.key, context)


def _late_phone(state: LeadState, text: str, context: Context) -> Step:
    """After giving up, a number that works takes the flow up again where it stopped."""
    phone = _phone_in(text, context)
    return _give(state, _field("phone", context), phone, context) if phone else Step(state, handled=False)


def _phone_in(text: str, context: Context) -> str | None:
    phone = None if is_question(text) else check_phone(text, context.phone_region)
    return phone.e164 if isinstance(phone, Phone) else None


# Buttons --------------------------------------------------------------------------------------------------


def _pressed_yes(state: LeadState, context: Context) -> Step:
    if state.stage == "done":
        return Step(state, (Text(wording(context.language).have_details),))
    if state.stage == "asking":
        return Step(state, _repeat(state, context))
    # A form is shown again. Also after a "no": pressing the old button is the customer's change of mind.
    return _begin(state, context)


def _pressed_no(state: LeadState, context: Context) -> Step:
    if state.stage == "done":
        return Step(state, (Text(wording(context.language).have_details),))
    return _decline(state, context)


def _pressed_skip(state: LeadState, context: Context) -> Step:
    field = _asked(state, context)
    if field is None or field.required:
        return Step(state, _repeat(state, context))
    return _give(state, field, "", context)


def _pressed_known(key: str) -> Callable[[LeadState, Context], Step]:
    def pressed(state: LeadState, context: Context) -> Step:
        field = _asked(state, context)
        told = known(field, context) if field and field.key == key else None
        if field is None or told is None:
            return Step(state, _repeat(state, context))
        return _give(state, field, told, context)

    return pressed


def _pressed_other_phone(state: LeadState, context: Context) -> Step:
    if state.asked != "phone":
        return Step(state, _repeat(state, context))
    return Step(state, (ask_other_phone(context),))


def _pressed_other(state: LeadState, context: Context) -> Step:
    return Step(state, _repeat(state, context))


_REPLIES: Final[Mapping[str, Callable[[LeadState, Context], Step]]] = {
    YES: _pressed_yes,
    NO: _pressed_no,
    SKIP: _pressed_skip,
    USE_NAME: _pressed_known("name"),
    USE_PHONE: _pressed_known("phone"),
    OTHER_PHONE: _pressed_other_phone,
}


# The form -------------------------------------------------------------------------------------------------


def _form_reply(state: LeadState, reply: FormReply, context: Context) -> Step:
    """A filled-in form, whenever it comes: it may have been open on the screen for days."""
    if reply.cancelled:
        return _pressed_no(state, context)
    typed = {field.key: reply.values.get(field.key, "") for field in wanted(context)}
    checked = {field.key: check(field, typed[field.key], context) for field in wanted(context)}
    errors = {key: error for key, (_, error) in checked.items()}
    passed = {key: value for key, (value, error) in checked.items() if error is None}
    ticked = reply.values.get(MARKETING_BOX) == TICKED
    if any(errors.values()):
        typed[MARKETING_BOX] = TICKED if ticked else ""
        return _wrong_form(replace(_consented(state, context), values=passed), typed, errors, context)
    # The words that the form was shown with, and no others; a form from before there was a box has none.
    shown = (state.marketing_text or None) if ticked else None
    if state.stage == "done" and passed == state.values:
        return Step(state, (Text(wording(context.language).have_details),), marketing=shown)
    done = _finish(replace(_consented(state, context), values=passed), context)
    return replace(done, marketing=shown)


def _wrong_form(
    state: LeadState, typed: dict[str, str], errors: dict[str, str | None], context: Context
) -> Step:
    state = replace(state, stage="form", tries=state.tries + 1, marketing_text=context.site.marketing or "")
    if state.tries >= TRIES:
        return _give_up(state, "phone" if errors.get("phone") else "form", context)
    return Step(state, (_form(context, typed, errors),))


def _form(context: Context, values: dict[str, str], errors: dict[str, str | None]) -> Form:
    words = wording(context.language)
    fields = form_fields(context, values, errors)
    return Form(words.form, fields, words.submit, words.cancel, _consent(context))


# Moves ----------------------------------------------------------------------------------------------------


def _begin(state: LeadState, context: Context, values: dict[str, str] | None = None) -> Step:
    values = values or {}
    state = replace(
        state,
        tries=0,
        asked=None,
        values=values,
        consent_text=_consent(context),
        consent_at=None,
        marketing_text=context.site.marketing or "" if context.forms else "",
    )
    if context.forms:
        return Step(replace(state, stage="form"), (_form(context, values, {}),))
    first = wanted(context)[0]
    asking = replace(state, stage="asking", asked=first.key)
    return Step(asking, (Text(state.consent_text), ask(first, context)))


def _give(state: LeadState, field: Wanted, value: str, context: Context) -> Step:
    state = _consented(state, context)
    return _advance(replace(state, values={**state.values, field.key: value}, tries=0), context)


def _advance(state: LeadState, context: Context) -> Step:
    """To the next field that was not answered; past the last one the lead is there."""
    for field in wanted(context):
        if field.key not in state.values:
            return Step(replace(state, stage="asking", asked=field.key), (ask(field, context),))
    return _finish(state, context)


def _finish(state: LeadState, context: Context) -> Step:
    state = replace(state, stage="done", asked=None, tries=0)
    draft = _draft(state, context)
    return Step(state, (Text(wording(context.language).thanks),), draft, consented=state.consent_text or None)


def _decline(state: LeadState, context: Context) -> Step:
    # What was typed so far was given for a lead that is not wanted any more.
    state = replace(state, stage="declined", asked=None, tries=0, values={}, consent_at=None)
    return Step(state, (Text(wording(context.language).declined),))


def _give_up(state: LeadState, key: str, context: Context) -> Step:
    words = wording(context.language)
    state = replace(state, stage="gave_up", asked=None, tries=0)
    return Step(state, (Text(words.gave_up if key == "phone" else words.left),))


def _repeat(state: LeadState, context: Context) -> tuple[Content, ...]:
    """The question that is out, asked once more. A form stays on the screen by itself."""
    field = _asked(state, context)
    return (ask(field, context),) if field else ()


def _field(key: str, context: Context) -> Wanted:
    return next(field for field in wanted(context) if field.key == key)


def _asked(state: LeadState, context: Context) -> Wanted | None:
    """The field asked for; None also when the site has stopped asking for it meanwhile."""
    if state.stage != "asking":
        return None
    return next((field for field in wanted(context) if field.key == state.asked), None)


# Consent and the lead -------------------------------------------------------------------------------------


def _consent(context: Context) -> str:
    return context.site.consent or wording(context.language).consent


def _consented(state: LeadState, context: Context) -> LeadState:
    """Consent is given by the first detail that is sent after the wording was shown."""
    return replace(
        state,
        consent_text=state.consent_text or _consent(context),
        consent_at=state.consent_at or context.now.isoformat(),
    )


def _draft(state: LeadState, context: Context) -> LeadDraft | None:
    phone = check_phone(state.values.get("phone", ""), None)
    if not isinstance(phone, Phone):
        return None
    extra = {key[2:]: value for key, value in state.values.items() if key.startswith("x:") and value}
    return LeadDraft(
        name=state.values.get("name", ""),
        phone=phone.e164,
        phone_kind=phone.kind,
        phone_region=phone.region,
        email=state.values.get("email") or None,
        fields=extra,
        question=state.question,
        consent_text=state.consent_text,
        consent_at=datetime.fromisoformat(state.consent_at) if state.consent_at else context.now,
    )


def _joined(before: str | None, question: str) -> str | None:
    """All questions that stayed open, a line each; asking the same again adds nothing."""
    asked = question.strip()
    if not asked or asked in (before or "").split("\n"):
        return before
    return f"{before}\n{asked}"[-MAX_QUESTION:] if before else asked[:MAX_QUESTION]
