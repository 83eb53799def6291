"""The edge towards browsers: the widget's socket, and what a visitor says over it.

Nothing is upgraded before its origin and its single-use ticket are checked. What is said is acknowledged only
once it is stored.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMsgType, web
from loguru import logger

from channels.registry import Hub, Line, WebAdapter, as_text, frames
from gateway.inbox import Inbox, conversation_of
from gateway.model.answers import Thumb
from gateway.model.content import Content, Media, MediaKind
from gateway.model.errors import NotAuthentic, NotFound, Unavailable
from gateway.model.identity import Identity
from gateway.model.limits import LIMITS, Limits
from gateway.model.message import Message, Status
from gateway.model.ports import ChannelEvent, Clock, InboundMessage
from gateway.model.tenant import Channel
from gateway.ops.problems import problem
from gateway.site import open_site
from gateway.store import Store, TenantStore

MAX_FRAME = 64 * 1024
PAGE = 50
RESUME_PAGE = 200
OVERLAP = 60_000_000
"""Microseconds that a resume looks back: a message may be stored a little after one with a later place."""

FLOOD, FLOOD_SECONDS, FLOOD_END = LIMITS["socket"].amount, float(LIMITS["socket"].seconds), 60
PROTOCOL = "parley.v1"
CLOSED = 4403


class Monotonic(Protocol):
    def __call__(self) -> float: ...


Rated = Callable[[str, str, str, Thumb | None], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Visitor:
    channel: Channel
    store: TenantStore
    identity: Identity
    conversation: str
    language: str
    origin: str


class _Closed(Exception):
    """The site does not take this visitor any more."""


class Sockets:
    """The widget's sockets."""

    def __init__(
        self,
        store: Store,
        inbox: Inbox,
        adapter: WebAdapter,
        clock: Clock,
        monotonic: Monotonic,
        limits: Limits,
        rated: Rated,
    ) -> None:
        """`rated` is told what a visitor thinks of an answer: tenant, conversation, message, thumb."""
        self._rated = rated
        self._limits = limits
        self._store = store
        self._inbox = inbox
        self._adapter = adapter
        self._hub: Hub = adapter.hub
        self._clock = clock
        self._monotonic = monotonic
        self._open: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/widget/ws", self.socket)]

    async def socket(self, request: web.Request) -> web.StreamResponse:
        visitor = await self._admit(request)
        if isinstance(visitor, web.Response):
            return visitor
        socket = web.WebSocketResponse(
            protocols=(PROTOCOL,), max_msg_size=MAX_FRAME, compress=False, heartbeat=40.0, timeout=5.0
        )
        await socket.prepare(request)
        line = self._hub.join(visitor.conversation, visitor.channel.tenant)
        self._open.add(socket)
        writer = asyncio.create_task(self._write(socket, line))
        try:
            line.put({"t": "hello", "conversation": visitor.conversation, "now": _iso(self._clock())})
            await self._read(socket, visitor, line)
        finally:
            self._open.discard(socket)
            self._hub.leave(visitor.conversation, line)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return socket

    async def _admit(self, request: web.Request) -> _Visitor | web.Response:
        offered = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return problem(
                426, "upgrade", "This address is for the widget's socket.", headers={"Upgrade": "websocket"}
            )
        try:
            ticket = self._adapter.tokens.read_ticket(offered[1] if len(offered) == 2 else "", self._clock())
            channel = await open_site(self._store.directory, ticket.site)
        except (NotAuthentic, NotFound):
            return problem(401, "ticket", "A socket needs a fresh ticket from /widget/session.")
        if offered[0] != PROTOCOL or request.headers.get("Origin", "") not in channel.origins:
            return problem(403, "origin", "This page's origin is not on the site's list of allowed origins.")
        if not await self._store.access.use_ticket(ticket.id, ticket.expires):
            return problem(401, "ticket", "This ticket was used. Ask /widget/session for another.")
        identity = Identity("web", channel.id, ticket.visitor)
        return _Visitor(
            channel,
            self._store.of(channel.tenant),
            identity,
            conversation_of(channel.id, identity),
            ticket.language,
            request.headers.get("Origin", ""),
        )

    async def _write(self, socket: web.WebSocketResponse, line: Line) -> None:
        """Frames to the socket, one at a time, until it closes or does not keep up."""
        try:
            while not socket.closed:
                frame = await line.frames.get()
                if frame is None:
                    await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
                    return
                await socket.send_str(frame if isinstance(frame, str) else as_text(frame))
        except (ConnectionError, RuntimeError):
            return  # it went away in the middle; the reader ends too

    async def _read(self, socket: web.WebSocketResponse, visitor: _Visitor, line: Line) -> None:
        heard: deque[float] = deque(maxlen=FLOOD_END)
        async for incoming in socket:
            if incoming.type is not WSMsgType.TEXT:
                await socket.close(code=WSCloseCode.UNSUPPORTED_DATA)
                return
            now = self._monotonic()
            heard.append(now)
            if len(heard) == FLOOD_END and now - heard[0] < FLOOD_SECONDS:
                await socket.close(code=WSCloseCode.POLICY_VIOLATION)
                return
            try:
                frame = frames.read(incoming.data)
                if len(heard) > FLOOD and now - heard[-FLOOD - 1] < FLOOD_SECONDS:
                    told = frame.id if isinstance(frame, frames.Send) else None
                    raise frames.BadFrame(
                        "slow_down", "Too many frames at once; try again in a few seconds.", told
                    )
                await self._still_open(visitor)
                await self._handle(visitor, line, frame)
            except _Closed:
                await socket.close(code=CLOSED)
                return
            except frames.BadFrame as error:
                line.put(_error(error))
            except Unavailable:
                await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
                return

    async def _still_open(self, visitor: _Visitor) -> None:
        """A site that was disabled, or lost the page's origin, takes nothing more. Raises _Closed."""
        try:
            channel = await open_site(self._store.directory, visitor.channel.id)
        except NotFound:
            raise _Closed from None
        if visitor.origin not in channel.origins:
            raise _Closed

    async def _handle(self, visitor: _Visitor, line: Line, frame: frames.ClientFrame) -> None:
        messages = visitor.store.messages
        match frame:
            case frames.Send():
                await self._said(visitor, line, frame)
            case frames.Resume(after=after):
                await self._resume(visitor, line, after)
            case frames.More(before=before):
                page = await messages.before(visitor.conversation, before, PAGE)
                line.put(self._page(visitor, page.messages, page.more, older=True))
            case frames.Delivered(upto=upto):
                await visitor.store.receipts.seen(visitor.conversation, upto, Status.DELIVERED, self._clock())
            case frames.Seen(upto=upto):
                await visitor.store.receipts.seen(visitor.conversation, upto, Status.READ, self._clock())
            case frames.Rate(id=identifier, thumb=thumb):
                await self._rated(visitor.channel.tenant, visitor.conversation, identifier, thumb)
            case frames.Ping():
                line.put({"t": "pong"})
            case frames.Typing():
                self._hub.types(visitor.conversation, True)

    async def _resume(self, visitor: _Visitor, line: Line, after: int) -> None:
        messages = visitor.store.messages
        await self._hub.ready(visitor.conversation)
        if after:
            page = await messages.after(visitor.conversation, max(0, after - OVERLAP), RESUME_PAGE)
            if page.more and page.messages[-1].seq <= after:  # so busy a minute must not be all that comes
                page = await messages.after(visitor.conversation, after, RESUME_PAGE)
        else:
            page = await messages.before(visitor.conversation, None, PAGE)
        line.put(self._page(visitor, page.messages, page.more, older=False))
        line.read = max(line.read or 0, page.messages[-1].seq if page.messages else after)

    async def _said(self, visitor: _Visitor, line: Line, frame: frames.Send) -> None:
        await self._slowed(visitor, frame.id)
        content = await self._whole(visitor, frames.content_of(frame), frame.id)
        incoming = InboundMessage(
            provider_id=f"{visitor.identity.id}:{frame.id}",
            identity=visitor.identity,
            address=visitor.conversation,
            at=self._clock(),
            content=content,
            language=visitor.language,
        )
        [(message, new)] = await self._inbox.put(visitor.channel, [incoming], client_id=frame.id)
        if not new:
            message = await visitor.store.messages.get(message.id) or message
        shown = self._adapter.shown(visitor.channel.tenant, message)
        line.put({"t": "ack", "id": frame.id, "message": shown})
        self._hub.spoke(visitor.conversation)
        self._hub.types(visitor.conversation, False)
        if new:
            self._hub.publish(visitor.conversation, {"t": "message", "message": shown}, but=line)
        logger.bind(tenant=visitor.channel.tenant, conversation=visitor.conversation).debug(
            "visitor message stored"
        )

    async def _slowed(self, visitor: _Visitor, told: str) -> None:
        """Refuse, before anything is stored, what a visitor says over their limit; the channel's events say so once in a
        while. Raises BadFrame."""
        tenant = await self._store.directory.tenant(visitor.channel.tenant)
        if not await self._limits.take("contact", visitor.conversation, tenant.limits):
            return
        if not await self._limits.take("told", visitor.conversation):
            now = self._clock()
            text = f"A visitor of the widget wrote faster than their limit allows (conversation {visitor.conversation})."
            event = ChannelEvent(f"limited:{visitor.conversation}:{now:%Y%m%d%H%M}", "limited", now, text)
            await visitor.store.events.put(visitor.channel.id, event, now)
        raise frames.BadFrame("slow_down", "You are writing very fast; try again in a few seconds.", told)

    async def _whole(self, visitor: _Visitor, content: Content, told: str) -> Content:
        """A file that is said, with what we know of it. Raises BadFrame for one that is not this visitor's."""
        if not isinstance(content, Media) or content.file is None:
            return content
        try:
            file = await visitor.store.files.get(content.file)
        except NotFound:
            file = None
        if file is None or file.conversation != visitor.conversation or file.state != "ready":
            raise frames.BadFrame("no_file", "There is no such file. Upload it first.", told)
        await visitor.store.files.attach([file.id])
        group = file.mime.partition("/")[0]
        kind: MediaKind = group if group in ("image", "video", "audio") else "document"  # type: ignore[assignment]
        return replace(
            content,
            media=kind,
            name=file.name,
            mime=file.mime,
            size=file.size,
            width=file.width,
            height=file.height,
        )

    def _page(
        self, visitor: _Visitor, messages: tuple[Message, ...], more: bool, older: bool
    ) -> dict[str, Any]:
        """What was said, and what was sent; not what still waits or never left."""
        tenant = visitor.channel.tenant
        shown = [self._adapter.shown(tenant, m) for m in messages if m.direction == "in" or m.status.out]
        return {"t": "messages", "messages": shown, "more": more, "older": older}

    async def close(self) -> None:
        """The server stops: every widget is told to come back."""
        sockets = list(self._open)
        await asyncio.gather(
            *(s.close(code=WSCloseCode.SERVICE_RESTART) for s in sockets), return_exceptions=True
        )


def _error(error: frames.BadFrame) -> dict[str, Any]:
    frame = {"t": "error", "code": error.code, "text": error.text}
    return {**frame, "id": error.id} if error.id else frame


def _iso(moment: Any) -> str:
    return str(moment.isoformat(timespec="milliseconds")).replace("+00:00", "Z")
