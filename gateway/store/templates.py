"""Templates of one tenant: drafts, and what the provider told of those that were submitted."""

from dataclasses import asdict, fields
from typing import Any

from gateway.model.template import Button, Header, TemplateDef, template_id
from gateway.store.codec import Doc, aware, read_as
from gateway.store.database import SCHEMA, Database, guarded


class Templates:
    def __init__(self, db: Database, tenant: str) -> None:
        self._templates = db["templates"]
        self._tenant = tenant

    async def find(self, account: str, name: str, language: str) -> TemplateDef | None:
        """One name in one language, of one business account."""
        return await self.get(template_id(self._tenant, account, name, language))

    async def get(self, template: str) -> TemplateDef | None:
        async with guarded():
            doc = await self._templates.find_one({"_id": template, "tenant": self._tenant})
        return from_doc(doc) if doc else None

    async def put(self, template: TemplateDef) -> None:
        """Write it whole, whatever stood there."""
        if template.tenant != self._tenant:
            raise ValueError("a template of another tenant")
        async with guarded():
            await self._templates.replace_one(
                {"_id": template.id, "tenant": self._tenant}, to_doc(template), upsert=True
            )


def to_doc(t: TemplateDef) -> Doc:
    doc: Doc = {
        f.name: getattr(t, f.name) for f in fields(t) if f.name not in ("id", "header", "buttons", "examples")
    }
    doc |= {
        "_id": t.id,
        "v": SCHEMA,
        "header": asdict(t.header) if t.header else None,
        "buttons": [asdict(b) for b in t.buttons],
        "examples": [[name, text] for name, text in t.examples.items()],
        "raw": dict(t.raw) or None,
    }
    return {k: v for k, v in doc.items() if v is not None}


def from_doc(d: Doc) -> TemplateDef:
    header: Any = d.get("header")
    return read_as(
        TemplateDef,
        d,
        id=d["_id"],
        updated=aware(d["updated"]),
        synced=aware(d.get("synced")),
        header=read_as(Header, header) if header else None,
        buttons=tuple(read_as(Button, b) for b in d.get("buttons", ())),
        examples=dict(d.get("examples", ())),
    )
