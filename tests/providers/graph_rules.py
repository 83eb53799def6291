"""The documented rules of `POST /{phone number id}/messages`, as far as Parley sends.

Lengths are counted in UTF-16 units, the strictest reading of "characters". Files:
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_USER = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
_LINK = re.compile(r"https?://[^\s/]+\S*")
_MB = 1024 * 1024
_OFFICE = "application/vnd.openxmlformats-officedocument."

MIMES: Mapping[str, tuple[frozenset[str], int]] = {
    "audio": (frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}), 16 * _MB),
    "image": (frozenset({"image/jpeg", "image/png"}), 5 * _MB),
    "sticker": (frozenset({"image/webp"}), 500 * 1024),
    "video": (frozenset({"video/mp4", "video/3gpp"}), 16 * _MB),
    "document": (
        frozenset(
            {
                "text/plain",
                "application/pdf",
                "application/msword",
                "application/vnd.ms-excel",
                "application/vnd.ms-powerpoint",
                f"{_OFFICE}wordprocessingml.document",
                f"{_OFFICE}spreadsheetml.sheet",
                f"{_OFFICE}presentationml.presentation",
            }
        ),
        100 * _MB,
    ),
}
"""By kind of message: the types of file that it takes, and the most bytes."""

Known = Callable[[str], tuple[str, int] | None]
"""The type and size of a file by its id, or None for one that was never uploaded."""


class Refusal(Exception):
    """What the API answers with: an error code and a sentence about the body's shape, never its content."""

    def __init__(self, code: int, details: str, status: int = 400, subcode: int = 0) -> None:
        super().__init__(details)
        self.code, self.details, self.status, self.subcode = code, details, status, subcode


def check_message(body: Mapping[str, Any], known: Known | None = None) -> None:
    """Raises Refusal for a body that the API would not take. `known` tells the files that it may name."""
    if body.get("messaging_product") != "whatsapp":
        raise Refusal(100, "messaging_product must be whatsapp")
    if "status" in body:
        _read_mark(body)
        return
    _recipient(body)
    kind = body.get("type", "text")
    if kind in MIMES:
        _media(kind, _mapping(body, kind), known)
    elif kind == "contacts":
        _contacts(_list(body, kind, 257))
    elif kind in _KINDS:
        _KINDS[kind](_mapping(body, kind))
    else:
        raise Refusal(131051, "type is not supported")
    if "context" in body:
        if kind == "reaction":
            raise Refusal(100, "a reaction takes no context")
        _string(_mapping(body, "context"), "message_id", 512)
    if "biz_opaque_callback_data" in body:
        _string(body, "biz_opaque_callback_data", 512)


def check_upload(mime: str, size: int) -> None:
    """Raises Refusal for a file that could be sent as nothing."""
    most = max((limit for mimes, limit in MIMES.values() if mime in mimes), default=None)
    if most is None:
        raise Refusal(100, "Param file must be a file with one of the listed types")
    if not 0 < size <= most:
        raise Refusal(131053, "the file is empty or too large")


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
    _only(text, "body", "preview_url")
    _string(text, "body", 4096)
    if not isinstance(text.get("preview_url", False), bool):
        raise Refusal(100, "preview_url must be a boolean")


# Files, places, people ------------------------------------------------------------------------------------

_MAY = {
    "image": ("caption",),
    "video": ("caption",),
    "document": ("caption", "filename"),
    "audio": ("voice",),
    "sticker": (),
}


def _media(kind: str, media: Mapping[str, Any], known: Known | None) -> None:
    _only(media, "id", "link", *_MAY[kind])
    if ("id" in media) == ("link" in media):
        raise Refusal(131009, "exactly one of id and link")
    if "caption" in media:
        _string(media, "caption", 1024)
    if "filename" in media:
        _string(media, "filename", 240)
    if not isinstance(media.get("voice", False), bool):
        raise Refusal(100, "voice must be a boolean")
    _source(kind, media, known)


def _source(kind: str, media: Mapping[str, Any], known: Known | None) -> None:
    if "link" in media:
        _link(media, "link")
        return
    file = known(_string(media, "id", 128)) if known else ("", 1)
    if file is None:
        raise Refusal(131009, "media id was not found")
    mimes, most = MIMES[kind]
    if file[0] and (file[0] not in mimes or file[1] > most):
        raise Refusal(131053, f"the file cannot be sent as {kind}")


def _location(place: Mapping[str, Any]) -> None:
    _only(place, "latitude", "longitude", "name", "address")
    for name, most in (("latitude", 90), ("longitude", 180)):
        value = place.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most:
            raise Refusal(131009, f"{name} is not valid")
    for name in place.keys() & {"name", "address"}:
        _string(place, name, 1000)


def _contacts(contacts: Sequence[Any]) -> None:
    for contact in contacts:
        name = _mapping(contact, "name")
        _string(name, "formatted_name", 4096)
        if not name.keys() & {"first_name", "last_name", "middle_name", "suffix", "prefix"}:
            raise Refusal(131008, "a part of the name is required")
        for group, field in (("phones", "phone"), ("emails", "email"), ("urls", "url")):
            for row in _list(contact, group, 20) if group in contact else ():
                _string(row, field, 512)
        if "org" in contact:
            _string(_mapping(contact, "org"), "company", 512)


def _reaction(reaction: Mapping[str, Any]) -> None:
    _only(reaction, "message_id", "emoji")
    _string(reaction, "message_id", 512)
    if not isinstance(reaction.get("emoji"), str) or len(reaction["emoji"]) > 16:
        raise Refusal(131009, "emoji is not valid")


# What can be pressed --------------------------------------------------------------------------------------


def _interactive(interactive: Mapping[str, Any]) -> None:
    _only(interactive, "type", "header", "body", "footer", "action")
    action, body, kind = (
        _mapping(interactive, "action"),
        _mapping(interactive, "body"),
        interactive.get("type"),
    )
    _string(body, "text", 4096 if kind == "list" else 1024)
    match kind:
        case "button":
            _buttons(_list(action, "buttons", 3))
        case "list":
            _string(action, "button", 20)
            _sections(_list(action, "sections", 10))
        case "cta_url":
            _named(action, "cta_url")
            _string(_mapping(action, "parameters"), "display_text", 20)
            _link(_mapping(action, "parameters"), "url")
        case "location_request_message":
            _named(action, "send_location")
        case "request_contact_info":
            _named(action, "request_contact_info")
        case "flow":
            _named(action, "flow")
            _flow(_mapping(action, "parameters"))
        case _:
            raise Refusal(131009, "interactive.type is not valid")


def _named(action: Mapping[str, Any], name: str) -> None:
    if action.get("name") != name:
        raise Refusal(131009, f"action.name must be {name}")


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


def _flow(flow: Mapping[str, Any]) -> None:
    if flow.get("flow_message_version") != "3":
        raise Refusal(131009, "flow_message_version must be 3")
    if ("flow_id" in flow) == ("flow_name" in flow):
        raise Refusal(131009, "exactly one of flow_id and flow_name")
    _string(flow, "flow_id" if "flow_id" in flow else "flow_name", 200)
    _string(flow, "flow_cta", 20)
    if "flow_token" in flow:
        _string(flow, "flow_token", 1024)
    if flow.get("mode", "published") not in ("draft", "published"):
        raise Refusal(131009, "mode is not valid")
    if flow.get("flow_action", "navigate") not in ("navigate", "data_exchange"):
        raise Refusal(131009, "flow_action is not valid")
    if "flow_action_payload" in flow:
        first = _mapping(flow, "flow_action_payload")
        if flow.get("flow_action") == "data_exchange":
            raise Refusal(131009, "flow_action_payload goes with navigate only")
        if "data" in first and not _mapping(first, "data"):
            raise Refusal(131009, "flow_action_payload.data must not be empty")


# Templates ------------------------------------------------------------------------------------------------


def _template(template: Mapping[str, Any]) -> None:
    _only(template, "name", "language", "components")
    if not re.fullmatch(r"[a-z0-9_]{1,512}", _string(template, "name", 512)):
        raise Refusal(132001, "the template's name is not valid")
    if not re.fullmatch(
        r"[a-z]{2,3}(_[A-Z]{2}|_[A-Z][a-z]{3})?", _string(_mapping(template, "language"), "code", 16)
    ):
        raise Refusal(132001, "the template's language is not valid")
    for component in _list(template, "components", 20) if "components" in template else ():
        _component(component, carousel=True)


_BUTTONS = frozenset(
    ["quick_reply", "url", "copy_code", "flow", "catalog", "mpm", "spm", "voice_call", "order_details", "otp"]
)


def _component(component: Any, carousel: bool) -> None:
    kind = component.get("type", "").lower() if isinstance(component, dict) else ""
    if kind in ("header", "body", "limited_time_offer", "order_status"):
        for parameter in _list(component, "parameters", 1024):
            _parameter(parameter)
    elif kind == "button":
        if str(component.get("sub_type", "")).lower() not in _BUTTONS:
            raise Refusal(132012, "a button's sub_type is not valid")
        if not re.fullmatch(r"\d", str(component.get("index", ""))):
            raise Refusal(132012, "a button's index is not valid")
        for parameter in _list(component, "parameters", 10) if "parameters" in component else ():
            _parameter(parameter)
    elif kind == "carousel" and carousel:
        for card in _list(component, "cards", 10):
            if not isinstance(card.get("card_index"), int):
                raise Refusal(132012, "card_index is required")
            for part in _list(card, "components", 10):
                _component(part, carousel=False)
    else:
        raise Refusal(132012, "a component's type is not valid")


def _parameter(parameter: Any) -> None:
    kind = parameter.get("type") if isinstance(parameter, dict) else None
    match kind:
        case "text" | "payload" | "coupon_code":
            _string(parameter, kind, 32768)
        case "image" | "video" | "document":
            media = _mapping(parameter, kind)
            if ("id" in media) == ("link" in media):
                raise Refusal(132012, "exactly one of id and link")
        case "currency":
            currency = _mapping(parameter, kind)
            if not isinstance(currency.get("amount_1000"), int) or len(_string(currency, "code", 3)) != 3:
                raise Refusal(132012, "currency is not valid")
            _string(currency, "fallback_value", 100)
        case "date_time":
            _string(_mapping(parameter, kind), "fallback_value", 100)
        case "location":
            place = _mapping(parameter, kind)
            if not {"latitude", "longitude"} <= place.keys():
                raise Refusal(132012, "location is not valid")
        case "limited_time_offer":
            if not isinstance(_mapping(parameter, kind).get("expiration_time_ms"), int):
                raise Refusal(132012, "expiration_time_ms is required")
        case "action" | "product" | "order_status":
            _mapping(parameter, kind)
        case _:
            raise Refusal(132012, "a parameter's type is not valid")


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "text": _text,
    "location": _location,
    "reaction": _reaction,
    "interactive": _interactive,
    "template": _template,
}


# Shapes ---------------------------------------------------------------------------------------------------


def _only(owner: Mapping[str, Any], *names: str) -> None:
    if odd := owner.keys() - set(names):
        raise Refusal(100, f"unexpected keys: {', '.join(sorted(odd))}")


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


def _link(owner: Any, name: str) -> None:
    if not _LINK.fullmatch(_string(owner, name, 2000)):
        raise Refusal(131009, f"{name} is not an address")


def _unique(values: Sequence[str], what: str) -> None:
    if len(set(values)) != len(values):
        raise Refusal(131009, f"{what} must be unique")
