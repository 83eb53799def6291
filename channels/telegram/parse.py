"""Telegram's updates to the model. Every kind of update is read, or declared to be without effect.

https://core.telegram.org/bots/api#update
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from channels.read import instant, items, load, mapping, raw, short_id, word
from channels.telegram.choices import pressed
from channels.telegram.messages import Sender, Update, edited, person, place, read, sender, shared
from channels.telegram.places import Place
from gateway.model.content import Deleted, Reaction, System, Unsupported
from gateway.model.errors import NotForUs
from gateway.model.ports import ChannelEvent, InboundMessage, Parsed

NO_EMOJI: Final = "❔"
"""Stands for a custom emoji: Telegram tells its id, not what it looks like."""


def parse(bot: str, username: str, body: bytes, now: datetime) -> Parsed:
    """What an authentic update holds for our bot's id and username. Raises NotForUs and nothing else.

    `now` stands in for times that are missing or absurd.
    """
    payload = load(body)
    number = short_id(payload.get("update_id"))
    if not number:
        raise NotForUs("not a Telegram update")
    found = Parsed()
    for kind, value in payload.items():
        if kind != "update_id":
            update = Update(bot, username, number, word(kind)[:64], now)
            found = _joined(found, _READERS.get(kind, _unheard)(update, mapping(value)))
    return found


def _joined(one: Parsed, other: Parsed) -> Parsed:
    if not (one.messages or one.events or one.ignored):
        return other
    return Parsed(one.messages + other.messages, (), one.events + other.events, one.ignored + other.ignored)


def _found(found: InboundMessage | str) -> Parsed:
    return Parsed(ignored=(found,)) if isinstance(found, str) else Parsed((found,))


def _message(update: Update, value: Mapping[str, Any]) -> Parsed:
    return _found(read(update, value))


def _edited(update: Update, value: Mapping[str, Any]) -> Parsed:
    return _found(edited(update, value))


def _no_effect(update: Update, value: Mapping[str, Any]) -> Parsed:
    return Parsed(ignored=(update.kind,))


def _unheard(update: Update, value: Mapping[str, Any]) -> Parsed:
    """A kind that is not documented yet: kept if it is something said, for nothing said may be lost."""
    where = place(value)
    who = sender(mapping(value.get("from")), mapping(value.get("sender_chat")))
    if where is None or who is None or not short_id(value.get("message_id")):
        return Parsed(ignored=(f"update {update.kind}",))
    content = Unsupported(update.kind, raw(value))
    return Parsed((_made(update, value, where, who, content, silent=True),))


def _made(
    update: Update, value: Mapping[str, Any], where: Place, who: Sender, content: Any, **more: Any
) -> InboundMessage:
    chat = mapping(value.get("chat"))
    return InboundMessage(
        provider_id=f"u{update.number}" + more.pop("part", ""),
        identity=who.identity,
        address=where.address,
        at=instant(value.get("date"), update.now),
        content=content,
        name=who.name,
        place=shared(chat, where),
        language=who.language,
        extra=({"group": word(chat["title"])} if word(chat.get("title")) else {}) | more.pop("extra", {}),
        **more,
    )


# Pressed buttons ------------------------------------------------------------------------------------------


def _callback(update: Update, value: Mapping[str, Any]) -> Parsed:
    """https://core.telegram.org/bots/api#callbackquery"""
    message = mapping(value.get("message"))
    where, who = place(message), sender(mapping(value.get("from")), {})
    data, query = word(value.get("data")), short_id(value.get("id"))
    if who is None or where is None:
        return Parsed(ignored=("callback_query without a chat",))
    number = short_id(message.get("message_id"))
    to = where.reference(number) if number else None
    content = pressed(data, message, to) if data else Unsupported("callback_query", raw(value))
    # The message is the one that was pressed on: its date is not the press's.
    at = {"chat": message.get("chat"), "date": None}
    return Parsed((_made(update, at, where, who, content, extra={"callback": query} if query else {}),))


# Membership -----------------------------------------------------------------------------------------------

_OUT: Final = frozenset({"left", "kicked"})


def _my_chat_member(update: Update, value: Mapping[str, Any]) -> Parsed:
    """https://core.telegram.org/bots/api#chatmemberupdated"""
    chat = mapping(value.get("chat"))
    where, who = place(value), sender(mapping(value.get("from")), {})
    before = _status(value.get("old_chat_member"))
    after = _status(value.get("new_chat_member"))
    kind = word(chat.get("type"))
    event = _private_event(before, after) if kind == "private" else _group_event(before, after)
    if where is None or who is None or event is None or kind == "channel":
        return Parsed(ignored=(f"{update.kind} {kind} {after}".strip()[:64],))
    name, text = event
    silent = kind != "private"
    return Parsed((_made(update, value, where, who, System(name, text), silent=silent),))


def _status(member: object) -> str:
    found = mapping(member)
    status = word(found.get("status"))
    # Restricted is in or out.
    return "left" if status == "restricted" and found.get("is_member") is False else status


def _private_event(before: str, after: str) -> tuple[str, str] | None:
    if after == "kicked":
        return "blocked", "The customer blocked the bot."
    return ("unblocked", "The customer unblocked the bot.") if before == "kicked" and after else None


def _group_event(before: str, after: str) -> tuple[str, str] | None:
    if after in _OUT:
        return "removed", "The bot was removed from the group."
    return ("added", "The bot was added to the group.") if after and before in (*_OUT, "") else None


# Reactions ------------------------------------------------------------------------------------------------


def _reaction(update: Update, value: Mapping[str, Any]) -> Parsed:
    """https://core.telegram.org/bots/api#messagereactionupdated"""
    where = place(value)
    who = sender(mapping(value.get("user")), mapping(value.get("actor_chat")))
    number = short_id(value.get("message_id"))
    if where is None or who is None or not number:
        return Parsed(ignored=(f"{update.kind} without a sender",))
    before = [_emoji(r) for r in items(value.get("old_reaction"))]
    after = [_emoji(r) for r in items(value.get("new_reaction"))]
    added = [emoji for emoji in after if emoji not in before] or after
    emoji, custom = added[-1] if added else ("", "")
    extra = {"custom_emoji": custom} if custom else {}
    content = Reaction(emoji, where.reference(number))
    return Parsed((_made(update, value, where, who, content, silent=True, extra=extra),))


def _emoji(reaction: object) -> tuple[str, str]:
    """The emoji, and the id of a custom one."""
    found = mapping(reaction)
    if word(found.get("type")) == "paid":
        return "⭐", ""
    return word(found.get("emoji"))[:32] or NO_EMOJI, short_id(found.get("custom_emoji_id"))


# Business accounts ----------------------------------------------------------------------------------------


def _connection(update: Update, value: Mapping[str, Any]) -> Parsed:
    """https://core.telegram.org/bots/api#businessconnection"""
    who = sender(mapping(value.get("user")), {})
    name = who.name if who and who.name else "Somebody"
    may_reply = mapping(value.get("rights")).get("can_reply") is True or value.get("can_reply") is True
    if value.get("is_enabled") is not True:
        event, text = "business_disconnected", f"{name} ended the connection of their business account."
    elif may_reply:
        event, text = "business_connected", f"{name} connected their business account."
    else:
        event = "business_connected"
        text = f"{name} connected their business account, but the bot may not reply. Allow it in Telegram: Settings > "
        text += "Telegram Business > Chatbots."
    data = {"connection": short_id(value.get("id")), "user": who.identity.id if who else ""}
    warning = event == "business_disconnected" or not may_reply
    at = instant(value.get("date"), update.now)
    return Parsed(events=(ChannelEvent(f"u{update.number}", event, at, text, data, warning),))


def _deleted(update: Update, value: Mapping[str, Any]) -> Parsed:
    """https://core.telegram.org/bots/api#businessmessagesdeleted"""
    where = place(value)
    listed = value.get("message_ids")
    numbers = [n for n in map(short_id, listed if isinstance(listed, list) else []) if n]
    if where is None or not numbers:
        return Parsed(ignored=(f"{update.kind} without a message",))
    chat = mapping(value.get("chat"))
    who = Sender(person(where.chat), None)
    gone = (Deleted(where.reference(number)) for number in numbers)
    made = (
        _made(update, {"chat": chat}, where, who, content, silent=True, part=f".{n}")
        for n, content in enumerate(gone)
    )
    return Parsed(tuple(made))


Reader = Callable[[Update, Mapping[str, Any]], Parsed]

_READ: Final[Mapping[str, Reader]] = {
    "message": _message,
    "edited_message": _edited,
    "callback_query": _callback,
    "my_chat_member": _my_chat_member,
    "message_reaction": _reaction,
    "business_connection": _connection,
    "business_message": _message,
    "edited_business_message": _edited,
    "deleted_business_messages": _deleted,
}

ALLOWED: Final = tuple(_READ)
"""The kinds that we ask Telegram for."""

_KNOWN: Final = (
    "channel_post edited_channel_post message_reaction_count inline_query chosen_inline_result shipping_query "
    "pre_checkout_query purchased_paid_media poll poll_answer chat_member chat_join_request chat_boost "
    "removed_chat_boost managed_bot guest_message"
)
DECLARED: Final = frozenset(_KNOWN.split())
"""The kinds that are known and have no effect: none of them is a customer who writes to the business."""

_READERS: Final[Mapping[str, Reader]] = {**dict.fromkeys(DECLARED, _no_effect), **_READ}
