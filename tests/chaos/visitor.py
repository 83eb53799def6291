"""A visitor of a site, over a real socket: says one thing after another, each again with the same id until it is
acknowledged; a socket that ends is opened anew at any web process, with the cursor of what was seen."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import aiohttp

from tests.chaos.history import Said, Taken
from tests.chaos.world import ORIGIN, Customer

PATIENCE = 10.0
"""Seconds without an acknowledgement after which the socket is given up."""

LOST = (aiohttp.ClientError, aiohttp.WSMessageTypeError, TimeoutError, OSError)
"""What a session that is refused and a socket that ends raise."""


class Visitor:
    def __init__(
        self,
        http: aiohttp.ClientSession,
        urls: Sequence[str],
        customer: Customer,
        rate: Callable[[], float],
        among: int,
    ) -> None:
        self.customer = customer
        self.said: dict[str, Said] = {}
        self._http = http
        self._urls = urls
        self._rate = rate
        self._among = among
        self._chance = random.Random(customer.seed)
        self._token: str | None = None
        self._cursor = 0
        self._began = 0.0
        self._heard: dict[str, tuple[int, str, float]] = {}

    async def talk(self) -> None:
        """Say everything, whatever becomes of the sockets."""
        self._began = time.monotonic()
        while len(self.said) < self.customer.count or not all(s.acknowledged for s in self.said.values()):
            with contextlib.suppress(*LOST):
                await self._talk_on()
            await asyncio.sleep(0.1)

    async def look(self) -> list[Taken]:
        """What the widget shows in the end: each answer once, in its place (which stands for its time)."""
        self._cursor = 0
        while True:
            with contextlib.suppress(*LOST):
                async with self._open() as socket:
                    await self._page(socket)
                break
            await asyncio.sleep(0.1)
        return [Taken(text, float(seq), self.customer.name) for seq, text, _ in self._heard.values()]

    @contextlib.asynccontextmanager
    async def _open(self) -> Any:
        url = self._chance.choice(self._urls)
        body = json.dumps({"site": self.customer.channel, "token": self._token, "language": "en"})
        async with self._http.post(f"{url}/widget/session", data=body, headers={"Origin": ORIGIN}) as answer:
            answer.raise_for_status()
            session = await answer.json()
        self._token = session["token"]
        protocols = ("parley.v1", session["ticket"])
        async with self._http.ws_connect(
            f"{url}/widget/ws", protocols=protocols, headers={"Origin": ORIGIN}
        ) as socket:
            yield socket

    async def _talk_on(self) -> None:
        async with self._open() as socket:
            await self._page(socket)
            for place in range(self.customer.count):
                text = f"{self.customer.name} says {place}"
                said = self.said.setdefault(text, Said(text, self.customer.name, place, False))
                if not said.acknowledged:
                    # By the clock, as the other customers.
                    due = self._began + (place + self._chance.random()) * self._among / self._rate()
                    await self._listen(socket, max(0.0, due - time.monotonic()))
                    await self._say(socket, said)

    async def _page(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_json({"t": "resume", "after": self._cursor})
        while self._took(frame := await socket.receive_json(timeout=PATIENCE))["t"] != "messages":
            pass
        if frame.get("more") and self._cursor:
            await self._page(socket)

    async def _say(self, socket: aiohttp.ClientWebSocketResponse, said: Said) -> None:
        identifier = f"{self.customer.name}-{said.number:05}"
        content = {"type": "text", "text": said.text}
        await socket.send_json({"t": "send", "id": identifier, "content": content})
        while True:
            frame = self._took(await socket.receive_json(timeout=PATIENCE))
            if frame["t"] == "ack" and frame["id"] == identifier:
                self.said[said.text] = replace(said, acknowledged=True)
                return

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    self._took(await socket.receive_json())

    def _took(self, frame: dict[str, Any]) -> dict[str, Any]:
        messages = frame["messages"] if frame["t"] == "messages" else [frame.get("message")]
        for message in messages:
            if message:
                self._cursor = max(self._cursor, int(message["seq"]))
                if message["from"] != "visitor":
                    text = str(message["content"].get("text"))
                    self._heard[message["id"]] = (int(message["seq"]), text, time.monotonic())
        return frame
