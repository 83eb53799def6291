"""Frames between processes: an answer reaches the visitor's socket wherever it is, once, and whatever happens to Redis."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from gateway.bootstrap import Gateway, open_store
from gateway.model.answers import Rule
from gateway.settings import Settings
from tests.bench.rig import ROOT
from tests.conftest import KEY, MovableClock, Running, ScriptedBrain, make_site, make_tenant
from tests.core.visitor import Visitor
from tests.core.webs import Webs, Widget, until, webs, widget
from tests.providers.graph import GraphStandIn
from tests.redis_server import RedisServer, free_port


@pytest.fixture
async def two(
    settings: Settings, clock: MovableClock, graph: GraphStandIn, redis_server: RedisServer
) -> AsyncIterator[Webs]:
    async with webs(settings, clock, graph, redis_server) as made:
        yield made


async def say(shown: Widget, text: str) -> None:
    visitor = shown.tab.visitor
    visitor.ids += 1
    frame = {"t": "send", "id": f"client-{visitor.ids:04}", "content": {"type": "text", "text": text}}
    await shown.tab.put(frame)


async def test_an_answer_reaches_the_visitor_s_sockets_in_every_process_once(two: Webs) -> None:
    visitor = two.visitor(0)
    async with visitor.open() as here, two.visitor(1, visitor).open() as there:
        assert here.conversation == there.conversation
        await here.say("echo one")
        assert (await here.heard())["content"]["text"] == "echo one"
        told = [await there.heard(), await there.heard()]
        assert [(m["from"], m["content"]["text"]) for m in told] == [
            ("visitor", "echo one"),
            ("bot", "echo one"),
        ]
        # A person answers over the API of a process that has no socket of it but the other tab's.
        path = f"/conversations/{here.conversation}/messages"
        assert (await two.call(1, "POST", path, {"content": {"type": "text", "text": "hi"}}))[0] == 200
        for tab in (here, there):
            assert (await tab.heard())["content"]["text"] == "hi"
        # Nothing came twice: what is asked last is answered last.
        for tab in (here, there):
            await tab.put({"t": "ping"})
            await tab.next("pong")
            ids = [f["message"]["id"] for f in tab.seen if f["t"] == "message"]
            assert len(ids) == len(set(ids))


async def test_what_crosses_is_whole_and_only_its_conversation_s(two: Webs) -> None:
    """Three hundred sockets over two processes: each hears what was said to it and nothing else."""
    async with AsyncExitStack() as stack:
        tabs = [
            await stack.enter_async_context(widget(Visitor(two.webs[n % 2], site="ch_web")))
            for n in range(300)
        ]
        for n, shown in enumerate(tabs):
            await say(shown, f"echo {n}")
        await until(lambda: all(len(t.shown) == 2 for t in tabs), 120)
        paths = [f"/conversations/{t.tab.conversation}/messages" for t in tabs]
        for n, path in enumerate(paths):
            # Always over the other process.
            code, _ = await two.call(
                (n + 1) % 2, "POST", path, {"content": {"type": "text", "text": f"for {n}"}}
            )
            assert code == 200
        await until(lambda: all(len(t.shown) == 3 for t in tabs), 120)
        assert [t.texts for t in tabs] == [[f"echo {n}", f"echo {n}", f"for {n}"] for n in range(300)]
        received = Counter(f["message"]["id"] for t in tabs for f in t.tab.seen if f["t"] == "message")
        assert set(received.values()) == {1}


@pytest.mark.parametrize("what", ["restart", "flush", "hang"])
async def test_whatever_happens_to_redis_nothing_is_missing_and_nothing_doubled(two: Webs, what: str) -> None:
    visitors = [two.visitor(n % 2) for n in range(6)]
    async with AsyncExitStack() as stack:
        own = [await stack.enter_async_context(widget(v)) for v in visitors]
        others = [
            await stack.enter_async_context(widget(two.visitor((n + 1) % 2, v)))
            for n, v in enumerate(visitors)
        ]
        asked: list[list[str]] = [[] for _ in visitors]

        async def ask(text: str) -> None:
            for n, shown in enumerate(own):
                asked[n].append(text)
                await say(shown, text)

        async def answered() -> None:
            await until(lambda: all(t.texts.count(a) == 2 for n, t in enumerate(own) for a in asked[n]), 120)

        await ask("echo before")
        await answered()
        match what:
            case "restart":
                two.redis.kill()
                await ask("echo while it is gone")
                # Its turn is run by whoever finds it, and read from the database.
                await answered()
                two.redis.start()
            case "flush":
                await ask("echo just before")
                two.redis.flush()
                await ask("echo just after")
                await answered()
            case "hang":
                two.redis.pause()
                await ask("echo while it hangs")
                await answered()
                two.redis.go_on()
        await ask("echo after")
        await answered()
        await two.together()
        for n, shown in enumerate(own):
            path = f"/conversations/{shown.tab.conversation}/messages"
            await two.call(n % 2, "POST", path, {"content": {"type": "text", "text": "at last"}})
        expected = [Counter([*(2 * a), "at last"]) for a in asked]
        for tabs in (own, others):
            await until(lambda tabs=tabs: [Counter(t.texts) for t in tabs] == expected, 120)  # type: ignore[misc]
        # In the order of the transcript, which is the same for both.
        for mine, other in zip(own, others, strict=True):
            assert mine.texts == other.texts
            said = await two.webs[0].transcript(mine.tab.conversation)
            assert [m["id"] for m in sorted(mine.shown.values(), key=lambda m: int(m["seq"]))] == [
                m.id for m in said
            ]


async def test_an_idle_visitor_hears_what_was_said_while_redis_was_away(two: Webs) -> None:
    """Nothing was said there for long, so nobody looks; but when Redis is back, it is read."""
    visitor = two.visitor(0)
    async with widget(visitor) as here:
        await say(here, "echo first")
        await until(lambda: len(here.shown) == 2)
        room = two.webs[0].gateway.channels.web.hub.room(here.tab.conversation)
        assert room is not None
        two.redis.kill()
        hub = two.webs[0].gateway.channels.web.hub
        await until(lambda: not hub._bus.connected)  # type: ignore[attr-defined]
        room.spoken = 0.0
        path = f"/conversations/{here.tab.conversation}/messages"
        await two.call(1, "POST", path, {"content": {"type": "text", "text": "meanwhile"}})
        sent = two.worker.store.of("acme").messages

        async def left() -> bool:
            return not await sent.work(here.tab.conversation)

        async with asyncio.timeout(60):
            while not await left():
                await asyncio.sleep(0.05)
        assert "meanwhile" not in here.texts
        two.redis.start()
        await until(lambda: "meanwhile" in here.texts)


async def test_a_process_that_alone_was_cut_off_reads_what_it_missed(
    two: Webs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who publish notice nothing: it is its own connection that tells."""
    async with widget(two.visitor(0)) as here:
        await say(here, "echo first")
        await until(lambda: len(here.shown) == 2)
        hub = two.webs[0].gateway.channels.web.hub
        room = hub.room(here.tab.conversation)
        assert room is not None
        monkeypatch.setattr("gateway.work.ear.AGAIN", 3.0)
        two.redis.say("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: not hub._bus.connected)  # type: ignore[attr-defined]
        room.spoken = 0.0
        path = f"/conversations/{here.tab.conversation}/messages"
        await two.call(1, "POST", path, {"content": {"type": "text", "text": "meanwhile"}})
        sent = two.worker.store.of("acme").messages
        async with asyncio.timeout(60):
            while await sent.work(here.tab.conversation):
                await asyncio.sleep(0.01)
        assert not hub._bus.connected  # type: ignore[attr-defined]
        assert "meanwhile" not in here.texts
        await until(lambda: "meanwhile" in here.texts)


async def test_what_only_its_publisher_lost_is_told_when_redis_takes_it_again(two: Webs) -> None:
    """Redis refuses nobody who listens, but takes nothing: those who listen notice nothing."""
    async with widget(two.visitor(0)) as here:
        await say(here, "echo first")
        await until(lambda: len(here.shown) == 2)
        hub = two.webs[0].gateway.channels.web.hub
        speaker = two.worker.channels.web.hub._bus._speaker  # type: ignore[attr-defined]
        two.redis.say("CLIENT", "PAUSE", "600000", "WRITE")
        path = f"/conversations/{here.tab.conversation}/messages"
        await two.call(1, "POST", path, {"content": {"type": "text", "text": "meanwhile"}})
        await until(lambda: speaker._lost)
        assert hub._bus.connected  # type: ignore[attr-defined]
        assert "meanwhile" not in here.texts
        two.redis.say("CLIENT", "UNPAUSE")
        await until(lambda: "meanwhile" in here.texts)


async def test_what_is_said_as_a_socket_joins_reaches_it(two: Webs) -> None:
    """Somebody writes all the time; each socket that opens meanwhile has everything."""
    visitor = two.visitor(0)
    async with widget(visitor) as first:
        await say(first, "echo start")
        await until(lambda: len(first.shown) == 2)
        path = f"/conversations/{first.tab.conversation}/messages"

        async def talk() -> None:
            for n in range(40):
                await two.call(n % 2, "POST", path, {"content": {"type": "text", "text": f"part {n}"}})

        talking = asyncio.create_task(talk())
        async with AsyncExitStack() as stack:
            tabs: list[Widget] = []
            while not talking.done():
                tabs.append(await stack.enter_async_context(widget(two.visitor(len(tabs) % 2, visitor))))
                if len(tabs) > 3:
                    break
            late = await stack.enter_async_context(AsyncExitStack())
            for _ in range(10):
                tabs.append(await late.enter_async_context(widget(two.visitor(1, visitor))))
                await late.aclose()
                tabs.pop()
            await talking
            tabs.append(await stack.enter_async_context(widget(two.visitor(1, visitor))))
            await until(lambda: all(len(t.shown) == 42 for t in tabs))
            assert {json.dumps(t.texts) for t in tabs} == {json.dumps(first.texts)}


async def test_real_processes(
    settings: Settings, clock: MovableClock, graph: GraphStandIn, redis_server: RedisServer
) -> None:
    """`python -m gateway web` twice and `worker` once: what the worker answers reaches both tabs, and so does what a person
    says over the other process."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings, clock, say=lambda _: None))
        await make_tenant(store, region="ES", rules=(Rule("hello", "Good day!"),))
        await make_site(store)
        _, key = await store.access.create_key("acme", "test", clock())
        environment = {
            "MONGODB_URI": str(settings.mongodb_uri),
            "REDIS_URL": redis_server.url,
            "SECRET_KEYS": KEY,
            "DATA_DIR": str(settings.data_dir),
            "HOST": "127.0.0.1",
            "PATH": os.environ["PATH"],
        }
        ports = [free_port(), free_port()]
        for n, port in enumerate(ports):
            await stack.enter_async_context(process("web", {**environment, "PORT": str(port)}, settings, n))
        await stack.enter_async_context(process("worker", environment, settings, 9))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        gateway = cast(Gateway, None)
        runs = [Running(gateway, f"http://127.0.0.1:{p}", http, ScriptedBrain(), clock, graph) for p in ports]
        for run in runs:
            await reachable(run)
        visitor = Visitor(runs[0])
        async with visitor.open() as here, Visitor(runs[1], token=visitor.token).open() as there:
            await here.say("hello")
            assert (await here.next("message", 60))["message"]["content"]["text"] == "Good day!"
            assert [(await there.heard())["content"]["text"] for _ in range(2)] == ["hello", "Good day!"]
            url = f"{runs[1].url}/api/v1/conversations/{here.conversation}"
            headers = {"Authorization": f"Bearer {key}"}
            said = {"content": {"type": "text", "text": "I am here"}}
            async with http.post(f"{url}/messages", json=said, headers=headers) as answer:
                assert answer.status == 200
            assert (await here.heard())["content"]["text"] == "I am here"
            assert (await there.heard())["content"]["text"] == "I am here"
            async with http.get(f"{url}/presence", headers=headers) as answer:
                assert (await answer.json())["present"] is True


@asynccontextmanager
async def process(
    what: str, environment: dict[str, str], settings: Settings, number: int
) -> AsyncIterator[None]:
    """A gateway process of its own; ended by SIGTERM, and well."""
    log = (settings.data_dir / f"{what}{number}.log").open("wb")
    with log:
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", what, env=environment, cwd=ROOT, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            made.terminate()
            code = await asyncio.wait_for(made.wait(), 60)
    assert code == 0, Path(log.name).read_text()


async def reachable(run: Running, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                async with run.http.get(f"{run.url}/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
