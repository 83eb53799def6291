"""What is left to do, over all tenants: for the sweeper and for the start, never for a request."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from pymongo import UpdateOne

from gateway.model.message import Failure, Message, Receipt, Status
from gateway.model.work import Key
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc, aware
from gateway.store.group import insert_new
from gateway.store.places import hold_places, take_places
from gateway.store.receipts import Receipts
from gateway.store.rows import HELD

MATCH_TRIES = 8
"""How often, at growing intervals, a receipt is tried against messages that we may not have recorded yet: some minutes."""

BULK_NOTED = timedelta(hours=1)
"""How long an account's queue is remembered after the last was written."""

MOMENT = timedelta(milliseconds=1)
"""The database's times are whole milliseconds."""

WINDOW, MOST_WINDOWS = 50, 40
"""Places of a queue that are read at once, and how often in one look."""

MOST_HELD = 500
"""Held bulk that one look queues again."""


Matched = Callable[[str, Receipt], Awaitable[None]]
"""Told of a channel's receipt that found its message late."""


def is_due(doc: Doc, now: datetime) -> bool:
    due = aware(doc.get("due"))
    return due is None or due <= now


class OpenWork:
    def __init__(self, db: Database) -> None:
        self._messages = db["messages"]
        self._receipts = db["receipts"]
        self._files = db["files"]
        self._leases = db["leases"]
        self._bulk = db["bulk"]

    async def due(self, now: datetime, limit: int, passed: dict[str, datetime] | None = None) -> list[Key]:
        """Conversations with something due, each once. Where more than `limit` is, `passed` remembers how far this look
        came, and the next one goes on from there: what gets nowhere hides nothing behind it."""
        keys: dict[Key, None] = {}
        passed = {} if passed is None else passed
        async with guarded():
            for todo in ("turn", "send"):
                after = passed.pop(todo, None)
                which = {"$lte": now} if after is None else {"$lte": now, "$gte": after}
                docs = await (
                    self._messages.find(
                        {"todo": todo, "due": which}, {"tenant": 1, "conversation": 1, "due": 1}
                    )
                    .sort("due", 1)
                    .limit(limit)
                    .to_list()
                )
                keys |= {Key(d["tenant"], d["conversation"]): None for d in docs}
                if len(docs) == limit:
                    last = aware(docs[-1]["due"]) or now
                    passed[todo] = last if last != after else last + MOMENT
        return list(keys)

    async def bulk(self, now: datetime, limit: int, room: Callable[[str], bool]) -> list[Key]:
        """Conversations with bulk messages that are due, of every channel that has `room`, one channel after another in
        turn: at most `limit` a channel."""
        await self._queue_held(now)
        found: list[list[Key]] = []
        async with guarded():
            async for row in self._bulk.find({}):
                if room(row["_id"]):
                    found.append(await self._bulk_of(row, now, limit))
        return [key for keys in itertools.zip_longest(*found) for key in keys if key is not None]

    async def _queue_held(self, now: datetime) -> None:
        """Bulk that was held and is due takes its place at the end of its channel's queue."""
        which = {"todo": HELD, "due": {"$lte": now}}
        async with guarded():
            docs = await (
                self._messages.find(which, {"tenant": 1, "channel": 1, "seq": 1})
                .sort("due", 1)
                .limit(MOST_HELD)
                .to_list()
            )
        by_channel: dict[tuple[str, str], list[Doc]] = {}
        for doc in docs:
            by_channel.setdefault((doc["tenant"], doc["channel"]), []).append(doc)
        for (tenant, channel), held in by_channel.items():
            first = await take_places(self._bulk, tenant, channel, len(held), now)
            back = {"todo": "bulk", "in_bulk": True}
            calls = [
                UpdateOne({"_id": d["_id"], "todo": HELD}, {"$set": {**back, "place": place}})
                for place, d in enumerate(sorted(held, key=lambda d: d["seq"]), first)
            ]
            async with guarded():
                await self._messages.bulk_write(calls, ordered=False)
            await hold_places(self._bulk, channel, first)

    async def _bulk_of(self, row: Doc, now: datetime, limit: int) -> list[Key]:
        """A few places at a time: the embedded server reads all that a filter finds, whatever the limit."""
        which: Doc = {"channel": row["_id"], "in_bulk": True}
        head = place = row.get("head", 0)
        due: list[Key] = []
        for _ in range(MOST_WINDOWS):
            if place >= row["tail"] or len(due) >= limit:
                break
            window = {**which, "place": {"$gte": place, "$lt": place + WINDOW}}
            docs = await self._messages.find(window, {"tenant": 1, "conversation": 1, "due": 1}).to_list()
            due += [Key(d["tenant"], d["conversation"], bulk=True) for d in docs if is_due(d, now)]
            place += WINDOW
            if not docs and place == head + WINDOW:
                head = place
        if head >= row["tail"] and await self._passed(row, now):
            return due[:limit]
        if head != row.get("head", 0):
            # Unless somebody has written since: that may be in a place that we saw empty.
            seen = {"_id": row["_id"], "at": row["at"], "written": row.get("written")}
            await self._bulk.update_one(seen, {"$set": {"head": head}})
        return due[:limit]

    async def _passed(self, row: Doc, now: datetime) -> bool:
        """At the end of a queue: whoever was slow to write may have places behind us; else it is forgotten in time."""
        left = await self._messages.find_one({"channel": row["_id"], "in_bulk": True}, {"place": 1})
        if left is not None:
            await self._bulk.update_one({"_id": row["_id"]}, {"$set": {"head": left["place"]}})
            return True
        noted = aware(row["at"])
        if noted is not None and noted < now - BULK_NOTED:
            await self._bulk.delete_one({"_id": row["_id"], "at": row["at"]})
        return False

    async def dead_letters(self, most: int = 1000) -> int:
        """How many messages were given up and not looked at, counted up to a bound."""
        async with guarded():
            return len(await self._messages.find({"dead": True}, {"_id": 1}).limit(most).to_list())

    async def release(self, now: datetime) -> None:
        """At the start of the only process: whoever worked or was sending is gone. What waits for another reason waits."""
        async with guarded():
            await self._messages.update_many({"todo": "turn", "due": {"$gt": now}}, {"$set": {"due": now}})
            await self._files.update_many({"todo": "fetch", "due": {"$gt": now}}, {"$set": {"due": now}})
            await self._leases.delete_many({})
        await self._due_now(now, {"status": int(Status.SENDING)})

    async def release_channel(self, tenant: str, channel: str, now: datetime) -> None:
        """A channel may send and fetch again: what was held is due now."""
        await self._due_now(now, {"tenant": tenant, "channel": channel, "status": int(Status.QUEUED)})
        async with guarded():
            # What is not held is being fetched, or waits for another reason.
            held = [
                doc["_id"]
                async for doc in self._files.find(
                    {"todo": "fetch", "due": {"$gt": now}}, {"tenant": 1, "channel": 1, "held": 1}
                )
                if doc.get("held") and (doc["tenant"], doc["channel"]) == (tenant, channel)
            ]
            if held:
                await self._files.update_many(
                    {"_id": {"$in": held}, "held": True}, {"$set": {"due": now}, "$unset": {"held": ""}}
                )

    async def _due_now(self, now: datetime, standing: Doc) -> None:
        """What waits to be sent and stands so is due now."""
        async with guarded():
            ids = [
                doc["_id"]
                for todo in ("send", "bulk")
                async for doc in self._messages.find(
                    {"todo": todo, "due": {"$gt": now}}, dict.fromkeys(standing, 1)
                )
                if all(doc.get(k) == v for k, v in standing.items())
            ]
            if ids:
                change = {"$set": {"due": now}}
                await self._messages.bulk_write(
                    [UpdateOne({"_id": i, **standing}, change) for i in ids], ordered=False
                )

    async def postpone(self, tenant: str, conversation: str, due: datetime) -> None:
        """Nothing can be done for a conversation before a time, whoever looks."""
        async with guarded():
            await self._messages.update_many(
                {"tenant": tenant, "conversation": conversation, "todo": {"$gt": ""}},
                {"$set": {"due": due}},
            )

    async def amend_later(self, edit: Message, to: str, now: datetime) -> None:
        """An edit or a deletion came before its message: it is tried again for some minutes."""
        doc: Doc = {
            "_id": f"amend:{edit.id}",
            "tenant": edit.tenant,
            "message": edit.id,
            "channel": edit.channel,
            "to": to,
            "todo": "amend",
            "due": now + timedelta(seconds=2),
            "expires": now + timedelta(days=1),
        }
        async with guarded():
            await insert_new(self._receipts, [doc])

    async def unamended(self, now: datetime, limit: int) -> list[Doc]:
        async with guarded():
            found: list[Doc] = await (
                self._receipts.find({"todo": "amend", "due": {"$lte": now}}).limit(limit).to_list()
            )
        return found

    async def amend_tried(self, doc: Doc, done: bool, now: datetime) -> None:
        tries = doc.get("tries", 0) + 1
        async with guarded():
            if done or tries >= MATCH_TRIES:
                await self._receipts.delete_one({"_id": doc["_id"]})
                return
            due = now + timedelta(seconds=min(2**tries, 3600))
            await self._receipts.update_one({"_id": doc["_id"]}, {"$set": {"tries": tries, "due": due}})

    async def unmatched(self, now: datetime, limit: int) -> list[Doc]:
        async with guarded():
            found: list[Doc] = await (
                self._receipts.find({"todo": "match", "due": {"$lte": now}}).limit(limit).to_list()
            )
        return found

    async def match(
        self, receipts: Receipts, doc: Doc, now: datetime, matched: Matched | None = None
    ) -> bool:
        """Try a kept receipt again; it is looked for less and less often, until it expires. `matched` is told of one that found
        its message, before it is forgotten."""
        failure, number = doc.get("failure"), doc["status"]
        if number not in list(Status):  # a newer version's: it is left to processes of that version
            return False
        receipt = Receipt(
            provider_id=doc["provider_id"],
            status=Status(number),
            at=doc["at"],
            failure=Failure(**failure) if failure else None,
            detail=doc.get("detail"),
            opt_out=doc.get("opt_out", False),
        )
        if await receipts.apply_one(doc["channel"], receipt):
            if matched is not None:
                await matched(doc["channel"], receipt)
            async with guarded():
                await self._receipts.delete_one({"_id": doc["_id"]})
            return True
        tries = doc.get("tries", 0) + 1
        if tries >= MATCH_TRIES:  # another system's message: its receipts are none of our business
            async with guarded():
                await self._receipts.delete_one({"_id": doc["_id"]})
            return False
        async with guarded():
            await self._receipts.update_one(
                {"_id": doc["_id"]},
                {"$set": {"tries": tries, "due": now + timedelta(seconds=min(2**tries, 3600))}},
            )
        return False
