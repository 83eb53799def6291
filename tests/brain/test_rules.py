"""Keyword rules and small talk."""

import pytest

from brain.rules import check_rule, match_rule, normalise
from brain.small_talk import small_talk
from gateway.model.answers import Rule


def test_a_pattern_fits_the_whole_message_only() -> None:
    rules = [Rule("¿Menú?", "Soup"), Rule("menu today", "Fish")]
    for text in ("menu", "MENÚ!!", "  ¡menú!  ", "¿Menu?"):
        found = match_rule(rules, text)
        assert found and found.answer == "Soup"
    assert match_rule(rules, "the menu please") is None
    assert match_rule([Rule("opening   hours", "x")], "Opening hours.") is not None
    assert match_rule([Rule("👍", "x")], "👍") is not None
    assert match_rule([Rule("?!", "x")], "hello") is None


def test_an_expression_is_found_anywhere_with_or_without_accents() -> None:
    rules = [Rule(r"\b(parking|garage)\b", "Yard", regex=True), Rule("manana", "Yes", regex=True)]
    assert match_rule(rules, "Is there PARKING nearby?") == rules[0]
    assert match_rule(rules, "hasta mañana entonces") == rules[1]
    assert match_rule(rules, "sparkling") is None


def test_the_first_rule_wins_and_long_messages_are_cut() -> None:
    rules = [Rule("price", "A", regex=True), Rule("price", "B", regex=True)]
    assert match_rule(rules, "the price?") == rules[0]
    assert match_rule(rules, "x" * 501 + "price") is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a*)*b",
        r"(a|aa)+$",
        r"(?:\w+\s?)*$x",
        r"((ab)*)*c",
        r"([a-z]+)*1",
        r"(x+x+)+y",
        r"(a{1,50}){1,50}b",
        r".*a.*b.*c",
        r".{0,20}.{0,20}.{0,20}.{0,20}z",
        r"(a{1,9}){1,9}b",
        r"(\w)\1+",
        r"(?=(a+)+b)c",
        r"[",
        r"(?P<x",
        r"a{99999999999999}",
        r".*",
        r"x?",
        "",
        "  ",
        "a" * 201,
    ],
)
def test_dangerous_or_useless_expressions_are_named_and_skipped(pattern: str) -> None:
    rule = Rule(pattern, "answer", regex=True)
    reason = check_rule(rule)
    assert reason is not None
    assert reason.endswith(".")
    assert match_rule([rule], "a" * 5000) is None


@pytest.mark.parametrize(
    "pattern", [r"price.*bike", r"a.*b.*c", r"(red|blue) shoes?", r"\d{3}-\d+", r"^hi\b", r"(ab){3}", "o.u"]
)
def test_common_expressions_pass(pattern: str) -> None:
    assert check_rule(Rule(pattern, "answer", regex=True)) is None


def test_rules_need_an_answer() -> None:
    assert check_rule(Rule("hours", " ")) == "The answer is empty."
    assert check_rule(Rule("hours", "x" * 4001)) is not None
    assert check_rule(Rule("hours?", "At nine.")) is None


def test_normalise() -> None:
    assert normalise("  ¿Qué   TAL?! ") == "que tal"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("Hi!", "Hello"),
        ("Good morning 👋", "Hello"),
        ("hola, ¿qué tal?", "¡Hola"),
        ("Olá!", "Olá"),
        ("السلام عليكم", "مرحب"),
        ("ok, thanks!!", "You're welcome"),
        ("Muchas gracias.", "¡De nada"),
        ("obrigada", "De nada"),
        ("شكراً", "على الرحب"),
        ("bye", "Goodbye"),
    ],
)
def test_small_talk(text: str, start: str) -> None:
    assert (small_talk(text) or "").startswith(start)


@pytest.mark.parametrize(
    "text", ["hi, when do you open?", "thanks for nothing about my order 12", "", "?", "hi" * 90]
)
def test_what_is_more_than_small_talk(text: str) -> None:
    assert small_talk(text) is None
