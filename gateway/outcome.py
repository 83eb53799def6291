"""What a turn comes to: the conversation as it leaves it, and its answers as messages. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from channels.degrade import degrade
from gateway import outbox
from gateway.bursts import Burst
from gateway.facts import window_after
from gateway.model.capabilities import Capabilities
from gateway.model.clock import Sequencer
from gateway.model.content import Content, System
from gateway.model.conversation import Conversation, Pending
from gateway.model.message import Announced, Message
from gateway.model.tenant import Channel
from gateway.think import Thought


@dataclass(frozen=True, slots=True)
class Written:
    messages: list[Message]
    pending: Pending | None


def after(
    channel: Channel,
    capabilities: Capabilities,
    conversation: Conversation,
    burst: Burst,
    thought: Thought,
    now: datetime,
) -> Conversation:
    """The conversation as the turn leaves it, but for what it says."""
    message = burst.messages[-1]
    return replace(
        thought.conversation,
        turn=message.id,
        merged=burst.ids[:-1],
        last_in=_heard(message, conversation),
        window_until=window(channel, capabilities, conversation, burst),
        last_at=now,
    )


def window(
    channel: Channel, capabilities: Capabilities, conversation: Conversation, burst: Burst
) -> datetime | None:
    """Until when free text may be sent, after what was said now."""
    until = conversation.window_until
    for said in burst.messages:
        if not isinstance(said.content, System):
            heard = replace(conversation, window_until=until)
            until = window_after(heard, channel, said, said.at, capabilities.service_window_hours)
    return until


def written(
    capabilities: Capabilities,
    conversation: Conversation,
    message: Message,
    thought: Thought,
    sequencer: Sequencer,
    now: datetime,
) -> Written:
    """The answers as the channel can show them, and the question that one of them asks."""
    contents: list[Content] = []
    asked: Pending | None = None
    for content in thought.say:
        parts, pending = degrade(content, capabilities, language=conversation.language)
        contents += parts
        asked = pending or asked
    messages = outbox.write(message, contents, sequencer, now, _announced(conversation, thought))
    return Written(messages, replace(asked, message=messages[-1].id) if asked and messages else None)


def _announced(before: Conversation, thought: Thought) -> Announced | None:
    if thought.confirms:
        return "stopped"
    return "queue" if before.owner == "bot" and thought.conversation.owner == "queue" else None


def _heard(message: Message, conversation: Conversation) -> datetime | None:
    """When the customer last said something: what only happened opens no service window."""
    if isinstance(message.content, System):
        return conversation.last_in
    return max(message.at, conversation.last_in or message.at)
