"""The documented rules of `POST /{phone number id}/messages`, as far as Parley sends.

Lengths are counted in UTF-16 units, the strictest reading of "characters".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_USER = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")


class Refusal(Exception):
    """What the API answers with: an error code and a sentence about the body's shape, never its content."""

    def __init__(self, code: int, details: str, status: int = 400, subcode: int = 0) -> None:
        super().__init__(details)
        self.code, self.details, self.status, self.subcode = code, details, status, subcode


def check_message(body: Mapping[str, Any]) -> None:
    """Raises Refusal for a body that the API would not take."""
    if body.get("messaging_product") != "whatsapp":
        raise Refusal(100, "messaging_product must be whatsapp")
    if "status" in body:
        _read_mark(body)
        return
    _recipient(body)
    kind = body.get("type", "text")
    check = _KINDS.get(kind)
    if check is None:
        raise Refusal(131051, "type is not supported")
    check(_mapping(body, kind))
    if "context" in body:
        _string(_mapping(body, "context"), "message_id", 512)
    if "biz_opaque_callback_data" in body:
        _string(body, "biz_opaque_callback_data", 512)


def _read_mark(body: Mapping[str, Any]) -> None:
    if body["status"] != "read":
        raise Refusal(100, "status must be read")
    _string(body, "message_id", 512)
    if "typing_indicator" in body and _mapping(body, "typing_indicator").get("type") != "text":
        raise Refusal(100, "typing_indicator.type must be text")


def _recipient(body: Mapping[str, Any]) -> None:
    to, user = body.get("to"), body.get("recipient")
    if not to and not user:
        raise Refusal(131008, "to is required")
    if to and not re.fullmatch(r"\+?\d{5,20}", str(to)):
        raise Refusal(131009, "to is not a phone number")
    if user and not _USER.fullmatch(str(user)):
        raise Refusal(131009, "recipient is not a business-scoped user id")
    if body.get("recipient_type", "individual") != "individual":
        raise Refusal(131009, "recipient_type is not valid")


def _text(text: Mapping[str, Any]) -> None:
    _string(text, "body", 4096)
    if not isinstance(text.get("preview_url", False), bool):
        raise Refusal(100, "preview_url must be a boolean")


def _interactive(interactive: Mapping[str, Any]) -> None:
    action, body = _mapping(interactive, "action"), _mapping(interactive, "body")
    match interactive.get("type"):
        case "button":
            _string(body, "text", 1024)
            _buttons(_list(action, "buttons", 3))
        case "list":
            _string(body, "text", 4096)
            _string(action, "button", 20)
            _sections(_list(action, "sections", 10))
        case _:
            raise Refusal(131009, "interactive.type is not valid")


def _buttons(buttons: Sequence[Any]) -> None:
    replies = [_mapping(button, "reply") for button in buttons]
    if any(button.get("type") != "reply" for button in buttons):
        raise Refusal(131009, "a button's type must be reply")
    for reply in replies:
        _string(reply, "title", 20)
        if _string(reply, "id", 256).strip() != reply["id"]:
            raise Refusal(131009, "a button's id begins or ends with a space")
    _unique([reply["id"] for reply in replies], "button ids")
    _unique([reply["title"] for reply in replies], "button titles")


def _sections(sections: Sequence[Any]) -> None:
    rows = [row for section in sections for row in _list(section, "rows", 10)]
    if len(rows) > 10:
        raise Refusal(131009, "more than 10 rows")
    if len(sections) > 1:
        for section in sections:
            _string(section, "title", 24)
    for row in rows:
        _string(row, "id", 200)
        _string(row, "title", 24)
        if "description" in row:
            _string(row, "description", 72)
    _unique([row["id"] for row in rows], "row ids")


def _template(template: Mapping[str, Any]) -> None:
    _string(template, "name", 512)
    _string(_mapping(template, "language"), "code", 16)


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "text": _text,
    "interactive": _interactive,
    "template": _template,
}


def _mapping(owner: Any, name: str) -> Mapping[str, Any]:
    value = owner.get(name) if isinstance(owner, dict) else None
    if not isinstance(value, dict):
        raise Refusal(131008, f"{name} is required")
    return value


def _list(owner: Any, name: str, most: int) -> Sequence[Any]:
    value = owner.get(name) if isinstance(owner, dict) else None
    if not isinstance(value, list) or not value:
        raise Refusal(131008, f"{name} is required")
    if len(value) > most:
        raise Refusal(131009, f"{name} has more than {most}")
    return value


def _string(owner: Any, name: str, most: int) -> str:
    value = owner.get(name) if isinstance(owner, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise Refusal(131008, f"{name} is required")
    if len(value.encode("utf-16-le", "surrogatepass")) // 2 > most:
        raise Refusal(131009, f"{name} is longer than {most}")
    return value


def _unique(values: Sequence[str], what: str) -> None:
    if len(set(values)) != len(values):
        raise Refusal(131009, f"{what} must be unique")
