"""`knowledge` and `rule`: what the bot answers from."""

import argparse
import sys
from pathlib import Path

from brain.ask import ask
from brain.embed import WordLlamaEmbedder
from brain.ingest import AddResult, add_path
from brain.local import local_brain
from brain.rules import check_rule
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.tenant import _command, _group
from gateway.model.answers import Question, Rule
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid


def add(commands: "Commands") -> None:
    group = _group(commands, "knowledge", "the documents that the bot answers from")
    adding = _command(
        group, "add", add_documents, "add a file or a folder; a changed file replaces its older version"
    )
    adding.add_argument("--tenant", required=True)
    adding.add_argument(
        "path", type=Path, metavar="FILE|FOLDER", help="Markdown, text, HTML, CSV (question, answer), PDF"
    )
    listing = _command(group, "list", list_documents, "all documents")
    listing.add_argument("--tenant", required=True)
    removing = _command(group, "remove", remove_document, "remove a document by its id")
    removing.add_argument("--tenant", required=True)
    removing.add_argument("document")
    asking = _command(
        group, "ask", ask_question, "what the bot would answer, with the passages and their scores"
    )
    asking.add_argument("--tenant", required=True)
    asking.add_argument("--top", type=int, default=5, help="how many passages to show")
    asking.add_argument("question")

    rules = _group(commands, "rule", "fixed answers to keywords, asked before the documents")
    adding = _command(rules, "add", add_rule, "add a rule, in place of one with the same pattern")
    adding.add_argument("--tenant", required=True)
    adding.add_argument(
        "--pattern", required=True, help="the whole message, ignoring case, accents and punctuation"
    )
    adding.add_argument("--answer", required=True)
    adding.add_argument(
        "--regex", action="store_true", help="the pattern is an expression, searched for anywhere"
    )
    listing = _command(rules, "list", list_rules, "all rules, in the order in which they are tried")
    listing.add_argument("--tenant", required=True)
    removing = _command(rules, "remove", remove_rule, "remove a rule by its pattern")
    removing.add_argument("--tenant", required=True)
    removing.add_argument("--pattern", required=True)


async def add_documents(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    if not args.path.exists():
        raise Invalid("FILE|FOLDER", f"an existing file or folder, not {args.path}")

    def progress(done: int, total: int, result: AddResult) -> None:
        reason = f": {result.reason}" if result.reason else f" ({result.chunks} passages)"
        line = f"[{done}/{total}] {result.outcome} {result.origin}{reason}"
        if sys.stderr.isatty() and result.outcome != "refused" and done < total:
            print(f"\r\033[K{line[:100]}", end="", file=sys.stderr, flush=True)
        else:
            print(f"\r\033[K{line}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)

    results = await add_path(
        context.store.knowledge,
        WordLlamaEmbedder(),
        args.tenant,
        args.path.resolve(),
        system_clock(),
        progress=progress,
    )
    refused = [r for r in results if r.outcome == "refused"]
    context.show(
        [
            {
                "origin": r.origin,
                "outcome": r.outcome,
                "document": r.document,
                "passages": r.chunks,
                "reason": r.reason,
            }
            for r in results
        ],
        lambda: [f"{len(results) - len(refused)} of {len(results)} files are known to the bot."],
    )
    if refused:
        raise Failed(f"{len(refused)} of {len(results)} files were refused; the reasons stand above")


async def list_documents(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    documents = await context.store.knowledge.documents(args.tenant)
    rows = [
        {"id": d.id, "title": d.title, "origin": d.origin, "passages": d.chunks, "added": d.added}
        for d in documents
    ]
    context.table(
        rows, ("id", "title", "origin", "passages", "added"), "No documents yet: `knowledge add --help`"
    )


async def remove_document(context: Context, args: argparse.Namespace) -> None:
    if not await context.store.knowledge.remove(args.tenant, args.document):
        raise Failed(f"no document {args.document}: `knowledge list --tenant {args.tenant}` shows their ids")
    context.show({"removed": args.document}, lambda: ["Removed."])


async def ask_question(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    brain = local_brain(context.store.knowledge, WordLlamaEmbedder())
    question = Question(tenant.id, args.question, tenant.rules, tenant.knowledge, tenant.language)
    asked = await ask(brain, question, args.top)
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


async def add_rule(context: Context, args: argparse.Namespace) -> None:
    rule = Rule(args.pattern, args.answer, args.regex)
    if wrong := check_rule(rule):
        raise Invalid("--pattern or --answer", wrong)
    tenant = await context.store.directory.tenant(args.tenant)
    rules = [r for r in tenant.rules if (r.pattern, r.regex) != (rule.pattern, rule.regex)]
    await context.store.directory.set_rules(tenant.id, [*rules, rule])
    context.show({"rules": len(rules) + 1}, lambda: [f"Rules: {len(rules) + 1}."])


async def list_rules(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    rows = [{"pattern": r.pattern, "regex": r.regex, "answer": r.answer} for r in tenant.rules]
    context.table(rows, ("pattern", "regex", "answer"), "No rules yet: `rule add --help`")


async def remove_rule(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    rules = [r for r in tenant.rules if r.pattern != args.pattern]
    if len(rules) == len(tenant.rules):
        raise Failed(f"no rule with the pattern {args.pattern!r}: `rule list` shows them")
    await context.store.directory.set_rules(tenant.id, rules)
    context.show({"rules": len(rules)}, lambda: [f"Rules left: {len(rules)}."])
