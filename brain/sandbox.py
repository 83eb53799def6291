"""Reads files in a child process that can neither hang, nor eat the memory, nor reach our secrets.

The child gets the bytes and leaves its result in temporary files, not pipes: nothing can block, and the
kernel itself holds the size of the result (RLIMIT_FSIZE). It inherits no environment.
"""

import asyncio
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from brain.parse import Parsed, Refused, Section, kind_of

_TOO_LONG = "Reading the file took too long. Split it into smaller files or make it simpler."
_TOO_MUCH = "The file needs too much memory to read. Split it or make it simpler."
_DAMAGED = "The file is damaged and can't be read. Save it again and add the new copy."

BATCH = 64
BATCH_BYTES = 8 * 1024 * 1024
LOOKS = 10
"""How often a child is looked at within the time of one file."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may cost: seconds on the clock, seconds of processor time, bytes."""

    wall: float = 25.0
    cpu: float = 25.0
    memory: int = 512 * 1024 * 1024
    output: int = 32 * 1024 * 1024
    size: int = 20 * 1024 * 1024


async def parse_file(name: str, data: bytes, limits: Limits) -> Parsed:
    """Parse a file in a child process. Raises Refused with a sentence for a person; ends the child always."""
    (found,) = await parse_files([(name, data)], limits)
    if isinstance(found, Refused):
        raise found
    return found


async def parse_files(files: Sequence[tuple[str, bytes]], limits: Limits) -> list[Parsed | Refused]:
    """Parse files, names and bytes, one after the other in as few child processes as it takes.

    Starting a child costs more than reading a page. The limits hold for each file: one that breaks a child ends it, is
    tried once more alone, so that it answers for itself only, and the rest goes on in the next child.
    """
    found: dict[int, Parsed | Refused] = {}
    waiting: list[int] = []
    for place, (name, data) in enumerate(files):
        if refused := _refused(name, data, limits):
            found[place] = refused
        else:
            waiting.append(place)
    while waiting:
        batch = _batch(waiting, files)
        read = await _child([files[place] for place in batch], limits)
        if len(batch) > 1 and read[-1].broke:
            (read[-1],) = await _child([files[batch[len(read) - 1]]], limits)
        for place, result in zip(batch, read, strict=False):
            found[place] = result.value
        waiting = [place for place in waiting if place not in found]
    return [found[place] for place in range(len(files))]


@dataclass(frozen=True, slots=True)
class _Read:
    value: Parsed | Refused
    broke: bool = False
    """The child ended over this file, or was near its limits: alone it may be read."""


def _refused(name: str, data: bytes, limits: Limits) -> Refused | None:
    try:
        kind_of(name)
    except Refused as refused:
        return refused
    if len(data) > limits.size:
        return Refused(f"The file is larger than {limits.size / 2**20:.0f} MB. Split it into smaller files.")
    return None


def _batch(waiting: Sequence[int], files: Sequence[tuple[str, bytes]]) -> list[int]:
    """The next files of one child: at most BATCH, and BATCH_BYTES, but at least one."""
    batch: list[int] = []
    size = 0
    for place in waiting[:BATCH]:
        size += len(files[place][1])
        if batch and size > BATCH_BYTES:
            break
        batch.append(place)
    return batch


async def _child(files: Sequence[tuple[str, bytes]], limits: Limits) -> list[_Read]:
    """What one child made of the files, in order, up to the one that it broke over (which is among them)."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result:
        await asyncio.to_thread(_fill, source, [data for _, data in files])
        why = await _run(files, source, result, limits)
        return await asyncio.to_thread(_results, result, len(files), why)


def _fill(file: IO[bytes], parts: Sequence[bytes]) -> None:
    for part in parts:
        file.write(part)
    file.flush()
    file.seek(0)


async def _run(
    files: Sequence[tuple[str, bytes]], source: IO[bytes], result: IO[bytes], limits: Limits
) -> str:
    """Run the child to its end; the reason to give for a file that it has no result for."""
    order = {
        "files": [[name[-200:].encode("utf-8", "replace").decode(), len(data)] for name, data in files],
        "memory": limits.memory,
        "cpu": max(1, math.ceil(limits.cpu)),
        "output": limits.output,
    }
    root = _root()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "brain.parse", json.dumps(order)),
        stdin=source,
        stdout=result,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=root,
        env={"PYTHONPATH": root, "PYTHONUTF8": "1"},
    )
    try:
        ended = asyncio.ensure_future(child.wait())
        size, still = 0, 0
        while not (await asyncio.wait({ended}, timeout=limits.wall / LOOKS))[0]:
            # Each file has the whole time: what was written since tells that another one was read.
            before, size = size, os.fstat(result.fileno()).st_size
            still = still + 1 if before == size else 0
            if still >= LOOKS:
                return _TOO_LONG
        code = ended.result()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if code < 0:
        # SIGXCPU (24) and SIGKILL (9) come from the limit on time, SIGABRT (6) from a library without memory; anything
        # else is a crash of a parser.
        return {24: _TOO_LONG, 9: _TOO_LONG, 6: _TOO_MUCH}.get(-code, _DAMAGED)
    return _TOO_MUCH


def _root() -> str:
    """The folder that holds the package `brain`, so that the child finds it wherever we were started."""
    return str(Path(__file__).resolve().parent.parent)


def _results(result: IO[bytes], count: int, why: str) -> list[_Read]:
    result.seek(0)
    found: list[_Read] = []
    for line in result:
        try:
            found.append(_Read(_parsed(json.loads(line))))
        except ValueError:  # it ended in the middle of this one
            break
        except Refused as refused:
            found.append(_Read(refused, str(refused) == _TOO_MUCH))
            if found[-1].broke:
                return found
    if len(found) < count:
        found.append(_Read(Refused(why), True))
    return found


def _parsed(found: dict[str, Any]) -> Parsed:
    if "refused" in found:
        raise Refused(found["refused"])
    return Parsed(found["title"], tuple(_section(section) for section in found["sections"]))


def _section(found: dict[str, Any]) -> Section:
    return Section(tuple(found["blocks"]), tuple(found["headings"]), found["page"], found["question"])
