"""Files, pages and answers into a tenant's knowledge: read, cut, embedded, and written in place of what they replace."""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePath
from typing import Literal

from brain.chunk import chunk
from brain.embed import Embedder
from brain.language import guess
from brain.parse import MEDIA_TYPES, Parsed, Refused, kind_of
from brain.parse.encoding import clean, one_line
from brain.port import RemoteEmbedder
from brain.sandbox import BATCH, BATCH_BYTES, Limits, parse_files
from brain.vectors import Embedders, embedded
from brain.words import fold
from gateway.model.errors import Invalid
from gateway.model.knowledge import MAIN, Chunk, Document, KnowledgeStore

ANSWER_TYPE = "text/x-answer"
"""The kind of a document that is one answer, written by a person."""

MAX_QUESTION = 500
MAX_ANSWER = 4000
_MAX_TITLE = 120
_LANGUAGE_FROM = 40
"""Characters; a shorter passage is in its document's language."""


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


@dataclass(frozen=True, slots=True)
class Given:
    """One file to add. `origin` is its path or address, and tells what it replaces; the ending of `name` (without one: of
    `origin`) the kind of file. `url` is where customers can read it; `title` goes before the file's own."""

    origin: str
    data: bytes = field(repr=False)
    name: str = ""
    url: str | None = None
    title: str = ""

    @property
    def named(self) -> str:
        return PurePath(self.name or self.origin).name


@dataclass(frozen=True, slots=True)
class Into:
    """Where documents go: a collection, live or as a draft, on whose account."""

    tenant: str
    collection: str = MAIN
    draft: bool = False
    source: str | None = None


def document_id(tenant: str, origin: str) -> str:
    """The id of the document that comes from `origin`: the same whenever it is added again."""
    return hashlib.sha256(f"{tenant}\0{origin}".encode("utf-8", "replace")).hexdigest()[:24]


def answer_origin(question: str) -> str:
    """The origin of a person's answer to a question: the same for any spelling, case and punctuation of it."""
    folded = " ".join(re.findall(r"\w+", fold(clean(question))))
    return "answer:" + hashlib.sha256(folded.encode("utf-8", "replace")).hexdigest()[:24]


async def add_files(
    store: KnowledgeStore,
    embedders: Embedders,
    into: Into,
    given: Sequence[Given],
    now: datetime,
    *,
    force: bool = False,
    limits: Limits | None = None,
) -> list[AddResult]:
    """Add files together, or put them in place of earlier ones from the same origins: read in one child process, embedded
    in one call, written with one raise of the knowledge's version.

    `force` reads files again that have not changed. A refused file leaves an earlier version as it was.
    """
    results: dict[int, AddResult] = {}
    fresh: list[tuple[int, Given, Document | None]] = []
    for place, one in enumerate(given):
        one = replace(one, origin=clean(one.origin))
        own = document_id(into.tenant, one.origin)
        before = await store.get(into.tenant, own, into.draft)
        if before and not force and _same(before, one, into, embedders.local.model):
            results[place] = AddResult(one.origin, "unchanged", document=own, chunks=before.chunks)
        else:
            fresh.append((place, one, before))
    parsed = await parse_files([(one.named, one.data) for _, one, _ in fresh], limits or Limits())
    made: list[tuple[Document, Sequence[Chunk]]] = []
    for (place, one, before), found in zip(fresh, parsed, strict=True):
        if isinstance(found, Refused):
            results[place] = AddResult(one.origin, "refused", str(found))
            continue
        document, chunks = await asyncio.to_thread(_made, into, one, found, now)
        made.append((document, chunks))
        results[place] = AddResult(
            one.origin, "replaced" if before else "added", document=document.id, chunks=len(chunks)
        )
    if made:
        await store.put_all(into.tenant, await embedded(made, embedders))
    return [results[place] for place in range(len(given))]


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
    collection: str = MAIN,
    draft: bool = False,
    source: str | None = None,
    title: str = "",
    remote: RemoteEmbedder | None = None,
) -> AddResult:
    """`add_files` for one."""
    into = Into(tenant, collection, draft, source)
    given = [Given(origin, data, url=url, title=title)]
    (result,) = await add_files(
        store, Embedders(embedder, remote), into, given, now, force=force, limits=limits
    )
    return result


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
    collection: str = MAIN,
    draft: bool = False,
    title: str = "",
    remote: RemoteEmbedder | None = None,
) -> list[AddResult]:
    """Add a file, or every file of a folder and of the folders in it, in the order of their names.

    Hidden files and links are left alone. An origin is the absolute path, or the path under `base` if that
    is given (for documents that move with an installation). `title` is that of a single file.
    """
    limits = limits or Limits()
    into, embedders = Into(tenant, collection, draft), Embedders(embedder, remote)
    files = await asyncio.to_thread(lambda: list(_files(path)))
    if not files:
        return [AddResult(str(path), "refused", "There is no file here that could be added.")]
    results: list[AddResult] = []
    for batch in _batches(files):
        read = [await asyncio.to_thread(_read, file, _origin(file, base), limits) for file in batch]
        given = [
            replace(one, title=title if len(files) == 1 else "") for one in read if isinstance(one, Given)
        ]
        added = iter(await add_files(store, embedders, into, given, now, force=force, limits=limits))
        for one in read:
            results.append(next(added) if isinstance(one, Given) else one)
            if progress:
                progress(len(results), len(files), results[-1])
    return results


async def add_answer(
    store: KnowledgeStore,
    embedder: Embedder,
    tenant: str,
    question: str,
    answer: str,
    now: datetime,
    *,
    collection: str = MAIN,
    draft: bool = False,
    url: str | None = None,
    source: str | None = None,
    remote: RemoteEmbedder | None = None,
) -> AddResult:
    """Add a person's answer to a question; a second one to the same question replaces the first.

    The words stay as they were written, phone numbers and addresses too: it is the business that says them. Raises
    Invalid, naming `question` or `answer`.
    """
    question, answer = one_line(clean(question)), clean(answer).strip()
    if not 1 <= len(question) <= MAX_QUESTION or not any(char.isalnum() for char in question):
        raise Invalid("question", f"a question of 1 to {MAX_QUESTION} characters")
    if not 1 <= len(answer) <= MAX_ANSWER:
        raise Invalid("answer", f"an answer of 1 to {MAX_ANSWER} characters")
    origin = answer_origin(question)
    own = document_id(tenant, origin)
    checksum = hashlib.sha256(f"{question}\0{answer}".encode()).hexdigest()
    before = await store.get(tenant, own, draft)
    language = guess(f"{question} {answer}")
    document = Document(
        *(own, tenant, question[:_MAX_TITLE], origin, checksum, 1, now),
        url=url,
        media_type=ANSWER_TYPE,
        collection=collection,
        source=source,
        language=language,
        draft=draft,
    )
    passage = Chunk(f"{own}-00000", own, 0, answer, question=question, language=language)
    await store.put_all(tenant, await embedded([(document, [passage])], Embedders(embedder, remote)))
    return AddResult(origin, "replaced" if before else "added", document=own, chunks=1)


def _same(before: Document, one: Given, into: Into, model: str) -> bool:
    """Whether adding it again would change nothing."""
    now = (hashlib.sha256(one.data).hexdigest(), one.url, into.collection)
    # Documents of earlier versions don't name their model.
    kept = (before.checksum, before.url, before.collection)
    return now == kept and before.local in ("", model) and one.title[:_MAX_TITLE] in ("", before.title)


def _made(into: Into, one: Given, parsed: Parsed, now: datetime) -> tuple[Document, list[Chunk]]:
    own = document_id(into.tenant, one.origin)
    passages = chunk(parsed.sections)
    told = [guess(p.text) if len(p.text) >= _LANGUAGE_FROM else None for p in passages]
    # A document of many short pieces tells its language only as a whole.
    most = Counter(language for language in told if language).most_common(1)
    language = most[0][0] if most else guess(" ".join(f"{p.question or ''} {p.text}" for p in passages[:50]))
    chunks = [
        Chunk(
            *(f"{own}-{place:05}", own, place, p.text, p.headings, p.page),
            question=p.question,
            language=tag or language,
        )
        for place, (p, tag) in enumerate(zip(passages, told, strict=True))
    ]
    title = one_line(clean(one.title)) or parsed.title or _title(one.origin)
    document = Document(
        *(
            own,
            into.tenant,
            title[:_MAX_TITLE],
            one.origin,
            hashlib.sha256(one.data).hexdigest(),
            len(chunks),
            now,
        ),
        url=one.url,
        media_type=MEDIA_TYPES[kind_of(one.named)],
        collection=into.collection,
        source=into.source,
        language=language,
        draft=into.draft,
    )
    return document, chunks


def _title(origin: str) -> str:
    """A title from a file's name: `opening-hours.txt` is “Opening hours”, `faq.csv` is “FAQ”."""
    name = one_line(PurePath(origin).stem.replace("-", " ").replace("_", " "))
    return name.upper() if len(name) <= 3 else name[:1].upper() + name[1:]


def _batches(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Files to be read together: not more than a child takes at once."""
    batch: list[Path] = []
    size = 0
    for file in files:
        try:
            more = file.stat().st_size
        except OSError:  # it is gone; reading it says so
            more = 0
        if batch and (len(batch) >= BATCH or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += more
    if batch:
        yield batch


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


def _read(file: Path, origin: str, limits: Limits) -> Given | AddResult:
    # The kind and the size are known before the file is read.
    try:
        kind_of(file.name)
        with file.open("rb") as opened:
            data = opened.read(limits.size + 1)
    except Refused as refused:
        return AddResult(origin, "refused", str(refused))
    except OSError as error:
        return AddResult(origin, "refused", f"The file can't be opened: {error.strerror}.")
    if len(data) > limits.size:
        most = limits.size / 2**20
        return AddResult(
            origin, "refused", f"The file is larger than {most:.0f} MB. Split it into smaller files."
        )
    return Given(origin, data)
