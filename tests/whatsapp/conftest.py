"""The adapter against the stand-in, for every test of this folder."""

from collections.abc import AsyncIterator, Iterator

import pytest
from loguru import logger

from tests.whatsapp.rig import Rig, rigged


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as made:
        yield made


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is logged, a message a line."""
    lines: list[str] = []
    sink = logger.add(lambda record: lines.append(record.record["message"]), level="DEBUG")
    yield lines
    logger.remove(sink)
