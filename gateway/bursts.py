"""Bursts: several quick messages of one person are answered once, after the channel's quiet time. Pure.

Only plain questions are merged. What has an effect of its own (a command, a keyword, a pressed button, a form, a file) ends a
burst, and so it is answered at once; while the customer answers a question of ours (a numbered choice, their name, their
phone) each message is an answer and stands alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from consent import keywords
from gateway.model.content import Content, Text
from gateway.model.conversation import Conversation
from gateway.model.identity import Identity
from gateway.model.message import Message
from gateway.model.permission import Permissions
from leads.state import LeadState

MOST_MERGED: Final = 20
LONGEST: Final = 3
"""Quiet times that the first message of a burst waits at most: whoever goes on writing is answered all the same."""

_ASKED: Final = frozenset({"offered", "form", "asking"})
"""Stages of the lead flow in which what the customer writes answers a question of ours."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Messages that are answered as one, in order. `until`: not before then, more of it may come."""

    messages: tuple[Message, ...]
    until: datetime | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(m.id for m in self.messages)

    @property
    def content(self) -> Content:
        """What it asks, in all."""
        if len(self.messages) == 1:
            return self.messages[0].content
        return Text("\n".join(m.content.text for m in self.messages if isinstance(m.content, Text)))


def first(
    waiting: Sequence[Message],
    conversation: Conversation | None,
    quiet: timedelta,
    now: datetime,
    permissions: Permissions | None = None,
) -> Burst:
    """What to answer first of the incoming messages that wait, which are in order and at least one."""
    head, own = waiting[0], permissions or Permissions()
    if not quiet or not _merges(head, own) or _answers(conversation):
        return Burst((head,))
    merged = [head]
    for message in waiting[1:MOST_MERGED]:
        if not _merges(message, own) or _who(message) != _who(head):
            return Burst(tuple(merged))  # it can't grow: what comes next stands alone
        merged.append(message)
    # A message is due once its own quiet time is over.
    latest = max(m.due or now for m in merged)
    end = min(latest, (head.due or now) + (LONGEST - 1) * quiet)
    full = len(merged) == MOST_MERGED
    # Further away than a burst lasts it is only by a clock that was set back since: nobody waits for that.
    open_still = now < end <= now + LONGEST * quiet and not full
    return Burst(tuple(merged), end if open_still else None)


def _merges(message: Message, permissions: Permissions) -> bool:
    # One whose turn broke is tried again by itself: it must not break the turns of others. One over a limit asks nothing.
    if not isinstance(message.content, Text) or message.attempts or message.extra.get("limited"):
        return False
    return keywords.match(message.content.text, permissions) is None


def _who(message: Message) -> Identity | None:
    """In a group, or a thread, several people speak."""
    return message.sender.identity if message.sender else None


def _answers(conversation: Conversation | None) -> bool:
    if conversation is None:
        return False
    return conversation.pending is not None or LeadState.from_doc(conversation.lead).stage in _ASKED
