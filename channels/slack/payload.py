"""The model to chat.postMessage and its kin.

https://docs.slack.dev/reference/methods/chat.postMessage
https://docs.slack.dev/reference/block-kit/blocks
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from channels.kit import clean_text, shorten, split_text, units
from channels.read import MAX_ID
from channels.slack.events import OUR_EVENT
from channels.slack.interact import LINK
from channels.slack.words import escape, linked, mrkdwn, shown
from gateway.model.content import Buttons, Choice, Content, Link, ListMenu, Media, Text
from gateway.model.errors import SendError
from gateway.model.ports import Outgoing

SECTION: Final = 3000
TITLE: Final = 75
PLACEHOLDER: Final = 150
VALUE: Final = MAX_ID
"""Slack takes 2,000 characters; an id that comes back longer than this is not read as it is."""

OPTION: Final = 150
URL: Final = 3000
ALT: Final = 2000
_FORMATS: Final = re.compile(r"[*_~`]|^\s*>", re.MULTILINE)
_WORST: Final = 5
"""One character is at most so many once it is escaped (`&amp;`)."""


def place(address: str) -> tuple[str, str]:
    """Channel (or user) and thread of an address, or channel and message of a provider's id."""
    channel, _, rest = address.partition(":")
    return channel, rest


def message(outgoing: Outgoing) -> dict[str, Any]:
    """The body of `chat.postMessage`. Raises SendError for what Slack can't carry."""
    channel, root = place(outgoing.address)
    body: dict[str, Any] = {"channel": channel} | ({"thread_ts": root} if root else {})
    body |= said(outgoing.content)
    # Our own links are not to be opened and shown by Slack; the metadata tells our message again.
    body |= {"unfurl_links": False, "unfurl_media": False}
    return body | {"metadata": {"event_type": OUR_EVENT, "event_payload": {"id": outgoing.id}}}


def change(to: str, content: Content) -> dict[str, Any]:
    """The body of `chat.update` for the message with the provider's id `to`."""
    channel, ts = place(to)
    body = said(content)
    if body.pop("mrkdwn", None) is False and isinstance(content, Text):
        # This call can't be told to leave formatting alone; a plain block is.
        body["blocks"] = _sections(content.text, False)
    # Without blocks the old ones go: a question that was answered keeps no buttons.
    return {"channel": channel, "ts": ts, "parse": "none", "blocks": [], **body}


def said(content: Content) -> dict[str, Any]:
    match content:
        case Text(text=text, markup=markup):
            return _text(text, markup)
        case Buttons(text=text, choices=choices, markup=markup):
            return _blocks(text, markup, [_button(i, c) for i, c in enumerate(choices)])
        case ListMenu(text=text, button=button, choices=choices, markup=markup):
            return _blocks(text, markup, [_select(button, choices)])
        case Link(text=text, title=title, url=url, markup=markup):
            if len(url) > URL:
                raise _cannot("link", "The address is longer than Slack takes.")
            element = {"type": "button", "action_id": LINK, "text": _label(title, TITLE), "url": url}
            return _blocks(text, markup, [element])
        case Media(url=url, file=None) if url:
            return _linked(content, url)
        case Media(caption=caption, markup=markup) if caption:
            return _text(caption, markup)
    raise _cannot(content.type, "Slack can't carry this kind of message.")


def _cannot(kind: str, text: str) -> SendError:
    return SendError(f"slack:cannot_send_{kind}", text)


def _text(text: str, markup: bool) -> dict[str, Any]:
    return {"text": mrkdwn(text)} if markup else {"text": escape(text), "mrkdwn": False}


def comment(captions: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    """Captions, each with whether it is markup, as what goes with shared files. A comment is always read as mrkdwn, so
    plain text that would become formatting goes as a block."""
    if not captions:
        return {}
    if any(not markup and _FORMATS.search(text) for text, markup in captions):
        return {"blocks": [section for text, markup in captions for section in _sections(text, markup)]}
    return {"initial_comment": "\n".join(_caption(text, markup) for text, markup in captions)}


def _caption(text: str, markup: bool) -> str:
    return mrkdwn(text) if markup else escape(text)


def _blocks(text: str, markup: bool, elements: list[dict[str, Any]]) -> dict[str, Any]:
    actions = {"type": "actions", "elements": elements}
    return {"text": shown(text, markup), "blocks": [*_sections(text, markup), actions]}


def _sections(text: str, markup: bool) -> list[dict[str, Any]]:
    whole = _section(text, markup)
    if units(whole["text"]["text"]) <= SECTION:
        return [whole]
    return [_section(piece, markup) for piece in split_text(text, SECTION // _WORST)]


def _section(text: str, markup: bool) -> dict[str, Any]:
    if markup:
        return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn(text)}}
    return {"type": "section", "text": {"type": "plain_text", "text": clean_text(text), "emoji": False}}


def _button(index: int, choice: Choice) -> dict[str, Any]:
    if len(choice.id) > VALUE:
        raise _cannot("buttons", "A choice's id is longer than Slack takes.")
    # Slack wants each action's id once a block; the choice itself is the value.
    return {
        "type": "button",
        "action_id": f"parley:{index}",
        "text": _label(choice.title, TITLE),
        "value": choice.id,
    }


def _select(button: str, choices: Sequence[Choice]) -> dict[str, Any]:
    return {
        "type": "static_select",
        "action_id": "parley:list",
        "placeholder": _label(button or "…", PLACEHOLDER),
        "options": [_option(choice) for choice in choices],
    }


def _option(choice: Choice) -> dict[str, Any]:
    if len(choice.id) > OPTION:
        raise _cannot("list", "A choice's id is longer than Slack takes.")
    option: dict[str, Any] = {"text": _label(choice.title, TITLE), "value": choice.id}
    return option | ({"description": _label(choice.description, TITLE)} if choice.description else {})


def _label(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": shorten(clean_text(text), limit), "emoji": True}


def _linked(media: Media, url: str) -> dict[str, Any]:
    """A file that lies on a public address: a picture is shown from there, another is linked."""
    name = media.name or media.media
    text = _caption(media.caption, media.markup) if media.caption else ""
    if media.media == "image" and len(url) <= URL:
        image = {"type": "image", "image_url": url, "alt_text": shorten(clean_text(name), ALT)}
        sections = _sections(media.caption, media.markup) if media.caption else []
        return {"text": text or escape(name), "blocks": [*sections, image]}
    return {"text": "\n".join(filter(None, (text, linked(url, name))))}
