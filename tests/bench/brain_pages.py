"""Pages into knowledge: read in child processes, cut, embedded, written to the embedded database."""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from brain.embed import LocalEmbedder
from brain.ingest import add_path
from gateway.bootstrap import open_store
from gateway.model.tenant import Tenant
from gateway.settings import Settings
from tests.bench.rig import Row, at_most, folder, plain

PAGES = 1_000
SECONDS = 60.0
SENTENCES = 24
"""Of a page: about 350 words, three passages."""


async def index_pages(embedder: LocalEmbedder, corpus: Sequence[str], scale: float) -> list[Row]:
    """Seconds for a folder of HTML pages, from the files to what can be asked; then once more, unchanged."""
    count = max(50, int(PAGES * scale))
    now = datetime(2026, 11, 2, 9, tzinfo=UTC)
    async with folder() as place:
        pages = place / "pages"
        _write(pages, corpus, count)
        settings = Settings(data_dir=place / "data")
        async with open_store(settings, say=lambda _: None) as store:
            await store.directory.add_tenant(Tenant("t", "T", now))
            begun = time.perf_counter()
            added = await add_path(store.knowledge, embedder, "t", pages, now)
            took = time.perf_counter() - begun
            begun = time.perf_counter()
            again = await add_path(store.knowledge, embedder, "t", pages, now)
            unchanged = time.perf_counter() - begun
    assert {r.outcome for r in added} == {"added"}, [r for r in added if r.reason][:3]
    assert {r.outcome for r in again} == {"unchanged"}
    passages = sum(r.chunks for r in added)
    return [
        at_most(f"{count:,} pages indexed", took, SECONDS * count / PAGES, "s"),
        plain("passages of them", f"{passages:,}, {passages / took:.0f} a second"),
        plain("the same pages again, unchanged", f"{unchanged:.2f} s"),
    ]


def _write(place: Path, corpus: Sequence[str], count: int) -> None:
    draw = random.Random(6)
    place.mkdir()
    for n in range(count):
        parts = [
            f"<h2>Part {part}</h2><p>{' '.join(draw.choices(corpus, k=SENTENCES // 3))}</p>"
            for part in range(3)
        ]
        text = (
            f"<html><head><title>Page {n}</title></head><body><h1>Page {n}</h1>{''.join(parts)}</body></html>"
        )
        (place / f"page-{n:05}.html").write_text(text)
