"""The audit: what must hold of a run, told from the database and from what the providers recorded. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.model.message import Status
from tests.chaos.history import LATE, Doc, Finding, History, Said, Taken, Verdict

GRACE = 1.0
"""Seconds after a 429 in which what was on its way already may still arrive."""

SLACK = 0.1
"""Seconds by which two clocks' readings of one moment may differ."""

START = 40.0
"""Seconds after the database has come back in which a start that did not find it may still end."""

ANSWERS = frozenset({0, 200, 429, 503})
"""What a provider may be answered: taken, try again, or nothing at all."""

GIVEN_UP = "delivery:unknown"


@dataclass(frozen=True, slots=True)
class _Record:
    """The history, looked up: documents of what was said and of its answers, copies by text."""

    incoming: Mapping[str, Doc]
    answers: Mapping[str, list[Doc]]
    copies: Mapping[str, list[Taken]]
    outgoing: tuple[Doc, ...]


def audit(history: History) -> Verdict:
    record = _record(history)
    found = [
        *_stored(history, record),
        *_effects(history, record),
        *_doubled(record),
        *_ordered(history, record),
        *_went_back(history, record),
        *_stuck(history),
        *_early(history),
        *_answered(history),
        *_ended(history),
    ]
    return Verdict(tuple(found), _counts(history, record), _left(record))


def _record(history: History) -> _Record:
    answers: dict[str, list[Doc]] = defaultdict(list)
    copies: dict[str, list[Taken]] = defaultdict(list)
    for doc in history.docs:
        if doc["direction"] == "out" and doc.get("turn"):
            answers[doc["turn"]].append(doc)
    for taken in sorted(history.taken, key=lambda t: t.at):
        copies[taken.text].append(taken)
    incoming = {text_of(d): d for d in history.docs if d["direction"] == "in"}
    return _Record(incoming, answers, copies, tuple(d for d in history.docs if d["direction"] == "out"))


def text_of(doc: Doc) -> str:
    return str(doc["content"].get("text", ""))


def _stored(history: History, record: _Record) -> Iterator[Finding]:
    """Everything was taken in the end, and what was acknowledged is there."""
    for said in history.said:
        if not said.acknowledged:
            yield Finding("not taken", f"{said.text!r} was never acknowledged")
        elif said.text not in record.incoming:
            yield Finding("not stored", f"{said.text!r} was acknowledged and is not in the database")


def _effects(history: History, record: _Record) -> Iterator[Finding]:
    """What is there has its one effect."""
    for said in history.said:
        doc = record.incoming.get(said.text)
        if doc is None or doc.get("todo"):
            continue
        answers = record.answers.get(doc["_id"], [])
        if not answers:
            yield Finding("lost", f"{said.text!r} is handled and has no answer", (doc["_id"],))
        elif len(answers) > 1:
            ids = (doc["_id"], *(str(a["_id"]) for a in answers))
            yield Finding("doubled", f"{said.text!r} has {len(answers)} answers", ids)
        elif why := _missing(said, answers[0], record):
            yield Finding("lost", f"{said.text!r}: {why}", (doc["_id"], answers[0]["_id"]))


def _missing(said: Said, answer: Doc, record: _Record) -> str | None:
    """Why an answer with nothing left to do is no effect; None when it is one."""
    status = Status(answer["status"])
    if answer.get("todo") or text_of(answer) in record.copies:
        return None
    if status is Status.DEAD and _code(answer) == GIVEN_UP:
        return None  # given up as promised, and listed as such
    if status is Status.FAILED and said.old and _code(answer).startswith("permission:"):
        return None
    if Status.SENT <= status <= Status.READ:
        return f"its answer is recorded as {status.label}, and no provider has it"
    return f"its answer ended as {status.label} ({_code(answer)}), and no provider has it"


def _doubled(record: _Record) -> Iterator[Finding]:
    """A second copy exists only where it is marked."""
    for doc in record.outgoing:
        copies = record.copies.get(text_of(doc), ())
        if len(copies) > 1 and not doc.get("possibly_doubled"):
            text = f"{text_of(doc)!r} was sent {len(copies)} times and is not marked"
            yield Finding("doubled", text, (doc.get("turn", ""), doc["_id"]))


def _ordered(history: History, record: _Record) -> Iterator[Finding]:
    """Stored in the order in which it was said; answered in the order in which it was stored."""
    by_customer: dict[str, list[Said]] = defaultdict(list)
    for said in history.said:
        if said.text in record.incoming:
            by_customer[said.customer].append(said)
    for talk in by_customer.values():
        talk.sort(key=lambda s: int(record.incoming[s.text]["seq"]))
        yield from _inversions("stored", talk, [s.number for s in talk], record)
        heard = [s for s in talk if s.text in record.copies]
        yield from _inversions("answered", heard, [record.copies[s.text][0].at for s in heard], record)


def _inversions(verb: str, talk: list[Said], places: Iterable[float], record: _Record) -> Iterator[Finding]:
    ordered = list(places)
    for before, after, one, other in zip(talk, talk[1:], ordered, ordered[1:], strict=False):
        if other < one:
            ids = tuple(str(record.incoming[s.text]["_id"]) for s in (before, after))
            yield Finding("out of order", f"{after.text!r} was {verb} before {before.text!r}", ids)


def _went_back(history: History, record: _Record) -> Iterator[Finding]:
    """No status is behind what was told of it, or behind what it has been."""
    by_id = {d["_id"]: d for d in record.outgoing}
    by_provider = {d["provider_id"]: d for d in record.outgoing if d.get("provider_id")}
    been = {s.label: int(s) for s in Status}
    highest: Counter[str] = Counter()
    for told in history.told:
        doc = by_id.get(told.message or "") or by_provider.get(told.provider_id)
        if doc is not None:
            highest[doc["_id"]] = max(highest[doc["_id"]], told.status)
    for doc in record.outgoing:
        before = max([highest[doc["_id"]], *(been.get(name, 0) for name in doc.get("times", ()))])
        if doc["status"] < before:
            text = f"{text_of(doc)!r} is {Status(doc['status']).label} and was {Status(before).label}"
            yield Finding("went back", text, (doc["_id"],))


def _stuck(history: History) -> Iterator[Finding]:
    for doc in history.docs:
        # What is held has its reason, and waits for the customer, or for a time of its own.
        if doc.get("todo") and doc["status"] != Status.HELD:
            status = Status(doc["status"]).label
            yield Finding(
                "stuck", f"{text_of(doc)!r} is {status} and waits for its {doc['todo']}", (doc["_id"],)
            )


def _early(history: History) -> Iterator[Finding]:
    """After a 429 nothing is sent on the account before its time. A process can't know what another was told while their
    Redis is away; and what was on its way when something stood still arrives when it goes on."""
    for refused in history.refused:
        near = [w for w in history.away if w.began < refused.until and w.ended > refused.at - GRACE]
        stalled = any(not w.what.startswith("redis") for w in near)
        for asked in history.asked:
            same = asked.account == refused.account
            knew = asked.who == refused.who or (history.shared and not near)
            if same and knew and refused.at + GRACE < asked.at < refused.until - SLACK and not stalled:
                after, early = asked.at - refused.at, refused.until - asked.at
                text = f"{asked.who} sent on {asked.account} {after:.1f} s after {refused.who}'s 429, {early:.1f} s early"
                yield Finding("early", text)


def _answered(history: History) -> Iterator[Finding]:
    """Nothing is taken while the database is away, and nothing is answered that a provider does not expect."""
    away = [w for w in history.away if w.what == "database"]
    for answer in history.answered:
        if answer.status not in ANSWERS:
            yield Finding("answer", f"a webhook was answered {answer.status} ({answer.what})")
        inside = any(w.began + SLACK < answer.began and answer.ended < w.ended - SLACK for w in away)
        if inside and answer.status == 200:
            yield Finding("false ack", f"a webhook was taken while the database was away ({answer.what})")


def _ended(history: History) -> Iterator[Finding]:
    """A process ends when it is killed or told to; and one that starts may give up while there is no database."""
    for ended in history.ended:
        away = (w.began < ended.at < w.ended + START for w in history.away if w.what.startswith("database"))
        if ended.code == LATE:
            yield Finding(
                "died", f"{ended.who} did not end within 30 s of SIGTERM; its log says where it stood"
            )
        elif ended.code not in (0, -9) and not any(away):
            yield Finding("died", f"{ended.who} ended by itself with {ended.code}; its log says why")


def _counts(history: History, record: _Record) -> dict[str, int]:
    doubled = [d for d in record.outgoing if len(record.copies.get(text_of(d), ())) > 1]
    texts = {s.text for s in history.said}
    return {
        "sent": len(history.said),
        "acknowledged": sum(s.acknowledged for s in history.said),
        "answered": sum(t in record.copies for t in texts),
        "copies": len(doubled),
        "flagged": sum(bool(d.get("possibly_doubled")) for d in doubled),
        "unknown": sum(d["status"] == int(Status.UNKNOWN) for d in record.outgoing),
    }


def _left(record: _Record) -> dict[str, int]:
    ended = [d for d in record.outgoing if d["status"] in (int(Status.DEAD), int(Status.FAILED))]
    return dict(Counter(f"{Status(d['status']).label} {_code(d)}" for d in ended))


def _code(doc: Doc) -> str:
    return str((doc.get("failure") or {}).get("code", ""))
