"""The widget's frames (docs/widget-protocol.md): client frames to values, messages to frames."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.model.content import Buttons, Content, FormReply, ListMenu, Media, Reply, Text, to_doc
from gateway.model.markup import as_rows

MAX_TEXT = 4000
_SURROGATES = re.compile("[\ud800-\udfff]")

Seq = Annotated[int, Field(ge=0, le=2**53)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Text(_Strict):
    type: Literal["text"]
    text: str = Field(min_length=1, max_length=MAX_TEXT)


class _Reply(_Strict):
    type: Literal["reply"]
    id: str = Field(min_length=1, max_length=256)
    title: str = Field(min_length=1, max_length=256)
    to: str | None = Field(default=None, max_length=64)


class _Media(_Strict):
    type: Literal["media"]
    file: str = Field(min_length=3, max_length=64, pattern=r"^f_[a-z0-9]+$")
    caption: str | None = Field(default=None, min_length=1, max_length=MAX_TEXT)


class _FormReply(_Strict):
    type: Literal["form_reply"]
    values: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=12_000)]] = Field(
        max_length=32
    )
    to: str | None = Field(default=None, max_length=64)
    cancelled: bool = False


class Resume(_Strict):
    t: Literal["resume"]
    after: Seq


class Send(_Strict):
    t: Literal["send"]
    id: str = Field(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")
    content: Annotated[_Text | _Reply | _Media | _FormReply, Field(discriminator="type")]


class More(_Strict):
    t: Literal["more"]
    before: Seq


class Delivered(_Strict):
    t: Literal["delivered"]
    upto: Seq


class Seen(_Strict):
    t: Literal["seen"]
    upto: Seq


class Typing(_Strict):
    t: Literal["typing"]


class Rate(_Strict):
    t: Literal["rate"]
    id: str = Field(min_length=3, max_length=64)
    thumb: Literal["up", "down"] | None


class Ping(_Strict):
    t: Literal["ping"]


ClientFrame = Resume | Send | More | Delivered | Seen | Typing | Rate | Ping
_client: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="t")])


@dataclass(frozen=True)
class BadFrame(Exception):
    """A frame that is not understood; `text` says where, `id` is that of the `send` it answers."""

    code: str
    text: str
    id: str | None = None


def read(raw: str) -> ClientFrame:
    """One client frame. Raises BadFrame."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadFrame("not_json", "A frame must be JSON.") from None
    try:
        return _client.validate_python(found)
    except (ValidationError, RecursionError) as error:
        first = (
            error.errors(include_input=False, include_url=False)[0]
            if isinstance(error, ValidationError)
            else None
        )
        where = ".".join(str(p) for p in first["loc"]) if first else "frame"
        told = found.get("id") if isinstance(found, dict) else None
        answers = told if isinstance(told, str) and len(told) <= 64 else None
        raise BadFrame("bad_frame", f"{where}: {first['msg'] if first else 'too deep'}", answers) from None


def content_of(frame: Send) -> Content:
    """What a `send` says. NUL and lone surrogates, which no store takes, are left out. Of a file it has the id only."""
    said = frame.content
    match said:
        case _Text():
            return Text(_clean(said.text))
        case _Reply():
            return Reply(_clean(said.id), _clean(said.title), said.to)
        case _Media():
            return Media("document", file=said.file, caption=_clean(said.caption) if said.caption else None)
        case _FormReply():
            return FormReply({_clean(k): _clean(v) for k, v in said.values.items()}, said.to, said.cancelled)


def _clean(text: str) -> str:
    return _SURROGATES.sub("", text.replace("\x00", ""))


def message(
    identifier: str,
    seq: int,
    author: str,
    at: datetime,
    content: Content,
    link: Callable[[str, Literal["file", "thumbnail"]], str],
    client_id: str | None = None,
) -> dict[str, Any]:
    """A message as the widget shows it. `link` makes the address of a file."""
    shown = {
        "id": identifier,
        "seq": seq,
        "from": "visitor" if author == "customer" else author,
        "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "content": _shown(content, link),
    }
    if client_id:
        shown["client_id"] = client_id
    return shown


def _shown(content: Content, link: Callable[[str, Literal["file", "thumbnail"]], str]) -> dict[str, Any]:
    """The content's document, with what a browser needs besides: runs of formatting, addresses of files."""
    doc = to_doc(content)
    match content:
        case (
            Text(text=text, markup=True) | Buttons(text=text, markup=True) | ListMenu(text=text, markup=True)
        ):
            doc["rich"] = as_rows(text)
        case Media(file=str(file)):
            doc["link"] = link(file, "file")
            if content.width:
                doc["thumbnail"] = link(file, "thumbnail")
        case Media(url=str(url)):
            doc["link"] = url
    return doc
