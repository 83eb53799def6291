"""Consent: who agreed to what, shown which words, when, and how we know. Entries are only ever added; what holds now follows
from them.

A purpose is what a message is for: `service` (answering somebody who wrote), `utility` (about something they ordered or booked),
`marketing`, or one of the tenant's own. `service` needs no entry, for whoever writes asks to be answered; every other
purpose needs a grant. A withdrawal of `service` silences us altogether until the customer starts again.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from gateway.model.message import stable_id

SERVICE: Final = "service"
UTILITY: Final = "utility"
MARKETING: Final = "marketing"
PURPOSES: Final = (SERVICE, UTILITY, MARKETING)

State = Literal["granted", "withdrawn", "asked"]
"""`asked`: they agreed once and were asked to confirm it (double opt-in); it allows nothing yet."""

How = Literal[
    "keyword",
    "button",
    "command",
    "form",
    "widget",
    "deep_link",
    "import",
    "api",
    "provider",
    "agent",
    "message",
]
"""How we know: a word they typed, a button or command, a form in the chat, the widget's box, the link they came by, a list
with its evidence, a call of the API, the provider's word (a block, a preference, a refusal), a person of the business, or that
they wrote."""

STATES: Final[tuple[State, ...]] = get_args(State)
HOWS: Final[tuple[How, ...]] = get_args(How)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger. `at` is when it happened, `recorded` when we wrote it down.

    `wording` is what the person was shown and `version` names it (by default a digest of the words). `corrects` is an entry
    that was wrong: it counts no more, and this one stands in its place. `contact` is empty where everybody on the channel is
    meant (the workspace removed the app).
    """

    id: str
    tenant: str
    channel: str
    contact: str
    purpose: str
    state: State
    how: How
    at: datetime
    recorded: datetime
    conversation: str | None = None
    wording: str = ""
    version: str = ""
    message: str | None = None
    """Our id of the message that says it."""
    address: str | None = None
    """Where it came from: a network address, or the customer's address on the channel."""
    agent: str | None = None
    """The person of the business, or the key's name, who wrote it."""
    evidence: str | None = None
    """What proves an imported consent: a form, a contract, a file and its line."""
    age: str | None = None
    region: str | None = None
    note: str | None = None
    corrects: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for one purpose. `before`: it had been granted when it was withdrawn, so that a START gives it back."""

    state: State
    at: datetime
    how: How
    entry: str
    before: bool = False
    recorded: datetime | None = None

    @property
    def order(self) -> tuple[datetime, datetime, str]:
        """Providers tell whole seconds: of two words of one second, the one that was written down later is the later one."""
        return self.at, self.recorded or self.at, self.entry


Consents = Mapping[str, Standing]
"""What holds for a contact on a channel, by purpose; a purpose without an entry is not in it."""


def entry_id(tenant: str, *parts: str) -> str:
    """The same id for the same cause (a message, a provider's signal, a line of a file), so that a rerun adds nothing."""
    return stable_id("ce", tenant, *parts)


def version_of(wording: str) -> str:
    """Names a wording: the first 12 hex digits of its SHA-256; empty for none."""
    return hashlib.sha256(wording.encode("utf-8", "surrogatepass")).hexdigest()[:12] if wording else ""


def applied(consents: Consents, entries: Iterable[Entry]) -> Consents:
    """What holds after further entries. An entry older than what stands for its purpose changes nothing."""
    found = dict(consents)
    for entry in entries:
        standing = found.get(entry.purpose)
        if standing is not None and standing.order > _order(entry):
            continue
        granted = standing is not None and standing.state == "granted"
        found[entry.purpose] = Standing(
            entry.state, entry.at, entry.how, entry.id, entry.state == "withdrawn" and granted, entry.recorded
        )
    return found


def derived(entries: Iterable[Entry]) -> Consents:
    """What holds by a whole ledger of one contact on one channel, in any order."""
    known = list(entries)
    corrected = {e.corrects for e in known if e.corrects}
    counted = sorted((e for e in known if e.id not in corrected), key=_order)
    return applied({}, counted)


def _order(entry: Entry) -> tuple[datetime, datetime, str]:
    return entry.at, entry.recorded, entry.id


def joined(one: Consents, other: Consents) -> Consents:
    """What holds when two turn out to be one person: for each purpose the latest word."""
    latest = dict(one)
    for purpose, standing in other.items():
        mine = latest.get(purpose)
        if mine is None or mine.order < standing.order:
            latest[purpose] = standing
    return latest


def may(consents: Consents, purpose: str) -> bool:
    """Whether consent allows a purpose: `service` unless it was withdrawn, any other only if it was granted, and none while
    `service` is withdrawn."""
    service = consents.get(SERVICE)
    if service is not None and service.state == "withdrawn":
        return False
    if purpose == SERVICE:
        return True
    standing = consents.get(purpose)
    return standing is not None and standing.state == "granted"
