"""Files into a tenant's knowledge: read, cut, embedded, and written in place of what they replace."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Literal

import numpy as np

from brain.chunk import Passage, chunk
from brain.embed import Embedder
from brain.index import embedded_text
from brain.parse import MEDIA_TYPES, Refused, kind_of
from brain.parse.encoding import clean, one_line
from brain.sandbox import Limits, parse_file
from gateway.model.knowledge import Chunk, Document, KnowledgeStore

_MAX_TITLE = 120


@dataclass(frozen=True, slots=True)
class AddResult:
    """What became of one file. `reason` is a sentence for a person, set when it was refused."""

    origin: str
    outcome: Literal["added", "replaced", "unchanged", "refused"]
    reason: str = ""
    document: str | None = None
    chunks: int = 0


Progress = Callable[[int, int, AddResult], None]
"""Called after each file with how many are done, how many there are, and the file's result."""


def document_id(tenant: str, origin: str) -> str:
    """The id of the document that comes from `origin`: the same whenever it is added again."""
    return hashlib.sha256(f"{tenant}\0{origin}".encode("utf-8", "replace")).hexdigest()[:24]


async def add_file(
    store: KnowledgeStore,
    embedder: Embedder,
    tenant: str,
    origin: str,
    data: bytes,
    now: datetime,
    *,
    url: str | None = None,
    force: bool = False,
    limits: Limits | None = None,
) -> AddResult:
    """Add one file, or put it in place of an earlier one from the same origin.

    `origin` is its path or address; its ending tells the kind of file. `url` is where customers can read it.
    `force` reads a file again that has not changed. A refused file leaves an earlier version as it was.
    """
    origin = clean(origin)
    own = document_id(tenant, origin)
    checksum = hashlib.sha256(data).hexdigest()
    before = {document.id: document for document in await store.documents(tenant)}.get(own)
    if before and before.checksum == checksum and before.url == url and not force:
        return AddResult(origin, "unchanged", document=own, chunks=before.chunks)
    try:
        parsed = await parse_file(PurePath(origin).name, data, limits or Limits())
    except Refused as refused:
        return AddResult(origin, "refused", str(refused))
    title = (parsed.title or _title(origin))[:_MAX_TITLE]
    passages = await asyncio.to_thread(chunk, parsed.sections)
    chunks = await _chunks(embedder, own, title, passages)
    media_type = MEDIA_TYPES[kind_of(origin)]
    document = Document(own, tenant, title, origin, checksum, len(chunks), now, url, media_type)
    await store.put(tenant, document, chunks)
    return AddResult(origin, "replaced" if before else "added", document=own, chunks=len(chunks))


async def add_path(
    store: KnowledgeStore,
    embedder: Embedder,
    tenant: str,
    path: Path,
    now: datetime,
    *,
    base: Path | None = None,
    force: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> list[AddResult]:
    """Add a file, or every file of a folder and of the folders in it, in the order of their names.

    Hidden files and links are left alone. An origin is the absolute path, or the path under `base` if that
    is given (for documents that move with an installation).
    """
    limits = limits or Limits()
    files = await asyncio.to_thread(lambda: list(_files(path)))
    if not files:
        return [AddResult(str(path), "refused", "There is no file here that could be added.")]
    results: list[AddResult] = []
    for file in files:
        origin = _origin(file, base)
        try:
            data = await asyncio.to_thread(_read, file, limits)
        except OSError as error:
            result = AddResult(origin, "refused", f"The file can't be opened: {error.strerror}.")
        except Refused as refused:
            result = AddResult(origin, "refused", str(refused))
        else:
            result = await add_file(store, embedder, tenant, origin, data, now, force=force, limits=limits)
        results.append(result)
        if progress:
            progress(len(results), len(files), result)
    return results


async def _chunks(embedder: Embedder, document: str, title: str, passages: Sequence[Passage]) -> list[Chunk]:
    texts = [embedded_text(title, p.headings, p.question, p.text) for p in passages]
    vectors = (await embedder.embed(texts)).astype(np.dtype("<f2"))
    return [
        Chunk(
            f"{document}-{place:05}",
            document,
            place,
            p.text,
            p.headings,
            p.page,
            vector.tobytes(),
            p.question,
        )
        for place, (p, vector) in enumerate(zip(passages, vectors, strict=True))
    ]


def _title(origin: str) -> str:
    """A title from a file's name: `opening-hours.txt` is “Opening hours”, `faq.csv` is “FAQ”."""
    name = one_line(PurePath(origin).stem.replace("-", " ").replace("_", " "))
    return name.upper() if len(name) <= 3 else name[:1].upper() + name[1:]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        for entry in sorted(path.iterdir()):
            if not entry.name.startswith(".") and not entry.is_symlink():
                yield from _files(entry)


def _origin(file: Path, base: Path | None) -> str:
    absolute = file.resolve()
    return absolute.relative_to(base.resolve()).as_posix() if base else absolute.as_posix()


def _read(file: Path, limits: Limits) -> bytes:
    # The kind and the size are known before the file is read.
    kind_of(file.name)
    with file.open("rb") as opened:
        data = opened.read(limits.size + 1)
    if len(data) > limits.size:
        raise Refused(f"The file is larger than {limits.size / 2**20:.0f} MB. Split it into smaller files.")
    return data
