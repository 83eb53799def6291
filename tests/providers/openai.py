"""A stand-in for endpoints with OpenAI's chat completions, in the dialects of OpenAI, vLLM, Ollama and Gemini.

Rules: https://platform.openai.com/docs/api-reference/chat/create.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from tests.providers.models import Json, ModelStandIn, Stream, pieces

_FIELDS = {
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop",
    "seed", "frequency_penalty", "presence_penalty", "response_format",
}  # fmt: skip
_DOCUMENT = re.compile(r"<document-(\w+) number=(\d+)>\n(.*?)\n</document-\1>", re.DOTALL)


def documents(body: Json) -> list[str]:
    """The documents of a request, with their titles as first lines."""
    return [text for _, _, text in _DOCUMENT.findall(body["messages"][-1]["content"])]


def quote(body: Json) -> str:
    """The first document's last line, marked; or that there is none."""
    found = documents(body)
    return f"{found[0].splitlines()[-1]} [1]" if found else "NO_ANSWER"


@dataclass
class OpenAIStandIn(ModelStandIn):
    """`dialect`: `openai`, `vllm` (usage in every chunk), `ollama` (no `[DONE]`, no usage), `gemini` (everything in two
    chunks, no role, `finish_reason` upper case)."""

    write: Callable[[Json], str] = quote
    dialect: str = "openai"

    def routes(self) -> dict[str, Callable[[Json], list[str]]]:
        return {"/v1/chat/completions": rules}

    async def respond(self, request: web.Request, body: Json, behaviour: str) -> web.StreamResponse:
        text = self.write(body)
        usage = {"prompt_tokens": len(str(body)) // 4, "completion_tokens": len(text) // 4 + 1}
        async with Stream(self, request, behaviour) as stream:
            if self.dialect != "gemini":
                await stream.send(_chunk({"role": "assistant", "content": None}))
            parts = pieces(text)
            if self.dialect == "gemini":
                middle = len(parts) // 2
                parts = ["".join(parts[:middle]), "".join(parts[middle:])]
            for part in parts:
                await stream.send(_chunk({"content": part}, usage=usage if self.dialect == "vllm" else None))
                if behaviour == "error" and part == parts[min(2, len(parts) - 1)]:
                    await stream.send(
                        {"error": {"message": f"bad {self.key}", "code": 503, "type": "server_error"}}
                    )
                    return stream.response
                if await stream.misbehave():
                    return stream.response
            reason = {"gemini": "STOP", "vllm": "stop"}.get(self.dialect, "stop")
            await stream.send(_chunk({}, reason))
            if self.dialect == "openai" and behaviour != "silent":
                await stream.send(
                    {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage}
                )
            if self.dialect != "ollama":
                await stream.send("[DONE]")
        return stream.response


def _chunk(delta: Json, reason: str | None = None, usage: Json | None = None) -> Json:
    found: Json = {
        "id": "c", "object": "chat.completion.chunk", "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }  # fmt: skip
    return {**found, "usage": usage} if usage else found


def rules(body: Json) -> list[str]:
    wrong = [f"unknown field {name}" for name in body.keys() - _FIELDS]
    if not isinstance(body.get("model"), str) or body.get("stream") is not True:
        wrong.append("model or stream")
    if body.get("stream_options") not in (None, {"include_usage": True}):
        wrong.append("stream_options")
    messages = body.get("messages") or [{}]
    for message in messages:
        if message.get("role") not in ("system", "user", "assistant") or not isinstance(
            message.get("content"), str
        ):
            wrong.append("message")
    if messages[-1].get("role") != "user":
        wrong.append("the last message is the user's")
    return wrong
