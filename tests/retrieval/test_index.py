"""The index: who may find what, in which language, by whose vectors, in how much memory."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from brain.index import ENGLISH, Asked, Index, Scope, Weights, build
from brain.words import question_terms
from gateway.model.knowledge import Chunk, Collection, Document
from tests.brain.conftest import NOW

SIZE = 4
NONE = np.zeros(SIZE, dtype=np.float32)


def document(ident: str, collection: str = "main", **more: str) -> Document:
    return Document(ident, "t", ident, ident, "", 1, NOW, collection=collection, local="m", **more)  # type: ignore[arg-type]


def made(
    *documents: Document, collections: tuple[Collection, ...] = (), text: str = "Bikes cost €40."
) -> Index:
    chunks = [Chunk(f"{d.id}-0", d.id, 0, text, language=d.language) for d in documents]
    return build(chunks, documents, collections, "m", SIZE)


def found(index: Index, text: str, scope: Scope | None = None) -> list[str]:
    asked = Asked(question_terms(text), NONE)
    return [s.passage.document for s in index.search(asked, ENGLISH, 10, scope)]


def test_only_the_channels_collections_are_looked_in() -> None:
    collections = (
        Collection("t", "main"),
        Collection("t", "north", ("ch_n",)),
        Collection("t", "south", ("ch_s",)),
    )
    index = made(document("a"), document("n", "north"), document("s", "south"), collections=collections)
    assert found(index, "bikes", Scope("ch_n")) == ["a", "n"]
    assert found(index, "bikes", Scope("ch_s")) == ["a", "s"]
    assert found(index, "bikes", Scope("ch_other")) == ["a"]
    assert found(index, "bikes", Scope()) == ["a", "n", "s"]
    assert index.within(Scope("ch_n")) == ["a", "n"]
    assert index.within(Scope()) is None


def test_what_is_in_no_known_collection_is_not_found() -> None:
    assert found(made(document("a"), document("x", "removed")), "bikes") == ["a"]


def test_the_questions_own_language_comes_first() -> None:
    index = made(document("de", language="de"), document("es", language="es"), document("x"))
    assert found(index, "bikes", Scope(language="es-MX"))[0] == "es"
    assert found(index, "bikes", Scope(language="de"))[0] == "de"
    assert set(found(index, "bikes", Scope(language="es"))) == {"de", "es", "x"}


def unit(*values: float) -> bytes:
    return np.array(values, dtype="<f2").tobytes()


def test_vectors_of_another_model_do_not_count() -> None:
    ours, other = document("a"), replace(document("b"), local="older")
    chunks = [Chunk(f"{d.id}-0", d.id, 0, "x", vector=unit(1, 0, 0, 0)) for d in (ours, other)]
    index = build(chunks, [ours, other], (), "m", SIZE)
    assert list(index.meaning(np.array([1, 0, 0, 0], dtype=np.float32))) == [1.0, 0.0]


def test_cosines_survive_being_made_small() -> None:
    noise = np.random.default_rng(3)
    rows = noise.standard_normal((50, 256)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    chunks = [Chunk(f"a-{n}", "a", n, "x", vector=row.astype("<f2").tobytes()) for n, row in enumerate(rows)]
    index = build(chunks, [document("a")], (), "m", 256)
    assert np.abs(index.meaning(rows[7]) - rows @ rows[7]).max() < 0.01


@pytest.mark.parametrize(
    ("models", "vectors", "model"),
    [
        (("v4", "v4"), (b"\x7f\x00", b"\x00\x7f"), "v4"),
        (("v4", ""), (b"\x7f\x00", b""), ""),
        (("v4", "v3"), (b"\x7f\x00", b"\x00\x7f"), ""),
        (("v4", "v4"), (b"\x7f\x00", b"\x7f"), ""),
        (("", ""), (b"", b""), ""),
    ],
)
def test_a_providers_vectors_count_when_every_passage_has_them(
    models: tuple[str, str], vectors: tuple[bytes, bytes], model: str
) -> None:
    documents = [document(f"d{n}", embedded=m) for n, m in enumerate(models)]
    chunks = [Chunk(f"{d.id}-0", d.id, 0, "x", remote=v) for d, v in zip(documents, vectors, strict=True)]
    index = build(chunks, documents, (), "m", SIZE)
    assert index.remote_model == model
    if model:
        asked = Asked([], NONE, np.array([0, 1], dtype=np.float32))
        assert [s.passage.document for s in index.search(asked, Weights(0, 1), 5)] == ["d1"]


def test_what_the_database_found_takes_the_place_of_the_vectors() -> None:
    chunks = [Chunk(f"{d}-{n}", d, n, "x") for d in ("a", "b") for n in range(3)]
    index = build(chunks, [document("a"), document("b")], (), "m", SIZE)
    cosines = index.placed([("b", 1, 0.9), ("gone", 0, 0.8), ("a", 7, 0.7)])
    assert list(cosines) == [0, 0, 0, 0, pytest.approx(0.9), 0]
    (best,) = index.search(Asked([], NONE, None, cosines), Weights(0, 1), 5)
    assert best.passage.document == "b"


def test_texts_come_back_as_they_were() -> None:
    texts = ["Grüße 🚲 — «x»", 'a "b" \\ \n c', "\x00", "e\u0301"] * 9
    chunks = [
        Chunk(f"a-{n}", "a", n, text, ("H", "I"), n, question="Q?" if n % 2 else None)
        for n, text in enumerate(texts)
    ]
    index = build(chunks, [document("a", url="https://x.example")], (), "m", SIZE)
    for n, passage in enumerate(index.read(range(len(texts)))):
        assert (passage.text, passage.headings, passage.page) == (texts[n], ("H", "I"), n)
        assert passage.question == ("Q?" if n % 2 else None)
        assert passage.url == "https://x.example"


def test_a_passage_takes_little_memory() -> None:
    words = [f"word{n}" for n in range(3000)]
    noise = np.random.default_rng(1)
    chunks = [
        Chunk(f"a-{n}", "a", n, " ".join(noise.choice(words, 100)), vector=bytes(512)) for n in range(400)
    ]
    build(chunks, [document("a")], (), "m", 256)
    tracemalloc.start()
    index = build(chunks, [document("a")], (), "m", 256)
    traced = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert traced / 400 <= 1.2 * 1024
    assert 0.7 <= index.size / traced <= 1.3
