"""Reads a file in a child process that can neither hang, nor eat the memory, nor reach our secrets.

The child gets the bytes and leaves its result in temporary files, not pipes: nothing can block, and the
kernel itself holds the size of the result (RLIMIT_FSIZE). It inherits no environment.
"""

import asyncio
import json
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from brain.parse import Parsed, Refused, Section, kind_of

_TOO_LONG = "Reading the file took too long. Split it into smaller files or make it simpler."
_TOO_MUCH = "The file needs too much memory to read. Split it or make it simpler."
_DAMAGED = "The file is damaged and can't be read. Save it again and add the new copy."


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may cost: seconds on the clock, seconds of processor time, bytes."""

    wall: float = 30.0
    cpu: float = 30.0
    memory: int = 512 * 1024 * 1024
    output: int = 32 * 1024 * 1024
    size: int = 20 * 1024 * 1024


async def parse_file(name: str, data: bytes, limits: Limits) -> Parsed:
    """Parse a file in a child process. Raises Refused with a sentence for a person; ends the child always."""
    kind_of(name)
    if len(data) > limits.size:
        raise Refused(f"The file is larger than {limits.size / 2**20:.0f} MB. Split it into smaller files.")
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result:
        await asyncio.to_thread(_fill, source, data)
        code = await _run(name, source, result, limits)
        return await asyncio.to_thread(_read, result, code, limits)


def _fill(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()
    file.seek(0)


async def _run(name: str, source: IO[bytes], result: IO[bytes], limits: Limits) -> int:
    """The child's exit code; negative is the signal that ended it. Raises Refused when time is up."""
    order = {
        "name": name[-200:].encode("utf-8", "replace").decode(),
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
        return await asyncio.wait_for(child.wait(), limits.wall)
    except TimeoutError:
        raise Refused(_TOO_LONG) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _root() -> str:
    """The folder that holds the package `brain`, so that the child finds it wherever we were started."""
    return str(Path(__file__).resolve().parent.parent)


def _read(result: IO[bytes], code: int, limits: Limits) -> Parsed:
    result.seek(0)
    raw = result.read(limits.output + 1)
    if code < 0:
        # SIGXCPU (24) and SIGKILL (9) come from the limit on time; anything else is a crash of a parser.
        raise Refused(_TOO_LONG if -code in (9, 24) else _DAMAGED)
    try:
        found: dict[str, Any] = json.loads(raw)
    except ValueError:
        raise Refused(_TOO_MUCH) from None
    if "refused" in found:
        raise Refused(found["refused"])
    return Parsed(found["title"], tuple(_section(section) for section in found["sections"]))


def _section(found: dict[str, Any]) -> Section:
    return Section(tuple(found["blocks"]), tuple(found["headings"]), found["page"], found["question"])
