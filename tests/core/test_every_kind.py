"""Every kind of message that a business can send, through the API of a running gateway, to every channel: what the table of
renderings says is taken by the provider's stand-in, and what it refuses is refused with the field's name."""

import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from channels import registry, rendering
from gateway.bootstrap import build, listening, working
from gateway.model.clock import system_clock
from gateway.model.content import to_doc
from gateway.model.message import Status
from gateway.model.tenant import Channel
from gateway.settings import Settings
from gateway.store import Store
from tests.bench.gateway_process import NoEmbedder
from tests.conftest import MovableClock, Running, ScriptedBrain, make_template, make_tenant, make_whatsapp
from tests.core.test_api import call, key_of
from tests.core.test_files import picture, upload
from tests.providers import slack_api_events as slack_events
from tests.providers.bot_api import BotApi
from tests.providers.graph import GraphStandIn
from tests.providers.graph_webhooks import text_webhook
from tests.providers.slack_api import SlackStandIn
from tests.slack.rig import TOKEN as SLACK_TOKEN
from tests.telegram import rig as telegram
from tests.telegram.reading import BOT, USERNAME
from tests.webhook.test_webhook import SECRET, System, post, said

CHANNELS = ("whatsapp", "telegram", "slack", "webhook")


@dataclass
class Everywhere:
    running: Running
    begin: dict[str, Callable[[], Awaitable[None]]]
    """A customer's first message, by channel."""


@pytest.fixture
async def everywhere(
    settings: Settings, store: Store, clock: MovableClock, graph: GraphStandIn
) -> AsyncIterator[Everywhere]:
    await make_tenant(store)
    await make_whatsapp(store)
    await make_template(store, "order_update", "en")
    system = System(clock=clock)
    app = web.Application()
    app.add_routes([web.post("/parley", system.take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/parley"
    bot = {"bot_user_id": slack_events.BOT, "bot_id": slack_events.BOT_ID}
    for channel in (
        _channel("ch_own", "webhook", "ch_own", {"url": url}, {"signing_secret": SECRET}),
        _channel("ch_tg", "telegram", BOT, {"username": USERNAME}, {
            "token": telegram.TOKEN, "secret_token": telegram.SECRET,
        }),
        _channel("ch_sl", "slack", slack_events.TEAM, bot, {"bot_token": SLACK_TOKEN}),
    ):  # fmt: skip
        await store.directory.add_channel(channel)
    async with BotApi() as api, SlackStandIn() as slack, aiohttp.ClientSession() as http:
        api.add_bot(telegram.TOKEN)
        slack.add_workspace(SLACK_TOKEN)
        settings = replace(
            settings,
            telegram_api_url=api.url,
            slack_api_url=slack.api,
            slack_signing_secret=slack_events.SECRET,
        )
        # Pacing has its own tests: here each look at the time is a minute later.
        ticks = itertools.count(time.monotonic(), 60)
        async with (
            build(
                settings,
                store,
                clock,
                brain=ScriptedBrain(),
                embedder=NoEmbedder(),
                monotonic=lambda: next(ticks),
            ) as gateway,
            working(gateway),
            listening(gateway.app, "127.0.0.1", 0) as port,
        ):
            running = Running(gateway, f"http://127.0.0.1:{port}", http, ScriptedBrain(), clock, graph)
            yield Everywhere(running, _beginnings(running))
    await runner.cleanup()


def _channel(
    identifier: str, kind: Any, account: str, config: dict[str, Any], secrets: dict[str, str]
) -> Channel:
    return Channel(identifier, "acme", kind, account, kind, system_clock(), config=config, secrets=secrets)


def _beginnings(running: Running) -> dict[str, Callable[[], Awaitable[None]]]:
    now = int(time.time())

    async def whatsapp() -> None:
        assert await running.post_whatsapp(text_webhook("34600111222", "echo hi", "wamid.1", now)) == 200

    async def by_telegram() -> None:
        person = {"id": telegram.ANA, "is_bot": False, "first_name": "Ana"}
        chat = {"id": telegram.ANA, "type": "private", "first_name": "Ana"}
        message = {"message_id": 7, "from": person, "chat": chat, "date": now, "text": "echo hi"}
        body = json.dumps({"update_id": 1, "message": message}).encode()
        headers = {"X-Telegram-Bot-Api-Secret-Token": telegram.SECRET}
        url = f"{running.url}/webhooks/telegram/ch_tg"
        async with running.http.post(url, data=body, headers=headers) as answer:
            assert answer.status == 200

    async def by_slack() -> None:
        body = slack_events.as_json(slack_events.direct("echo hi"))
        url = f"{running.url}/webhooks/slack/events"
        async with running.http.post(url, data=body, headers=slack_events.signed(body)) as answer:
            assert answer.status == 200

    async def webhook() -> None:
        assert await post(running, said("echo hi")) == 200

    return {"whatsapp": whatsapp, "telegram": by_telegram, "slack": by_slack, "webhook": webhook}


FILES = {
    "image": ("a.png", picture()),
    "video": ("a.mp4", b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(5000)),
    "audio": ("a.mp3", b"ID3\x03\x00\x00\x00\x00\x00\x21" + bytes(5000)),
    "voice": ("a.ogg", b"OggS\x00\x02" + bytes(22) + b"OpusHead" + bytes(5000)),
    "document": ("offer.pdf", b"%PDF-1.7\n" + bytes(5000)),
    "sticker": ("a.webp", picture("WEBP", (512, 512))),
}


async def contents(running: Running, first: str, answer: str) -> dict[str, dict[str, Any]]:
    """The samples of the table with real files, and with messages that are there."""
    ids = {kind: (await upload(running, *file))["id"] for kind, file in FILES.items()}
    media = {k: {"type": "media", "media": k, "file": i, "caption": "look"} for k, i in ids.items()}
    found: dict[str, dict[str, Any]] = {name: to_doc(content) for name, content in rendering.SAMPLES.items()}
    for kind in FILES:
        found["video of 12 MB" if kind == "video" else kind] = media[kind]
    for name in ("video of 25 MB", "program (.exe)"):
        del found[name]  # sizes and types have their own tests
    picture_item = {"media": "image", "file": ids["image"]}
    found["album of 3 pictures"] = {"type": "album", "items": [picture_item] * 3}
    found["reaction"]["to"] = first
    found["edit"]["to"] = answer
    found["deletion"]["to"] = answer
    return found


@pytest.mark.parametrize("kind", CHANNELS)
async def test_every_kind_is_taken_or_refused_with_its_reason(everywhere: Everywhere, kind: str) -> None:
    running = everywhere.running
    await everywhere.begin[kind]()
    await running.idle()
    [conversation] = await running.conversations()
    await _settled(running, conversation.id)
    transcript = await running.transcript(conversation.id)
    ours = next(m.id for m in transcript if m.direction == "out")
    capabilities = {kind: registry.CAPABILITIES[kind]}
    table = rendering.table(capabilities)
    headers = await key_of(running, "acme")
    path = f"/api/v1/conversations/{conversation.id}/messages"
    taken = 0
    for name, content in (await contents(running, transcript[0].id, ours)).items():
        status, answer = await call(running, "POST", path, headers, {"content": content})
        if table[name][kind].startswith("refused"):
            assert (status, answer["errors"][0]["field"].split(".")[0]) == (422, "content"), (name, answer)
            continue
        assert status == 200, (name, answer)
        await _settled(running, conversation.id)
        for message in answer["items"]:
            stands = await running.store.of("acme").messages.get(message["id"])
            assert stands is not None
            assert stands.status is Status.SENT, (name, message["content"], stands.failure)
            taken += 1
    assert taken >= 20


async def _settled(running: Running, conversation: str) -> None:
    """Until nothing of the conversation is left to do."""
    messages = running.store.of("acme").messages
    for _ in range(50):
        await running.swept()
        if not await messages.work(conversation):
            return
    pytest.fail(f"left to do: {await messages.work(conversation)}")
