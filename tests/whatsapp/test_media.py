"""Files both ways: streamed, counted, sent once, and fetched from Meta's own hosts only."""

import asyncio
import hashlib
import tracemalloc
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest

from channels import http
from channels.whatsapp.media import KEPT, allowed
from gateway.model.content import Media, MediaKind
from gateway.model.errors import SendError
from tests.providers.graph import Fault
from tests.providers.graph_files import Mode, digest_of
from tests.providers.graph_webhooks import PHONE_ID
from tests.whatsapp.rig import CHANNEL, TOKEN, Rig, clean
from tests.whatsapp.test_payloads import NOW

MB = 1024 * 1024
PICTURE = Media("image", "image/png", file="f_1", caption="hola")
KEY = ("t_1", "f_1", "ch_1")

# Out --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mime", "size"),
    [
        ("image", "image/png", 1),
        ("image", "image/jpeg", 5 * MB),
        ("video", "video/mp4", 300_001),
        ("audio", "audio/mpeg", 65_536),
        ("voice", "audio/ogg; codecs=opus", 65_537),
        ("document", "application/pdf", 131_072),
        ("sticker", "image/webp", 100_000),
    ],
)
async def test_a_file_of_ours_is_uploaded_whole_and_sent_by_its_id(
    rig: Rig, kind: MediaKind, mime: str, size: int
) -> None:
    rig.files.add("f_1", mime, size)
    said = await rig.sent(Media(kind, mime, file="f_1", name='ünï "code".bin'))
    (upload,) = rig.graph.files.uploads.values()
    assert (upload.phone, upload.size, upload.sha256) == (PHONE_ID, size, digest_of(size, "f_1"))
    assert upload.mime == mime.partition(";")[0]
    told = said["audio" if kind == "voice" else kind]
    assert told["id"] == upload.id
    assert (told.get("voice"), told.get("filename")) == (
        True if kind == "voice" else None,
        'ünï "code".bin' if kind == "document" else None,
    )


async def test_a_file_is_uploaded_once(rig: Rig) -> None:
    rig.files.add("f_1", "image/png", 1000)
    for _ in range(3):
        await rig.send(PICTURE)
    assert len(rig.graph.files.uploads) == 1
    assert len(rig.graph.messages()) == 3
    assert rig.files.ids[KEY] == (next(iter(rig.graph.files.uploads)), NOW + KEPT)
    assert timedelta(days=30) > KEPT


async def test_a_file_that_meta_has_lost_is_uploaded_again_once(rig: Rig) -> None:
    rig.files.add("f_1", "image/png", 1000)
    await rig.send(PICTURE)
    lost = rig.files.ids[KEY][0]
    rig.graph.files.forget(lost)
    await rig.send(PICTURE)
    assert rig.files.ids[KEY][0] != lost
    assert len(rig.graph.messages()) == 2


async def test_a_file_that_is_refused_again_is_given_up(rig: Rig) -> None:
    rig.files.add("f_1", "image/png", 1000)
    await rig.send(PICTURE)
    rig.graph.misbehave(Fault.error(131053, only="/messages"), 3)
    error = await rig.fails(PICTURE)
    assert (error.code, error.retryable) == ("whatsapp:131053", False)
    assert len(rig.graph.files.uploads) == 2


async def test_another_refusal_does_not_upload_again(rig: Rig) -> None:
    rig.files.add("f_1", "image/png", 1000)
    await rig.send(PICTURE)
    rig.graph.misbehave(Fault.error(131047, only="/messages"))
    assert (await rig.fails(PICTURE)).code == "whatsapp:131047"
    assert len(rig.graph.files.uploads) == 1


@pytest.mark.parametrize(
    ("media", "mime", "size", "code"),
    [
        (PICTURE, "image/png", 5 * MB + 1, "file_size"),
        (PICTURE, "image/png", 0, "file_size"),
        (PICTURE, "image/gif", 10, "file_type"),
        (PICTURE, "", 10, "file_type"),
        (Media("document", "application/pdf", file="f_1"), "application/x-msdownload", 10, "file_type"),
        (Media("voice", "audio/ogg", file="f_1"), "audio/mpeg", 10, "file_type"),
    ],
)
async def test_what_the_table_does_not_allow_is_refused_with_a_reason(
    rig: Rig, media: Media, mime: str, size: int, code: str
) -> None:
    rig.files.add("f_1", mime, size)
    error = await rig.fails(media)
    assert (error.code, error.retryable, error.outcome) == (f"whatsapp:{code}", False, "refused")
    assert media.media in error.text
    assert not rig.graph.files.uploads


async def test_a_file_that_is_gone_is_refused(rig: Rig) -> None:
    error = await rig.fails(PICTURE)
    assert (error.code, error.retryable) == ("whatsapp:no_file", False)


@pytest.mark.parametrize(
    ("fault", "code", "wait", "off"),
    [
        (Fault.http(500, only="/media"), "http_500", None, False),
        (Fault.http(429, 7, only="/media"), "http_429", 7.0, False),
        (Fault("reset", only="/media"), "broken", None, False),
        (Fault("drop", only="/media"), "broken", None, False),
        (Fault("garbage", only="/media"), "no_id", None, False),
        (Fault("no_id", only="/media"), "no_id", None, False),
        (Fault.error(190, status=401, only="/media"), "190", None, True),
    ],
)
async def test_a_failed_upload_is_refused_for_the_message_was_not_sent(
    rig: Rig, fault: Fault, code: str, wait: float | None, off: bool
) -> None:
    rig.files.add("f_1", "image/png", 1000)
    rig.graph.misbehave(fault)
    error = await rig.fails(PICTURE)
    assert (error.code, error.outcome, error.wait) == (f"whatsapp:{code}", "refused", wait)
    assert (error.retryable, error.disable_channel) == (not off, off)
    assert not rig.files.ids
    assert not rig.graph.messages()
    assert await rig.send(PICTURE)


async def test_a_file_that_breaks_off_on_our_side_is_tried_again(rig: Rig) -> None:
    rig.files.add("f_1", "image/png", 500_000)
    rig.files.broken = OSError("canary: the disk")
    error = await rig.fails(PICTURE)
    assert (error.retryable, error.outcome) == (True, "refused")
    assert not rig.graph.files.uploads
    assert not rig.files.ids


async def test_a_hanging_upload_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "UPLOAD", aiohttp.ClientTimeout(sock_read=0.05))
    rig.files.add("f_1", "image/png", 1000)
    rig.graph.misbehave(Fault("hang", only="/media"))
    assert (await rig.fails(PICTURE)).code == "whatsapp:timeout"


# In ---------------------------------------------------------------------------------------------------------


async def fetched(rig: Rig, media_id: str = "77") -> tuple[int, str, str]:
    size, digest = 0, hashlib.sha256()
    async with rig.adapter.fetch(CHANNEL, media_id) as download:
        async for part in download.chunks:
            assert 0 < len(part) <= 256 * 1024
            size += len(part)
            digest.update(part)
        return size, digest.hexdigest(), download.mime


async def unfetched(rig: Rig, media_id: str = "77") -> SendError:
    with pytest.raises(SendError) as caught:
        await fetched(rig, media_id)
    return clean(caught.value)


@pytest.mark.parametrize("mode", ["ok", "redirect", "expired"])
async def test_a_customers_file_comes_whole(rig: Rig, mode: Mode) -> None:
    offer = rig.graph.files.offer("77", "video/mp4", 300_000, mode)
    assert await fetched(rig) == (300_000, digest_of(300_000, "77"), "video/mp4")
    assert offer.looked_up == (2 if mode == "expired" else 1)
    assert set(offer.tokens) == {f"Bearer {TOKEN}"}


async def test_its_size_is_said_before(rig: Rig) -> None:
    rig.graph.files.offer("77", "image/png", 10)
    async with rig.adapter.fetch(CHANNEL, "77") as download:
        assert (download.size, download.name) == (10, None)


@pytest.mark.parametrize(
    ("mode", "code", "retryable"),
    [
        ("gone", "file_gone", False),
        ("wrong_host", "file_host", False),
        ("redirect_away", "file_host", False),
        ("cut", "broken", True),
        ("short", "file_length", True),
        ("long", "file_length", True),
        ("error", "http_500", True),
    ],
)
async def test_files_that_do_not_come(rig: Rig, mode: Mode, code: str, retryable: bool) -> None:
    offer = rig.graph.files.offer("77", "video/mp4", 300_000, mode)
    error = await unfetched(rig)
    assert (error.code, error.retryable, error.outcome) == (f"whatsapp:{code}", retryable, "refused")
    assert offer.looked_up <= 2
    assert not error.disable_channel


async def test_a_file_that_meta_never_had_is_gone_and_the_channel_stays(rig: Rig) -> None:
    error = await unfetched(rig, "78")
    assert (error.code, error.retryable, error.disable_channel) == ("whatsapp:file_gone", False, False)


@pytest.mark.parametrize("media_id", ["..", "../../x", "a/b", "?x=1", "#", "\u202e"])
async def test_an_odd_file_id_leads_nowhere_else(rig: Rig, media_id: str) -> None:
    assert not (await unfetched(rig, media_id)).retryable


async def test_a_revoked_token_ends_the_channel(rig: Rig) -> None:
    rig.graph.files.offer("77", "image/png", 10)
    rig.graph.tokens = {}
    assert (await unfetched(rig)).disable_channel


@pytest.mark.parametrize("only", ["/77", "/files/"])
@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault("reset"), "broken"), (Fault.http(503, 9), "http_503"), (Fault("hang"), "timeout")],
)
async def test_faults_on_the_way_are_tried_again(
    rig: Rig, fault: Fault, code: str, only: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.graph.files.offer("77", "image/png", 10)
    short = aiohttp.ClientTimeout(sock_read=0.05)
    monkeypatch.setattr(http, "UPLOAD", short)
    monkeypatch.setattr(http, "TIMEOUT", short)
    # A question that was cut off is asked again at once, by the HTTP client itself.
    rig.graph.misbehave(replace(fault, only=only), 2 if fault.kind == "reset" else 1)
    error = await unfetched(rig)
    assert (error.code, error.retryable, error.outcome) == (f"whatsapp:{code}", True, "refused")
    assert (await fetched(rig))[0] == 10


async def test_a_file_that_stops_halfway_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "UPLOAD", aiohttp.ClientTimeout(sock_read=0.05))
    gate = asyncio.Event()
    rig.graph.files.offer("77", "image/png", 300_000, "slow", gate)
    error = await unfetched(rig)
    gate.set()
    assert (error.code, error.retryable) == ("whatsapp:timeout", True)


API = "http://127.0.0.1:8081"


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", True),
        ("https://graph.facebook.com/v26.0/x", True),
        ("http://127.0.0.1:8081/files/1", True),
        ("http://lookaside.fbsbx.com/x", False),
        ("https://lookaside.fbsbx.com:444/x", False),
        ("https://lookaside.fbsbx.com.evil.example/x", False),
        ("https://evil.example/lookaside.fbsbx.com", False),
        ("https://user@lookaside.fbsbx.com/x", False),
        ("https://lookaside.fbsbx.com@evil.example/x", False),
        ("http://127.0.0.1:8082/x", False),
        ("http://169.254.169.254/latest", False),
        ("file:///etc/passwd", False),
        ("//lookaside.fbsbx.com/x", False),
        ("lookaside.fbsbx.com/x", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_where_the_token_may_go(url: str, may: bool) -> None:
    assert allowed(url, API) is may


# Memory -----------------------------------------------------------------------------------------------------


async def test_large_files_are_never_whole_in_memory(rig: Rig) -> None:
    """Stand-in included: both ends run in this process."""
    size = 25 * MB
    rig.files.add("f_1", "application/pdf", size)
    rig.graph.files.offer("77", "video/mp4", size)
    tracemalloc.start()
    try:
        await rig.send(Media("document", "application/pdf", file="f_1"))
        assert await fetched(rig) == (size, digest_of(size, "77"), "video/mp4")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * MB, f"{peak / MB:.1f} MB"
