"""The channels' adapters, for a command that asks a provider."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from channels import registry
from gateway.commands.context import Context
from gateway.model.clock import system_clock


@asynccontextmanager
async def registered(context: Context) -> AsyncIterator[registry.Registry]:
    """Every adapter over one session. No visitor is signed in and no file is linked to from here."""
    store = context.store
    # A cookie jar that keeps nothing, as in the gateway itself.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield registry.build(
            context.settings,
            session,
            (b"",),
            system_clock,
            store.files,
            store.directory.keep,
            lambda *_: "",
            store.access.use_ticket,
        )
