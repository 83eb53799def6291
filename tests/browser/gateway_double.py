"""A stand-in for the gateway that keeps to `docs/widget-protocol.md`, and misbehaves on command.

It runs aiohttp in a thread of its own on a free port, serves the built widget and pages that embed it,
records every frame, and is steered from the test's thread. The page's origin is `localhost`, the gateway's is
`127.0.0.1`: two origins, so that what a browser refuses across origins is refused here.
"""

import asyncio
import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from aiohttp import WSMsgType, web

from web_widget import DIST, FOLDER

Json = dict[str, Any]
T = TypeVar("T")

SITE = "ch_lumen"
PAGE = 50
GREETING = "Hi! Ask us about repairs, rentals or opening hours."


def default_site() -> Json:
    return {
        "title": "Lumen Bikes",
        "greeting": GREETING,
        "color": "#0f5f59",
        "position": "right",
        "avatar": None,
        "language": "en",
        "links": ["https://lumen.example"],
    }


@dataclass
class Visitor:
    """One visitor's conversation and open sockets."""

    token: str
    messages: list[Json] = field(default_factory=list)
    by_client_id: dict[str, Json] = field(default_factory=dict)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)

    def add(self, sender: str, content: Json, client_id: str | None = None) -> Json:
        seq = len(self.messages) + 1
        minute, second = divmod(seq, 60)
        message: Json = {
            "id": f"m{seq}-{self.token[-6:]}",
            "seq": seq,
            "from": sender,
            "at": f"2026-11-20T10:{minute:02}:{second:02}Z",
            "content": content,
        }
        if client_id is not None:
            message["client_id"] = client_id
            self.by_client_id[client_id] = message
        self.messages.append(message)
        return message


PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


class GatewayDouble:
    """The server and its switches. Attributes are set, and methods called, from the test's thread."""

    def __init__(self) -> None:
        self.site = default_site()
        self.refuse: int | None = None
        self.lose_acks = False
        self.mute = False
        self.hang_up = False
        self.reject: Json | None = None
        self.on_send: Callable[[Visitor, Json], None] | None = None
        self.complete: Json = {}
        """What a file that was said is completed with."""
        self.uploads: list[tuple[str, bytes, str]] = []
        self.refuse_upload: Json | None = None
        self.hold_upload = threading.Event()
        self.hold_upload.set()
        self.visitors: dict[str, Visitor] = {}
        self.sessions: list[Json] = []
        self.frames: list[Json] = []
        self.paths: list[str] = []
        self._tickets: dict[str, Visitor] = {}
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway-double", daemon=True)
        self._runner: web.AppRunner | None = None
        self.port = 0

    # Life

    def start(self) -> None:
        self._thread.start()
        self.run(self._serve())

    def stop(self) -> None:
        if self._runner is not None:
            self.run(self._shutdown(self._runner))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/page", self._page)
        app.router.add_get("/demo", self._demo)
        app.router.add_get("/demo.css", self._demo_css)
        app.router.add_get("/avatar.svg", self._avatar)
        app.router.add_get("/widget/{name:(?:v1|app)\\.js}", self._script)
        app.router.add_post("/widget/session", self._session)
        app.router.add_get("/widget/ws", self._socket)
        app.router.add_post("/widget/files", self._upload)
        app.router.add_route("OPTIONS", "/widget/files", self._preflight)
        app.router.add_get("/files/{name}", self._file)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        listener = web.TCPSite(self._runner, "127.0.0.1", 0)
        await listener.start()
        self.port = self._runner.addresses[0][1]

    async def _shutdown(self, runner: web.AppRunner) -> None:
        await self._close_all(1001)
        await runner.cleanup()
        # Transports close in the loop's next turns; a loop that is closed before leaves their sockets open.
        for _ in range(10):
            await asyncio.sleep(0)

    # Addresses

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def page_origin(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def strict(self) -> str:
        """The policy of a careful site, trusted types included."""
        gateway = f"{self.origin} ws://127.0.0.1:{self.port}"
        return (
            f"default-src 'none'; script-src {self.origin}; connect-src {gateway}; img-src {self.origin}; "
            "require-trusted-types-for 'script'; trusted-types parley"
        )

    def page(self, **options: str) -> str:
        """A page's address. Options: policy, language, open, tags (how many script tags), body, lang."""
        return f"{self.page_origin}/page?{urlencode(options)}"

    # Steering

    def visitor(self) -> Visitor:
        """The only visitor who has a socket or a message."""
        active = [visitor for visitor in self.visitors.values() if visitor.sockets or visitor.messages]
        if len(active) != 1:
            raise AssertionError(f"{len(active)} active visitors")
        return active[0]

    def say(self, content: Json | str, sender: str = "bot") -> Json:
        """The other side says something, to every open socket of the visitor."""
        body = {"type": "text", "text": content} if isinstance(content, str) else content
        visitor = self.visitor()

        async def work() -> Json:
            message = visitor.add(sender, body)
            await self._broadcast(visitor, {"t": "message", "message": message})
            return message

        return self.run(work())

    def send(self, frame: Json) -> None:
        """Any frame, to every open socket."""
        self.run(self._broadcast(self.visitor(), frame))

    def drop(self, code: int = 1012) -> None:
        self.run(self._close_all(code))

    def of(self, kind: str) -> list[Json]:
        with self._changed:
            return [frame for frame in self.frames if frame["t"] == kind]

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
        """Returns as soon as `condition` holds; checked after everything that happens here."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise AssertionError(f"never happened: {what}; frames: {self.frames}")

    def wait_connected(self, sockets: int = 1) -> None:
        self.wait(
            lambda: sum(len(visitor.sockets) for visitor in self.visitors.values()) == sockets,
            f"{sockets} sockets",
        )

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()

    # Pages

    async def _page(self, request: web.Request) -> web.Response:
        query = request.query
        attributes = f'data-site="{SITE}"'
        if language := query.get("language"):
            attributes += f' data-language="{language}"'
        if "open" in query:
            attributes += " data-open"
        tag = f'<script src="{self.origin}/widget/v1.js" {attributes} async></script>\n'
        html = (
            f'<!doctype html><html lang="{query.get("lang", "en")}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>Shop</title><link rel="icon" href="{self.origin}/avatar.svg">'
            f"{tag * int(query.get('tags', '1'))}</head><body><main><h1>Shop</h1>"
            '<p><label>Search <input id="search"></label></p></main></body></html>'
        )
        headers = {"Content-Security-Policy": query["policy"]} if "policy" in query else {}
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def _demo(self, request: web.Request) -> web.Response:
        html = (FOLDER / "demo.html").read_text(encoding="utf-8")
        html = html.replace("{{site}}", SITE).replace("{{origin}}", self.origin)
        gateway = f"{self.origin} ws://127.0.0.1:{self.port}"
        policy = (
            f"default-src 'none'; style-src 'self'; script-src {self.origin}; img-src 'self' {self.origin}; "
            f"connect-src {gateway}; base-uri 'none'; form-action 'none'"
        )
        return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": policy})

    async def _demo_css(self, request: web.Request) -> web.Response:
        return web.Response(text=(FOLDER / "demo.css").read_text(encoding="utf-8"), content_type="text/css")

    async def _avatar(self, request: web.Request) -> web.Response:
        shape = '<path fill="#fc6" d="M0 0h9v9H0Z"/>'
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{shape}</svg>'
        return web.Response(text=svg, content_type="image/svg+xml")

    async def _script(self, request: web.Request) -> web.Response:
        with self._change():
            self.paths.append(request.path_qs)
        return web.Response(
            body=(DIST / request.match_info["name"]).read_bytes(),
            content_type="text/javascript",
            charset="utf-8",
        )

    # The protocol

    async def _session(self, request: web.Request) -> web.Response:
        origin = request.headers.get("Origin", "")
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        body = json.loads(await request.text())
        status = self.refuse
        if origin != self.page_origin:
            status = 403
        elif body["site"] != SITE:
            status = 404
        elif status is None and body["token"] is not None and body["token"] not in self.visitors:
            status = 401
        with self._change():
            self.sessions.append({**body, "status": status or 200, "type": request.content_type})
        if status is not None:
            problem = json.dumps({"title": "refused", "status": status})
            return web.Response(
                text=problem, status=status, headers=headers, content_type="application/problem+json"
            )
        token = body["token"] or f"visitor-{uuid.uuid4().hex}"
        visitor = self.visitors.setdefault(token, Visitor(token))
        ticket = uuid.uuid4().hex
        self._tickets[ticket] = visitor
        answer = {
            "token": token,
            "ticket": ticket,
            "socket": f"ws://127.0.0.1:{self.port}/widget/ws",
            "site": self.site,
        }
        return web.json_response(answer, headers=headers)

    def _allowed(self, request: web.Request) -> dict[str, str]:
        return {
            "Access-Control-Allow-Origin": request.headers.get("Origin", ""),
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
        }

    async def _preflight(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers=self._allowed(request))

    async def _upload(self, request: web.Request) -> web.Response:
        body = await request.read()
        while not self.hold_upload.is_set():
            await asyncio.sleep(0.01)
        name = request.query["name"]
        with self._change():
            self.uploads.append((name, body, request.headers["Authorization"]))
        if self.refuse_upload is not None:
            problem, self.refuse_upload = self.refuse_upload, None
            return web.json_response(problem, status=422, headers=self._allowed(request))
        found = {"file": f"f_{len(self.uploads)}", "name": name, "mime": "image/png", "size": len(body)}
        return web.json_response(found, headers=self._allowed(request))

    async def _file(self, request: web.Request) -> web.Response:
        """A picture of one pixel."""
        pixel = base64.b64decode(PIXEL)
        return web.Response(
            body=pixel, content_type="image/gif", headers={"Cross-Origin-Resource-Policy": "cross-origin"}
        )

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        offered = [part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        visitor = self._tickets.pop(offered[-1], None)
        if visitor is None or offered[0] != "parley.v1" or request.headers.get("Origin") != self.page_origin:
            return web.Response(status=403)
        socket = web.WebSocketResponse(protocols=["parley.v1"], compress=False)
        await socket.prepare(request)
        await socket.send_json({"t": "hello", "conversation": "cv_1", "now": "2026-11-20T10:00:00Z"})
        if self.hang_up:
            await socket.close(code=1011)
            return socket
        recent: list[float] = []
        try:
            async for incoming in socket:
                if incoming.type is not WSMsgType.TEXT:
                    break
                frame = json.loads(incoming.data)
                now = time.monotonic()
                recent = [at for at in recent if at > now - 10] + [now]
                with self._change():
                    self.frames.append(frame)
                if len(recent) > 20:
                    await socket.send_json(
                        {"t": "error", "code": "slow_down", "text": "", "id": frame.get("id")}
                    )
                    continue
                await self._answer(visitor, socket, frame)
        finally:
            with self._change():
                if socket in visitor.sockets:
                    visitor.sockets.remove(socket)
        return socket

    async def _answer(self, visitor: Visitor, socket: web.WebSocketResponse, frame: Json) -> None:
        kind = frame["t"]
        if kind == "resume":
            await self._resume(visitor, socket, frame["after"])
        elif kind == "more":
            before = [message for message in visitor.messages if message["seq"] < frame["before"]]
            more = len(before) > PAGE
            answer = {"t": "messages", "messages": before[-PAGE:], "more": more, "older": True}
            await socket.send_json(answer)
        elif kind == "ping" and not self.mute:
            await socket.send_json({"t": "pong"})
        elif kind == "send":
            await self._take(visitor, socket, frame)

    async def _resume(self, visitor: Visitor, socket: web.WebSocketResponse, after: int) -> None:
        missed = [message for message in visitor.messages if message["seq"] > after]
        page = missed[:PAGE] if after else missed[-PAGE:]
        more = len(missed) > PAGE
        await socket.send_json({"t": "messages", "messages": page, "more": more, "older": False})
        with self._change():
            if socket not in visitor.sockets:
                visitor.sockets.append(socket)

    async def _take(self, visitor: Visitor, socket: web.WebSocketResponse, frame: Json) -> None:
        if self.reject is not None:
            problem, self.reject = self.reject, None
            await socket.send_json({"t": "error", "id": frame["id"], **problem})
            return
        known = visitor.by_client_id.get(frame["id"])
        content = {**frame["content"], **(self.complete if frame["content"]["type"] == "media" else {})}
        message = known or visitor.add("visitor", content, frame["id"])
        if self.lose_acks:
            return
        await socket.send_json({"t": "ack", "id": frame["id"], "message": message})
        if known is None:
            others = [other for other in visitor.sockets if other is not socket]
            await self._broadcast(visitor, {"t": "message", "message": message}, others)
            if self.on_send is not None:
                before = len(visitor.messages)
                self.on_send(visitor, frame["content"])
                for answer in visitor.messages[before:]:
                    await self._broadcast(visitor, {"t": "message", "message": answer})
        with self._change():
            pass

    async def _broadcast(
        self, visitor: Visitor, frame: Json, sockets: list[web.WebSocketResponse] | None = None
    ) -> None:
        for socket in list(visitor.sockets if sockets is None else sockets):
            if not socket.closed:
                await socket.send_json(frame)

    async def _close_all(self, code: int) -> None:
        sockets = [socket for visitor in self.visitors.values() for socket in visitor.sockets]
        with self._change():
            for visitor in self.visitors.values():
                visitor.sockets.clear()
        await asyncio.gather(*(socket.close(code=code) for socket in sockets))
