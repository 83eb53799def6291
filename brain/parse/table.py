"""CSV: questions and answers, or any table, a line a row."""

import csv
import io
from collections.abc import Sequence

from brain.parse import Parsed, Refused, Section
from brain.parse.build import table_lines
from brain.parse.encoding import one_line
from brain.parse.pairs import ANSWER, QUESTION, pair

_CELL = 1_000_000


def parse_csv(text: str) -> Parsed:
    """Sections of a CSV file, separated by comma, semicolon, tab or bar.

    With columns named question and answer, or with two columns whose first one asks, a section a pair.
    Otherwise one section that is a table. Raises Refused for a file that is not a table.
    """
    rows = [row for row in _rows(text) if any(cell.strip() for cell in row)]
    if not rows:
        raise Refused("There are no rows in the file.")
    if max(len(row) for row in rows) == 1:
        raise Refused("The rows have only one column. Use two: the question and its answer.")
    return Parsed("", row_sections(rows))


def row_sections(rows: Sequence[Sequence[str]]) -> tuple[Section, ...]:
    """A section a pair, or one that is a table; none for no rows. Raises Refused for pairs that are all incomplete."""
    if not rows:
        return ()
    names = [one_line(cell).lower() for cell in rows[0]]
    question = next((i for i, name in enumerate(names) if name in QUESTION), None)
    answer = next((i for i, name in enumerate(names) if name in ANSWER), None)
    if question is not None and answer is not None:
        return _pairs(rows[1:], question, answer)
    if max(len(row) for row in rows) == 2 and _asks(rows):
        return _pairs(rows, 0, 1)
    return (Section(("\n".join(table_lines(rows)),)),)


def _rows(text: str) -> list[list[str]]:
    # The separator whose rows agree best on more than one column; sniffing by csv.Sniffer is slow and moody.
    head = "\n".join(text.split("\n")[:50])[:65536]
    best = max(",;\t|", key=lambda mark: _agreement(head, mark))
    return _read(text, best)


def _agreement(head: str, mark: str) -> tuple[float, int]:
    try:
        widths = [len(row) for row in _read(head, mark) if row]
    except Refused:
        return (0.0, 0)
    wide = [width for width in widths if width > 1]
    if not wide:
        return (0.0, 0)
    common = max(set(wide), key=wide.count)
    return (widths.count(common) / len(widths), -common)


def _read(text: str, mark: str) -> list[list[str]]:
    # The limit is the process's: whoever else reads CSV there keeps theirs.
    before = csv.field_size_limit(_CELL)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True))
    except csv.Error as error:
        raise Refused("The file isn't a readable CSV. Export it again as CSV in UTF-8.") from error
    finally:
        csv.field_size_limit(before)


def _asks(rows: Sequence[Sequence[str]]) -> bool:
    """Whether first cells are questions: half of them end in a question mark, or they are phrases."""
    cells = [row[0].strip() for row in rows if len(row) == 2]
    asking = sum(cell.endswith(("?", "؟")) for cell in cells)
    words = sum(len(cell.split()) for cell in cells)
    return asking * 2 >= len(cells) or words >= 3 * len(cells)


def _pairs(rows: Sequence[Sequence[str]], question: int, answer: int) -> tuple[Section, ...]:
    most = max(question, answer)
    made = (pair(row[question], row[answer]) for row in rows if len(row) > most)
    sections = tuple(section for section in made if section)
    if not sections:
        raise Refused("No row has both a question and an answer.")
    return sections
