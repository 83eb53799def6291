"""From a tenant's account to its models, and to what it offers to retrieval."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from brain.port import Account, AccountOf, LanguageModel, Remote
from brain.providers.cohere import CHAT, EMBED, RERANK, SMALLER, CohereChat, CohereEmbedder, CohereReranker
from brain.providers.openai import OpenAIChat
from brain.providers.wire import Endpoint
from brain.spend import Meter
from gateway.model.answers import Question
from gateway.model.tenant import Tenant

SECRET: Final = "answers"  # noqa: S105 (a name)
"""The name of the provider's key among a tenant's secrets."""


@dataclass(frozen=True, slots=True)
class Operator:
    """What the operator of the installation offers to every tenant: Cohere's address, and a key for it, if any. `internal`: hosts
    (with a port, where it is not the usual one) inside the own network that tenants may name."""

    cohere_url: str
    cohere_key: str | None = None
    internal: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Operator(…)"


def account_of(tenant: Tenant, operator: Operator) -> Account:
    """Who answers for a tenant. What lacks a key, an address or a model that it needs is answered locally."""
    settings, own = tenant.answers, tenant.secrets.get(SECRET)
    if settings.provider == "openai":
        if settings.address and settings.model and address_fault(settings.address, operator.internal) is None:
            return Account(tenant.id, settings, "openai", own, settings.address)
        return Account(tenant.id, settings)
    key = own or operator.cohere_key
    if settings.provider in ("auto", "cohere") and key:
        return Account(tenant.id, settings, "cohere", key, operator.cohere_url)
    return Account(tenant.id, settings)


def address_fault(address: str, internal: tuple[str, ...]) -> str | None:
    """What is wrong with an endpoint's address, as what is expected instead; None: nothing."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment or "\\" in address:
        return "an address such as https://api.example.com/v1, without user, query or fragment"
    if is_internal(address, internal):
        return (
            None if parts.scheme in ("http", "https") else "an address that begins with https:// or http://"
        )
    if parts.scheme != "https":
        return "an address that begins with https:// (http:// only for hosts in ANSWERS_INTERNAL_HOSTS)"
    return (
        None if port in (None, 443) else "the usual port (another only for hosts in ANSWERS_INTERNAL_HOSTS)"
    )


def is_internal(address: str, internal: tuple[str, ...]) -> bool:
    """Whether the operator lets an address lead into their own network."""
    return urlsplit(address).netloc.lower() in internal


def accounts(tenant_of: Callable[[str], Awaitable[Tenant]], operator: Operator) -> AccountOf:
    async def find(tenant: str) -> Account:
        return account_of(await tenant_of(tenant), operator)

    return find


class Providers:
    """One for the whole process. `session` is for the operator's own addresses, `guarded` for those that tenants name: it
    connects to nothing inside the operator's network but what they allow."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        guarded: aiohttp.ClientSession,
        account: AccountOf,
        meter: Meter,
        internal: tuple[str, ...] = (),
    ) -> None:
        self._session = session
        self._guarded = guarded
        self._internal = internal
        self.account = account
        self._meter = meter

    async def models(self, tenant: str) -> Sequence[LanguageModel]:
        """The models to ask, in order; none: what is here answers. Raises NotFound and the store's errors."""
        return self.models_of(await self.account(tenant))

    def models_of(self, account: Account) -> Sequence[LanguageModel]:
        settings = account.settings
        if account.provider == "cohere":
            names = _distinct(settings.model or CHAT, settings.smaller or SMALLER)
            endpoint = Endpoint(self._session, account.address, account.key)
            return [CohereChat(endpoint, name, _circuit(account, name)) for name in names]
        if account.provider == "openai":
            names = _distinct(settings.model, settings.smaller)
            allowed = is_internal(account.address, self._internal)
            endpoint = Endpoint(self._session if allowed else self._guarded, account.address, account.key)
            return [OpenAIChat(endpoint, name, _circuit(account, name)) for name in names]
        return []

    async def remote(self, question: Question) -> Remote:
        """Implements `RemoteOf`. Only Cohere offers something: other endpoints' vectors differ from model to model, and
        would have to be made anew with every change of it."""
        account = await self.account(question.tenant)
        if account.provider != "cohere":
            return Remote()
        endpoint = Endpoint(self._session, account.address, account.key)

        async def billed(model: str, tokens: int, searches: int) -> None:
            async with self._meter.call(question, account.settings, model, tokens, 0, searches):
                pass  # its estimate stays: the provider bills what was sent

        return Remote(CohereEmbedder(endpoint, billed, EMBED), CohereReranker(endpoint, billed, RERANK))


def _distinct(*names: str | None) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))


def _circuit(account: Account, model: str) -> str:
    """Equal for calls that fail together. The key is in it as a digest: one tenant's wrong key stops nobody else."""
    key = hashlib.sha256((account.key or "").encode()).hexdigest()[:16]
    return f"{account.provider} {account.address} {model} {key}"
