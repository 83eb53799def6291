"""Messages: one thing said, in or out, and how far an outgoing one has come."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, Literal

from gateway.model.content import Content
from gateway.model.identity import Identity
from gateway.model.permission import Decision

Announced = Literal["queue", "stopped"]
"""What a bot's last words tell the customer, so that they leave although the bot is silent from then on: that a person
will answer, or that there will be no more messages. Kept as `extra["announces"]`."""

_OURS: Final = re.compile(r"m_[a-z2-7]{24}", re.ASCII)

Direction = Literal["in", "out"]
Author = Literal["customer", "bot", "agent"]


class Status(IntEnum):
    """How far an outgoing message has come. The order is the rule: a status never goes back.

    Stored as its number, so that the database itself can refuse to go back. An incoming message is
    `RECEIVED` until its turn is over, then `HANDLED`.
    """

    RECEIVED = 0
    HANDLED = 1
    QUEUED = 10
    HELD = 15
    """It may not be sent now, and waits until it may: the customer writes, their quiet hours end, the template is back."""
    SENDING = 20
    UNKNOWN = 25
    """We were stopped between the provider's acceptance and our record of it."""
    CANCELLED = 27
    """Withdrawn by us: a person took over. Below `SENT`, for the provider's evidence that it was sent counts more."""
    DEAD = 28
    """We gave up trying; a person can look at it and send it again. Evidence that it was sent counts more."""
    SENT = 30
    DELIVERED = 40
    READ = 50
    FAILED = 90
    """The provider, or our own permission, refused it for good."""

    @property
    def label(self) -> str:
        return self.name.lower()

    @property
    def ended(self) -> bool:
        """Whether an outgoing message stands in nobody's way any more."""
        return self >= Status.CANCELLED

    @property
    def out(self) -> bool:
        """Whether the customer has it, or may have it."""
        return self in (Status.SENDING, Status.UNKNOWN, Status.SENT, Status.DELIVERED, Status.READ)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote an incoming message, as the channel said it; a turn makes the contact from it."""

    identity: Identity
    address: str
    name: str | None = None
    phone: str | None = None
    language: str | None = None
    aliases: tuple[Identity, ...] = ()
    """Other identities of the same person."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message was not sent: a code that can be looked up, a plain sentence, and what to do."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said.

    `seq` orders the messages of a conversation (microseconds, never equal within a process). `provider_id`
    is the provider's id; for an outgoing message it is known once the provider accepted it. `at` is when it
    was said. `turn` names the incoming message that an outgoing one answers.
    """

    id: str
    tenant: str
    channel: str
    conversation: str
    direction: Direction
    author: Author
    seq: int
    at: datetime
    content: Content
    status: Status
    provider_id: str | None = None
    turn: str | None = None
    reply_to: str | None = None
    attempts: int = 0
    unknowns: int = 0
    """How many of the attempts had an outcome that nobody could tell: the customer may have so many copies."""
    due: datetime | None = None
    possibly_doubled: bool = False
    retried: datetime | None = None
    """When a person had it sent again after it was given up."""
    failure: Failure | None = None
    sender: Sender | None = None
    purpose: str = "service"
    """What it is for: see `gateway.model.consent`."""
    campaign: str | None = None
    decided: tuple[Decision, ...] = ()
    """Whether it might be sent: when it was written, and when it was last about to be."""
    bulk: bool = False
    """One of many alike (a campaign's): replies go before it."""
    client_id: str | None = None
    """The widget's own id for what it sent, so that it knows its message again."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """See `gateway.model.ports.InboundMessage`."""
    edited: datetime | None = None
    """When its author changed it; `content` is what it says now, `original` what it said first."""
    original: Content | None = None
    deleted: datetime | None = None
    """When its author took it back."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's word on an outgoing message.

    `message` is our own id when the provider echoes it, `provider_id` its own. `at` is the provider's time.
    """

    provider_id: str
    status: Status
    at: datetime
    message: str | None = None
    failure: Failure | None = None
    detail: str | None = None
    """What else the provider said (price, conversation category), as JSON text."""
    opt_out: bool = False
    """It failed because its customer wants no marketing from this business."""


def stable_id(prefix: str, *parts: str) -> str:
    """The same id for the same parts, in any process: 120 bits of SHA-256, lower-case base32."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
    return f"{prefix}_{base64.b32encode(digest[:15]).decode().lower()}"


def is_message_id(text: str) -> bool:
    """Whether it is an id of ours rather than a provider's."""
    return _OURS.fullmatch(text) is not None


def message_id(channel: str, provider_id: str) -> str:
    """An incoming message's id: what makes `(channel, provider id)` unique is this id itself."""
    return stable_id("m", channel, provider_id)


def outgoing_id(turn: str, part: int) -> str:
    """An outgoing message's id: a turn that is run again writes the same ids, and so adds nothing."""
    return stable_id("m", turn, "out", str(part))


def conversation_id(channel: str, identity: str) -> str:
    """One contact on one channel has one conversation, and everyone can compute its id without asking."""
    return stable_id("cv", channel, identity)


def file_id(message: str, part: str) -> str:
    """The id of a file that a message carries: known before the file is fetched, and the same each time."""
    return stable_id("f", message, part)


def contact_id(tenant: str, kind: str, account: str, identity: str) -> str:
    return stable_id("ct", tenant, kind, account, identity)
