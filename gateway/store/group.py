"""Group commit: concurrent inserts into one collection become one journaled, unordered insert.

A driver call costs ten times as much alone as in a batch, and so does a journal sync. Nothing waits for a
batch to fill: a batch is what gathered while the last one was being written. Each caller gets its own result: a document
that can't be written is the error of the caller whose it is, and of nobody else in the batch.
"""

import asyncio
from collections import deque
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from gateway.store.database import is_unavailable

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
        try:
            outcomes = await self._outcomes([part for part, _ in batch])
        except BaseException as error:
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, result), outcome in zip(batch, outcomes, strict=True):
            if result.done():  # the caller may have gone away; its documents are stored all the same
                continue
            if isinstance(outcome, Exception):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)

    async def _outcomes(self, parts: list[list[Doc]]) -> list[list[bool] | Exception]:
        """For each caller's part whether its documents were new, or its error. Raises what is no single part's fault."""
        docs = [doc for part in parts for doc in part]
        try:
            new: list[bool | Exception] = [*await insert_new(self._collection, docs)]
        except Exception as error:
            if len(parts) == 1 or is_unavailable(error):
                raise
            if not isinstance(error, BulkWriteError):
                # A document that has no form in BSON stopped the call before anything was sent.
                return [await self._alone(part) for part in parts]
            # The others are written already: the call went on past what the server refused.
            refused = {e["index"]: e["code"] for e in (error.details or {}).get("writeErrors", [])}
            new = [
                error if refused.get(i, DUPLICATE) != DUPLICATE else i not in refused
                for i in range(len(docs))
            ]
        outcomes: list[list[bool] | Exception] = []
        for part in parts:
            own, new = new[: len(part)], new[len(part) :]
            failed = next((n for n in own if isinstance(n, Exception)), None)
            outcomes.append(failed if failed is not None else [n is True for n in own])
        return outcomes

    async def _alone(self, part: list[Doc]) -> list[bool] | Exception:
        try:
            return await insert_new(self._collection, part)
        except Exception as error:
            return error


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
