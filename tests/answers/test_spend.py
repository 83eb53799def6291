"""What is spent is counted in the database, by any number of calls at once."""

import asyncio
from datetime import UTC, date, datetime, timedelta

from brain.prices import list_prices
from brain.spend import bounds_of
from gateway.model.answers import Caps, Question
from gateway.model.spending import Bound, Spent
from gateway.store import Store
from tests.conftest import MovableClock

DAY = date(2026, 11, 22)
TENANT = Bound("tenant", "", 1000, None)
CONTACT = Bound("contact", "p1", 300, 5000)


async def test_calls_at_once_pass_a_bound_by_one_call_at_most(store: Store) -> None:
    refused = await asyncio.gather(*(store.spending.reserve("t", DAY, [TENANT], 90, 7) for _ in range(50)))
    taken = sum(r is None for r in refused)
    assert taken == 12  # 11 calls of 90 are below 1,000, and one passes it
    assert {r for r in refused if r} == {TENANT}
    assert await store.spending.spent("t", DAY) == [Spent("tenant", "", DAY, 1080, 84, 12)]


async def test_a_narrow_bound_that_is_full_leaves_the_wide_one_as_it_was(store: Store) -> None:
    assert await store.spending.reserve("t", DAY, [CONTACT, TENANT], 300, 0) is None
    assert await store.spending.reserve("t", DAY, [CONTACT, TENANT], 300, 0) == CONTACT
    full = Bound("tenant", "", 100, None)
    assert await store.spending.reserve("t", DAY, [Bound("contact", "p2"), full], 5, 0) == full
    assert {(s.scope, s.id): (s.tokens, s.calls) for s in await store.spending.spent("t", DAY)} == {
        ("tenant", ""): (300, 1), ("contact", "p1"): (300, 1), ("contact", "p2"): (0, 0),
    }  # fmt: skip


async def test_money_is_a_bound_of_its_own(store: Store) -> None:
    assert await store.spending.reserve("t", DAY, [CONTACT], 1, 5000) is None
    assert await store.spending.reserve("t", DAY, [CONTACT], 1, 1) == CONTACT


async def test_what_is_settled_makes_room_again_and_days_and_tenants_are_apart(store: Store) -> None:
    assert await store.spending.reserve("t", DAY, [CONTACT], 300, 0) is None
    await store.spending.settle("t", DAY, [CONTACT], -250, 0)
    assert await store.spending.reserve("t", DAY, [CONTACT], 300, 0) is None
    assert await store.spending.reserve("t", DAY + timedelta(days=1), [CONTACT], 300, 0) is None
    assert await store.spending.reserve("other", DAY, [CONTACT], 300, 0) is None
    assert [s.tokens for s in await store.spending.spent("t", DAY)] == [350]


async def test_a_bound_of_nothing_lets_nothing_through(store: Store) -> None:
    assert await store.spending.reserve("t", DAY, [Bound("tenant", "", 0, None)], 1, 0) is not None
    assert await store.spending.spent("t", DAY) == []


async def test_it_is_forgotten_in_the_end(store: Store, clock: MovableClock) -> None:
    today = datetime.now(UTC).date()
    await store.spending.reserve("t", today, [TENANT], 1, 1)
    clock.move(days=42)
    await store.remove_expired()
    assert await store.spending.spent("t", today) == []


def test_a_contact_has_a_share_of_the_day_even_without_bounds_of_its_own() -> None:
    question = Question("t", "x", contact="p", conversation="c")
    caps = Caps(None, None, 1_000_000, tenant_money=50_000)
    assert bounds_of(question, caps) == [
        Bound("conversation", "c"), Bound("contact", "p", 200_000, 10_000), Bound("tenant", "", 1_000_000, 50_000),
    ]  # fmt: skip
    assert bounds_of(Question("t", ""), Caps())[0].scope == "tenant"


def test_prices_are_rounded_up_and_a_tenants_own_come_first() -> None:
    prices = list_prices()
    assert prices.cost("command-a-03-2025", 1000, 100) == 3500
    assert prices.cost("command-r7b-12-2024", 1, 0) == 1
    assert prices.cost("rerank-v4.0-fast", 0, 0, 3) == 6000
    assert prices.cost("my-own-model", 9999, 9999) == 0
    assert prices.over({"my-own-model": (1000, 2000)}).cost("my-own-model", 1, 1) == 3
    assert "https://cohere.com/pricing" in prices.source and date.fromisoformat(prices.read)
