"""Saying things to Redis without ever waiting for it: one bounded queue a process, drained in batches.

What is lost while Redis is away is not kept, but known: once Redis is back, whoever has a socket of such a conversation is told
that it lacks something.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from gateway.work.redis import AWAY, PREFIX

TO: Final = PREFIX + "to:"
EVERYBODY: Final = PREFIX + "to"
"""Everybody listens to it: what is said there concerns every conversation."""

MOST: Final = 10_000
BATCH: Final = 256
AGAIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Saying:
    """Something to be written to Redis; of a message also its place, so that a loss can be told."""

    write: Callable[[Any], object]
    conversation: str = ""
    seq: int | None = None


class Speaker:
    """`me` stands before all that this process publishes."""

    def __init__(self, redis: Redis, me: str) -> None:
        self._redis = redis
        self._me = me
        self._queue: deque[Saying] = deque()
        self._wake = asyncio.Event()
        self._silent = asyncio.Event()
        self._silent.set()
        self._lost: dict[str, int] = {}
        """The first message that was lost of each conversation; under `""` of all that there was no room for."""

    def say(self, saying: Saying) -> None:
        if len(self._queue) >= MOST:
            self._lose([self._queue.popleft()])
        self._queue.append(saying)
        self._silent.clear()
        self._wake.set()

    async def silent(self) -> None:
        """Until everything is said."""
        await self._silent.wait()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            batch = [self._queue[n] for n in range(min(BATCH, len(self._queue)))]
            lost, self._lost = self._lost, {}
            if not await self._said([*(self._notice(c, s) for c, s in lost.items()), *batch]):
                self._lose(batch)
                for conversation, seq in lost.items():
                    self._lose_from(conversation, seq)
                await asyncio.sleep(AGAIN)
            for saying in batch:
                if self._queue and self._queue[0] is saying:  # else there was no room for it meanwhile
                    self._queue.popleft()
            if not self._queue and not self._lost:
                self._wake.clear()
                self._silent.set()

    def _lose(self, sayings: Iterable[Saying]) -> None:
        for saying in sayings:
            if saying.seq is not None:
                self._lose_from(saying.conversation, saying.seq)

    def _lose_from(self, conversation: str, seq: int) -> None:
        if conversation not in self._lost and len(self._lost) >= MOST:
            conversation = ""
        self._lost[conversation] = min(seq, self._lost.get(conversation, seq))

    def _notice(self, conversation: str, seq: int) -> Saying:
        channel = TO + conversation if conversation else EVERYBODY
        return Saying(lambda pipe: pipe.publish(channel, f"{self._me}\n!{seq}"))

    async def _said(self, sayings: list[Saying]) -> bool:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for saying in sayings:
                    saying.write(pipe)
                await pipe.execute()
        except AWAY:
            return False
        return True
