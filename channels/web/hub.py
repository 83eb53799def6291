"""The sockets that are open in this process, by conversation.

Publishing never waits: each socket has its own bounded queue, and one that does not keep up is closed; its widget
comes back with a cursor and reads what it missed from the store. Over a bus a frame also reaches the sockets that other
processes hold.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

Frame = dict[str, Any]
QUEUE = 256
REMEMBERED = 64
"""Ids of the latest messages that every socket of a conversation was given."""

TYPES_FOR = 6.0
"""Seconds that a visitor is taken to be typing after saying so."""


class Bus(Protocol):
    """The way to the other processes. Nothing here blocks or raises, and anything may be lost."""

    def publish(self, conversation: str, text: str, seq: int | None) -> None:
        """A frame as JSON; `seq` is that of the message in it."""

    def join(self, conversation: str) -> None:
        """This process has a socket of it now."""

    def leave(self, conversation: str) -> None:
        """It has none any more."""

    def types(self, conversation: str, on: bool) -> None:
        """The visitor is typing, or has ended it."""

    async def ready(self, conversation: str) -> None:
        """Return once what others publish arrives, or after a short while."""


class Alone:
    """No other processes."""

    def publish(self, conversation: str, text: str, seq: int | None) -> None:
        pass

    def join(self, conversation: str) -> None:
        pass

    def leave(self, conversation: str) -> None:
        pass

    def types(self, conversation: str, on: bool) -> None:
        pass

    async def ready(self, conversation: str) -> None:
        pass


class Line:
    """One open socket's way out. None, in the end, means that the socket did not keep up and is to be closed."""

    __slots__ = ("frames", "read")

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Frame | str | None] = asyncio.Queue()
        self.read: int | None = None
        """The highest `seq` that it was given; None before its first page."""

    def put(self, frame: Frame | str) -> None:
        """A frame, or its JSON."""
        waiting = self.frames.qsize()
        if waiting < QUEUE:
            self.frames.put_nowait(frame)
        elif waiting == QUEUE:
            self.frames.put_nowait(None)


@dataclass(slots=True)
class Room:
    """A conversation's sockets here."""

    tenant: str
    lines: set[Line] = field(default_factory=set)
    given: dict[str, None] | None = None
    """Ids of the latest messages that all of them were given."""
    spoken: float = 0.0
    """When something was last said; monotonic."""
    types_until: float = 0.0
    sound: bool = False
    """Whether everything that is published arrives."""
    gap: int | None = None
    """Something may have been missed after this `seq`."""

    @property
    def read(self) -> int | None:
        """What every one of its sockets that has read at all has read up to."""
        return min((line.read for line in self.lines if line.read is not None), default=None)

    def has_read(self, seq: int) -> None:
        """Everything up to here was given to all of them."""
        for line in self.lines:
            if line.read is not None:
                line.read = max(line.read, seq)

    def may_lack(self, after: int | None) -> None:
        if after is not None:
            self.gap = after if self.gap is None else min(self.gap, after)


class Hub:
    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._rooms: dict[str, Room] = {}
        self._bus: Bus = Alone()
        self._missed: Callable[[str], None] = lambda _: None

    def over(self, bus: Bus, missed: Callable[[str], None]) -> None:
        """Publish over a bus, too. `missed` is told of a conversation that has to be read again from its `gap` on."""
        self._bus, self._missed = bus, missed

    # Sockets

    def join(self, conversation: str, tenant: str) -> Line:
        line = Line()
        room = self._rooms.get(conversation)
        if room is None:
            room = self._rooms[conversation] = Room(tenant)
            self._bus.join(conversation)
        room.lines.add(line)
        return line

    def leave(self, conversation: str, line: Line) -> None:
        room = self._rooms.get(conversation)
        if room is None:
            return
        room.lines.discard(line)
        if not room.lines:
            del self._rooms[conversation]
            self._bus.leave(conversation)

    async def ready(self, conversation: str) -> None:
        """Before a page is read: what is published from now on arrives."""
        await self._bus.ready(conversation)

    def types(self, conversation: str, on: bool) -> None:
        """The visitor is typing, or has ended it by saying something."""
        room = self._rooms.get(conversation)
        if room is None or (not on and room.types_until <= self._monotonic()):
            return
        room.types_until = self._monotonic() + TYPES_FOR if on else 0.0
        self._bus.types(conversation, on)

    def spoke(self, conversation: str) -> None:
        if room := self._rooms.get(conversation):
            room.spoken = self._monotonic()

    # Frames

    def publish(self, conversation: str, frame: Frame, but: Line | None = None) -> None:
        text = as_text(frame)
        self._put(conversation, frame, text, but)
        self._bus.publish(conversation, text, _seq(frame))

    def give(self, conversation: str, message: Frame) -> None:
        """A message that was read again, to the sockets here that were not all given it yet."""
        room = self._rooms.get(conversation)
        if room is not None and message["id"] not in (room.given or ()):
            frame = {"t": "message", "message": message}
            self._put(conversation, frame, as_text(frame), None)

    def _put(self, conversation: str, frame: Frame, text: str, but: Line | None) -> None:
        room = self._rooms.get(conversation)
        if room is None:
            return
        for line in tuple(room.lines):
            if line is not but:
                line.put(text)
        if (seq := _seq(frame)) is not None:
            self._given(room, frame["message"]["id"], seq)

    def _given(self, room: Room, identifier: str, seq: int) -> None:
        room.spoken = self._monotonic()
        room.given = room.given or {}
        room.given[identifier] = None
        while len(room.given) > REMEMBERED:
            del room.given[next(iter(room.given))]
        if room.sound:  # else something before it may be missing
            room.has_read(seq)

    # What the bus tells

    def heard(self, conversation: str, text: str) -> None:
        """A frame of another process."""
        if conversation in self._rooms:
            self._put(conversation, json.loads(text), text, None)

    def confirmed(self, conversation: str) -> None:
        """What is published from now on arrives; what was before, since the room was first read, may not have."""
        room = self._rooms.get(conversation)
        if room is not None:
            room.sound = True
            room.may_lack(room.read)
            if room.gap is not None:
                self._missed(conversation)

    def lacks(self, conversation: str, seq: int) -> None:
        """A frame of this message was lost on its way here."""
        room = self._rooms.get(conversation)
        if room is not None and room.read is not None:
            room.may_lack(min(room.read, seq))
            self._missed(conversation)

    def cut_off(self) -> None:
        """Nothing arrives any more. Each conversation is to be read from here when it does again."""
        for room in self._rooms.values():
            room.sound = False
            room.may_lack(room.read)

    # Looking

    def room(self, conversation: str) -> Room | None:
        return self._rooms.get(conversation)

    def lively(self, seconds: float) -> list[str]:
        """Conversations in which something was said a moment ago."""
        since = self._monotonic() - seconds
        return [c for c, room in self._rooms.items() if room.spoken > since]

    def present(self, conversation: str) -> bool:
        return conversation in self._rooms

    def typing(self, conversation: str) -> bool:
        room = self._rooms.get(conversation)
        return room is not None and room.types_until > self._monotonic()


def as_text(frame: Frame) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def _seq(frame: Frame) -> int | None:
    return int(frame["message"]["seq"]) if frame.get("t") == "message" else None
