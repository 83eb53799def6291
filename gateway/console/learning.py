"""The console's page of questions: what has no answer yet, with the place to write it, and what was rated badly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.model.answers import Asked, Gap, Thumb
from gateway.model.errors import Invalid, NotFound
from gateway.model.ports import Clock
from gateway.questions import Questions
from gateway.store import Store

SHOWN: Final = 50
DAYS: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class LearningPage:
    """`wrong` is what was wrong with the answer to the gap `at`, whose text was `written`."""

    gaps: Sequence[Gap]
    bad: Sequence[Asked]
    more: bool
    at: str = ""
    written: str = ""
    wrong: str = ""
    done: str = ""


class Learning:
    def __init__(self, store: Store, questions: Questions, clock: Clock) -> None:
        self._store = store
        self._questions = questions
        self._clock = clock

    async def page(
        self, tenant: str, at: str = "", written: str = "", wrong: str = "", done: str = ""
    ) -> LearningPage:
        store = self._store.of(tenant)
        gaps = await store.gaps.of_state("open", SHOWN + 1)
        bad = await store.asked.rated(self._clock() - DAYS, "down", SHOWN)
        return LearningPage(gaps[:SHOWN], bad, len(gaps) > SHOWN, at, written, wrong, done)

    async def settle(self, tenant: str, gap: str, form: Mapping[str, str]) -> LearningPage | None:
        """What the form of a gap was sent with: its answer, or that it needs none. None when all is well. Raises NotFound."""
        if form.get("do") == "dismiss":
            await self._questions.dismiss(tenant, gap)
            return None
        try:
            await self._questions.answer(tenant, gap, form.get("answer", ""))
        except Invalid as error:
            return await self.page(tenant, gap, form.get("answer", ""), f"Expected {error.expected}.")
        return None

    async def keep(self, tenant: str, message: str) -> str:
        """Keep an answer as knowledge: "" or what was wrong. Raises NotFound."""
        try:
            await self._questions.keep(tenant, message)
        except Invalid as error:
            return f"Not kept: expected {error.expected}."
        return ""

    async def rate(self, tenant: str, asked: str, thumb: str) -> None:
        """An agent's thumb on an answer. Raises NotFound."""
        given: Thumb | None = "up" if thumb == "up" else "down" if thumb == "down" else None
        if not await self._questions.rate(tenant, asked, given, agent=True):
            raise NotFound(asked)
