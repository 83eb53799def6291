"""A whole gateway beside a Slack stand-in, with and without a workspace."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from gateway.model.clock import system_clock
from gateway.model.message import Message
from gateway.model.tenant import Channel
from gateway.settings import Settings
from gateway.store import Store
from tests.conftest import MovableClock, ScriptedBrain, make_tenant, serving
from tests.providers.slack_api import CLIENT_ID, CLIENT_SECRET, SlackStandIn
from tests.providers.slack_api_events import (
    BOT,
    BOT_ID,
    SECRET,
    TEAM,
    Sender,
)
from tests.slack.rig import TOKEN

PUBLIC = "https://chat.example.com"


@dataclass
class Whole:
    """A gateway with the workspace `ch_slack` of the tenant `acme`."""

    store: Store
    slack: SlackStandIn
    sender: Sender
    http: aiohttp.ClientSession
    url: str
    brain: ScriptedBrain
    clock: MovableClock
    gateway: Any

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(15):
            while not condition():
                await asyncio.sleep(0.002)

    async def idle(self) -> None:
        await self.until(lambda: self.gateway.work.idle)

    async def said(self, body: dict[str, Any], path: str = "/events") -> None:
        assert await self.sender.send(body, path) == [200]
        await self.idle()

    async def transcript(self) -> list[Message]:
        """All messages of the tenant's conversations, by conversation."""
        store = self.store.of("acme")
        found = (await store.conversations.recent(None, self.clock(), 50)).items
        return [m for c in found for m in (await store.messages.before(c.id, None, 100)).messages]

    async def channel(self, team: str = TEAM) -> Channel:
        found: Channel = await self.store.directory.by_account("slack", team)
        return found


@pytest.fixture
def settings(settings: Settings, slack: SlackStandIn) -> Settings:
    return replace(
        settings,
        public_url=PUBLIC,
        slack_api_url=slack.api,
        slack_client_id=CLIENT_ID,
        slack_client_secret=CLIENT_SECRET,
        slack_signing_secret=SECRET,
    )


async def add_channel(store: Store, team: str = TEAM, tenant: str = "acme", name: str = "ch_slack") -> None:
    config = {"bot_user_id": BOT, "bot_id": BOT_ID}
    secrets = {"bot_token": TOKEN}
    await store.directory.add_channel(
        Channel(name, tenant, "slack", team, "Acme", system_clock(), config=config, secrets=secrets)
    )


@pytest.fixture
async def empty(
    settings: Settings,
    store: Store,
    clock: MovableClock,
    slack: SlackStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Whole]:
    """A gateway without a workspace."""
    monkeypatch.setattr("channels.slack.transfer.PAUSES", [0.0] * 5)
    await make_tenant(store, region="ES")
    await make_tenant(store, "other")
    # A connection to the database that is cancelled while it is being made is never closed; the shortest of these
    # tests end before the gateway's own first looks have theirs, unless there are enough already.
    await asyncio.gather(*(store.directory.refresh() for _ in range(12)))
    brain = ScriptedBrain()
    # Cookies are the test's own business.
    jar = aiohttp.DummyCookieJar()
    async with (
        serving(settings, store, clock, brain) as (gateway, url),
        aiohttp.ClientSession(cookie_jar=jar) as http,
    ):
        yield Whole(
            store, slack, Sender(http, url, now=lambda: clock().timestamp()), http, url, brain, clock, gateway
        )


@pytest.fixture
async def whole(empty: Whole) -> Whole:
    await add_channel(empty.store)
    return empty
