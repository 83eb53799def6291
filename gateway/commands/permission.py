"""`tenant permission`: what a tenant sets about permission, shown and changed."""

import argparse
import json
from typing import Any, Final

from consent.settings import changed, shown
from gateway.commands.context import Context
from gateway.model.errors import Invalid
from gateway.model.permission import Permissions

_LISTS: Final = ("purposes", "not_keywords")
_NONE: Final = ("none", "off", "null")


def add(command: argparse.ArgumentParser) -> None:
    command.add_argument("tenant")
    command.add_argument(
        "change",
        nargs="*",
        metavar="FIELD=VALUE",
        help="such as quiet=21:00-08:00, cap=2/day, double_opt_in=true, keywords.stop=basta,enough; a JSON value for what"
        " is nested; FIELD=default takes it back",
    )


async def permission(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    own, changes = tenant.permissions, dict[str, Any]()
    for change in args.change:
        name, separator, text = change.partition("=")
        if not separator:
            raise Invalid(change, "FIELD=VALUE")
        changes |= _read({**shown(own), **changes}, name, text)
    own = changed(own, changes)  # at once, for one may need another
    if args.change:
        await context.store.directory.set_permissions(tenant.id, own)
    plain, usual = shown(own), shown(Permissions())
    rows = [
        {"field": n, "value": json.dumps(v, ensure_ascii=False), "own": v != usual[n]}
        for n, v in plain.items()
    ]
    context.show(
        plain, lambda: [f"{r['field']:14} {r['value']}{'' if r['own'] else '  (default)'}" for r in rows]
    )


def _read(own: dict[str, Any], name: str, text: str) -> dict[str, Any]:
    """What a person typed, as the value that it means."""
    field, _, part = name.partition(".")
    usual = shown(Permissions())
    if text == "default" and field in usual:
        return {field: usual[field]}
    if field == "keywords" and part:
        return {field: {**own[field], part: _words(text)}}
    if field in _LISTS and not text.startswith("["):
        return {field: _words(text)}
    if text.lower() in _NONE:
        return {field: None}
    if field in ("double_opt_in", "daily") or text[:1] in "[{":
        try:
            return {field: json.loads(text)}
        except ValueError:
            return {field: text}
    return {field: text}


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
