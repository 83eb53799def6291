"""`deadletter`: messages that were given up, and what to do about each."""

import argparse
from collections.abc import Sequence

from gateway.commands.context import Commands, Context, Failed
from gateway.commands.conversation import limit_of, row, scope
from gateway.commands.tenant import _command, _group
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid
from gateway.model.message import Message

PAGE = 200


def add(commands: "Commands") -> None:
    dead = _group(commands, "deadletter", "messages that were given up")
    scope(_command(dead, "list", list_dead, "messages that were given up, with the reason"))
    show = _command(dead, "show", show_dead, "one of them, whole")
    retry = _command(dead, "retry", retry_dead, "send one again, or all")
    discard = _command(dead, "discard", discard_dead, "take one off the list, or all; they stay given up")
    confirm = _command(dead, "confirm", confirm_dead, "say that the customer has it: it counts as sent")
    for command in (show, retry, discard, confirm):
        command.add_argument("--tenant", required=True)
        command.add_argument("message", nargs="?" if command in (retry, discard) else None)
    for command in (retry, discard):
        command.add_argument("--all", action="store_true", help="every message that was given up")


async def list_dead(context: Context, args: argparse.Namespace) -> None:
    limit = await limit_of(context, args)
    page = await context.store.of(args.tenant).dead_letters.page(None, limit)
    columns = ("id", "at", "attempts", "failure", "text")
    context.table([row(m) for m in page.messages], columns, "Nothing was given up.")


async def show_dead(context: Context, args: argparse.Namespace) -> None:
    message = await _one(context, args)
    shown = row(message) | {"channel": message.channel, "possibly_doubled": message.possibly_doubled}
    context.show(shown, lambda: [f"{name}: {value}" for name, value in shown.items() if value is not None])


async def retry_dead(context: Context, args: argparse.Namespace) -> None:
    letters = context.store.of(args.tenant).dead_letters
    queued = await letters.retry(await _chosen(context, args), system_clock())
    context.show({"queued": [m.id for m in queued]}, lambda: [f"Queued again: {len(queued)}."])


async def discard_dead(context: Context, args: argparse.Namespace) -> None:
    letters = context.store.of(args.tenant).dead_letters
    gone = await letters.discard(await _chosen(context, args), system_clock())
    context.show({"discarded": [m.id for m in gone]}, lambda: [f"Discarded: {len(gone)}."])


async def confirm_dead(context: Context, args: argparse.Namespace) -> None:
    message = await _one(context, args)
    done = await context.store.of(args.tenant).dead_letters.confirm(message, system_clock())
    context.show({"id": message.id, "confirmed": done}, lambda: [f"{message.id} counts as sent."])


async def _chosen(context: Context, args: argparse.Namespace) -> Sequence[Message]:
    """The message that was named, or all."""
    if bool(args.message) == args.all:
        raise Invalid("MESSAGE or --all", "one of the two")
    if args.message:
        return [await _one(context, args)]
    await context.store.directory.tenant(args.tenant)
    letters, found, before = context.store.of(args.tenant).dead_letters, list[Message](), None
    while True:
        page = await letters.page(before, PAGE)
        found += page.messages
        if page.next is None:
            return found
        before = page.next


async def _one(context: Context, args: argparse.Namespace) -> Message:
    await context.store.directory.tenant(args.tenant)
    found = await context.store.of(args.tenant).dead_letters.get(args.message)
    if found is None:
        raise Failed(
            f"{args.message} is not among the messages that were given up: `deadletter list` shows them"
        )
    return found
