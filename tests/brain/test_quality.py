"""Measured quality does not fall. The numbers themselves: `python -m brain.evaluate`, brain/support.py."""

import pytest

from brain.evaluate import Outcome, summarise

ENGLISH = ("tune", "held", "blind")


def test_there_is_enough_to_measure(outcomes: list[Outcome]) -> None:
    english = [outcome.case for outcome in outcomes if outcome.case.split in ENGLISH]
    assert len(english) >= 240
    assert 0.28 <= sum(case.document is None for case in english) / len(english) <= 0.4


@pytest.mark.parametrize("split", ENGLISH)
def test_both_together_are_no_worse_than_either(outcomes: list[Outcome], split: str) -> None:
    summary = summarise(outcome for outcome in outcomes if outcome.case.split == split)
    for way in ("words", "meaning"):
        assert summary.hit3["fused"] >= summary.hit3[way]
        assert summary.hit3["ranked"] >= summary.hit3[way]


@pytest.mark.parametrize("split", ENGLISH)
def test_answers_and_refusals(outcomes: list[Outcome], split: str) -> None:
    summary = summarise(outcome for outcome in outcomes if outcome.case.split == split)
    assert summary.refused >= 0.85
    assert summary.answered >= 0.8
    assert summary.wrong <= 0.12


def test_spanish_answers_are_right_or_none(outcomes: list[Outcome]) -> None:
    summary = summarise(outcome for outcome in outcomes if outcome.case.split == "other")
    assert summary.answered >= 0.75
    assert summary.refused >= 0.85


def test_every_expected_passage_exists(outcomes: list[Outcome]) -> None:
    found = [outcome for outcome in outcomes if outcome.case.document and any(outcome.ranks.values())]
    assert len(found) >= sum(outcome.case.document is not None for outcome in outcomes) - 4
