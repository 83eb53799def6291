"""Dead letters over the API: what was given up, and what to do about it."""

from collections.abc import Awaitable, Callable

from gateway.api import shapes
from gateway.api.openapi import Operation
from gateway.model.errors import Conflict, NotFound
from gateway.model.message import Message
from gateway.model.ports import Clock
from gateway.model.work import Key, Work
from gateway.store import Store
from gateway.store.dead_letters import DeadLetters


class DeadLetterOperations:
    def __init__(self, store: Store, work: Work, clock: Clock) -> None:
        self._store = store
        self._work = work
        self._clock = clock
        one = "/dead-letters/{message}"
        self.operations = (
            Operation(
                "GET", "/dead-letters", "Messages that were given up", self.list_dead, shapes.DeadPage,
                query=shapes.MessageQuery, tag="delivery",
            ),
            Operation("GET", one, "One that was given up", self.get_dead, shapes.MessageShape, tag="delivery"),
            Operation("POST", one + "/retry", "Send one again", self.retry_dead, shapes.MessageShape, tag="delivery"),
            Operation("POST", one + "/discard", "Put one away", self.discard_dead, shapes.MessageShape, tag="delivery"),
            Operation(
                "POST", one + "/confirm", "Say that it arrived", self.confirm_dead, shapes.MessageShape, tag="delivery"
            ),
        )  # fmt: skip

    async def list_dead(self, tenant: str, query: shapes.MessageQuery) -> shapes.DeadPage:
        """Outgoing messages that were given up, with the reason, the latest first."""
        page = await self._store.of(tenant).dead_letters.page(query.before, query.limit)
        return shapes.DeadPage(items=[shapes.MessageShape.of(m) for m in page.messages], next=page.next)

    async def get_dead(self, tenant: str, message: str) -> shapes.MessageShape:
        """One message that was given up."""
        found = await self._store.of(tenant).dead_letters.get(message)
        if found is None:
            raise NotFound(message)
        return shapes.MessageShape.of(found)

    async def retry_dead(self, tenant: str, message: str) -> shapes.MessageShape:
        """Queue a message that was given up once more. Where the customer may have it already, it is marked as possibly
        doubled."""

        async def retry(letters: DeadLetters, found: Message) -> bool:
            return bool(await letters.retry([found], self._clock()))

        shown = await self._decided(tenant, message, retry)
        self._work.poke(Key(tenant, shown.conversation))
        return shown

    async def discard_dead(self, tenant: str, message: str) -> shapes.MessageShape:
        """Take a message off the list. It stays given up."""

        async def discard(letters: DeadLetters, found: Message) -> bool:
            return bool(await letters.discard([found], self._clock()))

        return await self._decided(tenant, message, discard)

    async def confirm_dead(self, tenant: str, message: str) -> shapes.MessageShape:
        """A person has seen that the customer has the message: it counts as sent."""

        async def confirm(letters: DeadLetters, found: Message) -> bool:
            return await letters.confirm(found, self._clock())

        return await self._decided(tenant, message, confirm)

    async def _decided(
        self, tenant: str, message: str, decide: Callable[[DeadLetters, Message], Awaitable[bool]]
    ) -> shapes.MessageShape:
        store = self._store.of(tenant)
        found = await store.dead_letters.get(message)
        if found is None and await store.messages.get(message) is None:
            raise NotFound(message)
        if found is None or not await decide(store.dead_letters, found):
            raise Conflict("it is not among the messages that were given up (any more)")
        return shapes.MessageShape.of(await store.messages.get(message) or found)
