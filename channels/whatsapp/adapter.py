"""The WhatsApp Cloud API as a channel: the port's methods over the pure functions beside this file."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from channels.kit import retry_after, transport_error
from channels.whatsapp import parse, payload, signature
from channels.whatsapp.errors import send_error
from channels.whatsapp.read import items, mapping, word
from gateway.model.capabilities import Capabilities
from gateway.model.errors import SendError
from gateway.model.ports import Clock, Outgoing, Parsed, Sent
from gateway.model.tenant import Channel, ChannelKind

API_VERSION: Final = "v26.0"
TIMEOUT: Final = aiohttp.ClientTimeout(total=20, sock_connect=5, sock_read=15)
MAX_ANSWER: Final = 256 * 1024
_VERSION: Final = re.compile(r"v?(\d{1,2}\.\d)", re.ASCII)


class WhatsAppAdapter:
    """One for the process. `session` is the shared one; `api_url` the Graph API's base address, without a
    version. Configuration read from a channel: `account` (phone number id), `config["api_version"]`."""

    kind: ChannelKind = "whatsapp"
    capabilities = Capabilities(
        text_length=4096,
        buttons=3,
        button_length=20,
        button_text_length=1024,
        list_rows=10,
        row_length=24,
        service_window_hours=24,
        account_rate=80,
        recipient_rate=1 / 6,
        recipient_burst=45,
    )
    signature_header = "X-Hub-Signature-256"
    secret_names: tuple[str, ...] = ("access_token", "app_secret", "verify_token")

    def __init__(self, api_url: str, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._api_url = api_url.rstrip("/")
        self._session = session
        self._clock = clock

    def accounts(self, body: bytes) -> Sequence[str]:
        return parse.accounts(body)

    def verify(self, secret: str, headers: Mapping[str, str], body: bytes) -> None:
        signature.verify(secret, headers, body)

    def challenge(self, verify_token: str, query: Mapping[str, str]) -> str:
        return signature.challenge(verify_token, query)

    def parse(self, channel: Channel, body: bytes) -> Parsed:
        return parse.parse(channel.account, body, self._clock())

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        answer = await self._call(channel, "POST", "/messages", payload.message(message))
        sent = items(answer.get("messages"))
        provider_id = word(mapping(sent[0]).get("id")) if sent else ""
        if not provider_id:
            # Taken, as far as the status says, but without the id that its receipts will name.
            raise SendError(
                "whatsapp:no_id", "WhatsApp's answer holds no message id.", True, outcome="unknown"
            )
        return Sent(provider_id)

    async def mark_read(self, channel: Channel, conversation: str, provider_id: str, typing: bool) -> None:
        await self._call(channel, "POST", "/messages", payload.read_mark(provider_id, typing))

    async def check(self, channel: Channel) -> str:
        """The number as WhatsApp shows it, when the token may use it. Raises SendError."""
        answer = await self._call(channel, "GET", "?fields=display_phone_number,verified_name", None)
        return word(answer.get("display_phone_number"))

    async def _call(
        self, channel: Channel, method: str, path: str, body: dict[str, Any] | None
    ) -> Mapping[str, Any]:
        url = f"{self._api_url}/{_version(channel)}/{quote(channel.account, safe='')}{path}"
        headers = {"Authorization": f"Bearer {_token(channel)}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        try:
            status, answer, wait = await self._exchange(method, url, headers, data)
        except (aiohttp.ClientError, TimeoutError) as error:
            # Their texts hold addresses, and the request's headers hang on some of them: neither goes on.
            raise transport_error("whatsapp", error) from None
        if not 200 <= status < 300:
            raise send_error(status, answer, wait)
        return mapping(answer)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None
    ) -> tuple[int, object, float | None]:
        async with self._session.request(
            method, url, headers=headers, data=data, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            answer = _json(await _read(response.content))
            return response.status, answer, retry_after(response.headers, self._clock())


async def _read(stream: aiohttp.StreamReader) -> bytes:
    """The answer, cut where it is longer than any real one."""
    found = b""
    while len(found) < MAX_ANSWER and (more := await stream.read(MAX_ANSWER - len(found))):
        found += more
    return found


def _json(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _version(channel: Channel) -> str:
    match = _VERSION.fullmatch(str(channel.config.get("api_version") or ""))
    return f"v{match[1]}" if match else API_VERSION


def _token(channel: Channel) -> str:
    token = channel.secrets.get("access_token", "").strip()
    if not (token and token.isascii() and token.isprintable()):
        # It could not even be put into a header, and the attempt would end in an error that quotes it.
        raise SendError("whatsapp:no_token", "The channel has no usable access token.", disable_channel=True)
    return token
