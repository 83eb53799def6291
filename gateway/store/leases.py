"""What one process at a time does: whoever holds a name goes on, the others wait until its lease runs out."""

from datetime import datetime

from gateway.store.database import Database, guarded
from gateway.store.docs import aware
from gateway.store.group import insert_new


class Leases:
    def __init__(self, db: Database) -> None:
        self._leases = db["leases"]

    async def hold(self, name: str, holder: str, now: datetime, until: datetime) -> bool:
        """Take or keep a name until a time; whether `holder` has it now."""
        async with guarded():
            found = await self._leases.find_one({"_id": name})
            if found is None:
                doc = {"_id": name, "holder": holder, "until": until}
                return (await insert_new(self._leases, [doc]))[0]
            ends = aware(found["until"])
            if found["holder"] != holder and ends is not None and ends > now:
                return False
            result = await self._leases.update_one(
                {"_id": name, "holder": found["holder"], "until": found["until"]},
                {"$set": {"holder": holder, "until": until}},
            )
        return result.modified_count == 1

    async def give_up(self, name: str, holder: str) -> None:
        async with guarded():
            await self._leases.delete_one({"_id": name, "holder": holder})
