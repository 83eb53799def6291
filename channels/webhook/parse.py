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
from gateway.model.conversation import Identity
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
_STATUSES: Final = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "failed": Status.FAILED,
}


def parse(channel: str, body: bytes, now: datetime) -> Parsed:
    """What an authentic body holds. Raises NotForUs for what is no JSON object, and nothing else."""
    payload = load(body)
    messages: list[InboundMessage] = []
    receipts: list[Receipt] = []
    ignored: list[str] = []
    for found in items(payload.get("events")) or [payload]:
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
    content = _content(_cleaned(data.get("content")))
    place = short_id(data.get("thread"))
    return InboundMessage(
        provider_id=short_id(data.get("id")) or stable_id("noid", raw(data)),
        identity=Identity("webhook", channel, identifier),
        address=place or identifier,
        at=_time(data.get("at"), now),
        content=content,
        name=clean_name(word(person.get("name"))),
        phone=word(person.get("phone"))[:32] or None,
        place=Identity("webhook", f"{channel}:thread", place) if place else None,
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
    try:
        read = from_doc(value)
    except (ValidationError, RecursionError, ValueError):
        return Unsupported(word(mapping(value).get("type"))[:64] or "unknown", raw(value))
    if not isinstance(read, KINDS) or (isinstance(read, Text) and not read.text.strip()):
        return Unsupported(read.type, raw(value))
    return _plain(read)


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
