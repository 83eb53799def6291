"""Measured quality does not fall. The numbers themselves: `knowledge eval --builtin`, docs/evaluation.md."""

import asyncio
from collections import Counter

import pytest

from brain.embed import Embedder
from brain.evaluate import Outcome, Summary, summarise
from brain.fit import FITTED, SPLITS
from brain.ingest import add_path
from brain.memory import MemoryKnowledge
from tests.brain.conftest import CORPORA, NOW

ENGLISH = ("tune", "held", "blind", "fresh")
UNSEEN = ("blind", "fresh")
OTHER = ("other", "other-tune")


def of(outcomes: list[Outcome], *splits: str) -> Summary:
    return summarise(outcome for outcome in outcomes if outcome.case.split in splits)


def test_there_is_enough_to_measure(outcomes: list[Outcome], embedder: Embedder) -> None:
    cases = [outcome.case for outcome in outcomes]
    assert len(cases) >= 300
    assert 0.25 <= sum(case.document is None for case in cases) / len(cases) <= 0.4
    assert len({case.corpus for case in cases}) >= 6
    assert len([language for language, n in Counter(c.language for c in cases).items() if n >= 20]) >= 4
    assert sum(bool(case.earlier) for case in cases) >= 24

    async def passages() -> int:
        store = MemoryKnowledge()
        for name, folder in CORPORA.items():
            await add_path(store, embedder, name, folder, NOW, base=folder)
        return sum([len(await store.chunks(name)) for name in CORPORA])

    assert asyncio.run(passages()) >= 150


def test_the_unseen_is_not_fitted() -> None:
    assert SPLITS["ENGLISH_CALIBRATION"] == ("tune", "held")
    assert FITTED.isdisjoint((*UNSEEN, "other", "cross", "follow"))


@pytest.mark.parametrize("splits", [ENGLISH, (*ENGLISH, *OTHER, "cross", "follow")])
def test_both_together_beat_either(outcomes: list[Outcome], splits: tuple[str, ...]) -> None:
    summary = of(outcomes, *splits)
    for way in ("words", "meaning"):
        assert summary.hit3["fused"] > summary.hit3[way]
        assert summary.hit3["ranked"] > summary.hit3[way]


@pytest.mark.parametrize("split", [*ENGLISH, *OTHER, "cross", "follow"])
def test_in_no_split_are_both_together_worse(outcomes: list[Outcome], split: str) -> None:
    summary = of(outcomes, split)
    for way in ("words", "meaning"):
        assert summary.hit3["fused"] >= summary.hit3[way]


def test_answers_and_refusals_in_english_that_was_not_fitted(outcomes: list[Outcome]) -> None:
    summary = of(outcomes, *UNSEEN)
    assert summary.questions >= 80
    assert summary.refused >= 0.9
    assert summary.answered >= 0.85
    assert summary.wrong <= 0.06


@pytest.mark.parametrize("split", ENGLISH)
def test_every_english_split(outcomes: list[Outcome], split: str) -> None:
    summary = of(outcomes, split)
    assert summary.refused >= 0.9
    assert summary.answered >= 0.82
    assert summary.wrong <= 0.1


def test_other_languages_do_not_fall(outcomes: list[Outcome]) -> None:
    summary = of(outcomes, *OTHER)
    assert summary.answered >= 0.82
    assert summary.refused >= 0.85
    assert summary.wrong <= 0.05
    across = of(outcomes, "cross")
    assert across.hit3["fused"] >= 0.9
    assert across.answered >= 0.6


def test_follow_ups_are_answered(outcomes: list[Outcome]) -> None:
    assert of(outcomes, "follow").answered >= 0.85


def test_every_expected_passage_exists(outcomes: list[Outcome]) -> None:
    found = [outcome for outcome in outcomes if outcome.case.document and any(outcome.ranks.values())]
    assert len(found) >= sum(outcome.case.document is not None for outcome in outcomes) - 4
