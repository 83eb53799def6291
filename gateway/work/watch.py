"""Whether anybody does the work: a process that only takes messages in has to say so when nobody answers them."""

import time
from collections.abc import Callable
from typing import Final

from loguru import logger

WATCH: Final = 5.0
"""Seconds between looks."""

PATIENCE: Final = 30.0
"""Seconds without a worker before it is said: a restart takes some."""


class WorkerWatch:
    """Says once that nobody works, and once that somebody does again. `count` is None while nobody can tell."""

    def __init__(
        self, count: Callable[[], int | None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._monotonic = monotonic
        self._since = monotonic()
        self._told = False

    async def look(self) -> None:
        count, now = self._count(), self._monotonic()
        if count is None or count:
            self._since = now
        if count and self._told:
            self._told = False
            logger.info("a worker is there: what waited is being answered")
        elif count == 0 and not self._told and now - self._since >= PATIENCE:
            self._told = True
            logger.warning(
                "no worker for {:.0f} s: messages are taken in and nobody answers them."
                " Start one: python -m gateway worker",
                now - self._since,
            )
