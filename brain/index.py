"""A tenant's passages in memory, searched by words (BM25) and by meaning (cosine), fused.

Words: BM25, with the words of the heading and of the question counted HEADING times. The score is divided by
the highest one that the question's words could reach, so that it lies between 0 and 1 and compares between
questions. Meaning: cosine of the question's vector and the passage's. Which passages take part at all is decided before
anything is ranked (`Scope`).

Made to be small: about 0.9 KB for a passage of 700 characters. Texts are kept compressed, BLOCK together; vectors as int8 with
a scale a row; of a term only its hash; a posting in 3 bytes (5 from 65,536 passages on). The weights and what they measure:
docs/evaluation.md.
"""

import json
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain.port import IndexedPassage, Scored
from brain.words import terms
from gateway.model.knowledge import MAIN, Chunk, Collection, Document

K1 = 1.2
B = 0.3
HEADING = 2
"""How many times a word of the heading or of the question counts."""

BLOCK = 16
"""Passages that are compressed together: more is smaller, and slower to read one of."""

SAME_LANGUAGE = 0.05
"""What a passage in the question's own language is ahead by, of two that are as good."""

_TITLE = 1
_STEP = (K1 + 1) / 255
_ROWS = 4096

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the two scores in the fused one."""

    bm25: float
    cosine: float


ENGLISH = Weights(bm25=0.6, cosine=0.4)
OTHER = Weights(bm25=0.6, cosine=0.4)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look: in the collections for this channel (None: in all), in this language rather than in others."""

    channel: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the index takes it: distinct terms, the local vector (dimensions,) and, where the passages have them, the
    provider's."""

    terms: Sequence[str]
    vector: Floats
    remote: Floats | None = None
    cosines: Floats | None = None
    """The provider's cosine of each passage, where it is known already; shape (passages,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Vectors as int8, each row with the factor that makes it one of length 1; shape (passages, dimensions)."""

    values: npt.NDArray[np.int8]
    scales: Floats

    def cosines(self, vector: Floats) -> Floats:
        """With a normalised vector; 0 for rows without one. Blocks: about 0.3 µs a row."""
        out = np.zeros(len(self.scales), dtype=np.float32)
        if self.values.shape[1] == len(vector):
            # int8 has no fast product: some rows at a time are widened, which costs no lasting memory.
            for start in range(0, len(out), _ROWS):
                out[start : start + _ROWS] = self.values[start : start + _ROWS].astype(np.float32) @ vector
            out *= self.scales
        return out

    @property
    def size(self) -> int:
        return self.values.nbytes + self.scales.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Immutable; made by `build`. The postings of the term with `hashes[t]` are `rows[starts[t]:starts[t + 1]]`; `often` is each
    one's BM25 without the term's weight, in 255ths of the highest. `remote_model` is empty unless every passage has that
    model's vector."""

    passages: int
    blocks: tuple[bytes, ...]
    documents: tuple[Document, ...]
    document: npt.NDArray[Any]
    collections: tuple[Collection, ...]
    collection: npt.NDArray[Any]
    languages: tuple[str, ...]
    language: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.int64]
    starts: npt.NDArray[np.uint32]
    rows: npt.NDArray[Any]
    often: npt.NDArray[np.uint8]
    vectors: Rows
    remote: Rows | None = None
    remote_model: str = ""

    @property
    def unseen(self) -> float:
        """The weight of a word that no passage holds."""
        return _idf(self.passages, 0)

    def weight(self, term: str) -> float:
        """Inverse document frequency of a term: how much it tells."""
        start, end = self._postings(term)
        return _idf(self.passages, end - start)

    def words(self, asked: Sequence[str]) -> Floats:
        """BM25 of each passage for distinct terms, 0 to 1; shape (passages,)."""
        scores = np.zeros(self.passages, dtype=np.float32)
        highest = sum(self.weight(term) for term in asked) * (K1 + 1)
        for term in asked:
            start, end = self._postings(term)
            if end > start:
                weight = np.float32(_STEP * _idf(self.passages, end - start))
                scores[self.rows[start:end]] += self.often[start:end] * weight
        return scores / np.float32(highest) if highest else scores

    def meaning(self, vector: Floats) -> Floats:
        """Cosine of each passage with a normalised vector of shape (dimensions,); shape (passages,)."""
        return self.vectors.cosines(vector)

    def search(self, asked: Asked, weights: Weights, top: int, scope: Scope | None = None) -> list[Scored]:
        """The best passages by the fused score, at most `top`; none that shares neither word nor meaning, none out of scope."""
        words, local = self.words(asked.terms), self.meaning(asked.vector)
        remote = asked.cosines
        if remote is None and self.remote is not None and asked.remote is not None:
            remote = self.remote.cosines(asked.remote)
        meant = np.maximum(local if remote is None else remote, np.float32(0))
        fused = (weights.bm25 * words + weights.cosine * meant).astype(np.float32)
        rank = fused
        if scope is not None:
            rank = self._preferred(fused, scope)
        best = _largest(rank, top)
        found = self.read(best)
        return [
            Scored(passage, float(words[i]), float(local[i]), float(fused[i]))
            for i, passage in zip(best, found, strict=True)
            if rank[i] > 0
        ]

    def within(self, scope: Scope) -> list[str] | None:
        """The documents that are in scope; None: all are."""
        shut = {c.name for c in self._shut(scope)}
        return [d.id for d in self.documents if d.collection not in shut] if shut else None

    def placed(self, told: Iterable[tuple[str, int, float]]) -> Floats:
        """Cosines by place, of those told by document and position; 0 for the others."""
        out = np.zeros(self.passages, dtype=np.float32)
        number = {d.id: n for n, d in enumerate(self.documents)}
        for document, position, cosine in told:
            if (n := number.get(document)) is not None:
                first, end = np.searchsorted(self.document, [n, n + 1])
                if position < end - first:
                    out[first + position] = cosine
        return out

    def read(self, places: Iterable[int]) -> list[IndexedPassage]:
        """The passages at these places."""
        opened: dict[int, list[Any]] = {}
        out = []
        for place in places:
            number, inside = divmod(int(place), BLOCK)
            if number not in opened:
                opened[number] = json.loads(zlib.decompress(self.blocks[number]))
            text, headings, page, question = opened[number][inside]
            document = self.documents[int(self.document[place])]
            language = self.languages[int(self.language[place])] or None
            out.append(
                IndexedPassage(
                    text,
                    document.id,
                    document.title,
                    tuple(headings),
                    document.url,
                    page,
                    question,
                    document.collection,
                    language,
                )
            )
        return out

    @property
    def size(self) -> int:
        """Bytes in memory: arrays and texts exactly, documents about."""
        arrays = (
            self.document,
            self.collection,
            self.language,
            self.hashes,
            self.starts,
            self.rows,
            self.often,
        )
        told = sum(a.nbytes for a in arrays) + self.vectors.size + (self.remote.size if self.remote else 0)
        texts = sum(len(block) + 41 for block in self.blocks)
        return told + texts + 900 * len(self.documents) + 4096

    def _preferred(self, fused: Floats, scope: Scope) -> Floats:
        rank = fused.copy()
        if scope.language is not None:
            wanted = scope.language.partition("-")[0]
            own = [n for n, tag in enumerate(self.languages) if tag and tag.partition("-")[0] == wanted]
            rank[np.isin(self.language, own) & (fused > 0)] += SAME_LANGUAGE
        if scope.channel is not None:
            named = self._shut(scope)
            shut = [n for n, c in enumerate(self.collections) if c in named]
            rank[np.isin(self.collection, shut)] = 0
        return rank

    def _shut(self, scope: Scope) -> list[Collection]:
        """Collections that are for other channels."""
        if scope.channel is None:
            return []
        return [c for c in self.collections if c.channels and scope.channel not in c.channels]

    def _postings(self, term: str) -> tuple[int, int]:
        own = hash(term)
        place = int(np.searchsorted(self.hashes, own))
        if place == len(self.hashes) or self.hashes[place] != own:
            return 0, 0
        return int(self.starts[place]), int(self.starts[place + 1])


def build(
    chunks: Sequence[Chunk],
    documents: Iterable[Document],
    collections: Sequence[Collection],
    model: str,
    dimensions: int,
) -> Index:
    """An index of passages. One whose vector is not `model`'s is found by its words only; one in a collection that is not
    there (any more) is not found at all. Blocks: about 0.2 ms a passage."""
    known = {c.name: c for c in collections}
    known.setdefault(MAIN, Collection("", MAIN))
    by_id = {d.id: d for d in documents if d.collection in known}
    kept = [c for c in chunks if c.document in by_id]
    order = list(dict.fromkeys(c.document for c in kept))
    place = {document: n for n, document in enumerate(order)}
    found = tuple(by_id[document] for document in order)
    number = {name: n for n, name in enumerate(known)}
    spoken = [(c.language or by_id[c.document].language or "") for c in kept]
    languages = list(dict.fromkeys(spoken))[:255] or [""]
    code = {tag: n for n, tag in enumerate(languages)}
    hashes, starts, rows, often = _postings(kept, by_id)
    vectors = [c.vector if by_id[c.document].local == model else b"" for c in kept]
    remote, remote_model = _remote(kept, by_id)
    return Index(
        passages=len(kept),
        blocks=tuple(_blocks(kept)),
        documents=found,
        document=np.fromiter((place[c.document] for c in kept), _narrow(len(found)), len(kept)),
        collections=tuple(known.values()),
        collection=np.fromiter(
            (number[by_id[c.document].collection] for c in kept), _narrow(len(known)), len(kept)
        ),
        languages=tuple(languages),
        language=np.fromiter((code.get(tag, 0) for tag in spoken), np.uint8, len(kept)),
        hashes=hashes,
        starts=starts,
        rows=rows,
        often=often,
        vectors=_rows(vectors, dimensions, "<f2"),
        remote=remote,
        remote_model=remote_model,
    )


def embedded_text(title: str, headings: Sequence[str], question: str | None, text: str) -> str:
    """What a passage's vector is made from."""
    if question:
        return f"{question} {text}"
    return " ".join((*(headings or (title,)), text))


def _counts(chunk: Chunk, document: Document) -> Counter[str]:
    count = Counter(terms(chunk.text))
    for part in (*chunk.headings, chunk.question or ""):
        for term in terms(part):
            count[term] += HEADING
    for term in terms(document.title):
        count[term] += _TITLE
    return count


def _postings(
    chunks: Sequence[Chunk], documents: dict[str, Document]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[Any], npt.NDArray[np.uint8]]:
    # Plain arrays while they are collected: as objects the counts of 50,000 passages would take 300 MB.
    columns, often, each, lengths = array("q"), array("H"), array("I"), array("f")
    for chunk in chunks:
        count = _counts(chunk, documents[chunk.document])
        columns.extend(hash(term) for term in count)
        often.extend(min(n, 65535) for n in count.values())
        each.append(len(count))
        lengths.append(sum(count.values()))
    keys = np.frombuffer(columns, dtype=np.int64) if columns else np.zeros(0, np.int64)
    times = np.frombuffer(often, dtype=np.uint16) if often else np.zeros(0, np.uint16)
    rows = np.repeat(
        np.arange(len(chunks), dtype=_narrow(len(chunks))),
        np.frombuffer(each, dtype=np.uint32) if each else np.zeros(0, np.int64),
    )
    order = np.argsort(keys, kind="stable")
    keys, times, rows = keys[order], times[order].astype(np.float32), rows[order]
    hashes, first = np.unique(keys, return_index=True)
    starts = np.append(first, len(keys)).astype(np.uint32)
    size = np.array(lengths, dtype=np.float32)
    share = size / (size.mean() or 1) if len(size) else size
    saturated = times * (K1 + 1) / (times + np.float32(K1) * (1 - B + B * share[rows]))
    return hashes, starts, rows, np.clip(np.rint(saturated / _STEP), 1, 255).astype(np.uint8)


def _idf(passages: int, holding: int) -> float:
    return float(np.log1p((passages - holding + 0.5) / (holding + 0.5)))


def _blocks(chunks: Sequence[Chunk]) -> Iterable[bytes]:
    for start in range(0, len(chunks), BLOCK):
        part = [[c.text, c.headings, c.page, c.question] for c in chunks[start : start + BLOCK]]
        data = json.dumps(part, ensure_ascii=False, separators=(",", ":"))
        yield zlib.compress(data.encode("utf-8", "surrogatepass"), 6)


def _remote(chunks: Sequence[Chunk], documents: dict[str, Document]) -> tuple[Rows | None, str]:
    models = {documents[c.document].embedded for c in chunks}
    lengths = {len(c.remote) for c in chunks}
    if len(models) != 1 or "" in models or len(lengths) != 1 or 0 in lengths:
        return None, ""
    return _rows([c.remote for c in chunks], lengths.pop(), "i1"), models.pop()


def _rows(given: Sequence[bytes], dimensions: int, kind: str) -> Rows:
    values = np.zeros((len(given), dimensions), dtype=np.int8)
    scales = np.zeros(len(given), dtype=np.float32)
    size = dimensions * np.dtype(kind).itemsize
    for row, data in enumerate(given):
        if len(data) != size:
            continue
        vector = np.frombuffer(data, dtype=kind).astype(np.float32)
        highest = float(np.abs(vector).max())
        if highest > 0 and np.isfinite(highest):
            values[row] = np.rint(vector * (127 / highest))
            scales[row] = 1 / np.linalg.norm(values[row].astype(np.float32))
    return Rows(values, scales)


def _largest(scores: Floats, top: int) -> npt.NDArray[np.int64]:
    """Places of the highest scores, the highest first; of equal ones the first."""
    if len(scores) > 4 * top:
        # Only these can be among them: the whole needs no order.
        least = np.partition(scores, len(scores) - top)[len(scores) - top]
        some = np.flatnonzero(scores >= least)
        return some[np.argsort(-scores[some], kind="stable")][:top]
    return np.argsort(-scores, kind="stable")[:top]


def _narrow(count: int) -> Any:
    return np.uint16 if count <= 65_536 else np.uint32
