"""Contacts, conversations and leads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.model.answers import Said
from gateway.model.consent import SERVICE, Consents
from gateway.model.identity import Identity

Owner = Literal["bot", "queue", "agent"]


@dataclass(frozen=True, slots=True)
class Contact:
    id: str
    tenant: str
    identities: tuple[Identity, ...]
    name: str | None
    phone: str | None
    created: datetime
    email: str | None = None
    merged: tuple[str, ...] = ()
    """Contacts that turned out to be this one."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A numbered question that awaits an answer, so that a typed "2" can be understood."""

    message: str
    choices: tuple[tuple[str, str], ...]
    """`(id, title)` in the order shown."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One contact on one channel.

    `rev` is raised by every write and compared before it, so that a turn run on stale facts has no effect.
    `turn` is the last incoming message whose turn was committed, `merged` those that were answered with it. `lead` is the
    lead flow's own state (see `leads.flow.LeadState`); the other parts only carry it. `address` is where to send to.
    """

    id: str
    tenant: str
    channel: str
    contact: str
    address: str
    created: datetime
    rev: int = 0
    owner: Owner = "bot"
    open: bool = True
    name: str | None = None
    language: str | None = None
    chosen: str | None = None
    """The language that the customer asked for; it stays whatever their app says."""
    turn: str | None = None
    merged: tuple[str, ...] = ()
    last_in: datetime | None = None
    last_at: datetime | None = None
    preview: str = ""
    pending: Pending | None = None
    blocked: bool = False
    """The customer can't be reached until they write again: they blocked us, or left."""
    consents: Consents = field(default_factory=dict)
    """What they agreed to and took back on this channel, by purpose: the ledger's outcome, kept here to be asked at once."""
    window_until: datetime | None = None
    """Until when free text may be sent, on a channel that has a service window."""
    marketed: tuple[datetime, ...] = ()
    """When marketing was sent to them, the latest last."""
    timezone: str | None = None
    """Theirs, if somebody told; else their phone number's, or the tenant's."""
    slowed: datetime | None = None
    """When the customer was last told that they write faster than they are answered."""
    merged_into: str | None = None
    """The same person's other conversation, which goes on in its place."""
    lead: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    """Where a small form stands (see `leads.forms.FormState`)."""
    recent: tuple[Said, ...] = ()
    """What was last asked of the bot and answered, so that a question that leans on it is understood."""

    @property
    def stopped(self) -> bool:
        """The customer asked not to be written to: the bot is silent until they start again."""
        service = self.consents.get(SERVICE)
        return service is not None and service.state == "withdrawn"

    @property
    def committed(self) -> frozenset[str]:
        """The incoming messages of the last turn that was committed."""
        return frozenset(self.merged) | ({self.turn} if self.turn else frozenset())


@dataclass(frozen=True, slots=True)
class Lead:
    """What a conversation captured about a buyer. `phone` is E.164; `phone_kind` is the kind of line."""

    id: str
    tenant: str
    channel: str
    contact: str
    conversation: str
    created: datetime
    updated: datetime
    name: str
    phone: str
    phone_kind: str
    phone_region: str | None = None
    email: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    question: str | None = None
    """What the customer had asked when we offered to take their details."""
    consent_text: str = ""
    """The wording that was shown."""
    consent_at: datetime | None = None
