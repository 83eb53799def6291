"""Indexes in memory: those used last, within a budget of bytes, each built once however many wait for it."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from brain.index import Index

BUDGET = 256 * 1024 * 1024

BUILDS = 2
"""How many are built at a time: each holds its tenant's documents in memory while it is."""

PATIENCE = 2.0
"""Seconds. An index of 50,000 passages takes about 15 to build: a customer does not wait for that."""

Build = Callable[[], Awaitable[Index]]


class IndexCache:
    """One index a tenant, of one knowledge version; that of another version takes its place."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._kept: OrderedDict[str, tuple[int, Index, int]] = OrderedDict()
        self._size = 0
        self._building: dict[tuple[str, int], asyncio.Task[Index]] = {}
        self._builds = asyncio.Semaphore(BUILDS)

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._size

    @property
    def tenants(self) -> tuple[str, ...]:
        """Whose indexes are kept, the least recently used first."""
        return tuple(self._kept)

    async def get(self, tenant: str, version: int, build: Build, patience: float | None = PATIENCE) -> Index:
        """The index, built with `build` if it is not kept. A failed build is told to all who wait, and the
        next call tries again; a waiter that is cancelled does not stop the build.

        Who has waited for `patience` seconds is given that of the version before, where there is one (None: never).
        """
        kept = self._kept.get(tenant)
        if kept and kept[0] == version:
            self._kept.move_to_end(tenant)
            return kept[1]
        task = self._building.get((tenant, version))
        if task is None:
            task = asyncio.create_task(self._make(tenant, version, build))
            self._building[tenant, version] = task
        if kept is None or patience is None:
            return await asyncio.shield(task)
        done, _ = await asyncio.wait({task}, timeout=patience)
        return task.result() if done else kept[1]

    def is_of(self, tenant: str, version: int, index: Index) -> bool:
        """Whether an index is that of this version, and not that of the one before."""
        kept = self._kept.get(tenant)
        return kept is not None and kept[0] == version and kept[1] is index

    async def _make(self, tenant: str, version: int, build: Build) -> Index:
        try:
            async with self._builds:
                index = await build()
        finally:
            self._building.pop((tenant, version), None)
        # Whichever was built last, not the higher version: a restored backup starts again from a lower one.
        self._drop(tenant)
        self._kept[tenant] = (version, index, index.size)
        self._size += self._kept[tenant][2]
        while len(self._kept) > 1 and self._size > self._budget:
            self._drop(next(iter(self._kept)))
        return index

    def _drop(self, tenant: str) -> None:
        if (kept := self._kept.pop(tenant, None)) is not None:
            self._size -= kept[2]
