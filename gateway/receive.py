"""The edge in: a provider's webhook is verified over its raw bytes, read, stored, and only then acknowledged.

A refusal says nothing beyond its status. 401: not authentic; 404: no such channel; 400: not this provider's;
413: too large; 415: compressed; 503: could not be stored, try again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from aiohttp import web
from loguru import logger

from gateway import handoff
from gateway.inbox import Inbox
from gateway.model.errors import Inbound, NotAuthentic, NotForUs, NotFound, ParleyError, Unavailable
from gateway.model.message import Message, Status
from gateway.model.ports import ChannelEvent, Clock, Parsed, WebhookAdapter
from gateway.model.tenant import Channel
from gateway.signals import Signals
from gateway.store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

AccountEvents = Callable[[Channel, ChannelEvent], Awaitable[None]]
"""Takes what a provider told of templates and of what the account may do."""

MAX_BODY = 3 * 1024 * 1024
"""Bytes. The largest webhook that a provider documents is 3 MB (WhatsApp)."""

MAX_UNSIGNED = 64 * 1024

ECHO_COUNTS = timedelta(hours=1)
"""An answer from the provider's own app that we are told of later than this says nothing about who answers now."""


class Receive:
    """The webhook routes of every channel whose provider calls us.

    `apps` holds, by channel kind, the app-wide secret and verify token, if the operator has set them.
    """

    def __init__(
        self,
        store: Store,
        inbox: Inbox,
        webhooks: Mapping[str, WebhookAdapter],
        apps: Mapping[str, tuple[str | None, str | None]],
        clock: Clock,
        account_events: AccountEvents | None = None,
        signals: Signals | None = None,
    ) -> None:
        self._signals = signals or Signals(store, clock)
        self._account_events = account_events
        self._store = store
        self._inbox = inbox
        self._webhooks = webhooks
        self._apps = apps
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        routes: list[web.RouteDef] = []
        for kind, adapter in self._webhooks.items():
            for path in (f"/webhooks/{kind}{place}" for place in adapter.paths):
                if any(s.name == "verify_token" for s in adapter.settings):
                    routes.append(web.get(path, self._challenge_of(kind), allow_head=False))
                routes.append(web.post(path, self._events_of(kind), expect_handler=_expected))
        return routes

    def _challenge_of(self, kind: str) -> Handler:
        async def challenge(request: web.Request) -> web.Response:
            try:
                _, token = await self._secrets(kind, request.match_info.get("channel"), "verify_token")
                answer = self._webhooks[kind].challenge(token, request.query)
            except (Inbound, NotFound) as error:
                return _refusal(error)
            return web.Response(text=answer)

        return challenge

    def _events_of(self, kind: str) -> Handler:
        async def events(request: web.Request) -> web.Response:
            try:
                answer = await self._receive(kind, request)
            except ParleyError as error:
                logger.bind(channel_kind=kind, channel=request.match_info.get("channel")).info(
                    "webhook refused: {}", type(error).__name__
                )
                return _refusal(error)
            except _Refused as error:
                return await _hang_up(request, error.status)
            return web.Response() if answer is None else web.json_response(text=answer)

        return events

    async def _receive(self, kind: str, request: web.Request) -> str | None:
        adapter = self._webhooks[kind]
        _admit(request, signed=adapter.signature_header in request.headers)
        channel, secret = await self._secrets(kind, request.match_info.get("channel"), adapter.signing_secret)
        body = await _raw(request)
        adapter.verify(secret, {k.lower(): v for k, v in request.headers.items()}, body)
        if channel is not None:
            return await self._take(channel, adapter.parse(channel, body))
        return await self.app_wide(adapter, body)

    async def app_wide(self, adapter: WebhookAdapter, body: bytes) -> str | None:
        """Take an authentic body that may speak of any account; what to answer."""
        if (greeting := adapter.greeting(body)) is not None:
            return greeting
        answer = None
        for account in adapter.accounts(body):
            try:
                channels = await self._store.directory.meant(adapter.kind, account)
            except Unavailable:
                raise
            except ParleyError as error:  # one account's trouble is not the others'
                logger.bind(channel_kind=adapter.kind).warning("an app-wide webhook can't be used: {}", error)
                continue
            for channel in channels:
                answer = await self._take(channel, adapter.parse(channel, body)) or answer
        return answer

    async def pulled(self, adapter: WebhookAdapter, channel: Channel, body: bytes) -> str | None:
        """Take a body that an adapter has fetched itself for a channel."""
        return await self._take(channel, adapter.parse(channel, body))

    async def _secrets(self, kind: str, channel_id: str | None, name: str) -> tuple[Channel | None, str]:
        """The channel (None for the app-wide address) and the secret to check with. Raises NotFound."""
        if channel_id is None:
            secret, token = self._apps.get(kind, (None, None))
            value = token if name == "verify_token" else secret
            if not value:
                raise NotFound("no app-wide secret is set")
            return None, value
        channel = await self._store.directory.channel(channel_id)
        if channel.kind != kind:
            raise NotFound(channel_id)
        return channel, channel.secrets.get(name, "")

    async def _take(self, channel: Channel, parsed: Parsed) -> str | None:
        """Store what a body held. Receipts after messages: a late one must not delay a customer."""
        stored = await self._inbox.put(channel, parsed.messages)
        await self._begin(channel, [m for m, _ in stored if m.status is not Status.RECEIVED])
        await self._signals.heard(channel, [m for m, _ in stored])
        for message, theirs in stored:
            recent = self._clock() - message.at < ECHO_COUNTS and not message.extra.get("past")
            if message.author == "agent" and theirs and recent:
                await self._taken_over(channel, message)
        if parsed.receipts:
            await self._store.of(channel.tenant).receipts.apply(channel.id, parsed.receipts, self._clock())
            await self._signals.receipts(channel, parsed.receipts)
        for event in parsed.events:
            await self._happened(channel, event)
        for kind in parsed.ignored:
            logger.bind(tenant=channel.tenant, channel=channel.id).info("known and without effect: {}", kind)
        return parsed.answer

    async def _begin(self, channel: Channel, messages: Sequence[Message]) -> None:
        """What starts no turn starts its conversation here, so that somebody can see it. The latest is what it shows."""
        store = self._store.of(channel.tenant).conversations
        latest = {m.conversation: m for m in sorted(messages, key=lambda m: m.at)}
        missing = set(latest) - await store.there(list(latest))
        if missing:
            tenant = await self._store.directory.tenant(channel.tenant)
            for message in (latest[i] for i in sorted(missing)):
                await store.begin(message, tenant.language, message.at)

    async def _taken_over(self, channel: Channel, message: Message) -> None:
        """A person of the business answered from the provider's own app: the conversation is theirs."""
        store = self._store.of(channel.tenant)
        await handoff.set_owner(store, message.conversation, "agent")
        await store.messages.took_effect(message.id)

    async def _happened(self, channel: Channel, event: ChannelEvent) -> None:
        events = self._store.of(channel.tenant).events
        if await events.known(channel.id, event):
            return
        if event.disable:
            # Before it is known: stopped in between, it is told again and done then.
            await self._store.directory.refresh()
            await self._store.directory.disable(await self._store.directory.channel(channel.id))
        if self._account_events is not None and (event.template or event.account):
            # As well: what was paused is not to be sent, whether or not anybody could be told.
            await self._account_events(channel, event)
        await self._signals.ended(channel, event)
        await events.put(channel.id, event, self._clock())
        log = logger.bind(tenant=channel.tenant, channel=channel.id)
        (log.warning if event.warning or event.disable else log.info)("{}: {}", event.name, event.text)


class _Refused(Exception):
    """Refused before the body was read: the connection is closed rather than drained."""

    def __init__(self, status: int) -> None:
        self.status = status


def _admit(request: web.Request, signed: bool) -> None:
    """Refuse by the head alone, before anything is looked up or read. Raises _Refused."""
    if any(e.strip().lower() != "identity" for e in request.headers.getall("Content-Encoding", [])):
        raise _Refused(415)
    if not signed:
        raise _Refused(401)
    if request.content_length is not None and request.content_length > MAX_BODY:
        raise _Refused(413)


async def _raw(request: web.Request) -> bytes:
    """The body's bytes, never more than the limit."""
    if request.headers.get("Expect"):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_chunked(MAX_UNSIGNED):
        size += len(part)
        if size > MAX_BODY:
            raise _Refused(413)
        parts.append(part)
    return b"".join(parts)


def _refusal(error: Exception) -> web.Response:
    match error:
        case NotAuthentic():
            return web.Response(status=401)
        case NotFound():
            return web.Response(status=404)
        case Unavailable():
            return web.Response(status=503, headers={"Retry-After": "5"})
        case NotForUs():
            return web.Response(status=400)
        case _:  # our own trouble, such as secrets that can't be opened: the provider tries again
            return web.Response(status=503, headers={"Retry-After": "60"})


async def _expected(_: web.Request) -> None:
    """A client that asks before it sends its body is told to go on where the body is read, and not before."""


async def _hang_up(request: web.Request, status: int) -> web.Response:
    """Answer without the body. What is left of a small one is passed over so that the answer arrives; with a
    large or endless one the connection is cut, for the server would go on reading otherwise."""
    response = web.Response(status=status)
    response.force_close()
    size = request.content_length
    if not request.content.at_eof() and (size is None or size > MAX_UNSIGNED):
        await response.prepare(request)
        await response.write_eof()
        request.protocol.force_close()
    return response
