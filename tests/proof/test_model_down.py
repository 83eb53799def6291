"""Row 51: the model is down, in every way that a model can be. Whoever asks is answered within ten seconds; lost: nobody."""

import asyncio
import time
from dataclasses import replace

import aiohttp
import pytest

from brain.embed import LocalEmbedder
from brain.ingest import add_file
from gateway.model.clock import system_clock
from gateway.settings import Settings
from gateway.store import Store
from tests.conftest import APP_SECRET, MovableClock, make_tenant, make_whatsapp, serving
from tests.providers.cohere import CohereStandIn
from tests.providers.graph import GraphStandIn
from tests.providers.graph_webhooks import signed, text_webhook

CUSTOMERS = 12
MOST = 10.0


async def post(http: aiohttp.ClientSession, url: str, sender: int, text: str) -> None:
    body = text_webhook(str(sender), text, f"wamid.{sender}", int(time.time()))
    address = f"{url}/webhooks/whatsapp/ch_wa"
    async with http.post(address, data=body, headers=signed(body, APP_SECRET)) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("behaviour", ["hang", "stall", "500"])
async def test_everybody_is_answered_in_time_while_the_model_is_down(
    settings: Settings, store: Store, clock: MovableClock, graph: GraphStandIn, behaviour: str
) -> None:
    await make_tenant(store)
    await make_whatsapp(store)
    embedder = LocalEmbedder()
    await embedder.near(["warm"])
    await add_file(
        store.knowledge,
        embedder,
        "acme",
        "a.md",
        b"# Service\n\nA full service costs 120 euros.\n",
        system_clock(),
    )
    async with CohereStandIn(always=behaviour) as cohere:
        assert cohere.key
        own = replace(settings, cohere_api_key=cohere.key, cohere_api_url=cohere.url)
        async with serving(own, store, clock, None) as (gateway, url), aiohttp.ClientSession() as http:
            await gateway.embedder.embed(["warm"])

            text = "How much does a full service cost? {}"
            asking = (post(http, url, 34_600_000_000 + n, text.format(n)) for n in range(CUSTOMERS))
            await asyncio.gather(*asking)
            async with asyncio.timeout(MOST):
                while sum("120 euros" in str(m.text) for m in graph.messages()) < CUSTOMERS:
                    await asyncio.sleep(0.02)
        assert cohere.calls and not cohere.wrong
        assert len({m.body["to"] for m in graph.messages() if "120 euros" in str(m.text)}) == CUSTOMERS


async def test_who_needs_no_model_is_answered_while_it_hangs(
    settings: Settings, store: Store, clock: MovableClock, graph: GraphStandIn
) -> None:
    """Row 2, with a real provider that hangs: told by the order of events, before anybody's time is up."""
    await make_tenant(store)
    await make_whatsapp(store)
    embedder = LocalEmbedder()
    text = b"# Service\n\nA full service costs 120 euros.\n"
    await add_file(store.knowledge, embedder, "acme", "a.md", text, system_clock())
    async with CohereStandIn(always="hang") as cohere:
        own = replace(settings, cohere_api_key=cohere.key, cohere_api_url=cohere.url)
        async with serving(own, store, clock, None) as (gateway, url), aiohttp.ClientSession() as http:
            await gateway.embedder.embed(["warm"])
            asked = "How much does a full service cost?"
            await asyncio.gather(*(post(http, url, 34_600_000_000 + n, f"{asked} {n}") for n in range(6)))
            async with asyncio.timeout(15):
                while sum(call.path == "/v2/chat" for call in cohere.calls) < 6:
                    await asyncio.sleep(0.01)
            await asyncio.gather(*(post(http, url, 34_700_000_000 + n, "hello") for n in range(6)))
            async with asyncio.timeout(15):
                while sum("Hello" in str(m.text) for m in graph.messages()) < 6:
                    await asyncio.sleep(0.01)
            assert not any("120 euros" in str(m.text) for m in graph.messages())
