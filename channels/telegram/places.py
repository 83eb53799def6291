"""Where something is said: an address to answer to, and the provider's ids as this channel writes them.

An address is `CHAT`, followed by `;topic=N` for a forum's topic, `;direct=N` for one person's direct messages to a
channel, or `;business=ID` for a chat of a connected business account. A message's provider id is `CHAT:NUMBER`, with the
same `;business=ID`, for a business account counts its own messages.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """A chat, and the part of it that is meant."""

    chat: str
    topic: str = ""
    direct: str = ""
    business: str = ""

    @property
    def address(self) -> str:
        topic = f";topic={self.topic}" if self.topic else ""
        direct = f";direct={self.direct}" if self.direct else ""
        return f"{self.chat}{topic}{direct}{self._business}"

    @property
    def private(self) -> bool:
        """A chat with one person, where keyboards that ask for something may be shown."""
        return not self.chat.startswith("-") and not self.business

    @property
    def _business(self) -> str:
        return f";business={self.business}" if self.business else ""

    def reference(self, number: object) -> str:
        """The provider id of a message here."""
        return f"{self.chat}:{number}{self._business}"

    def number(self, reference: str) -> int | None:
        """The number of a message here, from its provider id; None for a message of another chat."""
        chat, _, rest = reference.partition(":")
        digits = rest.partition(";")[0].partition("#")[0]
        return int(digits) if chat == self.chat and digits.isascii() and digits.isdigit() else None

    def params(self) -> dict[str, Any]:
        """The parameters of a method that writes here."""
        found: dict[str, Any] = {"chat_id": _number(self.chat)}
        if self.topic:
            found["message_thread_id"] = _number(self.topic)
        if self.direct:
            found["direct_messages_topic_id"] = _number(self.direct)
        if self.business:
            found["business_connection_id"] = self.business
        return found

    def of_message(self) -> dict[str, Any]:
        """The parameters of a method that changes a message here: its chat is enough."""
        return {k: v for k, v in self.params().items() if k in ("chat_id", "business_connection_id")}


def place_of(address: str) -> Place:
    """The place that an address means."""
    chat, *parts = address.split(";")
    named = dict(part.partition("=")[::2] for part in parts)
    return Place(chat, named.get("topic", ""), named.get("direct", ""), named.get("business", ""))


def _number(text: str) -> int | str:
    return int(text) if text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() else text
