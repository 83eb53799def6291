"""A worker whose work is nothing but time: `python -m tests.bench.hints_process`, with REDIS_URL, PLACES (keys at once), WAIT and
BURN (milliseconds that a key waits, as for a model, and computes). It prints `READY -` once it works."""

import asyncio
import os
import time

from gateway.commands.serve import stopping
from gateway.model.work import Key
from gateway.work.hints import RedisWork
from gateway.work.redis import connect


async def main() -> None:
    wait, burn = float(os.environ.get("WAIT", "0")) / 1000, float(os.environ.get("BURN", "0")) / 1000

    async def handle(_: Key) -> None:
        if wait:
            await asyncio.sleep(wait)
        until = time.thread_time() + burn
        while time.thread_time() < until:
            pass

    redis = connect(os.environ["REDIS_URL"])
    async with RedisWork(redis, int(os.environ["PLACES"])) as work:
        task = asyncio.create_task(work.run(handle))
        while work.count() is None:
            await asyncio.sleep(0.01)
        print("READY -", flush=True)
        await stopping().wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await redis.aclose()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
