"""WhatsApp through a running gateway: every kind comes in by a signed webhook and is seen stored; every kind that a person
of the business can send arrives at a Graph API that checks it."""

import hashlib
import re
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from channels.whatsapp.parse import parse
from gateway.media import take
from gateway.model.content import Contacts, Media, SharedContact, Text, to_doc
from gateway.model.content import Location as Place
from gateway.model.message import Message, Status, message_id
from tests.conftest import PHONE, WABA, Running, make_template
from tests.providers.graph_files import digest_of, made_up
from tests.providers.graph_webhooks import (
    jumbled,
    messages_webhook,
    receipts,
    statuses_webhook,
    text_webhook,
    webhook,
)
from tests.whatsapp.cases import CASES
from tests.whatsapp.test_payloads import FOLDER

MB = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"
TEMPLATE: Mapping[str, Any] = {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}


def own(name: str, number: int) -> bytes:
    """A payload with people and ids of its own, so that all can go into one gateway."""
    body = (FOLDER / f"{name}.json").read_text()
    body = re.sub(r'"wamid\.', f'"wamid.{number}.', body)
    body = re.sub(r'"wacid\.', f'"wacid.{number}.', body)
    body = body.replace("16505551234", f"1650556{number:04d}").replace(
        "13491208655302741918", f"1349{number:016d}"
    )
    return body.encode()


async def test_every_payload_is_taken_and_stored_or_declared(running: Running) -> None:
    expected: dict[str, tuple[str, str, str]] = {}
    for number, name in enumerate(CASES):
        if "deleted" in name or "app_removed" in name:
            continue  # they end the channel; the next test has them
        body = own(name, number)
        assert await running.post_whatsapp(body) == 200, name
        parsed = parse(PHONE, body, running.clock(), WABA)
        expected |= {m.provider_id: (name, m.content.type, m.author) for m in parsed.messages}
    assert len(expected) > 110
    for provider_id, (name, kind, author) in expected.items():
        message = await stored(running, provider_id)
        assert message is not None, name
        assert message.content.type == kind, name
        assert message.direction == ("out" if author == "agent" else "in"), name
    await running.until(lambda: running.gateway.work.idle, 60)
    for provider_id, (name, _, _) in expected.items():
        message = await stored(running, provider_id)
        assert message is not None
        assert message.failure is None, (name, message.failure)


async def stored(running: Running, provider_id: str) -> Message | None:
    return await running.store.of("acme").messages.get(message_id("ch_wa", provider_id))


async def test_events_reach_the_owner_once_and_the_end_of_the_account_ends_the_channel(
    running: Running,
) -> None:
    for name in (
        "event_template_paused",
        "event_template_paused",
        "event_number_quality",
        "event_account_deleted",
    ):
        assert await running.post_whatsapp((FOLDER / f"{name}.json").read_bytes()) == 200
    events = await running.store.of("acme").events.latest("ch_wa", 10)
    assert sorted(event.name for event in events) == ["account", "number_quality", "template_status"]
    assert all(event.warning for event in events)
    assert (await running.store.directory.channel("ch_wa")).state == "disabled"


async def test_an_answer_from_the_business_s_phone_makes_the_conversation_a_person_s(
    running: Running,
) -> None:
    conversation = await known_customer(running)
    body = (FOLDER / "event_echo.json").read_bytes().replace(b"1749416383", b"%d" % now(running))
    assert await running.post_whatsapp(body) == 200
    await running.idle()
    (echo,) = [m for m in await running.transcript(conversation) if m.provider_id == "wamid.E"]
    assert (echo.direction, echo.author, echo.status) == ("out", "agent", Status.SENT)
    assert [c.owner for c in await running.conversations()] == ["agent"]


async def test_history_changes_nothing_but_the_record(running: Running) -> None:
    assert await running.post_whatsapp((FOLDER / "event_history_both_directions.json").read_bytes()) == 200
    await running.idle()
    assert {c.owner for c in await running.conversations()} <= {"bot"}
    assert not running.graph.messages()


async def test_a_customer_who_moves_keeps_the_conversation(running: Running) -> None:
    await known_customer(running)
    await running.post_whatsapp((FOLDER / "system_number_changed.json").read_bytes())
    await running.idle()
    await running.post_whatsapp(text_webhook("12195555358", "echo after", "wamid.3", now(running)))
    await running.idle()
    assert len({c.id for c in await running.conversations()}) == 1
    assert running.graph.messages()[-1].body["to"] == "12195555358"


async def test_the_same_person_by_number_and_by_user_id_is_one_conversation(running: Running) -> None:
    for name in ("odd_bsuid_and_phone", "odd_bsuid_only"):
        assert await running.post_whatsapp((FOLDER / f"{name}.json").read_bytes()) == 200
    await running.idle()
    assert len(await running.conversations()) == 1


# Files ------------------------------------------------------------------------------------------------------


async def test_a_customer_s_file_is_fetched_kept_and_hashed(running: Running) -> None:
    size = 2 * MB
    running.graph.files.offer("1003383421387256", "image/jpeg", size)
    assert await running.post_whatsapp((FOLDER / "image.json").read_bytes()) == 200
    await running.idle()
    (conversation,) = await running.conversations()
    message = (await running.transcript(conversation.id))[0]
    assert isinstance(message.content, Media)
    files = running.store.of("acme").files
    await running.gateway.media.sweep()
    await running.gateway.media.idle()
    file = await files.get(message.content.file or "")
    assert (file.state, file.size, file.sha256) == ("ready", size, digest_of(size, "1003383421387256"))
    digest = hashlib.sha256()
    async for part in files.read(file):
        digest.update(part)
    assert digest.hexdigest() == file.sha256


async def test_a_file_that_is_gone_says_so(running: Running) -> None:
    assert await running.post_whatsapp((FOLDER / "image.json").read_bytes()) == 200
    await running.idle()
    (conversation,) = await running.conversations()
    message = (await running.transcript(conversation.id))[0]
    assert isinstance(message.content, Media)
    await running.gateway.media.sweep()
    await running.gateway.media.idle()
    file = await running.store.of("acme").files.get(message.content.file or "")
    assert (file.state, file.error) == ("failed", "WhatsApp does not have the file any more.")


async def test_a_file_of_ours_goes_out_and_a_second_time_by_its_id(running: Running) -> None:
    conversation = await known_customer(running)

    async def picture() -> AsyncIterator[bytes]:
        yield PNG
        for part in made_up(MB):
            yield part

    files = running.store.of("acme").files
    file = await take(files, "acme", "", None, "shop.png", picture(), 5 * MB, running.clock())
    for caption in ("Our shop", "Again"):
        await running.gateway.desk.say(
            "acme", conversation, {"type": "media", "media": "image", "file": file.id, "caption": caption}
        )
        await running.idle()
    (upload,) = running.graph.files.uploads.values()
    assert (upload.mime, upload.size, upload.sha256) == ("image/png", MB + len(PNG), file.sha256)
    sent = [m.body["image"] for m in running.graph.messages() if m.body["type"] == "image"]
    assert sent == [{"id": upload.id, "caption": "Our shop"}, {"id": upload.id, "caption": "Again"}]


async def test_large_files_pass_through_without_being_in_memory(running: Running) -> None:
    """25 MB each way; the stand-in is in this process, too, the database is not."""
    size = 25 * MB
    conversation = await known_customer(running)
    running.graph.files.offer("3116461925189087", "video/mp4", size)

    async def offer() -> AsyncIterator[bytes]:
        yield b"%PDF-1.7\n"
        for part in made_up(size):
            yield part

    tracemalloc.start()
    try:
        assert await running.post_whatsapp((FOLDER / "video.json").read_bytes()) == 200
        await running.gateway.media.sweep()
        await running.gateway.media.idle()
        files = running.store.of("acme").files
        file = await take(files, "acme", "", None, "offer.pdf", offer(), 30 * MB, running.clock())
        content = {"type": "media", "media": "document", "file": file.id}
        await running.gateway.desk.say("acme", conversation, content)
        await running.until(lambda: bool(running.graph.files.uploads), 60)
        await running.idle()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (upload,) = running.graph.files.uploads.values()
    assert (upload.size, upload.sha256) == (size + 9, file.sha256)
    theirs = [m.content for m in await running.transcript(conversation) if isinstance(m.content, Media)]
    fetched = [await files.get(m.file or "") for m in theirs if m.media == "video"]
    assert [(f.state, f.size) for f in fetched] == [("ready", size)]
    assert peak < 20 * MB, f"{peak / MB:.1f} MB"


# Every kind out ---------------------------------------------------------------------------------------------


def now(running: Running) -> int:
    return int(running.clock().timestamp())


async def known_customer(running: Running) -> str:
    await running.post_whatsapp(text_webhook("16505551234", "echo hello", "wamid.IN", now(running)))
    await running.idle()
    (conversation,) = await running.conversations()
    return conversation.id


@pytest.mark.parametrize(
    ("content", "kind", "inner"),
    [
        (
            to_doc(Text("**Hello** [shop](https://shop.example)", markup=True)),
            "text",
            "*Hello* shop (https://shop.example)",
        ),
        (to_doc(Place(40.78, -73.95, "Here")), "location", "Here"),
        (to_doc(Contacts((SharedContact("Ana", ("+34600111222",)),))), "contacts", "Ana"),
        (
            {"type": "buttons", "text": "Shall we?", "choices": [{"id": "y", "title": "Yes"}]},
            "interactive",
            "reply",
        ),
        (
            {"type": "list", "text": "Which?", "button": "Menu", "choices": [{"id": "a", "title": "A"}]},
            "interactive",
            "sections",
        ),
        (
            {"type": "link", "text": "Look", "title": "Shop", "url": "https://shop.example"},
            "interactive",
            "cta_url",
        ),
        ({"type": "request", "text": "Where?", "wants": "location"}, "interactive", "send_location"),
        ({"type": "request", "text": "Number?", "wants": "phone"}, "interactive", "request_contact_info"),
        ({"type": "flow", "text": "Form", "button": "Open", "flow": "123"}, "interactive", "flow_id"),
        (
            {"type": "template", "name": "order", "language": "en", "components": [TEMPLATE]},
            "template",
            "order",
        ),
        (
            {
                "type": "media",
                "media": "document",
                "url": "https://a.example/b.pdf",
                "mime": "application/pdf",
                "name": "b.pdf",
            },
            "document",
            "b.pdf",
        ),
        (
            {"type": "media", "media": "voice", "url": "https://a.example/b.ogg", "mime": "audio/ogg"},
            "audio",
            "voice",
        ),
        (
            {"type": "media", "media": "sticker", "url": "https://a.example/b.webp", "mime": "image/webp"},
            "sticker",
            "link",
        ),
    ],
)
async def test_what_a_person_sends_arrives(
    running: Running, content: Mapping[str, Any], kind: str, inner: str
) -> None:
    conversation = await known_customer(running)
    await make_template(running.store, "order", "en")
    before = len(running.graph.messages())
    await running.gateway.desk.say("acme", conversation, content)
    await running.idle()
    (sent,) = running.graph.messages()[before:]
    assert sent.body["type"] == kind
    assert inner in str(sent.body[kind])


@pytest.mark.parametrize("seed", range(5))
async def test_receipts_in_any_order_and_number_end_the_same(running: Running, seed: int) -> None:
    conversation = await known_customer(running)
    (sent,) = running.graph.messages()
    found = receipts(sent.wamid or "", now(running), recipient="16505551234", message=sent.message)
    for one in jumbled(found, seed, copies=3):
        assert await running.post_whatsapp(statuses_webhook([one])) == 200
    (ours,) = [m for m in await running.transcript(conversation) if m.direction == "out"]
    assert ours.status is Status.READ


async def test_a_reaction_names_the_customer_s_message(running: Running) -> None:
    conversation = await known_customer(running)
    theirs = next(m for m in await running.transcript(conversation) if m.direction == "in")
    await running.gateway.desk.say("acme", conversation, {"type": "reaction", "emoji": "👍", "to": theirs.id})
    await running.idle()
    assert running.graph.messages()[-1].body["reaction"] == {"message_id": "wamid.IN", "emoji": "👍"}


async def test_a_quote_names_the_message_quoted(running: Running) -> None:
    conversation = await known_customer(running)
    theirs = next(m for m in await running.transcript(conversation) if m.direction == "in")
    await running.gateway.desk.say("acme", conversation, to_doc(Text("This one")), reply_to=theirs.id)
    await running.idle()
    assert running.graph.messages()[-1].body["context"] == {"message_id": "wamid.IN"}


async def test_the_doctor_by_the_running_gateway(running: Running) -> None:
    channel = await running.store.directory.channel("ch_wa")
    address = f"{running.url}/webhooks/whatsapp/ch_wa"
    running.graph.account.callback = address
    adapter = running.gateway.channels.webhooks["whatsapp"]
    findings = {f.name: f for f in await adapter.check(channel, address)}
    assert [name for name, f in findings.items() if f.ok is not True] == ["public address"]
    assert findings["verify token"].ok is True


async def test_two_forms_of_webhook(running: Running) -> None:
    for number, channel in enumerate(("ch_wa", None)):
        body = messages_webhook(
            [
                {
                    "from": "16505551234",
                    "id": f"wamid.{number}",
                    "timestamp": str(now(running)),
                    "type": "reaction",
                    "reaction": {"message_id": "wamid.X", "emoji": "👍"},
                }
            ]
        )
        assert await running.post_whatsapp(body, channel) == 200
        assert await stored(running, f"wamid.{number}") is not None
    assert await running.post_whatsapp(webhook({"messages": []}), None) == 200
