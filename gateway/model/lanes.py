"""Lanes: the units of send pacing. One is a channel account; inside it, each recipient has one of their own."""

from dataclasses import dataclass
from typing import Literal, Protocol

Scope = Literal["message", "recipient", "channel"]
"""Whom a provider's refusal concerns: one message, everything to its recipient, or the whole account."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many messages a second over time, and `burst` of them at once."""

    per_second: float
    burst: int = 1


@dataclass(frozen=True, slots=True)
class Rates:
    """What a provider allows one account, and one recipient of it. None: it names no limit."""

    account: Rate | None = None
    recipient: Rate | None = None


class Pace(Protocol):
    """Whether a message may leave now. Shared by all processes where there is a Redis; else this process's own.

    Nothing here raises: where the shared state can't be had, the process goes by its own.
    """

    async def wait(self, channel: str, recipient: str, rates: Rates, bulk: bool = False) -> float:
        """Seconds until one more message may leave; 0 takes its place in both lanes at once, anything else takes none.

        `bulk` leaves a part of the account's lane to replies."""

    def held(self, channel: str, recipient: str) -> float:
        """Seconds for which the provider has asked for nothing more, as far as this process knows; takes no place."""

    async def pause(self, channel: str, seconds: float, recipient: str | None = None) -> None:
        """The provider said how long to wait: nothing of this account (or to this recipient of it) leaves before, and a
        restart does not forget it."""

    async def failed(self, channel: str) -> None:
        """The provider itself failed (no answer, a 5xx): after a few in a row the account's lane is closed for growing
        times, and after each a single message probes it."""

    async def worked(self, channel: str) -> None:
        """The provider took a message or refused it for what it says: the lane is open."""
