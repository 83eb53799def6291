"""Campaigns: one template to many contacts, each asked about by `decide`, each written exactly once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from gateway.model.message import outgoing_id, stable_id

CampaignState = Literal[
    "draft", "preparing", "ready", "scheduled", "running", "paused", "stopped", "done", "cancelled", "failed"
]
"""`ready`: prepared, with its estimate. `stopped`: by us, because its template or its channel may not be used any more; a person
may resume it. `failed`: it could not be prepared."""

STATES: Final[tuple[CampaignState, ...]] = get_args(CampaignState)

RecipientState = Literal["waiting", "written", "refused", "cancelled"]
"""`written`: its message is in the outbox, and tells the rest."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """`variables`: for each of the template's variables a path (`contact.name`, `lead.email`, `row.COLUMN`) with an optional
    fallback behind `|`, or a text in quotes. `audience`: {"filter": …}, {"contacts": [ids]} or {"csv": file id}. `at` is when it
    starts; with `local`, at that time of day in each contact's own zone."""

    id: str
    tenant: str
    channel: str
    name: str
    template: str
    languages: tuple[str, ...]
    """In this order: the contact's own comes first where the template has it."""
    created: datetime
    purpose: str = "marketing"
    variables: Mapping[str, str] = field(default_factory=dict)
    audience: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    local: bool = False
    per_minute: int | None = None
    opt_out: bool = True
    """Add the way out (a button, or a line) where the template has none and the channel allows it."""
    state: CampaignState = "draft"
    reason: str = ""
    """Why it stopped or failed, in plain words with what to do."""
    counts: Mapping[str, int] = field(default_factory=dict)
    estimate: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""
    rev: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    """How far preparing came, and what it counted up to there: written with each batch of recipients."""
    categories: Mapping[str, str] = field(default_factory=dict)
    """The template's category in each language when it was prepared: one that the provider has changed since stops it."""
    paced: tuple[tuple[datetime, int], ...] = ()
    """How many were written when, within the last minute."""
    last: datetime | None = None
    """When the last message was written."""
    settled: bool = False
    """It is over and its figures change no more."""

    @property
    def active(self) -> bool:
        """Whether there is anything left to do for it, or to count."""
        return self.state not in ("draft", "ready", "failed") and not self.settled


@dataclass(frozen=True, slots=True)
class Recipient:
    """One contact of a campaign. `place` is its number in the campaign; `due` when it may be written to."""

    id: str
    tenant: str
    campaign: str
    place: int
    address: str
    state: RecipientState = "waiting"
    contact: str | None = None
    conversation: str | None = None
    name: str | None = None
    language: str = ""
    region: str | None = None
    zones: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    """The template's variables, filled in."""
    due: datetime | None = None
    message: str | None = None
    reason: str = ""
    text: str = ""
    held: datetime | None = None
    """Since when permission has kept them waiting."""


def recipient_id(campaign: str, address: str) -> str:
    """One address is one recipient, however often a list names it."""
    return stable_id("rc", campaign, address)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of one page of recipients (`PAGE` places). `next`: when the first of those that wait is due, None when none
    waits. `settled`: nothing of it changes any more."""

    page: int
    counts: Mapping[str, int] = field(default_factory=dict)
    next: datetime | None = None
    settled: bool = False
    at: datetime | None = None
    out: Mapping[str, int] = field(default_factory=dict)
    """Messages that left, by category and region (`MARKETING/ES`)."""


PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Wrong:
    """One line (from 1) of a list that is no recipient, and why."""

    line: int
    text: str


def campaign_message(recipient: str) -> str:
    """The id of the one message of a recipient: whoever writes it again writes the same."""
    return outgoing_id(recipient, 0)
