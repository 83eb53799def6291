"""Calls to Slack's Web API over the shared session, with a token that is renewed in time.

https://docs.slack.dev/apis/web-api
https://docs.slack.dev/authentication/using-token-rotation
"""

import asyncio
import base64
import json
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import aiohttp
from loguru import logger

from channels import http
from channels.http import Reply
from channels.kit import transport_error
from channels.read import mapping, word
from channels.slack.errors import as_refused, is_ok, no_token, scopes, send_error
from gateway.model.errors import ParleyError, SendError
from gateway.model.message import stable_id
from gateway.model.ports import Claim, Clock, Keep
from gateway.model.tenant import Channel

AHEAD: Final = timedelta(hours=2)
"""A token lives 12 hours and is renewed so long before its end: an hour's trouble at Slack does no harm."""

CLAIM: Final = timedelta(minutes=5)

VITAL: Final = frozenset({"auth.test", "chat.postMessage"})
"""Methods without whose permission a channel is of no use."""


@dataclass(frozen=True, slots=True)
class App:
    """The Slack app: its credentials, and where its API is."""

    api_url: str
    client_id: str = ""
    client_secret: str = ""

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()

    @property
    def origin(self) -> str:
        parts = urlsplit(self.api_url)
        return f"{parts.scheme}://{parts.netloc}"

    def is_slacks(self, url: str) -> bool:
        """Whether an address is one that a token may be sent to: Slack's own hosts, or where the API is."""
        try:
            parts, home = urlsplit(url), urlsplit(self.api_url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.username or parts.password:
            return False
        if (host, port) == (home.hostname, home.port):
            return parts.scheme == home.scheme or home.scheme == "http"
        known = ("slack.com", "slack-gov.com")
        return (
            parts.scheme in ("https", "wss")
            and port in (None, 443)
            and host.endswith(tuple(f".{k}" for k in known))
        )


class Api:
    def __init__(
        self, app: App, session: aiohttp.ClientSession, clock: Clock, keep: Keep, claim: Claim | None = None
    ) -> None:
        self.app = app
        self.session = session
        self._clock = clock
        self._keep = keep
        self._claim = claim
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._renewals: dict[str, _Renewal] = {}

    # Calls

    async def call(self, channel: Channel, method: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """One call as the channel's bot. Raises SendError."""
        try:
            return await self.with_token(await self.token(channel), method, body)
        except SendError as error:
            if error.code == "slack:token_expired" and not channel.secrets.get("refresh_token"):
                raise replace(error, retryable=False, disable_channel=True) from None
            raise

    async def with_token(
        self, token: str, method: str, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {_usable(token)}"}
        url = f"{self.app.api_url}/{method}"
        reply = await http.call(
            self.session, "slack", "POST", url, self._clock(), headers=headers, body=dict(body or {})
        )
        return _answer(method, reply)

    async def form(self, method: str, fields: Mapping[str, str], authorization: str) -> Mapping[str, Any]:
        """A call that takes a form: some methods read no JSON."""
        headers = {"Authorization": authorization, "Content-Type": "application/x-www-form-urlencoded"}
        url = f"{self.app.api_url}/{method}"
        data = urlencode(fields).encode()
        reply = await http.call(self.session, "slack", "POST", url, self._clock(), headers=headers, data=data)
        return _answer(method, reply)

    async def query(self, channel: Channel, method: str, fields: Mapping[str, str]) -> Mapping[str, Any]:
        """A reading call as the channel's bot. Nothing is sent by it, so its faults leave nothing in doubt."""
        try:
            return await self.form(method, fields, f"Bearer {_usable(await self.token(channel))}")
        except SendError as error:
            raise as_refused(error) from None

    async def who(self, token: str) -> tuple[Mapping[str, Any], frozenset[str]]:
        """What `auth.test` says of a token, and the token's scopes. Raises SendError."""
        headers = {"Authorization": f"Bearer {_usable(token)}"}
        try:
            async with self.session.post(
                f"{self.app.api_url}/auth.test", headers=headers, timeout=http.TIMEOUT, allow_redirects=False
            ) as response:
                found = http.Reply(response.status, _object(await _whole(response.content)), None)
                granted = scopes(response.headers.get("x-oauth-scopes", ""))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise transport_error("slack", error) from None
        return _answer("auth.test", found), granted

    # Tokens

    async def token(self, channel: Channel) -> str:
        """The channel's bot token, renewed if its end is near. Raises SendError."""
        known = self._newest(channel)  # first: it forgets a renewal that a new installation has overtaken
        if (renewal := self._renewals.get(channel.id)) and not renewal.kept:
            await self._write(channel, renewal)
        if not self._is_due(known):
            return known.secrets.get("bot_token", "")
        async with self._locks.setdefault(channel.id, asyncio.Lock()):
            known = self._newest(channel)
            return await self._renewed(known) if self._is_due(known) else known.secrets.get("bot_token", "")

    def expires(self, channel: Channel) -> datetime | None:
        """When the channel's token ends; None for one that does not."""
        at = channel.config.get("expires_at")
        if not channel.secrets.get("refresh_token") or not isinstance(at, int | float):
            return None
        return datetime.fromtimestamp(at, self._clock().tzinfo)

    def _is_due(self, channel: Channel) -> bool:
        ends = self.expires(channel)
        return ends is not None and ends - self._clock() < AHEAD

    def _newest(self, channel: Channel) -> Channel:
        """The channel with what this process was given last, until the directory shows it."""
        renewal = self._renewals.get(channel.id)
        if renewal is None:
            return channel
        if channel.secrets.get("refresh_token") != renewal.replaced:
            # The directory shows it, or what came with a new installation.
            del self._renewals[channel.id]
            return channel
        secrets = {**channel.secrets, **renewal.secrets}
        return replace(channel, secrets=secrets, config={**channel.config, **renewal.config})

    async def _renewed(self, channel: Channel) -> str:
        """A refresh token works once: of all processes only the one that claims it uses it; the others go on with the
        token that they have, which is why it is renewed well before its end."""
        old, refresh = channel.secrets.get("bot_token", ""), channel.secrets["refresh_token"]
        now = self._clock()
        ended = (ends := self.expires(channel)) is not None and ends <= now
        name = stable_id("slackrefresh", channel.id, refresh)
        if self._claim is not None and not await self._claim(name, now + CLAIM):
            if ended:
                text = "The token is being renewed by another process."
                raise SendError("slack:token_renewal", text, retryable=True, wait=2)
            return old
        fields = {"grant_type": "refresh_token", "refresh_token": refresh}
        try:
            answer = await self.form("oauth.v2.access", fields, self.app.basic)
        except SendError as error:
            if ended or error.disable_channel:
                raise as_refused(error) from None
            return old
        return await self._kept(channel, answer, now)

    async def _kept(self, channel: Channel, answer: Mapping[str, Any], now: datetime) -> str:
        secrets, config = grant(answer, now)
        renewal = _Renewal(channel.secrets["refresh_token"], secrets, config)
        self._renewals[channel.id] = renewal
        await self._write(channel, renewal)
        return secrets["bot_token"]

    async def _write(self, channel: Channel, renewal: "_Renewal") -> None:
        """The old refresh token is used up, so a database in trouble must not cost us the new one: it is tried again
        with the next call."""
        try:
            await self._keep(channel, renewal.secrets, renewal.config)
            renewal.kept = True
        except ParleyError as error:
            logger.bind(tenant=channel.tenant, channel=channel.id).warning(
                "a renewed token could not be stored yet: {}", type(error).__name__
            )


@dataclass(slots=True)
class _Renewal:
    """What came in place of the refresh token `replaced`."""

    replaced: str
    secrets: Mapping[str, str]
    config: Mapping[str, Any]
    kept: bool = False


def grant(answer: Mapping[str, Any], now: datetime) -> tuple[dict[str, str], dict[str, Any]]:
    """The secrets and the configuration in an answer of `oauth.v2.access`. Raises SendError when it has no token."""
    token = word(answer.get("access_token"))
    if not token:
        raise no_token()
    secrets, config = {"bot_token": token}, {}
    lasts = answer.get("expires_in")
    if (refresh := word(answer.get("refresh_token"))) and isinstance(lasts, int):
        secrets["refresh_token"] = refresh
        config["expires_at"] = int(now.timestamp()) + lasts
    return secrets, config


def _usable(token: str) -> str:
    token = token.strip()
    if not (token and token.isascii() and token.isprintable()):
        # It could not even be put into a header, and the attempt would end in an error that quotes it.
        raise no_token()
    return token


def _answer(method: str, reply: Reply) -> Mapping[str, Any]:
    if is_ok(reply):
        return reply.body
    if reply.ok and "ok" not in reply.body:
        # Accepted, as far as the status says, but by whom? A proxy's page looks like this.
        raise SendError("slack:no_answer", "Slack's answer could not be read.", True, outcome="unknown")
    error = send_error(reply)
    if error.code == "slack:missing_scope" and method not in VITAL:
        # An older installation that may not react, say, still answers its customers.
        error = replace(error, disable_channel=False)
    raise error


async def _whole(stream: aiohttp.StreamReader) -> bytes:
    """The answer, cut where it is longer than any real one. One read gives what has arrived, not all."""
    found = b""
    while len(found) < http.MAX_ANSWER and (more := await stream.read(http.MAX_ANSWER - len(found))):
        found += more
    return found


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(data))
    except (ValueError, RecursionError):
        return {}
