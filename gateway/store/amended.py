"""What a message says after its author changed it, or took it back."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.model.content import Album, Content, Media, Text, to_doc
from gateway.model.message import Message, message_id
from gateway.store.codec import message_from_doc
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc
from gateway.store.rows import by_provider_id

TRIES: Final = 8


class Amendments:
    """Changes that authors make to messages of one tenant."""

    def __init__(self, db: Database, tenant: str) -> None:
        self._messages = db["messages"]
        self._album_parts = db["album_parts"]
        self._tenant = tenant

    async def amend(self, message: str, content: Content | None, at: datetime) -> bool:
        """Its author changed what a message says, or (None) took it back; whether it is there. What it said first is
        kept, and an older change does not overtake a newer one. A file of an album is changed in its album."""
        which = {"_id": message, "tenant": self._tenant}
        for _ in range(TRIES):
            async with guarded():
                found = await self._messages.find_one(which)
                part = None if found else await self._album_parts.find_one(which)
                if part is not None:
                    found = await self._messages.find_one({"_id": part["album"], "tenant": self._tenant})
            if found is None:
                return False
            standing = message_from_doc(found)
            change = amended(standing, content, at, part["file"] if part else None)
            if change is None:
                return True
            # Beside the id what it was read as: two changes at once are made one after the other.
            seen = {"_id": found["_id"], "tenant": self._tenant, "edited": found.get("edited")}
            async with guarded():
                if (await self._messages.update_one(seen, {"$set": change})).matched_count:
                    return True
        return True

    async def amend_named(
        self, channel: str, provider_id: str, content: Content | None, at: datetime
    ) -> bool:
        """The same for the message that the provider calls so: a customer's, or one that we sent."""
        if await self.amend(message_id(channel, provider_id), content, at):
            return True
        found = await by_provider_id(self._messages, self._tenant, channel, provider_id)
        return found is not None and await self.amend(found, content, at)


def amended(standing: Message, content: Content | None, at: datetime, file: str | None) -> Doc | None:
    """What to write for a change, or None when a newer one stands. `file`: only this file of the album."""
    if standing.edited is not None and standing.edited > at:
        return None
    if file is not None and isinstance(standing.content, Album):
        items = []
        for item in standing.content.items:
            if item.file != file:
                items.append(item)
            elif content is not None:
                kept = _kept_file(item, content)
                items.append(kept if isinstance(kept, Media) else item)
        if items:
            return {"changed": to_doc(Album(tuple(items))), "edited": at}
        content = None
    if content is None:
        return {"deleted": at}
    return {"changed": to_doc(_kept_file(standing.content, content)), "edited": at}


def _kept_file(standing: Content, changed: Content) -> Content:
    """A change that names no file leaves the file as it is: only its caption changed."""
    if isinstance(changed, Media) and isinstance(standing, Media) and not (changed.file or changed.media_id):
        return replace(standing, caption=changed.caption, markup=changed.markup)
    if isinstance(changed, Text) and isinstance(standing, Media):
        return replace(standing, caption=changed.text, markup=changed.markup)
    return changed
