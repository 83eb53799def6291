"""Word, PowerPoint, Excel and JSON: what survives, and what must not become knowledge."""

import io
import json
import zipfile
from typing import Any

import pytest

from brain.parse import Parsed, Refused, Section, parse
from tests.brain.make_pdf import pdf
from tests.knowledge.office import (
    docx,
    docx_parts,
    pack,
    paragraph,
    pptx,
    shape,
    slide_table,
    table,
    xlsx,
)

PRICES = (("Room", "Day", "Week"), ("Small", 10, 60.5), ("Large", 20, 100))


def text(parsed: Parsed) -> str:
    return "\n".join(block for section in parsed.sections for block in section.blocks)


def test_word_keeps_headings_and_tables_and_leaves_out_what_is_hidden() -> None:
    body = (
        paragraph("Handbook", "H1") + paragraph("Welcome <all> & more * here.") + paragraph("Prices", "H2") + table(PRICES)
        + paragraph("hidden secret", hidden=True) + paragraph("Extras", "H3") + paragraph("Towels are free.")
    )  # fmt: skip
    parsed = parse("a.docx", docx(body))
    assert parsed.title == "Handbook"
    assert [s.headings for s in parsed.sections] == [(), ("Prices",), ("Prices", "Extras")]
    assert parsed.sections[0].blocks == ("Welcome <all> & more * here.",)
    assert parsed.sections[1].blocks == ("Small — Day: 10; Week: 60.5\nLarge — Day: 20; Week: 100",)
    assert "secret" not in text(parsed)


def test_a_documents_own_title_wins_unless_a_program_made_it_up() -> None:
    body = paragraph("First", "H1") + paragraph("Text.")
    assert parse("a.docx", docx(body, "House rules")).title == "House rules"
    assert parse("a.docx", docx(body, "Microsoft Word document")).title == "First"


def test_slides_come_in_their_order_with_their_numbers_and_tables() -> None:
    parsed = parse(
        "a.pptx",
        pptx(
            shape("Body first.") + shape("Welcome", "title") + shape("7", "sldNum"),
            shape("Never shown", "title") + shape("hidden slide"),
            shape("Prices", "title") + slide_table(PRICES) + shape("unseen", hidden=True) + shape("One\nTwo"),
            hidden=(2,),
            order=(3, 2, 1),
        ),
    )
    assert parsed.sections == (
        Section(("Small — Day: 10; Week: 60.5\nLarge — Day: 20; Week: 100", "- One\n- Two"), (), 1),
        Section(("Body first.",), ("Welcome",), 3),
    )
    assert parsed.title == "Prices"
    assert not any(word in text(parsed) for word in ("hidden", "unseen", "speaker"))


def test_sheets_are_tables_or_questions_and_hidden_ones_are_not_read() -> None:
    data = xlsx(
        {"Prices": PRICES, "FAQ": (("Question", "Answer"), ("Open?", "Yes, daily")), "Old": (("secret",),)},
        ["Old"],
    )
    assert parse("a.xlsx", data).sections == (
        Section(("Small — Day: 10; Week: 60.5\nLarge — Day: 20; Week: 100",), ("Prices",)),
        Section(("Yes, daily",), ("FAQ",), None, "Open?"),
    )


@pytest.mark.parametrize(
    "given",
    [
        [{"question": "Open?", "answer": "Yes"}],
        {"title": "About us", "faq": [{"Q": "Open?", "A": "Yes", "tags": ["x"]}]},
        {"Open?": "Yes"},
        [{"pregunta": "Open?", "respuesta": "Yes"}],
    ],
)
def test_json_of_questions_and_answers(given: Any) -> None:
    parsed = parse("a.json", json.dumps(given).encode())
    assert parsed.sections == (Section(("Yes",), question="Open?"),)
    assert parsed.title == ("About us" if "title" in given else "")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ('[{"question": "Open?"}]', r"\[0\] has no field “answer”"),
        (
            '{"items": [{"question": "a", "answer": "b"}, {"answer": "x"}]}',
            r"items\[1\] has no field “question”",
        ),
        ('[{"question": "Open?", "answer": ["Yes"]}]', r"“answer” of the entry \[0\] must be text"),
        ('[{"question": 4, "answer": "Yes"}]', r"“question” of the entry \[0\] must be text"),
        ('["Open?"]', r"\[0\] isn't an object"),
        ('{"hours": {"mon": "9-5"}}', "“hours” isn't text"),
        ("42", "single value"),
        ('{"a":\n "b",}', "line 2"),
        ("[" * 200_000, "nested|valid JSON"),
        ("[]", "No entry"),
    ],
)
def test_json_of_another_shape_names_the_field(given: str, named: str) -> None:
    with pytest.raises(Refused, match=named):
        parse("a.json", given.encode())


def _bomb(kind: str, name: str, size: int) -> bytes:
    """A part of many zeros: a thousand times smaller than what it unpacks to."""
    parts = docx_parts(paragraph("x"))
    return (
        pack({**parts, "word/more.xml": b"<x>" + b" " * size + b"</x>"})
        if kind == "docx"
        else pack({name: b" " * size})
    )


def _lying_bomb() -> bytes:
    """As before, but the directory and the entry promise four bytes."""
    data = bytearray(_bomb("docx", "", 60 * 2**20))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entry = archive.getinfo("word/more.xml")
    real = entry.file_size.to_bytes(4, "little")
    at = data.find(real)
    while at >= 0:
        data[at : at + 4] = (4).to_bytes(4, "little")
        at = data.find(real, at)
    return bytes(data)


def _locked() -> bytes:
    data = bytearray(docx(paragraph("x")))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            data[entry.header_offset + 6] |= 1
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(data)


_GROWN = "".join(f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9))
LAUGHS = f'<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa">{_GROWN}]>'
WIDE = ('<?xml version="1.0" encoding="utf-16"?>' + LAUGHS + "<w/>").encode("utf-16")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.docx", b"", "empty"),
        ("a.docx", b"just text", "isn't an Office file"),
        ("a.docx", b"PK\x03\x04" + b"x" * 100, "damaged"),
        ("a.docx", docx(paragraph("x"))[:-30], "damaged"),
        ("a.docx", xlsx({"A": PRICES}), r"a workbook under another name. Rename it to \.xlsx"),
        ("a.xlsx", pptx(shape("x")), r"Rename it to \.pptx"),
        ("a.pptx", pack({"readme.txt": "x"}), "another ZIP file"),
        ("a.docx", b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), "password"),
        ("a.docx", _locked(), "password"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0" + b"\0" * 600, "old Office format"),
        ("a.docx", pack({**docx_parts(paragraph("x")), "word/vbaProject.bin": b"x"}), "macros"),
        ("a.docm", docx(paragraph("x")), r"macros.*\.docx"),
        ("a.doc", b"\xd0\xcf\x11\xe0", r"\.docx"),
        ("a.zip", b"PK\x03\x04", "Unpack it"),
        ("a.jpg", b"\xff\xd8\xff", "OCR"),
        ("a.txt", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "picture"),
        ("a.docx", _bomb("docx", "", 60 * 2**20), "unpacks to more than"),
        ("a.docx", _lying_bomb(), "damaged|unpacks"),
        ("a.docx", docx(""), "no text"),
        ("a.docx", pack({**docx_parts(""), "word/document.xml": LAUGHS + "<w>&j;</w>"}), "no Office program writes"),
        ("a.docx", pack({**docx_parts(""), "word/document.xml": WIDE}), "no Office program writes"),
        ("a.xlsx", pack({"xl/workbook.xml": "<x/>"}), "damaged"),
        ("a.pdf", pdf(((),)), "no text layer"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_read_says_why_and_what_to_do(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        parse(name, data)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>bad</p>",
        "<p aria-hidden='TRUE'>bad</p>",
        "<!-- bad -->",
        "<script>bad</script><style>bad {}</style><noscript>bad</noscript><template>bad</template>",
        "<p style='display : none'>bad</p>",
        "<p style='visibility:hidden !important'>bad</p>",
        "<p style='font-size:0'>bad</p>",
        "<p style='font-size: 0.0px; color: red'>bad</p>",
        "<p style='opacity:0'>bad</p>",
        "<div style='height:0;overflow:hidden'>bad</div>",
        "<div style='position:absolute;left:-9999px'>bad</div>",
        "<div style='text-indent:-5000px'>bad</div>",
        "<style>.x, #y {display:none}</style><p class='a x'>bad</p><p id=y>bad</p>",
        "<style>p.z{visibility:hidden}</style><p class=z>bad</p>",
        "<input type=hidden value=bad><meta name=x content=bad>",
    ],
)
def test_what_readers_of_a_page_do_not_see_is_not_read(hidden: str) -> None:
    page = f"<html><body><h1>T</h1><p>good one</p>{hidden}<p>good two</p></body></html>"
    read = text(parse("a.html", page.encode()))
    assert read == "good one\ngood two"


@pytest.mark.parametrize(
    "shown",
    [
        "<p style='font-size:0.9em;opacity:0.5'>good</p>",
        "<style>@media print {.x{display:none}}</style><p class=x>good</p>",
        "<style>@import 'x'; .y{display:none}</style><p class=x>good</p>",
        "<style>.menu .x{display:none}</style><p class=x>good</p>",
        "<p style='line-height:1;height:100px;overflow:hidden'>good</p>",
        "<p aria-hidden=false>good</p>",
    ],
)
def test_what_readers_see_is_read(shown: str) -> None:
    assert text(parse("a.html", f"<h1>T</h1>{shown}".encode())) == "good"


def test_reading_a_table_leaves_the_processs_own_limit_of_cells() -> None:
    import csv

    before = csv.field_size_limit()
    parse("a.csv", b"question,answer\nOpen?,Yes\n")
    assert csv.field_size_limit() == before


def test_what_markdowns_html_hides_is_not_read() -> None:
    source = b"""# T

Seen <b>bold</b> & 1 < 2 <span style="display:none">bad</span>after `<code>`.

<div hidden>bad</div>

- item <!-- bad --><i aria-hidden="true">bad</i> end
"""
    assert text(parse("a.md", source)) == "Seen bold & 1 < 2 after <code>.\n- item end"


def test_a_question_as_long_as_a_page_is_text() -> None:
    read = parse("a.csv", ("question,answer\n" + "word " * 400 + ",yes\nShort?,Yes.\n").encode())
    assert [s.question for s in read.sections] == [None, "Short?"]
    assert read.sections[0].blocks[0].startswith("word word")
