"""Places in the queues of bulk messages, one queue a channel."""

from datetime import datetime

from gateway.store.database import Collection, guarded


async def take_places(bulk: Collection, tenant: str, channel: str, count: int, now: datetime) -> int:
    """The first of so many places at the end of a channel's queue."""
    change = {"$inc": {"tail": count}, "$set": {"tenant": tenant, "at": now}, "$setOnInsert": {"head": 0}}
    async with guarded():
        row = await bulk.find_one_and_update({"_id": channel}, change, upsert=True)
    return int(row["tail"]) if row else 0


async def hold_places(bulk: Collection, channel: str, first: int) -> None:
    """The messages are in the places taken: whoever looked there in between has passed nothing over."""
    async with guarded():
        await bulk.update_one({"_id": channel}, {"$min": {"head": first}, "$inc": {"written": 1}})
