"""Cells of a CSV that a spreadsheet opens: none is taken for a formula.

https://owasp.org/www-community/attacks/CSV_Injection
"""

from datetime import datetime
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> str:
    """A value as a cell; what would be a formula begins with an apostrophe."""
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def plain_cell(value: str) -> str:
    """A cell as it was before it was kept from being a formula."""
    text = value.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
