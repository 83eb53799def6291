"""The providers of a run: the stand-ins of WhatsApp and Telegram, on an address for each of our processes, so that who asked
can be told; and the ways in which they misbehave."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.chaos.history import Asked, Refused, Taken
from tests.providers import bot_api, graph

WHO: ContextVar[str] = ContextVar("WHO")
ARRIVED: ContextVar[float] = ContextVar("ARRIVED")


@dataclass
class Watch:
    """Who sent what when, and who was told to wait. `whose` names the process behind a port."""

    whose: Callable[[int], str]
    asked: list[Asked]
    refused: list[Refused]

    def who(self, request: web.BaseRequest) -> str:
        assert request.transport is not None
        return self.whose(int(request.transport.get_extra_info("sockname")[1]))

    def told(self, who: str, account: str, wait: float) -> None:
        now = time.monotonic()
        self.refused.append(Refused(who, account, now, now + wait))


class WatchedGraph(graph.GraphStandIn):
    """WhatsApp. An account is a phone number."""

    def __init__(self, watch: Watch, on_accept: Callable[[graph.Recorded], None]) -> None:
        super().__init__(on_accept=on_accept)
        self._watch = watch

    async def another(self) -> str:
        """One more address of the same server."""
        assert self._runner is not None
        return await _another(self._runner)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        WHO.set(self._watch.who(request))
        ARRIVED.set(time.monotonic())
        return await super()._serve(request)

    def _keep(self, seen: graph.Recorded) -> None:
        super()._keep(seen)
        if seen.body.get("status") == "read":
            return
        self._watch.asked.append(Asked(WHO.get(), seen.phone, ARRIVED.get()))

    def _message(
        self, request: web.BaseRequest, raw: bytes, phone: str, token: str, fault: graph.Fault | None
    ) -> web.StreamResponse:
        answer = super()._message(request, raw, phone, token, fault)
        # What refuses a read mark says nothing of messages.
        if answer.status == 429 and "status" not in json.loads(raw):
            self._watch.told(WHO.get(), phone, float(answer.headers.get("Retry-After", 0)))
        return answer

    def taken(self) -> list[Taken]:
        return [Taken(r.text or "", r.at, str(r.body.get("to"))) for r in self.messages()]


class WatchedBots(bot_api.BotApi):
    """Telegram. An account is a bot's token."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._always: bot_api.Fault | None = None
        self.pause = 0.0
        """Seconds that each answer takes."""

    async def another(self) -> str:
        assert self._runner is not None
        return await _another(self._runner)

    def always(self, fault: bot_api.Fault | None) -> None:
        self._always = fault

    def _next_fault(self, method: str) -> bot_api.Fault | None:
        return super()._next_fault(method) or (self._always if method == "sendMessage" else None)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        who, at = self._watch.who(request), time.monotonic()
        account, _, method = request.path.removeprefix("/bot").partition("/")
        if method == "sendMessage":
            self._watch.asked.append(Asked(who, account, at))
            await asyncio.sleep(self.pause)
        answer = await super()._serve(request)
        if method == "sendMessage" and answer.status == 429 and isinstance(answer, web.Response):
            told: Mapping[str, Any] = json.loads(answer.text or "{}").get("parameters", {})
            self._watch.told(who, account, float(told.get("retry_after", 0)))
        return answer

    def taken(self) -> list[Taken]:
        return [
            Taken(str(c.params.get("text")), c.at, str(c.params.get("chat_id")))
            for c in self.of("sendMessage")
        ]


async def _another(runner: web.ServerRunner) -> str:
    before = set(runner.addresses)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    [added] = set(runner.addresses) - before
    return f"http://127.0.0.1:{added[1]}"


@dataclass(frozen=True)
class Providers:
    """Both, and the faults of both at once. `seconds`: for how long; where a number is asked for, so many requests."""

    whatsapp: WatchedGraph
    telegram: WatchedBots

    async def failing(self, seconds: float, status: int = 500) -> None:
        self.whatsapp.always(graph.Fault.http(status, only="/messages"))
        self.telegram.always(bot_api.Fault("status", status))
        await self._for(seconds)

    async def slow(self, seconds: float, each: float = 1.5) -> None:
        self.whatsapp.always(graph.Fault("slow", seconds=each, only="/messages"))
        self.telegram.pause = each
        await self._for(seconds)

    def throttling(self, wait: int) -> None:
        """The next requests of each are told to wait, for their whole account."""
        self.whatsapp.misbehave(graph.Fault.throttle(wait), 2)
        self.telegram.misbehave(bot_api.Fault.too_many(wait, "sendMessage"))

    def hanging(self, times: int) -> None:
        """Never answered, never taken."""
        self.whatsapp.misbehave(graph.Fault("hang", only="/messages"), times)
        self.telegram.misbehave(bot_api.Fault("hang", method="sendMessage"), times)

    def dropping(self, times: int) -> None:
        """Taken, and the connection cut before anybody is told."""
        self.whatsapp.misbehave(graph.Fault("drop", only="/messages"), times)
        self.telegram.misbehave(bot_api.Fault("drop", method="sendMessage"), times)

    def calm(self) -> None:
        """What nobody has met yet is not left for those who are tried again."""
        self.whatsapp._faults.clear()
        self.telegram._faults.clear()

    async def _for(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            self.whatsapp.always(None)
            self.telegram.always(None)
            self.telegram.pause = 0.0
