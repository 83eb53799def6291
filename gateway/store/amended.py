"""What a message says after its author changed it, or took it back. Pure."""

from dataclasses import replace
from datetime import datetime

from gateway.model.content import Album, Content, Media, Text, to_doc
from gateway.model.message import Message
from gateway.store.codec import Doc


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
