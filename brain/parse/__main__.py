"""The child: limits first, then a file from standard input, its sections as JSON to standard output.

`python -m brain.parse '{"name": …, "memory": bytes, "cpu": seconds, "output": bytes}'`. It writes either
`{"title": …, "sections": […]}` or `{"refused": sentence}`.
"""

import json
import sys
from dataclasses import asdict
from typing import Any


def main() -> None:
    order = json.loads(sys.argv[1])
    _limit(order["memory"], order["cpu"], order["output"])
    json.dump(_parse(order["name"], sys.stdin.buffer.read()), sys.stdout)


def _limit(memory: int, cpu: int, output: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows: there the parent's clock is the only limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


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
