"""Review: permission, merges, edits of albums, crash windows."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.model.consent import Standing
from gateway.model.content import Album, Command, Edit, Media, System, Text, plain_text
from gateway.model.errors import Unavailable
from gateway.model.identity import Identity
from gateway.model.message import Status
from gateway.model.ports import ChannelEvent, Parsed
from tests.conftest import Running
from tests.core.test_kinds import BSUID, BY_ID, BY_PHONE, hear, only, receive, said, sent

C = Identity("whatsapp", "", "34600333444")


# Permission


async def test_what_was_queued_before_stop_does_not_leave_after_it(running: Running) -> None:
    """Row 53: STOP with a message queued."""
    await hear(running, said(running, Text("echo one"), "1"))
    deliver = running.gateway.deliver
    real = deliver._adapters["whatsapp"].send
    from gateway.model.errors import SendError

    async def down(*_: Any) -> Any:
        raise SendError("x:500", "down", retryable=True, wait=30)

    deliver._adapters["whatsapp"].send = down  # type: ignore[method-assign,assignment]
    await hear(running, said(running, Text("echo advert"), "2"))
    await hear(running, said(running, Command("stop"), "3"))
    deliver._adapters["whatsapp"].send = real  # type: ignore[method-assign]
    for _ in range(8):
        running.clock.move(minutes=10)
        await running.swept()
    assert "echo advert" not in sent(running)


STOPPED = {"service": Standing("withdrawn", datetime(2026, 1, 1, tzinfo=UTC), "command", "ce_1")}


@pytest.mark.parametrize(
    ("state", "more"), [("agent", {"owner": "agent"}), ("stopped", {"consents": STOPPED})]
)
async def test_a_merge_does_not_lose_who_answers_or_stop(running: Running, state: str, more: Any) -> None:
    await hear(running, said(running, Text("echo by id"), "1", identity=BY_ID, address=BSUID))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo by phone"), "2"))
    _, newer = sorted(await running.conversations(), key=lambda c: c.created)
    saved = await running.store.of("acme").conversations.save(replace(newer, **more))
    assert saved is not None
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo both"), "3", aliases=(BY_ID,)))
    assert "echo both" not in sent(running)


async def test_who_was_joined_before_follows_a_second_merge(running: Running) -> None:
    """a and b are one; then b and an older c are: a's messages go where the conversation goes on."""
    await hear(running, said(running, Text("echo c"), "1", identity=C, address=C.id))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo a+b"), "2", aliases=(BY_ID,)))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo b+c"), "3", identity=BY_ID, address=BSUID, aliases=(C,)))
    running.store.people._known.clear()  # another process, or a minute later
    await hear(running, said(running, Text("echo a"), "4"))
    standing = [c for c in await running.conversations() if c.merged_into is None]
    assert len(standing) == 1
    assert "echo a" in [plain_text(m.content) for m in await running.transcript(standing[0].id)]


async def test_new_names_of_a_joined_person_find_the_conversation_that_goes_on(running: Running) -> None:
    await hear(running, said(running, Text("echo c"), "1", identity=C, address=C.id))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo a+b"), "2", aliases=(BY_ID,)))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo b+c"), "3", identity=BY_ID, address=BSUID, aliases=(C,)))
    running.store.people._known.clear()
    d = Identity("whatsapp", "", "34600555666")
    [(message, _)] = await hear(running, said(running, Text("echo a+d"), "4", aliases=(d,)))
    found = await running.store.of("acme").conversations.get(message.conversation)
    assert found is not None
    assert found.merged_into is None


async def test_stopped_between_the_merge_and_its_record(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hear(running, said(running, Text("echo by id"), "1", identity=BY_ID, address=BSUID))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo by phone"), "2"))

    async def dies(*_: Any, **__: Any) -> None:
        raise Unavailable("killed here")

    with monkeypatch.context() as m:
        m.setattr(running.store.people, "_keep", dies)
        with pytest.raises(Unavailable):
            await hear(running, said(running, Text("echo both"), "3", aliases=(BY_ID,)))
    running.store.people._known.clear()
    [(message, _)] = await hear(running, said(running, Text("echo phone"), "4"))
    found = await running.store.of("acme").conversations.get(message.conversation)
    assert found is not None
    assert found.merged_into is None


async def test_what_waited_in_a_merged_conversation_is_not_answered_by_the_bot_beside_a_person(
    running: Running,
) -> None:
    """A process that has not heard of the merge yet stores into the old one."""
    await hear(running, said(running, Text("echo by id"), "1", identity=BY_ID, address=BSUID))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo by phone"), "2"))
    known = dict(running.store.people._known)
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo both"), "3", aliases=(BY_ID,)))
    from gateway.handoff import set_owner

    standing = [c for c in await running.conversations() if c.merged_into is None]
    await set_owner(running.store.of("acme"), standing[0].id, "agent")
    running.store.people._known.update(known)  # the other process's memory
    await hear(running, said(running, Text("echo for the person"), "4"))
    assert "echo for the person" not in sent(running)


async def test_the_first_two_messages_of_a_person_at_once_are_one_conversation(running: Running) -> None:
    """The first names the phone alone, the second both, before any turn."""
    channel = await running.store.directory.channel("ch_wa")
    inbox = running.gateway.inbox
    await inbox.put(channel, [said(running, Text("echo 1"), "1")])
    await inbox.put(
        channel, [said(running, Text("echo 2"), "2", identity=BY_ID, address=BSUID, aliases=(BY_PHONE,))]
    )
    await running.idle()
    assert len(await running.conversations()) == 1


# Albums and edits


async def test_a_changed_caption_of_an_albums_file_keeps_the_album(running: Running) -> None:
    for n in range(3):
        await hear(
            running,
            said(
                running,
                Media("image", media_id=f"media{n}", caption="a" if n == 0 else None),
                str(n),
                album="g",
            ),
        )
    running.clock.move(seconds=2)
    await running.swept()
    edit = Edit("wamid.0", Media("image", media_id="media0", caption="b"))
    await hear(running, said(running, edit, "9", silent=True))
    _, transcript = await only(running)
    content = transcript[0].content
    assert isinstance(content, Album)
    assert [m.media_id for m in content.items] == ["media0", "media1", "media2"]
    assert content.items[0].caption == "b"


async def test_a_changed_caption_of_a_later_file_counts(running: Running) -> None:
    for n in range(2):
        await hear(
            running,
            said(
                running, Media("image", media_id=f"media{n}", caption="a" if n else None), str(n), album="g"
            ),
        )
    running.clock.move(seconds=2)
    await running.swept()
    await hear(
        running,
        said(running, Edit("wamid.1", Media("image", media_id="media1", caption="b")), "9", silent=True),
    )
    _, transcript = await only(running)
    content = transcript[0].content
    assert isinstance(content, Album)
    assert content.items[1].caption == "b"


async def test_an_edit_that_overtakes_its_message_counts(running: Running) -> None:
    at = running.clock()
    await hear(
        running,
        said(running, Edit("wamid.1", Text("echo new")), "2", silent=True, at=at + timedelta(seconds=1)),
    )
    await hear(running, said(running, Text("echo old"), "1", at=at))
    running.clock.move(seconds=3)
    await running.swept()
    [conversation] = await running.conversations()
    message = next(m for m in await running.transcript(conversation.id) if m.provider_id == "wamid.1")
    assert message.content == Text("echo new")


# Echoes and events


async def test_an_echo_told_again_does_not_take_the_conversation_back(running: Running) -> None:
    await hear(running, said(running, Text("echo hello"), "1"))
    echo = said(running, Text("I'm Ana"), "2", author="agent")
    await receive(running, echo)
    conversation, _ = await only(running)
    await running.store.of("acme").conversations.save(replace(conversation, owner="bot"))  # handed back
    await receive(running, echo)  # the provider repeats itself
    conversation, _ = await only(running)
    assert conversation.owner == "bot"


async def test_a_channel_ends_though_we_were_stopped_while_we_heard_of_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await running.store.directory.channel("ch_wa")
    event = ChannelEvent("e1", "app_removed", running.clock(), "removed", disable=True)
    adapter = running.gateway.channels.webhooks["whatsapp"]
    monkeypatch.setattr(adapter, "parse", lambda *_: Parsed(events=(event,)))
    real = running.store.directory.disable

    async def gone(_: Any) -> None:
        raise Unavailable("killed here")

    monkeypatch.setattr(running.store.directory, "disable", gone)
    with pytest.raises(Unavailable):
        await running.gateway.receive.pulled(adapter, channel, b"")
    monkeypatch.setattr(running.store.directory, "disable", real)
    await running.gateway.receive.pulled(adapter, channel, b"")
    assert (await running.store.directory.channel("ch_wa")).state == "disabled"


# History


async def test_history_of_one_second_is_listed_whole(running: Running) -> None:
    at = running.clock().replace(microsecond=0) - timedelta(days=3)
    await hear(running, said(running, Text("echo now"), "99"))
    for n in range(6):
        await hear(running, said(running, Text(f"h{n}"), str(n), past=True, at=at))
    conversation, _ = await only(running)
    messages = running.store.of("acme").messages
    seen: list[str] = []
    before = None
    for _ in range(9):
        page = await messages.before(conversation.id, before, 3)
        seen += [plain_text(m.content) for m in page.messages]
        if not page.more:
            break
        before = page.messages[0].seq
    assert {f"h{n}" for n in range(6)} <= set(seen)


async def test_history_of_somebody_who_has_not_written_since_can_be_seen(running: Running) -> None:
    await receive(
        running, said(running, Text("long ago"), "1", past=True, at=running.clock() - timedelta(days=9))
    )
    assert len(await running.conversations()) == 1


async def test_commands_leave_no_failed_answers_where_a_person_answers(running: Running) -> None:
    await hear(running, said(running, Text("echo hi"), "1"))
    conversation, _ = await only(running)
    from gateway.handoff import set_owner

    await set_owner(running.store.of("acme"), conversation.id, "agent")
    await hear(running, said(running, Command("start"), "2"))
    await hear(running, said(running, Command("stop"), "3"))
    _, transcript = await only(running)
    assert [m.status for m in transcript if m.direction == "out" and m.status is Status.FAILED] == []


async def test_a_thread_and_a_person_never_share_a_conversation() -> None:
    from gateway.store.people import conversation_of

    assert conversation_of("ch", Identity("webhook", "ch:thread", "room")) != conversation_of(
        "ch", Identity("webhook", "ch", "thread:room")
    )


async def test_asking_for_a_person_twice_is_no_failure(running: Running) -> None:
    await hear(running, said(running, Command("human"), "1"))
    await hear(running, said(running, Command("human"), "2"))
    _, transcript = await only(running)
    assert [m.status for m in transcript if m.direction == "out" and m.status is Status.FAILED] == []


async def test_an_exchange_with_two_names_stays_in_its_budget(
    running: Running, trips: Any, quiet: None
) -> None:
    """A minute after the last message, as people write: payloads carry the id and the phone number both."""
    await hear(
        running, said(running, Text("echo 1"), "1", identity=BY_ID, address=BSUID, aliases=(BY_PHONE,))
    )
    running.store.people._known.clear()  # what TRUSTED (60 s) comes to
    await asyncio.sleep(0.2)
    trips.counts.clear()
    await hear(
        running, said(running, Text("echo 2"), "2", identity=BY_ID, address=BSUID, aliases=(BY_PHONE,))
    )
    print(trips.counts)
    assert trips.total <= 8, trips.counts


async def test_an_old_block_that_comes_late_does_not_silence_who_wrote_since(running: Running) -> None:
    at = running.clock()
    await hear(running, said(running, Text("echo hi"), "1", at=at))
    await hear(running, said(running, System("blocked", "blocked"), "2", at=at - timedelta(minutes=5)))
    conversation, _ = await only(running)
    assert conversation.blocked is False
