"""Model to documents and back. The only place that knows how fields are stored."""

from dataclasses import asdict, fields
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.model import content
from gateway.model.consent import SERVICE, Consents, Entry, Standing
from gateway.model.conversation import Contact, Conversation, Lead, Pending
from gateway.model.identity import Identity
from gateway.model.message import Failure, Message, Sender, Status
from gateway.model.permission import Cap, Decision, OptIn, Permissions, Quiet, Stage
from gateway.model.ports import Chunk, Document
from gateway.model.tenant import Channel, ExtraField, Rule, Site, Tenant
from gateway.store.database import SCHEMA

Doc = dict[str, Any]
T = TypeVar("T")


def aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def _slim(doc: Doc) -> Doc:
    return {k: v for k, v in doc.items() if v is not None}


def message_to_doc(m: Message, todo: str | None, **extra: Any) -> Doc:
    """`todo` is what the message still needs: `turn`, `send`, or nothing."""
    doc = {
        "_id": m.id,
        "v": SCHEMA,
        "tenant": m.tenant,
        "channel": m.channel,
        "conversation": m.conversation,
        "direction": m.direction,
        "author": m.author,
        "seq": m.seq,
        "at": m.at,
        "content": content.to_doc(m.content),
        "status": int(m.status),
        "provider_id": m.provider_id,
        "turn": m.turn,
        "reply_to": m.reply_to,
        "todo": todo,
        "due": m.due,
        "sender": asdict(m.sender) if m.sender else None,
        "client_id": m.client_id,
        "bulk": m.bulk or None,
        "purpose": m.purpose if m.purpose != SERVICE else None,
        "campaign": m.campaign,
        "decided": {d.stage: decision_to_doc(d) for d in m.decided} or None,
        "extra": dict(m.extra) or None,
        **extra,
    }
    return _slim(doc)


def _content(stored: Doc, version: int) -> content.Content:
    try:
        return content.from_doc(stored)
    except ValidationError:
        if version <= SCHEMA:
            raise
        newer: content.Content = content.NEWER
        return newer


def _status(d: Doc) -> Status:
    """A status that a newer version has put between ours counts as the one before it."""
    number = d["status"]
    return max(s for s in Status if s <= number) if d.get("v", SCHEMA) > SCHEMA else Status(number)


def message_from_doc(d: Doc) -> Message:
    status, sender = _status(d), d.get("sender")
    # A reason that a receipt has since overtaken is none.
    failure = None if Status.SENT <= status < Status.FAILED else d.get("failure")
    at, said = aware(d["at"]), _content(d["content"], d.get("v", SCHEMA))
    assert at is not None
    changed = d.get("changed")
    return Message(
        id=d["_id"],
        tenant=d["tenant"],
        channel=d["channel"],
        conversation=d["conversation"],
        direction=d["direction"],
        author=d["author"],
        seq=d["seq"],
        at=at,
        content=_content(changed, d.get("v", SCHEMA)) if changed else said,
        status=status,
        provider_id=d.get("provider_id"),
        turn=d.get("turn"),
        reply_to=d.get("reply_to"),
        attempts=d.get("attempts", 0),
        unknowns=d.get("unknowns", 0),
        due=aware(d.get("due")),
        possibly_doubled=d.get("possibly_doubled", False),
        retried=aware(d.get("retried")),
        failure=Failure(failure["code"], failure["text"]) if failure else None,
        sender=_sender(sender) if sender else None,
        client_id=d.get("client_id"),
        bulk=bool(d.get("bulk")),
        purpose=d.get("purpose", SERVICE),
        campaign=d.get("campaign"),
        decided=_decided(d.get("decided", {})),
        extra=d.get("extra", {}),
        edited=aware(d.get("edited")),
        original=said if changed else None,
        deleted=aware(d.get("deleted")),
    )


def read_as(kind: type[T], d: Doc, **made: Any) -> T:
    """A part of a document; what a newer version has added to it is passed over."""
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{**{k: v for k, v in d.items() if k in names}, **made})


def _sender(d: Doc) -> Sender:
    aliases = tuple(read_as(Identity, i) for i in d.get("aliases", ()))
    return read_as(Sender, d, identity=read_as(Identity, d["identity"]), aliases=aliases)


def conversation_to_doc(c: Conversation) -> Doc:
    return _slim(
        {
            "_id": c.id,
            "v": SCHEMA,
            "tenant": c.tenant,
            "channel": c.channel,
            "contact": c.contact,
            "address": c.address,
            "created": c.created,
            "rev": c.rev,
            "owner": c.owner,
            "open": c.open,
            "name": c.name,
            "language": c.language,
            "chosen": c.chosen,
            "turn": c.turn,
            "merged": list(c.merged) or None,
            "last_in": c.last_in,
            "last_at": c.last_at,
            "preview": c.preview,
            "pending": {"message": c.pending.message, "choices": [list(x) for x in c.pending.choices]}
            if c.pending
            else None,
            "blocked": c.blocked or None,
            # For processes of the version before: it knows no other withdrawal.
            "stopped": c.stopped or None,
            "consents": consents_to_doc(c.consents) or None,
            "window_until": c.window_until,
            "marketed": list(c.marketed) or None,
            "timezone": c.timezone,
            "slowed": c.slowed,
            "merged_into": c.merged_into,
            "lead": dict(c.lead) or None,
        }
    )


def conversation_from_doc(d: Doc) -> Conversation:
    pending = d.get("pending")
    created = aware(d["created"])
    assert created is not None
    return Conversation(
        id=d["_id"],
        tenant=d["tenant"],
        channel=d["channel"],
        contact=d["contact"],
        address=d["address"],
        created=created,
        rev=d["rev"],
        owner=d["owner"],
        open=d["open"],
        name=d.get("name"),
        language=d.get("language"),
        chosen=d.get("chosen"),
        turn=d.get("turn"),
        merged=tuple(d.get("merged", ())),
        last_in=aware(d.get("last_in")),
        last_at=aware(d.get("last_at")),
        preview=d.get("preview", ""),
        pending=Pending(pending["message"], tuple((c[0], c[1]) for c in pending["choices"]))
        if pending
        else None,
        blocked=d.get("blocked", False),
        consents=_consents(d, created),
        window_until=aware(d.get("window_until")),
        marketed=tuple(t for m in d.get("marketed", ()) if (t := aware(m)) is not None),
        timezone=d.get("timezone"),
        slowed=aware(d.get("slowed")),
        merged_into=d.get("merged_into"),
        lead=d.get("lead", {}),
    )


def consents_to_doc(consents: Consents) -> Doc:
    return {
        purpose: _slim(
            {
                "state": s.state,
                "at": s.at,
                "how": s.how,
                "entry": s.entry,
                "before": s.before or None,
                "recorded": s.recorded,
            }
        )
        for purpose, s in consents.items()
    }


def _consents(d: Doc, created: datetime) -> Consents:
    found = {}
    for purpose, s in d.get("consents", {}).items():
        found[purpose] = read_as(Standing, s, at=aware(s["at"]) or created, recorded=aware(s.get("recorded")))
    if d.get("stopped") and SERVICE not in found:  # before there was a ledger
        found[SERVICE] = Standing("withdrawn", aware(d.get("last_in")) or created, "command", "")
    return found


def entry_to_doc(e: Entry) -> Doc:
    doc = {f: getattr(e, f) for f in Entry.__dataclass_fields__ if f != "id"}
    return _slim({"_id": e.id, "v": SCHEMA, **doc})


def entry_from_doc(d: Doc) -> Entry:
    return read_as(Entry, d, id=d["_id"], at=aware(d["at"]), recorded=aware(d["recorded"]))


def decision_to_doc(decision: Decision) -> Doc:
    doc = {f: getattr(decision, f) for f in Decision.__dataclass_fields__ if f != "stage"}
    return {k: v for k, v in doc.items() if v not in (None, "", {})}


def _decided(stored: Doc) -> tuple[Decision, ...]:
    stages: tuple[Stage, ...] = ("written", "sent")
    return tuple(
        read_as(Decision, d, stage=s, at=aware(d["at"]), until=aware(d.get("until")))
        for s in stages
        if (d := stored.get(s)) is not None
    )


def identity_key(i: Identity) -> str:
    return f"{i.kind}\x1f{i.account}\x1f{i.id}"


def contact_to_doc(c: Contact) -> Doc:
    doc = {
        "_id": c.id,
        "v": SCHEMA,
        "tenant": c.tenant,
        "identities": [asdict(i) for i in c.identities],
        "keys": [identity_key(i) for i in c.identities],
        "name": c.name,
        "phone": c.phone,
        "email": c.email,
        "created": c.created,
        "merged": list(c.merged) or None,
    }
    return _slim(doc)


def contact_from_doc(d: Doc) -> Contact:
    created = aware(d["created"])
    assert created is not None
    return Contact(
        id=d["_id"],
        tenant=d["tenant"],
        identities=tuple(read_as(Identity, i) for i in d["identities"]),
        name=d.get("name"),
        phone=d.get("phone"),
        email=d.get("email"),
        created=created,
        merged=tuple(d.get("merged", ())),
    )


def lead_to_doc(lead: Lead) -> Doc:
    doc = {f: getattr(lead, f) for f in Lead.__dataclass_fields__ if f != "id"}
    return _slim({"_id": lead.id, "v": SCHEMA, **doc, "fields": dict(lead.fields)})


def lead_from_doc(d: Doc) -> Lead:
    values = {f: d[f] for f in Lead.__dataclass_fields__ if f in d}
    values["id"] = d["_id"]
    for name in ("created", "updated", "consent_at"):
        values[name] = aware(values.get(name))
    return Lead(**values)


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


def _cap(stored: list[Any] | None) -> Cap | None:
    return Cap(int(stored[0]), timedelta(seconds=stored[1])) if stored else None


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


def tenant_to_doc(t: Tenant) -> Doc:
    return _slim(
        {
            "_id": t.id,
            "v": SCHEMA,
            "name": t.name,
            "created": t.created,
            "rev": t.rev,
            "language": t.language,
            "region": t.region,
            "rules": [asdict(r) for r in t.rules],
            "limits": dict(t.limits) or None,
            "permissions": permissions_to_doc(t.permissions) if t.permissions != Permissions() else None,
            "knowledge": t.knowledge,
        }
    )


def tenant_from_doc(d: Doc) -> Tenant:
    created = aware(d["created"])
    assert created is not None
    return Tenant(
        id=d["_id"],
        name=d["name"],
        created=created,
        rev=d["rev"],
        language=d.get("language", "en"),
        region=d.get("region"),
        rules=tuple(read_as(Rule, r) for r in d.get("rules", ())),
        limits=d.get("limits", {}),
        permissions=_permissions(d["permissions"]) if "permissions" in d else Permissions(),
        knowledge=d.get("knowledge", 0),
    )


def channel_to_doc(c: Channel, sealed: Doc) -> Doc:
    """`sealed` holds the channel's secrets, encrypted by the vault."""
    return _slim(
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


def document_to_doc(x: Document) -> Doc:
    return _slim(
        {"_id": x.id, "v": SCHEMA, **{f: getattr(x, f) for f in Document.__dataclass_fields__ if f != "id"}}
    )


def document_from_doc(d: Doc) -> Document:
    values = {f: d[f] for f in Document.__dataclass_fields__ if f in d}
    values["added"] = aware(values["added"])
    return Document(**{**values, "id": d["_id"]})


def chunk_to_doc(c: Chunk, tenant: str, generation: str) -> Doc:
    return _slim(
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
    )
