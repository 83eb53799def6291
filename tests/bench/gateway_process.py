"""The gateway as the benchmarks run it: `python -m tests.bench.gateway_process`, with DATA_DIR, WHATSAPP_API_URL and
TENANTS (how many tenants, each with a WhatsApp number and a site). It prints `READY <url>`.

The brain knows one thing, so that the core is measured and not retrieval, which has its own benchmark.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from aiohttp import web
from pymongo.monitoring import CommandStartedEvent, CommandSucceededEvent

from gateway.bootstrap import build, listening, looking, open_store, working
from gateway.commands.serve import stopping
from gateway.model.answers import Answer, Listener, Question
from gateway.model.clock import system_clock
from gateway.model.tenant import Channel, Tenant
from gateway.ops.logging import configure
from gateway.settings import load
from gateway.store import Store
from gateway.store.database import RoundTrips

APP_SECRET = "bench-app-secret-0123456789"
TOKEN = "EAAbenchtoken0123456789"


class OneAnswer:
    """Says the same to everything; with ECHO, what it was asked."""

    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        said = question.text if os.environ.get("ECHO") else "The shop is open from ten to six."
        return Answer(True, said, by="bench")


class DiesAt(RoundTrips):
    """Kills its own process at a step: `step` counts the beginnings and ends of database calls on what an exchange
    writes, from the first insert of a message on."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._left = step
        self._begun = False

    def started(self, event: CommandStartedEvent) -> None:
        collection = event.command.get(event.command_name)
        self._begun |= event.command_name == "insert" and collection == "messages"
        self._ours = self._begun and collection in ("messages", "conversations", "contacts")
        self._step()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self._step()

    def _step(self) -> None:
        if getattr(self, "_ours", False):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class NoEmbedder:
    """No documents here, so no model to load."""

    model = "none"
    dimensions = 1

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.zeros((len(texts), 1), dtype=np.float32)

    near = embed


async def fill(store: Store, tenants: int) -> None:
    there = len(await store.directory.tenants(tenants))
    for n in range(there, tenants):
        name, now = f"t{n}", system_clock()
        await store.directory.add_tenant(Tenant(name, name, now))
        secrets = {"access_token": TOKEN, "app_secret": APP_SECRET, "verify_token": "v" * 16}
        number = Channel(f"ch_wa{n}", name, "whatsapp", str(10**12 + n), "number", now, secrets=secrets)
        site = Channel(
            f"ch_web{n}", name, "web", f"ch_web{n}", "site", now, origins=("https://shop.example",)
        )
        await store.directory.add_channel(number)
        await store.directory.add_channel(site)


async def main() -> None:
    settings = replace(load(os.environ), port=int(os.environ.get("PORT", "0")))
    configure("ERROR", "json")
    trips = RoundTrips() if os.environ.get("COUNT") else None
    if step := os.environ.get("DIE_AT"):
        trips = DiesAt(int(step))
    async with open_store(settings, listener=trips, say=lambda _: None) as store:
        await fill(store, int(os.environ.get("TENANTS", "1")))
        async with build(settings, store, brain=OneAnswer(), embedder=NoEmbedder()) as gateway:

            async def counted(request: web.Request) -> web.Response:
                return web.json_response(trips.counts if trips else {})

            gateway.app.router.add_get("/_trips", counted)
            # IDLE: receive only. The receive path is measured alone, and answers would compete for its database.
            # LOOKS: as `web` does beside a `worker`, over REDIS_URL.
            beside = looking if os.environ.get("LOOKS") else working
            at_work = nullcontext() if os.environ.get("IDLE") else beside(gateway)
            async with at_work, listening(gateway.app, "127.0.0.1", settings.port) as port:
                print(f"READY http://127.0.0.1:{port}", flush=True)
                await stopping().wait()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
