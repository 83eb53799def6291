"""A system of the business's own as a channel: signed HTTP both ways, by Standard Webhooks."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from channels import http
from channels.kit import http_error, retry_after, transport_error
from channels.webhook import parse, signature
from channels.webhook.errors import send_error
from gateway.model.capabilities import Capabilities, MediaRule
from gateway.model.content import Album, Content, Media, to_doc
from gateway.model.errors import Invalid, NotAuthentic, NotForUs, SendError
from gateway.model.lanes import Rates
from gateway.model.message import Message
from gateway.model.ports import Clock, Connected, Download, FileLink, Finding, Outgoing, Parsed, Sent, Setting
from gateway.model.tenant import Channel, ChannelKind

_ANY: Final = MediaRule(100 * 1024 * 1024, caption=4096)
PART: Final = 256 * 1024


class WebhookChannelAdapter:
    """`public_url` and `link` make addresses of our files for the receiving system."""

    kind: ChannelKind = "webhook"
    capabilities = Capabilities(
        text_length=20_000,
        kinds=frozenset({"location", "contacts", "link", "reaction", "edit", "deleted"}),
        requests=frozenset({"location", "phone"}),
        media={"image": _ANY, "video": _ANY, "audio": _ANY, "voice": _ANY, "document": _ANY, "sticker": _ANY},
        album=10,
        buttons=20,
        button_length=100,
        button_text_length=4096,
        list_rows=100,
        row_length=100,
        sources=True,
        typing=True,
        idempotent=True,  # receivers know a repeated call by its webhook-id
    )
    signature_header = "webhook-signature"
    signing_secret = "signing_secret"  # noqa: S105 (its name, not a secret)
    paths: tuple[str, ...] = ("/{channel}",)
    settings: tuple[Setting, ...] = (
        Setting("url", "where your system takes messages: https, or http on this machine"),
        Setting(
            "signing_secret", "whsec_…, for both directions; made for you", True, made=signature.new_secret
        ),
    )

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, public_url: str, link: FileLink) -> None:
        self._session = session
        self._clock = clock
        self._public_url = public_url
        self._link = link

    def accounts(self, body: bytes) -> Sequence[str]:
        raise NotForUs("every system has an address of its own")

    def greeting(self, body: bytes) -> str | None:
        return None

    def challenge(self, verify_token: str, query: Mapping[str, str]) -> str:
        raise NotAuthentic

    def verify(self, secret: str, headers: Mapping[str, str], body: bytes) -> None:
        signature.verify(secret, headers, body, self._clock())

    def parse(self, channel: Channel, body: bytes) -> Parsed:
        return parse.parse(channel.id, body, self._clock())

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        data = {
            "id": message.id,
            "conversation": message.conversation,
            "to": message.address,
            "at": message.at.isoformat(),
            "author": message.author,
            "content": self._shown(channel, message.content),
            **({"reply_to": message.reply_to} if message.reply_to else {}),
        }
        reply = await self._call(channel, "message", message.id, data)
        given = reply.body.get("id")
        return Sent(given if isinstance(given, str) and 0 < len(given) <= 200 else message.id)

    def rates(self, channel: Channel, address: str) -> Rates:
        return self.capabilities.rates

    async def mark_read(self, channel: Channel, message: Message, address: str, typing: bool) -> None:
        data = {"message": message.provider_id, "to": address, "typing": typing}
        await self._call(channel, "read", f"{message.id}.read", data)

    async def account(self, channel: Channel) -> str:
        return channel.id

    async def connect(self, channel: Channel, webhook: str) -> Connected:
        url, secret = str(channel.config.get("url", "")), channel.secrets["signing_secret"]
        if not _is_address(url):
            raise Invalid("url", "an https address, or http on this machine")
        if signature.key_of(secret) is None:
            raise Invalid("signing_secret", "whsec_ and the base64 of 24 bytes or more")
        steps = (
            f"Your system posts to     {webhook}",
            f"and takes messages at    {url}",
            f"Both sides sign with     {secret}",
        )
        return Connected(channel.id, f"Webhook {urlsplit(url).netloc}", {"url": url}, channel.secrets, steps)

    async def check(self, channel: Channel, webhook: str) -> Sequence[Finding]:
        usable = signature.key_of(channel.secrets.get("signing_secret", "")) is not None
        fix = f"`channel set {channel.id} --signing-secret -` with whsec_ and base64 of 24 bytes or more"
        findings = [Finding("secret", usable, "usable" if usable else "not a whsec_ secret", fix)]
        if usable:
            findings.append(await self._reached(channel))
        return findings

    async def _reached(self, channel: Channel) -> Finding:
        try:
            await self._call(channel, "ping", f"ping.{int(self._clock().timestamp())}", {})
        except SendError as error:
            fix = "make your system answer a signed POST with 2xx, or mend `--url` and `--signing-secret`"
            return Finding("your system", False, str(error), fix)
        return Finding("your system", True, "takes signed calls")

    @asynccontextmanager
    async def fetch(self, channel: Channel, media_id: str) -> AsyncIterator[Download]:
        """Files come from the host that takes our messages, and from no other: an address is only what a body says."""
        if not _is_address(media_id) or urlsplit(media_id).netloc != urlsplit(_url(channel)).netloc:
            raise SendError("webhook:host", "The file is not on the host that the channel is connected to.")
        try:
            async with self._session.get(media_id, timeout=http.UPLOAD, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise http_error("webhook", answer.status, retry_after(answer.headers, self._clock()))
                yield Download(_parts(answer.content), answer.content_type, answer.content_length)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise transport_error("webhook", error) from None

    async def _call(self, channel: Channel, kind: str, identifier: str, data: dict[str, Any]) -> http.Reply:
        key = signature.key_of(channel.secrets.get("signing_secret", ""))
        if key is None:
            raise SendError("webhook:no_secret", "The channel has no usable secret.", disable_channel=True)
        now = self._clock()
        event = {"type": kind, "timestamp": now.isoformat(), "data": data}
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        headers = {**signature.sign(key, identifier, now, body), "Content-Type": "application/json"}
        reply = await http.call(
            self._session, "webhook", "POST", _url(channel), now, headers=headers, data=body
        )
        if not reply.ok:
            raise send_error(reply)
        return reply

    def _shown(self, channel: Channel, content: Content) -> dict[str, Any]:
        """The content's document, its files as addresses that hold for some hours."""
        doc = to_doc(content)
        if isinstance(content, Album):
            doc["items"] = [self._shown(channel, item) for item in content.items]
        if isinstance(content, Media) and content.file:
            doc["url"] = self._public_url + self._link(channel.tenant, content.file, "file")
            del doc["file"]
        return doc


async def _parts(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    try:
        async for part in stream.iter_chunked(PART):
            yield part
    except (aiohttp.ClientError, TimeoutError) as error:
        raise transport_error("webhook", error) from None


def _url(channel: Channel) -> str:
    return str(channel.config.get("url", ""))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    local = host in ("localhost", "127.0.0.1", "::1")
    return bool(host) and not parts.username and parts.scheme in (("http", "https") if local else ("https",))
