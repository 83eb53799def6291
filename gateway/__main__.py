"""`python -m gateway`: reads the settings, opens the store where a command needs it, and runs the command.

Exit codes: 0 done, 1 the command could not do it, 2 wrong settings or wrong words.
"""

import os

# Before numpy is imported anywhere: our matrices are small, and threads that wait for each other double their cost.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from gateway.bootstrap import open_store
from gateway.commands import parser
from gateway.commands.context import Context, Failed
from gateway.model.errors import Conflict, Invalid, NotFound, ParleyError, Unavailable
from gateway.ops.logging import configure
from gateway.settings import Settings, SettingsError, load
from gateway.store.embedded import EmbeddedFailed, FolderInUse


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        settings = load(os.environ)
    except SettingsError as error:
        print("\n".join(error.lines), file=sys.stderr)
        return 2
    serving = args.command in ("run", "web", "worker")
    configure(settings.log_level if serving else "WARNING", settings.log_format)
    try:
        _run(_command(settings, args))
    except Invalid as error:
        print(f"{error.field}: expected {error.expected}", file=sys.stderr)
        return 2
    except Unavailable:
        print("The database can't be reached. Check MONGODB_URI, and that the server runs.", file=sys.stderr)
        return 1
    except (Failed, FolderInUse, EmbeddedFailed, NotFound, Conflict, ParleyError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _command(settings: Settings, args: argparse.Namespace) -> None:
    as_json = getattr(args, "json", False)
    if not args.needs_store:
        await args.call(Context(settings, None, as_json), args)
        return
    async with open_store(settings, say=lambda _: None) as store:
        await args.call(Context(settings, store, as_json), args)


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # where there is none, asyncio's own loop serves
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    sys.exit(main())
