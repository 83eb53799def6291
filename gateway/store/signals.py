"""What providers signalled about consent, and the breaker of each channel: a sudden mass of it is put before a person."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from gateway.model.permission import Cap
from gateway.store.database import Database, guarded
from gateway.store.docs import Doc, aware
from gateway.store.group import insert_new

TRIES: Final = 8

SignalState = Literal["waiting", "confirmed", "dismissed"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One opt-out that a provider's error told while the breaker was out, and the entry that it became. It waits for a person,
    who confirms it (it was the customer's will) or dismisses it (it was the provider's fault)."""

    id: str
    tenant: str
    channel: str
    contact: str
    entry: str
    code: str
    text: str
    at: datetime
    conversation: str | None = None
    message: str | None = None
    state: SignalState = "waiting"
    by: str | None = None
    settled: datetime | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """`tripped`: since when the channel's signals wait for a person; None while all is well. `now`: this one did it."""

    tripped: datetime | None
    now: bool = False


class SignalStore:
    """One tenant's."""

    def __init__(self, db: Database, tenant: str) -> None:
        self._signals = db["signals"]
        self._breakers = db["breakers"]
        self._tenant = tenant

    async def put(self, signal: Signal) -> bool:
        """Keep a signal that waits; whether it is new."""
        if signal.tenant != self._tenant:
            raise ValueError("a signal of another tenant")
        doc = {f: getattr(signal, f) for f in Signal.__dataclass_fields__ if f != "id"}
        async with guarded():
            return (await insert_new(self._signals, [{"_id": signal.id, "v": 1, "waits": True, **doc}]))[0]

    async def get(self, signal: str) -> Signal | None:
        async with guarded():
            doc = await self._signals.find_one({"_id": signal, "tenant": self._tenant})
        return _signal(doc) if doc else None

    async def waiting(self, limit: int, channel: str | None = None) -> list[Signal]:
        """Those that wait for a person, the oldest first."""
        which: Doc = {"tenant": self._tenant, "waits": True}
        async with guarded():
            docs = await self._signals.find(which).sort("at", 1).to_list()
        return [_signal(d) for d in docs if channel is None or d["channel"] == channel][:limit]

    async def settle(self, signal: str, state: SignalState, by: str, now: datetime) -> bool:
        """A person has decided; whether it had still waited."""
        change = {"$set": {"state": state, "by": by, "settled": now}, "$unset": {"waits": ""}}
        async with guarded():
            result = await self._signals.update_one(
                {"_id": signal, "tenant": self._tenant, "state": "waiting"}, change
            )
        return result.modified_count == 1

    async def heard(self, channel: str, now: datetime, most: Cap | None) -> Breaker:
        """Count one opt-out; how the breaker stands after it."""
        within = most.within if most is not None else timedelta(0)
        for _ in range(TRIES):
            async with guarded():
                doc = await self._breakers.find_one({"_id": self._breaker(channel), "tenant": self._tenant})
            recent = [at for d in (doc or {}).get("recent", ()) if (at := aware(d)) and at > now - within]
            recent = [*recent, now][-(most.most if most else 1) :]
            tripped = aware((doc or {}).get("tripped"))
            trips = tripped is None and most is not None and len(recent) >= most.most
            change: Doc = {"recent": recent, "tripped": now if trips else tripped}
            if await self._swap(channel, doc, change):
                return Breaker(change["tripped"], trips)
        return Breaker(now)  # so many at once that nobody can count them

    async def breaker(self, channel: str) -> Breaker:
        async with guarded():
            doc = await self._breakers.find_one({"_id": self._breaker(channel), "tenant": self._tenant})
        return Breaker(aware(doc.get("tripped")) if doc else None)

    async def reset(self, channel: str) -> None:
        """A person has looked at all of it."""
        async with guarded():
            await self._breakers.update_one(
                {"_id": self._breaker(channel), "tenant": self._tenant},
                {"$set": {"recent": [], "tripped": None}, "$inc": {"n": 1}},
            )

    def _breaker(self, channel: str) -> str:
        return f"{self._tenant} {channel}"

    async def _swap(self, channel: str, doc: Doc | None, change: Doc) -> bool:
        async with guarded():
            if doc is None:
                new = {"_id": self._breaker(channel), "v": 1, "tenant": self._tenant, "n": 1, **change}
                return (await insert_new(self._breakers, [new]))[0]
            which = {"_id": doc["_id"], "tenant": self._tenant, "n": doc["n"]}
            result = await self._breakers.update_one(which, {"$set": change, "$inc": {"n": 1}})
        return result.modified_count == 1


def _signal(d: Doc) -> Signal:
    told = {f: d[f] for f in Signal.__dataclass_fields__ if f in d}
    return Signal(**{**told, "id": d["_id"], "at": aware(d["at"]), "settled": aware(d.get("settled"))})
