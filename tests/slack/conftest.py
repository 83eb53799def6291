from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.providers.slack_api import SlackStandIn
from tests.slack import rig as beside
from tests.slack.rig import TOKEN, Rig, build
from tests.slack.whole import empty, settings, whole

__all__ = ["empty", "settings", "whole"]


@pytest.fixture
async def slack() -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn() as stand_in:
        stand_in.add_workspace(TOKEN)
        yield stand_in


@pytest.fixture
async def rig(slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr("channels.slack.transfer.PAUSES", [0.0] * 5)
    async with aiohttp.ClientSession() as session:
        yield build(slack, session, beside.settings(slack))
