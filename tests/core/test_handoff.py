"""A bot message never leaves while a person owns the conversation (invariant 5)."""

import asyncio
import time
from datetime import datetime
from typing import Any

import pytest

from gateway.handoff import set_owner
from gateway.model.message import Status
from gateway.store.messages import Messages
from tests.conftest import Running
from tests.core.visitor import Visitor
from tests.providers.graph import Fault
from tests.providers.graph_webhooks import text_webhook

SENDER = "34600111222"
NOW = int(time.time())


def text(body: str, wamid: str) -> bytes:
    return text_webhook(SENDER, body, wamid, NOW)


async def conversation_of(running: Running) -> str:
    """A conversation that has been answered once."""
    assert await running.post_whatsapp(text("echo hello", "wamid.hello")) == 200
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    [conversation] = await running.conversations()
    return conversation.id


async def take(running: Running, conversation: str, owner: str = "agent") -> None:
    """A person takes the conversation, as the API does it."""
    _, key = await running.store.access.create_key("acme", "desk", running.clock())
    async with running.http.put(
        f"{running.url}/api/v1/conversations/{conversation}/owner",
        json={"owner": owner},
        headers={"Authorization": f"Bearer {key}"},
    ) as answer:
        assert answer.status == 200
        assert (await answer.json())["owner"] == owner


@pytest.mark.parametrize("owner", ["agent", "queue"])
async def test_the_bot_is_silent_while_a_person_owns_and_speaks_again_afterwards(
    running: Running, owner: str
) -> None:
    conversation = await conversation_of(running)
    await take(running, conversation, owner)
    assert await running.post_whatsapp(text("echo silent", "wamid.silent")) == 200
    await running.until(lambda: running.gateway.work.idle)
    await running.swept()
    found = await running.transcript(conversation)
    assert [m.status for m in found] == [Status.HANDLED, Status.SENT, Status.HANDLED]
    assert running.brain.asked == ["echo hello"]
    assert len(running.graph.messages()) == 1
    await take(running, conversation, "bot")
    assert await running.post_whatsapp(text("echo back", "wamid.back")) == 200
    await running.until(lambda: len(running.graph.messages()) == 2)
    assert running.graph.messages()[-1].text == "echo back"


async def test_a_takeover_while_the_brain_thinks_silences_the_answer(running: Running) -> None:
    conversation = await conversation_of(running)
    running.brain.gate = asyncio.Event()
    assert await running.post_whatsapp(text("echo late", "wamid.late")) == 200
    await running.until(lambda: running.brain.asked[-1] == "echo late")
    await take(running, conversation)
    running.brain.gate.set()
    await running.idle()
    await running.swept()
    assert [m.text for m in running.graph.messages()] == ["echo hello"]
    found = await running.transcript(conversation)
    assert all(m.status is not Status.SENT for m in found if m.turn and m.turn == found[2].id)
    assert found[2].status is Status.HANDLED
    [standing] = await running.conversations()
    assert (standing.owner, standing.turn) == ("agent", found[2].id)


async def test_a_takeover_between_the_write_and_the_claim_withdraws_the_answer(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await conversation_of(running)
    whole = Messages.finish_turn

    async def taken_first(self: Messages, *given: Any) -> bool:
        await set_owner(running.store.of("acme"), conversation, "agent")
        return await whole(self, *given)

    monkeypatch.setattr(Messages, "finish_turn", taken_first)
    assert await running.post_whatsapp(text("echo late", "wamid.late")) == 200
    await running.until(lambda: len(running.brain.asked) == 2)
    await running.idle()
    await running.swept()
    found = await running.transcript(conversation)
    assert found[-1].status is Status.CANCELLED
    assert found[-1].failure is not None
    assert found[-1].failure.code == "permission:owner"
    assert len(running.graph.messages()) == 1


async def test_a_takeover_between_two_parts_of_an_answer_withdraws_the_second(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4,096 characters are WhatsApp's limit: the answer leaves in two parts, and a person comes in between."""
    conversation = await conversation_of(running)
    running.brain.known["long"] = "first part. " + "word " * 800 + "the second part. " + "word " * 400
    whole = Messages.sent

    async def then_taken(self: Messages, message: str, provider_id: str, at: datetime) -> None:
        await whole(self, message, provider_id, at)
        await set_owner(running.store.of("acme"), conversation, "agent")

    monkeypatch.setattr(Messages, "sent", then_taken)
    assert await running.post_whatsapp(text("long", "wamid.long")) == 200
    await running.until(lambda: len(running.graph.messages()) == 2)
    await running.idle()
    await running.swept()
    assert len(running.graph.messages()) == 2
    found = await running.transcript(conversation)
    assert [m.status for m in found[2:]] == [Status.HANDLED, Status.SENT, Status.CANCELLED]


async def test_what_waits_for_another_try_is_cancelled_by_a_takeover(running: Running) -> None:
    conversation = await conversation_of(running)
    running.graph.always(Fault.http(500))
    assert await running.post_whatsapp(text("echo waits", "wamid.waits")) == 200
    await running.until(lambda: len(running.graph.requests) >= 2)
    await running.idle()
    await take(running, conversation)
    running.graph.always(None)
    running.clock.move(minutes=30)
    await running.swept()
    found = await running.transcript(conversation)
    assert found[-1].status in (Status.CANCELLED, Status.FAILED)
    assert [m.text for m in running.graph.messages()] == ["echo hello"]


async def test_a_takeover_during_the_first_steps_of_many_turns_lets_none_through(running: Running) -> None:
    """Takeovers at whatever moment: whatever was sent, was sent before the person had the conversation."""
    conversation = await conversation_of(running)
    for n in range(6):
        await take(running, conversation, "bot")
        await asyncio.gather(
            running.post_whatsapp(text(f"echo race {n}", f"wamid.race.{n}")),
            *(asyncio.sleep(0) for _ in range(n)),
        )
        await take(running, conversation)
        await running.idle()
        sent = len(running.graph.messages())
        await running.swept()
        assert len(running.graph.messages()) == sent
        queued = [m for m in await running.transcript(conversation) if m.status is Status.QUEUED]
        assert queued == []


async def test_the_widget_too_is_silent_and_shows_no_cancelled_message(running: Running) -> None:
    async with Visitor(running).open() as tab:
        await tab.ask("echo hello")
        await running.idle()
        running.brain.gate = asyncio.Event()
        await tab.say("echo late")
        await running.until(lambda: running.brain.asked[-1] == "echo late")
        await take(running, tab.conversation)
        running.brain.gate.set()
        await running.idle()
        page = await tab.resume(0)
        assert [m["content"]["text"] for m in page["messages"]] == ["echo hello", "echo hello", "echo late"]


async def test_owners_of_other_tenants_and_unknown_conversations(running: Running) -> None:
    from gateway.model.errors import NotFound

    conversation = await conversation_of(running)
    for tenant, wanted in (("bolt", conversation), ("acme", "cv_none")):
        with pytest.raises(NotFound):
            await set_owner(running.store.of(tenant), wanted, "agent")
    [standing] = await running.conversations()
    assert standing.owner == "bot"
