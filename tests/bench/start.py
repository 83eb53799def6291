"""`start`: seconds from the command to ready, and memory at rest."""

import asyncio
import os
import signal
import socket
import sys
import time

import aiohttp

from tests.bench.rig import ROOT, Child, at_most, folder, show

REST = 3.0


async def run(scale: float) -> bool:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with folder() as data:
        first, _ = await _once(str(data / "d"), port)
        again, memory = await _once(str(data / "d"), port)
    return show(
        "start: `python -m gateway run` on the embedded database",
        [
            at_most("ready, first start with the demo", first, 5.0, "s"),
            at_most("ready, second start", again, 5.0, "s"),
            at_most("memory at rest, without the database", memory / 2**20, 250.0, "MB"),
        ],
    )


async def _once(data: str, port: int) -> tuple[float, int]:
    """Seconds until the addresses are printed, and memory a little later."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "run",
        cwd=ROOT, env={**os.environ, "DATA_DIR": data, "PORT": str(port)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    while b"API docs" not in (line := await asyncio.wait_for(process.stdout.readline(), 60)):
        if not line:
            raise RuntimeError("the gateway did not start")
    took = time.perf_counter() - begun
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/ready") as answer:
        assert answer.status == 200
    await asyncio.sleep(REST)
    memory = Child(process.pid, "").memory()
    process.send_signal(signal.SIGTERM)
    await process.wait()
    return took, memory
