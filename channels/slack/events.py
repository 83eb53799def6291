"""The Events API to the model. https://docs.slack.dev/reference/events

In a direct message everything is for us. In a channel it is what mentions us and what is said in a thread that we began
or were named in. The parser can't know which threads those are: what is said in any other is passed on as `known_only`.
The rest is other people's talk and is neither stored nor answered.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from channels.read import instant, mapping, raw, short_id, word
from channels.slack import files
from channels.slack.body import Body, is_direct, name
from channels.slack.emoji import emoji
from channels.slack.words import mentions, of_attachments, of_blocks, plain
from gateway.model.content import Content, Deleted, Edit, Media, Reaction, System, Text, Unsupported
from gateway.model.message import Receipt, Status
from gateway.model.ports import ChannelEvent, InboundMessage

OUR_EVENT: Final = "parley_message"
"""Our messages carry their id under this event type in their metadata."""

_OUR_ID: Final = re.compile(r"m_[a-z2-7]{24}", re.ASCII)
_SAID: Final = frozenset(
    {"", "file_share", "me_message", "thread_broadcast", "reply_broadcast", "file_comment"}
)
_HAPPENED: Final = re.compile(
    r"(channel|group|mpim|im)_\w+|pinned_item|unpinned_item|bot_add|bot_remove|bot_enable|bot_disable|reminder_\w+|"
    r"message_replied|assistant_app_thread|huddle_thread|ekm_access_denied|sh_room_\w+|joiner_\w+|tombstone|"
    r"document_mention|file_mention|app_conversation_join|tabbed_canvas_\w+|list_record_comment"
)


@dataclass(slots=True)
class Found:
    messages: list[InboundMessage] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    events: list[ChannelEvent] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class _Said:
    """A message object: where it stands (`channel`, `ts`, its thread's `root`) and whether it is meant for us: certainly
    (`addressed`), or perhaps, if its thread is a conversation of ours (`heard`)."""

    body: Body
    message: Mapping[str, Any]
    channel: str
    mentioned: bool = False

    @property
    def ts(self) -> str:
        return short_id(self.message.get("ts"))

    @property
    def root(self) -> str:
        return short_id(self.message.get("thread_ts"))

    @property
    def user(self) -> str:
        return short_id(self.message.get("user"))

    @property
    def addressed(self) -> bool:
        ours = self.message.get("parent_user_id") == self.body.bot != ""
        named = self.mentioned or mentions(word(self.message.get("text")), self.body.bot)
        return is_direct(self.channel) or named or ours

    @property
    def heard(self) -> bool:
        return self.addressed or bool(self.root)

    @property
    def address(self) -> str:
        root = self.root or ("" if is_direct(self.channel) else self.ts)
        return f"{self.channel}:{root}" if root else self.channel

    def where(self) -> dict[str, Any]:
        if is_direct(self.channel):
            return {}
        place = self.body.thread(self.channel, self.root or self.ts)
        return {"place": place, "known_only": not self.addressed}


def read(body: Body, found: Found) -> None:
    """Read the body's one event into `found`."""
    if body.found.get("type") == "app_rate_limited":
        text = "Slack held events back: the app gets more than 30,000 an hour. Messages may be missing."
        minute = word(body.found.get("minute_rate_limited"))
        found.events.append(ChannelEvent(f"limited {minute}", "rate_limited", body.now, text, warning=True))
        return
    event = mapping(body.found.get("event"))
    kind = word(event.get("type"))
    _READERS.get(kind, _other)(body, event, found)


def _event_id(body: Body) -> str:
    return short_id(body.found.get("event_id"))


# Messages -------------------------------------------------------------------------------------------------


def _message(body: Body, event: Mapping[str, Any], found: Found) -> None:
    subtype = word(event.get("subtype"))
    channel = short_id(event.get("channel"))
    if not channel:
        found.ignored.append("message without a channel")
    elif subtype == "message_changed":
        _changed(body, event, channel, found)
    elif subtype == "message_deleted":
        _deleted(body, event, channel, found)
    elif subtype and _HAPPENED.fullmatch(subtype):
        found.ignored.append(f"message {subtype}"[:64])
    else:
        said = _Said(body, event, channel, event.get("type") == "app_mention")
        if not _by_a_bot(said, found):
            _said(said, subtype, found)


def _by_a_bot(said: _Said, found: Found) -> bool:
    """Whether a program wrote it: us (then it is evidence of what we sent) or another."""
    message, body = said.message, said.body
    bot = short_id(message.get("bot_id"))
    if (bot and bot == body.bot_id) or (body.bot and said.user == body.bot):
        found.ignored.append("our own message")
        _evidence(said.channel, said.ts, message.get("metadata"), body, found)
        return True
    if bot or word(message.get("subtype")) == "bot_message" or said.user == "USLACKBOT":
        found.ignored.append("message of another app")
        return True
    return False


def _evidence(channel: str, ts: str, metadata: object, body: Body, found: Found) -> None:
    sent = mapping(metadata)
    ours = word(mapping(sent.get("event_payload")).get("id"))
    if sent.get("event_type") == OUR_EVENT and ts and _OUR_ID.fullmatch(ours):
        found.receipts.append(Receipt(f"{channel}:{ts}", Status.SENT, instant(ts, body.now), ours))


def _said(said: _Said, subtype: str, found: Found) -> None:
    body = said.body
    if not said.user:
        found.ignored.append("message without a sender")
    elif not said.heard:
        found.ignored.append("message that is not for us")
    else:
        known = subtype in _SAID
        extra = _extra(said)
        content = _content(said.message, body.bot) if known else Unsupported(subtype[:64], raw(said.message))
        found.messages.append(
            body.message(
                f"{said.channel}:{said.ts}" if said.ts else _event_id(body),
                said.user,
                said.address,
                instant(said.ts, body.now),
                content,
                name=name(mapping(said.message.get("user_profile"))),
                extra=extra,
                **said.where(),
            )
        )


def _extra(said: _Said) -> dict[str, Any]:
    extra: dict[str, Any] = {"thread": said.root} if said.root else {}
    home = short_id(said.message.get("user_team")) or short_id(said.message.get("source_team"))
    if said.body.found.get("is_ext_shared_channel") is True and home and home != said.body.account:
        extra["external"] = home
    if any(mapping(a).get("is_share") is True for a in _list(said.message.get("attachments"))):
        extra["forwarded"] = True
    return extra


def _content(message: Mapping[str, Any], bot: str) -> Content:
    text = plain(word(message.get("text")), bot) or of_blocks(message.get("blocks"))
    shared = of_attachments(
        [a for a in _list(message.get("attachments")) if mapping(a).get("is_share") is True]
    )
    text = "\n".join(filter(None, (text, shared))) or of_attachments(message.get("attachments"))
    if _list(message.get("files")):
        return files.content(message.get("files"), text)
    if text:
        return Text(text)
    if mentions(word(message.get("text")), bot):
        # Only our name: somebody calls us.
        return Text("👋")
    return Unsupported("empty message", raw(message))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _changed(body: Body, event: Mapping[str, Any], channel: str, found: Found) -> None:
    before = mapping(event.get("previous_message"))
    mentioned = mentions(word(before.get("text")), body.bot)
    said = _Said(body, mapping(event.get("message")), channel, mentioned)
    if word(said.message.get("subtype")) == "tombstone":
        # What is left of a thread whose first message was deleted; its author is Slackbot now.
        _gone(_Said(body, before or said.message, channel), event, found)
    elif _by_a_bot(said, found):
        return
    elif word(said.message.get("subtype")) not in _SAID or not said.user:
        found.ignored.append("change of what nobody said")
    elif not said.heard:
        found.ignored.append("change of what is not for us")
    elif not _differs(before, said.message):
        # Slack reports a link's preview, and a thread's count of replies, as changes of the message.
        found.ignored.append("change without new words")
    else:
        changed = _content(said.message, body.bot)
        content = changed if isinstance(changed, Text | Media) else Text(_text_of(said.message, body.bot))
        _about(said, event, Edit(f"{channel}:{said.ts}", content), found)


def _text_of(message: Mapping[str, Any], bot: str) -> str:
    return plain(word(message.get("text")), bot) or of_blocks(message.get("blocks"))


def _differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if not before:
        return bool(after.get("edited"))
    now, then = files.ids(after.get("files")), files.ids(before.get("files"))
    return word(before.get("text")) != word(after.get("text")) or now != then


def _deleted(body: Body, event: Mapping[str, Any], channel: str, found: Found) -> None:
    before = mapping(event.get("previous_message"))
    ts = short_id(event.get("deleted_ts")) or short_id(before.get("ts"))
    _gone(_Said(body, {**before, "ts": ts}, channel), event, found)


def _gone(said: _Said, event: Mapping[str, Any], found: Found) -> None:
    if short_id(said.message.get("bot_id")) or said.user in (said.body.bot, "USLACKBOT"):
        found.ignored.append("deletion of an app's message")
    elif not (said.user and said.ts and said.heard):
        found.ignored.append("deletion of what is not for us")
    else:
        _about(said, event, Deleted(f"{said.channel}:{said.ts}"), found)


def _about(said: _Said, event: Mapping[str, Any], content: Content, found: Found) -> None:
    """Something that happened to a message: stored, not answered."""
    body = said.body
    at = instant(event.get("event_ts") or event.get("ts"), body.now)
    found.messages.append(
        body.message(_event_id(body), said.user, said.address, at, content, silent=True, **said.where())
    )


# Reactions, openings --------------------------------------------------------------------------------------


def _reaction(body: Body, event: Mapping[str, Any], found: Found) -> None:
    item, user = mapping(event.get("item")), short_id(event.get("user"))
    channel, ts = short_id(item.get("channel")), short_id(item.get("ts"))
    shown = word(event.get("reaction"))
    if not (user and ts and shown and is_direct(channel)) or user == body.bot:
        # In a channel nothing tells which thread the message stands in.
        found.ignored.append(
            "reaction outside of a direct message" if ts else "reaction to what is no message"
        )
        return
    taken = event.get("type") == "reaction_removed"
    content = Reaction("" if taken else emoji(shown), f"{channel}:{ts}")
    at = instant(event.get("event_ts"), body.now)
    found.messages.append(body.message(_event_id(body), user, channel, at, content, silent=True))


def _opened(body: Body, event: Mapping[str, Any], found: Found) -> None:
    """A person opens their direct message with us. Slack says so each time; one id a person makes it once."""
    user, channel = short_id(event.get("user")), short_id(event.get("channel"))
    if event.get("tab") != "messages" or not user:
        found.ignored.append("app_home_opened")
        return
    at = instant(event.get("event_ts"), body.now)
    found.messages.append(
        body.message(f"welcome:{user}", user, channel if is_direct(channel) else user, at, System("welcome"))
    )


def _assistant(body: Body, event: Mapping[str, Any], found: Found) -> None:
    thread = mapping(event.get("assistant_thread"))
    user, channel = short_id(thread.get("user_id")), short_id(thread.get("channel_id"))
    root = short_id(thread.get("thread_ts"))
    if not (user and channel and root) or event.get("type") != "assistant_thread_started":
        found.ignored.append(word(event.get("type")))
        return
    at = instant(event.get("event_ts"), body.now)
    found.messages.append(
        body.message(
            f"{channel}:{root}:started",
            user,
            f"{channel}:{root}",
            at,
            System("welcome"),
            extra={"thread": root},
        )
    )


# The account ----------------------------------------------------------------------------------------------


def _ended(body: Body, event: Mapping[str, Any], found: Found) -> None:
    kind = word(event.get("type"))
    bots = mapping(event.get("tokens")).get("bot")
    if kind == "tokens_revoked" and not _list(bots):
        found.ignored.append("tokens_revoked of people")
        return
    at = instant(body.found.get("event_time"), body.now)
    if at.timestamp() < body.since:
        # Slack tries again for minutes: meanwhile the app may have been installed anew.
        found.ignored.append(f"{kind} of an earlier installation")
        return
    text = (
        "The app was removed from the workspace. Install it again to go on."
        if kind == "app_uninstalled"
        else "The workspace revoked the app's token. Install the app again to go on."
    )
    found.events.append(
        ChannelEvent(_event_id(body) or f"{kind} {at.isoformat()}", kind, at, text, disable=True)
    )


def _metadata(body: Body, event: Mapping[str, Any], found: Found) -> None:
    found.ignored.append(word(event.get("type")))
    channel, ts = short_id(event.get("channel_id")), short_id(event.get("message_ts"))
    # Any app may write metadata of our name, and we are told of it: only our own is evidence.
    ours = (event.get("bot_id") == body.bot_id != "") or (event.get("user_id") == body.bot != "")
    if channel and ours:
        _evidence(channel, ts, event.get("metadata"), body, found)


def _other(body: Body, event: Mapping[str, Any], found: Found) -> None:
    kind = word(event.get("type"))[:64] or "event without a type"
    if kind == "member_joined_channel" and body.bot and event.get("user") == body.bot:
        at, channel = instant(event.get("event_ts"), body.now), short_id(event.get("channel"))
        text = f"The app was added to the channel {channel}; it answers there when it is mentioned."
        found.events.append(ChannelEvent(_event_id(body), kind, at, text, {"channel": channel}))
    else:
        found.ignored.append(kind)


_READERS: Final[Mapping[str, Callable[[Body, Mapping[str, Any], Found], None]]] = {
    "message": _message,
    "app_mention": _message,
    "reaction_added": _reaction,
    "reaction_removed": _reaction,
    "app_home_opened": _opened,
    "assistant_thread_started": _assistant,
    "assistant_thread_context_changed": _assistant,
    "app_uninstalled": _ended,
    "tokens_revoked": _ended,
    "message_metadata_posted": _metadata,
}
