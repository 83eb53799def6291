"""Files from the widget: `POST /widget/files?site=…&name=…`, the bytes as the body, the visitor's token as authorization.

The answer names the file; the widget then says it over its socket. Only the visitor who uploaded a file can say it.
"""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from channels.registry import WebAdapter
from gateway import media
from gateway.files import FileLinks
from gateway.inbox import conversation_of
from gateway.model.errors import Invalid, NotAuthentic, NotFound, Unavailable
from gateway.model.identity import Identity
from gateway.model.ports import Clock
from gateway.model.tenant import Channel
from gateway.ops.problems import problem
from gateway.site import open_site, told
from gateway.store import Store

MOST_BYTES: Final = 25 * 1024 * 1024
AT_ONCE: Final = 2
"""Uploads that one visitor may have under way."""

MOST_OF_A_SITE: Final = 16
"""Uploads that all visitors of one site may have under way: one site can't take everybody's places."""

MOST_AT_ONCE: Final = 64
MOST_UNSAID: Final = 100
"""Files that one visitor may have uploaded and not said."""

REFUSED: Final = frozenset(
    {
        "text/html",
        "image/svg+xml",
        "application/vnd.microsoft.portable-executable",
        "application/x-elf",
        "application/octet-stream",
    }
)
"""What a visitor may not send: nobody should open it."""


class Uploads:
    def __init__(self, store: Store, adapter: WebAdapter, clock: Clock, links: FileLinks) -> None:
        self._store = store
        self._adapter = adapter
        self._clock = clock
        self._links = links
        self._by_visitor: Counter[str] = Counter()
        self._by_site: Counter[str] = Counter()

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/widget/files", self.upload), web.options("/widget/files", self.preflight)]

    async def preflight(self, request: web.Request) -> web.Response:
        """A page asks whether it may: the same answer as for its session."""
        try:
            await self._site(request)
        except (NotFound, NotAuthentic):
            return web.Response(status=403)
        headers = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "600",
        }
        return told(request, web.Response(status=204, headers=headers))

    async def upload(self, request: web.Request) -> web.Response:
        try:
            channel = await self._site(request)
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            visitor = self._adapter.tokens.read_visitor(
                token if scheme.lower() == "visitor" else "", channel.id, self._clock()
            )
        except NotFound:
            answer = problem(404, "no_site", "There is no such site.")
        except NotAuthentic:
            answer = problem(
                401, "token", "The visitor token is not valid (any more), or the page may not use this site."
            )
        else:
            answer = await self._limited(request, channel, visitor)
        if not request.content.at_eof():
            answer.force_close()  # what is left of a refused file is not read
        return told(request, answer)

    async def _site(self, request: web.Request) -> Channel:
        channel = await open_site(self._store.directory, request.query.get("site", ""))
        if request.headers.get("Origin", "") not in channel.origins:
            raise NotAuthentic
        return channel

    async def _limited(self, request: web.Request, channel: Channel, visitor: str) -> web.Response:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return problem(415, "compressed", "Send the file as it is.")
        if request.content_length is None:
            return problem(411, "length", "Say how long the file is (Content-Length).")
        if request.content_length > MOST_BYTES:
            return problem(413, "too_large", f"A file may have at most {MOST_BYTES // 2**20} MB.")
        if (
            self._by_visitor[visitor] >= AT_ONCE
            or self._by_site[channel.id] >= MOST_OF_A_SITE
            or self._by_site.total() >= MOST_AT_ONCE
        ):
            return problem(429, "busy", "Wait until the last file is there.", headers={"Retry-After": "5"})
        self._by_visitor[visitor] += 1
        self._by_site[channel.id] += 1
        try:
            return await self._taken(request, channel, visitor)
        except media.Stalled:
            return problem(408, "slow", "The file stopped coming, or came too slowly. Send it again.")
        except Invalid as error:
            return problem(422, "file", f"Please choose {error.expected}.")
        except Unavailable:
            return problem(503, "unavailable", "Try again shortly.", headers={"Retry-After": "5"})
        finally:
            self._by_visitor[visitor] -= 1
            self._by_site[channel.id] -= 1
            self._by_visitor += Counter()  # forgets whoever has none
            self._by_site += Counter()

    async def _taken(self, request: web.Request, channel: Channel, visitor: str) -> web.Response:
        conversation = conversation_of(channel.id, Identity("web", channel.id, visitor))
        files = self._store.of(channel.tenant).files
        if await files.unsaid(conversation, MOST_UNSAID) >= MOST_UNSAID:
            return problem(
                429,
                "too_many",
                "Many files were uploaded here and not sent. Send them first, or come back later.",
            )
        file = await media.take(
            files,
            channel.tenant,
            channel.id,
            conversation,
            request.query.get("name", ""),
            _body(request),
            MOST_BYTES,
            self._clock(),
            lambda mime: mime not in REFUSED,
        )
        return web.json_response({"file": file.id, "name": file.name, "mime": file.mime, "size": file.size})


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for part in request.content.iter_chunked(64 * 1024):
        yield part
