"""What the benchmarks share: the gateway as a process of its own, its processor time, and tables."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Child:
    """A process of ours and how to ask what it used."""

    pid: int
    url: str

    def cpu(self) -> float:
        """Seconds of processor time so far, without its children."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> int:
        """Bytes of its own resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0


def own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@asynccontextmanager
async def child(module: str, *arguments: str, **environment: str) -> AsyncIterator[Child]:
    """Run `python -m module`; it prints `READY <url>` once it serves, and ends on SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        cwd=ROOT, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        while True:
            line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            if not line:
                raise RuntimeError(f"{module} ended before it was ready")
            if line.startswith("READY "):
                break
        yield Child(process.pid, line.split()[1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 40)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        yield Path(name)


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=False))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what was measured, its value, and the bound it is to keep (None: for information)."""

    name: str
    value: str
    bound: str = ""
    held: bool | None = None


def show(title: str, rows: Sequence[Row]) -> bool:
    """Print a table; whether every bound held."""
    print(f"\n{title}")
    width = max(len(r.name) for r in rows)
    values = max(len(r.value) for r in rows)
    for row in rows:
        mark = {True: "ok", False: "MISSED", None: ""}[row.held]
        print(f"  {row.name.ljust(width)}  {row.value.rjust(values)}  {row.bound:<16} {mark}".rstrip())
    return all(r.held is not False for r in rows)


def at_least(name: str, value: float, bound: float, unit: str = "x") -> Row:
    return Row(name, f"{value:.2f} {unit}", f">= {bound:g} {unit}", value >= bound)


def at_most(name: str, value: float, bound: float, unit: str = "x") -> Row:
    return Row(name, f"{value:.2f} {unit}", f"<= {bound:g} {unit}", value <= bound)


def plain(name: str, value: Any) -> Row:
    return Row(name, str(value))
