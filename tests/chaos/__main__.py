"""`scripts/chaos`: run Parley with everything around it failing, and say what became of every message."""

import argparse
import asyncio
import json
import logging
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.faults import HELP, KINDS
from tests.chaos.report import as_json, offenders, table
from tests.chaos.run import Outcome, Say, Wish, run

EVERY = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    kinds = _kinds(options.faults)
    # A stand-in's caller that is killed in the middle of a request is what this is about.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    outcomes: list[Outcome] = []
    for seed in range(options.seed, options.seed + options.seeds):
        wish = Wish(
            seed,
            options.messages,
            options.processes,
            kinds,
            not options.no_redis,
            options.lease,
            options.brief,
        )
        outcomes.append(_one(wish, options))
    if options.json:
        print(json.dumps([as_json(o) for o in outcomes], indent=2, ensure_ascii=False))
    else:
        print("\n".join(["", *table(outcomes)]))
        _left(outcomes)
    failed = [o for o in outcomes if not o.verdict.passed]
    for outcome in failed:
        _say(f"again: {_command(outcome.wish)}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    kinds = "\n".join(f"  {name:<15} {text}" for name, text in HELP.items())
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Run Parley with everything around it failing, and say what became of every message.\n\n"
        "A database, a Redis, several gateway processes and stand-ins for the providers are started on free\n"
        "ports. Customers write; faults happen in an order that the seed decides; afterwards the database and\n"
        "what the providers recorded are audited. Exit 1 if anything was lost, sent twice without a mark, out of\n"
        "order, set back or left undone.",
        epilog=f"faults:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first run (default 1)")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs, one after another (default 1)")
    parser.add_argument(
        "--messages", type=int, default=5000, help="what customers say in a run (default 5000)"
    )
    parser.add_argument("--processes", type=int, default=4, help="half web, half worker (default 4)")
    parser.add_argument("--faults", default="all", help="names with commas, 'all' (default) or 'none'")
    parser.add_argument("--no-redis", action="store_true", help="let the processes share the database alone")
    parser.add_argument("--lease", type=float, help="seconds that a claim lasts (default: as in production)")
    parser.add_argument("--brief", action="store_true", help="faults a third as long, for short runs")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the database and the logs")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    return parser


def _kinds(text: str) -> tuple[str, ...]:
    if text in ("all", "none"):
        return KINDS if text == "all" else ()
    chosen = tuple(k.strip() for k in text.split(",") if k.strip())
    if unknown := [k for k in chosen if k not in KINDS]:
        _say(f"--faults: no such fault as {', '.join(unknown)}; there are {', '.join(KINDS)}")
        raise SystemExit(2)
    return chosen


def _one(wish: Wish, options: argparse.Namespace) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="parley-chaos-"))
    progress = _progress(f"seed {wish.seed}")
    outcome = None
    try:
        outcome = asyncio.run(run(wish, folder, progress))
    finally:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        if options.keep or outcome is None:
            _say(f"seed {wish.seed}: the database and the logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if not outcome.verdict.passed:
        _say("\n".join([f"seed {wish.seed} failed:", *offenders(outcome), "faults:", *outcome.log]))
    elif not options.json:
        _say(f"seed {wish.seed}: passed in {outcome.seconds:.0f} s")
    return outcome


def _progress(name: str) -> Say:
    """One line that changes on a terminal; elsewhere a line now and then."""
    began, last = time.monotonic(), [0.0]
    terminal = sys.stderr.isatty()

    def say(text: str) -> None:
        now = time.monotonic()
        line = f"{name}  {now - began:4.0f} s  {text}"
        if terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        elif now - last[0] >= EVERY:
            last[0] = now
            _say(line)

    return say


def _left(outcomes: Sequence[Outcome]) -> None:
    """What was given up or refused, and why: allowed, and to be seen."""
    reasons: dict[str, int] = {}
    for outcome in outcomes:
        for why, count in outcome.verdict.left.items():
            reasons[why] = reasons.get(why, 0) + count
    for why, count in sorted(reasons.items()):
        print(f"  {count} answers ended as {why}")
    errors = [e for o in outcomes for e in o.errors]
    for error in errors[:5]:
        print(f"  logged: {error[:200]}")


def _command(wish: Wish) -> str:
    words = ["scripts/chaos", "--seed", str(wish.seed), "--messages", str(wish.messages)]
    words += ["--processes", str(wish.processes), "--keep"]
    words += [] if wish.redis else ["--no-redis"]
    words += [] if wish.lease is None else ["--lease", str(wish.lease)]
    words += ["--brief"] if wish.brief else []
    return shlex.join(words + ([] if wish.faults == KINDS else ["--faults", ",".join(wish.faults) or "none"]))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
