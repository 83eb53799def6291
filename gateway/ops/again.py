"""What a process does for ever beside its requests: look, pause, look again."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from loguru import logger

from gateway.model.errors import Unavailable
from gateway.ops.logging import stack


async def again_and_again(
    name: str,
    look: Callable[[], Awaitable[object]],
    every: float,
    stop: asyncio.Event,
    wake: asyncio.Event | None = None,
) -> None:
    """Look, pause, and look again, until `stop` is set; pauses differ by up to a quarter, so that processes don't look
    in step. `wake` ends a pause; whoever sets `stop` sets it, too.

    Whatever goes wrong in one look is logged, and the next comes all the same.
    """
    while not stop.is_set():
        if wake is not None:
            wake.clear()
        try:
            await look()
        except Unavailable:
            pass  # readiness says so
        except Exception as error:
            logger.error("the {} broke; it goes on: {}", name, stack(error))
        # The driver may turn a cancellation that meets it into an error of its own.
        if (task := asyncio.current_task()) is not None and task.cancelling():
            return
        pause = every * random.uniform(0.75, 1.25)  # noqa: S311 (jitter, not a secret)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await (wake or stop).wait()
