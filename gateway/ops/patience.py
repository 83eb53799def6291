"""Patience with those who send slowly: a body that hardly moves is not waited for, so that nobody holds a connection with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

Connection = web.RequestHandler

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOK: Final = 10.0
"""Seconds between two looks at a body that is not complete."""

LEAST: Final = 10 * 1024
"""Bytes that must have come between two looks: 1 kB/s."""


HEAD: Final = 20.0
"""Seconds for the head of a connection's first request."""


class Patience:
    """Cuts a connection whose first request's head does not come in `head` seconds, and one whose body comes more slowly than
    `least` bytes in `look` seconds. An idle connection that has asked something is the server's own business."""

    def __init__(self, look: float = LOOK, least: int = LEAST, head: float = HEAD) -> None:
        self._look = look
        self._least = least
        self._head = head
        # Connections that have not asked anything yet.
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}

    def connections(self, made: Callable[[], Connection]) -> Callable[[], Connection]:
        """Connections as `made` makes them, watched from their first byte."""

        def connection() -> Connection:
            new = made()
            loop = asyncio.get_running_loop()
            self._silent[new] = loop.call_later(self._head, self._late, new)
            return new

        return connection

    def _late(self, silent: Connection) -> None:
        del self._silent[silent]
        if silent.transport is not None:
            silent.transport.abort()

    @web.middleware
    async def wait(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if (waiting := self._silent.pop(request.protocol, None)) is not None:
            waiting.cancel()
        if request.content.is_eof():
            return await handler(request)
        watch = _Watch(request, self._look, self._least)
        try:
            return await handler(request)
        finally:
            watch.end()


class _Watch:
    def __init__(self, request: web.Request, look: float, least: int) -> None:
        self._request = request
        self._look_seconds = look
        self._least = least
        self._loop = asyncio.get_running_loop()
        self._before = request.content.total_bytes
        self._next = self._loop.call_later(look, self._look)

    def end(self) -> None:
        self._next.cancel()

    def _look(self) -> None:
        content, transport = self._request.content, self._request.transport
        if content.is_eof() or transport is None:
            return
        # While we hold it back ourselves, nothing can come.
        if content.total_bytes - self._before < self._least and transport.is_reading():
            transport.abort()
            return
        self._before = content.total_bytes
        self._next = self._loop.call_later(self._look_seconds, self._look)


PATIENCE: Final = web.AppKey("patience", Patience)
"""Where an application keeps its own, for whoever listens for it."""
