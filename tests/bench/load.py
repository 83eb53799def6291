"""Load: signed webhooks at a concurrency or at a rate, and the replies that arrive at the stand-in."""

import asyncio
import time
from collections.abc import Callable, Iterator

import aiohttp

from tests.bench.gateway_process import APP_SECRET
from tests.bench.rig import Child
from tests.providers.graph import GraphStandIn, Recorded
from tests.providers.graph_webhooks import signed, text_webhook

ACCOUNT = 10**12


def webhook(number: int, tenant: int, sender: int) -> bytes:
    return text_webhook(
        str(34_600_000_000 + sender),
        f"Are you open? {number}",
        f"wamid.{number}",
        int(time.time()),
        account=str(ACCOUNT + tenant),
    )


async def flood(url_of: Callable[[int], str], bodies: Iterator[bytes], count: int, concurrency: int) -> float:
    """Post `count` bodies, so many at a time; answers a second. Anything but 200 ends it."""
    left = iter(range(count))

    async def one(http: aiohttp.ClientSession) -> None:
        for n in left:
            body = next(bodies)
            async with http.post(url_of(n), data=body, headers=signed(body, APP_SECRET)) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"status {answer.status}")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        start = time.perf_counter()
        await asyncio.gather(*(one(http) for _ in range(concurrency)))
        return count / (time.perf_counter() - start)


class Exchanges:
    """Drives a gateway through its WhatsApp numbers and times each reply at the stand-in."""

    def __init__(self, gateway: Child, tenants: int, senders: int) -> None:
        self._gateway = gateway
        self._tenants = tenants
        self._senders = senders
        self._asked: dict[str, float] = {}
        self._number = 0
        self.took: list[float] = []
        self._waiting = 0
        self._done = asyncio.Event()

    def arrived(self, request: Recorded) -> None:
        """Called by the stand-in for every message that it accepted."""
        recipient = str(request.body.get("to"))
        asked = self._asked.pop(recipient, None)
        if asked is not None:
            self.took.append(time.perf_counter() - asked)
            self._waiting -= 1
            self._done.set()

    async def _ask(self, http: aiohttp.ClientSession) -> None:
        number = self._number
        self._number += 1
        sender, tenant = number % self._senders, number % self._tenants
        body = webhook(number, tenant, sender)
        self._asked[str(34_600_000_000 + sender)] = time.perf_counter()
        self._waiting += 1
        url = f"{self._gateway.url}/webhooks/whatsapp/ch_wa{tenant}"
        async with http.post(url, data=body, headers=signed(body, APP_SECRET)) as answer:
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}")

    async def at_rate(self, rate: float, seconds: float) -> None:
        """Ask so many a second, whether or not the replies keep up; then wait for the last reply."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            start, asks = time.perf_counter(), []
            for n in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, start + n / rate - time.perf_counter()))
                asks.append(asyncio.create_task(self._ask(http)))
            await asyncio.gather(*asks)
            await self._settled()

    async def at_concurrency(self, count: int, concurrency: int) -> float:
        """Ask `count` times, each of so many askers waiting for its reply; exchanges a second."""
        left = iter(range(count))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            start = time.perf_counter()

            async def asker() -> None:
                for _ in left:
                    await self._room(concurrency)
                    await self._ask(http)

            await asyncio.gather(*(asker() for _ in range(concurrency)))
            await self._settled()
            return count / (time.perf_counter() - start)

    async def _room(self, concurrency: int) -> None:
        while self._waiting >= concurrency:
            self._done.clear()
            await self._done.wait()

    async def _settled(self) -> None:
        async with asyncio.timeout(60):
            while self._waiting:
                self._done.clear()
                await self._done.wait()


def stand_in(exchanges: Callable[[], Exchanges | None]) -> GraphStandIn:
    def accepted(request: Recorded) -> None:
        driving = exchanges()
        if driving is not None:
            driving.arrived(request)

    return GraphStandIn(record=False, on_accept=accepted)
