"""Meaning as vectors: the port, and the offline embedder whose weights come with its package."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from brain.port import Vectors

_THREAD_FROM = 16
"""Texts; fewer take less than a thread's hand-over (0.04 ms a text)."""


class Embedder(Protocol):
    """Texts to vectors. `dimensions` is fixed; the same text always has the same vector."""

    dimensions: int

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text, in order."""


class WordLlamaEmbedder:
    """256 dimensions from wordllama's packaged weights: no key, no download, English.

    The model is loaded when it is first needed (0.4 s warm, 1.8 s cold; 120 MB), once, in a thread.
    """

    dimensions = 256

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: Any = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self._model is not None and len(texts) < _THREAD_FROM:
            return self.embed_now(texts)
        return await asyncio.to_thread(self.embed_now, texts)

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """The same without a loop; blocks."""
        model = self._loaded()
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            # One at a time: a batch pads to its longest text, and its threads wait for each other.
            ids = model.tokenizer.encode(text, add_special_tokens=False).ids
            if ids:
                out[row] = model.embedding[ids].mean(axis=0)
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        out /= lengths
        return out

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                self._model = _load()
            return self._model


def _load() -> Any:
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package wordllama is not installed")
    # Importing it calls logging.basicConfig, which would give our process a second log on stderr.
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    from wordllama import WordLlama

    root.handlers[:] = handlers
    root.setLevel(level)
    return WordLlama.load(cache_dir=Path(spec.origin).parent, disable_download=True)
