"""`--quiet-seconds`: how long nobody writes before a customer's messages are answered, together. For every kind of channel."""

import argparse
from typing import Any, Final

from gateway.model.errors import Invalid

OPTION: Final = "--quiet-seconds"
MOST: Final = 10.0


def add(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        OPTION,
        metavar="SECONDS",
        help="answer quick messages of one person together, once nobody wrote for so long: 0 (at once) to 10",
    )


def given(args: argparse.Namespace) -> dict[str, Any]:
    """What of a channel's config was given. Raises Invalid."""
    if args.quiet_seconds is None:
        return {}
    try:
        seconds = float(args.quiet_seconds)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST:  # "nan" is not either
        raise Invalid(OPTION, f"a number of seconds from 0 to {MOST:g}")
    return {"quiet_seconds": seconds}
