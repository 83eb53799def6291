"""Sending files, against a Bot API that checks what it is sent."""

from dataclasses import replace
from typing import Any

import pytest

from channels.degrade import degrade
from gateway.model.content import (
    Album,
    Buttons,
    Choice,
    ListMenu,
    Media,
    Text,
)
from tests.providers.bot_api import MB
from tests.telegram.rig import ANA, Rig

OGG = b"OggS"


@pytest.mark.parametrize(
    ("kind", "mime", "head", "method", "field"),
    [
        ("image", "image/png", b"\x89PNG\r\n\x1a\n", "sendPhoto", "photo"),
        ("video", "video/mp4", b"\0\0\0\x18ftyp", "sendVideo", "video"),
        ("audio", "audio/mpeg", b"ID3", "sendAudio", "audio"),
        ("voice", "audio/ogg", OGG, "sendVoice", "voice"),
        ("document", "application/pdf", b"%PDF-1.7", "sendDocument", "document"),
        ("document", "image/gif", b"GIF89a", "sendDocument", "animation"),
        ("sticker", "image/webp", b"RIFF", "sendSticker", "sticker"),
    ],
)
async def test_a_file_goes_up_once_and_then_by_its_id(
    rig: Rig, kind: Any, mime: str, head: bytes, method: str, field: str
) -> None:
    file = rig.files.add('Q"1 ñ.bin', mime, 300_000, head)
    media = Media(kind, mime, file=file, caption="**c**", markup=True, seconds=3, width=10, height=10)
    await rig.send(media)
    first = rig.api.calls[-1]
    assert first.method == method
    (upload,) = first.files.values()
    assert (upload.size, upload.sha256) == (300_000, rig.files.stored[file].sha256)
    assert (upload.mime, upload.name) == (mime, "Q1 ñ.bin")
    await rig.send(media)
    second = rig.api.calls[-1]
    assert not second.files
    assert rig.files.opened == 1
    assert second.method == ("sendAnimation" if field == "animation" else method)
    if kind != "sticker":
        assert second.params["caption"] == "<b>c</b>"


async def test_a_messages_own_name_for_a_file_is_the_one_shown(rig: Rig) -> None:
    file = rig.files.add("f_1", "application/pdf", 10, b"%PDF")
    await rig.send(Media("document", "application/pdf", file=file, name="Rechnung März.pdf"))
    (upload,) = rig.api.calls[-1].files.values()
    assert upload.name == "Rechnung März.pdf"


async def test_a_file_known_as_one_kind_is_uploaded_again_as_another(rig: Rig) -> None:
    file = rig.files.add("a.png", "image/png")
    await rig.send(Media("image", "image/png", file=file))
    await rig.send(Media("document", "image/png", file=file))
    assert (rig.api.calls[-1].method, rig.files.opened) == ("sendDocument", 2)


@pytest.mark.parametrize(
    ("size", "width", "height"), [(11 * MB, None, None), (9_000, 9_000, 2_000), (9_000, 2_100, 100)]
)
async def test_a_picture_that_is_none_for_telegram_goes_as_a_document(
    rig: Rig, size: int, width: int | None, height: int | None
) -> None:
    file = rig.files.add("a.png", "image/png", size)
    await rig.send(Media("image", "image/png", file=file, width=width, height=height))
    assert rig.api.calls[-1].method == "sendDocument"


async def test_files_by_id_and_by_address(rig: Rig) -> None:
    await rig.send(Media("image", url="https://a.example/x.jpg"))
    assert rig.last()["photo"] == "https://a.example/x.jpg"
    (file_id,) = rig.api.files
    await rig.send(Media("image", media_id=file_id))
    assert rig.last()["photo"] == file_id
    error = await rig.fails(Media("image", media_id="gone"))
    assert (error.code, error.retryable) == ("telegram:400_file_id", False)


async def test_a_file_whose_id_telegram_has_forgotten_is_uploaded_again(rig: Rig) -> None:
    picture = Media("image", "image/png", file=rig.files.add("a.png", "image/png"))
    other = replace(picture, file=rig.files.add("b.png", "image/png"))
    album = Album((picture, other))
    for content in (picture, album):
        await rig.send(content)
        rig.api.files.clear()
        await rig.send(content)
        assert rig.api.calls[-1].files
        await rig.send(content)
        assert not rig.api.calls[-1].files


async def test_the_longest_text_goes_with_the_longest_ids(rig: Rig) -> None:
    choices = tuple(Choice(f"{n}" * 80, f"Row {n}", "about it") for n in range(3))
    longest = "x" * rig.adapter.capabilities.text_length
    for content in (Buttons(longest, choices), ListMenu(longest, "Open", choices), Text(longest)):
        ((shown,), _) = degrade(content, rig.adapter.capabilities)
        assert shown.type == content.type
        await rig.send(shown)
    await rig.send(ListMenu("x" * 4050, "Open", choices))


async def test_an_album_is_one_message(rig: Rig) -> None:
    one, two = rig.files.add("1.png", "image/png"), rig.files.add("2.mp4", "video/mp4")
    album = Album((Media("image", "image/png", file=one, caption="a"), Media("video", "video/mp4", file=two)))
    sent = await rig.send(album)
    call = rig.api.calls[-1]
    assert (call.method, set(call.files)) == ("sendMediaGroup", {"file0", "file1"})
    assert sent == f"{ANA}:{call.result[0]['message_id']}"
    await rig.send(album)
    assert not rig.api.calls[-1].files
    assert [m["media"] in rig.api.files for m in rig.last()["media"]] == [True, True]


async def test_twenty_five_megabytes_go_through_without_being_held(rig: Rig) -> None:
    import tracemalloc

    file = rig.files.add("clip.mp4", "video/mp4", 25 * MB)
    tracemalloc.start()
    try:
        await rig.send(Media("video", "video/mp4", file=file))
        assert tracemalloc.get_traced_memory()[1] < 10 * MB
    finally:
        tracemalloc.stop()
    (upload,) = rig.api.calls[-1].files.values()
    assert (upload.size, upload.sha256) == (25 * MB, rig.files.stored[file].sha256)


async def test_more_than_telegram_takes_is_refused_with_a_reason(rig: Rig) -> None:
    file = rig.files.add("big.pdf", "application/pdf", 51 * MB)
    error = await rig.fails(Media("document", "application/pdf", file=file))
    assert (error.code, error.retryable) == ("telegram:413_file_too_big", False)
    assert "50 MB" in error.text


async def test_a_file_of_ours_that_breaks_off_was_not_taken(rig: Rig) -> None:
    file = rig.files.add("a.pdf", "application/pdf", 5 * MB, breaks_at=MB)
    error = await rig.fails(Media("document", "application/pdf", file=file))
    assert (error.outcome, error.retryable) == ("refused", True)


async def test_a_file_that_is_not_there(rig: Rig) -> None:
    assert (await rig.fails(Media("image", file="nothing"))).code == "telegram:file_gone"
    assert (await rig.fails(Media("image"))).code == "telegram:no_file"
