"""The WhatsApp Cloud API as a channel: the port's methods over the modules beside this file."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final

import aiohttp
from loguru import logger

from channels.read import items, mapping, word
from channels.whatsapp import checks, doctor, media, parse, payload, signature
from channels.whatsapp.errors import mapped
from channels.whatsapp.graph import Graph, is_version
from channels.whatsapp.templates import WhatsAppTemplates, with_files
from gateway.model.capabilities import Capabilities
from gateway.model.content import Media, Template
from gateway.model.errors import Invalid, SendError
from gateway.model.lanes import Rates
from gateway.model.message import Message
from gateway.model.ports import Clock, Connected, Download, Files, Finding, Outgoing, Parsed, Sent, Setting
from gateway.model.tenant import Channel, ChannelKind

SETTINGS: Final = (
    Setting("phone_number_id", "the number's id from the app's dashboard, not the number itself"),
    Setting("waba_id", "the WhatsApp Business account's id"),
    Setting("access_token", "a system user's permanent token", secret=True),
    Setting("app_secret", "of the app that the number belongs to: App settings > Basic", secret=True),
    Setting(
        "verify_token", "any word of yours; made up for you", True, made=lambda: secrets.token_urlsafe(24)
    ),
    Setting("api_version", "such as v23.0; the newest that we know of without it", required=False),
    Setting(
        "ad_window_hours", "how long free text is taken from who came by an ad: 24 to 72 (72)", required=False
    ),
)

_LOST_FILE: Final = frozenset({"100", "131009", "131052", "131053"})
"""What a message is refused with when the uploaded file that it names is not there any more."""


class WhatsAppAdapter:
    """One for the process. `session` is the shared one; `api_url` the Graph API's base address, without a
    version. Configuration read from a channel: `account` (phone number id), `config["waba_id"]` and
    `config["api_version"]`; `config["ad_window_hours"]` is the core's."""

    kind: ChannelKind = "whatsapp"
    capabilities: Capabilities = payload.CAPABILITIES
    signature_header = "X-Hub-Signature-256"
    signing_secret = "app_secret"  # noqa: S105 - the name of the secret
    paths: tuple[str, ...] = ("/{channel}", "")
    settings: tuple[Setting, ...] = SETTINGS

    def __init__(self, api_url: str, session: aiohttp.ClientSession, clock: Clock, files: Files) -> None:
        self._graph = Graph(api_url, session, clock)
        self._files = files
        self.templates = WhatsAppTemplates(self._graph, files)
        self._unmapped: set[str] = set()

    def accounts(self, body: bytes) -> Sequence[str]:
        return parse.accounts(body)

    def greeting(self, body: bytes) -> str | None:
        return None

    def verify(self, secret: str, headers: Mapping[str, str], body: bytes) -> None:
        signature.verify(secret, headers, body)

    def challenge(self, verify_token: str, query: Mapping[str, str]) -> str:
        return signature.challenge(verify_token, query)

    def parse(self, channel: Channel, body: bytes) -> Parsed:
        waba = str(channel.config.get("waba_id") or "")
        parsed = parse.parse(channel.account, body, self._graph.clock(), waba)
        for receipt in parsed.receipts:
            if receipt.failure is not None:
                self._note(receipt.failure.code)
        return parsed

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        try:
            return await self._send(channel, message)
        except SendError as error:
            self._note(error.code)
            raise

    async def _send(self, channel: Channel, message: Outgoing) -> Sent:
        file = message.content
        if isinstance(file, Template):
            filled = await with_files(self._graph, self._files, channel, file)
            return await self._post(channel, replace(message, content=filled))
        if not (isinstance(file, Media) and file.file):
            return await self._post(channel, message)
        known = await self._files.uploaded(channel.tenant, file.file, channel.id)
        if known:
            try:
                return await self._post(channel, _with(message, file, known))
            except SendError as error:
                if error.disable_channel or error.code.removeprefix("whatsapp:") not in _LOST_FILE:
                    raise
        given = await media.upload(self._graph, self._files, channel, file)
        return await self._post(channel, _with(message, file, given))

    async def _post(self, channel: Channel, message: Outgoing) -> Sent:
        answer = await self._call(channel, payload.message(message))
        sent = items(answer.get("messages"))
        provider_id = word(mapping(sent[0]).get("id")) if sent else ""
        if not provider_id:
            # Taken, as far as the status says, but without the id that its receipts will name.
            raise SendError(
                "whatsapp:no_id", "WhatsApp's answer holds no message id.", True, outcome="unknown"
            )
        return Sent(provider_id)

    def rates(self, channel: Channel, address: str) -> Rates:
        return payload.HIGH_RATES if channel.config.get("throughput") == "HIGH" else payload.RATES

    async def mark_read(self, channel: Channel, message: Message, address: str, typing: bool) -> None:
        # Only an id of theirs can be marked: some that we store are made up here.
        if message.provider_id and message.provider_id.startswith("wamid."):
            await self._call(channel, payload.read_mark(message.provider_id, typing))

    async def account(self, channel: Channel) -> str:
        return _given(channel)[0]

    async def connect(self, channel: Channel, webhook: str) -> Connected:
        number, config = _given(channel)
        if level := await doctor.throughput(self._graph, channel, number):
            config["throughput"] = level
        steps = (
            "In your app's dashboard, WhatsApp > Configuration, enter:",
            f"  Callback URL   {webhook}",
            f"  Verify token   {channel.secrets['verify_token']}",
            "and subscribe to the field `messages`.",
            f"Good to have as well: {', '.join(f'`{name}`' for name in checks.USEFUL_FIELDS)}.",
        )
        return Connected(number, f"WhatsApp {number}", config, channel.secrets, steps)

    async def check(self, channel: Channel, webhook: str) -> Sequence[Finding]:
        return await doctor.check(self._graph, channel, webhook)

    def fetch(self, channel: Channel, media_id: str) -> AbstractAsyncContextManager[Download]:
        return media.fetch(self._graph, channel, media_id)

    async def _call(self, channel: Channel, body: dict[str, Any]) -> Mapping[str, Any]:
        return await self._graph.call(channel, "POST", channel.account, "messages", body=body)

    def _note(self, code: str) -> None:
        """A code that has no row in `errors` is named in the log, once."""
        if not mapped(code) and code not in self._unmapped and len(self._unmapped) < 1000:
            self._unmapped.add(code)
            logger.warning("unmapped error code: {}", code)


def _with(message: Outgoing, file: Media, media_id: str) -> Outgoing:
    return replace(message, content=replace(file, media_id=media_id, file=None, url=None))


def _given(channel: Channel) -> tuple[str, dict[str, Any]]:
    """The number's id and the rest of the config, as the person gave them. Raises Invalid."""
    config = dict(channel.config)
    number = str(config.pop("phone_number_id", "") or channel.account)
    waba = str(config.get("waba_id", ""))
    if not number.isascii() or not number.isdigit():
        raise Invalid("phone_number_id", "digits only: the id from the app's dashboard, not the phone number")
    if not waba.isascii() or not waba.isdigit():
        raise Invalid("waba_id", "digits only: the WhatsApp Business account's id")
    if config.get("api_version") and not is_version(str(config["api_version"])):
        raise Invalid("api_version", "a version such as v23.0")
    hours = str(config.get("ad_window_hours") or "72")
    if not (hours.isascii() and hours.isdigit() and 24 <= int(hours) <= 72):
        raise Invalid("ad_window_hours", "hours, from 24 to 72")
    return number, config
