"""Slack's request bodies to the model: which kind of body it is, and for whom."""

from collections.abc import Sequence
from datetime import datetime

from channels.read import items, mapping, short_id, word
from channels.slack import events, interact
from channels.slack.body import Body, accounts, greeting, read
from channels.slack.events import Found
from gateway.model.ports import Parsed
from gateway.model.tenant import Channel

__all__ = ["accounts_of", "greeting", "parse"]


def accounts_of(body: bytes) -> Sequence[str]:
    """The installations that the body speaks of: one, or none if it names none. Raises NotForUs."""
    return accounts(read(body))


def parse(channel: Channel, body: bytes, now: datetime) -> Parsed:
    """What an authentic body holds for a channel. Raises NotForUs and nothing else."""
    found = read(body)
    if channel.account not in accounts(found):
        return Parsed()
    ours = mapping(next(iter(items(found.get("authorizations"))), None))
    bot = word(channel.config.get("bot_user_id"))
    if not bot and ours.get("is_bot") is True:
        bot = short_id(ours.get("user_id"))
    read_to = Found()
    since = channel.config.get("installed_at")
    since = since if isinstance(since, int | float) else 0
    whole = Body(channel.account, found, now, bot, word(channel.config.get("bot_id")), since)
    if found.get("type") in ("event_callback", "app_rate_limited"):
        events.read(whole, read_to)
    elif found.get("type") != "url_verification":
        interact.read(whole, read_to)
    return Parsed(
        tuple(read_to.messages),
        tuple(read_to.receipts),
        tuple(read_to.events),
        tuple(read_to.ignored),
        read_to.answer,
    )
