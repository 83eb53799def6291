"""What channels share: showing a message with less, and understanding a typed choice."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.degrade import degrade
from channels.kit import (
    clean_name,
    clean_text,
    is_safe_str,
    shorten,
    split_text,
    understand_choice,
    units,
)
from channels.whatsapp.adapter import WhatsAppAdapter
from gateway.model.capabilities import Capabilities
from gateway.model.content import Buttons, Choice, Content, Form, ListMenu, Source, Text
from gateway.model.conversation import Pending
from gateway.model.errors import Invalid

WHATSAPP = WhatsAppAdapter.capabilities
PLAIN = Capabilities(text_length=500)
WEB = Capabilities(10_000, buttons=10, button_length=80, button_text_length=10_000, forms=True, sources=True)


def choices(count: int, title: str = "Choice {}") -> tuple[Choice, ...]:
    return tuple(Choice(f"c{n}", title.format(n)) for n in range(1, count + 1))


SHOWN: list[tuple[Content, Capabilities]] = [
    (Text("hello"), PLAIN),
    (Text("hello", (Source("Prices"),)), WEB),
    (Buttons("Which?", choices(3)), WHATSAPP),
    (Buttons("x" * 1_024, choices(3, "{}" + "t" * 19)), WHATSAPP),
    (Buttons("Which?", choices(3), (Source("Prices"),)), WEB),
    (ListMenu("Which?", "Menu", choices(10)), WHATSAPP),
    (Form("Please", (), "Send", "Cancel"), WEB),
]


@pytest.mark.parametrize(("content", "capabilities"), SHOWN)
def test_what_fits_stays_as_it_is(content: Content, capabilities: Capabilities) -> None:
    assert degrade(content, capabilities) == ([content], None)


@pytest.mark.parametrize(
    "content",
    [
        Buttons("Which?", choices(4)),
        Buttons("Which?", choices(2, "{} of twenty-four letter")),
        Buttons("x" * 1_025, choices(2)),
    ],
)
def test_buttons_that_do_not_fit_become_a_list(content: Buttons) -> None:
    (menu,), pending = degrade(content, WHATSAPP, language="es")
    assert menu == ListMenu(content.text, "Elegir", content.choices)
    assert pending is None


NUMBERED = [
    ("en", "Which?\n\n1. Choice 1\n2. Choice 2\n\nReply with a number."),
    ("es-MX", "Which?\n\n1. Choice 1\n2. Choice 2\n\nResponde con un número."),
    ("pt_BR", "Which?\n\n1. Choice 1\n2. Choice 2\n\nResponda com um número."),
    ("ar", "Which?\n\n1. Choice 1\n2. Choice 2\n\nأجب برقم."),
    ("de", "Which?\n\n1. Choice 1\n2. Choice 2\n\nReply with a number."),
]


@pytest.mark.parametrize(("language", "text"), NUMBERED)
@pytest.mark.parametrize("menu", [False, True])
def test_what_fits_nowhere_becomes_numbered_text(language: str, text: str, menu: bool) -> None:
    content = ListMenu("Which?", "Menu", choices(2)) if menu else Buttons("Which?", choices(2))
    parts, pending = degrade(content, PLAIN, language=language, message="m_1")
    assert parts == [Text(text)]
    assert pending == Pending("m_1", (("c1", "Choice 1"), ("c2", "Choice 2")))


@pytest.mark.parametrize(
    "content",
    [
        Buttons("Which?", choices(11)),
        Buttons("Which?", choices(2, "{} a title that is too long for a row")),
        Buttons("Which?", (Choice("a", "Same"), Choice("b", "Same"))),
        Buttons("Which?", (Choice("a", "One"), Choice("a", "Two"))),
        Buttons("", choices(2)),
        Buttons("😀" * 2_049, choices(2)),
        ListMenu("Which?", "Menu", choices(11)),
    ],
)
def test_whatsapp_numbers_what_fits_neither_buttons_nor_a_list(content: Content) -> None:
    parts, pending = degrade(content, WHATSAPP)
    assert all(isinstance(part, Text) for part in parts)
    assert pending


def test_no_choices_is_just_text() -> None:
    assert degrade(Buttons("Hello", ()), PLAIN) == ([Text("Hello")], None)


def test_descriptions_are_shown_in_numbered_text() -> None:
    (text,), _ = degrade(ListMenu("Which?", "Menu", (Choice("a", "A", "the first"),)), PLAIN)
    assert text == Text("Which?\n\n1. A - the first\n\nReply with a number.")


SOURCES = (Source("Prices", "https://example.com/p", 3), Source("Hours"), Source("Hours"))


def test_sources_become_a_last_line() -> None:
    line = "Source: Prices, p. 3 (https://example.com/p); Hours"
    assert degrade(Text("It is 5.", SOURCES), PLAIN) == ([Text(f"It is 5.\n\n{line}")], None)
    assert degrade(Buttons("It is 5.", choices(2), SOURCES), WHATSAPP)[0] == [
        Buttons(f"It is 5.\n\n{line}", choices(2))
    ]
    assert "Fuente: Prices, pág. 3" in str(degrade(Text("x", SOURCES), PLAIN, language="es"))


def test_a_form_needs_a_channel_with_forms() -> None:
    with pytest.raises(Invalid):
        degrade(Form("Please", (), "Send", "Cancel"), WHATSAPP)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_blank_text_is_nothing(text: str) -> None:
    assert degrade(Text(text), WHATSAPP) == ([], None)


def test_sources_stay_with_the_end_of_a_long_answer() -> None:
    parts, _ = degrade(Text("word " * 3_000, (Source("S"),)), WEB)
    assert [part.sources for part in parts if isinstance(part, Text)] == [(), (Source("S"),)]


# Splitting ------------------------------------------------------------------------------------------------

FAMILY = "👩\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("short", 10, ["short"]),
        ("one two three", 8, ["one two", "three"]),
        ("one two", 3, ["one", "two"]),
        ("First. Second one.", 12, ["First.", "Second one."]),
        ("para one\n\npara two", 14, ["para one", "para two"]),
        ("line one is\nline two", 15, ["line one is", "line two"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("😀😀😀", 5, ["😀😀", "😀"]),
        ("e\u0301e\u0301e\u0301", 3, ["e\u0301", "e\u0301", "e\u0301"]),
        (FAMILY * 2, 9, [FAMILY, FAMILY]),
        ("🇪🇸🇧🇷", 6, ["🇪🇸", "🇧🇷"]),
        ("👍🏽👍🏽", 5, ["👍🏽", "👍🏽"]),
        ("كيف حالك؟ أنا بخير", 12, ["كيف حالك؟", "أنا بخير"]),
        ("e" + "\u0301" * 5, 3, ["e\u0301\u0301", "\u0301\u0301\u0301"]),
    ],
)
def test_splitting(text: str, limit: int, pieces: list[str]) -> None:
    assert split_text(text, limit) == pieces


@given(st.text(max_size=300), st.integers(2, 60))
def test_splitting_loses_only_white_space_and_keeps_to_the_limit(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < units(piece) <= limit for piece in pieces)


@given(st.lists(st.sampled_from(["e\u0301", FAMILY, "🇪🇸", "👍🏽", "a", " ", "ن\u0651"]), max_size=60))
def test_no_visible_character_is_torn(shown: list[str]) -> None:
    for piece in split_text("".join(shown), 20):
        assert not unicodedata.category(piece[0]).startswith("M")
        assert piece[0] not in "\u200d\U0001f3fd"
        assert not piece.endswith("\u200d")
        assert sum("\U0001f1e6" <= char <= "\U0001f1ff" for char in piece) % 2 == 0


def test_splitting_a_long_text_is_quick_enough_to_finish() -> None:
    assert len(split_text("word " * 200_000, 4_096)) == 245


# Typed choices --------------------------------------------------------------------------------------------

PENDING = Pending("m_1", (("a", "Café olé"), ("b", "Tea"), ("c", "👍"), ("d", "نَعَم")))


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("2", "b"),
        (" 2. ", "b"),
        ("2)", "b"),
        ("(2)", "b"),
        ("#2", "b"),
        ("2️⃣", "b"),
        ("٢", "b"),
        ("۲", "b"),
        ("२", "b"),
        ("２", "b"),
        ("02", "b"),
        ("2. tea", "b"),
        ("2 Tea!", "b"),
        ("CAFE OLE", "a"),
        ("«café   olé».", "a"),
        ("👍", "c"),
        ("نعم", "d"),
        ("2. Coffee", None),
        ("0", None),
        ("5", None),
        ("99", None),
        ("222", None),
        ("22 euros", None),
        ("2 or 3?", None),
        ("tea please", None),
        ("", None),
        ("²", None),
    ],
)
def test_a_typed_choice(text: str, choice: str | None) -> None:
    found = understand_choice(text, PENDING)
    assert (found.id if found else None) == choice
    if found:
        assert found.to == "m_1"


def test_a_title_that_is_a_number_is_read_as_the_title() -> None:
    pending = Pending("m_1", (("two", "2"), ("one", "1")))
    found = understand_choice("1", pending)
    assert found
    assert found.id == "one"


def test_without_a_question_nothing_is_chosen() -> None:
    assert understand_choice("1", None) is None


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    understand_choice(text, PENDING)


# Cleaning -------------------------------------------------------------------------------------------------


def test_cleaning() -> None:
    assert clean_text("a\x00b\ud800c\udfffd😀") == "abcd😀"
    assert is_safe_str("😀\n\t")
    assert not is_safe_str("\x00")
    assert not is_safe_str("\udfff")
    assert clean_name(" x ") == " x "
    assert clean_name("é" * 40_000) is None


@pytest.mark.parametrize(
    ("text", "limit", "short"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("😀😀😀", 4, "😀…")]
)
def test_shortening(text: str, limit: int, short: str) -> None:
    assert shorten(text, limit) == short
