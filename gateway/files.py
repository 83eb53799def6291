"""Files out to browsers: signed, expiring addresses on a path of their own, always as a download.

An address names the tenant, the file and until when it holds, under a signature; whoever has it may fetch that one file
and nothing else. What strangers sent is never shown in a page's own context: it comes as an attachment, sandboxed, with its
type fixed. Only thumbnails, which we made ourselves, may be embedded.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final, Literal
from urllib.parse import quote

from aiohttp import web
from loguru import logger

from gateway.model.errors import NotFound, ParleyError
from gateway.model.file import File
from gateway.model.ports import Clock
from gateway.store import Store
from gateway.store.files import PART

Variant = Literal["file", "thumbnail"]
CONSOLE_LASTS: Final = timedelta(hours=1)
WIDGET_LASTS: Final = timedelta(hours=12)
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
_HEADERS: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


class FileLinks:
    """Makes and reads the addresses. `keys`: the first signs, any verifies."""

    def __init__(self, keys: tuple[bytes, ...], clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def of(self, tenant: str, file: str, variant: Variant = "file", lasts: timedelta = CONSOLE_LASTS) -> str:
        """A path on our own host."""
        # In steps of a minute, so that pages made within one share an address and the browser's cache.
        until = int((self._clock() + lasts).timestamp()) // 60 * 60 + 60
        said = f"{variant}\x1f{tenant}\x1f{file}\x1f{until}".encode()
        token = base64.urlsafe_b64encode(said + b"\x1e" + _sign(self._keys[0], said))
        return f"/files/{token.decode().rstrip('=')}"

    def of_widget(self, tenant: str, file: str, variant: Variant) -> str:
        """The same, for as long as a page may stay open."""
        return self.of(tenant, file, variant, WIDGET_LASTS)

    def read(self, token: str) -> tuple[Variant, str, str, datetime]:
        """Variant, tenant, file, until. Raises NotFound, which says nothing."""
        try:
            raw = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
            said, signature = raw[:-33], raw[-32:]
            # First of all: what is not ours is not interpreted.
            if not any(hmac.compare_digest(_sign(k, said), signature) for k in self._keys):
                raise NotFound("no such file")
            variant, tenant, file, until = said.decode().split("\x1f")
            moment = datetime.fromtimestamp(int(until), tz=self._clock().tzinfo)
        except (ValueError, OverflowError, OSError):
            raise NotFound("no such file") from None
        if variant not in ("file", "thumbnail") or moment <= self._clock():
            raise NotFound("no such file")
        return ("file" if variant == "file" else "thumbnail"), tenant, file, moment


def _sign(key: bytes, said: bytes) -> bytes:
    return hmac.new(key, said, hashlib.sha256).digest()


class FileRoutes:
    def __init__(self, store: Store, links: FileLinks, clock: Clock) -> None:
        self._store = store
        self._links = links
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/files/{token}", self.file)]

    async def file(self, request: web.Request) -> web.StreamResponse:
        try:
            variant, tenant, identifier, until = self._links.read(request.match_info["token"])
            file = await self._store.of(tenant).files.get(identifier)
        except NotFound:
            return _gone("This address is not valid (any more). Open the conversation again.")
        if file.state != "ready":
            return _gone(file.error or "The file is still on its way. Try again shortly.")
        left = max(0, int((until - self._clock()).total_seconds()))
        headers = {**_HEADERS, "Cache-Control": f"private, max-age={left}, immutable"}
        if variant == "thumbnail":
            if file.thumbnail is None:
                return _gone("There is no small picture of this file.")
            return web.Response(body=file.thumbnail, content_type="image/webp", headers=headers)
        return await self._whole(request, file, headers)

    async def _whole(self, request: web.Request, file: File, headers: dict[str, str]) -> web.StreamResponse:
        asked = request.headers.get("Range", "")
        first, last = _asked(asked, file.size)
        if first > last and file.size:
            return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{file.size}"})
        part = (first, last) != (0, file.size - 1)
        headers |= {"Accept-Ranges": "bytes", "Content-Disposition": disposition(file.name)}
        if part:
            headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
        response = web.StreamResponse(status=206 if part else 200, headers=headers)
        response.content_type = file.mime or "application/octet-stream"
        response.content_length = last - first + 1
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            async for data in between(
                self._store.of(file.tenant).files.read(file, first // PART), first, last
            ):
                await response.write(data)
            await response.write_eof()
        except (ParleyError, ConnectionError) as error:
            # Too late for a status: a cut connection says that it is not whole.
            response.force_close()
            if request.transport is not None:
                request.transport.abort()
            if isinstance(error, ParleyError):
                logger.bind(tenant=file.tenant, file=file.id).error("a download was broken off: {}", error)
        return response


async def between(parts: AsyncIterator[bytes], first: int, last: int) -> AsyncIterator[bytes]:
    """The bytes from `first` to `last` of a file whose parts come from the one that holds `first` on."""
    at = first // PART * PART
    async for part in parts:
        wanted = part[max(first - at, 0) : last + 1 - at]
        at += len(part)
        if wanted:
            yield wanted
        if at > last:
            return


def _asked(header: str, size: int) -> tuple[int, int]:
    """First and last byte of one range (RFC 9110); anything else means all. First beyond last: can't be satisfied, or
    an empty file, which has no ranges."""
    if not size:
        return 0, -1
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return 0, size - 1
    if not match[1]:
        return max(0, size - int(match[2])), size - 1
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    return (first, last) if first < size else (size, size - 1)


def disposition(name: str) -> str:
    """RFC 6266: a plain name for old readers, and the whole one."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name) or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name or 'file', safe='')}"


def _gone(text: str) -> web.Response:
    return web.Response(status=404, text=text, headers={**_HEADERS, "Cache-Control": "no-store"})
