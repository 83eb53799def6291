"""Files and answers into a tenant's knowledge: collections, languages, vectors of two models, agents' answers."""

import numpy as np
import pytest

from brain.ingest import ANSWER_TYPE, Given, Into, add_answer, add_file, add_files, answer_origin
from brain.memory import MemoryKnowledge
from brain.vectors import Embedders, as_int8
from gateway.model.errors import Invalid
from tests.brain.conftest import NOW
from tests.knowledge.conftest import Vector


@pytest.fixture
def memory() -> MemoryKnowledge:
    return MemoryKnowledge()


async def test_what_a_document_says_of_itself(memory: MemoryKnowledge, vector: Vector) -> None:
    spanish = "Abrimos todos los días de nueve a seis, y los domingos solo por la mañana."
    english = "We are open on all days of the week, and on Sundays only in the morning."
    data = f"# Horario\n\n{spanish}\n\n## For visitors\n\n{english}\n\n## Tel\n\n600 111 222".encode()
    result = await add_file(
        *(memory, vector, "t", "horario.md", data, NOW), collection="tienda", draft=True, source="s_1"
    )
    (document,) = await memory.documents("t")
    assert (document.collection, document.draft, document.source) == ("tienda", True, "s_1")
    assert (document.local, document.embedded, document.language) == ("test/8", "", "es")
    # A piece that is too short to tell is in its document's language.
    assert [c.language for c in await memory.chunks("t")] == ["es", "en", "es"]
    assert result.chunks == 3


async def test_files_are_embedded_together_and_written_with_one_raise(
    memory: MemoryKnowledge, vector: Vector
) -> None:
    given = [Given(f"{n}.md", f"Page {n}.".encode()) for n in range(5)] + [Given("x.bin", b"x")]
    results = await add_files(memory, Embedders(vector), Into("t"), given, NOW)
    assert [r.outcome for r in results] == ["added"] * 5 + ["refused"]
    assert (len(vector.calls), memory.version("t")) == (1, 1)
    again = await add_files(memory, Embedders(vector), Into("t"), given, NOW)
    assert [r.outcome for r in again] == ["unchanged"] * 5 + ["refused"]
    assert (len(vector.calls), memory.version("t")) == (1, 1)


async def test_another_collection_title_or_model_is_a_change(memory: MemoryKnowledge, vector: Vector) -> None:
    async def add(embedder: Vector = vector, **more: str) -> str:
        return (await add_file(memory, embedder, "t", "a.md", b"Text.", NOW, **more)).outcome  # type: ignore[arg-type]

    assert await add() == "added"
    assert await add() == "unchanged"
    assert await add(collection="b") == "replaced"
    assert await add(collection="b", title="Better") == "replaced"
    assert await add(collection="b", title="Better") == "unchanged"
    assert await add(Vector("other/8"), collection="b") == "replaced"


async def test_a_providers_vectors_are_kept_beside_the_local_ones(
    memory: MemoryKnowledge, vector: Vector
) -> None:
    remote = Vector("embed-v4.0/16", 16)
    await add_file(memory, vector, "t", "a.md", b"Text.", NOW, remote=remote)
    ((document,), (chunk,)) = (await memory.documents("t"), await memory.chunks("t"))
    assert (document.local, document.embedded) == ("test/8", "embed-v4.0/16")
    assert (len(chunk.vector), len(chunk.remote)) == (16, 16)
    exact = (await remote.embed(remote.calls[0]))[0]
    kept = np.frombuffer(chunk.remote, np.int8).astype(np.float32)
    assert float(exact @ kept / np.linalg.norm(kept)) > 0.999


async def test_a_provider_that_fails_leaves_the_local_vectors(
    memory: MemoryKnowledge, vector: Vector
) -> None:
    remote = Vector("embed-v4.0/16", 16)
    remote.fail = True
    assert (await add_file(memory, vector, "t", "a.md", b"Text.", NOW, remote=remote)).outcome == "added"
    ((document,), (chunk,)) = (await memory.documents("t"), await memory.chunks("t"))
    assert (document.embedded, chunk.remote, len(chunk.vector)) == ("", b"", 16)


def test_rows_of_any_length_become_int8() -> None:
    rows = np.array([[0, 0], [0.5, -1], [1e-9, 0]], dtype=np.float32)
    assert as_int8(rows).tolist() == [[0, 0], [64, -127], [127, 0]]


async def test_an_agents_answer_is_one_passage_and_replaces_the_one_before(
    memory: MemoryKnowledge, vector: Vector
) -> None:
    first = await add_answer(memory, vector, "t", "Do you ship to Málaga?", "Yes, in two days.", NOW)
    words = "Yes: in three days.\nCall +34 600 111 222 or write to jane@elsewhere.example."
    again = await add_answer(memory, vector, "t", "  do you SHIP to malaga ", words, NOW)
    assert (first.outcome, again.outcome, again.document) == ("added", "replaced", first.document)
    ((document,), (chunk,)) = (await memory.documents("t"), await memory.chunks("t"))
    assert (document.media_type, document.origin) == (ANSWER_TYPE, answer_origin("Do you ship to Málaga?"))
    assert (chunk.question, chunk.text) == ("do you SHIP to malaga", words)
    assert document.language == "en"


@pytest.mark.parametrize(
    ("question", "answer", "field"),
    [
        ("", "x", "question"),
        ("?!", "x", "question"),
        ("x" * 501, "x", "question"),
        ("Open?", " \n", "answer"),
    ],
)
async def test_an_answer_without_words_names_the_field(
    memory: MemoryKnowledge, vector: Vector, question: str, answer: str, field: str
) -> None:
    with pytest.raises(Invalid) as wrong:
        await add_answer(memory, vector, "t", question, answer, NOW)
    assert wrong.value.field == field
