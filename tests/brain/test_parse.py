"""Each kind of file, read directly."""

import pytest

from brain.parse import Parsed, Refused, parse
from tests.brain.conftest import SAMPLES
from tests.brain.make_pdf import WARRANTY, assemble, pdf


def headings(parsed: Parsed) -> list[tuple[str, ...]]:
    return [section.headings for section in parsed.sections]


def text(parsed: Parsed) -> str:
    return "\n".join(block for section in parsed.sections for block in section.blocks)


def test_markdown_keeps_the_path_of_headings_lists_and_tables() -> None:
    source = b"""---
title: "House rules"
---
# House rules

Be kind. See [the map](http://example.org/map).

## Prices

| Room | Day | Week |
|---|---|---|
| Small | 10 | 60 |

### Extras

1. First
   - inner
2. Second

<div>raw <b>html</b></div>
<!-- not for readers -->

    code
"""
    parsed = parse("a.md", source)
    assert parsed.title == "House rules"
    assert headings(parsed) == [(), ("Prices",), ("Prices", "Extras")]
    assert parsed.sections[0].blocks == ("Be kind. See the map.",)
    assert parsed.sections[1].blocks == ("Small — Day: 10; Week: 60",)
    assert parsed.sections[2].blocks == ("1. First\n- inner\n2. Second", "raw html", "code")


def test_the_first_heading_is_the_title_and_not_repeated() -> None:
    parsed = parse("a.md", b"# Title\n\nOne.\n\n## Part\n\nTwo.")
    assert (parsed.title, headings(parsed)) == ("Title", [(), ("Part",)])


def test_html_leaves_out_what_readers_do_not_read() -> None:
    source = b"""<html><head><title>Terms</title><script>var x = "<p>no</p>";</script></head><body>
    <nav><ul><li>Menu</li></ul></nav><h1>Terms</h1><p>One &amp; two<br>three</p>
    <div style="display: none">secret</div><p hidden>secret</p>
    <h2>List</h2><ul><li>a <b>b</b></li><li>c<ul><li>d</li></ul></li></ul><ol><li>x</li><li>y</li></ol>
    <h2>Table</h2><table><tr><th>Job</th><th>Price</th></tr><tr><td>Chain</td><td>5</td></tr></table>
    <footer>Imprint</footer></body></html>"""
    parsed = parse("a.html", source)
    assert parsed.title == "Terms"
    assert text(parsed) == "One & two\nthree\n- a b\n- c\n- d\n1. x\n2. y\nChain: 5"


def test_html_reads_only_the_main_part_if_there_is_one() -> None:
    parsed = parse("a.html", b"<p>around</p><main><h1>T</h1><p>inside</p></main><p>after</p>")
    assert text(parsed) == "inside"
    assert text(parse("a.html", b"<p>kept</p><main></main>")) == "kept"


@pytest.mark.parametrize(
    "source",
    [
        b'Question,Answer\nOpen?,"Yes, daily"\n',
        b'answer;question\n"Yes, daily";Open?\n',
        b"\xef\xbb\xbfid\tPregunta\tRespuesta\n1\tOpen?\tYes, daily\n",
        b'Open?,"Yes, daily"\nClosed?,No\n',
        b"Open?|Yes, daily\nClosed?|No\n",
    ],
)
def test_csv_pairs(source: bytes) -> None:
    section = parse("a.csv", source).sections[0]
    assert (section.question, section.blocks) == ("Open?", ("Yes, daily",))


def test_csv_that_is_a_table() -> None:
    parsed = parse("a.csv", b"name,price,stock\nBell,5,3\nLamp,9,\n")
    assert parsed.sections[0].blocks == ("Bell — price: 5; stock: 3\nLamp — price: 9",)


def test_csv_without_pairs_is_refused() -> None:
    with pytest.raises(Refused, match="only one column"):
        parse("a.csv", b"one\ntwo\n")
    with pytest.raises(Refused, match="No row has both"):
        parse("a.csv", b"question,answer\nOpen?,\n")


def test_text_finds_headings_joins_lines_and_keeps_lists() -> None:
    source = (
        b"Opening hours\n\nWe are open\nevery single day of the year, also when it is snowing outside.\n\n"
    )
    parsed = parse("a.txt", source + b"Rules\n=====\n* one\n* two\n  goes on\n")
    assert headings(parsed) == [("Opening hours",), ("Rules",)]
    joined = "We are open every single day of the year, also when it is snowing outside."
    assert text(parsed) == f"{joined}\n- one\n- two goes on"


def test_pdf_has_pages_headings_and_a_title() -> None:
    parsed = parse("a.pdf", (SAMPLES / "warranty.pdf").read_bytes())
    assert parsed.title == "Warranty for new bikes"
    assert [section.page for section in parsed.sections] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert parsed.sections[1].headings == ("What is covered",)
    assert parsed.sections[1].blocks[0].startswith("Frames and forks of steel and aluminium are guaranteed")


def test_the_sample_pdf_is_what_its_script_writes() -> None:
    assert (SAMPLES / "warranty.pdf").read_bytes() == pdf(WARRANTY, title="Warranty for new bikes")


def test_bytes_of_any_encoding_become_clean_text() -> None:
    assert text(parse("a.txt", "Café — ñandú".encode())) == "Café — ñandú"
    assert text(parse("a.txt", b"\xef\xbb\xbfCaf\xc3\xa9")) == "Café"
    assert text(parse("a.txt", "Café “open”".encode("cp1252"))) == "Café “open”"
    assert text(parse("a.txt", "Café".encode("utf-16"))) == "Café"
    assert text(parse("a.txt", b"zero\0width" + b" and more words" * 20)).count("\0") == 0
    assert text(parse("a.txt", "e\u0301\u200bx".encode())) == "éx"
    broken = "ساعات العمل من التاسعة إلى الخامسة كل يوم".encode()
    assert text(parse("a.txt", broken + b" \xff" + broken)).startswith("ساعات العمل")


def test_no_lone_surrogate_and_no_control_character_leaves_the_parser() -> None:
    for source in (b"a\xed\xa0\x80b and more plain words here", b"x\x07y" + b" word" * 90):
        text(parse("a.md", source)).encode("utf-8")
        assert not set(text(parse("a.md", source))) & {"\x07", "\x00"}


@pytest.mark.parametrize(
    ("name", "source", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.md", b" \n\0\n", "empty"),
        ("a.exe", b"MZ", "can't be read"),
        ("noending", b"text", "can't be read"),
        ("a.pdf", b"just text", "isn't a PDF"),
        ("a.txt", b"%PDF-1.7 ...", "Rename it to .pdf"),
        ("a.csv", b"PK\x03\x04....", "Office or ZIP"),
        ("a.txt", b"<!DOCTYPE html><p>x</p>", "Rename it to .html"),
        ("a.txt", bytes(range(256)) * 20, "isn't a text file"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", "isn't a text file"),
        ("a.html", b"<script>x</script>", "no text"),
        ("a.pdf", b"%PDF-1.4\nbroken", "damaged"),
        ("a.pdf", assemble([], ""), "no text"),
        ("a.pdf", pdf(((),)), "OCR"),
    ],
)
def test_refusals_say_what_to_do(name: str, source: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        parse(name, source)
    assert str(refused.value).endswith(".")


def test_an_encrypted_pdf_is_refused() -> None:
    from io import BytesIO

    from pypdf import PdfWriter

    writer, out = PdfWriter(BytesIO(pdf((("Hello there, dear reader.",),)))), BytesIO()
    writer.encrypt("secret", algorithm="AES-256")
    writer.write(out)
    with pytest.raises(Refused, match="password"):
        parse("a.pdf", out.getvalue())
