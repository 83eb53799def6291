"""Leisure: how bulk gives way to replies in one process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

PAUSE: Final = 0.004
PAUSES: Final = 8
"""How long in seconds, and how often, one database call for bulk lets replies go first: bulk gets on, whatever else goes on."""


class Leisure:
    """Replies say when they are at it. Bulk's database calls come one at a time, so that a reply's call waits for one of them
    at most, and a little later while a reply is at it."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._replying = 0

    @contextmanager
    def replying(self) -> Iterator[None]:
        self._replying += 1
        try:
            yield
        finally:
            self._replying -= 1

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """A reply only waits for somebody else (a model, a provider): bulk need not wait for that."""
        self._replying -= 1
        try:
            yield
        finally:
            self._replying += 1

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[None]:
        async with self._one:
            for _ in range(PAUSES):
                if not self._replying:
                    break
                await asyncio.sleep(PAUSE)
            yield
