"""Review: what a person sends, and commands."""

import argparse
import contextlib
import json
from datetime import timedelta
from typing import Any

import pytest

from gateway.commands.channel import add_account
from gateway.commands.context import Context
from gateway.model.content import Text, plain_text
from gateway.model.errors import Unavailable
from gateway.model.identity import Identity
from gateway.model.ports import Parsed
from gateway.store.database import RoundTrips
from tests.conftest import Running
from tests.core.test_desk import say
from tests.core.test_kinds import hear, said
from tests.webhook.test_webhook import System, post, system  # noqa: F401
from tests.webhook.test_webhook import said as wrote


async def test_a_reaction_is_to_a_message_of_the_same_conversation(running: Running) -> None:
    await hear(running, said(running, Text("echo a"), "1"))
    other = Identity("whatsapp", "", "34600999000")
    [(theirs, _)] = await hear(running, said(running, Text("echo b"), "2", identity=other, address=other.id))
    mine = next(c for c in await running.conversations() if c.id != theirs.conversation)
    status, answer = await say(running, mine.id, {"type": "reaction", "emoji": "👍", "to": theirs.id})
    assert status == 422, answer
    status, answer = await say(running, mine.id, {"type": "reaction", "emoji": "👍", "to": "m_none"})
    assert status == 422, answer


async def test_what_a_person_changed_reads_as_changed(running: Running, system: System) -> None:  # noqa: F811
    assert await post(running, wrote("echo hello")) == 200
    await running.until(lambda: len(system.taken) == 1)
    await running.idle()
    [conversation] = await running.conversations()
    _, answer = await say(running, conversation.id, {"type": "text", "text": "at 10"})
    first = answer["items"][0]["id"]
    status, answer = await say(
        running, conversation.id, {"type": "edit", "to": first, "content": {"type": "text", "text": "at 11"}}
    )
    assert status == 200, answer
    await running.until(lambda: len(system.taken) == 3)
    await running.idle()
    found = await running.store.of("acme").messages.get(first)
    assert found is not None
    assert plain_text(found.content) == "at 11"


async def test_a_made_secret_is_told_in_json_too(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    words: dict[str, Any] = {
        "kind": "webhook",
        "name": None,
        "url": "https://x.example/in",
        "signing_secret": None,
    }
    await add_account(
        Context(running.gateway.settings, running.store, True),
        argparse.Namespace(tenant="acme", quiet_seconds=None, **words),
    )
    assert "whsec_" in json.dumps(json.loads(capsys.readouterr().out))


async def test_a_history_of_a_few_thousand_is_stored_before_the_provider_gives_up(
    running: Running, monkeypatch: pytest.MonkeyPatch, trips: RoundTrips
) -> None:
    at = running.clock() - timedelta(days=9)
    incoming = tuple(
        said(
            running,
            Text(f"h{n}"),
            str(n),
            identity=Identity("whatsapp", "", f"346{n % 500:08}"),
            past=True,
            author="agent" if n % 2 else "customer",
            at=at + timedelta(seconds=n),
        )
        for n in range(5000)
    )
    channel = await running.store.directory.channel("ch_wa")
    adapter = running.gateway.channels.webhooks["whatsapp"]
    monkeypatch.setattr(adapter, "parse", lambda *_: Parsed(incoming))
    for _ in range(3):
        trips.counts.clear()
        # A database that is slow to answer for once is the provider's to ask again.
        with contextlib.suppress(Unavailable):
            await running.gateway.receive.pulled(adapter, channel, b"")
            break
    else:
        pytest.fail("never stored")
    # A contact and a conversation for each of the 500; the messages themselves and who they are in a few calls.
    # (The sweeper's own looks are not counted.)
    assert trips.counts["find people"] <= 10, trips.counts
    assert trips.counts["insert messages"] <= 10, trips.counts


async def test_a_persons_message_while_a_turn_thinks(running: Running) -> None:
    import asyncio

    await hear(running, said(running, Text("echo hi"), "1"))
    [conversation] = await running.conversations()
    running.brain.gate = asyncio.Event()
    channel = await running.store.directory.channel("ch_wa")
    await running.gateway.inbox.put(channel, [said(running, Text("echo bot"), "2")])
    await running.until(lambda: len(running.brain.asked) == 2)
    await running.gateway.desk.say("acme", conversation.id, {"type": "text", "text": "person"})
    running.brain.gate.set()
    await running.until(lambda: len(running.graph.messages()) == 2)
    await running.idle()
    assert [m.text for m in running.graph.messages()] == ["echo hi", "person"]


async def test_a_person_writes_while_the_bot_is_sending(running: Running) -> None:
    """The order of what leaves is the order of the transcript."""
    import asyncio

    await hear(running, said(running, Text("echo hi"), "1"))
    [conversation] = await running.conversations()
    channel = await running.store.directory.channel("ch_wa")
    for n in range(10):
        await running.gateway.inbox.put(channel, [said(running, Text(f"echo {n}"), f"b{n}")])
        await asyncio.sleep(0.004 * n)
        await running.gateway.desk.say("acme", conversation.id, {"type": "text", "text": f"person {n}"})
        await running.idle()
        from gateway.handoff import set_owner

        await set_owner(running.store.of("acme"), conversation.id, "bot")
    await running.idle()
    transcript = await running.transcript(conversation.id)
    out = [plain_text(m.content) for m in transcript if m.direction == "out" and m.status.out]
    assert out == [m.text for m in running.graph.messages()]


async def test_what_is_changed_or_taken_back_is_ours_and_was_sent(running: Running, system: System) -> None:  # noqa: F811
    assert await post(running, wrote("echo hello")) == 200
    await running.until(lambda: len(system.taken) == 1)
    await running.idle()
    [conversation] = await running.conversations()
    theirs, bots = await running.transcript(conversation.id)
    for content in (
        {"type": "edit", "to": theirs.id, "content": {"type": "text", "text": "x"}},
        {"type": "deleted", "to": theirs.id},
        {"type": "deleted", "to": "m-1"},
        {"type": "deleted", "to": "theirs-1"},
        {"type": "reaction", "emoji": "x", "to": ""},
    ):
        status, answer = await say(running, conversation.id, content)
        assert (status, answer["errors"][0]["field"]) == (422, "content.to"), content
    assert (await say(running, conversation.id, {"type": "reaction", "emoji": "👍", "to": theirs.id}))[
        0
    ] == 200
    for _ in range(2):
        status, answer = await say(running, conversation.id, {"type": "deleted", "to": bots.id}, key="once")
        assert status == 200, answer
    await running.until(lambda: len(system.taken) == 3)
    assert [m["content"]["type"] for m in system.taken] == ["text", "reaction", "deleted"]
    found = await running.store.of("acme").messages.get(bots.id)
    assert found is not None
    assert found.deleted is not None


async def test_a_change_said_again_does_not_overtake_a_newer_one(running: Running, system: System) -> None:  # noqa: F811
    assert await post(running, wrote("echo hello")) == 200
    await running.until(lambda: len(system.taken) == 1)
    await running.idle()
    [conversation] = await running.conversations()
    ours = (await running.transcript(conversation.id))[-1]
    for text, key in (("one", "a"), ("two", "b"), ("one", "a")):
        edit = {"type": "edit", "to": ours.id, "content": {"type": "text", "text": text}}
        assert (await say(running, conversation.id, edit, key=key))[0] == 200
        running.clock.move(seconds=1)
    found = await running.store.of("acme").messages.get(ours.id)
    assert found is not None
    assert (plain_text(found.content), found.original) == ("two", ours.content)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"type": "text", "text": "x. " * 20_000}, "content.text"),
        ({"type": "media", "media": "image", "url": "https://x.example/a", "caption": "x. " * 20_000}, "content.caption"),
        ({"type": "album", "items": [{"type": "media", "media": "image", "url": "https://x.example/a"}] * 11}, "content.items"),
        ({"type": "buttons", "text": "x. " * 20_000, "choices": [{"id": "a", "title": "b"}]}, "content"),
    ],
)  # fmt: skip
async def test_ten_messages_are_the_most_at_once(running: Running, content: Any, field: str) -> None:
    await hear(running, said(running, Text("echo hi"), "1"))
    [conversation] = await running.conversations()
    status, answer = await say(running, conversation.id, content)
    assert (status, answer["errors"][0]["field"]) == (422, field)
    assert "10 messages" in answer["errors"][0]["expected"]
    [found] = await running.conversations()
    assert found.owner == "bot"
    status, answer = await say(running, conversation.id, {"type": "text", "text": "word " * 8000})
    assert (status, len(answer["items"])) == (200, 10)


def test_while_a_person_owns_it_a_command_has_its_effect_and_nothing_is_said() -> None:
    from dataclasses import replace
    from datetime import UTC, datetime

    from consent.entries import Cause
    from gateway.manners import react
    from gateway.model.content import Command
    from gateway.model.conversation import Conversation
    from gateway.model.permission import Permissions

    now = datetime.now(UTC)
    free = Conversation("cv", "t", "ch", "ct", "a", now)
    cause = Cause("t", "ch", "ct", "cv", "m_1", now, now)
    for owner in ("queue", "agent"):
        held = replace(free, owner=owner)
        effects: tuple[tuple[Command, dict[str, Any]], ...] = (
            (Command("start"), {}),
            (Command("help"), {}),
            (Command("Human"), {}),
            (Command("language"), {}),
            (Command("language", "es"), {"language": "es", "chosen": "es"}),
        )
        for content, effect in effects:
            reaction = react(content, held, "Acme", None, cause, Permissions())
            assert reaction is not None
            assert (tuple(reaction.say), reaction.conversation) == ((), replace(held, **effect)), content
        stop = react(Command("stop"), held, "Acme", None, cause, Permissions())
        assert stop is not None
        # A stop counts and is confirmed whoever owns the conversation.
        assert (stop.conversation.stopped, len(stop.say), len(stop.entries)) == (True, 1, 2)
    asked = react(Command("human"), free, "Acme", None, cause, Permissions())
    assert asked is not None
    assert (len(asked.say), asked.conversation.owner) == (1, "queue")
    for name in ("start", "stop", "help", "human", "language"):
        told = react(Command(name), free, "Acme", None, cause, Permissions())
        assert told is not None
        assert len(told.say) == 1
    assert react(Command("prices", "shoes"), free, "Acme", None, cause, Permissions()) is None
