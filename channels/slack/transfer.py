"""Files to and from Slack, streamed.

https://docs.slack.dev/messaging/working-with-files
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import aiohttp
from yarl import URL

from channels import http
from channels.kit import http_error, transport_error
from channels.read import items, mapping, short_id, word
from channels.slack.api import Api
from channels.slack.errors import as_refused
from channels.slack.payload import comment, place
from gateway.model.content import Media
from gateway.model.errors import NotFound, SendError
from gateway.model.ports import Clock, Download, Files, OpenFile, Outgoing, Sent
from gateway.model.tenant import Channel

CHUNK: Final = 64 * 1024
REDIRECTS: Final = 3
KEPT: Final = timedelta(minutes=30)
"""So long an uploaded file that was not shared yet is taken up again instead of uploaded a second time."""

PAUSES: Final = [0.2, 0.4, 0.8, 1.6, 3.0]
"""Seconds between looks whether Slack has shared a file: it says "ok" before it has, and what we send next would
overtake the file."""

_REDIRECT: Final = 300


class Transfer:
    def __init__(self, api: Api, files: Files, clock: Clock) -> None:
        self._api = api
        self._files = files
        self._clock = clock

    # Out

    async def send(self, channel: Channel, message: Outgoing, media: Sequence[Media]) -> Sent:
        """Files as one message, in the address's thread. Raises SendError.

        A file that was handed over before, but whose message was never seen, is looked for first: what the customer
        has already is not sent again.
        """
        target, root = place(message.address)
        if not target.startswith(("C", "D", "G")):
            target = await self.opened(channel, target)
        ids: list[str] = []
        for item in media:
            known = await self._files.uploaded(channel.tenant, item.file or "", channel.id)
            if known and (sent := await self._seen(channel, known, target)):
                return await self._finished(channel, media, ids or [known], sent)
            ids.append(known or await self._upload(channel, item))
        body: dict[str, Any] = {
            "files": [
                {"id": i, **({"title": m.name} if m.name else {})} for i, m in zip(ids, media, strict=True)
            ],
            "channel_id": target,
        }
        body |= {"thread_ts": root} if root else {}
        body |= comment([(m.caption, m.markup) for m in media if m.caption])
        try:
            await self._api.call(channel, "files.completeUploadExternal", body)
        except SendError as error:
            if error.code == "slack:file_not_found":
                # The ticket is too old, or was used: next time from the start.
                await self._forget(channel, media, ids)
            raise
        for pause in (0.0, *PAUSES):
            await asyncio.sleep(pause)
            if sent := await self._seen(channel, ids[0], target):
                return await self._finished(channel, media, ids, sent)
        text = "Slack took the file and has not shown it yet."
        raise SendError("slack:not_shared", text, retryable=True, wait=5, outcome="unknown")

    async def opened(self, channel: Channel, user: str) -> str:
        """The direct message with a person. Raises SendError."""
        try:
            answer = await self._api.call(channel, "conversations.open", {"users": user})
        except SendError as error:
            raise as_refused(error) from None
        if not (found := short_id(mapping(answer.get("channel")).get("id"))):
            raise SendError("slack:no_channel", "Slack did not name the conversation with the person.", True)
        return found

    async def _upload(self, channel: Channel, media: Media) -> str:
        """The id of a file whose bytes Slack has."""
        try:
            file = await self._files.open(channel.tenant, media.file or "")
        except NotFound:
            raise SendError("slack:no_file", "The file is not there any more.") from None
        name = media.name or file.name or media.media
        fields = {"filename": name[:255], "length": str(file.size)}
        answer = await self._api.query(channel, "files.getUploadURLExternal", fields)
        url, given = word(answer.get("upload_url")), short_id(answer.get("file_id"))
        if not given or not self._api.app.is_slacks(url):
            raise SendError("slack:no_upload_address", "Slack gave no address to upload the file to.", True)
        await self._put(url, file)
        until = self._clock() + KEPT
        await self._files.remember(channel.tenant, media.file or "", channel.id, given, until)
        return given

    async def _put(self, url: str, file: OpenFile) -> None:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.size)}
        try:
            reply = await http.call(
                self._api.session,
                "slack",
                "POST",
                url,
                self._clock(),
                headers=headers,
                data=file.read(),
                timeout=http.UPLOAD,
            )
        except SendError as error:
            raise as_refused(error) from None
        if not reply.ok:
            raise as_refused(http_error("slack", reply.status, reply.wait))

    async def _seen(self, channel: Channel, file: str, target: str) -> Sent | None:
        """The message that shows the file there, if there is one."""
        try:
            found = mapping((await self._api.query(channel, "files.info", {"file": file})).get("file"))
        except SendError as error:
            if error.code in ("slack:file_not_found", "slack:file_deleted"):
                return None
            # The message may be out: what we do not know must not be taken for "no".
            raise SendError(error.code, error.text, True, error.wait, "unknown") from None
        shares = mapping(found.get("shares"))
        for kind in ("public", "private"):
            for share in items(mapping(shares.get(kind)).get(target)):
                if ts := short_id(mapping(share).get("ts")):
                    return Sent(f"{target}:{ts}")
        places = (p for kind in ("ims", "channels", "groups") for p in _names(found.get(kind)))
        return Sent(f"{target}:{file}") if target in places else None

    async def _finished(
        self, channel: Channel, media: Sequence[Media], ids: Sequence[str], sent: Sent
    ) -> Sent:
        # An upload can be shared once: the next message with this file uploads it anew.
        await self._forget(channel, media, ids)
        return sent

    async def _forget(self, channel: Channel, media: Sequence[Media], ids: Sequence[str]) -> None:
        for item, given in zip(media, ids, strict=False):
            await self._files.remember(channel.tenant, item.file or "", channel.id, given, self._clock())

    # In

    @asynccontextmanager
    async def fetch(self, channel: Channel, file: str) -> AsyncIterator[Download]:
        """A customer's file by its id."""
        found = mapping((await self._api.query(channel, "files.info", {"file": file})).get("file"))
        url = word(found.get("url_private_download")) or word(found.get("url_private"))
        if not url or word(found.get("mode")) in ("tombstone", "hidden_by_limit"):
            raise SendError("slack:file_gone", "The file was deleted, or the workspace's plan hides it.")
        size = found.get("size")
        size = size if isinstance(size, int) and not isinstance(size, bool) else None
        token = await self._api.token(channel)
        async with self._reached(url, token) as response:
            _refuse_a_page(response, word(found.get("mimetype")), size)
            yield Download(
                _chunks(response), word(found.get("mimetype")), size, word(found.get("name")) or None
            )

    @asynccontextmanager
    async def _reached(self, url: str, token: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The file's answer; redirects are followed on Slack's own hosts, which all want the token."""
        for _ in range(REDIRECTS + 1):
            if not self._api.app.is_slacks(url):
                raise SendError("slack:foreign_host", "The file lies on a host that is not Slack's.")
            try:
                response = await self._api.session.get(
                    url,
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=http.UPLOAD,
                    allow_redirects=False,
                )
            except (aiohttp.ClientError, TimeoutError) as error:
                raise as_refused(transport_error("slack", error)) from None
            if not _REDIRECT <= response.status < 400:
                break
            url = _joined(response.url, response.headers.get("Location", ""))
            response.release()
        else:
            raise _sign_in()
        try:
            if response.status >= _REDIRECT:
                raise _fault(response)
            yield response
        finally:
            response.close()


def _joined(base: URL, location: str) -> str:
    try:
        return str(base.join(URL(location)))
    except ValueError:
        return ""


def _names(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _fault(response: aiohttp.ClientResponse) -> SendError:
    if response.status in (401, 403):
        return _sign_in()
    if response.status in (404, 410):
        return SendError("slack:file_gone", "The file was deleted.")
    return as_refused(http_error("slack", response.status, None))


def _refuse_a_page(response: aiohttp.ClientResponse, mime: str, size: int | None) -> None:
    """Slack answers a token that may not read the file with its sign-in page and status 200."""
    is_page = response.content_type == "text/html"
    if is_page and (
        mime != "text/html" or (size is not None and response.content_length not in (None, size))
    ):
        raise _sign_in()


def _sign_in() -> SendError:
    text = "Slack asks to sign in instead of giving the file: the token lacks files:read, or was revoked."
    return SendError("slack:sign_in", text, retryable=True, wait=60, most_attempts=3)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for part in response.content.iter_chunked(CHUNK):
            yield part
    except (aiohttp.ClientError, TimeoutError) as error:
        raise as_refused(transport_error("slack", error)) from None
