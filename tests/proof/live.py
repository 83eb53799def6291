"""A whole stack for a test - two `web`, a `worker`, a Redis, the embedded database, the providers - and customers that a test
moves by hand. In the end everything is audited as a chaos run is."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from tests.chaos.audit import audit
from tests.chaos.history import Verdict
from tests.chaos.run import Running, Wish, gathered, ready, settled, taken
from tests.chaos.world import Customer, number

QUIETLY = random.Random(0)


class Live:
    def __init__(self, it: Running) -> None:
        self.it = it
        # Every webhook once, and receipts only where a test sends them.
        it.provider.share = dict.fromkeys(it.provider.share, 0.0)

    def customer(self, place: int) -> Customer:
        tenant = place % 2
        return Customer(
            f"cu{place}", "whatsapp", f"wa{tenant}", number(tenant), str(34_600_000_000 + place), 100, place
        )

    async def say(self, customer: Customer, place: int, late: timedelta = timedelta()) -> str:
        """Once it is taken: what was said."""
        await self.it.said.say(customer, place, late, QUIETLY)
        return f"{customer.name} says {place}"

    def answers(self, customer: Customer) -> list[str]:
        """What the provider took for a customer, in order."""
        return [t.text for t in taken(self.it) if t.to == customer.address]

    async def verdict(self) -> Verdict:
        """Once nothing is left to do."""
        await settled(self.it, lambda _: None)
        return audit(await gathered(self.it))


@asynccontextmanager
async def live(
    folder: Path, processes: int = 3, redis: bool = True, lease: float = 6.0, **environment: str
) -> AsyncIterator[Live]:
    wish = Wish(1, 0, processes, (), redis, lease, True)
    async with ready(wish, folder, environment) as it:
        it.rate = 1e6
        yield Live(it)
