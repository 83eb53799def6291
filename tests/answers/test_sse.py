"""The reader of server-sent events: whatever way the bytes come, and whatever is wrong with them."""

from collections.abc import AsyncIterator

import pytest

from brain.providers.sse import Event, TooLong, events

STREAM = (
    "\ufeff: hello\r\nevent: a\r\ndata: één\r\ndata: two\r\n\r\n"
    "id: 7\nretry: 5\ndata:three\r\rdata\n\nevent: alone\n\nunknown: x\ndata: 👩‍🚀\n\n"
)
FOUND = [
    Event("a", "één\ntwo"),
    Event("message", "three"),
    Event("message", ""),
    Event("message", "👩‍🚀"),
]


async def parts(*given: bytes) -> AsyncIterator[bytes]:
    for part in given:
        yield part


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 4096])
async def test_however_the_bytes_are_cut_the_events_are_the_same(size: int) -> None:
    raw = STREAM.encode()
    cut = [raw[i : i + size] for i in range(0, len(raw), size)]
    assert [event async for event in events(parts(*cut))] == FOUND


async def test_what_a_broken_stream_had_of_an_event_is_dropped() -> None:
    assert [e async for e in events(parts(b"data: one\n\ndata: tw"))] == [Event("message", "one")]
    assert [e async for e in events(parts(b"data: one\n\ndata: two\n"))] == [Event("message", "one")]


async def test_bytes_that_are_no_text_do_not_end_the_stream() -> None:
    assert [e.data async for e in events(parts(b"data: \xff\xfe\xc3\n\n"))] == ["\ufffd\ufffd\ufffd"]


@pytest.mark.parametrize(
    "given",
    [
        [b"x" * 50] * 10,
        [b"data: " + b"x" * 30 + b"\n"] * 10,
        [b"data: a\n\n"] * 200,
    ],
)
async def test_a_line_an_event_and_a_stream_have_an_end(given: list[bytes]) -> None:
    with pytest.raises(TooLong):
        async for _ in events(parts(*given), max_line=100, max_total=1000):
            pass
