"""Who is there: whether a visitor has the widget open and is typing, in whatever process their socket is; and showing the
customer that somebody of the business is typing."""

from collections.abc import Mapping
from dataclasses import replace

from channels.registry import Hub
from gateway.model.errors import Invalid, NotFound, SendError
from gateway.model.ports import Adapter
from gateway.store import Store
from gateway.work.bus import RedisBus
from gateway.work.redis import AWAY

LATEST = 50


class Presence:
    def __init__(self, store: Store, adapters: Mapping[str, Adapter], hub: Hub, bus: RedisBus | None) -> None:
        self._store = store
        self._adapters = adapters
        self._hub = hub
        self._bus = bus

    async def of(self, tenant: str, conversation: str) -> tuple[bool, bool]:
        """(present, typing). Without a bus, and while it is away, of this process's sockets only. Raises NotFound."""
        if await self._store.of(tenant).conversations.get(conversation) is None:
            raise NotFound(conversation)
        present, typing = self._hub.present(conversation), self._hub.typing(conversation)
        if self._bus is None or (present and typing):
            return present, typing
        try:
            present = present or await self._bus.present(conversation)
            typing = typing or (present and await self._bus.typing(conversation))
        except AWAY:
            pass
        return present, typing

    async def show_typing(self, tenant: str, conversation: str) -> None:
        """The customer sees that somebody types, for a few seconds. Raises NotFound, and Invalid where there is no way."""
        store = self._store.of(tenant)
        found = await store.conversations.get(conversation)
        if found is None:
            raise NotFound(conversation)
        channel = await self._store.directory.channel(found.channel)
        latest = (await store.messages.before(conversation, None, LATEST)).messages
        said = next((m for m in reversed(latest) if m.direction == "in" and m.author == "customer"), None)
        if said is None:
            raise Invalid(
                "conversation", "one in which the customer wrote lately: there is nothing to type to"
            )
        adapter = self._adapters[channel.kind]
        if not adapter.capabilities.typing:
            raise Invalid("conversation", f"one on a channel that shows typing; {channel.kind} does not")
        try:
            # Without what else was to be acknowledged: that was done when it came.
            await adapter.mark_read(channel, replace(said, extra={}), found.address, True)
        except SendError as error:
            raise Invalid("conversation", f"one whose channel takes it now: {error.text}") from None
