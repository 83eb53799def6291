"""Campaigns: one template to many contacts, each asked about by `decide`, each written exactly once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from gateway.model.message import stable_id

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


def recipient_id(campaign: str, address: str) -> str:
    """One address is one recipient, however often a list names it."""
    return stable_id("rc", campaign, address)
