"""`knowledge add|sources|cancel|again|forget|collection|publish|discard`: where the bot's documents come from."""

import argparse
import asyncio
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from brain.embed import Embedder, LocalEmbedder
from brain.ingest import AddResult, Given, Into, add_files, add_path
from brain.vectors import Embedders
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.tenant import _command
from gateway.intake import MOST_TITLE, Intake
from gateway.learn import Learner
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid
from gateway.model.knowledge import MAIN, Collection, Source
from gateway.ops.egress import Egress

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_OVER = ("ready", "failed", "cancelled")


def add_to(group: "Commands") -> None:
    adding = _command(
        group,
        "add",
        add_documents,
        "add a file, a folder, a text or a web site; what changed replaces its older version",
    )
    adding.add_argument("--tenant", required=True)
    adding.add_argument(
        "path", type=Path, metavar="FILE|FOLDER", nargs="?",
        help="Markdown, text, HTML, CSV and JSON (question, answer), PDF, Word, PowerPoint, Excel",
    )  # fmt: skip
    adding.add_argument("--text", help="a text of its own, or - for standard input; needs --title")
    adding.add_argument("--title", help="the title of the text, or of the file")
    adding.add_argument("--site", metavar="URL", help="a web site, or its sitemap (.xml)")
    adding.add_argument("--collection", default=MAIN)
    adding.add_argument("--draft", action="store_true", help="keep it as a draft until `knowledge publish`")
    adding.add_argument("--every", help="of a site: look again so often, such as 24h or 7d")
    adding.add_argument("--depth", type=int, default=3, help="of a site: how many links deep")
    adding.add_argument("--pages", type=int, default=200, help="of a site: at most so many pages")
    adding.add_argument(
        "--no-wait", action="store_true", help="of a site: leave the reading to a running gateway"
    )

    listing = _command(
        group, "sources", list_sources, "uploads, texts and web sites, with how far they are read"
    )
    listing.add_argument("--tenant", required=True)
    for name, call, text in (
        ("cancel", cancel_source, "stop reading a source, and look no more by itself"),
        ("again", repeat_source, "read a web site again now"),
        ("forget", forget_source, "remove a source and every document that came from it"),
    ):
        one = _command(group, name, call, text)
        one.add_argument("--tenant", required=True)
        one.add_argument("source")
        if name == "again":
            one.add_argument("--no-wait", action="store_true", help="leave the reading to a running gateway")

    collections = group.add_parser(
        "collection", help="documents that belong together, for all channels or some"
    )
    inner = collections.add_subparsers(dest="what", metavar="ACTION", required=True)
    for name, call, text in (
        ("add", add_collection, "add a collection"),
        ("set", set_collection, "say which channels a collection is for"),
        ("remove", remove_collection, "remove an empty collection"),
    ):
        one = _command(inner, name, call, text)
        one.add_argument("--tenant", required=True)
        one.add_argument("name")
        if name != "remove":
            one.add_argument(
                "--channel", action="append", default=[], help="a channel's id; none: every channel"
            )
    listing = _command(inner, "list", list_collections, "all collections")
    listing.add_argument("--tenant", required=True)

    for name, call, text in (
        ("publish", publish, "make all drafts live at once"),
        ("discard", discard, "put all drafts away"),
    ):
        one = _command(group, name, call, text)
        one.add_argument("--tenant", required=True)


async def add_documents(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    await context.store.knowledge.check_collection(args.tenant, args.collection)
    given = [name for name in ("path", "text", "site") if getattr(args, name) is not None]
    if len(given) != 1:
        raise Invalid("FILE|FOLDER", "one of a file or folder, --text and --site")
    if args.site is not None:
        await _add_site(context, args)
        return
    if args.every is not None:
        raise Invalid("--every", "only with --site")
    results = await (_add_text(context, args) if args.text is not None else _add_path(context, args))
    refused = [r for r in results if r.outcome == "refused"]
    context.show(
        [
            {
                "origin": r.origin,
                "outcome": r.outcome,
                "document": r.document,
                "passages": r.chunks,
                "reason": r.reason,
                "draft": args.draft,
            }
            for r in results
        ],
        lambda: [
            f"{len(results) - len(refused)} of {len(results)} files are "
            + (
                "drafts: `knowledge publish` makes them known to the bot."
                if args.draft
                else "known to the bot."
            )
        ],
    )
    if refused:
        raise Failed(f"{len(refused)} of {len(results)} files were refused; the reasons stand above")


async def _add_path(context: Context, args: argparse.Namespace) -> list[AddResult]:
    if not args.path.exists():
        raise Invalid("FILE|FOLDER", f"an existing file or folder, not {args.path}")
    return await add_path(
        context.store.knowledge,
        _embedder(),
        args.tenant,
        args.path.resolve(),
        system_clock(),
        progress=_progress,
        collection=args.collection,
        draft=args.draft,
        title=args.title or "",
    )


async def _add_text(context: Context, args: argparse.Namespace) -> list[AddResult]:
    title = " ".join((args.title or "").split())
    if not 1 <= len(title) <= MOST_TITLE:
        raise Invalid("--title", f"1 to {MOST_TITLE} characters, for what --text gives")
    text = await asyncio.to_thread(sys.stdin.read) if args.text == "-" else args.text
    given = Given(f"text:{title.casefold()}", text.encode("utf-8", "replace"), "pasted.txt", title=title)
    results = await add_files(
        context.store.knowledge,
        Embedders(_embedder()),
        Into(args.tenant, args.collection, args.draft),
        [given],
        system_clock(),
    )
    _progress(1, 1, results[0])
    return results


def _progress(done: int, total: int, result: AddResult) -> None:
    reason = f": {result.reason}" if result.reason else f" ({result.chunks} passages)"
    line = f"[{done}/{total}] {result.outcome} {result.origin}{reason}"
    if sys.stderr.isatty() and result.outcome != "refused" and done < total:
        print(f"\r\033[K{line[:100]}", end="", file=sys.stderr, flush=True)
    else:
        print(f"\r\033[K{line}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


async def _add_site(context: Context, args: argparse.Namespace) -> None:
    intake = Intake(context.store, system_clock, Egress(context.settings.egress_allow))
    every = _every(args.every) if args.every is not None else None
    source = await intake.site(
        args.tenant, args.site, args.collection, args.draft, args.depth, args.pages, every
    )
    await _follow(context, source, args.no_wait)


async def _follow(context: Context, source: Source, no_wait: bool) -> None:
    """Read the source here, or watch whoever took it first."""
    if not no_wait:
        learner = Learner(context.store, _embedder(), system_clock, Egress(context.settings.egress_allow))
        reading = asyncio.create_task(learner.read(source))
        told = ""
        try:
            while source.state not in _OVER:
                await asyncio.wait({reading}, timeout=0.5) if not reading.done() else await asyncio.sleep(0.5)
                if reading.done():
                    reading.result()
                source = await context.store.sources.get(source.tenant, source.id)
                text = f"[{source.done}/{source.total}] {source.address}: {source.changed} changed, {len(source.errors)} problems"
                if text != told:
                    told = text
                    end = "" if sys.stderr.isatty() else "\n"
                    print(f"\r\033[K{text}" if not end else text, end=end, file=sys.stderr, flush=True)
        finally:
            reading.cancel()
            await asyncio.wait({reading})
        if sys.stderr.isatty():
            print(file=sys.stderr)
        for error in source.errors:
            context.say(f"{error.origin}: {error.reason}")
    context.show(_row(source), lambda: [f"{source.id} is {source.state}. {source.reason}".strip()])
    if source.state == "failed":
        raise Failed(source.reason)


def _every(value: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})\s*([mhdw])", value.strip().lower())
    if not found:
        raise Invalid("--every", "a number with m, h, d or w behind it, such as 24h")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _embedder() -> Embedder:
    return LocalEmbedder()


def _row(s: Source) -> Mapping[str, Any]:
    return {
        "id": s.id,
        "kind": s.kind,
        "name": s.address or s.name,
        "collection": s.collection,
        "draft": s.draft,
        "state": s.state,
        "done": s.done,
        "total": s.total,
        "changed": s.changed,
        "problems": len(s.errors),
        "errors": [{"origin": e.origin, "reason": e.reason} for e in s.errors],
        "every": s.every.total_seconds() if s.every else None,
        "next": s.due if s.state != "working" else None,
        "ended": s.ended,
        "reason": s.reason,
    }


async def list_sources(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    rows = [_row(s) for s in await context.store.sources.all(args.tenant)]
    columns = ("id", "kind", "name", "collection", "state", "done", "total", "problems", "next", "reason")
    context.table(rows, columns, "No sources yet: `knowledge add --site URL`, or an upload")


async def cancel_source(context: Context, args: argparse.Namespace) -> None:
    source = await context.store.sources.cancel(args.tenant, args.source)
    context.show(_row(source), lambda: ["Cancelled. What was read stays."])


async def repeat_source(context: Context, args: argparse.Namespace) -> None:
    source = await context.store.sources.again(args.tenant, args.source)
    await _follow(context, source, args.no_wait)


async def forget_source(context: Context, args: argparse.Namespace) -> None:
    intake = Intake(context.store, system_clock, Egress(context.settings.egress_allow))
    removed = await intake.forget(args.tenant, args.source)
    context.show({"documents": removed}, lambda: [f"Removed, with {removed} documents."])


async def list_collections(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    count: dict[str, int] = {}
    for document in await context.store.knowledge.documents(args.tenant):
        count[document.collection] = count.get(document.collection, 0) + 1
    rows = [
        {"name": c.name, "documents": count.get(c.name, 0), "channels": list(c.channels)}
        for c in await context.store.knowledge.collections(args.tenant)
    ]
    context.table(rows, ("name", "documents", "channels"), "")


async def add_collection(context: Context, args: argparse.Namespace) -> None:
    await _set(context, args, new=True)


async def set_collection(context: Context, args: argparse.Namespace) -> None:
    await _set(context, args, new=None if args.name == MAIN else False)


async def _set(context: Context, args: argparse.Namespace, new: bool | None) -> None:
    await context.store.directory.tenant(args.tenant)
    made = Collection(args.tenant, args.name, tuple(args.channel))
    await context.store.knowledge.set_collection(made, new)
    whom = ", ".join(made.channels) or "every channel"
    context.show(
        {"name": made.name, "channels": list(made.channels)}, lambda: [f"{made.name} is for {whom}."]
    )


async def remove_collection(context: Context, args: argparse.Namespace) -> None:
    await context.store.knowledge.remove_collection(args.tenant, args.name)
    context.show({"removed": args.name}, lambda: ["Removed."])


async def publish(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    count = await context.store.knowledge.publish(args.tenant)
    context.show({"documents": count}, lambda: [f"Published: {count} documents changed."])


async def discard(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    count = await context.store.knowledge.discard(args.tenant)
    context.show({"documents": count}, lambda: [f"Put away: {count} drafts."])
