"""Business hours: whether a business is open at a moment, and when it opens next. Pure."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.model.answers import Hours

LOOK_AHEAD = 370
"""Days in which the next opening is looked for: whoever closes for longer opens at no time that we could tell."""


def is_open(hours: Hours, at: datetime) -> bool:
    """Whether it is open at a time (aware). A span holds its start and not its end, but for one until `time.max`."""
    local = at.astimezone(ZoneInfo(hours.timezone))
    if local.date().isoformat() in hours.closed:
        return False
    now = local.timetz().replace(tzinfo=None)
    return any(
        span.start <= now and (now < span.end or span.end == time.max) for span in hours.week[local.weekday()]
    )


def opens(hours: Hours, at: datetime) -> datetime | None:
    """When it opens next, in its own zone; None if it is open, or never."""
    if is_open(hours, at):
        return None
    zone = ZoneInfo(hours.timezone)
    local = at.astimezone(zone)
    for ahead in range(LOOK_AHEAD):
        day: date = local.date() + timedelta(days=ahead)
        if day.isoformat() in hours.closed:
            continue
        starts = [datetime.combine(day, s.start, zone) for s in hours.week[day.weekday()]]
        # A start in the hour that a clock change leaves out is the moment after it.
        later = sorted(s for s in starts if s.timestamp() > at.timestamp())
        if later:
            return later[0]
    return None
