"""Reading a provider's JSON, that may be anything: each function gives what could be read, and never raises.

Only `load` refuses, and only what is not a JSON object at all.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from channels.kit import clean_text
from gateway.model.errors import NotForUs
from gateway.model.message import stable_id

MAX_RAW_BYTES: Final = 64 * 1024
MAX_ID: Final = 512
_EARLIEST: Final = 1_000_000_000
_SECONDS: Final = re.compile(r"\d{1,16}(\.\d{1,9})?", re.ASCII)


def load(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises NotForUs, with nothing of the body in it."""
    try:
        payload = json.loads(body.decode("utf-8-sig"), parse_int=_whole, parse_constant=_nothing)
    except (ValueError, RecursionError):
        # A body nested beyond the interpreter's depth ends in RecursionError within a millisecond.
        raise NotForUs("not a JSON body") from None
    if not isinstance(payload, dict):
        raise NotForUs("not a JSON object")
    return payload


def _whole(digits: str) -> int | str:
    # Longer than any id or time: kept as text, for turning 5,000 digits into a number is refused by Python.
    return int(digits) if len(digits) <= 24 else digits


def _nothing(_name: str) -> None:
    """NaN and Infinity are not JSON; they are read as missing."""


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: object) -> Sequence[object]:
    """A list as it is; a single object in its place as a list of one; anything else as an empty list."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


def word(value: object) -> str:
    """A string, or a number as its digits, cleaned; "" for anything else."""
    if isinstance(value, str):
        return clean_text(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def short_id(value: object) -> str:
    """An id; one that is too long to be indexed is replaced by its digest."""
    text = word(value)
    return text if len(text) <= MAX_ID else stable_id("long", text)


def instant(value: object, now: datetime) -> datetime:
    """A Unix time in seconds or milliseconds, as number or digits; `now` for what is absurd or missing."""
    text = str(value) if isinstance(value, int | float) else word(value)
    if isinstance(value, bool) or not _SECONDS.fullmatch(text):
        return now
    seconds = float(text)
    if seconds >= 1e11:
        seconds /= 1000
    if not _EARLIEST <= seconds <= (now + timedelta(days=1)).timestamp():
        return now
    return datetime.fromtimestamp(seconds, UTC)


def raw(value: object) -> str:
    """The value as JSON text, cut at 64 kB; "" if it is nested too deeply to be written down."""
    try:
        text = clean_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except (ValueError, RecursionError):
        return ""
    data = text.encode()
    return text if len(data) <= MAX_RAW_BYTES else data[:MAX_RAW_BYTES].decode(errors="ignore")
