"""A small picture of a picture, made in a child process that can neither hang nor eat the memory.

    python -m gateway.thumbnail      reads a picture from standard input, writes JSON and WebP to standard output

Pictures come from strangers, and decoders have had holes: the child has limits on time, memory and what it may write, no
environment and no network use, and only four formats are decoded (Pillow).
"""

import asyncio
import contextlib
import io
import json
import resource
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from weakref import WeakKeyDictionary

MOST_BYTES: Final = 16 * 1024 * 1024
MOST_PIXELS: Final = 40_000_000
SIDE: Final = 320
FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP")
SECONDS: Final = 10
MEMORY: Final = 512 * 1024 * 1024
AT_ONCE: Final = 2
"""Children of one process at a time: each may hold `MEMORY` and a processor."""

WAIT: Final = 60
"""Seconds that a picture waits for its turn; then it stays without a small one."""

_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """`width` and `height` are the original's; `picture` is a WebP of at most 320 pixels a side."""

    width: int
    height: int
    picture: bytes


async def make(chunks: AsyncIterator[bytes]) -> Thumbnail | None:
    """None for what is no picture that we can read. Raises OSError when there is no room on the disk or for a child,
    and TimeoutError, which is one, when too many others wait."""
    async with _place():
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result:
            async for chunk in chunks:
                await asyncio.to_thread(source.write, chunk)
            await asyncio.to_thread(source.flush)
            source.seek(0)
            if await _run(source, result) != 0:
                return None
            result.seek(0)
            # At most 1 MB: more it could not write.
            head, _, picture = result.read(1024 * 1024).partition(b"\n")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        size = json.loads(head)
        return Thumbnail(int(size["width"]), int(size["height"]), picture) if picture else None
    return None


@asynccontextmanager
async def _place() -> AsyncIterator[None]:
    """One of the places of this process. Raises TimeoutError."""
    places = _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    async with asyncio.timeout(WAIT):
        await places.acquire()
    try:
        yield
    finally:
        places.release()


async def _run(source: IO[bytes], result: IO[bytes]) -> int:
    root = _root()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.thumbnail"),
        stdin=source,
        stdout=result,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=root,
        env={"PYTHONPATH": root, "PYTHONUTF8": "1"},
    )
    try:
        return await asyncio.wait_for(child.wait(), SECONDS)
    except TimeoutError:
        return -1
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _root() -> str:
    """The folder that holds our packages, so that the child finds them wherever we were started."""
    return str(Path(__file__).resolve().parent.parent)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, 1024 * 1024))
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    with Image.open(sys.stdin.buffer, formats=FORMATS) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise SystemExit(1)
        image.draft("RGB", (SIDE * 2, SIDE * 2))
        turned = ImageOps.exif_transpose(image)
        turned.thumbnail((SIDE, SIDE))
        mode = "RGBA" if "A" in turned.getbands() or "transparency" in turned.info else "RGB"
        found = io.BytesIO()
        # Nothing of the original's metadata goes on: it may say where it was taken.
        turned.convert(mode).save(found, "WEBP", quality=70, method=4, exif=b"", icc_profile=b"")
    sys.stdout.buffer.write(
        json.dumps({"width": width, "height": height}).encode() + b"\n" + found.getvalue()
    )


if __name__ == "__main__":
    main()
