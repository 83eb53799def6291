"""Templates, filled in: their variables, what the customer sees, what the provider is sent, and the same on other channels. Pure.

A variable's value is given under its key: `{{1}}` or `{{name}}` of the body under `1` or `name`; a numbered one of a text header
under `header.1` (each part counts from one); the file of a media header (an id of ours, the provider's id or an https address)
and the place of a location header (`latitude,longitude,name,address`) under `header`; what a button's address ends in, or the
code that it copies, under `button.N` (from one); and what a reply button sends back, which may be left out, under
`button.N.payload`.

https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/components
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/template-messages
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from gateway.model.content import Buttons, Choice, Content, Link, Location, Media, MediaKind, Text
from gateway.model.errors import Invalid
from gateway.model.template import Button, ButtonKind, Header, TemplateDef

VARIABLE: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
FILE: Final = re.compile(r"f_[a-z0-9]{24}", re.ASCII)
_MEDIA_ID: Final = re.compile(r"\d{1,32}", re.ASCII)
_MARKS: Final = re.compile(r"(?<![\w*_~])([*_~])(?=\S)([^\n]*?\S)\1(?![\w*_~])")
"""WhatsApp's own bold, italic and struck through, which elsewhere would stand there as signs."""
_BROKEN: Final = re.compile(r"[\n\r\t]|\s{5}")

MOST_VALUE: Final = 1024
MOST_CODE: Final = 15
MOST_PAYLOAD: Final = 256
MEDIA_KINDS: Final = ("image", "video", "document")

VariableKind = Literal["text", "url", "code", "payload", "image", "video", "document", "location"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One value that a template takes. `key`: where it is given; `shown`: as it stands in the template; `where`: for people."""

    key: str
    kind: VariableKind
    shown: str
    where: str
    example: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class ShownButton:
    kind: ButtonKind
    text: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the customer sees. `media` is the kind of the header's file or place, and which one it is."""

    body: str
    header: str = ""
    media: tuple[str, str] | None = None
    footer: str = ""
    buttons: tuple[ShownButton, ...] = ()

    @property
    def text(self) -> str:
        """As a person would read it out."""
        return "\n\n".join(part for part in (self.header, self.body, self.footer) if part)


def names(text: str) -> list[str]:
    """The names of the variables in a text, in order, each once."""
    return list(dict.fromkeys(VARIABLE.findall(text)))


def written(name: str) -> str:
    """A variable as it stands in a text."""
    return "{{" + name + "}}"


def is_named(template: TemplateDef) -> bool:
    """Whether its variables have names rather than numbers."""
    header = template.header.text if template.header and template.header.kind == "text" else ""
    return any(not name.isdecimal() for name in (*names(template.body), *names(header)))


def variables(template: TemplateDef) -> tuple[Variable, ...]:
    """Every value that a template takes, in the order in which a person sees them."""
    found: list[Variable] = []
    if template.header is not None:
        found += _of_header(template.header)
    if template.category == "AUTHENTICATION":
        return (*found, Variable("1", "code", "{{1}}", "the code", template.examples.get("1", "")))
    found += [
        Variable(n, "text", written(n), "the text", template.examples.get(n, ""))
        for n in names(template.body)
        if n not in {v.key for v in found}
    ]
    for number, button in enumerate(template.buttons, 1):
        found += _of_button(button, f"button.{number}")
    return tuple(found)


def _of_header(header: Header) -> list[Variable]:
    if header.kind != "text":
        example = header.example if header.kind != "location" else ""
        return [Variable("header", header.kind, "header", "the header", example)]
    return [
        Variable(f"header.{n}" if n.isdecimal() else n, "text", written(n), "the header", header.example)
        for n in names(header.text)
    ]


def _of_button(button: Button, key: str) -> list[Variable]:
    where = f"the button “{button.text}”"
    if button.kind == "url" and (found := names(button.value)):
        start = VARIABLE.split(button.value)[0]
        example = button.example.removeprefix(start)
        return [Variable(key, "url", written(found[0]), where, example)]
    if button.kind == "copy_code":
        return [Variable(key, "code", key, where, button.example or button.value)]
    if button.kind == "reply":
        return [Variable(f"{key}.payload", "payload", f"{key}.payload", where, required=False)]
    return []


def examples(template: TemplateDef) -> dict[str, str]:
    """The samples that a template was written with, by key; a variable without one shows itself."""
    return {v.key: v.example or v.shown for v in variables(template) if v.required}


def missing(template: TemplateDef, values: Mapping[str, str]) -> list[str]:
    """The keys of what has no value yet."""
    return [v.key for v in variables(template) if v.required and not values.get(v.key, "").strip()]


def checked(template: TemplateDef, values: Mapping[str, str]) -> dict[str, str]:
    """The values, each known to fit. Raises Invalid, naming the variable."""
    known = {v.key: v for v in variables(template)}
    for key in values:
        if key not in known:
            there = ", ".join(known) or "none: the template has no variables"
            raise Invalid(f"values.{key[:64]}", f"a variable of this template: {there}")
    found: dict[str, str] = {}
    for key, variable in known.items():
        value = values.get(key, "").strip()
        if not value:
            if variable.required:
                raise Invalid(f"values.{key}", f"a value for {variable.shown} in {variable.where}")
            continue
        _check_value(variable, value)
        found[key] = value
    return found


def _check_value(variable: Variable, value: str) -> None:
    field = f"values.{variable.key}"
    if variable.kind in MEDIA_KINDS:
        if not (FILE.fullmatch(value) or _MEDIA_ID.fullmatch(value) or value.startswith("https://")):
            raise Invalid(field, "the id of an uploaded file, or an https address")
    elif variable.kind == "location":
        _place(value)
    elif _BROKEN.search(value):
        # https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes (132018)
        raise Invalid(field, "a text on one line, without tabs and without more than four spaces together")
    elif variable.kind == "code" and len(value) > MOST_CODE:
        raise Invalid(field, f"a code of at most {MOST_CODE} characters")
    elif len(value) > (MOST_PAYLOAD if variable.kind == "payload" else MOST_VALUE):
        raise Invalid(
            field, f"at most {MOST_PAYLOAD if variable.kind == 'payload' else MOST_VALUE} characters"
        )


def _place(value: str) -> tuple[float, float, str, str]:
    parts = [p.strip() for p in value.split(",", 3)]
    try:
        latitude, longitude = float(parts[0]), float(parts[1])
    except (IndexError, ValueError):
        latitude = longitude = 999.0
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise Invalid("values.header", "a place: latitude,longitude,name,address")
    rest = [*parts[2:], "", ""]
    return latitude, longitude, rest[0], rest[1]


# What the customer sees -----------------------------------------------------------------------------------


def render(template: TemplateDef, values: Mapping[str, str]) -> Shown:
    """What the customer sees once the values are filled in. Raises Invalid, naming the variable."""
    return _rendered(template, checked(template, values))


def preview(template: TemplateDef, values: Mapping[str, str]) -> Shown:
    """The same for a draft: what is not given shows its sample, or the variable itself. Raises Invalid for a value without a
    variable."""
    known = examples(template)
    for key in values:
        if key not in {v.key for v in variables(template)}:
            raise Invalid(
                f"values.{key[:64]}", f"a variable of this template: {', '.join(known) or 'it has none'}"
            )
    return _rendered(template, {**known, **{k: v for k, v in values.items() if v.strip()}})


def _rendered(template: TemplateDef, given: Mapping[str, str]) -> Shown:
    header, media = "", None
    if template.header is not None and template.header.kind == "text":
        header = _filled(template.header.text, given, "header.")
    elif template.header is not None:
        media = (template.header.kind, given["header"])
    buttons = [_shown_button(b, n, given) for n, b in enumerate(template.buttons, 1)]
    body, footer = _filled(template.body, given), template.footer
    if template.category == "AUTHENTICATION":
        warns = " For your security, do not share this code." if template.security else ""
        body = body or f"{given['1']} is your verification code.{warns}"
        footer = footer or (f"This code expires in {template.expires} minutes." if template.expires else "")
    return Shown(body, header, media, footer, tuple(buttons))


def _filled(text: str, values: Mapping[str, str], prefix: str = "") -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        return values.get(prefix + name) or values.get(name, "")

    return VARIABLE.sub(value, text)


def _shown_button(button: Button, number: int, values: Mapping[str, str]) -> ShownButton:
    value = values.get(f"button.{number}", "")
    match button.kind:
        case "url":
            return ShownButton("url", button.text, VARIABLE.sub(lambda _: value, button.value))
        case "copy_code":
            return ShownButton("copy_code", button.text or "Copy code", value)
        case "otp":
            return ShownButton("otp", button.text or "Copy code", values.get("1", ""))
        case "reply":
            return ShownButton("reply", button.text, values.get(f"button.{number}.payload", ""))
    return ShownButton(button.kind, button.text, button.value)


# What the provider is sent --------------------------------------------------------------------------------


def components(template: TemplateDef, values: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """The components of a template message. A file of ours stands in them by its id: who sends it uploads it. Raises Invalid.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/authentication-templates/copy-code-button-authentication-templates
    """
    given = checked(template, values)
    if template.category == "AUTHENTICATION":
        code = [{"type": "text", "text": given["1"]}]
        button = {"type": "button", "sub_type": "url", "index": "0", "parameters": code}
        return ({"type": "body", "parameters": code}, *([button] if template.buttons else []))
    found: list[dict[str, Any]] = []
    named = is_named(template)
    if template.header is not None and (parameters := _header_parameters(template.header, given, named)):
        found.append({"type": "header", "parameters": parameters})
    if wanted := names(template.body):
        found.append({"type": "body", "parameters": [_text(n, given[n], named) for n in ordered(wanted)]})
    for number, b in enumerate(template.buttons, 1):
        found += _button_component(b, number, given)
    return tuple(found)


def ordered(wanted: Sequence[str]) -> list[str]:
    """Numbered ones by number, however they stand in the text."""
    return sorted(wanted, key=int) if all(n.isdecimal() for n in wanted) else list(wanted)


def _text(name: str, value: str, named: bool) -> dict[str, Any]:
    return {"type": "text", **({"parameter_name": name} if named else {}), "text": value}


def _header_parameters(header: Header, values: Mapping[str, str], named: bool) -> list[dict[str, Any]]:
    if header.kind == "text":
        return [_text(n, values.get(f"header.{n}") or values[n], named) for n in names(header.text)]
    value = values["header"]
    if header.kind == "location":
        latitude, longitude, name, address = _place(value)
        place = {"latitude": str(latitude), "longitude": str(longitude), "name": name, "address": address}
        return [{"type": "location", "location": place}]
    file = {"link": value} if value.startswith("https://") else {"id": value}
    return [{"type": header.kind, header.kind: file}]


def _button_component(button: Button, number: int, values: Mapping[str, str]) -> list[dict[str, Any]]:
    start = {"type": "button", "index": str(number - 1)}
    value = values.get(f"button.{number}")
    if button.kind == "url" and value is not None:
        return [{**start, "sub_type": "url", "parameters": [{"type": "text", "text": value}]}]
    if button.kind == "copy_code" and value is not None:
        parameter = {"type": "coupon_code", "coupon_code": value}
        return [{**start, "sub_type": "copy_code", "parameters": [parameter]}]
    if button.kind == "reply" and (payload := values.get(f"button.{number}.payload")):
        parameter = {"type": "payload", "payload": payload}
        return [{**start, "sub_type": "quick_reply", "parameters": [parameter]}]
    if button.kind == "flow":
        return [{**start, "sub_type": "flow"}]
    return []


# Other channels -------------------------------------------------------------------------------------------


def plain(template: TemplateDef, values: Mapping[str, str]) -> list[Content]:
    """The same as plain content, for a channel without templates: `channels.degrade` makes of it what the channel can show.
    Raises Invalid."""
    shown = render(replace(template, body=_MARKS.sub(r"\2", template.body)), values)
    text, parts = shown.text, list[Content]()
    if shown.media is not None:
        parts.append(_header_content(*shown.media))
    links = [b for b in shown.buttons if b.kind == "url"]
    replies = [b for b in shown.buttons if b.kind == "reply"]
    if len(links) == 1 and not replies:
        text = _with_lines(text, [b for b in shown.buttons if b not in links])
        return [*parts, Link(text, links[0].text, links[0].value)]
    text = _with_lines(text, [b for b in shown.buttons if b not in replies])
    if replies:
        choices = tuple(Choice(b.value or b.text, b.text) for b in replies)
        return [*parts, Buttons(text, choices)]
    return [*parts, Text(text)]


def _with_lines(text: str, buttons: Sequence[ShownButton]) -> str:
    lines = [f"{b.text}: {b.value}" for b in buttons if b.value]
    return "\n\n".join([text, "\n".join(lines)]) if lines else text


def _header_content(kind: str, value: str) -> Content:
    if kind == "location":
        latitude, longitude, name, address = _place(value)
        return Location(latitude, longitude, name or None, address or None)
    media: MediaKind = "image" if kind == "image" else "video" if kind == "video" else "document"
    if FILE.fullmatch(value):
        return Media(media, file=value)
    if value.startswith("https://"):
        return Media(media, url=value)
    raise Invalid(
        "values.header",
        "the id of an uploaded file, or an https address: the provider's own ids hold there only",
    )


# Languages ------------------------------------------------------------------------------------------------


def pick(candidates: Iterable[TemplateDef], wanted: Sequence[str]) -> TemplateDef | None:
    """Of one template in several languages the one to send: for each wanted language in turn exactly that one, else its base
    (`pt` for `pt_BR`), else another of the same base; then any, in the order given. None when there is none."""
    found = list(candidates)
    for language in wanted:
        tag = normal(language)
        near = [(t, _nearness(normal(t.language), tag)) for t in found if tag]
        nearest = min((n for _, n in near), default=FAR)
        if nearest < FAR:
            return next(t for t, n in near if n == nearest)
    return found[0] if found else None


FAR: Final = 3


def _nearness(language: str, wanted: str) -> int:
    base = wanted.split("_")[0]
    return (
        0 if language == wanted else 1 if language == base else 2 if language.split("_")[0] == base else FAR
    )


def normal(language: str) -> str:
    """A language as the provider writes it: `pt_BR` for `pt-br`."""
    first, *rest = language.replace("-", "_").split("_")
    return "_".join([first.lower(), *(r.upper() for r in rest)])
