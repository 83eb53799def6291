"""The brain that needs nobody: rules, small talk, then the tenant's own documents."""

from dataclasses import replace

from brain.cache import BUDGET
from brain.embed import Embedder
from brain.parse.encoding import clean
from brain.port import Provider
from brain.providers.local import Quote
from brain.retrieve import Retriever
from brain.rules import match_rule
from brain.small_talk import small_talk
from brain.support import Found
from gateway.model.answers import Answer, Listener, Question
from gateway.model.knowledge import KnowledgeStore

PASSAGES = 5
"""How many passages a provider is given."""


class LocalBrain:
    """Implements `gateway.model.answers.Brain`. One for the whole process, shared by all tenants.

    `provider` words the answer. Whether there is an answer at all is decided here,
    the same for every provider.
    """

    def __init__(self, retriever: Retriever, provider: Provider) -> None:
        self._retriever = retriever
        self._provider = provider

    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        """A rule's answer, a courtesy, the documents' answer, or one that is not known. The store's errors
        pass through."""
        if early := self.without_search(question):
            return early
        found = await self.find(question, PASSAGES)
        return await self.conclude(question, found, listener)

    def without_search(self, question: Question) -> Answer | None:
        """The answer that needs no document: of a rule, to a greeting, to a message without text."""
        text = clean(question.text).strip()
        if not text:
            return Answer(known=False)
        if rule := match_rule(question.rules, text):
            return Answer(True, rule.answer, score=1.0, by="rule")
        if said := small_talk(text):
            return Answer(True, said, score=1.0, by="local")
        return None

    async def find(self, question: Question, top: int, judged: int = 1) -> Found:
        """Passages for a question, best first, whether or not they support an answer."""
        return await self._retriever.find(question, top, judged)

    async def conclude(self, question: Question, found: Found, listener: Listener | None = None) -> Answer:
        """The provider's answer from passages that support one."""
        if not found.known:
            score = found.passages[0].support if found.passages else 0.0
            return Answer(known=False, score=score, by=self._provider.name)
        asked = replace(question, text=clean(question.text).strip())
        return await self._provider.answer(asked, found.passages, listener)


def local_brain(store: KnowledgeStore, embedder: Embedder, budget: int = BUDGET) -> LocalBrain:
    """The brain that quotes: no key, no network."""
    return LocalBrain(Retriever(store, embedder, budget=budget), Quote(embedder))
