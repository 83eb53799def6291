"""An adapter beside a stand-in, with files in memory."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from channels.degrade import degrade
from channels.slack.adapter import SlackAdapter
from gateway.model.content import Content
from gateway.model.errors import NotFound, SendError
from gateway.model.ports import OpenFile, Outgoing
from gateway.model.tenant import Channel
from gateway.settings import Settings
from tests.providers.slack_api import APP_TOKEN, CLIENT_ID, CLIENT_SECRET, SlackStandIn
from tests.providers.slack_api_events import BOT, BOT_ID, DM, OUR_ID, SECRET, TEAM

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
TOKEN = "xoxb-canary-token"
CONFIG = {"bot_user_id": BOT, "bot_id": BOT_ID}
CHANNEL = Channel("ch_1", "t_1", "slack", TEAM, "Acme", NOW, config=CONFIG, secrets={"bot_token": TOKEN})


class Moment:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class MemoryFiles:
    """Files of made-up bytes, and what was uploaded where."""

    clock: Moment
    sizes: dict[str, int] = field(default_factory=dict)
    kept: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    opened: int = 0

    async def open(self, tenant: str, file: str) -> OpenFile:
        if file not in self.sizes:
            raise NotFound(file)
        self.opened += 1
        return OpenFile(
            file, f"{file}.bin", "application/octet-stream", self.sizes[file], lambda: made(self.sizes[file])
        )

    async def uploaded(self, tenant: str, file: str, channel: str) -> str | None:
        given, until = self.kept.get((file, channel), ("", NOW))
        return given if given and until > self.clock() else None

    async def remember(self, tenant: str, file: str, channel: str, provider_id: str, until: datetime) -> None:
        self.kept[file, channel] = provider_id, until


async def made(size: int) -> AsyncIterator[bytes]:
    part = bytes(range(256)) * 256
    for start in range(0, size, len(part)):
        yield part[: min(len(part), size - start)]


def digest_of(size: int) -> str:
    digest = hashlib.sha256()
    part = bytes(range(256)) * 256
    for start in range(0, size, len(part)):
        digest.update(part[: min(len(part), size - start)])
    return digest.hexdigest()


@dataclass
class Rig:
    slack: SlackStandIn
    adapter: SlackAdapter
    session: aiohttp.ClientSession
    files: MemoryFiles
    clock: Moment
    kept: list[tuple[Mapping[str, str], Mapping[str, Any]]]
    channel: Channel = CHANNEL

    async def send(self, content: Content, to: str = DM, identifier: str = OUR_ID) -> str:
        outgoing = Outgoing(identifier, "cv_1", to, content, 1, NOW)
        return (await self.adapter.send(self.channel, outgoing)).provider_id

    async def shown(self, content: Content, to: str = DM) -> list[str]:
        """The content as it is sent after degrading; the messages' ids."""
        parts, _ = degrade(content, self.adapter.capabilities)
        return [await self.send(part, to) for part in parts]

    async def fails(self, content: Content, to: str = DM) -> SendError:
        with pytest.raises(SendError) as caught:
            await self.send(content, to)
        return clean(caught.value)


def clean(error: SendError) -> SendError:
    """The error, which names no token and no text, and carries no request along."""
    for secret in (TOKEN, "canary", "hola", "127.0.0.1"):
        assert secret not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    return error


def settings(slack: SlackStandIn, **more: Any) -> Settings:
    known: dict[str, Any] = {
        "public_url": "https://chat.example.com",
        "slack_api_url": slack.api,
        "slack_client_id": CLIENT_ID,
        "slack_client_secret": CLIENT_SECRET,
        "slack_signing_secret": SECRET,
    }
    return Settings(**(known | more))


def socketed(slack: SlackStandIn) -> Settings:
    return settings(slack, slack_app_token=APP_TOKEN)


def build(
    slack: SlackStandIn,
    session: aiohttp.ClientSession,
    chosen: Settings,
    claim: Any = None,
    moment: Moment | None = None,
) -> Rig:
    clock = moment or Moment()
    files = MemoryFiles(clock)
    kept: list[tuple[Mapping[str, str], Mapping[str, Any]]] = []

    async def keep(channel: Channel, secrets: Mapping[str, str], config: Mapping[str, Any]) -> None:
        kept.append((secrets, config))

    adapter = SlackAdapter(chosen, session, clock, files, keep, claim)
    return Rig(slack, adapter, session, files, clock, kept)


def renewed(channel: Channel, secrets: Mapping[str, str], config: Mapping[str, Any]) -> Channel:
    """The channel as the directory shows it once it was written."""
    return replace(channel, secrets={**channel.secrets, **secrets}, config={**channel.config, **config})


def rotating(token: str, refresh: str, left: timedelta) -> Channel:
    secrets = {"bot_token": token, "refresh_token": refresh}
    return replace(CHANNEL, secrets=secrets, config={**CONFIG, "expires_at": int((NOW + left).timestamp())})
