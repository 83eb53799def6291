"""A gateway ends when it is told to, whatever it is doing at that moment (row 21)."""

import asyncio
import time

import pytest

from gateway.bootstrap import build, working
from gateway.settings import Settings
from gateway.store import Store
from tests.conftest import MovableClock, ScriptedBrain


# The driver leaves the socket of a connection that it was just opening to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8])
async def test_it_ends_at_once_when_nothing_is_under_way(
    settings: Settings, store: Store, clock: MovableClock, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle of its first look at the database, which takes a few turns of the loop."""
    monkeypatch.setattr("gateway.bootstrap.STOP_SECONDS", 3.0)
    async with build(settings, store, clock, brain=ScriptedBrain()) as gateway:
        started = 0.0
        async with working(gateway):
            for _ in range(turns):
                await asyncio.sleep(0)
            started = time.monotonic()
        assert time.monotonic() - started < 2.5
