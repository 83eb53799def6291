"""What was said: Slack's mrkdwn and rich text to plain text, and the neutral markup to mrkdwn.

https://docs.slack.dev/messaging/formatting-message-text
https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from channels.kit import clean_text
from channels.read import items, mapping, word
from gateway.model.markup import Span, bare, render

_DEEPEST: Final = 6
_ANGLES: Final = re.compile(r"<([^<>\n]*)>")
_ENTITIES: Final = re.compile(r"&(amp|lt|gt);")
_ENTITY: Final = {"amp": "&", "lt": "<", "gt": ">"}
_SCHEMES: Final = ("http://", "https://", "mailto:", "tel:")


# In -------------------------------------------------------------------------------------------------------


def plain(text: str, bot: str = "") -> str:
    """mrkdwn as a customer's client sends it, as a reader sees it: links with their address, people and channels by
    name, entities resolved. Mentions of `bot` are left out. Emoji stay as shortcodes."""
    if bot and bot in text:
        text = _without(text, bot)
    if "<" in text:
        text = _ANGLES.sub(_angle, text)
    return unescaped(text).strip()


def unescaped(text: str) -> str:
    """Slack escapes three characters in all that it sends, a button's plain title too."""
    return _ENTITIES.sub(lambda m: _ENTITY[m[1]], text) if "&" in text else text


def mentions(text: str, bot: str) -> bool:
    return bool(bot) and (f"<@{bot}>" in text or f"<@{bot}|" in text)


def _without(text: str, bot: str) -> str:
    mention = rf"<@{re.escape(bot)}(?:\|[^<>\n]*)?>"
    text = re.sub(rf"^\s*{mention}[\s,:]*", "", text)
    return re.sub(rf"[ \t]*{mention}", "", text)


def _angle(match: re.Match[str]) -> str:
    target, _, label = match[1].partition("|")
    if target.startswith(("@", "#")):
        return f"{target[0]}{label.removeprefix(target[0]) or target[1:]}"
    if target.startswith("!"):
        return label or "@" + target[1:].partition("^")[0]
    if not target.startswith(_SCHEMES):
        return match[0]
    shown = target.removeprefix("mailto:").removeprefix("tel:")
    bare_label = label.rstrip("/")
    if not label or bare_label == shown or bare_label == shown.partition("://")[2].rstrip("/"):
        return shown
    return f"{label} ({shown})"


def of_blocks(blocks: object, depth: int = 0) -> str:
    """The text of a message that has blocks only."""
    return "\n".join(line for line in (_block(mapping(b), depth) for b in items(blocks)) if line)


def _block(block: Mapping[str, Any], depth: int) -> str:
    kind = word(block.get("type"))
    if depth > _DEEPEST:
        return ""
    if kind == "rich_text":
        return _rich(block, depth)
    if kind == "image":
        return word(mapping(block.get("title")).get("text")) or word(block.get("alt_text"))
    if kind == "context":
        return " ".join(filter(None, (_text(mapping(e)) for e in items(block.get("elements")))))
    fields = [_text(mapping(f)) for f in items(block.get("fields"))]
    return "\n".join(filter(None, (_text(mapping(block.get("text"))), *fields)))


def _text(thing: Mapping[str, Any]) -> str:
    text = word(thing.get("text"))
    return text if thing.get("type") == "plain_text" else plain(text)


def _rich(block: Mapping[str, Any], depth: int) -> str:
    return "\n".join(_part(mapping(e), depth + 1) for e in items(block.get("elements"))).strip()


def _part(part: Mapping[str, Any], depth: int) -> str:
    if depth > _DEEPEST:
        return ""
    if part.get("type") == "rich_text_list":
        return "\n".join(f"• {_part(mapping(e), depth + 1)}" for e in items(part.get("elements")))
    text = "".join(_run(mapping(e)) for e in items(part.get("elements")))
    return "> " + text.replace("\n", "\n> ") if part.get("type") == "rich_text_quote" else text


def _run(run: Mapping[str, Any]) -> str:
    match run.get("type"):
        case "link":
            return plain("<" + "|".join(filter(None, (word(run.get("url")), word(run.get("text"))))) + ">")
        case "emoji":
            return f":{word(run.get('name'))}:"
        case "user":
            return f"@{word(run.get('user_id'))}"
        case "channel":
            return f"#{word(run.get('channel_id'))}"
        case "usergroup":
            return f"@{word(run.get('usergroup_id'))}"
        case "broadcast":
            return f"@{word(run.get('range'))}"
        case "date":
            return word(run.get("fallback"))
    return word(run.get("text"))


def of_attachments(attachments: object) -> str:
    """The text of what was shared or forwarded with a message."""
    return "\n".join(filter(None, _attached(attachments)))


def _attached(attachments: object) -> Iterator[str]:
    for item in items(attachments):
        one = mapping(item)
        text = plain(word(one.get("text"))) or plain(word(one.get("fallback")))
        author = word(one.get("author_name"))
        yield f"{author}: {text}" if author and text else text


# Out ------------------------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """The three characters that mean something to Slack wherever they stand."""
    return clean_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mrkdwn(text: str) -> str:
    """The neutral markup as mrkdwn."""
    return render(text, _written)


def _written(span: Span) -> str:
    text = escape(span.text)
    match span.style:
        case "bold":
            return f"*{text}*"
        case "italic":
            return f"_{text}_"
        case "code":
            return f"`{text}`"
        case "link":
            return linked(span.url, span.text)
    return text


def linked(url: str, label: str) -> str:
    """A link. "|" would end the address, and ">" the link."""
    return f"<{escape(url).replace('|', '%7C')}|{escape(label).replace('|', '¦')}>"


def shown(text: str, markup: bool) -> str:
    """What a notification or a screen reader says: no formatting, escaped."""
    return escape(bare(text) if markup else text)
