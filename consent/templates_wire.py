"""A template as the provider takes and tells it, and as people write it in a file. Pure.

https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-management
https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/components
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, Final

from consent.templates import VARIABLE, is_named, names, ordered
from gateway.model.errors import Invalid
from gateway.model.template import (
    CATEGORIES,
    EDITABLE,
    STATES,
    Button,
    ButtonKind,
    Category,
    Header,
    HeaderKind,
    TemplateDef,
    template_id,
)

_KINDS: Final[Mapping[str, ButtonKind]] = {
    "QUICK_REPLY": "reply",
    "URL": "url",
    "PHONE_NUMBER": "phone",
    "COPY_CODE": "copy_code",
    "OTP": "otp",
    "FLOW": "flow",
}
_TYPES: Final = {kind: name for name, kind in _KINDS.items()}
_FORMATS: Final[Mapping[str, HeaderKind]] = {
    "TEXT": "text",
    "IMAGE": "image",
    "VIDEO": "video",
    "DOCUMENT": "document",
    "LOCATION": "location",
}
_UNSAFE: Final = re.compile("[\x00\ud800-\udfff]")
MOST_MINUTES: Final = 100_000

_OTHER_OPTIONS: Final = frozenset(
    {"supported_apps", "autofill_text", "package_name", "signature_hash", "flow_json"}
)


# Out ------------------------------------------------------------------------------------------------------


def definition(template: TemplateDef, handle: str | None = None) -> dict[str, Any]:
    """The body of the call that creates a template. `handle` stands for the header's sample file."""
    named = is_named(template)
    return {
        "name": template.name,
        "language": template.language,
        "category": template.category,
        "parameter_format": "NAMED" if named else "POSITIONAL",
        "components": _components(template, handle, named),
    }


def change(template: TemplateDef, handle: str | None = None, category: bool = False) -> dict[str, Any]:
    """The body of the call that edits one; its category only where it is not approved, and so may be changed."""
    body = definition(template, handle)
    wanted = ("category", "components") if category else ("components",)
    return {name: body[name] for name in wanted}


def _components(t: TemplateDef, handle: str | None, named: bool) -> list[dict[str, Any]]:
    if t.category == "AUTHENTICATION":
        return _code_components(t)
    found: list[dict[str, Any]] = []
    if t.header is not None:
        found.append(_header(t.header, handle, named))
    body: dict[str, Any] = {"type": "BODY", "text": t.body}
    if wanted := names(t.body):
        body["example"] = _samples("body_text", wanted, t.examples, named)
    found.append(body)
    if t.footer:
        found.append({"type": "FOOTER", "text": t.footer})
    if t.buttons:
        found.append({"type": "BUTTONS", "buttons": [_button(b) for b in t.buttons]})
    return found


def _samples(what: str, wanted: Sequence[str], given: Mapping[str, str], named: bool) -> dict[str, Any]:
    if named:
        return {f"{what}_named_params": [{"param_name": n, "example": given.get(n, "")} for n in wanted]}
    samples = [given.get(n, "") for n in ordered(wanted)]
    return {what: samples if what == "header_text" else [samples]}


def _header(header: Header, handle: str | None, named: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "HEADER", "format": header.kind.upper()}
    if header.kind == "text":
        told["text"] = header.text
        if wanted := names(header.text):
            told["example"] = _samples("header_text", wanted, {wanted[0]: header.example}, named)
    elif header.kind != "location":
        told["example"] = {"header_handle": [handle or header.example]}
    return told


def _button(b: Button) -> dict[str, Any]:
    told: dict[str, Any] = {"type": _TYPES[b.kind], "text": b.text}
    match b.kind:
        case "url":
            told["url"] = b.value
            if VARIABLE.search(b.value):
                told["example"] = [b.example]
        case "phone":
            told["phone_number"] = b.value
        case "copy_code":
            return {"type": "COPY_CODE", "example": b.example or b.value}
        case "flow":
            told["flow_id"] = b.value
    return told


def _code_components(t: TemplateDef) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"type": "BODY", "add_security_recommendation": t.security}]
    if t.expires is not None:
        found.append({"type": "FOOTER", "code_expiration_minutes": t.expires})
    button: dict[str, Any] = {"type": "OTP", "otp_type": "COPY_CODE"}
    if t.buttons and t.buttons[0].text:
        button["text"] = t.buttons[0].text
    return [*found, {"type": "BUTTONS", "buttons": [button]}]


# In -------------------------------------------------------------------------------------------------------


def read(row: Mapping[str, Any], tenant: str, account: str, now: datetime) -> TemplateDef | None:
    """A row of the provider's list; None for what has no name. What is not modelled stands in `raw`, whole, so that nobody
    edits what they can't see."""
    name, language = _str(row, "name")[:512], _str(row, "language")[:16]
    if not name or not language:
        return None
    category = _str(row, "category").upper()
    parts = [p for p in _list(row.get("components")) if isinstance(p, Mapping)]
    is_code = category == "AUTHENTICATION"
    found = TemplateDef(
        id=template_id(tenant, account, name, language),
        tenant=tenant,
        account=account,
        name=name,
        language=language,
        # One that nobody has heard of: as what is allowed least.
        category=category if category in CATEGORIES else "MARKETING",
        body="",
        updated=now,
        state=state(_str(row, "status")),
        quality=_quality(row),
        reason=_reason(row),
        remote=_str(row, "id")[:64] or None,
        synced=now,
    )
    strange = category not in CATEGORIES
    for part in parts:
        kind = _str(part, "type").upper()
        if kind == "HEADER" and _str(part, "format").upper() in _FORMATS:
            found = replace(found, header=_read_header(part))
        elif kind == "BODY":
            found = replace(
                found,
                body=_str(part, "text"),
                examples=_read_examples(part),
                security=part.get("add_security_recommendation") is True,
            )
        elif kind == "FOOTER":
            minutes = part.get("code_expiration_minutes")
            found = replace(
                found, footer=_str(part, "text"), expires=minutes if isinstance(minutes, int) else None
            )
        elif kind == "BUTTONS":
            buttons = [_read_button(b, is_code) for b in _list(part.get("buttons"))]
            found = replace(found, buttons=tuple(b for b in buttons if b is not None))
            strange |= len(found.buttons) != len(buttons)
        else:
            strange = True
    return replace(found, raw={"components": parts}) if strange else found


def _read_header(part: Mapping[str, Any]) -> Header:
    kind, example = _FORMATS[_str(part, "format").upper()], _dict(part.get("example"))
    if kind != "text":
        handles = _list(example.get("header_handle"))
        return Header(kind, example=str(handles[0])[:2000] if handles else "")
    named = [_dict(p) for p in _list(example.get("header_text_named_params"))]
    given = [_str(p, "example") for p in named] or [str(v) for v in _list(example.get("header_text"))]
    return Header("text", _str(part, "text"), given[0] if given else "")


def _read_examples(part: Mapping[str, Any]) -> dict[str, str]:
    example, wanted = _dict(part.get("example")), names(_str(part, "text"))
    named = {
        _str(_dict(p), "param_name"): _str(_dict(p), "example")
        for p in _list(example.get("body_text_named_params"))
    }
    if named:
        return {n: named.get(n, "") for n in wanted}
    rows = _list(example.get("body_text"))
    given = [str(v) for v in (rows[0] if rows and isinstance(rows[0], list) else rows)]
    return dict(zip(ordered(wanted), given, strict=False))


def _read_button(value: object, is_code: bool) -> Button | None:
    b = _dict(value)
    kind = _KINDS.get(_str(b, "type").upper())
    text = _str(b, "text")
    if kind is None or _OTHER_OPTIONS & b.keys() or _str(b, "otp_type").upper() in ("ONE_TAP", "ZERO_TAP"):
        return None
    if is_code and kind in ("otp", "url", "copy_code"):
        # A button that was made as OTP is told as URL.
        return Button("otp", text, "COPY_CODE")
    example = b.get("example")
    sample = str(example[0]) if isinstance(example, list) and example else str(example or "")
    match kind:
        case "url":
            return Button("url", text, _str(b, "url"), sample)
        case "phone":
            return Button("phone", text, _str(b, "phone_number"))
        case "copy_code":
            return Button("copy_code", text, sample, sample)
        case "flow":
            return Button("flow", text, _str(b, "flow_id"))
    return Button(kind, text)


def state(told: str) -> str:
    """A state as we keep it; one that nobody has heard of is as good as none: it is not to be sent."""
    known = told.upper()
    return known if known in STATES and known != "DRAFT" else "PENDING"


def _quality(row: Mapping[str, Any]) -> str:
    score = _str(_dict(row.get("quality_score")), "score").upper()
    return score if score in ("GREEN", "YELLOW", "RED") else ""


def _reason(row: Mapping[str, Any]) -> str:
    reason = _str(row, "rejected_reason")
    return "" if reason.upper() == "NONE" else reason[:500].replace("_", " ").lower()


def _str(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return (
        found.replace("\x00", "") if isinstance(found, str) else str(found) if isinstance(found, int) else ""
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# As people write it ---------------------------------------------------------------------------------------


def to_draft(template: TemplateDef) -> dict[str, Any]:
    """What a person writes of a template, JSON-ready."""
    header = asdict(template.header) if template.header else None
    return {
        "category": template.category,
        "header": header,
        "body": template.body,
        "footer": template.footer,
        "buttons": [asdict(b) for b in template.buttons],
        "examples": dict(template.examples),
        "security": template.security,
        "expires": template.expires,
    }


def with_draft(template: TemplateDef, draft: Mapping[str, Any] | None = None) -> TemplateDef:
    """The template as it is once its draft (or this one) is in use. Raises Invalid, naming the field."""
    given = template.draft if draft is None else draft
    change: dict[str, Any] = {}
    for name, value in given.items():
        if name not in EDITABLE:
            raise Invalid(name[:64], "one of " + ", ".join(EDITABLE))
        change[name] = _READ[name](name, value)
    return replace(template, **change)


def _category(field: str, value: object) -> Category:
    told = str(value).upper()
    if told not in CATEGORIES:
        raise Invalid(field, "one of " + ", ".join(CATEGORIES))
    return told


def _a_text(field: str, value: object) -> str:
    if not isinstance(value, str) or _UNSAFE.search(value) or len(value) > 32_768:
        raise Invalid(field, "a text")
    return value


def _a_header(field: str, value: object) -> Header | None:
    if value is None:
        return None
    given = _part(field, value, Header)
    if given.get("kind") not in _FORMATS.values():
        raise Invalid(f"{field}.kind", "one of " + ", ".join(_FORMATS.values()))
    return Header(**given)


def _some_buttons(field: str, value: object) -> tuple[Button, ...]:
    if not isinstance(value, list | tuple) or len(value) > 50:
        raise Invalid(field, "a list of buttons")
    found = []
    for number, item in enumerate(value, 1):
        given = {"text": "", **_part(f"{field}.{number}", item, Button)}
        if given.get("kind") not in _TYPES:
            raise Invalid(f"{field}.{number}.kind", "one of " + ", ".join(_TYPES))
        found.append(Button(**given))
    return tuple(found)


def _part(field: str, value: object, kind: type[Header] | type[Button]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid(field, "an object")
    known = {f.name for f in fields(kind)}
    for name in value:
        if name not in known:
            raise Invalid(f"{field}.{str(name)[:64]}", "one of " + ", ".join(sorted(known)))
    return {name: _a_text(f"{field}.{name}", part) for name, part in value.items()}


def _some_examples(field: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise Invalid(field, "a sample for each variable")
    return {(name := _a_text(field, n)): _a_text(f"{field}.{name[:64]}", v) for n, v in value.items()}


def _a_flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Invalid(field, "true or false")
    return value


def _minutes(field: str, value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_MINUTES:
        raise Invalid(field, "a number of minutes")
    return value


_READ: Final[Mapping[str, Any]] = {
    "category": _category,
    "header": _a_header,
    "body": _a_text,
    "footer": _a_text,
    "buttons": _some_buttons,
    "examples": _some_examples,
    "security": _a_flag,
    "expires": _minutes,
}
