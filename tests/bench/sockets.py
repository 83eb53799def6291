"""`sockets`: what an idle widget connection costs in memory, and how fast an answer of another process reaches one.

`python -m tests.bench.sockets` is that other process: it publishes to the conversations that the file CONVERSATIONS lists, RATE
a second for SECONDS, each message with the moment it was handed over (the machine's monotonic clock, which all processes
share).
"""

import asyncio
import contextlib
import json
import os
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from channels.registry import Hub
from gateway.commands.serve import stopping
from gateway.store.embedded import embedded
from gateway.work.bus import RedisBus
from gateway.work.redis import connect
from tests.bench.load import stand_in
from tests.bench.rig import at_most, child, folder, percentile, plain, show
from tests.redis_server import RedisServer

ORIGIN = {"Origin": "https://shop.example"}
RATE = 200


async def run(scale: float) -> bool:
    idle = await _idle(scale)
    return await _between_processes(scale) and idle


async def _idle(scale: float) -> bool:
    count = int(2000 * scale)
    async with (
        stand_in(lambda: None) as graph,
        folder() as data,
        child("tests.bench.gateway_process", DATA_DIR=str(data / "d"), WHATSAPP_API_URL=graph.url) as gateway,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        warm = [await _connect(http, gateway.url) for _ in range(50)]
        before = gateway.memory()
        opened = await _connected(http, [gateway.url], count)
        each = (gateway.memory() - before) / count / 1024
        for socket, _ in (*warm, *opened):
            await socket.close()
    return show(
        f"sockets: {count:,} idle widget connections",
        [plain("connections", f"{count:,}"), at_most("memory a connection", each, 40.0, "KB")],
    )


async def _between_processes(scale: float) -> bool:
    count, seconds = int(2000 * scale), max(5.0, 30 * scale)
    async with AsyncExitStack() as stack:
        data = await stack.enter_async_context(folder())
        redis = stack.enter_context(RedisServer())
        uri = await stack.enter_async_context(embedded(data / "d", lambda _: None))
        shared = {"MONGODB_URI": uri, "REDIS_URL": redis.url, "DATA_DIR": str(data), "ROLE": "web"}
        webs = [
            await stack.enter_async_context(child("tests.bench.gateway_process", **shared)) for _ in range(2)
        ]
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        opened = await _connected(http, [w.url for w in webs], count)
        names = data / "conversations"
        names.write_text("\n".join(conversation for _, conversation in opened))
        took: list[float] = []
        wrong: list[str] = []
        readers = [asyncio.create_task(_hear(socket, name, took, wrong)) for socket, name in opened]
        before = [w.cpu() for w in webs]
        publisher = await stack.enter_async_context(
            child(
                "tests.bench.sockets",
                CONVERSATIONS=str(names), REDIS_URL=redis.url, RATE=str(RATE), SECONDS=str(seconds),
            )
        )  # fmt: skip
        wanted = int(RATE * seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + 20):
                while len(took) + len(wrong) < wanted:
                    await asyncio.sleep(0.1)
        used = [w.cpu() - b for w, b in zip(webs, before, strict=True)]
        spoke = publisher.cpu()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        for socket, _ in opened:
            await socket.close()
    return show(
        f"sockets: {count:,} over 2 web processes, {RATE} messages/s from a third for {seconds:.0f} s",
        [
            at_most("misrouted", len(wrong), 0, ""),
            at_most("not arrived", wanted - len(took) - len(wrong), 0, ""),
            plain("publish to socket, p50", f"{percentile(took, 0.5) * 1000:.1f} ms"),
            at_most("publish to socket, p99", percentile(took, 0.99) * 1000, 100.0, "ms"),
            plain("processor of each web process", ", ".join(f"{u / seconds:.0%}" for u in used)),
            plain("processor of the publisher", f"{spoke / seconds:.0%} (with its start)"),
        ],
    )


async def _connected(
    http: aiohttp.ClientSession, urls: Sequence[str], count: int
) -> list[tuple[aiohttp.ClientWebSocketResponse, str]]:
    gate = asyncio.Semaphore(16)

    async def one(n: int) -> tuple[aiohttp.ClientWebSocketResponse, str]:
        async with gate:
            return await _connect(http, urls[n % len(urls)])

    return await asyncio.gather(*(one(n) for n in range(count)))


async def _connect(http: aiohttp.ClientSession, url: str) -> tuple[aiohttp.ClientWebSocketResponse, str]:
    """A socket that has read its page, and its conversation."""
    body = json.dumps({"site": "ch_web0", "token": None, "language": "en"})
    async with http.post(f"{url}/widget/session", data=body, headers=ORIGIN) as answer:
        ticket = (await answer.json())["ticket"]
    socket = await http.ws_connect(f"{url}/widget/ws", protocols=("parley.v1", ticket), headers=ORIGIN)
    hello = await socket.receive_json()
    assert hello["t"] == "hello"
    await socket.send_json({"t": "resume", "after": 0})
    await socket.receive_json()
    return socket, hello["conversation"]


async def _hear(
    socket: aiohttp.ClientWebSocketResponse, name: str, took: list[float], wrong: list[str]
) -> None:
    """How long each message took, and those that are another conversation's."""
    async for incoming in socket:
        now = time.monotonic()
        frame = json.loads(incoming.data)
        if frame["t"] == "message":
            text = frame["message"]["content"]["text"]
            conversation, _, at = text.partition(" ")
            if conversation == name:
                took.append(now - float(at))
            else:
                wrong.append(text)


async def _publish() -> None:
    names = Path(os.environ["CONVERSATIONS"]).read_text().split("\n")
    rate, seconds = float(os.environ["RATE"]), float(os.environ["SECONDS"])
    redis, hub, stop = connect(os.environ["REDIS_URL"]), Hub(), stopping()
    bus = RedisBus(redis)
    hub.over(bus, lambda _: None)
    pick = random.Random(1)
    async with bus.running(hub):
        while not bus.connected:
            await asyncio.sleep(0.01)
        print("READY publishing", flush=True)
        start = time.monotonic()
        for n in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + n / rate - time.monotonic()))
            name = pick.choice(names)
            message = {
                "id": f"m_{n}", "seq": n + 1, "from": "bot", "at": "2026-11-21T10:00:00.000Z",
                "content": {"type": "text", "text": f"{name} {time.monotonic()}"},
            }  # fmt: skip
            hub.publish(name, {"t": "message", "message": message})
        await stop.wait()
    await redis.aclose()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_publish())
