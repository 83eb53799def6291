"""The stack under chaos: the embedded database, a Redis and the gateway's processes, each a child that can be killed,
stopped and continued, and each started again when it dies."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gateway.store.embedded import embedded
from tests.bench.rig import ROOT
from tests.chaos.history import LATE, Ended, Window
from tests.redis_server import RedisServer, free_port

START_SECONDS, END_SECONDS = 60.0, 30.0


class Supervised:
    """A child process that is started again whenever it dies, until it is closed. `started` counts."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.started = 0
        self.ends: list[Ended] = []
        self._command = command
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name=self.name)

    @property
    def pid(self) -> int | None:
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process else None

    def signal(self, number: signal.Signals) -> bool:
        """Whether there was somebody to take it."""
        if self.pid is None or self._process is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
            return True
        return False

    def stop(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    async def ended(self) -> None:
        """Until the process that runs now has ended."""
        if self._process is not None:
            await self._process.wait()

    async def end(self) -> None:
        """SIGTERM. One that has not ended in time says where it stands, is killed, and is noted."""
        process = self._process
        if process is None or not self.signal(signal.SIGTERM):
            return
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            self.ends.append(Ended(self.name, time.monotonic(), LATE))
            self.signal(signal.SIGUSR1)
            await asyncio.sleep(1)
            self.signal(signal.SIGKILL)
            await process.wait()

    async def close(self) -> None:
        """SIGTERM, and SIGKILL to what does not end by it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self.signal(signal.SIGCONT)
        await self.end()

    async def _keep(self) -> None:
        while True:
            with self._log.open("ab") as output:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, cwd=ROOT, env=self._environment,
                    stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                )  # fmt: skip
            self.started += 1
            code = await self._process.wait()
            self.ends.append(Ended(self.name, time.monotonic(), code))
            await asyncio.sleep(0.1)


class Gateway(Supervised):
    """A `web` or `worker` of ours. `url` is where a web process listens."""

    def __init__(self, name: str, role: str, environment: Mapping[str, str], folder: Path) -> None:
        port = free_port() if role == "web" else 0
        self.role = role
        self.url = f"http://127.0.0.1:{port}" if role == "web" else ""
        command = [sys.executable, "-m", "tests.chaos.process", role]
        super().__init__(name, command, {**environment, "PORT": str(port)}, folder / f"{name}.log")

    async def ready(self, http: aiohttp.ClientSession) -> None:
        """Until it serves; a worker, until it runs."""
        async with asyncio.timeout(START_SECONDS):
            while self.pid is None or not await self._serves(http):
                await asyncio.sleep(0.1)

    async def _serves(self, http: aiohttp.ClientSession) -> bool:
        if not self.url:
            return True
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with http.get(f"{self.url}/health", timeout=aiohttp.ClientTimeout(total=1)) as answer:
                return answer.status == 200
        return False


class Database:
    """The embedded database; `uri` names it. Killed, its own keeper starts it again."""

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder = folder
        self.uri = uri

    def signal(self, number: signal.Signals) -> bool:
        pid = int(json.loads((self._folder / "embedded.json").read_text(encoding="utf-8"))["pid"])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    def stop(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)


class Stack:
    """All of it, and the times in which a part was away."""

    def __init__(self, database: Database, redis: RedisServer | None, gateways: list[Gateway]) -> None:
        self.database = database
        self.redis = redis
        self.gateways = gateways
        self.away: list[Window] = []

    @property
    def webs(self) -> list[Gateway]:
        return [g for g in self.gateways if g.url]

    @asynccontextmanager
    async def still(
        self, what: str, stop: Callable[[], object], go_on: Callable[[], object]
    ) -> AsyncIterator[None]:
        """Stopped, and going on afterwards."""
        began = time.monotonic()
        try:
            stop()
            yield
        finally:
            # Noted before it goes on: what is answered afterwards is none of this window.
            self.away.append(Window(what, began, time.monotonic()))
            go_on()


@asynccontextmanager
async def stack(
    folder: Path, processes: int, environments: list[dict[str, str]], with_redis: bool
) -> AsyncIterator[Stack]:
    """Half of the processes `web`, the rest `worker`; each with an environment of its own. Not started yet: the caller fills
    the database first, then opens them."""
    async with contextlib.AsyncExitStack() as held:
        uri = await held.enter_async_context(embedded(folder / "data", lambda _: None))
        redis = held.enter_context(RedisServer()) if with_redis else None
        shared = {"MONGODB_URI": uri, "DATA_DIR": str(folder / "data"), "LOG_LEVEL": "WARNING"}
        if redis is not None:
            shared["REDIS_URL"] = redis.url
        webs = (processes + 1) // 2
        gateways = []
        for number, own in enumerate(environments[:processes]):
            role, place = ("web", number) if number < webs else ("worker", number - webs)
            gateway = Gateway(f"{role}{place + 1}", role, {**shared, **own}, folder)
            gateways.append(gateway)
        found = Stack(Database(folder / "data", uri), redis, gateways)
        try:
            yield found
        finally:
            await asyncio.gather(*(g.close() for g in gateways))
