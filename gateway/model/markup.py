"""The neutral markup: the little formatting that every channel can show, as one source of truth.

    **bold**   *italic* or _italic_   `code`   [label](https://address)   lines that begin with "- "

A marker counts only where it hugs a word (`2 * 3 * 4` stays as it is), spans do not cross lines nor 400 characters,
and a backslash before a marker takes its meaning away. What does not fit is text. Links are http, https, mailto or tel.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Style = Literal["text", "bold", "italic", "code", "link"]

_SPAN: Final = re.compile(
    r"\\(?P<escaped>[\\*_`\[\]()-])"
    r"|`(?P<code>[^`\n]{1,1000})`"
    r"|\[(?P<label>[^\[\]\n]{1,400})\]\((?P<url>(?:https?://|mailto:|tel:)[^\s()<>\"]+(?:\([^\s()<>\"]*\)[^\s()<>\"]*)*)\)"
    r"|\*\*(?=\S)(?P<bold>[^\n]{0,400}?[^\s*])\*\*(?!\*)"
    r"|(?<![\w*])\*(?=[^\s*])(?P<star>[^*\n]{0,400}?[^\s*])\*(?![\w*])"
    r"|(?<!\w)_(?=[^\s_])(?P<line>[^\n]{0,400}?[^\s_])_(?!\w)",
)
_MARKERS: Final = re.compile(r"([\\*_`\[\]])")
_BULLET: Final = re.compile(r"^(\s*)- ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style. `url` is a link's address. Escapes are resolved: `text` is what a reader sees."""

    style: Style
    text: str
    url: str = ""


def spans(text: str) -> list[Span]:
    """The text as runs, in order. Lists stay lines of text, their dash a bullet."""
    found: list[Span] = []
    at = 0
    text = _BULLET.sub(lambda m: f"{m[1]}• ", text)
    for match in _SPAN.finditer(text):
        if match.start() > at:
            _add(found, Span("text", text[at : match.start()]))
        _add(found, _span(match))
        at = match.end()
    if at < len(text):
        _add(found, Span("text", text[at:]))
    return found


def _span(match: re.Match[str]) -> Span:
    kind = match.lastgroup
    if kind == "escaped":
        return Span("text", match["escaped"])
    if kind == "code":
        return Span("code", match["code"])
    if kind == "url":
        return Span("link", _bared(match["label"]), match["url"])
    if kind == "bold":
        return Span("bold", _bared(match["bold"]))
    return Span("italic", _bared(match["star"] or match["line"]))


def _bared(text: str) -> str:
    """Styles do not nest: what is inside one is read for its escapes and markers, and shown in the outer style."""
    return "".join(s.text for s in spans(text)) if _MARKERS.search(text) else text


def _add(found: list[Span], span: Span) -> None:
    if span.style == "text" and found and found[-1].style == "text":
        found[-1] = Span("text", found[-1].text + span.text)
    else:
        found.append(span)


def render(text: str, ways: Callable[[Span], str]) -> str:
    """The text with each run written by `ways`: a channel's own formatting."""
    return "".join(ways(span) for span in spans(text))


def bare(text: str) -> str:
    """What a reader sees where nothing can be formatted; a link keeps its address."""
    return render(text, bare_span)


def bare_span(span: Span) -> str:
    if span.style != "link" or span.text == span.url or span.url.removeprefix("mailto:") == span.text:
        return span.text
    return f"{span.text} ({span.url.removeprefix('mailto:').removeprefix('tel:')})"


def escape(text: str) -> str:
    """Plain text as markup that shows exactly it."""
    escaped = _MARKERS.sub(r"\\\1", text)
    return _BULLET.sub(lambda m: f"{m[1]}\\- ", escaped)


def as_rows(text: str) -> Sequence[Sequence[str]]:
    """The runs as `[style, text]` or `["link", text, url]`: for a browser that builds its own nodes from them."""
    return [[s.style, s.text, s.url] if s.url else [s.style, s.text] for s in spans(text)]
