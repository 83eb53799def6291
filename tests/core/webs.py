"""Several processes over one database and one Redis, as far as a test sees them: web processes that hold sockets, and a
worker that holds none and does all the work."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from gateway.bootstrap import Gateway, build, listening, looking, open_store, working
from gateway.settings import Settings
from tests.bench.gateway_process import NoEmbedder
from tests.conftest import MovableClock, Running, ScriptedBrain, make_site, make_tenant
from tests.core.visitor import Tab, Visitor
from tests.providers.graph import GraphStandIn
from tests.redis_server import RedisServer


@dataclass
class Webs:
    webs: list[Running]
    worker: Gateway
    brain: ScriptedBrain
    redis: RedisServer
    key: str

    async def call(self, web: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        running = self.webs[web]
        headers = {"Authorization": f"Bearer {self.key}"}
        async with running.http.request(
            method, f"{running.url}/api/v1{path}", json=body, headers=headers
        ) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def together(self) -> None:
        """Until every process hears the others."""
        await until(lambda: all(w.gateway.channels.web.hub._bus.connected for w in self.webs))  # type: ignore[attr-defined]

    def visitor(self, web: int, same: Visitor | None = None) -> Visitor:
        return Visitor(self.webs[web], token=same.token if same else None)


@asynccontextmanager
async def webs(
    settings: Settings, clock: MovableClock, graph: GraphStandIn, redis: RedisServer, count: int = 2
) -> AsyncIterator[Webs]:
    settings, brain = replace(settings, redis_url=redis.url), ScriptedBrain()
    async with AsyncExitStack() as stack:

        async def process() -> Gateway:
            store = await stack.enter_async_context(open_store(settings, clock, say=lambda _: None))
            return await stack.enter_async_context(
                build(settings, store, clock, brain=brain, embedder=NoEmbedder())
            )

        worker = await process()
        await make_tenant(worker.store, region="ES")
        await make_site(worker.store)
        _, key = await worker.store.access.create_key("acme", "test", clock())
        found = []
        for _ in range(count):
            gateway = await process()
            await stack.enter_async_context(looking(gateway))
            port = await stack.enter_async_context(listening(gateway.app, "127.0.0.1", 0))
            connector = aiohttp.TCPConnector(limit=0)
            http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            found.append(Running(gateway, f"http://127.0.0.1:{port}", http, brain, clock, graph))
        await stack.enter_async_context(working(worker))
        made = Webs(found, worker, brain, redis, key)
        await made.together()
        yield made


@dataclass
class Widget:
    """What a browser shows: messages by id, as often as they come (web_widget/src/chat.js)."""

    tab: Tab
    shown: dict[str, dict[str, Any]]

    async def read(self) -> None:
        """Every frame that comes, until cancelled."""
        while True:
            frame = await self.tab.next(seconds=120)
            match frame["t"]:
                case "messages":
                    told = frame["messages"]
                case "message" | "ack":
                    told = [frame["message"]]
                case _:
                    told = []
            for message in told:
                self.shown.setdefault(message["id"], message)

    @property
    def texts(self) -> list[str]:
        ordered = sorted(self.shown.values(), key=lambda m: int(m["seq"]))
        return [m["content"].get("text", "") for m in ordered]


@asynccontextmanager
async def widget(visitor: Visitor) -> AsyncIterator[Widget]:
    async with visitor.open(resume=False) as tab:
        shown = Widget(tab, {})
        reading = asyncio.create_task(shown.read())
        await tab.put({"t": "resume", "after": 0})
        try:
            yield shown
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
