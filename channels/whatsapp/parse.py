"""WhatsApp webhook bodies to the model: every entry, every change, every message and every status.

Payloads: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
and, for people without a visible phone number,
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from channels.kit import clean_name
from channels.whatsapp.errors import failure
from channels.whatsapp.read import instant, items, load, mapping, raw, short_id, word
from gateway.model.content import Content, Reply, Text, Unsupported
from gateway.model.conversation import Identity
from gateway.model.message import Receipt, Status, stable_id
from gateway.model.ports import InboundMessage, Parsed

SILENT: Final = frozenset({"reaction", "system", "revoke", "request_welcome"})
"""Things that happened rather than were said: stored and shown, but an answer to them would be odd."""

_STATUSES: Final = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "played": Status.READ,
    "failed": Status.FAILED,
}
_OUR_ID: Final = re.compile(r"m_[a-z2-7]{24}", re.ASCII)
_PHONE: Final = re.compile(r"\+?[\d\s().-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of one entry, with where it stands: `place` makes an id when nothing else can."""

    waba: str
    number: str
    field: str
    value: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class _Found:
    messages: list[InboundMessage] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sender:
    identity: Identity
    name: str | None
    phone: str | None
    aliases: tuple[Identity, ...]


def accounts(body: bytes) -> Sequence[str]:
    """The phone number ids that the body speaks of, each once, in order. Raises NotForUs."""
    return tuple(dict.fromkeys(change.number for change in _changes(body) if change.number))


def parse(account: str, body: bytes, now: datetime) -> Parsed:
    """What an authentic body holds for the phone number id `account`. Raises NotForUs and nothing else.

    `now` stands in for times that are missing or absurd.
    """
    found = _Found()
    for change in _changes(body):
        if change.number == account and change.field in ("messages", ""):
            _read_messages(change, found, now)
            _read_statuses(change, found, now)
            found.ignored.extend(_value_errors(change.value))
        elif change.number in (account, ""):
            # Events about the business account itself name no phone number.
            found.ignored.append(change.field[:64] or "unknown")
    return Parsed(tuple(found.messages), tuple(found.receipts), tuple(found.ignored))


def _changes(body: bytes) -> Iterator[_Change]:
    payload = load(body)
    digest = hashlib.sha256(body).hexdigest()
    for i, entry in enumerate(items(payload.get("entry"))):
        for j, change in enumerate(items(mapping(entry).get("changes"))):
            value = mapping(mapping(change).get("value"))
            yield _Change(
                waba=short_id(mapping(entry).get("id")),
                number=short_id(mapping(value.get("metadata")).get("phone_number_id")),
                field=word(mapping(change).get("field")),
                value=value,
                place=f"{digest}.{i}.{j}",
            )


def _value_errors(value: Mapping[str, Any]) -> Iterator[str]:
    for error in items(value.get("errors")):
        yield f"error {word(mapping(error).get('code'))[:16]}".strip()


# Messages -------------------------------------------------------------------------------------------------


def _read_messages(change: _Change, found: _Found, now: datetime) -> None:
    for k, item in enumerate(items(change.value.get("messages"))):
        message = mapping(item)
        sender = _sender(change, message)
        if sender is None:
            found.ignored.append("message without a sender")
            continue
        kind = word(message.get("type"))
        content = _content(kind, message)
        found.messages.append(
            InboundMessage(
                provider_id=_message_id(message, f"{change.place}.{k}"),
                identity=sender.identity,
                address=sender.identity.id,
                at=instant(message.get("timestamp"), now),
                content=content,
                name=sender.name,
                phone=sender.phone,
                aliases=sender.aliases,
                reply_to=_context(message),
                # A group is not ours to answer in: the answer would go to one member alone.
                silent=kind in SILENT or bool(message.get("group_id")),
            )
        )


def _message_id(message: Mapping[str, Any], place: str) -> str:
    given = short_id(message.get("id"))
    # The same message delivered again must get the same id, however it is bundled then.
    return given or stable_id("noid", raw(message) or place)


def _context(message: Mapping[str, Any]) -> str | None:
    return short_id(mapping(message.get("context")).get("id")) or None


def _sender(change: _Change, message: Mapping[str, Any]) -> _Sender | None:
    said_from, user = short_id(message.get("from")), short_id(message.get("from_user_id"))
    user = user or short_id(message.get("user_id"))
    contact = _contact(change.value, said_from, user)
    said_from = said_from or short_id(contact.get("wa_id"))
    user = user or short_id(contact.get("user_id"))
    digits = _digits(said_from)
    if said_from and not digits:
        user, said_from = user or said_from, ""
    scoped = Identity("whatsapp", change.waba or change.number, user) if user else None
    profile = mapping(contact.get("profile"))
    name = clean_name(word(profile.get("name"))) or clean_name(word(profile.get("username")))
    if digits:
        aliases = (scoped,) if scoped else ()
        return _Sender(Identity("whatsapp", "", digits), name, f"+{digits}", aliases)
    return _Sender(scoped, name, None, ()) if scoped else None


def _contact(value: Mapping[str, Any], said_from: str, user: str) -> Mapping[str, Any]:
    """The sender's own entry of `contacts`. A lone one is theirs even if the numbers differ: in some
    countries a WhatsApp id is not the phone number."""
    contacts = [mapping(item) for item in items(value.get("contacts"))]
    for contact in contacts:
        if said_from and short_id(contact.get("wa_id")) == said_from:
            return contact
        if user and short_id(contact.get("user_id")) == user:
            return contact
    return contacts[0] if len(contacts) == 1 else {}


def _digits(text: str) -> str:
    """The digits of a phone number however it is written; "" for what is not one. Never checked further:
    some valid ids fail every validity test."""
    return re.sub(r"\D", "", text) if _PHONE.fullmatch(text) else ""


def _content(kind: str, message: Mapping[str, Any]) -> Content:
    if message.get("group_id"):
        return Unsupported(f"group {kind}".strip()[:64], raw(message))
    read = {"text": _text, "interactive": _interactive, "button": _button}.get(kind)
    return (read(message) if read else None) or _unsupported(kind, message)


def _text(message: Mapping[str, Any]) -> Content | None:
    text = message.get("text")
    body = word(text if isinstance(text, str) else mapping(text).get("body"))
    return Text(body) if body.strip() else None


def _interactive(message: Mapping[str, Any]) -> Content | None:
    interactive = mapping(message.get("interactive"))
    kind = word(interactive.get("type"))
    if kind not in ("button_reply", "list_reply"):
        return None
    pressed = mapping(interactive.get(kind))
    return _reply(pressed.get("id"), pressed.get("title"), message)


def _button(message: Mapping[str, Any]) -> Content | None:
    """A quick-reply button of a template."""
    button = mapping(message.get("button"))
    return _reply(button.get("payload"), button.get("text"), message)


def _reply(pressed: object, title: object, message: Mapping[str, Any]) -> Reply | None:
    choice, shown = short_id(pressed), word(title)
    return Reply(choice or short_id(shown), shown or choice, _context(message)) if choice or shown else None


def _unsupported(kind: str, message: Mapping[str, Any]) -> Unsupported:
    if kind == "interactive":
        kind = word(mapping(message.get("interactive")).get("type")) or kind
    errors = [mapping(error) for error in items(message.get("errors"))]
    code = word(errors[0].get("code"))[:16] if errors else ""
    return Unsupported(kind[:64] or "unknown", raw(message), f"whatsapp:{code}" if code else None)


# Receipts -------------------------------------------------------------------------------------------------


def _read_statuses(change: _Change, found: _Found, now: datetime) -> None:
    for item in items(change.value.get("statuses")):
        status = mapping(item)
        receipt = _receipt(status, now)
        if receipt:
            found.receipts.append(receipt)
        else:
            found.ignored.append(f"status {word(status.get('status'))[:32]}".strip())


def _receipt(status: Mapping[str, Any], now: datetime) -> Receipt | None:
    known = _STATUSES.get(word(status.get("status")))
    provider_id, ours = short_id(status.get("id")), word(status.get("biz_opaque_callback_data"))
    message = ours if _OUR_ID.fullmatch(ours) else None
    if known is None or not (provider_id or message):
        return None
    return Receipt(
        provider_id=provider_id,
        status=known,
        at=instant(status.get("timestamp"), now),
        message=message,
        failure=failure(_first_error(status)) if known is Status.FAILED else None,
        detail=_detail(status),
    )


def _first_error(status: Mapping[str, Any]) -> str:
    errors = items(status.get("errors"))
    return word(mapping(errors[0]).get("code"))[:16] if errors else ""


def _detail(status: Mapping[str, Any]) -> str | None:
    """What was charged, for the bill: prices are per message and only said here."""
    kept = {key: status[key] for key in ("pricing", "conversation") if isinstance(status.get(key), dict)}
    return (raw(kept) or None) if kept else None
