"""Cohere, by its API version 2: chat with documents and citations, embed, rerank.

Pages: https://docs.cohere.com/reference/chat-stream, /reference/embed, /reference/rerank, /reference/errors, and for the
events of a stream https://docs.cohere.com/v2/docs/streaming. Models: https://docs.cohere.com/docs/models.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, Literal

import numpy as np

from brain.port import Cites, Ended, Piece, Prompt, ProviderError, Vectors, Wrote
from brain.providers.wire import Endpoint, amount, ask, inside, json_object, slow, streamed, truncated

CHAT: Final = "command-a-03-2025"
SMALLER: Final = "command-r7b-12-2024"
EMBED: Final = "embed-v4.0"
RERANK: Final = "rerank-v4.0-fast"

MOST_TEXTS: Final = 96
"""Texts of one call of embed."""

DIMENSIONS: Final = 256
MOST_RANKED: Final = 100
"""Documents of one search unit: what a call of rerank costs goes by it."""

QUESTION_SECONDS: Final = 1.5
"""For a question's vector, and for its passages' order: without them the local search has to do."""

PASSAGE_SECONDS: Final = 30.0

Billed = Callable[[str, int, int], Awaitable[None]]
"""Told of each call: model, tokens, searches. Raises ProviderError (`provider:cap`) where nothing may be spent."""


class CohereChat:
    """Implements `LanguageModel`."""

    name = "cohere"
    cites = True

    def __init__(self, endpoint: Endpoint, model: str, account: str) -> None:
        self._endpoint = endpoint
        self.model = model
        self.account = account

    async def write(self, prompt: Prompt) -> AsyncIterator[Piece]:
        async with streamed(self._endpoint, "/v2/chat", self._body(prompt)) as events:
            async for event in events:
                found = json_object(event.data)
                if found is None:
                    raise ProviderError("provider:broken", "an event of the provider's stream is not JSON")
                piece = _piece(found)
                if piece is not None:
                    yield piece
                if isinstance(piece, Ended):
                    return
        raise truncated()

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        said = [
            {"role": "user" if s.who == "customer" else "assistant", "content": s.text}
            for s in prompt.said
            if s.text
        ]
        documents = [
            {"id": str(place), "data": {"title": title, "snippet": text}}
            for place, (title, text) in enumerate(prompt.passages)
        ]
        # "FAST": these models cite while they write, and know no other way.
        return {
            "model": self.model,
            "stream": True,
            "messages": [
                {"role": "system", "content": prompt.system},
                *said,
                {"role": "user", "content": prompt.question},
            ],
            "documents": documents,
            "citation_options": {"mode": "FAST"},
            "max_tokens": prompt.most,
            "temperature": 0.1,
        }


def _piece(event: dict[str, Any]) -> Piece | None:
    """What an event says; None for one that says nothing to us, known or not."""
    match event.get("type"):
        case "content-delta":
            text = inside(event, "delta", "message", "content", "text")
            return Wrote(text) if isinstance(text, str) and text else None
        case "citation-start":
            return _cites(inside(event, "delta", "message", "citations"))
        case "message-end":
            return _ended(inside(event, "delta"))
        case _:
            return None


def _cites(citation: object) -> Cites | None:
    """One citation. Sources that are none of our documents are left out, and so is what cites the model's own thoughts."""
    start, end = amount(inside(citation, "start")), amount(inside(citation, "end"))
    kind = inside(citation, "type")
    sources = inside(citation, "sources")
    if start is None or end is None or start >= end or kind not in (None, "TEXT_CONTENT"):
        return None
    named = [inside(source, "id") for source in sources] if isinstance(sources, list) else []
    places = [int(name) for name in named if isinstance(name, str) and name.isascii() and name.isdigit()]
    return Cites(start, end, tuple(dict.fromkeys(places)))


def _ended(delta: object) -> Ended:
    reason = inside(delta, "finish_reason")
    # Billed units are what costs; a self-hosted model tells tokens only.
    read = amount(inside(delta, "usage", "billed_units", "input_tokens"))
    written = amount(inside(delta, "usage", "billed_units", "output_tokens"))
    read = amount(inside(delta, "usage", "tokens", "input_tokens")) if read is None else read
    written = amount(inside(delta, "usage", "tokens", "output_tokens")) if written is None else written
    if reason == "TIMEOUT":
        raise slow()
    if reason in ("ERROR", "ERROR_TOXIC", "ERROR_LIMIT", "USER_CANCEL"):
        raise ProviderError("provider:broken", "the provider could not finish its answer")
    return Ended(reason == "MAX_TOKENS", read, written)


class CohereEmbedder:
    """Implements `RemoteEmbedder`."""

    dimensions = DIMENSIONS

    def __init__(self, endpoint: Endpoint, billed: Billed, model: str = EMBED) -> None:
        self._endpoint = endpoint
        self._billed = billed
        self._model = model
        self.model = f"{model}/{DIMENSIONS}"

    async def embed(self, texts: Sequence[str], kind: Literal["passage", "question"]) -> Vectors:
        parts = [texts[i : i + MOST_TEXTS] for i in range(0, len(texts), MOST_TEXTS)]
        rows = [await self._part(part, kind) for part in parts]
        return np.concatenate(rows) if rows else np.zeros((0, DIMENSIONS), dtype=np.float32)

    async def _part(self, texts: Sequence[str], kind: Literal["passage", "question"]) -> Vectors:
        # A text without anything in it is refused by the provider; its row stays zero.
        asked = [place for place, text in enumerate(texts) if text.strip()]
        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        if not asked:
            return out
        await self._billed(self._model, sum(tokens_of(texts[i]) for i in asked), 0)
        body = {
            "model": self._model,
            "texts": [texts[i] for i in asked],
            "input_type": "search_query" if kind == "question" else "search_document",
            "embedding_types": ["float"],
            "output_dimension": DIMENSIONS,
            "truncate": "END",
        }
        seconds = QUESTION_SECONDS if kind == "question" else PASSAGE_SECONDS
        found = inside(await ask(self._endpoint, "/v2/embed", body, seconds), "embeddings", "float")
        out[asked] = _vectors(found, len(asked))
        return out


def _vectors(found: object, rows: int) -> Vectors:
    try:
        vectors = np.asarray(found, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        vectors = np.zeros(0, dtype=np.float32)
    if vectors.shape != (rows, DIMENSIONS) or not np.isfinite(vectors).all():
        raise ProviderError("provider:broken", "the provider's vectors have not the shape asked for")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    normalised: Vectors = vectors / lengths
    return normalised


class CohereReranker:
    """Implements `Reranker`."""

    def __init__(self, endpoint: Endpoint, billed: Billed, model: str = RERANK) -> None:
        self._endpoint = endpoint
        self._billed = billed
        self.model = model

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        scores: list[float] = []
        for start in range(0, len(texts), MOST_RANKED):
            scores += await self._part(question, texts[start : start + MOST_RANKED])
        return scores

    async def _part(self, question: str, texts: Sequence[str]) -> list[float]:
        await self._billed(self.model, 0, 1)
        body = {"model": self.model, "query": question, "documents": list(texts), "top_n": len(texts)}
        results = inside(await ask(self._endpoint, "/v2/rerank", body, QUESTION_SECONDS), "results")
        scores = [0.0] * len(texts)
        told = 0
        for result in results if isinstance(results, list) else []:
            place, score = amount(inside(result, "index")), inside(result, "relevance_score")
            if place is None or place >= len(texts) or not isinstance(score, int | float):
                continue
            if abs(score) < 2**40:  # no NaN, and nothing that is no float
                scores[place] = min(max(float(score), 0.0), 1.0)
                told += 1
        if texts and not told:
            raise ProviderError("provider:broken", "the provider's order names no document")
        return scores


def tokens_of(text: str) -> int:
    """Tokens, estimated high: UTF-8 bytes by three."""
    return len(text.encode("utf-8", "replace")) // 3 + 1
