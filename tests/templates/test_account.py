"""What the provider tells of how much an account may send becomes what the quota rests on."""

import json
from datetime import datetime
from typing import Any

import pytest

from channels.whatsapp.templates import limit_of
from gateway.model.ports import AccountTold
from gateway.store.accounts import AccountStanding
from tests.conftest import WABA, Running


def body(field: str, value: dict[str, Any], at: datetime) -> bytes:
    entry = {"id": WABA, "time": int(at.timestamp()), "changes": [{"value": value, "field": field}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def standing(running: Running) -> AccountStanding:
    return await running.store.of("acme").accounts.get("ch_wa")


@pytest.mark.parametrize(
    ("told", "limit"),
    [
        ("TIER_50", AccountTold(50)),
        ("TIER_250", AccountTold(250)),
        ("TIER_1K", AccountTold(1000)),
        ("TIER_2K", AccountTold(2000)),
        ("TIER_10K", AccountTold(10_000)),
        ("TIER_100K", AccountTold(100_000)),
        ("TIER_UNLIMITED", AccountTold(unlimited=True)),
        (-1, AccountTold(unlimited=True)),
        (2000, AccountTold(2000)),
        ("TIER_NOT_SET", AccountTold()),
        ("TIER_1B", AccountTold()),
        (None, AccountTold()),
        ({}, AccountTold()),
    ],
)
def test_tiers_are_numbers(told: object, limit: AccountTold) -> None:
    assert limit_of(told) == limit


@pytest.mark.parametrize("name", ["max_daily_conversations_per_business", "max_daily_conversation_per_phone"])
async def test_a_capability_update(running: Running, name: str) -> None:
    now = running.clock()
    value = {name: 2000, "max_phone_numbers_per_waba": 25}
    assert await running.post_whatsapp(body("business_capability_update", value, now)) == 200
    assert (await standing(running)).limit == 2000
    running.clock.move(hours=1)
    value = {name: -1, "max_phone_numbers_per_waba": 25}
    assert await running.post_whatsapp(body("business_capability_update", value, running.clock())) == 200
    assert (await standing(running)).limit is None
    # What comes late changes nothing.
    value = {name: 250, "max_phone_numbers_per_business": 2}
    assert await running.post_whatsapp(body("business_capability_update", value, now)) == 200
    assert (await standing(running)).limit is None


async def test_a_number_s_update_is_followed_by_a_look(running: Running) -> None:
    running.graph.account.number["quality_rating"] = "RED"
    value = {
        "display_phone_number": "15550783881",
        "event": "THROUGHPUT_UPGRADE",
        "max_daily_conversations_per_business": "TIER_10K",
    }
    assert await running.post_whatsapp(body("phone_number_quality_update", value, running.clock())) == 200
    assert (await standing(running)).limit == 10_000
    running.graph.account.number["whatsapp_business_manager_messaging_limit"] = "TIER_10K"
    await running.gateway.template_sync.look()
    await running.until(lambda: running.graph.templates.pages > 0)
    await running.gateway.template_sync.sync(await running.store.directory.channel("ch_wa"))
    found = await standing(running)
    assert (found.limit, found.quality) == (10_000, "RED")
