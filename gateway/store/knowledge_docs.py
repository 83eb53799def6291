"""Documents of knowledge and their passages to documents of the database and back."""

from array import array

from bson.binary import VECTOR_SUBTYPE, Binary, BinaryVectorDtype

from gateway.model.knowledge import Chunk, Document
from gateway.store.database import SCHEMA
from gateway.store.docs import Doc, aware, slim


def document_to_doc(x: Document) -> Doc:
    return slim(
        {"_id": x.id, "v": SCHEMA, **{f: getattr(x, f) for f in Document.__dataclass_fields__ if f != "id"}}
    )


def document_from_doc(d: Doc) -> Document:
    values = {f: d[f] for f in Document.__dataclass_fields__ if f in d}
    values["added"] = aware(values["added"])
    return Document(**{**values, "id": d["_id"].removeprefix("draft:")})


def chunk_to_doc(c: Chunk, tenant: str, generation: str) -> Doc:
    return slim(
        {
            "_id": f"{generation}.{c.position}",
            "tenant": tenant,
            "generation": generation,
            "chunk": c.id,
            "document": c.document,
            "position": c.position,
            "text": c.text,
            "headings": list(c.headings),
            "page": c.page,
            "vector": c.vector,
            "question": c.question,
            "language": c.language,
            # In the form that MongoDB's vector search can index, too.
            "remote": Binary.from_vector(array("b", c.remote).tolist(), BinaryVectorDtype.INT8)
            if c.remote
            else None,
        }
    )


def chunk_from_doc(d: Doc) -> Chunk:
    return Chunk(
        id=d["chunk"],
        document=d["document"],
        position=d["position"],
        text=d["text"],
        headings=tuple(d.get("headings", ())),
        page=d.get("page"),
        vector=d.get("vector", b""),
        question=d.get("question"),
        language=d.get("language"),
        remote=_remote(d.get("remote", b"")),
    )


def _remote(stored: bytes) -> bytes:
    """Without the two bytes that say what kind of vector it is."""
    return (
        bytes(stored)[2:]
        if isinstance(stored, Binary) and stored.subtype == VECTOR_SUBTYPE
        else bytes(stored)
    )
