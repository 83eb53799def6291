"""One exchange with a provider over the shared session: bounded, never redirected, its faults as `SendError`.

Providers' own SDKs are not used to send: each would bring a second HTTP stack, several times the processor time a call,
and retries that we can't see (docs/decisions/0003).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp

from channels.kit import retry_after, transport_error
from channels.read import mapping

TIMEOUT: Final = aiohttp.ClientTimeout(total=20, sock_connect=5, sock_read=15)
UPLOAD: Final = aiohttp.ClientTimeout(total=900, sock_connect=5, sock_read=60)
"""A file may take long; a provider that takes nothing for a minute is gone."""

MAX_ANSWER: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """A provider's answer. `body` is empty when it is not a JSON object. `wait`: seconds that it asks us to wait."""

    status: int
    body: Mapping[str, Any]
    wait: float | None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


async def call(
    session: aiohttp.ClientSession,
    kind: str,
    method: str,
    url: str,
    now: datetime,
    *,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    data: Any = None,
    timeout: aiohttp.ClientTimeout = TIMEOUT,
) -> Reply:
    """Send `body` as JSON (or `data` as aiohttp takes it). Raises SendError when there was no answer."""
    sent = dict(headers or {})
    if body is not None:
        data = json.dumps(body, separators=(",", ":")).encode()
        sent["Content-Type"] = "application/json; charset=utf-8"
    try:
        async with session.request(
            method, url, headers=sent, data=data, timeout=timeout, allow_redirects=False
        ) as response:
            answer = _json(await _read(response.content))
            return Reply(response.status, mapping(answer), retry_after(response.headers, now))
    except (aiohttp.ClientError, TimeoutError) as error:
        # Their texts hold addresses, and the request's headers hang on some of them: neither goes on.
        raise transport_error(kind, error) from None


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
