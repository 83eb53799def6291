"""Whether the stand-in is true: python-telegram-bot, which follows Telegram's own page, is taken by it, sends what we
send, and understands its refusals; and it refuses what the page forbids."""

import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import telegram
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from channels.telegram.api import Call
from channels.telegram.parse import ALLOWED
from gateway.model.content import (
    Album,
    Buttons,
    Choice,
    Contacts,
    Content,
    Deleted,
    Edit,
    Link,
    ListMenu,
    Location,
    Media,
    Reaction,
    Request,
    SharedContact,
    Text,
)
from gateway.model.errors import SendError
from tests.providers.bot_api import MB, BotApi, BotApiThread, Fault, StoredFile
from tests.telegram.rig import ANA, CHANNEL, HOOK, PNG, SECRET, TOKEN, Rig

pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")

QUIET = LinkPreviewOptions(is_disabled=True)
ANSWER = ReplyParameters(message_id=9, allow_sending_without_reply=True)
PHOTO = "https://a.example/x.jpg"


@pytest.fixture
async def ptb(rig: Rig) -> AsyncIterator[telegram.Bot]:
    request, asking = HTTPXRequest(), HTTPXRequest()
    bot = telegram.Bot(
        TOKEN,
        base_url=f"{rig.api.url}/bot",
        base_file_url=f"{rig.api.url}/file/bot",
        request=request,
        get_updates_request=asking,
    )
    yield bot
    await request.shutdown()
    await asking.shutdown()


def keyboard(*rows: list[tuple[str, str]]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(t, callback_data=d) for t, d in row] for row in rows])


Theirs = Callable[[telegram.Bot], Awaitable[Any]]

SAME: dict[str, tuple[Content, Theirs]] = {
    "text": (
        Text("a <b> c"),
        lambda b: b.send_message(ANA, "a <b> c", link_preview_options=QUIET, reply_parameters=ANSWER),
    ),
    "markup": (
        Text("**a** & [b](https://a.example/)", markup=True),
        lambda b: b.send_message(
            ANA,
            '<b>a</b> &amp; <a href="https://a.example/">b</a>',
            parse_mode="HTML",
            link_preview_options=QUIET,
            reply_parameters=ANSWER,
        ),
    ),
    "buttons": (
        Buttons("Q?", (Choice("y", "Yes"), Choice("n", "No"))),
        lambda b: b.send_message(
            ANA,
            "Q?",
            reply_markup=keyboard([("Yes", "y"), ("No", "n")]),
            link_preview_options=QUIET,
            reply_parameters=ANSWER,
        ),
    ),
    "list": (
        ListMenu("Q?", "unused", (Choice("y", "Yes", "really"), Choice("n", "No"))),
        lambda b: b.send_message(
            ANA,
            "Q?\n\n• Yes: really",
            reply_markup=keyboard([("Yes", "y")], [("No", "n")]),
            link_preview_options=QUIET,
            reply_parameters=ANSWER,
        ),
    ),
    "link": (
        Link("Look", "Open", PHOTO),
        lambda b: b.send_message(
            ANA,
            "Look",
            reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("Open", url=PHOTO)]]),
            link_preview_options=QUIET,
            reply_parameters=ANSWER,
        ),
    ),
    "request": (
        Request("Number?", "phone", "Mine"),
        lambda b: b.send_message(
            ANA,
            "Number?",
            reply_markup=telegram.ReplyKeyboardMarkup(
                [[telegram.KeyboardButton("Mine", request_contact=True)]],
                resize_keyboard=True,
                one_time_keyboard=True,
            ),
            link_preview_options=QUIET,
            reply_parameters=ANSWER,
        ),
    ),
    "photo": (
        Media("image", url=PHOTO, caption="**c**", markup=True),
        lambda b: b.send_photo(ANA, PHOTO, caption="<b>c</b>", parse_mode="HTML", reply_parameters=ANSWER),
    ),
    "video": (
        Media("video", url=PHOTO, seconds=4, width=5, height=6),
        lambda b: b.send_video(
            ANA, PHOTO, duration=4, width=5, height=6, supports_streaming=True, reply_parameters=ANSWER
        ),
    ),
    "audio": (
        Media("audio", url=PHOTO, seconds=4),
        lambda b: b.send_audio(ANA, PHOTO, duration=4, reply_parameters=ANSWER),
    ),
    "voice": (Media("voice", url=PHOTO), lambda b: b.send_voice(ANA, PHOTO, reply_parameters=ANSWER)),
    "document": (
        Media("document", url=PHOTO, caption="c"),
        lambda b: b.send_document(ANA, PHOTO, caption="c", reply_parameters=ANSWER),
    ),
    "sticker": (Media("sticker", url=PHOTO), lambda b: b.send_sticker(ANA, PHOTO, reply_parameters=ANSWER)),
    "album": (
        Album((Media("image", url=PHOTO, caption="c"), Media("image", url=PHOTO))),
        lambda b: b.send_media_group(
            ANA,
            [telegram.InputMediaPhoto(PHOTO, caption="c"), telegram.InputMediaPhoto(PHOTO)],
            reply_parameters=ANSWER,
        ),
    ),
    "location": (
        Location(41.5, 2.25),
        lambda b: b.send_location(ANA, latitude=41.5, longitude=2.25, reply_parameters=ANSWER),
    ),
    "venue": (
        Location(41.5, 2.25, "Shop", "Street 1"),
        lambda b: b.send_venue(
            ANA, latitude=41.5, longitude=2.25, title="Shop", address="Street 1", reply_parameters=ANSWER
        ),
    ),
    "contact": (
        Contacts((SharedContact("Ana García", ("+34600111222",)),)),
        lambda b: b.send_contact(
            ANA, phone_number="+34600111222", first_name="Ana", last_name="García", reply_parameters=ANSWER
        ),
    ),
}


@pytest.mark.parametrize("kind", SAME)
async def test_python_telegram_bot_sends_the_same(rig: Rig, ptb: telegram.Bot, kind: str) -> None:
    content, theirs = SAME[kind]
    await rig.send(content, reply_to=f"{ANA}:9")
    ours = rig.api.calls[-1]
    await theirs(ptb)
    other = rig.api.calls[-1]
    assert (ours.method, dict(ours.params)) == (other.method, dict(other.params))


CHANGES: dict[str, tuple[Callable[[str], Content], Callable[[telegram.Bot, int], Awaitable[Any]]]] = {
    "edit": (
        lambda to: Edit(to, Text("new", markup=True)),
        lambda b, n: b.edit_message_text("new", ANA, n, parse_mode="HTML", link_preview_options=QUIET),
    ),
    "edit buttons": (
        lambda to: Edit(to, Buttons("new", (Choice("a", "A"),))),
        lambda b, n: b.edit_message_text("new", ANA, n, reply_markup=keyboard([("A", "a")])),
    ),
    "delete": (Deleted, lambda b, n: b.delete_message(ANA, n)),
    "reaction": (lambda to: Reaction("👍", to), lambda b, n: b.set_message_reaction(ANA, n, "👍")),
}


@pytest.mark.parametrize("kind", CHANGES)
async def test_python_telegram_bot_changes_the_same(rig: Rig, ptb: telegram.Bot, kind: str) -> None:
    ours, theirs = CHANGES[kind]
    found = []
    for change in (lambda n: rig.send(ours(f"{ANA}:{n}")), lambda n: theirs(ptb, n)):
        number = int((await rig.send(Text("old"))).partition(":")[2])
        await change(number)
        call = rig.api.calls[-1]
        found.append((call.method, {k: v for k, v in call.params.items() if k != "message_id"}))
    assert found[0] == found[1]


async def test_python_telegram_bot_sets_a_bot_up_the_same(rig: Rig, ptb: telegram.Bot) -> None:
    await rig.adapter.connect(CHANNEL, HOOK)
    ours = dict(rig.bot.webhook)
    await ptb.set_webhook(
        HOOK,
        allowed_updates=list(ALLOWED),
        max_connections=40,
        secret_token=SECRET,
        drop_pending_updates=False,
    )
    assert rig.bot.webhook == ours
    info = await ptb.get_webhook_info()
    assert (info.url, info.allowed_updates) == (HOOK, ALLOWED)
    await ptb.set_my_commands([("start", "Start")], language_code="es")
    assert [c.command for c in await ptb.get_my_commands(language_code="es")] == ["start"]
    assert (await ptb.get_me()).username == "acme_bot"


async def test_python_telegram_bot_uploads_fetches_and_asks(rig: Rig, ptb: telegram.Bot) -> None:
    sent = await ptb.send_photo(ANA, PNG * 100, filename="x.png")
    assert sent.photo[-1].file_size == len(PNG) * 100
    again = await ptb.send_photo(ANA, sent.photo[-1].file_id)
    assert again.photo[-1].file_id == sent.photo[-1].file_id
    rig.api.files["f"] = StoredFile(1000)
    assert len(await (await ptb.get_file("f")).download_as_bytearray()) == 1000
    first = rig.api.update(TOKEN, {"message": sent.to_dict()})
    (update,) = await ptb.get_updates(timeout=1)
    assert update.update_id == first
    assert await ptb.get_updates(offset=first + 1) == ()
    assert rig.bot.confirmed == [first]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.too_many(3), RetryAfter),
        (Fault.error(400, "Bad Request: upgraded", migrate_to_chat_id=-1005), ChatMigrated),
        (Fault.error(403, "Forbidden: bot was blocked by the user"), Forbidden),
        (Fault.error(400, "Bad Request: chat not found"), BadRequest),
        (Fault.error(401, "Unauthorized"), InvalidToken),
        (Fault.error(409, "Conflict: terminated by other getUpdates request"), Conflict),
    ],
)
async def test_python_telegram_bot_understands_the_refusals(
    rig: Rig, ptb: telegram.Bot, fault: Fault, kind: type[TelegramError]
) -> None:
    rig.api.misbehave(fault)
    with pytest.raises(kind):
        await ptb.send_message(ANA, "x")
    rig.api.misbehave(fault)
    await rig.fails()


def inline(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"chat_id": 1, "text": "x", "reply_markup": {"inline_keyboard": [[button] for button in buttons]}}


def html(text: str) -> dict[str, Any]:
    return {"chat_id": 1, "text": text, "parse_mode": "HTML"}


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "empty": ("sendMessage", {"chat_id": 1, "text": ""}, "400_empty"),
    "blank": ("sendMessage", {"chat_id": 1, "text": " \n"}, "400_empty"),
    "too long": ("sendMessage", {"chat_id": 1, "text": "x" * 4097}, "400_too_long"),
    "too long once read": ("sendMessage", html("<b>" + "&lt;" * 4097 + "</b>"), "400_too_long"),
    "caption": ("sendPhoto", {"chat_id": 1, "photo": PHOTO, "caption": "x" * 1025}, "400_too_long"),
    "tag": ("sendMessage", html("<x>y</x>"), "400_markup"),
    "bare sign": ("sendMessage", html("1 < 2"), "400_markup"),
    "unclosed": ("sendMessage", html("<b>x"), "400_markup"),
    "crossed": ("sendMessage", html("<b><i>x</b></i>"), "400_markup"),
    "data": ("sendMessage", inline({"text": "a", "callback_data": "x" * 65}), "400_button_data"),
    "data in bytes": ("sendMessage", inline({"text": "a", "callback_data": "ñ" * 33}), "400_button_data"),
    "no data": ("sendMessage", inline({"text": "a"}), "400_button_text"),
    "address": ("sendMessage", inline({"text": "a", "url": "http://localhost"}), "400_button_url"),
    "many": ("sendMessage", inline(*[{"text": "a", "callback_data": "b"}] * 101), "400_buttons"),
    "in a group": (
        "sendMessage",
        {
            "chat_id": -1,
            "text": "x",
            "reply_markup": {"keyboard": [[{"text": "a", "request_contact": True}]]},
        },
        "400_private_only",
    ),
    "album of one": (
        "sendMediaGroup",
        {"chat_id": 1, "media": [{"type": "photo", "media": PHOTO}]},
        "400_album",
    ),
    "mixed album": (
        "sendMediaGroup",
        {"chat_id": 1, "media": [{"type": "photo", "media": PHOTO}, {"type": "document", "media": PHOTO}]},
        "400_album",
    ),
    "reply": (
        "sendMessage",
        {"chat_id": 1, "text": "x", "reply_parameters": {"message_id": 1}},
        "400_reply_gone",
    ),
    "reaction": (
        "setMessageReaction",
        {"chat_id": 1, "message_id": 1, "reaction": [{"type": "emoji", "emoji": "🧿"}]},
        "400_reaction",
    ),
    "webhook": ("setWebhook", {"url": "http://a.example"}, "400_webhook"),
    "port": ("setWebhook", {"url": "https://a.example:8080"}, "400_webhook"),
    "method": ("sendNothing", {}, "404_not_found"),
    "file": ("sendPhoto", {"chat_id": 1, "photo": "gone"}, "400_file_id"),
}


def test_it_runs_in_a_thread_of_its_own() -> None:
    thread = BotApiThread(BotApi())
    with thread as api:
        thread.call(api.add_bot, TOKEN)
        number = thread.call(api.update, TOKEN, {"message": {}})
        with urllib.request.urlopen(f"{api.url}/bot{TOKEN}/getUpdates") as answer:
            assert json.load(answer)["result"] == [{"update_id": number, "message": {}}]


@pytest.mark.parametrize("what", REFUSED)
async def test_the_stand_in_refuses_what_the_page_forbids(rig: Rig, what: str) -> None:
    method, params, code = REFUSED[what]
    with pytest.raises(SendError) as caught:
        await rig.adapter._api.call(CHANNEL, Call(method, params))
    assert caught.value.code == f"telegram:{code}"


async def test_a_parameter_that_does_not_exist_is_seen(rig: Rig) -> None:
    with pytest.raises(SendError):
        await rig.adapter._api.call(CHANNEL, Call("sendMessage", {"chat_id": 1, "text": "x", "reply_to": 3}))


async def test_files_that_telegram_does_not_take(rig: Rig) -> None:
    sent = [
        (Media("voice", "audio/ogg", file=rig.files.add("a.ogg", "audio/ogg", 10, b"ID3")), "telegram:400"),
        (
            Media("image", "image/png", file=rig.files.add("a.png", "image/png", 10, b"MZ")),
            "telegram:400_picture",
        ),
        (Media("document", file=rig.files.add("e", "", 0)), "telegram:400_file_empty"),
        (Media("document", file=rig.files.add("big", "", 51 * MB)), "telegram:413_file_too_big"),
    ]
    for media, code in sent:
        assert (await rig.fails(media)).code == code
