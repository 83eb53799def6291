"""PowerPoint: the text of each slide that is shown, in the order of the presentation.

Read from the slides' XML (ECMA-376 part 1, 19.3 and 21.1): titles are headings, tables keep their rows. The speaker's notes,
hidden slides and hidden shapes are not for the audience, and so are left out; a hidden slide still counts in the numbers.
"""

import posixpath
from collections.abc import Iterator
from xml.etree import ElementTree

from brain.parse import Parsed
from brain.parse.build import Builder

Element = ElementTree.Element

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_RELS = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_TITLES = ("title", "ctrTitle")
_FURNITURE = ("dt", "ftr", "sldNum", "hdr")


def parse_slides(parts: dict[str, bytes]) -> Parsed:
    """Sections of a presentation, a page a slide. Raises KeyError and ParseError for a damaged one."""
    builder = Builder(title="")
    for number, name in enumerate(_order(parts), 1):
        slide = _xml(parts[name])
        if slide.get("show", "1") in ("0", "false"):
            continue
        builder.page(number)
        _slide(builder, slide)
    return builder.finish()


def _xml(content: bytes) -> Element:
    return ElementTree.fromstring(content)  # noqa: S314 - without entities, see brain.parse.office


def _order(parts: dict[str, bytes]) -> Iterator[str]:
    links = {
        link.get("Id"): posixpath.normpath(posixpath.join("/ppt", link.get("Target", ""))).lstrip("/")
        for link in _xml(parts["ppt/_rels/presentation.xml.rels"]).iter(f"{_RELS}Relationship")
    }
    for slide in _xml(parts["ppt/presentation.xml"]).iter(f"{_P}sldId"):
        yield links[slide.get(f"{_R}id")]


def _slide(builder: Builder, slide: Element) -> None:
    shapes = list(_shapes(slide.find(f"{_P}cSld/{_P}spTree")))
    # The title is often not the first shape of the slide.
    for shape in sorted(shapes, key=lambda shape: _kind(shape) not in _TITLES):
        if _kind(shape) in _TITLES:
            builder.heading(1, " ".join(_paragraphs(shape)))
        elif shape.tag == f"{_P}graphicFrame":
            for table in shape.iter(f"{_A}tbl"):
                builder.table(
                    [[" ".join(_paragraphs(c)) for c in row.iter(f"{_A}tc")] for row in table.iter(f"{_A}tr")]
                )
        else:
            lines = list(_paragraphs(shape))
            builder.block("\n".join(f"- {line}" for line in lines) if len(lines) > 1 else "\n".join(lines))


def _shapes(tree: Element | None) -> Iterator[Element]:
    """Shapes and tables that are shown, those in groups too."""
    for shape in tree if tree is not None else ():
        about = shape.find(f".//{_P}cNvPr")
        if about is not None and about.get("hidden") in ("1", "true"):
            continue
        if shape.tag == f"{_P}grpSp":
            yield from _shapes(shape)
        elif shape.tag in (f"{_P}sp", f"{_P}graphicFrame") and _kind(shape) not in _FURNITURE:
            yield shape


def _kind(shape: Element) -> str:
    place = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return "" if place is None else place.get("type", "body")


def _paragraphs(shape: Element) -> Iterator[str]:
    for paragraph in shape.iter(f"{_A}p"):
        text = "".join(
            (" " if part.tag == f"{_A}br" else part.text or "")
            for part in paragraph.iter()
            if part.tag in (f"{_A}t", f"{_A}br")
        ).strip()
        if text:
            yield text
