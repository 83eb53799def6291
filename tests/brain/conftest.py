"""What the tests of the brain share: a store in memory, one loaded embedder, the measured outcomes."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brain.embed import Embedder, LocalEmbedder
from brain.evaluate import Outcome, load, measure
from brain.ingest import add_path
from brain.memory import MemoryKnowledge
from gateway.model.knowledge import Document

HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "samples"
CORPORA = {"lumen": SAMPLES} | {folder.name: folder for folder in sorted((HERE / "corpora").iterdir())}
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryKnowledge:
    return MemoryKnowledge()


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return LocalEmbedder()


@pytest.fixture(scope="session")
def outcomes(embedder: Embedder) -> list[Outcome]:
    return asyncio.run(measure(load(HERE / "eval.jsonl"), CORPORA, embedder))


def document(ident: str = "d", title: str = "Guide", tenant: str = "t") -> Document:
    return Document(ident, tenant, title, f"{ident}.md", "", 1, NOW)


@pytest.fixture(scope="session")
def lumen_store(embedder: Embedder) -> MemoryKnowledge:
    """The sample documents, as tenant `lumen`; to be read only."""
    store = MemoryKnowledge()
    results = asyncio.run(add_path(store, embedder, "lumen", SAMPLES, NOW, base=SAMPLES))
    assert [result.outcome for result in results] == ["added"] * 6
    return store
