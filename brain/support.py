"""Ranks the passages found and says how well one answers: the decision between an answer and “I don't know”.

The best candidates of the index are ordered again by the fused score plus 0.3 times the best sentence's
cosine and 0.3 times the best sentence's share of the question's words. Support is then a logistic of

- coverage: share of the question's words that the passage holds, weighted by how rare they are;
- sentence: cosine of the question and the passage's nearest sentence (or its question), by the fast English vectors;
- meaning: cosine of the question and the whole passage, by the multilingual ones;
- words: like coverage, but a missing word counts by its nearest word in the passage (English);
- margin: how far the passage is ahead of the next one;
- relevance: what a provider's reranker said, where one was asked.

Three calibrations: for English, for the other languages (without what is English), both fitted by `python -m brain.fit` on the
split `tune` of tests/brain/eval.jsonl; and for lists that a provider has ranked again, set by hand. docs/evaluation.md has what
they measure, and what was looked at when.
"""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from brain.chunk import sentences
from brain.embed import Embedder
from brain.index import ENGLISH, OTHER, Asked, Index, Scope
from brain.port import IndexedPassage, Scored, Vectors
from brain.words import content_words, is_english, question_terms, question_words, terms

CANDIDATES = 8
MAX_QUESTION = 500
"""Characters of a message that are searched for; what comes after adds noise, not an answer."""

RERANKED = 25
"""How many passages of the fused list a provider's reranker is shown."""

_NEAR, _COVERED = 0.3, 0.3
"""What the best sentence's cosine, and its share of the question's words, add to the fused score."""

_MAX_SENTENCES = 12
_MAX_WORDS = 120


@dataclass(frozen=True, slots=True)
class Features:
    """What support is estimated from; each about 0 to 1."""

    coverage: float
    sentence: float
    meaning: float
    words: float
    margin: float
    relevance: float = 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Coefficients of the logistic, and the support from which an answer is given."""

    coverage: float
    sentence: float
    meaning: float
    words: float
    margin: float
    bias: float
    threshold: float
    relevance: float = 0.0

    def support(self, of: Features) -> float:
        """The estimated probability that the passage answers the question."""
        total = self.bias + self.coverage * of.coverage + self.sentence * of.sentence
        total += self.meaning * of.meaning + self.words * of.words + self.margin * of.margin
        return 1 / (1 + math.exp(-total - self.relevance * of.relevance))


ENGLISH_CALIBRATION = Calibration(0.00, 0.23, 4.92, 4.86, 6.66, -5.71, 0.4)
OTHER_CALIBRATION = Calibration(2.18, 0.00, 8.37, 0.00, 3.27, -2.98, 0.45)
RERANKED_CALIBRATION = Calibration(1.0, 0.0, 0.0, 0.0, 0.0, -3.0, 0.5, relevance=7.0)
"""Set by hand, so that a relevance of about 0.3 with most of the words, or of 0.45 without any, answers. Not calibrated against
a live account: the providers say themselves that the score's scale is to be learned from one's own questions
(https://docs.cohere.com/docs/reranking-best-practices)."""


@dataclass(frozen=True, slots=True)
class Found:
    """Passages for a question, best first, with the features of the first ones and the calibration used.

    `asked` is the question as it was searched for, if that is not the text itself; `failed` has the codes of what a provider
    was asked for in vain; `threshold` is the tenant's own least support.
    """

    passages: tuple[Scored, ...]
    features: tuple[Features, ...]
    calibration: Calibration
    asked: str = ""
    failed: tuple[str, ...] = ()
    threshold: float | None = None
    stale: bool = False
    """From the documents as they were before: what was published last is still being read."""

    @property
    def least(self) -> float:
        """The support from which there is an answer."""
        return self.calibration.threshold if self.threshold is None else self.threshold

    @property
    def known(self) -> bool:
        """Whether the best passage supports an answer."""
        return bool(self.passages) and self.passages[0].support >= self.least


@dataclass(frozen=True, slots=True)
class Heard:
    """A question, ready to be compared. `remote` is the provider's vector of it, where the index has that model's."""

    text: str
    terms: tuple[str, ...]
    vector: Vectors
    near: Vectors | None
    remote: Vectors | None = None
    near_by: Vectors | None = None
    """The provider's cosine of each passage, where the database has told them."""

    @property
    def english(self) -> bool:
        return self.near is not None

    def search(self, index: Index, top: int, scope: Scope | None = None) -> list[Scored]:
        """The best passages by words and meaning alone."""
        weights = ENGLISH if self.english else OTHER
        return index.search(Asked(self.terms, self.vector, self.remote, self.near_by), weights, top, scope)


@dataclass(frozen=True, slots=True)
class _Candidate:
    scored: Scored
    sentence: float
    rank: float


async def hear(embedder: Embedder, text: str, remote: Vectors | None = None) -> Heard:
    """A question's words and vectors."""
    text = text[:MAX_QUESTION]
    near = (await embedder.near([text]))[0] if is_english(text) else None
    return Heard(text, tuple(question_terms(text)), (await embedder.embed([text]))[0], near, remote)


async def find(
    index: Index,
    embedder: Embedder,
    asked: Heard,
    top: int = 5,
    judged: int = 1,
    scope: Scope | None = None,
) -> Found:
    """The passages that answer best, at most `top`; support is estimated for the first `judged` of them."""
    found = asked.search(index, max(CANDIDATES, top), scope)
    candidates = await _rank(index, embedder, asked, found)
    calibration = ENGLISH_CALIBRATION if asked.english else OTHER_CALIBRATION
    features = [
        await _features(index, embedder, asked, candidates, place)
        for place in range(min(judged, top, len(candidates)))
    ]
    passages = [candidate.scored for candidate in candidates[:top]]
    for place, of in enumerate(features):
        passages[place] = replace(passages[place], support=calibration.support(of))
    return Found(tuple(passages), tuple(features), calibration)


def ranked_again(
    index: Index, asked: Heard, found: Sequence[Scored], relevance: Sequence[float], top: int
) -> Found:
    """The passages by what a reranker said of each (0 to 1), at most `top`, all with their support."""
    order = sorted(range(len(found)), key=lambda place: (-relevance[place], place))[:top]
    passages, features = [], []
    for place in order:
        held = set(terms(whole_text(found[place].passage)))
        of = Features(coverage(index, asked.terms, held), 0.0, 0.0, 0.0, 0.0, relevance[place])
        passages.append(replace(found[place], support=RERANKED_CALIBRATION.support(of)))
        features.append(of)
    return Found(tuple(passages), tuple(features), RERANKED_CALIBRATION)


def whole_text(passage: IndexedPassage) -> str:
    """A passage with what it stands under."""
    return " ".join((passage.title, *passage.headings, passage.question or "", passage.text))


async def _rank(index: Index, embedder: Embedder, asked: Heard, found: Sequence[Scored]) -> list[_Candidate]:
    parts = [_sentences(scored.passage) for scored in found]
    vectors = None
    if asked.near is not None:
        vectors = await embedder.near([part for group in parts for part in group]) @ asked.near
    out: list[_Candidate] = []
    start = 0
    for scored, group in zip(found, parts, strict=True):
        near = float(vectors[start : start + len(group)].max()) if vectors is not None else 0.0
        start += len(group)
        context = set(terms(_context(scored.passage)))
        covered = max(coverage(index, asked.terms, context.union(terms(part))) for part in group)
        out.append(_Candidate(scored, near, scored.fused + _NEAR * near + _COVERED * covered))
    return sorted(out, key=lambda candidate: -candidate.rank)


async def _features(
    index: Index, embedder: Embedder, asked: Heard, candidates: Sequence[_Candidate], place: int
) -> Features:
    this = candidates[place]
    following = candidates[place + 1].rank if place + 1 < len(candidates) else 0.0
    whole = whole_text(this.scored.passage)
    held = set(terms(whole))
    return Features(
        coverage=coverage(index, asked.terms, held),
        sentence=this.sentence,
        meaning=this.scored.cosine,
        words=await _words(index, embedder, asked, whole, held) if asked.english else 0.0,
        margin=this.rank - following,
    )


def coverage(index: Index, asked: Sequence[str], held: Set[str]) -> float:
    """The share of a question's terms that are among `held`, weighted by how rare they are."""
    total = sum(index.weight(term) for term in asked)
    return sum(index.weight(term) for term in asked if term in held) / total if total else 0.0


async def _words(index: Index, embedder: Embedder, asked: Heard, text: str, held: Set[str]) -> float:
    """The weighted mean over the question's words of the nearest word's cosine; 1 for one that is there."""
    mine, theirs = question_words(asked.text), content_words(text)[:_MAX_WORDS]
    if not mine or not theirs:
        return 0.0
    vectors = await embedder.near([word for word, _ in mine] + theirs)
    nearest = (vectors[: len(mine)] @ vectors[len(mine) :].T).max(axis=1)
    total = score = 0.0
    for (_, own), near in zip(mine, nearest, strict=True):
        weight = max(index.weight(term) for term in own)
        total += weight
        score += weight * (1.0 if any(term in held for term in own) else float(near))
    return score / total if total else 0.0


def _sentences(passage: IndexedPassage) -> list[str]:
    own = [passage.question] if passage.question else []
    return own + sentences(passage.text)[:_MAX_SENTENCES]


def _context(passage: IndexedPassage) -> str:
    """What a sentence stands under, and need not repeat."""
    return " ".join((passage.question or "", *passage.headings[-1:]))
