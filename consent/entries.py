"""What a customer's own word comes to in the ledger: a stop, a start, an agreement. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.model.consent import (
    MARKETING,
    PURPOSES,
    SERVICE,
    UTILITY,
    Consents,
    Entry,
    How,
    State,
    entry_id,
    version_of,
)
from gateway.model.permission import Permissions, StopScope

OWN_WORD: Final = frozenset({"keyword", "command", "button"})

WITHIN: Final = timedelta(milliseconds=999)


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


def said_at(at: datetime, now: datetime) -> datetime:
    """When something was said for what is compared with it: providers tell whole seconds, so it may have been up to a second
    later. Counted as early, a STOP would lose against a grant that was written down just before it."""
    return at if at.microsecond else min(at + WITHIN, max(at, now))


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


def every(permissions: Permissions, consents: Consents) -> tuple[str, ...]:
    """Every purpose that a tenant has, and those that it had when somebody agreed to them."""
    return tuple(dict.fromkeys((*purposes(permissions), *consents)))


def stop(cause: Cause, consents: Consents, permissions: Permissions, scope: StopScope) -> Sequence[Entry]:
    """Take back everything, or everything but service and utility. What is taken back already is not said again."""
    wanted = [p for p in every(permissions, consents) if scope == "all" or p not in (SERVICE, UTILITY)]
    said = [entry(cause, p, "withdrawn") for p in wanted if p in (SERVICE, MARKETING) or p in consents]
    # What stands by this very message was written by a run that was stopped before it could confirm it. Who had blocked us and
    # says stop now has said so themselves.
    return [
        e
        for e in said
        if not _is(consents, e.purpose, "withdrawn")
        or consents[e.purpose].entry == e.id
        or consents[e.purpose].how == "provider"
    ]


def grant(cause: Cause, purpose: str, permissions: Permissions) -> Entry:
    """They agree to a purpose; where the tenant wants it twice, they are asked to confirm it."""
    asks = permissions.double_opt_in and purpose != SERVICE
    return entry(cause, purpose, "asked" if asks else "granted")


def agreed(cause: Cause, purpose: str, consents: Consents) -> Sequence[Entry]:
    """They confirm what they were asked; what nobody asked, or what was decided since, stays as it is."""
    standing = consents.get(purpose)
    given = entry(cause, purpose, "granted")
    asked = standing is not None and (standing.state == "asked" or standing.entry == given.id)
    return [given] if asked else []


def blocked(cause: Cause, consents: Consents, permissions: Permissions) -> Sequence[Entry]:
    """They blocked the account: service, and all that was granted, is taken back."""
    wanted = [p for p in every(permissions, consents) if p == SERVICE or _is(consents, p, "granted")]
    return [entry(cause, p, "withdrawn") for p in wanted if not _is(consents, p, "withdrawn")]


def returned(cause: Cause, consents: Consents) -> Sequence[Entry]:
    """They can be written to again after a block: service alone, for that they want more nobody has said. A stop that they said
    themselves stays."""
    standing = consents.get(SERVICE)
    if standing is None or standing.state != "withdrawn" or standing.how != "provider":
        return []
    return [entry(cause, SERVICE, "granted")]


def start(cause: Cause, consents: Consents, permissions: Permissions) -> Sequence[Entry]:
    """Give back what a stop took: service, and what had been granted before it; never more."""
    given = [p for p in every(permissions, consents) if _is(consents, p, "withdrawn")]
    return [
        entry(cause, p, "granted")
        for p in given
        # What an agent, a list or the API took back, the customer agrees to anew, not by the way.
        if p == SERVICE or (consents[p].before and consents[p].how in OWN_WORD)
    ]


def _is(consents: Consents, purpose: str, state: State) -> bool:
    standing = consents.get(purpose)
    return standing is not None and standing.state == state
