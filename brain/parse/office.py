"""Word, PowerPoint and Excel: checked and bounded before a parser sees a byte of them.

An Office file is a ZIP of XML parts. Only the parts that hold text are unpacked, against a budget that counts what really
comes out; each is looked at for entities (which only an attacker puts there); and they are packed again into a clean file,
so that the library that reads it can meet neither a bomb, nor a macro, nor a part that pretends to be smaller.

Word is read by mammoth (https://github.com/mwilliamson/python-mammoth) to HTML, Excel by calamine
(https://github.com/dimastbk/python-calamine), PowerPoint by `brain.parse.slides`.
"""

import io
import re
import zipfile
from xml.etree import ElementTree

from brain.parse import Parsed, Refused
from brain.parse.encoding import clean, one_line

MAX_UNPACKED = 48 * 1024 * 1024
"""Bytes of XML in one file: about fifty times what a long handbook has."""

MAX_PARTS = 20_000
"""Entries of the ZIP; a presentation with a thousand slides has about ten thousand."""

_ENDING = {"docx": "word/", "pptx": "ppt/", "xlsx": "xl/"}
_NAMES = {"docx": "a Word document", "pptx": "a presentation", "xlsx": "a workbook"}
_DAMAGED = "The file is damaged and can't be read. Open it, save it again and add the new copy."
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_DC = "{http://purl.org/dc/elements/1.1/}"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

Parts = dict[str, bytes]
"""The XML of a file by its name in it."""


def parse_office(kind: str, data: bytes) -> Parsed:
    """Sections of a file. Raises Refused for one that is locked, old, mislabelled, a bomb, or has macros."""
    parts = unpacked(kind, data)
    title = _title(parts)
    try:
        if kind == "docx":
            parsed = _word(parts)
        elif kind == "pptx":
            from brain.parse.slides import parse_slides

            parsed = parse_slides(parts)
        else:
            from brain.parse.sheets import parse_sheets

            parsed = parse_sheets(packed(parts))
    except (ElementTree.ParseError, KeyError, ValueError, AttributeError, IndexError) as error:
        raise Refused(_DAMAGED) from error
    return Parsed(title or parsed.title, parsed.sections)


def unpacked(kind: str, data: bytes) -> Parts:
    """The parts with text. Raises Refused."""
    _check_container(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _parts(kind, archive)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise Refused(_DAMAGED) from error


def packed(parts: Parts) -> bytes:
    """The parts as a file of their own."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def _check_container(data: bytes) -> None:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise Refused(
                "The file is protected by a password. Save a copy without the password and add that."
            )
        raise Refused("The file is in an old Office format. Save it as .docx, .pptx or .xlsx and add that.")
    if not data.startswith(b"PK\x03\x04"):
        raise Refused(
            "The file isn't an Office file, whatever its name says. Export it again, or fix its name."
        )


def _parts(kind: str, archive: zipfile.ZipFile) -> Parts:
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if len(entries) > MAX_PARTS:
        raise Refused("The file has too many parts. Split it into several files.")
    if not any(name.startswith(_ENDING[kind]) for name in names):
        real = next((k for k, folder in _ENDING.items() if any(n.startswith(folder) for n in names)), None)
        if real:
            raise Refused(
                f"This is {_NAMES[real]} under another name. Rename it to .{real} and add it again."
            )
        raise Refused(f"This isn't {_NAMES[kind]} but another ZIP file. Unpack it and add the files in it.")
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise Refused(f"The file has macros in it. Save it as .{kind} without macros and add that.")
    wanted = [entry for entry in entries if entry.filename.endswith((".xml", ".rels"))]
    if any(entry.flag_bits & 1 for entry in entries):
        raise Refused("The file is protected by a password. Save a copy without the password and add that.")
    left = MAX_UNPACKED
    # What the directory promises is counted first: a bomb that is honest costs nothing.
    if sum(entry.file_size for entry in wanted) > left:
        raise _too_large()
    parts: Parts = {}
    for entry in wanted:
        with archive.open(entry) as part:
            content = part.read(left + 1)
        left -= len(content)
        if left < 0:
            raise _too_large()
        _check_xml(content)
        parts[entry.filename] = content
    return parts


def _too_large() -> Refused:
    return Refused(
        f"The file unpacks to more than {MAX_UNPACKED // 2**20} MB of text. Split it into several files."
    )


def _check_xml(content: bytes) -> None:
    """No Office program writes a document type; one that is there defines entities that grow, or that read files."""
    plain = content.replace(b"\0", b"")  # UTF-16
    if _DOCTYPE.search(plain):
        raise Refused("The file holds XML that no Office program writes. Save it again and add the new copy.")


def _title(parts: Parts) -> str:
    core = parts.get("docProps/core.xml")
    if core is None:
        return ""
    try:
        title = one_line(clean(ElementTree.fromstring(core).findtext(f"{_DC}title") or ""))  # noqa: S314
    except ElementTree.ParseError:
        return ""
    # Programs put their own names and the template's into it.
    return (
        title if len(title.split()) > 1 and not re.match(r"(?i)powerpoint|microsoft|untitled", title) else ""
    )


def _word(parts: Parts) -> Parsed:
    import mammoth

    from brain.parse.html import parse_html

    body = parts["word/document.xml"]
    if b"vanish" in body:
        parts = {**parts, "word/document.xml": _without_hidden(body)}
    styles = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
    try:
        made = mammoth.convert_to_html(
            io.BytesIO(packed(parts)),
            style_map=styles,
            convert_image=lambda _: [],
            ignore_empty_paragraphs=True,
        )
    except (zipfile.BadZipFile, TypeError, OSError) as error:
        raise Refused(_DAMAGED) from error
    return parse_html(made.value)


def _without_hidden(body: bytes) -> bytes:
    """The document without the runs that Word doesn't show."""
    root = ElementTree.fromstring(body)  # noqa: S314 - without entities, see _check_xml
    for above in root.iter():
        for run in [child for child in above if child.tag == f"{_W}r" and _vanishes(child)]:
            above.remove(run)
    return ElementTree.tostring(root)


def _vanishes(run: ElementTree.Element) -> bool:
    mark = run.find(f"{_W}rPr/{_W}vanish")
    return mark is not None and mark.get(f"{_W}val", "1") not in ("0", "false", "off")
