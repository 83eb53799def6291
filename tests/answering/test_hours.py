"""Business hours: open or closed at a moment, whatever the clock does."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from brain.rules import match_rule, rule_answer
from gateway.model.answers import AnswerSettings, FormRule, Hours, Question, Rule, Span
from gateway.model.hours import is_open, opens

DAY = (Span(time(9), time(13)), Span(time(14), time(18)))
MADRID = Hours("Europe/Madrid", (DAY, DAY, DAY, DAY, DAY, (Span(time(22), time.max),), ()), ("2026-12-25",))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Madrid")).astimezone(UTC)


@pytest.mark.parametrize(
    ("when", "opened"),
    [
        ("2026-11-23T08:59", False),
        ("2026-11-23T09:00", True),
        ("2026-11-23T13:00", False),
        ("2026-11-23T17:59", True),
        ("2026-11-28T23:59:59.999999", True),
        ("2026-11-29T12:00", False),
        ("2026-12-25T10:00", False),
    ],
)
def test_open_or_closed(when: str, opened: bool) -> None:
    assert is_open(MADRID, at(when)) is opened


def test_the_next_opening_is_told_over_breaks_weekends_and_closed_days() -> None:
    told = {w: opens(MADRID, at(w)) for w in ("2026-11-23T13:30", "2026-11-29T12:00", "2026-12-24T19:00")}
    assert [str(t)[:16] for t in told.values()] == [
        "2026-11-23 14:00",
        "2026-11-30 09:00",
        "2026-12-26 22:00",
    ]
    assert opens(MADRID, at("2026-11-23T10:00")) is None
    assert opens(Hours("UTC", ((),) * 7), at("2026-11-23T10:00")) is None


def test_an_opening_in_the_hour_that_a_clock_change_leaves_out_is_after_it() -> None:
    night = Hours("Europe/Madrid", ((Span(time(2, 30), time(5)),),) * 7)
    back = opens(night, at("2026-03-29T01:00"))
    assert back is not None and back.timestamp() > at("2026-03-29T01:00").timestamp()
    assert is_open(night, at("2026-03-29T03:30"))


def test_rules_may_hold_only_while_it_is_open_or_closed() -> None:
    rules = (
        Rule("call me", "We call you now.", when="open"),
        Rule("call me", "We call you tomorrow.", when="closed"),
    )
    assert match_rule(rules, "Call me!", True) is rules[0]
    assert match_rule(rules, "Call me!", False) is rules[1]
    settings = AnswerSettings(hours=MADRID)

    def ask(when: str) -> str:
        found = rule_answer(Question("t", "call me", rules, settings=settings, at=at(when)), "call me")
        return found.text if found else ""

    assert ask("2026-11-23T10:00") == "We call you now."
    assert ask("2026-11-29T10:00") == "We call you tomorrow."


def test_a_rule_whose_form_was_taken_away_is_an_answer_still() -> None:
    rule = Rule("book", "Gladly.", form="booking")
    settings = AnswerSettings(forms=(FormRule("booking", (), "Done."),))
    with_form = rule_answer(Question("t", "book", (rule,), settings=settings), "book")
    without = rule_answer(Question("t", "book", (rule,)), "book")
    assert with_form is not None and with_form.form == "booking"
    assert without is not None and (without.text, without.form) == ("Gladly.", None)
