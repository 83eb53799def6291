"""Files in messages, to the model. https://docs.slack.dev/reference/objects/file-object"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from channels.read import items, mapping, raw, short_id, word
from gateway.model.content import Album, Content, Media, MediaKind, Text, Unsupported

_GONE: Final = {
    "tombstone": "the file was deleted",
    "hidden_by_limit": "the workspace's plan hides the file",
}
_KINDS: Final[tuple[MediaKind, ...]] = ("image", "video", "audio")


def content(files: object, text: str) -> Content:
    """One file with the message's text as its caption, several as an album. Files that are kept elsewhere become lines
    of the text; what can't be had any more is said to be so."""
    found = [mapping(item) for item in items(files)]
    ours = [f for f in found if _is_kept(f)]
    links = [_link(f) for f in found if not _is_kept(f) and not _reason(f)]
    text = "\n".join(filter(None, (text, *links)))
    media = [_media(f) for f in ours]
    if not media:
        reason = next(filter(None, map(_reason, found)), None)
        return Text(text) if text else Unsupported("file", raw(found), reason)
    media[0] = replace(media[0], caption=text or None)
    return media[0] if len(media) == 1 else Album(tuple(media))


def ids(files: object) -> Sequence[str]:
    return tuple(filter(None, (short_id(mapping(item).get("id")) for item in items(files))))


def _is_kept(file: Mapping[str, Any]) -> bool:
    return bool(word(file.get("id"))) and not _reason(file) and file.get("is_external") is not True


def _reason(file: Mapping[str, Any]) -> str | None:
    return _GONE.get(word(file.get("mode")))


def _link(file: Mapping[str, Any]) -> str:
    title = word(file.get("title")) or word(file.get("name"))
    url = word(file.get("external_url")) or word(file.get("url_private")) or word(file.get("permalink"))
    return f"{title} ({url})" if title and url else title or url


def _media(file: Mapping[str, Any]) -> Media:
    mime = word(file.get("mimetype"))
    milliseconds = _number(file.get("duration_ms"))
    return Media(
        _kind(file, mime),
        mime,
        media_id=short_id(file.get("id")),
        name=word(file.get("name")) or word(file.get("title")) or None,
        size=_number(file.get("size")),
        seconds=milliseconds // 1000 if milliseconds is not None else None,
        width=_number(file.get("original_w")),
        height=_number(file.get("original_h")),
    )


def _kind(file: Mapping[str, Any], mime: str) -> MediaKind:
    # A clip that is recorded in Slack says so; an audio clip is sent as an mp4 or webm.
    if file.get("subtype") == "slack_audio":
        return "voice"
    return next((kind for kind in _KINDS if mime.startswith(f"{kind}/")), "document")


def _number(value: object) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    return value if whole else None  # type: ignore[return-value]
