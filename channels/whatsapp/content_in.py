"""What one WhatsApp message object says, as the model's content. Everything here is pure and never raises.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages and the page of
each kind below it.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from channels.kit import clean_text
from channels.read import items, mapping, raw, short_id, word
from gateway.model.content import (
    Contacts,
    Content,
    Deleted,
    Edit,
    FormReply,
    Location,
    Media,
    MediaKind,
    Order,
    OrderItem,
    Reaction,
    Reply,
    SharedContact,
    System,
    Text,
    Unsupported,
)

SPOKEN: Final = frozenset({"moved", "welcome"})
"""System events that the core acts on; every other one is only shown."""

_SILENT: Final = frozenset({"reaction", "edit", "revoke", "system"})
_MOST_PARTS: Final = 200
_MOST_TEXT: Final = 4096
_FILES: Final = frozenset({"image", "video", "audio", "document", "sticker"})
_VCARD: Final = re.compile(r"^(FN|TEL|EMAIL|ORG)(?:;[^:\r\n]*)?:([^\r\n]+)", re.MULTILINE)


def content(kind: str, message: Mapping[str, Any]) -> Content:
    """What a message of a kind says. What is not modelled, or lacks what matters, is Unsupported."""
    if message.get("group_id"):
        return Unsupported(f"group {kind}".strip()[:64], raw(message))
    read = _KINDS.get(kind)
    return (read(message) if read else None) or unsupported(kind, message)


def silent(kind: str, said: Content) -> bool:
    """Whether it happened rather than was said: an answer to it would be odd."""
    if isinstance(said, System):
        return said.event not in SPOKEN
    return kind in _SILENT


def context(message: Mapping[str, Any]) -> str | None:
    """The id of the message that this one answers."""
    return short_id(mapping(message.get("context")).get("id")) or None


def told(message: Mapping[str, Any]) -> dict[str, Any]:
    """What else was told: see `gateway.model.ports.InboundMessage`, and here `product` (the one asked about),
    `identity` (the hash of the customer's key changed), `flow_token` and `history` (how far it had come)."""
    if not message.keys() & _TOLD:
        return {}
    about, found = mapping(message.get("context")), dict[str, Any]()
    if about.get("forwarded") is True or about.get("frequently_forwarded") is True:
        found["forwarded"] = True
    if product := mapping(about.get("referred_product")):
        found["product"] = plain(product)
    if referral := mapping(message.get("referral")):
        found["referral"] = plain(referral)
    if identity := mapping(message.get("identity")):
        found["identity"] = plain(identity)
    if group := short_id(message.get("group_id")):
        found["group"] = group
    if status := word(mapping(message.get("history_context")).get("status")):
        found["history"] = status[:32].lower()
    if token := word(_form(message).get("flow_token")):
        found["flow_token"] = token[:_MOST_TEXT]
    return found


_TOLD: Final = {"context", "referral", "identity", "group_id", "history_context", "interactive"}


def plain(value: object, depth: int = 6) -> Any:
    """A value of theirs as we may store it: clean text, no odd keys or numbers, not deep and not long."""
    if isinstance(value, str):
        return clean_text(value)[:_MOST_TEXT]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)[:_MOST_TEXT]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not depth:
        return None
    if isinstance(value, list):
        return [plain(part, depth - 1) for part in value[:_MOST_PARTS]]
    pairs = list(mapping(value).items())[:_MOST_PARTS]
    return {key: plain(part, depth - 1) for name, part in pairs if (key := _key(name))}


def _key(name: str) -> str:
    return clean_text(name)[:128].replace(".", "_").lstrip("$")


def unsupported(kind: str, message: Mapping[str, Any]) -> Unsupported:
    if kind in ("interactive", "unsupported"):
        kind = word(mapping(message.get(kind)).get("type")) or kind
    errors = [mapping(error) for error in items(message.get("errors"))]
    code = word(errors[0].get("code"))[:16] if errors else ""
    return Unsupported(kind[:64] or "unknown", raw(message), f"whatsapp:{code}" if code else None)


# Words and buttons ----------------------------------------------------------------------------------------


def _text(message: Mapping[str, Any]) -> Content | None:
    text = message.get("text")
    body = word(text if isinstance(text, str) else mapping(text).get("body"))
    return Text(body) if body.strip() else None


def _interactive(message: Mapping[str, Any]) -> Content | None:
    interactive = mapping(message.get("interactive"))
    kind = word(interactive.get("type"))
    if kind in ("button_reply", "list_reply"):
        pressed = mapping(interactive.get(kind))
        return _reply(pressed.get("id"), pressed.get("title"), message)
    if kind == "nfm_reply":
        return _form_reply(message)
    if kind == "call_permission_reply":
        told = plain(mapping(interactive.get(kind)))
        accepted = told.get("response") == "accept"
        return System("call_permission", f"The customer {'allows' if accepted else 'refuses'} calls.", told)
    return None


def _button(message: Mapping[str, Any]) -> Content | None:
    """A quick-reply button of a template."""
    button = mapping(message.get("button"))
    return _reply(button.get("payload"), button.get("text"), message)


def _reply(pressed: object, title: object, message: Mapping[str, Any]) -> Reply | None:
    choice, shown = short_id(pressed), word(title)
    return Reply(choice or short_id(shown), shown or choice, context(message)) if choice or shown else None


def _form(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was filled into a flow or an address form: JSON in a string, in the JSON."""
    told = mapping(mapping(message.get("interactive")).get("nfm_reply")).get("response_json")
    try:
        return mapping(json.loads(told) if isinstance(told, str) else told)
    except (ValueError, RecursionError):
        return {}


def _form_reply(message: Mapping[str, Any]) -> Content | None:
    form = plain(_form(message))
    values = {name: _written(value) for name, value in form.items() if name != "flow_token"}
    return FormReply(values, context(message)) if form else None


def _written(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# Files, places, people, goods -----------------------------------------------------------------------------


def _file(kind: str) -> Callable[[Mapping[str, Any]], Content | None]:
    def read(message: Mapping[str, Any]) -> Content | None:
        found = _media(kind, mapping(message.get(kind)))
        return found if found.media_id else None

    return read


def _media(kind: str, file: Mapping[str, Any]) -> Media:
    spoken = kind == "audio" and file.get("voice") is True
    known: MediaKind = "voice" if spoken else kind  # type: ignore[assignment]
    return Media(
        media=known,
        mime=word(file.get("mime_type"))[:128],
        media_id=short_id(file.get("id")) or None,
        name=word(file.get("filename"))[:512] or None,
        caption=word(file.get("caption")) or None,
        size=_count(file.get("file_size")),
    )


def _count(value: object) -> int | None:
    digits = word(value)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else None


def _location(message: Mapping[str, Any]) -> Content | None:
    place = mapping(message.get("location"))
    latitude, longitude = _degrees(place.get("latitude"), 90), _degrees(place.get("longitude"), 180)
    if latitude is None or longitude is None:
        return None
    return Location(latitude, longitude, word(place.get("name")) or None, word(place.get("address")) or None)


def _degrees(value: object, most: float) -> float | None:
    try:
        degrees = (
            float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
        )
    except (ValueError, OverflowError):
        return None
    return degrees if abs(degrees) <= most else None


def _contacts(message: Mapping[str, Any]) -> Content | None:
    asked = message.get("origin") == "contact_request"
    cards = [mapping(card) for card in items(message.get("contacts"))[:_MOST_PARTS]]
    people = [_person(card, asked or card.get("origin") == "contact_request") for card in cards]
    told = tuple(person for person in people if person.name or person.phones or person.emails)
    return Contacts(told) if told else None


def _person(card: Mapping[str, Any], own: bool) -> SharedContact:
    written = {line[0]: line[1].strip() for line in _VCARD.findall(word(card.get("vcard"))[:65536])}
    phones = _each(card.get("phones"), "phone", "wa_id") or ((written["TEL"],) if "TEL" in written else ())
    emails = _each(card.get("emails"), "email") or ((written["EMAIL"],) if "EMAIL" in written else ())
    names = mapping(card.get("name"))
    given = " ".join(word(names.get(part)) for part in ("first_name", "last_name")).strip()
    name = word(names.get("formatted_name")) or given or written.get("FN", "") or (phones + emails + ("",))[0]
    company = word(mapping(card.get("org")).get("company")) or written.get("ORG", "").rstrip(";")
    return SharedContact(name, phones, emails, company or None, own)


def _each(found: object, *names: str) -> tuple[str, ...]:
    rows = [mapping(row) for row in items(found)[:_MOST_PARTS]]
    told = (next((word(row.get(name)) for name in names if word(row.get(name))), "") for row in rows)
    return tuple(value for value in told if value)


def _order(message: Mapping[str, Any]) -> Content | None:
    order = mapping(message.get("order"))
    rows = [mapping(row) for row in items(order.get("product_items"))[:_MOST_PARTS]]
    goods = tuple(
        OrderItem(
            product=short_id(row.get("product_retailer_id")),
            quantity=_count(row.get("quantity")) or 1,
            price=_amount(row.get("item_price")),
            currency=word(row.get("currency"))[:8],
        )
        for row in rows
        if short_id(row.get("product_retailer_id"))
    )
    return Order(short_id(order.get("catalog_id")), goods, word(order.get("text"))) if goods else None


def _amount(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e12 else word(value)[:32]


# What happened to a message, or to the customer -----------------------------------------------------------


def _reaction(message: Mapping[str, Any]) -> Content | None:
    reaction = mapping(message.get("reaction"))
    to = short_id(reaction.get("message_id"))
    return Reaction(word(reaction.get("emoji"))[:64], to) if to else None


def _edit(message: Mapping[str, Any]) -> Content | None:
    edit = mapping(message.get("edit"))
    to, after = short_id(edit.get("original_message_id")), mapping(edit.get("message"))
    kind = word(after.get("type"))
    # An edited picture may come with its new caption alone.
    changed = _media(kind, mapping(after.get(kind))) if kind in _FILES else content(kind, after)
    return Edit(to, changed) if to and isinstance(changed, Text | Media | Location) else None


def _revoke(message: Mapping[str, Any]) -> Content | None:
    to = short_id(mapping(message.get("revoke")).get("original_message_id"))
    return Deleted(to) if to else None


def _welcome(message: Mapping[str, Any]) -> Content | None:
    return System("welcome", "The customer opened the chat for the first time.")


def _system(message: Mapping[str, Any]) -> Content | None:
    system = mapping(message.get("system"))
    event = _EVENTS.get(word(system.get("type")))
    if event == "preference":
        return preference(word(system.get("marketing")), word(system.get("body")))
    text, told = word(system.get("body"))[:_MOST_TEXT], plain(system)
    told.pop("body", None)
    if event == "moved" and not any(new_addresses(message)):
        event = None
    return System(event, text, told) if event else None


_EVENTS: Final = {
    "user_changed_number": "moved",
    "customer_changed_number": "moved",
    "user_changed_user_id": "moved",
    "customer_identity_changed": "identity_changed",
    "user_identity_changed": "identity_changed",
    "user_preference_changed": "preference",
}


def new_addresses(message: Mapping[str, Any]) -> tuple[str, str, str]:
    """Of a customer who moved: the new phone number's WhatsApp id, the new business-scoped id, the old one."""
    system = mapping(message.get("system"))
    number = short_id(system.get("wa_id")) or short_id(system.get("new_wa_id"))
    return number, short_id(system.get("user_id")), short_id(system.get("previous_user_id"))


def preference(value: str, detail: str, data: Mapping[str, Any] | None = None) -> System | None:
    """The customer stopped or resumed marketing messages."""
    event = {"stop": "marketing_stopped", "resume": "marketing_resumed", "signup": "marketing_resumed"}.get(
        value.lower()
    )
    return System(event, detail[:_MOST_TEXT], dict(data) if data else None) if event else None


_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any]], Content | None]]] = {
    "text": _text,
    "interactive": _interactive,
    "button": _button,
    "location": _location,
    "contacts": _contacts,
    "order": _order,
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    "request_welcome": _welcome,
    "system": _system,
    **{kind: _file(kind) for kind in sorted(_FILES)},
}
