"""`conversation`, `lead`: what was said, and who wants to buy."""

import argparse
from typing import Any

from gateway.commands.context import Commands, Context, Failed
from gateway.commands.tenant import _command, _group
from gateway.handoff import set_owner
from gateway.model.clock import system_clock
from gateway.model.content import plain_text, to_doc
from gateway.model.errors import Invalid, NotFound
from gateway.model.message import Message


def add(commands: "Commands") -> None:
    group = _group(commands, "conversation", "conversations with customers")
    listing = _command(group, "list", list_conversations, "the latest conversations")
    scope(listing)
    showing = _command(group, "show", show_conversation, "one conversation's latest messages")
    scope(showing)
    showing.add_argument("conversation")
    owner = _command(group, "owner", change_owner, "who answers: the bot, the queue or a person")
    owner.add_argument("--tenant", required=True)
    owner.add_argument("conversation")
    owner.add_argument("owner", choices=("bot", "queue", "agent"))

    leads = _group(commands, "lead", "leads")
    scope(_command(leads, "list", list_leads, "leads, newest first"))


def scope(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tenant", required=True)
    command.add_argument("--limit", type=int, default=50, help="how many at most (1 to 1000)")


async def limit_of(context: Context, args: argparse.Namespace) -> int:
    """The limit, once it and the tenant are known to be good."""
    await context.store.directory.tenant(args.tenant)
    if not 1 <= args.limit <= 1000:
        raise Invalid("--limit", "a number from 1 to 1000")
    return int(args.limit)


async def list_conversations(context: Context, args: argparse.Namespace) -> None:
    limit = await limit_of(context, args)
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
    limit = await limit_of(context, args)
    store = context.store.of(args.tenant)
    if await store.conversations.get(args.conversation) is None:
        raise Failed(
            f"no conversation {args.conversation}: `conversation list --tenant {args.tenant}` shows them"
        )
    page = await store.messages.before(args.conversation, None, limit)
    context.table([row(m) for m in page.messages], ("at", "author", "status", "text"), "No messages.")


def row(m: Message) -> dict[str, Any]:
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
    limit = await limit_of(context, args)
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
