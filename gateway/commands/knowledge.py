"""`knowledge`: what the bot answers from."""

import argparse
import time
from typing import Any

from brain.ask import ask
from brain.embed import LocalEmbedder
from gateway.brains import opened_brains
from gateway.commands import evaluate, sources
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.tenant import _command, _group
from gateway.model.answers import Question
from gateway.model.clock import system_clock
from gateway.model.knowledge import Document


def add(commands: "Commands") -> None:
    group = _group(commands, "knowledge", "the documents that the bot answers from")
    sources.add_to(group)
    evaluate.add_to(group)
    listing = _command(group, "list", list_documents, "all documents")
    listing.add_argument("--tenant", required=True)
    listing.add_argument("--collection", help="only those of one collection")
    listing.add_argument("--drafts", action="store_true", help="only what publishing would change")
    showing = _command(group, "show", show_document, "one document with its passages")
    showing.add_argument("--tenant", required=True)
    showing.add_argument("--draft", action="store_true", help="as it would be after publishing")
    showing.add_argument("document")
    removing = _command(
        group, "remove", remove_document, "remove a document by its id, with all that was made of it"
    )
    removing.add_argument("--tenant", required=True)
    removing.add_argument("--draft", action="store_true", help="when the drafts are published")
    removing.add_argument("document")
    asking = _command(
        group, "ask", ask_question, "what the bot would answer, with the passages and their scores"
    )
    asking.add_argument("--tenant", required=True)
    asking.add_argument("--top", type=int, default=5, help="how many passages to show")
    asking.add_argument("question")


async def list_documents(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    knowledge = context.store.knowledge
    documents = await (knowledge.drafts(args.tenant) if args.drafts else knowledge.documents(args.tenant))
    if args.collection is not None:
        await knowledge.check_collection(args.tenant, args.collection)
        documents = [d for d in documents if d.collection == args.collection]
    rows = [_row(d) for d in documents]
    columns = ("id", "title", "origin", "collection", "passages", "added")
    empty = "No drafts." if args.drafts else "No documents yet: `knowledge add --help`"
    context.table(rows, (*columns, "change") if args.drafts else columns, empty)


def _row(d: Document) -> dict[str, Any]:
    return {
        "id": d.id,
        "title": d.title,
        "origin": d.origin,
        "passages": d.chunks,
        "added": d.added,
        "collection": d.collection,
        "language": d.language,
        "url": d.url,
        "source": d.source,
        "draft": d.draft,
        "change": ("removed" if d.gone else "written") if d.draft else "",
    }


async def show_document(context: Context, args: argparse.Namespace) -> None:
    document = await context.store.knowledge.get(args.tenant, args.document, args.draft)
    if document is None:
        raise Failed(f"no document {args.document}: `knowledge list --tenant {args.tenant}` shows their ids")
    passages: list[dict[str, Any]] = [
        {
            "text": p.text,
            "headings": list(p.headings),
            "page": p.page,
            "question": p.question,
            "language": p.language,
        }
        for p in await context.store.knowledge.passages(args.tenant, args.document, args.draft)
    ]

    def lines() -> list[str]:
        out = [f"{document.title} ({document.origin}), {len(passages)} passages"]
        for number, passage in enumerate(passages, 1):
            page = f", page {passage['page']}" if passage["page"] else ""
            above = " › ".join(passage["headings"]) or passage["question"] or ""
            out += ["", f"[{number}] {above}{page}".rstrip(), str(passage["text"])]
        return out

    context.show({**_row(document), "passages": passages}, lines)


async def remove_document(context: Context, args: argparse.Namespace) -> None:
    if not await context.store.knowledge.remove(args.tenant, args.document, args.draft):
        raise Failed(f"no document {args.document}: `knowledge list --tenant {args.tenant}` shows their ids")
    context.show(
        {"removed": args.document},
        lambda: ["It is removed when the drafts are published." if args.draft else "Removed."],
    )


async def ask_question(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    question = Question(
        tenant.id,
        args.question,
        tenant.rules,
        tenant.knowledge,
        tenant.language,
        settings=tenant.answers,
        business=tenant.name,
        rev=tenant.rev,
        at=system_clock(),
    )
    store = context.store
    async with opened_brains(
        context.settings, store, system_clock, LocalEmbedder(), time.monotonic
    ) as brains:
        asked = await ask(brains.answerer, question, args.top)
    answer = asked.answer
    passages = [
        {
            "support": round(p.support, 3),
            "fused": round(p.fused, 3),
            "bm25": round(p.bm25, 3),
            "cosine": round(p.cosine, 3),
            "source": p.passage.source.title,
            "text": p.passage.text,
        }
        for p in asked.passages
    ]
    value = {
        "known": answer.known,
        "by": answer.by,
        "text": answer.text,
        "sources": [{"title": s.title, "url": s.url, "page": s.page} for s in answer.sources],
        "threshold": asked.threshold,
        "passages": passages,
    }

    def lines() -> list[str]:
        head = [answer.text if answer.known else "I don't know that."]
        head += [f"Source: {s.title}" + (f", page {s.page}" if s.page else "") for s in answer.sources]
        head.append(
            f"(answered by {answer.by or 'nobody'}; an answer needs a support of {asked.threshold:.2f})"
        )
        return head + [
            f"{p['support']:.2f}  fused {p['fused']:.2f}  bm25 {p['bm25']:.2f}  cosine {p['cosine']:.2f}  "
            f"{p['source']}: {' '.join(str(p['text']).split())[:80]}"
            for p in passages
        ]

    context.show(value, lines)
