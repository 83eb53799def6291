"""The adapter beside the stand-in, without a gateway: for tests of one call."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from channels.telegram.adapter import TelegramAdapter
from gateway.model.content import Content, Text
from gateway.model.errors import NotFound, SendError
from gateway.model.message import Message, Status
from gateway.model.ports import OpenFile, Outgoing
from gateway.model.tenant import Channel
from tests.providers.bot_api import Bot, BotApi
from tests.telegram.reading import BOT, NOW, USERNAME

TOKEN = f"{BOT}:AAcanary-token_of_thirty-five_chars"
SECRET = "a-secret-token-0123456789"
HOOK = "https://gate.example/webhooks/telegram/ch_1"
CHANNEL = Channel(
    "ch_1",
    "t_1",
    "telegram",
    BOT,
    "@acme_bot",
    NOW,
    config={"username": USERNAME},
    secrets={"token": TOKEN, "secret_token": SECRET},
)
ANA = 5512345678
HOLA = Text("hola")
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class StoredBytes:
    name: str
    mime: str
    head: bytes
    size: int
    breaks_at: int | None = None

    async def read(self) -> AsyncIterator[bytes]:
        left, part = self.size, self.head
        while left > 0:
            if self.breaks_at is not None and self.size - left >= self.breaks_at:
                raise OSError("the disk is gone")
            part = part[:left]
            yield part
            left -= len(part)
            part = b"\x07" * min(256 * 1024, max(left, 1))

    @property
    def sha256(self) -> str:
        rest = self.size - len(self.head)
        return hashlib.sha256(self.head + b"\x07" * rest).hexdigest()


@dataclass
class MemoryFiles:
    """The `Files` port over a dict; bytes are made as they are read."""

    stored: dict[str, StoredBytes] = field(default_factory=dict)
    known: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    opened: int = 0

    def add(
        self, name: str, mime: str, size: int = 300_000, head: bytes = PNG, breaks_at: int | None = None
    ) -> str:
        self.stored[name] = StoredBytes(name, mime, head, size, breaks_at)
        return name

    async def open(self, tenant: str, file: str) -> OpenFile:
        if file not in self.stored:
            raise NotFound(file)
        self.opened += 1
        found = self.stored[file]
        return OpenFile(file, found.name, found.mime, found.size, found.read)

    async def uploaded(self, tenant: str, file: str, channel: str) -> str | None:
        found = self.known.get((file, channel))
        return found[0] if found and found[1] > NOW else None

    async def remember(self, tenant: str, file: str, channel: str, provider_id: str, until: datetime) -> None:
        self.known[file, channel] = provider_id, until


@dataclass
class Rig:
    api: BotApi
    bot: Bot
    adapter: TelegramAdapter
    session: aiohttp.ClientSession
    files: MemoryFiles

    async def send(
        self,
        content: Content = HOLA,
        to: str = str(ANA),
        reply_to: str | None = None,
        channel: Channel = CHANNEL,
        author: str = "bot",
        message: str = "m_1",
    ) -> str:
        outgoing = Outgoing(message, "cv_1", to, content, 1, NOW, author, reply_to)
        return (await self.adapter.send(channel, outgoing)).provider_id

    async def fails(self, *args: Any, **more: Any) -> SendError:
        with pytest.raises(SendError) as caught:
            await self.send(*args, **more)
        return clean(caught.value)

    def last(self) -> dict[str, Any]:
        return dict(self.api.calls[-1].params)


def clean(error: SendError) -> SendError:
    """The error, which tells nothing that it should not."""
    for secret in ("AAcanary", "hola", "127.0.0.1", "bot7123456789"):
        assert secret not in f"{error}{error!r}{error.text}"
    # Chained, the library's error would carry the address with its token into the log.
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    return error


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with BotApi() as api, aiohttp.ClientSession() as session:
        files = MemoryFiles()
        bot = api.add_bot(TOKEN, USERNAME)
        yield Rig(api, bot, TelegramAdapter(api.url, session, lambda: NOW, files), session, files)


def incoming(content: Content, provider_id: str = "u1", **extra: Any) -> Message:
    return Message(
        "m_in",
        "t_1",
        "ch_1",
        "cv_1",
        "in",
        "customer",
        1,
        NOW,
        content,
        Status.RECEIVED,
        provider_id,
        extra=extra,
    )


def with_config(**config: Any) -> Channel:
    return replace(CHANNEL, config={**CHANNEL.config, **config})
