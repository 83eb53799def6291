"""The neutral markup: what counts as formatting, and that nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.markup import Span, as_rows, bare, escape, spans


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("**bold**", [Span("bold", "bold")]),
        ("*it* and _it_", [Span("italic", "it"), Span("text", " and "), Span("italic", "it")]),
        ("`a*b*`", [Span("code", "a*b*")]),
        ("[see](https://a.example/b_(c))", [Span("link", "see", "https://a.example/b_(c)")]),
        ("[call](tel:+34600) ", [Span("link", "call", "tel:+34600"), Span("text", " ")]),
        ("- one\n- two", [Span("text", "• one\n• two")]),
        # What only looks like it
        ("2 * 3 * 4", [Span("text", "2 * 3 * 4")]),
        ("snake_case_name", [Span("text", "snake_case_name")]),
        ("a*b*c", [Span("text", "a*b*c")]),
        ("**open", [Span("text", "**open")]),
        ("*a\nb*", [Span("text", "*a\nb*")]),
        ("[x](javascript:alert(1))", [Span("text", "[x](javascript:alert(1))")]),
        ("[x](https://a b)", [Span("text", "[x](https://a b)")]),
        ("[x](data:text/html,x)", [Span("text", "[x](data:text/html,x)")]),
        ("well-known - yes", [Span("text", "well-known - yes")]),
        ("", []),
        # Escapes, and styles in styles
        (r"\*no\* \_no\_ \[no\](https://x.example)", [Span("text", "*no* _no_ [no](https://x.example)")]),
        ("**bold *and* it**", [Span("bold", "bold and it")]),
        ("[**b**](https://a.example)", [Span("link", "b", "https://a.example")]),
    ],
)
def test_what_counts(text: str, found: list[Span]) -> None:
    assert spans(text) == found


@given(st.text())
def test_escaped_text_is_shown_as_it_stands(text: str) -> None:
    assert "".join(s.text for s in spans(escape(text))) == text


@given(st.text(alphabet="*_`[]()\\- \nab:/.htps", max_size=60))
def test_whatever_is_written_is_read_and_links_are_safe(text: str) -> None:
    for row in as_rows(text):
        assert len(row) == (3 if row[0] == "link" else 2)
        if row[0] == "link":
            assert row[2].startswith(("https://", "http://", "mailto:", "tel:"))
    bare(text)


@pytest.mark.parametrize("piece", ["**a ", "*a ", "_a ", "[a](https://x", "`a", "\\", "[[", "- ", "**a*"])
def test_endless_markers_are_read_in_reasonable_time(piece: str) -> None:
    """Would hang for minutes if reading were worse than it is; the suite's own time limit notices."""
    assert bare(piece * (20_000 // len(piece)))


def test_a_link_keeps_its_address_where_nothing_can_be_formatted() -> None:
    assert bare("see [our prices](https://a.example/p)") == "see our prices (https://a.example/p)"
    assert bare("[https://a.example](https://a.example)") == "https://a.example"
    assert bare("[a@b.example](mailto:a@b.example)") == "a@b.example"
