"""The edge out, as the conversation core sees it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from typing import Protocol

from gateway.model.conversation import Conversation
from gateway.model.errors import SendError
from gateway.model.message import Message
from gateway.model.permission import Decision
from gateway.model.tenant import Channel


class Delivery(Protocol):
    """The edge out, as a turn sees it."""

    async def may_go(self, channel: Channel, conversation: Conversation, message: Message) -> Decision | None:
        """The decision by which a message just written may be claimed at once. With it, it has a place among those under way,
        which `run` gives back, or `stay` if the claim did not hold."""

    async def written(
        self, channel: Channel, conversation: Conversation, messages: Sequence[Message]
    ) -> list[Message]:
        """The messages with what permission says of each now, as they are to be written."""

    def stay(self, channel: Channel) -> None:
        """Give the place back: the message is not sent now."""

    def at_leisure(self, bulk: bool) -> AbstractAsyncContextManager[None]:
        """To be held during a database call for bulk; does nothing for a reply."""

    def replying(self) -> AbstractContextManager[None]:
        """To be held while a conversation's turns and replies are under way: bulk gives way."""

    def elsewhere(self, bulk: bool = False) -> AbstractContextManager[None]:
        """To be held in there while a reply only waits for somebody else: bulk goes on meanwhile."""

    async def refused(self, channel: Channel, conversation: Conversation, error: SendError) -> None:
        """A call other than a send was refused: what that says of the account or the recipient."""

    def lease(self) -> datetime:
        """Until when a claim made now holds."""

    async def run(
        self,
        channel: Channel,
        conversation: Conversation,
        messages: Sequence[Message],
        claimed: str | None = None,
    ) -> bool:
        """Send what is queued, in order, as far as it may go; whether nothing of it is left waiting."""
