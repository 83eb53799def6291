"""What is fetched from Telegram: customers' files, and updates where there is no public address."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from channels.telegram.parse import ALLOWED
from gateway.model.errors import SendError, Unavailable
from tests.providers.bot_api import MB, Fault, StoredFile
from tests.telegram.reading import body
from tests.telegram.rig import CHANNEL, TOKEN, Rig, clean

# Files ----------------------------------------------------------------------------------------------------


async def fetched(rig: Rig, media_id: str) -> tuple[int, str, int | None]:
    async with rig.adapter.fetch(CHANNEL, media_id) as download:
        size = 0
        async for chunk in download.chunks:
            assert len(chunk) <= 256 * 1024
            size += len(chunk)
        return size, download.mime, download.size


async def fails(rig: Rig, media_id: str) -> SendError:
    with pytest.raises(SendError) as caught:
        await fetched(rig, media_id)
    return clean(caught.value)


async def test_a_file_is_streamed(rig: Rig) -> None:
    rig.api.files["f1"] = StoredFile(20 * MB, "photo", "image/jpeg")
    rig.api.files["f2"] = StoredFile(1)
    tracemalloc.start()
    try:
        assert await fetched(rig, "f1") == (20 * MB, "image/jpeg", 20 * MB)
        assert tracemalloc.get_traced_memory()[1] < 10 * MB
    finally:
        tracemalloc.stop()
    assert await fetched(rig, "f2") == (1, "", 1)


async def test_a_file_that_telegram_does_not_give(rig: Rig) -> None:
    rig.api.files["big"] = StoredFile(25 * MB, "video")
    error = await fails(rig, "big")
    assert (error.code, error.retryable) == ("telegram:400_file_too_big", False)
    assert "20 MB" in error.text
    assert not (await fails(rig, "unheard of")).retryable


async def test_a_file_that_breaks_off_or_is_late_is_fetched_again(rig: Rig) -> None:
    rig.api.files["cut"] = StoredFile(5 * MB, cut=MB)
    error = await fails(rig, "cut")
    assert (error.retryable, error.outcome) == (True, "refused")
    rig.api.files["gone"] = StoredFile(1, missing=True)
    error = await fails(rig, "gone")
    assert (error.code, error.retryable, error.most_attempts) == ("telegram:file_404", True, 3)
    rig.api.files["ok"] = StoredFile(1)
    rig.api.misbehave(Fault("status", 502, method="file"))
    assert (await fails(rig, "ok")).retryable
    assert (await fetched(rig, "ok"))[0] == 1


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/abs/path", "a/../b", "http://x/y", "a b", "", None, "a?b"]
)
async def test_a_path_that_leads_elsewhere_is_not_followed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, path: Any
) -> None:
    monkeypatch.setattr(rig.api, "_file", lambda file_id: {"file_id": file_id, "file_path": path})
    assert (await fails(rig, "f")).code == "telegram:no_path"


# Asking ---------------------------------------------------------------------------------------------------


class Taker:
    """Keeps what it takes; refuses while told to."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refuse = 0
        self.came = asyncio.Event()

    async def __call__(self, raw: bytes) -> str | None:
        if self.refuse:
            self.refuse -= 1
            raise Unavailable
        self.taken.append(json.loads(raw))
        self.came.set()
        return None

    async def have(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.taken) < count:
                self.came.clear()
                await self.came.wait()


@asynccontextmanager
async def pulling(rig: Rig, taker: Taker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(rig.adapter.pull(CHANNEL, taker))
    yield task
    task.cancel()
    async with asyncio.timeout(2):
        await asyncio.gather(task, return_exceptions=True)


def text(number: int) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(body("text"))["message"]
    return {"message": message | {"message_id": number}}


async def test_updates_are_read_in_order_and_as_they_come(rig: Rig) -> None:
    taker = Taker()
    ids = [rig.api.update(TOKEN, text(n)) for n in range(3)]
    async with pulling(rig, taker):
        await taker.have(3)
        ids.append(rig.api.update(TOKEN, text(3)))
        await taker.have(4)
    assert [u["update_id"] for u in taker.taken] == ids
    call = rig.api.of("getUpdates")[0]
    assert call.params["allowed_updates"] == list(ALLOWED)
    assert call.params["timeout"] >= 25
    (found,) = rig.adapter.parse(CHANNEL, json.dumps(taker.taken[0]).encode()).messages
    assert found.provider_id == "5512345678:0"


async def test_nothing_is_confirmed_that_was_not_taken(rig: Rig) -> None:
    taker = Taker()
    first, second = rig.api.update(TOKEN, text(1)), rig.api.update(TOKEN, text(2))
    taker.refuse = 1
    with pytest.raises(Unavailable):
        await rig.adapter.pull(CHANNEL, taker)
    assert rig.bot.confirmed == []
    # The process starts again: both come again.
    async with pulling(rig, taker):
        await taker.have(2)
        rig.api.update(TOKEN, text(3))
        await taker.have(3)
    assert [u["update_id"] for u in taker.taken[:2]] == [first, second]
    assert rig.bot.confirmed == [first, second]


async def test_killed_between_taking_and_confirming_the_update_comes_again(rig: Rig) -> None:
    taker = Taker()
    number = rig.api.update(TOKEN, text(1))
    stopped = asyncio.Event()

    async def die(raw: bytes) -> str | None:
        await taker(raw)
        stopped.set()
        await asyncio.Event().wait()
        return None

    task = asyncio.create_task(rig.adapter.pull(CHANNEL, die))
    await stopped.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rig.bot.confirmed == []
    async with pulling(rig, taker):
        await taker.have(2)
    assert [u["update_id"] for u in taker.taken] == [number, number]


async def test_an_update_that_can_not_be_read_holds_up_nothing(rig: Rig) -> None:
    from gateway.model.errors import NotForUs

    taker = Taker()
    refused: list[bytes] = []

    async def picky(raw: bytes) -> str | None:
        if not refused:
            refused.append(raw)
            raise NotForUs("not this one")
        return await taker(raw)

    rig.api.update(TOKEN, text(1))
    rig.api.update(TOKEN, text(2))
    task = asyncio.create_task(rig.adapter.pull(CHANNEL, picky))
    await taker.have(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert taker.taken[0]["message"]["message_id"] == 2


async def test_another_reader_and_another_webhook_are_told(rig: Rig) -> None:
    first = asyncio.create_task(rig.adapter.pull(CHANNEL, Taker()))
    async with asyncio.timeout(10):
        while rig.bot.poll is None:
            await asyncio.sleep(0)
    async with pulling(rig, Taker()):
        with pytest.raises(SendError) as caught:
            await first
    assert (caught.value.code, caught.value.retryable) == ("telegram:409_read_elsewhere", True)
    rig.bot.webhook = {"url": "https://other.example/x"}
    with pytest.raises(SendError) as caught:
        await rig.adapter.pull(CHANNEL, Taker())
    assert clean(caught.value).code == "telegram:409_webhook_set"


async def test_a_fault_while_asking_is_told(rig: Rig) -> None:
    rig.api.update(TOKEN, text(1))
    for fault in (Fault("status", 502), Fault("reset"), Fault("garbage"), Fault.too_many(3)):
        rig.api.misbehave(fault)
        with pytest.raises(SendError) as caught:
            await rig.adapter.pull(CHANNEL, Taker())
        assert clean(caught.value).retryable


async def test_no_app_is_read(rig: Rig) -> None:
    assert rig.adapter.pulls_app is False
    assert await rig.adapter.pull_app(Taker()) is None  # type: ignore[func-returns-value]
