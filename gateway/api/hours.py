"""When a business is open, over the API and as text: `09:00-13:00`."""

import re
from dataclasses import replace
from datetime import date, time
from typing import Annotated, Final
from zoneinfo import available_timezones

from pydantic import Field

from gateway.api import shapes
from gateway.api.openapi import Operation
from gateway.model.answers import Hours, Span
from gateway.model.errors import Invalid
from gateway.store import Store

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN: Final = re.compile(
    r"([01]?\d|2[0-3]):([0-5]\d)\s*[-–]\s*(?:([01]?\d|2[0-3]):([0-5]\d)|(24):(00))", re.ASCII
)
_EXAMPLE: Final = "days and spans such as 'mon-fri 09:00-13:00,14:00-18:00'"


class HoursShape(shapes.Shape):
    """`week` names the days that it is open on, each with its spans, in order and apart; 24:00 is the day's end. `closed`:
    dates on which it is not, whatever the week says."""

    timezone: Annotated[str, Field(description="Such as Europe/Madrid")]
    week: Annotated[dict[str, list[str]], Field(description="Such as {'monday': ['09:00-13:00']}")]
    closed: Annotated[list[str], Field(max_length=400)]

    @classmethod
    def of(cls, hours: Hours) -> "HoursShape":
        week = {day: [_text(s) for s in spans] for day, spans in zip(DAYS, hours.week, strict=True)}
        return cls(timezone=hours.timezone, week=week, closed=list(hours.closed))

    def hours(self, where: str = "body.closed") -> Hours:
        """Raises Invalid, naming the field."""
        for day in self.week:
            if day not in DAYS:
                raise Invalid("body.week", f"days of {', '.join(DAYS)}, not {day[:20]!r}")
        week = tuple(read_spans(self.week.get(day, []), f"body.week.{day}") for day in DAYS)
        for day in self.closed:
            try:
                date.fromisoformat(day)
            except ValueError:
                raise Invalid(where, f"a date such as 2026-12-25, not {day[:20]!r}") from None
        zone = read_zone(self.timezone, "body.timezone")
        return Hours(zone, week, tuple(dict.fromkeys(date.fromisoformat(d).isoformat() for d in self.closed)))


class HoursSet(shapes.Shape):
    """No hours: always open."""

    hours: HoursShape | None


def read_zone(name: str, where: str) -> str:
    """Raises Invalid."""
    if name not in available_timezones():
        raise Invalid(where, "a time zone such as Europe/Madrid")
    return name


def read_day(text: str, where: str) -> tuple[tuple[int, ...], tuple[Span, ...]]:
    """`mon-fri 09:00-13:00,14:00-18:00`: the days' numbers and their spans. Raises Invalid."""
    days, _, spans = text.strip().partition(" ")
    first, dash, last = days.lower().partition("-")
    try:
        start = _day(first)
        end = _day(last) if dash else start
    except ValueError:
        raise Invalid(where, _EXAMPLE) from None
    span = range(start, end + 1 + 7 * (end < start))
    return tuple(d % 7 for d in span), read_spans([s for s in spans.split(",") if s.strip()], where)


def read_spans(texts: list[str], where: str) -> tuple[Span, ...]:
    """Raises Invalid for what is no span, ends before it begins, or overlaps the one before."""
    spans: list[Span] = []
    for text in texts:
        found = _SPAN.fullmatch(text.strip())
        if found is None:
            raise Invalid(where, f"spans such as 09:00-13:00, not {text[:20]!r}")
        start = time(int(found[1]), int(found[2]))
        end = time.max if found[5] else time(int(found[3]), int(found[4]))
        if end <= start:
            raise Invalid(
                where, f"a span that ends after it begins, not {text[:20]!r}; one over midnight is two"
            )
        if spans and start < spans[-1].end:
            raise Invalid(where, "spans in their order, apart from one another")
        spans.append(Span(start, end))
    return tuple(spans)


def _day(name: str) -> int:
    """The number of a day by its name or the first three letters. Raises ValueError."""
    found = [n for n, day in enumerate(DAYS) if len(name) >= 3 and day.startswith(name)]
    if len(found) != 1:
        raise ValueError(name)
    return found[0]


def _text(span: Span) -> str:
    end = "24:00" if span.end == time.max else f"{span.end:%H:%M}"
    return f"{span.start:%H:%M}-{end}"


class HoursOperations:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.operations = (
            Operation("GET", "/hours", "When it is open", self.get_hours, HoursSet, tag="answers"),
            Operation(
                "PUT", "/hours", "Change the hours", self.set_hours, HoursSet, body=HoursSet, tag="answers"
            ),
        )

    async def get_hours(self, tenant: str) -> HoursSet:
        """When the business is open; null: nobody said."""
        hours = (await self._store.directory.tenant(tenant)).answers.hours
        return HoursSet(hours=HoursShape.of(hours) if hours is not None else None)

    async def set_hours(self, tenant: str, body: HoursSet) -> HoursSet:
        """Put these hours in place of those that there are, or with null take them away."""
        found = await self._store.directory.tenant(tenant)
        hours = body.hours.hours() if body.hours is not None else None
        await self._store.directory.set_answers(tenant, replace(found.answers, hours=hours), rev=found.rev)
        return HoursSet(hours=HoursShape.of(hours) if hours is not None else None)
