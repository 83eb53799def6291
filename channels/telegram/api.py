"""Calls of the Bot API over the shared session. A token stands in every address, so no address goes into an error.

https://core.telegram.org/bots/api#making-requests
"""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp
from aiohttp.payload import AsyncIterablePayload

from channels import http
from channels.kit import http_error, transport_error
from channels.read import mapping, word
from channels.telegram.errors import send_error
from gateway.model.errors import SendError
from gateway.model.ports import Clock, Download, OpenFile
from gateway.model.tenant import Channel

TOKEN: Final = re.compile(r"(\d{1,20}):[A-Za-z0-9_-]{30,64}", re.ASCII)
_PATH: Final = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", re.ASCII)
_PART: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """One method with its parameters. `files` are sent along as parts of that name."""

    method: str
    params: Mapping[str, Any]
    files: Mapping[str, OpenFile] | None = None


class Api:
    """`api_url` is the server's base address: api.telegram.org's, a server of one's own, or a stand-in."""

    def __init__(self, api_url: str, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._api_url = api_url.rstrip("/")
        self._session = session
        self._clock = clock

    async def call(self, channel: Channel, call: Call, timeout: aiohttp.ClientTimeout = http.TIMEOUT) -> Any:
        """The method's `result`. Raises SendError."""
        url = f"{self._api_url}/bot{token_of(channel)}/{call.method}"
        now = self._clock()
        if not call.files:
            params = dict(call.params)
            reply = await http.call(self._session, "telegram", "POST", url, now, body=params, timeout=timeout)
        else:
            reply = await self._upload(url, call, call.files)
        if reply.ok and reply.body.get("ok") is True:
            return reply.body.get("result")
        if reply.ok:
            raise SendError("telegram:answer", "Telegram's answer is none.", True, outcome="unknown")
        group = str(call.params.get("chat_id", "")).startswith("-")
        raise send_error(reply.status, reply.body, reply.wait, group)

    async def _upload(self, url: str, call: Call, files: Mapping[str, OpenFile]) -> http.Reply:
        form = aiohttp.MultipartWriter("form-data")
        for key, value in call.params.items():
            text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            part = form.append(text)
            part.set_content_disposition("form-data", name=key)
        streams = [_File(file) for file in files.values()]
        for name, stream, file in zip(files, streams, files.values(), strict=True):
            # Not percent-encoded: Telegram shows the name as it comes.
            stream.set_content_disposition(
                "form-data", quote_fields=False, name=name, filename=_file_name(file)
            )
            form.append(stream)
        try:
            return await http.call(
                self._session, "telegram", "POST", url, self._clock(), data=form, timeout=http.UPLOAD
            )
        except SendError as error:
            # The message comes with its files: a body that never went out whole can't have been taken.
            whole = all(stream.sent == stream.size for stream in streams)
            raise (error if whole else replace(error, outcome="refused")) from None

    @asynccontextmanager
    async def download(self, channel: Channel, file_id: str) -> AsyncIterator[Download]:
        """A file that a customer sent. Raises SendError on entering and on reading."""
        found = mapping(await self.call(channel, Call("getFile", {"file_id": file_id})))
        path = word(found.get("file_path"))
        if not _PATH.fullmatch(path) or ".." in path.split("/"):
            raise SendError(
                "telegram:no_path", "Telegram does not say where the file is.", True, most_attempts=3
            )
        url = f"{self._api_url}/file/bot{token_of(channel)}/{path}"
        try:
            async with self._session.get(url, timeout=http.UPLOAD, allow_redirects=False) as response:
                if response.status != 200:
                    raise _no_file(response.status)
                size = found.get("file_size")
                mime = response.content_type
                yield Download(
                    _chunks(response),
                    mime="" if mime == "application/octet-stream" else mime,
                    size=size if type(size) is int else response.content_length,
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise replace(transport_error("telegram", error), outcome="refused") from None


def token_of(channel: Channel) -> str:
    token = channel.secrets.get("token", "").strip()
    if not TOKEN.fullmatch(token):
        # It would become a part of an address, and there mean something else.
        raise SendError("telegram:no_token", "The channel has no usable bot token.", disable_channel=True)
    return token


def _no_file(status: int) -> SendError:
    if status in (404, 410):
        # The address from getFile is an hour good; asking again makes a new one.
        return SendError("telegram:file_404", "Telegram does not have the file.", True, most_attempts=3)
    found = http_error("telegram", status, None)
    return replace(found, text="Telegram did not give the file.", outcome="refused")


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for part in response.content.iter_chunked(_PART):
            yield part
    except (aiohttp.ClientError, TimeoutError) as error:
        raise replace(transport_error("telegram", error), outcome="refused") from None


class _File(AsyncIterablePayload):
    """A file as a part of a form: streamed, with its length known beforehand, and counted as it goes."""

    def __init__(self, file: OpenFile) -> None:
        super().__init__(self._read(file), content_type=file.mime or "application/octet-stream")
        self._size = file.size
        self.sent = 0

    async def _read(self, file: OpenFile) -> AsyncIterator[bytes]:
        async for part in file.read():
            yield part
            self.sent += len(part)


def _file_name(file: OpenFile) -> str:
    """A name that fits into a header; Telegram shows it to the customer."""
    name = "".join(c for c in file.name if c.isprintable() and c not in '"\\/').strip()
    return name[-120:] or "file"


def sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []
