"""A disk that takes no more (row 17): nothing is acknowledged that is not there afterwards.

The database server is given a limit on the size of its files, which its tables meet as they
grow; then it is started again without.
"""

import asyncio
import contextlib
import random
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from gateway.bootstrap import open_store
from gateway.model.clock import system_clock
from gateway.model.message import message_id
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.database import EMBEDDED_OPTIONS
from tests.conftest import APP_SECRET, ScriptedBrain, make_tenant, make_whatsapp, serving
from tests.core.test_crash import free_port
from tests.providers.graph_webhooks import signed, text_webhook

LIMIT = 12 * 1024 * 1024
"""Above the 10 MB of a journal file, so that the server starts; below what its table of documents comes to."""


@asynccontextmanager
async def server(folder: Path, port: int, limit: int | None) -> AsyncIterator[None]:
    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(port),
        "--storage-path", str(folder), "--sync-on-commit", "--log-level", "ERROR", "--cache-size", "32M",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, preexec_fn=limited,
    )  # fmt: skip
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.timeout(240)
async def test_a_full_disk_acknowledges_nothing_that_is_not_kept(tmp_path: Path, settings: Settings) -> None:
    port, chance = free_port(), random.Random(17)
    settings = replace(settings, mongodb_uri=f"mongodb://127.0.0.1:{port}/parley?{EMBEDDED_OPTIONS}")
    acknowledged: list[str] = []
    refused = 0
    async with server(tmp_path / "db", port, LIMIT), opened(settings) as store:
        await make_tenant(store)
        await make_whatsapp(store)
        async with (
            serving(settings, store, system_clock, ScriptedBrain()) as (_, url),
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http,
        ):
            for n in range(400):
                noise = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=100_000))
                body = text_webhook("34600111222", noise, f"wamid.{n}", int(time.time()))
                async with http.post(
                    f"{url}/webhooks/whatsapp/ch_wa", data=body, headers=signed(body, APP_SECRET)
                ) as answer:
                    if answer.status == 200:
                        acknowledged.append(f"wamid.{n}")
                    else:
                        assert answer.status in (500, 503)
                        refused += 1
                if refused >= 5:
                    break
    assert refused, "the disk never filled"
    assert acknowledged
    async with server(tmp_path / "db", port, None), opened(settings) as store:
        messages = store.of("acme").messages
        missing = [w for w in acknowledged if await messages.get(message_id("ch_wa", w)) is None]
    assert missing == []


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """The store, once its server takes connections."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", int(str(settings.mongodb_uri).split(":")[2].split("/")[0])
                )
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            break
    async with open_store(settings, say=lambda _: None) as store:
        yield store
