"""Files in: fetched from providers in the background, or sent to us; streamed to the store, never whole in memory.

A file's record is written before the message that carries it, so a file that we were stopped in the middle of is fetched
again. Its type is told by its first bytes, its size is capped while it comes, its SHA-256 is kept, and pictures get a
thumbnail.
"""

import asyncio
import contextlib
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from loguru import logger

from gateway import thumbnail
from gateway.model.errors import Invalid, NotFound, ParleyError, SendError, Unavailable
from gateway.model.file import File
from gateway.model.ports import Clock, WebhookAdapter
from gateway.model.sniff import HEAD, IMAGES, sniff
from gateway.ops.logging import stack
from gateway.store import Store
from gateway.store.files import PART, Files, attempted, generation_of

MOST_BYTES: Final = 100 * 1024 * 1024
"""The largest file that a provider documents (a WhatsApp document)."""

AT_ONCE: Final = 4
LEASE: Final = timedelta(minutes=2)
"""A claim holds so long, and is renewed while the fetching goes on."""

MOST_ATTEMPTS: Final = 8
MOST_NAME: Final = 200
SWEEP: Final = 50
FETCHES: Final = 2.0
"""Seconds between looks for files that are due; new ones are announced."""

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u202a-\u202e\u2066-\u2069]")


class TooLarge(Exception):
    """More came than may."""


class Media:
    """Fetches what is due, at most `AT_ONCE` files at a time in this process."""

    def __init__(self, store: Store, adapters: Mapping[str, WebhookAdapter], clock: Clock) -> None:
        self._store = store
        self._adapters = adapters
        self._clock = clock
        self.wake = asyncio.Event()
        """Set when there are files to fetch."""
        self._places = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """What is under way is broken off; another process, or the next start, fetches it anew."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def sweep(self) -> None:
        """Begin what is due; uploads that were never finished are removed. Raises Unavailable."""
        now = self._clock()
        for file in await self._store.files.due("fetch", now, SWEEP):
            if file.id not in self._under_way:
                task = asyncio.create_task(self._one(file))
                self._under_way[file.id] = task
                task.add_done_callback(lambda _, i=file.id: self._under_way.pop(i, None))  # type: ignore[misc]
        for file in await self._store.files.due("drop", now, SWEEP):
            await self._store.of(file.tenant).files.drop(file)

    async def idle(self) -> None:
        """Until nothing is under way."""
        while self._under_way:
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _one(self, file: File) -> None:
        async with self._places:
            holding = asyncio.create_task(self._hold(file))
            try:
                await self.fetch(file)
            except Unavailable:
                pass  # its claim runs out, and it is due again
            except Exception as error:
                logger.error("fetching a file broke: {}", stack(error))
            finally:
                holding.cancel()

    async def _hold(self, file: File) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 4)
            with contextlib.suppress(ParleyError):
                files = self._store.of(file.tenant).files
                await files.renew(file.id, file.attempts + 1, self._clock() + LEASE)

    async def fetch(self, file: File) -> None:
        """Fetch one file, if nobody else is at it; its record says how it went."""
        files = self._store.of(file.tenant).files
        if not await files.claim(file.id, file.attempts, self._clock() + LEASE):
            return
        file = attempted(file)
        try:
            channel = await self._store.directory.channel(file.channel)
        except NotFound:
            await self._give_up(files, file, "Its channel is gone.")
            return
        try:
            async with self._adapters[channel.kind].fetch(channel, file.media_id or "") as download:
                named = download.name or file.name
                whole = await store(files, replace(file, name=named), download.chunks, MOST_BYTES)
            await files.ready(await with_thumbnail(files, whole))
        except TooLarge:
            await self._give_up(files, file, f"It is larger than {MOST_BYTES // 2**20} MB.")
        except SendError as error:
            if error.disable_channel:
                await self._store.directory.disable(channel)
            await self._again(files, file, error)
        except Unavailable:
            raise
        except ParleyError as error:
            await self._again(files, file, SendError("file:broken", str(error), retryable=True))

    async def _again(self, files: Files, file: File, error: SendError) -> None:
        if not error.retryable or file.attempts >= min(error.most_attempts or MOST_ATTEMPTS, MOST_ATTEMPTS):
            await self._give_up(files, file, error.text)
            return
        pause = error.wait or min(2.0**file.attempts, 600.0)
        await files.again(file.id, file.attempts, self._clock() + timedelta(seconds=pause), error.text)

    async def _give_up(self, files: Files, file: File, reason: str) -> None:
        logger.bind(tenant=file.tenant, channel=file.channel, file=file.id).warning(
            "a file could not be fetched: {}", reason
        )
        await files.failed(file, reason)


async def take(
    files: Files,
    tenant: str,
    channel: str,
    conversation: str | None,
    name: str,
    chunks: AsyncIterator[bytes],
    most: int,
    now: datetime,
    allowed: Callable[[str], bool] = lambda _: True,
) -> File:
    """Take a file that is being sent to us. `allowed` is asked about its type once that is known.

    Raises Invalid for an empty, too large or not allowed one; nothing is left of it then.
    """
    file = File(
        id="f_" + secrets.token_hex(12),
        tenant=tenant,
        channel=channel,
        state="uploading",
        created=now,
        name=clean_file_name(name),
        conversation=conversation,
    )
    file = replace(file, generation=generation_of(file.id, 0))
    await files.begin(file)
    try:
        whole = await store(files, file, chunks, most)
        if not whole.size:
            raise Invalid("file", "a file that is not empty")
        if not allowed(whole.mime):
            raise Invalid("file", f"a kind of file that may be sent here; this one is {whole.mime}")
    except TooLarge:
        await files.drop(file)
        raise Invalid("file", f"at most {most / 2**20:.0f} MB") from None
    except BaseException:
        await files.drop(file)
        raise
    ready = await with_thumbnail(files, whole)
    await files.ready(ready)
    return replace(ready, state="ready")


async def store(files: Files, file: File, chunks: AsyncIterator[bytes], most: int) -> File:
    """Write the bytes as they come; the file with its size, digest, parts and the type that its first bytes show. Raises
    TooLarge as soon as more than `most` has come."""
    digest, size, parts = hashlib.sha256(), 0, 0
    held, head = bytearray(), b""
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLarge
        digest.update(chunk)
        held += chunk
        while len(held) >= PART:
            head = head or bytes(held[:HEAD])
            await files.write(file.generation, parts, bytes(held[:PART]))
            del held[:PART]
            parts += 1
    if held:
        head = head or bytes(held[:HEAD])
        await files.write(file.generation, parts, bytes(held))
        parts += 1
    name = clean_file_name(file.name)
    return replace(file, name=name, mime=sniff(head, name), size=size, sha256=digest.hexdigest(), parts=parts)


async def with_thumbnail(files: Files, file: File) -> File:
    """The file with a small picture of it, where it is a picture that can be read in bounded time and memory."""
    if file.mime not in IMAGES or not 0 < file.size <= thumbnail.MOST_BYTES:
        return file
    made = await thumbnail.make(files.read(file))
    if made is None:
        return file
    return replace(file, width=made.width, height=made.height, thumbnail=made.picture)


def clean_file_name(name: str) -> str:
    """A name that is one, on every system: no folders, no control or direction characters, no endless length."""
    base = _UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(" .")
    if len(base) <= MOST_NAME:
        return base
    stem, dot, ending = base.rpartition(".")
    return f"{stem[: MOST_NAME - 12]}.{ending[:10]}" if dot else base[:MOST_NAME]
