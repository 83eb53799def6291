"""Sending, against a Bot API that checks what it is sent and misbehaves when told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from channels.degrade import degrade
from channels.telegram import api as api_module
from channels.telegram.adapter import TelegramAdapter
from gateway.model.content import (
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
    Reply,
    Request,
    SharedContact,
    System,
    Text,
)
from gateway.model.conversation import Conversation
from gateway.model.errors import SendError
from tests.providers.bot_api import MB, Fault
from tests.telegram.reading import BOT, NOW
from tests.telegram.rig import ANA, CHANNEL, HOLA, TOKEN, Rig, clean, incoming

YES_NO = (Choice("lead:yes", "Yes, please"), Choice("lead:no", "No, thanks"))
ROWS = tuple(Choice(f"row{n}", f"Row {n}", "d" * 80 if n else None) for n in range(30))
LONG = (Choice("l" * 65, "Far"), Choice("ok", "Near"), Choice("~1", "Odd"), Choice("ñ" * 33, "Wide"))
GROUP = "-1002233445566"


async def test_a_text_is_taken_as_it_stands(rig: Rig) -> None:
    text = "2 < 3 & *not bold* [x](http://y)"
    assert await rig.send(Text(text), reply_to=f"{ANA}:9") == f"{ANA}:1000"
    assert rig.last() == {
        "chat_id": ANA,
        "text": text,
        "reply_parameters": {"message_id": 9, "allow_sending_without_reply": True},
        "link_preview_options": {"is_disabled": True},
    }


async def test_markup_becomes_html_that_reads_the_same(rig: Rig) -> None:
    text = (
        '**Open** *daily* `9-5` <b> & [site](https://a.example/?x=1&y="2") [mail](mailto:a@b.example)\n- one'
    )
    await rig.send(Text(text, markup=True))
    (sent,) = rig.api.sent.values()
    assert sent["text"].startswith("Open daily 9-5 <b> & ")
    assert sent["text"].endswith("mail (a@b.example)\n• one")
    assert [e["type"] for e in sent["entities"]][:3] == ["bold", "italic", "code"]


async def test_a_person_of_the_business_gets_link_previews(rig: Rig) -> None:
    await rig.send(Text("https://a.example"), author="agent")
    assert "link_preview_options" not in rig.last()


@pytest.mark.parametrize(
    "content",
    [
        Text("😀" * 2_048),
        Text("مرحبا\nhttps://example.com"),
        Text("a\x00\ud800b"),
        Text("*" * 4_096, markup=True),
        Text("**a** " * 600, markup=True),
        Text("<" * 4_096, markup=True),
        Buttons("Shall we?", YES_NO),
        Buttons("**Shall** we?", (*YES_NO, Choice("c" * 64, "t" * 64)), markup=True),
        Buttons("x", tuple(Choice(f"c{n}", f"{n}") for n in range(12))),
        Buttons("x < y", LONG),
        Buttons("x **<** y", LONG, markup=True),
        ListMenu("Choose", "unused", ROWS),
        ListMenu("**Choose**", "unused", ROWS[:3], markup=True),
        Link("Look", "Open", "https://example.com/?a=1&b=2"),
        Link("Look", "Call", "tel:+34600111222"),
        Request("Where are you?", "location", "Send my place"),
        Request("Your number?", "phone"),
        Location(41.4, 2.17),
        Location(41.4, 2.17, "Shop", "Main street 1"),
        Location(41.4, 2.17, None, "Main street 1"),
        Contacts((SharedContact("Ana García", ("+34600111222",)),)),
        Contacts((SharedContact("Ana", ("+34600111222", "+34600"), ("a@b.example",), "Acme, Inc;"),)),
        Contacts((SharedContact("Ana", ("1",)), SharedContact("Ben", (), ("b@b.example",)))),
        Media("image", url="https://a.example/x.jpg", caption="**x**", markup=True),
        Media("document", url="https://a.example/x.pdf", caption="plain <b>"),
    ],
)
async def test_what_we_send_follows_the_documented_rules(rig: Rig, content: Content) -> None:
    shown, _ = degrade(content, rig.adapter.capabilities)
    for part in shown:
        assert await rig.send(part)


async def test_the_address_carries_topic_business_and_direct_messages(rig: Rig) -> None:
    await rig.send(to=f"{GROUP};topic=31", reply_to=f"{GROUP}:9")
    assert (rig.last()["chat_id"], rig.last()["message_thread_id"]) == (int(GROUP), 31)
    assert rig.last()["reply_parameters"]["message_id"] == 9
    sent = await rig.send(to=f"{ANA};business=bc-AAA", reply_to=f"{ANA}:9;business=bc-AAA")
    assert rig.last()["business_connection_id"] == "bc-AAA"
    assert rig.last()["reply_parameters"]["message_id"] == 9
    assert sent.endswith(";business=bc-AAA")
    await rig.send(to="-1005;direct=77")
    assert rig.last()["direct_messages_topic_id"] == 77
    # What was said elsewhere can't be answered here.
    await rig.send(to=GROUP, reply_to=f"{ANA}:9")
    assert "reply_parameters" not in rig.last()


# Buttons --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choices", [YES_NO, LONG, tuple(Choice("k" * 250 + str(n), f"T{n}") for n in range(12))]
)
async def test_a_press_gives_the_id_back_in_any_process(rig: Rig, choices: tuple[Choice, ...]) -> None:
    sent = await rig.send(Buttons("Pick <one>", choices))
    (message,) = rig.api.sent.values()
    assert message["text"].lstrip("\u200b") == "Pick <one>"
    buttons = [b for row in message["reply_markup"]["inline_keyboard"] for b in row]
    another = TelegramAdapter("http://unused", rig.session, lambda: NOW, rig.files)
    for button, choice in zip(buttons, choices, strict=True):
        rig.api.press(
            TOKEN, message, button["callback_data"], {"id": ANA, "is_bot": False, "first_name": "Ana"}
        )
        (found,) = another.parse(CHANNEL, json.dumps(rig.bot.updates.pop()).encode()).messages
        assert found.content == Reply(choice.id, choice.title, sent)
        assert found.extra["callback"]


async def test_short_titles_stand_two_in_a_row(rig: Rig) -> None:
    await rig.send(Buttons("x", YES_NO))
    assert [len(row) for row in rig.last()["reply_markup"]["inline_keyboard"]] == [2]
    await rig.send(Buttons("x", (Choice("a", "A title that is rather long"), Choice("b", "B"))))
    assert [len(row) for row in rig.last()["reply_markup"]["inline_keyboard"]] == [1, 1]


async def test_ids_beyond_what_a_message_hides_are_refused_unsent(rig: Rig) -> None:
    choices = tuple(Choice("k" * 3_000 + str(n), f"T{n}") for n in range(3))
    assert (await rig.fails(Buttons("x", choices))).code == "telegram:ids_too_long"
    # Read back, it would not be the id that was sent.
    assert (await rig.fails(Buttons("x", (Choice("i" * 513, "I"),)))).code == "telegram:ids_too_long"
    assert not rig.api.calls


async def test_a_keyboard_that_asks_is_taken_away_by_the_next_text(rig: Rig) -> None:
    await rig.send(Request("Your number?", "phone", "Share it"))
    keyboard = rig.last()["reply_markup"]
    assert keyboard["keyboard"] == [[{"text": "Share it", "request_contact": True}]]
    assert keyboard["one_time_keyboard"] is keyboard["resize_keyboard"] is True
    await rig.send(to="77")
    assert "reply_markup" not in rig.last()
    await rig.send(Buttons("x", YES_NO))
    await rig.send()
    assert rig.last()["reply_markup"] == {"remove_keyboard": True}
    await rig.send()
    assert "reply_markup" not in rig.last()


@pytest.mark.parametrize("to", [GROUP, f"{ANA};business=bc-AAA"])
async def test_what_only_a_private_chat_may_be_asked_is_asked_in_words_elsewhere(rig: Rig, to: str) -> None:
    await rig.send(Request("Your number?", "phone", "Share it"), to=to)
    assert "reply_markup" not in rig.last()


# Changes --------------------------------------------------------------------------------------------------


async def test_changes_of_what_was_sent(rig: Rig) -> None:
    sent = await rig.send(Buttons("one", YES_NO))
    assert await rig.send(Edit(sent, Text("two", markup=True)), message="m_2") == f"{sent}#m_2"
    assert rig.api.calls[-1].method == "editMessageText"
    (message,) = rig.api.sent.values()
    assert (message["text"], "reply_markup" in message) == ("two", False)
    # The same again is no error: it says so already.
    assert await rig.send(Edit(sent, Text("two", markup=True)), message="m_3") == f"{sent}#m_3"
    await rig.send(Edit(sent, Buttons("three", YES_NO)))
    await rig.send(Deleted(sent))
    assert not rig.api.sent
    assert await rig.send(Deleted(sent))
    error = await rig.fails(Edit(sent, Text("four")))
    assert (error.code, error.retryable) == ("telegram:400_edit_gone", False)


async def test_changes_of_files_and_places(rig: Rig) -> None:
    file = rig.files.add("a.png", "image/png")
    sent = await rig.send(Media("image", "image/png", file=file, caption="one"))
    await rig.send(Edit(sent, Media("image", caption="two")))
    assert rig.api.calls[-1].method == "editMessageCaption"
    await rig.send(Edit(sent, Media("image", "image/png", file=file, caption="three")))
    assert rig.api.calls[-1].method == "editMessageMedia"
    other = rig.files.add("b.png", "image/png")
    await rig.send(Edit(sent, Media("image", "image/png", file=other)))
    assert rig.api.calls[-1].files
    place = await rig.send(Location(1, 2))
    await rig.send(Edit(place, Location(2, 3)))
    assert rig.api.calls[-1].method == "editMessageLiveLocation"
    error = await rig.fails(Edit(place, Text("x")))
    assert error.code == "telegram:400_edit_refused"


async def test_in_a_business_chat_messages_are_taken_back_through_the_connection(rig: Rig) -> None:
    await rig.send(Deleted(f"{ANA}:5;business=bc"), to=f"{ANA};business=bc")
    assert rig.last() == {"business_connection_id": "bc", "message_ids": [5]}


async def test_reactions(rig: Rig) -> None:
    sent = await rig.send()
    await rig.send(Reaction("❤️", sent))
    assert rig.last()["reaction"] == [{"type": "emoji", "emoji": "❤"}]
    await rig.send(Reaction("", sent))
    assert rig.last()["reaction"] == []
    error = await rig.fails(Reaction("🧿", sent))
    assert (error.code, error.retryable) == ("telegram:cannot_send_reaction", False)
    assert (await rig.fails(Reaction("👍", f"{ANA}:1;business=b"), to=f"{ANA};business=b")).text
    assert (await rig.fails(Reaction("👍", "77:1"))).code == "telegram:no_message"


async def test_what_it_cannot_carry_is_refused_unsent(rig: Rig) -> None:
    assert (await rig.fails(System("joined"))).code == "telegram:cannot_send_system"
    assert not rig.api.calls


# Seen -----------------------------------------------------------------------------------------------------


async def test_a_press_is_answered_and_typing_shown(rig: Rig) -> None:
    await rig.adapter.mark_read(CHANNEL, incoming(Reply("a", "A"), callback="q1"), f"{GROUP};topic=3", True)
    assert rig.api.answered == ["q1"]
    assert rig.last() == {"chat_id": int(GROUP), "message_thread_id": 3, "action": "typing"}
    await rig.adapter.mark_read(CHANNEL, incoming(HOLA, f"{ANA}:5"), str(ANA), False)
    assert len(rig.api.calls) == 2


async def test_an_old_press_is_no_trouble(rig: Rig) -> None:
    text = "Bad Request: query is too old and response timeout expired or query ID is invalid"
    rig.api.misbehave(Fault.error(400, text))
    await rig.adapter.mark_read(CHANNEL, incoming(Reply("a", "A"), callback="q1"), str(ANA), True)
    assert rig.last()["action"] == "typing"


async def test_business_messages_are_marked_read(rig: Rig) -> None:
    message = incoming(HOLA, f"{ANA}:5;business=bc")
    await rig.adapter.mark_read(CHANNEL, message, f"{ANA};business=bc", True)
    assert [c.method for c in rig.api.calls] == ["sendChatAction", "readBusinessMessage"]
    assert rig.last() == {"chat_id": ANA, "business_connection_id": "bc", "message_id": 5}


# Drafts ---------------------------------------------------------------------------------------------------


async def test_an_answer_is_shown_while_it_is_written_in_private_chats_only(rig: Rig) -> None:
    message = incoming(HOLA, f"{ANA}:5")

    async def draft(address: str, text: str) -> None:
        talk = Conversation("c", "t", "ch", "ct", address, message.at)
        await rig.adapter.show_draft(CHANNEL, talk, message, text)

    await draft(str(ANA), "We open")
    await draft(str(ANA), "We open at nine.")
    first, second = (c.params for c in rig.api.calls)
    assert (second["chat_id"], second["text"]) == (ANA, "We open at nine.")
    assert first["draft_id"] == second["draft_id"] != 0
    await draft(str(ANA), "")
    await draft(GROUP, "We open")
    await draft(f"{ANA};business=b", "We open")
    assert len(rig.api.calls) == 2


# Trouble --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "retryable", "outcome"),
    [
        (Fault("status", 500), "telegram:http_500", True, "refused"),
        (Fault("status", 502), "telegram:http_502", True, "refused"),
        (Fault("status", 504), "telegram:http_504", True, "unknown"),
        (Fault("reset"), "telegram:broken", True, "unknown"),
        (Fault("drop"), "telegram:broken", True, "unknown"),
        (Fault("garbage"), "telegram:answer", True, "unknown"),
        (Fault("no_id"), "telegram:no_id", True, "unknown"),
        (Fault.error(500, "Internal Server Error: restart"), "telegram:http_500", True, "refused"),
        (Fault.error(400, "Bad Request: something new"), "telegram:400", True, "refused"),
    ],
)
async def test_faults(rig: Rig, fault: Fault, code: str, retryable: bool, outcome: str) -> None:
    rig.api.misbehave(fault)
    error = await rig.fails()
    assert (error.code, error.retryable, error.outcome) == (code, retryable, outcome)
    assert len(rig.api.sent) == (fault.kind in ("drop", "garbage", "no_id"))


async def test_a_hanging_api_is_given_up(rig: Rig) -> None:
    rig.api.misbehave(Fault("hang"))
    quick = aiohttp.ClientTimeout(total=0.1)
    with pytest.raises(SendError) as caught:
        await rig.adapter._api.call(
            CHANNEL, api_module.Call("sendMessage", {"chat_id": 1, "text": "x"}), quick
        )
    assert clean(caught.value).code == "telegram:timeout"


async def test_too_many(rig: Rig) -> None:
    rig.api.misbehave(Fault.too_many(17))
    error = await rig.fails()
    assert (error.code, error.retryable, error.wait) == ("telegram:429_too_many", True, 17)
    assert error.scope == "channel"
    # A group has a limit of its own.
    rig.api.misbehave(Fault.too_many(17))
    assert (await rig.fails(to="-5")).scope == "recipient"


async def test_a_moved_group_names_its_new_address(rig: Rig) -> None:
    rig.api.migrated[-5] = -1005
    error = await rig.fails(to="-5")
    assert (error.moved, error.retryable, error.blocked) == ("-1005", False, False)
    assert await rig.send(to=error.moved or "")


@pytest.mark.parametrize("to", [str(ANA), GROUP])
async def test_a_blocked_bot(rig: Rig, to: str) -> None:
    rig.api.blocked |= {ANA, int(GROUP)}
    error = await rig.fails(to=to)
    assert (error.blocked, error.retryable, error.disable_channel) == (True, False, False)


async def test_an_unknown_chat(rig: Rig) -> None:
    rig.api.unknown.add(4)
    assert (await rig.fails(to="4")).code == "telegram:400_chat_not_found"


@pytest.mark.parametrize(
    "token",
    ["", "x", "12:short", f"{BOT}:AAwrong-token_of_thirty-five_charss", f"{TOKEN}/../x", TOKEN + "\n?"],
)
async def test_a_bad_token_disables_the_channel(rig: Rig, token: str) -> None:
    error = await rig.fails(channel=replace(CHANNEL, secrets={"token": token}))
    assert error.disable_channel
    assert not error.retryable


@pytest.fixture
async def upset() -> AsyncIterator[str]:
    """A server that reads half a body and hangs up."""

    async def half(request: web.BaseRequest) -> web.StreamResponse:
        await request.content.readexactly(100_000)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    runner = web.ServerRunner(web.Server(half), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_upload_that_broke_off_was_not_taken(rig: Rig, upset: str) -> None:
    adapter = TelegramAdapter(upset, rig.session, lambda: NOW, rig.files)
    file = rig.files.add("a.pdf", "application/pdf", 30 * MB)
    rig = replace(rig, adapter=adapter)
    error = await rig.fails(Media("document", "application/pdf", file=file))
    assert (error.outcome, error.retryable) == ("refused", True)


async def test_many_at_once_share_the_pool(rig: Rig) -> None:
    start = time.monotonic()
    sent = await asyncio.gather(*(rig.send(to=str(n)) for n in range(1, 101)))
    assert len(set(sent)) == 100
    assert time.monotonic() - start < 20
