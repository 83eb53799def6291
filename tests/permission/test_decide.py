"""`decide` by tables: each rule alone, their order, and that what may be sent is allowed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from consent.facts import Facts, TemplateFacts
from consent.permission import RULES, Allowed, Refused, begins, decide, decision
from gateway.model.consent import Standing, State
from gateway.model.content import Template, Text
from gateway.model.message import Author, Message, Status
from gateway.model.permission import Cap, Quiet

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
TEMPLATE = Template("offer", "en")
APPROVED = TemplateFacts("APPROVED", "UTILITY", usable=True)
OFFER = TemplateFacts("APPROVED", "MARKETING", usable=True)


def message(author: Author = "bot", content: Any = None, purpose: str = "service", **more: Any) -> Message:
    return Message(
        "m_1",
        "acme",
        "ch",
        "cv",
        "out",
        author,
        1,
        NOW,
        content or Text("Hello"),
        Status.QUEUED,
        purpose=purpose,
        **more,
    )


def standing(state: State, at: datetime = NOW - HOUR) -> Standing:
    return Standing(state, at, "keyword", "ce_1")


AGREED = {"marketing": standing("granted")}
STOPPED = {"service": standing("withdrawn"), "marketing": standing("withdrawn")}
OPEN = Facts(owner="bot", windowed=True, window_until=NOW + HOUR, last_in=NOW - 23 * HOUR)
CLOSED = replace(OPEN, window_until=NOW)
NIGHT = Quiet(time(21), time(8))


def given(facts: Facts = OPEN, **changes: Any) -> Facts:
    return replace(facts, **changes)


ALLOWED: Mapping[str, tuple[Message, Facts]] = {
    "an answer in the window": (message(), OPEN),
    "an answer up to the last moment": (message(), given(window_until=NOW + MICROSECOND)),
    "an answer where there is no window": (message(), Facts(owner="bot")),
    "a person's words while they own it": (message("agent"), given(owner="agent")),
    "a person's words while somebody is waited for": (message("agent"), given(owner="queue")),
    "that a person will come": (message(extra={"announces": "queue"}), given(owner="queue")),
    "the confirmation of a stop": (
        message(extra={"announces": "stopped"}),
        given(owner="agent", consents=STOPPED),
    ),
    "a person's answer to what was asked after a stop": (
        message("agent"),
        given(owner="agent", consents=STOPPED, last_in=NOW - HOUR + MICROSECOND),
    ),
    "a template in a closed window": (message("agent", TEMPLATE), given(CLOSED, template=APPROVED)),
    "a template that is flagged": (
        message("agent", TEMPLATE),
        given(CLOSED, template=TemplateFacts("FLAGGED", "UTILITY", usable=True)),
    ),
    "marketing with consent": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents=AGREED),
    ),
    "a person's marketing template with consent": (
        message("agent", TEMPLATE),
        given(CLOSED, template=OFFER, consents=AGREED),
    ),
    "utility with consent, at night": (
        message(content=TEMPLATE, purpose="utility"),
        given(template=APPROVED, consents={"utility": standing("granted")}, quiet=Quiet(time(11), time(13))),
    ),
    "an answer at night": (message(), given(quiet=Quiet(time(11), time(13)))),
    "an answer when the quota is used up": (message(), given(left=0)),
    "the last of the quota": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents=AGREED, left=1),
    ),
    "marketing below the cap": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents=AGREED, cap=Cap(2, 24 * HOUR), marketed=(NOW - HOUR,)),
    ),
    "marketing when the last is just long enough ago": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents=AGREED, cap=Cap(1, 24 * HOUR), marketed=(NOW - 24 * HOUR,)),
    ),
    "an answer by a number rated low": (message(), given(quality="RED")),
}

REFUSED: Mapping[str, tuple[Message, Facts, str, bool]] = {
    "the bot while a person owns it": (message(), given(owner="agent"), "owner", False),
    "the bot while a person is waited for": (message(), given(owner="queue"), "owner", False),
    "a campaign while a person owns it": (
        message(content=TEMPLATE, purpose="marketing", campaign="cp_1"),
        given(owner="agent", template=OFFER, consents=AGREED),
        "owner",
        True,
    ),
    "that a person will come, once one is there": (
        message(extra={"announces": "queue"}),
        given(owner="agent"),
        "owner",
        False,
    ),
    "the bot after a stop": (message(), given(consents=STOPPED), "stopped", False),
    "the bot after a stop, though they wrote since": (
        message(),
        given(consents=STOPPED, last_in=NOW),
        "stopped",
        False,
    ),
    "a person after a stop": (
        message("agent"),
        given(owner="agent", consents=STOPPED, last_in=NOW - HOUR),
        "stopped",
        False,
    ),
    "a campaign after a stop, though they wrote since": (
        message("agent", TEMPLATE, campaign="cp_1"),
        given(owner="agent", consents=STOPPED, last_in=NOW, template=APPROVED),
        "stopped",
        False,
    ),
    "marketing after a stop of everything that left it granted": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents={**AGREED, "service": standing("withdrawn")}),
        "stopped",
        False,
    ),
    "somebody who blocked us": (message("agent"), given(owner="agent", blocked=True), "blocked", False),
    "a template that nobody knows": (
        message("agent", TEMPLATE),
        given(template=None),
        "template_unknown",
        False,
    ),
    "a template that was paused": (
        message("agent", TEMPLATE),
        given(template=TemplateFacts("PAUSED", "UTILITY", usable=False)),
        "template_paused",
        True,
    ),
    "a template that was disabled": (
        message("agent", TEMPLATE),
        given(template=TemplateFacts("DISABLED", "UTILITY", usable=False)),
        "template_disabled",
        False,
    ),
    "marketing without a word": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER),
        "no_consent",
        False,
    ),
    "marketing that was not confirmed": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents={"marketing": standing("asked")}),
        "unconfirmed",
        False,
    ),
    "marketing that was taken back": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents={"marketing": standing("withdrawn")}),
        "withdrawn",
        False,
    ),
    "utility without a word": (
        message(content=TEMPLATE, purpose="utility"),
        given(template=APPROVED),
        "no_consent",
        False,
    ),
    "a purpose of the tenant's own": (message(purpose="events"), given(consents=AGREED), "no_consent", False),
    "utility whose template became marketing": (
        message(content=TEMPLATE, purpose="utility"),
        given(template=OFFER, consents={"utility": standing("granted")}),
        "category",
        False,
    ),
    "a person's template that became marketing": (
        message("agent", TEMPLATE),
        given(CLOSED, template=OFFER),
        "category",
        False,
    ),
    "a disabled channel": (message(), given(channel_active=False), "channel_disabled", True),
    "free text in a closed window": (message(), CLOSED, "window_closed", True),
    "free text a second after 24 hours": (
        message("agent"),
        given(window_until=NOW - timedelta(seconds=1)),
        "window_closed",
        True,
    ),
    "free text to somebody who never wrote": (message(), given(window_until=None), "window_closed", True),
    "free marketing in a closed window": (
        message(purpose="marketing"),
        given(CLOSED, consents=AGREED),
        "window_closed",
        True,
    ),
    "marketing by a number rated low": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents=AGREED, quality="RED"),
        "quality",
        True,
    ),
    "one more than the quota": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents=AGREED, left=0),
        "quota",
        True,
    ),
    "a re-opening beyond the quota": (
        message("agent", TEMPLATE),
        given(CLOSED, template=APPROVED, left=0),
        "quota",
        True,
    ),
    "marketing at night": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents=AGREED, quiet=Quiet(time(11), time(13))),
        "quiet_hours",
        True,
    ),
    "marketing where it is night in one of their zones": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents=AGREED, quiet=NIGHT, zones=("Europe/London", "America/Los_Angeles")),
        "quiet_hours",
        True,
    ),
    "marketing beyond the cap": (
        message(content=TEMPLATE, purpose="marketing"),
        given(template=OFFER, consents=AGREED, cap=Cap(2, 24 * HOUR), marketed=(NOW - HOUR, NOW - 2 * HOUR)),
        "frequency",
        False,
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_may_be_sent_is(name: str) -> None:
    asked, facts = ALLOWED[name]
    assert decide(asked, facts, NOW) == Allowed()


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_not_be_sent_is_not(name: str) -> None:
    asked, facts, reason, hold = REFUSED[name]
    verdict = decide(asked, facts, NOW)
    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.hold) == (reason, hold)
    assert verdict.text
    assert verdict.remedy
    if verdict.until is not None:
        assert verdict.until > NOW


def test_every_rule_refuses_something_and_names_no_reason_of_anothers() -> None:
    named = {reason for rule in RULES for reason in rule.name.split(", ")}
    assert {r for _, _, r, _ in REFUSED.values()} == named


def test_a_stop_is_heard_before_anything_that_would_only_hold() -> None:
    """Held, it would be sent one day; whoever stopped is not written to."""
    asked = message(content=TEMPLATE, purpose="marketing")
    facts = given(
        CLOSED, template=OFFER, consents=STOPPED, channel_active=False, left=0, quality="RED", quiet=NIGHT
    )
    verdict = decide(asked, facts, NOW)
    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.hold) == ("stopped", False)


def test_a_decision_tells_what_it_rested_on() -> None:
    asked, facts = (
        message(content=TEMPLATE, purpose="utility"),
        given(CLOSED, template=OFFER, consents=AGREED, left=3),
    )
    kept = decision("sent", asked, facts, decide(asked, facts, NOW), NOW)
    assert (kept.allowed, kept.stage, kept.at) == (True, "sent", NOW)
    assert kept.facts["purpose"] == "marketing"
    assert kept.facts["template"] == {"state": "APPROVED", "category": "MARKETING"}
    assert kept.facts["consent"]["marketing"]["entry"] == "ce_1"
    assert kept.facts["window_until"] == NOW.isoformat()
    assert (kept.facts["left"], kept.facts["begins"]) == (3, True)


@pytest.mark.parametrize(
    ("asked", "facts", "ours"),
    [
        (message(), OPEN, False),
        (message(), Facts(owner="bot"), False),
        (message("agent", TEMPLATE), OPEN, False),
        (message("agent", TEMPLATE), CLOSED, True),
        (message(purpose="marketing"), OPEN, True),
    ],
)
def test_who_begins(asked: Message, facts: Facts, ours: bool) -> None:
    assert begins(asked, facts, NOW) is ours
