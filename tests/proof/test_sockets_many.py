"""Rows 3 and 4: many widget sockets over many sites. Nobody hears what is another's; cut all at once, all come back, and
nothing that was said meanwhile is lost."""

import asyncio
import json
from collections.abc import Iterable
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.conftest import Running, make_site, make_tenant
from tests.core.proxy import Proxy
from tests.core.visitor import Tab, Visitor

AT_ONCE = 32


async def at_once(work: Iterable[object]) -> None:
    """All of it, so much at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(each: object) -> None:
        async with gate:
            await each  # type: ignore[misc]

    await asyncio.gather(*(one(each) for each in work))


async def sites(running: Running, count: int) -> list[str]:
    await make_tenant(running.store, "sites")
    names = [f"ch_s{n}" for n in range(count)]
    for name in names:
        await make_site(running.store, "sites", name)
    return names


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("sockets", "count"), [(100, 10), pytest.param(4000, 400, marks=pytest.mark.slow)])
async def test_of_many_sockets_over_many_sites_each_hears_its_own_answers_only(
    running: Running, sockets: int, count: int
) -> None:
    """Row 3. Everybody says something of their own at the same time, and hears exactly that."""
    names = await sites(running, count)
    async with AsyncExitStack() as stack:
        tabs: list[Tab] = []

        async def come(place: int) -> None:
            visitor = Visitor(running, site=names[place % count])
            tabs.append(await stack.enter_async_context(visitor.open()))

        await at_once(come(n) for n in range(sockets))
        mine = {id(tab): f"echo {place}" for place, tab in enumerate(tabs)}

        async def ask(tab: Tab) -> None:
            assert (await tab.ask(mine[id(tab)]))["content"]["text"] == mine[id(tab)]

        await at_once(ask(tab) for tab in tabs)
        # Each was told something by now, and whatever else came has come before this.
        for tab in tabs:
            await tab.put({"t": "ping"})
            await tab.next("pong")
            heard = [f["message"]["content"]["text"] for f in tab.seen if f["t"] == "message"]
            assert heard == [mine[id(tab)]]


class Behind:
    """A visitor whose socket comes by way of a proxy that the test cuts."""

    def __init__(self, running: Running, url: str, place: int) -> None:
        self.visitor = Visitor(
            Running(running.gateway, url, running.http, running.brain, running.clock, running.graph)
        )
        self.place = place
        self.cursor = 0
        self.heard: dict[str, str] = {}

    async def once(self, texts: list[str]) -> None:
        """One socket: what was missed is read, then the rest is said, each until it is acknowledged; until it is cut."""
        async with self.visitor.open(resume=False) as tab:
            self.took((await tab.resume(self.cursor))["messages"])
            while texts:
                said = await tab.say(texts[0], identifier=f"id-{texts[0].replace(' ', '-')}")
                assert said["content"]["text"] == texts.pop(0)
            while True:
                frame = json.loads(await tab.socket.receive_str(timeout=30))
                self.took([frame["message"]] if frame["t"] == "message" else [])

    def took(self, messages: list[dict[str, object]]) -> None:
        for message in messages:
            self.cursor = max(self.cursor, int(str(message["seq"])))
            if message["from"] != "visitor":
                content = message["content"]
                assert isinstance(content, dict)
                assert str(message["id"]) not in self.heard or self.cursor
                self.heard[str(message["id"])] = str(content["text"])

    async def live(self, texts: list[str]) -> None:
        while True:
            try:
                await self.once(texts)
            except (aiohttp.ClientError, aiohttp.WSMessageTypeError, OSError, TimeoutError):
                await asyncio.sleep(0.01)  # a browser's pause before it comes back


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sockets", [40, pytest.param(1000, marks=pytest.mark.slow)])
async def test_all_sockets_cut_at_once_come_back_and_lose_nothing(running: Running, sockets: int) -> None:
    """Row 4. The answers are thought about while every socket is cut, and are there when they come back."""
    running.brain.gate = asyncio.Event()
    async with Proxy(running.url + "/") as proxy:
        everybody = [Behind(running, proxy.uri.removesuffix("/"), n) for n in range(sockets)]
        texts = {b.place: [f"echo {b.place} {n}" for n in range(2)] for b in everybody}
        lives = [asyncio.create_task(b.live(texts[b.place])) for b in everybody]
        try:
            async with asyncio.timeout(300):
                while any(texts.values()):
                    await asyncio.sleep(0.02)
                await proxy.cut()
                assert not any(b.heard for b in everybody)
                running.brain.gate.set()
                await running.until(lambda: running.gateway.work.idle, seconds=120)
                proxy.mend()
                while any(len(b.heard) < 2 for b in everybody):
                    await asyncio.sleep(0.02)
            for behind in everybody:
                assert list(behind.heard.values()) == [f"echo {behind.place} {n}" for n in range(2)]
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
