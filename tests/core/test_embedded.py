"""The embedded database's keeper: what expires goes, and one that hangs is started again."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from gateway.store import database
from gateway.store import embedded as keeper
from gateway.store.database import INDEXES, Doc, connect, migrate, remove_expired


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(keeper, "HANG_SECONDS", 2.0)


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await met():
            await asyncio.sleep(0.05)


async def test_what_has_expired_goes_and_nothing_else(mongodb_uri: str) -> None:
    """By us: while the server's own sweeper rested between two rounds it held back what the storage could forget, and
    under many writes every call waited for minutes."""
    async with connect(mongodb_uri) as client:
        db = database.database(client)
        expiring = {i.collection for i in INDEXES if i.expire}
        assert expiring
        for name in expiring:  # as the first versions made them
            await db[name].create_index("expires", name="expires", expireAfterSeconds=0)
        await migrate(db)
        now = datetime.now(UTC)
        for name in expiring:
            assert "expireAfterSeconds" not in (await db[name].index_information())["expires"]
            await db[name].insert_many(
                [
                    {"_id": "gone", "expires": now},
                    {"_id": "kept", "expires": now + timedelta(seconds=1)},
                    {"_id": "never"},
                ]
            )
        await remove_expired(db, now)
        for name in expiring:
            assert {d["_id"] async for d in db[name].find()} == {"kept", "never"}


async def test_one_that_hangs_is_started_again_with_all_it_kept(quick: None, tmp_path: Path) -> None:
    said: list[str] = []
    async with keeper.embedded(tmp_path, said.append) as uri, AsyncMongoClient[Doc](uri) as client:
        await client["parley"]["kept"].insert_one({"_id": 1})
        first = json.loads((tmp_path / "embedded.json").read_text())["pid"]
        os.kill(first, signal.SIGSTOP)

        async def another() -> bool:
            return bool(
                json.loads((tmp_path / "embedded.json").read_text() or "{}").get("pid", first) != first
            )

        await until(another)
        assert await client["parley"]["kept"].find_one({}) == {"_id": 1}
    assert ["not answered" in said[0], "starting it again" in said[1]] == [True, True], said
