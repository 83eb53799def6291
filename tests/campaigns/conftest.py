"""A gateway whose looks the test takes itself, and a campaign's whole way by the API."""

from collections.abc import AsyncIterator

import pytest

from tests.campaigns.rig import Rig
from tests.conftest import Running


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    """No look at campaigns by itself after the first."""
    monkeypatch.setattr("gateway.bootstrap.CAMPAIGNS", 3600.0)


@pytest.fixture
async def rig(calm: None, running: Running) -> AsyncIterator[Rig]:
    made = Rig(running)
    await made.open()
    yield made
