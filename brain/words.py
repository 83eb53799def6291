"""Text to words for search: folded, stemmed a little, with common synonyms as one word.

English, Spanish and Portuguese lose plurals and the commonest verb endings; Arabic loses vowel signs and the
article. Passages and questions go through the same functions, so that they meet.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from brain.days import day_terms, is_day
from brain.vocabulary import (
    ASKED_VALUES,
    CONCEPTS,
    FOREIGN,
    PHRASES,
    QUESTION_PHRASES,
    STOP,
    VALUES,
)

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*(?:-[^\W_]+(?:['’][^\W_]+)*)*|§\w+")
_ARABIC = str.maketrans({"ى": "ي", "ة": "ه", "ـ": None, "ٱ": "ا"})
# The accents of Latin, Greek and Cyrillic letters, and the vowel and other signs of Arabic and Hebrew.
_COMBINING = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u1ab0-\u1aff\u20d0-\u20ff]"
)
_ELIDED = re.compile(r"^(?:[ldcjnsmt]|qu|un|dell|all|nell|sull)['’](?=\w{2})")
_LATIN_DOUBLED = re.compile(r"([bdfgmnprt])\1$")
_VALUES = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in VALUES)
_PHRASES = tuple((guards.split("|"), re.compile(pattern), term) for guards, pattern, term in PHRASES)
_ASKED = tuple((guards.split("|"), re.compile(pattern), term) for guards, pattern, term in QUESTION_PHRASES)


_Phrase = tuple[list[str], re.Pattern[str], str]


def fold(text: str) -> str:
    """Lower case, without accents; Arabic letters in their plain form."""
    if text.isascii():
        return text.lower()
    split = unicodedata.normalize("NFKD", text.casefold())
    return _COMBINING.sub("", split).translate(_ARABIC)


def terms(text: str) -> list[str]:
    """Search terms of a passage, with repeats: stems, concepts (`§price`), days, and the kinds of value in it
    (`#price`, together with its concept)."""
    folded = fold(text)
    found = [term for _, own in _words(folded, _PHRASES) for term in own]
    found += day_terms(folded)
    for name, pattern in _VALUES:
        if pattern.search(text):
            found += (f"§{name}", f"#{name}")
    return found


def question_terms(text: str) -> list[str]:
    """Distinct search terms of a question, in order. `how much is` asks for `§price` and for a `#price`."""
    asked = dict.fromkeys(term for _, own in question_words(text) for term in own)
    asked |= dict.fromkeys(sorted(day_terms(fold(text))))
    return [*asked, *(f"#{name}" for name in ASKED_VALUES if f"§{name}" in asked)]


def question_words(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """The words of a question that carry its meaning, each with its terms; a concept stands as its name."""
    return _words(fold(text), _ASKED + _PHRASES)


def content_words(text: str) -> list[str]:
    """Distinct words of a passage that carry its meaning, folded; for comparing meanings."""
    return list(dict.fromkeys(word for word, _ in _words(fold(text), ())))


def _words(folded: str, phrases: Iterable[_Phrase]) -> list[tuple[str, tuple[str, ...]]]:
    for guards, pattern, term in phrases:
        if any(guard in folded for guard in guards):
            folded = pattern.sub(term, folded)
    return [(word.lstrip("§"), own) for word in _WORD.findall(folded) if (own := _expand(word))]


def is_english(text: str) -> bool:
    """Whether the offline vectors, which are English, may be trusted for this text.

    Letters outside ASCII, or as many function words of other languages as English ones, say no.
    """
    words = [part for word in _WORD.findall(fold(text)) for part in re.split("['’-]", word)]
    other = sum(word in FOREIGN for word in words)
    english = sum(word in STOP and word not in FOREIGN for word in words)
    letters = [char for char in fold(text) if char.isalpha()]
    foreign = sum(not char.isascii() for char in letters)
    return (
        foreign * 4 <= len(letters)
        and (other < english or not other)
        and not any(mark in text for mark in "¿¡")
    )


@lru_cache(maxsize=20_000)
def _expand(word: str) -> tuple[str, ...]:
    """Terms of one folded word: itself, or for `tune-up` its parts and the joined form."""
    if word.startswith("§"):
        return (word,)
    if "-" in word:
        parts = word.split("-")
        joined = "".join(parts)
        single = tuple(term for part in parts for term in _expand(part))
        return single if any(part.isdigit() for part in parts) else (*single, _concept(joined))
    word = _ELIDED.sub("", word)
    word = re.sub(r"['’](s|t|re|ve|ll|d|m)?$", "", word).replace("'", "").replace("’", "")
    if word in STOP or is_day(word) or (len(word) < 2 and not word.isdigit()):
        return ()
    return (_concept(word),)


def _concept(word: str) -> str:
    """The word's concept if it, or its stem, has one; else its stem."""
    root = stem(word)
    return CONCEPTS.get(word) or _BY_STEM.get(root) or root


def stem(word: str) -> str:
    """A folded word without plural and, where that leaves four letters or more, without -ing and -ed."""
    if not word.isascii():
        return _stem_arabic(word)
    if len(word) < 4 or word.isdigit():
        return word
    if word.endswith(("coes", "soes")):
        return word[:-3] + "ao"
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "xes", "ches", "shes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 4 - (ending == "ed"):
            word = _LATIN_DOUBLED.sub(r"\1", word.removesuffix(ending))
            break
    return word.removesuffix("e") if len(word) > 3 else word


def _stem_arabic(word: str) -> str:
    for prefix in ("وال", "بال", "لل", "ال"):
        if word.startswith(prefix) and len(word) - len(prefix) >= 3:
            word = word[len(prefix) :]
            break
    for ending in ("ات", "ون", "ين", "ها", "ه"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


# Below the functions that it needs: a constant, the concepts by the stems of their words.
_BY_STEM = {stem(word): concept for word, concept in CONCEPTS.items()}
