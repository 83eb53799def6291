"""A list of people as a CSV file: read as it comes, in bounded memory; what can't be read is told by its line.

RFC 4180, and what spreadsheets make of it: a byte order mark, semicolons or tabs, quotes over several lines, UTF-16.
"""

import codecs
import csv
import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.model.campaign import Wrong
from gateway.model.errors import Invalid

MOST_LINES: Final = 100
MOST_LENGTH: Final = 64 * 1024
"""One row's: a quote that never ends must not swallow the rest of the file."""

MOST_COLUMNS: Final = 200
KEYS: Final = ("phone", "contact")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """`line` is the row's first line in the file, from 1; `values` by column name, lower-case, without spaces around."""

    line: int
    values: dict[str, str]


@dataclass
class _Reader:
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    line: int = 0
    """Lines read so far."""
    held: list[str] = field(default_factory=list)
    """Lines of a row whose quote has not ended."""

    def take(self, text: str) -> Iterator[Row | Wrong]:
        """One more line."""
        self.line += 1
        self.held.append(text)
        whole = "".join(self.held)
        if whole.count('"') % 2 == 0:
            first, self.held = self.line - len(self.held) + 1, []
            yield from self._row(whole, first)
        elif len(self.held) > MOST_LINES or len(whole) > MOST_LENGTH:
            yield from self._drop()

    def _drop(self) -> Iterator[Row | Wrong]:
        """A quote that does not end is the fault of its first line alone: those behind it are read by themselves."""
        held, self.held = self.held, []
        self.line -= len(held) - 1
        yield Wrong(self.line, 'A quote (") that does not end.')
        for text in held[1:]:
            yield from self.take(text)

    def end(self) -> Iterator[Row | Wrong]:
        while self.held:
            yield from self._drop()

    def _row(self, text: str, line: int) -> Iterator[Row | Wrong]:
        if not text.strip(" \t\r\n,;"):
            return  # an empty line, or one of empty cells
        if not self.columns:
            self._head(text)
            return
        if any("\udc80" <= char <= "\udcff" for char in text):
            yield Wrong(line, "Letters that are not UTF-8: save the file as UTF-8 (CSV UTF-8).")
            return
        if "\x00" in text:
            yield Wrong(line, "A NUL character: this is no text.")
            return
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True))
        except csv.Error as error:
            yield Wrong(line, f"No CSV: {error}.")
            return
        extra = [c for c in cells[len(self.columns) :] if c.strip()]
        if extra:
            yield Wrong(line, f"{len(cells)} values for {len(self.columns)} columns.")
            return
        yield Row(line, {name: value.strip() for name, value in zip(self.columns, cells, strict=False)})

    def _head(self, text: str) -> None:
        if any("\udc80" <= char <= "\udcff" for char in text):
            raise Invalid("audience.csv", "a file in UTF-8 (in a spreadsheet: CSV UTF-8)")
        self.delimiter = max(",;\t", key=text.count)
        try:
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter))
        except (csv.Error, StopIteration):
            names = []
        columns = tuple(n.strip().lower() for n in names)
        while columns and not columns[-1]:
            columns = columns[:-1]
        if not any(key in columns for key in KEYS):
            shown = ", ".join(c[:30] for c in columns[:10])
            raise Invalid("audience.csv", f"a first line with a column `phone` or `contact`; it has: {shown}")
        doubled = sorted({c for c in columns if columns.count(c) > 1})
        if doubled or "" in columns:
            raise Invalid(
                "audience.csv",
                f"columns with names of their own, each once: {', '.join(doubled) or 'one is empty'}",
            )
        if len(columns) > MOST_COLUMNS:
            raise Invalid("audience.csv", f"at most {MOST_COLUMNS} columns")
        self.columns = columns


async def rows(chunks: AsyncIterator[bytes]) -> AsyncIterator[Row | Wrong]:
    """The rows of a file whose bytes come in parts of any size, and the lines that are none. Raises Invalid for a file without
    a usable first line."""
    reader, rest, head = _Reader(), "", b""
    lines: io.IncrementalNewlineDecoder | None = None
    async for chunk in chunks:
        if lines is None:
            head += chunk
            if len(head) < len(codecs.BOM_UTF8):
                continue
            lines, chunk = _decoder(head)
        rest += lines.decode(chunk)
        *whole, rest = rest.split("\n")
        for text in whole:
            for found in reader.take(text + "\n"):
                yield found
        if len(rest) > MOST_LENGTH * 4:
            raise Invalid("audience.csv", "a file of lines: this one has none for very long")
    if lines is None:
        lines, chunk = _decoder(head)
        rest = lines.decode(chunk)
    rest += lines.decode(b"", final=True)
    for text in rest.split("\n"):
        if text:
            for found in reader.take(text):
                yield found
    for found in reader.end():
        yield found
    if not reader.columns:
        raise Invalid("audience.csv", "a file with a first line that names its columns; this one is empty")


def _decoder(head: bytes) -> tuple[io.IncrementalNewlineDecoder, bytes]:
    """By the mark at its beginning; what is not UTF-8 is kept as such, to be told by its line."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            errors = "surrogateescape" if name == "utf-8" else "replace"
            return _lines(name, errors), head[len(mark) :]
    return _lines("utf-8", "surrogateescape"), head


def _lines(name: str, errors: str) -> io.IncrementalNewlineDecoder:
    return io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(name)(errors), translate=True)
