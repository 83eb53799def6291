"""What a customer's own word comes to in the ledger: a stop, a start, an agreement. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.model.consent import (
    MARKETING,
    PURPOSES,
    SERVICE,
    Consents,
    Entry,
    How,
    State,
    entry_id,
    version_of,
)
from gateway.model.permission import Permissions, StopScope


@dataclass(frozen=True, slots=True)
class Cause:
    """What an entry rests on: who said it where, by which message, and how."""

    tenant: str
    channel: str
    contact: str
    conversation: str
    message: str
    at: datetime
    recorded: datetime
    how: How = "command"
    address: str | None = None
    wording: str = ""


def entry(cause: Cause, purpose: str, state: State, wording: str | None = None) -> Entry:
    """One entry; made again of the same message it is the same."""
    shown = cause.wording if wording is None else wording
    return Entry(
        id=entry_id(cause.tenant, cause.message, purpose, state),
        tenant=cause.tenant,
        channel=cause.channel,
        contact=cause.contact,
        purpose=purpose,
        state=state,
        how=cause.how,
        at=cause.at,
        recorded=cause.recorded,
        conversation=cause.conversation,
        wording=shown,
        version=version_of(shown),
        message=cause.message,
        address=cause.address,
    )


def purposes(permissions: Permissions) -> tuple[str, ...]:
    """Every purpose that a tenant has."""
    return tuple(dict.fromkeys((*PURPOSES, *permissions.purposes)))


def stop(cause: Cause, consents: Consents, permissions: Permissions, scope: StopScope) -> Sequence[Entry]:
    """Take back everything, or everything but service and utility. What is taken back already is not said again."""
    wanted = [p for p in purposes(permissions) if scope == "all" or p not in (SERVICE, "utility")]
    return [
        entry(cause, p, "withdrawn")
        for p in wanted
        if (p in (SERVICE, MARKETING) or p in consents) and not _is(consents, p, "withdrawn")
    ]


def start(cause: Cause, consents: Consents, permissions: Permissions) -> Sequence[Entry]:
    """Give back what a stop took: service, and what had been granted before it; never more."""
    given = [p for p in purposes(permissions) if _is(consents, p, "withdrawn")]
    return [entry(cause, p, "granted") for p in given if p == SERVICE or consents[p].before]


def _is(consents: Consents, purpose: str, state: State) -> bool:
    standing = consents.get(purpose)
    return standing is not None and standing.state == state
