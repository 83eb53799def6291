"""What channels share: cleaning and splitting text, understanding a typed choice, and turning a failed HTTP
exchange into a `SendError`. What a channel can't show is degraded in `channels.degrade`.

Everything here is pure. Lengths are counted in UTF-16 units: providers do not agree on what a character is,
and this count is never below any of theirs.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from gateway.model.content import Reply
from gateway.model.conversation import Pending
from gateway.model.errors import SendError

MAX_NAME_BYTES: Final = 64 * 1024
LONGEST_WAIT: Final = 24 * 3600.0

_UNSAFE: Final = re.compile("[\x00\ud800-\udfff]")
_ENDS: Final = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"[.!?…。！？؟][\"'”’)\]]*\s"),
    re.compile(r"\s"),
)
_NUMBER: Final = re.compile(r"^[#(\[]?\s*(\d{1,2})\ufe0f?\u20e3?\s*[.):\]،,-]?\s*(.*)$", re.DOTALL)


def clean_text(text: str) -> str:
    """The text without NUL and lone surrogates: neither can be stored or sent everywhere."""
    return _UNSAFE.sub("", text) if _UNSAFE.search(text) else text


def is_safe_str(text: str) -> bool:
    """Whether `clean_text` would leave the text as it is."""
    return _UNSAFE.search(text) is None


def clean_name(text: str) -> str | None:
    """A person's name as given, or None when nothing readable is left or it is over 64 kB.

    A name is never shortened: what the customer calls themselves comes back byte for byte.
    """
    name = clean_text(text)
    return name if name.strip() and len(name.encode()) <= MAX_NAME_BYTES else None


def units(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, limit: int) -> str:
    """At most `limit` units of the text, ending in "…" if something was left out."""
    return text if units(text) <= limit else text[: _fitting(text, max(limit - 1, 0))].rstrip() + "…"


# Splitting ------------------------------------------------------------------------------------------------


def split_text(text: str, limit: int) -> list[str]:
    """The text in pieces of at most `limit` units, cut where a paragraph, a line, a sentence or a word ends.

    Only white space at the cuts is lost. A visible character (an accent on its letter, a flag, a family of
    emoji) is cut only when it alone is longer than the limit. `limit` is at least 2.
    """
    return list(_pieces(text.strip(), limit))


def _pieces(text: str, limit: int) -> Iterator[str]:
    while units(text) > limit:
        cut = _cut(text, limit)
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    if text:
        yield text


def _cut(text: str, limit: int) -> int:
    fitting = _fitting(text, limit)
    for end in _ENDS:
        # One more character, so that a word that fills the limit exactly is seen to end there.
        cuts = [
            m.end() for m in end.finditer(text, 0, fitting + 1) if len(text[: m.end()].rstrip()) <= fitting
        ]
        # Early ends are passed over: three near-empty messages read worse than one cut at a sentence.
        if cuts and cuts[-1] > fitting // 3:
            return cuts[-1]
    return fitting


def _fitting(text: str, limit: int) -> int:
    """How many code points from the start fit, without cutting a visible character if that is possible."""
    index = used = 0
    while index < len(text) and used + (wide := 2 if text[index] > "\uffff" else 1) <= limit:
        used += wide
        index += 1
    for cut in range(index, 0, -1):
        if _is_boundary(text, cut):
            return cut
    return max(index, 1)


def _is_boundary(text: str, index: int) -> bool:
    if index >= len(text):
        return True
    here, before = text[index], text[index - 1]
    if unicodedata.category(here).startswith("M") or here == "\u200d" or before == "\u200d":
        return False
    if "\U0001f3fb" <= here <= "\U0001f3ff" or "\U000e0020" <= here <= "\U000e007f":
        return False
    return not (_is_flag(here) and _is_flag(before) and _flags_before(text, index) % 2)


def _is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flags_before(text: str, index: int) -> int:
    count = 0
    while index - count > 0 and _is_flag(text[index - count - 1]):
        count += 1
    return count


# Typed choices --------------------------------------------------------------------------------------------


def understand_choice(text: str, pending: Pending | None) -> Reply | None:
    """The choice that a typed answer means: its title, its number in any script's digits, or both.

    None when it means none of them, so that the text is read as what it says.
    """
    if pending is None:
        return None
    said = fold(text)
    for choice, title in pending.choices:
        if said and said == fold(title):
            return Reply(choice, title, pending.message or None)
    number, rest = _typed_number(text)
    if number is None or not 1 <= number <= len(pending.choices):
        return None
    choice, title = pending.choices[number - 1]
    return Reply(choice, title, pending.message or None) if rest in ("", fold(title)) else None


def _typed_number(text: str) -> tuple[int | None, str]:
    match = _NUMBER.match(text.strip())
    return (int(match[1]), fold(match[2])) if match else (None, "")


def fold(text: str) -> str:
    """The text for comparing: no case, accents, doubled spaces or punctuation at its ends."""
    bare = "".join(
        c for c in unicodedata.normalize("NFKD", text) if not unicodedata.category(c).startswith("M")
    )
    words = " ".join(bare.casefold().split())
    start, end = 0, len(words)
    while start < end and not words[start].isalnum():
        start += 1
    while end > start and not words[end - 1].isalnum():
        end -= 1
    # What is nothing but signs (an emoji as a title) is compared as it stands.
    return words[start:end] or words


# HTTP faults ----------------------------------------------------------------------------------------------


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that a `Retry-After` header (seconds or a date, RFC 9110) asks to wait, at most a day."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=now.tzinfo)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_WAIT)


def http_error(kind: str, status: int, wait: float | None) -> SendError:
    """The decision that an HTTP status alone allows, for an answer that says nothing more."""
    code = f"{kind}:http_{status}"
    if status == 429:
        return SendError(
            code, "The provider asks us to send less.", retryable=True, wait=wait, scope="channel"
        )
    if status == 504:
        # A gateway gave up waiting for the provider; the provider itself may have gone on.
        unsure = SendError(
            code, "The provider's gateway timed out.", retryable=True, wait=wait, scope="channel"
        )
        return replace(unsure, outcome="unknown")
    if status >= 500 or status == 408:
        return SendError(code, "The provider has a fault.", retryable=True, wait=wait, scope="channel")
    return SendError(code, "The provider refused the message.")


def transport_error(kind: str, error: aiohttp.ClientError | TimeoutError) -> SendError:
    """The decision for an exchange that broke.

    Refused when the connection was never made; unknown once the request may have gone out, for then only the
    provider knows whether it took the message.
    """
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return SendError(
            f"{kind}:connect", "The provider could not be reached.", retryable=True, scope="channel"
        )
    if isinstance(error, aiohttp.InvalidURL):
        return SendError(f"{kind}:address", "The provider's address is not valid.")
    late = isinstance(error, TimeoutError)
    code, text = ("timeout", "did not answer in time") if late else ("broken", "broke the connection")
    return SendError(
        f"{kind}:{code}", f"The provider {text}.", retryable=True, outcome="unknown", scope="channel"
    )
