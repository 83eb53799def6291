"""The wording: complete, within the channels' limits, and understood when it is typed back."""

from dataclasses import fields
from string import Formatter
from typing import get_args

import pytest

from leads.phone import Problem
from leads.texts import LANGUAGES, Wording, wording
from leads.words import meaning

TITLES = ("yes", "no", "other_phone", "skip", "submit", "cancel")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    words, english = LANGUAGES[language], LANGUAGES["en"]
    for field in fields(Wording):
        if field.name != "problems":
            text = getattr(words, field.name)
            assert text.strip() == text != ""
            assert placeholders(text) == placeholders(getattr(english, field.name))
    assert set(words.problems) == set(get_args(Problem))
    assert all(placeholders(text) == {"example"} for text in words.problems.values())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("title", TITLES)
def test_button_titles_fit_whatsapp(language: str, title: str) -> None:
    assert len(getattr(LANGUAGES[language], title)) <= 20


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("title", ["yes", "no", "skip", "cancel"])
def test_a_typed_title_means_what_the_button_means(language: str, title: str) -> None:
    assert title in meaning(getattr(LANGUAGES[language], title))


@pytest.mark.parametrize(
    ("tag", "language"),
    [("es-MX", "es"), ("pt_BR", "pt"), ("AR", "ar"), ("de", "en"), (None, "en"), ("", "en")],
)
def test_the_best_fitting_language_is_taken(tag: str | None, language: str) -> None:
    assert wording(tag) is LANGUAGES[language]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("Yes!", {"yes"}),
        ("SÍ, por favor.", {"yes"}),
        ("sim", {"yes"}),
        ("نَعَم", {"yes"}),
        ("أكيد", {"yes"}),
        ("No thanks", {"no"}),
        ("NÃO", {"no"}),
        ("لا، شكراً", {"no"}),
        ("I don't have one", {"skip"}),
        ("تخطّي", {"skip"}),
        ("إلغاء", {"cancel"}),
        ("Cancelar", {"cancel"}),
        ("never mind", {"cancel"}),
        ("Nora", set()),
        ("yes but only in the morning", set()),
        ("", set()),
        ("no" * 50_000, set()),
    ],
)
def test_short_answers(text: str, means: set[str]) -> None:
    assert meaning(text) == means
