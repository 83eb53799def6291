"""Consent and decisions to documents and back."""

from datetime import datetime

from gateway.model.consent import SERVICE, Consents, Entry, Standing
from gateway.model.permission import Decision, Stage
from gateway.store.database import SCHEMA
from gateway.store.docs import Doc, aware, read_as, slim


def consents_to_doc(consents: Consents) -> Doc:
    return {
        purpose: slim(
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


def consents_of(d: Doc, created: datetime) -> Consents:
    found = {}
    for purpose, s in d.get("consents", {}).items():
        found[purpose] = read_as(Standing, s, at=aware(s["at"]) or created, recorded=aware(s.get("recorded")))
    if d.get("stopped") and SERVICE not in found:  # before there was a ledger
        found[SERVICE] = Standing("withdrawn", aware(d.get("last_in")) or created, "command", "")
    return found


def entry_to_doc(e: Entry) -> Doc:
    doc = {f: getattr(e, f) for f in Entry.__dataclass_fields__ if f != "id"}
    return slim({"_id": e.id, "v": SCHEMA, **doc})


def entry_from_doc(d: Doc) -> Entry:
    return read_as(Entry, d, id=d["_id"], at=aware(d["at"]), recorded=aware(d["recorded"]))


def decision_to_doc(decision: Decision) -> Doc:
    doc = {f: getattr(decision, f) for f in Decision.__dataclass_fields__ if f != "stage"}
    return {k: v for k, v in doc.items() if v not in (None, "", {})}


def decided_of(stored: Doc) -> tuple[Decision, ...]:
    stages: tuple[Stage, ...] = ("written", "sent")
    return tuple(
        read_as(Decision, d, stage=s, at=aware(d["at"]), until=aware(d.get("until")))
        for s in stages
        if (d := stored.get(s)) is not None
    )
