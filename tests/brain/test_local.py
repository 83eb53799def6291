"""The brain as a whole: rules, small talk, documents, the threshold, indexes in memory."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from brain.answerer import Answerer, local_answerer
from brain.ask import ask
from brain.cache import IndexCache
from brain.embed import Embedder
from brain.index import ENGLISH, Asked, Index, build
from brain.ingest import add_file
from brain.memory import MemoryKnowledge
from brain.port import Scored
from brain.retrieve import Retriever
from brain.words import question_terms
from gateway.model.answers import Answer, Listener, Question, Rule
from gateway.model.content import Source
from gateway.model.knowledge import Chunk
from tests.brain.conftest import NOW, document


@pytest.fixture
def lumen(lumen_store: MemoryKnowledge, embedder: Embedder) -> Answerer:
    return local_answerer(lumen_store, embedder)


async def test_answers_with_their_source(lumen: Answerer) -> None:
    answer = await lumen.answer(Question("lumen", "How long is the warranty on the frame?"))
    assert answer.known
    assert "ten years" in answer.text
    assert answer.sources == (Source("Warranty for new bikes › What is covered", None, 1),)
    assert answer.by == "local"
    pair = await lumen.answer(Question("lumen", "can i bring my dog in the shop"))
    assert pair.text == "Yes, friendly dogs are welcome. There is a bowl of water by the door."
    assert pair.sources == (Source("FAQ › Can I bring my dog into the shop?"),)


async def test_answers_are_short_and_end_with_sentences(lumen: Answerer) -> None:
    answer = await lumen.answer(Question("lumen", "How much does a full service cost?"))
    assert "Full service — Price: €120" in answer.text
    assert "overhaul" not in answer.text
    assert len(answer.text) <= 600


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "write me a poem",
        "Do you repair motorcycles?",
        "do you repair motorcycles",
        "do you rent skis",
        "asdf qwer",
        "🚲",
        "!!!",
    ],
)
async def test_what_the_documents_do_not_say_is_not_known(lumen: Answerer, text: str) -> None:
    answer = await lumen.answer(Question("lumen", text))
    assert (answer.known, answer.text, answer.sources) == (False, "", ())


async def test_rules_come_before_small_talk_and_documents(lumen: Answerer) -> None:
    rules = (Rule("hello", "Welcome aboard!"), Rule("full service", "Ask Ana.", regex=True))
    for text, said in (("Hello!", "Welcome aboard!"), ("price of a full service?", "Ask Ana.")):
        answer = await lumen.answer(Question("lumen", text, rules))
        assert (answer.known, answer.text, answer.by) == (True, said, "rule")
    assert (await lumen.answer(Question("lumen", "hello"))).text == "Hello! How can I help you?"


@pytest.mark.parametrize("text", ["", "   ", "\0", "\ud800", "a" * 100_000, "[(*", "ß" * 999, "؟"])
async def test_no_question_raises(lumen: Answerer, text: str) -> None:
    assert not (await lumen.answer(Question("lumen", text))).known


async def test_a_tenant_without_documents_knows_nothing(store: MemoryKnowledge, embedder: Embedder) -> None:
    assert not (await local_answerer(store, embedder).answer(Question("empty", "When do you open?"))).known


async def test_tenants_do_not_see_each_other(lumen: Answerer) -> None:
    assert not (await lumen.answer(Question("other", "How much does a full service cost?"))).known


async def test_a_new_version_is_read_and_the_old_one_forgotten(
    store: MemoryKnowledge, embedder: Embedder
) -> None:
    brain = local_answerer(store, embedder)
    question = Question("t", "How much is a haircut?")
    for price in ("$20", "$30"):
        data = f"# Salon\n\nA haircut costs {price}.".encode()
        await add_file(store, embedder, "t", "a.md", data, NOW)
        answer = await brain.answer(replace(question, version=store.version("t")))
        assert price in answer.text


async def test_other_languages_are_answered_by_words(store: MemoryKnowledge, embedder: Embedder) -> None:
    text = "# متجر\n\n## ساعات العمل\n\nنفتح من الاثنين إلى الجمعة.\n\n## الدفع\n\nنقبل البطاقات والنقد."
    await add_file(store, embedder, "t", "a.md", text.encode(), NOW)
    brain = local_answerer(store, embedder)
    assert "الاثنين" in (await brain.answer(Question("t", "ما هي ساعات العمل؟"))).text
    assert not (await brain.answer(Question("t", "هل تبيعون السيارات؟"))).known


async def test_ask_shows_the_scores(lumen: Answerer) -> None:
    asked = await ask(lumen, Question("lumen", "How much is a city bike per day?"), top=4)
    assert len(asked.passages) == 4
    best = asked.passages[0]
    assert best.support >= asked.threshold > 0
    assert 0 < best.bm25 <= 1
    assert 0 < best.cosine <= 1
    assert all(passage.support for passage in asked.passages)
    assert asked.answer.text
    assert not (await ask(lumen, Question("lumen", "hi"))).passages


async def test_another_provider_words_the_answer(store: MemoryKnowledge, embedder: Embedder) -> None:
    class Loud:
        name = "loud"

        async def answer(
            self, question: Question, passages: Sequence[Scored], listener: Listener | None = None
        ) -> Answer:
            return Answer(True, passages[0].passage.text.upper(), (passages[0].passage.source,), by=self.name)

    await add_file(store, embedder, "t", "a.md", b"A haircut costs $20.", NOW)
    brain = Answerer(Retriever(store, embedder), embedder, Loud())
    assert (await brain.answer(Question("t", "What does a haircut cost?"))).text == "A HAIRCUT COSTS $20."
    assert not (await brain.answer(Question("t", "Who won the war?"))).known


def index(words: int = 1) -> Index:
    return build([Chunk("c", "d", 0, "word " * words)], [document()], (), "m", 4)


async def test_an_index_is_built_once_for_all_who_wait() -> None:
    cache, gate, built = IndexCache(), asyncio.Event(), 0

    async def make() -> Index:
        nonlocal built
        built += 1
        await gate.wait()
        return index()

    waiting = [asyncio.ensure_future(cache.get("t", 1, make)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    gate.set()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert built == 1
    assert isinstance(done[0], asyncio.CancelledError)
    assert len({id(found) for found in done[1:]}) == 1


async def test_who_waits_too_long_for_a_new_version_is_given_the_one_before() -> None:
    cache, gate = IndexCache(), asyncio.Event()
    old, new = index(), index(2)

    async def made() -> Index:
        return old

    async def slow() -> Index:
        await gate.wait()
        return new

    assert await cache.get("t", 1, made) is old
    assert await cache.get("t", 2, slow, patience=0.0) is old
    waiting = asyncio.ensure_future(cache.get("t", 2, slow, patience=None))
    gate.set()
    assert await waiting is new
    assert await cache.get("t", 2, slow, patience=0.0) is new


async def test_a_failed_build_is_told_and_tried_again() -> None:
    cache = IndexCache()

    async def fail() -> Index:
        raise ConnectionError

    async def make() -> Index:
        return index()

    with pytest.raises(ConnectionError):
        await cache.get("t", 1, fail)
    assert await cache.get("t", 1, make)


async def test_the_least_recently_used_goes_first() -> None:
    one = index()
    cache = IndexCache(budget=int(one.size * 2.5))

    async def make() -> Index:
        return one

    for tenant in ("a", "b", "a", "c"):
        await cache.get(tenant, 1, make)
    assert cache.tenants == ("a", "c")
    assert cache.size <= one.size * 2.5
    await cache.get("a", 2, make)
    assert cache.tenants == ("c", "a")


async def test_one_that_is_larger_than_the_budget_is_kept_alone() -> None:
    cache = IndexCache(budget=1)

    async def make() -> Index:
        return index()

    await cache.get("a", 1, make)
    await cache.get("b", 1, make)
    assert cache.tenants == ("b",)


def test_passages_without_a_vector_are_found_by_words() -> None:
    chunks = [Chunk("c", "d", 0, "blue shoes"), Chunk("f", "d", 1, "hats"), Chunk("e", "gone", 0, "shoes")]
    found = build(chunks, [document()], (), "m", 4)
    assert list(found.words(question_terms("a shoe")) > 0) == [True, False]
    assert [passage.text for passage in found.read([1, 0])] == ["hats", "blue shoes"]


def test_an_empty_index() -> None:
    empty = build([], [], (), "m", 4)
    assert empty.search(Asked(["x"], np.zeros(4, dtype=np.float32)), ENGLISH, 3) == []
