"""Passages with their vectors: the local embedder's always, a provider's where a tenant has one and it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from brain.embed import Embedder
from brain.index import embedded_text
from brain.port import ProviderError, RemoteEmbedder, Vectors
from gateway.model.knowledge import Chunk, Document


@dataclass(frozen=True, slots=True)
class Embedders:
    """What makes vectors; `remote` is None without a provider's."""

    local: Embedder
    remote: RemoteEmbedder | None = None


Small = npt.NDArray[np.int8]

Made = tuple[Document, tuple[Chunk, ...]]


async def embedded(made: Sequence[tuple[Document, Sequence[Chunk]]], embedders: Embedders) -> list[Made]:
    """The documents with the vectors of all of their passages, made together, and the names of the models.

    A provider that fails leaves its vectors out (`Document.embedded` is empty then): they are made later.
    """
    texts = [
        embedded_text(document.title, c.headings, c.question, c.text)
        for document, chunks in made
        for c in chunks
    ]
    local = (await embedders.local.embed(texts)).astype(np.dtype("<f2"))
    remote, model = await _remote(texts, embedders.remote)
    out: list[Made] = []
    row = 0
    for document, chunks in made:
        own: list[Chunk] = []
        for c in chunks:
            own.append(
                replace(c, vector=local[row].tobytes(), remote=remote[row].tobytes() if model else b"")
            )
            row += 1
        out.append(
            (replace(document, local=embedders.local.model, embedded=model if own else ""), tuple(own))
        )
    return out


def as_int8(vectors: Vectors) -> Small:
    """Rows as int8, each by its own greatest value: a direction, whose length tells nothing."""
    most = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    most[most == 0] = 1
    small: Small = np.rint(vectors / most * 127).astype(np.int8)
    return small


async def _remote(texts: Sequence[str], remote: RemoteEmbedder | None) -> tuple[Small, str]:
    nothing = np.zeros((0, 0), np.int8)
    if remote is None or not texts:
        return nothing, ""
    try:
        vectors = await remote.embed(texts, "passage")
    except ProviderError:
        return nothing, ""
    if vectors.shape != (len(texts), remote.dimensions):
        return nothing, ""
    return as_int8(vectors), remote.model
