"""The outbox: what a turn says, as messages with ids that follow from the turn, so that a rerun adds nothing."""

from collections.abc import Sequence
from datetime import datetime

from gateway.model.clock import Sequencer
from gateway.model.content import Content
from gateway.model.conversation import Conversation
from gateway.model.message import Announced, Message, Status, outgoing_id


def write(
    turn: Message,
    contents: Sequence[Content],
    sequencer: Sequencer,
    now: datetime,
    announces: Announced | None = None,
) -> list[Message]:
    """The outgoing messages of a turn, in order, behind the message that they answer. `announces`: what they tell the
    customer, so that they leave all the same."""
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
                extra={"announces": announces} if announces else {},
            )
        )
    return written


def of_person(
    conversation: Conversation,
    key: str,
    contents: Sequence[Content],
    sequencer: Sequencer,
    now: datetime,
    reply_to: str | None = None,
) -> list[Message]:
    """What a person sends, in order. `key` makes the ids: sent again with the same key, nothing is added. The first part
    quotes `reply_to`."""
    return [
        Message(
            id=outgoing_id(f"{conversation.id}\x1f{key}", part),
            tenant=conversation.tenant,
            channel=conversation.channel,
            conversation=conversation.id,
            direction="out",
            author="agent",
            seq=sequencer.next(),
            at=now,
            content=content,
            status=Status.QUEUED,
            reply_to=reply_to if part == 0 else None,
            due=now,
        )
        for part, content in enumerate(contents)
    ]
