"""`knowledge ask`: what the brain would answer, and why."""

from dataclasses import dataclass

from brain.answerer import Answerer
from brain.port import Scored
from gateway.model.answers import Answer, Question


@dataclass(frozen=True, slots=True)
class Asked:
    """The decision with its reasons. `passages` are empty when a rule or small talk answered."""

    answer: Answer
    passages: tuple[Scored, ...] = ()
    threshold: float = 0.0


async def ask(brain: Answerer, question: Question, top: int = 5) -> Asked:
    """The answer that a customer would get, and the `top` passages with all of their scores."""
    if early := brain.without_search(question):
        return Asked(early)
    found = await brain.find(question, top, judged=top)
    return Asked(await brain.conclude(question, found), found.passages, found.least)
