"""What a person of the business says: checked, shown with what the channel has, queued; the conversation is theirs then."""

import math
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from channels.degrade import degrade
from channels.kit import is_safe_str, units
from consent.templates import FILE
from gateway import outbox
from gateway.facts import Permission, account_of, window_of
from gateway.handoff import set_owner
from gateway.model.capabilities import Capabilities
from gateway.model.clock import Sequencer
from gateway.model.consent import UTILITY
from gateway.model.content import (
    Album,
    Content,
    Deleted,
    Edit,
    Location,
    Media,
    Reaction,
    Template,
    Text,
    from_doc,
    plain_text,
)
from gateway.model.conversation import Conversation
from gateway.model.errors import Conflict, Invalid, NotFound
from gateway.model.identity import Identity
from gateway.model.message import Message, Sender, Status
from gateway.model.ports import Adapter, Clock
from gateway.model.work import Key, Work
from gateway.reopen import Reopen, purpose_for
from gateway.store import Store, TenantStore

MOST_MESSAGES: Final = 10
"""What a person says at once may become so many messages: more would be a flood in the customer's chat."""

MOST_DEPTH: Final = 32
PREVIEW: Final = 120


class Desk:
    def __init__(
        self, store: Store, adapters: Mapping[str, Adapter], work: Work, clock: Clock, sequencer: Sequencer
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._work = work
        self._clock = clock
        self._sequencer = sequencer
        self._reopen = Reopen(store, adapters, clock)
        self._permission = Permission(store, adapters, clock)

    async def say(
        self,
        tenant: str,
        conversation: str,
        content: Mapping[str, Any],
        reply_to: str | None = None,
        key: str | None = None,
        hold: bool = False,
    ) -> list[Message]:
        """Queue a person's message; the messages that it became. Said again with the same `key`, nothing is added.

        While the service window is closed free text is refused, for whoever answers is there to choose a template instead:
        held in silence it would look as if it had been said. `hold` says that it may wait until the customer writes.

        Raises NotFound, Invalid (naming the field) and Conflict.
        """
        store = self._store.of(tenant)
        found = await store.conversations.get(conversation)
        if found is None:
            raise NotFound(conversation)
        if found.merged_into:
            raise Invalid("conversation", f"the one that goes on in its place: {found.merged_into}")
        channel = await self._store.directory.channel(found.channel)
        said = _read(content)
        await _check_meant(store, conversation, said)
        capabilities = self._adapters[channel.kind].capabilities
        if _is_too_much(said, capabilities):
            raise _flood(said, capabilities)
        parts, _ = degrade(await self._with_files(store, said), capabilities, language=found.language)
        if not parts:
            raise Invalid("content", "something to say")
        if len(parts) > MOST_MESSAGES:
            raise _flood(said, capabilities)
        if reply_to is not None:
            quoted = await store.messages.get(reply_to)
            if quoted is None or quoted.conversation != conversation or quoted.provider_id is None:
                raise Invalid("reply_to", "a message of this conversation that has been sent or received")
        messages = outbox.of_person(
            found, key or secrets.token_hex(12), parts, self._sequencer, self._clock(), reply_to
        )
        if isinstance(said, Template):
            # What a person begins with a template needs the same consent whichever way it is said.
            known = await store.templates.find(account_of(channel), said.name, said.language)
            if known is not None and purpose_for(known, found) == UTILITY:
                messages = [replace(m, purpose=UTILITY) for m in messages]
        elif not hold:
            await self._check_window(store, found, capabilities, messages[0].id)
        return await self._queue(store, found, messages, plain_text(messages[-1].content))

    async def say_template(
        self,
        tenant: str,
        conversation: str,
        name: str,
        language: str | None = None,
        values: Mapping[str, str] | None = None,
        key: str | None = None,
        agent: str = "",
    ) -> list[Message]:
        """Queue a template for one conversation: as a template where the channel has them, else as plain content. What is not
        given of its variables is filled in from contact, lead and conversation. Raises as `say`."""
        store = self._store.of(tenant)
        found = await store.conversations.get(conversation)
        if found is None:
            raise NotFound(conversation)
        if found.merged_into:
            raise Invalid("conversation", f"the one that goes on in its place: {found.merged_into}")
        written = await self._reopen.write(tenant, conversation, name, language, values or {}, agent)
        channel = await self._store.directory.channel(found.channel)
        capabilities = self._adapters[channel.kind].capabilities
        parts: list[Content] = []
        for content in written.contents:
            shown, _ = degrade(await self._with_files(store, content), capabilities, language=found.language)
            parts += shown
        made = outbox.of_person(found, key or secrets.token_hex(12), parts, self._sequencer, self._clock())
        if not isinstance(parts[0], Template):
            await self._check_window(store, found, capabilities, made[0].id)
        told = {"template": written.template.name, "shown": written.shown.text}
        messages = [replace(m, purpose=written.purpose, extra=told if m is made[0] else {}) for m in made]
        return await self._queue(store, found, messages, written.shown.text)

    async def begin(self, tenant: str, channel: str, phone: str) -> str:
        """The conversation with a phone number on a WhatsApp channel, begun if there is none. Raises NotFound, Invalid."""
        found = await self._store.directory.channel(channel)
        if found.tenant != tenant:
            raise NotFound(channel)
        digits = re.sub(r"[\s().+-]", "", phone)
        if found.kind != "whatsapp" or not re.fullmatch(r"[1-9][0-9]{6,14}", digits):
            raise Invalid(
                "phone", "a phone number with its country, such as +34600123456, on a WhatsApp channel"
            )
        identity = Identity("whatsapp", "", digits)
        known = await self._store.people.conversation(tenant, channel, [identity])
        store = self._store.of(tenant)
        if await store.conversations.get(known) is None:
            business, now = await self._store.directory.tenant(tenant), self._clock()
            first = Message(
                id="",
                tenant=tenant,
                channel=channel,
                conversation=known,
                direction="out",
                author="agent",
                seq=0,
                at=now,
                content=Text(""),
                status=Status.QUEUED,
                sender=Sender(identity, digits, phone=f"+{digits}"),
            )
            await store.conversations.begin(first, business.language, now)
        return known

    async def _check_window(
        self, store: TenantStore, conversation: Conversation, capabilities: Capabilities, first: str
    ) -> None:
        """Raises Conflict while the channel takes no free text; what was said before with the same key stands."""
        hours = capabilities.service_window_hours
        until, now = window_of(conversation, hours), self._clock()
        if hours is None or (until is not None and now < until) or await store.messages.get(first):
            return
        when = (
            f"closed at {until:%Y-%m-%d %H:%M} UTC" if until else "never opened: the customer has not written"
        )
        raise Conflict(
            f"The service window is closed ({when}): WhatsApp takes no free text now. Send a template instead"
            " (GET /conversations/{id}/templates lists those that fit), or say `hold` and it is sent when they write again."
        )

    async def _queue(
        self, store: TenantStore, found: Conversation, messages: Sequence[Message], preview: str
    ) -> list[Message]:
        await set_owner(store, found.id, "agent")
        channel = await self._store.directory.channel(found.channel)
        asked = [(await self._permission.ask("written", channel, found, m))[1] for m in messages]
        messages = [replace(m, decided=(d,)) for m, d in zip(messages, asked, strict=True)]
        await store.messages.put_queued(messages)
        await store.conversations.said(found.id, self._clock(), preview[:PREVIEW])
        written = [await store.messages.get(m.id) or m for m in messages]
        await _amend(store, written)
        self._work.poke(Key(found.tenant, found.id))
        return written

    async def _with_files(self, store: TenantStore, content: Content) -> Content:
        """With what we know of its files: their real type, size and name."""
        match content:
            case Media():
                return await self._known(store, content, "content")
            case Album(items=items):
                return Album(
                    tuple([await self._known(store, m, f"content.items.{n}") for n, m in enumerate(items)])
                )
            case Template(components=components):
                for component in components:
                    for file in _files_of(component):
                        await self._known(store, Media("document", file=file), "content.components")
            case Edit(content=Media() as media) if media.file or media.url:
                # Without one the file stays, and only what stands under it changes.
                return replace(content, content=await self._known(store, media, "content.content"))
        return content

    async def _known(self, store: TenantStore, media: Media, field: str) -> Media:
        if media.file is None:
            if not (media.url or media.media_id):
                raise Invalid(f"{field}.file", "the id of an uploaded file, or `url`, a public https address")
            if media.url and not media.url.startswith("https://"):
                raise Invalid(f"{field}.url", "an https address")
            return media
        try:
            file = await store.files.get(media.file)
        except NotFound:
            raise Invalid(f"{field}.file", "the id of a file of yours: POST /files makes one") from None
        if file.state != "ready":
            raise Invalid(f"{field}.file", f"a file that is ready; this one is {file.state}")
        await store.files.attach([file.id])
        return replace(
            media,
            mime=file.mime,
            size=file.size,
            name=media.name or file.name or None,
            media_id=None,
            url=None,
            width=file.width,
            height=file.height,
        )


def _files_of(component: Mapping[str, Any]) -> list[str]:
    """The files of ours that a template's component shows."""
    found = []
    for parameter in component.get("parameters") or ():
        shown = parameter.get(parameter.get("type")) if isinstance(parameter, Mapping) else None
        if isinstance(shown, Mapping) and FILE.fullmatch(str(shown.get("id"))):
            found.append(str(shown["id"]))
    return found


async def _check_meant(store: TenantStore, conversation: str, said: Content) -> None:
    """What is reacted to, changed or taken back must be of this conversation. Raises Invalid."""
    if not isinstance(said, Reaction | Edit | Deleted):
        return
    meant = await store.messages.get(said.to)
    there = meant is not None and meant.conversation == conversation and meant.provider_id is not None
    if isinstance(said, Reaction):
        if not there:
            raise Invalid("content.to", "a message of this conversation that has been sent or received")
    elif meant is None or not there or meant.direction != "out":
        raise Invalid("content.to", "a message of ours in this conversation that has been sent")


async def _amend(store: TenantStore, written: Sequence[Message]) -> None:
    """What a person changed reads as changed from now on; whether the channel took the change says its own status.
    Said again, it is the same change of the same time, and so has no second effect."""
    for message in written:
        match message.content:
            case Edit(to=to, content=changed):
                await store.amendments.amend(to, changed, message.at)
            case Deleted(to=to):
                await store.amendments.amend(to, None, message.at)


def _is_too_much(said: Content, capabilities: Capabilities) -> bool:
    """Told from its size alone, before any work is done for it."""
    match said:
        case Text(text=text):
            return units(text) > MOST_MESSAGES * capabilities.text_length
        case Album(items=items):
            return len(items) > MOST_MESSAGES * max(1, capabilities.album)
    return False


def _flood(said: Content, capabilities: Capabilities) -> Invalid:
    match said:
        case Text():
            most = f"{MOST_MESSAGES} messages of {capabilities.text_length} characters each"
            return Invalid("content.text", f"what fits into {most}; send a longer one as a file")
        case Media():
            return Invalid("content.caption", f"a caption that fits into {MOST_MESSAGES} messages")
        case Album():
            return Invalid("content.items", f"files that fit into {MOST_MESSAGES} messages here")
    return Invalid("content", f"what fits into {MOST_MESSAGES} messages here")


def _read(content: Mapping[str, Any]) -> Content:
    _check_writable(content, "content")
    try:
        read = from_doc(dict(content))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        # The union's own tag stands in the path; a person's field does not have it.
        where = ".".join(str(p) for p in first["loc"][1:])
        raise Invalid(f"content.{where}" if where else "content", first["msg"]) from None
    except RecursionError:
        raise Invalid("content", "a content that is not nested so deeply") from None
    if (unknown := _unknown(content, read)) is not None:
        raise Invalid(f"content.{unknown}", "no such field")
    _check_place(read.content if isinstance(read, Edit) else read)
    return read


def _check_place(content: Content) -> None:
    if isinstance(content, Location):
        for name, value, most in (("latitude", content.latitude, 90), ("longitude", content.longitude, 180)):
            if not -most <= value <= most:
                raise Invalid(f"content.{name}", f"degrees between -{most} and {most}")


def _check_writable(value: object, where: str, depth: int = 0) -> None:
    """Refuse what no store or provider takes, anywhere in it. Raises Invalid, and never names a key that can't be written."""
    if depth > MOST_DEPTH:
        raise Invalid("content", "a content that is not nested so deeply")
    match value:
        case str() if not is_safe_str(value):
            raise Invalid(where, "text without NUL and halves of characters (lone surrogates)")
        case int() if not -(2**63) <= value < 2**63:
            raise Invalid(where, "a number of at most 64 bits")
        case float() if not math.isfinite(value):
            raise Invalid(where, "a finite number")
        case list() | tuple():
            for number, item in enumerate(value):
                _check_writable(item, f"{where}.{number}", depth + 1)
        case Mapping():
            for name, item in value.items():
                if not isinstance(name, str) or not is_safe_str(name):
                    raise Invalid(where, "names without NUL and halves of characters (lone surrogates)")
                _check_writable(item, f"{where}.{name[:64]}", depth + 1)


def _unknown(given: object, read: object) -> str | None:
    """The first field that was given and has no place in what was read: a mistyped one must not be lost in silence."""
    if isinstance(given, Mapping) and is_dataclass(read):
        known = {f.name for f in fields(read)}
        for name, value in given.items():
            if name not in known:
                return str(name)[:64]
            if (deeper := _unknown(value, getattr(read, name))) is not None:
                return f"{name}.{deeper}"
    if isinstance(given, list) and isinstance(read, tuple):
        for number, (value, part) in enumerate(zip(given, read, strict=False)):
            if (deeper := _unknown(value, part)) is not None:
                return f"{number}.{deeper}"
    return None
