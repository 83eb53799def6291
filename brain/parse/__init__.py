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
    ".json": "json",
    ".pdf": "pdf",
    ".docx": "docx",
    ".pptx": "pptx",
    ".xlsx": "xlsx",
}
MEDIA_TYPES = {
    "markdown": "text/markdown",
    "text": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
OFFICE = ("docx", "pptx", "xlsx")
READABLE = "Markdown, text, HTML, CSV, JSON, PDF, Word (.docx), PowerPoint (.pptx) and Excel (.xlsx)"

_INSTEAD = {
    **dict.fromkeys((".doc", ".dot", ".odt", ".rtf", ".pages", ".wps"), "Save it as a Word document (.docx)"),
    **dict.fromkeys((".ppt", ".pps", ".ppsx", ".odp", ".key"), "Save it as a presentation (.pptx)"),
    **dict.fromkeys((".xls", ".xlsb", ".ods", ".numbers"), "Save it as a workbook (.xlsx) or as CSV"),
    **dict.fromkeys((".zip", ".rar", ".7z", ".tar", ".gz"), "Unpack it and add the files in it"),
    **dict.fromkeys(
        (".png", ".jpg", ".jpeg", ".gif", ".webp", ".heic", ".tif", ".tiff", ".bmp"),
        "A picture has no text: run text recognition (OCR) on it, save the result as text or PDF",
    ),
}
_MACROS = {
    **dict.fromkeys((".docm", ".dotm"), ".docx"),
    **dict.fromkeys((".pptm", ".ppsm"), ".pptx"),
    **dict.fromkeys((".xlsm", ".xltm"), ".xlsx"),
}
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")


class Refused(Exception):
    """A file that cannot be read. The message is a sentence for a person, and says what to do."""


@dataclass(frozen=True, slots=True)
class Section:
    """Text under one path of headings.

    `blocks` are paragraphs, lists (a line an item, `- ` in front) and tables (a line a row). `question` is
    set for a question-and-answer pair; the blocks are then its answer. `page` (or slide) counts from 1.
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
    if suffix in KINDS:
        return KINDS[suffix]
    if suffix in _MACROS:
        raise Refused(
            f"Files with macros ({suffix}) aren't read. Save it as {_MACROS[suffix]}, without macros."
        )
    if suffix in _INSTEAD:
        raise Refused(f"Files of the kind “{suffix}” can't be read. {_INSTEAD[suffix]}, and add that.")
    raise Refused(f"Files of the kind “{suffix or 'no ending'}” can't be read. Use {READABLE}.")


def parse(name: str, data: bytes) -> Parsed:
    """Read a file. Raises Refused for what is empty, mislabelled, binary, encrypted or without text."""
    kind = kind_of(name)
    if not data.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise Refused("The file is empty.")
    _check_label(kind, data)
    parsed = _parse(kind, data)
    size = sum(len(block) for section in parsed.sections for block in section.blocks)
    if not size:
        raise Refused("There is no text in the file.")
    if size > MAX_TEXT:
        raise Refused("The file holds too much text. Split it into several files.")
    return parsed


def _parse(kind: str, data: bytes) -> Parsed:
    if kind == "pdf":
        from brain.parse.pdf import parse_pdf

        return parse_pdf(data)
    if kind in OFFICE:
        from brain.parse.office import parse_office

        return parse_office(kind, data)
    text = decode(data)
    if kind == "markdown":
        from brain.parse.markdown import parse_markdown

        return parse_markdown(text)
    if kind == "html":
        from brain.parse.html import parse_html

        return parse_html(text)
    if kind == "csv":
        from brain.parse.table import parse_csv

        return parse_csv(text)
    if kind == "json":
        from brain.parse.pairs import parse_json

        return parse_json(text)
    from brain.parse.text import parse_text

    return parse_text(text)


def _check_label(kind: str, data: bytes) -> None:
    head = data[:1024].lstrip()
    is_pdf = b"%PDF-" in head
    if kind == "pdf" and not is_pdf:
        raise Refused("The file is named .pdf but isn't a PDF. Export it as a PDF again, or fix its name.")
    if kind != "pdf" and is_pdf:
        raise Refused("This is a PDF under another name. Rename it to .pdf and add it again.")
    if kind in OFFICE:
        return  # brain.parse.office looks inside
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Refused(
            "This is an Office or ZIP file under another name. Rename it to what it is (.docx, .pptx, .xlsx)."
        )
    if head.startswith(_PICTURES):
        raise Refused("This is a picture; it isn't a text file. Run text recognition (OCR) on it first.")
    if kind in ("text", "csv", "json") and head[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise Refused("This is a web page under another name. Rename it to .html and add it again.")
    if kind != "pdf" and looks_binary(data):
        raise Refused("This isn't a text file, or it is in an old encoding. Save it as text in UTF-8.")
