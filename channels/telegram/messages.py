"""One Telegram message: who said it, where, to whom, and when.

https://core.telegram.org/bots/api#message
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from channels.kit import clean_text
from channels.read import instant, items, mapping, short_id, word
from channels.telegram.contents import content, person_name
from channels.telegram.places import Place
from gateway.model.content import Command, Contacts, Content, Edit, Location, Media, System, Text, Unsupported
from gateway.model.identity import Identity
from gateway.model.ports import InboundMessage

OWN_COMMANDS: Final = frozenset({"start", "help", "stop", "human", "language"})
_COMMAND: Final = re.compile(r"/([A-Za-z0-9_]{1,64})(?:@([A-Za-z0-9_]{3,64}))?(?:\s+|$)", re.ASCII)
_LINKS: Final = 50


@dataclass(frozen=True, slots=True)
class Update:
    """What every reader of an update needs. `bot` is our own id, `username` without its @."""

    bot: str
    username: str
    number: str
    kind: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Sender:
    identity: Identity
    name: str | None
    language: str | None = None
    username: str = ""
    robot: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    """A text or caption without a mention of us. `named`: we were mentioned."""

    text: str
    named: bool
    links: tuple[str, ...] = ()


def person(identifier: object) -> Identity:
    return Identity("telegram", "", short_id(identifier))


def sender(user: Mapping[str, Any], chat: Mapping[str, Any]) -> Sender | None:
    """Who wrote. `chat` is the chat that they wrote in the name of: an anonymous administrator, a channel."""
    if identifier := short_id(chat.get("id")):
        return Sender(Identity("telegram", "chat", identifier), person_name(chat))
    if not (identifier := short_id(user.get("id"))):
        return None
    language = word(user.get("language_code"))[:35] or None
    robot = user.get("is_bot") is True
    return Sender(person(identifier), person_name(user), language, word(user.get("username"))[:64], robot)


def place(message: Mapping[str, Any]) -> Place | None:
    """Where a message was said; None when it does not say."""
    chat = short_id(mapping(message.get("chat")).get("id"))
    if not chat:
        return None
    # Outside forums a thread is only a chain of replies, and may not be written to.
    topic = short_id(message.get("message_thread_id")) if message.get("is_topic_message") is True else ""
    direct = short_id(mapping(message.get("direct_messages_topic")).get("topic_id"))
    return Place(chat, topic, direct, short_id(message.get("business_connection_id")).replace(";", ""))


def shared(chat: Mapping[str, Any], where: Place) -> Identity | None:
    """The group, topic or channel's direct messages that are one conversation, whoever speaks; None in private."""
    if where.business or word(chat.get("type")) == "private" or not where.chat.startswith("-"):
        return None
    topic = f"/{where.topic}" if where.topic else ""
    return Identity("telegram", "", f"{where.chat}{topic}" + (f"/d{where.direct}" if where.direct else ""))


def read(update: Update, message: Mapping[str, Any]) -> InboundMessage | str:
    """A message as the core takes it, or the name of what is without effect."""
    chat, where = mapping(message.get("chat")), place(message)
    who = sender(mapping(message.get("from")), mapping(message.get("sender_chat")))
    number = short_id(message.get("message_id"))
    if where is None or not number:
        return f"{update.kind} without a place"
    if moved := _moved(update, message, where, who):
        return moved
    if where.business and short_id(mapping(message.get("sender_business_bot")).get("id")) == update.bot:
        return f"{update.kind} of our own"
    if who is None:
        return f"{update.kind} without a sender"
    said = _said(update, message)
    spoken = _content(update, message, said)
    agent = _by_the_business(message, where, who)
    robot = who.robot or bool(mapping(message.get("sender_business_bot")))
    group = shared(chat, where)
    return InboundMessage(
        provider_id=where.reference(number),
        identity=_customer(message, where) if agent else who.identity,
        address=where.address,
        at=instant(message.get("date"), update.now),
        content=spoken,
        name=None if agent else who.name,
        phone=_own_phone(spoken),
        place=group,
        reply_to=_reply_to(message, where),
        language=None if agent else who.language,
        silent=agent or robot or not _concerns_us(update, message, spoken, said, group, where),
        album=_album(message, where),
        author="agent" if agent else "customer",
        past=agent and (robot or message.get("is_from_offline") is True),
        extra=_extra(message, chat, who, said, spoken),
    )


def edited(update: Update, message: Mapping[str, Any]) -> InboundMessage | str:
    """A changed message as an `Edit`; what of it Parley can't show changed is without effect."""
    found = read(update, message)
    if isinstance(found, str):
        return found
    changed = found.content
    if isinstance(changed, Command):
        changed = Text(word(message.get("text")))
    if not isinstance(changed, Text | Media | Location):
        return f"{update.kind} {changed.kind if isinstance(changed, Unsupported) else changed.type}"
    return InboundMessage(
        provider_id=f"u{update.number}",
        identity=found.identity,
        address=found.address,
        at=instant(message.get("edit_date"), update.now),
        content=Edit(found.provider_id, changed),
        name=found.name,
        place=found.place,
        language=found.language,
        silent=True,
        author=found.author,
        past=found.past,
        extra={k: v for k, v in found.extra.items() if k in ("group", "username")},
    )


# Who ------------------------------------------------------------------------------------------------------


def _by_the_business(message: Mapping[str, Any], where: Place, who: Sender) -> bool:
    """Whether somebody of the business wrote it: in its own chats, or for its channel in a person's direct messages."""
    if where.business:
        return who.identity.id != where.chat
    return bool(where.direct) and who.identity.account == "chat"


def _customer(message: Mapping[str, Any], where: Place) -> Identity:
    """The customer that the business wrote to."""
    user = mapping(mapping(message.get("direct_messages_topic")).get("user"))
    return person(user.get("id") or where.direct or where.chat) if where.direct else person(where.chat)


def _own_phone(spoken: Content) -> str | None:
    """The sender's number, where Telegram vouches that it is theirs."""
    if not (isinstance(spoken, Contacts) and spoken.contacts[0].own):
        return None
    digits = re.sub(r"\D", "", spoken.contacts[0].phones[0], flags=re.ASCII)
    return f"+{digits}" if digits.isascii() and digits.isdigit() else None


# To whom --------------------------------------------------------------------------------------------------


def _concerns_us(
    update: Update,
    message: Mapping[str, Any],
    spoken: Content,
    said: _Said,
    group: Identity | None,
    where: Place,
) -> bool:
    """Whether it is to be answered: everything said in private, and in a group what is said to us."""
    if isinstance(spoken, System):
        return False
    if _for_another(update, message):
        return False
    if group is None or where.direct:
        return True
    if isinstance(spoken, Command) and spoken.name in OWN_COMMANDS:
        return True
    answered = mapping(message.get("reply_to_message"))
    to_us = short_id(mapping(answered.get("from")).get("id")) == update.bot
    # A topic that the bot opened is the quoted message of all that is said in it.
    named = said.named or _to(message) == update.username.lower() != ""
    return named or (to_us and "forum_topic_created" not in answered)


def _to(message: Mapping[str, Any]) -> str:
    """The bot that a command, in a text or under a file, is meant for."""
    match = _COMMAND.match(word(message.get("text") or message.get("caption")))
    return (match[2] or "").lower() if match else ""


def _for_another(update: Update, message: Mapping[str, Any]) -> bool:
    """Whether it is a command to another bot (`/help@otherbot`)."""
    to = _to(message)
    return bool(to and update.username and to != update.username.lower())


# What -----------------------------------------------------------------------------------------------------


def _content(update: Update, message: Mapping[str, Any], said: _Said) -> Content:
    text = word(message.get("text"))
    if not text:
        return content(message, said.text)
    if said.named:
        # "@our_bot /human" is a command, too.
        text = said.text
    match = _COMMAND.match(text)
    if match is None or _for_another(update, message) or _forwarded(message):
        return Text(said.text)
    return Command(match[1].lower(), text[match.end() :].strip())


def _said(update: Update, message: Mapping[str, Any]) -> _Said:
    key = "text" if message.get("text") else "caption"
    text = word(message.get(key))
    entities = items(message.get("entities" if key == "text" else "caption_entities"))
    if not entities or not text:
        return _Said(text, False)
    # Offsets count UTF-16 units of the text as it came.
    units = str(message[key]).encode("utf-16-le", "surrogatepass")
    links: list[str] = []
    cuts: list[tuple[int, int]] = []
    for kind, start, end, entity in _entities(entities):
        part = units[2 * start : 2 * end].decode("utf-16-le", "replace")
        if kind == "text_link" and len(links) < _LINKS:
            links.append(word(entity.get("url"))[:2048])
        elif _names_us(update, kind, part, entity):
            cuts.append((start, end))
    for start, end in reversed(cuts):
        # Of the spaces around it one is enough.
        after = end + 1 if units[2 * end : 2 * end + 2] == b" \x00" else end
        units = units[: 2 * start] + units[2 * after :]
    if not cuts:
        return _Said(text, False, tuple(links))
    left = clean_text(units.decode("utf-16-le", "replace")).strip().lstrip(",:;-– ")
    return _Said(left or text, True, tuple(links))


def _entities(entities: object) -> Iterator[tuple[str, int, int, Mapping[str, Any]]]:
    for entity in map(mapping, items(entities)):
        start, length = entity.get("offset"), entity.get("length")
        if type(start) is int and type(length) is int and start >= 0 and 0 < length <= 8192:
            yield word(entity.get("type")), start, start + length, entity


def _names_us(update: Update, kind: str, part: str, entity: Mapping[str, Any]) -> bool:
    if kind == "text_mention":
        return short_id(mapping(entity.get("user")).get("id")) == update.bot
    return kind == "mention" and bool(update.username) and part.lower() == f"@{update.username.lower()}"


def _forwarded(message: Mapping[str, Any]) -> bool:
    return "forward_origin" in message or "forward_date" in message


def _reply_to(message: Mapping[str, Any], where: Place) -> str | None:
    answered = mapping(message.get("reply_to_message"))
    if number := short_id(answered.get("message_id")):
        # All that is said in a topic names the note of its creation; that is no answer to anything.
        return None if "forum_topic_created" in answered else where.reference(number)
    elsewhere = mapping(message.get("external_reply"))
    chat, number = short_id(mapping(elsewhere.get("chat")).get("id")), short_id(elsewhere.get("message_id"))
    return Place(chat).reference(number) if chat and number else None


def _album(message: Mapping[str, Any], where: Place) -> str | None:
    group = short_id(message.get("media_group_id"))
    return where.reference(f"album{group}") if group else None


def _extra(
    message: Mapping[str, Any], chat: Mapping[str, Any], who: Sender, said: _Said, spoken: Content
) -> dict[str, Any]:
    topic = mapping(mapping(message.get("reply_to_message")).get("forum_topic_created"))
    found: dict[str, Any] = {
        "forwarded": _forwarded(message),
        "start": spoken.argument if isinstance(spoken, Command) and spoken.name == "start" else "",
        "quote": word(mapping(message.get("quote")).get("text")),
        "links": list(said.links),
        "group": word(chat.get("title")),
        "topic": word(topic.get("name")),
        "username": who.username,
        "bot": who.robot,
    }
    return {key: value for key, value in found.items() if value}


# Moved ----------------------------------------------------------------------------------------------------


def _moved(
    update: Update, message: Mapping[str, Any], where: Place, who: Sender | None
) -> InboundMessage | None:
    """A group that became a supergroup, with another id. Both chats are told; it is one event."""
    to, before = short_id(message.get("migrate_to_chat_id")), short_id(message.get("migrate_from_chat_id"))
    if not (to or before):
        return None
    old, new = (where.chat, to) if to else (before, where.chat)
    chat = mapping(message.get("chat"))
    return InboundMessage(
        provider_id=f"moved:{old}:{new}"[:512],
        identity=who.identity if who else Identity("telegram", "chat", where.chat),
        address=new,
        at=instant(message.get("date"), update.now),
        content=System("moved", "The group has a new address."),
        place=Identity("telegram", "", old),
        aliases=(Identity("telegram", "", new),),
        extra={"group": word(chat.get("title"))} if word(chat.get("title")) else {},
    )
