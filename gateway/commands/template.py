"""`template`: drafts of templates, what the provider has of them, and how they look."""

import argparse
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from consent.templates import Shown, variables
from consent.templates_lint import lint
from consent.templates_wire import to_draft, with_draft
from gateway.commands.adapters import registered
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.conversation import limit_of, row
from gateway.commands.tenant import _command, _group
from gateway.desk import Desk
from gateway.model.clock import Sequencer, system_clock
from gateway.model.errors import Invalid, NotFound, SendError
from gateway.model.template import EDITABLE, TemplateDef
from gateway.template_sync import TemplateSync
from gateway.templates import Templates
from gateway.work.local import LocalWork

PAGE = 200
NAMED = ("name", "language")


def add(commands: "Commands") -> None:
    group = _group(commands, "template", "messages that a provider approves beforehand")
    listing = _command(group, "list", list_templates, "a tenant's templates, by name")
    listing.add_argument("--limit", type=int, default=50, help="how many at most (1 to 1000)")
    listing.add_argument("--channel", help="only those of its business account")
    listing.add_argument("--state", help="only those in this state, such as APPROVED or DRAFT")
    create = _command(group, "create", create_template, "write a draft, from a JSON file or options")
    create.add_argument("--name")
    create.add_argument("--language")
    create.add_argument("--channel", help="a WhatsApp channel; without it for channels that need no approval")
    one = {
        "show": (show_template, "one template, whole"),
        "edit": (edit_template, "change a draft, from a JSON file or options"),
        "lint": (lint_template, "what the provider would refuse of a draft"),
        "preview": (preview_template, "what the customer will see"),
        "submit": (submit_template, "have a draft approved"),
        "discard": (discard_template, "put away what was changed and not submitted"),
        "delete": (delete_template, "delete a template, at the provider too"),
        "test": (test_template, "send it to one conversation, or one number"),
    }
    made = {name: _command(group, name, call, text) for name, (call, text) in one.items()}
    for command in made.values():
        command.add_argument("template", help="its id, or its name with --language where there are several")
        command.add_argument("--language")
    for command in (create, made["edit"]):
        _content(command)
    for command in (made["preview"], made["test"]):
        command.add_argument(
            "--value", action="append", default=[], metavar="KEY=TEXT", help="a variable's value; repeatable"
        )
    made["test"].add_argument("--conversation")
    made["test"].add_argument("--channel")
    made["test"].add_argument("--phone", help="a number, with --channel")
    sync = _command(group, "sync", sync_templates, "ask a channel's provider for its templates now")
    sync.add_argument("channel")
    for command in (listing, create, *made.values()):
        command.add_argument("--tenant", required=True)


def _content(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--file", help="a JSON file with its parts (docs/templates.md), or - for standard input"
    )
    command.add_argument("--category", help="UTILITY, MARKETING or AUTHENTICATION")
    command.add_argument("--body")
    command.add_argument("--header", help="a text above the body")
    command.add_argument("--footer")
    command.add_argument("--example", action="append", default=[], metavar="NAME=TEXT", help="repeatable")
    command.add_argument(
        "--reply", action="append", default=[], metavar="TEXT", help="a reply button; repeatable"
    )


@dataclass(frozen=True, slots=True)
class _Tools:
    templates: Templates
    sync: TemplateSync
    desk: Desk


@asynccontextmanager
async def _tools(context: Context) -> AsyncIterator[_Tools]:
    store = context.store
    async with registered(context) as built:
        templates = Templates(store, built.templates, system_clock)
        # What is queued here is found by the sweeper of whatever runs.
        work = LocalWork(failed=lambda *_: None)
        desk = Desk(store, built.adapters, work, system_clock, Sequencer(system_clock))
        try:
            yield _Tools(templates, TemplateSync(store, built.templates, templates, system_clock), desk)
        except SendError as error:
            raise Failed(f"{error.text} ({error.code})") from None


async def list_templates(context: Context, args: argparse.Namespace) -> None:
    limit = await limit_of(context, args)
    found: list[TemplateDef] = []
    async with _tools(context) as tools:
        after: str | None = None
        while len(found) < limit:
            page = await tools.templates.page(args.tenant, after, PAGE, args.channel)
            found += [t for t in page.items if args.state in (None, t.state)]
            if (after := page.next) is None:
                break
    columns = ("name", "language", "category", "state", "quality", "draft", "body")
    rows = [_row(t) | {"draft": "changed" if t.draft else ""} for t in found[:limit]]
    context.table(rows, columns, "No templates yet: `template sync CHANNEL`, or `template create`.")


async def create_template(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    given = _read(args)
    name, language = args.name or given.pop("name", ""), args.language or given.pop("language", "en_US")
    draft = {k: v for k, v in given.items() if k not in NAMED}
    async with _tools(context) as tools:
        made = await tools.templates.create(args.tenant, str(name), str(language), draft, args.channel)
    _told(context, made, f"Wrote the draft {made.name} ({made.language}).")


async def edit_template(context: Context, args: argparse.Namespace) -> None:
    async with _tools(context) as tools:
        found = await _one(context, args)
        draft = {k: v for k, v in _read(args).items() if k not in NAMED}
        if not draft:
            raise Invalid("--file", "a file or options with what is to be changed")
        changed = await tools.templates.edit(args.tenant, found.id, draft)
    _told(context, changed, f"Changed {changed.name} ({changed.language}).")


async def show_template(context: Context, args: argparse.Namespace) -> None:
    found = await _one(context, args)
    shown = _row(found) | to_draft(found) | {"draft": dict(found.draft), "account": found.account}
    shown |= {
        "remote": found.remote,
        "coming": found.coming,
        "updated": found.updated,
        "synced": found.synced,
    }
    shown["variables"] = [v.key for v in variables(found)]
    context.show(shown, lambda: [f"{n}: {v}" for n, v in shown.items() if v not in (None, "", [], {})])


async def lint_template(context: Context, args: argparse.Namespace) -> None:
    problems = lint(with_draft(await _one(context, args)))
    rows = [asdict(p) for p in problems]
    context.table(
        rows, ("field", "text", "source"), "Nothing would be refused: `template submit` has it approved."
    )


async def preview_template(context: Context, args: argparse.Namespace) -> None:
    found = await _one(context, args)
    async with _tools(context) as tools:
        shown = await tools.templates.preview(args.tenant, found.id, _pairs(args.value, "--value"))
    context.show(asdict(shown), lambda: _as_seen(shown))


async def submit_template(context: Context, args: argparse.Namespace) -> None:
    found = await _one(context, args)
    async with _tools(context) as tools:
        taken = await tools.templates.submit(args.tenant, found.id)
    moved = (
        f" The provider made it {taken.category.lower()}."
        if taken.category != with_draft(found).category
        else ""
    )
    _told(context, taken, f"Submitted {taken.name} ({taken.language}): it is {taken.state.lower()}.{moved}")


async def discard_template(context: Context, args: argparse.Namespace) -> None:
    found = await _one(context, args)
    async with _tools(context) as tools:
        left = await tools.templates.discard(args.tenant, found.id)
    _told(context, left, f"Put the changes of {left.name} ({left.language}) away.")


async def delete_template(context: Context, args: argparse.Namespace) -> None:
    found = await _one(context, args)
    async with _tools(context) as tools:
        gone = await tools.templates.delete(args.tenant, found.id)
    _told(context, gone, f"Deleted {gone.name} ({gone.language}).")


async def test_template(context: Context, args: argparse.Namespace) -> None:
    found = await _one(context, args)
    values = _pairs(args.value, "--value")
    async with _tools(context) as tools:
        conversation = args.conversation
        if conversation is None:
            if not (args.channel and args.phone):
                raise Invalid("--conversation", "a conversation, or --channel and --phone")
            conversation = await tools.desk.begin(args.tenant, args.channel, args.phone)
        try:
            sent = await tools.desk.say_template(
                args.tenant, conversation, found.name, found.language, values
            )
        except NotFound:
            raise Failed(f"no conversation {conversation}") from None
    shown = [row(m) for m in sent]
    context.show(
        shown,
        lambda: [f"Queued: {m['id']}. `conversation show {conversation}` tells the rest." for m in shown],
    )


async def sync_templates(context: Context, args: argparse.Namespace) -> None:
    channel = await context.store.directory.channel(args.channel)
    if sys.stderr.isatty():
        context.say("Asking the provider for its templates…")
    async with _tools(context) as tools:
        done = await tools.sync.sync(channel)
    text = f"{done.seen} templates; {done.added} new, {done.changed} changed, {done.deleted} deleted."
    context.show(asdict(done), lambda: [text])


async def _one(context: Context, args: argparse.Namespace) -> TemplateDef:
    await context.store.directory.tenant(args.tenant)
    store = context.store.of(args.tenant).templates
    if (found := await store.get(args.template)) is not None:
        return found
    named = [t for t in await store.named(None, args.template) if args.language in (None, t.language)]
    if len(named) > 1:
        several = ", ".join(f"{t.id} ({t.language}{', ' + t.account if t.account else ''})" for t in named)
        raise Invalid("template", f"one of several of this name: {several}")
    if not named:
        raise Failed(f"no template {args.template}: `template list --tenant {args.tenant}` shows them")
    return named[0]


def _row(t: TemplateDef) -> dict[str, Any]:
    same = ("id", "name", "language", "category", "state", "quality", "reason", "body")
    return {n: getattr(t, n) for n in same} | {"usable": t.usable}


def _told(context: Context, t: TemplateDef, text: str) -> None:
    problems = lint(with_draft(t)) if t.account and (t.draft or t.remote is None) else []
    lines = [text, *(f"  {p.field}: {p.text}" for p in problems)]
    if problems:
        lines.insert(1, "It would be refused as it is:")
    context.show(_row(t) | {"problems": [asdict(p) for p in problems]}, lambda: lines)


def _read(args: argparse.Namespace) -> dict[str, Any]:
    """What is to be written: the file's, with the options over it. Raises Invalid."""
    found: dict[str, Any] = {}
    if args.file:
        try:
            text = sys.stdin.read() if args.file == "-" else Path(args.file).read_text(encoding="utf-8")
            found = json.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            raise Invalid("--file", f"a JSON file that can be read ({type(error).__name__})") from None
        if not isinstance(found, dict):
            raise Invalid("--file", "a JSON object")
        known = (*NAMED, *EDITABLE)
        for name in found:
            if name not in known:
                raise Invalid(f"--file {name[:64]}", "one of " + ", ".join(known))
    for name in ("category", "body", "footer"):
        if (value := getattr(args, name)) is not None:
            found[name] = value
    if args.header is not None:
        found["header"] = {"kind": "text", "text": args.header} if args.header else None
    if args.example:
        found["examples"] = {**found.get("examples", {}), **_pairs(args.example, "--example")}
    if args.reply:
        found["buttons"] = [*found.get("buttons", ()), *({"kind": "reply", "text": t} for t in args.reply)]
    return found


def _pairs(given: Sequence[str], option: str) -> Mapping[str, str]:
    found = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Invalid(option, "KEY=TEXT")
        found[name] = value
    return found


def _as_seen(shown: Shown) -> list[str]:
    media = [f"[{shown.media[0]}: {shown.media[1]}]"] if shown.media else []
    buttons = [f"[ {b.text} ]" + (f" {b.value}" if b.kind == "url" else "") for b in shown.buttons]
    return [part for part in (*media, shown.header, shown.body, shown.footer, *buttons) if part]
