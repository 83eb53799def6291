"""Row 30: a PDF that loops or bloats: its child is ended within 30 s and 512 MB, and the file has a reason."""

import asyncio
import resource
import zlib
from pathlib import Path
from typing import Any

import pytest

from brain.parse import Refused
from brain.sandbox import Limits, parse_file, parse_files
from tests.brain.make_pdf import assemble, pdf

SECONDS = 30
MEMORY = 512 * 2**20


def looping_pages() -> bytes:
    """A tree of pages that is its own child."""
    data = pdf((("Text.",),))
    return data.replace(b"/Kids [5 0 R]", b"/Kids [2 0 R]").replace(b"/Count 1", b"/Count 9")


def looping_form() -> bytes:
    """A page that draws a form which draws itself."""
    stream = b"/F0 Do"
    body = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F0 7 0 R >> >> /Length 6 >>"
    base = assemble([zlib.compress(stream)])
    return base.replace(
        b"xref\n", b"7 0 obj\n" + body + b"\nstream\n/F0 Do\nendstream\nendobj\nxref\n"
    ).replace(b"/Font << /F1 3 0 R >>", b"/XObject << /F0 7 0 R >>")


def long_work() -> bytes:
    """Small, valid, and minutes of work."""
    return pdf((), extra=(b"BT /F1 9 Tf " + b"(word) Tj T* " * 3_000_000 + b"ET",))


def bloated(megabytes: int) -> bytes:
    """A stream that unpacks to so much."""
    packer = zlib.compressobj(9)
    return assemble(
        [b"".join(packer.compress(b"(word) Tj T* " * 80_000) for _ in range(megabytes)) + packer.flush()]
    )


def packed_twice() -> bytes:
    """A stream packed in a stream: a thousand times a thousand."""
    inner = zlib.compress(b" " * 200 * 2**20, 9)
    data = assemble([zlib.compress(inner, 9)])
    return data.replace(b"/Filter /FlateDecode", b"/Filter [/FlateDecode /FlateDecode]")


FILES = {
    "looping pages": looping_pages,
    "looping form": looping_form,
    "long work": long_work,
    "bloated": lambda: bloated(300),
    "packed twice": packed_twice,
}


@pytest.fixture
def limits_of_children(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limit on memory of each child, as the kernel has it, and the most that it used, seen while it runs."""
    seen: list[tuple[int, int]] = []
    watching: list[asyncio.Task[None]] = []
    real = asyncio.create_subprocess_exec

    async def watched(*command: str, **options: Any) -> asyncio.subprocess.Process:
        child = await real(*command, **options)
        watching.append(asyncio.create_task(_watch(child.pid, seen)))
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    return seen


async def _watch(pid: int, seen: list[tuple[int, int]]) -> None:
    limit = most = 0
    while True:
        try:
            limit = max(limit, resource.prlimit(pid, resource.RLIMIT_AS)[0])
            status = Path(f"/proc/{pid}/status").read_text()
        except (OSError, ValueError):
            break
        lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
        if not lines:
            break
        most = max(most, int(lines[0].split()[1]) * 1024)
        await asyncio.sleep(0.02)
    seen.append((limit, most))


@pytest.mark.parametrize("name", FILES)
async def test_the_child_is_ended_in_time_and_the_file_has_a_reason(
    name: str, limits_of_children: list[tuple[int, int]]
) -> None:
    data = await asyncio.to_thread(FILES[name])
    loop = asyncio.get_running_loop()
    before = loop.time()
    # The processor is shared by the tests: a shorter clock than production's, and production's memory.
    with pytest.raises(Refused) as refused:
        await parse_file("a.pdf", data, Limits(wall=8, cpu=8))
    took = loop.time() - before
    assert Limits().wall <= SECONDS and Limits().cpu <= SECONDS and Limits().memory <= MEMORY
    assert took < SECONDS
    assert str(refused.value).endswith(".")
    while not limits_of_children:
        await asyncio.sleep(0.02)
    ((limit, most),) = limits_of_children
    assert most <= MEMORY
    assert limit in (MEMORY, -1, 2**64 - 1)  # -1: it ended before it was looked at


async def test_a_good_file_beside_a_bad_one_is_read() -> None:
    files = [("bad.pdf", looping_pages()), ("good.pdf", pdf((("Good text of a page that is here.",),)))]
    bad, good = await parse_files(files, Limits(wall=8, cpu=8))
    assert isinstance(bad, Refused)
    assert not isinstance(good, Refused)
    assert good.sections[0].blocks == ("Good text of a page that is here.",)
