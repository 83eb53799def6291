"""`exchange`: a customer's message in, one reply out at the provider's stand-in."""

import aiohttp

from tests.bench.load import Exchanges, stand_in
from tests.bench.rig import Row, at_most, child, folder, percentile, plain, show

RATE = 20.0


async def run(scale: float) -> bool:
    driving: list[Exchanges] = []
    count = int(1500 * scale)
    async with stand_in(lambda: driving[-1] if driving else None) as graph, folder() as one, folder() as two:
        base = {"WHATSAPP_API_URL": graph.url}
        async with child(
            "tests.bench.gateway_process", DATA_DIR=str(one / "d"), COUNT="1", TENANTS="20", **base
        ) as gateway:
            driving.append(Exchanges(gateway, 20, 200))
            await driving[-1].at_concurrency(200, 8)
            rows = await _steady(gateway.url, driving[-1], 30 * scale)
            driving[-1].took.clear()
            before = gateway.cpu()
            rate = await driving[-1].at_concurrency(count, 32)
            ours = (gateway.cpu() - before) / count
        async with (
            child("tests.bench.parts_process", DATA_DIR=str(two / "d"), **base) as parts,
            aiohttp.ClientSession() as http,
            http.post(f"{parts.url}/parts?n={max(50, count // 3)}") as answer,
        ):
            sum_of_parts = (await answer.json())["cpu"] / max(50, count // 3)
    return show(
        "exchange: a WhatsApp message in, a reply out, on the embedded database",
        [
            *rows,
            plain("sustained, 32 at a time", f"{rate:.0f}/s"),
            plain("processor time an exchange", f"{ours * 1000:.2f} ms"),
            plain("sum of its parts", f"{sum_of_parts * 1000:.2f} ms"),
            at_most("gateway / sum of parts", ours / sum_of_parts, 3.0),
        ],
    )


async def _steady(url: str, exchanges: Exchanges, seconds: float) -> list[Row]:
    async with aiohttp.ClientSession() as http:
        before = await _trips(http, url)
        exchanges.took.clear()
        await exchanges.at_rate(RATE, max(3.0, seconds))
        after = await _trips(http, url)
    took = exchanges.took
    # What looks around once a second whether or not anybody writes is not an exchange's.
    spent = sum(
        n - before.get(k, 0) for k, n in after.items() if not k.endswith(("tenants", "channels", "receipts"))
    )
    looks = 2 * (after.get("find receipts", 0) - before.get("find receipts", 0))
    return [
        at_most("database round trips an exchange", (spent - looks) / len(took), 8.0, ""),
        plain(f"p50 at {RATE:.0f}/s", f"{percentile(took, 0.5) * 1000:.1f} ms"),
        at_most(f"p99 at {RATE:.0f}/s", percentile(took, 0.99) * 1000, 300.0, "ms"),
    ]


async def _trips(http: aiohttp.ClientSession, url: str) -> dict[str, int]:
    async with http.get(f"{url}/_trips") as answer:
        found: dict[str, int] = await answer.json()
        return found
