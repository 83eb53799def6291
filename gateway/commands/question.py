"""`question` and `gap`: what customers asked, what is thought of the answers, and what has no answer yet."""

import argparse

from brain.embed import WordLlamaEmbedder
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.tenant import _command, _group
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid
from gateway.questions import Questions, since


def add(commands: "Commands") -> None:
    asked = _group(commands, "question", "what customers asked the bot")
    listing = _command(asked, "list", list_asked, "the latest first")
    listing.add_argument("--tenant", required=True)
    listing.add_argument("--days", type=int, default=30, help="1 to 90: they are kept for 90 days")
    listing.add_argument("--limit", type=int, default=50)
    listing.add_argument("--thumb", choices=("up", "down"), help="only what was rated so")
    rating = _command(asked, "rate", rate_asked, "say what you think of an answer")
    rating.add_argument("--tenant", required=True)
    rating.add_argument("question", help="its id")
    rating.add_argument("thumb", choices=("up", "down", "none"))

    keeping = _command(asked, "keep", keep_answer, "keep what was answered in a conversation as knowledge")
    keeping.add_argument("--tenant", required=True)
    keeping.add_argument("--collection", help="where it belongs (without it: main)")
    keeping.add_argument("message", help="the id of the answer (`conversation show`)")

    gaps = _group(commands, "gap", "questions that no document answers, grouped by what they mean")
    listing = _command(gaps, "list", list_gaps, "the latest asked first")
    listing.add_argument("--tenant", required=True)
    listing.add_argument("--state", choices=("open", "answered", "dismissed"), default="open")
    listing.add_argument("--limit", type=int, default=50)
    answering = _command(gaps, "answer", answer_gap, "write the answer; the bot knows it at once")
    answering.add_argument("--tenant", required=True)
    answering.add_argument("--collection", help="where it belongs (without it: main)")
    answering.add_argument("gap", help="its id")
    answering.add_argument("answer")
    dismissing = _command(gaps, "dismiss", dismiss_gap, "it needs no answer")
    dismissing.add_argument("--tenant", required=True)
    dismissing.add_argument("gap", help="its id")


async def list_asked(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    limit, start = _limit(args.limit), since(system_clock(), args.days)
    store = context.store.of(tenant.id).asked
    found = await (store.rated(start, args.thumb, limit) if args.thumb else store.latest(start, limit))
    rows = [
        {
            "id": a.id,
            "at": a.at,
            "question": a.question,
            "known": a.known,
            "by": a.by,
            "why": a.why,
            "thumb": a.agent_thumb or a.thumb,
            "answer": a.text,
            "seconds": a.seconds,
            "tokens": a.used.tokens,
            "conversation": a.conversation,
        }
        for a in found
    ]
    columns = ("at", "id", "known", "by", "thumb", "question", "answer")
    context.table(rows, columns, "Nothing was asked in these days.")


async def rate_asked(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    thumb = None if args.thumb == "none" else args.thumb
    if not await context.store.of(tenant.id).asked.rate(args.question, thumb, agent=True):
        raise Failed(f"no question {args.question}: `question list --tenant {tenant.id}` shows them")
    context.show({"question": args.question, "thumb": thumb}, lambda: ["Noted."])


async def keep_answer(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    questions = Questions(context.store, WordLlamaEmbedder(), system_clock)
    document = await questions.keep(tenant.id, args.message, args.collection)
    context.show({"document": document}, lambda: [f"The bot knows it now: document {document}."])


async def list_gaps(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    found = await context.store.of(tenant.id).gaps.of_state(args.state, _limit(args.limit))
    rows = [
        {
            "id": g.id,
            "count": g.count,
            "last": g.last,
            "question": g.question,
            "examples": list(g.examples),
            "state": g.state,
            "document": g.document,
        }
        for g in found
    ]
    empty = "Every question had an answer." if args.state == "open" else f"None is {args.state}."
    context.table(rows, ("id", "count", "last", "question"), empty)


async def answer_gap(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    questions = Questions(context.store, WordLlamaEmbedder(), system_clock)
    done = await questions.answer(tenant.id, args.gap, args.answer, args.collection)
    context.show(
        {"gap": done.gap.id, "document": done.document},
        lambda: [f"The bot knows it now: document {done.document}."],
    )


async def dismiss_gap(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    questions = Questions(context.store, WordLlamaEmbedder(), system_clock)
    done = await questions.dismiss(tenant.id, args.gap)
    context.show({"gap": done.id, "state": done.state}, lambda: ["Dismissed."])


def _limit(limit: int) -> int:
    if not 1 <= limit <= 1000:
        raise Invalid("--limit", "1 to 1000")
    return limit
