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
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from loguru import logger

from gateway import thumbnail
from gateway.model.errors import Invalid, NotFound, ParleyError, SendError, Unavailable
from gateway.model.file import File
from gateway.model.ports import Clock, WebhookAdapter
from gateway.model.sniff import HEAD, IMAGES, sniff
from gateway.model.tenant import Channel
from gateway.ops.logging import stack
from gateway.store import Store
from gateway.store.files import PART, Files, attempted, generation_of

MOST_BYTES: Final = 100 * 1024 * 1024
"""The largest file that a provider documents (a WhatsApp document)."""

AT_ONCE: Final = 8
AT_ONCE_OF_A_CHANNEL: Final = 2
"""A provider that is slow holds up its own channel's files, and nobody else's."""

LEASE: Final = timedelta(minutes=2)
"""A claim holds so long, and is renewed while the fetching goes on."""

MOST_ATTEMPTS: Final = 8
MOST_CLAIMS: Final = 24
"""How often in all, with those that ended without a word: we were killed, or lost the store."""

MOST_NAME: Final = 200
SWEEP: Final = 500
"""Due files that one look reads; where there are more, the next goes on from there."""

DROPS: Final = 50
PUT_OFF: Final = timedelta(minutes=5)
"""Files of a channel that can't be used are looked at again after this, or when it is enabled."""

CHUNK_SECONDS: Final = 30.0
"""A sender of whom no byte came for so long has gone."""

RATE: Final = 1024
RATE_SECONDS: Final = 60.0
"""One that sends fewer than `RATE` bytes a second over this time holds a place for nothing, too."""

TOTAL_SECONDS: Final = 1800.0
RENEWED: Final = 60.0
FETCHES: Final = 2.0
"""Seconds between looks for files that are due; new ones are announced."""

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u202a-\u202e\u2066-\u2069]")


class TooLarge(Exception):
    """More came than may."""


class Stalled(Invalid):
    """The bytes stopped coming, or come too slowly."""

    def __init__(self) -> None:
        super().__init__("file", "a file that comes whole: this one stopped coming, or came too slowly")


class Media:
    """Fetches what is due, at most `AT_ONCE` files at a time in this process, and two of a channel."""

    def __init__(self, store: Store, adapters: Mapping[str, WebhookAdapter], clock: Clock) -> None:
        self._store = store
        self._adapters = adapters
        self._clock = clock
        self.wake = asyncio.Event()
        """Set when there are files to fetch."""
        self._under_way: dict[str, asyncio.Task[bool]] = {}
        self._by_channel: Counter[str] = Counter()
        self._waiting: list[File] = []
        """Due files that the last look found no place for."""
        self._passed = 0
        """How many due files the last looks went through, where they did not come to the end."""

    async def close(self) -> None:
        """What is under way is broken off; another process, or the next start, fetches it anew."""
        self._waiting = []
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def sweep(self) -> None:
        """Begin what is due, as there are places; uploads that were never finished, or never said, are removed.
        Raises Unavailable."""
        now = self._clock()
        page = await self._store.files.due("fetch", now, SWEEP, self._passed)
        self._waiting = await self._usable(page, now)
        # One channel's thousands don't hide what is due behind them.
        self._passed = self._passed + len(self._waiting) if len(page) == SWEEP else 0
        self._begin_waiting()
        for file in await self._store.files.due("drop", now, DROPS):
            await self._store.files.expire(file, now)

    def _begin_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for file in waiting:
            if file.id in self._under_way:
                continue
            if len(self._under_way) < AT_ONCE and self._by_channel[file.channel] < AT_ONCE_OF_A_CHANNEL:
                self._begin(file)
            else:
                self._waiting.append(file)

    def _begin(self, file: File) -> None:
        task = asyncio.create_task(self._one(file))
        self._under_way[file.id] = task
        self._by_channel[file.channel] += 1

        def ended(task: asyncio.Task[bool]) -> None:
            del self._under_way[file.id]
            self._by_channel[file.channel] -= 1
            self._by_channel += Counter()  # forgets whoever has none
            if task.cancelled() or not task.result():
                self._waiting = []  # the store can't be reached: the next look finds them again
            self._begin_waiting()

        task.add_done_callback(ended)

    async def _usable(self, page: Sequence[File], now: datetime) -> list[File]:
        """Those whose channels can be used; the others are put off."""
        unusable = await self._unusable({f.channel for f in page})
        if unusable:
            # It may have been enabled a moment ago, by another process: then they were made due for us.
            await self._store.directory.refresh()
            unusable = await self._unusable(unusable)
        if put_off := [f for f in page if f.channel in unusable]:
            await self._store.files.put_off(put_off, now + PUT_OFF)
        return [f for f in page if f.channel not in unusable]

    async def _unusable(self, channels: Iterable[str]) -> set[str]:
        found = set()
        for channel in channels:
            with contextlib.suppress(NotFound):  # fetching says so
                if (await self._store.directory.channel(channel)).state != "active":
                    found.add(channel)
        return found

    async def idle(self) -> None:
        """Until nothing is under way."""
        while self._under_way:
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _one(self, file: File) -> bool:
        """Whether its record says how it went; else its claim runs out, and it is due again."""
        holding = asyncio.create_task(self._hold(file))
        try:
            await self.fetch(file)
        except Unavailable:
            return False
        except Exception as error:
            logger.error("fetching a file broke: {}", stack(error))
            return False
        finally:
            holding.cancel()
        return True

    async def _hold(self, file: File) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 4)
            with contextlib.suppress(ParleyError):
                files = self._store.of(file.tenant).files
                await files.renew(file.id, file.attempts + 1, self._clock() + LEASE)

    async def fetch(self, file: File) -> None:
        """Fetch one file, if nobody else is at it; its record says how it went."""
        files = self._store.of(file.tenant).files
        now = self._clock()
        try:
            channel = await self._store.directory.channel(file.channel)
        except NotFound:
            await self._give_up(files, file, "Its channel is gone.")
            return
        if channel.state != "active":
            # Another of its files found out just now: they don't all ask with credentials that are refused.
            await self._store.files.put_off([file], now + PUT_OFF)
            return
        if not await files.claim(file.id, file.attempts, now, now + LEASE):
            return
        file = attempted(file)
        if file.attempts > MOST_CLAIMS:
            # Perhaps it was this very file that killed us.
            await self._give_up(files, file, "It broke off each time.")
            return
        try:
            await self._fetch(files, channel, file)
        except TooLarge:
            await self._give_up(files, file, f"It is larger than {MOST_BYTES // 2**20} MB.")
        except SendError as error:
            if error.disable_channel:
                await self._store.directory.disable(channel)
                # The file is still there: what is wrong is mended, and then it can be had.
                await files.give_back(file.id, file.attempts, self._clock() + PUT_OFF, error.text)
            else:
                await self._again(files, file, error)
        except Unavailable:
            raise
        except Stalled:
            text = "It stopped coming, or came too slowly."
            await self._again(files, file, SendError("file:slow", text, retryable=True))
        except Exception as error:
            logger.bind(tenant=file.tenant, channel=file.channel, file=file.id).error(
                "fetching a file broke: {}", stack(error)
            )
            text = "Something went wrong on our side."
            await self._again(files, file, SendError("file:broken", text, retryable=True))

    async def _fetch(self, files: Files, channel: Channel, file: File) -> None:
        async with self._adapters[channel.kind].fetch(channel, file.media_id or "") as download:
            named = download.name or file.name
            whole = await store(files, replace(file, name=named), download.chunks, MOST_BYTES)
        await files.ready(await with_thumbnail(files, whole))

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

    Raises Invalid for an empty, too large or not allowed one, Stalled (an Invalid) for one that stops coming, and
    Unavailable; nothing is left of it then.
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
        whole = await store(files, file, _renewed(files, file, chunks), most)
        if not whole.size:
            raise Invalid("file", "a file that is not empty")
        if not allowed(whole.mime):
            raise Invalid("file", f"a kind of file that may be sent here; this one is {whole.mime}")
        ready = await with_thumbnail(files, whole)
        if not await files.ready(ready):
            raise Unavailable("the upload was removed while it came")
    except TooLarge:
        await files.drop(file)
        raise Invalid("file", f"at most {most / 2**20:.0f} MB") from None
    except BaseException:
        await files.drop(file)
        raise
    return replace(ready, state="ready")


async def _renewed(files: Files, file: File, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks of an upload, whose record lasts as long as they come. Raises Unavailable when it was removed."""
    now = asyncio.get_running_loop().time
    renewed = now()
    async for chunk in chunks:
        if now() - renewed > RENEWED:
            renewed = now()
            if not await files.coming(file.id):
                raise Unavailable("the upload was removed while it came")
        yield chunk


async def paced(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, as long as they come fast enough. Raises Stalled. Only the time that their sender takes counts."""
    now = asyncio.get_running_loop().time
    began = now()
    came, waited = 0, 0.0
    while True:
        asked = now()
        try:
            async with asyncio.timeout(CHUNK_SECONDS):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Stalled from None
        came += len(chunk)
        waited += now() - asked
        if waited > RATE_SECONDS:
            if came < RATE * waited:
                raise Stalled
            came, waited = 0, 0.0
        if now() - began > TOTAL_SECONDS:
            raise Stalled
        yield chunk


async def store(files: Files, file: File, chunks: AsyncIterator[bytes], most: int) -> File:
    """Write the bytes as they come; the file with its size, digest, parts and the type that its first bytes show. Raises
    TooLarge as soon as more than `most` has come, and Stalled."""
    digest, size, parts = hashlib.sha256(), 0, 0
    held, head = bytearray(), b""
    async for chunk in paced(chunks):
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
    """The file with a small picture of it, where it is a picture that can be read in bounded time and memory, and there is
    room to make one. A file is never lost for its small picture."""
    if file.mime not in IMAGES or not 0 < file.size <= thumbnail.MOST_BYTES:
        return file
    try:
        made = await thumbnail.make(files.read(file))
    except OSError as error:
        logger.bind(tenant=file.tenant, file=file.id).warning("no small picture: {}", stack(error))
        return file
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
