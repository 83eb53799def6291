"""Small forms of the tenant's own: a pure state machine that asks for one field after the other, checks each answer, and can be
left at any time.

    begin ─▶ asking ─▶ asking … ─▶ done
                └── "cancel", or three answers that do not pass ──▶ left

A question in between ("how long does it take?") is not for the form: the brain answers it, and the form asks again.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from gateway.model.answers import Ask, FormRule
from gateway.model.content import Buttons, Choice, Content, ListMenu, Reply, Text
from leads.fields import MAX_EXTRA, find_email, has_ink, trim
from leads.form_texts import FormWords, form_words
from leads.phone import Phone, check_phone, example_phone
from leads.texts import wording
from leads.words import fold, is_question, meaning

TRIES: Final = 3
BUTTONS: Final = 3
"""So many choices are buttons on every channel; more are a list."""

_NUMBER: Final = re.compile(r"-?\d+(?:[.,]\d+)?", re.ASCII)
_GROUPED: Final = re.compile(r"-?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
MAX_DIGITS: Final = 12
_DATE: Final = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})", re.ASCII)
_DAYS: Final = {
    "today hoy hoje اليوم": 0,
    "tomorrow manana amanha غدا": 1,
}


@dataclass(frozen=True, slots=True)
class FormState:
    """Where a form stands: which of its fields is asked for, what was given, and how many answers did not pass."""

    form: str
    place: int = 0
    values: tuple[tuple[str, str], ...] = ()
    tries: int = 0

    def to_doc(self) -> dict[str, Any]:
        """For `Conversation.form`."""
        return {
            "form": self.form,
            "place": self.place,
            "tries": self.tries,
            "values": [list(v) for v in self.values],
        }

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> "FormState | None":
        """What `to_doc` wrote; None where there is no form."""
        if not doc.get("form"):
            return None
        values = tuple((str(name), str(value)) for name, value in doc.get("values", ()))
        return cls(str(doc["form"]), int(doc.get("place", 0)), values, int(doc.get("tries", 0)))


@dataclass(frozen=True, slots=True)
class FormStep:
    """What one message led to. `state` None: the form is over; `done` holds its values then, unless it was left. `handled` false:
    the message was not for the form, and `say` follows what is answered to it."""

    state: FormState | None
    say: tuple[Content, ...] = ()
    done: tuple[tuple[str, str], ...] | None = None
    handled: bool = True


@dataclass(frozen=True, slots=True)
class FormContext:
    """What a form needs to know of the moment: `today` where the customer is, the `region` of phones without a prefix."""

    today: date
    language: str | None = None
    region: str | None = None


def begin(form: FormRule, context: FormContext) -> FormStep:
    """The first question."""
    state = FormState(form.name)
    return FormStep(state, (_ask(form, state, context),))


def step(
    form: FormRule, state: FormState, said: Text | Reply, context: FormContext, certain: bool = False
) -> FormStep:
    """What an answer leads to. Never raises for what a customer may send. `certain`: it is no question in between, whatever it
    looks like."""
    words = form_words(context.language)
    if state.place >= len(form.fields):  # the form was made shorter meanwhile
        return FormStep(None, (Text(form.done),), state.values)
    field = form.fields[state.place]
    answer = _answer(field, said)
    if answer is None:
        return FormStep(state, (_ask(form, state, context),), handled=False)
    means = meaning(answer)
    if "cancel" in means:
        return FormStep(None, (Text(words.left),))
    if not certain and isinstance(said, Text) and is_question(answer) and not _is_choice(field, answer):
        return FormStep(state, (_ask(form, state, context),), handled=False)
    if not field.required and means & {"skip", "no"} and not _is_choice(field, answer):
        return _next(form, state, field, "", context)
    value, wrong = check(field, answer, context, words)
    if not wrong:
        return _next(form, state, field, value, context)
    if state.tries + 1 >= TRIES:
        return FormStep(None, (Text(f"{wrong} {words.gave_up}"),))
    again = FormState(state.form, state.place, state.values, state.tries + 1)
    return FormStep(again, (Text(f"{wrong} {words.leave}"),))


def check(field: Ask, answer: str, context: FormContext, words: FormWords) -> tuple[str, str]:
    """The value that an answer gives, and what is wrong with it ("" if nothing is)."""
    answer = trim(answer)
    if not has_ink(answer):
        return "", wording(context.language).required
    match field.kind:
        case "email":
            found = find_email(answer)
            return (found, "") if found else ("", wording(context.language).bad_email)
        case "phone":
            phone = check_phone(answer, context.region)
            if isinstance(phone, Phone):
                return phone.e164, ""
            example = example_phone(context.region)
            return "", wording(context.language).problems[phone].format(example=example)
        case "number":
            return _number(field, answer, words)
        case "date":
            day = _day(answer, context)
            return (day.isoformat(), "") if day else ("", words.bad_date)
        case "choice":
            chosen = _chosen(field, answer)
            return (chosen, "") if chosen else ("", words.bad_choice.format(choices=", ".join(field.choices)))
    if len(answer) > MAX_EXTRA:
        return "", wording(context.language).too_long
    return answer, ""


def _ask(form: FormRule, state: FormState, context: FormContext) -> Content:
    field = form.fields[state.place]
    words = form_words(context.language)
    titles = [*field.choices] if field.kind == "choice" else []
    if not field.required:
        titles.append(wording(context.language).skip)
    if not titles:
        return Text(field.question)
    choices = tuple(Choice(f"form:{title}"[:200], title) for title in titles)
    if len(choices) <= BUTTONS:
        return Buttons(field.question, choices)
    return ListMenu(field.question, words.choose, choices)


def _next(form: FormRule, state: FormState, field: Ask, value: str, context: FormContext) -> FormStep:
    values = (*state.values, (field.name, value))
    after = FormState(state.form, state.place + 1, values)
    if after.place < len(form.fields):
        return FormStep(after, (_ask(form, after, context),))
    return FormStep(None, (Text(form.done),), values)


def _answer(field: Ask, said: Text | Reply) -> str | None:
    """The words of an answer; None for a button that is not the form's."""
    if isinstance(said, Text):
        return said.text
    return said.title if said.id.startswith("form:") else None


def _is_choice(field: Ask, answer: str) -> bool:
    return field.kind == "choice" and _chosen(field, answer) != ""


def _chosen(field: Ask, answer: str) -> str:
    said = fold(answer)
    return next((c for c in field.choices if fold(c) == said), "")


def _number(field: Ask, answer: str, words: FormWords) -> tuple[str, str]:
    found = _NUMBER.findall(_ascii(answer))
    # "1,000" is a thousand to some and one to others: it is asked for again, not guessed.
    plain = len(found) == 1 and len(found[0]) <= MAX_DIGITS and not _GROUPED.fullmatch(found[0])
    value = float(found[0].replace(",", ".")) if plain else None
    low = field.least is not None and value is not None and value < field.least
    high = field.most is not None and value is not None and value > field.most
    if value is None or low or high:
        least, most = _shown(field.least), _shown(field.most)
        bounds = words.between.format(least=least, most=most) if least and most else ""
        return "", " ".join(part for part in (words.bad_number, bounds) if part)
    return _shown(value), ""


def _ascii(text: str) -> str:
    """With the digits of every script as 0 to 9."""
    return "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in text)


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.12g}"


def _day(answer: str, context: FormContext) -> date | None:
    """ISO 8601; day, month, year (month first where the region is the United States); today and tomorrow."""
    answer = _ascii(answer)
    said = fold(answer)
    for names, ahead in _DAYS.items():
        if said in names.split():
            return context.today + timedelta(days=ahead)
    try:
        return date.fromisoformat(answer.strip())
    except ValueError:
        pass
    found = _DATE.fullmatch(answer.strip())
    if found is None:
        return None
    first, second, year = (int(part) for part in found.groups())
    day, month = (second, first) if context.region == "US" else (first, second)
    try:
        return date(year, month, day)
    except ValueError:
        return None
