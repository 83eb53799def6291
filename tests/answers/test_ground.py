"""Grounding: what stands of an answer, measured on sentences that were written for it, and fact by fact."""

import json
from pathlib import Path

import pytest

from brain.embed import Embedder
from brain.facts import borne_out, stated
from brain.ground import Claim, prepared, says_unknown
from brain.port import IndexedPassage
from brain.sentences import Part, parts

ROWS = [
    json.loads(line) for line in (Path(__file__).parent / "grounding.jsonl").read_text("utf-8").splitlines()
]
GUIDE = (
    "We open Monday to Friday 9am-5pm, Saturdays 10-14. Full service €120, warranty ten years. Call +34 912 345 678. "
    "Delivery in 2 to 5 working "
    "days, 10% off above 1,000 euros. Closed on December 24. Order by 17:30. Write hello@acme.example. See "
    "https://acme.example/hours, flat rate 12,50 €."
)


def claim(text: str, *cited: int) -> Claim:
    return Claim(Part(text, 0, len(text)), cited)


async def test_measured_on_what_was_written_for_it(embedder: Embedder) -> None:
    right = wrong = 0
    for row in ROWS:
        ground = prepared([IndexedPassage(row["passage"], "d", "Guide", (row["heading"],))], embedder)
        stands = bool((await ground.keep([claim(row["sentence"])])).text)
        right += stands and row["stands"]
        wrong += stands and not row["stands"]
    assert len(ROWS) >= 60
    assert right / sum(row["stands"] for row in ROWS) >= 0.93
    assert wrong == 0


@pytest.mark.parametrize(
    "sentence",
    [
        "We are open from 9:00 to 17:00.", "Abrimos de 9 a 17 h", "It costs 120 euros.", "10 years", "Llame al 912 345 678",
        "1.000 € or 1000 EUR", "a 10 % discount", "closed on 24/12", "am 24. Dezember", "le 24 décembre", "bis 17.30 Uhr",
        "by 5:30 PM", "mail hello@acme.example", "https://acme.example/hours.", "1. First\n2. Second", "two to five days",
        "من ٩ إلى ١٧", "Saturdays from 10 a.m. to 2 p.m.", "10h to 14h", "on Wednesday", "12.50 euros", "+34912345678", "€ 1'000",
    ],
)  # fmt: skip
def test_a_fact_is_borne_out_however_it_is_written(sentence: str) -> None:
    assert all(not fact.isdisjoint(borne_out([GUIDE])) for fact in stated(sentence))


@pytest.mark.parametrize(
    "sentence",
    [
        "It costs $120.", "It costs 130 €", "12 years", "Call 912 345 679", "20 percent", "closed on 25 December", "by 6:30 PM",
        "mail evil@acme.example", "https://acme.example/other", "open on Sundays", "until 7 p.m.", "on 2026-12-25", "€12.05",
        "1,001 euros", "eleven days", "bis 18 Uhr", "à 19h",
    ],
)  # fmt: skip
def test_a_fact_that_does_not_stand_there_is_not(sentence: str) -> None:
    assert any(fact.isdisjoint(borne_out([GUIDE])) for fact in stated(sentence))


async def test_what_is_left_keeps_its_places(embedder: Embedder) -> None:
    text = "Sure! A full service costs €120. A tandem costs €7. It has a warranty of ten years. Bye."
    passages = [
        IndexedPassage("A full service costs €120.", "a", "Prices"),
        IndexedPassage("It has a warranty of ten years.", "b", "Warranty"),
    ]
    found = await prepared(passages, embedder).keep([Claim(part, (9,)) for part in parts(text)])
    assert found.text == "Sure! A full service costs €120. It has a warranty of ten years. Bye."
    assert [(found.text[c.start : c.end], c.sources) for c in found.cited] == [
        ("A full service costs €120.", (0,)),
        ("It has a warranty of ten years.", (1,)),
    ]
    assert found.cut == 1


async def test_another_language_needs_a_citation_or_a_fact(embedder: Embedder) -> None:
    ground = prepared(
        [
            IndexedPassage(
                "The pool is heated, and open from May to September for all of our guests.", "a", "Pool"
            )
        ],
        embedder,
    )
    spanish = "La piscina está climatizada y abierta para todos nuestros huéspedes."
    assert not (await ground.keep([claim(spanish)])).text
    assert (await ground.keep([claim(spanish, 0)])).text == spanish
    assert not (await ground.keep([claim("La piscina está abierta hasta las 22:00 para todos.", 0)])).text


async def test_little_that_stands_is_no_answer(embedder: Embedder) -> None:
    ground = prepared([IndexedPassage("Dogs are welcome.", "a", "Pets")], embedder)
    text = (
        "Dogs are welcome. We have a large spa with three saunas. "
        "The restaurant serves dinner until midnight every single day."
    )
    assert not (await ground.keep([claim(p.text) for p in parts(text)])).text
    assert not (await ground.keep([claim("Sure!")])).text


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.", "I couldn't find that in the documents.", "The documents do not mention parking.", "No lo sé.",
        "No tengo información sobre eso.", "Não sei.", "Je ne sais pas.", "Das weiß ich leider nicht.", "Non lo so.",
        "لا أعرف ذلك.",
        "मुझे नहीं पता।", "There is no information about that.",
    ],
)  # fmt: skip
def test_a_model_that_does_not_know_is_believed(text: str) -> None:
    assert says_unknown(text)


@pytest.mark.parametrize(
    "text",
    [
        "The price does not include breakfast.", "No hay aparcamiento.", "We do not know of a cheaper rate in town.",
        "Non ci sono parcheggi.", "Nous n'avons pas de parking.", "You don't find us on Sundays.", "Wir haben keine Parkplätze.",
    ],
)  # fmt: skip
def test_who_denies_something_knows_it(text: str) -> None:
    assert not says_unknown(text)
