"""An answer that a language model writes: asked within its time and means, shown sentence by sentence as far as it stands,
grounded and guarded before anybody sees it."""

import asyncio
import re
import secrets
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from brain.edited import Edited
from brain.embed import Embedder
from brain.ground import Claim, Ground, Grounded, prepared, says_unknown
from brain.guards import MOST, Told, is_wanted, once, outward
from brain.links import allowed_hosts
from brain.port import Cites, Ended, LanguageModel, Prompt, ProviderError, Scored, Wrote
from brain.prompt import NO_ANSWER, prompt_for
from brain.providers.wire import slow, truncated
from brain.sentences import parts
from brain.spend import Call, Meter
from gateway.model.answers import Answer, Cited, Listener, Question, Used
from gateway.model.content import Source

MARK: Final = re.compile(r"\s?[\[【]\s*(\d{1,2}(?:\s*[,;]\s*\d{1,2})*)\s*(?:†[^\]】\n]{0,30})?[\]】]")
"""A citation in a text: [1], [1, 2], 【1】."""

LOOKS: Final = 40
"""How often at most an answer is looked at while it is written; each takes milliseconds of everybody's time."""

_STEP: Final = 12
"""Characters that make no sentence: nobody looks for one in so few."""

_ENDS: Final = frozenset(".!?…。！？؟।\n")
_FREE: Final = frozenset(
    {"provider:key", "provider:limit", "provider:refused", "provider:away", "provider:cap"}
)
"""What costs nothing: the provider did no work."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `first`: until a model says anything; `stall`: between two words; `silent`: in all, as long as the customer sees
    nothing; `shown`: in all, once they see it being written; `least`: what must be left to ask another model."""

    first: float = 4.5
    stall: float = 3.0
    silent: float = 8.5
    shown: float = 12.0
    least: float = 2.5


class Unfit(Exception):
    """A whole answer that is not said. `why` as in `Answer.why`."""

    def __init__(self, why: str, used: Used) -> None:
        super().__init__(why)
        self.why = why
        self.used = used


class Writer:
    """Implements `Provider` for one question. `start` is when the customer began to wait, by the loop's clock."""

    def __init__(
        self,
        model: LanguageModel,
        embedder: Embedder,
        meter: Meter,
        patience: Patience,
        start: float,
    ) -> None:
        self.name = model.name
        self._model = model
        self._embedder = embedder
        self._meter = meter
        self._patience = patience
        self._start = start

    async def answer(
        self, question: Question, passages: Sequence[Scored], listener: Listener | None = None
    ) -> Answer:
        """Raises ProviderError, and Unfit for an answer that is in the wrong language or shows the prompt."""
        prompt = prompt_for(question, passages, secrets.token_hex(6), self._model.cites)
        draft = _Draft(question, passages, prompt, prepared((s.passage for s in passages), self._embedder))
        async with self._meter.call(
            question, question.settings, self._model.model, prompt.size, prompt.most
        ) as call:
            shown = _Shown(listener if question.settings.stream else None)
            try:
                ended = await self._read(prompt, draft, shown)
            except ProviderError as error:
                call.used = _cost(call, draft, error)
                await shown.take_back()
                raise
            except BaseException:
                await shown.take_back()
                raise
            call.used = call.of(
                prompt.size if ended.tokens_in is None else ended.tokens_in,
                draft.tokens if ended.tokens_out is None else ended.tokens_out,
            )
            used = call.used
        return await self._concluded(question, passages, draft, ended, shown, used)

    async def _read(self, prompt: Prompt, draft: "_Draft", shown: "_Shown") -> Ended:
        """What the model writes, shown as it comes, within the time that there is."""
        clock = asyncio.get_running_loop().time
        began, last = clock(), 0.0
        async with aclosing(self._model.write(prompt)) as pieces:  # type: ignore[type-var]
            while True:
                whole = self._start + (self._patience.shown if shown.text else self._patience.silent)
                word = last + self._patience.stall if last else began + self._patience.first
                try:
                    async with asyncio.timeout_at(min(whole, word)):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise slow() from None
                last = clock()
                if piece is None:
                    raise truncated()
                if isinstance(piece, Ended):
                    return piece
                if isinstance(piece, Cites):
                    draft.cites.append(piece)
                    continue
                if not draft.add(piece):
                    return Ended(cut=True)
                if shown.wanted and not _ENDS.isdisjoint(piece.text) and draft.worth_a_look():
                    await shown.say(await draft.so_far())
                    # Pieces that lie here already are read without waiting: others wait, too, and so does the time.
                    await asyncio.sleep(0)

    async def _concluded(
        self,
        question: Question,
        passages: Sequence[Scored],
        draft: "_Draft",
        ended: Ended,
        shown: "_Shown",
        used: Used,
    ) -> Answer:
        score = passages[0].support if passages else 0.0
        try:
            found = await draft.whole(ended.cut)
            draft.check(found.text)
        except Unfit as unfit:
            await shown.take_back()
            raise Unfit(unfit.why, used) from None
        if not found.text:
            await shown.take_back()
            return Answer(False, score=score, by=self.name, why="support", used=used)
        await shown.say(found.text)
        sources, cited = _sources(found, passages)
        return Answer(True, found.text, sources, score, self.name, cited=cited, used=used)


class _Draft:
    """What a model has written so far."""

    def __init__(
        self, question: Question, passages: Sequence[Scored], prompt: Prompt, ground: Ground
    ) -> None:
        self.cites: list[Cites] = []
        self._question = question
        self._ground = ground
        self._raw = ""
        self._looks = self._looked = 0
        self._most = MOST[question.settings.length]
        hosts = (s.passage.url for s in passages if s.passage.url)
        self._allowed = allowed_hosts((*hosts, *question.links, *question.settings.links))
        documents = [part for passage in prompt.passages for part in passage]
        self._told = Told(prompt.system, prompt.mark, documents)

    @property
    def tokens(self) -> int:
        return len(self._raw.encode("utf-8", "replace")) // 3 + 1 if self._raw else 0

    @property
    def empty(self) -> bool:
        return not self._raw

    def add(self, piece: Wrote) -> bool:
        """Whether there is room for more: what is past three times an answer's length is a loop."""
        self._raw += piece.text
        return len(self._raw) <= 3 * self._most

    def worth_a_look(self) -> bool:
        """Whether enough was written since the last look, and not too many were taken."""
        if self._looks >= LOOKS or len(self._raw) - self._looked < _STEP:
            return False
        self._looks, self._looked = self._looks + 1, len(self._raw)
        return True

    async def so_far(self) -> str:
        """What of it may be shown: whole sentences that stand, in a language that is wanted."""
        if NO_ANSWER in self._raw:
            return ""
        claims = self._claims(self._raw)[:-1]
        text = (await self._ground.stand(self._fitting(claims))).rstrip()
        return text if self._fits_language(text) and not says_unknown(text) else ""

    async def whole(self, cut: bool) -> Grounded:
        """What stands of all of it. A model that had no room left does not end its last sentence. Raises Unfit."""
        if NO_ANSWER in self._raw:
            return Grounded("")
        claims = self._claims(self._raw)
        if cut and claims and claims[-1].part.text.rstrip()[-1:] not in _ENDS:
            claims = claims[:-1]
        if claims and says_unknown(claims[0].part.text):
            return Grounded("")
        if any(self._told.shows(claim.part.text) for claim in claims):
            raise Unfit("guard", Used())
        return await self._ground.keep(self._fitting(claims))

    def check(self, text: str) -> None:
        """Raises Unfit for a text in a language that is not wanted."""
        if not self._fits_language(text):
            raise Unfit("language", Used())

    def _fits_language(self, text: str) -> bool:
        question = self._question
        return is_wanted(text, question.text, question.settings.languages, question.language)

    def _claims(self, raw: str) -> list[Claim]:
        """The sentences of a text as they may go out, each with what is cited for it."""
        marks = [
            (found.start(), tuple(int(number) - 1 for number in re.findall(r"\d+", found.group(1))))
            for found in MARK.finditer(raw)
        ]
        text = outward(Edited.of(raw).sub(MARK, ""), self._allowed)
        found = []
        for part in once(parts(text.text)):
            start, end = text.places[part.start], text.places[part.end]
            places = [p for at, numbers in marks if start <= at <= end for p in numbers]
            places += [p for c in self.cites if c.start < end and c.end > start for p in c.passages]
            found.append(Claim(part, tuple(dict.fromkeys(places))))
        return found

    def _fitting(self, claims: Sequence[Claim]) -> list[Claim]:
        """As many sentences as an answer may have, without those that show the prompt."""
        kept, size = list[Claim](), 0
        for claim in claims:
            size += len(claim.part.text)
            if kept and size > self._most:
                break
            if self._told.shows(claim.part.text):
                continue
            kept.append(claim)
        return kept


class _Shown:
    """What the customer has been shown: it only grows, or is taken back."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self.text = ""

    @property
    def wanted(self) -> bool:
        return self._listener is not None

    async def say(self, text: str) -> None:
        if self._listener is None or not text or text == self.text:
            return
        if not text.startswith(self.text):
            if len(text) < len(self.text) and self.text.startswith(text):
                return
            await self.take_back()
        self.text = text
        await self._listener.said(text)

    async def take_back(self) -> None:
        if self._listener is not None and self.text:
            self.text = ""
            await self._listener.said("")


def _sources(found: Grounded, passages: Sequence[Scored]) -> tuple[tuple[Source, ...], tuple[Cited, ...]]:
    """The sources of an answer, and its citations by them: two passages under one heading are one source."""
    sources: list[Source] = []
    number: dict[int, int] = {}
    for i, place in enumerate(found.places):
        source = passages[place].passage.source
        if source not in sources:
            sources.append(source)
        number[i] = sources.index(source)
    cited = tuple(
        Cited(c.start, c.end, tuple(dict.fromkeys(number[i] for i in c.sources))) for c in found.cited
    )
    return tuple(sources), cited


def _cost(call: Call, draft: _Draft, error: ProviderError) -> Used:
    """What a call that failed may have cost: nothing where the provider did no work."""
    if error.code in _FREE or (draft.empty and error.code == "provider:broken"):
        return Used()
    return call.of(call.tokens_in, draft.tokens)
