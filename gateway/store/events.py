"""What happened to a tenant's accounts themselves: a template was paused, the app was removed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.model.message import stable_id
from gateway.model.ports import ChannelEvent
from gateway.store.database import Database, guarded
from gateway.store.docs import aware
from gateway.store.group import insert_new

KEPT = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Happened:
    """A `ChannelEvent` as it was kept."""

    channel: str
    name: str
    at: datetime
    text: str
    warning: bool
    data: dict[str, Any]


class Events:
    def __init__(self, db: Database, tenant: str) -> None:
        self._events = db["channel_events"]
        self._tenant = tenant

    async def known(self, channel: str, event: ChannelEvent) -> bool:
        which = {"_id": self._id(channel, event), "tenant": self._tenant}
        async with guarded():
            return await self._events.find_one(which, {"_id": 1}) is not None

    def _id(self, channel: str, event: ChannelEvent) -> str:
        return stable_id("ev", self._tenant, channel, event.id)

    async def put(self, channel: str, event: ChannelEvent, now: datetime) -> bool:
        """Keep an event; whether it is new."""
        doc = {
            "_id": self._id(channel, event),
            "v": 1,
            "tenant": self._tenant,
            "channel": channel,
            "name": event.name,
            "at": event.at,
            "text": event.text,
            "warning": event.warning or event.disable,
            "data": dict(event.data),
            "expires": now + KEPT,
        }
        async with guarded():
            return (await insert_new(self._events, [doc]))[0]

    async def latest(self, channel: str, limit: int) -> list[Happened]:
        """A channel's events, newest first."""
        async with guarded():
            docs = await (
                self._events.find({"tenant": self._tenant, "channel": channel})
                .sort("at", -1)
                .limit(limit)
                .to_list()
            )
        found = []
        for d in docs:
            at = aware(d["at"])
            assert at is not None
            found.append(Happened(d["channel"], d["name"], at, d["text"], d["warning"], d["data"]))
        return found
