"""Quiet hours, in the contact's own time: pure, and right across changes of the clock."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone as phone_zones

from gateway.model.permission import Quiet

UNKNOWN: Final = "Etc/Unknown"
MOST_STEPS: Final = 48


def is_zone(name: str) -> bool:
    """Whether it names a time zone that this machine knows."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@lru_cache(maxsize=4096)
def zones_of_phone(phone: str) -> tuple[str, ...]:
    """Every time zone that a phone number (E.164, or its digits) may be in; none if it does not tell."""
    try:
        number = phonenumbers.parse(phone if phone.startswith("+") else f"+{phone}")
    except phonenumbers.NumberParseException:
        return ()
    found = phone_zones.time_zones_for_number(number)
    # All of them, however many (a Russian mobile number has 16): one that is left out may be the one where they sleep.
    return tuple(z for z in found if z != UNKNOWN and is_zone(z))


def is_quiet(quiet: Quiet, local: time) -> bool:
    """Whether a time of the day is within them: from the start on, and up to the end."""
    if quiet.start == quiet.end:
        return False
    if quiet.start < quiet.end:
        return quiet.start <= local < quiet.end
    return local >= quiet.start or local < quiet.end


def next_allowed(quiet: Quiet, zones: Sequence[str], now: datetime) -> datetime:
    """The first moment from now on at which it is quiet in none of the zones; `now` itself if that is one. Zones so far apart
    that there is none within two days: the last that was tried."""
    at = now
    for _ in range(MOST_STEPS):
        waits = [end for zone in zones if (end := _ends(quiet, zone, at)) is not None]
        if not waits:
            return at
        at = max(waits)
        if at > now + timedelta(days=2):
            break
    return at


def _ends(quiet: Quiet, zone: str, at: datetime) -> datetime | None:
    """When the quiet hours that `at` lies in end there; None if it lies in none."""
    tz = _zone(zone)
    local = at.astimezone(tz)
    if not is_quiet(quiet, local.time()):
        return None
    day = local.date()
    if quiet.start > quiet.end and local.time() >= quiet.start:
        day += timedelta(days=1)
    # fold=1: of an hour that comes twice the second; one that is skipped ends where the clock goes on.
    end = datetime.combine(day, quiet.end, tz).replace(fold=1).astimezone(UTC)
    return end if end > at else at + timedelta(minutes=1)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
