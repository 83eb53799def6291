"""Conversations with the lead flow, told shortly."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.model.content import Buttons, Content, Reply, Text, plain_text
from gateway.model.tenant import ExtraField, Site
from leads.flow import YES, offer, step
from leads.state import Context, LeadState, Step
from leads.texts import LANGUAGES

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
SITE = Site(region="ES")
PLAIN = Site(region="ES", ask_email=False)
FULL = Site(region="ES", fields=(ExtraField("size", "Size", required=True), ExtraField("note", "Note")))
EN = LANGUAGES["en"]


def context(site: Site = SITE, **changes: Any) -> Context:
    return replace(Context(now=NOW, site=site), **changes)


def texts(step: Step) -> list[str]:
    return [plain_text(content) for content in step.say]


def ids(content: Content) -> list[str]:
    assert isinstance(content, Buttons)
    return [choice.id for choice in content.choices]


def press(choice: str) -> Reply:
    return Reply(choice, choice)


def asked(ctx: Context, *said: str, question: str = "Do you ship to Mars?") -> Step:
    """A conversation up to here: the offer, "yes", then texts; every step must have been handled."""
    current = step(offer(LeadState(), question, ctx).state, press(YES), ctx)
    for text in said:
        current = step(restored(current.state), Text(text), ctx)
        assert current.handled, text
    return current


def restored(state: LeadState) -> LeadState:
    """The state as the next turn reads it from the conversation."""
    again = LeadState.from_doc(state.to_doc())
    assert again == state
    return again
