"""The channels that there are: one line each. Nobody else imports a channel's folder."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from channels.slack.adapter import SlackAdapter
from channels.slack.app import manifest as slack_manifest
from channels.telegram.adapter import TelegramAdapter
from channels.web import frames
from channels.web.adapter import WebAdapter, language_for
from channels.web.hub import Hub, Line, as_text
from channels.web.tokens import Tokens
from channels.webhook.adapter import WebhookChannelAdapter
from channels.whatsapp.adapter import WhatsAppAdapter
from gateway.model.capabilities import Capabilities
from gateway.model.ports import (
    Adapter,
    Claim,
    Clock,
    FileLink,
    Files,
    Keep,
    Puller,
    Setting,
    TemplateAdapter,
    WebhookAdapter,
)
from gateway.settings import Settings

__all__ = [
    "Hub",
    "Line",
    "Registry",
    "WebAdapter",
    "as_text",
    "build",
    "frames",
    "language_for",
    "slack_manifest",
]


@dataclass(frozen=True, slots=True)
class Registry:
    """Every channel by kind; those whose provider calls us over HTTP; those that can also be read by asking; and
    the widget's."""

    adapters: Mapping[str, Adapter]
    webhooks: Mapping[str, WebhookAdapter]
    pullers: Mapping[str, Puller]
    web: WebAdapter
    slack: SlackAdapter
    templates: Mapping[str, TemplateAdapter]
    """Those whose provider keeps templates."""


def build(
    settings: Settings,
    session: aiohttp.ClientSession,
    visitor_keys: tuple[bytes, ...],
    clock: Clock,
    files: Files,
    keep: Keep,
    link: FileLink,
    claim: Claim,
) -> Registry:
    """`claim` lets one of several processes do what must be done once."""
    web = WebAdapter(Hub(), Tokens(visitor_keys), link)
    telegram = TelegramAdapter(settings.telegram_api_url, session, clock, files)
    slack = SlackAdapter(settings, session, clock, files, keep, claim)
    whatsapp = WhatsAppAdapter(settings.whatsapp_api_url, session, clock, files)
    webhooks: dict[str, WebhookAdapter] = {
        "whatsapp": whatsapp,
        "telegram": telegram,
        "slack": slack,
        "webhook": WebhookChannelAdapter(session, clock, settings.public_url, link),
    }
    pullers: dict[str, Puller] = {"telegram": telegram, "slack": slack}
    templates: dict[str, TemplateAdapter] = {"whatsapp": whatsapp.templates}
    return Registry({"web": web, **webhooks}, webhooks, pullers, web, slack, templates)


SETTINGS: Mapping[str, tuple[Setting, ...]] = {
    "whatsapp": WhatsAppAdapter.settings,
    "telegram": TelegramAdapter.settings,
    "slack": SlackAdapter.settings,
    "webhook": WebhookChannelAdapter.settings,
}
"""What a person gives to connect an account, by kind: known without building anything."""


CAPABILITIES: Mapping[str, Capabilities] = {
    "web": WebAdapter.capabilities,
    "whatsapp": WhatsAppAdapter.capabilities,
    "telegram": TelegramAdapter.capabilities,
    "slack": SlackAdapter.capabilities,
    "webhook": WebhookChannelAdapter.capabilities,
}
"""What each kind can show."""


PATHS: Mapping[str, tuple[str, ...]] = {
    "whatsapp": WhatsAppAdapter.paths,
    "telegram": TelegramAdapter.paths,
    "slack": SlackAdapter.paths,
    "webhook": WebhookChannelAdapter.paths,
}
"""Where each kind is called, under `/webhooks/<kind>`."""


def webhook_address(kind: str, public_url: str, channel: str) -> str:
    """Where the provider is to call for a channel; the first of its kind's paths."""
    return f"{public_url}/webhooks/{kind}{PATHS[kind][0]}".replace("{channel}", channel)


def lacking(kind: str, secrets: Mapping[str, str]) -> list[str]:
    """The secrets that a channel of this kind lacks to be active."""
    return [s.name for s in SETTINGS.get(kind, ()) if s.secret and s.required and not secrets.get(s.name)]
