"""Small Office files, as their programs write them: for tests of good ones, odd ones and bad ones."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_P = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_S = (
    'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_RELS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
_DOC = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

Rows = Sequence[Sequence[str | float]]


def pack(parts: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def links(*targets: tuple[str, str, str]) -> str:
    inner = "".join(f'<Relationship Id="{i}" Type="{_DOC}/{kind}" Target="{to}"/>' for i, kind, to in targets)
    return f'<?xml version="1.0"?><Relationships {_RELS}>{inner}</Relationships>'


def types(**overrides: str) -> str:
    base = "application/vnd.openxmlformats-officedocument."
    inner = "".join(
        f'<Override PartName="/{name}" ContentType="{base}{kind}+xml"/>' for name, kind in overrides.items()
    )
    return (
        '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{inner}</Types>'
    )


def core(title: str) -> str:
    return (
        '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{escape(title)}</dc:title></cp:coreProperties>'
    )


def paragraph(text: str, style: str = "", hidden: bool = False) -> str:
    about = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    run = "<w:rPr><w:vanish/></w:rPr>" if hidden else ""
    return f"<w:p>{about}<w:r>{run}<w:t>{escape(text)}</w:t></w:r></w:p>"


def table(rows: Rows) -> str:
    cells = ("".join(f"<w:tc>{paragraph(str(c))}</w:tc>" for c in row) for row in rows)
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"


def docx_parts(body: str, title: str = "") -> dict[str, str | bytes]:
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="H{i}"><w:name w:val="heading {i}"/></w:style>'
        for i in (1, 2, 3)
    )
    return {
        "[Content_Types].xml": types(**{
            "word/document.xml": "wordprocessingml.document.main", "word/styles.xml": "wordprocessingml.styles",
        }),
        "_rels/.rels": links(("r1", "officeDocument", "word/document.xml")),
        "docProps/core.xml": core(title),
        "word/_rels/document.xml.rels": links(("r1", "styles", "styles.xml")),
        "word/styles.xml": f"<w:styles {_W}>{styles}</w:styles>",
        "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
    }  # fmt: skip


def docx(body: str, title: str = "") -> bytes:
    return pack(docx_parts(body, title))


def shape(text: str, kind: str = "", hidden: bool = False) -> str:
    place = f'<p:ph type="{kind}"/>' if kind else ""
    lines = "".join(f"<a:p><a:r><a:t>{escape(line)}</a:t></a:r></a:p>" for line in text.split("\n"))
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"{" hidden=" + chr(34) + "1" + chr(34) if hidden else ""}/><p:cNvSpPr/>'
        f"<p:nvPr>{place}</p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"
    )


def slide_table(rows: Rows) -> str:
    cells = (
        "".join(f"<a:tc><a:txBody><a:p><a:r><a:t>{c}</a:t></a:r></a:p></a:txBody></a:tc>" for c in row)
        for row in rows
    )
    inner = "".join(f"<a:tr>{row}</a:tr>" for row in cells)
    return f"<p:graphicFrame><a:graphic><a:graphicData><a:tbl>{inner}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"


def pptx(*slides: str, hidden: Sequence[int] = (), order: Sequence[int] = ()) -> bytes:
    """Slides are their shapes; `order` shows them in another order than that of their files."""
    order = order or range(1, len(slides) + 1)
    ids = "".join(f'<p:sldId id="{256 + n}" r:id="s{n}"/>' for n in order)
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": types(**{"ppt/presentation.xml": "presentationml.presentation.main"}),
        "_rels/.rels": links(("r1", "officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {_P}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": links(
            *((f"s{n}", "slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1))
        ),
        "ppt/notesSlides/notesSlide1.xml": f"<p:notes {_P}><a:t>only for the speaker</a:t></p:notes>",
    }
    for n, shapes in enumerate(slides, 1):
        show = ' show="0"' if n in hidden else ""
        parts[f"ppt/slides/slide{n}.xml"] = (
            f"<p:sld {_P}{show}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
    return pack(parts)


def xlsx(sheets: Mapping[str, Rows], hidden: Sequence[str] = ()) -> bytes:
    def state(name: str) -> str:
        return ' state="hidden"' if name in hidden else ""

    names = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="s{n}"{state(name)}/>'
        for n, name in enumerate(sheets, 1)
    )
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": types(**{"xl/workbook.xml": "spreadsheetml.sheet.main"}),
        "_rels/.rels": links(("r1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f"<workbook {_S}><sheets>{names}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": links(
            *((f"s{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1))
        ),
    }
    for n, rows in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{n}.xml"] = sheet(rows)
    return pack(parts)


def sheet(rows: Rows) -> str:
    inner = "".join(
        f'<row r="{r}">'
        + "".join(_cell(f"{chr(64 + c)}{r}", value) for c, value in enumerate(row, 1))
        + "</row>"
        for r, row in enumerate(rows, 1)
    )
    return f"<worksheet {_S}><sheetData>{inner}</sheetData></worksheet>"


def _cell(place: str, value: str | float) -> str:
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'
