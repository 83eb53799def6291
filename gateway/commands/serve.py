"""`run`, `web`, `worker`, `migrate`, `doctor`: the processes, and whether they could start."""

import argparse
import asyncio
import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from loguru import logger

from gateway.bootstrap import Gateway, build, listening, looking, open_store, working
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.demo import Demo, prepare
from gateway.settings import Settings
from gateway.store import Store
from gateway.work.redis import check

STATES = {True: "ok   ", None: "warn ", False: "FAIL "}


def add(commands: "Commands") -> None:
    for name, call, text in (
        ("run", run, "everything in one process, with the demo tenant in development"),
        ("web", web, "HTTP and sockets, on MONGODB_URI; the work, too, where there is no REDIS_URL"),
        ("worker", worker, "the work: turns, deliveries, files; any number, on MONGODB_URI and REDIS_URL"),
        ("migrate", migrate, "bring the database to what this version needs; safe to repeat"),
        ("doctor", doctor, "check settings, database and channels, and say what to mend"),
    ):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(call=call, needs_store=name in ("migrate", "doctor"), json=False)


async def run(context: Context, _: argparse.Namespace) -> None:
    settings = context.settings
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings, beside=False))
        async with _serving(settings, store) as gateway:
            stop = stopping()
            if not settings.production:
                demo = await prepare(gateway)
                print(_welcome(gateway, demo), flush=True)
            await stop.wait()
            logger.info("stopping: what is under way comes to its end")


async def web(context: Context, _: argparse.Namespace) -> None:
    settings = context.settings
    _needs_database(settings)
    # Without Redis nobody could be told of the work: it is done here (docs/decisions/0008).
    beside = looking if settings.redis_url else working
    stop = stopping()
    async with open_store(settings) as store, _serving(settings, store, beside):
        await stop.wait()


async def worker(context: Context, _: argparse.Namespace) -> None:
    settings = context.settings
    _needs_database(settings)
    stop = stopping()
    async with open_store(settings) as store, build(settings, store) as gateway:
        if settings.redis_url is None:  # a visitor's socket is reached from its own process only
            gateway = replace(gateway, turns=gateway.turns.without("web"))
        async with working(gateway):
            logger.info("working")
            await stop.wait()
            logger.info("stopping: what is under way comes to its end")


Beside = Callable[[Gateway], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _serving(settings: Settings, store: Store, beside: Beside = working) -> AsyncIterator[Gateway]:
    """A gateway that listens, and what it does beside; the port may turn out to be another (0)."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(build(settings, store))
        await stack.enter_async_context(beside(gateway))
        try:
            port = await stack.enter_async_context(listening(gateway.app, settings.host, settings.port))
        except OSError as error:
            raise Failed(f"PORT {settings.port} on {settings.host} can't be used: {error.strerror}") from None
        logger.info("listening on http://{}:{}", settings.host, port)
        shown = settings if settings.port else replace(settings, public_url=f"http://127.0.0.1:{port}")
        yield replace(gateway, settings=shown)


STOPS_IN: Final = 29.0


def _give_up() -> None:
    logger.error(
        "it did not stop in {:.0f} s, and is ended hard; what was under way is taken up again", STOPS_IN
    )
    faulthandler.dump_traceback(sys.stderr)
    os._exit(1)


def stopping() -> asyncio.Event:
    """Set by SIGTERM and SIGINT; a second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def first(number: int) -> None:
        stop.set()
        # Whatever hangs, whoever told us to stop does not wait for ever; and a process that is killed loses nothing.
        watchdog = threading.Timer(STOPS_IN, _give_up)
        watchdog.daemon = True
        watchdog.start()
        with contextlib.suppress(ValueError, RuntimeError):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first, number)
    return stop


async def migrate(context: Context, _: argparse.Namespace) -> None:
    # Opening the store has migrated it.
    print("The database is up to date.")


async def doctor(context: Context, _: argparse.Namespace) -> None:
    settings = context.settings
    await context.store.ping()
    print("ok    settings")
    print(
        f"ok    database ({'MONGODB_URI' if settings.mongodb_uri else 'embedded, in ' + str(settings.data_dir)})"
    )
    redis = await check(settings.redis_url) if settings.redis_url else None
    if redis is not None:
        print(f"{STATES[redis.ok]} Redis {redis.text}. {redis.fix}".rstrip())
    if not settings.public_url.startswith("https://"):
        print(
            f"note  PUBLIC_URL is {settings.public_url}: providers need an https:// address to reach webhooks"
        )
    for tenant in await context.store.directory.tenants():
        documents = await context.store.knowledge.documents(tenant.id)
        print(f"ok    tenant {tenant.id}: {len(documents)} documents")
        for channel in await context.store.directory.channels(tenant.id):
            state = "ok   " if channel.state == "active" else "FAIL "
            print(f"{state} channel {channel.id} ({channel.kind}) is {channel.state}")
    if redis is not None and redis.ok is False:
        raise Failed(f"REDIS_URL: {redis.fix}")


def _needs_database(settings: Settings) -> None:
    if settings.mongodb_uri is None:
        raise Failed("MONGODB_URI: needed here. `run` starts everything on the embedded database instead.")


def _welcome(gateway: Gateway, demo: Demo) -> str:
    url = gateway.settings.public_url
    return f"""
Parley is running.

  Demo page   {url}/demo
  Console     {url}/console/sign-in?link={demo.link}
  API docs    {url}/api/docs

The console link signs you in once, within 30 minutes. A new one: python -m gateway user link --email {demo.email}

Your own channel, in a second terminal:
  .venv/bin/python -m gateway channel add web --tenant {demo.tenant} --origin https://www.example.com
  .venv/bin/python -m gateway channel add telegram --tenant {demo.tenant} --token - --poll
  .venv/bin/python -m gateway channel add whatsapp|slack|webhook --tenant {demo.tenant} --help
Your own documents:
  .venv/bin/python -m gateway knowledge add --tenant {demo.tenant} FOLDER

Ctrl-C stops it.
"""
