"""Templates: messages that a provider approves beforehand. One document is one name in one language, of one business account.

https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/overview
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from gateway.model.message import stable_id

Category = Literal["MARKETING", "UTILITY", "AUTHENTICATION"]
CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)

HeaderKind = Literal["text", "image", "video", "document", "location"]
ButtonKind = Literal["reply", "url", "phone", "copy_code", "otp", "flow"]

DRAFT: Final = "DRAFT"
APPROVED: Final = "APPROVED"
STATES: Final = frozenset(
    {
        DRAFT,
        "PENDING",
        "IN_APPEAL",
        APPROVED,
        "REJECTED",
        "PAUSED",
        "DISABLED",
        "LIMIT_EXCEEDED",
        "LOCKED",
        "FLAGGED",
        "ARCHIVED",
        "PENDING_DELETION",
        "DELETED",
        "REINSTATED",
    }
)
"""The provider's states (`REINSTATED` counts as approved), and `DRAFT`: not submitted yet."""


@dataclass(frozen=True, slots=True)
class Header:
    """`text` for a text header, which may hold one variable; `example` is the variable's, or for media the id of a file of ours
    or the provider's handle."""

    kind: HeaderKind
    text: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """`value`: the address (which may end in one variable), the phone number, or the code; `example` is the whole address with
    the variable filled in, or the code's."""

    kind: ButtonKind
    text: str
    value: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class TemplateDef:
    """`body`, `header.text` and a button's address name variables as `{{1}}` or `{{name}}`; `examples` gives each of the body's a
    sample. `account` is the provider's business account, empty where there is none (other channels)."""

    id: str
    tenant: str
    account: str
    name: str
    language: str
    category: Category
    body: str
    updated: datetime
    header: Header | None = None
    footer: str = ""
    buttons: tuple[Button, ...] = ()
    examples: Mapping[str, str] = field(default_factory=dict)
    state: str = DRAFT
    quality: str = ""
    """`GREEN`, `YELLOW`, `RED`, or nothing known."""
    coming: str = ""
    """The category that the provider will move it to."""
    reason: str = ""
    """Why it was rejected, paused or disabled."""
    remote: str | None = None
    """The provider's id."""
    raw: Mapping[str, Any] = field(default_factory=dict)
    """Components of kinds that we do not model, as the provider told them: such a template is shown and sent, not edited."""
    security: bool = False
    """Of an authentication template: it warns that the code is not to be shared."""
    expires: int | None = None
    """Of an authentication template: after how many minutes its code is no good any more."""
    draft: Mapping[str, Any] = field(default_factory=dict)
    """What was changed here and not submitted yet, by field (see `EDITABLE`), JSON-ready; what is in use stays as it is."""
    told: Mapping[str, datetime] = field(default_factory=dict)
    """When the provider last told of the `state`, the `category` and the `quality`: what is older changes nothing."""
    rev: int = 0
    synced: datetime | None = None

    @property
    def usable(self) -> bool:
        return self.state in (APPROVED, "REINSTATED", "FLAGGED") or (self.state == DRAFT and not self.account)


EDITABLE: Final = ("category", "header", "body", "footer", "buttons", "examples", "security", "expires")
"""What a person writes of a template, besides its name and language."""


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """What a provider told of a template: only what is not None has changed."""

    account: str
    name: str
    language: str
    at: datetime
    remote: str | None = None
    state: str | None = None
    category: Category | None = None
    coming: str | None = None
    quality: str | None = None
    reason: str | None = None
    unread: bool = False
    """Something changed that was not told, or not in words that we know: its text, or to which state."""


def template_id(tenant: str, account: str, name: str, language: str) -> str:
    return stable_id("tp", tenant, account, name, language)
