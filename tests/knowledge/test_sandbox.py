"""Several files in one child: each has its own limits, and answers for itself only."""

import asyncio
from typing import Any

import pytest

from brain.parse import Parsed, Refused
from brain.sandbox import BATCH, Limits, parse_files
from tests.brain.make_pdf import pdf
from tests.knowledge.office import pack, sheet, xlsx


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each child that is started."""
    started: list[int] = []
    real = asyncio.create_subprocess_exec

    async def counted(*command: str, **options: Any) -> asyncio.subprocess.Process:
        child = await real(*command, **options)
        started.append(child.pid)
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counted)
    return started


def slow() -> bytes:
    """Valid, small (20 kB), and many seconds of work."""
    return pdf((), extra=(b"BT /F1 9 Tf " + b"(word) Tj T* " * 400_000 + b"ET",))


def said(found: Parsed | Refused) -> str:
    return str(found) if isinstance(found, Refused) else found.sections[0].blocks[0]


async def test_many_files_take_few_children(children: list[int]) -> None:
    files = [(f"{n}.md", f"Page {n}.".encode()) for n in range(BATCH + 3)]
    found = await parse_files(files, Limits())
    assert [said(f) for f in found] == [f"Page {n}." for n in range(BATCH + 3)]
    assert len(children) == 2


async def test_no_file_and_only_bad_files_take_no_child(children: list[int]) -> None:
    assert await parse_files([], Limits()) == []
    found = await parse_files([("a.exe", b"x"), ("b.txt", b"x" * 11)], Limits(size=10))
    assert [isinstance(f, Refused) for f in found] == [True, True]
    assert children == []


async def test_a_file_that_hangs_the_child_leaves_the_others(children: list[int]) -> None:
    files = [("a.md", b"First."), ("slow.pdf", slow()), ("c.md", b"Last.")]
    found = await parse_files(files, Limits(wall=3))
    assert [said(f)[:26] for f in found] == ["First.", "Reading the file took too ", "Last."]
    assert len(children) == 3


async def test_processor_time_is_each_files_own() -> None:
    files = [("a.pdf", slow()), ("b.md", b"Read."), ("c.pdf", slow())]
    found = await parse_files(files, Limits(cpu=1))
    assert [said(f)[:26] for f in found] == [
        "Reading the file took too ",
        "Read.",
        "Reading the file took too ",
    ]


async def test_memory_is_each_files_own() -> None:
    big = b"word " * 3_000_000
    files = [("a.md", b"First."), ("b.txt", big), ("c.md", b"Last.")]
    found = await parse_files(files, Limits(memory=80 * 2**20))
    assert [said(f)[:29] for f in found] == ["First.", "The file needs too much memor", "Last."]


async def test_a_result_that_is_too_large_is_its_own_files_fault() -> None:
    files = [("a.md", b"First."), ("b.txt", b"word " * 10_000), ("c.md", b"Last.")]
    found = await parse_files(files, Limits(output=10_000))
    assert [isinstance(f, Refused) for f in found] == [False, True, False]


async def test_a_sheet_with_one_cell_far_away_is_refused_within_the_limit() -> None:
    good = xlsx({"A": (("Room", "Price", "Size"), ("Small", 10, 5))})
    far = sheet((("x", "y", "z"),)).replace('r="C1"', 'r="XFD1048576"')
    assert "XFD1048576" in far
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    bad = pack({**parts, "xl/worksheets/sheet1.xml": far})
    first, second = await parse_files([("bad.xlsx", bad), ("good.xlsx", good)], Limits())
    assert isinstance(first, Refused)
    assert "too much memory" in str(first)
    assert said(second) == "Small — Price: 10; Size: 5"
