"""Through a running gateway: updates come in signed or are asked for, answers arrive at the stand-in."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from channels import registry
from channels.telegram.adapter import TelegramAdapter
from gateway.bootstrap import build, listening, working
from gateway.model.clock import system_clock
from gateway.model.content import Album, Media, Reply, Text
from gateway.model.message import Message, Status
from gateway.model.tenant import Channel
from gateway.settings import Settings
from gateway.store import Store
from tests.bench.gateway_process import NoEmbedder
from tests.conftest import MovableClock, Running, ScriptedBrain, make_tenant
from tests.providers.bot_api import Bot, BotApi, Fault, Recorded, StoredFile
from tests.providers.graph import GraphStandIn
from tests.telegram.reading import BOT, USERNAME, body
from tests.telegram.rig import ANA, HOOK, SECRET, TOKEN

WRITER = {"id": ANA, "is_bot": False, "first_name": "Ana", "language_code": "en"}
PRIVATE = {"id": ANA, "type": "private", "first_name": "Ana"}
GROUP = {"id": -5, "type": "group", "title": "G"}


@dataclass
class Talk:
    """A running gateway with one bot, and the customer Ana."""

    running: Running
    api: BotApi
    bot: Bot
    number: int = 100

    def says(self, text: str = "", chat: Any = PRIVATE, kind: str = "message", **more: Any) -> int:
        self.number += 1
        message = {
            "message_id": self.number,
            "from": WRITER,
            "chat": chat,
            "date": int(self.running.clock().timestamp()),
        }
        message |= ({"text": text} if text else {}) | more
        return self.api.update(TOKEN, {kind: message})

    def texts(self) -> list[str]:
        return [str(call.params.get("text")) for call in self.api.of("sendMessage")]

    async def answered(self, count: int) -> list[Recorded]:
        await self.running.until(lambda: len(self.api.of("sendMessage")) >= count)
        await self.running.idle()
        return self.api.of("sendMessage")

    async def stored(self) -> list[Message]:
        (conversation,) = await self.running.conversations()
        return list(await self.running.transcript(conversation.id))


async def add_bot(store: Store, **config: Any) -> Channel:
    secrets = {"token": TOKEN, "secret_token": SECRET}
    channel = Channel(
        "ch_1",
        "acme",
        "telegram",
        BOT,
        "@acme_bot",
        system_clock(),
        config={"username": USERNAME, **config},
        secrets=secrets,
    )
    await store.directory.add_channel(channel)
    return channel


@pytest.fixture
async def api() -> AsyncIterator[BotApi]:
    async with BotApi() as stand_in:
        stand_in.add_bot(TOKEN, USERNAME)
        yield stand_in


@pytest.fixture
async def talk(
    settings: Settings,
    store: Store,
    clock: MovableClock,
    graph: GraphStandIn,
    api: BotApi,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Talk]:
    polls = getattr(request, "param", "") == "poll"
    await make_tenant(store, region="ES")
    channel = await add_bot(store, **({"poll": True} if polls else {}))
    brain = ScriptedBrain()
    settings = replace(settings, telegram_api_url=api.url)

    def monotonic() -> float:
        return time.monotonic() + clock.ahead.total_seconds()

    async with (
        build(settings, store, clock, brain=brain, embedder=NoEmbedder(), monotonic=monotonic) as gateway,
        working(gateway),
        listening(gateway.app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as http,
    ):
        url = f"http://127.0.0.1:{port}"
        api.gateway = url
        adapter = TelegramAdapter(api.url, http, clock, _NoFiles())
        await adapter.connect(channel, HOOK)
        yield Talk(Running(gateway, url, http, brain, clock, graph), api, api.bots[TOKEN])


class _NoFiles:
    """Connecting needs no files."""

    async def open(self, tenant: str, file: str) -> Any:
        raise AssertionError

    async def uploaded(self, tenant: str, file: str, channel: str) -> None:
        raise AssertionError

    async def remember(self, tenant: str, file: str, channel: str, provider_id: str, until: Any) -> None:
        raise AssertionError


async def test_a_message_is_answered(talk: Talk) -> None:
    talk.says("echo hello")
    (answer,) = await talk.answered(1)
    assert (answer.params["chat_id"], answer.params["text"]) == (ANA, "echo hello")
    question, reply = await talk.stored()
    assert (question.provider_id, reply.status) == (f"{ANA}:101", Status.SENT)
    assert reply.provider_id == f"{ANA}:{answer.result['message_id']}"
    assert talk.api.of("sendChatAction")


async def test_an_update_that_comes_twice_has_one_effect(talk: Talk) -> None:
    talk.says("echo once")
    await talk.answered(1)
    talk.number -= 1
    talk.says("echo once")
    await talk.api.delivered()
    await talk.running.idle()
    assert talk.texts() == ["echo once"]
    assert len(await talk.stored()) == 2


async def test_what_is_not_signed_is_refused(talk: Talk) -> None:
    url = f"{talk.running.url}/webhooks/telegram/ch_1"
    for headers in (
        {},
        {"X-Telegram-Bot-Api-Secret-Token": "wrong"},
        {"X-Telegram-Bot-Api-Secret-Token": ""},
    ):
        async with talk.running.http.post(url, data=body("text"), headers=headers) as answer:
            assert answer.status == 401
    assert not await talk.running.conversations()


async def test_every_body_is_taken(talk: Talk) -> None:
    from tests.telegram.cases import CASES

    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET, "Content-Type": "application/json"}
    url = f"{talk.running.url}/webhooks/telegram/ch_1"
    for name in CASES:
        async with talk.running.http.post(url, data=body(name), headers=headers) as answer:
            assert answer.status == 200, name
    await talk.running.idle()


async def test_start_and_help_are_answered(talk: Talk) -> None:
    talk.says("/start summer-ad")
    await talk.answered(1)
    talk.says("/help@acme_bot")
    await talk.answered(2)
    started = (await talk.stored())[0]
    assert started.extra["start"] == "summer-ad"


async def test_an_album_is_one_message(talk: Talk) -> None:
    for n in range(3):
        talk.api.files[f"p{n}"] = StoredFile(100, "photo", "image/jpeg")
        photo = [{"file_id": f"p{n}", "file_unique_id": f"u{n}", "width": 10, "height": 10}]
        talk.says(photo=photo, media_group_id="77")
    await talk.api.delivered()
    talk.running.clock.move(seconds=10)
    await talk.running.swept()
    album = (await talk.stored())[0].content
    assert isinstance(album, Album)
    assert [item.media_id for item in album.items] == ["p0", "p1", "p2"]


async def test_a_press_is_acknowledged_and_understood(talk: Talk) -> None:
    talk.says("something that nobody knows")
    sent = (await talk.answered(1))[-1].result
    markup = sent.get("reply_markup")
    assert markup, "an unknown question is answered with an offer"
    button = markup["inline_keyboard"][0][0]
    talk.api.press(TOKEN, sent, button["callback_data"], WRITER)
    await talk.answered(2)
    await talk.running.until(lambda: bool(talk.api.answered))
    pressed = next(m for m in await talk.stored() if isinstance(m.content, Reply))
    assert isinstance(pressed.content, Reply)
    assert (pressed.content.id, pressed.content.title) == (button["callback_data"], button["text"])


async def test_a_bot_that_is_blocked_ends_the_conversation_until_they_write_again(talk: Talk) -> None:
    talk.api.blocked.add(ANA)
    talk.says("echo one")
    await talk.running.until(lambda: any(c.method == "sendMessage" for c in talk.api.calls))
    await talk.running.idle()
    (conversation,) = await talk.running.conversations()
    assert conversation.blocked
    reply = (await talk.stored())[-1]
    assert (reply.failure and reply.failure.code, reply.status) == ("telegram:403_blocked", Status.FAILED)
    talk.api.blocked.clear()
    talk.says("echo two")
    await talk.answered(1)
    (conversation,) = await talk.running.conversations()
    assert not conversation.blocked


async def test_too_many_waits_as_long_as_telegram_says(talk: Talk) -> None:
    talk.api.misbehave(Fault.too_many(60, "sendMessage"))
    talk.says("echo patience")
    await talk.running.until(lambda: any(c.method == "sendMessage" for c in talk.api.calls))
    await talk.running.idle()
    await talk.running.swept()
    assert talk.texts() == []
    talk.running.clock.move(seconds=90)
    await talk.running.swept()
    await talk.answered(1)
    assert talk.texts() == ["echo patience"]


async def test_a_group_that_moved_is_answered_at_its_new_address(talk: Talk) -> None:
    mention = [{"type": "mention", "offset": 0, "length": 9}]
    talk.says("@acme_bot echo one", GROUP, entities=mention)
    await talk.answered(1)
    talk.api.migrated[-5] = -1005
    talk.says("@acme_bot echo two", GROUP, entities=mention)
    await talk.running.until(lambda: len(talk.texts()) == 2)
    assert [c.params["chat_id"] for c in talk.api.of("sendMessage")] == [-5, -1005]
    talk.says(chat=GROUP, migrate_to_chat_id=-1005)
    talk.says("@acme_bot echo three", GROUP | {"id": -1005, "type": "supergroup"}, entities=mention)
    await talk.answered(3)
    (conversation,) = await talk.running.conversations()
    assert conversation.address == "-1005"


async def test_in_a_group_only_what_is_said_to_us_is_answered(talk: Talk) -> None:
    talk.says("echo not for you", GROUP)
    await talk.api.delivered()
    talk.says("@acme_bot echo for you", GROUP, entities=[{"type": "mention", "offset": 0, "length": 9}])
    await talk.answered(1)
    assert talk.texts() == ["echo for you"]
    assert len(await talk.stored()) == 3


async def test_an_edit_changes_what_is_shown_and_is_not_answered(talk: Talk) -> None:
    talk.says("echo first")
    await talk.answered(1)
    talk.number -= 1
    talk.says("echo second", kind="edited_message", edit_date=int(talk.running.clock().timestamp()))
    await talk.api.delivered()
    await talk.running.idle()
    question = (await talk.stored())[0]
    assert (question.content, question.original) == (Text("echo second"), Text("echo first"))
    assert talk.texts() == ["echo first"]


async def test_a_customers_file_is_fetched(talk: Talk) -> None:
    talk.api.files["doc"] = StoredFile(300_000, "document", "application/pdf")
    talk.says(document={"file_id": "doc", "file_unique_id": "u", "file_name": "x.pdf"})
    await talk.api.delivered()
    await talk.running.until(lambda: bool(talk.api.of("getFile")))
    await talk.running.idle()
    question = (await talk.stored())[0]
    assert isinstance(question.content, Media)
    assert question.content.file


async def test_the_owner_of_a_business_takes_over(talk: Talk) -> None:
    connection = {"business_connection_id": "bc1"}
    talk.says("echo hello", kind="business_message", **connection)
    (answer,) = await talk.answered(1)
    assert answer.params["business_connection_id"] == "bc1"
    owner = {"id": 70001, "is_bot": False, "first_name": "Olga"}
    talk.says("I am here myself", kind="business_message", **connection, **{"from": owner})
    await talk.api.delivered()
    await talk.running.idle()
    (conversation,) = await talk.running.conversations()
    assert conversation.owner == "agent"


@pytest.mark.parametrize("talk", ["poll"], indirect=True)
async def test_without_a_public_address_updates_are_asked_for(talk: Talk) -> None:
    number = talk.says("echo asked")
    (answer,) = await talk.answered(1)
    assert answer.params["text"] == "echo asked"
    other = talk.says("echo again")
    await talk.answered(2)
    assert talk.api.of("getUpdates")
    assert not talk.bot.webhook
    await talk.running.until(lambda: talk.bot.confirmed == [number, other])


@pytest.mark.parametrize("talk", ["poll"], indirect=True)
async def test_an_update_that_was_taken_and_not_confirmed_has_one_effect(talk: Talk) -> None:
    update = talk.says("echo once")
    await talk.answered(1)
    await talk.running.until(lambda: talk.bot.confirmed == [update])
    # As after a crash between taking and confirming: the same update comes again.
    message = {"message_id": talk.number, "from": WRITER, "chat": PRIVATE, "date": 1, "text": "echo once"}
    talk.bot.updates.append({"update_id": update + 1, "message": message})
    talk.bot.changed.set()
    await talk.running.until(lambda: talk.bot.confirmed == [update, update + 1])
    await talk.running.idle()
    assert talk.texts() == ["echo once"]


def test_the_gateway_knows_the_kind() -> None:
    assert "telegram" in registry.SETTINGS
    assert [s.name for s in registry.SETTINGS["telegram"]] == ["token", "secret_token", "poll"]
