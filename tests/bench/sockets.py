"""`sockets`: what an idle widget connection costs in memory."""

import asyncio
import json

import aiohttp

from tests.bench.load import stand_in
from tests.bench.rig import at_most, child, folder, plain, show

ORIGIN = {"Origin": "https://shop.example"}


async def run(scale: float) -> bool:
    count = int(2000 * scale)
    async with (
        stand_in(lambda: None) as graph,
        folder() as data,
        child("tests.bench.gateway_process", DATA_DIR=str(data / "d"), WHATSAPP_API_URL=graph.url) as gateway,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        warm = [await _connect(http, gateway.url) for _ in range(50)]
        before = gateway.memory()
        gate = asyncio.Semaphore(16)

        async def one() -> aiohttp.ClientWebSocketResponse:
            async with gate:
                return await _connect(http, gateway.url)

        opened = await asyncio.gather(*(one() for _ in range(count)))
        each = (gateway.memory() - before) / count / 1024
        for socket in (*warm, *opened):
            await socket.close()
    return show(
        f"sockets: {count:,} idle widget connections",
        [plain("connections", f"{count:,}"), at_most("memory a connection", each, 40.0, "KB")],
    )


async def _connect(http: aiohttp.ClientSession, url: str) -> aiohttp.ClientWebSocketResponse:
    body = json.dumps({"site": "ch_web0", "token": None, "language": "en"})
    async with http.post(f"{url}/widget/session", data=body, headers=ORIGIN) as answer:
        ticket = (await answer.json())["ticket"]
    socket = await http.ws_connect(f"{url}/widget/ws", protocols=("parley.v1", ticket), headers=ORIGIN)
    hello = await socket.receive_json()
    assert hello["t"] == "hello"
    await socket.send_json({"t": "resume", "after": 0})
    await socket.receive_json()
    return socket
