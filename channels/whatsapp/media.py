"""Files to and from WhatsApp: uploads that are streamed out of our store, downloads that are streamed into it.

https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

import mimetypes
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import aiohttp
from yarl import URL

from channels import http
from channels.kit import http_error, retry_after, transport_error
from channels.read import mapping, word
from channels.whatsapp.errors import send_error
from channels.whatsapp.graph import Graph, token_of
from channels.whatsapp.payload import MEDIA
from gateway.model.content import Media
from gateway.model.errors import NotFound, SendError
from gateway.model.ports import Download, Files, OpenFile
from gateway.model.tenant import Channel

HOSTS: Final = frozenset({"lookaside.fbsbx.com", "graph.facebook.com"})
"""Where Meta says that its files are. The token is sent nowhere else, but to the address that the API itself has."""

KEPT: Final = timedelta(days=29)
"""An uploaded file is kept for 30 days."""

PART: Final = 256 * 1024
_HOPS: Final = 2
_EXPIRED: Final = frozenset({401, 403, 404, 410})
"""What the file's own host answers once the address has expired, five minutes after it was made."""


# Out ------------------------------------------------------------------------------------------------------


async def upload(graph: Graph, files: Files, channel: Channel, media: Media) -> str:
    """Send a file of our own to WhatsApp and keep the id that it got. Raises SendError, `refused` in any case: a
    message was not sent yet."""
    file = media.file or ""
    try:
        opened = await files.open(channel.tenant, file)
    except NotFound:
        raise SendError("whatsapp:no_file", "The file is not there any more.") from None
    _check(opened, media)
    try:
        answer = await _post(graph, channel, opened)
    except SendError as error:
        raise replace(error, outcome="refused") from None
    given = word(answer.get("id"))
    if not given:
        raise SendError(
            "whatsapp:no_id", "WhatsApp's answer holds no file id.", retryable=True, most_attempts=3
        )
    await files.remember(channel.tenant, file, channel.id, given, graph.clock() + KEPT)
    return given


def _check(opened: OpenFile, media: Media) -> None:
    """The documented table again, now for the file itself: what the message said of it was a claim."""
    rule, mime = MEDIA[media.media], _bare(opened.mime)
    if mime not in rule.mimes:
        raise SendError("whatsapp:file_type", f"WhatsApp takes no {mime or 'untyped file'} as {media.media}.")
    if not 0 < opened.size <= rule.most_bytes:
        most = f"{rule.most_bytes / 2**20:.3g} MB"
        raise SendError("whatsapp:file_size", f"WhatsApp takes 1 byte to {most} as {media.media}.")


def _bare(mime: str) -> str:
    return mime.partition(";")[0].strip().lower()


async def _post(graph: Graph, channel: Channel, opened: OpenFile) -> Mapping[str, Any]:
    mime = _bare(opened.mime)
    # The file's own name goes with the message; this one only has to be harmless.
    name, edge = f"file{mimetypes.guess_extension(mime) or ''}", secrets.token_hex(16)
    field = '--{}\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    head = field.format(edge, "messaging_product", "whatsapp") + field.format(edge, "type", mime)
    head += f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    head += f"Content-Type: {mime}\r\n\r\n"
    start, end = head.encode(), f"\r\n--{edge}--\r\n".encode()

    async def whole() -> AsyncIterator[bytes]:
        yield start
        async for part in opened.read():
            yield part
        yield end

    headers = {
        "Content-Type": f"multipart/form-data; boundary={edge}",
        # With its length said, the body is not sent in chunks.
        "Content-Length": str(len(start) + opened.size + len(end)),
    }
    reply = await graph.exchange(
        channel, "POST", channel.account, "media", data=whole(), headers=headers, timeout=http.UPLOAD
    )
    if not reply.ok:
        raise send_error(reply.status, reply.body, reply.wait)
    return reply.body


# In -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def fetch(graph: Graph, channel: Channel, media_id: str) -> AsyncIterator[Download]:
    """A customer's file. An address that has expired is asked for anew, once."""
    async with AsyncExitStack() as stack:
        download = await _download(graph, channel, media_id, stack)
        if download is None:
            download = await _download(graph, channel, media_id, stack)
        if download is None:
            raise _gone()
        yield download


def _gone() -> SendError:
    return SendError("whatsapp:file_gone", "WhatsApp does not have the file any more.")


async def _look_up(graph: Graph, channel: Channel, media_id: str) -> Mapping[str, Any]:
    query = {"phone_number_id": channel.account}
    try:
        reply = await graph.exchange(channel, "GET", media_id, query=query)
    except SendError as error:
        raise replace(error, outcome="refused") from None
    code = word(mapping(reply.body.get("error")).get("code"))
    if reply.status in (404, 410) or code == "100":
        raise _gone()
    if not reply.ok:
        raise replace(send_error(reply.status, reply.body, reply.wait), outcome="refused")
    return reply.body


async def _download(graph: Graph, channel: Channel, media_id: str, stack: AsyncExitStack) -> Download | None:
    """The file on its way; None when its address has expired."""
    found = await _look_up(graph, channel, media_id)
    response = await _open(graph, channel, word(found.get("url")), stack)
    if response is None:
        return None
    size = word(found.get("file_size"))
    said = int(size) if size.isascii() and size.isdigit() and len(size) < 16 else None
    return Download(_parts(response, said), word(found.get("mime_type"))[:128], said)


async def _open(
    graph: Graph, channel: Channel, url: str, stack: AsyncExitStack
) -> aiohttp.ClientResponse | None:
    for _ in range(_HOPS):
        if not allowed(url, graph.url):
            raise SendError("whatsapp:file_host", "WhatsApp named an address that is not one of its own.")
        # Compressed, the file would be unpacked here, to a size that nobody has said.
        headers = {"Authorization": f"Bearer {token_of(channel)}", "Accept-Encoding": "identity"}
        request = graph.session.get(url, headers=headers, timeout=http.UPLOAD, allow_redirects=False)
        try:
            response = await stack.enter_async_context(request)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise replace(transport_error("whatsapp", error), outcome="refused") from None
        if response.status == 200:
            return response
        if response.status in _EXPIRED:
            return None
        if response.status not in (301, 302, 303, 307, 308):
            wait = retry_after(response.headers, graph.clock())
            raise replace(http_error("whatsapp", response.status, wait), outcome="refused")
        url = _joined(url, response.headers.get("Location", ""))
    raise SendError("whatsapp:file_host", "WhatsApp sends the file from place to place.")


def _joined(url: str, location: str) -> str:
    try:
        return str(URL(url).join(URL(location)))
    except ValueError:
        return ""


def allowed(url: str, api_url: str) -> bool:
    """Whether the token may be sent to an address: Meta's own hosts, and where the API is configured to be."""
    try:
        parsed, api = URL(url), URL(api_url)
        if parsed.user is not None or not parsed.host:
            return False
        return parsed.origin() == api.origin() or (
            parsed.scheme == "https" and parsed.host in HOSTS and parsed.port == 443
        )
    except ValueError:
        return False


async def _parts(response: aiohttp.ClientResponse, size: int | None) -> AsyncIterator[bytes]:
    """The file in parts. Raises SendError when it breaks off or is not as long as it was said to be."""
    seen = 0
    try:
        while part := await response.content.read(PART):
            seen += len(part)
            yield part
    except (aiohttp.ClientError, TimeoutError) as error:
        raise replace(transport_error("whatsapp", error), outcome="refused") from None
    if size is not None and seen != size:
        raise SendError(
            "whatsapp:file_length",
            "The file is not as long as WhatsApp said.",
            retryable=True,
            most_attempts=3,
        )
