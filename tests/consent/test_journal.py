"""The journal against restored backups: what was taken back stays taken back, and what the file holds never stops a start."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from loguru import logger

from gateway.bootstrap import open_store
from gateway.model.consent import SERVICE, Entry
from gateway.model.content import Text
from gateway.model.conversation import Contact
from gateway.model.errors import Unavailable
from gateway.model.identity import Identity
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.database import Database
from gateway.store.journal import BATCH, Journal, Line, _backwards, _load, _restore
from tests.conftest import MovableClock, Running, ScriptedBrain, make_tenant, make_whatsapp, serving
from tests.core.test_bulk import advert
from tests.core.test_kinds import hear, only, said, sent
from tests.providers.graph import GraphStandIn

NOW = datetime(2026, 5, 1, tzinfo=UTC)


async def with_gateway(settings: Settings, clock: MovableClock, graph: GraphStandIn, *texts: str) -> None:
    """A gateway on its embedded database that hears these texts, and stops."""
    async with open_store(settings, clock, beside=False, say=lambda _: None) as store:
        if not await store.directory.tenants():
            await make_tenant(store)
            await make_whatsapp(store)
        async with (
            serving(settings, store, clock, ScriptedBrain()) as (gateway, url),
            aiohttp.ClientSession() as http,
        ):
            running = Running(gateway, url, http, gateway.brain, clock, graph)  # type: ignore[arg-type]
            for text in texts:
                await hear(running, said(running, Text(text), text))
            if not texts:
                conversation, _ = await only(running)
                assert conversation.stopped
                await store.of("acme").messages.put_bulk([advert(running, conversation.id)], clock())
                for _ in range(4):
                    clock.move(seconds=5)
                    await running.swept()


async def test_row_23_a_restored_backup_does_not_undo_an_opt_out(
    settings: Settings, clock: MovableClock, graph: GraphStandIn
) -> None:
    own = replace(settings, mongodb_uri=None)
    await with_gateway(own, clock, graph, "echo hello")
    backup = own.data_dir / "backup"
    await asyncio.to_thread(shutil.copytree, own.data_dir / "db", backup)
    clock.move(minutes=1)
    await with_gateway(own, clock, graph, "STOP")
    said_before = len(graph.messages())
    await asyncio.to_thread(shutil.rmtree, own.data_dir / "db")
    await asyncio.to_thread(shutil.copytree, backup, own.data_dir / "db")
    clock.move(minutes=1)
    await with_gateway(own, clock, graph)
    assert len(graph.messages()) == said_before


def entry(number: int, contact: str = "ct_1", **more: object) -> Entry:
    at = datetime.fromtimestamp(NOW.timestamp() + number, UTC)
    found = Entry(f"ce_{number}", "acme", "ch_wa", contact, SERVICE, "withdrawn", "keyword", at, at)
    return replace(found, **more)  # type: ignore[arg-type]


async def ids(store: Store) -> set[str]:
    return {e.id async for e in store.of("acme").ledger.all()}


async def test_what_the_ledger_lacks_is_put_back_from_the_end_and_once(store: Store, tmp_path: Path) -> None:
    many = [entry(n, f"ct_{n}") for n in range(3 * BATCH)]
    journal = store.journal
    assert journal is not None
    await journal.write([Line(e, (Identity("whatsapp", "", e.contact),)) for e in many])
    plain = store.of("acme").ledger
    plain._keep = None  # as a backup has them: without a word in the file
    await plain.put(many[:BATCH])
    assert await store.put_back() == 2 * BATCH
    assert await ids(store) == {e.id for e in many}
    assert await store.put_back() == 0
    contact = await store.of("acme").conversations.contact(many[-1].contact)
    assert contact is not None
    assert contact.identities == (Identity("whatsapp", "", many[-1].contact),)


async def test_a_restoration_that_was_stopped_is_done_at_the_next_start(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.journal is not None
    many = [entry(n, f"ct_{n}") for n in range(3 * BATCH)]
    await store.journal.write([Line(e) for e in many])
    done: list[int] = []

    async def restore(db: Database, lines: Sequence[Line]) -> None:
        if done:
            raise Unavailable("stopped here")
        done.append(len(lines))
        await _restore(db, lines)

    with monkeypatch.context() as patch:
        patch.setattr("gateway.store.journal._restore", restore)
        with pytest.raises(Unavailable):
            await store.put_back()
    assert len(await ids(store)) == BATCH
    assert await store.put_back() == 2 * BATCH
    assert await ids(store) == {e.id for e in many}


async def test_somebody_whom_the_backup_knows_as_two_is_silenced_as_both(store: Store) -> None:
    one, two = Identity("whatsapp", "", "34600111222"), Identity("whatsapp", "biz", "ES.1")
    talks = store.of("acme").conversations
    for name, identity in (("ct_a", one), ("ct_b", two)):
        await talks.put_contact(Contact(name, "acme", (identity,), None, None, NOW))
    assert store.journal is not None
    await store.journal.write([Line(entry(1, "ct_a"), (one, two))])
    assert await store.put_back() == 1
    for name in ("ct_a", "ct_b"):
        assert (await store.of("acme").ledger.standing(name, "ch_wa"))[SERVICE].state == "withdrawn"


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\xff\xfe not json\n",
        b'{"entry": {}, "who": {}}\n',
        b'{"entry": {"id": "x", "at": "yesterday", "recorded": "now"}}\n',
        b"[]\n",
        b"{" * 50_000 + b"\n",
        b'{"entry": {"id": "ce_x", "tenant"',
        b"x" * 3_000_000,
    ],
)
async def test_a_broken_line_is_counted_and_said_and_spoils_no_other(store: Store, junk: bytes) -> None:
    heard: list[str] = []
    place = logger.add(lambda text: heard.append(str(text)), level="ERROR", format="{message}")
    try:
        journal = store.journal
        assert journal is not None
        await journal.write([Line(entry(1))])
        with journal.path.open("ab") as file:
            file.write(junk)
        await journal.write([Line(entry(2))])
        assert await store.put_back() == 2
    finally:
        logger.remove(place)
    assert await ids(store) == {"ce_1", "ce_2"}
    assert any("can't be read" in text for text in heard)


async def test_where_the_file_cannot_be_written_the_database_has_it_and_the_log_says_so(
    running: Running, tmp_path: Path
) -> None:
    heard: list[str] = []
    place = logger.add(lambda text: heard.append(str(text)), level="CRITICAL", format="{message}")
    journal = running.store.journal
    assert journal is not None
    journal.path.unlink(missing_ok=True)
    journal.path.mkdir()  # nobody can write a folder, whoever they are
    try:
        await hear(running, said(running, Text("stop"), "1"))
    finally:
        logger.remove(place)
    conversation, _ = await only(running)
    assert conversation.stopped
    assert len(sent(running)) == 1
    assert any("can't be written" in text for text in heard)


async def test_it_is_on_the_disk_before_the_confirmation_leaves(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    real = os.fsync

    def fsync(place: int) -> None:
        flushed.append(len(sent(running)))
        real(place)

    monkeypatch.setattr(os, "fsync", fsync)
    await hear(running, said(running, Text("stop"), "1"))
    assert flushed == [0]
    assert len(sent(running)) == 1


async def test_who_came_back_is_not_silenced_and_an_import_is_not_in_it(store: Store) -> None:
    await store.of("acme").ledger.put(
        [
            entry(1),
            entry(2, state="granted", how="command"),
            entry(3, purpose="marketing", state="granted", how="import"),
        ]
    )
    assert store.journal is not None
    lines = [x for x in store.journal.path.read_bytes().splitlines() if x]
    assert len(lines) == 2
    assert b"ce_2" in lines[1]


async def test_several_processes_write_whole_lines(tmp_path: Path) -> None:
    journals = [Journal(tmp_path) for _ in range(4)]
    await asyncio.gather(
        *(
            j.write([Line(entry(n * 100 + k), name="x" * 5000)])
            for n, j in enumerate(journals)
            for k in range(25)
        )
    )
    read = [_load(row) for batch in _backwards(journals[0].path) for row in batch]
    assert len(read) == 100
    assert None not in read
