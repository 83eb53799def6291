"""Sections to passages of about 80 to 160 words, cut where sentences, items and rows end.

A passage never crosses a heading or a page, so that its source can be named exactly; a short section is a
short passage. The parts of a long section are made about equally long, so that no crumb is left at the end.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from brain.parse import Section

MAX_WORDS = 160
MAX_CHARS = 1400
"""For languages and files without spaces, where words can't be counted."""

_END = re.compile(r"(?<=[.!?؟。！？…])[\"”’»)]*\s+(?=[\"“‘«(¿¡]*[^\W_a-z])")
_LONGEST = 40
"""Characters that an abbreviation with what stands before it has at most."""

_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nr|vs|e\.g|i\.e|approx|Sr|Sra|Dra|Av|Tel|art|etc)\.$"
)


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage: its lines are paragraphs, items or rows."""

    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    question: str | None = None


def chunk(sections: Sequence[Section]) -> list[Passage]:
    """Passages of a file's sections, in order.

    The answer of a question-and-answer pair stays whole, unless it is longer than two passages; then each
    part keeps the question.
    """
    out: list[Passage] = []
    for section in sections:
        for text in _texts(section):
            out.append(Passage(text, section.headings, section.page, section.question))
    return out


def sentences(text: str) -> list[str]:
    """A text's sentences; a line break always ends one."""
    out: list[str] = []
    for line in text.split("\n"):
        start = 0
        for end in _END.finditer(line):
            # Only the end of it can be one: a line of nothing but abbreviations must not be read again and again.
            if not _ABBREVIATION.search(line, max(start, end.start() - _LONGEST), end.start()):
                out.append(line[start : end.start()] + line[end.start() : end.end()].rstrip())
                start = end.end()
        out.append(line[start:])
    return [sentence.strip() for sentence in out if sentence.strip()]


def _texts(section: Section) -> Iterator[str]:
    blocks = list(section.blocks)
    whole = "\n".join(blocks)
    if _fits(whole) or (section.question and _size(whole) <= 2):
        yield whole
        return
    units = [unit for block in blocks for unit in _units(block)]
    parts = -(-sum(_size(text) for text, _ in units) // 1)
    target = sum(_size(text) for text, _ in units) / max(parts, 1)
    yield from _pack(units, target)


def _pack(units: Sequence[tuple[str, str]], target: float) -> Iterator[str]:
    """Join units (text, what goes in front of it) until a passage has its share or the next does not fit."""
    text, size = "", 0.0
    for unit, mark in units:
        more = _size(unit)
        if text and (size + more > 1 or size + more / 2 > target):
            yield text
            text, size = "", 0.0
        text = text + mark + unit if text else unit
        size += more
    if text:
        yield text


def _units(block: str) -> Iterator[tuple[str, str]]:
    for line in block.split("\n"):
        mark = "\n"
        for sentence in sentences(line):
            for piece in _pieces(sentence):
                yield piece, mark
                mark = " "


def _pieces(sentence: str) -> Iterator[str]:
    """A sentence, or parts of one that is too long for a passage; words are kept whole if they can be."""
    if _fits(sentence):
        yield sentence
        return
    part: list[str] = []
    length = 0
    for word in sentence.split(" "):
        for start in range(0, max(len(word), 1), MAX_CHARS):
            bit = word[start : start + MAX_CHARS]
            if part and (len(part) >= MAX_WORDS or length + len(bit) >= MAX_CHARS):
                yield " ".join(part)
                part, length = [], 0
            part.append(bit)
            length += len(bit) + 1
    if part:
        yield " ".join(part)


def _fits(text: str) -> bool:
    return _size(text) <= 1


def _size(text: str) -> float:
    """The share of a full passage that a text takes."""
    return max((text.count(" ") + text.count("\n") + 1) / MAX_WORDS, len(text) / MAX_CHARS)
