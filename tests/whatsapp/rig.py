"""A WhatsApp adapter on its own against the stand-in for Meta, with a store of files in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from channels.whatsapp.adapter import WhatsAppAdapter
from gateway.model.content import Content, Text
from gateway.model.errors import NotFound, SendError
from gateway.model.message import Message, Status
from gateway.model.ports import OpenFile, Outgoing
from gateway.model.tenant import Channel
from tests.providers.graph import GraphStandIn
from tests.providers.graph_files import made_up
from tests.providers.graph_webhooks import PHONE_ID, WABA
from tests.whatsapp.test_payloads import NOW

TOKEN = "canary-token"
SECRET = "canary-app-secret"
VERIFY = "canary-verify-token"
CHANNEL = Channel(
    "ch_1",
    "t_1",
    "whatsapp",
    PHONE_ID,
    "WA",
    NOW,
    config={"waba_id": WABA},
    secrets={"access_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY},
)
HOLA = Text("hola")


@dataclass
class MemoryFiles:
    """The port, with files that are made up as they are read. `broken` breaks off their reading."""

    files: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    ids: dict[tuple[str, str, str], tuple[str, datetime]] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    broken: Exception | None = None

    def add(self, file: str, mime: str, size: int, name: str = "name.bin") -> None:
        self.files[file] = (name, mime, size)

    async def open(self, tenant: str, file: str) -> OpenFile:
        if file not in self.files:
            raise NotFound(file)
        name, mime, size = self.files[file]
        self.opened.append(file)
        return OpenFile(file, name, mime, size, lambda: self._read(file, size))

    async def _read(self, file: str, size: int) -> AsyncIterator[bytes]:
        for part in made_up(size, file):
            yield part
            if self.broken:
                raise self.broken

    async def uploaded(self, tenant: str, file: str, channel: str) -> str | None:
        known = self.ids.get((tenant, file, channel))
        return known[0] if known else None

    async def remember(self, tenant: str, file: str, channel: str, provider_id: str, until: datetime) -> None:
        self.ids[tenant, file, channel] = (provider_id, until)


@dataclass
class Rig:
    graph: GraphStandIn
    adapter: WhatsAppAdapter
    session: aiohttp.ClientSession
    files: MemoryFiles

    async def send(
        self,
        content: Content = HOLA,
        channel: Channel = CHANNEL,
        to: str = "34600111222",
        reply_to: str | None = None,
    ) -> str:
        outgoing = Outgoing("m_1", "cv_1", to, content, 1, NOW, reply_to=reply_to)
        return (await self.adapter.send(channel, outgoing)).provider_id

    async def sent(self, content: Content, **more: Any) -> dict[str, Any]:
        """What arrived of a message, without what every message has."""
        await self.send(content, **more)
        everywhere = {"messaging_product", "recipient_type", "to", "biz_opaque_callback_data"}
        return {k: v for k, v in self.graph.messages()[-1].body.items() if k not in everywhere}

    async def fails(self, *args: Any, **more: Any) -> SendError:
        with pytest.raises(SendError) as caught:
            await self.send(*args, **more)
        return clean(caught.value)


def clean(error: SendError) -> SendError:
    """The error, when it and what hangs on it name no secret and nothing that was said."""
    assert not [word for word in (TOKEN, SECRET, VERIFY, "hola") if word in str(error)]
    # Chained, the library's error would carry the request with its headers into the log.
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    return error


class Nowhere(AbstractResolver):
    """Knows no names: a test speaks to addresses of its own only."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        raise OSError(f"{host} is not of this test")

    async def close(self) -> None:
        pass


@asynccontextmanager
async def rigged() -> AsyncIterator[Rig]:
    connector = aiohttp.TCPConnector(resolver=Nowhere())
    async with (
        GraphStandIn({TOKEN: {PHONE_ID}}) as graph,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        graph.account.secret = SECRET
        files = MemoryFiles()
        yield Rig(graph, WhatsAppAdapter(graph.url, session, lambda: NOW, files), session, files)


def received(provider_id: str) -> Message:
    """A customer's message as stored, to be marked as read."""
    return Message(
        "m_in", "t_1", "ch_1", "cv_1", "in", "customer", 1, NOW, HOLA, Status.HANDLED, provider_id=provider_id
    )
