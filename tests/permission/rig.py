"""What the tests of permission say and look for: a customer's message at the moved clock's time, a person's words, a template."""

import json
from typing import Any

from gateway import outbox
from gateway.model.content import Content, Template, Text
from gateway.model.conversation import Conversation
from gateway.model.message import Message, Status
from gateway.model.work import Key
from tests.conftest import Running
from tests.providers.graph_webhooks import text_webhook

SENDER = "34600111222"


async def hear(running: Running, text: str, number: int = 1, **more: Any) -> Conversation:
    """A customer's message, at the clock's time; its turn is over. `more` goes into the message (a referral, a timestamp)."""
    at = int(more.pop("at", running.clock()).timestamp())
    body = json.loads(text_webhook(SENDER, text, f"wamid.{number}", at))
    body["entry"][0]["changes"][0]["value"]["messages"][0] |= more
    assert await running.post_whatsapp(json.dumps(body).encode()) == 200
    await running.idle()
    [conversation] = await running.conversations()
    return conversation


async def say(
    running: Running, conversation: Conversation, content: Content | str, key: str, **more: Any
) -> Message:
    """Queue a person's words as they are, and let them go as far as they may."""
    content = Text(content) if isinstance(content, str) else content
    from dataclasses import replace

    gateway = running.gateway
    [message] = outbox.of_person(conversation, key, [content], gateway.desk._sequencer, running.clock())
    await running.store.of("acme").messages.put_queued([replace(message, **more)])
    gateway.work.poke(Key("acme", conversation.id))
    await running.idle()
    return await found(running, message.id)


async def found(running: Running, message: str) -> Message:
    standing = await running.store.of("acme").messages.get(message)
    assert standing is not None
    return standing


def state(message: Message) -> tuple[Status, str]:
    return message.status, message.failure.code if message.failure else ""


def sent(running: Running) -> list[str]:
    """What the provider took: a text, or a template's name."""
    taken = []
    for m in running.graph.messages():
        taken.append(m.body["template"]["name"] if m.body.get("type") == "template" else str(m.text))
    return taken


def offer(name: str = "offer", language: str = "en") -> Template:
    return Template(name, language)
