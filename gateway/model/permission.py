"""Permission: what a decision says, and what a tenant sets about it. The decision itself is `consent.permission.decide`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Final, Literal

StopScope = Literal["all", "marketing"]
Stage = Literal["written", "sent"]

FAMILIES: Final = ("stop", "start", "help")


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the day, in the contact's own time, in which nothing but service is sent. `start` may be after `end`: over
    midnight."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` within `within`: of marketing messages to one contact, for instance."""

    most: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class OptIn:
    """A word, or the payload of a deep link, that agrees to a purpose, and what the person was shown beside it."""

    purpose: str
    wording: str = ""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a tenant sets about permission. Everything has a default that is safe."""

    purposes: tuple[str, ...] = ()
    """Its own, besides `service`, `utility` and `marketing`."""
    stop_scope: StopScope = "all"
    """What the STOP family ends: everything, or marketing alone."""
    double_opt_in: bool = False
    """A grant of another purpose than service counts once the person has confirmed it by a button."""
    timezone: str = "UTC"
    """Of the business, and of contacts whose own is not known. An IANA name."""
    quiet: Quiet | None = Quiet(time(21), time(8))
    cap: Cap | None = Cap(2, timedelta(days=1))
    daily: int | None = None
    """At most so many messages a day (UTC) that a channel begins by itself (templates, campaigns); None: the provider's limit."""
    breaker: Cap | None = Cap(20, timedelta(minutes=10))
    """So many opt-outs by a provider's errors within this time, on one channel, are put before a person."""
    keywords: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further words by family (`stop`, `start`, `help`)."""
    not_keywords: tuple[str, ...] = ()
    """Words of the standard families that mean nothing here."""
    opt_ins: Mapping[str, OptIn] = field(default_factory=dict)
    """Words that agree to a purpose."""
    deep_links: Mapping[str, OptIn] = field(default_factory=dict)
    """Payloads of links that agree to a purpose (Telegram's `/start PAYLOAD`)."""
    currency: str = "USD"
    prices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By category (`marketing`, `utility`, `authentication`) and region (ISO 3166 alpha-2, or `*`): the price of one message, a
    decimal number."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision as it is kept with its message. `facts` is what it rested on, JSON-ready."""

    stage: Stage
    at: datetime
    allowed: bool
    reason: str = ""
    text: str = ""
    remedy: str = ""
    until: datetime | None = None
    """When it is asked again."""
    facts: Mapping[str, Any] = field(default_factory=dict)
