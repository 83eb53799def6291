"""A text in its sentences, each with where it stands: nothing is lost between them."""

import re
from dataclasses import dataclass
from typing import Final

_END: Final = re.compile(r"(?:[.!?…؟۔।。！？]+[\"'”’»)\]]*(?:\s+|$)|[。！？।]+|\n+)")
_NO_END: Final = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|no|nr|nos|approx|incl|excl|e\.g|i\.e|vs|tel|fig|p|pp|art|sr|sra|srta|av|avda|núm|num|pág|ej|ud|uds|"
    r"z\.\s?b|bzw|ca|str|usw|u\.a|d\.h|mo|di|mi|do|fr|sa|so|env|mme|mlle|sig|dott|ecc|a\.m|p\.m|a|i)|(?:^|\n)\s*\d{1,2})\.\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Part:
    """`text` with the white space after it; from `start` to `end` in the whole."""

    text: str
    start: int
    end: int


def parts(text: str) -> list[Part]:
    """Sentences and lines, in order; together they are the text."""
    found: list[Part] = []
    start = 0
    for end in _END.finditer(text):
        head = text[start : end.end()]
        following = text[end.end() : end.end() + 1]
        abbreviated = "\n" not in end.group() and _NO_END.search(head) and not _ends_time(head, following)
        if abbreviated and end.end() < len(text):
            continue
        if head.strip():
            found.append(Part(head, start, end.end()))
            start = end.end()
    if text[start:].strip():
        found.append(Part(text[start:], start, len(text)))
    elif found and start < len(text):
        last = found[-1]
        found[-1] = Part(text[last.start :], last.start, len(text))
    return found


def whole(text: str) -> int:
    """How much of a text that is still growing is whole sentences: all but the last, which may go on."""
    found = parts(text)
    return found[-1].start if found else 0


def _ends_time(head: str, following: str) -> bool:
    """`from 9 a.m. Then`: after a time of day a capital begins a sentence."""
    return bool(re.search(r"[ap]\.\s?m\.\s*$", head, re.IGNORECASE)) and following.isupper()
