"""A new version beside an old one: documents of a version that knows more are left alone, and a database that has gone too
far is not touched."""

from typing import Any

import pytest

from gateway.bootstrap import open_store
from gateway.model.content import NEWER, Text
from gateway.model.message import Status
from gateway.settings import Settings
from gateway.store.database import NEEDED, SCHEMA, TooOld
from tests.conftest import Running
from tests.core.test_kinds import hear, only, said, sent


def db_of(running: Running) -> Any:
    return running.store._db


async def test_a_message_that_only_a_newer_version_can_read_is_left_to_it(
    quiet: None, running: Running
) -> None:
    await hear(running, said(running, Text("echo one")))
    conversation, _ = await only(running)
    for direction, todo, status in (("in", "turn", 0), ("out", "send", 10)):
        newer = {
            "_id": f"m_new_{direction}", "v": SCHEMA + 1, "tenant": "acme", "channel": "ch_wa", "conversation": conversation.id,
            "direction": direction, "author": "customer" if direction == "in" else "bot", "at": running.clock(),
            "seq": int(running.clock().timestamp() * 1e6), "content": {"type": "hologram", "beam": 3}, "status": status,
            "todo": todo, "due": running.clock(), "novelty": {"x": 1},
        }  # fmt: skip
        await db_of(running)["messages"].insert_one(newer)
    for _ in range(3):
        running.clock.move(seconds=30)
        await running.swept()
    assert sent(running) == ["echo one"]
    kept = await db_of(running)["messages"].find({"v": SCHEMA + 1}).to_list()
    assert {d["status"] for d in kept} == {0, 10}
    assert all(d["novelty"] == {"x": 1} and d["content"]["type"] == "hologram" and d["todo"] for d in kept)
    assert [m.content for m in await running.transcript(conversation.id)][-2:] == [NEWER, NEWER]


async def test_what_a_newer_version_added_to_a_conversation_survives_a_turn(running: Running) -> None:
    await hear(running, said(running, Text("echo one"), "1"))
    conversation, _ = await only(running)
    await db_of(running)["conversations"].update_one(
        {"_id": conversation.id}, {"$set": {"v": SCHEMA + 1, "novelty": "kept"}}
    )
    await hear(running, said(running, Text("echo two"), "2"))
    assert sent(running) == ["echo one", "echo two"]
    kept = await db_of(running)["conversations"].find_one({"_id": conversation.id})
    assert (kept["v"], kept["novelty"]) == (SCHEMA + 1, "kept")


async def test_a_status_between_ours_counts_as_the_one_before(running: Running) -> None:
    await hear(running, said(running, Text("echo one")))
    conversation, transcript = await only(running)
    await db_of(running)["messages"].update_one(
        {"_id": transcript[-1].id}, {"$set": {"v": SCHEMA + 1, "status": 45}}
    )
    assert (await running.transcript(conversation.id))[-1].status is Status.DELIVERED


async def test_a_database_that_needs_a_newer_version_is_refused_untouched(settings: Settings) -> None:
    async with open_store(settings, say=lambda _: None) as store:
        await store._db["meta"].update_one({"_id": "schema"}, {"$set": {"needed": SCHEMA + 1}})
        await store._db["messages"].drop_indexes()
    with pytest.raises(TooOld, match="start the newer version"):
        async with open_store(settings, say=lambda _: None):
            pass


async def test_migrating_again_does_not_lower_what_is_needed(settings: Settings) -> None:
    for _ in range(2):
        async with open_store(settings, say=lambda _: None) as store:
            found = await store._db["meta"].find_one({"_id": "schema"})
            assert found == {"_id": "schema", "needed": NEEDED}
