"""Business hours: open or closed at a moment, whatever the clock does."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from brain.rules import match_rule, rule_answer
from gateway.api.hours import read_day
from gateway.model.answers import AnswerSettings, FormRule, Hours, Question, Rule, Span
from gateway.model.errors import Invalid
from gateway.model.hours import is_open, opens
from tests.conftest import Running
from tests.consent.test_records import cli
from tests.core.test_api import call, key_of

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


@pytest.mark.parametrize(
    ("day", "days", "spans"),
    [
        ("mon-fri 09:00-13:00,14:00-18:00", (0, 1, 2, 3, 4), ("09:00-13:00", "14:00-18:00")),
        ("Saturday 10:00-24:00", (5,), ("10:00-24:00",)),
        ("sat-mon 9:00-10:00", (5, 6, 0), ("09:00-10:00",)),
        ("sun ", (6,), ()),
    ],
)
def test_hours_as_text(day: str, days: tuple[int, ...], spans: tuple[str, ...]) -> None:
    found, read = read_day(day, "--day")
    assert (
        found,
        tuple(f"{s.start:%H:%M}-{'24:00' if s.end == time.max else f'{s.end:%H:%M}'}" for s in read),
    ) == (
        days,
        spans,
    )


@pytest.mark.parametrize(
    "day",
    [
        "",
        "m 09:00-10:00",
        "mon 9-10",
        "mon 10:00-09:00",
        "mon 09:00-11:00,10:00-12:00",
        "mon 25:00-26:00",
        "t 1:00-2:00",
    ],
)
def test_hours_that_are_none_are_refused(day: str) -> None:
    with pytest.raises(Invalid) as wrong:
        read_day(day, "--day")
    assert wrong.value.field == "--day"


async def test_hours_by_command_and_api(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    own = ("--tenant", "acme")
    week = ("--day", "mon-sun 00:00-24:00", "--day", "tue ", "--closed", "2026-12-25")
    out = await cli(running, capsys, "hours", "set", *own, "--timezone", "Europe/Madrid", *week)
    assert "tuesday    closed" in out and "2026-12-25" in out
    hours = (await running.store.directory.tenant("acme")).answers.hours
    assert hours is not None and hours.week[1] == () and hours.week[0] == (Span(time(0), time.max),)
    for words in (
        ("--timezone", "Mars", "--day", "mon 09:00-10:00"),
        ("--timezone", "UTC", "--day", "x 1-2"),
    ):
        with pytest.raises(Invalid):
            await cli(running, capsys, "hours", "set", *own, *words)
    headers = await key_of(running, "acme")
    _, told = await call(running, "GET", "/api/v1/hours", headers)
    assert told["hours"]["week"]["monday"] == ["00:00-24:00"]
    assert (await call(running, "PUT", "/api/v1/hours", headers, told))[1] == told
    for field, value in (("timezone", "Mars"), ("week", {"noday": []}), ("closed", ["25.12."])):
        body = {"hours": {**told["hours"], field: value}}
        status, wrong = await call(running, "PUT", "/api/v1/hours", headers, body)
        assert (status, wrong["errors"][0]["field"]) == (422, f"body.{field}")
    assert (await call(running, "PUT", "/api/v1/hours", headers, {"hours": None}))[0] == 200
    assert "No hours" in await cli(running, capsys, "hours", "clear", *own)
    assert (await running.store.directory.tenant("acme")).answers.hours is None
