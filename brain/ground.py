"""Whether what a model wrote rests on the passages that it was given, sentence by sentence.

A sentence stands where every fact in it (brain.facts) stands in the passages, and its words or its meaning are theirs:

    bearing = WORDS x share of its terms that a passage holds + MEANING x cosine to the passage's nearest sentences

from BOUND on, for a sentence in the passage's language. Words of another language don't overlap: there a sentence has to have
facts that are borne out, or a citation by the model itself. What says the contrary of its passage in the passage's words falls
where that can be seen (`Ground._contrary`). What does not stand is cut; if what is left is not most of what
was said, nothing is left.

Measured on tests/answers/grounding.jsonl (61 sentences about nine passages, in five languages): of 30 that their passage bears
out all stand, of 31 that it does not none. Any WORDS from 0.3 to 0.7 and any
BOUND from 0.42 to 0.48 do as well. What this can't see: a denial that hangs on more than a word for “not”.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from brain.chunk import sentences
from brain.embed import Embedder
from brain.facts import Fact, borne_out, counts, denies, kind, limits, stated
from brain.language import guess
from brain.port import IndexedPassage, Vectors
from brain.sentences import Part
from brain.words import fold, terms
from gateway.model.answers import Cited

WORDS: Final = 0.5
MEANING: Final = 0.5
BOUND: Final = 0.45
LONGEST: Final = 800
"""Characters of a sentence. What is longer is none, and would take long to read."""

MOST_SENTENCES: Final = 16
COMPARED: Final = 2
"""Passages that a sentence without citation is compared with: those that share most words with it."""

LEAST: Final = 0.4
"""Of what was said, in characters, what has to be left."""

_FEW: Final = 1
"""Terms up to which a sentence without facts says nothing that could be wrong."""

_UNKNOWN: Final = re.compile(
    r"\b(?:i (?:do not|don'?t|cannot|can'?t|could(?: not|n'?t)) (?:know|find|see|tell)|"
    r"(?:documents?|information|context|text|sources?|passages?)\b.{0,60}(?:not|n't) "
    r"(?:mention|contain|provid|includ|specif|say|state)\w*|"
    r"no (?:information|mention|details?) (?:about|on|of|is|available)|(?:unable|not able) to (?:find|answer)|"
    r"no (?:lo )?se\b(?! )|no (?:se si|tengo (?:informacion|datos)|encuentro|dispongo de|hay informacion)|"
    r"no se (?:menciona|especifica|indica)|"
    r"nao (?:sei|tenho (?:informac|dados)|encontr\w+|ha informac\w+|consta|e mencionad)|"
    r"je ne (?:sais|trouve|dispose)|je n'ai pas (?:trouve|d'information)|aucune (?:information|mention)|"
    r"(?:das )?weiss ich (?:leider )?nicht|ich (?:weiss|finde)\b.{0,30}\b(?:nicht|keine)|keine (?:information|angabe)\w*|"
    r"non (?:lo )?so\b|non (?:trovo|dispongo|ho informazioni|e (?:specificato|indicato|menzionato))|nessuna informazione)|"
    r"لا (?:اعرف|اعلم|املك معلومات|توجد معلومات)|لم (?:اجد|يرد|يذكر)|ليس لدي|"
    r"नहीं (?:पता|जानता|जानती|मिली|मिला)|जानकारी (?:नहीं|उपलब्ध नहीं)|मुझे नहीं",
)


_DAYS: Final = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thur": "Thursday",
    "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_SHORT_DAY: Final = re.compile(
    r"\b(Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)\b\.?(?=\s*[:,/–—-]|\s+(?:to|and|from)\b|\s*\(?\d)"
)
"""“Sat” is a verb, and “Mon” is French: only where a time, a span or a list follows."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer, with what the model cites for it (places of passages)."""

    part: Part
    cited: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Grounded:
    """What stands of an answer: its text, and what each sentence rests on (places of passages). Empty: nothing does."""

    text: str
    rests: tuple[tuple[int, int, tuple[int, ...]], ...] = ()
    cut: int = 0

    @property
    def places(self) -> tuple[int, ...]:
        """Passages that it rests on, in the order of the text."""
        return tuple(dict.fromkeys(place for _, _, places in self.rests for place in places))

    @property
    def cited(self) -> tuple[Cited, ...]:
        """By places in `places`."""
        number = {place: i for i, place in enumerate(self.places)}
        return tuple(Cited(start, end, tuple(number[p] for p in places)) for start, end, places in self.rests)


@dataclass(frozen=True, slots=True, eq=False)
class _Passage:
    terms: frozenset[str]
    facts: frozenset[str]
    language: str | None
    texts: tuple[str, ...]
    rows: tuple["_Row", ...] = ()
    limits: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A sentence of a passage."""

    terms: frozenset[str]
    facts: frozenset[str]
    kinds: frozenset[str]
    denies: bool


_Verdict = tuple[Literal["stands", "says nothing", "falls"], tuple[int, ...]]


class Ground:
    """The passages of one answer, ready to be compared with. Make one with `prepared`."""

    def __init__(self, passages: Sequence[_Passage], embedder: Embedder) -> None:
        self._passages = passages
        self._embedder = embedder
        self._judged: dict[Claim, _Verdict] = {}
        self._vectors: dict[tuple[int, bool], Vectors] = {}

    async def keep(self, claims: Sequence[Claim]) -> Grounded:
        """What stands of an answer's sentences, in their order."""
        verdicts = [await self._judge(claim) for claim in claims]
        said = sum(
            len(c.part.text.strip()) for c, v in zip(claims, verdicts, strict=True) if v[0] != "says nothing"
        )
        left = sum(
            len(c.part.text.strip()) for c, v in zip(claims, verdicts, strict=True) if v[0] == "stands"
        )
        cut = sum(v[0] == "falls" for v in verdicts)
        if not left or left < LEAST * said:
            return Grounded("", cut=cut)
        text, rests = "", list[tuple[int, int, tuple[int, ...]]]()
        for claim, (verdict, places) in zip(claims, verdicts, strict=True):
            if verdict == "falls":
                continue
            start = len(text)
            text += claim.part.text
            if places:
                rests.append((start, start + len(claim.part.text.rstrip()), places))
        return Grounded(text.rstrip(), tuple(rests), cut)

    async def stand(self, claims: Sequence[Claim]) -> str:
        """The first sentences of an answer that is being written, up to the first that does not stand: what may be shown."""
        text, sure = "", 0
        for claim in claims:
            verdict, _ = await self._judge(claim)
            if verdict == "falls":
                break
            text += claim.part.text
            sure = len(text) if verdict == "stands" else sure
        return text[:sure].rstrip()

    async def _judge(self, claim: Claim) -> _Verdict:
        if claim not in self._judged:
            self._judged[claim] = await self._verdict(claim)
        return self._judged[claim]

    async def _verdict(self, claim: Claim) -> _Verdict:
        sentence = claim.part.text.strip()
        if len(sentence) > LONGEST:
            return "falls", ()
        sentence = _SHORT_DAY.sub(lambda found: _DAYS[found.group(1)], sentence)
        cited = tuple(dict.fromkeys(p for p in claim.cited if 0 <= p < len(self._passages)))
        facts, own = stated(sentence), frozenset(terms(sentence))
        own = frozenset(term for term in own if not term.startswith("#") and not term.isdigit())
        if self._contrary(sentence, own, facts):
            return "falls", ()
        if not facts and len(own) <= _FEW:
            return "says nothing", ()
        places = self._holding(facts, cited)
        if places is None:
            return "falls", ()
        language = guess(sentence)
        alike = [p for p in range(len(self._passages)) if self._comparable(language, p)]
        nearest = sorted(alike, key=lambda p: -len(own & self._passages[p].terms))[:COMPARED]
        among = [p for p in places if p in alike] or ([] if places else nearest)
        compared = dict.fromkeys((*among, *nearest))
        bearing = {p: await self._bearing(sentence, own, p, language) for p in compared}
        if among and (joint := await self._joint(sentence, own, among, bearing, language)) >= BOUND:
            return "stands", places or self._best(among, bearing, joint)
        if not alike or (places and not any(p in alike for p in places)):
            return ("stands", places) if cited or (facts and places) else ("falls", ())
        better = max(compared, key=lambda p: bearing[p])
        if bearing[better] >= BOUND and not facts:
            return "stands", (better,)
        return "falls", ()

    def _contrary(self, sentence: str, own: frozenset[str], facts: Sequence[Fact]) -> bool:
        """Whether a sentence in words of the passages says the contrary: it denies what nothing there denies, or the other way
        round, or gives one thing the price or the time of another."""
        rows = [row for passage in self._passages for row in passage.rows]
        if denies(sentence):
            about = [p for p in self._passages if len(own & p.terms) * 2 > len(own)]
            if about and not any(p.limits for p in about):
                return True
        elif not limits(sentence):
            same = [
                row for row in rows if len(row.terms) > 1 and len(row.terms & own) >= 0.9 * len(row.terms)
            ]
            if same and all(row.denies for row in same):
                return True
        kinds = [kind(fact) for fact in facts]
        return any(
            kinds.count(what) == 1 and _swapped(own, fact, what, rows)
            for fact, what in zip(facts, kinds, strict=True)
            if what
        )

    def _holding(self, facts: Sequence[frozenset[str]], cited: tuple[int, ...]) -> tuple[int, ...] | None:
        """The passages that bear out all facts: the cited ones, with another where they do not; None: none do."""
        if not facts:
            return cited
        if self._bear(facts, cited):
            return cited
        for place in range(len(self._passages)):
            if self._bear(facts, (*cited, place)):
                return tuple(dict.fromkeys((*cited, place)))
        every = tuple(range(len(self._passages)))
        if not self._bear(facts, every):
            return None
        return tuple(
            p
            for p in every
            if p in cited or any(not fact.isdisjoint(self._passages[p].facts) for fact in facts)
        )

    def _bear(self, facts: Sequence[frozenset[str]], places: Sequence[int]) -> bool:
        return all(any(not fact.isdisjoint(self._passages[p].facts) for p in places) for fact in facts)

    def _comparable(self, language: str | None, place: int) -> bool:
        other = self._passages[place].language
        return language is None or other is None or language == other

    async def _bearing(self, sentence: str, own: frozenset[str], place: int, language: str | None) -> float:
        passage = self._passages[place]
        share = len(own & passage.terms) / len(own) if own else 1.0
        return WORDS * share + MEANING * await self._near(sentence, (place,), language)

    async def _joint(
        self,
        sentence: str,
        own: frozenset[str],
        places: Sequence[int],
        bearing: dict[int, float],
        language: str | None,
    ) -> float:
        """How well several passages bear a sentence together."""
        if len(places) == 1:
            return bearing[places[0]]
        held = frozenset[str]().union(*(self._passages[p].terms for p in places))
        share = len(own & held) / len(own) if own else 1.0
        return WORDS * share + MEANING * await self._near(sentence, tuple(places), language)

    def _best(self, among: Sequence[int], bearing: dict[int, float], joint: float) -> tuple[int, ...]:
        best = max(among, key=lambda p: bearing[p])
        return (best,) if bearing[best] >= min(BOUND, joint) else tuple(among)

    async def _near(self, sentence: str, places: tuple[int, ...], language: str | None) -> float:
        """Cosine to the nearest sentence of these passages. English goes by the fast vectors."""
        english = language in ("en", None) and all(self._passages[p].language == "en" for p in places)
        model = self._embedder.near if english else self._embedder.embed
        vector = (await model([sentence]))[0]
        best = 0.0
        for place in places:
            if (place, english) not in self._vectors:
                self._vectors[place, english] = await model(self._passages[place].texts)
            best = max(best, float((self._vectors[place, english] @ vector).max(initial=0.0)))
        return best


def prepared(passages: Iterable[IndexedPassage], embedder: Embedder) -> Ground:
    """The ground of an answer from these passages."""
    return Ground([_passage(passage) for passage in passages], embedder)


def _passage(passage: IndexedPassage) -> _Passage:
    around = " ".join((passage.title, *passage.headings, passage.question or ""))
    own = sentences(passage.text)[:MOST_SENTENCES]
    # A statement often joins two sentences, or a sentence and what stands above it.
    pairs = [f"{one} {other}" for one, other in pairwise(own)]
    whole = f"{around} {passage.text}"
    return _Passage(
        frozenset(terms(whole)),
        borne_out((around, passage.text, passage.url or "")),
        guess(whole),
        (*own, *pairs, whole),
        tuple(_row(sentence) for sentence in own),
        limits(whole),
    )


def _row(text: str) -> _Row:
    own = frozenset(term for term in terms(text) if not term.startswith("#") and not term.isdigit())
    kinds = frozenset(what for fact in stated(text) if (what := kind(fact)))
    return _Row(own, borne_out((text,)), kinds, denies(text))


def _swapped(own: frozenset[str], fact: Fact, what: str, rows: Sequence[_Row]) -> bool:
    """Whether the fact stands only with what has less in common with the sentence than another one of its kind."""
    own = frozenset(term for term in own if not counts(term))
    exact = frozenset(reading for reading in fact if not reading.endswith("*"))
    holding = [len(own & row.terms) for row in rows if not exact.isdisjoint(row.facts)]
    others = [len(own & row.terms) for row in rows if exact.isdisjoint(row.facts) and what in row.kinds]
    return bool(holding) and bool(others) and max(others) > max(holding)


def says_unknown(text: str) -> bool:
    """Whether an answer says that it has none."""
    return bool(_UNKNOWN.search(fold(text)))
