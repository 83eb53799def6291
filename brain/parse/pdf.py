"""PDF by pypdf: the text of each page, with headings told from their size."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pypdf import PageObject, PdfReader
from pypdf.errors import PyPdfError

from brain.parse import MAX_TEXT, Parsed, Refused
from brain.parse.build import Builder
from brain.parse.encoding import clean

MAX_PAGES = 2000
_HEADING = 1.15
"""A short line is a heading from this many times the size of the body text."""

_HYPHEN = re.compile(r"(\w)-$")
_ITEM = re.compile(r"([-*•–·▪]|\(?\d{1,3}[.)])\s")
_NO_TEXT = (
    "The PDF has no text layer: it holds pictures of pages, as a scanner makes them. Run text recognition (OCR) on it and "
    "add the result."
)

Line = tuple[str, float]
"""A line of text and its size in points."""


def parse_pdf(data: bytes) -> Parsed:
    """Sections of a PDF, none across pages. Raises Refused if it is locked, damaged or has no text."""
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Refused(
                "The PDF is protected by a password. Save a copy without the password and add that."
            )
        if len(reader.pages) > MAX_PAGES:
            raise Refused(f"The PDF has more than {MAX_PAGES} pages. Split it into several files.")
        pages = [_lines(page) for page in reader.pages]
        title = str((reader.metadata and reader.metadata.title) or "")
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Refused(
            "The PDF is damaged and can't be read. Export it again and add the new file."
        ) from error
    letters = sum(char.isalnum() for lines in pages for text, _ in lines for char in text)
    if letters < 3 * len(pages) or not letters:
        raise Refused(_NO_TEXT)
    if letters > MAX_TEXT:
        raise Refused("The file holds too much text. Split it into several files.")
    return _build(pages, title)


def _build(pages: list[list[Line]], title: str) -> Parsed:
    body = _body_size(pages)
    builder = Builder(title if _is_title(title) else "")
    for number, lines in enumerate(pages, 1):
        builder.page(number)
        for heading, text in _paragraphs(lines, body):
            builder.heading(2, text) if heading else builder.block(text)
    return builder.finish()


def _is_title(title: str) -> bool:
    """Programs put file names and their own names into the title; those help nobody."""
    return len(title.split()) > 1 and not re.search(r"\.\w{2,4}$|^Microsoft|untitled", title, re.IGNORECASE)


def _lines(page: PageObject) -> list[Line]:
    sizes: list[tuple[str, float]] = []

    def visit(text: str, matrix: list[float], place: list[float], _font: Any, size: float) -> None:
        scale = abs(place[3] or place[1]) * abs(matrix[3] or matrix[1])
        sizes.append((text, round((size or 0) * scale, 1)))

    page.extract_text(visitor_text=visit)
    lines: list[Line] = []
    line, size = "", 0.0
    for text, at in sizes:
        for i, part in enumerate(text.split("\n")):
            if i:
                lines.append((line, size))
                line, size = "", 0.0
            if part.strip():
                size = max(size, at)
            line += part
    lines.append((line, size))
    return [(" ".join(clean(text).split()), at) for text, at in lines if text.strip()]


def _body_size(pages: list[list[Line]]) -> float:
    """The size that most letters are set in."""
    count: Counter[float] = Counter()
    for lines in pages:
        for text, size in lines:
            count[size] += len(text)
    return count.most_common(1)[0][0] if count else 0.0


def _paragraphs(lines: list[Line], body: float) -> Iterator[tuple[bool, str]]:
    """(is a heading, text) in order. Lines are joined up to a sentence end on a line that stops early."""
    width = max((len(text) for text, _ in lines), default=0)
    paragraph = ""
    for text, size in lines:
        heading = bool(body) and size >= body * _HEADING and len(text) <= 90
        if paragraph and (heading or _ITEM.match(text)):
            yield False, paragraph
            paragraph = ""
        if heading:
            yield True, text
            continue
        paragraph = (
            _HYPHEN.sub(r"\1", paragraph) + text if _broken(paragraph, text) else f"{paragraph} {text}"
        )
        if text[-1] in ".!?:؟" and len(text) < width * 0.8:
            yield False, paragraph
            paragraph = ""
    if paragraph:
        yield False, paragraph


def _broken(before: str, after: str) -> bool:
    """Whether a word was hyphenated at the end of the line."""
    return bool(_HYPHEN.search(before)) and after[:1].islower()
