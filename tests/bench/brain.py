"""`brain`: from question to answer without a network, with few and with many passages; memory of an index; eviction.

The passages are put together at random from the sentences of the committed evaluation, each with some words of its own, as a
real vocabulary grows; their vectors are drawn. Questions are those of the evaluation. Reading the passages from the database is
not part of an answer, and is not measured here.
"""

import asyncio
import gc
import random
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brain.answerer import local_answerer
from brain.cache import IndexCache
from brain.chunk import sentences
from brain.embed import LocalEmbedder
from brain.evaluate import load
from brain.index import Asked, Index, Weights, build
from brain.memory import MemoryKnowledge
from brain.support import hear
from gateway.model.answers import Question
from gateway.model.clock import system_clock
from gateway.model.knowledge import Chunk, Document
from tests.bench.brain_pages import index_pages
from tests.bench.rig import ROOT, Row, at_most, percentile, plain, show

FEW, MANY = 2_000, 50_000
TENANTS, EACH = 1_000, 200
BUDGET = 256 * 1024 * 1024
A_DOCUMENT = 20
CASES = ROOT / "tests" / "brain"


async def run(scale: float) -> bool:
    embedder = LocalEmbedder()
    await embedder.embed(["a"])
    await embedder.near(["a"])
    corpus = await asyncio.to_thread(_sentences)
    questions = [c.question for c in load(CASES / "eval.jsonl")][: max(40, int(400 * scale))]
    held = show(
        "brain: milliseconds from a question to its answer (local), memory of an index",
        [
            *await _speed(embedder, corpus, questions, FEW, 30.0),
            *await _speed(embedder, corpus, questions, max(FEW, int(MANY * scale)), 80.0),
            *await asyncio.to_thread(_memory, embedder, corpus, FEW),
            *await asyncio.to_thread(_memory, embedder, corpus, EACH),
        ],
    )
    indexed = show("brain: pages into knowledge", await index_pages(embedder, corpus, scale))
    return await _evicted(embedder, corpus, max(20, int(TENANTS * scale))) and held and indexed


async def _speed(
    embedder: LocalEmbedder, corpus: Sequence[str], questions: Sequence[str], count: int, bound: float
) -> list[Row]:
    store = MemoryKnowledge()
    for document, chunks in _documents("t", corpus, count, embedder):
        await store.put("t", document, chunks)
    brain = local_answerer(store, embedder)
    version = store.version("t")
    stalls = asyncio.create_task(_stalls())
    began = time.perf_counter()
    await brain.answer(Question("t", questions[0], version=version))
    built = time.perf_counter() - began
    stalls.cancel()
    longest = (await asyncio.gather(stalls, return_exceptions=True))[0]
    assert isinstance(longest, Stalled)
    took, words = [], []
    for text in questions:
        start = time.perf_counter()
        await brain.answer(Question("t", text, version=version))
        took.append((time.perf_counter() - start) * 1000)
    index = build(
        await store.chunks("t"), await store.documents("t"), (), embedder.model, embedder.dimensions
    )
    for text in questions:
        heard = await hear(embedder, text)
        start = time.perf_counter()
        index.search(Asked(heard.terms, np.zeros(1, dtype=np.float32)), Weights(1, 0), 5)
        words.append((time.perf_counter() - start) * 1000)
    name = f"{count:,} passages"
    return [
        plain(f"{name}: built in", f"{built:.1f} s"),
        at_most(f"{name}: the loop's longest wait meanwhile", longest.seconds * 1000, 150.0, "ms"),
        plain(f"{name}: p50", f"{percentile(took, 0.5):.1f} ms"),
        at_most(f"{name}: p99", percentile(took, 0.99), bound, "ms"),
        plain(
            f"{name}: p50 / BM25 alone ({percentile(words, 0.5):.2f} ms)",
            f"{percentile(took, 0.5) / max(percentile(words, 0.5), 1e-6):.0f}x",
        ),
    ]


class Stalled(Exception):
    """How long the loop kept a waiter at most, in seconds beyond what it asked for."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


async def _stalls() -> None:
    longest = 0.0
    try:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.002)
            longest = max(longest, time.perf_counter() - start - 0.002)
    except asyncio.CancelledError:
        raise Stalled(longest) from None


def _memory(embedder: LocalEmbedder, corpus: Sequence[str], count: int) -> list[Row]:
    chunks: list[Chunk] = []
    documents = []
    for document, own in _documents("t", corpus, count, embedder):
        documents.append(document)
        chunks += own
    build(chunks, documents, (), embedder.model, embedder.dimensions)  # caches of words are filled
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    index = build(chunks, documents, (), embedder.model, embedder.dimensions)
    gc.collect()
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    characters = sum(len(c.text) for c in chunks) / len(chunks)
    name = f"an index of {count:,} passages ({characters:.0f} characters each)"
    return [
        at_most(f"{name}: bytes a passage, traced", (now - before) / count, 1.2 * 1024, "B"),
        plain(f"{name}: as the index counts itself", f"{index.size / count:.0f} B"),
        plain(f"{name}: at most while it is built", f"{(peak - before) / count:.0f} B a passage"),
    ]


async def _evicted(embedder: LocalEmbedder, corpus: Sequence[str], tenants: int) -> bool:
    """Everybody asks once; then some with so little room that most of them are evicted."""
    chunks: list[Chunk] = []
    documents = []
    for document, own in _documents("t", corpus, EACH, embedder):
        documents.append(document)
        chunks += own

    async def make() -> Index:
        return await asyncio.to_thread(build, chunks, documents, (), embedder.model, embedder.dimensions)

    rows: list[Row] = []
    for budget, asking in ((BUDGET, tenants), (BUDGET // 16, tenants // 4)):
        gc.collect()
        before = _resident()
        cache = IndexCache(budget)
        for tenant in range(asking):
            await cache.get(f"t{tenant}", 1, make)
        gc.collect()
        name = f"{asking:,} tenants of {EACH} passages, {budget >> 20} MB"
        rows += [
            plain(f"{name}: kept", f"{len(cache.tenants):,} tenants"),
            at_most(f"{name}: as counted", cache.size / 2**20, budget / 2**20, "MB"),
            at_most(f"{name}: more resident memory", (_resident() - before) / 2**20, budget / 2**20, "MB"),
        ]
        del cache
    return show("brain: indexes of many tenants within a budget", rows)


def _documents(
    tenant: str, corpus: Sequence[str], count: int, embedder: LocalEmbedder
) -> list[tuple[Document, list[Chunk]]]:
    draw = random.Random(7)
    noise = np.random.default_rng(7)
    vectors = noise.standard_normal((count, embedder.dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    out = []
    for number in range(0, count, A_DOCUMENT):
        ident = f"d{number:06}"
        own = []
        for place in range(number, min(number + A_DOCUMENT, count)):
            text = " ".join(draw.choice(corpus) for _ in range(12)) + f" Item {place} word{place // 2}."
            vector = vectors[place].astype("<f2").tobytes()
            own.append(
                Chunk(f"{ident}-{place}", ident, place - number, text, (f"Part {place % 7}",), vector=vector)
            )
        document = Document(
            ident,
            tenant,
            f"Guide {number}",
            f"{ident}.md",
            "",
            len(own),
            system_clock(),
            local=embedder.model,
        )
        out.append((document, own))
    return out


def _sentences() -> list[str]:
    folders = [ROOT / "samples", *sorted((CASES / "corpora").iterdir())]
    files = [file for folder in folders for file in sorted(folder.glob("*.md"))]
    return [s for file in files for s in sentences(file.read_text(encoding="utf-8")) if 20 < len(s) < 200]


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
