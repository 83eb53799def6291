"""What every test may use: the real embedded database (one a test process, a database of its own a test), and a
whole gateway over it, listening, with the provider's stand-in beside it."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.bootstrap import Gateway, build, listening, open_store, working
from gateway.model.answers import Answer, Brain, Listener, Question
from gateway.model.clock import system_clock
from gateway.model.conversation import Conversation, Lead
from gateway.model.message import Message
from gateway.model.ports import Clock
from gateway.model.template import Category, TemplateDef, template_id
from gateway.model.tenant import Channel, Site, Tenant
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.database import RoundTrips
from gateway.store.embedded import embedded
from tests.bench.gateway_process import NoEmbedder
from tests.providers.graph import GraphStandIn
from tests.providers.graph_webhooks import signed
from tests.redis_server import RedisServer

KEY = "a-test-key-of-thirty-two-characters-1"
APP_SECRET = "app-secret-0123456789abcdef"
VERIFY_TOKEN = "verify-token-0123456789"
ACCESS_TOKEN = "EAAtesttoken0123456789"
PHONE = "106540352242922"
WABA = "102290129340398"
ORIGIN = "https://shop.example"


class MovableClock:
    """A clock that stands where the test puts it and otherwise goes on."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def move(self, **by: float) -> None:
        self.ahead += timedelta(**by)


class ScriptedBrain:
    """Knows what it was told; echoes what begins with "echo"; knows nothing else. Counts and can be made to wait."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None
        self.fail: list[Exception] = []

    async def answer(self, question: Question, listener: Listener | None = None) -> Answer:
        self.asked.append(question.text)
        if self.fail:
            raise self.fail.pop(0)
        if self.gate is not None:
            await self.gate.wait()
        if question.text in self.known:
            return Answer(True, self.known[question.text], by="script")
        if question.text.startswith("echo"):
            return Answer(True, question.text, by="script")
        return Answer(False)


@pytest.fixture(scope="session")
def database_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of this process's embedded database server; `{name}` is to be a database's."""
    folder = tmp_path_factory.mktemp("embedded")
    ready, stop = threading.Event(), threading.Event()
    found: dict[str, str] = {}

    async def serve() -> None:
        async with embedded(folder, lambda _: None) as uri:
            found["uri"] = uri
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="embedded database")
    thread.start()
    assert ready.wait(60), "the embedded database did not start"
    yield found["uri"].replace("/parley?", "/{name}?")
    stop.set()
    thread.join()


@pytest.fixture
def mongodb_uri(database_uri: str) -> str:
    """An empty database of the test's own."""
    return database_uri.replace("{name}", "t" + uuid.uuid4().hex[:20])


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of the test's own, which it may stop, wipe and start again."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def graph() -> AsyncIterator[GraphStandIn]:
    async with GraphStandIn({ACCESS_TOKEN: {PHONE}}) as stand_in:
        yield stand_in


@pytest.fixture
def settings(mongodb_uri: str, tmp_path: Path, graph: GraphStandIn) -> Settings:
    return Settings(
        port=0,
        data_dir=tmp_path,
        mongodb_uri=mongodb_uri,
        secret_keys=(KEY,),
        whatsapp_api_url=graph.url,
        whatsapp_app_secret=APP_SECRET,
        whatsapp_verify_token=VERIFY_TOKEN,
    )


@pytest.fixture
def trips() -> RoundTrips:
    return RoundTrips()


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing looks around by itself: no sweeps and no polls after the first."""
    monkeypatch.setattr("gateway.bootstrap.EVERY", 3600.0)
    monkeypatch.setattr("gateway.bootstrap.POLL", 3600.0)
    monkeypatch.setattr("gateway.bootstrap.LEARNS", 3600.0)


@pytest.fixture(autouse=True)
def no_template_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates are brought here when a test says so, not in the middle of what it counts."""
    monkeypatch.setattr("gateway.bootstrap.TEMPLATES_AFTER", 3600.0)


@pytest.fixture
async def store(settings: Settings, clock: MovableClock, trips: RoundTrips) -> AsyncIterator[Store]:
    async with open_store(settings, clock, listener=trips, say=lambda _: None) as opened:
        yield opened


async def make_tenant(store: Store, name: str = "acme", **more: Any) -> Tenant:
    tenant = Tenant(name, name.title(), system_clock(), **more)
    await store.directory.add_tenant(tenant)
    return tenant


async def make_whatsapp(
    store: Store, tenant: str = "acme", identifier: str = "ch_wa", account: str = PHONE, **secrets: str
) -> Channel:
    kept = {"access_token": ACCESS_TOKEN, "app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN, **secrets}
    channel = Channel(
        identifier,
        tenant,
        "whatsapp",
        account,
        "WhatsApp",
        system_clock(),
        config={"waba_id": WABA},
        secrets=kept,
    )
    await store.directory.add_channel(channel)
    return channel


async def make_template(
    store: Store,
    name: str,
    language: str,
    category: Category = "UTILITY",
    state: str = "APPROVED",
    tenant: str = "acme",
) -> TemplateDef:
    """A template of the WhatsApp account that `make_whatsapp` connects, as the provider's list would have told."""
    template = TemplateDef(
        template_id(tenant, WABA, name, language),
        tenant,
        WABA,
        name,
        language,
        category,
        "Your order is on its way.",
        system_clock(),
        state=state,
    )
    await store.of(tenant).templates.put(template)
    return template


async def make_site(
    store: Store,
    tenant: str = "acme",
    identifier: str = "ch_web",
    origins: tuple[str, ...] = (ORIGIN,),
    **site: Any,
) -> Channel:
    channel = Channel(
        identifier, tenant, "web", identifier, "Site", system_clock(), origins=origins, site=Site(**site)
    )
    await store.directory.add_channel(channel)
    return channel


@dataclass
class Running:
    """A gateway that listens and works, and how a test talks to it from the outside."""

    gateway: Gateway
    url: str
    http: aiohttp.ClientSession
    brain: ScriptedBrain
    clock: MovableClock
    graph: GraphStandIn

    @property
    def store(self) -> Store:
        return self.gateway.store

    async def post_whatsapp(
        self, body: bytes, channel: str | None = "ch_wa", secret: str = APP_SECRET, **headers: str
    ) -> int:
        path = f"/webhooks/whatsapp/{channel}" if channel else "/webhooks/whatsapp"
        async with self.http.post(
            self.url + path, data=body, headers={**signed(body, secret), **headers}
        ) as answer:
            return answer.status

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Wait until the condition holds: it is asked after every turn of the loop that does something."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.002)

    async def idle(self) -> None:
        """Until no work is under way in this process."""
        await self.until(lambda: self.gateway.work.idle, 60)

    async def swept(self) -> None:
        """Let the sweeper find what is due now, and wait until it is done."""
        await self.gateway.sweeper.sweep()
        await self.idle()

    async def conversations(self, tenant: str = "acme") -> tuple[Conversation, ...]:
        return (await self.store.of(tenant).conversations.recent(None, self.clock(), 200)).items

    async def transcript(self, conversation: str, tenant: str = "acme") -> tuple[Message, ...]:
        return (await self.store.of(tenant).messages.before(conversation, None, 200)).messages

    async def leads(self, tenant: str = "acme") -> tuple[Lead, ...]:
        return (await self.store.of(tenant).conversations.leads(None, self.clock(), 200)).items


@asynccontextmanager
async def serving(
    settings: Settings, store: Store, clock: Clock, brain: Brain | None
) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway on a free port, at work."""
    async with AsyncExitStack() as stack:
        # A scripted brain needs no model.
        embedder = NoEmbedder() if brain is not None else None
        gateway = await stack.enter_async_context(
            build(settings, store, clock, brain=brain, embedder=embedder)
        )
        await stack.enter_async_context(working(gateway))
        port = await stack.enter_async_context(listening(gateway.app, "127.0.0.1", 0))
        yield gateway, f"http://127.0.0.1:{port}"


@pytest.fixture
async def running(
    settings: Settings, store: Store, clock: MovableClock, graph: GraphStandIn
) -> AsyncIterator[Running]:
    """A gateway with the tenant `acme`, its WhatsApp number `ch_wa` and its site `ch_web`; the brain is scripted."""
    await make_tenant(store, region="ES")
    await make_whatsapp(store)
    await make_site(store)
    brain = ScriptedBrain()
    async with serving(settings, store, clock, brain) as (gateway, url), aiohttp.ClientSession() as http:
        yield Running(gateway, url, http, brain, clock, graph)
