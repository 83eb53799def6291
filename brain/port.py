"""The seams of the brain: between finding passages and answering from them, and towards providers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from gateway.model.answers import Answer, AnswerSettings, Listener, Question, Said, Used
from gateway.model.content import Source
from gateway.model.knowledge import MAIN

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimensions); each row has length 1, or 0 for a text without words."""


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
    collection: str = MAIN
    language: str | None = None

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


@dataclass(eq=False)
class ProviderError(Exception):
    """A provider that did not answer, in our words: nothing of its body, no key, no address.

    `code` can be looked up: `provider:key` (401, 403), `provider:limit` (429), `provider:broken` (5xx, a truncated or unreadable
    answer), `provider:slow` (no answer in time), `provider:away` (no connection), `provider:refused` (any other 4xx: model,
    request), `provider:cap` (nothing may be spent any more). `wait`: seconds that the provider asked for.
    """

    code: str
    text: str
    wait: float | None = None
    used: Used = field(default_factory=Used)
    """What it may have cost all the same."""


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant's account with a provider of answers. `key` never leaves `brain.providers`."""

    tenant: str
    settings: AnswerSettings
    provider: Literal["local", "cohere", "openai"] = "local"
    key: str | None = field(default=None, repr=False)
    address: str = ""


AccountOf = Callable[[str], Awaitable[Account]]
"""By the tenant's id. Raises NotFound."""


class RemoteEmbedder(Protocol):
    """A provider's vectors. `model` names model and dimensions (`embed-v4.0/256`)."""

    model: str
    dimensions: int

    async def embed(self, texts: Sequence[str], kind: Literal["passage", "question"]) -> Vectors:
        """One row a text, in order, in as many calls as it takes. Raises ProviderError."""


class Reranker(Protocol):
    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        """How relevant each text is, 0 to 1, in the order given. Raises ProviderError."""


@dataclass(frozen=True, slots=True)
class Remote:
    """What a tenant's account offers to retrieval; None: nothing."""

    embedder: RemoteEmbedder | None = None
    reranker: Reranker | None = None


RemoteOf = Callable[[Question], Awaitable[Remote]]
"""For a question (its caps count), or for one without text when documents are embedded."""


async def no_remote(question: Question) -> Remote:
    """Everything stays here."""
    return Remote()


class Provider(Protocol):
    """Turns passages into an answer. `brain.providers.local` quotes; a language model may write.

    `name` becomes the answer's `by`.
    """

    name: str

    async def answer(
        self, question: Question, passages: Sequence[Scored], listener: Listener | None = None
    ) -> Answer:
        """The answer from these passages, best first, or one that is not known. An answer names as sources
        the passages that it rests on, and no others. Raises ProviderError."""


# Language models ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a language model is given. `passages` are data: (title, text), already without anything that reads as an
    instruction. `mark` is a word made for this call alone: one that comes back shows that the model repeats what it was
    told. `most`: tokens that it may write."""

    system: str
    said: tuple[Said, ...]
    question: str
    passages: tuple[tuple[str, str], ...]
    most: int
    mark: str = field(default="", repr=False)

    @property
    def size(self) -> int:
        """Tokens, estimated high: UTF-8 bytes by three, and some for the form."""
        said = (s.text for s in self.said)
        texts = (self.system, self.question, *said, *(part for both in self.passages for part in both))
        return sum(len(text.encode("utf-8", "replace")) // 3 + 12 for text in texts)


@dataclass(frozen=True, slots=True)
class Wrote:
    """The next words of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Cites:
    """The answer's characters from `start` to `end` rest on these passages of the prompt (places in it)."""

    start: int
    end: int
    passages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The model is done. `cut`: it had no more room. Tokens are None where the provider does not tell."""

    cut: bool = False
    tokens_in: int | None = None
    tokens_out: int | None = None


Piece = Wrote | Cites | Ended


class LanguageModel(Protocol):
    """One model of one account. `name` becomes the answer's `by`; `model` is what prices go by; `account` is equal for
    calls that fail together: the same endpoint with the same key."""

    name: str
    model: str
    account: str
    cites: bool
    """Whether it says by itself what it rests on; else it is asked for marks like [1]."""

    def write(self, prompt: Prompt) -> AsyncIterator[Piece]:
        """The answer as it comes, `Ended` last; a stream that ends without it has broken off. Unbounded in time: the
        caller bounds it. Raises ProviderError."""
