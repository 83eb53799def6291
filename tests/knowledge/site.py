"""A web site on this machine that records what it is asked for, and misbehaves as told."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

HTML = {"Content-Type": "text/html; charset=utf-8"}


@dataclass
class Given:
    """An answer: `after` seconds late, `drip` times the body again."""

    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: dict(HTML))
    drip: int = 0
    stall: bool = False


class WebSite:
    """Pages by path with query; what is not there is a 404. `made` may answer any path."""

    def __init__(self) -> None:
        self.pages: dict[str, Given] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.made: Callable[[web.Request], Given | None] = lambda _: None
        self.down = False
        self.url = ""
        self.released = asyncio.Event()

    def page(self, path: str, title: str, text: str = "", *links: str, **headers: str) -> None:
        anchors = "".join(f'<a href="{link}">more</a>' for link in links)
        body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p><nav>{anchors}</nav></body></html>"
        self.pages[path] = Given(body, headers={**HTML, **headers})

    def give(self, path: str, body: str | bytes = "", status: int = 200, **headers: str) -> None:
        self.pages[path] = Given(
            body, status, {k.replace("_", "-"): v for k, v in headers.items()} or dict(HTML)
        )

    def paths(self) -> list[str]:
        """What was asked for, without robots.txt and the sitemap that every site is asked for."""
        return [p for p in self.asked if p not in ("/robots.txt", "/sitemap.xml")]

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        server = web.TCPSite(self._runner, "127.0.0.1", 0)
        await server.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        self.headers.append({k.lower(): v for k, v in request.headers.items()})
        if self.down:
            return web.Response(status=503)
        given = self.pages.get(request.path_qs) or self.made(request)
        if given is None:
            return web.Response(status=404)
        if given.stall:
            await self.released.wait()
        etag = given.headers.get("ETag")
        if etag and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        date = given.headers.get("Last-Modified")
        if date and request.headers.get("If-Modified-Since") == date:
            return web.Response(status=304)
        body = given.body.encode() if isinstance(given.body, str) else given.body
        if given.drip:
            answer = web.StreamResponse(status=given.status, headers=given.headers)
            await answer.prepare(request)
            with contextlib.suppress(ConnectionError):
                for _ in range(given.drip):
                    await answer.write(body)
            return answer
        return web.Response(body=body, status=given.status, headers=given.headers)
