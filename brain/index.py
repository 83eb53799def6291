"""A tenant's passages in memory, searched by words (BM25) and by meaning (cosine), fused.

Words: BM25, with the words of the heading and of the question counted HEADING times. The score is divided by
the highest one that the question's words could reach, so that it lies between 0 and 1 and compares between
questions. Meaning: cosine of the question's vector and the passage's.

Measured, hit@1 / hit@3 on the English questions of the split `held` (weights, K1, B and HEADING were chosen
on `tune`): words alone 0.84 / 0.90, meaning alone 0.73 / 0.88, fused 0.89 / 0.94. The weights matter little
as long as words have 0.4 to 0.8.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brain.port import IndexedPassage, Scored
from brain.words import terms
from gateway.model.knowledge import Chunk, Document

K1 = 1.2
B = 0.3
HEADING = 2
"""How many times a word of the heading or of the question counts."""

_TITLE = 1
_MAX_COUNT = 255


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the two scores in the fused one."""

    bm25: float
    cosine: float


ENGLISH = Weights(bm25=0.7, cosine=0.3)
OTHER = Weights(bm25=1.0, cosine=0.0)
"""The offline vectors know English only; elsewhere words alone rank better than with their noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Immutable; made by `build`. The postings of term t are `rows[starts[t]:starts[t + 1]]`, and `impacts`
    holds each one's whole BM25 contribution, so that a search only adds up."""

    passages: tuple[IndexedPassage, ...]
    vocabulary: dict[str, int]
    starts: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.uint32]
    impacts: npt.NDArray[np.float16]
    idf: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float16]

    @property
    def unseen(self) -> float:
        """The weight of a word that no passage holds."""
        return _idf(len(self.passages), 0)

    def weight(self, term: str) -> float:
        """Inverse document frequency of a term: how much it tells."""
        place = self.vocabulary.get(term)
        return self.unseen if place is None else float(self.idf[place])

    def words(self, asked: Sequence[str]) -> npt.NDArray[np.float32]:
        """BM25 of each passage for distinct terms, 0 to 1; shape (passages,)."""
        scores = np.zeros(len(self.passages), dtype=np.float32)
        highest = sum(self.weight(term) for term in asked) * (K1 + 1)
        for term in asked:
            place = self.vocabulary.get(term)
            if place is not None:
                part = slice(int(self.starts[place]), int(self.starts[place + 1]))
                scores[self.rows[part]] += self.impacts[part]
        return scores / highest if highest else scores

    def meaning(self, vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Cosine of each passage with a normalised vector of shape (dimensions,); shape (passages,)."""
        out = np.zeros(len(self.passages), dtype=np.float32)
        if self.vectors.shape[1] == len(vector):
            # float16 has no fast product: a block at a time is widened, which costs no lasting memory.
            for start in range(0, len(out), 4096):
                block = self.vectors[start : start + 4096].astype(np.float32)
                out[start : start + 4096] = block @ vector
        return out

    def search(
        self, asked: Sequence[str], vector: npt.NDArray[np.float32], weights: Weights, top: int
    ) -> list[Scored]:
        """The best passages by the fused score, at most `top`; none that shares neither word nor meaning."""
        words, meaning = self.words(asked), self.meaning(vector)
        fused = weights.bm25 * words + weights.cosine * np.maximum(meaning, 0)
        best = np.argsort(-fused, kind="stable")[:top]
        return [
            Scored(self.passages[i], float(words[i]), float(meaning[i]), float(fused[i]))
            for i in best
            if fused[i] > 0
        ]

    @property
    def size(self) -> int:
        """Bytes in memory, estimated: arrays exactly, texts and terms with Python's overhead."""
        arrays = (self.starts, self.rows, self.impacts, self.idf, self.vectors)
        text = sum(_text_size(passage) for passage in self.passages)
        return sum(array.nbytes for array in arrays) + text + 120 * len(self.vocabulary)


def build(chunks: Sequence[Chunk], documents: Iterable[Document], dimensions: int) -> Index:
    """An index of passages. A passage whose vector has not `dimensions` is found by its words only. Blocks:
    about 0.1 ms a passage."""
    by_id = {document.id: document for document in documents}
    passages = tuple(_passage(chunk, by_id.get(chunk.document)) for chunk in chunks)
    counts = [_counts(passage) for passage in passages]
    vocabulary: dict[str, int] = {}
    for count in counts:
        for term in count:
            vocabulary.setdefault(term, len(vocabulary))
    starts, rows, impacts, idf = _postings(counts, vocabulary)
    vectors = _vectors(chunks, dimensions)
    return Index(passages, vocabulary, starts, rows, impacts, idf, vectors)


def embedded_text(title: str, headings: Sequence[str], question: str | None, text: str) -> str:
    """What a passage's vector is made from."""
    if question:
        return f"{question} {text}"
    return " ".join((*(headings or (title,)), text))


def _passage(chunk: Chunk, document: Document | None) -> IndexedPassage:
    title = document.title if document else ""
    url = document.url if document else None
    return IndexedPassage(chunk.text, chunk.document, title, chunk.headings, url, chunk.page, chunk.question)


def _counts(passage: IndexedPassage) -> Counter[str]:
    count = Counter(terms(passage.text))
    for part in (*passage.headings, passage.question or ""):
        for term in terms(part):
            count[term] += HEADING
    for term in terms(passage.title):
        count[term] += _TITLE
    return count


def _postings(
    counts: Sequence[Counter[str]], vocabulary: dict[str, int]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.float16], npt.NDArray[np.float32]]:
    total = sum(len(count) for count in counts)
    columns = np.fromiter((vocabulary[t] for count in counts for t in count), np.uint32, total)
    rows = np.fromiter((i for i, count in enumerate(counts) for _ in count), np.uint32, total)
    often = np.fromiter((n for count in counts for n in count.values()), np.float32, total)
    order = np.argsort(columns, kind="stable")
    columns, rows, often = columns[order], rows[order], often[order]
    frequency = np.bincount(columns, minlength=len(vocabulary))
    starts = np.concatenate(([0], np.cumsum(frequency))).astype(np.uint32)
    idf = np.array([_idf(len(counts), int(n)) for n in frequency], dtype=np.float32)
    lengths = np.array([sum(count.values()) for count in counts], dtype=np.float32)
    share = lengths / (lengths.mean() or 1) if len(lengths) else lengths
    saturated = often * (K1 + 1) / (often + K1 * (1 - B + B * share[rows]))
    return starts, rows, (saturated * idf[columns]).astype(np.float16), idf


def _idf(passages: int, holding: int) -> float:
    return float(np.log1p((passages - holding + 0.5) / (holding + 0.5)))


def _vectors(chunks: Sequence[Chunk], dimensions: int) -> npt.NDArray[np.float16]:
    out = np.zeros((len(chunks), dimensions), dtype=np.float16)
    for row, chunk in enumerate(chunks):
        if len(chunk.vector) == 2 * dimensions:
            out[row] = np.frombuffer(chunk.vector, dtype="<f2")
    return out


def _text_size(passage: IndexedPassage) -> int:
    # A string takes 1 to 4 bytes a character; 2 is right between English and Arabic.
    wide = 1 if passage.text.isascii() else 2
    shared = 250 + 60 * len(passage.headings)
    return wide * (len(passage.text) + len(passage.question or "")) + shared
