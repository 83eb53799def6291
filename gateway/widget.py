"""The widget's files, and the demo page that shows it."""

import gzip
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from aiohttp import web

from gateway.store.directory import Directory

DEMO_SITE = "ch_demo"
"""The demo tenant's site: its id is the same on every install, so that the demo page needs no settings."""

_DEMO_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {socket}; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
YEAR = 31_536_000


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes
    tag: str
    kind: str


class Widget:
    def __init__(self, directory: Directory, public_url: str) -> None:
        self._directory = directory
        self._public_url = public_url

    def routes(self) -> list[web.RouteDef]:
        folder = files("web_widget")
        loader = _file(folder.joinpath("dist/v1.js").read_bytes(), "text/javascript")
        app = _file(folder.joinpath("dist/app.js").read_bytes(), "text/javascript")
        css = _file(folder.joinpath("demo.css").read_bytes(), "text/css")
        self._demo = folder.joinpath("demo.html").read_text(encoding="utf-8")
        return [
            web.get("/widget/v1.js", _serve(loader, 300)),
            web.get("/widget/app.js", _serve(app, YEAR)),
            web.get("/demo.css", _serve(css, 300)),
            web.get("/demo", self.demo),
            web.get("/favicon.ico", _no_icon),
        ]

    async def demo(self, request: web.Request) -> web.Response:
        """A page of an imaginary business with the widget on it."""
        await self._directory.channel(DEMO_SITE)  # NotFound where there is no demo
        socket = f"{'wss' if request.secure else 'ws'}://{request.host}"
        page = self._demo.replace("{{site}}", DEMO_SITE).replace(
            "{{origin}}", escape(f"{request.scheme}://{request.host}")
        )
        return web.Response(
            text=page,
            content_type="text/html",
            headers={
                "Content-Security-Policy": _DEMO_POLICY.format(socket=socket),
                "Referrer-Policy": "strict-origin",
            },
        )


async def _no_icon(request: web.Request) -> web.Response:
    """Browsers ask for it unasked; an error in their console would worry somebody."""
    return web.Response(status=204, headers={"Cache-Control": f"public, max-age={YEAR}"})


def _file(body: bytes, kind: str) -> _File:
    return _File(body, gzip.compress(body, 9, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:24]}"', kind)


def _serve(file: _File, age: int) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        # An address without the version of this build (`?v=`) may change under its name: keep it shortly.
        headers = {
            "ETag": file.tag,
            "Cache-Control": f"public, max-age={age if age < YEAR or 'v' in request.query else 300}",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Access-Control-Allow-Origin": "*",
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        if packed:
            headers["Content-Encoding"] = "gzip"
        return web.Response(
            body=file.packed if packed else file.body, content_type=file.kind, headers=headers
        )

    return serve
