"""WhatsApp webhook bodies to the model: every entry, every change, every message and every status.

Payloads: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview
and, for people without a visible phone number,
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from channels.read import instant, items, load, mapping, raw, short_id, word
from channels.whatsapp import content_in, events
from channels.whatsapp.people import Person, digits_of, moved, person, shared
from channels.whatsapp.receipts import receipt
from gateway.model.content import Contacts, Edit, Media, System
from gateway.model.errors import NotForUs
from gateway.model.message import Receipt, stable_id
from gateway.model.ports import ChannelEvent, InboundMessage, Parsed

WABA: Final = "waba:"
"""Before the id of a business account among `accounts`: the change is for every number of it."""


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of one entry, with where it stands: `place` makes an id when nothing else can."""

    waba: str
    number: str
    field: str
    stamp: object
    value: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class _Found:
    messages: list[InboundMessage] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    events: list[ChannelEvent] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def accounts(body: bytes) -> Sequence[str]:
    """The phone number ids that the body speaks of, each once, in order; and for what names none but is about a
    business account as a whole, `waba:` and its id. Raises NotForUs."""
    return tuple(dict.fromkeys(name for change in _changes(body) if (name := _account(change))))


def _account(change: _Change) -> str:
    waba = events.business(change.waba, change.value)
    return change.number or (f"{WABA}{waba}" if waba and change.field not in _READERS else "")


def parse(account: str, body: bytes, now: datetime, waba: str = "") -> Parsed:
    """What an authentic body holds for the phone number id `account` of the business account `waba` (any, if it is
    not known). Raises NotForUs and nothing else. `now` stands in for times that are missing or absurd."""
    found = _Found()
    for change in _changes(body):
        if change.number == account or not change.number:
            read = _READERS.get(change.field) if change.number else None
            if read:
                read(change, found, now)
            elif change.number or waba in ("", events.business(change.waba, change.value)):
                _read_event(change, found, now, sure=bool(waba))
    return Parsed(tuple(found.messages), tuple(found.receipts), tuple(found.events), tuple(found.ignored))


def _changes(body: bytes) -> Iterator[_Change]:
    payload = load(body)
    if payload.get("object") != "whatsapp_business_account":
        raise NotForUs("not a whatsapp_business_account body")
    digest = hashlib.sha256(body).hexdigest()
    for i, entry in enumerate(items(payload.get("entry"))):
        for j, change in enumerate(items(mapping(entry).get("changes"))):
            value = mapping(mapping(change).get("value"))
            yield _Change(
                waba=short_id(mapping(entry).get("id")),
                number=short_id(mapping(value.get("metadata")).get("phone_number_id")),
                field=word(mapping(change).get("field")),
                stamp=mapping(entry).get("time"),
                value=value,
                place=f"{digest}.{i}.{j}",
            )


def _read_event(change: _Change, found: _Found, now: datetime, sure: bool) -> None:
    event = events.event(change.field, change.waba, change.stamp, change.value, now)
    if event is None or (event.disable and not sure):
        # Whose account ended is not certain without the channel's own: it is only named in the log then.
        found.ignored.append(change.field[:64] or "unknown")
    else:
        found.events.append(event)


# Messages -------------------------------------------------------------------------------------------------


def _read_messages(change: _Change, found: _Found, now: datetime, silent: bool = False) -> None:
    for k, item in enumerate(items(change.value.get("messages"))):
        message = mapping(item)
        # Who changed their scoped id is known here by the one before.
        user = content_in.new_addresses(message)[2] or short_id(message.get("from_user_id"))
        who = _person_of(change, short_id(message.get("from")), user or short_id(message.get("user_id")))
        if who is None:
            found.ignored.append("message without a sender")
            continue
        found.messages.append(_message(message, who, f"{change.place}.{k}", now, change, silent=silent))
        if message.get("group_id"):
            found.ignored.append("group message")
    _read_statuses(change, found, now)
    for error in items(change.value.get("errors")):
        found.ignored.append(f"error {word(mapping(error).get('code'))[:16]}".strip())


def _business(change: _Change) -> str:
    return change.waba or change.number


def _person_of(change: _Change, said: str, user: str) -> Person | None:
    return person(change.value, _business(change), said, user)


def _message(
    message: Mapping[str, Any],
    who: Person,
    place: str,
    now: datetime,
    change: _Change,
    *,
    agent: bool = False,
    past: bool = False,
    silent: bool = False,
) -> InboundMessage:
    kind = word(message.get("type"))
    content = content_in.content(kind, message)
    address, aliases, phone = who.identity.id, who.aliases, who.phone
    if isinstance(content, System) and content.event == "moved":
        address, aliases, phone = moved(message, who, _business(change))
    elif isinstance(content, Contacts) and not agent:
        aliases, phone = shared(content, who)
    return InboundMessage(
        provider_id=_message_id(message, place),
        identity=who.identity,
        address=address,
        at=instant(message.get("timestamp"), now),
        content=content,
        name=None if agent else who.name,
        phone=phone,
        aliases=aliases,
        reply_to=content_in.context(message),
        # A group is not ours to answer in: the answer would go to one member alone.
        silent=silent or past or bool(message.get("group_id")) or content_in.silent(kind, content),
        author="agent" if agent else "customer",
        past=past,
        extra=content_in.told(message),
    )


def _message_id(message: Mapping[str, Any], place: str) -> str:
    given = short_id(message.get("id"))
    # The same message delivered again must get the same id, however it is bundled then.
    return given or stable_id("noid", raw(message) or place)


def _read_statuses(change: _Change, found: _Found, now: datetime) -> None:
    for item in items(change.value.get("statuses")):
        status = mapping(item)
        if known := receipt(status, now):
            found.receipts.append(known)
        else:
            found.ignored.append(f"status {word(status.get('status'))[:32]}".strip())


# From the business's own phone ----------------------------------------------------------------------------


def _read_echoes(change: _Change, found: _Found, now: datetime) -> None:
    """What a person of the business wrote in the WhatsApp Business app."""
    for k, item in enumerate(items(change.value.get("message_echoes"))):
        echo = mapping(item)
        user = short_id(echo.get("to_user_id")) or short_id(echo.get("recipient_user_id"))
        who = _person_of(change, short_id(echo.get("to")), user)
        if who is None:
            found.ignored.append("echo without a recipient")
        else:
            found.messages.append(_message(echo, who, f"{change.place}.{k}", now, change, agent=True))


def _read_standby(change: _Change, found: _Found, now: datetime) -> None:
    """What happens while Meta's own agent has the conversation: it is seen, and not answered."""
    _read_messages(change, found, now, silent=True)
    _read_echoes(change, found, now)


def _read_history(change: _Change, found: _Found, now: datetime) -> None:
    """Chats from before the number was connected, in chunks. A placeholder's file follows in a body of its own."""
    ours = digits_of(word(mapping(change.value.get("metadata")).get("display_phone_number")))
    for c, item in enumerate(items(change.value.get("history"))):
        chunk = mapping(item)
        if chunk.get("errors"):
            found.events.append(events.history_refused(change.place, chunk.get("errors"), now))
        for t, thread in enumerate(items(chunk.get("threads"))):
            for k, row in enumerate(items(mapping(thread).get("messages"))):
                _read_past(
                    mapping(row), mapping(thread), ours, f"{change.place}.{c}.{t}.{k}", change, found, now
                )
    for k, row in enumerate(items(change.value.get("messages"))):
        before = len(found.messages)
        _read_past(mapping(row), {}, ours, f"{change.place}.m.{k}", change, found, now)
        found.messages[before:] = [_filled(message) for message in found.messages[before:]]


def _read_past(
    row: Mapping[str, Any],
    thread: Mapping[str, Any],
    ours: str,
    place: str,
    change: _Change,
    found: _Found,
    now: datetime,
) -> None:
    sender = short_id(row.get("from"))
    agent = bool(row.get("to")) or bool(row.get("to_user_id")) or digits_of(sender) == ours != ""
    about = mapping(thread.get("context"))
    names = ("to_user_id",) if agent else ("from_user_id", "user_id")
    user = next((short_id(row.get(n)) for n in names if row.get(n)), "") or short_id(about.get("user_id"))
    said = short_id(row.get("to")) if agent else sender
    said = said or short_id(about.get("wa_id")) or ("" if user else short_id(thread.get("id")))
    who = _person_of(change, said, user)
    if who is None:
        found.ignored.append("message without a sender")
    else:
        found.messages.append(_message(row, who, place, now, change, agent=agent, past=True))


def _filled(message: InboundMessage) -> InboundMessage:
    """The file of a message that history had only named: a change of it, for the message itself is stored."""
    if not isinstance(message.content, Media):
        return message
    edit = Edit(message.provider_id, message.content)
    return replace(message, provider_id=f"{message.provider_id}#file", content=edit)


# What customers did besides writing -----------------------------------------------------------------------


def _read_calls(change: _Change, found: _Found, now: datetime) -> None:
    for k, item in enumerate(items(change.value.get("calls"))):
        call = mapping(item)
        theirs = word(call.get("direction")) != "BUSINESS_INITIATED"
        side = "from" if theirs else "to"
        who = _person_of(change, short_id(call.get(side)), short_id(call.get(f"{side}_user_id")))
        if who is None:
            found.ignored.append("call without a customer")
            continue
        told = content_in.plain({name: call[name] for name in _CALL if name in call})
        event, place = word(call.get("event"))[:32], f"{change.place}.{k}"
        content = System("call", _call_text(event, theirs, call), told)
        # A call's start and end carry the same id.
        at, provider_id = instant(call.get("timestamp"), now), f"{_message_id(call, place)}:{event}"
        found.messages.append(_happened(who, provider_id, at, content))
    for item in items(change.value.get("statuses")):
        found.ignored.append(f"call {word(mapping(item).get('status'))[:32].lower()}".strip())


_CALL: Final = ("id", "event", "direction", "status", "start_time", "end_time", "duration", "errors")


def _call_text(event: str, theirs: bool, call: Mapping[str, Any]) -> str:
    if event != "terminate":
        return "The customer calls." if theirs else "The business calls the customer."
    seconds = word(call.get("duration"))[:8]
    failed = word(call.get("status")).upper() == "FAILED" or not seconds
    return "A call was not taken or failed." if failed else f"A call ended after {seconds} s."


def _read_preferences(change: _Change, found: _Found, now: datetime) -> None:
    for item in items(change.value.get("user_preferences")):
        told = mapping(item)
        who = _person_of(change, short_id(told.get("wa_id")), short_id(told.get("user_id")))
        content = content_in.preference(
            word(told.get("value")), word(told.get("detail")), content_in.plain(told)
        )
        if who is None or content is None:
            found.ignored.append("user preference")
            continue
        at, provider_id = (
            instant(told.get("timestamp"), now),
            stable_id("pref", who.identity.id, raw(told)),
        )
        found.messages.append(_happened(who, provider_id, at, content))


def _happened(who: Person, provider_id: str, at: datetime, content: System) -> InboundMessage:
    return InboundMessage(
        provider_id=provider_id,
        identity=who.identity,
        address=who.identity.id,
        at=at,
        content=content,
        name=who.name,
        phone=who.phone,
        aliases=who.aliases,
        silent=True,
    )


def _no_effect(change: _Change, found: _Found, now: datetime) -> None:
    """The address book of the business's phone: names that the customers' own messages carry as well."""
    found.ignored.append(change.field)


_READERS: Final[Mapping[str, Callable[[_Change, _Found, datetime], None]]] = {
    "messages": _read_messages,
    "": _read_messages,
    "smb_message_echoes": _read_echoes,
    "message_echoes": _read_echoes,
    "standby": _read_standby,
    "history": _read_history,
    "smb_app_state_sync": _no_effect,
    "calls": _read_calls,
    "user_preferences": _read_preferences,
}
