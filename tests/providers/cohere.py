"""A stand-in for Cohere's API version 2, which checks what it is sent by the rules of https://docs.cohere.com/reference/chat,
/reference/embed and /reference/rerank, and streams as https://docs.cohere.com/v2/docs/streaming tells."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web

from tests.providers.models import Json, ModelStandIn, Stream, pieces

Cited = tuple[str, list[tuple[str, list[str]]]]
"""A text, and for parts of it the ids of documents."""

_CHAT = {
    "model", "stream", "messages", "documents", "citation_options", "max_tokens", "temperature", "p", "k", "seed",
    "stop_sequences", "safety_mode", "frequency_penalty", "presence_penalty", "response_format", "tools", "thinking",
}  # fmt: skip


def quote(body: Json) -> Cited:
    """The first document's text, cited; or that there is none."""
    if not body.get("documents"):
        return "NO_ANSWER", []
    first = body["documents"][0]
    text = str(first["data"]["snippet"]).split("\n")[-1]
    return text, [(text, [first["id"]])]


@dataclass
class CohereStandIn(ModelStandIn):
    """`write`: what the model answers to a request's body; `usage`: tokens told of a chat; None: by the words."""

    write: Callable[[Json], Cited] = quote
    usage: tuple[int, int] | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def routes(self) -> dict[str, Callable[[Json], list[str]]]:
        return {"/v2/chat": chat_rules, "/v2/embed": embed_rules, "/v2/rerank": rerank_rules}

    async def respond(self, request: web.Request, body: Json, behaviour: str) -> web.StreamResponse:
        if request.path == "/v2/embed":
            return self._embed(body, behaviour)
        if request.path == "/v2/rerank":
            return self._rerank(body, behaviour)
        return await self._chat(request, body, behaviour)

    async def _chat(self, request: web.Request, body: Json, behaviour: str) -> web.StreamResponse:
        text, cited = self.write(body)
        async with Stream(self, request, behaviour) as stream:
            message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
            await stream.send(
                {"type": "message-start", "id": "m1", "delta": {"message": message}}, "message-start"
            )
            start = {"message": {"content": {"type": "text", "text": ""}}}
            await stream.send({"type": "content-start", "index": 0, "delta": start}, "content-start")
            if behaviour == "odd":
                await stream.send({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}})
                await stream.send({"type": "something-new", "delta": {"message": ["?"]}})
                await stream.send({"type": "content-delta", "index": 0, "delta": None})
                await stream.send(
                    {"type": "citation-start", "delta": {"message": {"citations": {"start": "a"}}}}
                )
            for piece in pieces(text):
                delta = {"message": {"content": {"text": piece}}}
                await stream.send({"type": "content-delta", "index": 0, "delta": delta}, "content-delta")
                if await stream.misbehave():
                    return stream.response
            for number, (part, ids) in enumerate(cited):
                place = text.find(part)
                citation = {
                    "start": place, "end": place + len(part), "text": part, "type": "TEXT_CONTENT",
                    "sources": [{"type": "document", "id": i, "document": {"id": i}} for i in ids],
                }  # fmt: skip
                told = {
                    "type": "citation-start",
                    "index": number,
                    "delta": {"message": {"citations": citation}},
                }
                await stream.send(told, "citation-start")
                await stream.send({"type": "citation-end", "index": number}, "citation-end")
            await stream.send({"type": "content-end", "index": 0}, "content-end")
            await stream.send(self._end(body, text, behaviour), "message-end")
        return stream.response

    def _end(self, body: Json, text: str, behaviour: str) -> Json:
        if behaviour == "error":
            return {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": f"secret {self.key}"}}
        delta: Json = {"finish_reason": "COMPLETE"}
        if behaviour != "silent":
            read, written = self.usage or (len(str(body)) // 4, len(text) // 4)
            units = {"input_tokens": read, "output_tokens": written}
            delta["usage"] = {
                "billed_units": units,
                "tokens": {"input_tokens": read + 400, "output_tokens": written},
            }
        return {"type": "message-end", "delta": delta}

    def _embed(self, body: Json, behaviour: str) -> web.Response:
        rows = [vector(text, body["output_dimension"]) for text in body["texts"]]
        if behaviour == "malformed":
            return web.Response(text='{"embeddings": {"float": [[0.1', content_type="application/json")
        if behaviour == "odd":
            rows = rows[:-1]
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 5}}
        return web.json_response(
            {"id": "e", "embeddings": {"float": rows}, "texts": body["texts"], "meta": meta}
        )

    def _rerank(self, body: Json, behaviour: str) -> web.Response:
        asked = set(body["query"].lower().split())
        scores = [len(asked & set(d.lower().split())) / max(len(asked), 1) for d in body["documents"]]
        order = sorted(range(len(scores)), key=lambda i: -scores[i])[: body["top_n"]]
        if behaviour == "odd":
            return web.json_response({"results": [{"index": 99, "relevance_score": 1}, "x"]})
        results = [{"index": i, "relevance_score": scores[i]} for i in order]
        return web.json_response(
            {"id": "r", "results": results, "meta": {"billed_units": {"search_units": 1}}}
        )


def vector(text: str, dimensions: int) -> list[float]:
    """The same text has the same vector, of any length but 1."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    found: list[float] = np.random.default_rng(seed).normal(size=dimensions).tolist()
    return found


def chat_rules(body: Json) -> list[str]:
    wrong = [f"unknown field {name}" for name in body.keys() - _CHAT]
    if not isinstance(body.get("model"), str) or not body["model"]:
        wrong.append("model")
    if body.get("stream") is not True:
        wrong.append("stream")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return [*wrong, "messages"]
    for message in messages:
        if message.get("role") not in ("system", "user", "assistant", "tool") or not message.get("content"):
            wrong.append(f"message {message.get('role')}")
    if messages[-1].get("role") != "user":
        wrong.append("the last message is the user's")
    for document in body.get("documents", []):
        data = document.get("data")
        if set(document) - {"id", "data"} or not isinstance(document.get("id"), str):
            wrong.append("document")
        if not isinstance(data, dict) or not all(isinstance(v, str) for v in data.values()):
            wrong.append("document data")
    if body.get("citation_options", {}).get("mode") not in (
        None,
        "FAST",
        "ACCURATE",
        "OFF",
        "ENABLED",
        "DISABLED",
    ):
        wrong.append("citation_options")
    if not isinstance(body.get("max_tokens", 1), int) or not 0 <= body.get("temperature", 0.3) <= 1:
        wrong.append("max_tokens or temperature")
    return wrong


def embed_rules(body: Json) -> list[str]:
    wrong = [
        f"no {name}" for name in ("model", "texts", "input_type", "embedding_types") if not body.get(name)
    ]
    texts = body.get("texts") or []
    if not 1 <= len(texts) <= 96 or not all(isinstance(t, str) and t.strip() for t in texts):
        wrong.append("texts")
    if body.get("input_type") not in (
        "search_document",
        "search_query",
        "classification",
        "clustering",
        "image",
    ):
        wrong.append("input_type")
    if body.get("embedding_types") != ["float"] or body.get("output_dimension") not in (256, 512, 1024, 1536):
        wrong.append("embedding_types or output_dimension")
    return wrong


def rerank_rules(body: Json) -> list[str]:
    wrong = [f"no {name}" for name in ("model", "query", "documents") if not body.get(name)]
    wrong += [
        f"unknown field {n}"
        for n in body.keys() - {"model", "query", "documents", "top_n", "max_tokens_per_doc"}
    ]
    if not all(isinstance(d, str) for d in body.get("documents", [])) or body.get("top_n", 1) < 1:
        wrong.append("documents or top_n")
    return wrong
