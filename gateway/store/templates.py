"""Templates of one tenant: drafts, and what the provider told of those that were submitted."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from gateway.model.template import Button, Header, TemplateDef, template_id
from gateway.store.database import SCHEMA, Database, guarded
from gateway.store.docs import Doc, aware, read_as
from gateway.store.group import insert_new
from gateway.store.rows import find_named, update_each

PAGE = 200
SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class TemplatePage:
    """Templates by name, language and account; `next` is the cursor of the next page, None at the end."""

    items: tuple[TemplateDef, ...]
    next: str | None


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

    async def of_remote(self, remote: str) -> list[TemplateDef]:
        """Those that the provider calls so."""
        async with guarded():
            docs = await self._templates.find({"tenant": self._tenant, "remote": remote}).to_list()
        return [from_doc(d) for d in docs]

    async def named(self, account: str | None, name: str) -> list[TemplateDef]:
        """One name in every language, of one business account, or of all and of none; by language."""
        async with guarded():
            docs = await self._templates.find({"tenant": self._tenant, "name": name}).to_list()
        found = [from_doc(d) for d in docs if account in (None, d["account"])]
        return sorted(found, key=lambda t: (t.account, t.language))

    async def some(self, ids: Sequence[str]) -> dict[str, TemplateDef]:
        """By id, those of them that there are."""
        async with guarded():
            docs = await find_named(self._templates, "_id", ids, {})
        return {str(d["_id"]): from_doc(d) for d in docs if d["tenant"] == self._tenant}

    async def page(self, after: str | None, limit: int, account: str | None = None) -> TemplatePage:
        """By name, from behind the cursor of the page before."""
        which: Doc = {"tenant": self._tenant}
        if after is not None:
            which["name"] = {"$gte": after.split(SEPARATOR)[0]}
        found: list[TemplateDef] = []
        async with guarded():
            cursor = self._templates.find(which).sort([("name", 1), ("language", 1), ("account", 1)])
            async for doc in cursor.batch_size(PAGE):
                template = from_doc(doc)
                if (after is None or _cursor(template) > after) and account in (None, template.account):
                    found.append(template)
                    if len(found) > limit:
                        break
        more = len(found) > limit
        return TemplatePage(tuple(found[:limit]), _cursor(found[limit - 1]) if more else None)

    async def all(self, account: str) -> AsyncIterator[TemplateDef]:
        """Every template of a business account, in no order, a batch at a time."""
        async with guarded():
            async for doc in self._templates.find({"tenant": self._tenant}).batch_size(PAGE):
                if doc["account"] == account:
                    yield from_doc(doc)

    async def add(self, template: TemplateDef) -> bool:
        """Write a new one; whether there was none yet."""
        self._own(template)
        async with guarded():
            return (await insert_new(self._templates, [to_doc(template)]))[0]

    async def add_many(self, templates: Sequence[TemplateDef]) -> list[bool]:
        """Write new ones; for each whether there was none yet."""
        for template in templates:
            self._own(template)
        if not templates:
            return []
        async with guarded():
            return await insert_new(self._templates, [to_doc(t) for t in templates])

    async def save(self, template: TemplateDef) -> TemplateDef | None:
        """Write it if nobody else did since it was read; what stands now, None when overtaken."""
        self._own(template)
        saved = replace(template, rev=template.rev + 1)
        async with guarded():
            result = await self._templates.replace_one(
                {"_id": template.id, "tenant": self._tenant, "rev": template.rev}, to_doc(saved)
            )
        return saved if result.modified_count else None

    async def seen(self, ids: Sequence[str], at: datetime) -> None:
        """The provider still has them as they stand here."""
        # A list that was begun later may have been through already: what it saw is not unseen again.
        await update_each(self._templates, self._tenant, ids, {}, {"$max": {"synced": at}})

    async def remove(self, template: TemplateDef) -> bool:
        """Remove it if it stands as it was read; whether it was there so."""
        which = {"_id": template.id, "tenant": self._tenant, "rev": template.rev}
        async with guarded():
            return (await self._templates.delete_one(which)).deleted_count == 1

    def _own(self, template: TemplateDef) -> None:
        if template.tenant != self._tenant:
            raise ValueError("a template of another tenant")

    async def put(self, template: TemplateDef) -> None:
        """Write it whole, whatever stood there."""
        self._own(template)
        async with guarded():
            await self._templates.replace_one(
                {"_id": template.id, "tenant": self._tenant}, to_doc(template), upsert=True
            )


def _cursor(t: TemplateDef) -> str:
    return SEPARATOR.join((t.name, t.language, t.account))


def to_doc(t: TemplateDef) -> Doc:
    doc: Doc = {
        f.name: getattr(t, f.name)
        for f in fields(t)
        if f.name not in ("id", "header", "buttons", "examples", "draft", "told")
    }
    doc |= {
        "_id": t.id,
        "v": SCHEMA,
        "header": asdict(t.header) if t.header else None,
        "buttons": [asdict(b) for b in t.buttons],
        "examples": [[name, text] for name, text in t.examples.items()],
        "raw": _json(t.raw),
        "draft": _json(t.draft),
        "told": dict(t.told) or None,
    }
    return {k: v for k, v in doc.items() if v is not None}


def _json(value: Mapping[str, Any]) -> str | None:
    """As text: its keys are a provider's, or a person's, and may be what no field can be called."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")) if value else None


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
        raw=json.loads(d["raw"]) if isinstance(d.get("raw"), str) else d.get("raw", {}),
        draft=json.loads(d.get("draft") or "{}"),
        told={what: at for what, moment in d.get("told", {}).items() if (at := aware(moment)) is not None},
    )
