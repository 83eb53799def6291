"""`python -m tests.chaos.process web|worker`: exactly what `python -m gateway web|worker` runs, but that the brain repeats
what it is asked, so that every answer can be told from every other.

CHAOS_LEASE (seconds) makes claims of a dead process run out sooner, for the short form; nothing else differs.
"""

import asyncio
import ctypes
import functools
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt

import gateway.deliver
from gateway.__main__ import main
from gateway.bootstrap import build
from gateway.commands import serve
from gateway.model.answers import Answer, Listener, Question


class Repeats:
    """Answers with what it was asked."""

    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        return Answer(True, question.text, by="chaos")


class NoEmbedder:
    """No documents here, so no model to load."""

    model = "none"
    dimensions = 1

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.zeros((len(texts), 1), dtype=np.float32)

    near = embed


def die_with_parent() -> None:
    """However the one who started us ends, nothing is left running (Linux)."""
    if sys.platform == "linux":
        parent_death = 1
        ctypes.CDLL(None).prctl(parent_death, signal.SIGKILL)


def tell_where(*_: object) -> None:
    """On SIGUSR1: what every task waits for, to the log."""
    for task in asyncio.all_tasks():
        print(task.get_name(), flush=True)
        task.print_stack(limit=6)


if __name__ == "__main__":
    die_with_parent()
    signal.signal(signal.SIGUSR1, tell_where)
    setattr(serve, "build", functools.partial(build, brain=Repeats(), embedder=NoEmbedder()))  # noqa: B010
    if lease := os.environ.get("CHAOS_LEASE"):
        setattr(gateway.deliver, "LEASE", timedelta(seconds=float(lease)))  # noqa: B010
    sys.exit(main(sys.argv[1:]))
