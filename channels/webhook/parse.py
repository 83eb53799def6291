"""Bodies of a system of the business's own: `{"type": "message" | "receipt", "data": {…}}`, or `{"events": [{…}, …]}`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from channels.kit import clean_name, clean_text
from channels.read import instant, items, load, mapping, raw, short_id, word
from gateway.model.content import (
    Album,
    Command,
    Contacts,
    Content,
    Deleted,
    Edit,
    FormReply,
    Location,
    Media,
    Order,
    Reaction,
    Reply,
    Text,
    Unsupported,
    from_doc,
)
from gateway.model.errors import NotForUs
from gateway.model.identity import Identity
from gateway.model.message import Failure, Receipt, Status, is_message_id, stable_id
from gateway.model.ports import InboundMessage, Parsed

KINDS: Final = (
    Text
    | Media
    | Album
    | Location
    | Contacts
    | Reply
    | Reaction
    | Order
    | FormReply
    | Command
    | Edit
    | Deleted
)
"""What a customer can say; what only a business says is `unsupported` when it comes in."""

SILENT: Final = Reaction | Edit | Deleted
MOST_DEPTH: Final = 16
MOST_EVENTS: Final = 500
MOST_FILES: Final = 30
MOST_PARTS: Final = 100
MOST_CHARACTERS: Final = 256 * 1024
"""Of one body, one album, any list or table, and any string; a text alone may be longer, and is kept cut."""

_STATUSES: Final = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "failed": Status.FAILED,
}


def parse(channel: str, body: bytes, now: datetime) -> Parsed:
    """What an authentic body holds. Raises NotForUs for what is no JSON object, or holds more events than a body may: a 200
    would say that they are stored; and nothing else."""
    payload = load(body)
    events = items(payload.get("events")) or [payload]
    if len(events) > MOST_EVENTS:
        raise NotForUs("too many events in one body")
    messages: list[InboundMessage] = []
    receipts: list[Receipt] = []
    ignored: list[str] = []
    for found in events:
        event = mapping(found)
        kind, data = word(event.get("type"))[:64], mapping(event.get("data"))
        if kind == "message" and (message := _message(channel, data, now)) is not None:
            messages.append(message)
        elif kind == "receipt" and (receipt := _receipt(data, now)) is not None:
            receipts.append(receipt)
        else:
            ignored.append(f"event {kind}".strip())
    return Parsed(tuple(messages), tuple(receipts), ignored=tuple(ignored))


def _message(channel: str, data: Mapping[str, Any], now: datetime) -> InboundMessage | None:
    person = mapping(data.get("from"))
    identifier = short_id(person.get("id"))
    if not identifier:
        return None
    content = _content(data.get("content"))
    place = short_id(data.get("thread"))
    return InboundMessage(
        provider_id=short_id(data.get("id")) or stable_id("noid", raw(data)),
        identity=Identity("webhook", channel, identifier),
        address=place or identifier,
        at=_time(data.get("at"), now),
        content=content,
        name=clean_name(word(person.get("name"))),
        phone=word(person.get("phone"))[:32] or None,
        # A kind of its own: no person's id can be a thread's.
        place=Identity("webhook-thread", channel, place) if place else None,
        reply_to=short_id(data.get("reply_to")) or None,
        language=word(person.get("language"))[:16] or None,
        silent=isinstance(content, SILENT),
    )


def _time(value: object, now: datetime) -> datetime:
    """A Unix time or an ISO 8601 one with a zone."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else None
    except ValueError:
        moment = None
    return instant(moment.timestamp() if moment and moment.tzinfo else value, now)


def _cleaned(value: object, depth: int = 0) -> object:
    """Without what no store takes, anywhere in it."""
    if isinstance(value, str):
        return clean_text(value)
    if depth > MOST_DEPTH:
        return None
    if isinstance(value, list):
        return [_cleaned(v, depth + 1) for v in value]
    if isinstance(value, dict):
        return {clean_text(k): _cleaned(v, depth + 1) for k, v in value.items()}
    return value


def _content(value: object) -> Content:
    kind = word(mapping(value).get("type"))[:64] or "unknown"
    if (excess := _excess(value, kind)) is not None:
        return Unsupported(kind, raw(value), excess)
    value = _cleaned(value)
    try:
        read = from_doc(value)
    except (ValidationError, RecursionError, ValueError):
        return Unsupported(kind, raw(value))
    if not isinstance(read, KINDS) or _is_nothing(read):
        return Unsupported(kind, raw(value))
    return _plain(read)


def _excess(value: object, kind: str) -> str | None:
    """Why it is more than one message may hold."""
    found = mapping(value)
    if kind == "album" and len(items(found.get("items"))) > MOST_FILES:
        return f"more than {MOST_FILES} files"
    return _excess_in([v for k, v in found.items() if (kind, k) != ("text", "text")], 0)


def _excess_in(value: object, depth: int) -> str | None:
    if isinstance(value, str) and len(value) > MOST_CHARACTERS:
        return f"more than {MOST_CHARACTERS} characters in one field"
    if not isinstance(value, list | dict) or depth > MOST_DEPTH:
        return None
    if len(value) > MOST_PARTS:
        return f"more than {MOST_PARTS} parts"
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    return next((e for part in parts if (e := _excess_in(part, depth + 1)) is not None), None)


def _is_nothing(content: Content) -> bool:
    """Nothing was said, or it is at no place on Earth."""
    match content:
        case Text(text=text):
            return not text.strip()
        case Album(items=parts):
            return not parts
        case Location(latitude=latitude, longitude=longitude):
            return not (abs(latitude) <= 90 and abs(longitude) <= 180)
        case Edit(content=changed):
            return _is_nothing(changed)
    return False


def _plain(content: Content) -> Content:
    """As a customer said it: no markup, and files that are still to be fetched."""
    match content:
        case Text(text=text):
            return Text(word(text))
        case Media(url=url):
            return replace(content, media_id=url, url=None, file=None, markup=False)
        case Album(items=parts):
            return Album(tuple(replace(m, media_id=m.url, url=None, file=None, markup=False) for m in parts))
        case Edit(content=changed) if isinstance(inner := _plain(changed), Text | Media | Location):
            return replace(content, content=inner)
    return content


def _receipt(data: Mapping[str, Any], now: datetime) -> Receipt | None:
    status, message = _STATUSES.get(word(data.get("status"))), word(data.get("message"))
    if status is None or not is_message_id(message):
        return None
    reason = word(data.get("error"))[:500] or "The receiving system says that it failed."
    failure = Failure("webhook:failed", reason) if status is Status.FAILED else None
    return Receipt("", status, _time(data.get("at"), now), message, failure)
