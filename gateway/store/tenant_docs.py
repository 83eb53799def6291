"""Tenants and channels to documents and back."""

from dataclasses import asdict
from datetime import time, timedelta
from typing import Any

from gateway.model.answers import AnswerSettings
from gateway.model.permission import Cap, OptIn, Permissions, Quiet
from gateway.model.tenant import Channel, ExtraField, Site, Tenant
from gateway.store.answer_docs import rules_from_docs, rules_to_docs, settings_from_doc, settings_to_doc
from gateway.store.database import SCHEMA
from gateway.store.docs import Doc, aware, read_as, slim


def tenant_to_doc(t: Tenant, sealed: Doc | None = None) -> Doc:
    """`sealed` holds the tenant's secrets, encrypted by the vault."""
    return slim(
        {
            "_id": t.id,
            "v": SCHEMA,
            "name": t.name,
            "created": t.created,
            "rev": t.rev,
            "language": t.language,
            "region": t.region,
            "rules": rules_to_docs(t.rules),
            "limits": dict(t.limits) or None,
            "permissions": permissions_to_doc(t.permissions) if t.permissions != Permissions() else None,
            "knowledge": t.knowledge,
            "answers": settings_to_doc(t.answers) if t.answers != AnswerSettings() else None,
            "secrets": sealed or None,
        }
    )


def permissions_to_doc(p: Permissions) -> Doc:
    """Every field is written: what a later version has as its default must not change what a tenant set."""
    quiet, cap = p.quiet, p.cap
    return {
        **{f: getattr(p, f) for f in ("stop_scope", "double_opt_in", "timezone", "daily", "currency")},
        "purposes": list(p.purposes),
        "quiet": [f"{quiet.start:%H:%M}", f"{quiet.end:%H:%M}"] if quiet else None,
        "cap": [cap.most, cap.within.total_seconds()] if cap else None,
        "breaker": [p.breaker.most, p.breaker.within.total_seconds()] if p.breaker else None,
        "keywords": {family: list(words) for family, words in p.keywords.items()},
        "not_keywords": list(p.not_keywords),
        # Words and payloads are a customer's own characters: as keys they could name operators and paths.
        "opt_ins": [[word, asdict(o)] for word, o in p.opt_ins.items()],
        "deep_links": [[payload, asdict(o)] for payload, o in p.deep_links.items()],
        "prices": {category: dict(regions) for category, regions in p.prices.items()},
    }


def _permissions(d: Doc) -> Permissions:
    quiet, cap = d.get("quiet"), d.get("cap")
    return read_as(
        Permissions,
        d,
        purposes=tuple(d.get("purposes", ())),
        quiet=Quiet(time.fromisoformat(quiet[0]), time.fromisoformat(quiet[1])) if quiet else None,
        cap=Cap(cap[0], timedelta(seconds=cap[1])) if cap else None,
        breaker=_cap(d["breaker"]) if "breaker" in d else Permissions().breaker,
        keywords={f: tuple(words) for f, words in d.get("keywords", {}).items()},
        not_keywords=tuple(d.get("not_keywords", ())),
        opt_ins={word: read_as(OptIn, o) for word, o in d.get("opt_ins", ())},
        deep_links={payload: read_as(OptIn, o) for payload, o in d.get("deep_links", ())},
    )


def _cap(stored: list[Any] | None) -> Cap | None:
    return Cap(int(stored[0]), timedelta(seconds=stored[1])) if stored else None


def tenant_from_doc(d: Doc, secrets: dict[str, str]) -> Tenant:
    created = aware(d["created"])
    assert created is not None
    return Tenant(
        id=d["_id"],
        name=d["name"],
        created=created,
        rev=d["rev"],
        language=d.get("language", "en"),
        region=d.get("region"),
        rules=rules_from_docs(d.get("rules", ())),
        limits=d.get("limits", {}),
        permissions=_permissions(d["permissions"]) if "permissions" in d else Permissions(),
        knowledge=d.get("knowledge", 0),
        answers=settings_from_doc(d["answers"]) if "answers" in d else AnswerSettings(),
        secrets=secrets,
    )


def channel_to_doc(c: Channel, sealed: Doc) -> Doc:
    """`sealed` holds the channel's secrets, encrypted by the vault."""
    return slim(
        {
            "_id": c.id,
            "v": SCHEMA,
            "tenant": c.tenant,
            "kind": c.kind,
            "account": c.account,
            "name": c.name,
            "created": c.created,
            "rev": c.rev,
            "state": c.state,
            "origins": list(c.origins),
            "site": asdict(c.site),
            "config": dict(c.config),
            "secrets": sealed,
        }
    )


def channel_from_doc(d: Doc, secrets: dict[str, str]) -> Channel:
    stored = d.get("site", {})
    site = read_as(
        Site,
        stored,
        fields=tuple(read_as(ExtraField, f) for f in stored.get("fields", ())),
        links=tuple(stored.get("links", ())),
    )
    created = aware(d["created"])
    assert created is not None
    return Channel(
        id=d["_id"],
        tenant=d["tenant"],
        kind=d["kind"],
        account=d["account"],
        name=d["name"],
        created=created,
        rev=d["rev"],
        state=d["state"],
        origins=tuple(d.get("origins", ())),
        site=site,
        config=d.get("config", {}),
        secrets=secrets,
    )
