"""The model to the Bot API's methods. Everything here is pure: files are opened before, and passed in.

https://core.telegram.org/bots/api#available-methods
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

from channels.kit import clean_text, units
from channels.read import MAX_ID
from channels.telegram.api import Call
from channels.telegram.choices import HIDDEN, MOST_HIDDEN, data_of, hidden
from channels.telegram.places import Place, place_of
from gateway.model.content import (
    Album,
    Buttons,
    Choice,
    Contacts,
    Content,
    Deleted,
    Edit,
    Link,
    ListMenu,
    Location,
    Media,
    MediaKind,
    Reaction,
    Request,
    SharedContact,
    Text,
)
from gateway.model.errors import SendError
from gateway.model.markup import Span, bare, bare_span, render
from gateway.model.ports import OpenFile, Outgoing

METHODS: Final[Mapping[str, str]] = {
    "photo": "sendPhoto",
    "video": "sendVideo",
    "animation": "sendAnimation",
    "audio": "sendAudio",
    "voice": "sendVoice",
    "document": "sendDocument",
    "sticker": "sendSticker",
    "video_note": "sendVideoNote",
}
"""By the field of a message that holds the file."""

FIELDS: Final[Mapping[MediaKind, str]] = {
    "image": "photo",
    "video": "video",
    "audio": "audio",
    "voice": "voice",
    "document": "document",
    "sticker": "sticker",
}
_CAPTIONLESS: Final = frozenset({"sticker", "video_note"})
_EDITABLE: Final = frozenset({"photo", "video", "animation", "audio", "document"})

TEXT_LENGTH: Final = 4096
TWO_IN_A_ROW: Final = 16
"""Titles up to this length stand two in a row."""

_EMOJI: Final = (
    "👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 "
    "🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 "
    "🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡 "
)
REACTIONS: Final = frozenset(_EMOJI.split())
"""https://core.telegram.org/bots/api#reactiontypeemoji"""

_ASKS: Final = {"location": ("request_location", "📍"), "phone": ("request_contact", "📱")}

Source = OpenFile | tuple[str, str]
"""A file's bytes, or the field and the id (or address) that Telegram finds it by."""


Files = Mapping[str, OpenFile]


def message(outgoing: Outgoing, sources: Sequence[Source] = ()) -> Call:
    """The call that sends a message. `sources` are its files, in order. Raises SendError for what can't be carried."""
    place, content = place_of(outgoing.address), outgoing.content
    match content:
        case Edit(to=to, content=changed):
            return _edit(place, _number(place, to), changed, sources)
        case Deleted(to=to):
            return _delete(place, _number(place, to))
        case Reaction(emoji=emoji, to=to):
            return _react(place, _number(place, to), emoji)
    method, params, files = _new(place, content, sources)
    params = place.params() | params | _answering(place, outgoing.reply_to)
    if method == "sendMessage" and outgoing.author == "bot":
        params["link_preview_options"] = {"is_disabled": True}
    return Call(method, params, files)


def _new(place: Place, content: Content, sources: Sequence[Source]) -> tuple[str, dict[str, Any], Files]:
    match content:
        case Text(text=text, markup=markup):
            return "sendMessage", _text(text, markup), {}
        case Buttons() | ListMenu():
            return "sendMessage", _choices(content), {}
        case Link():
            return "sendMessage", _link(content), {}
        case Request():
            return "sendMessage", _request(place, content), {}
        case Media():
            field, params, files = _file(content, sources[0])
            return METHODS[field], params, files
        case Album(items=items):
            return _album(items, sources)
        case Location():
            return *_location(content), {}
        case Contacts(contacts=contacts):
            return *_contacts(contacts), {}
    raise cannot(content.type, "Telegram cannot carry this kind of message.")


def cannot(what: str, text: str) -> SendError:
    return SendError(f"telegram:cannot_send_{what}", text)


def _answering(place: Place, reply_to: str | None) -> dict[str, Any]:
    number = place.number(reply_to) if reply_to else None
    if number is None:
        return {}
    return {"reply_parameters": {"message_id": number, "allow_sending_without_reply": True}}


def _number(place: Place, to: str) -> int:
    number = place.number(to)
    if number is None:
        raise SendError("telegram:no_message", "The message meant is not one of this chat.")
    return number


# Text -----------------------------------------------------------------------------------------------------


def _text(text: str, markup: bool, key: str = "text") -> dict[str, Any]:
    """A text as a parameter: HTML where it has formatting, else as it stands, so that nothing can be misread."""
    text = clean_text(text)
    if not markup:
        return {key: text}
    return {key: render(text, _html), "parse_mode": "HTML"}


def _html(span: Span) -> str:
    shown = html.escape(span.text, quote=False)
    match span.style:
        case "bold":
            return f"<b>{shown}</b>"
        case "italic":
            return f"<i>{shown}</i>"
        case "code":
            return f"<code>{shown}</code>"
        case "link" if span.url.startswith(("http://", "https://")):
            return f'<a href="{html.escape(span.url)}">{shown}</a>'
        case "link":
            # Telegram makes no link of any other address, but knows a number and a mailbox when it sees them.
            return html.escape(bare_span(span), quote=False)
    return shown


def _choices(content: Buttons | ListMenu) -> dict[str, Any]:
    params = _text(content.text, content.markup)
    if isinstance(content, ListMenu):
        params = _described(content, params)
    if (link := hidden(content.choices)) is not None:
        if len(link) > MOST_HIDDEN or any(len(c.id) > MAX_ID for c in content.choices):
            raise SendError("telegram:ids_too_long", "The buttons' ids are too long for one message.")
        shown = params["text"] if "parse_mode" in params else html.escape(params["text"], quote=False)
        params = {"text": f'<a href="{link}">{HIDDEN}</a>{shown}', "parse_mode": "HTML"}
    pairs = zip(content.choices, data_of(content.choices), strict=True)
    buttons = [{"text": clean_text(choice.title), "callback_data": data} for choice, data in pairs]
    return params | {"reply_markup": {"inline_keyboard": _rows(content, buttons)}}


def _rows(content: Buttons | ListMenu, buttons: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    short = isinstance(content, Buttons) and all(units(c.title) <= TWO_IN_A_ROW for c in content.choices)
    wide = 2 if short else 1
    return [buttons[i : i + wide] for i in range(0, len(buttons), wide)]


def _described(content: ListMenu, params: dict[str, Any]) -> dict[str, Any]:
    """The rows' descriptions under the text, where they fit: a button has room for its title only."""
    lines = [_line(choice) for choice in content.choices if choice.description]
    if not lines:
        return params
    below = clean_text("\n\n" + "\n".join(lines))
    plain = bare(content.text) if content.markup else content.text
    if units(plain + below) >= TEXT_LENGTH:
        return params
    shown = html.escape(below, quote=False) if content.markup else below
    return params | {"text": params["text"] + shown}


def _line(choice: Choice) -> str:
    return f"• {choice.title}: {choice.description}"


def _link(content: Link) -> dict[str, Any]:
    if content.url.startswith(("http://", "https://")):
        button = {"text": clean_text(content.title), "url": content.url}
        return _text(content.text, content.markup) | {"reply_markup": {"inline_keyboard": [[button]]}}
    shown = bare_span(Span("link", content.title, content.url))
    params = _text(content.text, content.markup)
    below = html.escape(shown, quote=False) if content.markup else shown
    return params | {"text": f"{params['text']}\n\n{below}".strip()}


def _request(place: Place, content: Request) -> dict[str, Any]:
    params = _text(content.text, content.markup)
    if not place.private:
        return params
    asks, sign = _ASKS[content.wants]
    button = {"text": clean_text(content.button) or sign, asks: True}
    keyboard = {"keyboard": [[button]], "resize_keyboard": True, "one_time_keyboard": True}
    return params | {"reply_markup": keyboard}


# Files ----------------------------------------------------------------------------------------------------


def _file(media: Media, source: Source) -> tuple[str, dict[str, Any], Files]:
    field, value, files = _sourced(FIELDS[media.media], "file", source)
    caption = {} if field in _CAPTIONLESS or not media.caption else _caption(media)
    return field, {field: value} | caption | _shape(field, media), files


def _caption(media: Media) -> dict[str, Any]:
    return _text(media.caption or "", media.markup, "caption")


def _sourced(field: str, name: str, source: Source) -> tuple[str, str, Files]:
    """The field, what stands in it, and the file that goes along."""
    if isinstance(source, OpenFile):
        return field, f"attach://{name}", {name: source}
    return source[0] or field, source[1], {}


def _shape(field: str, media: Media) -> dict[str, Any]:
    known = {"width": media.width, "height": media.height, "duration": media.seconds}
    wanted = {"video": ("width", "height", "duration"), "audio": ("duration",), "voice": ("duration",)}
    shape: dict[str, Any] = {key: known[key] for key in wanted.get(field, ()) if known[key]}
    return shape | ({"supports_streaming": True} if field == "video" else {})


def _album(items: Sequence[Media], sources: Sequence[Source]) -> tuple[str, dict[str, Any], Files]:
    media: list[dict[str, Any]] = []
    files: dict[str, OpenFile] = {}
    for n, (item, source) in enumerate(zip(items, sources, strict=True)):
        field, value, more = _sourced(FIELDS[item.media], f"file{n}", source)
        caption = _caption(item) if item.caption else {}
        media.append({"type": field, "media": value} | caption | _shape(field, item))
        files |= more
    return "sendMediaGroup", {"media": media}, files


# Places and people ----------------------------------------------------------------------------------------


def _location(content: Location) -> tuple[str, dict[str, Any]]:
    params = {"latitude": content.latitude, "longitude": content.longitude}
    named = content.name or content.address
    if not named:
        return "sendLocation", params
    return "sendVenue", params | {"title": clean_text(named), "address": clean_text(content.address or named)}


def _contacts(contacts: Sequence[SharedContact]) -> tuple[str, dict[str, Any]]:
    if len(contacts) == 1 and contacts[0].phones:
        one = contacts[0]
        first, _, last = clean_text(one.name).strip().partition(" ")
        params = {"phone_number": one.phones[0], "first_name": first or one.phones[0]}
        params |= {"last_name": last.strip()} if last.strip() else {}
        more = one.phones[1:] or one.emails or one.organisation
        return "sendContact", params | ({"vcard": _vcard(one)} if more else {})
    # Telegram's card is one person with a number; anything else is said in words.
    cards = ("\n".join(p for p in (c.name, c.organisation, *c.phones, *c.emails) if p) for c in contacts)
    return "sendMessage", _text("\n\n".join(cards), markup=False)


def _vcard(contact: SharedContact) -> str:
    """A vCard 3.0, cut to the 2,048 bytes that Telegram takes."""
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"FN:{_escaped(contact.name)}"]
    lines += [f"ORG:{_escaped(contact.organisation)}"] if contact.organisation else []
    lines += [f"TEL:{_escaped(phone)}" for phone in contact.phones]
    lines += [f"EMAIL:{_escaped(mail)}" for mail in contact.emails]
    while len("\r\n".join(lines).encode()) > 2000:
        lines.pop()
    return "\r\n".join([*lines, "END:VCARD"])


def _escaped(text: str) -> str:
    for sign in ("\\", ",", ";"):
        text = text.replace(sign, f"\\{sign}")
    return clean_text(text).replace("\r", "").replace("\n", "\\n")


# Changes --------------------------------------------------------------------------------------------------


def _edit(place: Place, number: int, changed: Content, sources: Sequence[Source]) -> Call:
    params = place.of_message() | {"message_id": number}
    match changed:
        case Text(text=text, markup=markup):
            preview = {"link_preview_options": {"is_disabled": True}}
            return Call("editMessageText", params | _text(text, markup) | preview)
        case Buttons():
            return Call("editMessageText", params | _choices(changed))
        case Location(latitude=latitude, longitude=longitude):
            point = {"latitude": latitude, "longitude": longitude}
            return Call("editMessageLiveLocation", params | point)
        case Media() if sources:
            field, value, files = _sourced(FIELDS[changed.media], "file", sources[0])
            if field in _EDITABLE:
                caption = _caption(changed) if changed.caption else {}
                media = {"type": field, "media": value} | caption
                return Call("editMessageMedia", params | {"media": media}, files)
    if isinstance(changed, Media):
        return Call("editMessageCaption", params | _caption(changed))
    raise cannot("edit", "Telegram cannot change a message into this.")


def _delete(place: Place, number: int) -> Call:
    if place.business:
        params = {"business_connection_id": place.business, "message_ids": [number]}
        return Call("deleteBusinessMessages", params)
    return Call("deleteMessage", place.of_message() | {"message_id": number})


def _react(place: Place, number: int, emoji: str) -> Call:
    if place.business:
        raise cannot("reaction", "In a business account's chats Telegram takes no reactions from a bot.")
    emoji = emoji.replace("\ufe0f", "")
    if emoji and emoji not in REACTIONS:
        raise cannot(
            "reaction", "Telegram takes only its own set of emoji as a reaction; this one is not in it."
        )
    reaction = [{"type": "emoji", "emoji": emoji}] if emoji else []
    return Call("setMessageReaction", place.of_message() | {"message_id": number, "reaction": reaction})
