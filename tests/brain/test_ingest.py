"""Adding, replacing, removing; the child process and its limits."""

import asyncio
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from brain.embed import Embedder
from brain.ingest import AddResult, add_file, add_path, document_id
from brain.memory import MemoryKnowledge
from brain.sandbox import Limits
from tests.brain.conftest import NOW, SAMPLES
from tests.brain.make_pdf import assemble, pdf


async def add(
    store: MemoryKnowledge, embedder: Embedder, name: str, data: bytes, limits: Limits | None = None
) -> AddResult:
    return await add_file(store, embedder, "t", name, data, NOW, limits=limits)


async def test_added_unchanged_replaced_removed(store: MemoryKnowledge, embedder: Embedder) -> None:
    first = await add(store, embedder, "a.md", b"# A\n\nOld text.\n\n## B\n\nMore.")
    assert (first.outcome, first.chunks) == ("added", 2)
    again = await add(store, embedder, "a.md", b"# A\n\nOld text.\n\n## B\n\nMore.")
    assert (again.outcome, again.chunks, store.version("t")) == ("unchanged", 2, 1)
    changed = await add(store, embedder, "a.md", b"# A\n\nNew text.")
    assert (changed.outcome, changed.document) == ("replaced", first.document)
    assert [chunk.text for chunk in await store.chunks("t")] == ["New text."]
    assert first.document and await store.remove("t", first.document)
    assert (await store.chunks("t"), await store.documents("t")) == ([], [])


async def test_what_is_stored(store: MemoryKnowledge, embedder: Embedder) -> None:
    await add_file(store, embedder, "t", "docs/opening-hours.txt", b"Always.", NOW, url="https://x.example/h")
    (stored,) = await store.documents("t")
    assert (stored.title, stored.url, stored.media_type) == (
        "Opening hours",
        "https://x.example/h",
        "text/plain",
    )
    assert (stored.id, stored.added) == (document_id("t", "docs/opening-hours.txt"), NOW)
    (chunk,) = await store.chunks("t")
    assert (chunk.id, chunk.document, len(chunk.vector)) == (f"{stored.id}-00000", stored.id, 512)


async def test_the_same_file_of_two_tenants_is_two_documents() -> None:
    assert document_id("a", "x.md") != document_id("b", "x.md")


async def test_a_refused_change_leaves_the_earlier_version(
    store: MemoryKnowledge, embedder: Embedder
) -> None:
    await add(store, embedder, "a.md", b"Old.")
    refused = await add(store, embedder, "a.md", b"")
    assert (refused.outcome, refused.reason) == ("refused", "The file is empty.")
    assert len(await store.chunks("t")) == 1


async def test_force_reads_an_unchanged_file_again(store: MemoryKnowledge, embedder: Embedder) -> None:
    await add(store, embedder, "a.md", b"Old.")
    result = await add_file(store, embedder, "t", "a.md", b"Old.", NOW, force=True)
    assert result.outcome == "replaced"


async def test_a_folder_with_progress(store: MemoryKnowledge, embedder: Embedder, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.md").write_text("Text.")
    (tmp_path / "a.txt").write_text("Text.")
    (tmp_path / "c.docx").write_bytes(b"PK\x03\x04")
    (tmp_path / ".hidden.md").write_text("Text.")
    (tmp_path / "link.md").symlink_to(tmp_path / "a.txt")
    seen: list[tuple[int, int, str]] = []
    results = await add_path(
        *(store, embedder, "t", tmp_path, NOW),
        base=tmp_path,
        progress=lambda done, total, result: seen.append((done, total, result.origin)),
    )
    assert [(result.origin, result.outcome) for result in results] == [
        ("a.txt", "added"),
        ("c.docx", "refused"),
        ("deep/b.md", "added"),
    ]
    assert seen == [(1, 3, "a.txt"), (2, 3, "c.docx"), (3, 3, "deep/b.md")]


async def test_a_path_without_files(store: MemoryKnowledge, embedder: Embedder, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        (result,) = await add_path(store, embedder, "t", path, NOW)
        assert (result.outcome, result.reason) == ("refused", "There is no file here that could be added.")


async def test_a_single_file_has_its_absolute_path_as_origin(
    store: MemoryKnowledge, embedder: Embedder
) -> None:
    (result,) = await add_path(store, embedder, "t", SAMPLES / "faq.csv", NOW)
    assert (result.origin, result.outcome, result.chunks) == ((SAMPLES / "faq.csv").as_posix(), "added", 14)


async def test_too_large_files_are_not_read(
    store: MemoryKnowledge, embedder: Embedder, tmp_path: Path
) -> None:
    small = Limits(size=100)
    assert "larger than" in (await add(store, embedder, "a.txt", b"x" * 101, small)).reason
    (tmp_path / "a.txt").write_bytes(b"x" * 101)
    (result,) = await add_path(store, embedder, "t", tmp_path / "a.txt", NOW, limits=small)
    assert "larger than" in result.reason


def many_pages() -> bytes:
    """Valid, small (20 kB), and many seconds of work."""
    return pdf((), extra=(b"BT /F1 9 Tf " + b"(word) Tj T* " * 400_000 + b"ET",))


async def test_a_child_that_takes_too_long_is_ended(store: MemoryKnowledge, embedder: Embedder) -> None:
    result = await add(store, embedder, "a.pdf", many_pages(), Limits(wall=0.5))
    assert (result.outcome, result.reason[:28]) == ("refused", "Reading the file took too lo")


async def test_a_child_that_computes_too_long_is_ended(store: MemoryKnowledge, embedder: Embedder) -> None:
    result = await add(store, embedder, "a.pdf", many_pages(), Limits(cpu=1))
    assert "took too long" in result.reason


async def test_a_child_that_needs_too_much_memory_is_ended(
    store: MemoryKnowledge, embedder: Embedder
) -> None:
    result = await add(store, embedder, "a.txt", b"word " * 3_000_000, Limits(memory=80 * 2**20))
    assert result.outcome == "refused"
    assert "too much memory" in result.reason


async def test_a_bomb_of_a_pdf_is_refused(store: MemoryKnowledge, embedder: Embedder) -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(120)) + packer.flush()
    result = await add(store, embedder, "a.pdf", assemble([bomb]), Limits(wall=5))
    assert result.outcome == "refused"


async def test_a_result_that_is_too_large_is_refused(store: MemoryKnowledge, embedder: Embedder) -> None:
    result = await add(store, embedder, "a.txt", b"word " * 10_000, Limits(output=10_000))
    assert result.outcome == "refused"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("deep.html", b"<div>" * 200_000 + b"text" + b"</div>" * 200_000),
        ("open.html", b"<p" * 100_000 + b">text"),
        ("deep.md", b"> " * 5_000 + b"text"),
        ("list.md", b"".join(b"  " * i + b"- item\n" for i in range(300))),
        ("line.txt", b"word " * 200_000),
        ("solid.txt", b"x" * 1_000_000),
        ("latin.txt", "Öffnungszeiten: täglich für alle geöffnet".encode("cp1252")),
        ("nul.md", b"some \0 plain text " * 20),
        ("quotes.csv", b'question,answer\n"unclosed,' + b"x" * 50_000),
        ("émoji 🚲.txt", "Fahrräder 🚲 sind toll".encode()),
    ],
)
async def test_odd_files_end_in_an_answer(
    store: MemoryKnowledge, embedder: Embedder, name: str, data: bytes
) -> None:
    result = await add(store, embedder, name, data)
    assert result.outcome in ("added", "refused")
    assert bool(result.reason) == (result.outcome == "refused")
    for chunk in await store.chunks("t"):
        chunk.text.encode()
        assert "\0" not in chunk.text


def test_the_child_loads_no_model() -> None:
    order = "dict(files=[['a.md', 10]], memory=2**29, cpu=9, output=10**6)"
    code = f"""
import sys, json
sys.argv = ["x", json.dumps({order})]
import brain.parse.__main__
print()
print([name for name in ("numpy", "wordllama", "pypdf") if name in sys.modules])
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=b"# T\n\nText.", capture_output=True, cwd=SAMPLES.parent, check=True)
    assert done.stdout.decode().splitlines()[-1] == "[]"


async def test_the_child_inherits_no_secret(
    store: MemoryKnowledge, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, str]] = []
    start = asyncio.create_subprocess_exec

    async def spy(*command: str, **options: Any) -> asyncio.subprocess.Process:
        given.append(options["env"])
        return await start(*command, **options)

    monkeypatch.setenv("SECRET_KEYS", "s")
    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)
    assert (await add(store, embedder, "a.md", b"Text.")).outcome == "added"
    assert [sorted(env) for env in given] == [["PYTHONPATH", "PYTHONUTF8"]]
