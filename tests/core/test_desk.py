"""What a person sends over the API: shown as the channel can, refused with the field's name, once."""

from typing import Any

import pytest

from gateway.model.message import Status
from tests.conftest import Running, make_tenant
from tests.core.test_api import call, key_of
from tests.core.test_files import picture, upload
from tests.core.visitor import Visitor
from tests.providers.graph_webhooks import text_webhook

SENDER = "34600111222"


async def conversation_of(running: Running) -> str:
    at = int(running.clock().timestamp())
    assert await running.post_whatsapp(text_webhook(SENDER, "echo hello", "wamid.1", at)) == 200
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    [conversation] = await running.conversations()
    return conversation.id


async def say(running: Running, conversation: str, content: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    status, answer = await call(
        running,
        "POST",
        f"/api/v1/conversations/{conversation}/messages",
        await key_of(running, "acme"),
        {"content": content, **more},
    )
    await running.idle()
    return status, answer


async def test_a_persons_message_leaves_and_the_conversation_is_theirs(running: Running) -> None:
    conversation = await conversation_of(running)
    status, answer = await say(running, conversation, {"type": "text", "text": "I'm Ana"})
    assert status == 200
    [message] = answer["items"]
    assert (message["author"], message["text"]) == ("agent", "I'm Ana")
    assert running.graph.messages()[-1].text == "I'm Ana"
    [found] = await running.conversations()
    assert found.owner == "agent"
    assert found.preview == "I'm Ana"


async def test_the_same_key_sends_once(running: Running) -> None:
    conversation = await conversation_of(running)
    first = await say(running, conversation, {"type": "text", "text": "once"}, key="order-77")
    again = await say(running, conversation, {"type": "text", "text": "once"}, key="order-77")
    assert [m["id"] for m in first[1]["items"]] == [m["id"] for m in again[1]["items"]]
    assert [m.text for m in running.graph.messages()].count("once") == 1


async def test_what_does_not_fit_becomes_several_in_order(running: Running) -> None:
    conversation = await conversation_of(running)
    place = {"type": "text", "text": "A sentence of some length. " * 400}
    _, answer = await say(running, conversation, place)
    texts = [m.text for m in running.graph.messages()][1:]
    assert [m["text"] for m in answer["items"]] == texts
    assert len(texts) == 3
    assert all(len(str(t)) <= 4096 for t in texts)


async def test_a_quote_names_the_providers_message(running: Running) -> None:
    conversation = await conversation_of(running)
    first = (await running.transcript(conversation))[0]
    await say(running, conversation, {"type": "text", "text": "this one"}, reply_to=first.id)
    assert running.graph.messages()[-1].body["context"] == {"message_id": "wamid.1"}
    status, problem = await say(running, conversation, {"type": "text", "text": "x"}, reply_to="m_none")
    assert (status, problem["errors"][0]["field"]) == (422, "reply_to")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"type": "text"}, "content.text"),
        ({"type": "hologram"}, "content"),
        ({}, "content"),
        ({"type": "text", "text": ""}, "content"),
        ({"type": "text", "text": "   "}, "content"),
        ({"type": "text", "text": "x", "tenant": "bolt"}, "content.tenant"),
        ({"type": "media", "media": "image"}, "content.file"),
        ({"type": "media", "media": "image", "file": "f_none"}, "content.file"),
        ({"type": "media", "media": "image", "url": "http://x.example/a.png"}, "content.url"),
        ({"type": "album", "items": []}, "content.items"),
        ({"type": "form", "text": "x", "fields": [], "submit": "a", "cancel": "b"}, "content"),
        ({"type": "system", "event": "blocked"}, "content"),
        ({"type": "unsupported", "kind": "x"}, "content"),
        ({"type": "command", "name": "stop"}, "content"),
    ],
)
async def test_what_can_not_be_sent_is_refused_with_the_field(
    running: Running, content: dict[str, Any], field: str
) -> None:
    conversation = await conversation_of(running)
    status, problem = await say(running, conversation, content)
    assert (status, problem["errors"][0]["field"]) == (422, field), problem
    assert problem["errors"][0]["expected"]
    assert len(running.graph.messages()) == 1
    [found] = await running.conversations()
    assert found.owner == "bot"


async def test_a_file_of_another_tenant_is_no_file(running: Running) -> None:
    conversation = await conversation_of(running)
    await make_tenant(running.store, "bolt")
    theirs = await upload(running, "a.png", picture(), "bolt")
    status, problem = await say(
        running, conversation, {"type": "media", "media": "image", "file": theirs["id"]}
    )
    assert (status, problem["errors"][0]["field"]) == (422, "content.file")


async def test_a_program_is_no_picture(running: Running) -> None:
    conversation = await conversation_of(running)
    file = await upload(running, "cat.jpg", b"MZ\x90\x00" + bytes(500))
    status, problem = await say(
        running, conversation, {"type": "media", "media": "image", "file": file["id"]}
    )
    assert status == 422, problem
    assert "portable-executable" in problem["detail"]


async def test_a_picture_reaches_the_widget(running: Running) -> None:
    file = await upload(running, "a.png", picture())
    async with Visitor(running).open() as tab:
        await tab.ask("echo hi")
        [conversation] = await running.conversations()
        content = {"type": "media", "media": "image", "file": file["id"], "caption": "our shop"}
        assert (await say(running, conversation.id, content))[0] == 200
        shown = (await tab.heard())["content"]
    assert (shown["media"], shown["mime"], shown["caption"]) == ("image", "image/png", "our shop")
    async with running.http.get(running.url + "/files/" + shown["link"].rpartition("/")[2]) as answer:
        assert await answer.read() == picture()


async def test_formatting_reaches_the_widget_as_runs(running: Running) -> None:
    async with Visitor(running).open() as tab:
        await tab.ask("echo hi")
        [conversation] = await running.conversations()
        text = "**Open** <b>now</b>, [see](https://shop.example/x)"
        await say(running, conversation.id, {"type": "text", "text": text, "markup": True})
        shown = (await tab.heard())["content"]
    assert shown["rich"] == [
        ["bold", "Open"], ["text", " <b>now</b>, "], ["link", "see", "https://shop.example/x"],
    ]  # fmt: skip


async def test_who_can_not_be_reached_is_not_written_to(running: Running) -> None:
    conversation = await conversation_of(running)
    await running.store.of("acme").conversations.reach(conversation, blocked=True)
    status, answer = await say(running, conversation, {"type": "text", "text": "hello?"})
    assert status == 200
    [message] = [m for m in await running.transcript(conversation) if m.id == answer["items"][0]["id"]]
    assert message.status is Status.FAILED
    assert message.failure is not None
    assert message.failure.code == "permission:blocked"
    assert len(running.graph.messages()) == 1
