"""Files to sections: what a file says, under which headings.

This package runs in the child process of `brain.sandbox`: it loads no numpy and no model, and the parsers of
the formats are imported when they are needed. It is pure: bytes in, `Parsed` out, or `Refused`.
"""

from dataclasses import dataclass
from pathlib import PurePath

from brain.parse.encoding import decode, looks_binary

MAX_TEXT = 5_000_000
"""Characters of text that one file may hold: about 800,000 words, more than the Bible."""

KINDS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".csv": "csv",
    ".tsv": "csv",
    ".pdf": "pdf",
}
MEDIA_TYPES = {
    "markdown": "text/markdown",
    "text": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
    "pdf": "application/pdf",
}
READABLE = "Markdown, text, HTML, CSV and PDF"


class Refused(Exception):
    """A file that cannot be read. The message is a sentence for a person, and says what to do."""


@dataclass(frozen=True, slots=True)
class Section:
    """Text under one path of headings.

    `blocks` are paragraphs, lists (a line an item, `- ` in front) and tables (a line a row). `question` is
    set for a question-and-answer pair; the blocks are then its answer. `page` counts from 1.
    """

    blocks: tuple[str, ...]
    headings: tuple[str, ...] = ()
    page: int | None = None
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file's title (empty if it names none) and its sections, in order."""

    title: str
    sections: tuple[Section, ...]


def kind_of(name: str) -> str:
    """The kind that a file's name promises: a value of KINDS. Raises Refused for any other."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in KINDS:
        raise Refused(f"Files of the kind “{suffix or 'no ending'}” can't be read. Use {READABLE}.")
    return KINDS[suffix]


def parse(name: str, data: bytes) -> Parsed:
    """Read a file. Raises Refused for what is empty, mislabelled, binary, encrypted or without text."""
    kind = kind_of(name)
    if not data.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise Refused("The file is empty.")
    _check_label(kind, data)
    parsed = _parse_pdf(data) if kind == "pdf" else _parse_text(kind, decode(data))
    size = sum(len(block) for section in parsed.sections for block in section.blocks)
    if not size:
        raise Refused("There is no text in the file.")
    if size > MAX_TEXT:
        raise Refused("The file holds too much text. Split it into several files.")
    return parsed


def _parse_pdf(data: bytes) -> Parsed:
    from brain.parse.pdf import parse_pdf

    return parse_pdf(data)


def _parse_text(kind: str, text: str) -> Parsed:
    if kind == "markdown":
        from brain.parse.markdown import parse_markdown

        return parse_markdown(text)
    if kind == "html":
        from brain.parse.html import parse_html

        return parse_html(text)
    if kind == "csv":
        from brain.parse.table import parse_csv

        return parse_csv(text)
    from brain.parse.text import parse_text

    return parse_text(text)


def _check_label(kind: str, data: bytes) -> None:
    head = data[:1024].lstrip()
    is_pdf = b"%PDF-" in head
    if kind == "pdf" and not is_pdf:
        raise Refused("The file is named .pdf but isn't a PDF. Export it as a PDF again, or fix its name.")
    if kind != "pdf" and is_pdf:
        raise Refused("This is a PDF under another name. Rename it to .pdf and add it again.")
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Refused("This is an Office or ZIP file. Save it as PDF, text or CSV and add that.")
    if kind in ("text", "csv") and head[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise Refused("This is a web page under another name. Rename it to .html and add it again.")
    if kind != "pdf" and looks_binary(data):
        raise Refused("This isn't a text file, or it is in an old encoding. Save it as text in UTF-8.")
