"""`campaign`: one template to many contacts, from the list to what became of each."""

import argparse
import asyncio
import csv
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

from gateway import media
from gateway.campaigns import Campaigns, Outcome, Wanted
from gateway.campaigns_prepare import Overtaken, Preparing
from gateway.commands.adapters import registered
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.conversation import limit_of, scope
from gateway.commands.tenant import _command, _group
from gateway.model.campaign import Campaign
from gateway.model.cells import cell
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid
from gateway.model.ports import Adapter

PAGE: Final = 200
LOOK: Final = 1.0
LEASE: Final = timedelta(seconds=30)
BAR: Final = 30
OVER: Final = ("done", "cancelled", "failed")
_TRUTH: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Tools:
    context: Context
    adapters: Mapping[str, Adapter]
    campaigns: Campaigns


Call: TypeAlias = Callable[[Tools, argparse.Namespace], Awaitable[None]]


def _with(call: Call) -> object:
    """A command that is given what campaigns need."""

    async def run(context: Context, args: argparse.Namespace) -> None:
        async with registered(context) as built:
            campaigns = Campaigns(context.store, built.adapters, system_clock)
            await call(Tools(context, built.adapters, campaigns), args)

    return run


def add(commands: "Commands") -> None:
    group = _group(commands, "campaign", "one template to many contacts")
    make = _command(group, "create", _with(create), "make a draft; nothing is sent")
    make.add_argument("--tenant", required=True)
    make.add_argument("--channel", required=True)
    make.add_argument("--name", required=True)
    make.add_argument("--template", required=True, help="the template's name")
    make.add_argument(
        "--language", action="append", default=[], help="in this order, behind each contact's own"
    )
    make.add_argument("--purpose", default="marketing")
    make.add_argument(
        "--var",
        action="append",
        default=[],
        metavar="KEY=PATH",
        help='contact.name, lead.FIELD or row.COLUMN, with a fallback behind "|"; or a text in quotes',
    )
    make.add_argument("--csv", type=Path, help="a file with a column `phone` or `contact`")
    make.add_argument("--contact", action="append", default=[], metavar="ID")
    make.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="language, region, consent, heard_after, heard_before, lead (yes or no), lead.FIELD; `all=yes` for everybody",
    )
    make.add_argument("--at", help="when it starts, such as 2026-11-24T10:00:00+01:00; without it, at once")
    make.add_argument(
        "--local", action="store_true", help="at that time of day in each contact's own time zone"
    )
    make.add_argument("--per-minute", type=int, help="at most so many in any minute")
    make.add_argument("--no-opt-out", action="store_true", help="add no way out to what is plain text")
    scope(_command(group, "list", _with(list_campaigns), "campaigns, the latest first"))
    prepare = _one(group, "prepare", prepare_campaign, "find its recipients, with progress; nothing is sent")
    prepare.add_argument("--dry-run", action="store_true", help="only tell what it would come to")
    for name, call, text in (
        ("show", show, "one campaign"),
        ("estimate", estimate, "whom it would reach, what it would cost, how long it takes"),
        ("start", start, "send it, each recipient when they are due"),
        ("pause", pause, "hold back what has not left"),
        ("resume", resume, "go on with one that was paused or stopped"),
        ("cancel", cancel, "end it: what has not left never will"),
    ):
        _one(group, name, call, text)
    results = _one(group, "results", show_results, "what became of it, or of each recipient")
    results.add_argument("--recipients", action="store_true", help="each recipient, with the reason")
    results.add_argument("--csv", action="store_true", help="each recipient as CSV")
    results.add_argument("--state", help="only those in this state, such as refused")
    results.add_argument("--watch", action="store_true", help="progress until it is over")
    errors = _one(group, "errors", show_errors, "lines of its list that are no recipients")
    errors.add_argument("--after", type=int, default=0, help="only lines behind this one")


def _one(group: "Commands", name: str, call: Call, text: str) -> argparse.ArgumentParser:
    command = _command(group, name, _with(call), text)
    command.add_argument("--tenant", required=True)
    command.add_argument("campaign")
    return command


async def create(tools: Tools, args: argparse.Namespace) -> None:
    await tools.context.store.directory.tenant(args.tenant)
    wanted = Wanted(
        channel=args.channel,
        name=args.name,
        template=args.template,
        audience=await _audience(tools, args),
        languages=tuple(args.language),
        purpose=args.purpose,
        variables=dict(_pair(v, "--var") for v in args.var),
        at=_time(args.at),
        local=args.local,
        per_minute=args.per_minute,
        opt_out=not args.no_opt_out,
        by="command line",
    )
    made, warnings = await tools.campaigns.create(args.tenant, wanted)
    for warning in warnings:
        tools.context.say(f"Note: {warning}")
    tools.context.show(
        {"id": made.id, "state": made.state, "warnings": warnings},
        lambda: [f"Made campaign {made.id}. Next: `campaign prepare --tenant {args.tenant} {made.id}`."],
    )


async def _audience(tools: Tools, args: argparse.Namespace) -> dict[str, Any]:
    given = [bool(args.csv), bool(args.contact), bool(args.filter)]
    if sum(given) != 1:
        raise Invalid("--csv, --contact or --filter", "one of the three")
    if args.contact:
        return {"contacts": args.contact}
    if args.filter:
        return {"filter": _filter(args.filter)}
    if not args.csv.is_file():
        raise Invalid("--csv", f"an existing file, not {args.csv}")
    files = tools.context.store.of(args.tenant).files
    parts = _parts(args.csv)
    file = await media.take(
        files, args.tenant, "", None, args.csv.name, parts, media.MOST_BYTES, system_clock()
    )
    return {"csv": file.id}


async def _parts(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as source:
        while part := await asyncio.to_thread(source.read, 256 * 1024):
            yield part


def _filter(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        name, value = _pair(one, "--filter")
        if name in ("all", "lead") and value.lower() not in _TRUTH:
            raise Invalid("--filter", f"{name}=yes or {name}=no, not {one[:60]}")
        if name == "all":
            if not _TRUTH[value.lower()]:
                raise Invalid("--filter", "all=yes, or filters that say who")
            continue
        if name in ("language", "region"):
            found.setdefault(f"{name}s", []).append(value)
        elif name.startswith("lead."):
            found.setdefault("lead_fields", {})[name.removeprefix("lead.")] = value
        elif name == "lead":
            found["lead"] = _TRUTH[value.lower()]
        else:
            found[name] = value
    return found


def _pair(text: str, option: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name.strip():
        raise Invalid(option, f"NAME=VALUE, not {text[:60]}")
    return name.strip(), value


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Invalid("--at", "a time with its zone, such as 2026-11-24T10:00:00+01:00")
    return at


async def list_campaigns(tools: Tools, args: argparse.Namespace) -> None:
    limit = await limit_of(tools.context, args)
    page = await tools.campaigns.page(args.tenant, None, limit)
    rows = [_row(c) for c in page.items]
    tools.context.table(
        rows, ("id", "name", "state", "template", "recipients", "created", "reason"), "No campaigns yet."
    )


def _row(c: Campaign) -> dict[str, Any]:
    kept = ("id", "name", "state", "reason", "template", "channel", "purpose", "at", "local", "per_minute")
    return {f: getattr(c, f) for f in kept} | {
        "languages": list(c.languages),
        "variables": dict(c.variables),
        "audience": dict(c.audience),
        "recipients": c.estimate.get("recipients"),
        "created": c.created,
        "started": c.started,
        "ended": c.ended,
        "estimate": dict(c.estimate),
    }


async def show(tools: Tools, args: argparse.Namespace) -> None:
    shown = _row(await tools.campaigns.get(args.tenant, args.campaign))
    lines = [f"{k}: {v}" for k, v in shown.items() if k != "estimate" and v not in (None, "", {}, [])]
    tools.context.show(shown, lambda: lines)


async def estimate(tools: Tools, args: argparse.Namespace) -> None:
    found = await tools.campaigns.get(args.tenant, args.campaign)
    if not found.estimate:
        raise Failed(f"it is {found.state}: `campaign prepare` makes the estimate")
    tools.context.show(dict(found.estimate), lambda: _estimate(found.estimate))


def _estimate(e: Any) -> list[str]:
    lines = [f"{e['recipients']} recipients, {e['allowed']} of them allowed as it stands."]
    lines += [f"  refused: {n} ({reason})" for reason, n in sorted(e["refused"].items())]
    lines += [f"  would wait: {n} ({reason})" for reason, n in sorted(e["held"].items())]
    if e["wrong"] or e["doubled"]:
        lines.append(
            f"{e['wrong']} lines are no recipients, {e['doubled']} are named more than once: `campaign errors`."
        )
    lines.append(f"Cost by your prices: {e['cost']} {e['currency']}.")
    lines += [f"  no price for {n} × {key}" for key, n in sorted(e["unpriced"].items())]
    bound = {"rate": "the channel's rate", "throttle": "the throttle", "limit": "the daily limit"}
    why = f" (bounded by {bound[e['limited_by']]})" if e["limited_by"] in bound else ""
    lines.append(f"It takes at least {timedelta(seconds=e['seconds'])}{why}.")
    if e["first"] is not None:
        lines.append(f"First due {e['first']:%Y-%m-%d %H:%M} UTC, last {e['last']:%Y-%m-%d %H:%M} UTC.")
    return lines


async def prepare_campaign(tools: Tools, args: argparse.Namespace) -> None:
    """Here, beside a running gateway or without one: whoever holds its lease does it, and the other watches."""
    campaigns = tools.campaigns
    found = await campaigns.get(args.tenant, args.campaign)
    if args.dry_run:
        dry = replace(found, progress={})
        ready = await Preparing(tools.context.store, tools.adapters, system_clock, _always).run(dry, dry=True)
        if ready.state == "failed":
            raise Failed(ready.reason)
        tools.context.show(dict(ready.estimate), lambda: _estimate(ready.estimate))
        return
    if found.state != "preparing":
        found = await campaigns.prepare(args.tenant, args.campaign)
    found = await _prepared(tools, found)
    if found.state == "failed":
        raise Failed(f"it could not be prepared: {found.reason}")
    tools.context.show(dict(found.estimate), lambda: _estimate(found.estimate))


async def _always() -> bool:
    return True


async def _prepared(tools: Tools, found: Campaign) -> Campaign:
    campaigns = tools.campaigns
    holder, name = secrets.token_hex(8), f"campaign:{found.id}"

    async def hold() -> bool:
        now = system_clock()
        return await tools.context.store.leases.hold(name, holder, now, now + LEASE)

    async def work() -> None:
        if await hold():
            try:
                ours = await campaigns.get(found.tenant, found.id)
                if ours.state == "preparing":
                    await Preparing(tools.context.store, tools.adapters, system_clock, hold).run(ours)
            except Overtaken:
                pass
            finally:
                await tools.context.store.leases.give_up(name, holder)

    while found.state == "preparing":
        task = asyncio.create_task(work())
        while not (await asyncio.wait({task}, timeout=LOOK))[0]:
            found = await campaigns.get(found.tenant, found.id)
            _progress(f"{found.progress.get('read', 0)} read", None)
        await task
        found = await campaigns.get(found.tenant, found.id)
        if found.state == "preparing":  # another process is at it
            await asyncio.sleep(LOOK)
    _progress(f"{found.estimate.get('read', 0)} read", 1.0, last=True)
    return found


async def start(tools: Tools, args: argparse.Namespace) -> None:
    _state(tools, await tools.campaigns.start(args.tenant, args.campaign))


async def pause(tools: Tools, args: argparse.Namespace) -> None:
    _state(tools, await tools.campaigns.pause(args.tenant, args.campaign))


async def resume(tools: Tools, args: argparse.Namespace) -> None:
    _state(tools, await tools.campaigns.resume(args.tenant, args.campaign))


async def cancel(tools: Tools, args: argparse.Namespace) -> None:
    _state(tools, await tools.campaigns.cancel(args.tenant, args.campaign))


def _state(tools: Tools, campaign: Campaign) -> None:
    tools.context.show(
        {"id": campaign.id, "state": campaign.state}, lambda: [f"{campaign.id} is {campaign.state}."]
    )


async def show_results(tools: Tools, args: argparse.Namespace) -> None:
    campaigns = tools.campaigns
    if args.csv:
        await _as_csv(campaigns, args)
        return
    if args.recipients or args.state:
        rows = [_outcome(o) async for o in _outcomes(campaigns, args)]
        tools.context.table(rows, ("address", "name", "state", "due", "text"), "Nobody.")
        return
    if args.watch:
        await _watched(campaigns, args)
    found = await campaigns.get(args.tenant, args.campaign)
    results = await campaigns.results(args.tenant, args.campaign)
    value = {"state": found.state, "reason": found.reason, **asdict(results), "cost": str(results.cost)}
    lines = [f"{found.name} is {found.state}. {found.reason}".strip()]
    lines += [f"  {state}: {n}" for state, n in sorted(results.counts.items())]
    lines.append(f"Cost so far by your prices: {results.cost} {results.currency}.")
    lines += [f"  no price for {n} × {key}" for key, n in sorted(results.unpriced.items())]
    tools.context.show(value, lambda: lines)


async def _watched(campaigns: Campaigns, args: argparse.Namespace) -> None:
    while True:
        found = await campaigns.get(args.tenant, args.campaign)
        counts = (await campaigns.results(args.tenant, args.campaign)).counts
        total = sum(counts.values()) or 1
        done = total - sum(
            counts.get(s, 0) for s in ("waiting", "written", "queued", "held", "sending", "unknown")
        )
        text = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
        over = found.state in OVER
        _progress(f"{found.state}: {text}", done / total, last=over)
        if over:
            return
        await asyncio.sleep(LOOK)


async def _outcomes(campaigns: Campaigns, args: argparse.Namespace) -> AsyncIterator[Outcome]:
    after: int | None = 0
    while after is not None:
        page = await campaigns.outcomes(args.tenant, args.campaign, after, PAGE, args.state)
        for outcome in page.items:
            yield outcome
        after = page.next


def _outcome(o: Outcome) -> dict[str, Any]:
    kept = ("place", "address", "name", "contact", "conversation", "message", "language", "region", "due")
    return {f: getattr(o.recipient, f) for f in kept} | {"state": o.state, "reason": o.reason, "text": o.text}


async def _as_csv(campaigns: Campaigns, args: argparse.Namespace) -> None:
    writer = None
    async for outcome in _outcomes(campaigns, args):
        row = {k: cell(v) for k, v in _outcome(outcome).items()}
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)


async def show_errors(tools: Tools, args: argparse.Namespace) -> None:
    found = await tools.campaigns.wrong(args.tenant, args.campaign, args.after, 1000)
    tools.context.table([asdict(w) for w in found], ("line", "text"), "Every line is a recipient.")
    if len(found) == 1000:
        tools.context.say(f"More: --after {found[-1].line}")


def _progress(text: str, share: float | None, *, last: bool = False) -> None:
    """A bar on a terminal, a plain line elsewhere."""
    if not sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
        return
    filled = int(BAR * share) if share is not None else 0
    bar = f"[{'#' * filled}{' ' * (BAR - filled)}] " if share is not None else ""
    print(f"\r\033[K{bar}{text[:100]}", end="\n" if last else "", file=sys.stderr, flush=True)
