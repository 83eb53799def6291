"""Files: what customers sent and what we send, kept in our own store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

FileState = Literal["pending", "ready", "failed", "uploading"]


@dataclass(frozen=True, slots=True)
class File:
    """A stored file, or one on its way.

    `pending` is still the provider's (`media_id` names it there); `uploading` is being sent to us. `mime` is what its
    first bytes say once it is `ready`, before that what the sender claims. `generation` names its parts in the store.
    `thumbnail` is a small WebP picture.
    """

    id: str
    tenant: str
    channel: str
    state: FileState
    created: datetime
    name: str = ""
    mime: str = ""
    size: int = 0
    sha256: str = ""
    conversation: str | None = None
    message: str | None = None
    media_id: str | None = None
    generation: str = ""
    parts: int = 0
    attempts: int = 0
    width: int | None = None
    height: int | None = None
    thumbnail: bytes | None = None
    error: str | None = None
    """Why it could not be fetched, in a sentence for a person."""
