"""Quiet hours: over midnight, across changes of the clock, in several zones at once."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from consent.hours import is_quiet, is_zone, next_allowed, zones_of_phone
from gateway.model.permission import Quiet

NIGHT = Quiet(time(21), time(8))
NOON = Quiet(time(12), time(13, 30))


def at(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("quiet", "local", "expected"),
    [
        (NIGHT, "20:59:59.999999", False),
        (NIGHT, "21:00", True),
        (NIGHT, "00:00", True),
        (NIGHT, "07:59:59.999999", True),
        (NIGHT, "08:00", False),
        (NOON, "11:59", False),
        (NOON, "12:00", True),
        (NOON, "13:29", True),
        (NOON, "13:30", False),
        (Quiet(time(9), time(9)), "09:00", False),
    ],
)
def test_from_the_start_up_to_the_end(quiet: Quiet, local: str, expected: bool) -> None:
    assert is_quiet(quiet, time.fromisoformat(local)) is expected


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        ("2026-11-22T22:00", "Europe/Berlin", "2026-11-23T08:00"),
        ("2026-11-22T03:00", "Europe/Berlin", "2026-11-22T08:00"),
        # The night in which the clock goes forward (02:00 → 03:00) and the one in which it goes back.
        ("2026-03-28T22:00", "Europe/Berlin", "2026-03-29T08:00"),
        ("2026-10-24T22:00", "Europe/Berlin", "2026-10-25T08:00"),
        ("2026-03-07T23:00", "America/New_York", "2026-03-08T08:00"),
        ("2026-10-31T23:00", "America/New_York", "2026-11-01T08:00"),
        # Half an hour's offset, and a change by half an hour.
        ("2026-11-22T22:00", "Asia/Kolkata", "2026-11-23T08:00"),
        ("2026-04-04T22:00", "Australia/Lord_Howe", "2026-04-05T08:00"),
    ],
)
def test_the_end_is_the_contacts_own_morning(now: str, zone: str, expected: str) -> None:
    assert next_allowed(NIGHT, (zone,), at(now, zone)) == at(expected, zone)


def test_an_end_that_the_clock_skips_is_where_it_goes_on() -> None:
    quiet = Quiet(time(22), time(2, 30))  # in Berlin 02:30 does not exist on 29 March
    end = next_allowed(quiet, ("Europe/Berlin",), at("2026-03-28T23:00", "Europe/Berlin"))
    local = end.astimezone(ZoneInfo("Europe/Berlin"))
    assert not is_quiet(quiet, local.time())
    assert local.date().isoformat() == "2026-03-29"
    assert local.hour == 3


def test_an_end_that_comes_twice_is_the_second() -> None:
    quiet = Quiet(time(22), time(2, 30))  # in Berlin 02:30 comes twice on 25 October
    now = at("2026-10-24T23:00", "Europe/Berlin")
    end = next_allowed(quiet, ("Europe/Berlin",), now)
    assert end == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    minute = now
    while minute < end:
        local = minute.astimezone(ZoneInfo("Europe/Berlin"))
        first_of_two = local.fold == 0 and time(2, 30) <= local.time() < time(3)
        assert is_quiet(quiet, local.time()) or first_of_two
        minute += timedelta(minutes=10)


@pytest.mark.parametrize(
    "zones",
    [("America/New_York", "America/Los_Angeles"), ("Europe/London", "America/Los_Angeles", "Asia/Tokyo")],
)
def test_in_several_zones_it_is_quiet_in_none(zones: tuple[str, ...]) -> None:
    for hour in range(48):
        now = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour)
        found = next_allowed(Quiet(time(23), time(6)), zones, now)
        quiet = [z for z in zones if is_quiet(Quiet(time(23), time(6)), found.astimezone(ZoneInfo(z)).time())]
        assert found >= now
        assert quiet == []


def test_zones_that_leave_no_hour_end_in_a_bounded_wait() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    zones = ("Pacific/Auckland", "Europe/London", "America/Los_Angeles", "Asia/Kolkata")
    found = next_allowed(Quiet(time(13), time(12)), zones, now)
    assert now < found < now + timedelta(days=4)


def test_a_moment_that_is_allowed_is_itself() -> None:
    now = at("2026-11-22T12:00", "Europe/Berlin")
    assert next_allowed(NIGHT, ("Europe/Berlin",), now) == now


@pytest.mark.parametrize(
    ("phone", "zones"),
    [
        ("34600111222", ("Europe/Madrid",)),
        ("+16505551234", ("America/Los_Angeles",)),
        ("+5511987654321", ("America/Sao_Paulo",)),
        ("+919876543210", ("Asia/Calcutta",)),
        ("1", ()),
        ("", ()),
        ("not a number", ()),
    ],
)
def test_a_number_tells_its_zones(phone: str, zones: tuple[str, ...]) -> None:
    found = zones_of_phone(phone)
    assert set(zones) <= set(found) if zones else found == ()
    assert all(is_zone(z) for z in found)
