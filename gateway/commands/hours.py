"""`hours`: when a business is open."""

import argparse
from dataclasses import replace
from typing import Any

from gateway.api.hours import HoursShape, read_day, read_zone
from gateway.commands.context import Commands, Context
from gateway.commands.tenant import _command, _group
from gateway.model.answers import Hours, Span
from gateway.model.clock import system_clock
from gateway.model.hours import is_open, opens


def add(commands: "Commands") -> None:
    hours = _group(commands, "hours", "when the business is open")
    show = _command(hours, "show", show_hours, "the hours, and whether it is open now")
    setting = _command(hours, "set", set_hours, "put these hours in place of those that there are")
    clearing = _command(hours, "clear", clear_hours, "no hours: always open")
    for command in (show, setting, clearing):
        command.add_argument("--tenant", required=True)
    setting.add_argument("--timezone", required=True, help="such as Europe/Madrid")
    setting.add_argument(
        "--day",
        action="append",
        required=True,
        metavar="DAYS SPANS",
        help="such as 'mon-fri 09:00-13:00,14:00-18:00' or 'sat 10:00-24:00'; again for more",
    )
    setting.add_argument(
        "--closed", action="append", default=[], help="a date such as 2026-12-25; again for more"
    )


async def show_hours(context: Context, args: argparse.Namespace) -> None:
    await _show(context, args.tenant)


async def set_hours(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    week: list[tuple[Span, ...]] = [()] * 7
    for text in args.day:
        days, spans = read_day(text, "--day")
        for day in days:
            week[day] = spans
    shape = HoursShape.of(Hours(read_zone(args.timezone, "--timezone"), tuple(week), tuple(args.closed)))
    hours = shape.hours("--closed")
    await context.store.directory.set_answers(tenant.id, replace(tenant.answers, hours=hours), rev=tenant.rev)
    await _show(context, tenant.id)


async def clear_hours(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    await context.store.directory.set_answers(tenant.id, replace(tenant.answers, hours=None), rev=tenant.rev)
    await _show(context, tenant.id)


async def _show(context: Context, tenant: str) -> None:
    hours = (await context.store.directory.tenant(tenant)).answers.hours
    if hours is None:
        context.show({"hours": None}, lambda: ["No hours are set: rules count the business as open."])
        return
    now = system_clock()
    shown: dict[str, Any] = HoursShape.of(hours).model_dump()
    back = opens(hours, now)
    shown |= {"open": is_open(hours, now), "opens": back.isoformat() if back else None}
    lines = [f"{day:9}  {', '.join(spans) or 'closed'}" for day, spans in shown["week"].items()]
    state = "open now" if shown["open"] else f"closed now; opens {shown['opens'] or 'never'}"
    closed = [f"closed on {', '.join(shown['closed'])}"] if shown["closed"] else []
    context.show({"hours": shown}, lambda: [f"{hours.timezone}: {state}", *lines, *closed])
