"""Frames between processes, by Redis's publish and subscribe: a channel a conversation.

Frames get lost: while Redis restarts, hangs or can't be reached. Whoever lost some knows it (`speaker`, `ear`), and the
conversations are read again from the database (`gateway.missed`). Beside them go who is present and who is typing.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis

from gateway.work.ear import CHUNK, Ear, Listener
from gateway.work.redis import PREFIX
from gateway.work.speaker import TO, Saying, Speaker

HERE: Final = PREFIX + "here:"
TYPING: Final = PREFIX + "typing:"
PRESENT_FOR: Final = 45.0
REFRESHED: Final = 15.0
TYPES_FOR: Final = 6.0
LAST: Final = 1.0


class RedisBus:
    """Implements `channels.web.hub.Bus`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._me = secrets.token_hex(8)
        self._speaker = Speaker(redis, self._me)
        self._ear = Ear(redis, self._me)

    @property
    def connected(self) -> bool:
        """Whether anything is heard of other processes."""
        return self._ear.connected

    def publish(self, conversation: str, text: str, seq: int | None) -> None:
        payload = f"{self._me}\n{text}"
        self._speaker.say(Saying(lambda pipe: pipe.publish(TO + conversation, payload), conversation, seq))

    def join(self, conversation: str) -> None:
        self._ear.want(conversation, True)
        self._speaker.say(self._marking([conversation]))

    def leave(self, conversation: str) -> None:
        self._ear.want(conversation, False)
        self._speaker.say(Saying(lambda pipe: pipe.zrem(HERE + conversation, self._me)))

    def types(self, conversation: str, on: bool) -> None:
        key, life = TYPING + conversation, int(TYPES_FOR * 1000)
        self._speaker.say(Saying(lambda pipe: pipe.set(key, "1", px=life) if on else pipe.delete(key)))

    async def ready(self, conversation: str) -> None:
        await self._ear.ready(conversation)

    async def present(self, conversation: str) -> bool:
        """Whether any process holds a socket of it. Raises what `AWAY` names."""
        return bool(await self._redis.zcount(HERE + conversation, time.time(), "+inf"))

    async def typing(self, conversation: str) -> bool:
        """Whether its visitor is typing. Raises what `AWAY` names."""
        return bool(await self._redis.exists(TYPING + conversation))

    @asynccontextmanager
    async def running(self, listener: Listener) -> AsyncIterator[None]:
        """Speak and listen until left; what is still to be said then is, if that takes no longer than a second."""
        tasks = [
            asyncio.create_task(self._speaker.run(), name="bus: speaker"),
            asyncio.create_task(self._ear.run(listener), name="bus: ear"),
            asyncio.create_task(self._stay(), name="bus: presence"),
        ]
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST):
                    await self._speaker.silent()
            for task in tasks:
                task.cancel()
            # A library may swallow a cancellation: the process ends all the same.
            await asyncio.wait(tasks, timeout=LAST)

    async def _stay(self) -> None:
        """Who is present stays so for as long as this process lives."""
        while True:
            await asyncio.sleep(REFRESHED)
            there = list(self._ear.wanted)
            for start in range(0, len(there), CHUNK):
                self._speaker.say(self._marking(there[start : start + CHUNK]))

    def _marking(self, conversations: list[str]) -> Saying:
        return Saying(lambda pipe: self._mark(pipe, conversations))

    def _mark(self, pipe: Any, conversations: list[str]) -> None:
        until = time.time() + PRESENT_FOR
        for conversation in conversations:
            if conversation in self._ear.wanted:  # it may have been left since
                pipe.zadd(HERE + conversation, {self._me: until})
                pipe.expire(HERE + conversation, int(PRESENT_FOR))
