"""Fixtures of the tests of answers."""

from collections.abc import AsyncIterator

import pytest

from brain.embed import Embedder, LocalEmbedder
from brain.writer import Patience
from tests.answers.rig import Rig, rigged
from tests.providers.cohere import CohereStandIn
from tests.providers.openai import OpenAIStandIn

QUICK = Patience(first=0.6, stall=0.4, silent=1.2, shown=2.0, least=0.3)
"""The same patience, ten times as fast."""

PASSAGES = (
    "Opening hours: We are open Monday to Friday from 9:00 to 18:00 and on Saturday from 10:00 to 14:00. "
    "We are closed on Sundays.",
    "Full service: A full service costs €120 and takes two working days. It includes new cables and a wheel truing.",
    "Warranty: The warranty on the frame is ten years. The warranty on all other parts is two years.",
    "Rentals: You can rent a tandem for €40 a day. A deposit of €150 is needed for every rental.",
)


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return LocalEmbedder()


@pytest.fixture
async def rig(embedder: Embedder) -> AsyncIterator[Rig]:
    async with rigged(embedder, QUICK) as found:
        await found.knows(*PASSAGES, url="https://lumen.example/guide")
        yield found


@pytest.fixture
async def cohere() -> AsyncIterator[CohereStandIn]:
    stand_in = CohereStandIn()
    async with stand_in:
        yield stand_in


@pytest.fixture
async def openai() -> AsyncIterator[OpenAIStandIn]:
    stand_in = OpenAIStandIn()
    async with stand_in:
        yield stand_in
