"""Puts the brain together: the local one, and the providers of answers that tenants may have, over the way out that is theirs."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from brain.answerer import Answerer
from brain.circuit import Circuits
from brain.embed import Embedder
from brain.providers.local import Quote
from brain.providers.registry import Operator, Providers, accounts
from brain.retrieve import Retriever
from brain.spend import Meter
from gateway.model.ports import Clock
from gateway.ops.egress import Egress
from gateway.settings import Settings
from gateway.store import Store

CONNECTIONS = 256


@dataclass(frozen=True, slots=True)
class Brains:
    """The brain, and the providers that it asks: their vectors are wanted where documents are read, too."""

    answerer: Answerer
    providers: Providers


def operator_of(settings: Settings) -> Operator:
    return Operator(settings.cohere_api_url, settings.cohere_api_key, settings.answers_internal_hosts)


def guarded_session(egress: Egress) -> aiohttp.ClientSession:
    """For addresses that tenants name: every connection is checked where it is made. Not `Egress.session`, which is bounded
    for reading a site: models answer many customers at once."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, ttl_dns_cache=60, socket_factory=egress.socket)
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
    )


def build_brains(
    settings: Settings,
    store: Store,
    clock: Clock,
    embedder: Embedder,
    session: aiohttp.ClientSession,
    guarded: aiohttp.ClientSession,
    monotonic: Callable[[], float],
) -> Brains:
    operator = operator_of(settings)
    meter = Meter(store.spending, clock)
    account = accounts(store.directory.tenant, operator)
    providers = Providers(session, guarded, account, meter, operator.internal)
    retriever = Retriever(
        store.knowledge,
        embedder,
        providers.remote,
        search=store.vector_search if settings.vector_search else None,
    )
    answerer = Answerer(retriever, embedder, Quote(embedder), providers.models, meter, Circuits(monotonic))
    return Brains(answerer, providers)


@asynccontextmanager
async def opened_brains(
    settings: Settings, store: Store, clock: Clock, embedder: Embedder, monotonic: Callable[[], float]
) -> AsyncIterator[Brains]:
    """The same with sessions of its own: for a command."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session,
        guarded_session(Egress(settings.egress_allow)) as guarded,
    ):
        yield build_brains(settings, store, clock, embedder, session, guarded, monotonic)
