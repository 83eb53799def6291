"""The child: limits first, then files from standard input, each one's sections as a line of JSON to standard output.

`python -m brain.parse '{"files": [[name, bytes], …], "memory": bytes, "cpu": seconds a file, "output": bytes}'`. A line is
either `{"title": …, "sections": […]}` or `{"refused": sentence}`.
"""

import json
import sys
from dataclasses import asdict
from typing import Any


def main() -> None:
    order = json.loads(sys.argv[1])
    _limit(order["memory"], order["output"])
    for name, size in order["files"]:
        _grant(order["cpu"])
        line = json.dumps(_parse(name, sys.stdin.buffer.read(size)))
        sys.stdout.write(line + "\n")
        # Whoever waits sees that this file is done.
        sys.stdout.flush()


def _limit(memory: int, output: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows: there the parent's clock is the only limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _grant(cpu: int) -> None:
    """Processor time for the next file, beyond what is used up."""
    try:
        import resource
    except ImportError:
        return
    own = resource.getrusage(resource.RUSAGE_SELF)
    until = int(own.ru_utime + own.ru_stime) + cpu
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _parse(name: str, data: bytes) -> dict[str, Any]:
    from brain.parse import Refused, parse

    try:
        return asdict(parse(name, data))
    except Refused as refused:
        return {"refused": str(refused)}
    except MemoryError:
        return {"refused": "The file needs too much memory to read. Split it or make it simpler."}
    except Exception:
        # Whatever a parser trips over is a fault of the file, never a crash of the command.
        return {"refused": "The file is damaged and can't be read. Save it again and add the new copy."}


main()
