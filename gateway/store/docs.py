"""What every form of a document is made with."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

Doc = dict[str, Any]
T = TypeVar("T")


def aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def slim(doc: Doc) -> Doc:
    return {k: v for k, v in doc.items() if v is not None}


def read_as(kind: type[T], d: Doc, **made: Any) -> T:
    """A part of a document; what a newer version has added to it is passed over."""
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{**{k: v for k, v in d.items() if k in names}, **made})
