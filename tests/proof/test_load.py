"""Rows 1 and 6: a steady load answers no webhook with a fault, and leaves nothing behind in the process."""

import asyncio
import gc
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.bench.gateway_process import APP_SECRET
from tests.bench.load import Exchanges, flood, webhook
from tests.bench.rig import Child, child
from tests.conftest import Running
from tests.providers.graph import GraphStandIn
from tests.providers.graph_webhooks import signed, text_webhook

SHARE = 0.7


async def at_rate(gateway: Child, bodies: Iterator[bytes], rate: float, seconds: float) -> Counter[int]:
    """So many webhooks a second, whether or not the answers keep up: the statuses."""
    codes: Counter[int] = Counter()

    async def one(http: aiohttp.ClientSession, body: bytes) -> None:
        url = f"{gateway.url}/webhooks/whatsapp/ch_wa0"
        async with http.post(url, data=body, headers=signed(body, APP_SECRET)) as answer:
            codes[answer.status] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        began, sent = time.monotonic(), []
        for n in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + n / rate - time.monotonic()))
            sent.append(asyncio.create_task(one(http, next(bodies))))
        await asyncio.gather(*sent)
    return codes


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
async def test_at_seventy_percent_of_what_it_sustains_no_webhook_is_refused(
    tmp_path: Path, seconds: int
) -> None:
    """Row 1. What it sustains is measured in the same run. `scripts/bench` prints how long an acknowledgement takes."""
    bodies = (webhook(n, 0, n) for n in itertools.count())
    async with (
        GraphStandIn(record=False) as graph,
        child(
            "tests.bench.gateway_process",
            DATA_DIR=str(tmp_path / "data"),
            WHATSAPP_API_URL=graph.url,
            IDLE="1",
        ) as gateway,
    ):
        url = f"{gateway.url}/webhooks/whatsapp/ch_wa0"
        most = await flood(lambda _: url, bodies, 300, 32)
        codes = await at_rate(gateway, bodies, SHARE * most, seconds)
    assert set(codes) == {200}, codes


@pytest.mark.timeout(300)
async def test_after_many_exchanges_the_process_holds_no_more_objects_than_before(running: Running) -> None:
    """Row 6, in short: the same customers again and again; what the second half leaves behind is counted."""

    async def round_of(place: int) -> int:
        for sender in range(20):
            body = text_webhook(
                str(34_600_000_000 + sender), f"echo {place}", f"wamid.{place}.{sender}", int(time.time())
            )
            assert await running.post_whatsapp(body) == 200
        await running.until(lambda: running.gateway.work.idle, seconds=60)
        running.graph.requests.clear()
        running.graph.reads.clear()
        running.brain.asked.clear()
        gc.collect()
        return len(gc.get_objects())

    counts = [await round_of(n) for n in range(9)]
    half = counts[4]
    assert counts[-1] <= half * 1.05, counts


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_a_soak_grows_by_no_more_than_five_percent_in_its_second_half(tmp_path: Path) -> None:
    """Row 6: resident memory of the process itself."""
    async with (
        GraphStandIn(record=False) as graph,
        child(
            "tests.bench.gateway_process", DATA_DIR=str(tmp_path / "data"), WHATSAPP_API_URL=graph.url
        ) as gateway,
    ):
        exchanges = Exchanges(gateway, 1, 2000)
        graph._on_accept = exchanges.arrived
        await exchanges.at_rate(20, 150)
        half = gateway.memory()
        await exchanges.at_rate(20, 150)
        assert gateway.memory() <= half * 1.05
