"""Receipts: what providers and widgets say about messages that we sent. A status never goes back, whatever order they come in."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from gateway.model.message import Message, Receipt, Status
from gateway.store.codec import message_from_doc
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc
from gateway.store.group import insert_new
from gateway.store.rows import DONE, by_provider_id, failure_doc, update_each

KEPT: Final = timedelta(days=1)
SEEN_LATEST: Final = 100
"""How many of the latest messages one acknowledgement looks at."""


class Receipts:
    """The receipts for one tenant's messages."""

    def __init__(self, db: Database, tenant: str) -> None:
        self._messages = db["messages"]
        self._receipts = db["receipts"]
        self._tenant = tenant

    async def apply(self, channel: str, receipts: Sequence[Receipt], now: datetime) -> None:
        """Apply receipts, durably. One whose message is not known yet is kept and tried again."""
        for receipt in receipts:
            if not await self.apply_one(channel, receipt):
                await self._keep(channel, receipt, now)

    async def apply_one(self, channel: str, receipt: Receipt) -> bool:
        """Whether its message was found. A refusal never overtakes a delivery."""
        message = receipt.message or await by_provider_id(
            self._messages, self._tenant, channel, receipt.provider_id
        )
        if message is None:
            return False
        which: Doc = {"_id": message, "tenant": self._tenant, "channel": channel, "direction": "out"}
        change: Doc = {
            "$unset": {**DONE, "dead": ""},
            "$max": {"status": int(receipt.status)},
            "$min": {f"times.{receipt.status.label}": receipt.at},
        }
        told = {
            "provider_id": receipt.provider_id or None,
            "failure": failure_doc(receipt.failure) if receipt.failure else None,
            "detail": receipt.detail,
        }
        if known := {k: v for k, v in told.items() if v is not None}:
            change["$set"] = known
        standing = {"status": {"$lt": int(Status.DELIVERED)}} if receipt.status is Status.FAILED else {}
        async with guarded():
            if (await self._messages.update_one({**which, **standing}, change)).matched_count:
                return True
            return bool(standing) and await self._messages.find_one(which, {"_id": 1}) is not None

    async def message(self, channel: str, receipt: Receipt) -> Message | None:
        """The message that a receipt is about; None for one that we do not know."""
        message = receipt.message or await by_provider_id(
            self._messages, self._tenant, channel, receipt.provider_id
        )
        if message is None:
            return None
        async with guarded():
            doc = await self._messages.find_one({"_id": message, "tenant": self._tenant})
        return message_from_doc(doc) if doc and doc["channel"] == channel else None

    async def _keep(self, channel: str, receipt: Receipt, now: datetime) -> None:
        doc: Doc = {
            "_id": f"{channel}:{receipt.provider_id}:{receipt.status.label}",
            "tenant": self._tenant,
            "channel": channel,
            "provider_id": receipt.provider_id,
            "status": int(receipt.status),
            "at": receipt.at,
            "failure": failure_doc(receipt.failure) if receipt.failure else None,
            "detail": receipt.detail,
            "opt_out": receipt.opt_out,
            "todo": "match",
            "due": now + timedelta(seconds=2),
            "expires": now + KEPT,
        }
        async with guarded():
            await insert_new(self._receipts, [doc])

    async def seen(self, conversation: str, upto: int, status: Status, at: datetime) -> None:
        """The widget has (or the visitor saw) everything up to a cursor: of the latest messages, those of ours."""
        which = {"tenant": self._tenant, "conversation": conversation, "seq": {"$lte": upto}}
        async with guarded():
            docs = await (
                self._messages.find(which, {"status": 1, "direction": 1})
                .sort("seq", -1)
                .limit(SEEN_LATEST)
                .to_list()
            )
        # What is being sent counts: the widget may answer before our own record is written.
        before = [int(s) for s in Status if s.out and s < status]
        ids = [d["_id"] for d in docs if d["direction"] == "out" and d["status"] in before]
        change = {
            "$max": {"status": int(status)},
            "$min": {f"times.{status.label}": at},
            "$unset": dict(DONE),
        }
        await update_each(self._messages, self._tenant, ids, {"status": {"$in": before}}, change)
