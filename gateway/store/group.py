"""Group commit: concurrent inserts into one collection become one journaled, unordered insert.

A driver call costs ten times as much alone as in a batch, and so does a journal sync. Nothing waits for a
batch to fill: a batch is what gathered while the last one was being written. Each caller gets its own result.
"""

import asyncio
from collections import deque
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

Doc = dict[str, Any]

MOST = 256
DUPLICATE = 11000


class GroupedInserts:
    """Inserts for one collection. `insert` returns once the documents are journaled."""

    def __init__(self, collection: AsyncCollection[Doc]) -> None:
        self._collection = collection
        self._waiting: deque[tuple[list[Doc], asyncio.Future[list[bool]]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def insert(self, docs: list[Doc]) -> list[bool]:
        """For each document whether it was new (False: its id was there). Raises the driver's errors."""
        result: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._waiting.append((docs, result))
        if self._writer is None:
            self._writer = asyncio.create_task(self._drain())
        return await result

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._write(self._take())
        finally:
            self._writer = None

    def _take(self) -> list[tuple[list[Doc], asyncio.Future[list[bool]]]]:
        batch, size = [self._waiting.popleft()], 0
        size = len(batch[0][0])
        while self._waiting and size + len(self._waiting[0][0]) <= MOST:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0])
        return batch

    async def _write(self, batch: list[tuple[list[Doc], asyncio.Future[list[bool]]]]) -> None:
        docs = [doc for part, _ in batch for doc in part]
        try:
            new = await insert_new(self._collection, docs)
        except BaseException as error:
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        place = 0
        for part, result in batch:
            if not result.done():  # the caller may have gone away; its documents are stored all the same
                result.set_result(new[place : place + len(part)])
            place += len(part)


async def insert_new(collection: AsyncCollection[Doc], docs: list[Doc]) -> list[bool]:
    """Insert in one call; for each document whether it was new. Raises when anything but a duplicate id failed."""
    try:
        await collection.insert_many(docs, ordered=False)
    except BulkWriteError as error:
        details = error.details or {}
        errors = details.get("writeErrors", [])
        if details.get("writeConcernErrors") or any(e["code"] != DUPLICATE for e in errors):
            raise
        there = {e["index"] for e in errors}
        return [i not in there for i in range(len(docs))]
    return [True] * len(docs)
