"""Providers against stand-ins that are real servers: what is sent, what is understood, and what every fault becomes."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import aiohttp
import numpy as np
import pytest
from loguru import logger

from brain.port import Cites, Ended, LanguageModel, Piece, Prompt, ProviderError, Wrote
from brain.providers import cohere as ours
from brain.providers.cohere import CohereChat, CohereEmbedder, CohereReranker
from brain.providers.openai import OpenAIChat
from brain.providers.wire import Endpoint
from gateway.model.answers import Said
from tests.providers.cohere import CohereStandIn
from tests.providers.models import ModelStandIn
from tests.providers.openai import OpenAIStandIn

PROMPT = Prompt(
    "Be brief.",
    (Said("customer", "Hello"), Said("bot", "Hello!"), Said("bot", "")),
    "When do you open? 🚲",
    (("Hours", "We open at nine."), ("Prices", "A service costs €120.")),
    300,
    "aa11",
)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def chat(session: aiohttp.ClientSession, stand_in: ModelStandIn, key: str | None = None) -> LanguageModel:
    endpoint = Endpoint(session, stand_in.url, key or stand_in.key)
    if isinstance(stand_in, CohereStandIn):
        return CohereChat(endpoint, "command-a-03-2025", "a")
    return OpenAIChat(Endpoint(session, stand_in.url + "/v1/", endpoint.key), "some-model", "a")


async def written(model: LanguageModel, prompt: Prompt = PROMPT) -> list[Piece]:
    async with aclosing(model.write(prompt)) as pieces:  # type: ignore[type-var]
        return [piece async for piece in pieces]


def text_of(pieces: list[Piece]) -> str:
    return "".join(p.text for p in pieces if isinstance(p, Wrote))


async def test_cohere_streams_an_answer_with_its_citations(
    session: aiohttp.ClientSession, cohere: CohereStandIn
) -> None:
    cohere.usage = (321, 12)
    pieces = await written(chat(session, cohere))
    assert (text_of(pieces), cohere.wrong) == ("We open at nine.", [])
    assert pieces[-2:] == [Cites(0, 16, (0,)), Ended(False, 321, 12)]
    sent = cohere.calls[0]
    assert [m["role"] for m in sent.body["messages"]] == ["system", "user", "assistant", "user"]
    assert sent.body["documents"][1] == {
        "id": "1",
        "data": {"title": "Prices", "snippet": "A service costs €120."},
    }


@pytest.mark.parametrize("dialect", ["openai", "vllm", "ollama", "gemini"])
async def test_every_dialect_of_openai_is_understood(
    session: aiohttp.ClientSession, openai: OpenAIStandIn, dialect: str
) -> None:
    openai.dialect = dialect
    pieces = await written(chat(session, openai))
    assert (text_of(pieces), openai.wrong) == ("We open at nine. [1]", [])
    ended = pieces[-1]
    assert isinstance(ended, Ended)
    assert (ended.tokens_in is not None) == (dialect in ("openai", "vllm"))
    sent = openai.calls[0].body["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "user"]
    assert "<document-aa11 number=2>\nPrices\nA service costs €120.\n</document-aa11>" in sent[-1]["content"]


async def test_an_endpoint_without_a_key_gets_none(
    session: aiohttp.ClientSession, openai: OpenAIStandIn
) -> None:
    openai.key = None
    model = OpenAIChat(Endpoint(session, openai.url + "/v1", None), "m", "a")
    assert text_of(await written(model)) == "We open at nine. [1]"
    assert "Authorization" not in openai.calls[0].headers


@pytest.mark.parametrize("kind", ["cohere", "openai"])
async def test_odd_streams_are_read(
    session: aiohttp.ClientSession, cohere: CohereStandIn, openai: OpenAIStandIn, kind: str
) -> None:
    """Comments, CR LF, events nobody knows, characters cut in two; and usage that is not told."""
    stand_in: ModelStandIn = cohere if kind == "cohere" else openai
    stand_in.behave = ["odd", "silent"]
    for _ in range(2):
        assert text_of(await written(chat(session, stand_in))).startswith("We open at nine.")
    assert isinstance((await written(chat(session, stand_in)))[-1], Ended)


CODES = {
    "401": "provider:key", "403": "provider:key", "404": "provider:refused", "400": "provider:refused",
    "422": "provider:refused", "429": "provider:limit", "500": "provider:broken", "502": "provider:broken",
    "503": "provider:broken", "504": "provider:slow", "302": "provider:refused", "truncate": "provider:broken",
    "malformed": "provider:broken", "endless": "provider:broken", "error": "provider:broken", "drop": "provider:broken",
    "drop-late": "provider:broken", "page": "provider:broken",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["cohere", "openai"])
@pytest.mark.parametrize("behaviour", CODES)
async def test_every_fault_has_its_code_and_no_secret(
    session: aiohttp.ClientSession, cohere: CohereStandIn, openai: OpenAIStandIn, kind: str, behaviour: str
) -> None:
    stand_in: ModelStandIn = cohere if kind == "cohere" else openai
    stand_in.always = behaviour
    log = io.StringIO()
    sink = logger.add(log, level="TRACE", diagnose=False)
    try:
        with pytest.raises(ProviderError) as raised:
            await written(chat(session, stand_in))
    finally:
        logger.remove(sink)
    assert raised.value.code == CODES[behaviour]
    assert raised.value.wait == (7 if behaviour == "429" else None)
    shown = f"{raised.value!r} {raised.value} {raised.value.__cause__!r} {log.getvalue()}"
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    for secret in (str(stand_in.key), stand_in.url.removeprefix("http://"), "nine"):
        assert secret not in shown


async def test_a_wrong_key_is_told_as_such(session: aiohttp.ClientSession, cohere: CohereStandIn) -> None:
    with pytest.raises(ProviderError) as raised:
        await written(chat(session, cohere, key="another-key"))
    assert raised.value.code == "provider:key"


async def test_nobody_there_is_away(session: aiohttp.ClientSession, unused_tcp_port: int) -> None:
    model = CohereChat(Endpoint(session, f"http://127.0.0.1:{unused_tcp_port}", "k"), "m", "a")
    with pytest.raises(ProviderError) as raised:
        await written(model)
    assert raised.value.code == "provider:away"
    assert str(unused_tcp_port) not in repr(raised.value)


async def test_a_redirect_is_not_followed(session: aiohttp.ClientSession, cohere: CohereStandIn) -> None:
    cohere.always = "302"
    with pytest.raises(ProviderError):
        await written(chat(session, cohere))
    assert len(cohere.calls) == 1


# Vectors and order ----------------------------------------------------------------------------------------


@pytest.fixture
def billed() -> list[tuple[str, int, int]]:
    return []


def note(billed: list[tuple[str, int, int]]) -> Callable[[str, int, int], Awaitable[None]]:
    async def add(model: str, tokens: int, searches: int) -> None:
        billed.append((model, tokens, searches))

    return add


async def test_texts_are_embedded_in_order_and_in_calls_of_96(
    session: aiohttp.ClientSession, cohere: CohereStandIn, billed: list[tuple[str, int, int]]
) -> None:
    embedder = CohereEmbedder(Endpoint(session, cohere.url, cohere.key), note(billed))
    texts = [f"text {n}" for n in range(200)] + ["", "  "]
    rows = await embedder.embed(texts, "passage")
    assert (rows.shape, [len(c.body["texts"]) for c in cohere.calls], cohere.wrong) == (
        (202, 256),
        [96, 96, 8],
        [],
    )
    assert np.allclose(np.linalg.norm(rows[:200], axis=1), 1, atol=1e-5)
    assert not rows[200:].any()
    alone = await embedder.embed(["text 150"], "question")
    assert np.allclose(alone[0], rows[150])
    assert [c.body["input_type"] for c in cohere.calls] == ["search_document"] * 3 + ["search_query"]
    assert len(billed) == 4 and all(tokens > 0 and not searches for _, tokens, searches in billed)


async def test_relevance_is_given_in_the_order_of_the_texts(
    session: aiohttp.ClientSession, cohere: CohereStandIn, billed: list[tuple[str, int, int]]
) -> None:
    reranker = CohereReranker(Endpoint(session, cohere.url, cohere.key), note(billed))
    assert await reranker.rerank("red bike", ["a red car", "a red bike", "nothing"]) == [0.5, 1.0, 0.0]
    assert (cohere.wrong, billed) == ([], [("rerank-v4.0-fast", 0, 1)])


@pytest.mark.parametrize("behaviour", ["401", "429", "500", "malformed", "odd", "page"])
async def test_faults_of_vectors_and_order_have_codes(
    session: aiohttp.ClientSession, cohere: CohereStandIn, billed: list[tuple[str, int, int]], behaviour: str
) -> None:
    cohere.always = behaviour
    endpoint = Endpoint(session, cohere.url, cohere.key)
    with pytest.raises(ProviderError):
        await CohereEmbedder(endpoint, note(billed)).embed(["a", "b"], "passage")
    if behaviour != "malformed":
        with pytest.raises(ProviderError):
            await CohereReranker(endpoint, note(billed)).rerank("a", ["b"])


async def test_who_hangs_is_slow(
    session: aiohttp.ClientSession, cohere: CohereStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "QUESTION_SECONDS", 0.1)
    cohere.always = "hang"
    with pytest.raises(ProviderError) as raised:
        await CohereEmbedder(Endpoint(session, cohere.url, cohere.key), note([])).embed(["a"], "question")
    assert raised.value.code == "provider:slow"


async def test_whoever_stops_reading_ends_the_call(
    session: aiohttp.ClientSession, cohere: CohereStandIn
) -> None:
    cohere.always = "stall"
    async with aclosing(chat(session, cohere).write(PROMPT)) as pieces:  # type: ignore[type-var]
        async for _ in pieces:
            break
    cohere.gate.set()
    async with asyncio.timeout(5):
        while cohere.under_way:
            await asyncio.sleep(0.01)
