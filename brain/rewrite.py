"""A follow-up question made whole: “and on Sundays?” after “Do you rent tandems?” is searched for with the tandems.

A question leans on what was asked before when it begins with “and”, “y”, “et”, “und” … without a verb of its own, when it
is about “it”, “eso”, “das” … and says little else, or when it has nothing but a question word or a day. Any other one stands
alone, and is left as it is: words that are carried over without need find the wrong passages.

Pure word lists, for English, Spanish, Portuguese, French, German, Italian, Arabic and Hindi. Everything is folded.
"""

import re
from collections.abc import Sequence

from brain.days import is_day
from brain.leaning import ASKING, LEADS, OTHER_STOP, PRONOUNS, TIMES, VERBS, YOU
from brain.vocabulary import STOP
from brain.words import fold
from gateway.model.answers import Said

MOST_WORDS = 9
"""A longer question says what it is about."""

_SPLIT = re.compile(r"[\s?¿!¡.,;:،؟।\"“”()…]+")
_ELISION = re.compile(r"\b(?:l|d|c|j|n|s|qu|m|t|un|all|dell|nell)['’](?=\w)")

_LEADING = re.compile(
    r"^(?:(?:and |but |so |ok |okay )?(?:what|how) about|and if|y (?:que tal|si)|que tal|et (?:pour|"
    r"si)|et|und (?:was ist mit|wie ist es mit)|was ist mit|wie sieht es (?:mit|bei)|wie ist es mit|"
    r"e (?:quanto a|para|se)|(?:e )?per quanto riguarda|qu en est[- ]il d[eu]s?|وماذا عن|ماذا عن)\b"
)
_EXPLETIVE = re.compile(
    r"\bis (?:it|this) (?:possible|allowed|true|ok|okay|necessary|safe|free to|easy|hard|better|"
    r"worth)\b|\bes posible\b|\be possivel\b|\best[- ]ce\b|\bil (?:y a|faut|est possible)\b|"
    r"\best[- ]il\b|\bc[' ]?est possible\b|\bist es (?:moglich|erlaubt)\b|\bgibt es\b|"
    r"\be possibile\b|\bthis (?:week|weekend|month|year|morning|afternoon|evening|summer|winter|chat|"
    r"shop|hotel|is)\b|\best[ea] (?:semana|mes|ano|noche|tarde|fin)\b|\b(?:dies|"
    r"diese[nsrm]?) (?:woche|jahr|monat|wochenende|sommer)\b|\bcet(?:te)? (?:semaine|annee|ete|"
    r"apres)\b|\bthat (?:you|i|we)\b|\bes[ts]a abiert[oa]\b"
)


def rewrite(text: str, earlier: Sequence[Said]) -> str:
    """The question as it can be understood alone: the text itself, or with what it leans on in front."""
    before = ""
    for said in earlier:
        if said.who == "customer" and _asks(said.text):
            before = _joined(said.text, before)
    return _joined(text, before)


def leans(text: str) -> bool:
    """Whether a question can't be understood without the one before it."""
    folded = _folded(text)
    words = _words(folded)
    if not words or len(words) > MOST_WORDS:
        return False
    lead = _LEADING.match(" ".join(words))
    rest = _without_lead(words)
    if lead or len(rest) < len(words) or _arabic_and(words):
        return bool(rest) and (bool(lead) or not any(w in VERBS for w in rest) or _about_it(folded, rest))
    return _about_it(folded, words) or _bare(folded, words)


def _about_it(folded: str, words: Sequence[str]) -> bool:
    """“How much is it?”, “can I return them?”: a pronoun, and little else."""
    if _EXPLETIVE.search(folded) or not any(w in PRONOUNS for w in words):
        return False
    return len([w for w in words if _tells(w)]) <= 1


def _bare(folded: str, words: Sequence[str]) -> bool:
    """“How much?”, “on Sundays?”: nothing but a question word or a time, and nobody is spoken to."""
    if len(words) > 5 or any(w in YOU or _tells(w) for w in words):
        return False
    if any(w in ASKING for w in words):
        return True
    return any(_is_time(w) for w in words) and not any(w in VERBS for w in words)


def _joined(text: str, before: str) -> str:
    if not before or not leans(text):
        return text
    new = set(_words(_folded(text)))
    parts = before.rstrip(" ?!.").split()
    if any(_is_time(w) for w in new):
        # Another day is asked for: that of before is not meant any more.
        left = [p for p in parts if not any(_is_time(w) for w in _words(_folded(p)))]
        while left and not any(_tells(w) or w in VERBS for w in _words(_folded(left[-1]))):
            left.pop()  # "on", "les": what the day stood after
        parts = left or parts
    if new & ASKING or new & PRONOUNS:
        told = [p for p in parts if any(_tells(w) for w in _words(_folded(p)))]
        parts = told or parts
    return f"{' '.join(parts)} {text.strip().lstrip('¿¡')}"


def _asks(text: str) -> bool:
    """Whether something was said that a later question can lean on: not a greeting, not thanks."""
    words = _words(_folded(text))
    return len(words) > 2 or any(_tells(w) for w in words)


def _tells(word: str) -> bool:
    """Whether a word says what a question is about."""
    if word in PRONOUNS or word in ASKING or word in TIMES or word in VERBS or is_day(word):
        return False
    return word not in STOP and word not in OTHER_STOP and word not in LEADS and len(word) > 1


def _is_time(word: str) -> bool:
    return is_day(word) or word in TIMES


def _without_lead(words: Sequence[str]) -> list[str]:
    """The words after “and”; fewer, or other ones, than were given if there was one."""
    rest = list(words)
    while rest and rest[0] in LEADS:
        rest = rest[1:]
    return rest


def _arabic_and(words: Sequence[str]) -> bool:
    """In Arabic “and” is written onto the word: before the article, or a preposition."""
    return words[0].startswith(("وال", "وفي", "وكم", "ومتي", "واين", "وبكم", "وهل", "وماذا", "ولل"))


def _folded(text: str) -> str:
    return _ELISION.sub(" ", fold(text)).replace("'", " ").replace("’", " ")


def _words(folded: str) -> list[str]:
    return [w for w in _SPLIT.split(folded) if w]
