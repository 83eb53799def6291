"""What the tests of templates share: templates at the provider, webhooks about them, and conversations to send them in."""

import json
from datetime import datetime
from typing import Any

from gateway.model.consent import MARKETING, Entry, State, entry_id
from gateway.model.content import Template
from gateway.model.conversation import Conversation
from gateway.model.message import Message, Status
from gateway.store import Store
from tests.conftest import PHONE, WABA, Running
from tests.providers.graph_webhooks import text_webhook

CUSTOMER = "34600123456"


def about_template(field: str, value: dict[str, Any], at: datetime, waba: str = WABA) -> bytes:
    """A whole body with one change of a template, as Meta builds it: such changes name no phone number."""
    entry = {"id": waba, "time": int(at.timestamp()), "changes": [{"value": value, "field": field}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def named(row: dict[str, Any]) -> dict[str, Any]:
    # The language has a dash here, as in Meta's own examples.
    return {
        "message_template_id": int(row["id"]),
        "message_template_name": row["name"],
        "message_template_language": row["language"].replace("_", "-"),
    }


def status_of(row: dict[str, Any], event: str, at: datetime, **more: Any) -> bytes:
    value = {
        "event": event,
        **named(row),
        "reason": "NONE",
        "message_template_category": row["category"],
        **more,
    }
    return about_template("message_template_status_update", value, at)


def category_of(row: dict[str, Any], old: str, new: str, at: datetime) -> bytes:
    value = {**named(row), "previous_category": old, "new_category": new}
    return about_template("template_category_update", value, at)


async def heard(running: Running, sender: str = CUSTOMER, text: str = "echo hello") -> Conversation:
    """The conversation of a customer who has just written and been answered."""
    at = int(running.clock().timestamp())
    body = text_webhook(sender, text, f"wamid.{sender}.{at}", at, account=PHONE)
    assert await running.post_whatsapp(body) == 200
    await running.idle()
    return next(c for c in await running.conversations() if c.address == sender)


async def consent(store: Store, conversation: Conversation, state: State, at: datetime) -> None:
    entry = Entry(
        id=entry_id(conversation.tenant, conversation.id, state, at.isoformat()),
        tenant=conversation.tenant,
        channel=conversation.channel,
        contact=conversation.contact,
        purpose=MARKETING,
        state=state,
        how="api",
        at=at,
        recorded=at,
    )
    await store.of(conversation.tenant).ledger.record([entry])


async def queue(
    running: Running,
    conversation: Conversation,
    name: str,
    key: str = "a",
    purpose: str = "service",
    due: datetime | None = None,
) -> Message:
    """A template message in the outbox, as a program of the tenant's would have written it."""
    now = running.clock()
    message = Message(
        id=f"m_{conversation.id}_{name}_{key}",
        tenant=conversation.tenant,
        channel=conversation.channel,
        conversation=conversation.id,
        direction="out",
        author="agent",
        seq=int(now.timestamp() * 1_000_000),
        at=now,
        content=Template(name, "en_US"),
        status=Status.QUEUED,
        due=due or now,
        purpose=purpose,
    )
    await running.store.of(conversation.tenant).messages.put_queued([message])
    return message


async def stands(running: Running, message: Message) -> Message:
    found = await running.store.of(message.tenant).messages.get(message.id)
    assert found is not None
    return found


async def warnings(store: Store, channel: str = "ch_wa", tenant: str = "acme") -> list[str]:
    return [e.text for e in await store.of(tenant).events.latest(channel, 50) if e.warning]
