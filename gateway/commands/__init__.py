"""The command line: one module a group of commands; `parser` puts them together."""

import argparse

from gateway import __version__
from gateway.commands import (
    answers,
    campaign,
    channel,
    consent,
    conversation,
    deadletter,
    decision,
    hours,
    knowledge,
    question,
    rule,
    serve,
    slack,
    template,
    tenant,
)

GROUPS = (
    serve,
    tenant,
    channel,
    slack,
    knowledge,
    answers,
    rule,
    hours,
    question,
    conversation,
    deadletter,
    decision,
    template,
    consent,
    campaign,
)


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="python -m gateway",
        description="Parley: a self-hosted gateway between a business and its customers.",
        epilog="Settings come from the environment (see README). Every command has --help.",
    )
    root.add_argument("--version", action="version", version=f"Parley {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in GROUPS:
        group.add(commands)
    return root
