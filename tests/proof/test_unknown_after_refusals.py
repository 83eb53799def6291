"""Row 9 as a chaos run met it (seed 3): a message that the provider refused for certain a few times, and whose outcome is then
unknown once, is sent again and marked. Only unknown outcomes count towards giving it up."""

import time
from typing import Any

import pytest

from channels.whatsapp.adapter import WhatsAppAdapter
from gateway.model.message import Status
from tests.conftest import Running
from tests.providers.graph import Fault
from tests.providers.graph_webhooks import text_webhook


async def test_certain_refusals_do_not_count_as_copies(
    quiet: None, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unmarked(*_: Any, **__: Any) -> None:
        pass

    monkeypatch.setattr(WhatsAppAdapter, "mark_read", unmarked)
    running.graph.misbehave(Fault.http(500), 3)
    # Not taken, and nobody says so.
    running.graph.misbehave(Fault("reset"))
    body = text_webhook("34600111222", "echo once", "wamid.once", int(time.time()))
    assert await running.post_whatsapp(body) == 200
    await running.idle()
    for _ in range(20):
        running.clock.move(seconds=30)
        await running.swept()
    [conversation] = await running.conversations()
    [answer] = [m for m in await running.transcript(conversation.id) if m.direction == "out"]
    assert [m.text for m in running.graph.messages()] == ["echo once"]
    assert (answer.status, answer.possibly_doubled) == (Status.SENT, True)
