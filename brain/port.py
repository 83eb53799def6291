"""The seam between finding passages and answering from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.model.content import Source
from gateway.model.ports import Answer, Question


@dataclass(frozen=True, slots=True)
class IndexedPassage:
    """A passage with the document it comes from. `question` is set for a question-and-answer pair."""

    text: str
    document: str
    title: str
    headings: tuple[str, ...] = ()
    url: str | None = None
    page: int | None = None
    question: str | None = None

    @property
    def source(self) -> Source:
        """`title › heading`, with the document's address and the page."""
        last = self.headings[-1:] or ((self.question,) if self.question else ())
        return Source(" › ".join((self.title, *last)), self.url, self.page)


@dataclass(frozen=True, slots=True)
class Scored:
    """A passage found for a question.

    `bm25` is the share of the highest score that the question's words could reach, `cosine` that of the
    passage's vector, `fused` their weighted sum: what the order is by. `support` is the estimated
    probability that the passage answers the question.
    """

    passage: IndexedPassage
    bm25: float
    cosine: float
    fused: float
    support: float = 0.0


class Provider(Protocol):
    """Turns passages into an answer. `brain.providers.local` quotes; a language model may write.

    `name` becomes the answer's `by`.
    """

    name: str

    async def answer(self, question: Question, passages: Sequence[Scored]) -> Answer:
        """The answer from these passages, best first, or one that is not known. An answer names as sources
        the passages that it rests on, and no others."""
