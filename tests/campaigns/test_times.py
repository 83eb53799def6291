"""When a campaign reaches whom: each contact's own time of day, over changes of the clock, and never in their quiet hours."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.campaigns_prepare import due_of
from gateway.model.campaign import Campaign
from gateway.model.permission import Permissions, Quiet
from tests.campaigns.rig import NIGHT, Rig, phone
from tests.providers.graph import Recorded

MADRID = ZoneInfo("Europe/Madrid")


def campaign(at: datetime, *, local: bool = True) -> Campaign:
    return Campaign("cm_1", "acme", "ch_wa", "x", "news", (), at - timedelta(days=2), at=at, local=local)


@pytest.mark.parametrize(
    ("at", "zone", "due"),
    [
        # 10:00 in Madrid is asked for: 10:00 there.
        ("2026-06-10T08:00Z", "America/New_York", "2026-06-10T14:00Z"),
        ("2026-06-10T08:00Z", "Asia/Tokyo", "2026-06-10T01:00Z"),
        # New York's clock goes on at 02:00 on 8 March, Madrid's not yet.
        ("2026-03-08T09:00Z", "America/New_York", "2026-03-08T14:00Z"),
        # 02:30 is skipped in Madrid on 29 March: the time behind the gap. On 25 October it comes twice: the first.
        ("2026-03-29T00:30Z", "Europe/Madrid", "2026-03-29T00:30Z"),
        ("2026-10-25T00:30Z", "Europe/Madrid", "2026-10-25T00:30Z"),
    ],
)
def test_a_local_time_is_that_time_there(at: str, zone: str, due: str) -> None:
    start = datetime.fromisoformat(at)
    found = due_of(
        campaign(start),
        Permissions(timezone="Europe/Madrid"),
        (zone,),
        start - timedelta(days=1),
        quiet=False,
    )
    assert found == datetime.fromisoformat(due)


def test_a_skipped_local_time_is_the_one_behind_the_gap() -> None:
    start = datetime(2026, 3, 8, 2, 30, tzinfo=MADRID)
    found = due_of(
        campaign(start), Permissions(timezone="Europe/Madrid"), ("America/New_York",),
        start - timedelta(days=1), quiet=False,
    )  # fmt: skip
    assert found.astimezone(ZoneInfo("America/New_York")).time() == time(3, 30)


def test_a_local_time_that_is_over_is_the_next_days() -> None:
    start = datetime(2026, 6, 10, 8, 0, tzinfo=UTC)
    found = due_of(
        campaign(start), Permissions(timezone="Europe/Madrid"), ("Asia/Tokyo",), start, quiet=False
    )
    assert found == datetime(2026, 6, 11, 1, 0, tzinfo=UTC)


def test_quiet_hours_in_any_zone_of_a_number_move_it() -> None:
    start = datetime(2026, 6, 10, 13, 0, tzinfo=UTC)
    permissions = Permissions(timezone="Europe/Madrid", quiet=Quiet(time(21), time(8)))
    zones = ("America/New_York", "America/Los_Angeles")
    found = due_of(campaign(start, local=False), permissions, zones, start - timedelta(days=1), quiet=True)
    assert found.astimezone(ZoneInfo("America/Los_Angeles")).time() == time(8)


def local_times(messages: list[Recorded], at: dict[str, datetime], zones: dict[str, str]) -> list[time]:
    return [at[str(m.body["to"])].astimezone(ZoneInfo(zones[str(m.body["to"])])).time() for m in messages]


@pytest.mark.parametrize(
    "start",
    [
        datetime(2026, 3, 29, 19, 30, tzinfo=MADRID),  # its clock went on that morning
        datetime(2026, 10, 24, 20, 30, tzinfo=MADRID),  # and goes back in the night that follows
        datetime(2026, 3, 28, 23, 30, tzinfo=MADRID),
    ],
)
async def test_no_marketing_in_quiet_hours_over_a_change_of_the_clock(rig: Rig, start: datetime) -> None:
    """A throttled campaign that begins in the evening, of people in several zones: it goes on in each one's morning."""
    rig.at(start)
    await rig.permissions(quiet=NIGHT)
    names = ["Europe/Madrid", "Europe/London", "America/New_York", "Asia/Tokyo", "Australia/Sydney"]
    zones = {phone(n): names[n % len(names)] for n in range(20)}
    await rig.consent(range(20))
    file = await rig.upload("\n".join(["phone,timezone", *(f"+{p},{z}" for p, z in zones.items())]))
    campaign = await rig.made({"csv": file}, variables={"1": '"friend"'}, per_minute=1)
    await rig.do(campaign, "start")
    at: dict[str, datetime] = {}
    for _ in range(150):
        await rig.look()
        await rig.running.swept()
        for message in rig.sent:
            at.setdefault(str(message.body["to"]), rig.clock())
        if len(at) == 20:
            break
        rig.clock.move(minutes=10)
    assert len(rig.sent) == len(at) == 20
    outside = [t for t in local_times(rig.sent, at, zones) if not time(8) <= t < time(21)]
    assert outside == []
