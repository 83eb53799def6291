"""Keyword rules: the tenant's own pattern, the tenant's own answer, before anything is searched.

Rules are checked when they are saved (`check_rule`); one that would not pass is skipped when messages are
matched, so that no pattern can hold up the service whatever way it got into the store.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

from brain.words import fold
from gateway.model.tenant import Rule

MAX_PATTERN = 200
MAX_ANSWER = 4000
MAX_INPUT = 500
"""Characters of a message that a regular expression sees."""

_MAX_OPEN = 2
"""Repeats without an end in one pattern: with three, a message of 500 characters can take seconds."""
_BIG = 20
"""Repeats of more than this count as without an end."""
_ENDS = re.compile(r"^[\W_]+|[\W_]+$")

_EMPTY = "The pattern is empty."
_SLOW = "The expression can take too long: repeat no group that itself repeats or has alternatives."


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
        return _EMPTY
    if len(rule.pattern) > MAX_PATTERN:
        return f"The pattern is longer than {MAX_PATTERN} characters."
    if not rule.answer.strip():
        return "The answer is empty."
    if len(rule.answer) > MAX_ANSWER:
        return f"The answer is longer than {MAX_ANSWER} characters."
    return _check_expression(rule.pattern) if rule.regex else None


def _fits(rule: Rule, plain: str, short: str) -> bool:
    if not rule.regex:
        pattern = normalise(rule.pattern)
        return bool(pattern) and pattern == plain
    if check_rule(rule) is not None:
        return False
    found = re.compile(rule.pattern, re.IGNORECASE)
    # Also without accents, so that `manana` finds “mañana”.
    return bool(found.search(short) or found.search(fold(short)[:MAX_INPUT]))


def _check_expression(pattern: str) -> str | None:
    try:
        expression = re.compile(pattern, re.IGNORECASE)
        tree = import_module("re._parser").parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"The expression is not valid: {error}."
    if expression.search(""):
        return "The expression fits every message. Make it ask for at least one character."
    if "GROUPREF" in {name for name, _ in _walk(tree)}:
        return "The expression refers back to a group, which can take too long."
    if any(name in _REPEATS and _is_open(value) and _branches(value[2]) for name, value in _walk(tree)):
        return _SLOW
    open_repeats = sum(name in _REPEATS and _is_open(value) for name, value in _walk(tree))
    if open_repeats > _MAX_OPEN:
        return f"The expression has more than {_MAX_OPEN} repeats without an end (*, +)."
    return None


_REPEATS = frozenset(("MAX_REPEAT", "MIN_REPEAT"))


def _is_open(value: Any) -> bool:
    return int(value[1]) > _BIG


def _branches(tree: Any) -> bool:
    """Whether a repeated part can match the same text in more than one way."""
    names = {name for name, value in _walk(tree) if name != "MAX_REPEAT" or value[0] != value[1]}
    return bool(names & {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT", "BRANCH"})


def _walk(tree: Any) -> Sequence[tuple[str, Any]]:
    """Every node of a parsed expression: (name of its operation, its value)."""
    out: list[tuple[str, Any]] = []
    waiting = [tree]
    subpattern = import_module("re._parser").SubPattern
    while waiting:
        for operation, value in waiting.pop():
            out.append((str(operation), value))
            waiting += _parts(value, subpattern)
    return out


def _parts(value: Any, subpattern: type[Any]) -> list[Any]:
    """The expressions inside a node's value, however deep its tuples and lists go."""
    found: list[Any] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, subpattern):
            found.append(item)
        elif isinstance(item, tuple | list):
            waiting.extend(item)
    return found
