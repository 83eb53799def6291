"""Listening to what other processes publish: one connection, for the conversations whose sockets this process holds.

Whether anything was lost it knows by its own pulse, which is faster than any time-out of those who publish.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from loguru import logger
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from gateway.work.redis import AWAY, RedisError
from gateway.work.speaker import AGAIN, EVERYBODY, TO

CHUNK: Final = 500
PULSE: Final = 0.25
LOST_AFTER: Final = 1.4
"""Seconds without an answer to a pulse: with two pulses less than the two seconds after which a publisher gives up."""

READY: Final = 1.0


class Listener(Protocol):
    """Whom the ear tells."""

    def heard(self, conversation: str, text: str) -> None:
        """A frame of another process."""

    def confirmed(self, conversation: str) -> None:
        """What is published of it from now on is heard."""

    def lacks(self, conversation: str, seq: int) -> None:
        """A frame with the message of this place, or with a later one, was lost."""

    def cut_off(self) -> None:
        """Nothing is heard any more."""


class Ear:
    def __init__(self, redis: Redis, me: str) -> None:
        self._redis = redis
        self._me = me
        self.wanted: set[str] = set()
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._asked: set[str] = set()
        self._pending: dict[str, int] = {}
        self._confirmed: set[str] = set()
        self._waiting: dict[str, asyncio.Event] = {}
        self._pulse_at: float | None = None
        self.connected = False

    def want(self, conversation: str, on: bool) -> None:
        (self.wanted.add if on else self.wanted.discard)(conversation)
        if not on:
            self._confirmed.discard(conversation)
            self._waiting.pop(conversation, None)
        self._changed.add(conversation)
        self._wake.set()

    async def ready(self, conversation: str) -> None:
        """Until it is heard, or a short while; at once where nothing is."""
        if not self.connected or conversation in self._confirmed:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY):
                await self._waiting.setdefault(conversation, asyncio.Event()).wait()

    async def run(self, listener: Listener) -> None:
        while True:
            try:
                await self._session(listener)
            except AWAY:
                if self.connected:
                    logger.warning("Redis is away: answers of other processes are read from the database")
            except Exception as error:
                logger.error("listening to other processes broke: {}", type(error).__name__)
            if self.connected:
                self.connected = False
                listener.cut_off()
            for waiting in self._waiting.values():
                waiting.set()
            await asyncio.sleep(AGAIN)

    async def _session(self, listener: Listener) -> None:
        """One connection, until it breaks. Raises what `AWAY` names."""
        self._asked, self._pending, self._pulse_at = set(), {}, None
        self._confirmed.clear()
        self._waiting.clear()
        self._changed = set(self.wanted)
        self._wake.set()
        pubsub = _Session(self._redis.connection_pool)
        try:
            await pubsub.subscribe(EVERYBODY)
            tasks = [
                asyncio.create_task(self._ask(pubsub, listener)),
                asyncio.create_task(self._read(pubsub, listener)),
            ]
            # Not a task group: one that is cancelled while a part of it fails forgets that it was (until Python 3.13).
            await _first_failure(tasks)
        finally:
            with contextlib.suppress(*AWAY):
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _ask(self, pubsub: PubSub, listener: Listener) -> None:
        """Subscribe to what is wanted, and feel the pulse."""
        while True:
            self._wake.clear()
            changed, self._changed = self._changed, set()
            for conversation in changed & self.wanted & self._asked:
                self._settle(conversation, listener)  # left and joined again in a moment
            await self._change(pubsub.subscribe, [c for c in changed & self.wanted if c not in self._asked])
            await self._change(pubsub.unsubscribe, [c for c in changed & self._asked if c not in self.wanted])
            now = time.monotonic()
            if self._pulse_at is None:
                self._pulse_at = now
                await pubsub.ping()
            elif now - self._pulse_at > LOST_AFTER:
                raise RedisError("no pulse")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PULSE):
                    await self._wake.wait()

    async def _change(self, how: Callable[..., Any], conversations: list[str]) -> None:
        for start in range(0, len(conversations), CHUNK):
            some = conversations[start : start + CHUNK]
            for conversation in some:
                self._pending[conversation] = self._pending.get(conversation, 0) + 1
            self._asked.symmetric_difference_update(some)
            await how(*(TO + c for c in some))

    async def _read(self, pubsub: PubSub, listener: Listener) -> None:
        while True:
            told = await pubsub.get_message(timeout=None)
            if told is None:
                continue
            kind = told["type"]
            if kind == "pong":
                self._pulse_at = None
                continue
            channel = told["channel"].decode()
            if channel == EVERYBODY:
                self._everybody(kind, told, listener)
            elif kind == "message":
                self._heard(channel.removeprefix(TO), told["data"].decode(), listener)
            elif kind in ("subscribe", "unsubscribe"):
                self._changed_at(channel.removeprefix(TO), listener)

    def _everybody(self, kind: str, told: Any, listener: Listener) -> None:
        if kind == "subscribe":
            self.connected = True
        elif kind == "message":
            for conversation in tuple(self.wanted):
                self._heard(conversation, told["data"].decode(), listener)

    def _heard(self, conversation: str, payload: str, listener: Listener) -> None:
        sender, _, text = payload.partition("\n")
        if sender == self._me or conversation not in self.wanted:
            return
        if text.startswith("!"):
            listener.lacks(conversation, int(text[1:]))
        else:
            listener.heard(conversation, text)

    def _changed_at(self, conversation: str, listener: Listener) -> None:
        """Redis has done one of the things that we asked for; the last one counts."""
        left = self._pending.get(conversation, 1) - 1
        if left:
            self._pending[conversation] = left
            return
        self._pending.pop(conversation, None)
        self._settle(conversation, listener)

    def _settle(self, conversation: str, listener: Listener) -> None:
        if conversation in self._pending or conversation in self._confirmed:
            return
        if conversation in self._asked and conversation in self.wanted:
            self._confirmed.add(conversation)
            if waiting := self._waiting.pop(conversation, None):
                waiting.set()
            listener.confirmed(conversation)


class _Session(PubSub):
    """Ends with its connection: the library's own would connect again in silence, and from two tasks at once."""

    async def _reconnect(self, *_: Any, **__: Any) -> None:
        pass


async def _first_failure(tasks: list[asyncio.Task[None]]) -> None:
    """Until one of them ends; then none is left, and its failure is raised."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
