"""Rate limits inward: how much one contact, address, site, key or tenant may bring in a while.

Each is a sliding window. Whoever is over one gets a refusal that says so, at little cost to us; what a provider brings is
stored all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

LimitName = Literal["contact", "told", "socket", "address", "site", "tenant", "api", "guess"]

Outage = Literal["open", "closed"]
"""While the Redis that counts for all processes is away: an open limit lets everything pass, a closed one is still kept,
each process counting for itself."""

SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` in any `seconds`."""

    amount: int
    seconds: int
    outage: Outage
    text: str = ""

    def __str__(self) -> str:
        names = {s: n for n, s in SECONDS.items()}
        return f"{self.amount}/{names.get(self.seconds, f'{self.seconds}s')}"


LIMITS: Final[Mapping[LimitName, Limit]] = {
    "contact": Limit(60, 60, "open", "messages of one customer that are answered; more are kept, and not"),
    "told": Limit(1, 600, "open", "how often one customer is told so"),
    "socket": Limit(20, 10, "closed", "frames of one widget connection"),
    "address": Limit(300, 60, "closed", "widget sessions, sockets and uploads from one address"),
    "site": Limit(3000, 60, "open", "widget sessions of one site"),
    "tenant": Limit(6000, 60, "open", "messages of one tenant that are answered at once; more wait"),
    "api": Limit(600, 60, "open", "calls of one API key"),
    "guess": Limit(60, 60, "closed", "refused keys, tokens, links and signatures from one address"),
}
"""Defaults. A tenant may have its own for what is counted for it: see SETTABLE."""

SETTABLE: Final[frozenset[LimitName]] = frozenset({"contact", "site", "tenant", "api"})

assert set(LIMITS) == set(get_args(LimitName))


def parse(text: str) -> tuple[int, int]:
    """`60/minute` as an amount and seconds. Raises ValueError."""
    amount, separator, unit = text.strip().partition("/")
    if not separator or not amount.isascii() or not amount.isdigit() or unit not in SECONDS:
        raise ValueError(f"AMOUNT/UNIT such as 60/minute; units: {', '.join(SECONDS)}")
    if not 1 <= int(amount) <= 1_000_000:
        raise ValueError("an amount from 1 to 1000000")
    return int(amount), SECONDS[unit]


class Limits(Protocol):
    """Counts. Never raises."""

    async def take(self, name: LimitName, key: str, own: Mapping[str, str] | None = None) -> float:
        """Take one place; 0, or the seconds until there is one again (then none was taken). `key` is whose limit it is,
        `own` a tenant's limits by name, in the form of `parse`."""
