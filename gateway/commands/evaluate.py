"""`knowledge golden|eval|runs|compare|replay`: whether the answers are right, and what a change would do to them."""

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeGuard

from brain.answerer import local_answerer
from brain.embed import LocalEmbedder
from brain.evaluate import builtin
from gateway.brains import opened_brains
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.tenant import _command, _group
from gateway.knowing import Knowing, Progress, check, turned
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid
from gateway.model.golden import EvalRun, Figures, Golden, Replay, Side, golden_id

BAR = 30
LINES_EVERY = 25
"""Questions between two lines of progress where there is no terminal."""

TRUE = frozenset({"1", "true", "yes", "y"})
FIELDS = ("question", "must_contain", "must_cite", "must_refuse", "language", "channel")


def add_to(group: Commands) -> None:
    goldens = _group(group, "golden", "questions with what a right answer is")
    adding = _command(goldens, "add", add_golden, "add one, in place of the same question")
    adding.add_argument("question")
    adding.add_argument(
        "--contains", action="append", default=[], metavar="TEXT", help="the answer must; repeatable"
    )
    adding.add_argument("--cites", metavar="TEXT", help="a part of a source's title or address")
    adding.add_argument("--refuse", action="store_true", help="there must be no answer")
    adding.add_argument("--language")
    adding.add_argument("--channel", help="asked there")
    listing = _command(goldens, "list", list_goldens, "all of them")
    removing = _command(goldens, "remove", remove_golden, "remove one by its id")
    removing.add_argument("golden")
    importing = _command(
        goldens,
        "import",
        import_goldens,
        "add those of a file: JSON lines, or CSV with the columns " + ", ".join(FIELDS),
    )
    importing.add_argument("file", type=Path)
    turning = _command(
        goldens, "from-asked", golden_from_asked, "make one of a question that a customer asked"
    )
    turning.add_argument("question", help="its id (`question list` shows them)")
    turning.add_argument("--contains", action="append", default=[], metavar="TEXT")
    turning.add_argument("--refuse", action="store_true")

    evaluating = _command(group, "eval", evaluate, "ask the golden questions and judge the answers")
    evaluating.add_argument("--builtin", action="store_true", help="the evaluation that comes with Parley")
    evaluating.add_argument("--limit", type=int, help="only the first ones")
    running = _command(group, "runs", list_runs, "earlier runs, the latest first")
    running.add_argument("--limit", type=int, default=20)
    comparing = _command(group, "compare", compare_runs, "what is not the same in two runs")
    comparing.add_argument("before")
    comparing.add_argument("after")
    replaying = _command(
        group, "replay", replay, "ask the real questions of before again: what the drafts would change"
    )
    replaying.add_argument("--days", type=int, default=30, help="1 to 90")
    replaying.add_argument("--limit", type=int, default=500, help="1 to 2000")
    replaying.add_argument("--same", action="store_true", help="show those that stay the same, too")
    for command in (evaluating, replaying):
        command.add_argument(
            "--provider",
            action="store_true",
            help="ask the tenant's provider, which costs; without it: local",
        )
    for command in (adding, listing, removing, importing, turning, running, comparing, replaying):
        command.add_argument("--tenant", required=True)
    evaluating.add_argument("--tenant")


async def add_golden(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    golden = Golden(
        golden_id(tenant.id, args.question, args.channel),
        tenant.id,
        args.question.strip(),
        system_clock(),
        tuple(args.contains),
        args.cites,
        args.refuse,
        args.language,
        args.channel,
    )
    await _local(context).add(tenant.id, [golden])
    context.show({"id": golden.id}, lambda: [f"Added: {golden.id}."])


async def list_goldens(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    rows = [{**asdict(g), "answer": _wanted(g)} for g in await context.store.of(tenant.id).goldens.all()]
    context.table(
        rows,
        ("id", "question", "answer", "language"),
        "No golden questions yet: `knowledge golden add --help`",
    )


async def remove_golden(context: Context, args: argparse.Namespace) -> None:
    if not await context.store.of(args.tenant).goldens.remove(args.golden):
        raise Failed(f"no golden question {args.golden}: `knowledge golden list` shows their ids")
    context.show({"removed": args.golden}, lambda: ["Removed."])


async def import_goldens(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    try:
        text = args.file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("file", f"a readable text file: {error}") from None
    goldens, wrong = read_goldens(tenant.id, text, args.file.suffix.lower() == ".csv")
    if goldens:
        await _local(context).add(tenant.id, goldens)
    for line, reason in wrong:
        context.say(f"line {line}: {reason}")
    context.show(
        {"added": len(goldens), "errors": [{"line": line, "reason": reason} for line, reason in wrong]},
        lambda: [f"{len(goldens)} golden questions were added."],
    )
    if wrong:
        raise Failed(f"{len(wrong)} lines were refused; the reasons stand above")


def read_goldens(tenant: str, text: str, as_csv: bool) -> tuple[list[Golden], list[tuple[int, str]]]:
    """Golden questions of a file, and what is wrong by line. In CSV `must_contain` has its texts separated by `|`."""
    goldens: list[Golden] = []
    wrong: list[tuple[int, str]] = []
    for line, row in _csv_rows(text) if as_csv else _json_rows(text):
        try:
            goldens.append(_golden(tenant, row))
        except Invalid as error:
            wrong.append((line, f"{error.field}: expected {error.expected}"))
    return goldens, wrong


def _csv_rows(text: str) -> list[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text))
    out: list[tuple[int, Any]] = []
    for row in reader:
        values: dict[str, Any] = {
            str(k).strip(): (v or "").strip() for k, v in row.items() if k and isinstance(v, str)
        }
        values["must_contain"] = [t.strip() for t in values.get("must_contain", "").split("|") if t.strip()]
        values["must_refuse"] = values.get("must_refuse", "").lower() in TRUE
        out.append((reader.line_num, {k: v for k, v in values.items() if v != ""}))
    return out


def _json_rows(text: str) -> list[tuple[int, Any]]:
    out: list[tuple[int, Any]] = []
    for line, row in enumerate(text.splitlines(), 1):
        if row.strip():
            try:
                out.append((line, json.loads(row)))
            except (ValueError, RecursionError):
                out.append((line, None))
    return out


def _golden(tenant: str, row: Any) -> Golden:
    """Raises Invalid."""
    if not isinstance(row, Mapping):
        raise Invalid("line", "one JSON object a line")
    if unknown := [k for k in row if k not in FIELDS]:
        raise Invalid("line", f"only {', '.join(FIELDS)}, and not {str(unknown[0])[:40]}")
    contain = row.get("must_contain", [])
    contain = [contain] if isinstance(contain, str) else contain
    if not _texts(contain):
        raise Invalid("must_contain", "a list of texts")
    for name in ("question", "must_cite", "language", "channel"):
        if row.get(name) is not None and not isinstance(row[name], str):
            raise Invalid(name, "a text")
    question, channel = str(row.get("question") or "").strip(), row.get("channel")
    golden = Golden(
        golden_id(tenant, question, channel),
        tenant,
        question,
        system_clock(),
        tuple(contain),
        row.get("must_cite"),
        row.get("must_refuse") is True,
        row.get("language"),
        channel,
    )
    check(golden)
    return golden


def _texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


async def golden_from_asked(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    golden = await _local(context).from_asked(tenant.id, args.question, args.contains, args.refuse)
    context.show({"id": golden.id}, lambda: [f"Added: {golden.id}, {_wanted(golden)}."])


async def evaluate(context: Context, args: argparse.Namespace) -> None:
    if args.builtin:
        text, value = await builtin(LocalEmbedder())
        context.show(value, lambda: [text])
        return
    if not args.tenant:
        raise Invalid("--tenant", "a tenant, or --builtin")
    async with _knowing(context, args.provider) as knowing:
        run = await knowing.evaluate(args.tenant, args.limit, args.provider, _progress(context))
    context.show(run, lambda: [*_figures(run), *_faults(run)])


async def list_runs(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    runs = await context.store.of(tenant.id).eval_runs.latest(max(1, min(args.limit, 100)))
    rows = [{"id": r.id, "at": r.at, "version": r.version, "by": r.by, **_shown(r.figures)} for r in runs]
    columns = (
        "at",
        "id",
        "by",
        "version",
        "questions",
        "hit@1",
        "hit@3",
        "answered",
        "refused",
        "p95",
        "cost",
    )
    context.table(rows, columns, "No runs yet: `knowledge eval --tenant …`")


async def compare_runs(context: Context, args: argparse.Namespace) -> None:
    runs = []
    for name in (args.before, args.after):
        run = await context.store.of(args.tenant).eval_runs.get(name)
        if run is None:
            raise Failed(f"no run {name}: `knowledge runs --tenant {args.tenant}` shows them")
        runs.append(run)
    changed = turned(*runs)
    before, after = (_shown(r.figures) for r in runs)

    def lines() -> list[str]:
        out = [f"{name:10} {before[name]!s:>10} -> {after[name]!s:>10}" for name in before]
        for one in changed:
            out += ["", f"{one.told}: {one.question}"]
            for mark, verdict in (("-", one.before), ("+", one.after)):
                if verdict:
                    said = verdict.text if verdict.known else "(no answer)"
                    out.append(
                        f"  {mark} {_line(said)}{' [' + '; '.join(verdict.faults) + ']' if verdict.faults else ''}"
                    )
        return out if changed else [*out, "", "Every verdict and answer is the same."]

    value = {
        "before": before,
        "after": after,
        "changed": [
            {"change": t.told, "question": t.question, "before": t.before, "after": t.after} for t in changed
        ],
    }
    context.show(value, lines)


async def replay(context: Context, args: argparse.Namespace) -> None:
    if not 1 <= args.days <= 90:
        raise Invalid("--days", "1 to 90: what was asked is kept for 90 days")
    if not 1 <= args.limit <= 2000:
        raise Invalid("--limit", "1 to 2000")
    async with _knowing(context, args.provider) as knowing:
        found = await knowing.replay(args.tenant, args.days, args.limit, args.provider, _progress(context))
    context.show(found, lambda: replay_lines(found, args.same))


def replay_lines(found: Replay, same: bool = False) -> list[str]:
    """The differences side by side, live above what it would be."""
    if not found.questions:
        return ["Nothing was asked in these days."]
    out = [
        f"{found.questions} questions: "
        + ", ".join(f"{count} {name}" for name, count in found.counts.items())
    ]
    for one in found.differences:
        if one.change == "same" and not same:
            continue
        often = f" ({one.count} times)" if one.count > 1 else ""
        out += [
            "",
            f"{one.change}: {one.question}{often}",
            f"  live   {_side(one.live)}",
            f"  draft  {_side(one.draft)}",
        ]
    return out


def _side(side: Side) -> str:
    if not side.known:
        return f"(no answer; support {side.score:.2f})"
    return f"{_line(side.text)} [{'; '.join(side.sources)}]"


def _line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 160 else flat[:159] + "…"


def _wanted(golden: Golden) -> str:
    if golden.must_refuse:
        return "no answer"
    parts = [f"contains {', '.join(golden.must_contain)}"] if golden.must_contain else []
    return "; ".join([*parts, *([f"cites {golden.must_cite}"] if golden.must_cite else [])])


def _shown(of: Figures) -> dict[str, Any]:
    return {
        "questions": of.questions,
        "right": of.right,
        "hit@1": of.hit1,
        "hit@3": of.hit3,
        "mrr": of.mrr,
        "answered": of.answered,
        "refused": of.refused,
        "p50": f"{of.p50 * 1000:.0f} ms",
        "p95": f"{of.p95 * 1000:.0f} ms",
        "tokens": of.tokens,
        "cost": f"${of.money / 1e6:.4f}",
    }


def _figures(run: EvalRun) -> list[str]:
    head = [f"Run {run.id}: {run.figures.right} of {run.figures.questions} right, by {run.by}."]
    return head + [
        f"  {name:10} {'-' if value is None else value}" for name, value in _shown(run.figures).items()
    ]


def _faults(run: EvalRun) -> list[str]:
    out = []
    for verdict in run.verdicts:
        if not verdict.right:
            said = _line(verdict.text) if verdict.known else "(no answer)"
            out += ["", f"wrong: {verdict.question}", f"  {'; '.join(verdict.faults)}", f"  {said}"]
    return out


def _progress(context: Context) -> Progress:
    """A bar on a terminal, a line now and then elsewhere; to stderr."""
    start, terminal = time.monotonic(), sys.stderr.isatty()

    def told(done: int, total: int) -> None:
        if terminal:
            full = BAR * done // total
            end = "\n" if done == total else ""
            print(
                f"\r[{'#' * full}{'.' * (BAR - full)}] {done}/{total}", end=end, file=sys.stderr, flush=True
            )
        elif done % LINES_EVERY == 0 or done == total:
            context.say(f"{done} of {total} questions, {time.monotonic() - start:.0f} s")

    return told


def _local(context: Context) -> Knowing:
    return Knowing(
        context.store, local_answerer(context.store.knowledge, LocalEmbedder()), None, system_clock
    )


@asynccontextmanager
async def _knowing(context: Context, provider: bool) -> AsyncIterator[Knowing]:
    if not provider:
        yield _local(context)
        return
    embedder = LocalEmbedder()
    local = local_answerer(context.store.knowledge, embedder)
    async with opened_brains(
        context.settings, context.store, system_clock, embedder, time.monotonic
    ) as brains:
        yield Knowing(context.store, local, brains.answerer, system_clock)
