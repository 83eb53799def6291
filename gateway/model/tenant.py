"""Tenants and channels: who the business is, and its connected accounts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from gateway.model.answers import AnswerSettings, Rule
from gateway.model.permission import Permissions

ChannelKind = Literal["whatsapp", "telegram", "slack", "web", "webhook"]
ChannelState = Literal["active", "disabled"]


@dataclass(frozen=True, slots=True)
class ExtraField:
    """A field of the tenant's own that the lead form asks for."""

    name: str
    label: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """How a web channel's widget looks and speaks. `region` is the default for phones without a prefix."""

    title: str = "Chat"
    greeting: str | None = None
    color: str = "#1f5eff"
    position: Literal["left", "right"] = "right"
    avatar: str | None = None
    language: str | None = None
    """Fixed language of the widget; without it the visitor's browser decides."""
    region: str | None = None
    ask_email: bool = True
    fields: tuple[ExtraField, ...] = ()
    consent: str | None = None
    """The tenant's own consent line; without it the standard one in the visitor's language."""
    marketing: str | None = None
    """The wording of an optional box in the form that agrees to marketing; without it there is none."""
    links: tuple[str, ...] = ()
    """Hosts that the widget may link to besides the site's own origins."""


@dataclass(frozen=True, slots=True)
class Tenant:
    id: str
    name: str
    created: datetime
    rev: int = 0
    language: str = "en"
    region: str | None = None
    rules: tuple[Rule, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)
    """Rate limits of its own, such as `{"contact": "60/minute"}`: see `gateway.model.limits`."""
    permissions: Permissions = field(default_factory=Permissions)
    knowledge: int = 0
    """Version of the tenant's documents: raised by every change, so that indexes know when they are old."""
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Keys of its own, decrypted here and nowhere else: `answers` is that of the provider of answers."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One connected account. `account` is what the provider calls it (phone number id, site id);
    `secrets` are decrypted here and nowhere else, so a channel never prints them."""

    id: str
    tenant: str
    kind: ChannelKind
    account: str
    name: str
    created: datetime
    rev: int = 0
    state: ChannelState = "active"
    origins: tuple[str, ...] = ()
    site: Site = field(default_factory=Site)
    config: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def quiet(self) -> timedelta:
        """How long nobody writes before a customer's messages are answered, together."""
        return timedelta(seconds=float(self.config.get("quiet_seconds", 0)))
