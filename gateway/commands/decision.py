"""`decision`: whether messages might be sent, why, and what that rested on."""

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from gateway.commands.context import Commands, Context, Failed
from gateway.commands.conversation import limit_of, scope
from gateway.commands.tenant import _command, _group
from gateway.model.cells import cell
from gateway.model.content import plain_text
from gateway.model.message import Message

COLUMNS: Final = (
    "message",
    "conversation",
    "channel",
    "written",
    "author",
    "purpose",
    "campaign",
    "status",
    "stage",
    "at",
    "allowed",
    "reason",
    "text",
    "remedy",
    "until",
    "facts",
)


def add(commands: "Commands") -> None:
    group = _group(commands, "decision", "whether messages might be sent, and why")
    listing = _command(group, "list", list_decisions, "the decisions about messages to one contact")
    scope(listing)
    listing.add_argument("--contact", required=True, help="a contact's id, or one of their conversations'")
    export = _command(
        group, "export", export_decisions, "every decision, as CSV (or, with --json, a JSON line each)"
    )
    export.add_argument("--tenant", required=True)


async def list_decisions(context: Context, args: argparse.Namespace) -> None:
    limit = await limit_of(context, args)
    store = context.store.of(args.tenant)
    conversation = await store.conversations.get(args.contact)
    contact = await store.conversations.contact(conversation.contact if conversation else args.contact)
    if contact is None:
        raise Failed(
            f"no contact {args.contact}: `conversation list --tenant {args.tenant}` shows conversations"
        )
    talks = await store.conversations.of_contact([contact.id, *contact.merged])
    page = await store.decisions.page([c.id for c in talks], None, limit)
    rows = [r | {"verdict": _verdict(r)} for m in page.messages for r in rows_of(m)]
    context.table(
        rows,
        ("at", "message", "stage", "status", "verdict", "remedy"),
        "No message to them was decided about.",
    )


async def export_decisions(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    out = csv.writer(sys.stdout)
    if not args.json:
        out.writerow(COLUMNS)
    async for message in context.store.of(args.tenant).decisions.all():
        for row in rows_of(message):
            if args.json:
                print(json.dumps(row, default=str, ensure_ascii=False))
            else:
                out.writerow([_cell(row[c]) for c in COLUMNS])


def rows_of(m: Message) -> Iterator[dict[str, Any]]:
    """One row a decision."""
    for d in m.decided:
        yield {
            "message": m.id,
            "conversation": m.conversation,
            "channel": m.channel,
            "written": m.at,
            "author": m.author,
            "purpose": m.purpose,
            "campaign": m.campaign,
            "status": m.status.label,
            "said": plain_text(m.content),
            "stage": d.stage,
            "at": d.at,
            "allowed": d.allowed,
            "reason": d.reason,
            "text": d.text,
            "remedy": d.remedy,
            "until": d.until,
            "facts": dict(d.facts),
        }


def _verdict(row: dict[str, Any]) -> str:
    return "allowed" if row["allowed"] else f"{row['reason']}: {row['text']}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return cell(value)
