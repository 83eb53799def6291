"""The line that says that an answer is coming: written and sent while its turn still thinks, once a turn.

Its id follows from the turn, so that a turn that runs again adds nothing. It belongs to the turn: what a run that was stopped has
left unsent is withdrawn by the next one.
"""

from dataclasses import replace

from gateway import outbox
from gateway.model.clock import Sequencer
from gateway.model.content import Text
from gateway.model.conversation import Conversation
from gateway.model.delivery import Delivery
from gateway.model.message import Message, outgoing_id
from gateway.model.ports import Clock
from gateway.model.tenant import Channel
from gateway.model.texts import told
from gateway.store import TenantStore


class Holding:
    """Called at most once with effect. `waits`: what of it is not sent yet, and goes before the answer."""

    def __init__(
        self,
        deliver: Delivery,
        store: TenantStore,
        channel: Channel,
        conversation: Conversation,
        turn: Message,
        sequencer: Sequencer,
        clock: Clock,
        run: str,
    ) -> None:
        self._deliver = deliver
        self._store = store
        self._channel = channel
        self._conversation = conversation
        self._turn = turn
        self._sequencer = sequencer
        self._clock = clock
        self._run = run
        self._called = False
        self.waits: list[Message] = []

    async def __call__(self) -> None:
        """Raises Unavailable."""
        if self._called:
            return
        self._called = True
        conversation = self._conversation
        line = Text(told("holding", conversation.language))
        (plain,) = outbox.write(self._turn, [line], self._sequencer, self._clock())
        named = replace(plain, id=outgoing_id(f"{self._turn.id}\x1fholding", 0))
        said = await self._deliver.written(self._channel, conversation, [named])
        own = await self._store.messages.put_outgoing(said, self._run)
        mine = [m for m in said if m.id in own]  # the rest was written, and perhaps sent, by an earlier run
        # After it was written: who takes the conversation over later withdraws what is queued, and who did before is seen here.
        standing = await self._store.conversations.get(conversation.id)
        if standing is None or standing.owner != "bot" or standing.stopped or standing.merged_into:
            await self._store.messages.withdraw(own, self._run)
            return
        self.waits = mine
        if mine and await self._deliver.run(self._channel, conversation, mine):
            self.waits = []
