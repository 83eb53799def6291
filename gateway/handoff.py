"""Who owns a conversation: the bot, the queue of those who wait for a person, or a person."""

import asyncio
from dataclasses import replace

from gateway.model.conversation import Conversation, Owner
from gateway.model.errors import Conflict, NotFound
from gateway.model.message import Failure, Status
from gateway.store import TenantStore

TRIES = 8
SETTLE_LOOKS, SETTLE_PAUSE = 40, 0.05
TAKEN = Failure("permission:owner", "A person took the conversation over before this was sent.")


async def set_owner(store: TenantStore, conversation: str, owner: Owner) -> Conversation:
    """Change the owner. When it is no longer the bot, what the bot had queued is withdrawn.

    Raises NotFound, and Conflict when the conversation keeps changing under us.
    """
    for _ in range(TRIES):
        found = await store.conversations.get(conversation)
        if found is None:
            raise NotFound(f"no conversation {conversation}")
        saved = found if found.owner == owner else await store.conversations.save(replace(found, owner=owner))
        if saved is not None:
            if owner != "bot":
                await store.messages.cancel_bot(conversation, TAKEN, campaigns=False)
                await _settled(store, conversation)
            return saved
    raise Conflict("the conversation is busy; try again")


async def _settled(store: TenantStore, conversation: str) -> None:
    """What the bot was sending at that moment is out before the person is told that the conversation is theirs."""
    for _ in range(SETTLE_LOOKS):
        work = await store.messages.work(conversation)
        if not any(m.status is Status.SENDING and m.author == "bot" for m in work):
            return
        await asyncio.sleep(SETTLE_PAUSE)
