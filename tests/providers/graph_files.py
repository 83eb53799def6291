"""Files at the stand-in for Meta's Graph API: uploads that are counted and hashed as they come, and files of
customers that are made up as they go, so that neither is ever whole in memory.

    graph.files.offer("1908647269898587", "video/mp4", 25 * 1024 * 1024)
    graph.files.offer("2", "image/jpeg", 1000, mode="cut")
"""

import asyncio
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import BodyPartReader, web

from tests.providers.graph_rules import Refusal, check_upload

_PART = 64 * 1024

Mode = Literal[
    "ok",
    "expired",
    "gone",
    "wrong_host",
    "redirect",
    "redirect_away",
    "slow",
    "cut",
    "short",
    "long",
    "error",
]
"""How a file misbehaves: `expired` answers 404 to its first address, `gone` to each; `wrong_host` names an address
elsewhere; `redirect` sends on within the host, `redirect_away` to another; `cut` breaks off in the middle; `short` and
`long` are not as long as said; `error` answers 500."""


@dataclass(frozen=True, slots=True)
class Upload:
    id: str
    phone: str
    mime: str
    size: int
    sha256: str


@dataclass(slots=True)
class Offer:
    mime: str
    size: int
    mode: Mode = "ok"
    gate: asyncio.Event | None = None
    """A `slow` file stops halfway until this is set."""
    looked_up: int = 0
    served: int = 0
    tokens: list[str] = field(default_factory=list)


def made_up(size: int, seed: str = "") -> Iterator[bytes]:
    """A file's bytes, the same for the same seed, in parts."""
    block = hashlib.sha512(seed.encode()).digest() * (_PART // 64)
    for at in range(0, size, _PART):
        yield block[: min(_PART, size - at)]


def digest_of(size: int, seed: str = "") -> str:
    found = hashlib.sha256()
    for part in made_up(size, seed):
        found.update(part)
    return found.hexdigest()


class Files:
    """`base` gives the stand-in's own address."""

    def __init__(self, base: Callable[[], str]) -> None:
        self.uploads: dict[str, Upload] = {}
        self.offers: dict[str, Offer] = {}
        self.arriving = 0
        self.hold: asyncio.Event | None = None
        """While it is not set, an upload is read no further than its beginning."""
        self._base = base
        self._ids = itertools.count(700_000_000_000_001)

    def offer(
        self, media_id: str, mime: str, size: int, mode: Mode = "ok", gate: asyncio.Event | None = None
    ) -> Offer:
        self.offers[media_id] = Offer(mime, size, mode, gate)
        return self.offers[media_id]

    def forget(self, media_id: str) -> None:
        """As after 30 days."""
        self.uploads.pop(media_id, None)

    def known(self, media_id: str) -> tuple[str, int] | None:
        if upload := self.uploads.get(media_id):
            return upload.mime, upload.size
        offer = self.offers.get(media_id)
        return (offer.mime, offer.size) if offer else None

    # Up

    async def receive(self, request: web.BaseRequest, phone: str) -> Upload:
        """A multipart upload. Raises Refusal."""
        if not request.content_type.startswith("multipart/"):
            raise Refusal(100, "The body must be multipart/form-data.")
        if request.content_length is None:
            raise Refusal(100, "The body's length must be said.")
        fields: dict[str, str] = {}
        found: tuple[str, int, str] | None = None
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise Refusal(100, "A part within a part.")
            if part.name == "file":
                found = await self._swallow(part)
            else:
                fields[part.name or ""] = (await part.read(decode=True))[:1000].decode()
        if fields.get("messaging_product") != "whatsapp":
            raise Refusal(100, "messaging_product must be whatsapp")
        if found is None:
            raise Refusal(131008, "file is required")
        check_upload(found[0], found[1])
        if fields.get("type", found[0]) != found[0]:
            raise Refusal(100, "type is not the file's")
        upload = Upload(str(next(self._ids)), phone, *found)
        self.uploads[upload.id] = upload
        return upload

    async def _swallow(self, part: BodyPartReader) -> tuple[str, int, str]:
        size, digest = 0, hashlib.sha256()
        while data := await part.read_chunk(_PART):
            if not size:
                self.arriving += 1
            if self.hold is not None:
                await self.hold.wait()
            size += len(data)
            digest.update(data)
        mime = part.headers.get("Content-Type", "").partition(";")[0]
        return mime, size, digest.hexdigest()

    # Down

    def look_up(self, media_id: str) -> Mapping[str, Any]:
        """The answer to `GET /{media id}`. Raises Refusal."""
        offer = self.offers.get(media_id)
        if offer is None:
            raise Refusal(100, "Unsupported get request. Object does not exist.", subcode=33)
        offer.looked_up += 1
        said = offer.size + {"short": 10, "long": -10}.get(offer.mode, 0)
        host = "http://files.elsewhere.example" if offer.mode == "wrong_host" else self._base()
        return {
            "messaging_product": "whatsapp",
            "url": f"{host}/files/{media_id}?mid={media_id}&ext={offer.looked_up}&hash=x",
            "mime_type": offer.mime,
            "sha256": digest_of(offer.size, media_id),
            "file_size": str(said),
            "id": media_id,
        }

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """`GET /files/{media id}`, with the token that the API takes."""
        media_id = request.path.rpartition("/")[2]
        offer = self.offers.get(media_id)
        if offer is None:
            return web.Response(status=404)
        offer.tokens.append(request.headers.get("Authorization", ""))
        first = request.query.get("ext") == "1"
        if offer.mode == "gone" or (offer.mode == "expired" and first):
            return web.Response(status=404)
        if offer.mode == "error":
            return web.Response(status=500)
        if offer.mode in ("redirect", "redirect_away") and "again" not in request.query:
            host = "http://files.elsewhere.example" if offer.mode == "redirect_away" else ""
            return web.Response(status=302, headers={"Location": f"{host}/files/{media_id}?again=1"})
        return await self._stream(request, media_id, offer)

    async def _stream(self, request: web.BaseRequest, media_id: str, offer: Offer) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": offer.mime, "Content-Length": str(offer.size)})
        await response.prepare(request)
        sent = 0
        for part in made_up(offer.size, media_id):
            await response.write(part)
            sent += len(part)
            if sent * 2 >= offer.size and offer.mode == "cut" and request.transport:
                request.transport.abort()
                return response
            if sent * 2 >= offer.size and offer.gate and not offer.gate.is_set():
                await offer.gate.wait()
        offer.served += 1
        return response
