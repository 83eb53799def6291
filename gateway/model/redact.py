"""What must not be shown to whom it does not concern: a customer's own details in what is kept to learn from. Pure."""

import re
from typing import Final

_EMAIL: Final = re.compile(r"[^\s@<>()\[\],;:\"]{1,64}@(?:[\w-]{1,63}\.)+[\w-]{2,63}")
_NUMBER: Final = re.compile(r"\+?\(?(?:\b[A-Za-z]{2}(?=\d\d))?\d(?:[\s().\-/\u2010-\u2015\u00b7]{0,3}\d){6,}")
"""Seven digits and more, written as people write phone, card and account numbers. Years and prices have fewer."""

HIDDEN: Final = "…"


def redacted(text: str) -> str:
    """The text with e-mail addresses and long numbers in it left out."""
    return _NUMBER.sub(HIDDEN, _EMAIL.sub(HIDDEN, text))
