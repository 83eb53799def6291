"""Large files through a gateway that is a process of its own: in little memory, and whatever kills it."""

import asyncio
import hashlib
import io
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.bootstrap import open_store
from gateway.model.clock import system_clock
from gateway.model.content import Media
from gateway.model.file import File
from gateway.model.message import Message, Status
from gateway.settings import Settings
from tests.bench.gateway_process import APP_SECRET
from tests.core.test_crash import ACCOUNT, Victim
from tests.providers.graph import GraphStandIn
from tests.providers.graph_files import digest_of, made_up
from tests.providers.graph_webhooks import signed, webhook

SIZE = 25 * 1024 * 1024
MOST_ADDED = 20 * 1024
"""kB."""

SENDER = "34600111222"


@pytest.fixture
async def graph() -> AsyncIterator[GraphStandIn]:
    async with GraphStandIn() as stand_in:
        yield stand_in


@pytest.fixture
async def victim(tmp_path: Path, graph: GraphStandIn) -> AsyncIterator[Victim]:
    async with Victim(tmp_path / "data", graph.url) as found:
        await found.start()
        yield found


def video(media_id: str) -> bytes:
    message = {
        "from": SENDER,
        "id": f"wamid.{media_id}",
        "timestamp": str(int(time.time())),
        "type": "video",
        "video": {"id": media_id, "mime_type": "video/mp4", "sha256": "x", "caption": "look"},
    }
    contacts = [{"wa_id": SENDER, "profile": {"name": "Ana"}}]
    return webhook({"contacts": contacts, "messages": [message]}, account=ACCOUNT)


async def post(victim: Victim, body: bytes) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(victim.url, data=body, headers=signed(body, APP_SECRET)) as answer,
    ):
        assert answer.status == 200


class Memory:
    """The most memory that the gateway's process held since this began, in kB over what it had then."""

    def __init__(self, victim: Victim) -> None:
        self._status = Path(f"/proc/{victim.pid}/status")
        Path(f"/proc/{victim.pid}/clear_refs").write_text("5", encoding="ascii")
        self._before = self._read("VmRSS")

    def _read(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+)", self._status.read_text(encoding="ascii"))
        assert found is not None
        return int(found[1])

    @property
    def added(self) -> int:
        return self._read("VmHWM") - self._before


async def stored(data: Path, found: Callable[[Any], Any]) -> Any:
    """What `found` gives over the store, once it gives something."""
    async with open_store(Settings(data_dir=data), say=lambda _: None) as store:
        async with asyncio.timeout(60):
            while not (result := await found(store.of("t0"))):
                await asyncio.sleep(0.02)
        return result


async def the_file(store: Any) -> File | None:
    for message in await transcript(store):
        if isinstance(message.content, Media) and message.content.file:
            file: File = await store.files.get(message.content.file)
            return file if file.state != "pending" else None
    return None


async def transcript(store: Any) -> tuple[Message, ...]:
    for conversation in (await store.conversations.recent(None, system_clock(), 9)).items:
        found: tuple[Message, ...] = (await store.messages.before(conversation.id, None, 99)).messages
        return found
    return ()


async def test_a_video_of_25_mb_goes_in_and_out_in_little_memory(
    tmp_path: Path, graph: GraphStandIn, victim: Victim
) -> None:
    data = tmp_path / "data"
    # A small one first: what is loaded once is not the file's.
    graph.files.offer("1", "video/mp4", 300_000)
    await post(victim, video("1"))
    await stored(data, the_file)
    memory = Memory(victim)
    graph.files.offer("2", "video/mp4", SIZE)
    await post(victim, video("2"))

    async def second(store: Any) -> File | None:
        files = [m.content.file for m in await transcript(store) if isinstance(m.content, Media)]
        if len(files) < 2:
            return None
        file: File = await store.files.get(files[1])
        return file if file.state != "pending" else None

    file = await stored(data, second)
    assert (file.state, file.size, file.sha256) == ("ready", SIZE, digest_of(SIZE, "2"))
    assert memory.added < MOST_ADDED, f"{memory.added} kB more while it came in"
    memory = Memory(victim)
    await send_back(victim, data, SIZE)
    upload = await uploaded(graph)
    assert (upload.size, upload.sha256) == (SIZE, digest_of_brochure(SIZE))
    assert memory.added < MOST_ADDED, f"{memory.added} kB more while it went out"


async def send_back(victim: Victim, data: Path, size: int) -> None:
    """Upload a file over the API and send it."""
    async with open_store(Settings(data_dir=data), say=lambda _: None) as store:
        _, secret = await store.access.create_key("t0", "test", system_clock())
        [conversation] = {m.conversation for m in await transcript(store.of("t0"))}
    headers = {"Authorization": f"Bearer {secret}"}
    base = f"http://127.0.0.1:{victim.port}/api/v1"
    async with aiohttp.ClientSession(headers=headers) as http:

        async def parts() -> AsyncIterator[bytes]:
            for part in brochure(size):
                yield part

        async with http.post(f"{base}/files?name=tour.pdf", data=parts()) as answer:
            file = await answer.json()
            assert answer.status == 200, file
        content = {"type": "media", "media": "document", "file": file["id"], "caption": "the tour"}
        url = f"{base}/conversations/{conversation}/messages"
        async with http.post(url, data=io.BytesIO(json.dumps({"content": content}).encode())) as answer:
            found = await answer.json()
            assert answer.status == 200, found


HEAD = b"%PDF-1.7\n"


def brochure(size: int) -> Iterator[bytes]:
    """A PDF by its first bytes: WhatsApp takes documents of this size, and no videos."""
    yield HEAD
    yield from made_up(size - len(HEAD), "out")


def digest_of_brochure(size: int) -> str:
    return hashlib.sha256(b"".join(brochure(size))).hexdigest()


async def uploaded(graph: GraphStandIn, number: int = 1) -> Any:
    async with asyncio.timeout(60):
        while len(graph.files.uploads) < number:
            await asyncio.sleep(0.01)
    return list(graph.files.uploads.values())[-1]


async def test_killed_while_a_file_comes_in_it_is_fetched_again(
    tmp_path: Path, graph: GraphStandIn, victim: Victim
) -> None:
    gate = asyncio.Event()
    offer = graph.files.offer("7", "video/mp4", 4_000_000, mode="slow", gate=gate)
    await post(victim, video("7"))
    async with asyncio.timeout(30):
        while not offer.tokens:
            await asyncio.sleep(0.01)
    await victim.kill()
    gate.set()
    await victim.start()
    file = await stored(tmp_path / "data", the_file)
    assert (file.state, file.size, file.sha256) == ("ready", 4_000_000, digest_of(4_000_000, "7"))
    assert offer.looked_up >= 2


async def test_killed_while_a_file_goes_out_it_is_sent_once(
    tmp_path: Path, graph: GraphStandIn, victim: Victim
) -> None:
    graph.files.offer("1", "video/mp4", 300_000)
    await post(victim, video("1"))
    await stored(tmp_path / "data", the_file)
    before = len(graph.messages())
    graph.files.hold = asyncio.Event()
    await send_back(victim, tmp_path / "data", 6_000_000)
    async with asyncio.timeout(30):
        while not graph.files.arriving:
            await asyncio.sleep(0.01)
    await victim.kill()
    graph.files.hold.set()
    await victim.start()

    async def out(store: Any) -> Message | None:
        last = (await transcript(store))[-1]
        return last if last.status >= Status.SENT else None

    message = await stored(tmp_path / "data", out)
    assert message.status is Status.SENT
    documents = [m for m in graph.messages()[before:] if m.body.get("type") == "document"]
    assert len(documents) == 1
    assert (await uploaded(graph)).sha256 == digest_of_brochure(6_000_000)
