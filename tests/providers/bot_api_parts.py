"""Parts of the stand-in for the Bot API: its faults, what it records and keeps, and how it reads what it is sent."""

import asyncio
import hashlib
import itertools
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
from aiohttp import web

from tests.providers.bot_api_rules import Refusal, bad

FIELDS = ("photo", "video", "animation", "audio", "voice", "document", "sticker", "video_note")
PART = 64 * 1024
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. `status` answers with an HTTP status and no JSON, `error` like Telegram, `hang` never
    answers, `reset` cuts the connection unread, `drop` takes the message and then cuts it, `garbage` answers with what
    is not JSON, `no_id` without a message id. `method`: only for this one."""

    kind: Literal["status", "error", "hang", "reset", "drop", "garbage", "no_id"]
    status: int = 400
    description: str = ""
    parameters: tuple[tuple[str, Any], ...] = ()
    method: str | None = None

    @classmethod
    def error(cls, status: int, description: str, method: str | None = None, **parameters: Any) -> "Fault":
        return cls("error", status, description, tuple(parameters.items()), method)

    @classmethod
    def too_many(cls, seconds: int, method: str | None = None) -> "Fault":
        text = f"Too Many Requests: retry after {seconds}"
        return cls.error(429, text, method, retry_after=seconds)


@dataclass(frozen=True, slots=True)
class Upload:
    name: str
    mime: str
    size: int
    sha256: str
    head: bytes


@dataclass(slots=True)
class Recorded:
    """One call, in order of arrival. `result` is None when it was refused."""

    at: float
    token: str
    method: str
    params: Mapping[str, Any]
    files: Mapping[str, Upload]
    result: Any = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a bot may fetch, made of a repeated byte. `cut`: break off after so many bytes."""

    size: int
    kind: str = "document"
    mime: str = "application/octet-stream"
    cut: int | None = None
    missing: bool = False


@dataclass
class Bot:
    """One bot: what Telegram knows of it."""

    id: int
    username: str
    me: dict[str, Any] = field(default_factory=dict)
    webhook: dict[str, Any] = field(default_factory=dict)
    commands: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    updates: deque[dict[str, Any]] = field(default_factory=deque)
    confirmed: list[int] = field(default_factory=list)
    last_error: str = ""
    last_error_date: int = 0
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(800_000_001))
    poll: "asyncio.Event | None" = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    one: asyncio.Lock = field(default_factory=asyncio.Lock)


def shown(field: str, file_id: str, stored: StoredFile) -> dict[str, Any]:
    file: dict[str, Any] = {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": stored.size}
    size = {"width": 90, "height": 90}
    match field:
        case "photo":
            return {
                "photo": [{**file, "file_id": f"{file_id}-s", **size}, {**file, "width": 900, "height": 900}]
            }
        case "video":
            return {"video": {**file, **size, "duration": 1}}
        case "animation":
            shown = {**file, **size, "duration": 1}
            return {"animation": shown, "document": file}
        case "audio" | "voice":
            return {field: {**file, "duration": 1}}
        case "sticker":
            return {"sticker": {**file, **size, "type": "regular", "is_animated": False, "is_video": False}}
        case "video_note":
            return {"video_note": {**file, "length": 90, "duration": 1}}
    return {"document": file}


def check_upload(field: str, upload: Upload) -> None:
    if upload.size > 50 * MB:
        raise Refusal(413, "Request Entity Too Large")
    if upload.size == 0:
        raise bad("file must be non-empty")
    if field == "photo" and upload.size > 10 * MB:
        raise bad("PHOTO_INVALID_DIMENSIONS")
    if field == "photo" and not upload.head.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF")):
        raise bad("IMAGE_PROCESS_FAILED")
    if field == "voice" and not upload.head.startswith(b"OggS"):
        raise bad("wrong file type: voice must be OGG encoded with OPUS")


async def read_request(request: web.BaseRequest) -> tuple[dict[str, Any], dict[str, Upload]]:
    """The parameters with their types, and the files that came along."""
    if request.content_type == "application/json":
        body = json.loads(await request.read() or b"{}")
        return (body if isinstance(body, dict) else {}), {}
    if request.content_type == "multipart/form-data":
        if "Content-Length" not in request.headers:
            # Whether Telegram takes a body of unknown length is documented nowhere.
            raise Refusal(411, "Length Required")
        params, files = {}, {}
        reader = await request.multipart()
        async for part in reader:
            assert isinstance(part, aiohttp.BodyPartReader)
            name = part.name or ""
            if part.filename is None:
                params[name] = typed(name, await part.text())
            else:
                files[name] = await counted(part)
                params.setdefault(name, f"attach://{name}") if name in FIELDS else None
        return params, files
    form = await request.post()
    return {name: typed(name, str(value)) for name, value in form.items()}, {}


async def counted(part: aiohttp.BodyPartReader) -> Upload:
    size, digest, head = 0, hashlib.sha256(), b""
    while chunk := await part.read_chunk(PART):
        head = head or bytes(chunk[:8])
        size += len(chunk)
        digest.update(chunk)
    mime = part.headers.get("Content-Type", "")
    return Upload(part.filename or "", mime, size, digest.hexdigest(), head)


def typed(name: str, text: str) -> Any:
    """A form's values are words; those that are not meant as text are JSON."""
    if name in (
        "text",
        "caption",
        "title",
        "address",
        "phone_number",
        "first_name",
        "last_name",
        "url",
        "file_id",
    ):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
