"""HTML by the standard library's parser: what a reader reads, without scripts, menus, footers, and what is hidden from sight."""

from html.parser import HTMLParser

from brain.parse import Parsed
from brain.parse.build import Builder
from brain.parse.unseen import Unseen, unseen_by

_VOID_TAGS = "area base br col embed hr img input link meta source track wbr"
_SKIP_TAGS = """
script style noscript template svg math iframe object canvas nav footer aside form button select textarea
dialog video audio
"""
_BLOCK_TAGS = """
p div section article main header blockquote pre figure figcaption address ul ol dl dt dd table tr body
details summary fieldset center
"""
_VOID, _SKIP, _BLOCK = (frozenset(tags.split()) for tags in (_VOID_TAGS, _SKIP_TAGS, _BLOCK_TAGS))
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def parse_html(text: str) -> Parsed:
    """Sections of a page. If it marks its main part, only that is read."""
    unseen = unseen_by(text)
    reader = _Reader("<main" in text.lower(), unseen)
    reader.feed(text)
    reader.close()
    parsed = reader.finish()
    if not parsed.sections and reader.only_main:  # an empty or unclosed <main>
        reader = _Reader(False, unseen)
        reader.feed(text)
        reader.close()
        parsed = reader.finish()
    return parsed


def html_text(fragment: str) -> str:
    """The text of a fragment, a line a block."""
    return "\n".join(block for section in parse_html(fragment).sections for block in section.blocks)


class _Reader(HTMLParser):
    """Keeps no stack of elements, so nesting costs nothing and unclosed tags do no harm."""

    def __init__(self, only_main: bool, unseen: Unseen) -> None:
        super().__init__(convert_charrefs=True)
        self._unseen = unseen
        self.only_main = only_main
        self._main = 0
        self._skip: str | None = None
        self._skip_depth = 0
        self._title: list[str] = []
        self._in_title = False
        self._text: list[str] = []
        self._heading: int | None = None
        self._items: list[str] = []
        self._list = 0
        self._numbered = False
        self._rows: list[list[str]] | None = None
        self._builder = Builder()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skip:
            self._skip_depth += tag == self._skip
        elif tag in _SKIP or (tag not in _VOID and self._unseen.hides(tag, attrs)):
            self._skip, self._skip_depth = tag, 1
        elif tag == "title":
            self._in_title = True
        elif tag == "main":
            self._main += 1
        else:
            self._open(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._skip:
            self._skip_depth -= tag == self._skip
            if not self._skip_depth:
                self._skip = None
        elif tag == "title":
            self._in_title = False
        else:
            self._close(tag)
            if tag == "main":
                self._flush()
                self._main -= self._main > 0

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data)
        elif not self._skip and (self._main or not self.only_main):
            self._text.append(data)

    def finish(self) -> Parsed:
        self._flush()
        self._end_list()
        parsed = self._builder.finish()
        return Parsed(parsed.title or " ".join("".join(self._title).split()), parsed.sections)

    def _open(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._flush()
            self._heading = _HEADINGS[tag]
        elif tag == "br":
            self._text.append(" " if self._heading or self._rows is not None else "\n")
        elif tag in ("ul", "ol"):
            self._flush()
            self._numbered = tag == "ol" if not self._list else self._numbered
            self._list += 1
        elif tag == "li":
            self._flush()
            self._items.append("")
        elif tag == "table":
            self._flush()
            self._rows = []
        elif self._rows is not None and tag in ("tr", "td", "th", "caption"):
            self._cell(tag)
        elif tag in _BLOCK:
            self._text.append(" ") if self._rows is not None else self._flush()

    def _cell(self, tag: str) -> None:
        if self._rows is None:
            return
        if self._rows and self._rows[-1]:
            self._rows[-1][-1] = (self._rows[-1][-1] + " " + self._take()).strip()
        if tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            if not self._rows:
                self._rows.append([])
            self._text = []
            self._rows[-1].append("")

    def _close(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._flush()
        elif tag in ("ul", "ol"):
            self._flush()
            self._list -= self._list > 0
            if not self._list:
                self._end_list()
        elif tag == "table":
            self._end_table()
        elif tag in ("td", "th"):
            self._cell(tag="")
        elif tag in _BLOCK or tag == "li":
            self._text.append(" ") if self._rows is not None else self._flush()

    def _flush(self) -> None:
        """End the paragraph, heading or item that the text so far belongs to."""
        text, level, self._heading = self._take(), self._heading, None
        if not text:
            return
        if level is not None:
            self._end_list()
            self._builder.heading(level, text)
        elif self._list and self._items:
            self._items[-1] = f"{self._items[-1]} {text}".strip()
        else:
            self._end_list()
            self._builder.block(text)

    def _take(self) -> str:
        text, self._text = "".join(self._text).strip(), []
        return "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())

    def _end_list(self) -> None:
        items, self._items = [" ".join(item.split()) for item in self._items], []
        items = [item for item in items if item]
        marks = [f"{number}." if self._numbered else "-" for number in range(1, len(items) + 1)]
        self._builder.block("\n".join(f"{mark} {item}" for mark, item in zip(marks, items, strict=True)))

    def _end_table(self) -> None:
        self._cell(tag="")
        rows, self._rows = [row for row in self._rows or [] if any(row)], None
        self._end_list()
        self._builder.table(rows)
