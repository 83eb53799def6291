"""`receive`: webhooks a second, through the whole path and through a bare handler that does the least it could."""

import itertools

from tests.bench.load import flood, stand_in, webhook
from tests.bench.rig import at_least, child, folder, plain, show

CONCURRENCY = 64
ROUNDS = 3


async def run(scale: float) -> bool:
    count = int(3000 * scale)
    ours: list[float] = []
    bare: list[float] = []
    async with stand_in(lambda: None) as graph, folder() as one, folder() as two:
        base = {"WHATSAPP_API_URL": graph.url}
        numbers = itertools.count()
        bodies = (webhook(n, 0, n) for n in numbers)
        for n in range(ROUNDS):
            # One at a time: both servers want the same two cores. Answering is left to be done after the count.
            async with child(
                "tests.bench.gateway_process", DATA_DIR=str(one / str(n)), IDLE="1", **base
            ) as gateway:
                url = f"{gateway.url}/webhooks/whatsapp/ch_wa0"
                await flood(lambda _, u=url: u, bodies, count // 10, CONCURRENCY)  # type: ignore[misc]
                ours.append(await flood(lambda _, u=url: u, bodies, count, CONCURRENCY))  # type: ignore[misc]
            async with child("tests.bench.parts_process", DATA_DIR=str(two / str(n)), **base) as parts:
                url = f"{parts.url}/bare"
                await flood(lambda _, u=url: u, bodies, count // 10, CONCURRENCY)  # type: ignore[misc]
                bare.append(await flood(lambda _, u=url: u, bodies, count, CONCURRENCY))  # type: ignore[misc]
    ratio = sorted(a / b for a, b in zip(ours, bare, strict=True))[ROUNDS // 2]
    return show(
        f"receive: signed webhooks a second at concurrency {CONCURRENCY}, median of {ROUNDS} pairs",
        [
            plain("gateway", f"{sorted(ours)[ROUNDS // 2]:.0f}/s"),
            plain("bare handler, one insert", f"{sorted(bare)[ROUNDS // 2]:.0f}/s"),
            at_least("gateway / bare", ratio, 1.0),
        ],
    )
