"""Model to documents and back. The only place that knows how fields are stored."""

from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from gateway.model import content
from gateway.model.answers import Said
from gateway.model.consent import SERVICE
from gateway.model.conversation import Contact, Conversation, Lead, Pending
from gateway.model.identity import Identity
from gateway.model.message import Failure, Message, Sender, Status
from gateway.store.consent_docs import consents_of, consents_to_doc, decided_of, decision_to_doc
from gateway.store.database import SCHEMA
from gateway.store.docs import Doc, aware, read_as, slim


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
    return slim(doc)


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
        decided=decided_of(d.get("decided", {})),
        extra=d.get("extra", {}),
        edited=aware(d.get("edited")),
        original=said if changed else None,
        deleted=aware(d.get("deleted")),
    )


def _sender(d: Doc) -> Sender:
    aliases = tuple(read_as(Identity, i) for i in d.get("aliases", ()))
    return read_as(Sender, d, identity=read_as(Identity, d["identity"]), aliases=aliases)


def conversation_to_doc(c: Conversation) -> Doc:
    return slim(
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
            "form": dict(c.form) or None,
            "recent": [[s.who, s.text] for s in c.recent] or None,
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
        consents=consents_of(d, created),
        window_until=aware(d.get("window_until")),
        marketed=tuple(t for m in d.get("marketed", ()) if (t := aware(m)) is not None),
        timezone=d.get("timezone"),
        slowed=aware(d.get("slowed")),
        merged_into=d.get("merged_into"),
        lead=d.get("lead", {}),
        form=d.get("form", {}),
        recent=tuple(Said(who, text) for who, text in d.get("recent", ())),
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
    return slim(doc)


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
    return slim({"_id": lead.id, "v": SCHEMA, **doc, "fields": dict(lead.fields)})


def lead_from_doc(d: Doc) -> Lead:
    values = {f: d[f] for f in Lead.__dataclass_fields__ if f in d}
    values["id"] = d["_id"]
    for name in ("created", "updated", "consent_at"):
        values[name] = aware(values.get(name))
    return Lead(**values)
