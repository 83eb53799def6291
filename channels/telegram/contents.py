"""What a Telegram message says: its content, read from whatever it holds.

https://core.telegram.org/bots/api#message
"""

from collections.abc import Mapping
from typing import Any, Final

from channels.kit import clean_name
from channels.read import items, mapping, raw, short_id, word
from gateway.model.content import (
    Contacts,
    Content,
    Location,
    Media,
    MediaKind,
    SharedContact,
    System,
    Text,
    Unsupported,
)

_FILES: Final[tuple[tuple[str, MediaKind, str], ...]] = (
    # An animation also comes as a document, and a live photo with its photo: the more telling one is first.
    ("animation", "video", "video/mp4"),
    ("live_photo", "video", "video/mp4"),
    ("video", "video", "video/mp4"),
    ("video_note", "video", "video/mp4"),
    ("audio", "audio", "audio/mpeg"),
    ("voice", "voice", "audio/ogg"),
    ("document", "document", ""),
)
"""Key, kind, and the type where Telegram does not say it."""

_SAID: Final = (
    "paid_media",
    "checklist",
    "game",
    "poll",
    "story",
    "invoice",
    "successful_payment",
    "passport_data",
    "web_app_data",
    "giveaway",
    "giveaway_winners",
    "gift",
    "unique_gift",
    "users_shared",
    "chat_shared",
)
"""What a person sends and Parley does not model."""

SERVICE: Final[Mapping[str, str]] = {
    "new_chat_members": "joined the group",
    "left_chat_member": "left the group",
    "new_chat_title": "changed the title",
    "new_chat_photo": "changed the picture",
    "delete_chat_photo": "removed the picture",
    "group_chat_created": "created the group",
    "supergroup_chat_created": "created the group",
    "channel_chat_created": "created the channel",
    "message_auto_delete_timer_changed": "changed when messages are deleted",
    "pinned_message": "pinned a message",
    "refunded_payment": "a payment was refunded",
    "gift_upgrade_sent": "sent a gift's upgrade",
    "connected_website": "signed in on a website with Telegram",
    "write_access_allowed": "allowed the bot to write",
    "proximity_alert_triggered": "came near to another person",
    "boost_added": "boosted the group",
    "chat_background_set": "changed the background",
    "checklist_tasks_done": "ticked off tasks",
    "checklist_tasks_added": "added tasks to a checklist",
    "poll_option_added": "added an answer to a poll",
    "poll_option_deleted": "removed an answer from a poll",
    "direct_message_price_changed": "changed the price of direct messages",
    "paid_message_price_changed": "changed the price of messages",
    "forum_topic_created": "created the topic",
    "forum_topic_edited": "changed the topic",
    "forum_topic_closed": "closed the topic",
    "forum_topic_reopened": "opened the topic again",
    "general_forum_topic_hidden": "hid the general topic",
    "general_forum_topic_unhidden": "showed the general topic again",
    "giveaway_created": "started a giveaway",
    "giveaway_completed": "ended a giveaway",
    "suggested_post_approved": "approved a suggested post",
    "suggested_post_approval_failed": "could not approve a suggested post",
    "suggested_post_declined": "declined a suggested post",
    "suggested_post_paid": "paid for a suggested post",
    "suggested_post_refunded": "got the money for a suggested post back",
    "video_chat_scheduled": "planned a video chat",
    "video_chat_started": "started a video chat",
    "video_chat_ended": "ended a video chat",
    "video_chat_participants_invited": "invited people to a video chat",
    "chat_owner_left": "the group's owner left",
    "chat_owner_changed": "the group has another owner",
    "managed_bot_created": "created a bot",
}
"""What happened rather than was said: kept as a silent note."""

_AROUND: Final = (
    "message_id message_thread_id direct_messages_topic from sender_chat sender_boost_count sender_business_bot sender_tag "
    "date business_connection_id chat forward_origin is_topic_message is_automatic_forward reply_to_message external_reply "
    "quote reply_to_story reply_to_checklist_task_id reply_to_poll_option_id via_bot edit_date has_protected_content "
    "is_from_offline is_paid_post media_group_id author_signature paid_star_count entities caption_entities "
    "link_preview_options suggested_post_info effect_id show_caption_above_media has_media_spoiler reply_markup "
    "forward_from forward_date forward_from_chat forward_from_message_id forward_sender_name forward_signature caption "
    "guest_bot_caller_user guest_bot_caller_chat guest_query_id"
)
_ENVELOPE: Final = frozenset(_AROUND.split())


def content(message: Mapping[str, Any], caption: str) -> Content:
    """The content of a message other than a text. `caption` is its caption, already freed of a mention of us."""
    if (file := _file(message, caption)) is not None:
        return file
    for key, read in (("venue", _venue), ("location", _location), ("contact", _contact), ("dice", _dice)):
        # A venue repeats its point as a location.
        if message.get(key) and (found := read(message)) is not None:
            return found
    for key in _SAID:
        if key in message:
            return Unsupported(key, raw(message))
    for key, text in SERVICE.items():
        if key in message:
            return _service(key, text, message)
    unheard = next((key for key in message if key not in _ENVELOPE), "unknown")
    return Unsupported(unheard[:64], raw(message))


def _file(message: Mapping[str, Any], caption: str) -> Media | None:
    for key, kind, mime in _FILES:
        if found := mapping(message.get(key)):
            return _media(kind, found, mime, caption)
    if sticker := mapping(message.get("sticker")):
        animated = "application/x-tgsticker" if sticker.get("is_animated") is True else "image/webp"
        return _media("sticker", sticker, "video/webm" if sticker.get("is_video") is True else animated, "")
    sizes = [mapping(size) for size in items(message.get("photo"))]
    largest = max(
        sizes, key=lambda s: (_count(s.get("width")) or 0) * (_count(s.get("height")) or 0), default={}
    )
    return _media("image", largest, "image/jpeg", caption) if largest else None


def _media(kind: MediaKind, file: Mapping[str, Any], mime: str, caption: str) -> Media | None:
    file_id = word(file.get("file_id"))
    if not file_id or len(file_id) > 1024:
        return None
    side = _count(file.get("length"))
    return Media(
        kind,
        word(file.get("mime_type"))[:128] or mime,
        file_id,
        name=clean_name(word(file.get("file_name")))
        or clean_name(" - ".join(p for p in (word(file.get("performer")), word(file.get("title"))) if p)),
        caption=caption or None,
        size=_count(file.get("file_size")),
        seconds=_count(file.get("duration")),
        width=_count(file.get("width")) or side,
        height=_count(file.get("height")) or side,
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _location(message: Mapping[str, Any]) -> Location | None:
    return _point(mapping(message.get("location")), None, None)


def _venue(message: Mapping[str, Any]) -> Location | None:
    venue = mapping(message.get("venue"))
    named = word(venue.get("title")) or None
    return _point(mapping(venue.get("location")), named, word(venue.get("address")) or None)


def _point(location: Mapping[str, Any], name: str | None, address: str | None) -> Location | None:
    latitude, longitude = _degrees(location.get("latitude"), 90), _degrees(location.get("longitude"), 180)
    return None if latitude is None or longitude is None else Location(latitude, longitude, name, address)


def _degrees(value: object, most: int) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most
    return float(value) if fits and isinstance(value, int | float) else None


def _contact(message: Mapping[str, Any]) -> Contacts | None:
    contact = mapping(message.get("contact"))
    phone = word(contact.get("phone_number"))[:64]
    name = person_name(contact) or phone
    if not name:
        return None
    user = short_id(contact.get("user_id"))
    own = bool(user and phone) and user == short_id(mapping(message.get("from")).get("id"))
    return Contacts((SharedContact(name, (phone,) if phone else (), own=own),))


def _dice(message: Mapping[str, Any]) -> Text | None:
    dice = mapping(message.get("dice"))
    return Text(f"{word(dice.get('emoji'))} {word(dice.get('value'))}".strip() or "🎲")


def _service(key: str, text: str, message: Mapping[str, Any]) -> System:
    if key == "new_chat_members":
        people = [mapping(m) for m in items(message.get(key))]
        who = ", ".join(name for m in people if (name := person_name(m)))
    elif key == "left_chat_member":
        who = person_name(mapping(message.get(key))) or ""
    else:
        who = person_name(mapping(message.get("from"))) or ""
    title = message.get("new_chat_title")
    what = f"{text} to {word(title)}" if key == "new_chat_title" and word(title) else text
    return System(key, f"{who} {what}".strip())


def person_name(person: Mapping[str, Any]) -> str | None:
    """A person's (or a chat's) name as they give it."""
    parts = (word(person.get("first_name")), word(person.get("last_name")))
    full = " ".join(part for part in parts if part) or word(person.get("title"))
    return clean_name(full) or clean_name(word(person.get("username")))
