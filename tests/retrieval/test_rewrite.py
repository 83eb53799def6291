"""Follow-up questions: which lean on what was asked before, and what they are searched for as."""

import pytest

from brain.rewrite import leans, rewrite
from gateway.model.answers import Said


def asked(*texts: str) -> tuple[Said, ...]:
    return tuple(Said("customer", text) for text in texts)


@pytest.mark.parametrize(
    ("before", "text", "whole"),
    [
        ("Do you rent tandems?", "how much is it?", "rent tandems how much is it?"),
        ("Do you rent tandems?", "How much?", "rent tandems How much?"),
        ("Are you open on Saturdays?", "and on Sundays?", "Are you open and on Sundays?"),
        (
            "How much is a city bike per day?",
            "and a tandem?",
            "How much is a city bike per day and a tandem?",
        ),
        ("Can I bring my dog?", "what about cats?", "bring dog what about cats?"),
        ("¿Abrís los sábados?", "¿y los domingos?", "¿Abrís y los domingos?"),
        ("¿Vendéis cascos?", "¿cuánto cuestan?", "cascos cuánto cuestan?"),
        ("Quanto custa o plano mensal?", "e o anual?", "Quanto custa o plano mensal e o anual?"),
        ("Têm treino pessoal?", "quanto custa?", "treino pessoal quanto custa?"),
        ("Was kostet ein Kurs?", "und für Kinder?", "Was kostet ein Kurs und für Kinder?"),
        ("Vermietet ihr Router?", "Was kostet das?", "Vermietet Router Was kostet das?"),
        ("Louez-vous des vélos ?", "et combien ça coûte ?", "Louez-vous vélos et combien ça coûte ?"),
        ("Quanto costa il corso?", "e per i bambini?", "Quanto costa il corso e per i bambini?"),
        ("هل تؤجرون الدراجات؟", "وكم السعر؟", "هل تؤجرون الدراجات؟ وكم السعر؟"),
        ("क्या आप साइकिल देते हैं?", "और रविवार को?", "क्या आप साइकिल देते हैं और रविवार को?"),
    ],
)
def test_a_question_that_leans_is_made_whole(before: str, text: str, whole: str) -> None:
    assert rewrite(text, asked(before)) == whole


@pytest.mark.parametrize(
    "text",
    [
        "Do you sell helmets?",
        "And do you sell helmets?",
        "opening hours",
        "parking?",
        "where are you?",
        "Is it possible to rent a trailer?",
        "Are you open on Sundays?",
        "thanks",
        "ok",
        "hello",
        "",
        "?",
        "I want to know whether that shop of yours repairs it on Mondays as well",
        "¿Y tenéis aparcamiento?",
        "¿Qué horario tenéis?",
        "Wo finde ich euch?",
        "Gibt es einen Parkplatz?",
        "Est-ce que vous livrez ?",
        "Quali lingue insegnate?",
        "Há estacionamento?",
        "هل لديكم موقف سيارات؟",
        "क्या आपके पास पार्किंग है?",
    ],
)
def test_a_question_that_stands_alone_is_left_as_it_is(text: str) -> None:
    assert rewrite(text, asked("Do you rent tandems?")) == text


def test_it_leans_on_the_last_question_that_stood_alone() -> None:
    assert rewrite("and how long is it?", asked("Do you sell helmets?", "Do you run courses?")) == (
        "run courses and how long is it?"
    )
    chain = rewrite("and on Sundays?", asked("Do you rent tandems?", "how much is it?"))
    assert "tandems" in chain
    assert chain.endswith("and on Sundays?")


def test_only_what_the_customer_asked_counts() -> None:
    said = (Said("bot", "We rent tandems for €40."), Said("customer", "hello"))
    assert rewrite("how much is it?", said) == "how much is it?"
    assert rewrite("how much is it?", ()) == "how much is it?"


def test_leaning_is_told_without_what_was_before() -> None:
    assert leans("¿y los domingos?")
    assert not leans("¿abrís los domingos?")
