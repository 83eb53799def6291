"""What the Bot API takes: the documented rules of every method that Parley calls, as checks that refuse like Telegram.

https://core.telegram.org/bots/api#available-methods and, for what the HTML mode takes, #html-style.
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Refusal(Exception):
    """`{"ok": false}` with a status and a sentence, as Telegram words them."""

    status: int
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def bad(description: str) -> Refusal:
    return Refusal(400, f"Bad Request: {description}")


_PLACE = "business_connection_id message_thread_id direct_messages_topic_id "
_SEND = f"{_PLACE}disable_notification protect_content allow_paid_broadcast message_effect_id reply_parameters reply_markup "
_SEND += "suggested_post_parameters "
_CAPTION = "caption parse_mode caption_entities show_caption_above_media has_spoiler "
_EDIT = "business_connection_id inline_message_id reply_markup "

_METHODS: Mapping[str, tuple[str, str]] = {
    "getMe": ("", ""),
    "setWebhook": (
        "url",
        "certificate ip_address max_connections allowed_updates drop_pending_updates secret_token",
    ),
    "deleteWebhook": ("", "drop_pending_updates"),
    "getWebhookInfo": ("", ""),
    "getUpdates": ("", "offset limit timeout allowed_updates"),
    "setMyCommands": ("commands", "scope language_code"),
    "getMyCommands": ("", "scope language_code"),
    "getFile": ("file_id", ""),
    "sendMessage": ("chat_id text", _SEND + "parse_mode entities link_preview_options"),
    "sendPhoto": ("chat_id photo", _SEND + _CAPTION),
    "sendVideo": (
        "chat_id video",
        _SEND + _CAPTION + "duration width height thumbnail cover supports_streaming",
    ),
    "sendAnimation": ("chat_id animation", _SEND + _CAPTION + "duration width height thumbnail"),
    "sendAudio": ("chat_id audio", _SEND + _CAPTION + "duration performer title thumbnail"),
    "sendVoice": ("chat_id voice", _SEND + _CAPTION + "duration"),
    "sendVideoNote": ("chat_id video_note", _SEND + "duration length thumbnail"),
    "sendDocument": ("chat_id document", _SEND + _CAPTION + "thumbnail disable_content_type_detection"),
    "sendSticker": ("chat_id sticker", _SEND + "emoji"),
    "sendMediaGroup": ("chat_id media", _SEND.replace("reply_markup", "")),
    "sendLocation": (
        "chat_id latitude longitude",
        _SEND + "horizontal_accuracy live_period heading proximity_alert_radius",
    ),
    "sendVenue": ("chat_id latitude longitude title address", _SEND + "foursquare_id google_place_id"),
    "sendContact": ("chat_id phone_number first_name", _SEND + "last_name vcard"),
    "sendChatAction": ("chat_id action", "business_connection_id message_thread_id"),
    "sendMessageDraft": ("chat_id draft_id text", "message_thread_id parse_mode entities"),
    "setMessageReaction": ("chat_id message_id", "reaction is_big"),
    "answerCallbackQuery": ("callback_query_id", "text show_alert url cache_time"),
    "editMessageText": ("chat_id message_id text", _EDIT + "parse_mode entities link_preview_options"),
    "editMessageCaption": (
        "chat_id message_id",
        _EDIT + "caption parse_mode caption_entities show_caption_above_media",
    ),
    "editMessageMedia": ("chat_id message_id media", _EDIT),
    "editMessageLiveLocation": (
        "chat_id message_id latitude longitude",
        _EDIT + "live_period horizontal_accuracy heading proximity_alert_radius",
    ),
    "deleteMessage": ("chat_id message_id", ""),
    "deleteBusinessMessages": ("business_connection_id message_ids", ""),
    "readBusinessMessage": ("business_connection_id chat_id message_id", ""),
}
"""Required and optional parameters."""

NUMBERS = frozenset(
    {"chat_id", "message_id", "message_thread_id", "direct_messages_topic_id", "offset", "limit", "timeout"}
    | {"max_connections", "duration", "width", "height"}
)
ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
    }
    | {"choose_sticker", "find_location", "record_video_note", "upload_video_note"}
)
UPDATES = frozenset(
    {
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "business_connection",
        "business_message",
    }
    | {"edited_business_message", "deleted_business_messages", "message_reaction", "message_reaction_count"}
    | {
        "inline_query",
        "chosen_inline_result",
        "callback_query",
        "shipping_query",
        "pre_checkout_query",
        "poll",
    }
    | {
        "purchased_paid_media",
        "poll_answer",
        "my_chat_member",
        "chat_member",
        "chat_join_request",
        "chat_boost",
    }
    | {"removed_chat_boost", "managed_bot", "guest_message"}
)


def check(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What of a message the parameters make (text, entities, keyboard). Raises Refusal."""
    if method not in _METHODS:
        raise Refusal(404, "Not Found")
    required, optional = (names.split() for names in _METHODS[method])
    for name in params:
        # Telegram ignores what it does not know; here it is a mistake of ours.
        if name not in required and name not in optional:
            raise bad(f"parameter {name} does not exist in {method}")
    for name in required:
        if params.get(name) in (None, "", []):
            raise bad("message text is empty" if name == "text" else f"parameter {name} is required")
    for name in NUMBERS & params.keys():
        if type(params[name]) is not int:
            raise bad(f"{name} must be a number")
    made: dict[str, Any] = {}
    for rule in _RULES.get(method, ()):
        made |= rule(params) or {}
    return made


# Text -----------------------------------------------------------------------------------------------------

_TAGS = frozenset(
    {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "blockquote"}
)
_TOKEN = re.compile(r"<(/?)([a-zA-Z][a-zA-Z-]*)((?:\s+[a-z-]+=\"[^\"<>]*\")*)\s*>|<|[^<]+")
_STYLES = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
}


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def parse_html(source: str) -> tuple[str, list[dict[str, Any]]]:
    """The text that a reader sees, and its entities. Raises Refusal where Telegram would."""
    text = ""
    entities: list[dict[str, Any]] = []
    opened: list[tuple[str, int, str]] = []
    for match in _TOKEN.finditer(source):
        at = len(source[: match.start()].encode())
        if not match[2]:
            if match[0] == "<":
                raise bad(f"can't parse entities: Unsupported start tag at byte offset {at}")
            text += _unescaped(match[0])
            continue
        tag = match[2].lower()
        if tag not in _TAGS:
            raise bad(f'can\'t parse entities: Unsupported start tag "{tag}" at byte offset {at}')
        if not match[1]:
            opened.append(
                (tag, units(text), html.unescape(match[3].partition('href="')[2].rstrip().rstrip('"')))
            )
            continue
        if not opened or opened[-1][0] != tag:
            raise bad(f"can't parse entities: Unexpected end tag at byte offset {at}")
        _, start, url = opened.pop()
        if units(text) > start:
            entity = {"type": _STYLES.get(tag, tag), "offset": start, "length": units(text) - start}
            entities.append(entity | ({"url": url} if tag == "a" else {}))
    if opened:
        raise bad(f"can't parse entities: Can't find end tag corresponding to start tag \"{opened[-1][0]}\"")
    return text, [
        e
        for e in entities
        if e["type"] != "text_link" or urlsplit(str(e["url"])).scheme in ("http", "https", "tg")
    ]


def _unescaped(text: str) -> str:
    # Only these names are known, besides numbers.
    return re.sub(r"&(lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);", lambda m: html.unescape(m[0]), text)


def _texted(key: str, most: int) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def rule(params: Mapping[str, Any]) -> dict[str, Any]:
        text, mode = params.get(key, ""), params.get("parse_mode")
        if not isinstance(text, str):
            raise bad(f"{key} must be a string")
        if mode not in (None, "HTML"):
            raise bad("can't parse entities: unsupported parse_mode" if mode else "unsupported parse_mode")
        shown, entities = parse_html(text) if mode else (text, [])
        if key == "text" and not shown.strip(" \n\t\u200b"):
            raise bad("message text is empty")
        if units(shown) > most:
            raise bad("message is too long" if key == "text" else "message caption is too long")
        if sum(len(e.get("url", "")) for e in entities) > 9500:
            raise bad("ENTITIES_TOO_LONG")
        found = {key: shown} if shown else {}
        # What is beyond a hundred is shown without its style.
        entities = entities[:100]
        named = "entities" if key == "text" else "caption_entities"
        return found | ({named: entities} if entities else {})

    return rule


# Keyboards ------------------------------------------------------------------------------------------------


def _keyboard(params: Mapping[str, Any]) -> dict[str, Any]:
    markup = params.get("reply_markup")
    if markup is None:
        return {}
    if not isinstance(markup, dict):
        raise bad("object expected as reply markup")
    if "inline_keyboard" in markup:
        _inline(_rows(markup["inline_keyboard"]))
        return {"reply_markup": markup}
    if "keyboard" in markup:
        _asking(_rows(markup["keyboard"]), params)
    elif markup.get("remove_keyboard") is not True and "force_reply" not in markup:
        raise bad("can't parse reply keyboard markup JSON object")
    return {"_keyboard": True}


def _rows(rows: Any) -> list[Mapping[str, Any]]:
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
        raise bad("can't parse reply keyboard: array of arrays expected")
    buttons: list[Mapping[str, Any]] = [
        button if isinstance(button, dict) else {"text": button} for row in rows for button in row
    ]
    if len(buttons) > 100 or any(len(row) > 8 for row in rows):
        raise bad("reply markup is too long")
    if not all(isinstance(b.get("text"), str) and b["text"].strip() for b in buttons):
        raise bad('can\'t parse keyboard button: Field "text" must be of type String')
    if any(units(b["text"]) > 256 for b in buttons):
        raise bad("BUTTON_TEXT_INVALID")
    return buttons


def _inline(buttons: Sequence[Mapping[str, Any]]) -> None:
    for button in buttons:
        actions = button.keys() - {"text", "style", "icon_custom_emoji_id"}
        if len(actions) != 1:
            raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
        if "callback_data" in actions and not 1 <= len(str(button["callback_data"]).encode()) <= 64:
            raise bad("BUTTON_DATA_INVALID")
        if "url" in actions and not _public(button["url"]):
            raise bad(f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")


def _public(url: Any) -> bool:
    parts = urlsplit(str(url))
    return parts.scheme == "tg" or (parts.scheme in ("http", "https") and "." in (parts.hostname or ""))


def _asking(buttons: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> None:
    for key, name in (("request_contact", "phone number"), ("request_location", "location")):
        if any(button.get(key) for button in buttons) and params["chat_id"] < 0:
            raise bad(f"{name} can be requested in private chats only")


# The rest -------------------------------------------------------------------------------------------------


def _reply(params: Mapping[str, Any]) -> dict[str, Any]:
    reply = params.get("reply_parameters")
    if reply is not None and not (isinstance(reply, dict) and type(reply.get("message_id")) is int):
        raise bad("can't parse ReplyParameters JSON object")
    return {}


def _point(params: Mapping[str, Any]) -> dict[str, Any]:
    latitude, longitude = params["latitude"], params["longitude"]
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise bad("wrong latitude or longitude")
    point = {"latitude": latitude, "longitude": longitude}
    if "title" in params:
        return {
            "venue": {"location": point, "title": params["title"], "address": params["address"]},
            "location": point,
        }
    return {"location": point}


def _person(params: Mapping[str, Any]) -> dict[str, Any]:
    if len(str(params.get("vcard", "")).encode()) > 2048:
        raise bad("vcard is too long")
    keys = ("phone_number", "first_name", "last_name", "vcard")
    return {"contact": {key: params[key] for key in keys if key in params}}


def _group(params: Mapping[str, Any]) -> dict[str, Any]:
    media = params["media"]
    if not isinstance(media, list) or not 2 <= len(media) <= 10:
        raise bad(
            "must include 2-10 items in media group" if isinstance(media, list) else "media must be an array"
        )
    kinds = {item.get("type") for item in media}
    if not kinds <= {"photo", "video", "audio", "document"}:
        raise bad("can't use the media of the specified type in the album")
    if len(kinds) > 1 and not kinds <= {"photo", "video"}:
        raise bad("MEDIA_GROUPED_INVALID")
    for item in media:
        _CAPTIONED(item)
    return {}


def _media(params: Mapping[str, Any]) -> dict[str, Any]:
    media = params["media"]
    if not isinstance(media, dict) or media.get("type") not in (
        "photo",
        "video",
        "animation",
        "audio",
        "document",
    ):
        raise bad("can't parse InputMedia: type must be non-empty")
    return _CAPTIONED(media)


def _reaction(params: Mapping[str, Any]) -> dict[str, Any]:
    from telegram.constants import ReactionEmoji

    reaction = params.get("reaction", [])
    if not isinstance(reaction, list) or len(reaction) > 1:
        raise bad("REACTIONS_TOO_MANY")
    known = {emoji.value.replace("\ufe0f", "") for emoji in ReactionEmoji}
    if any(r.get("type") != "emoji" or r.get("emoji") not in known for r in reaction):
        raise bad("REACTION_INVALID")
    return {}


def _webhook(params: Mapping[str, Any]) -> dict[str, Any]:
    parts = urlsplit(params["url"])
    if parts.scheme != "https":
        raise bad("bad webhook: An HTTPS URL must be provided for webhook")
    if (parts.port or 443) not in (443, 80, 88, 8443):
        raise bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
    if not 1 <= params.get("max_connections", 40) <= 100:
        raise bad("bad webhook: max_connections must be between 1 and 100")
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", params.get("secret_token", "")):
        raise bad("secret token contains unallowed characters")
    return _allowed(params)


def _allowed(params: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := set(params.get("allowed_updates", [])) - UPDATES:
        raise bad(f"unknown update types {sorted(unknown)}")
    if not 1 <= params.get("limit", 100) <= 100 or params.get("timeout", 0) < 0:
        raise bad("limit or timeout out of range")
    return {}


def _commands(params: Mapping[str, Any]) -> dict[str, Any]:
    for command in params["commands"]:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
            raise bad("BOT_COMMAND_INVALID")
        if not 1 <= len(command["description"]) <= 256:
            raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
    if len(params["commands"]) > 100 or len(params.get("language_code", "en")) != 2:
        raise bad("BOT_COMMANDS_TOO_MUCH or wrong language code")
    return {}


def _action(params: Mapping[str, Any]) -> dict[str, Any]:
    if params["action"] not in ACTIONS:
        raise bad("wrong parameter action in request")
    return {}


def _draft(params: Mapping[str, Any]) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#sendmessagedraft"""
    if not isinstance(params["chat_id"], int) or params["chat_id"] <= 0:
        raise bad("TEXTDRAFT_PEER_INVALID")
    if not isinstance(params["draft_id"], int) or params["draft_id"] == 0:
        raise bad("draft_id must be non-zero")
    return {}


_TEXT, _CAPTIONED = _texted("text", 4096), _texted("caption", 1024)
_FILES = {
    f"send{kind}": (_CAPTIONED, _keyboard, _reply)
    for kind in ("Photo", "Video", "Animation", "Audio", "Voice")
}
_RULES: Mapping[str, Sequence[Callable[[Mapping[str, Any]], dict[str, Any]]]] = _FILES | {
    "sendDocument": (_CAPTIONED, _keyboard, _reply),
    "sendSticker": (_keyboard, _reply),
    "sendMessage": (_TEXT, _keyboard, _reply),
    "sendMediaGroup": (_group, _reply),
    "sendLocation": (_point, _keyboard, _reply),
    "sendVenue": (_point, _keyboard, _reply),
    "sendContact": (_person, _keyboard, _reply),
    "sendChatAction": (_action,),
    "sendMessageDraft": (_draft, _texted("text", 4096)),
    "setMessageReaction": (_reaction,),
    "editMessageText": (_TEXT, _keyboard),
    "editMessageCaption": (_CAPTIONED, _keyboard),
    "editMessageMedia": (_media, _keyboard),
    "editMessageLiveLocation": (_point, _keyboard),
    "setWebhook": (_webhook,),
    "getUpdates": (_allowed,),
    "setMyCommands": (_commands,),
}
