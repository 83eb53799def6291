"""Files: uploaded, told by their bytes, served by signed addresses as downloads, and only to whom they belong."""

import asyncio
import base64
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from PIL import Image
from pymongo import AsyncMongoClient

from gateway import media
from gateway.files import FileLinks
from gateway.media import clean_file_name
from gateway.model.errors import NotFound
from gateway.model.sniff import sniff
from tests.conftest import ORIGIN, Running, make_site, make_tenant
from tests.core.test_api import key_of
from tests.core.visitor import Visitor


def picture(kind: str = "PNG", size: tuple[int, int] = (640, 480), **more: Any) -> bytes:
    found = io.BytesIO()
    Image.new("RGB", size, "teal").save(found, kind, **more)
    return found.getvalue()


async def upload(running: Running, name: str, data: bytes, tenant: str = "acme") -> dict[str, Any]:
    async with running.http.post(
        f"{running.url}/api/v1/files",
        params={"name": name},
        data=io.BytesIO(data),
        headers=await key_of(running, tenant),
    ) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


def local(running: Running, url: str) -> str:
    return running.url + "/files/" + url.rpartition("/files/")[2]


# Kinds

OFFICE = io.BytesIO()
with zipfile.ZipFile(OFFICE, "w") as archive:
    archive.writestr("[Content_Types].xml", "x")
    archive.writestr("word/document.xml", "x")


@pytest.mark.parametrize(
    ("head", "name", "mime"),
    [
        (picture("JPEG"), "a.exe", "image/jpeg"),
        (picture("PNG"), "a", "image/png"),
        (picture("GIF"), "a", "image/gif"),
        (picture("WEBP"), "a", "image/webp"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "a", "video/mp4"),
        (b"\x00\x00\x00\x18ftyp3gp4\x00\x00\x00\x00isom3gp4", "a", "video/3gpp"),
        (b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  ", "a", "video/quicktime"),
        (b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00", "a", "audio/mp4"),
        (b"OggS\x00\x02" + bytes(22) + b"OpusHead", "a", "audio/ogg"),
        (b"ID3\x03\x00\x00\x00\x00\x00\x21", "a", "audio/mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(40), "a", "audio/mpeg"),
        (b"\xff\xf1\x50\x80\x02\x1f\xfc", "a", "audio/aac"),
        (b"#!AMR\n\x3c", "a", "audio/amr"),
        (b"%PDF-1.4\n", "a.html", "application/pdf"),
        (
            OFFICE.getvalue(),
            "a",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.XLS", "application/vnd.ms-excel"),
        (b"\xef\xbb\xbfgr\xc3\xbc\xc3\x9fe", "a.png", "text/plain"),
        (b"  <!-- x --> <!DOCTYPE html><html>", "a.png", "text/html"),
        (b"\n<!----><!-- <p>a --\n--><HTML>", "a.png", "text/html"),
        (b"<!-- <html> never ends", "a.png", "text/plain"),
        (b"<!-- x --> <p>", "a.png", "text/plain"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'>", "a.png", "image/svg+xml"),
        (b"MZ\x90\x00", "a.jpg", "application/vnd.microsoft.portable-executable"),
        (b"\x00\x01\x02", "a.jpg", "application/octet-stream"),
        (b"", "a.jpg", "application/octet-stream"),
    ],
)
def test_a_type_is_told_by_the_bytes(head: bytes, name: str, mime: str) -> None:
    assert sniff(head, name) == mime


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("%252e%252e%252fx", "%252e%252e%252fx"),
        ("a\x00b\nc.pdf", "a_b_c.pdf"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("...", ""),
        ("x" * 500 + ".pdf", "x" * 188 + ".pdf"),
        ("عرض سعر.pdf", "عرض سعر.pdf"),
    ],
)
def test_a_name_is_a_name(given: str, kept: str) -> None:
    assert clean_file_name(given) == kept


# Through the gateway


async def test_a_file_goes_in_and_comes_back_byte_for_byte(running: Running) -> None:
    data = bytes(range(256)) * 4000  # about 1 MB: four parts
    file = await upload(running, "../odd/näme\u202e.bin", data)
    assert file["name"] == "näme_.bin"
    assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (file["state"], file["mime"], file["thumbnail"]) == ("ready", "application/octet-stream", None)
    async with running.http.get(local(running, file["url"])) as answer:
        assert answer.status == 200
        assert await answer.read() == data
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for header, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=262143-262145", 262143, 262145),
        ("bytes=1000000-", 1000000, len(data) - 1),
        ("bytes=-5", len(data) - 5, len(data) - 1),
    ):
        async with running.http.get(local(running, file["url"]), headers={"Range": header}) as answer:
            assert answer.status == 206
            assert await answer.read() == data[first : last + 1]
            assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
    beyond = {"Range": f"bytes={len(data)}-"}
    async with running.http.get(local(running, file["url"]), headers=beyond) as answer:
        assert answer.status == 416


async def test_a_picture_gets_a_small_one_without_its_metadata(running: Running) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at the secret place"
    file = await upload(running, "a.jpg", picture("JPEG", (2000, 1000), exif=exif))
    assert (file["width"], file["height"], file["mime"]) == (2000, 1000, "image/jpeg")
    async with running.http.get(local(running, file["thumbnail"])) as answer:
        assert answer.content_type == "image/webp"
        small = await answer.read()
    assert Image.open(io.BytesIO(small)).size == (320, 160)
    assert b"secret place" not in small


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + b"nonsense" * 9, picture("PNG")[:100]])
async def test_what_only_looks_like_a_picture_has_no_small_one(running: Running, data: bytes) -> None:
    file = await upload(running, "a.png", data)
    assert (file["state"], file["thumbnail"]) == ("ready", None)


async def test_a_picture_that_is_a_bomb_is_not_opened(running: Running) -> None:
    """Some kilobytes that would fill gigabytes."""
    bomb = io.BytesIO()
    Image.new("1", (20000, 20000)).save(bomb, "PNG")
    file = await upload(running, "a.png", bomb.getvalue())
    assert (file["state"], file["thumbnail"]) == ("ready", None)


async def test_an_address_opens_one_file_of_one_tenant_for_a_time(running: Running) -> None:
    file = await upload(running, "a.txt", b"canary-1234")
    await make_tenant(running.store, "bolt")
    other = await upload(running, "b.txt", b"other", "bolt")
    address = local(running, file["url"])
    token = address.rpartition("/")[2]
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    forged = [
        raw.replace(b"acme", b"bolt"),
        raw.replace(file["id"].encode(), other["id"].encode()),
        raw[:-1] + bytes([raw[-1] ^ 1]),
        raw[:-32] + bytes(32),
        b"",
        b"\xff" * 40,
    ]
    for tried in forged:
        made = base64.urlsafe_b64encode(tried).decode().rstrip("=")
        async with running.http.get(f"{running.url}/files/{made}") as answer:
            assert answer.status == 404
            assert b"canary" not in await answer.read()
    strange = FileLinks((b"another key",), running.clock).of("acme", file["id"])
    async with running.http.get(running.url + strange) as answer:
        assert answer.status == 404
    running.clock.move(hours=2)
    async with running.http.get(address) as answer:
        assert answer.status == 404


async def test_a_file_that_is_broken_off_leaves_nothing(running: Running, mongodb_uri: str) -> None:
    async def part() -> Any:
        yield b"x" * 300_000
        raise ConnectionResetError

    with pytest.raises((aiohttp.ClientError, ConnectionResetError)):
        await running.http.post(
            f"{running.url}/api/v1/files?name=a", data=part(), headers=await key_of(running, "acme")
        )
    client: Any = AsyncMongoClient(mongodb_uri)
    db = client.get_default_database()
    try:
        async with asyncio.timeout(10):
            while await db["files"].find_one({}) or await db["file_parts"].find_one({}):
                pass
    finally:
        await client.close()


# From the widget


async def visitor_token(running: Running, site: str = "ch_web") -> str:
    async with running.http.post(
        f"{running.url}/widget/session", data=json.dumps({"site": site}), headers={"Origin": ORIGIN}
    ) as answer:
        return str((await answer.json())["token"])


async def widget_upload(
    running: Running, token: str, data: bytes, name: str = "a.png", origin: str = ORIGIN, site: str = "ch_web"
) -> tuple[int, dict[str, Any]]:
    async with running.http.post(
        f"{running.url}/widget/files",
        params={"site": site, "name": name},
        data=io.BytesIO(data),
        headers={"Origin": origin, "Authorization": f"Visitor {token}", "Content-Length": str(len(data))},
    ) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        return answer.status, await answer.json()


async def test_a_visitor_sends_a_file_and_sees_it(running: Running) -> None:
    async with Visitor(running).open() as tab:
        status, file = await widget_upload(running, str(tab.visitor.token), picture())
        assert (status, file["mime"]) == (200, "image/png")
        message = await tab.send({"type": "media", "file": file["file"], "caption": "echo look"})
        content = message["content"]
        assert (content["media"], content["name"], content["caption"]) == ("image", "a.png", "echo look")
        async with running.http.get(local(running, content["link"])) as answer:
            assert await answer.read() == picture()
        async with running.http.get(local(running, content["thumbnail"])) as answer:
            assert answer.status == 200
        assert (await tab.heard())["content"]["text"] == "echo look"


async def test_a_visitor_can_not_say_somebody_elses_file(running: Running) -> None:
    other = await visitor_token(running)
    _, file = await widget_upload(running, other, picture())
    agents = await upload(running, "a.png", picture())
    async with Visitor(running).open() as tab:
        for identifier in (file["file"], agents["id"], "f_none"):
            said = {"type": "media", "file": identifier}
            await tab.put({"t": "send", "id": f"client-{identifier[-6:]}", "content": said})
            assert (await tab.next("error"))["code"] == "no_file"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not empty"),
        (b"<html><script>alert(1)</script>", "text/html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'>", "image/svg"),
        (b"MZ\x90\x00" + bytes(100), "portable-executable"),
        (b"\x00\x01\x02\x03", "octet-stream"),
    ],
)
async def test_what_nobody_should_open_is_refused_with_the_reason(
    running: Running, data: bytes, expected: str
) -> None:
    status, problem = await widget_upload(running, await visitor_token(running), data)
    assert status == 422
    assert expected in problem["detail"]


async def test_the_wrong_page_token_or_size_is_refused(running: Running) -> None:
    token = await visitor_token(running)
    assert (await widget_upload(running, "x", b"hello"))[0] == 401
    assert (await widget_upload(running, token, b"hello", origin="https://evil.example"))[0] == 401
    assert (await widget_upload(running, token, b"hello", site="ch_wa"))[0] == 404
    assert (await widget_upload(running, token, b"hello", site="ch_none"))[0] == 404
    too_large = {"Origin": ORIGIN, "Authorization": f"Visitor {token}", "Content-Length": str(26 * 2**20)}
    async with running.http.post(
        f"{running.url}/widget/files?site=ch_web&name=a", data=b"x", headers=too_large
    ) as answer:
        assert answer.status == 413
    async with running.http.options(
        f"{running.url}/widget/files?site=ch_web", headers={"Origin": ORIGIN}
    ) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Methods"]) == (204, "POST")
    async with running.http.options(
        f"{running.url}/widget/files?site=ch_web", headers={"Origin": "https://evil.example"}
    ) as answer:
        assert answer.status == 403


# Slow, hanging and forgotten uploads


async def dripping(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(0.02)
        yield b"x"


async def test_who_sends_a_byte_now_and_then_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "RATE_SECONDS", 0.1)
    with pytest.raises(media.Stalled):
        async for _ in media.paced(dripping(1000)):
            pass
    monkeypatch.setattr(media, "RATE", 5)
    assert [c async for c in media.paced(dripping(20))] == [b"x"] * 20
    monkeypatch.setattr(media, "TOTAL_SECONDS", 0.1)
    with pytest.raises(media.Stalled):
        async for _ in media.paced(dripping(1000)):
            pass


class Slow:
    """An upload over the API, in steps that the test takes."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.steps: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while (step := await self.steps.get()) is not None:
            yield step

    async def send(self) -> tuple[int, dict[str, Any]]:
        async with self.running.http.post(
            f"{self.running.url}/api/v1/files?name=a.bin",
            data=self._chunks(),
            headers=await key_of(self.running, "acme"),
        ) as answer:
            return answer.status, await answer.json()

    async def until_parts(self, count: int) -> None:
        async with asyncio.timeout(10):
            while await parts_of(self.running) < count:
                await asyncio.sleep(0.005)


async def parts_of(running: Running) -> int:
    return int(await running.store.files._db["file_parts"].count_documents({}))


async def files_of(running: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await running.store.files._db["files"].find({}).to_list()
    return found


async def test_an_upload_over_the_api_that_stops_is_told_and_leaves_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "CHUNK_SECONDS", 0.5)
    slow = Slow(running)
    slow.steps.put_nowait(b"x" * 300_000)
    status, problem = await slow.send()
    assert (status, problem["code"]) == (422, "invalid")
    assert "stopped coming" in problem["detail"]
    assert (await files_of(running), await parts_of(running)) == ([], 0)


async def test_an_upload_lasts_as_long_as_its_bytes_come(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "RENEWED", 0.0)
    slow = Slow(running)
    request = asyncio.create_task(slow.send())
    for number in range(3):
        slow.steps.put_nowait(b"x" * 256 * 1024)
        await slow.until_parts(number + 1)
        running.clock.move(minutes=8)
        await running.gateway.media.sweep()
    slow.steps.put_nowait(None)
    status, file = await request
    assert (status, file["size"]) == (200, 3 * 256 * 1024)


async def test_an_upload_that_was_removed_is_broken_off_at_its_next_bytes(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "RENEWED", 0.0)
    slow = Slow(running)
    request = asyncio.create_task(slow.send())
    # One whole part: of what came later, some might still be on its way, and renew the upload after the clock moved.
    slow.steps.put_nowait(b"x" * 256 * 1024)
    await slow.until_parts(1)
    running.clock.move(hours=2)
    await running.gateway.media.sweep()
    slow.steps.put_nowait(b"y")
    status, problem = await request
    assert (status, problem["code"]) == (503, "unavailable")
    assert (await files_of(running), await parts_of(running)) == ([], 0)


async def test_one_site_does_not_take_every_place(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.uploads.MOST_OF_A_SITE", 1)
    await make_site(running.store, identifier="ch_two")
    parts = urlsplit(running.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"POST /widget/files?site=ch_web&name=a HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\nContent-Length: 9\r\n"
        f"Authorization: Visitor {await visitor_token(running)}\r\n\r\nx".encode()
    )
    async with asyncio.timeout(10):
        while not await files_of(running):
            await asyncio.sleep(0.005)
    status, problem = await widget_upload(running, await visitor_token(running), b"hello")
    assert (status, problem["code"]) == (429, "busy")
    other = await visitor_token(running, "ch_two")
    assert (await widget_upload(running, other, b"hello", site="ch_two"))[0] == 200
    writer.write(b"12345678")
    assert b" 200 " in await reader.readline()
    writer.close()
    # The place is free again.
    assert (await widget_upload(running, await visitor_token(running), b"hello"))[0] == 200


async def test_a_file_that_nobody_said_goes_after_a_week(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.files.DROPS_UNSAID", True)
    files = running.store.of("acme").files
    said, unsaid = [await upload(running, "a.txt", b"x" * 300_000) for _ in range(2)]
    await files.attach([said["id"]])
    running.clock.move(days=6)
    await running.gateway.media.sweep()
    assert len(await files_of(running)) == 2
    running.clock.move(days=2)
    [due] = await running.store.files.due("drop", running.clock(), 9)
    assert due.id == unsaid["id"]
    await running.gateway.media.sweep()
    assert [d["_id"] for d in await files_of(running)] == [said["id"]]
    assert await parts_of(running) == 2
    with pytest.raises(NotFound):
        await files.attach([unsaid["id"]])


async def test_a_file_that_is_said_just_before_it_would_go_stays(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.files.DROPS_UNSAID", True)
    files = running.store.of("acme").files
    file = await upload(running, "a.txt", b"hello")
    running.clock.move(days=8)
    [due] = await running.store.files.due("drop", running.clock(), 9)
    await files.attach([file["id"]])
    await running.store.files.expire(due, running.clock())
    assert (await files.get(file["id"])).state == "ready"
    assert await parts_of(running) == 1


async def test_a_removal_that_was_stopped_in_the_middle_is_ended(running: Running) -> None:
    file = await upload(running, "a.txt", b"hello")
    change = {"state": "failed", "todo": "drop", "due": running.clock()}
    await running.store.files._db["files"].update_one({"_id": file["id"]}, {"$set": change})
    await running.gateway.media.sweep()
    assert (await files_of(running), await parts_of(running)) == ([], 0)


async def test_what_was_said_stays(running: Running) -> None:
    async with Visitor(running).open() as tab:
        _, file = await widget_upload(running, str(tab.visitor.token), picture())
        await tab.send({"type": "media", "file": file["file"], "caption": "echo look"})
        await tab.heard()
        running.clock.move(days=9)
        await running.gateway.media.sweep()
        assert (await running.store.of("acme").files.get(file["file"])).state == "ready"


async def test_a_visitor_may_not_fill_our_store(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.files.DROPS_UNSAID", True)
    monkeypatch.setattr("gateway.uploads.MOST_UNSAID", 2)
    token, other = await visitor_token(running), await visitor_token(running)
    first, second = [await widget_upload(running, token, b"hello") for _ in range(2)]
    assert (first[0], second[0]) == (200, 200)
    status, problem = await widget_upload(running, token, b"hello")
    assert (status, problem["code"]) == (429, "too_many")
    assert (await widget_upload(running, other, b"hello"))[0] == 200
    await running.store.of("acme").files.attach([first[1]["file"]])
    assert (await widget_upload(running, token, b"hello"))[0] == 200
    assert (await widget_upload(running, token, b"hello"))[0] == 429
    running.clock.move(days=8)
    await running.gateway.media.sweep()
    left = await running.store.files._db["unsaid"].find({}).to_list()
    assert left == []
