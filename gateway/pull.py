"""Reading providers ourselves, for a machine without a public address: one task a channel that wants it."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from loguru import logger

from gateway.model.errors import ParleyError, SendError
from gateway.model.ports import Clock, Puller, WebhookAdapter
from gateway.model.tenant import Channel
from gateway.ops.logging import stack
from gateway.receive import Receive
from gateway.store import Store

Pulling = Callable[[], Awaitable[None]]

Start = Callable[[], Coroutine[Any, Any, None]]

PAUSE = 5.0
LEASE = timedelta(seconds=30)
FOLLOWS = 5.0
"""Seconds between looks at which channels are to be read."""


class Pull:
    """Keeps a task running for every active channel that is to be read, and one for every app that is: in one process at
    a time, for a provider gives what is new to one reader only."""

    def __init__(
        self,
        store: Store,
        receive: Receive,
        webhooks: Mapping[str, WebhookAdapter],
        pullers: Mapping[str, Puller],
        clock: Clock,
    ) -> None:
        self._store = store
        self._receive = receive
        self._webhooks = webhooks
        self._pullers = pullers
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._tasks: dict[str, tuple[int, asyncio.Task[None]]] = {}

    async def follow(self) -> None:
        """One look: a task for each channel that is to be read, none for others. Raises Unavailable."""
        wanted: dict[str, tuple[int, Start]] = {
            kind: (0, partial(self._app, kind, puller))
            for kind, puller in self._pullers.items()
            if puller.pulls_app
        }
        for kind, puller in self._pullers.items():
            for channel in await self._store.directory.of_kind(kind):
                if channel.state == "active" and puller.pulls(channel):
                    wanted[channel.id] = channel.rev, partial(self._channel, channel)
        for name in list(wanted):
            now = self._clock()
            if not await self._store.leases.hold(f"pull:{name}", self._holder, now, now + LEASE):
                del wanted[name]
        for name, (rev, task) in list(self._tasks.items()):
            if task.done() or name not in wanted or wanted[name][0] != rev:
                del self._tasks[name]
                await _ended(task)
        for name, (rev, start) in wanted.items():
            if name not in self._tasks:
                self._tasks[name] = rev, asyncio.create_task(start())

    async def close(self) -> None:
        await asyncio.gather(*(_ended(task) for _, task in self._tasks.values()))
        with contextlib.suppress(ParleyError):
            for name in self._tasks:
                await self._store.leases.give_up(f"pull:{name}", self._holder)

    async def _channel(self, channel: Channel) -> None:
        adapter = self._webhooks[channel.kind]

        async def take(body: bytes) -> str | None:
            return await self._receive.pulled(adapter, channel, body)

        await self._again(channel.kind, channel.id, lambda: self._pullers[channel.kind].pull(channel, take))

    async def _app(self, kind: str, puller: Puller) -> None:
        adapter = self._webhooks[kind]

        async def take(body: bytes) -> str | None:
            return await self._receive.app_wide(adapter, body)

        await self._again(kind, None, lambda: puller.pull_app(take))

    async def _again(self, kind: str, channel: str | None, pull: Pulling) -> None:
        told = ""
        while True:
            try:
                await pull()
            except SendError as error:
                if str(error) != told:  # the same trouble is told once
                    logger.bind(channel_kind=kind, channel=channel).warning("reading is refused: {}", error)
                told = str(error)
                if error.disable_channel and channel is not None:
                    # Its credentials are gone: asking on would change nothing. `channel enable` begins anew.
                    await self._store.directory.disable(await self._store.directory.channel(channel))
                    return
                await asyncio.sleep(error.wait or PAUSE)
            except ParleyError:
                await asyncio.sleep(PAUSE)
            except Exception as error:
                logger.bind(channel_kind=kind, channel=channel).error("reading broke: {}", stack(error))
                await asyncio.sleep(PAUSE)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
