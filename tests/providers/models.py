"""What the stand-ins of model providers share: a real local HTTP server that records what it is sent, and misbehaves on command.

A behaviour is a word of BEHAVIOURS or a status (`429`, `500`). `behave` is worked off call by call; when it is empty,
`always` holds.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]
BEHAVIOURS = frozenset(
    {
        "well",
        "hang",
        "stall",
        "truncate",
        "malformed",
        "odd",
        "endless",
        "error",
        "silent",
        "drop",
        "page",
        "slow",
    }
)


@dataclass
class Call:
    path: str
    body: Json
    headers: dict[str, str]


@dataclass
class ModelStandIn:
    """`key`: what is asked for as a bearer token; None: anything. `wrong`: what in a request breaks the provider's rules."""

    key: str | None = "model-key-0123456789"
    behave: list[str] = field(default_factory=list)
    always: str = "well"
    calls: list[Call] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    url: str = ""
    under_way: int = 0
    most_under_way: int = 0
    retry_after: str = "7"
    after: int = 3
    """So many pieces of text are sent before a stream goes wrong."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    def routes(self) -> dict[str, Callable[[Json], list[str]]]:
        """Each path with what is wrong about a body that is sent there."""
        raise NotImplementedError

    async def respond(self, request: web.Request, body: Json, behaviour: str) -> web.StreamResponse:
        raise NotImplementedError

    async def __aenter__(self) -> "ModelStandIn":
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/elsewhere", self._elsewhere)
        for path, rules in self.routes().items():
            app.router.add_post(path, self._handler(rules))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.calls.append(Call(request.path, {}, dict(request.headers)))
        return web.json_response({})

    def _handler(
        self, rules: Callable[[Json], list[str]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.json()
            self.calls.append(Call(request.path, body, dict(request.headers)))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                return await self._answer(request, body, rules)
            finally:
                self.under_way -= 1

        return handle

    async def _answer(
        self, request: web.Request, body: Json, rules: Callable[[Json], list[str]]
    ) -> web.StreamResponse:
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return self.failure(401)
        if request.content_type != "application/json":
            self.wrong.append("content type")
        if wrong := rules(body):
            self.wrong += wrong
            return self.failure(400)
        behaviour = self.behave.pop(0) if self.behave else self.always
        if behaviour.isdigit():
            return self.failure(int(behaviour))
        if behaviour == "hang":
            await self.gate.wait()
        if behaviour == "drop":  # before anything is said
            assert request.transport is not None
            request.transport.abort()
        if behaviour == "page":
            return web.Response(text="<html>busy</html>", content_type="text/html")
        return await self.respond(request, body, behaviour)

    def failure(self, status: int) -> web.Response:
        """A refusal, with the key in its text: it must be found nowhere afterwards."""
        headers = {"Retry-After": self.retry_after} if status == 429 else {}
        if 300 <= status < 400:
            headers["Location"] = f"{self.url}/elsewhere"
        return web.json_response({"message": f"no: {self.key}", "id": "x"}, status=status, headers=headers)


class Stream:
    """Server-sent events, in the form that a behaviour asks for."""

    def __init__(self, stand_in: ModelStandIn, request: web.Request, behaviour: str) -> None:
        self._stand_in = stand_in
        self._request = request
        self._behaviour = behaviour
        self._response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self.sent = 0

    async def __aenter__(self) -> "Stream":
        await self._response.prepare(self._request)
        if self._behaviour == "odd":
            await self._response.write(b": a comment\r\n\r\nretry: 10\r\n\r\n\r\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def send(self, data: Json | str, name: str | None = None) -> None:
        """One event; after two pieces of text the stream stalls, breaks or turns to nonsense if it is to."""
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        end = "\r\n" if self._behaviour == "odd" else "\n"
        raw = ((f"event: {name}{end}" if name else "") + f"data: {text}{end}{end}").encode()
        if self._behaviour == "odd":
            # Cut in the middle of characters, and of the ends of lines.
            for start in range(0, len(raw), 7):
                await self._response.write(raw[start : start + 7])
                await asyncio.sleep(0)
            return
        await self._response.write(raw)

    async def misbehave(self) -> bool:
        """Whether the stream ends here, badly."""
        self.sent += 1
        if self.sent < self._stand_in.after:
            return False
        match self._behaviour:
            case "stall":
                await self._stand_in.gate.wait()
            case "truncate":
                return True
            case "drop-late":
                assert self._request.transport is not None
                self._request.transport.abort()
                return True
            case "malformed":
                await self._response.write(b'data: {"type": "content-delta", "delta": {"mess\n\n')
                return True
            case "endless":
                with_no_end = b"data: " + b"x" * 65536
                for _ in range(64):
                    await self._response.write(with_no_end.removeprefix(b"data: "))
                return True
        return False

    @property
    def response(self) -> web.StreamResponse:
        return self._response


def pieces(text: str) -> list[str]:
    """A text as a model streams it: a word at a time."""
    words = text.split(" ")
    return [word if i == 0 else " " + word for i, word in enumerate(words)]
