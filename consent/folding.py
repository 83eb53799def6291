"""A text for comparing with fixed words: no case, accents, width forms, punctuation, emoji, quotes, and nothing unseen."""

import unicodedata
from typing import Final

_ALIKE: Final = str.maketrans(
    {
        "ı": "i",  # typed on a Turkish keyboard
        "ى": "ي",
        "ی": "ي",
        "ک": "ك",
        "ة": "ه",
        "ـ": None,
        "ँ": "ं",
        "ᅟ": None,  # letters that can't be seen
        "ᅠ": None,
        "'": None,
        "’": None,
        "‘": None,
        "`": None,
        "´": None,
        "ʼ": None,
    }
)
_NUKTA: Final = "़"


def fold(text: str) -> str:
    """Words with one space between them. Vowel signs of Devanagari stay, for they are letters; Arabic ones go."""
    found: list[str] = []
    for char in unicodedata.normalize("NFKD", text.translate(_ALIKE)).translate(_ALIKE):
        kind = unicodedata.category(char)
        if char.isalnum() or ("ऀ" <= char <= "ॿ" and kind[0] == "M" and char != _NUKTA):
            found.append(char)
        elif kind[0] != "M" and kind != "Cf":
            found.append(" ")
    return " ".join("".join(found).casefold().split())
