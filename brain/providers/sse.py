"""Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) from a provider's answer.

Only what answers of models use: `event` and `data`. Comments, ids and retry times are passed over. A stream that ends within
an event has been cut off; what it had of that event is dropped, as the standard says.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

MAX_LINE: Final = 256 * 1024
MAX_TOTAL: Final = 4 * 1024 * 1024


class TooLong(Exception):
    """A line or a stream longer than any real one."""


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    data: str


async def events(
    parts: AsyncIterator[bytes], max_line: int = MAX_LINE, max_total: int = MAX_TOTAL
) -> AsyncIterator[Event]:
    """Events of a stream, in order. Bytes that are no UTF-8 become U+FFFD. Raises TooLong, and what `parts` raises."""
    name, data, size = "", list[str](), 0
    async for raw in _lines(parts, max_line, max_total):
        line = raw.decode("utf-8", "replace")
        if not line:
            if data:
                yield Event(name or "message", "\n".join(data))
            name, data, size = "", [], 0
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            size += len(value)
            if size > max_line:
                raise TooLong
            data.append(value)


async def _lines(parts: AsyncIterator[bytes], max_line: int, max_total: int) -> AsyncIterator[bytes]:
    """Lines without their ends, which are CR LF, LF or CR; a character split between two parts is whole again."""
    rest, total, first, after_cr = b"", 0, True, False
    async for part in parts:
        total += len(part)
        if total > max_total:
            raise TooLong
        if after_cr and part:
            part, after_cr = part.removeprefix(b"\n"), False
        after_cr = part.endswith(b"\r") if part else after_cr
        rest += part
        # Only these three end a line here: `bytes.splitlines` knows no others.
        *whole, rest = rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            yield line.removeprefix(b"\xef\xbb\xbf") if first else line
            first = False
        if len(rest) > max_line:
            raise TooLong
