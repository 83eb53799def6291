"""A visitor of a web site as their browser is seen from the gateway: a session, sockets, frames."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.conftest import ORIGIN, Running

PROTOCOL = "parley.v1"


@dataclass
class Visitor:
    running: Running
    site: str = "ch_web"
    origin: str | None = ORIGIN
    token: str | None = None
    ids: int = 0

    async def post(self, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        """Ask for a session with any body: the status and the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        origin = {"Origin": self.origin} if self.origin is not None else {}
        sent = {"Content-Type": "text/plain", **origin, **headers}
        url = f"{self.running.url}/widget/session"
        async with self.running.http.post(url, data=data, headers=sent) as answer:
            return answer.status, json.loads(await answer.read())

    async def session(self, language: str | None = "en") -> dict[str, Any]:
        code, found = await self.post({"site": self.site, "token": self.token, "language": language})
        assert code == 200, found
        self.token = found["token"]
        return found

    async def refused(self, ticket: str | None, **headers: str) -> int:
        """Try to open a socket that must not open: the status of the refusal."""
        origin = {"Origin": self.origin} if self.origin is not None else {}
        protocols = [PROTOCOL] + ([ticket] if ticket is not None else [])
        try:
            async with self.running.http.ws_connect(
                f"{self.running.url}/widget/ws", protocols=protocols, headers={**origin, **headers}
            ):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    @asynccontextmanager
    async def open(self, ticket: str | None = None, *, resume: bool = True) -> AsyncIterator["Tab"]:
        if ticket is None:
            ticket = (await self.session())["ticket"]
        async with self.running.http.ws_connect(
            f"{self.running.url}/widget/ws",
            protocols=[PROTOCOL, ticket],
            headers={"Origin": self.origin or ""},
        ) as socket:
            tab = Tab(self, socket)
            tab.hello = await tab.next("hello")
            if resume:
                await tab.resume(0)
            yield tab


@dataclass
class Tab:
    visitor: Visitor
    socket: aiohttp.ClientWebSocketResponse
    hello: dict[str, Any] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)
    """Every frame that was read, in order."""

    @property
    def conversation(self) -> str:
        return str(self.hello["conversation"])

    async def put(self, frame: Any) -> None:
        await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def next(self, kind: str | None = None, seconds: float = 20) -> dict[str, Any]:
        """The next frame, of a kind if one is named; others are passed over (and kept in `seen`)."""
        while True:
            frame: dict[str, Any] = json.loads(await self.socket.receive_str(timeout=seconds))
            self.seen.append(frame)
            if kind is None or frame["t"] == kind:
                return frame

    async def resume(self, after: int) -> dict[str, Any]:
        await self.put({"t": "resume", "after": after})
        return await self.next("messages")

    async def send(self, content: dict[str, Any], identifier: str | None = None) -> dict[str, Any]:
        """Say something: the acknowledged message."""
        if identifier is None:
            self.visitor.ids += 1
            identifier = f"client-{self.visitor.ids:04}"
        await self.put({"t": "send", "id": identifier, "content": content})
        ack = await self.next("ack")
        assert ack["id"] == identifier
        message: dict[str, Any] = ack["message"]
        return message

    async def say(self, text: str, identifier: str | None = None) -> dict[str, Any]:
        return await self.send({"type": "text", "text": text}, identifier)

    async def heard(self) -> dict[str, Any]:
        """The next message of the other side, or of another tab."""
        message: dict[str, Any] = (await self.next("message"))["message"]
        return message

    async def ask(self, text: str) -> dict[str, Any]:
        """Say something and wait for the answer."""
        await self.say(text)
        return await self.heard()

    async def error(self, frame: Any) -> dict[str, Any]:
        await self.put(frame)
        return await self.next("error")

    async def closed(self, seconds: float = 20) -> int:
        """Read to the end: the close code."""
        while True:
            message = await self.socket.receive(timeout=seconds)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                return int(self.socket.close_code or 0)
            if message.type is aiohttp.WSMsgType.TEXT:
                self.seen.append(json.loads(message.data))
