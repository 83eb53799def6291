"""Webhook bodies as Meta builds and signs them, for tests and benchmarks that play the provider."""

import hashlib
import hmac
import json
import random
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

WABA = "102290129340398"
PHONE_ID = "106540352242922"

T = TypeVar("T")


def signed(body: bytes, secret: str) -> dict[str, str]:
    """The headers that Meta sends with a body."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}


def webhook(
    value: dict[str, Any], *, account: str = PHONE_ID, waba: str = WABA, field: str = "messages"
) -> bytes:
    """A whole body with one change."""
    metadata = {"display_phone_number": "15550783881", "phone_number_id": account}
    change = {"value": {"messaging_product": "whatsapp", "metadata": metadata} | value, "field": field}
    body = {"object": "whatsapp_business_account", "entry": [{"id": waba, "changes": [change]}]}
    return json.dumps(body, separators=(",", ":")).encode()


def text_webhook(
    sender: str,
    text: str,
    wamid: str,
    at: int,
    *,
    name: str = "Sheena Nelson",
    account: str = PHONE_ID,
    waba: str = WABA,
) -> bytes:
    """A customer's text. `at` is in Unix seconds."""
    return messages_webhook([text_message(sender, text, wamid, at)], name=name, account=account, waba=waba)


def messages_webhook(
    messages: Sequence[dict[str, Any]],
    *,
    name: str = "Sheena Nelson",
    account: str = PHONE_ID,
    waba: str = WABA,
) -> bytes:
    senders = dict.fromkeys(str(message["from"]) for message in messages)
    contacts = [{"profile": {"name": name}, "wa_id": sender} for sender in senders]
    return webhook({"contacts": contacts, "messages": list(messages)}, account=account, waba=waba)


def text_message(sender: str, text: str, wamid: str, at: int) -> dict[str, Any]:
    return {"from": sender, "id": wamid, "timestamp": str(at), "text": {"body": text}, "type": "text"}


def button_message(sender: str, choice: str, title: str, wamid: str, at: int, to: str) -> dict[str, Any]:
    """A pressed reply button; `to` is the wamid of the message that offered it."""
    pressed = {"type": "button_reply", "button_reply": {"id": choice, "title": title}}
    context = {"from": "15550783881", "id": to}
    start = {"context": context, "from": sender, "id": wamid, "timestamp": str(at)}
    return start | {"type": "interactive", "interactive": pressed}


def status(
    wamid: str, state: str, at: int, *, recipient: str, message: str | None = None, code: int | None = None
) -> dict[str, Any]:
    """One receipt. `message` is our own id, echoed; `code` the error of a failed one."""
    found: dict[str, Any] = {"id": wamid, "status": state, "timestamp": str(at), "recipient_id": recipient}
    if message is not None:
        found["biz_opaque_callback_data"] = message
    if state in ("sent", "delivered"):
        found["pricing"] = {
            "billable": True,
            "pricing_model": "PMP",
            "type": "regular",
            "category": "service",
        }
    if code is not None:
        found["errors"] = [{"code": code, "title": "Title", "error_data": {"details": "Details"}}]
    return found


def receipts(
    wamid: str, at: int, *, recipient: str, message: str | None = None, states: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """The usual receipts of one message, a second apart."""
    wanted = list(states) or ["sent", "delivered", "read"]
    return [
        status(wamid, state, at + i, recipient=recipient, message=message) for i, state in enumerate(wanted)
    ]


def statuses_webhook(
    statuses: Sequence[dict[str, Any]], *, account: str = PHONE_ID, waba: str = WABA
) -> bytes:
    return webhook({"statuses": list(statuses)}, account=account, waba=waba)


def jumbled(things: Sequence[T], seed: int, copies: int = 2) -> list[T]:
    """Each thing `copies` times, in an order that the seed decides: what at-least-once delivery may do."""
    found = [thing for thing in things for _ in range(copies)]
    random.Random(seed).shuffle(found)
    return found
