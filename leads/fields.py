"""The fields of a lead: which there are, how they are asked, and whether an answer passes."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from gateway.model.content import Buttons, Choice, Content, FormField, Text
from leads.phone import Phone, check_phone, example_phone
from leads.state import Context
from leads.texts import Wording, wording
from leads.words import is_question

USE_NAME: Final = "lead:name"
USE_PHONE: Final = "lead:phone"
OTHER_PHONE: Final = "lead:other"
SKIP: Final = "lead:skip"
MARKETING_BOX: Final = "marketing"
TICKED: Final = "yes"

MAX_NAME_BYTES: Final = 16 * 1024
MAX_EXTRA: Final = 4000
TITLE: Final = 20
_EMAIL: Final = re.compile(r"[^\s@<>()\[\],;:\"]{1,64}@(?:[\w-]{1,63}\.)+[\w-]{2,63}")
_LONG_NAME: Final = 6
_LONG_ANSWER: Final = 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """One field. `key` is its name in the state, `label` what the form writes beside it."""

    key: str
    label: str
    kind: Literal["text", "phone", "email"]
    required: bool


def wanted(context: Context) -> tuple[Wanted, ...]:
    """The fields that this site asks for, in order."""
    words = wording(context.language)
    email = (Wanted("email", words.email, "email", False),) if context.site.ask_email else ()
    extra = tuple(Wanted(f"x:{f.name}", f.label, "text", f.required) for f in context.site.fields)
    return (
        Wanted("name", words.name, "text", True),
        Wanted("phone", words.phone, "phone", True),
        *email,
        *extra,
    )


def known(field: Wanted, context: Context) -> str | None:
    """What the channel already told for this field, if it would pass."""
    given = {"name": context.known_name, "phone": context.known_phone}.get(field.key)
    if not given:
        return None
    value, error = check(field, given, context)
    return None if error else value


# Asking ---------------------------------------------------------------------------------------------------


def ask(field: Wanted, context: Context) -> Content:
    """The question for one field, with a button where one tap can answer it."""
    words = wording(context.language)
    text = _question(field, words, context)
    told = known(field, context)
    if field.key == "phone" and told:
        return Buttons(words.confirm_phone.format(phone=told), _phone_choices(told, words))
    if field.key == "name" and told and _fits(told):
        return Buttons(text, (Choice(USE_NAME, told),))
    return Text(text) if field.required else Buttons(text, (Choice(SKIP, words.skip),))


def ask_other_phone(context: Context) -> Content:
    """The phone question for somebody who does not want to be reached on the known number."""
    words = wording(context.language)
    return Text(words.ask_phone.format(example=example_phone(context.phone_region)))


def _question(field: Wanted, words: Wording, context: Context) -> str:
    match field.key:
        case "name":
            return words.ask_name
        case "phone":
            return words.ask_phone.format(example=example_phone(context.phone_region))
        case "email":
            return words.ask_email
    return words.ask_extra.format(label=field.label)


def _phone_choices(phone: str, words: Wording) -> tuple[Choice, ...]:
    title = words.use_phone.format(phone=phone)
    return (Choice(USE_PHONE, title if _fits(title) else phone), Choice(OTHER_PHONE, words.other_phone))


def _fits(title: str) -> bool:
    return 0 < len(title.encode("utf-16-le")) // 2 <= TITLE


def form_fields(
    context: Context, values: dict[str, str], errors: dict[str, str | None]
) -> tuple[FormField, ...]:
    """The fields as a form, with what was typed and what was wrong with it; last the site's marketing box, if it has one."""
    asked = tuple(
        FormField(
            name=field.key,
            label=field.label,
            kind=field.kind,
            required=field.required,
            error=errors.get(field.key),
            value=values.get(field.key) or known(field, context) or "",
        )
        for field in wanted(context)
    )
    if not context.site.marketing:
        return asked
    ticked = TICKED if values.get(MARKETING_BOX) == TICKED else ""
    box = FormField(MARKETING_BOX, context.site.marketing, "checkbox", required=False, value=ticked)
    return (*asked, box)


# Checking -------------------------------------------------------------------------------------------------


def check(field: Wanted, answer: str, context: Context) -> tuple[str, str | None]:
    """The value that an answer gives, and None or a sentence that says what is wrong and how to fix it."""
    words = wording(context.language)
    answer = trim(answer)
    if not has_ink(answer) and field.key != "phone":
        return "", words.required if field.required else None
    match field.key:
        case "name":
            return answer, words.too_long if len(answer.encode()) > MAX_NAME_BYTES else None
        case "phone":
            return _checked_phone(answer, words, context)
        case "email":
            found = find_email(answer)
            return (found, None) if found else (answer, words.bad_email)
    return answer, words.too_long if len(answer) > MAX_EXTRA else None


def find_email(text: str) -> str | None:
    """The e-mail address in a text, if there is one that can be."""
    found = _EMAIL.search(text[:1000])
    passes = found and len(found[0]) <= 254 and ".." not in found[0]
    return found[0].strip(".") if found and passes else None


def _checked_phone(answer: str, words: Wording, context: Context) -> tuple[str, str | None]:
    phone = check_phone(answer, context.phone_region)
    if isinstance(phone, Phone):
        return phone.e164, None
    return answer, words.problems[phone].format(example=example_phone(context.phone_region))


def is_aside(field: Wanted, text: str) -> bool:
    """Whether a text obviously does not answer the field: a question, or far too many words for it."""
    if field.key.startswith("x:"):
        return is_question(text) and len(text.split()) > 2
    if is_question(text):
        return True
    words = text.split()
    if field.key == "name":
        # "María de los Ángeles de la Cruz García" is one name; capitals tell it from a sentence.
        capitals = sum(word[0].isupper() for word in words)
        return len(words) > _LONG_NAME and capitals * 2 < len(words)
    has_hint = any(char.isdecimal() or char == "@" for char in text)
    return (not has_hint and len(words) > _LONG_NAME) or len(words) > _LONG_ANSWER * 3


def trim(text: str) -> str:
    """The text without white space and control characters around it; inside, only what cannot be stored goes.

    Nothing else is touched: a name comes back byte for byte.
    """
    text = "".join(_storable(text))
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while end > start and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def _storable(text: str) -> Iterator[str]:
    return (char for char in text if char != "\x00" and not "\ud800" <= char <= "\udfff")


def _is_blank(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) == "Cc"


def has_ink(text: str) -> bool:
    """Whether anything of the text can be seen."""
    return any(unicodedata.category(char)[0] in "LNPS" for char in text)
