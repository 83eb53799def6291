"""Socket Mode: Slack's events over a WebSocket that we open, for a machine without a public address.

https://docs.slack.dev/apis/events-api/using-socket-mode

slack_sdk has a client for it. It is not used: it keeps an HTTP session of its own, runs each envelope in a task that
nobody waits for, tries again by itself for ever, and logs the socket's address, which is a credential.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any, Final

import aiohttp
from loguru import logger

from channels.kit import transport_error
from channels.read import mapping, word
from channels.slack.api import Api
from channels.slack.errors import as_refused
from gateway.model.errors import NotForUs, SendError, Unavailable
from gateway.model.ports import Take

HEARTBEAT: Final = 30.0
"""Seconds between our pings; a socket that does not answer one in half the time is gone."""

LARGEST: Final = 4 * 1024 * 1024
DRAIN: Final = 30.0
"""Seconds that a socket may go on after Slack has asked for a new one: it brings what was under way."""

AGAIN: Final = 1.0

_ENVELOPES: Final = frozenset({"events_api", "interactive", "slash_commands"})


class Sockets:
    """The app's socket: one at a time, and the old one beside the new while Slack moves us over."""

    def __init__(self, api: Api, token: str) -> None:
        self._api = api
        self._token = token

    async def run(self, take: Take) -> None:
        """Read until cancelled. An envelope is confirmed once `take` has taken it, and not if it could not.

        Raises SendError when Slack refuses a socket, or cuts the first one at once.
        """
        listening: set[asyncio.Task[None]] = set()
        try:
            while True:
                socket = await self._open()
                moved = asyncio.Event()
                task = asyncio.create_task(_Line(socket, take, moved).listen(), name="slack socket")
                listening.add(task)
                task.add_done_callback(partial(_left, listening))
                if not await _first(task, moved):
                    task.result()
                    await asyncio.sleep(AGAIN)
        finally:
            for task in (left := list(listening)):
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def address(self) -> str:
        """A socket's address, good for one connection. Raises SendError."""
        try:
            answer = await self._api.with_token(self._token, "apps.connections.open")
        except SendError as error:
            raise as_refused(error) from None
        url = word(answer.get("url"))
        if not self._api.app.is_slacks(url.replace("ws://", "http://", 1).replace("wss://", "https://", 1)):
            raise SendError("slack:foreign_host", "Slack named a socket on a host that is not its own.", True)
        return url

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        url = await self.address()
        try:
            return await self._api.session.ws_connect(
                url,
                heartbeat=HEARTBEAT,
                max_msg_size=LARGEST,
                compress=0,
                # Slack leaves the connection open after the closing handshake: no point in waiting for it.
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise as_refused(transport_error("slack", error)) from None


class _Line:
    """One socket. `moved` is set when Slack wants the app to open another."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, take: Take, moved: asyncio.Event) -> None:
        self._socket = socket
        self._take = take
        self._moved = moved

    async def listen(self) -> None:
        try:
            async with contextlib.aclosing(self._frames()) as frames:
                async for frame in frames:
                    await self._read(frame)
        finally:
            await self._socket.close()

    async def _frames(self) -> AsyncGenerator[Mapping[str, Any], None]:
        until: float | None = None
        loop = asyncio.get_running_loop()
        while True:
            if self._moved.is_set() and until is None:
                until = loop.time() + DRAIN
            left = None if until is None else max(until - loop.time(), 0.0)
            try:
                message = await self._socket.receive(left)
            except TimeoutError:
                return
            if message.type is aiohttp.WSMsgType.TEXT:
                with contextlib.suppress(ValueError, RecursionError):
                    yield mapping(json.loads(message.data))
            elif message.type is not aiohttp.WSMsgType.BINARY:
                return

    async def _read(self, frame: Mapping[str, Any]) -> None:
        kind = word(frame.get("type"))
        if kind == "disconnect":
            if frame.get("reason") == "link_disabled":
                raise SendError("slack:socket_mode_not_enabled", "Socket Mode was switched off.", True)
            self._moved.set()
        elif kind in _ENVELOPES:
            await self._take_in(word(frame.get("envelope_id")), frame)

    async def _take_in(self, envelope: str, frame: Mapping[str, Any]) -> None:
        body = json.dumps(mapping(frame.get("payload")), ensure_ascii=False)
        answer = None
        try:
            answer = await self._take(body.encode("utf-8", "surrogatepass"))
        except NotForUs:
            # Sent again it would be no better.
            logger.bind(channel_kind="slack").info("an envelope of a kind that is not known")
        except Unavailable:
            logger.bind(channel_kind="slack").warning("an envelope could not be stored; Slack sends it again")
            return
        reply: dict[str, Any] = {"envelope_id": envelope}
        if answer is not None and frame.get("accepts_response_payload") is True:
            reply["payload"] = json.loads(answer)
        with contextlib.suppress(aiohttp.ClientConnectionError, ConnectionError):
            # Lost: Slack sends it again, and it is known then.
            await self._socket.send_str(json.dumps(reply))


def _left(listening: "set[asyncio.Task[None]]", task: "asyncio.Task[None]") -> None:
    listening.discard(task)
    # A line that breaks after another took its place is nobody's trouble; Slack sends again what was not confirmed.
    if not task.cancelled():
        task.exception()


async def _first(task: "asyncio.Task[None]", moved: asyncio.Event) -> bool:
    """Whether Slack asks for a new socket before the present one ends."""
    waiting = asyncio.create_task(moved.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return moved.is_set()
