"""What goes wrong in a run: kinds of fault by name, in an order and with lengths that the seed decides.

Three series run beside one another, so that faults of different things meet: the processes', the stores', the providers'.
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final

import aiohttp

from tests.chaos.history import Window
from tests.chaos.providers import Providers
from tests.chaos.stack import Gateway, Stack

PROCESSES: Final = ("kill", "stop", "terminate")
STORES: Final = ("redis-flush", "redis-restart", "redis-stop", "database-stop", "database-kill")
PROVIDERS: Final = ("provider-500", "provider-429", "provider-hang", "provider-drop", "provider-slow")
KINDS: Final = (*PROCESSES, *STORES, *PROVIDERS)

HELP: Final = {
    "kill": "kill -9 of a gateway process",
    "stop": "SIGSTOP of one for 1-20 s, now and then for longer than a claim lasts",
    "terminate": "SIGTERM to each in turn: a rolling restart",
    "redis-flush": "FLUSHALL",
    "redis-restart": "Redis is killed and comes back empty, at once or after up to 4 s",
    "redis-stop": "SIGSTOP of Redis for 1-8 s",
    "database-stop": "SIGSTOP of the database for 2-12 s, now and then 10-30 s",
    "database-kill": "kill -9 of the database, which starts again",
    "provider-500": "a provider fails for 1-5 s",
    "provider-429": "a provider says Retry-After",
    "provider-hang": "a provider never answers some sends",
    "provider-drop": "a provider takes a send and cuts the connection",
    "provider-slow": "a provider takes 1.5 s a send",
}


class Faults:
    """Applies faults until it is stopped. `lease`: seconds that a claim lasts. `brief` keeps every fault short."""

    def __init__(
        self,
        stack: Stack,
        providers: Providers,
        http: aiohttp.ClientSession,
        seed: int,
        kinds: Sequence[str],
        lease: float,
        brief: bool,
    ) -> None:
        self.done: Counter[str] = Counter()
        self.log: list[str] = []
        self._began = time.monotonic()
        self._stack = stack
        self._providers = providers
        self._http = http
        self._kinds = kinds
        self._lease = lease
        self._brief = 0.35 if brief else 1.0
        self._chances = {
            name: random.Random(f"{seed} {name}") for name in ("processes", "stores", "providers")
        }
        self._stop = asyncio.Event()
        self._apply: Mapping[str, Callable[[random.Random], Awaitable[None]]] = {
            "kill": self._kill,
            "stop": self._still_process,
            "terminate": self._rolling,
            "redis-flush": self._flush,
            "redis-restart": self._restart_redis,
            "redis-stop": self._still_redis,
            "database-stop": self._still_database,
            "database-kill": self._kill_database,
            "provider-500": self._failing,
            "provider-429": self._throttling,
            "provider-hang": self._hanging,
            "provider-drop": self._dropping,
            "provider-slow": self._slow,
        }

    async def run(self) -> None:
        """Until `stop`; what is under way ends first, and everything is going again afterwards."""
        await asyncio.gather(
            self._series("processes", PROCESSES, 1.0, 4.0),
            self._series("stores", STORES, 4.0, 12.0),
            self._series("providers", PROVIDERS, 1.0, 5.0),
        )
        self._providers.calm()

    def stop(self) -> None:
        self._stop.set()

    async def _series(self, name: str, kinds: Sequence[str], least: float, most: float) -> None:
        chance = self._chances[name]
        chosen = [k for k in kinds if k in self._kinds and (self._stack.redis or not k.startswith("redis"))]
        for kind in _rounds(chosen, chance):
            await self._pause(chance.uniform(least, most) * self._brief)
            if self._stop.is_set():
                return
            self.log.append(f"{time.monotonic() - self._began:6.1f} s  {kind}")
            self.done[kind] += 1
            await self._apply[kind](chance)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            pass

    # Processes

    def _one(self, chance: random.Random) -> Gateway:
        return chance.choice(self._stack.gateways)

    async def _kill(self, chance: random.Random) -> None:
        victim = self._one(chance)
        victim.signal(signal.SIGKILL)
        await victim.ended()

    async def _still_process(self, chance: random.Random) -> None:
        victim, long = self._one(chance), chance.random() < 0.08
        seconds = self._lease + 15 if long else chance.uniform(1, 20)
        async with self._stack.still(victim.name, victim.stop, victim.go_on):
            await self._pause(seconds * self._brief)

    async def _rolling(self, chance: random.Random) -> None:
        for gateway in self._stack.gateways:
            await gateway.end()
            await gateway.ready(self._http)
            if self._stop.is_set():
                return

    # Stores

    async def _flush(self, _: random.Random) -> None:
        assert self._stack.redis is not None
        began = time.monotonic()
        self._stack.redis.flush()
        self._stack.away.append(Window("redis", began, time.monotonic()))

    async def _restart_redis(self, chance: random.Random) -> None:
        redis = self._stack.redis
        assert redis is not None
        began = time.monotonic()
        redis.kill()
        await self._pause(chance.uniform(0, 4) * self._brief)
        redis.start()
        self._stack.away.append(Window("redis", began, time.monotonic() + 1))

    async def _still_redis(self, chance: random.Random) -> None:
        redis = self._stack.redis
        assert redis is not None
        async with self._stack.still("redis", redis.pause, redis.go_on):
            await self._pause(chance.uniform(1, 8) * self._brief)

    async def _still_database(self, chance: random.Random) -> None:
        long, database = chance.random() < 0.2, self._stack.database
        seconds = chance.uniform(10, 30) if long else chance.uniform(2, 12)
        async with self._stack.still("database", database.stop, database.go_on):
            await self._pause(seconds * self._brief)

    async def _kill_database(self, _: random.Random) -> None:
        began = time.monotonic()
        self._stack.database.signal(signal.SIGKILL)
        await self._pause(1.0)
        # Not "database": it may answer again at any moment of it.
        self._stack.away.append(Window("database killed", began, time.monotonic() + 2))

    # Providers

    async def _failing(self, chance: random.Random) -> None:
        await self._providers.failing(chance.uniform(1, 5) * self._brief, chance.choice((500, 502, 503)))

    async def _throttling(self, chance: random.Random) -> None:
        self._providers.throttling(chance.choice((2, 3, 5)))

    async def _hanging(self, chance: random.Random) -> None:
        self._providers.hanging(chance.randint(1, 3))

    async def _dropping(self, chance: random.Random) -> None:
        self._providers.dropping(chance.randint(1, 5))

    async def _slow(self, chance: random.Random) -> None:
        await self._providers.slow(chance.uniform(2, 6) * self._brief)


def _rounds(kinds: Sequence[str], chance: random.Random) -> Iterator[str]:
    """Every kind once a round, each round in another order, for ever; nothing of no kinds."""
    while kinds:
        yield from chance.sample(list(kinds), len(kinds))
