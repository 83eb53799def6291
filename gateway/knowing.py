"""Knowing whether the answers are right: golden questions asked and judged, real ones asked again before
a change goes live."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from brain.answerer import PASSAGES, Answerer
from brain.port import IndexedPassage
from brain.support import Found
from gateway.model.answers import Answer, Asked, Question
from gateway.model.content import Source
from gateway.model.errors import Invalid, NotFound
from gateway.model.golden import (
    CHANGES,
    MAX_GOLDENS,
    MAX_QUESTION,
    MAX_TEXTS,
    Change,
    Difference,
    EvalRun,
    Figures,
    Golden,
    Replay,
    Side,
    Turned,
    Verdict,
    golden_id,
)
from gateway.model.ports import Clock
from gateway.model.tenant import Tenant
from gateway.store import Store

TOP: Final = 10
"""Passages among which the right one is looked for."""

MAX_TEXT: Final = 600
"""Characters of an answer that are kept with a run."""

Progress = Callable[[int, int], None]
"""Called after each question with how many are done and how many there are."""


class Knowing:
    """`local` quotes and costs nothing; `whole` asks the tenants' providers."""

    def __init__(self, store: Store, local: Answerer, whole: Answerer | None, clock: Clock) -> None:
        self._store = store
        self._local = local
        self._whole = whole
        self._clock = clock

    # Golden questions

    async def add(self, tenant: str, given: Sequence[Golden]) -> None:
        """Raises Invalid, and then none was added."""
        store = self._store.of(tenant).goldens
        for golden in given:
            check(golden)
        there = {g.id for g in await store.all()}
        if len(there | {g.id for g in given}) > MAX_GOLDENS:
            raise Invalid("question", f"at most {MAX_GOLDENS} golden questions")
        await store.put(given)

    async def from_asked(
        self, tenant: str, asked: str, must_contain: Sequence[str] = (), refuse: bool = False
    ) -> Golden:
        """Make a golden question of a real one. Without `must_contain` it has to cite what it cited then. Raises NotFound,
        Invalid."""
        found = await self._store.of(tenant).asked.get(asked)
        if found is None:
            raise NotFound(f"no question {asked}")
        cited = found.sources[0].title if found.sources and not must_contain and not refuse else None
        golden = Golden(
            golden_id(tenant, found.question, found.channel),
            tenant,
            found.question[:MAX_QUESTION],
            _whole(self._clock()),
            tuple(must_contain),
            cited,
            refuse,
            found.language,
            found.channel,
            found.earlier,
        )
        await self.add(tenant, [golden])
        return golden

    async def evaluate(
        self, tenant: str, limit: int | None = None, provider: bool = False, progress: Progress | None = None
    ) -> EvalRun:
        """Ask the golden questions, judge the answers, keep the run. Raises Invalid where there are none."""
        found = await self._store.directory.tenant(tenant)
        goldens = (await self._store.of(tenant).goldens.all())[:limit]
        if not goldens:
            raise Invalid("golden", "at least one golden question; add some first")
        # Models and the index are loaded before anybody is timed.
        await self._local.find(self._question(found, goldens[0].question, False), 1)
        verdicts = []
        for done, golden in enumerate(goldens, 1):
            verdicts.append(await self._judged(found, golden, provider))
            if progress:
                progress(done, len(goldens))
            await asyncio.sleep(0)
        run = EvalRun(
            f"er_{secrets.token_hex(8)}",
            tenant,
            _whole(self._clock()),
            found.knowledge,
            "provider" if provider else "local",
            figures(verdicts),
            tuple(verdicts),
        )
        await self._store.of(tenant).eval_runs.put(run)
        return run

    async def _judged(self, tenant: Tenant, golden: Golden, provider: bool) -> Verdict:
        question = self._question(tenant, golden.question, False)
        question = replace(question, language=golden.language, channel=golden.channel, earlier=golden.earlier)
        start = time.perf_counter()
        answer, found = await self._answered(question, provider)
        seconds = time.perf_counter() - start
        wrong = faults(golden, answer)
        return Verdict(
            golden.id,
            golden.question,
            golden.must_refuse,
            answer.known,
            answer.text[:MAX_TEXT],
            tuple(s.title for s in answer.sources),
            not wrong,
            None if golden.must_refuse else rank(golden, found),
            tuple(wrong),
            answer.by,
            answer.why,
            answer.score,
            round(seconds, 4),
            answer.used,
        )

    # Replay

    async def replay(
        self,
        tenant: str,
        days: int = 30,
        limit: int = 500,
        provider: bool = False,
        progress: Progress | None = None,
    ) -> Replay:
        """Ask the latest real questions of the live knowledge and of that with the drafts, and tell them apart."""
        found = await self._store.directory.tenant(tenant)
        asked = await self._store.of(tenant).asked.latest(self._clock() - timedelta(days=days), limit)
        groups: dict[tuple[str, str, tuple[str, ...]], list[Asked]] = {}
        for one in asked:
            key = (one.channel, " ".join(one.question.casefold().split()), tuple(s.text for s in one.earlier))
            groups.setdefault(key, []).append(one)
        differences = []
        for done, same in enumerate(groups.values(), 1):
            differences.append(await self._compared(found, same, provider))
            if progress:
                progress(done, len(groups))
            await asyncio.sleep(0)
        counts = Counter[str](dict.fromkeys(CHANGES, 0))
        for difference in differences:
            counts[difference.change] += 1
        differences.sort(key=lambda d: (CHANGES.index(d.change), -d.count))
        return Replay(len(differences), dict(counts), tuple(differences))

    async def _compared(self, tenant: Tenant, same: Sequence[Asked], provider: bool) -> Difference:
        latest = same[0]
        sides = []
        for draft in (False, True):
            question = replace(
                self._question(tenant, latest.question, draft),
                language=latest.language,
                channel=latest.channel,
                earlier=latest.earlier,
            )
            answer, _ = await self._answered(question, provider)
            sides.append(
                Side(
                    answer.known, answer.text[:MAX_TEXT], tuple(s.title for s in answer.sources), answer.score
                )
            )
        live, drafted = sides
        return Difference(latest.question, change(live, drafted), live, drafted, latest.at, len(same))

    # Both

    def _question(self, tenant: Tenant, text: str, draft: bool) -> Question:
        return Question(
            tenant.id,
            text,
            tenant.rules,
            tenant.knowledge,
            settings=tenant.answers,
            business=tenant.name,
            rev=tenant.rev,
            at=self._clock(),
            draft=draft,
        )

    async def _answered(self, question: Question, provider: bool) -> tuple[Answer, Found | None]:
        """The answer as a customer would get it, but never one that was kept; and what was found for it."""
        brain = self._whole if provider and self._whole is not None else self._local
        if early := brain.without_search(question):
            return early, None
        found = await brain.find(question, TOP)
        return await brain.conclude(question, replace(found, passages=found.passages[:PASSAGES])), found


def check(golden: Golden) -> None:
    """Raises Invalid, naming the field."""
    if not 1 <= len(golden.question.strip()) <= MAX_QUESTION:
        raise Invalid("question", f"a question of 1 to {MAX_QUESTION} characters")
    if len(golden.must_contain) > MAX_TEXTS or any(
        not 1 <= len(t.strip()) <= 200 for t in golden.must_contain
    ):
        raise Invalid("must_contain", f"at most {MAX_TEXTS} texts of 1 to 200 characters")
    if golden.must_cite is not None and not 1 <= len(golden.must_cite.strip()) <= 400:
        raise Invalid("must_cite", "a part of a source's title or address, 1 to 400 characters")
    if golden.must_refuse and (golden.must_contain or golden.must_cite):
        raise Invalid("must_refuse", "either this, or what the answer must contain or cite")
    if not (golden.must_refuse or golden.must_contain or golden.must_cite):
        raise Invalid("must_contain", "what the answer must contain, or must_cite, or must_refuse")


def faults(golden: Golden, answer: Answer) -> list[str]:
    """What is wrong with an answer, in words; nothing if it is right."""
    if golden.must_refuse:
        return ["it must be refused, and was answered"] if answer.known else []
    if not answer.known:
        return ["it was not answered"]
    text = _plain(answer.text)
    wrong = [f"the answer lacks “{part}”" for part in golden.must_contain if _plain(part) not in text]
    if golden.must_cite and not any(_cites(golden.must_cite, source) for source in answer.sources):
        wrong.append(f"it does not cite “{golden.must_cite}”")
    return wrong


def rank(golden: Golden, found: Found | None) -> int:
    """The place of the first passage that holds what is asked for; 0: none does, or none was looked for."""
    for place, scored in enumerate(found.passages if found else (), 1):
        passage: IndexedPassage = scored.passage
        text = _plain(f"{passage.question or ''} {passage.text}")
        cited = golden.must_cite is None or _cites(golden.must_cite, passage.source)
        if cited and all(_plain(part) in text for part in golden.must_contain):
            return place
    return 0


def figures(verdicts: Sequence[Verdict]) -> Figures:
    ranks = [v.rank for v in verdicts if v.rank is not None]
    must, others = [v for v in verdicts if not v.must_refuse], [v for v in verdicts if v.must_refuse]
    seconds = sorted(v.seconds for v in verdicts)
    return Figures(
        len(verdicts),
        sum(v.right for v in verdicts),
        _share(r == 1 for r in ranks),
        _share(0 < r <= 3 for r in ranks),
        _share(1 / r if r else 0 for r in ranks),
        _share(v.right for v in must),
        _share(v.right for v in others),
        _part(seconds, 0.5),
        _part(seconds, 0.95),
        sum(v.used.tokens for v in verdicts),
        sum(v.used.money for v in verdicts),
    )


def turned(before: EvalRun, after: EvalRun) -> list[Turned]:
    """Questions whose verdict or answer is not the same in two runs: those that got worse first."""
    one, other = {v.golden: v for v in before.verdicts}, {v.golden: v for v in after.verdicts}
    out = []
    for golden in dict.fromkeys([*one, *other]):
        a, b = one.get(golden), other.get(golden)
        if a is None or b is None or (a.right, a.known, _plain(a.text)) != (b.right, b.known, _plain(b.text)):
            known = b or a
            out.append(Turned(known.question if known else "", a, b))
    order = ("worse", "better", "other answer", "new", "gone")
    return sorted(out, key=lambda t: order.index(t.told))


def change(live: Side, draft: Side) -> Change:
    if live.known != draft.known:
        return "newly answered" if draft.known else "no longer answered"
    return "same" if _plain(live.text) == _plain(draft.text) and live.sources == draft.sources else "changed"


def _whole(moment: datetime) -> datetime:
    """As it will be read back: in whole milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _cites(part: str, source: Source) -> bool:
    return _plain(part) in _plain(f"{source.title} {source.url or ''}")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _share(values: Iterable[float]) -> float | None:
    every = list(values)
    return round(sum(every) / len(every), 4) if every else None


def _part(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
