"""What is spent on providers in a day, and the port of the store that counts it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

SpendScope = Literal["conversation", "contact", "tenant"]


@dataclass(frozen=True, slots=True)
class Bound:
    """Most that may be spent on one thing in a day; None: no bound. `id` is empty for the tenant itself. Money is in
    millionths of USD."""

    scope: SpendScope
    id: str
    tokens: int | None = None
    money: int | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent on one thing on one day (UTC), with what is reserved for calls under way."""

    scope: SpendScope
    id: str
    day: date
    tokens: int = 0
    money: int = 0
    calls: int = 0


class Spending(Protocol):
    """Counts what a tenant spends. Every call is for one tenant and day."""

    async def reserve(
        self, tenant: str, day: date, bounds: Sequence[Bound], tokens: int, money: int
    ) -> Bound | None:
        """Count an amount before it is spent, on all of the bounds or on none. The bound that is reached already, or None.

        What was spent lies at most one call above a bound: an amount is taken while what is there is below it.
        A reservation that is never settled (its process died) stays counted."""

    async def settle(self, tenant: str, day: date, bounds: Sequence[Bound], tokens: int, money: int) -> None:
        """Correct what was reserved by a difference, which may be negative."""

    async def spent(self, tenant: str, day: date) -> list[Spent]:
        """What was spent on a day: the tenant first, then whatever costs most, at most 100."""
