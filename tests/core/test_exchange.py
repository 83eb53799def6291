"""A customer's message in, one reply out: what it does, in what order, and what it costs."""

import asyncio
import itertools
import time
from datetime import UTC, datetime

import pytest

from gateway.model.content import Text, Unsupported
from gateway.model.message import Receipt, Status
from gateway.store.database import RoundTrips
from tests.conftest import Running
from tests.providers.graph_webhooks import (
    WABA,
    messages_webhook,
    status,
    statuses_webhook,
    text_message,
    text_webhook,
    webhook,
)

BUDGET = 8
NOW = int(time.time())
SENDER = "34600111222"


def text(body: str, wamid: str, at: int = NOW, sender: str = SENDER) -> bytes:
    return text_webhook(sender, body, wamid, at)


async def test_a_whatsapp_message_is_stored_answered_and_recorded(running: Running) -> None:
    running.brain.known["Are you open?"] = "Yes, until six."
    assert await running.post_whatsapp(text("Are you open?", "wamid.1")) == 200
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    [conversation] = await running.conversations()
    asked, answered = await running.transcript(conversation.id)
    assert (asked.content, asked.status) == (Text("Are you open?"), Status.HANDLED)
    assert (answered.content, answered.status) == (Text("Yes, until six."), Status.SENT)
    [sent] = running.graph.messages()
    assert sent.text == "Yes, until six."
    assert sent.message == answered.id
    assert answered.provider_id == sent.wamid
    assert sent.body["to"] == SENDER
    assert len(running.graph.reads) == 1


async def test_an_exchange_costs_at_most_eight_round_trips(
    quiet: None, running: Running, trips: RoundTrips
) -> None:
    await running.post_whatsapp(text("echo first", "wamid.0"))
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    before = dict(trips.counts)
    await running.post_whatsapp(text("echo second", "wamid.1"))
    await running.until(lambda: len(running.graph.messages()) == 2)
    await running.idle()
    spent = {k: v - before.get(k, 0) for k, v in trips.counts.items() if v != before.get(k, 0)}
    assert spent == {
        "insert messages": 2,
        "find messages": 1,
        "find conversations": 1,
        "update conversations": 1,
        "update messages": 2,
    }
    assert sum(spent.values()) <= BUDGET


async def test_answers_leave_in_the_order_of_the_questions(running: Running) -> None:
    for n in range(12):
        assert await running.post_whatsapp(text(f"echo {n}", f"wamid.{n}")) == 200
    await running.until(lambda: len(running.graph.messages()) == 12)
    assert [m.text for m in running.graph.messages()] == [f"echo {n}" for n in range(12)]


@pytest.mark.parametrize("times", [4])
async def test_the_same_webhook_at_once_has_one_effect(running: Running, times: int) -> None:
    body = text("echo once", "wamid.same")
    statuses = await asyncio.gather(*(running.post_whatsapp(body) for _ in range(times)))
    assert statuses == [200] * times
    await running.until(lambda: len(running.graph.messages()) >= 1)
    await running.swept()
    assert [m.text for m in running.graph.messages()] == ["echo once"]
    [conversation] = await running.conversations()
    assert len(await running.transcript(conversation.id)) == 2


async def test_a_webhook_that_comes_days_late_again_is_answered_once(running: Running) -> None:
    body = text("echo late", "wamid.late")
    assert await running.post_whatsapp(body) == 200
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    running.clock.move(days=7)
    assert await running.post_whatsapp(body) == 200
    await running.swept()
    assert len(running.graph.messages()) == 1


async def test_receipts_in_any_order_never_move_a_status_back(running: Running) -> None:
    orders = list(itertools.permutations(("sent", "delivered", "read")))
    for n, order in enumerate(orders):
        await running.post_whatsapp(text(f"echo {n}", f"wamid.q{n}"))
        await running.until(lambda n=n: len(running.graph.messages()) == n + 1)  # type: ignore[misc]
        sent = running.graph.messages()[-1]
        for name in order:
            body = statuses_webhook(
                [status(sent.wamid or "", name, NOW + 1, recipient=SENDER, message=sent.message)]
            )
            assert await running.post_whatsapp(body) == 200
        await running.idle()
        found = await running.store.of("acme").messages.get(sent.message or "")
        assert found is not None
        assert found.status is Status.READ, order


async def test_a_receipt_before_our_own_record_is_applied_once_the_message_is_known(running: Running) -> None:
    """Without our id in it, a receipt can only be matched by the provider's, which we may not know yet."""
    messages = running.store.of("acme").messages
    early = Receipt("wamid.early", Status.READ, datetime.now(UTC))
    await running.store.of("acme").receipts.apply("ch_wa", [early], running.clock())
    await running.post_whatsapp(text("echo x", "wamid.x"))
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    sent = running.graph.messages()[0].message or ""
    await messages.sent(sent, "wamid.early", running.clock())
    running.clock.move(seconds=5)
    await running.swept()
    found = await messages.get(sent)
    assert found is not None
    assert found.status is Status.READ


async def test_a_delivered_message_is_not_failed_by_a_contradicting_receipt(running: Running) -> None:
    await running.post_whatsapp(text("echo x", "wamid.x"))
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    sent = running.graph.messages()[0]
    for name in ("delivered", "failed"):
        body = statuses_webhook(
            [status(sent.wamid or "", name, NOW + 1, recipient=SENDER, message=sent.message)]
        )
        assert await running.post_whatsapp(body) == 200
    found = await running.store.of("acme").messages.get(sent.message or "")
    assert found is not None
    assert found.status is Status.DELIVERED


async def test_what_is_not_modelled_is_kept_and_answered_sensibly(running: Running) -> None:
    odd = {
        "from": SENDER,
        "id": "wamid.odd",
        "timestamp": str(NOW),
        "type": "hologram",
        "hologram": {"id": 7},
    }
    assert await running.post_whatsapp(messages_webhook([odd])) == 200
    await running.until(lambda: len(running.graph.messages()) == 1)
    [conversation] = await running.conversations()
    stored = (await running.transcript(conversation.id))[0]
    assert isinstance(stored.content, Unsupported)
    assert stored.content.kind == "hologram"
    assert '"hologram"' in stored.content.raw
    assert "text" in (running.graph.messages()[0].text or "")


async def test_the_app_wide_address_finds_the_channel_by_its_number(running: Running) -> None:
    assert await running.post_whatsapp(text("echo app", "wamid.app"), channel=None) == 200
    await running.until(lambda: len(running.graph.messages()) == 1)
    [conversation] = await running.conversations()
    assert conversation.channel == "ch_wa"


async def test_a_message_without_phone_or_contact_is_answered_by_its_business_scoped_id(
    running: Running,
) -> None:
    message = text_message(SENDER, "echo bsuid", "wamid.b", NOW)
    del message["from"]
    message["from_user_id"] = "ES.1309234571234"
    assert await running.post_whatsapp(webhook({"messages": [message]})) == 200
    await running.until(lambda: len(running.graph.requests) >= 1)
    [conversation] = await running.conversations()
    contact = await running.store.of("acme").conversations.contact(conversation.contact)
    assert contact is not None
    assert contact.phone is None
    assert [(i.account, i.id) for i in contact.identities] == [(WABA, "ES.1309234571234")]
    assert running.graph.messages()[0].text == "echo bsuid"
