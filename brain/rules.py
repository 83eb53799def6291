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
from gateway.model.answers import Rule

MAX_PATTERN = 200
MAX_ANSWER = 4000
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


def match_rule(rules: Iterable[Rule], text: str) -> Rule | None:
    """The first rule that fits a message."""
    plain, short = normalise(text), text[:MAX_INPUT]
    for rule in rules:
        if _fits(rule, plain, short):
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
