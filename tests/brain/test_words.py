"""Words of several languages."""

import pytest

from brain.words import fold, is_english, question_terms, stem, terms


def test_folding() -> None:
    assert fold("ÑANDÚ Straße") == "nandu strasse"
    assert fold("أَوْقَاتُ ٱلعمل") == fold("اوقات العمل")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("batteries", "battery"),
        ("rented", "rents"),
        ("cancelling", "cancelled"),
        ("tune-up", "tuneup"),
        ("classes", "class"),
        ("camiones", "camion"),
        ("reservações", "reservação"),
        ("السيارات", "سيارة"),
        ("price", "cost"),
        ("precio", "preços"),
        ("bicycles", "bike"),
        ("gift card", "voucher"),
        ("Wi-Fi", "wifi"),
    ],
)
def test_words_that_meet(one: str, other: str) -> None:
    assert set(question_terms(one)) & set(terms(other))


def test_days_are_spanned() -> None:
    assert "§day2" in terms("Tuesday to Friday: 10:00")
    assert "§day2" in question_terms("open on Wednesdays?")
    assert {"§day0", "§day5", "§day6"} <= set(terms("sábado a lunes"))
    assert "§day5" in question_terms("open at the weekend?")
    assert "§day5" not in terms("He sat down")


def test_values_are_seen() -> None:
    assert {"§price", "#price"} <= set(terms("Room: £78"))
    assert {"§price", "#price"} <= set(question_terms("How much is a room?"))
    assert "§price" not in question_terms("how much air goes in?")
    assert "#phone" in terms("+44 1632 960 114")


def test_language() -> None:
    assert is_english("How much is a room?")
    assert not is_english("¿Cuánto cuesta una habitación?")
    assert not is_english("quanto custa o quarto para duas pessoas")
    assert not is_english("ما هي ساعات العمل")


def test_stems_are_short_words_safe() -> None:
    assert [stem(word) for word in ("bus", "gas", "red", "sing", "2019")] == [
        "bus",
        "gas",
        "red",
        "sing",
        "2019",
    ]
