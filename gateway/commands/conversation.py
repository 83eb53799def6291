"""`conversation`, `lead`, `deadletter`: what was said, who wants to buy, and what could not be sent."""

import argparse
from typing import Any

from gateway.commands.context import Commands, Context, Failed
from gateway.commands.tenant import _command, _group
from gateway.handoff import set_owner
from gateway.model.clock import system_clock
from gateway.model.content import plain_text, to_doc
from gateway.model.errors import Invalid, NotFound
from gateway.model.message import Message, Status


def add(commands: "Commands") -> None:
    group = _group(commands, "conversation", "conversations with customers")
    listing = _command(group, "list", list_conversations, "the latest conversations")
    _scope(listing)
    showing = _command(group, "show", show_conversation, "one conversation's latest messages")
    _scope(showing)
    showing.add_argument("conversation")
    owner = _command(group, "owner", change_owner, "who answers: the bot, the queue or a person")
    owner.add_argument("--tenant", required=True)
    owner.add_argument("conversation")
    owner.add_argument("owner", choices=("bot", "queue", "agent"))

    leads = _group(commands, "lead", "leads")
    _scope(_command(leads, "list", list_leads, "leads, newest first"))

    dead = _group(commands, "deadletter", "messages that were given up")
    _scope(_command(dead, "list", list_dead, "messages that were given up, with the reason"))
    retry = _command(dead, "retry", retry_dead, "send one again, or all; the customer may get it twice")
    retry.add_argument("--tenant", required=True)
    retry.add_argument("message", nargs="?")
    retry.add_argument("--all", action="store_true", help="every message that was given up")


def _scope(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tenant", required=True)
    command.add_argument("--limit", type=int, default=50, help="how many at most (1 to 1000)")


async def _limit(context: Context, args: argparse.Namespace) -> int:
    """The limit, once it and the tenant are known to be good."""
    await context.store.directory.tenant(args.tenant)
    if not 1 <= args.limit <= 1000:
        raise Invalid("--limit", "a number from 1 to 1000")
    return int(args.limit)


async def list_conversations(context: Context, args: argparse.Namespace) -> None:
    limit = await _limit(context, args)
    page = await context.store.of(args.tenant).conversations.recent(None, system_clock(), limit)
    rows = [
        {
            "id": c.id,
            "name": c.name,
            "owner": c.owner,
            "last": c.last_at,
            "preview": c.preview,
            "channel": c.channel,
        }
        for c in page.items
    ]
    context.table(rows, ("id", "name", "owner", "last", "preview"), "Nobody has written yet.")


async def show_conversation(context: Context, args: argparse.Namespace) -> None:
    limit = await _limit(context, args)
    store = context.store.of(args.tenant)
    if await store.conversations.get(args.conversation) is None:
        raise Failed(
            f"no conversation {args.conversation}: `conversation list --tenant {args.tenant}` shows them"
        )
    page = await store.messages.before(args.conversation, None, limit)
    context.table([_row(m) for m in page.messages], ("at", "author", "status", "text"), "No messages.")


def _row(m: Message) -> dict[str, Any]:
    return {
        "id": m.id,
        "conversation": m.conversation,
        "seq": m.seq,
        "at": m.at,
        "direction": m.direction,
        "author": m.author,
        "status": m.status.label,
        "text": plain_text(m.content),
        "content": to_doc(m.content),
        "provider_id": m.provider_id,
        "attempts": m.attempts,
        "possibly_doubled": m.possibly_doubled,
        "failure": f"{m.failure.code}: {m.failure.text}" if m.failure else None,
    }


async def change_owner(context: Context, args: argparse.Namespace) -> None:
    try:
        saved = await set_owner(context.store.of(args.tenant), args.conversation, args.owner)
    except NotFound:
        raise Failed(f"no conversation {args.conversation}") from None
    context.show({"id": saved.id, "owner": saved.owner}, lambda: [f"{saved.id} belongs to: {saved.owner}"])


async def list_leads(context: Context, args: argparse.Namespace) -> None:
    limit = await _limit(context, args)
    page = await context.store.of(args.tenant).conversations.leads(None, system_clock(), limit)
    names = (
        "id",
        "name",
        "phone",
        "phone_kind",
        "phone_region",
        "email",
        "question",
        "channel",
        "conversation",
    )
    rows = [
        {n: getattr(x, n) for n in names}
        | {"fields": dict(x.fields), "consent_text": x.consent_text, "consent_at": x.consent_at}
        | {"created": x.created, "updated": x.updated}
        for x in page.items
    ]
    context.table(rows, ("name", "phone", "phone_kind", "email", "question", "updated"), "No leads yet.")


async def list_dead(context: Context, args: argparse.Namespace) -> None:
    limit = await _limit(context, args)
    found = await context.store.of(args.tenant).messages.dead(limit)
    columns = ("id", "at", "attempts", "failure", "text")
    context.table([_row(m) for m in found], columns, "Nothing was given up.")


async def retry_dead(context: Context, args: argparse.Namespace) -> None:
    if bool(args.message) == args.all:
        raise Invalid("MESSAGE or --all", "one of the two")
    messages = context.store.of(args.tenant).messages
    chosen = [m.id for m in await messages.dead(1000)] if args.all else [args.message]
    queued = [m for m in chosen if await messages.requeue(m, Status.DEAD, system_clock(), True)]
    if not args.all and not queued:
        raise Failed(
            f"{args.message} is not among the messages that were given up: `deadletter list` shows them"
        )
    context.show({"queued": queued}, lambda: [f"Queued again: {len(queued)}."])
