"""The only wiring: what is built, from what, in which order; and taken down in reverse."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from loguru import logger

from brain.answerer import local_answerer
from brain.embed import Embedder, WordLlamaEmbedder
from channels import registry
from channels.registry import WebAdapter
from consent.keywords import in_content
from gateway.api import Api
from gateway.api.answers import AnswerOperations
from gateway.api.knowledge import KnowledgeOperations
from gateway.brains import build_brains, guarded_session, operator_of
from gateway.campaigns import Campaigns
from gateway.campaigns_run import Runner
from gateway.console import Console
from gateway.console.pages import COOKIE
from gateway.deliver import Deliver
from gateway.desk import Desk
from gateway.files import FileLinks, FileRoutes
from gateway.inbox import Inbox
from gateway.install import Install
from gateway.intake import Intake
from gateway.knowing import Knowing
from gateway.learn import Learner
from gateway.media import FETCHES, Media
from gateway.missed import Missed
from gateway.model.answers import Brain
from gateway.model.clock import Sequencer, system_clock
from gateway.model.content import Content
from gateway.model.permission import Permissions
from gateway.model.ports import Clock
from gateway.model.work import Work
from gateway.ops.again import again_and_again
from gateway.ops.door import Door
from gateway.ops.egress import Egress
from gateway.ops.health import Health, Metrics
from gateway.ops.http import guard
from gateway.ops.notes import circuit_log, delivery_log, work_failed
from gateway.ops.patience import PATIENCE, Patience
from gateway.presence import Presence
from gateway.pull import FOLLOWS, Pull
from gateway.questions import EVERY as WRITES
from gateway.questions import Questions
from gateway.receive import Receive
from gateway.reopen import Reopen
from gateway.session import Sessions
from gateway.settings import Settings, development_key
from gateway.signals import Signals
from gateway.sockets import Sockets
from gateway.store import Store
from gateway.store.database import RoundTrips, connect, database, migrate
from gateway.store.directory import POLL
from gateway.store.embedded import embedded, running_uri
from gateway.store.journal import Journal
from gateway.store.vault import Vault
from gateway.template_sync import TemplateSync
from gateway.templates import Templates
from gateway.turn import Turns
from gateway.uploads import Uploads
from gateway.widget import Widget
from gateway.work.bus import RedisBus
from gateway.work.circuit import Circuit
from gateway.work.hints import RedisWork
from gateway.work.limits import RateLimits
from gateway.work.local import LocalWork
from gateway.work.pace import SAVES, LocalPace
from gateway.work.redis import Redis
from gateway.work.redis import connect as connect_redis
from gateway.work.shared_pace import SharedPace
from gateway.work.sweeper import EVERY, Sweeper
from gateway.work.watch import WATCH, WorkerWatch

TEMPLATES = 20.0
"""Seconds between looks for business accounts whose templates are due, or new."""

TEMPLATES_AFTER = 5.0
"""Seconds until the first: a process that starts sees to its customers first."""

LEARNS = 1.0
"""Seconds between looks for sources of knowledge that are to be read."""

CAMPAIGNS = 1.0
"""Seconds between looks for campaigns with something to do."""

EXPIRY = 60.0
"""Seconds between removals of what has expired."""

ASKED_AGAIN = 32 * 1024 * 1024
"""Bytes of indexes for golden questions and replays: beside those for customers."""

LAST_LOOK = 1.0
LAST_REQUESTS = 5.0
STOP_SECONDS = 20.0
"""What is under way gets this long to end before the process does: 30 seconds in all, with the requests and the connections."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One running gateway; `url` is where it listens."""

    settings: Settings
    store: Store
    inbox: Inbox
    redis: Redis | None
    work: Work
    turns: Turns
    deliver: Deliver
    lanes: LocalPace
    sweeper: Sweeper
    channels: registry.Registry
    brain: Brain
    embedder: Embedder
    questions: Questions
    metrics: Metrics
    app: web.Application
    clock: Clock
    media: Media
    receive: Receive
    pull: Pull
    desk: Desk
    limits: RateLimits
    templates: Templates
    template_sync: TemplateSync
    campaigns: Runner
    learner: Learner
    intake: Intake


@asynccontextmanager
async def open_store(
    settings: Settings,
    clock: Clock = system_clock,
    *,
    beside: bool = True,
    listener: RoundTrips | None = None,
    say: Callable[[str], None] = logger.info,
) -> AsyncIterator[Store]:
    """The store that the settings name, migrated.

    Without MONGODB_URI it is the embedded database: the one that a running gateway has on this folder (`beside`), else
    one of our own. Raises FolderInUse, EmbeddedFailed, Unavailable.
    """
    async with AsyncExitStack() as stack:
        uri = settings.mongodb_uri or (await running_uri(settings.data_dir) if beside else None)
        own = uri is None
        if uri is None:
            uri = await stack.enter_async_context(embedded(settings.data_dir, logger.warning))
        client = connect(uri, listener)
        stack.push_async_callback(client.close)
        db = database(client)
        await migrate(db, say)
        vault = Vault(settings.secret_keys or (development_key(settings.data_dir),))
        store = Store(db, vault, clock, Journal(settings.data_dir))
        stack.push_async_callback(store.close)
        await store.put_back()
        if own:
            await store.open_work.release(clock())
            await store.sources.release(clock())
        yield store


@asynccontextmanager
async def build(
    settings: Settings,
    store: Store,
    clock: Clock = system_clock,
    *,
    brain: Brain | None = None,
    embedder: Embedder | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Gateway]:
    """A gateway over a store: everything built, nothing running yet."""
    # No limit a host: most of what we send goes to one, and what bounds it is each account's own limit.
    connector = aiohttp.TCPConnector(limit=512, ttl_dns_cache=60, keepalive_timeout=15)
    timeout = aiohttp.ClientTimeout(total=20, sock_connect=5)
    # DummyCookieJar: a provider's cookies belong to nobody. auto_decompress stays; only verified providers answer.
    async with (
        aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        ) as session,
        guarded_session(Egress(settings.egress_allow)) as guarded,
        _redis(settings) as redis,
        _work(redis) as work,
    ):
        metrics = Metrics()
        metrics.ask(
            "dead_letters",
            "Messages that were given up and nobody has looked at (counted to 1000).",
            store.open_work.dead_letters,
        )
        if isinstance(work, RedisWork):
            metrics.gauge("workers", "Processes that do the work; NaN while Redis is away.", work.count)
        links = FileLinks(store.vault.signing_keys("file"), clock)
        channels = registry.build(
            settings,
            session,
            store.vault.signing_keys("visitor"),
            clock,
            store.files,
            store.directory.keep,
            links.of_widget,
            store.access.use_ticket,
        )
        sequencer = Sequencer(clock)
        media = Media(store, channels.webhooks, clock)
        pool = redis.connection_pool if redis is not None else None
        limits = RateLimits(pool, monotonic, lambda name: metrics.add("limited", name))
        embedder = embedder or WordLlamaEmbedder()
        questions = Questions(store, embedder, clock, metrics.add)
        inbox = Inbox(store, work, clock, sequencer, limits, media.wake.set, _is_stop, questions.reacted)
        brains = build_brains(settings, store, clock, embedder, session, guarded, monotonic)
        brain = brain or brains.answerer
        lanes = LocalPace(monotonic, clock, store.lanes)
        # Redis's own clock is the same for all processes; a clock that a test moves stands for it.
        moved = None if clock is system_clock else lambda: clock().timestamp()
        shared = SharedPace(lanes, redis, monotonic, moved) if redis is not None else lanes
        pace = Circuit(shared, monotonic, random.random, circuit_log(metrics))
        signals = Signals(store, clock)
        deliver = Deliver(store, channels.adapters, pace, clock, delivery_log(metrics), signals=signals)
        turns = Turns(store, channels.adapters, brain, deliver, clock, sequencer, work, questions.note)
        sockets = Sockets(store, inbox, channels.web, clock, monotonic, limits, questions.rated)
        apps = {
            "whatsapp": (settings.whatsapp_app_secret, settings.whatsapp_verify_token),
            "slack": (settings.slack_signing_secret, None),
        }
        templates = Templates(store, channels.templates, clock)
        reopen = Reopen(store, channels.adapters, clock)
        campaigns = Runner(store, channels.adapters, clock, sequencer)
        templates.on_change(campaigns.template_changed)
        signals.tripped = campaigns.channel_tripped
        managed = Campaigns(store, channels.adapters, clock)
        egress = Egress(settings.egress_allow)
        intake = Intake(store, clock, egress)
        learner = Learner(store, embedder, clock, egress, brains.providers.remote)
        template_sync = TemplateSync(store, channels.templates, templates, clock)
        receive = Receive(
            store, inbox, channels.webhooks, apps, clock, template_sync.happened, signals=signals
        )
        desk = Desk(store, channels.adapters, work, clock, sequencer)
        bus = RedisBus(redis) if redis is not None else None
        presence = Presence(store, channels.adapters, channels.web.hub, bus)
        door = Door(limits, settings.trusted_proxies, monotonic)
        patience = Patience()
        url = settings.public_url
        api = Api(
            store,
            work,
            clock,
            url,
            desk,
            links,
            limits,
            presence,
            templates,
            template_sync,
            reopen,
            managed,
            knowledge=KnowledgeOperations(store, intake, embedder, clock),
            answers=AnswerOperations(store, brains.answerer, operator_of(settings), clock),
            questions=questions,
            knowing=Knowing(
                store, local_answerer(store.knowledge, embedder, ASKED_AGAIN), brains.answerer, clock
            ),
        )
        app = web.Application(middlewares=[guard, patience.wait, door.admit], client_max_size=4 * 1024 * 1024)
        app[PATIENCE] = patience
        app.add_routes(
            [
                *Health(store, metrics, redis).routes(),
                *receive.routes(),
                *Sessions(store, channels.web, clock, settings.public_url, limits).routes(),
                *sockets.routes(),
                *Widget(store.directory, settings.public_url).routes(),
                *api.routes(),
                *FileRoutes(store, links, clock).routes(),
                *Uploads(store, channels.web, clock, links).routes(),
                *Install(store, channels.slack, clock, settings.public_url, COOKIE).routes(),
                *Console(store, clock, url.startswith("https://"), links, desk, reopen, questions).routes(),
            ]
        )
        app.on_shutdown.append(lambda _: sockets.close())
        async with _frames(bus, store, channels.web):
            yield Gateway(
                settings=settings,
                store=store,
                redis=redis,
                inbox=inbox,
                work=work,
                turns=turns,
                deliver=deliver,
                lanes=lanes,
                sweeper=Sweeper(store, work, clock, deliver.has_room_for_bulk, signals.matched),
                channels=channels,
                brain=brain,
                embedder=embedder,
                questions=questions,
                metrics=metrics,
                app=app,
                clock=clock,
                media=media,
                receive=receive,
                pull=Pull(store, receive, channels.webhooks, channels.pullers, clock),
                desk=desk,
                limits=limits,
                templates=templates,
                template_sync=template_sync,
                campaigns=campaigns,
                learner=learner,
                intake=intake,
            )


@asynccontextmanager
async def _frames(bus: RedisBus | None, store: Store, widget: WebAdapter) -> AsyncIterator[None]:
    """Frames between processes, where there is a Redis."""
    if bus is None:
        yield
        return
    missed = Missed(store, widget, lambda: bus.connected)
    widget.hub.over(bus, missed.tell)
    async with bus.running(widget.hub), missed.running():
        yield


@asynccontextmanager
async def _redis(settings: Settings) -> AsyncIterator[Redis | None]:
    """The process's one client, where there is a Redis."""
    if settings.redis_url is None:
        yield None
        return
    redis = connect_redis(settings.redis_url)
    try:
        yield redis
    finally:
        await redis.aclose()


@asynccontextmanager
async def _work(redis: Redis | None) -> AsyncIterator[Work]:
    if redis is None:
        yield LocalWork(failed=work_failed)
        return
    async with RedisWork(redis, failed=work_failed) as work:
        yield work


@asynccontextmanager
async def looking(gateway: Gateway) -> AsyncIterator[None]:
    """What a process does beside its requests that leaves the work to others: it finds what is due and says so."""
    stop = asyncio.Event()
    # Only who sends knows whether bulk has room: the workers look for it.
    sweeper = Sweeper(
        gateway.store,
        gateway.work,
        gateway.clock,
        lambda _: False,
        Signals(gateway.store, gateway.clock).matched,
    )
    wanted = [
        ("sweeper", sweeper.sweep, EVERY),
        ("directory", gateway.store.directory.refresh, POLL),
    ]
    if isinstance(gateway.work, RedisWork):
        wanted.append(("worker watch", WorkerWatch(gateway.work.count).look, WATCH))
    looks = [asyncio.create_task(again_and_again(n, look, every, stop), name=n) for n, look, every in wanted]
    # Here, too: a webhook that asks for a look comes to this process.
    looks.append(asyncio.create_task(_following_templates(gateway, stop), name="templates"))
    try:
        yield
    finally:
        stop.set()
        gateway.template_sync.wake.set()
        await asyncio.wait(looks, timeout=LAST_LOOK)
        for task in looks:
            task.cancel()
        await asyncio.wait(looks, timeout=LAST_LOOK)


@asynccontextmanager
async def working(gateway: Gateway) -> AsyncIterator[None]:
    """Do the work: turns, deliveries, sweeps. On leaving, what is under way comes to its end."""
    stop = asyncio.Event()
    looks = [
        asyncio.create_task(
            again_and_again("fetcher", gateway.media.sweep, FETCHES, stop, gateway.media.wake), name="media"
        ),
        asyncio.create_task(again_and_again("puller", gateway.pull.follow, FOLLOWS, stop), name="pull"),
        asyncio.create_task(again_and_again("sweeper", gateway.sweeper.sweep, EVERY, stop), name="sweeper"),
        asyncio.create_task(
            again_and_again("expiry", gateway.store.remove_expired, EXPIRY, stop), name="expiry"
        ),
        asyncio.create_task(_following_templates(gateway, stop), name="templates"),
        asyncio.create_task(
            again_and_again("campaigns", gateway.campaigns.look, CAMPAIGNS, stop), name="campaigns"
        ),
        asyncio.create_task(
            again_and_again("questions", gateway.questions.write, WRITES, stop), name="questions"
        ),
        asyncio.create_task(again_and_again("learner", gateway.learner.look, LEARNS, stop), name="learner"),
        asyncio.create_task(
            again_and_again("uploads", gateway.learner.uploads, LEARNS, stop), name="uploads"
        ),
        asyncio.create_task(again_and_again("lanes", gateway.lanes.save, SAVES, stop), name="lanes"),
        asyncio.create_task(
            again_and_again("directory", gateway.store.directory.refresh, POLL, stop), name="directory"
        ),
    ]
    tasks = [
        *looks,
        asyncio.create_task(gateway.work.run(gateway.turns.handle), name="work"),
        # Loading the model takes seconds: not the first customer's.
        asyncio.create_task(_warmed(gateway.embedder), name="embedder"),
    ]
    try:
        yield
    finally:
        stop.set()
        gateway.media.wake.set()
        gateway.template_sync.wake.set()
        # A look that is broken off in the middle would leave a connection half made.
        await asyncio.wait(looks, timeout=LAST_LOOK)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*tasks, return_exceptions=True)
                await gateway.campaigns.close()
                await gateway.questions.close()
                await gateway.pull.close()
                await gateway.media.close()
                await gateway.lanes.save()


async def _following_templates(gateway: Gateway, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TEMPLATES_AFTER):
            await gateway.template_sync.wake.wait()
    sync = gateway.template_sync
    await again_and_again("template sync", sync.look, TEMPLATES, stop, sync.wake)


async def _warmed(embedder: Embedder) -> None:
    await embedder.embed(["opening hours"])


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve HTTP; yields the port (a free one for 0)."""
    # A refused body is not read to its end: the connection is closed. No access log: it would hold addresses.
    runner = web.AppRunner(
        app, access_log=None, keepalive_timeout=75, lingering_time=0.5, shutdown_timeout=LAST_REQUESTS
    )
    await runner.setup()
    server = None
    try:
        assert runner.server is not None
        made, patience = runner.server, app.get(PATIENCE)
        server = await asyncio.get_running_loop().create_server(
            patience.connections(made) if patience else made, host, port, backlog=1024, reuse_address=True
        )
        yield server.sockets[0].getsockname()[1]
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()


def _is_stop(content: Content, permissions: Permissions) -> bool:
    found = in_content(content, permissions)
    return found is not None and found.family == "stop"
