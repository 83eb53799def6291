"""Who is there in a run: tenants, their channels, and their customers, each with what they will say; all from the seed."""

import random
from dataclasses import dataclass
from datetime import timedelta

from gateway.model.clock import system_clock
from gateway.model.tenant import Channel, ChannelKind, Tenant
from gateway.store import Store

APP_SECRET = "chaos-app-secret-0123456789"
ACCESS_TOKEN = "EAAchaostoken0123456789"
SECRET_TOKEN = "chaos-secret-token-0123456789"
ORIGIN = "https://shop.example"
TENANTS = 2

EACH = 25
"""Messages of one customer: WhatsApp lets 45 of ours to one person leave at once and then one in 6 s."""

TELEGRAM, WIDGET = 0.2, 0.04
"""Shares of the customers."""

LATE, DAYS_LATE = 0.04, 0.004
"""Shares of messages whose webhook comes minutes, and seven days, after they were said."""


@dataclass(frozen=True, slots=True)
class Customer:
    """`address` is what the provider calls them; `count` how much they will say."""

    name: str
    kind: ChannelKind
    channel: str
    account: str
    address: str
    count: int
    seed: int


def bot_token(tenant: int) -> str:
    return f"{700_000_000 + tenant}:AAchaos-token_of_thirty-five_chars{tenant}"


def number(tenant: int) -> str:
    return str(10**12 + tenant)


async def settle_in(store: Store) -> None:
    """Two businesses, each with a WhatsApp number, a bot and a site."""
    for tenant in range(TENANTS):
        name, now = f"t{tenant}", system_clock()
        await store.directory.add_tenant(Tenant(name, name, now))
        whatsapp = {"access_token": ACCESS_TOKEN, "app_secret": APP_SECRET, "verify_token": "v" * 16}
        telegram = {"token": bot_token(tenant), "secret_token": SECRET_TOKEN}
        bot = bot_token(tenant).partition(":")[0]
        channels = [
            Channel(f"wa{tenant}", name, "whatsapp", number(tenant), "number", now, secrets=whatsapp),
            Channel(
                f"tg{tenant}",
                name,
                "telegram",
                bot,
                "bot",
                now,
                config={"username": f"bot{tenant}_bot"},
                secrets=telegram,
            ),
            Channel(f"web{tenant}", name, "web", f"web{tenant}", "site", now, origins=(ORIGIN,)),
        ]
        for channel in channels:
            await store.directory.add_channel(channel)


def customers(seed: int, messages: int) -> list[Customer]:
    """As many as say so many things between them."""
    chance = random.Random(seed)
    each = min(EACH, max(5, messages // 20))
    found: list[Customer] = []
    left = messages
    while left > 0:
        place = len(found)
        kind, prefix = _kind(place)
        tenant, count = place % TENANTS, min(each, left)
        account = number(tenant) if kind == "whatsapp" else bot_token(tenant)
        address = str((34_600_000_000 if kind == "whatsapp" else 5_000_000) + place)
        found.append(
            Customer(
                f"{prefix}{place}",
                kind,
                f"{prefix}{tenant}",
                account,
                address,
                count,
                chance.getrandbits(32),
            )
        )
        left -= count
    return found


def _kind(place: int) -> tuple[ChannelKind, str]:
    """Spread evenly, and the first few of every kind."""
    share = (place * 0.381966 + 0.7) % 1.0
    if place == 2 or share < WIDGET:
        return "web", "web"
    if place == 1 or share < WIDGET + TELEGRAM:
        return "telegram", "tg"
    return "whatsapp", "wa"


def age(chance: random.Random) -> timedelta:
    """How long ago a message was said when its webhook comes."""
    share = chance.random()
    if share < DAYS_LATE:
        return timedelta(days=7, minutes=chance.uniform(-60, 60))
    if share < DAYS_LATE + LATE:
        return timedelta(minutes=chance.uniform(1, 40))
    return timedelta()
