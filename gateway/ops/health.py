"""`/health`: this process is alive. `/ready`: it can do its work. `/metrics`: Prometheus text."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from gateway.model.errors import ParleyError

PATIENCE: Final = 3.0
"""Seconds that whoever asks whether we are ready waits for a part that hangs."""


@dataclass
class Metrics:
    """Counters of one process, by name and label."""

    started: float = field(default_factory=time.time)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    gauges: dict[str, tuple[str, Callable[[], float | None]]] = field(default_factory=dict)
    asked: dict[str, tuple[str, Callable[[], Awaitable[float]]]] = field(default_factory=dict)

    def add(self, name: str, label: str = "") -> None:
        self.counts[name, label] += 1

    def gauge(self, name: str, text: str, read: Callable[[], float | None]) -> None:
        """A figure that is read when it is asked for; None is shown as NaN."""
        self.gauges[name] = text, read

    def ask(self, name: str, text: str, question: Callable[[], Awaitable[float]]) -> None:
        """A figure that a part has to be asked for; while it can't be reached, NaN is shown."""
        self.asked[name] = text, question

    async def shown(self) -> str:
        """The text, once every part was asked."""
        answers = await asyncio.gather(*(_answer(question) for _, question in self.asked.values()))
        found = dict(zip(self.asked, answers, strict=True))
        return self.text() + "".join(_gauge(n, self.asked[n][0], found[n]) for n in sorted(found))

    def text(self) -> str:
        """Prometheus text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/"""
        lines = [
            "# HELP parley_started_seconds When this process started.",
            "# TYPE parley_started_seconds gauge",
            f"parley_started_seconds {self.started:.3f}",
        ]
        for name in sorted({n for n, _ in self.counts}):
            lines += [
                f"# HELP parley_{name}_total {name.replace('_', ' ')}.",
                f"# TYPE parley_{name}_total counter",
            ]
            for (found, label), count in sorted(self.counts.items()):
                if found == name:
                    lines.append(f'parley_{name}_total{{kind="{label}"}} {count}')
        gauges = [_gauge(name, text, read()) for name, (text, read) in sorted(self.gauges.items())]
        return "\n".join(lines) + "\n" + "".join(gauges)


def _gauge(name: str, text: str, value: float | None) -> str:
    shown = "NaN" if value is None else value
    return f"# HELP parley_{name} {text}\n# TYPE parley_{name} gauge\nparley_{name} {shown}\n"


async def _answer(question: Callable[[], Awaitable[float]]) -> float | None:
    try:
        return await asyncio.wait_for(question(), PATIENCE)
    except (ParleyError, TimeoutError):
        return None


class Part(Protocol):
    """What we are not ready without. Raises when it can't be reached."""

    def ping(self) -> Awaitable[object]: ...


class Health:
    def __init__(self, store: Part, metrics: Metrics, redis: Part | None = None) -> None:
        self._metrics = metrics
        self._parts: dict[str, Part] = {"database": store} | ({"redis": redis} if redis else {})

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", self.health),
            web.get("/ready", self.ready),
            web.get("/metrics", self.metrics),
        ]

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(self, request: web.Request) -> web.Response:
        found = await asyncio.gather(*(_reachable(part) for part in self._parts.values()))
        parts = {
            n: "reachable" if there else "unreachable" for n, there in zip(self._parts, found, strict=True)
        }
        if all(found):
            return web.json_response({"status": "ready", **parts})
        return web.json_response({"status": "unavailable", **parts}, status=503)

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            text=await self._metrics.shown(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )


async def _reachable(part: Part) -> bool:
    """Whether it answers soon. One that hangs is left alone: its driver takes longer to notice than whoever asks us."""
    asked = asyncio.ensure_future(part.ping())
    # Its error is its answer, also when nobody waits for it any more.
    asked.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({asked}, timeout=PATIENCE)
    if not asked.done():
        asked.cancel()
        return False
    return not asked.cancelled() and asked.exception() is None
