"""What customers asked: kept to learn from, with what they and the agents thought of the answers; and the gaps, questions that no
document answers, grouped by what they mean.

Notes gather in memory and are written together, off the customer's way: a process that is killed loses a second of them, and
nothing that anybody said.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from loguru import logger

from brain.embed import Embedder
from brain.ingest import add_answer
from brain.words import fold, question_terms
from gateway.model.answers import Asked, Gap, Thumb
from gateway.model.content import Buttons, ListMenu, Text, plain_text
from gateway.model.errors import Invalid, NotFound, StoreError, Unavailable
from gateway.model.knowledge import MAIN
from gateway.model.message import Message, stable_id
from gateway.model.ports import Clock
from gateway.model.redact import redacted
from gateway.store import Store

EVERY: Final = 1.0
"""Seconds between writes of what has gathered."""

MOST: Final = 5_000
"""Notes that are kept while the database is away; what is beyond is forgotten, the oldest first."""

LOOKED_AT: Final = 200
"""Open gaps, the latest, that a new question is compared to."""

ALIKE: Final = 0.6
"""The share of their words that two wordings of one question have in common."""

LONGEST: Final = 300

LOOKED_BACK: Final = 20
"""Messages before an answer among which its question is looked for."""

UP: Final = frozenset({"👍", "❤", "👏", "🙏", "💯"})
DOWN: Final = frozenset({"👎", "😡", "😠", "🤬", "💩"})


@dataclass(frozen=True, slots=True)
class Answered:
    """A gap and the document that answers it now."""

    gap: Gap
    document: str


class Questions:
    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        clock: Clock,
        counted: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        """`counted` is told of each question: a name of a figure, and by whom it was answered."""
        self._counted = counted
        self._store = store
        self._embedder = embedder
        self._clock = clock
        self._notes: list[Asked] = []
        self._writing = asyncio.Lock()

    # What was asked

    def note(self, asked: Asked) -> None:
        """Keep it, in a moment."""
        self._counted("answers", (asked.by or "other") if asked.known else "unknown")
        self._notes.append(asked)
        if len(self._notes) > MOST:
            del self._notes[:-MOST]

    async def write(self) -> None:
        """Write what has gathered. While the database is away it stays."""
        async with self._writing:
            notes, self._notes = sorted(self._notes, key=lambda a: a.tenant), []
            there = not notes
            try:
                with contextlib.suppress(StoreError):  # one of them can't be written: each by itself then
                    if notes:
                        await self._store.keep_asked(notes)
                        there = True
                known: list[Gap] = []
                while notes:
                    one = notes[0]
                    if is_gap(one) and not any(gap.tenant == one.tenant for gap in known):
                        known = await self._store.of(one.tenant).gaps.of_state("open", LOOKED_AT)
                    await self._kept(one, known, there)
                    del notes[0]  # what follows is written again, and this does not count twice
            finally:
                self._notes = [*notes, *self._notes]

    async def _kept(self, asked: Asked, known: list[Gap], there: bool) -> None:
        """Written, if it is not `there` yet, and its gap counted. What no database takes, or a full one, is let go: later
        would be no better, and others are not to wait for it."""
        try:
            if not there:
                await self._store.of(asked.tenant).asked.put([asked])
            if is_gap(asked):
                await self._gap(asked, known)
        except StoreError as error:
            logger.warning("a question could not be kept: {}", error)

    async def rate(self, tenant: str, asked: str, thumb: Thumb | None, agent: bool = False) -> bool:
        """What somebody thinks of an answer; `asked` is the id of the message that asked. Whether there is such an answer."""
        if self._writing.locked() or any(note.id == asked for note in self._notes):
            await self.write()
        return await self._store.of(tenant).asked.rate(asked, thumb, agent)

    async def rated(self, tenant: str, conversation: str, message: str, thumb: Thumb | None) -> bool:
        """A visitor's thumb on a message of their own conversation. Whether it answers a question."""
        store = self._store.of(tenant)
        found = await store.messages.get(message)
        if found is None or found.conversation != conversation or found.turn is None:
            return False
        return await self.rate(tenant, found.turn, thumb)

    async def reacted(self, tenant: str, channel: str, provider_id: str, emoji: str) -> None:
        """A customer's reaction to what the provider calls so: some say what they think of an answer."""
        thumb = thumb_of(emoji)
        if emoji and thumb is None:
            return
        asked = await self._store.of(tenant).asked.of_provider(channel, provider_id)
        if asked is not None:
            await self.rate(tenant, asked, thumb)

    # Gaps

    async def _gap(self, asked: Asked, known: list[Gap]) -> None:
        """Count it in one of the groups that are `known`, or in a new one, which is known then."""
        text = redacted(" ".join(asked.question.split()))[:LONGEST]
        if not _key(text):
            return  # nothing was asked but a number or an address
        alike_to = alike(text, known)
        group = alike_to or stable_id("gap", asked.tenant, " ".join(_key(text)))
        gap = Gap(group, asked.tenant, text, 1, asked.at, asked.at, asked.language, (text,))
        await self._store.of(asked.tenant).gaps.add(gap)
        if alike_to is None:
            known.append(gap)

    async def answer(self, tenant: str, gap: str, answer: str, collection: str | None = None) -> Answered:
        """Give a gap its answer: it becomes a document of its own, known to the bot at once. Raises NotFound, Invalid."""
        store = self._store.of(tenant).gaps
        found = await store.get(gap)
        if found is None:
            raise NotFound(f"no unanswered question {gap}")
        if not answer.strip():
            raise Invalid("answer", "the answer in your own words")
        await self._store.knowledge.check_collection(tenant, collection or MAIN)
        result = await add_answer(
            self._store.knowledge,
            self._embedder,
            tenant,
            found.question,
            answer.strip(),
            self._clock(),
            collection=collection or MAIN,
        )
        if result.document is None:
            raise Invalid("answer", result.reason)
        settled = await store.settle(gap, "answered", result.document)
        return Answered(settled or found, result.document)

    async def keep(self, tenant: str, message: str, collection: str | None = None) -> str:
        """Keep what an agent (or the bot) answered in a conversation as a document: its question is what the customer had
        asked before it. The document's id. Raises NotFound, and Invalid where it is no answer, or holds the customer's own
        details."""
        store = self._store.of(tenant)
        found = await store.messages.get(message)
        if found is None or found.direction != "out":
            raise NotFound(f"no answer {message}")
        page = await store.messages.before(found.conversation, found.seq, LOOKED_BACK)
        asked = next((m for m in reversed(page.messages) if m.direction == "in" and says(m)), None)
        answer = says(found)
        if asked is None or not answer:
            raise Invalid("message", "an answer in words to a question in words")
        conversation = await store.conversations.get(found.conversation)
        contact = await store.conversations.contact(conversation.contact) if conversation else None
        own = {conversation.name if conversation else None}
        own |= {contact.name, contact.phone, contact.email} if contact else set()
        if any(detail and fold(detail) in fold(answer) for detail in own):
            raise Invalid(
                "message", "an answer without the customer's own details: write it anew (`gap answer`)"
            )
        result = await add_answer(
            self._store.knowledge,
            self._embedder,
            tenant,
            redacted(says(asked))[:LONGEST],
            answer,
            self._clock(),
            collection=collection or MAIN,
        )
        if result.document is None:
            raise Invalid("message", result.reason)
        return result.document

    async def dismiss(self, tenant: str, gap: str) -> Gap:
        """It needs no answer. Raises NotFound."""
        settled = await self._store.of(tenant).gaps.settle(gap, "dismissed")
        if settled is None:
            raise NotFound(f"no unanswered question {gap}")
        return settled

    async def close(self) -> None:
        try:
            await self.write()
        except (Unavailable, StoreError):
            logger.warning("{} questions could not be kept: the database takes none", len(self._notes))


def thumb_of(emoji: str) -> Thumb | None:
    """What a reaction says of an answer, whatever the colour of the hand."""
    plain = "".join(char for char in emoji if not "\U0001f3fb" <= char <= "\U0001f3ff" and char != "\ufe0f")
    return "up" if plain in UP else "down" if plain in DOWN else None


def says(message: Message) -> str:
    """What a message says in words; "" for what is no text."""
    return (
        plain_text(message.content).strip() if isinstance(message.content, Text | Buttons | ListMenu) else ""
    )


def is_gap(asked: Asked) -> bool:
    """Whether it shows that an answer is lacking: not what is forbidden, too dear, or no question at all."""
    return not asked.known and asked.why in ("", "support") and bool(_key(asked.question))


def alike(text: str, gaps: Iterable[Gap]) -> str | None:
    """The id of the gap that asks the same: one that shares most of its words, in any of its wordings."""
    own = set(_key(text))
    best, found = ALIKE, None
    for gap in gaps:
        for wording in (gap.question, *gap.examples):
            other = set(_key(wording))
            share = len(own & other) / len(own | other) if own | other else 0.0
            if share >= best and (found is None or share > best):
                best, found = share, gap.id
    return found


def since(now: datetime, days: int) -> datetime:
    """The start of the last `days`. Raises Invalid."""
    if not 1 <= days <= 90:
        raise Invalid("days", "1 to 90: questions are kept for 90 days")
    return now - timedelta(days=days)


@lru_cache(maxsize=8192)
def _key(text: str) -> tuple[str, ...]:
    """What a question is about, in any order; in a language whose words we don't know, all of its words. Kept: a question is
    compared to thousands of wordings that seldom change."""
    words = question_terms(text) or {w for w in fold(text).split() if any(map(str.isalnum, w))}
    return tuple(sorted(words))
