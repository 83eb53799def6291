"""What the repositories of messages share: how a message is found, changed and done with."""

from collections.abc import Sequence
from typing import Final

from pymongo import UpdateOne

from gateway.model.message import Failure, Message
from gateway.model.permission import Decision
from gateway.store.consent_docs import decision_to_doc
from gateway.store.database import Collection, guarded
from gateway.store.docs import Doc

DONE: Final = {"todo": "", "due": "", "in_bulk": "", "place": ""}
"""What a message loses once nothing is left to do."""

HELD: Final = "held"
"""What is left to do for bulk that is held: to be queued again when it is due."""


def failure_doc(failure: Failure) -> Doc:
    return {"code": failure.code, "text": failure.text}


def decided(decision: Decision | None) -> Doc:
    """A decision, to be set on its message in place of the last one of the same stage."""
    return {} if decision is None else {f"decided.{decision.stage}": decision_to_doc(decision)}


def aside(message: Message, change: Doc) -> Doc:
    """The update by which a message is held. Bulk leaves its place in the queue, where it would be in the way of what follows;
    `OpenWork.bulk` finds it when it is due and gives it a new one."""
    if not message.bulk:
        return {"$set": change}
    return {"$set": {**change, "todo": HELD}, "$unset": {"in_bulk": "", "place": ""}}


MOST_NAMED: Final = 100
"""Values of one `$in`: the embedded server's time grows with their square (1,000 take 0.7 s there)."""


async def find_named(
    collection: Collection, field: str, values: Sequence[str], also: Doc, fields: Doc | None = None
) -> list[Doc]:
    """Documents in which a field has one of the values, and that stand as `also` says. Raises the driver's errors."""
    found: list[Doc] = []
    for start in range(0, len(values), MOST_NAMED):
        which = {**also, field: {"$in": list(values[start : start + MOST_NAMED])}}
        found += await collection.find(which, fields).to_list()
    return found


async def by_provider_id(messages: Collection, tenant: str, channel: str, provider_id: str) -> str | None:
    """Our id of the message that the provider calls so."""
    which = {"tenant": tenant, "channel": channel, "provider_id": provider_id}
    async with guarded():
        found = await messages.find_one(which, {"_id": 1})
    return str(found["_id"]) if found else None


async def update_each(
    messages: Collection, tenant: str, ids: Sequence[str], standing: Doc, change: Doc
) -> None:
    """The same change to each message that still stands so."""
    calls = [UpdateOne({"_id": i, "tenant": tenant, **standing}, change) for i in ids]
    if calls:
        async with guarded():
            await messages.bulk_write(calls, ordered=False)
