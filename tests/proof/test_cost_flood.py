"""Row 50: fifty questions at once, in one conversation, from one contact, to one tenant. What is spent stays below the bound and
one call, and everybody is answered."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import aiohttp
import pytest

from brain.answerer import Answerer
from brain.embed import LocalEmbedder
from brain.memory import MemoryKnowledge
from brain.port import Account
from brain.providers.local import Quote
from brain.providers.registry import Providers
from brain.retrieve import Retriever
from brain.spend import Meter
from gateway.model.answers import AnswerSettings, Caps, Question
from gateway.model.knowledge import Chunk, Document
from gateway.store import Store
from tests.providers.cohere import CohereStandIn

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
ASKED = 50
ONE_CALL = 1200
"""Tokens that one call is reserved at, at the most: its prompt and its answer."""


@pytest.mark.parametrize("scope", ["conversation", "contact", "tenant"])
async def test_a_flood_spends_no_more_than_its_bound_and_one_call(store: Store, scope: str) -> None:
    bound = 4000
    caps = Caps(
        **{
            "conversation_tokens": None,
            "contact_tokens": None,
            "tenant_tokens": None,
            f"{scope}_tokens": bound,
        }
    )
    settings = AnswerSettings("cohere", caps=caps, cache=False)
    knowledge, embedder = MemoryKnowledge(), LocalEmbedder()
    text = "A full service costs €120 and takes two working days."
    await knowledge.put("t", Document("d", "t", "Prices", "d.md", "", 1, NOW), [Chunk("d:0", "d", 0, text)])

    stand_in = CohereStandIn()
    async with stand_in, aiohttp.ClientSession() as session:
        stand_in.usage = (400, 50)

        async def account(tenant: str) -> Account:
            return Account(tenant, settings, "cohere", stand_in.key, stand_in.url)

        meter = Meter(store.spending, lambda: NOW)
        providers = Providers(session, session, account, meter)
        brain = Answerer(
            Retriever(knowledge, embedder, providers.remote),
            embedder,
            Quote(embedder),
            providers.models,
            meter,
        )

        def question(n: int) -> Question:
            people = {"conversation": ("c", f"p{n}"), "contact": (f"c{n}", "p"), "tenant": (f"c{n}", f"p{n}")}
            conversation, contact = people[scope]
            return Question(
                "t", "How much does a full service cost?", version=1, settings=settings,
                conversation=conversation, contact=contact,
            )  # fmt: skip

        answers = await asyncio.gather(*(brain.answer(question(n)) for n in range(ASKED)))
        calls = [call for call in stand_in.calls if call.path == "/v2/chat"]
    by = Counter(answer.by for answer in answers)
    assert all(answer.known and "120" in answer.text for answer in answers)
    assert by["cohere"] == len(calls) and 0 < by["cohere"] < ASKED
    assert {answer.why for answer in answers if answer.by == "local"} == {"cap"}
    spent: dict[str, int] = {
        s.scope: s.tokens for s in await store.spending.spent("t", NOW.date()) if s.tokens
    }
    # Reranking costs money and no tokens; what was told by the provider is what stands in the end.
    assert spent[scope] <= bound + ONE_CALL
    assert spent[scope] == 450 * len(calls)
