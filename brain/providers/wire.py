"""One exchange with a provider of models over a shared session: bounded, never redirected, its faults as `ProviderError`.

No SDK: each would bring a second HTTP stack and retries that nobody sees (docs/decisions/0019).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from brain.port import ProviderError
from brain.providers.sse import Event, TooLong, events

MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an answer in one piece: 96 vectors of 1,536 numbers as text are about 3 MB."""

LONGEST_WAIT: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to, and with which key, which no text of it shows."""

    session: aiohttp.ClientSession
    address: str
    key: str | None

    def __repr__(self) -> str:
        return "Endpoint(…)"

    def headers(self, accept: str) -> dict[str, str]:
        own = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        # Not compressed: what has to be bounded is what comes out.
        plain = {"Accept-Encoding": "identity", "Content-Type": "application/json", "X-Client-Name": "parley"}
        return {**own, **plain, "Accept": accept}


async def ask(endpoint: Endpoint, path: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """POST, and the JSON object that comes back, within `seconds`. Raises ProviderError."""
    try:
        async with asyncio.timeout(seconds), _posted(endpoint, path, body, "application/json") as response:
            data = await _whole(response.content)
    except TimeoutError:
        raise slow() from None
    found = json_object(data)
    if found is None:
        raise ProviderError("provider:broken", "the provider's answer is not JSON")
    return found


@asynccontextmanager
async def streamed(
    endpoint: Endpoint, path: str, body: Mapping[str, Any]
) -> AsyncIterator[AsyncIterator[Event]]:
    """POST, and the events that come back. Time is the caller's to bound. Raises ProviderError."""
    async with _posted(endpoint, path, body, "text/event-stream") as response:
        yield _events(response)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    try:
        async for event in events(response.content.iter_any()):
            yield event
    except TooLong:
        raise ProviderError("provider:broken", "the provider's stream is too long") from None
    except aiohttp.ClientError:
        raise truncated() from None


@asynccontextmanager
async def _posted(
    endpoint: Endpoint, path: str, body: Mapping[str, Any], accept: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    data = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    try:
        async with endpoint.session.post(
            endpoint.address.rstrip("/") + path,
            data=data,
            headers=endpoint.headers(accept),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=4),
        ) as response:
            if response.status != 200:
                raise refusal(response.status, _wait(response.headers))
            yield response
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL):
        raise ProviderError("provider:away", "the provider can't be reached") from None
    except aiohttp.ConnectionTimeoutError:
        raise ProviderError("provider:away", "the provider can't be reached") from None
    except aiohttp.ClientError:
        # Their texts hold addresses, and the request's headers hang on some of them: neither goes on.
        raise truncated() from None
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        raise ProviderError("provider:away", "the provider can't be reached") from None


async def _whole(stream: aiohttp.StreamReader) -> bytes:
    found = bytearray()
    while more := await stream.readany():
        found += more
        if len(found) > MAX_ANSWER:
            raise ProviderError("provider:broken", "the provider's answer is too long")
    return bytes(found)


def refusal(status: int, wait: float | None = None) -> ProviderError:
    """What an HTTP status means (https://docs.cohere.com/reference/errors; others mean the same by theirs)."""
    if status in (401, 403):
        return ProviderError("provider:key", "the provider does not take the key")
    if status == 429:
        return ProviderError("provider:limit", "the provider's limit is reached", wait)
    if status in (408, 499, 504):
        return slow()
    if status >= 500:
        return ProviderError("provider:broken", f"the provider answered with {status}", wait)
    return ProviderError("provider:refused", f"the provider refused the request with {status}")


def slow() -> ProviderError:
    return ProviderError("provider:slow", "the provider did not answer in time")


def truncated() -> ProviderError:
    return ProviderError("provider:broken", "the provider's answer broke off")


def json_object(data: bytes | str) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def inside(value: object, *path: str | int) -> object:
    """What stands at a path of a JSON value; None where something on the way is not as expected."""
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def amount(value: object) -> int | None:
    """A count that a provider told; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**40 else None


def _wait(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds; its form as a date is not used by these providers."""
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None
