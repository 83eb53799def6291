"""The brain as a whole: what a question is answered with, in which order, and when it is better not to answer.

A rule, a courtesy, a forbidden topic and an answer given before need no search. Else the passages are found, and whether they
support an answer is decided here, the same for every provider. Then the tenant's models are asked one after the other, and
what is here answers where none of them does. Nobody waits past `Patience`, and what goes wrong is nobody's problem but ours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from loguru import logger

from brain.answer_cache import AnswerCache
from brain.cache import BUDGET
from brain.circuit import Circuits
from brain.edited import Edited
from brain.embed import Embedder
from brain.guards import is_order, outward
from brain.links import allowed_hosts, is_allowed
from brain.parse.encoding import clean
from brain.port import LanguageModel, Provider, ProviderError
from brain.providers.local import Quote
from brain.retrieve import Retriever
from brain.rewrite import rewrite
from brain.rules import rule_answer
from brain.sentences import parts
from brain.small_talk import small_talk
from brain.spend import Meter
from brain.support import Found
from brain.words import terms
from brain.writer import Patience, Unfit, Writer
from gateway.model.answers import Answer, Cited, Listener, Question, Used
from gateway.model.content import Source
from gateway.model.errors import ParleyError
from gateway.model.knowledge import KnowledgeStore

PASSAGES: Final = 5
"""How many passages a provider is given."""

ModelsOf = Callable[[str], Awaitable[Sequence[LanguageModel]]]
"""The models of a tenant, in the order to ask them."""


class Answerer:
    """Implements `gateway.model.answers.Brain`. One for the whole process, shared by all tenants."""

    def __init__(
        self,
        retriever: Retriever,
        embedder: Embedder,
        local: Provider,
        models: ModelsOf | None = None,
        meter: Meter | None = None,
        circuits: Circuits | None = None,
        patience: Patience | None = None,
        cache: AnswerCache | None = None,
    ) -> None:
        """Without `models` or `meter` nothing leaves this machine."""
        self._retriever = retriever
        self._embedder = embedder
        self._local = local
        self._models = models
        self._meter = meter
        self._circuits = circuits
        self._patience = patience or Patience()
        self._cache = cache or AnswerCache()

    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        """Never raises for a bad question or a provider's fault; the store's errors pass through."""
        start = asyncio.get_running_loop().time()
        if early := self.without_search(question):
            return early
        asked = replace(question, text=clean(question.text).strip())
        leans = rewrite(asked.text, asked.earlier) != asked.text
        if not leans and (known := self._cache.get(asked)):
            return known
        found = await self.find(asked, PASSAGES)
        answer = await self.conclude(asked, found, listener, start)
        if not leans and not found.stale:
            self._cache.put(asked, answer)
        return answer

    def without_search(self, question: Question) -> Answer | None:
        """The answer that needs no document: of a rule, to a greeting, to a message without text, on a forbidden topic."""
        text = clean(question.text).strip()
        if not text:
            return Answer(known=False, why="empty")
        if ruled := rule_answer(question, text):
            return ruled
        if said := small_talk(text, question.settings.greeting):
            return Answer(True, said, score=1.0, by="local")
        # What a follow-up leans on is what it is about, too.
        if is_forbidden(rewrite(text, question.earlier), question.settings.forbidden):
            return Answer(known=False, why="forbidden")
        return None

    async def find(self, question: Question, top: int, judged: int = 1) -> Found:
        """Passages for a question, best first, whether or not they support an answer."""
        return await self._retriever.find(question, top, judged)

    async def conclude(
        self, question: Question, found: Found, listener: Listener | None = None, start: float | None = None
    ) -> Answer:
        """The answer from passages that support one. `start` is when the customer began to wait, by the loop's clock."""
        question = replace(question, text=clean(question.text).strip())
        begun = asyncio.get_running_loop().time() if start is None else start
        score = found.passages[0].support if found.passages else 0.0
        if not found.known:
            unknown = Answer(False, score=score, by=self._local.name, why="support")
            return replace(unknown, asked=found.asked, failed=found.failed)
        written, failed, why, used = await self._written(question, found, listener, begun)
        if written is None:
            written = await self._quoted(question, found)
            why = why or written.why
        else:
            why = written.why
        return replace(
            written,
            sources=tuple(_tidy(source) for source in written.sources),
            asked=found.asked,
            failed=tuple(dict.fromkeys((*found.failed, *failed))),
            why=why,
            used=used + written.used,
        )

    async def _written(
        self, question: Question, found: Found, listener: Listener | None, start: float
    ) -> tuple[Answer | None, list[str], str, Used]:
        """What the tenant's models make of it, or None; the codes of those that failed, why, and what that cost."""
        failed, why, used = list[str](), "", Used()
        clock = asyncio.get_running_loop().time
        for model in await self._chain(question):
            left = start + self._patience.silent - clock()
            if left < min(self._patience.least, self._patience.silent):
                break
            if self._circuits is not None and not self._circuits.allows(model.account):
                failed.append("provider:away")
                why = "provider"
                continue
            try:
                answer = await self._by(model, question, found, listener, start)
            except ProviderError as error:
                failed.append(error.code)
                why = "cap" if error.code == "provider:cap" else "provider"
                self._fails(model, error.code, error.wait)
                used += error.used
                logger.warning("the model {} did not answer: {}", model.model, error.code)
                if error.code == "provider:cap":
                    break
            except Unfit as unfit:
                self._works(model)
                failed.append(f"provider:{unfit.why}")
                why, used = unfit.why, used + unfit.used
                logger.warning("an answer of the model {} was not said: {}", model.model, unfit.why)
            except ParleyError as error:
                # Its cost could not be counted: nothing is spent uncounted.
                failed.append("provider:cap")
                why = "cap"
                logger.warning("what a model costs can't be counted: {}", type(error).__name__)
                break
            except Exception as error:
                # Not its text: it may hold what the customer wrote, or a key.
                # Not the circuit's, either: others share it, and have no part in it.
                failed.append("provider:broken")
                why = "provider"
                logger.error("a fault of ours with the model {}: {}", model.model, type(error).__name__)
            else:
                self._works(model)
                return answer, failed, "", used
        return None, failed, why, used

    async def _chain(self, question: Question) -> Sequence[LanguageModel]:
        if self._models is None or self._meter is None:
            return ()
        try:
            return await self._models(question.tenant)
        except ParleyError as error:
            logger.warning("a tenant's models can't be told: {}", type(error).__name__)
            return ()

    async def _by(
        self, model: LanguageModel, question: Question, found: Found, listener: Listener | None, start: float
    ) -> Answer:
        assert self._meter is not None
        writer = Writer(model, self._embedder, self._meter, self._patience, start)
        return await writer.answer(question, found.passages, listener)

    def _works(self, model: LanguageModel) -> None:
        """It answered, whatever is to be thought of its answer."""
        if self._circuits is not None:
            self._circuits.worked(model.account)

    def _fails(self, model: LanguageModel, code: str, wait: float | None) -> None:
        if self._circuits is not None:
            self._circuits.failed(model.account, code, wait)

    async def _quoted(self, question: Question, found: Found) -> Answer:
        """The local answer: the business's own words, as far as they may go out."""
        asked = replace(question, text=found.asked or question.text)
        answer = await self._local.answer(asked, found.passages)
        if not answer.known:
            return answer
        hosts = (s.passage.url for s in found.passages if s.passage.url)
        allowed = allowed_hosts((*hosts, *question.links, *question.settings.links))
        text = outward(Edited.of(answer.text), allowed).text
        kept = "".join(part.text for part in parts(text) if not is_order(part.text)).strip()
        if not kept:
            return replace(answer, known=False, text="", sources=(), cited=(), why="guard")
        whole = (Cited(0, len(kept), tuple(range(len(answer.sources)))),) if answer.sources else ()
        return replace(answer, text=kept, cited=whole)


def _tidy(source: Source) -> Source:
    """A source as it may be shown: a file's name can hold an address, too, and a document's own can be anything."""
    url = source.url if source.url and source.url.lower().startswith(("http://", "https://")) else None
    title = outward(Edited.of(source.title), allowed_hosts([url] if url else [])).text
    shown = " ".join(word for part in parts(title) if not is_order(part.text) for word in part.text.split())
    return Source(
        shown.strip(" ›") or "…", url if url and is_allowed(url, allowed_hosts([url])) else None, source.page
    )


def is_forbidden(text: str, topics: Sequence[str]) -> bool:
    """Whether a question is about a topic that is never answered: it has all words of one."""
    if not topics:
        return False
    asked = set(terms(text))
    return any((words := set(terms(topic))) and words <= asked for topic in topics)


def local_answerer(store: KnowledgeStore, embedder: Embedder, budget: int = BUDGET) -> Answerer:
    """The brain that quotes: no key, no network."""
    return Answerer(Retriever(store, embedder, budget=budget), embedder, Quote(embedder))
