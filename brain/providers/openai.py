"""Any endpoint that speaks the chat completions of OpenAI: `POST {address}/chat/completions`, streamed.

Pages: https://platform.openai.com/docs/api-reference/chat-streaming; Gemini https://ai.google.dev/gemini-api/docs/openai;
Ollama https://docs.ollama.com/api/openai-compatibility; vLLM https://docs.vllm.ai/en/latest/serving/openai_compatible_server/.
They differ: usage may be missing or come in every chunk, `content` may be null, `choices` may be empty, an error may come
as an object inside a stream that began with 200, and the last line may lack its `[DONE]`. None of that is a fault here.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

from brain.port import Ended, Piece, Prompt, ProviderError, Wrote
from brain.providers.wire import Endpoint, amount, inside, json_object, refusal, streamed, truncated

DONE: Final = "[DONE]"
_CUT: Final = frozenset({"length", "max_tokens", "MAX_TOKENS", "model_length"})


class OpenAIChat:
    """Implements `LanguageModel`."""

    name = "openai"
    cites = False

    def __init__(self, endpoint: Endpoint, model: str, account: str) -> None:
        self._endpoint = endpoint
        self.model = model
        self.account = account

    async def write(self, prompt: Prompt) -> AsyncIterator[Piece]:
        reason: str | None = None
        read = written = None
        async with streamed(self._endpoint, "/chat/completions", self._body(prompt)) as events:
            async for event in events:
                if event.data.strip() == DONE:
                    reason = reason or "stop"
                    break
                found = json_object(event.data)
                if found is None:
                    raise ProviderError("provider:broken", "an event of the provider's stream is not JSON")
                if event.name == "error" or found.get("error"):
                    raise _failed(found)
                text = inside(found, "choices", 0, "delta", "content")
                if isinstance(text, str) and text:
                    yield Wrote(text)
                told = inside(found, "choices", 0, "finish_reason")
                reason = told if isinstance(told, str) and told else reason
                read = amount(inside(found, "usage", "prompt_tokens")) or read
                written = amount(inside(found, "usage", "completion_tokens")) or written
        if reason is None:
            raise truncated()
        if reason in ("content_filter", "error"):
            raise ProviderError("provider:refused", "the provider stopped its answer")
        yield Ended(reason in _CUT, read, written)

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        said = [
            {"role": "user" if s.who == "customer" else "assistant", "content": s.text}
            for s in prompt.said
            if s.text
        ]
        return {
            "model": self.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [
                {"role": "system", "content": prompt.system},
                *said,
                {"role": "user", "content": asked(prompt)},
            ],
            "max_tokens": prompt.most,
            "temperature": 0.1,
        }


def asked(prompt: Prompt) -> str:
    """The documents and the question in one message: these endpoints know no documents of their own. What is a document ends
    with a word that was made for this call, so that no document can end itself."""
    parts = [
        f"<document-{prompt.mark} number={place + 1}>\n{title}\n{text}\n</document-{prompt.mark}>"
        for place, (title, text) in enumerate(prompt.passages)
    ]
    return "\n".join([*parts, f"Question: {prompt.question}"])


def _failed(event: dict[str, Any]) -> ProviderError:
    """An error within a stream; only its number is read, as its text may hold anything."""
    for path in (("error", "code"), ("error", "status"), ("code",), ("status",)):
        status = amount(inside(event, *path))
        if status is not None and 400 <= status < 600:
            return refusal(status)
    return ProviderError("provider:broken", "the provider could not finish its answer")
