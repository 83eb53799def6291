"""The answer in the business's own words: the sentences of the best passage that answer, and their source."""

import math
import re
from collections.abc import Sequence

from brain.chunk import sentences
from brain.days import day_terms
from brain.embed import Embedder
from brain.port import Scored
from brain.words import fold, is_english, question_terms, terms
from gateway.model.answers import Answer, Listener, Question

MAX_CHARS = 600
WHOLE = 280
"""A passage up to this many characters is said whole: cutting it would only lose context."""

_MAX_SENTENCES = 4
_MAX_ROWS = 8
_KEEP = 0.6
"""A sentence joins the best one from this share of its score."""

_LEANS = re.compile(
    r"(It|They|That|This|These|Those|He|She|Later|Otherwise|If not|After that|Then|Outside those|Before that|"
    r"Esto|Eso|Ese|Esta|Después|Isso|Isto|Depois)\b"
)
"""A sentence that starts so can't be understood without the one before it."""


class Quote:
    """Quotes. `embedder` is the offline one: it compares a handful of sentences a question."""

    name = "local"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def answer(
        self, question: Question, passages: Sequence[Scored], listener: Listener | None = None
    ) -> Answer:
        if not passages:
            return Answer(known=False, by=self.name)
        best = passages[0]
        text = best.passage.text
        if len(text) > (MAX_CHARS if best.passage.question else WHOLE):
            text = await self._trim(question.text, text)
        return Answer(True, text, (best.passage.source,), best.support, self.name)

    async def _trim(self, question: str, text: str) -> str:
        parts = [(part, line) for line, whole in enumerate(text.split("\n")) for part in sentences(whole)]
        texts = [part for part, _ in parts]
        scores = _of_the_day(question, texts, await self._scores(question, texts))
        chosen = _choose(texts, scores, _MAX_ROWS if _rows(text) else _MAX_SENTENCES)
        out, before = "", 0
        for place in chosen:
            part, line = parts[place]
            mark = "" if not out else " " if line == before else "\n"
            out, before = out + mark + part, line
        return out if len(out) <= MAX_CHARS else _shorten(out)

    async def _scores(self, question: str, parts: list[str]) -> list[float]:
        """How well each sentence answers: shared terms, heavier if rare within the passage, and cosine."""
        asked = question_terms(question)
        held = [set(terms(part)) for part in parts]
        weight = {term: math.log(1 + len(parts) / (0.5 + sum(term in own for own in held))) for term in asked}
        total = sum(weight.values()) or 1
        near = [0.0] * len(parts)
        if is_english(question):
            vectors = await self._embedder.near([question, *parts])
            near = [max(0.0, float(cosine)) for cosine in vectors[1:] @ vectors[0]]
        return [
            sum(weight[term] for term in asked if term in own) / total + cosine
            for own, cosine in zip(held, near, strict=True)
        ]


def _of_the_day(question: str, parts: Sequence[str], scores: Sequence[float]) -> list[float]:
    """Who asks for Saturday is not told of Monday, where a sentence tells of Saturday."""
    asked = day_terms(fold(question))
    days = [day_terms(fold(part)) for part in parts]
    if not any(own & asked for own in days):
        return list(scores)
    return [0.0 if own and not own & asked else score for own, score in zip(days, scores, strict=True)]


def _rows(text: str) -> bool:
    """Whether the passage is mostly a list or a table, of which more lines than sentences may be shown."""
    lines = text.split("\n")
    return len(lines) > 2 and sum(len(line) for line in lines) / len(lines) < 120


def _choose(parts: Sequence[str], scores: Sequence[float], most: int) -> list[int]:
    """Places of the sentences to say, in their order: the best one, and those that are nearly as good."""
    chosen: set[int] = set()
    size = 0
    for place in sorted(range(len(parts)), key=lambda i: (-scores[i], i)):
        group = {place, place - 1} if place and _LEANS.match(parts[place]) else {place}
        more = sum(len(parts[i]) + 1 for i in group - chosen)
        good = not chosen or scores[place] >= _KEEP * max(scores)
        if good and len(chosen | group) <= most and (not chosen or size + more <= MAX_CHARS):
            chosen |= group
            size += more
    return sorted(chosen)


def _shorten(text: str) -> str:
    """One sentence that is too long by itself: cut at a word, and shown to be cut."""
    return text[: MAX_CHARS - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"
