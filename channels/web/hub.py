"""The sockets that are open in this process, by conversation.

Publishing never waits: each socket has its own bounded queue, and one that does not keep up is closed; its widget
comes back with a cursor and reads what it missed from the store.
"""

import asyncio
from typing import Any

Frame = dict[str, Any]
QUEUE = 256


class Line:
    """One open socket's way out. None, in the end, means that the socket did not keep up and is to be closed."""

    __slots__ = ("frames",)

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Frame | None] = asyncio.Queue()

    def put(self, frame: Frame) -> None:
        waiting = self.frames.qsize()
        if waiting < QUEUE:
            self.frames.put_nowait(frame)
        elif waiting == QUEUE:
            self.frames.put_nowait(None)


class Hub:
    def __init__(self) -> None:
        self._lines: dict[str, set[Line]] = {}

    def join(self, conversation: str) -> Line:
        line = Line()
        self._lines.setdefault(conversation, set()).add(line)
        return line

    def leave(self, conversation: str, line: Line) -> None:
        lines = self._lines.get(conversation, set())
        lines.discard(line)
        if not lines:
            self._lines.pop(conversation, None)

    def publish(self, conversation: str, frame: Frame, but: Line | None = None) -> None:
        for line in tuple(self._lines.get(conversation, ())):
            if line is not but:
                line.put(frame)
