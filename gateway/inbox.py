"""The inbox: what customers said, stored once and for good before anybody is told that we have it."""

from collections.abc import Sequence

from gateway.model.clock import Sequencer
from gateway.model.content import Text, Unsupported
from gateway.model.conversation import Identity
from gateway.model.message import Message, Sender, Status, conversation_id, message_id
from gateway.model.ports import Clock, InboundMessage, Key, Work
from gateway.model.tenant import Channel
from gateway.store import Store

MAX_CONTENT = 256 * 1024
"""Characters of a text that we keep whole; a longer one is kept as `unsupported`, cut."""


def conversation_of(channel: str, identity: Identity) -> str:
    return conversation_id(channel, f"{identity.kind}:{identity.account}:{identity.id}")


class Inbox:
    def __init__(self, store: Store, work: Work, clock: Clock, sequencer: Sequencer) -> None:
        self._store = store
        self._work = work
        self._clock = clock
        self._sequencer = sequencer

    async def put(
        self, channel: Channel, incoming: Sequence[InboundMessage], client_id: str | None = None
    ) -> list[tuple[Message, bool]]:
        """Store messages in one durable insert and say that there is work.

        For each the stored message and whether it is new; one that was there already is returned as written now.
        Raises Unavailable when it could not be stored, and then nobody may be told that it was.
        """
        if not incoming:
            return []
        messages = [self._message(channel, m, client_id) for m in incoming]
        silent = frozenset(m.id for m, i in zip(messages, incoming, strict=True) if i.silent)
        new = await self._store.of(channel.tenant).messages.put_incoming(messages, self._clock(), silent)
        # A repeated message pokes too: the first copy's hint may be what was lost.
        for key in dict.fromkeys(Key(m.tenant, m.conversation) for m in messages if m.id not in silent):
            self._work.poke(key)
        return list(zip(messages, new, strict=True))

    def _message(self, channel: Channel, incoming: InboundMessage, client_id: str | None) -> Message:
        content = incoming.content
        if isinstance(content, Text) and len(content.text) > MAX_CONTENT:
            content = Unsupported("oversized_text", content.text[:MAX_CONTENT])
        return Message(
            id=message_id(channel.id, incoming.provider_id),
            tenant=channel.tenant,
            channel=channel.id,
            conversation=conversation_of(channel.id, incoming.identity),
            direction="in",
            author="customer",
            seq=self._sequencer.next(),
            at=incoming.at,
            content=content,
            status=Status.HANDLED if incoming.silent else Status.RECEIVED,
            provider_id=incoming.provider_id,
            reply_to=incoming.reply_to,
            sender=Sender(
                incoming.identity, incoming.address, incoming.name, incoming.phone, incoming.language
            ),
            client_id=client_id,
        )
