"""What a decision of permission rests on."""

from dataclasses import dataclass, field
from datetime import datetime

from gateway.model.consent import Consents
from gateway.model.conversation import Owner
from gateway.model.permission import Cap, Quiet


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """A template as it stands with the provider now. `category` is the current one, whatever it was when the message was
    written."""

    state: str
    category: str
    usable: bool
    quality: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision rests on, as it stands now."""

    owner: Owner
    channel_active: bool = True
    windowed: bool = False
    """The channel takes free text only while a service window is open."""
    window_until: datetime | None = None
    last_in: datetime | None = None
    """When the customer last said something."""
    blocked: bool = False
    consents: Consents = field(default_factory=dict)
    template: TemplateFacts | None = None
    """Of a message that is one; None for a template that nobody knows here."""
    quality: str = ""
    """The provider's rating of the number."""
    left: int | None = None
    """How many more conversations the channel may begin now: the provider's limit and the tenant's own."""
    left_again: datetime | None = None
    quiet: Quiet | None = None
    zones: tuple[str, ...] = ("UTC",)
    """Every time zone that the contact may be in."""
    cap: Cap | None = None
    marketed: tuple[datetime, ...] = ()
    """When marketing was last sent to them."""
