"""The hint queue: what there is to look at. The database is the truth, a hint only says where."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Key:
    """What a hint is about: a conversation of a tenant has work. `bulk`: only such as replies go before."""

    tenant: str
    conversation: str
    bulk: bool = False


Handler = Callable[[Key], Awaitable[None]]


class Work(Protocol):
    """The hint queue. A hint may be lost, doubled or late; the sweeper makes it again."""

    @property
    def idle(self) -> bool:
        """Whether this process has nothing under way and knows of nothing to begin."""

    def poke(self, key: Key, after: float = 0) -> None:
        """Say that there is work, or will be `after` so many seconds. Never blocks, never raises."""

    def elsewhere(self) -> AbstractContextManager[None]:
        """Held by a handler while it only waits for somebody else (a model that thinks): its place is another's meanwhile."""

    async def run(self, handler: Handler) -> None:
        """Call the handler for each poked key, one at a time a key, tenants in turn, until cancelled; then let what runs
        come to its end."""
