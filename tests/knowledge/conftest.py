"""What the tests of knowledge share: vectors without a model, a web site that behaves as told, a learner over both."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network

import numpy as np
import pytest

from brain.crawl.crawler import Budget
from brain.crawl.fetch import Size
from brain.port import ProviderError, Remote, Vectors
from gateway.learn import Learner
from gateway.model.answers import Question
from gateway.ops.egress import Egress
from gateway.store import Store
from tests.conftest import MovableClock, make_tenant
from tests.knowledge.site import WebSite


class Vector:
    """An embedder without a model: the same text, the same direction. `fail` makes the next calls of a provider fail."""

    def __init__(self, model: str = "test/8", dimensions: int = 8) -> None:
        self.model = model
        self.dimensions = dimensions
        self.calls: list[list[str]] = []
        self.fail = False

    async def embed(self, texts: Sequence[str], kind: str = "passage") -> Vectors:
        self.calls.append(list(texts))
        if self.fail:
            raise ProviderError("provider:away", "away")
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            digest = hashlib.sha256(f"{self.model}{text}".encode()).digest()
            out[row] = np.frombuffer(digest[: self.dimensions], np.uint8).astype(np.float32) + 1
        lengths: Vectors = np.linalg.norm(out, axis=1, keepdims=True)
        return out / lengths

    near = embed


@pytest.fixture
def vector() -> Vector:
    return Vector()


@pytest.fixture
async def site() -> AsyncIterator[WebSite]:
    async with WebSite() as made:
        yield made


@pytest.fixture
async def acme(store: Store) -> Store:
    """The store with the tenant `acme`."""
    await make_tenant(store)
    return store


def open_egress() -> Egress:
    """As in production, but for the stand-ins on this machine."""
    return Egress([ip_network("127.0.0.0/8")])


FAST = Budget(pause=0, most_pause=0, page=Size(200_000, 2.0))


class Providers:
    """The provider's vectors of each tenant, as a test sets them."""

    def __init__(self) -> None:
        self.of: dict[str, Vector] = {}

    async def __call__(self, question: Question) -> Remote:
        return Remote(embedder=self.of.get(question.tenant))


@pytest.fixture
def providers() -> Providers:
    return Providers()


@pytest.fixture
def learner(acme: Store, vector: Vector, clock: MovableClock, providers: Providers) -> Learner:
    return Learner(acme, vector, clock, open_egress(), providers, FAST)
