"""Answers that were given before to the same question, in this process: they cost nothing the second time.

Only to the same tenant, on the same channel, in the same language, as long as neither its documents nor anything else about
the tenant has changed; never what leaned on what was said before, and never what went wrong.
"""

from collections import OrderedDict
from dataclasses import replace

from brain.rules import normalise
from gateway.model.answers import Answer, Question, Used

MOST = 5_000
"""Answers; about 2 kB each."""

MAX_QUESTION = 300
Key = tuple[str, int, int, str, str, str, tuple[str, ...]]


class AnswerCache:
    """Bounded; the least recently used goes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Key, Answer] = OrderedDict()

    def get(self, question: Question) -> Answer | None:
        """The answer that was given, as one that costs nothing."""
        key = _key(question)
        answer = self._kept.get(key) if key else None
        if answer is None or key is None:
            return None
        self._kept.move_to_end(key)
        return replace(answer, cached=True, used=Used())

    def put(self, question: Question, answer: Answer) -> None:
        key = _key(question)
        if key is None or question.earlier or not answer.known or answer.why or answer.failed:
            return
        self._kept[key] = replace(answer, cached=False)
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)


def _key(question: Question) -> Key | None:
    text = normalise(question.text)
    if not text or len(text) > MAX_QUESTION or question.draft or not question.settings.cache:
        return None
    return (
        question.tenant,
        question.version,
        question.rev,
        question.channel or "",
        question.language or "",
        text,
        question.links,
    )
