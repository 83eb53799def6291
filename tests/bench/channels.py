"""`channels`: what reading a body costs on each channel, and what a thousand accounts of each kind weigh."""

import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from channels import registry
from gateway.bootstrap import open_store
from gateway.model.clock import system_clock
from gateway.model.tenant import Channel, ChannelKind, Tenant
from gateway.settings import Settings
from tests.bench.rig import at_most, folder, plain, show

PAYLOADS = Path(__file__).parent.parent / "payloads"
TEXT: Mapping[ChannelKind, str] = {
    "whatsapp": "text",
    "telegram": "text",
    "slack": "text",
    "webhook": "text",
}
"""The plainest body of each folder."""

ACCOUNTS = 1_000
SECRET: Mapping[str, str] = {"webhook": "whsec_" + "QUJD" * 8}


def median_us(call: Callable[[], object], times: int) -> float:
    """Microseconds that a call takes, by the median, with the collector resting."""
    took = []
    gc.disable()
    try:
        for _ in range(times):
            started = time.perf_counter()
            call()
            took.append(time.perf_counter() - started)
    finally:
        gc.enable()
    return statistics.median(took) * 1e6


async def run(scale: float) -> bool:
    accounts = max(10, int(ACCOUNTS * scale))
    async with folder() as data, aiohttp.ClientSession() as session:
        settings = Settings(data_dir=data / "d")
        async with open_store(settings, say=lambda _: None) as store:
            built = registry.build(
                settings,
                session,
                (b"k",),
                system_clock,
                store.files,
                store.directory.keep,
                lambda *_: "",
                store.access.use_ticket,
            )
            rows = [row for kind in TEXT for row in parsing(built, kind, scale)]
            await store.directory.add_tenant(Tenant("t", "T", system_clock()))
            made = [channel(kind, n) for kind in TEXT for n in range(accounts)]
            for one in made:
                await store.directory.add_channel(one)
            ids = [c.id for c in made]
            made.clear()
            # A second store beside it, which knows none of them yet.
            async with open_store(settings, say=lambda _: None) as other:
                await other.directory.tenant("t")
                gc.collect()
                before = resident()
                for identifier in ids:
                    found = await other.directory.channel(identifier)
                    built.webhooks[found.kind].parse(found, body(found.kind))
                gc.collect()
                added = (resident() - before) / 2**20
    rows.append(plain("accounts loaded", f"{len(ids):,}"))
    rows.append(at_most(f"memory of {accounts:,} accounts of each kind", added, 15.0, "MB"))
    return show("channels: reading a body; accounts in memory", rows)


def resident() -> int:
    """Bytes of this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def body(kind: ChannelKind) -> bytes:
    return (PAYLOADS / kind / f"{TEXT[kind]}.json").read_bytes()


def channel(kind: ChannelKind, number: int) -> Channel:
    account = account_in(kind) if number == 0 else f"{kind}-{number}"
    secrets: dict[str, str] = {
        s.name: SECRET.get(kind, f"secret-{number}") for s in registry.SETTINGS[kind] if s.secret
    }
    config: dict[str, Any] = {"username": "bot", "waba_id": "1", "url": "https://app.example/in"}
    return Channel(
        f"ch_{kind}_{number}",
        "t",
        kind,
        account,
        kind,
        system_clock(),
        config=config,
        secrets=secrets,
    )


def account_in(kind: ChannelKind) -> str:
    """The account that the payloads of a kind speak of."""
    if kind == "whatsapp":
        found = json.loads(body(kind))["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"]
        return str(found)
    if kind == "slack":
        return str(json.loads(body(kind))["team_id"])
    return f"{kind}-0"


def parsing(built: registry.Registry, kind: ChannelKind, scale: float) -> list[Any]:
    adapter, account = built.webhooks[kind], channel(kind, 0)
    text = body(kind)
    typical = median_us(lambda: adapter.parse(account, text), max(50, int(2000 * scale)))
    baseline = median_us(lambda: json.loads(text), max(50, int(2000 * scale)))
    worst, name = 0.0, ""
    for file in sorted((PAYLOADS / kind).glob("*")):
        data = file.read_bytes()

        def read(data: bytes = data) -> None:
            try:
                adapter.parse(account, data)
            except Exception:  # not this provider's: refused
                return

        took = median_us(read, max(5, int(30 * scale)))
        if took > worst:
            worst, name = took, file.stem
    return [
        plain(f"{kind}: text body / json.loads of it", f"{typical / baseline:.1f} x"),
        at_most(f"{kind}: text body, median", typical, 150.0, "us"),
        at_most(f"{kind}: worst body ({name})", worst, 2000.0, "us"),
    ]
