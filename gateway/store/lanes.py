"""How lanes stand, kept so that a restart forgets neither a provider's wait nor what was sent a moment ago."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import UpdateOne

from gateway.store.database import Database, guarded
from gateway.store.docs import aware

MOST = 50_000


@dataclass(frozen=True, slots=True)
class Standing:
    """One lane by the wall clock: when its burst is whole again, and until when the provider told us to wait."""

    lane: str
    full_at: datetime
    paused_until: datetime


class Lanes:
    """Times only grow: several processes may write the same lane, in any order."""

    def __init__(self, db: Database) -> None:
        self._lanes = db["lanes"]

    async def keep(self, standings: Sequence[Standing]) -> None:
        calls = [
            UpdateOne(
                {"_id": s.lane},
                {
                    "$max": {
                        "full": s.full_at,
                        "paused": s.paused_until,
                        "expires": max(s.full_at, s.paused_until),
                    }
                },
                upsert=True,
            )
            for s in standings
        ]
        if calls:
            async with guarded():
                await self._lanes.bulk_write(calls, ordered=False)

    async def standing(self, now: datetime) -> list[Standing]:
        """The lanes that still mean something."""
        async with guarded():
            docs = await self._lanes.find({"expires": {"$gt": now}}).limit(MOST).to_list()
        return [Standing(d["_id"], aware(d["full"]) or now, aware(d["paused"]) or now) for d in docs]
