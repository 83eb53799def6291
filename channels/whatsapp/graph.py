"""Calls to the Graph API: one address, a token a channel, and what went wrong as `SendError`.

https://developers.facebook.com/docs/graph-api/overview
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp

from channels import http
from channels.whatsapp.errors import send_error
from gateway.model.errors import SendError
from gateway.model.ports import Clock
from gateway.model.tenant import Channel

API_VERSION: Final = "v26.0"

VERSIONS: Final[Mapping[str, date | None]] = {
    "v26.0": None,
    "v25.0": date(2028, 7, 29),
    "v24.0": date(2028, 2, 18),
    "v23.0": date(2027, 10, 8),
    "v22.0": date(2027, 5, 20),
    "v21.0": date(2027, 1, 21),
}
"""Until when each version is answered: https://developers.facebook.com/docs/graph-api/changelog. Older ones are not."""

_VERSION: Final = re.compile(r"v?(\d{1,2}\.\d)", re.ASCII)


class Graph:
    """One for the process. `url` is the API's base address, without a version and a slash at its end."""

    def __init__(self, url: str, session: aiohttp.ClientSession, clock: Clock) -> None:
        self.url = url.rstrip("/")
        self.session = session
        self.clock = clock

    async def call(
        self,
        channel: Channel,
        method: str,
        *path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Mapping[str, Any]:
        """The answer to a call under the channel's version, with its token or another one. Raises SendError."""
        reply = await self.exchange(channel, method, *path, body=body, query=query, token=token)
        if not reply.ok:
            raise send_error(reply.status, reply.body, reply.wait)
        return reply.body

    async def exchange(
        self,
        channel: Channel,
        method: str,
        *path: str,
        body: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        token: str | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> http.Reply:
        """As `call`, but a refusal is an answer too. `path` is in parts, quoted here: none can
        lead elsewhere."""
        return await http.call(
            self.session,
            "whatsapp",
            method,
            self._address(channel, path, query),
            self.clock(),
            headers={"Authorization": f"Bearer {token or token_of(channel)}", **(headers or {})},
            body=body,
            data=data,
            timeout=timeout or http.TIMEOUT,
        )

    def _address(self, channel: Channel, path: Sequence[str], query: Mapping[str, str] | None) -> str:
        # A part of dots alone would be taken as a step up; an upload's id holds a colon.
        quoted = "/".join(quote(part, safe=":") if part.strip(".") else "_" for part in path)
        return f"{self.url}/{version_of(channel)}/{quoted}" + (f"?{urlencode(query)}" if query else "")


def version_of(channel: Channel) -> str:
    match = _VERSION.fullmatch(str(channel.config.get("api_version") or ""))
    return f"v{match[1]}" if match else API_VERSION


def is_version(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


def token_of(channel: Channel) -> str:
    """The channel's access token. Raises SendError for one that could not even be put into a header: the attempt
    would end in an error that quotes it."""
    token = channel.secrets.get("access_token", "").strip()
    if not (token and token.isascii() and token.isprintable()):
        raise SendError("whatsapp:no_token", "The channel has no usable access token.", disable_channel=True)
    return token
