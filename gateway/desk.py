"""What a person of the business says: checked, shown with what the channel has, queued; the conversation is theirs then."""

import secrets
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pydantic import ValidationError

from channels.degrade import degrade
from gateway import outbox
from gateway.handoff import set_owner
from gateway.model.clock import Sequencer
from gateway.model.content import Album, Content, Media, from_doc
from gateway.model.errors import Invalid, NotFound
from gateway.model.message import Message
from gateway.model.ports import Adapter, Clock, Key, Work
from gateway.store import Store, TenantStore


class Desk:
    def __init__(
        self, store: Store, adapters: Mapping[str, Adapter], work: Work, clock: Clock, sequencer: Sequencer
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._work = work
        self._clock = clock
        self._sequencer = sequencer

    async def say(
        self,
        tenant: str,
        conversation: str,
        content: Mapping[str, Any],
        reply_to: str | None = None,
        key: str | None = None,
    ) -> list[Message]:
        """Queue a person's message; the messages that it became. Said again with the same `key`, nothing is added.

        Raises NotFound, Invalid (naming the field) and Conflict.
        """
        store = self._store.of(tenant)
        found = await store.conversations.get(conversation)
        if found is None:
            raise NotFound(conversation)
        if found.merged_into:
            raise Invalid("conversation", f"the one that goes on in its place: {found.merged_into}")
        channel = await self._store.directory.channel(found.channel)
        said = await self._with_files(store, _read(content))
        parts, _ = degrade(said, self._adapters[channel.kind].capabilities, language=found.language)
        if not parts:
            raise Invalid("content", "something to say")
        if reply_to is not None:
            quoted = await store.messages.get(reply_to)
            if quoted is None or quoted.conversation != conversation or quoted.provider_id is None:
                raise Invalid("reply_to", "a message of this conversation that has been sent or received")
        await set_owner(store, conversation, "agent")
        messages = outbox.of_person(
            found, key or secrets.token_hex(12), parts, self._sequencer, self._clock(), reply_to
        )
        await store.messages.put_queued(messages)
        self._work.poke(Key(tenant, conversation))
        return [await store.messages.get(m.id) or m for m in messages]

    async def _with_files(self, store: TenantStore, content: Content) -> Content:
        """With what we know of its files: their real type, size and name."""
        match content:
            case Media():
                return await self._known(store, content, "content")
            case Album(items=items):
                return Album(
                    tuple([await self._known(store, m, f"content.items.{n}") for n, m in enumerate(items)])
                )
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


def _read(content: Mapping[str, Any]) -> Content:
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
    return read


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
