"""The store: every query finds its index, every tenant only its own, every secret only in sealed form."""

import asyncio
import inspect
import io
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from loguru import logger
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandStartedEvent

from gateway.bootstrap import open_store
from gateway.media import take
from gateway.model.consent import Entry
from gateway.model.content import Album, Media, Text
from gateway.model.errors import Conflict, NotFound, ParleyError
from gateway.model.identity import Identity
from gateway.model.message import Failure, Message, Receipt, Status
from gateway.model.permission import Decision
from gateway.model.ports import ChannelEvent
from gateway.ops.logging import configure
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.conversations import Conversations
from gateway.store.database import INDEXES, RoundTrips, database, migrate
from gateway.store.group import GroupedInserts, insert_new
from gateway.store.ledger import Ledger
from gateway.store.messages import Messages
from gateway.store.templates import Templates
from gateway.store.vault import SealBroken, Vault
from tests.conftest import (
    ACCESS_TOKEN,
    APP_SECRET,
    KEY,
    VERIFY_TOKEN,
    WABA,
    MovableClock,
    Running,
    make_site,
    make_template,
    make_tenant,
    make_whatsapp,
)
from tests.core.visitor import Visitor
from tests.providers.graph_webhooks import status, statuses_webhook, text_webhook

OTHER_KEY = "another-key-of-thirty-two-characters-2"
Doc = dict[str, Any]


class Seen(RoundTrips):
    """Remembers every query and its filter."""

    def __init__(self) -> None:
        super().__init__()
        self.queries: list[tuple[str, Doc]] = []

    def started(self, event: CommandStartedEvent) -> None:
        super().started(event)
        command = event.command
        name = event.command_name
        if name == "find":
            self.queries.append((command["find"], {"filter": command["filter"], "sort": command.get("sort")}))
        for part in command.get("updates", ()) if name == "update" else ():
            self.queries.append((command["update"], {"filter": part["q"]}))
        for part in command.get("deletes", ()) if name == "delete" else ():
            self.queries.append((command["delete"], {"filter": part["q"]}))


@pytest.fixture
def trips() -> RoundTrips:
    return Seen()


@pytest.fixture
async def raw(settings: Settings) -> AsyncIterator[Any]:
    """The database itself."""
    client: AsyncMongoClient[Doc] = AsyncMongoClient(settings.mongodb_uri)
    yield database(client)
    await client.close()


async def dump(raw: Any) -> dict[str, list[Doc]]:
    return {name: [d async for d in raw[name].find({})] for name in sorted(await raw.list_collection_names())}


async def lived(running: Running) -> str:
    """Some of everything: conversations on both channels, receipts, a lead, documents, users, keys."""
    store, now = running.store, int(running.clock().timestamp())
    assert await running.post_whatsapp(text_webhook("34600111222", "echo hello", "wamid.1", now)) == 200
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    sent = running.graph.messages()[0]
    for state, message in (("delivered", sent.message), ("read", None)):
        one = status(sent.wamid or "", state, now, recipient="34600111222", message=message)
        assert await running.post_whatsapp(statuses_webhook([one])) == 200
    early = status("wamid.early", "read", now, recipient="34600111222")
    assert await running.post_whatsapp(statuses_webhook([early])) == 200
    async with Visitor(running).open() as tab:
        answer = await tab.ask("unknown")
        await tab.send({"type": "form_reply", "values": {"name": "A", "phone": "600111222"}, "to": None})
        await tab.heard()
        for frame in ({"t": "more", "before": answer["seq"]}, {"t": "resume", "after": answer["seq"]}):
            await tab.put(frame)
            await tab.next("messages")
        await tab.put({"t": "seen", "upto": answer["seq"]})
        await tab.put({"t": "ping"})
        await tab.next("pong")
    await running.idle()
    user = await store.access.create_user("acme", "ana@example.com", "Ana", running.clock())
    cookie = await store.access.use_link(
        await store.access.create_link(user, running.clock()), running.clock()
    )
    assert cookie is not None
    assert await store.access.session(cookie, running.clock())
    _, key = await store.access.create_key("acme", "k", running.clock())
    assert await store.access.key(key)
    await store.of("acme").messages.cancel_bot(tab.conversation, Failure("x", "x"))
    await store.of("acme").dead_letters.page(None, 10)
    await store.open_work.dead_letters()
    await store.of("acme").dead_letters.page(1, 10)
    await store.of("acme").messages.withdraw(["m_none"], "run")
    await store.knowledge.documents("acme")
    await store.knowledge.chunks("acme")
    await store.directory.channels("acme")
    await store.directory.by_account("whatsapp", "106540352242922")
    await store.directory.refresh()
    running.clock.move(seconds=5)
    await running.swept()
    await running.conversations()
    await running.leads()
    return tab.conversation


def _stages(plan: Any) -> set[str]:
    if isinstance(plan, dict):
        own = {str(plan["stage"])} if "stage" in plan else set()
        return own.union(*(_stages(v) for v in plan.values()))
    if isinstance(plan, list):
        return set[str]().union(*(_stages(v) for v in plan))
    return set()


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _shape(v) for k, v in value.items()}
    return [_shape(value[0])] if isinstance(value, list) and value else type(value).__name__


SMALL = {("tenants", "{}"), ("bulk", "{}"), ("lanes", "{}")}
"""Queries without an index on purpose: the command line's list of all tenants; the accounts that have bulk to send; the lanes
that are paused or nearly full, at the start."""


async def test_every_query_finds_an_index(running: Running, trips: Seen, raw: Any) -> None:
    await lived(running)
    queries = {
        (collection, json.dumps([_shape(q["filter"]), q.get("sort") and dict(q["sort"])])): (collection, q)
        for collection, q in trips.queries
    }
    assert len(queries) > 25
    unindexed = []
    for collection, query in queries.values():
        if "_id" in query["filter"] or (collection, str(query["filter"])) in SMALL:
            continue
        command: Doc = {"find": collection, "filter": query["filter"]}
        if query.get("sort"):
            command["sort"] = query["sort"]
        plan = await raw.command({"explain": command, "verbosity": "queryPlanner"})
        stages = _stages(plan["queryPlanner"]["winningPlan"])
        if "IXSCAN" not in stages or "COLLSCAN" in stages:
            unindexed.append((collection, query["filter"], stages))
    assert unindexed == []


async def test_a_query_without_an_index_would_be_noticed(store: Store, raw: Any) -> None:
    await raw["messages"].insert_one({"_id": "x", "tenant": "acme"})
    plan = await raw.command(
        {"explain": {"find": "messages", "filter": {"colour": 1}}, "verbosity": "queryPlanner"}
    )
    assert "COLLSCAN" in _stages(plan["queryPlanner"]["winningPlan"])


async def test_no_more_than_a_hundred_values_are_asked_for_at_once(running: Running, trips: Seen) -> None:
    """A webhook may name thousands; the embedded server's time grows with the square of what one question names."""
    own, many = running.store.of("acme"), [f"x_{n}" for n in range(1000)]
    await own.conversations.there(many)
    await own.ledger.standings(many, "ch_wa")
    await own.templates.some(many)
    await own.messages._by_provider_ids("ch_wa", many)
    await running.store.people.recall("acme", "ch_wa", [Identity("whatsapp", "", i) for i in many])
    asked = [
        len(values["$in"])
        for _, query in trips.queries
        for values in query["filter"].values()
        if isinstance(values, dict) and "$in" in values
    ]
    assert sum(asked) >= 5000
    assert max(asked) <= 100


# Tenants (row 35) ------------------------------------------------------------------------------------------


async def _bytes(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _public(kind: type) -> dict[str, Callable[..., Any]]:
    return {n: f for n, f in inspect.getmembers(kind, inspect.iscoroutinefunction) if not n.startswith("_")}


async def test_no_method_of_a_tenants_store_touches_anothers_data(running: Running, raw: Any) -> None:
    """Generated: every public method of the repositories is called for Bolt with Acme's ids."""
    conversation_id = await lived(running)
    acme, bolt = running.store.of("acme"), running.store.of("bolt")
    await make_tenant(running.store, "bolt")
    conversation = await acme.conversations.get(conversation_id)
    assert conversation is not None
    contact = await acme.conversations.contact(conversation.contact)
    [lead] = await running.leads()
    transcript = await running.transcript(conversation_id)
    waiting = replace(
        transcript[-1], id="m_waiting", status=Status.QUEUED, due=running.clock() + timedelta(days=9)
    )
    await acme.messages.put_outgoing([waiting], "run")
    later, failure = running.clock(), Failure("x", "x")
    file = await take(acme.files, "acme", "ch_wa", conversation_id, "a.txt", _bytes(b"canary"), 100, later)
    await acme.events.put("ch_wa", ChannelEvent("1", "x", later, "x"), later)
    before_it = await acme.events.latest("ch_wa", 9)
    entry = Entry("ce_1", "acme", "ch_wa", conversation.contact, "marketing", "granted", "api", later, later)
    await acme.ledger.put([entry])
    template = await make_template(running.store, "order", "en")
    await acme.accounts.told("ch_wa", later, limit=1000)
    arguments: Doc = {
        "messages": [waiting], "now": later, "silent": frozenset(), "quiet": timedelta(), "run": "run",
        "conversation": conversation_id,
        "incoming": transcript[0].id, "claim": waiting.id, "lease": later, "message": waiting.id, "at": later,
        "provider_id": "stolen", "due": later, "failure": failure, "unknown": False, "seen": Status.QUEUED,
        "possibly_doubled": True, "status": Status.DEAD, "channel": "ch_wa", "upto": 2**53, "seq": 0, "limit": 100,
        "receipts": [Receipt("wamid.1", Status.READ, later), Receipt("x", Status.READ, later, message=waiting.id)],
        "receipt": Receipt("x", Status.READ, later, message=waiting.id),
        "before": None, "contact": contact, "lead": lead, "content": Text("stolen"), "part": "p_x", "turn": True,
        "language": "en", "blocked": True, "address": "stolen", "file": file.id, "files": [file.id],
        "ends": True, "attempts": 0, "error": "x", "generation": file.generation, "number": 0, "data": b"stolen", "until": later,
        "decision": Decision("sent", later, True), "campaigns": True, "window_until": later, "merged": None,
        "contacts": [conversation.contact], "entries": [entry], "entry": entry.id, "template": template,
        "account": WABA, "name": "order", "quality": "RED", "count": 5,
        "templates": [template], "remote": template.remote or "1", "ids": [template.id], "after": None,
        "preview": "stolen", "conversations": [conversation_id], "new": "cv_stolen", "event": ChannelEvent("x", "x", later, "x"),
    }  # fmt: skip
    special: dict[str, Doc] = {
        "withdraw": {"messages": [waiting.id, transcript[-1].id]},
        "seen": {"status": Status.READ, "at": later + timedelta(hours=1)},
        "lead": {"lead": lead.id},
        "before": {"seq": None},
        "limited": {"limit": "contact"},
        "cancel_bot": {"but": []},
        "finish_turn": {"incoming": [transcript[0].id]},
        "contact": {"contact": conversation.contact},
        "marketed": {"conversation": conversation},
        "release": {"messages": [waiting.id]},
        "hold": {"message": waiting},
        "create": {"conversation": conversation},
        "save": {"conversation": replace(conversation, owner="agent")},
        "begin": {"message": transcript[0], "file": file},
        "put_album": {"message": replace(waiting, content=Album((Media("image"),)))},
        "expect": {"files": [file]},
        "ready": {"file": file},
        "failed": {"file": file},
        "drop": {"file": file},
        "claim": {"seen": 0},
        "read": {"first": 0},
    }
    theirs = {n: [d for d in docs if d.get("tenant") == "acme"] for n, docs in (await dump(raw)).items()}
    # An event is written under the tenant of whoever writes it, whatever channel it names: only ids of one's own
    # channels get there, and nobody reads another tenant's.
    await bolt.events.put("ch_wa", arguments["event"], later)
    assert await acme.events.latest("ch_wa", 9) == before_it
    for repository in (
        bolt.messages,
        bolt.conversations,
        bolt.files,
        bolt.dead_letters,
        bolt.receipts,
        bolt.amendments,
        bolt.ledger,
        bolt.templates,
        bolt.decisions,
    ):
        for name in _public(type(repository)):
            method = getattr(repository, name)
            given = {**arguments, **special.get(name, {})}
            if name == "get" and isinstance(repository, Messages):
                given["message"] = transcript[0].id
            if isinstance(repository, Ledger):
                given["contact"] = conversation.contact
            if name == "get" and isinstance(repository, Templates):
                given["template"] = template.id
            try:
                parameters = inspect.signature(method).parameters
                if "message" in parameters and parameters["message"].annotation is Message:
                    given["message"] = waiting
                answer = await method(
                    **{n: given[n] for n, p in parameters.items() if n in given or p.default is p.empty}
                )
            except (ValueError, ParleyError):
                continue
            if hasattr(answer, "items") and not isinstance(answer, dict):
                answer = answer.items
            if hasattr(answer, "messages"):
                answer = answer.messages
            if hasattr(answer, "entries"):
                answer = answer.entries
            assert not answer, (name, answer)
    for tried in (replace(conversation, tenant="bolt"), replace(conversation, tenant="bolt", rev=0)):
        with pytest.raises((ValueError, ParleyError)):
            await bolt.conversations.create(tried)
        assert await bolt.conversations.save(tried) is None
    assert await running.store.knowledge.documents("bolt") == []
    assert await running.store.knowledge.remove("bolt", "d_acme") is False
    now = {n: [d for d in docs if d.get("tenant") == "acme"] for n, docs in (await dump(raw)).items()}
    assert now == theirs
    assert {n for c in (Messages, Conversations) for n in _public(c)} >= {
        "get",
        "work",
        "claim",
        "save",
        "put_lead",
    }


# Secrets (rows 44, 45, 46) ---------------------------------------------------------------------------------


async def test_no_secret_is_in_the_database_the_logs_or_any_answer(running: Running, raw: Any) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("DEBUG", "text", stream)
    try:
        await lived(running)
        access, now = running.store.access, running.clock()
        user = await access.user_by_email("ana@example.com")
        assert user is not None
        link = await access.create_link(user, now)
        cookie = await access.use_link(await access.create_link(user, now), now)
        _, key = await access.create_key("acme", "canary", now)
        visitor = Visitor(running)
        found = await visitor.session()
        secrets = [
            ACCESS_TOKEN,
            APP_SECRET,
            VERIFY_TOKEN,
            KEY,
            link,
            cookie or "",
            key,
            found["token"],
            found["ticket"],
        ]
        async with visitor.open(found["ticket"]):
            pass
        answers = []
        for path, headers in (
            ("/console", {"Cookie": f"parley_session={cookie}"}),
            ("/console/leads", {"Cookie": f"parley_session={cookie}"}),
            ("/api/v1/channels", {"Authorization": f"Bearer {key}"}),
            ("/api/v1/conversations", {"Authorization": f"Bearer {key}"}),
            ("/api/v1/nothing", {"Authorization": f"Bearer {key}"}),
            ("/api/v1/channels", {"Authorization": f"Bearer {key}x"}),
            ("/metrics", {}), ("/ready", {}), ("/api/openapi.json", {}), ("/api/docs", {}),
        ):  # fmt: skip
            async with running.http.get(running.url + path, headers=headers) as answer:
                answers.append(await answer.text())
        body = text_webhook("1", "x", "wamid.x", 1)
        await running.post_whatsapp(body, secret="x" * 20)
        stored = repr(await dump(raw))
        logged = stream.getvalue()
        assert "webhook refused" in logged
        for secret in secrets:
            assert len(secret) > 15
            for place in (stored, logged, "".join(answers)):
                assert secret not in place
        channel = await running.store.directory.channel("ch_wa")
        for secret in secrets:
            assert secret not in repr(channel)
            assert secret not in repr(running.gateway.settings)
    finally:
        logger.remove()
        root.handlers[:] = handlers
        root.setLevel(level)


def test_a_sealed_value_opens_only_where_it_was_sealed() -> None:
    vault = Vault([KEY])
    sealed = vault.seal("the token", "acme", "ch_1")
    assert vault.open(sealed, "acme", "ch_1") == "the token"
    assert sealed != vault.seal("the token", "acme", "ch_1")
    version, key, body = sealed.split(".")
    for wrong, tenant, record in (
        (sealed, "bolt", "ch_1"), (sealed, "acme", "ch_2"), (sealed, "acme\x1fch_1", ""), ("", "acme", "ch_1"),
        (f"v2.{key}.{body}", "acme", "ch_1"), (f"{version}.00000000.{body}", "acme", "ch_1"),
        (f"{version}.{key}.{body[:-4]}", "acme", "ch_1"), (f"{version}.{key}.", "acme", "ch_1"),
        (f"{version}.{key}.!!!!", "acme", "ch_1"),
        (f"{version}.{key}.{'B' if body[0] == 'A' else 'A'}{body[1:]}", "acme", "ch_1"),
    ):  # fmt: skip
        with pytest.raises(SealBroken) as refused:
            vault.open(wrong, tenant, record)
        assert str(refused.value) == ""


def test_keys_can_be_rotated_and_an_unknown_key_opens_nothing() -> None:
    old, rotated, new = Vault([KEY]), Vault([OTHER_KEY, KEY]), Vault([OTHER_KEY])
    sealed = old.seal("the token", "acme", "ch_1")
    assert rotated.open(sealed, "acme", "ch_1") == "the token"
    assert new.open(rotated.seal("x", "acme", "ch_1"), "acme", "ch_1") == "x"
    with pytest.raises(SealBroken):
        new.open(sealed, "acme", "ch_1")
    assert rotated.signing_keys("a")[1] == old.signing_keys("a")[0]
    assert rotated.signing_keys("a") != rotated.signing_keys("b")
    with pytest.raises(ValueError, match="at least one key"):
        Vault([])


async def test_a_ciphertext_moved_to_another_tenant_or_channel_does_not_open(
    settings: Settings, store: Store, clock: MovableClock, raw: Any
) -> None:
    await make_tenant(store)
    await make_tenant(store, "bolt")
    await make_whatsapp(store)
    await make_whatsapp(store, "bolt", "ch_bolt", "99", app_secret="bolts-own-secret-0123456789")
    victim = await raw["channels"].find_one({"_id": "ch_wa"})
    await raw["channels"].update_one({"_id": "ch_bolt"}, {"$set": {"secrets": victim["secrets"]}})
    async with open_store(settings, clock, say=lambda _: None) as fresh:
        with pytest.raises(ParleyError, match="can't be opened") as refused:
            await fresh.directory.channel("ch_bolt")
        assert APP_SECRET not in str(refused.value)
        assert (await fresh.directory.channel("ch_wa")).secrets["app_secret"] == APP_SECRET
    async with open_store(
        replace(settings, secret_keys=(OTHER_KEY, KEY)), clock, say=lambda _: None
    ) as rotated:
        assert (await rotated.directory.channel("ch_wa")).secrets["app_secret"] == APP_SECRET
    async with open_store(replace(settings, secret_keys=(OTHER_KEY,)), clock, say=lambda _: None) as lost:
        with pytest.raises(ParleyError, match="SECRET_KEYS"):
            await lost.directory.channel("ch_wa")


# Writing ---------------------------------------------------------------------------------------------------


async def test_migrating_again_changes_nothing(store: Store, raw: Any) -> None:
    said: list[str] = []
    before = {c: await raw[c].index_information() for c in {i.collection for i in INDEXES}}
    await migrate(raw, said.append)
    await migrate(raw, said.append)
    assert said == []
    assert {c: await raw[c].index_information() for c in before} == before
    assert {(i.collection, i.name) for i in INDEXES} == {
        (c, n) for c, names in before.items() for n in names if n != "_id_"
    }


async def test_two_processes_may_migrate_at_once(settings: Settings, raw: Any) -> None:
    await asyncio.gather(migrate(raw), migrate(raw), migrate(raw))
    for index in INDEXES:
        assert index.name in await raw[index.collection].index_information()


async def test_a_grouped_insert_gives_everybody_their_own_result(raw: Any) -> None:
    group = GroupedInserts(raw["things"])
    await group.insert([{"_id": "old"}])
    wanted = [[{"_id": f"{n}"}, {"_id": "old"}, {"_id": f"{n % 3}.shared"}] for n in range(30)]
    results = await asyncio.gather(*(group.insert(docs) for docs in wanted))
    assert [r[0] for r in results] == [True] * 30
    assert [r[1] for r in results] == [False] * 30
    assert [r[2] for r in results] == [True] * 3 + [False] * 27
    # One document too bad to store fails its own batch's callers, and nobody afterwards.
    with pytest.raises(Exception):  # noqa: B017
        await group.insert([{"_id": "bad", "x": object()}])
    assert await group.insert([{"_id": "after"}]) == [True]
    # A caller that went away takes nobody along.
    gone = asyncio.create_task(group.insert([{"_id": "gone"}]))
    await asyncio.sleep(0)
    gone.cancel()
    assert await group.insert([{"_id": "still"}]) == [True]
    await group.close()
    assert await raw["things"].find_one({"_id": "gone"}) is not None
    assert await insert_new(raw["things"], [{"_id": "gone"}, {"_id": "x"}]) == [False, True]


async def test_an_account_belongs_to_one_channel_and_ids_are_unique(store: Store) -> None:
    await make_tenant(store)
    with pytest.raises(Conflict):
        await make_tenant(store)
    await make_tenant(store, "bolt")
    await make_whatsapp(store)
    with pytest.raises(Conflict):
        await make_whatsapp(store, "bolt", "ch_thief")
    with pytest.raises(Conflict):
        await make_site(store, "bolt", "ch_wa")
    with pytest.raises(NotFound):
        await store.directory.channel("ch_thief")
    now = datetime.now(UTC)
    await store.access.create_user("acme", "Ana@Example.com", "Ana", now)
    with pytest.raises(Conflict):
        await store.access.create_user("bolt", "ana@example.com ", "Ana", now)


async def test_a_change_in_one_process_is_seen_in_another(
    settings: Settings, store: Store, clock: MovableClock
) -> None:
    await make_tenant(store)
    channel = await make_whatsapp(store)
    async with open_store(settings, clock, say=lambda _: None) as other:
        assert (await other.directory.channel("ch_wa")).state == "active"
        await store.directory.set_channel(
            channel, state="disabled", secrets={"app_secret": "a-new-app-secret-0123"}
        )
        await other.directory.refresh()
        found = await other.directory.channel("ch_wa")
        assert (found.state, found.secrets["app_secret"]) == ("disabled", "a-new-app-secret-0123")
        assert found.secrets["access_token"] == ACCESS_TOKEN
        assert (await other.directory.by_account("whatsapp", channel.account)).state == "disabled"


async def test_a_message_is_never_changed_back(store: Store, clock: MovableClock) -> None:
    messages = store.of("acme").messages
    now = clock()
    one = Message("m_1", "acme", "ch", "cv", "out", "bot", 1, now, Text("x"), Status.QUEUED, due=now)
    await messages.put_outgoing([one], "run")
    assert await messages.claim("m_1", now)
    assert not await messages.claim("m_1", now)
    await messages.sent("m_1", "wamid.1", now)
    for change in (
        messages.retry(one, now, Failure("a", "b"), False),
        messages.end(one, Status.SENDING, Status.DEAD, Failure("a", "b")),
        messages.end(one, Status.QUEUED, Status.FAILED, Failure("a", "b")),
        messages.wait("m_1", now, Failure("a", "b")),
        messages.hold(one, now, Failure("a", "b"), Decision("sent", now, False)),
        messages.release(["m_1"], now),
        messages.withdraw(["m_1"]),
        messages.cancel_bot("cv", Failure("a", "b")),
    ):
        await change
    found = await messages.get("m_1")
    assert found is not None
    assert (found.status, found.failure) == (Status.SENT, None)


async def test_a_name_is_held_by_one_at_a_time(store: Store, clock: MovableClock) -> None:
    async def hold(who: str) -> bool:
        now = clock()
        return await store.leases.hold("pull:ch", who, now, now + timedelta(seconds=30))

    assert [await hold(w) for w in ("one", "two", "one")] == [True, False, True]
    clock.move(seconds=31)
    assert sorted(await asyncio.gather(hold("one"), hold("two"))) == [False, True]
    holder = "one" if await hold("one") else "two"
    await store.leases.give_up("pull:ch", "nobody")
    assert not await hold("three")
    await store.leases.give_up("pull:ch", holder)
    assert await hold("three")
