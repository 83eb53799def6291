"""The web channel: to send is to publish to the visitor's open sockets. Whoever is away reads it from the store."""

from typing import Any, Final

from channels.web import frames
from channels.web.hub import Hub
from channels.web.tokens import Tokens
from gateway.model.capabilities import Capabilities, MediaRule
from gateway.model.conversation import Conversation
from gateway.model.lanes import Rates
from gateway.model.message import Message
from gateway.model.ports import FileLink, Outgoing, Sent, Setting
from gateway.model.tenant import Channel, ChannelKind

MOST_BYTES: Final = 100 * 1024 * 1024
_ANY: Final = MediaRule(MOST_BYTES, caption=4000)

CAPABILITIES = Capabilities(
    text_length=8000,
    media={"image": _ANY, "video": _ANY, "audio": _ANY, "voice": _ANY, "document": _ANY, "sticker": _ANY},
    buttons=12,
    button_length=80,
    button_text_length=8000,
    list_rows=30,
    row_length=80,
    forms=True,
    sources=True,
    idempotent=True,
    typing=True,
    drafts=True,
)

LANGUAGES = ("en", "es", "pt", "ar")


class WebAdapter:
    kind: ChannelKind = "web"
    capabilities = CAPABILITIES
    settings: tuple[Setting, ...] = ()

    def __init__(self, hub: Hub, tokens: Tokens, link: FileLink) -> None:
        self.hub = hub
        self.tokens = tokens
        self._link = link

    def shown(self, tenant: str, message: Outgoing | Message) -> dict[str, Any]:
        """A message as the widget shows it."""
        return frames.message(
            message.id,
            message.seq,
            message.author,
            message.at,
            message.content,
            lambda file, variant: self._link(tenant, file, variant),
            message.client_id if isinstance(message, Message) else None,
        )

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        shown = self.shown(channel.tenant, message)
        self.hub.publish(message.conversation, {"t": "message", "message": shown})
        return Sent(message.id)

    def rates(self, channel: Channel, address: str) -> Rates:
        return self.capabilities.rates

    async def mark_read(self, channel: Channel, message: Message, address: str, typing: bool) -> None:
        if typing:
            self.hub.publish(message.conversation, {"t": "typing", "on": True})

    def shows_drafts(self, address: str) -> bool:
        return True

    async def show_draft(
        self, channel: Channel, conversation: Conversation, turn: Message, text: str
    ) -> None:
        self.hub.publish(conversation.id, {"t": "typing", "on": True, "text": text})


def language_for(fixed: str | None, wanted: str | None, default: str) -> str:
    """The widget's language: the site's own, else the best fit for the browser's, else the tenant's."""
    for tag in (fixed, wanted, default):
        short = (tag or "").split("-")[0].lower()
        if short in LANGUAGES:
            return short
    return "en"
