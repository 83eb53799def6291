"""Before each call of a provider its cost is reserved, afterwards corrected: who has nothing left is answered locally.

Bounds are per day (UTC) on the conversation, the contact and the tenant. Besides their own bound a contact may take at most
SHARE of the tenant's, so that one flood can't spend the day of all.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

from brain.port import ProviderError
from brain.prices import Prices, list_prices
from gateway.model.answers import AnswerSettings, Caps, Question, Used
from gateway.model.ports import Clock
from gateway.model.spending import Bound, Spending

SHARE = 0.2
"""Of the tenant's day, for one contact at most."""


@dataclass
class Call:
    """A call under way, with what it is reserved for. `used` is set to what it came to; None leaves the estimate."""

    model: str
    prices: Prices
    tokens_in: int
    tokens_out: int
    searches: int = 0
    used: Used | None = None

    @property
    def estimate(self) -> Used:
        return self.of(self.tokens_in, self.tokens_out, self.searches)

    def of(self, tokens_in: int, tokens_out: int, searches: int = 0) -> Used:
        """What so many tokens cost."""
        return Used(tokens_in, tokens_out, self.prices.cost(self.model, tokens_in, tokens_out, searches))


class Meter:
    """Reserves and settles. One for the whole process, shared by all tenants."""

    def __init__(self, spending: Spending, clock: Clock) -> None:
        self._spending = spending
        self._clock = clock

    @asynccontextmanager
    async def call(
        self,
        question: Question,
        settings: AnswerSettings,
        model: str,
        tokens_in: int,
        tokens_out: int,
        searches: int = 0,
    ) -> AsyncIterator[Call]:
        """A call of a model within the question's bounds. Raises ProviderError (`provider:cap`) where one is reached, and the
        store's errors: without a count nothing is spent."""
        call = Call(model, list_prices().over(settings.prices), tokens_in, tokens_out, searches)
        bounds, day = bounds_of(question, settings.caps), self._clock().date()
        reserved = call.estimate
        full = await self._spending.reserve(question.tenant, day, bounds, reserved.tokens, reserved.money)
        if full is not None:
            raise ProviderError("provider:cap", f"the bound of the {full.scope} for today is reached")
        try:
            yield call
        finally:
            await self._settled(question, day, bounds, reserved, call.used)

    async def _settled(
        self, question: Question, day: date, bounds: list[Bound], reserved: Used, used: Used | None
    ) -> None:
        if used is not None:
            tokens, money = used.tokens - reserved.tokens, used.money - reserved.money
            await self._spending.settle(question.tenant, day, bounds, tokens, money)


def bounds_of(question: Question, caps: Caps) -> list[Bound]:
    """What a question's calls count on, the narrowest first."""
    found: list[Bound] = []
    if question.conversation:
        found.append(
            Bound("conversation", question.conversation, caps.conversation_tokens, caps.conversation_money)
        )
    if question.contact:
        tokens = _least(caps.contact_tokens, _share(caps.tenant_tokens))
        money = _least(caps.contact_money, _share(caps.tenant_money))
        found.append(Bound("contact", question.contact, tokens, money))
    found.append(Bound("tenant", "", caps.tenant_tokens, caps.tenant_money))
    return found


def _share(most: int | None) -> int | None:
    return None if most is None else math.floor(most * SHARE)


def _least(one: int | None, other: int | None) -> int | None:
    return min((most for most in (one, other) if most is not None), default=None)
