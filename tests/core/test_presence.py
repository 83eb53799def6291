"""Who is there: asked of any process, told of whatever process holds the socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from channels.web.hub import Hub
from gateway.settings import Settings
from tests.conftest import MovableClock, Running, make_tenant
from tests.core.visitor import Visitor
from tests.core.webs import Webs, webs
from tests.providers.graph import GraphStandIn
from tests.providers.graph_webhooks import text_webhook
from tests.redis_server import RedisServer


@pytest.fixture
async def two(
    settings: Settings, clock: MovableClock, graph: GraphStandIn, redis_server: RedisServer
) -> AsyncIterator[Webs]:
    async with webs(settings, clock, graph, redis_server) as made:
        yield made


async def becomes(ask: Callable[[], Awaitable[object]], wanted: object, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while await ask() != wanted:
            await asyncio.sleep(0.01)


async def test_presence_and_typing_are_known_everywhere(two: Webs) -> None:
    visitor = two.visitor(0)
    async with visitor.open() as tab:
        path = f"/conversations/{tab.conversation}/presence"
        # Nobody has said anything yet: there is no conversation.
        assert (await two.call(0, "GET", path))[0] == 404
        await tab.ask("echo hello")
        for web in (0, 1):

            async def there(web: int = web) -> object:
                return await two.call(web, "GET", path)

            await becomes(there, (200, {"present": True, "typing": False}))
            await tab.put({"t": "typing"})
            await becomes(there, (200, {"present": True, "typing": True}))
            # To say it is to end typing it.
            await tab.ask("echo more")
            await becomes(there, (200, {"present": True, "typing": False}))
        async with two.visitor(1, visitor).open():
            pass

        async def still() -> object:
            return await two.call(1, "GET", path)

        await becomes(still, (200, {"present": True, "typing": False}))
        # Without Redis a process knows its own sockets.
        two.redis.kill()
        assert (await two.call(0, "GET", path))[1]["present"] is True
        assert (await two.call(1, "GET", path))[1]["present"] is False
        two.redis.start()
        await two.together()
    await becomes(still, (200, {"present": False, "typing": False}))


async def test_the_visitor_sees_that_somebody_types_in_another_process(two: Webs) -> None:
    visitor = two.visitor(0)
    async with visitor.open() as tab:
        await tab.ask("echo hello")
        tab.seen.clear()
        path = f"/conversations/{tab.conversation}/typing"
        assert (await two.call(1, "POST", path))[0] == 204
        assert (await tab.next("typing"))["on"] is True


async def test_typing_ends_by_itself() -> None:
    now = 0.0
    hub = Hub(lambda: now)
    hub.join("cv", "acme")
    hub.types("cv", True)
    now = 5.9
    assert hub.typing("cv")
    now = 6.0
    assert not hub.typing("cv")
    hub.types("other", True)
    assert not hub.typing("other")


async def test_elsewhere_typing_is_shown_as_the_channel_can(running: Running) -> None:
    _, key = await running.store.access.create_key("acme", "test", running.clock())
    _, other = await running.store.access.create_key(
        (await make_tenant(running.store, "bolt")).id, "t", running.clock()
    )
    body = text_webhook("34600111222", "echo hi", "wamid.hi", int(running.clock().timestamp()))
    assert await running.post_whatsapp(body) == 200
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    [conversation] = await running.conversations()
    before = len(running.graph.reads)

    async def post(key: str, what: str = "typing", method: str = "POST") -> int:
        url = f"{running.url}/api/v1/conversations/{conversation.id}/{what}"
        async with running.http.request(method, url, headers={"Authorization": f"Bearer {key}"}) as answer:
            return answer.status

    assert await post(key) == 204
    assert len(running.graph.reads) == before + 1
    assert running.graph.reads[-1].body["typing_indicator"] == {"type": "text"}
    assert await post(other) == 404
    assert await post(other, "presence", "GET") == 404
    assert await post("pk_nothing") == 401


async def test_a_channel_that_cannot_show_it_says_so(running: Running) -> None:
    visitor = Visitor(running)
    async with visitor.open() as tab:
        await tab.ask("echo hello")
        adapter = running.gateway.channels.web
        adapter.capabilities = adapter.capabilities.__class__(text_length=10)
        _, key = await running.store.access.create_key("acme", "test", running.clock())
        url = f"{running.url}/api/v1/conversations/{tab.conversation}/typing"
        async with running.http.post(url, headers={"Authorization": f"Bearer {key}"}) as answer:
            assert answer.status == 422
            assert "web does not" in await answer.text()
