"""`tenants`: the exchange with few and with many tenants, each with a WhatsApp number and a site."""

from tests.bench.load import Exchanges, stand_in
from tests.bench.rig import at_least, at_most, child, folder, plain, show

FEW, MANY = 10, 5_000


async def run(scale: float) -> bool:
    many = max(FEW * 2, int(MANY * scale))
    count = int(1500 * scale)
    rates: dict[int, float] = {}
    memory: dict[int, int] = {}
    driving: list[Exchanges] = []
    async with stand_in(lambda: driving[-1] if driving else None) as graph:
        for tenants in (FEW, many):
            async with (
                folder() as data,
                child(
                    "tests.bench.gateway_process",
                    DATA_DIR=str(data / "d"),
                    WHATSAPP_API_URL=graph.url,
                    TENANTS=str(tenants),
                ) as gateway,
            ):
                # Many more customers than are asked for at once: one customer's reply is told from another's by the number.
                driving.append(Exchanges(gateway, tenants, max(tenants, 500)))
                await driving[-1].at_concurrency(
                    tenants, 32
                )  # everybody once: what is kept of a tenant is kept
                driving[-1].took.clear()
                memory[tenants] = gateway.memory()
                rates[tenants] = await driving[-1].at_concurrency(count, 32)
    each = (memory[many] - memory[FEW]) / (many - FEW) / 1024
    return show(
        f"tenants: exchanges a second with {FEW} and with {many:,} tenants",
        [
            plain(f"{FEW} tenants", f"{rates[FEW]:.0f}/s"),
            plain(f"{many:,} tenants", f"{rates[many]:.0f}/s"),
            at_least("many / few", rates[many] / rates[FEW], 0.9),
            at_most("memory an added tenant", each, 10.0, "KB"),
        ],
    )
