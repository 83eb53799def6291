"""The widget's session: a page asks, and gets a visitor's token, a ticket for a socket, and how the widget looks."""

import json
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from channels.registry import WebAdapter, language_for
from gateway.model.errors import NotAuthentic, NotFound, Unavailable
from gateway.model.limits import Limits
from gateway.model.ports import Clock
from gateway.model.tenant import Channel, Tenant
from gateway.ops.door import too_many
from gateway.ops.problems import problem
from gateway.site import open_site, told
from gateway.store import Store

MOST_BODY: Final = 4 * 1024


class Sessions:
    def __init__(
        self, store: Store, adapter: WebAdapter, clock: Clock, public_url: str, limits: Limits
    ) -> None:
        self._store = store
        self._adapter = adapter
        self._clock = clock
        self._public_url = public_url
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/widget/session", self.session)]

    async def session(self, request: web.Request) -> web.Response:
        try:
            answer = await self._session(request)
        except Unavailable:
            answer = problem(503, "unavailable", "Try again shortly.", headers={"Retry-After": "5"})
        return told(request, answer)

    async def _session(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        if asked is None:
            return problem(400, "bad_session", 'The body must be JSON: {"site", "token", "language"}.')
        site, token, wanted = asked
        try:
            channel = await open_site(self._store.directory, site)
        except NotFound:
            return problem(404, "no_site", "There is no such site. Check data-site in the page's script tag.")
        if request.headers.get("Origin", "") not in channel.origins:
            return problem(403, "origin", "This page's origin is not on the site's list of allowed origins.")
        tenant = await self._store.directory.tenant(channel.tenant)
        if wait := await self._limits.take("site", channel.id, tenant.limits):
            return too_many("site", wait)
        return self._begin(request, channel, tenant, token, wanted)

    async def _asked(self, request: web.Request) -> tuple[str, str | None, str | None] | None:
        if request.content_length is not None and request.content_length > MOST_BODY:
            return None
        try:
            asked = json.loads(await _upto(request, MOST_BODY))
        except (ValueError, RecursionError):
            return None
        if not isinstance(asked, dict):
            return None
        site, token, language = asked.get("site"), asked.get("token"), asked.get("language")
        if (
            not isinstance(site, str)
            or not isinstance(token, str | None)
            or not isinstance(language, str | None)
        ):
            return None
        return site, token, language

    def _begin(
        self, request: web.Request, channel: Channel, tenant: Tenant, token: str | None, wanted: str | None
    ) -> web.Response:
        now, tokens = self._clock(), self._adapter.tokens
        visitor = None
        if token:
            try:
                visitor = tokens.read_visitor(token, channel.id, now)
            except NotAuthentic:
                return problem(
                    401, "token", "The visitor token is not valid (any more). Ask again without one."
                )
        visitor, token = tokens.visitor(channel.id, now, visitor)
        language = language_for(channel.site.language, wanted, tenant.language)
        site = channel.site
        return web.json_response(
            {
                "token": token,
                "ticket": tokens.ticket(channel.id, visitor, language, now),
                "socket": self._socket_url(request),
                "site": {
                    "title": site.title,
                    "greeting": site.greeting,
                    "color": site.color,
                    "position": site.position,
                    "avatar": site.avatar,
                    "language": language,
                    "links": [*channel.origins, *site.links],
                },
            }
        )

    def _socket_url(self, request: web.Request) -> str:
        """The public address if the page came by it, else the address that this request used (a phone in the same
        network, a test on a free port)."""
        public = urlsplit(self._public_url)
        secure = public.scheme == "https"
        host = public.netloc if secure else request.host
        return f"{'wss' if secure else 'ws'}://{host}/widget/ws"


async def _upto(request: web.Request, limit: int) -> bytes:
    """The body. Raises ValueError when it is longer."""
    body = b""
    async for part in request.content.iter_any():
        body += part
        if len(body) > limit:
            raise ValueError("too long")
    return body
