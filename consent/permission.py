"""May this message be sent now? One pure function decides, when a message is written and again when it is sent.

Sources: WhatsApp's service window, https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages
(free-form messages are allowed for 24 hours after the customer's last message; templates at any time).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.model.content import Template
from gateway.model.conversation import Owner
from gateway.model.message import Message


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision rests on, as it stands now."""

    owner: Owner
    channel_active: bool
    window_hours: int | None
    last_in: datetime | None
    blocked: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    pass


@dataclass(frozen=True, slots=True)
class Refused:
    """`reason` is a stable code, `text` says it plainly with the remedy. `hold`: keep it, and ask again later."""

    reason: str
    text: str
    hold: bool = False


def decide(message: Message, facts: Facts, now: datetime) -> Allowed | Refused:
    announced = facts.owner == "queue" and message.extra.get("announces") == "queue"
    if message.author == "bot" and facts.owner != "bot" and not announced:
        return Refused("owner", "A person owns the conversation, so the bot stays silent.")
    if message.author == "bot" and facts.stopped and message.extra.get("announces") != "stopped":
        return Refused("stopped", "The customer asked not to be written to; /start takes that back.")
    if facts.blocked:
        return Refused(
            "blocked",
            "The customer has blocked this account or left. They can be written to when they write again.",
        )
    if not facts.channel_active:
        return Refused(
            "channel_disabled",
            "The channel is disabled. Mend its settings with `channel check`, then enable it: it is sent then.",
            hold=True,
        )
    if facts.window_hours is not None and not isinstance(message.content, Template):
        closes = facts.last_in + timedelta(hours=facts.window_hours) if facts.last_in else None
        if closes is None or now >= closes:
            return Refused(
                "window_closed",
                f"More than {facts.window_hours} hours have passed since the customer's last message."
                " Only a template may be sent until they write again.",
            )
    return Allowed()
