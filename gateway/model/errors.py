"""Parley's errors, as a tree.

ParleyError
├── Inbound                     a provider's or a browser's request
│   ├── NotAuthentic            401: the signature, token or secret does not fit; says nothing more
│   ├── NotForUs                400: authentic, but not this service's
│   └── Unavailable             503: could not be stored now; the provider tries again
├── SendError                   a call to a provider did not succeed; carries the decision
├── StoreError                  the database refused a call; says which, never what was in it
├── NotFound                    an id that does not exist, or is another tenant's
├── Conflict                    somebody else changed it first, or it is there already
└── Invalid                     a value a person gave; names the field and what is expected
"""

from dataclasses import dataclass
from typing import Literal

from gateway.model.lanes import Scope


class ParleyError(Exception):
    """The root: everything that we raise on purpose."""


class Inbound(ParleyError):
    status = 400


class NotAuthentic(Inbound):
    status = 401


class NotForUs(Inbound):
    status = 400


class Unavailable(Inbound):
    status = 503


@dataclass
class SendError(ParleyError):
    """A call to a provider (a send, a fetched or uploaded file, a check) that did not succeed, with what to do about it.

    `code` is the provider's, prefixed with the channel's kind (`whatsapp:131047`), and can be looked up in
    the channel's README. `outcome` is `refused` when the provider certainly did not take the message, and
    `unknown` when it may have (the connection broke after the request was out). `wait` is in seconds.
    """

    code: str
    text: str
    retryable: bool = False
    wait: float | None = None
    outcome: Literal["refused", "unknown"] = "refused"
    opt_out: bool = False
    disable_channel: bool = False
    blocked: bool = False
    """The recipient can't be reached any more until they write again: they blocked us, or are gone."""
    window_closed: bool = False
    """The provider counts the service window as closed: only a template may be sent until they write again."""
    moved: str | None = None
    """The recipient has another address now; sent there, the message may be taken."""
    scope: Scope = "message"
    """Whom it concerns: a `wait` holds up the recipient's lane or the whole account's, and failures of a `channel`, one
    after another, close its lane for a while."""
    most_attempts: int | None = None
    """How often to try in all, where the message's age is not to decide."""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class StoreError(ParleyError):
    pass


class NotFound(ParleyError):
    pass


class Conflict(ParleyError):
    pass


@dataclass
class Invalid(ParleyError):
    field: str
    expected: str

    def __str__(self) -> str:
        return f"{self.field}: {self.expected}"
