"""The inbox: what customers said, stored once and for good before anybody is told that we have it.

Before a message is written, the records of its files are: they are fetched in the background, whatever happens to us.
After it, an edit or a deletion is applied to the message that it means.
"""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.model.clock import Sequencer
from gateway.model.content import (
    Album,
    Command,
    Content,
    Deleted,
    Edit,
    Media,
    Reaction,
    Reply,
    System,
    Text,
    Unsupported,
)
from gateway.model.file import File
from gateway.model.limits import LimitName, Limits
from gateway.model.message import Message, Sender, Status, file_id, message_id
from gateway.model.permission import Permissions
from gateway.model.ports import Clock, InboundMessage
from gateway.model.tenant import Channel, Tenant
from gateway.model.work import Key, Work
from gateway.store import Store
from gateway.store.messages import ALBUM_WAIT
from gateway.store.people import conversation_of

__all__ = ["Inbox", "conversation_of"]

MAX_CONTENT = 256 * 1024
"""Characters of a text that we keep whole; a longer one is kept as `unsupported`, cut."""

LATER: Final = timedelta(seconds=30)
"""When the messages of a tenant that is over its limit are looked at."""

ALONE: Final = frozenset({"web"})
"""Kinds of channel where a person has one identity for ever: nothing has to be looked up."""


async def unheard(*_: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class _Put:
    """One incoming message, what it is stored as, and its place in an album."""

    incoming: InboundMessage
    message: Message
    part: str | None = None


class Inbox:
    def __init__(
        self,
        store: Store,
        work: Work,
        clock: Clock,
        sequencer: Sequencer,
        limits: Limits,
        fetch: Callable[[], None] = lambda: None,
        is_stop: Callable[[Content, Permissions], bool] = lambda *_: False,
        reacted: Callable[[str, str, str, str], Awaitable[None]] = unheard,
    ) -> None:
        """`fetch` is told that there are files to fetch. `is_stop`: whether a content is nothing but a word such as STOP.
        `reacted` is told of reactions: tenant, channel, the provider's id of the message, and the emoji."""
        self._is_stop = is_stop
        self._reacted = reacted
        self._limits = limits
        self._store = store
        self._work = work
        self._clock = clock
        self._sequencer = sequencer
        self._fetch = fetch

    async def put(
        self, channel: Channel, incoming: Sequence[InboundMessage], client_id: str | None = None
    ) -> list[tuple[Message, bool]]:
        """Store messages durably and say that there is work.

        For each that is ours the stored message and whether it is new; one that was there already is returned as
        written now.
        Raises Unavailable when it could not be stored, and then nobody may be told that it was.
        """
        if not incoming:
            return []
        if len(incoming) > 1 and channel.kind not in ALONE:
            alone = [m.place or m.identity for m in incoming if not m.aliases]
            await self._store.people.recall(channel.tenant, channel.id, alone)
        puts = [await self._put(channel, m, client_id) for m in incoming]
        puts = [p for p in puts if not p.incoming.known_only or await self._is_known(channel, p, puts)]
        await self._expect_files(channel, puts)
        new = await self._write(channel, puts)
        await self._apply(channel, puts)
        late = await self._limit(channel, [p for p, n in zip(puts, new, strict=True) if n])
        # A repeated message pokes too: the first copy's hint may be what was lost.
        wait: dict[Key, float] = {}
        for put in puts:
            if _needs_turn(put.incoming) and put.message.id not in late:
                after = ALBUM_WAIT.total_seconds() if put.part else 0
                key = Key(channel.tenant, put.message.conversation)
                wait[key] = min(wait.get(key, after), after)
        for key, after in wait.items():
            self._work.poke(key, after)
        return [(p.message, n) for p, n in zip(puts, new, strict=True)]

    async def _limit(self, channel: Channel, puts: Sequence[_Put]) -> set[str]:
        """Note which new messages are over a limit: those whose turn is not now, or never.

        After they are stored, for nothing that a provider brings is refused; and only what is new counts, for it may bring
        everything again. Who stops in between has answered a message too many.
        """
        over: set[str] = set()
        tenant = None
        files = Counter(p.message.id for p in puts if p.part is not None)
        for put in puts:
            if not _needs_turn(put.incoming) or _commands(put.message.content):
                continue  # whoever wants no more messages is always heard
            tenant = tenant or await self._store.directory.tenant(channel.tenant)
            if self._is_stop(put.message.content, tenant.permissions):
                continue
            if put.part is not None and not await self._begins(channel, put, files.pop(put.message.id, 0)):
                continue
            name = await self._over(tenant, channel, put.message)
            if name is None:
                continue
            told = name == "contact" and not await self._limits.take("told", put.message.conversation)
            later = self._clock() + LATER if name == "tenant" else None
            messages = self._store.of(channel.tenant).messages
            await messages.limited(put.message.id, name, ends=name == "contact" and not told, due=later)
            if not told:
                over.add(put.message.id)
        return over

    async def _begins(self, channel: Channel, put: _Put, files: int) -> bool:
        """Whether an album has no more than these files yet: it counts once, as the message that it is."""
        album = await self._store.of(channel.tenant).messages.get(put.message.id) if files else None
        return album is not None and isinstance(album.content, Album) and len(album.content.items) <= files

    async def _over(self, tenant: Tenant, channel: Channel, message: Message) -> LimitName | None:
        # A widget is refused before (`gateway.sockets`): it keeps the message, and tries again.
        held = channel.kind not in ALONE
        if held and await self._limits.take("contact", message.conversation, tenant.limits):
            return "contact"
        return "tenant" if await self._limits.take("tenant", tenant.id, tenant.limits) else None

    async def _put(self, channel: Channel, incoming: InboundMessage, client_id: str | None) -> _Put:
        group = incoming.album if isinstance(incoming.content, Media) else None
        identifier = message_id(channel.id, f"album:{group}" if group else incoming.provider_id)
        part = message_id(channel.id, incoming.provider_id) if group else None
        content = _kept(incoming.content, channel.id, identifier, part)
        echo = incoming.author == "agent"
        message = Message(
            id=identifier,
            tenant=channel.tenant,
            channel=channel.id,
            conversation=await self._conversation(channel, incoming),
            direction="out" if echo else "in",
            author=incoming.author,
            # What was said long ago stands where it was said.
            seq=_past_place(incoming) if incoming.past else self._sequencer.next(),
            at=incoming.at,
            content=content,
            status=_status(incoming),
            provider_id=incoming.provider_id,
            reply_to=incoming.reply_to,
            sender=Sender(
                incoming.identity,
                incoming.address,
                incoming.name,
                incoming.phone,
                incoming.language,
                () if incoming.place else incoming.aliases,
            ),
            client_id=client_id,
            extra={**incoming.extra, "past": True} if incoming.past else incoming.extra,
        )
        return _Put(incoming, message, part)

    async def _conversation(self, channel: Channel, incoming: InboundMessage) -> str:
        if channel.kind in ALONE:
            return conversation_of(channel.id, incoming.identity)
        named = (incoming.place or incoming.identity, *incoming.aliases)
        return await self._store.people.conversation(
            channel.tenant, channel.id, tuple(dict.fromkeys(named)), place=incoming.place is not None
        )

    async def _is_known(self, channel: Channel, put: _Put, puts: Sequence[_Put]) -> bool:
        """Whether its conversation is there, or begins with a message that came with it or waits for its turn."""
        conversation = put.message.conversation
        if any(p.message.conversation == conversation and not p.incoming.known_only for p in puts):
            return True
        store = self._store.of(channel.tenant)
        if await store.conversations.get(conversation) is not None:
            return True
        return bool(await store.messages.work(conversation))

    async def _expect_files(self, channel: Channel, puts: Sequence[_Put]) -> None:
        files = [f for p in puts for f in _files(channel, p.message, self._clock())]
        if files:
            await self._store.of(channel.tenant).files.expect(files)
            self._fetch()

    async def _write(self, channel: Channel, puts: Sequence[_Put]) -> list[bool]:
        messages = self._store.of(channel.tenant).messages
        now = self._clock()
        said = [p for p in puts if p.part is None and p.incoming.author == "customer"]
        echoed = [p for p in puts if p.part is None and p.incoming.author == "agent"]
        new: dict[int, bool] = {}
        if said:
            silent = frozenset(p.message.id for p in said if not _needs_turn(p.incoming))
            stored = await messages.put_incoming([p.message for p in said], now, silent, channel.quiet)
            new |= {id(p): n for p, n in zip(said, stored, strict=True)}
        if echoed:
            stored = await messages.put_echoes([p.message for p in echoed])
            new |= {id(p): n for p, n in zip(echoed, stored, strict=True)}
        for put in puts:
            if put.part is not None:
                new[id(put)] = await messages.put_album(put.message, put.part, now, _needs_turn(put.incoming))
        return [new[id(p)] for p in puts]

    async def _apply(self, channel: Channel, puts: Sequence[_Put]) -> None:
        """Edits and deletions; after the whole body is stored, for it may hold their messages, too."""
        amendments = self._store.of(channel.tenant).amendments
        for put in puts:
            content = put.message.content
            if isinstance(content, Edit | Deleted):
                changed = content.content if isinstance(content, Edit) else None
                if not await amendments.amend_named(channel.id, content.to, changed, put.incoming.at):
                    await self._store.open_work.amend_later(put.message, content.to, self._clock())
            elif isinstance(content, Reaction) and put.message.author == "customer":
                await self._reacted(channel.tenant, channel.id, content.to, content.emoji)


def _past_place(incoming: InboundMessage) -> int:
    """Microseconds: providers tell whole seconds, and messages of the same one must not share a place."""
    within = int(hashlib.sha256(incoming.provider_id.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16)
    return int(incoming.at.timestamp()) * 1_000_000 + within % 1_000_000


def _needs_turn(incoming: InboundMessage) -> bool:
    return not (incoming.silent or incoming.past or incoming.author == "agent")


def _commands(content: Content) -> bool:
    """Whether it is no question: a command, typed or pressed, or something that happened."""
    pressed = isinstance(content, Reply) and content.id.startswith("/")
    return pressed or isinstance(content, Command | System)


def _status(incoming: InboundMessage) -> Status:
    if incoming.author == "agent":
        return Status.SENT
    return Status.RECEIVED if _needs_turn(incoming) else Status.HANDLED


def _kept(content: Content, channel: str, message: str, part: str | None) -> Content:
    """The content as it is stored: its files named, an endless text cut."""
    match content:
        case Text(text=text) if len(text) > MAX_CONTENT:
            return Unsupported("oversized_text", text[:MAX_CONTENT])
        case Media() if part is not None:
            return Album((_named(content, message),))
        case Media():
            return _named(content, message)
        case Album(items=items):
            return Album(tuple(_named(m, message) for m in items))
        case Edit(content=Media() as changed):
            # The same file under a new caption is the same file.
            return replace(content, content=_named(changed, message_id(channel, content.to)))
    return content


def _named(media: Media, message: str) -> Media:
    if not media.media_id or media.file:
        return media
    return replace(media, file=file_id(message, media.media_id))


def _files(channel: Channel, message: Message, now: datetime) -> list[File]:
    """The records of the files that are to be fetched for a message."""
    content = message.content.content if isinstance(message.content, Edit) else message.content
    items = content.items if isinstance(content, Album) else (content,)
    return [
        File(
            id=media.file,
            tenant=channel.tenant,
            channel=channel.id,
            state="pending",
            created=now,
            name=media.name or "",
            mime=media.mime,
            size=media.size or 0,
            conversation=message.conversation,
            message=message.id,
            media_id=media.media_id,
        )
        for media in items
        if isinstance(media, Media) and media.media_id and media.file
    ]
