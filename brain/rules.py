"""Keyword rules: the tenant's own pattern, the tenant's own answer, before anything is searched.

Rules are checked when they are saved (`check_rule`); one that would not pass is skipped when messages are
matched, so that no pattern can hold up the service whatever way it got into the store.
"""

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from typing import Any

from brain.words import fold
from gateway.model.answers import Answer, Question, Rule
from gateway.model.hours import is_open

MAX_PATTERN = 200
MAX_ANSWER = 4000
MAX_CHOICES = 10
MAX_CHOICE = 20
"""What every channel shows as a button or a row (WhatsApp: 20 characters a button, ten rows a list)."""
MAX_INPUT = 500
"""Characters of a message that a regular expression sees at most; fewer if it is one that tries many ways."""

_REACHES = (500, 350, 250, 170, 120)
_STEPS = 6_000_000
"""Ways that one search may try: about 0.1 s at the worst."""
_MANY = 10**12

_ENDS = re.compile(r"^[\W_]+|[\W_]+$")
_SLOW = (
    "The expression can take too long. Use at most two of * and + (and {…} with a range), "
    "and repeat no group that has alternatives or repeats inside."
)


def rule_answer(question: Question, text: str) -> Answer | None:
    """The answer of the first rule that fits a message now: with its choices, its form, and whether a person takes over."""
    hours = question.settings.hours
    opened = is_open(hours, question.at) if hours is not None and question.at is not None else True
    rule = match_rule(question.rules, text, opened)
    if rule is None:
        return None
    known = any(form.name == rule.form for form in question.settings.forms)
    return Answer(
        True,
        rule.answer,
        score=1.0,
        by="rule",
        choices=rule.choices,
        form=rule.form if known else None,
        hand_over=rule.hand_over,
    )


def match_rule(rules: Iterable[Rule], text: str, opened: bool = True) -> Rule | None:
    """The first rule that fits a message, while the business is open or closed. One without hours is always open."""
    plain, short = normalise(text), text[:MAX_INPUT]
    for rule in rules:
        if rule.when in ("always", "open" if opened else "closed") and _fits(rule, plain, short):
            return rule
    return None


def normalise(text: str) -> str:
    """Folded, with single spaces, without punctuation at its ends; symbols alone stay as they are."""
    folded = " ".join(fold(text).split())
    return _ENDS.sub("", folded) or folded


@lru_cache(maxsize=2048)
def check_rule(rule: Rule) -> str | None:
    """What is wrong with a rule, as a sentence for the person who wrote it; None if nothing is."""
    if not rule.pattern.strip():
        return "The pattern is empty."
    if len(rule.pattern) > MAX_PATTERN:
        return f"The pattern is longer than {MAX_PATTERN} characters."
    if not rule.answer.strip():
        return "The answer is empty."
    if len(rule.answer) > MAX_ANSWER:
        return f"The answer is longer than {MAX_ANSWER} characters."
    if len(rule.choices) > MAX_CHOICES:
        return f"There are more than {MAX_CHOICES} choices."
    if any(not 0 < len(choice.strip()) <= MAX_CHOICE for choice in rule.choices):
        return f"A choice has 1 to {MAX_CHOICE} characters."
    if len({normalise(choice) for choice in rule.choices}) < len(rule.choices):
        return "Two choices say the same."
    if rule.form and (rule.choices or rule.hand_over):
        return "A rule that begins a form has no choices, and hands over at the form's end."
    return _check_expression(rule.pattern) if rule.regex else None


def _fits(rule: Rule, plain: str, text: str) -> bool:
    if not rule.regex:
        pattern = normalise(rule.pattern)
        return bool(pattern) and pattern == plain
    if check_rule(rule) is not None:
        return False
    found = re.compile(rule.pattern, re.IGNORECASE)
    short = text[: _reach(rule.pattern)]
    if found.search(short):
        return True
    # Also without accents, so that `manana` finds “mañana”.
    folded = fold(short)[: len(short)]
    return folded != short.lower() and found.search(folded) is not None


def _check_expression(pattern: str) -> str | None:
    try:
        expression = re.compile(pattern, re.IGNORECASE)
        reach = _reach(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"The expression is not valid: {error}."
    if not reach:
        return _SLOW
    if expression.search(""):
        return "The expression fits every message. Make it ask for at least one character."
    return None


@lru_cache(maxsize=2048)
def _reach(pattern: str) -> int:
    """How many characters of a message an expression may see, so that no message takes long; 0 if too few."""
    tree = import_module("re._parser").parse(pattern)
    return next((size for size in _REACHES if size * _ways(tree, size) <= _STEPS), 0)


def _ways(tree: Any, size: int) -> int:
    """In how many ways an expression can match from one place in a text of `size` characters, at most."""
    ways = 1
    for operation, value in tree:
        ways = min(ways * _ways_of(str(operation), value, size), _MANY)
    return ways


def _ways_of(operation: str, value: Any, size: int) -> int:
    if operation == "GROUPREF":
        return _MANY  # what it matches again is known only while matching
    inside = [_ways(part, size) for part in _parts(value, _tree_type())]
    if operation == "BRANCH":
        return sum(inside)
    product = min(math.prod(inside), _MANY)
    if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most = min(int(value[0]), size), min(int(value[1]), size)
        return min((most - least + 1) * (product**most if product > 1 else 1), _MANY)
    return product


def _tree_type() -> type[Any]:
    """The class of a parsed expression, which the standard library keeps to itself."""
    found: type[Any] = import_module("re._parser").SubPattern
    return found


def _parts(value: Any, tree: type[Any]) -> list[Any]:
    """The expressions inside a node's value, however deep its tuples and lists go."""
    found: list[Any] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, tree):
            found.append(item)
        elif isinstance(item, tuple | list):
            waiting.extend(item)
    return found
