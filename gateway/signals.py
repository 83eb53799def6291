"""What providers tell of consent: a refused send, a preference, a block. Each becomes an entry of the ledger."""

from gateway.model.consent import MARKETING, Entry, entry_id
from gateway.model.conversation import Conversation
from gateway.model.message import Message
from gateway.model.ports import Clock
from gateway.model.tenant import Channel
from gateway.store import Store


class Signals:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def opted_out(
        self, channel: Channel, conversation: Conversation, message: Message, code: str, text: str
    ) -> None:
        """The provider refused a message because its customer wants no marketing from this business."""
        now = self._clock()
        await self._store.of(channel.tenant).ledger.record(
            [
                Entry(
                    id=entry_id(channel.tenant, message.id, code),
                    tenant=channel.tenant,
                    channel=channel.id,
                    contact=conversation.contact,
                    conversation=conversation.id,
                    purpose=MARKETING,
                    state="withdrawn",
                    how="provider",
                    at=now,
                    recorded=now,
                    message=message.id,
                    evidence=code,
                    note=text,
                )
            ]
        )
