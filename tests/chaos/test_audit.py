"""The audit fails a history that is wrong in one thing, by name, and passes one that is right: else it proves nothing."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.model.message import Status
from tests.chaos.audit import audit
from tests.chaos.history import LATE, Answered, Asked, Doc, Ended, History, Refused, Said, Taken, Told, Window


def incoming(number: int, **more: Any) -> Doc:
    content = {"type": "text", "text": f"ana {number}"}
    doc = {"_id": f"m_{number}", "direction": "in", "seq": number, "content": content, "status": 1}
    return doc | more


def outgoing(number: int, status: Status = Status.SENT, **more: Any) -> Doc:
    doc = incoming(number, _id=f"o_{number}", direction="out", turn=f"m_{number}", status=int(status))
    return doc | {"seq": number + 100, "provider_id": f"p_{number}", "times": {"sent": 0}} | more


SAID = [Said(f"ana {n}", "ana", n, True) for n in range(3)]
DOCS = [d for n in range(3) for d in (incoming(n), outgoing(n))]
TAKEN = [Taken(f"ana {n}", 10.0 + n) for n in range(3)]
RIGHT = History(SAID, DOCS, TAKEN)


def with_doc(identifier: str, **changed: Any) -> list[Doc]:
    return [d | changed if d["_id"] == identifier else d for d in DOCS]


def without(identifier: str) -> list[Doc]:
    return [d for d in DOCS if d["_id"] != identifier]


TWICE = [*TAKEN, Taken("ana 1", 20.0)]
GIVEN_UP = {"status": int(Status.DEAD), "failure": {"code": "delivery:unknown"}, "times": {}}
STILL = Window("database", 5.0, 15.0)
REFUSED = Refused("web1", "wa", 10.0, 20.0)

WRONG = {
    "never acknowledged": (
        replace(RIGHT, said=[*SAID, Said("ana 3", "ana", 3, False)]),
        "not taken",
    ),
    "acknowledged and not there": (replace(RIGHT, docs=without("m_1")), "not stored"),
    "no answer": (replace(RIGHT, docs=without("o_1"), taken=[TAKEN[0], TAKEN[2]]), "lost"),
    "recorded as sent, and nobody has it": (replace(RIGHT, taken=[TAKEN[0], TAKEN[2]]), "lost"),
    "refused": (
        replace(RIGHT, docs=with_doc("o_2", status=int(Status.FAILED)), taken=TAKEN[:2]),
        "lost",
    ),
    "two answers": (replace(RIGHT, docs=[*DOCS, outgoing(1, _id="o_other")]), "doubled"),
    "a second copy": (replace(RIGHT, taken=TWICE), "doubled"),
    "answered in another order": (
        replace(RIGHT, taken=[TAKEN[0], Taken("ana 1", 12.5), TAKEN[2]]),
        "out of order",
    ),
    "stored in another order": (replace(RIGHT, docs=with_doc("m_0", seq=50)), "out of order"),
    "behind its receipt": (replace(RIGHT, told=[Told("x", int(Status.READ), "o_1")]), "went back"),
    "behind its receipt by the provider's id": (
        replace(RIGHT, told=[Told("p_1", int(Status.DELIVERED))]),
        "went back",
    ),
    "behind what it was": (
        replace(RIGHT, docs=with_doc("o_1", times={"sent": 0, "read": 0})),
        "went back",
    ),
    "a turn that nobody takes": (replace(RIGHT, docs=with_doc("m_1", todo="turn", status=0)), "stuck"),
    "a message that nobody sends": (
        replace(
            RIGHT, docs=with_doc("o_2", todo="send", status=int(Status.QUEUED), times={}), taken=TAKEN[:2]
        ),
        "stuck",
    ),
    "too early by the same process": (
        replace(RIGHT, refused=[REFUSED], asked=[Asked("web1", "wa", 15.0)], shared=False),
        "early",
    ),
    "too early by another": (replace(RIGHT, refused=[REFUSED], asked=[Asked("web2", "wa", 15.0)]), "early"),
    "taken without a database": (
        replace(RIGHT, answered=[Answered(6.0, 7.0, 200)], away=[STILL]),
        "false ack",
    ),
    "a process that ends by itself": (replace(RIGHT, ended=[Ended("web1", 60.0, 1)], away=[STILL]), "died"),
    "one that does not end": (replace(RIGHT, ended=[Ended("web1", 60.0, LATE)]), "died"),
    "a fault of ours": (replace(RIGHT, answered=[Answered(1.0, 2.0, 500)]), "answer"),
}

PASSES = {
    "nothing happened": History(),
    "all is well": RIGHT,
    "a second copy that is marked": replace(RIGHT, docs=with_doc("o_1", possibly_doubled=True), taken=TWICE),
    "given up as promised": replace(RIGHT, docs=with_doc("o_2", **GIVEN_UP), taken=TAKEN[:2]),
    "said days ago, and not answered any more": replace(
        RIGHT,
        said=[*SAID[:2], replace(SAID[2], old=True)],
        docs=with_doc("o_2", status=int(Status.FAILED), failure={"code": "permission:window"}),
        taken=TAKEN[:2],
    ),
    "read is more than delivered": replace(
        RIGHT,
        docs=with_doc("o_1", status=int(Status.READ)),
        told=[Told("x", int(Status.DELIVERED), "o_1")],
    ),
    "at its time": replace(
        RIGHT, refused=[REFUSED], asked=[Asked("web1", "wa", 10.2), Asked("web1", "wa", 20.0)]
    ),
    "another account": replace(RIGHT, refused=[REFUSED], asked=[Asked("web1", "tg", 15.0)]),
    "another process, and no Redis to tell it": replace(
        RIGHT, refused=[REFUSED], asked=[Asked("web2", "wa", 15.0)], away=[Window("redis", 9.0, 12.0)]
    ),
    "killed, and told to end": replace(RIGHT, ended=[Ended("web1", 6.0, -9), Ended("web1", 7.0, 0)]),
    "started without a database": replace(RIGHT, ended=[Ended("web1", 16.0, 1)], away=[STILL]),
    "a 503 without a database": replace(RIGHT, answered=[Answered(6.0, 7.0, 503)], away=[STILL]),
    "taken once it was back": replace(RIGHT, answered=[Answered(6.0, 15.5, 200)], away=[STILL]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found_and_nothing_else(name: str) -> None:
    history, kind = WRONG[name]
    verdict = audit(history)
    assert not verdict.passed
    assert {f.kind for f in verdict.findings} == {kind}


@pytest.mark.parametrize("name", PASSES)
def test_what_is_right_passes(name: str) -> None:
    assert audit(PASSES[name]).findings == ()


def test_it_counts_what_it_saw() -> None:
    marked = with_doc("o_1", possibly_doubled=True)
    docs = [d | GIVEN_UP if d["_id"] == "o_2" else d for d in marked]
    verdict = audit(replace(RIGHT, docs=docs, taken=[*TAKEN[:2], Taken("ana 1", 20.0)]))
    assert verdict.counts == {
        "sent": 3,
        "acknowledged": 3,
        "answered": 2,
        "copies": 1,
        "flagged": 1,
        "unknown": 0,
    }
    assert verdict.left == {"dead delivery:unknown": 1}
