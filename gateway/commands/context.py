"""What every command has: the settings, the store when it asks for it, and how to print."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any, TypeAlias

from gateway.settings import Settings
from gateway.store import Store

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Failed(Exception):
    """A command that can't do what it was asked; the text says why and what to do. Exit 1."""


class Context:
    """`store` is None for commands that run without one."""

    def __init__(self, settings: Settings, store: Store | None, as_json: bool) -> None:
        self.settings = settings
        self._store = store
        self.as_json = as_json

    @property
    def store(self) -> Store:
        assert self._store is not None
        return self._store

    def show(self, value: Any, lines: Callable[[], Sequence[str]]) -> None:
        """Print the value as JSON where asked for, else the lines for people."""
        if self.as_json:
            print(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))
        else:
            print("\n".join(lines()))

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
        """Print rows: all of their fields as JSON, or some columns for people."""
        self.show(list(rows), lambda: _table(rows, columns) if rows else [empty])

    def say(self, text: str) -> None:
        """A line for people, beside the data: to stderr, so that JSON stays clean."""
        print(text, file=sys.stderr)


def secret(value: str | None, name: str) -> str | None:
    """A secret from the command line, or, for `-`, from standard input: there it stays out of the process list."""
    if value != "-":
        return value
    line = sys.stdin.readline().rstrip("\n")
    if not line:
        raise Failed(f"{name}: expected on standard input, which was empty")
    return line


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    cells = [[_cell(row.get(c)) for c in columns] for row in rows]
    widths = [max(len(c), *(len(r[i]) for r in cells)) for i, c in enumerate(columns)]
    titles = "  ".join(c.replace("_", " ").upper().ljust(w) for c, w in zip(columns, widths, strict=True))
    return [titles.rstrip()] + [
        "  ".join(v.ljust(w) for v, w in zip(r, widths, strict=True)).rstrip() for r in cells
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:59] + "…"
