"""What the core does with the kinds of message that are no plain question: albums, edits, echoes, commands, events, and
people who are named in more than one way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.model.content import (
    Album,
    Command,
    Content,
    Deleted,
    Edit,
    FormReply,
    Location,
    Media,
    Reply,
    System,
    Text,
    plain_text,
)
from gateway.model.conversation import Conversation
from gateway.model.identity import Identity
from gateway.model.message import Message, Status
from gateway.model.ports import InboundMessage, Parsed
from tests.conftest import Running

PHONE = "34600111222"
BSUID = "ES.13491208655302741918"
BY_PHONE = Identity("whatsapp", "", PHONE)
BY_ID = Identity("whatsapp", "waba", BSUID)


def said(running: Running, content: Content, number: str = "1", **more: Any) -> InboundMessage:
    given = InboundMessage(f"wamid.{number}", BY_PHONE, PHONE, running.clock(), content)
    return replace(given, **more)


async def hear(running: Running, *incoming: InboundMessage) -> list[tuple[Message, bool]]:
    channel = await running.store.directory.channel("ch_wa")
    found = await running.gateway.inbox.put(channel, incoming)
    await running.idle()
    return found


async def only(running: Running) -> tuple[Conversation, Sequence[Message]]:
    [conversation] = await running.conversations()
    return conversation, await running.transcript(conversation.id)


def sent(running: Running) -> list[str | None]:
    return [m.text for m in running.graph.messages()]


# Albums


async def test_an_album_is_one_message_and_is_answered_once(running: Running) -> None:
    parts = [
        said(
            running,
            Media("image", "image/jpeg", media_id=f"media{n}", caption="echo look" if n == 0 else None),
            str(n),
            album="g1",
        )
        for n in range(3)
    ]
    stored = [await hear(running, part) for part in parts]
    assert [new for [(_, new)] in stored] == [True, True, True]
    assert [[new for _, new in await hear(running, part)] for part in parts] == [[False]] * 3
    assert sent(running) == []
    running.clock.move(seconds=2)
    await running.swept()
    _, transcript = await only(running)
    album = transcript[0].content
    assert isinstance(album, Album)
    assert [m.media_id for m in album.items] == ["media0", "media1", "media2"]
    assert len({m.file for m in album.items}) == 3
    assert [plain_text(m.content) for m in transcript] == ["echo look", "echo look"]
    assert sent(running) == ["echo look"]
    # One that comes late is still part of it, and starts nothing.
    await hear(running, said(running, Media("image", media_id="media9"), "9", album="g1"))
    running.clock.move(seconds=9)
    await running.swept()
    _, transcript = await only(running)
    assert isinstance(transcript[0].content, Album)
    assert len(transcript[0].content.items) == 4
    assert sent(running) == ["echo look"]


# Edits


async def test_an_edit_changes_the_message_and_keeps_what_it_said_first(running: Running) -> None:
    await hear(running, said(running, Text("echo one"), "1"))
    at = running.clock()
    later = Edit("wamid.1", Text("echo three"))
    await hear(running, said(running, later, "3", silent=True, at=at + timedelta(seconds=2)))
    # An older change that comes later changes nothing, and one of a message that is not there is kept all the same.
    await hear(running, said(running, Edit("wamid.1", Text("echo two")), "2", silent=True, at=at))
    await hear(running, said(running, Edit("wamid.none", Location(1, 2)), "4", silent=True))
    _, transcript = await only(running)
    first = transcript[0]
    assert (first.content, first.original) == (Text("echo three"), Text("echo one"))
    assert first.edited is not None
    assert transcript[-1].content == Edit("wamid.none", Location(1, 2))
    assert sent(running) == ["echo one"]


async def test_what_was_taken_back_is_marked(running: Running) -> None:
    await hear(running, said(running, Text("echo oops"), "1"))
    await hear(running, said(running, Deleted("wamid.1"), "2", silent=True))
    _, transcript = await only(running)
    assert transcript[0].deleted is not None
    assert transcript[0].content == Text("echo oops")


# Echoes


async def test_an_answer_from_the_businesss_own_phone_hands_the_conversation_to_them(
    running: Running,
) -> None:
    await hear(running, said(running, Text("echo hello"), "1"))
    echo = said(running, Text("I'm Ana, let me look"), "2", author="agent")
    assert await running.post_whatsapp(b"{}") == 400  # the gateway is there
    await receive(running, echo)
    conversation, transcript = await only(running)
    assert conversation.owner == "agent"
    assert (transcript[-1].direction, transcript[-1].author, transcript[-1].status) == (
        "out",
        "agent",
        Status.SENT,
    )
    await hear(running, said(running, Text("echo anybody?"), "3"))
    assert sent(running) == ["echo hello"]
    # Told again, and told of what was said before we were there: nothing changes.
    await running.store.of("acme").conversations.save(replace(conversation, owner="bot"))
    await receive(running, said(running, Text("long ago"), "0", author="agent", past=True))
    [now] = await running.conversations()
    assert now.id == conversation.id
    assert len(await running.transcript(now.id)) == 5


async def test_an_echo_of_what_we_sent_ourselves_is_not_stored_twice(running: Running) -> None:
    await hear(running, said(running, Text("echo hello"), "1"))
    _, transcript = await only(running)
    ours = transcript[-1].provider_id or ""
    await receive(running, replace(said(running, Text("echo hello"), "x", author="agent"), provider_id=ours))
    again, after = await only(running)
    assert again.owner == "bot"
    assert len(after) == len(transcript)


async def test_an_echo_may_be_the_first_that_we_hear_of_somebody(running: Running) -> None:
    await receive(running, said(running, Text("Hello, this is the shop"), "1", author="agent"))
    conversation, transcript = await only(running)
    assert conversation.owner == "agent"
    assert [m.author for m in transcript] == ["agent"]


async def receive(running: Running, *incoming: InboundMessage) -> None:
    """As a webhook with these messages."""
    channel = await running.store.directory.channel("ch_wa")
    adapter = running.gateway.channels.webhooks["whatsapp"]
    real, adapter.parse = adapter.parse, lambda *_: Parsed(tuple(incoming))  # type: ignore[method-assign]
    try:
        await running.gateway.receive.pulled(adapter, channel, b"")
    finally:
        adapter.parse = real  # type: ignore[method-assign]
    await running.idle()


# Who is who


async def test_a_person_named_by_phone_then_by_both_then_by_id_has_one_conversation(running: Running) -> None:
    await hear(running, said(running, Text("echo 1"), "1"))
    await hear(running, said(running, Text("echo 2"), "2", aliases=(BY_ID,), phone="+" + PHONE))
    await hear(running, said(running, Text("echo 3"), "3", identity=BY_ID, address=BSUID))
    conversation, transcript = await only(running)
    assert len(transcript) == 6
    contact = await running.store.of("acme").conversations.contact(conversation.contact)
    assert contact is not None
    assert set(contact.identities) == {BY_PHONE, BY_ID}
    assert conversation.address == BSUID  # where they wrote from last


async def test_two_conversations_that_turn_out_to_be_one_persons_go_on_as_the_older(running: Running) -> None:
    await hear(running, said(running, Text("echo by id"), "1", identity=BY_ID, address=BSUID))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo by phone"), "2"))
    running.clock.move(seconds=1)
    older, newer = sorted(await running.conversations(), key=lambda c: c.created)
    await hear(running, said(running, Text("echo both"), "3", aliases=(BY_ID,)))
    await hear(running, said(running, Text("echo phone again"), "4"))
    kept = await running.store.of("acme").conversations.get(older.id)
    gone = await running.store.of("acme").conversations.get(newer.id)
    assert kept is not None
    assert gone is not None
    assert (gone.merged_into, gone.open, kept.merged_into) == (older.id, False, None)
    assert [plain_text(m.content) for m in await running.transcript(older.id) if m.direction == "in"] == [
        "echo by id",
        "echo both",
        "echo phone again",
    ]
    assert len(await running.transcript(newer.id)) == 2
    contact = await running.store.of("acme").conversations.contact(kept.contact)
    assert contact is not None
    assert set(contact.identities) == {BY_PHONE, BY_ID}


async def test_who_moves_keeps_the_conversation_and_is_answered_at_the_new_address(running: Running) -> None:
    await hear(running, said(running, Text("echo old"), "1"))
    new = Identity("whatsapp", "", "34600999888")
    moved = said(running, System("moved", "changed their number"), "2", aliases=(new,), address=new.id)
    await hear(running, moved)
    await hear(running, said(running, Text("echo new"), "3", identity=new, address=new.id))
    conversation, transcript = await only(running)
    assert conversation.address == new.id
    assert len(transcript) == 5
    assert [m.body["to"] for m in running.graph.messages()] == [PHONE, new.id]


async def test_a_place_is_one_conversation_whoever_speaks(running: Running) -> None:
    place = Identity("whatsapp", "group", "g1")
    for number, person in enumerate(("34600000001", "34600000002")):
        await hear(
            running,
            said(
                running, Text(f"echo {person}"), person, identity=Identity("whatsapp", "", person), place=place,
                address=PHONE,
            ),
        )  # fmt: skip
        assert len(await running.conversations()) == 1, number
    _, transcript = await only(running)
    assert [m.sender.identity.id for m in transcript if m.sender] == ["34600000001", "34600000002"]


# Commands and events


async def test_commands(running: Running) -> None:
    await hear(running, said(running, Command("start", "spring-sale"), "1", extra={"start": "spring-sale"}))
    await hear(running, said(running, Command("language", "es"), "2"))
    await hear(running, said(running, Command("help"), "3"))
    await hear(running, said(running, Command("stop"), "4"))
    await hear(running, said(running, Text("echo ignored"), "5"))
    await hear(running, said(running, Command("start"), "6"))
    await hear(running, said(running, Text("echo heard"), "7", language="en"))
    conversation, transcript = await only(running)
    assert transcript[0].extra == {"start": "spring-sale"}
    assert (conversation.language, conversation.stopped) == ("es", False)
    answers = sent(running)
    assert "Acme" in str(answers[0])
    assert "español" in str(answers[1])
    assert "documentos" in str(answers[2])
    assert "/start" in str(answers[3])
    assert "Acme" in str(answers[4])
    assert answers[5:] == ["echo heard"]


async def test_the_language_can_be_chosen_by_a_button_or_its_number(running: Running) -> None:
    await hear(running, said(running, Command("language"), "1"))
    await hear(running, said(running, Reply("/language pt", "Português"), "2"))
    conversation, _ = await only(running)
    assert conversation.language == "pt"
    assert "português" in str(sent(running)[-1])


async def test_who_asks_for_a_person_is_told_so_and_the_bot_is_silent(running: Running) -> None:
    await hear(running, said(running, Command("human"), "1"))
    await hear(running, said(running, Text("echo hello?"), "2"))
    conversation, transcript = await only(running)
    assert conversation.owner == "queue"
    assert len(sent(running)) == 1
    assert "person" in str(sent(running)[0])
    assert transcript[1].status is Status.SENT


@pytest.mark.parametrize("event", ["blocked", "something_new"])
async def test_what_only_happened_is_kept_and_not_answered(running: Running, event: str) -> None:
    await hear(running, said(running, Text("echo hi"), "1"))
    await hear(running, said(running, System(event, "it happened"), "2"))
    conversation, transcript = await only(running)
    assert conversation.blocked is (event == "blocked")
    assert len(transcript) == 3
    # Whoever writes can be reached again.
    await hear(running, said(running, Text("echo back"), "3"))
    conversation, _ = await only(running)
    assert conversation.blocked is False
    assert sent(running) == ["echo hi", "echo back"]


async def test_a_file_with_words_is_answered_by_its_words(running: Running) -> None:
    await hear(running, said(running, Media("image", media_id="media1", caption="echo this one"), "1"))
    await hear(running, said(running, Media("image", media_id="media2"), "2"))
    assert sent(running)[0] == "echo this one"
    assert "text" in str(sent(running)[1])


async def test_a_form_of_the_businesss_own_is_kept_and_thanked_for(running: Running) -> None:
    await hear(running, said(running, FormReply({"table": "4", "time": "20:00"}), "1"))
    _, transcript = await only(running)
    assert plain_text(transcript[0].content) == "4, 20:00"
    assert transcript[0].failure is None
    assert "Thank you" in str(sent(running)[0])


async def test_a_changed_caption_leaves_the_picture(running: Running) -> None:
    await hear(running, said(running, Media("image", media_id="media1", caption="echo one"), "1"))
    await hear(running, said(running, Edit("wamid.1", Media("image", caption="two")), "2", silent=True))
    _, transcript = await only(running)
    changed = transcript[0].content
    assert isinstance(changed, Media)
    assert (changed.caption, changed.media_id) == ("two", "media1")
    assert changed.file is not None


async def test_other_peoples_talk_is_not_ours_until_the_place_is_a_conversation(running: Running) -> None:
    place = Identity("whatsapp", "group", "g1")
    stranger = said(running, Text("echo strangers"), "1", place=place, known_only=True)
    assert await hear(running, stranger) == []
    assert await running.conversations() == ()
    await hear(running, said(running, Text("echo hello"), "2", place=place))
    [(_, new)] = await hear(running, said(running, Text("echo and"), "3", place=place, known_only=True))
    assert new
    assert sent(running) == ["echo hello", "echo and"]
    both = [
        said(running, Text("echo first"), "4", place=replace(place, id="g2")),
        said(running, Text("echo second"), "5", place=replace(place, id="g2"), known_only=True),
    ]
    assert len(await hear(running, *both)) == 2
