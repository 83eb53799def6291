"""What is spent on providers: one document per tenant, day and thing, counted up before each call.

A reservation is one conditional update: whoever finds the bound reached writes nothing, so that any number of calls at
once, in any number of processes, can't pass it together.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from gateway.model.spending import Bound, Spent
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc
from gateway.store.group import insert_new

KEPT: Final = timedelta(days=40)
MOST_SHOWN: Final = 100


class SpentStore:
    """Implements `gateway.model.spending.Spending`."""

    def __init__(self, db: Database) -> None:
        self._spent = db["spent"]

    async def reserve(
        self, tenant: str, day: date, bounds: Sequence[Bound], tokens: int, money: int
    ) -> Bound | None:
        taken: list[Bound] = []
        for bound in bounds:
            if not await self._take(tenant, day, bound, tokens, money):
                await self._add(tenant, day, taken, -tokens, -money, -1)
                return bound
            taken.append(bound)
        return None

    async def settle(self, tenant: str, day: date, bounds: Sequence[Bound], tokens: int, money: int) -> None:
        if tokens or money:
            await self._add(tenant, day, bounds, tokens, money, 0)

    async def spent(self, tenant: str, day: date) -> list[Spent]:
        async with guarded():
            docs = await self._spent.find({"tenant": tenant, "day": day.isoformat()}).to_list()
        found = [Spent(d["scope"], d["of"], day, d["tokens"], d["money"], d["calls"]) for d in docs]
        found.sort(key=lambda s: (s.scope != "tenant", -s.money, -s.tokens, s.id))
        return found[:MOST_SHOWN]

    async def _take(self, tenant: str, day: date, bound: Bound, tokens: int, money: int) -> bool:
        if (bound.tokens is not None and bound.tokens <= 0) or (bound.money is not None and bound.money <= 0):
            return False
        which: Doc = {"_id": _key(tenant, day, bound), "tenant": tenant}
        if bound.tokens is not None:
            which["tokens"] = {"$lt": bound.tokens}
        if bound.money is not None:
            which["money"] = {"$lt": bound.money}
        change = {"$inc": {"tokens": tokens, "money": money, "calls": 1}}
        async with guarded():
            if (await self._spent.update_one(which, change)).modified_count:
                return True
            # Full, or the first call of the day: of several at once, one makes it.
            await insert_new(self._spent, [_new(tenant, day, bound)])
            return bool((await self._spent.update_one(which, change)).modified_count)

    async def _add(
        self, tenant: str, day: date, bounds: Sequence[Bound], tokens: int, money: int, calls: int
    ) -> None:
        change = {"$inc": {"tokens": tokens, "money": money, "calls": calls}}
        async with guarded():
            for bound in bounds:
                await self._spent.update_one({"_id": _key(tenant, day, bound), "tenant": tenant}, change)


def _key(tenant: str, day: date, bound: Bound) -> str:
    return "\x1f".join((tenant, day.isoformat(), bound.scope, bound.id))


def _new(tenant: str, day: date, bound: Bound) -> Doc:
    return {
        "_id": _key(tenant, day, bound),
        "tenant": tenant,
        "day": day.isoformat(),
        "scope": bound.scope,
        "of": bound.id,
        "tokens": 0,
        "money": 0,
        "calls": 0,
        "expires": datetime.combine(day, time(tzinfo=UTC)) + KEPT,
    }
