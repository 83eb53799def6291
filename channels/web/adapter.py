"""The web channel: to send is to publish to the visitor's open sockets. Whoever is away reads it from the store."""

from channels.web import frames
from channels.web.hub import Hub
from channels.web.tokens import Tokens
from gateway.model.capabilities import Capabilities
from gateway.model.ports import Outgoing, Sent
from gateway.model.tenant import Channel, ChannelKind

CAPABILITIES = Capabilities(
    text_length=8000,
    buttons=12,
    button_length=80,
    button_text_length=8000,
    list_rows=30,
    row_length=80,
    forms=True,
    sources=True,
    idempotent=True,
)

LANGUAGES = ("en", "es", "pt", "ar")


class WebAdapter:
    kind: ChannelKind = "web"
    capabilities = CAPABILITIES
    secret_names: tuple[str, ...] = ()

    def __init__(self, hub: Hub, tokens: Tokens) -> None:
        self.hub = hub
        self.tokens = tokens

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        shown = frames.message(message.id, message.seq, message.author, message.at, message.content)
        self.hub.publish(message.conversation, {"t": "message", "message": shown})
        return Sent(message.id)

    async def mark_read(self, channel: Channel, conversation: str, provider_id: str, typing: bool) -> None:
        if typing:
            self.hub.publish(conversation, {"t": "typing", "on": True})


def language_for(fixed: str | None, wanted: str | None, default: str) -> str:
    """The widget's language: the site's own, else the best fit for the browser's, else the tenant's."""
    for tag in (fixed, wanted, default):
        short = (tag or "").split("-")[0].lower()
        if short in LANGUAGES:
            return short
    return "en"
