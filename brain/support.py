"""Ranks the passages found and says how well one answers: the decision between an answer and “I don't know”.

The best candidates of the index are ordered again by the fused score plus 0.3 times the best sentence's
cosine and 0.3 times the best sentence's share of the question's words. Support is then a logistic of

- coverage: share of the question's words that the passage holds, weighted by how rare they are;
- sentence: cosine of the question and the passage's nearest sentence (or its question);
- meaning: cosine of the question and the whole passage;
- words: like coverage, but a missing word counts by its nearest word in the passage;
- margin: how far the passage is ahead of the next one.

Measured with `python -m brain.evaluate` on tests/brain/eval.jsonl: English questions about a shop, a
clinic, a hotel and a bakery, a third of them without an answer, and Spanish ones about a school.

                     answered rightly   wrongly   refused what has no answer
    tune (120)             0.90           0.05          0.97
    held (120)             0.83           0.09          0.92
    blind (44)             0.93           0.00          0.94
    Spanish (30)           0.85           0.00          1.00

The coefficients were fitted on `tune` (logistic regression, L2 = 1). The mistakes on `held` were looked at
once and led to general features (spans of days, kinds of value), so `held` flatters a little. `blind` was
written last; between its first measurement (0.93, 0.04, 0.94) and this one came only a new fit, synonyms by
stem, and the threshold from 0.5 to 0.55. The vectors are English: for other languages only coverage and
margin count, with coefficients set by hand.
"""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from brain.chunk import sentences
from brain.embed import Embedder
from brain.index import ENGLISH, OTHER, Index
from brain.port import IndexedPassage, Scored, Vectors
from brain.words import content_words, is_english, question_terms, question_words, terms

CANDIDATES = 8
MAX_QUESTION = 500
"""Characters of a message that are searched for; what comes after adds noise, not an answer."""

_RERANK = 0.3
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

    def support(self, of: Features) -> float:
        """The estimated probability that the passage answers the question."""
        total = self.bias + self.coverage * of.coverage + self.sentence * of.sentence
        total += self.meaning * of.meaning + self.words * of.words + self.margin * of.margin
        return 1 / (1 + math.exp(-total))


ENGLISH_CALIBRATION = Calibration(0.63, 2.30, 4.19, 3.33, 5.75, -5.38, 0.55)
OTHER_CALIBRATION = Calibration(4.0, 0.0, 0.0, 0.0, 4.0, -3.0, 0.5)


@dataclass(frozen=True, slots=True)
class Found:
    """Passages for a question, best first, with the features of the first ones and the calibration used."""

    passages: tuple[Scored, ...]
    features: tuple[Features, ...]
    calibration: Calibration

    @property
    def known(self) -> bool:
        """Whether the best passage supports an answer."""
        return bool(self.passages) and self.passages[0].support >= self.calibration.threshold


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, ready to be compared."""

    text: str
    terms: tuple[str, ...]
    vector: Vectors
    english: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    scored: Scored
    sentence: float
    rank: float


async def find(index: Index, embedder: Embedder, text: str, top: int = 5, judged: int = 1) -> Found:
    """The passages that answer best, at most `top`; support is estimated for the first `judged` of them."""
    text = text[:MAX_QUESTION]
    english = is_english(text)
    vector = (await embedder.embed([text]))[0]
    asked = _Asked(text, tuple(question_terms(text)), vector, english)
    weights = ENGLISH if english else OTHER
    found = index.search(asked.terms, vector, weights, max(CANDIDATES, top))
    candidates = await _rank(index, embedder, asked, found)
    calibration = ENGLISH_CALIBRATION if english else OTHER_CALIBRATION
    features = [
        await _features(index, embedder, asked, candidates, place)
        for place in range(min(judged, top, len(candidates)))
    ]
    passages = [candidate.scored for candidate in candidates[:top]]
    for place, of in enumerate(features):
        passages[place] = replace(passages[place], support=calibration.support(of))
    return Found(tuple(passages), tuple(features), calibration)


async def _rank(index: Index, embedder: Embedder, asked: _Asked, found: Sequence[Scored]) -> list[_Candidate]:
    parts = [_sentences(scored.passage) for scored in found]
    vectors = await embedder.embed([part for group in parts for part in group]) if asked.english else None
    out: list[_Candidate] = []
    start = 0
    for scored, group in zip(found, parts, strict=True):
        near = (
            float((vectors[start : start + len(group)] @ asked.vector).max()) if vectors is not None else 0.0
        )
        start += len(group)
        context = set(terms(_context(scored.passage)))
        covered = max(coverage(index, asked.terms, context.union(terms(part))) for part in group)
        out.append(_Candidate(scored, near, scored.fused + _RERANK * (near + covered)))
    return sorted(out, key=lambda candidate: -candidate.rank)


async def _features(
    index: Index, embedder: Embedder, asked: _Asked, candidates: Sequence[_Candidate], place: int
) -> Features:
    this = candidates[place]
    following = candidates[place + 1].rank if place + 1 < len(candidates) else 0.0
    passage = this.scored.passage
    whole = " ".join((passage.title, *passage.headings, passage.question or "", passage.text))
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


async def _words(index: Index, embedder: Embedder, asked: _Asked, text: str, held: Set[str]) -> float:
    """The weighted mean over the question's words of the nearest word's cosine; 1 for one that is there."""
    mine, theirs = question_words(asked.text), content_words(text)[:_MAX_WORDS]
    if not mine or not theirs:
        return 0.0
    vectors = await embedder.embed([word for word, _ in mine] + theirs)
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
