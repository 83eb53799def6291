"""`consent`: who agreed to what, and who took it back; `tenant permission`: what a tenant sets about it."""

import argparse
import csv
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from consent.keywords import STANDARD, match
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.conversation import limit_of, scope
from gateway.commands.tenant import _command, _group
from gateway.consents import EXPORTED, IMPORTED, ConsentDesk, Said
from gateway.model.cells import cell
from gateway.model.clock import system_clock
from gateway.model.consent import STATES, Entry
from gateway.model.errors import Invalid, NotFound
from gateway.model.tenant import Channel
from gateway.signals import Signals

COLUMNS = ("id", "at", "contact", "purpose", "state", "how", "wording")


def add(commands: "Commands") -> None:
    group = _group(commands, "consent", "who agreed to what, and who took it back")
    granting = _about(_command(group, "grant", grant, "record that somebody agreed, with its proof"))
    granting.add_argument("--purpose", default="marketing")
    granting.add_argument("--wording", required=True, help="the words that they were shown")
    granting.add_argument("--at", help="when, if not now (ISO 8601)")
    for name in ("evidence", "age", "region"):
        granting.add_argument(f"--{name}")
    taking = _about(_command(group, "withdraw", withdraw, "record that somebody takes it back"))
    which = taking.add_mutually_exclusive_group()
    which.add_argument("--purpose", help="one purpose (without it, everything)")
    right = _command(group, "correct", correct, "write the entry that stands in place of a wrong one")
    right.add_argument("--tenant", required=True)
    right.add_argument("entry")
    right.add_argument("--state", required=True, choices=STATES)
    right.add_argument("--note", required=True, help="why it was wrong")
    right.add_argument("--by", default="cli", help="who says so")
    listing = _command(group, "list", list_entries, "the ledger, the latest first")
    scope(listing)
    listing.add_argument("--before", help="only what was written down before (ISO 8601): the next page")
    showing = _command(group, "show", show, "what holds for one contact, and its entries")
    showing.add_argument("--tenant", required=True)
    showing.add_argument("contact", help="a contact's id, or one of their conversations'")
    bring = _command(
        group, "import", bring_in, "a list of people who agreed (CSV: " + ", ".join(IMPORTED) + ")"
    )
    bring.add_argument("--tenant", required=True)
    bring.add_argument("--channel", required=True)
    bring.add_argument("file", type=Path)
    bring.add_argument("--dry-run", action="store_true", help="only say what would be wrong")
    bring.add_argument("--by", default="cli")
    export = _command(
        group, "export", export_all, "the whole ledger, as CSV (or, with --json, a JSON line each)"
    )
    export.add_argument("--tenant", required=True)
    signals = _command(group, "signals", settle, "opt-outs by a provider's errors that wait for a person")
    scope(signals)
    decide = signals.add_mutually_exclusive_group()
    decide.add_argument("--confirm", metavar="SIGNAL", help="it was the customer's will (`all`: every one)")
    decide.add_argument("--dismiss", metavar="SIGNAL", help="it was the provider's fault (`all`: every one)")
    signals.add_argument("--by", default="cli")
    words = _command(group, "keywords", keywords, "the words that stop, start and ask for help")
    words.add_argument("--tenant", help="with a tenant's own")
    words.add_argument("--try", dest="text", help="what a text would mean")


def _about(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--tenant", required=True)
    command.add_argument("--channel", required=True)
    command.add_argument("contact", help="a contact's id, a conversation's, or (WhatsApp) a phone number")
    command.add_argument("--by", default="cli", help="who records it")
    command.add_argument("--note")
    return command


async def grant(context: Context, args: argparse.Namespace) -> None:
    channel = await channel_of(context, args)
    said = Said(
        by=args.by, purpose=args.purpose, wording=args.wording, evidence=args.evidence, at=_time(args.at, "--at"),
        age=args.age, region=args.region, note=args.note,
    )  # fmt: skip
    entry = await _desk(context).grant(channel, args.contact, said, how="agent")
    text = "They are asked to confirm it." if entry.state == "asked" else "Recorded."
    context.show(row(entry), lambda: [f"{entry.id}: {entry.state}. {text}"])


async def withdraw(context: Context, args: argparse.Namespace) -> None:
    channel = await channel_of(context, args)
    said = Said(by=args.by, purpose=args.purpose or "service", note=args.note)
    entries = await _desk(context).withdraw(channel, args.contact, said, everything=args.purpose is None)
    context.table([row(e) for e in entries], COLUMNS, "It was taken back already.")


async def correct(context: Context, args: argparse.Namespace) -> None:
    entry = await _desk(context).correct(args.tenant, args.entry, args.state, args.by, args.note)
    context.show(row(entry), lambda: [f"{entry.id} stands in place of {entry.corrects}: {entry.state}."])


async def list_entries(context: Context, args: argparse.Namespace) -> None:
    limit = await limit_of(context, args)
    page = await context.store.of(args.tenant).ledger.page(_time(args.before, "--before"), limit)
    context.table([row(e) for e in page.entries], COLUMNS, "Nothing is recorded yet.")
    if page.next is not None:
        context.say(f"There is more: --before {page.next.isoformat()}")


async def show(context: Context, args: argparse.Namespace) -> None:
    desk = _desk(context)
    contact = await desk.contact(args.tenant, args.contact)
    standing = await desk.standing(args.tenant, contact)
    entries = await context.store.of(args.tenant).ledger.of(contact)
    value = {
        "contact": contact,
        "standing": {
            c: {p: {"state": s.state, "at": s.at, "how": s.how} for p, s in found.items()}
            for c, found in standing.items()
        },
        "entries": [row(e) for e in entries],
    }
    lines = [
        f"{channel}  {purpose}: {s.state} since {s.at:%Y-%m-%d %H:%M} by {s.how}"
        for channel, found in standing.items()
        for purpose, s in found.items()
    ]
    told = [f"{e.at:%Y-%m-%d %H:%M}  {e.purpose} {e.state} by {e.how}: {e.wording}" for e in entries]
    context.show(value, lambda: [*lines, "", *told] if entries else ["Nothing is recorded of them."])


async def bring_in(context: Context, args: argparse.Namespace) -> None:
    channel = await channel_of(context, args)
    bar = sys.stderr.isatty()

    def progress(done: int) -> None:
        print(f"{done} lines", end="\r" if bar else "\n", file=sys.stderr, flush=True)

    try:
        with args.file.open(encoding="utf-8-sig", newline="") as file:
            result = await _desk(context).bring_in(
                channel, file, args.file.name, args.by, dry=args.dry_run, progress=progress
            )
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{args.file}: can't be read as UTF-8 text ({type(error).__name__})") from None
    value = {
        "added": result.added, "there": result.there, "wrong": result.wrong,
        "errors": [{"line": n, "error": text} for n, text in result.errors], "dry_run": args.dry_run,
    }  # fmt: skip
    verb = "Would add" if args.dry_run else "Added"
    lines = [f"{verb} {result.added}; there already {result.there}; wrong {result.wrong}."]
    context.show(value, lambda: lines + [f"line {n}: {text}" for n, text in result.errors])
    if result.wrong:
        raise Failed(f"{result.wrong} lines were passed over")


async def export_all(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    writer = csv.writer(sys.stdout)
    if not args.json:
        writer.writerow(EXPORTED)
    async for found in _desk(context).exported(args.tenant):
        if args.json:
            print(json.dumps(found, default=_plain, ensure_ascii=False))
        else:
            writer.writerow([cell(found[name]) for name in EXPORTED])


async def settle(context: Context, args: argparse.Namespace) -> None:
    limit = await limit_of(context, args)
    store, service = context.store.of(args.tenant), Signals(context.store, system_clock)
    chosen = args.confirm or args.dismiss
    if chosen is None:
        waiting = await store.signals.waiting(limit)
        rows = [{f: getattr(s, f) for f in s.__dataclass_fields__} for s in waiting]
        context.table(rows, ("id", "at", "channel", "contact", "code", "text"), "None waits.")
        return
    names = [s.id for s in await store.signals.waiting(1_000_000)] if chosen == "all" else [chosen]
    for name in names:
        await service.settle(args.tenant, name, args.confirm is not None, args.by)
    verb = "confirmed" if args.confirm else "dismissed"
    context.show({verb: names}, lambda: [f"{len(names)} {verb}."])


async def keywords(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant) if args.tenant else None
    if args.text is not None:
        if tenant is None:
            raise Invalid("--tenant", "whose words are meant")
        found = match(args.text, tenant.permissions)
        value = {"family": found.family, "word": found.word, "scope": found.scope} if found else None
        context.show(value, lambda: [f"{found.family}: {found.word}" if found else "It is no keyword."])
        return
    rows = [
        {"family": family, "language": language, "words": ", ".join(words.split("|"))}
        for family, by_language in STANDARD.items()
        for language, words in by_language.items()
    ]
    if tenant is not None:
        own = tenant.permissions
        rows += [{"family": f, "language": "own", "words": ", ".join(w)} for f, w in own.keywords.items()]
        rows += [{"family": "none", "language": "own", "words": ", ".join(own.not_keywords)}] * bool(
            own.not_keywords
        )
        rows += [{"family": o.purpose, "language": "own", "words": w} for w, o in own.opt_ins.items()]
    context.table(rows, ("family", "language", "words"), "")


async def channel_of(context: Context, args: argparse.Namespace) -> Channel:
    """The channel that was named; NotFound for another tenant's."""
    await context.store.directory.tenant(args.tenant)
    channel = await context.store.directory.channel(args.channel)
    if channel.tenant != args.tenant:
        raise NotFound(f"no channel {args.channel}")
    return channel


def row(entry: Entry) -> dict[str, Any]:
    return {f: v for f in Entry.__dataclass_fields__ if (v := getattr(entry, f)) not in (None, "")}


def _desk(context: Context) -> ConsentDesk:
    return ConsentDesk(context.store, system_clock)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _time(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Invalid(option, "a time with its zone, such as 2026-03-01T10:00:00+01:00")
    return found
