"""`/health`: this process is alive. `/ready`: it can do its work. `/metrics`: Prometheus text."""

import time
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

from gateway.model.errors import Unavailable
from gateway.store import Store


@dataclass
class Metrics:
    """Counters of one process, by name and label."""

    started: float = field(default_factory=time.time)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, name: str, label: str = "") -> None:
        self.counts[name, label] += 1

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
        return "\n".join(lines) + "\n"


class Health:
    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", self.health),
            web.get("/ready", self.ready),
            web.get("/metrics", self.metrics),
        ]

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(self, request: web.Request) -> web.Response:
        try:
            await self._store.ping()
        except Unavailable:
            return web.json_response({"status": "unavailable", "database": "unreachable"}, status=503)
        return web.json_response({"status": "ready", "database": "reachable"})

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(text=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})
