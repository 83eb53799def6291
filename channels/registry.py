"""The channels that there are: one line each. Nobody else imports a channel's folder."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from channels.web import frames
from channels.web.adapter import WebAdapter, language_for
from channels.web.hub import Hub, Line
from channels.web.tokens import Tokens
from channels.whatsapp.adapter import WhatsAppAdapter
from gateway.model.ports import Adapter, Clock, WebhookAdapter
from gateway.settings import Settings

__all__ = ["SECRETS", "Hub", "Line", "Registry", "WebAdapter", "build", "frames", "language_for"]


SECRETS: Mapping[str, tuple[str, ...]] = {
    "web": WebAdapter.secret_names,
    "whatsapp": WhatsAppAdapter.secret_names,
}
"""The secrets without which a channel of a kind can't be active."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Every channel by kind; those whose provider calls us over HTTP; and the widget's."""

    adapters: Mapping[str, Adapter]
    webhooks: Mapping[str, WebhookAdapter]
    web: WebAdapter


def build(
    settings: Settings, session: aiohttp.ClientSession, visitor_keys: tuple[bytes, ...], clock: Clock
) -> Registry:
    web = WebAdapter(Hub(), Tokens(visitor_keys))
    webhooks: dict[str, WebhookAdapter] = {
        "whatsapp": WhatsAppAdapter(settings.whatsapp_api_url, session, clock),
    }
    return Registry({"web": web, **webhooks}, webhooks, web)
