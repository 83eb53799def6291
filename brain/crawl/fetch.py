"""One address, fetched: bounded in time and size, each redirect looked at, the failure told in words.

Whether an address may be reached at all is for the session that is handed in: its connections are guarded
(`gateway.ops.egress`); nothing here looks names up.
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import aiohttp
from yarl import URL

AGENT: Final = (
    "ParleyBot/1.0 (+https://www.rfc-editor.org/rfc/rfc9309; reads pages for the site's own assistant)"
)
"""Sites find us in their logs by it; in robots.txt we are `ParleyBot`."""

REDIRECTS: Final = 5
_PIECE: Final = 64 * 1024

Kind = Literal["gone", "refused", "later", "wrong"]
"""`gone`: the site says that it is not there. `later`: the site or the way to it is at fault, the page may be there.
`refused`: we are not let in. `wrong`: it is nothing that we read."""


class Failed(Exception):
    """An address that could not be read; the text is a sentence for a person."""

    def __init__(self, kind: Kind, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.wait = wait
        self.read = 0
        """Bytes that were read in vain."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an address gave. `url` is where it was in the end; `fresh` is false where nothing has changed."""

    url: URL
    body: bytes = field(repr=False, default=b"")
    type: str = ""
    charset: str | None = None
    validator: str = ""
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of one page, and seconds for it."""

    most: int = 5 * 1024 * 1024
    seconds: float = 20.0


Refusal = Callable[[URL], str | None]
"""Why an address must not be asked; None if it may."""


async def fetch(
    session: aiohttp.ClientSession,
    url: URL,
    refusal: Refusal,
    size: Size,
    validator: str = "",
    follows: Refusal = lambda _: None,
) -> Reply:
    """Fetch an address. `validator` is that of the copy that we have; `follows` tells why a redirect is not followed.
    Raises Failed."""
    try:
        async with asyncio.timeout(size.seconds):
            return await _follow(session, url, refusal, size, validator, follows)
    except TimeoutError:
        raise Failed("later", f"The page did not come within {size.seconds:.0f} seconds.") from None
    except aiohttp.ClientConnectorCertificateError:
        raise Failed("later", "The site's certificate is not valid.") from None
    except aiohttp.ClientConnectorError as error:
        told = str(error.os_error) if type(error.os_error).__name__ == "Blocked" else ""
        if told:
            raise Failed("refused", told) from None
        raise Failed("later", "The site can't be reached.") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if type(error).__name__ == "Blocked":
            raise Failed("refused", str(error)) from None
        raise Failed("later", "The connection to the site broke off.") from None


async def _follow(
    session: aiohttp.ClientSession,
    url: URL,
    refusal: Refusal,
    size: Size,
    validator: str,
    follows: Refusal,
) -> Reply:
    for _ in range(REDIRECTS + 1):
        if why := refusal(url):
            raise Failed("refused", why)
        async with session.get(url, allow_redirects=False, headers=_asked(validator)) as answer:
            if answer.status in (301, 302, 303, 307, 308) and (to := answer.headers.get("Location")):
                url = url.join(URL(to)).with_fragment(None)
                if why := follows(url):
                    raise Failed("wrong", why)
                continue
            return await _reply(url, answer, size)
    raise Failed("wrong", f"The page leads on and on: more than {REDIRECTS} redirects.")


def _asked(validator: str) -> dict[str, str]:
    headers = {
        "User-Agent": AGENT,
        "Accept": "text/html,application/xhtml+xml,application/pdf,text/plain;q=0.9,*/*;q=0.1",
        "Accept-Encoding": "gzip",
    }
    if validator.startswith("etag:"):
        headers["If-None-Match"] = validator[5:]
    elif validator.startswith("date:"):
        headers["If-Modified-Since"] = validator[5:]
    return headers


async def _reply(url: URL, answer: aiohttp.ClientResponse, size: Size) -> Reply:
    status = answer.status
    if status == 304:
        return Reply(url, fresh=False)
    if status != 200:
        raise _status(status, answer.headers)
    body = await _body(answer, size.most)
    return Reply(url, body, answer.content_type.lower(), answer.charset, _validator(answer.headers))


def _status(status: int, headers: Mapping[str, str]) -> Failed:
    if status in (404, 410):
        return Failed("gone", f"The page is not there any more ({status}).")
    if status in (401, 403, 407):
        return Failed(
            "refused",
            f"The site does not let us read this page ({status}). Make it public, or upload it as a file.",
        )
    if status == 429:
        after = headers.get("Retry-After", "")
        return Failed(
            "later",
            "The site asks for fewer requests (429). It is tried again later.",
            float(after) if after.isdigit() else None,
        )
    if status >= 500:
        return Failed("later", f"The site has a fault ({status}). It is tried again later.")
    return Failed("wrong", f"The site answered in a way that is no page ({status}).")


async def _body(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, unpacked by ourselves: what a small packed one becomes is bounded, too."""
    too_large = Failed("wrong", f"The page is larger than {most / 2**20:.0f} MB.")
    if (answer.content_length or 0) > most:
        raise too_large
    packing = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise Failed("wrong", "The page is packed in a way that we did not ask for.")
    unpack = None if packing in ("identity", "") else zlib.decompressobj(zlib.MAX_WBITS | 32)
    kept = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE):
        try:
            kept += piece if unpack is None else unpack.decompress(piece, most + 1 - len(kept))
        except zlib.error:
            raise Failed("wrong", "The page is packed, and damaged.") from None
        if len(kept) > most:
            too_large.read = len(kept)
            raise too_large
    return bytes(kept)


def _validator(headers: Mapping[str, str]) -> str:
    if etag := headers.get("ETag"):
        return f"etag:{etag[:200]}"
    changed = headers.get("Last-Modified")
    return f"date:{changed[:60]}" if changed else ""
