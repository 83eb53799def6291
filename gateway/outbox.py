"""The outbox: what a turn says, as messages with ids that follow from the turn, so that a rerun adds nothing."""

from collections.abc import Sequence
from datetime import datetime

from gateway.model.clock import Sequencer
from gateway.model.content import Content
from gateway.model.message import Message, Status, outgoing_id


def write(turn: Message, contents: Sequence[Content], sequencer: Sequencer, now: datetime) -> list[Message]:
    """The outgoing messages of a turn, in order, behind the message that they answer."""
    written: list[Message] = []
    place = turn.seq
    for part, content in enumerate(contents):
        place = sequencer.next(place)
        written.append(
            Message(
                id=outgoing_id(turn.id, part),
                tenant=turn.tenant,
                channel=turn.channel,
                conversation=turn.conversation,
                direction="out",
                author="bot",
                seq=place,
                at=now,
                content=content,
                status=Status.QUEUED,
                turn=turn.id,
                due=now,
            )
        )
    return written
