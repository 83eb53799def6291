"""Sections from a stream of headings and blocks, shared by the parsers."""

from collections.abc import Sequence

from brain.parse import Parsed, Section
from brain.parse.encoding import clean, one_line, squeeze

MAX_HEADING = 120
"""Characters; a longer heading is a paragraph that somebody set in large type."""


class Builder:
    """Collects blocks under the current path of headings.

    The title is the one given; without one (`""`) it is the first heading. None means that the file has no
    title of its own, and that its first heading is a heading like the others.
    """

    def __init__(self, title: str | None = "") -> None:
        self._title = one_line(clean(title or ""))
        self._take_title = title == ""
        self._path: list[tuple[int, str]] = []
        self._blocks: list[str] = []
        self._sections: list[Section] = []
        self._page: int | None = None

    def heading(self, level: int, text: str) -> None:
        """Start a section. `level` is 1 for the highest."""
        text = one_line(clean(text))
        if not text:
            return
        if len(text) > MAX_HEADING:
            self.block(text)
            return
        self._flush()
        self._path = [(at, name) for at, name in self._path if at < level]
        if self._take_title and not self._title and not self._sections:
            self._title = text
        if text != self._title:
            self._path.append((level, text))

    def page(self, number: int) -> None:
        """Start a page; a section does not cross it, so that its page is right."""
        self._flush()
        self._page = number

    def block(self, text: str) -> None:
        """Add a paragraph, list or table: lines that belong together."""
        lines = (squeeze(line) for line in clean(text).split("\n"))
        text = "\n".join(line for line in lines if line)
        if text:
            self._blocks.append(text)

    def table(self, rows: Sequence[Sequence[str]], header: bool = True) -> None:
        """Add a table, a line a row (see `table_lines`)."""
        self.block("\n".join(table_lines(rows, header)))

    def finish(self) -> Parsed:
        self._flush()
        return Parsed(self._title, tuple(self._sections))

    def _flush(self) -> None:
        if self._blocks:
            headings = tuple(name for _, name in self._path)
            self._sections.append(Section(tuple(self._blocks), headings, self._page))
            self._blocks = []


def table_lines(rows: Sequence[Sequence[str]], header: bool = True) -> list[str]:
    """Each row as a line that makes sense alone: `Full service — Price: €120; Ready in: 3 days`.

    Two columns become `first: second`. The header's first cell is left out: what a row is about needs none.
    """
    cells = [[one_line(clean(cell)) for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    if not header or len(cells) < 2:
        return [_plain_row(row) for row in cells]
    names, body = cells[0], cells[1:]
    return [_named_row(names, row) for row in body]


def _plain_row(row: Sequence[str]) -> str:
    filled = [cell for cell in row if cell]
    return f"{filled[0]}: {', '.join(filled[1:])}" if len(filled) > 1 else filled[0]


def _named_row(names: Sequence[str], row: Sequence[str]) -> str:
    if len(row) <= 2:
        return _plain_row(row)
    named = [
        f"{names[i]}: {cell}" if i < len(names) and names[i] else cell
        for i, cell in enumerate(row)
        if i and cell
    ]
    return f"{row[0]} — {'; '.join(named)}" if row[0] else "; ".join(named)
