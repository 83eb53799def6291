"""How each channel's account stands with its provider, and how many conversations it has begun: what quotas rest on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.store.database import Database, guarded
from gateway.store.docs import Doc, aware

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """`limit`: with how many people the provider lets the account begin in 24 hours; None: not told, or no limit. `begun`
    counts by the UTC hour (`2026112209`)."""

    channel: str
    limit: int | None = None
    quality: str = ""
    checked: datetime | None = None
    begun: Mapping[str, int] = field(default_factory=dict)

    def begun_within_a_day(self, now: datetime) -> int:
        """Whole hours: at most an hour more than 24 is counted, never less."""
        since = hour_of(now - DAY)
        return sum(n for hour, n in self.begun.items() if hour >= since)

    def begun_today(self, now: datetime) -> int:
        today = f"{now:%Y%m%d}"
        return sum(n for hour, n in self.begun.items() if hour.startswith(today))

    def room_again(self, now: datetime) -> datetime:
        """When the oldest hour that counts drops out."""
        since = hour_of(now - DAY)
        oldest = min((h for h, n in self.begun.items() if h >= since and n), default=hour_of(now))
        begun = datetime.strptime(oldest + "+0000", "%Y%m%d%H%z")
        return max(begun + DAY + timedelta(hours=1), now + timedelta(minutes=5))


class Accounts:
    """One tenant's."""

    def __init__(self, db: Database, tenant: str) -> None:
        self._accounts = db["accounts"]
        self._tenant = tenant

    async def get(self, channel: str) -> AccountStanding:
        async with guarded():
            doc = await self._accounts.find_one({"_id": channel, "tenant": self._tenant})
        return _read(channel, doc or {})

    async def began(self, channel: str, now: datetime, count: int = 1) -> None:
        """The channel began so many conversations just now."""
        async with guarded():
            await self._accounts.update_one(
                {"_id": channel, "tenant": self._tenant},
                {"$inc": {f"begun.{hour_of(now)}": count}},
                upsert=True,
            )

    async def told(
        self,
        channel: str,
        now: datetime,
        *,
        limit: int | None = None,
        unlimited: bool = False,
        quality: str | None = None,
    ) -> None:
        """What the provider said of the account; hours that count no more are forgotten. `unlimited`: an earlier limit holds
        no more."""
        old = (await self.get(channel)).begun
        change: Doc = {"$set": {"checked": now}}
        if limit is not None:
            change["$set"]["limit"] = limit
        if quality is not None:
            change["$set"]["quality"] = quality
        gone = {f"begun.{h}": "" for h in old if h < hour_of(now - 2 * DAY)}
        if unlimited:
            gone["limit"] = ""
        async with guarded():
            await self._accounts.update_one(
                {"_id": channel, "tenant": self._tenant},
                {**change, "$unset": gone} if gone else change,
                upsert=True,
            )


def hour_of(now: datetime) -> str:
    return f"{now:%Y%m%d%H}"


def _read(channel: str, d: Doc) -> AccountStanding:
    return AccountStanding(
        channel, d.get("limit"), d.get("quality", ""), aware(d.get("checked")), d.get("begun", {})
    )
