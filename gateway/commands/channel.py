"""`channel`: connect a business's accounts, look at them, switch them off and on."""

import argparse
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from channels import registry, rendering
from gateway.commands import quiet, site
from gateway.commands.adapters import registered
from gateway.commands.context import Commands, Context, Failed, secret
from gateway.commands.tenant import _command, _group
from gateway.model.clock import system_clock
from gateway.model.errors import Conflict, Invalid, NotFound, SendError
from gateway.model.ports import Connected, Finding, Setting
from gateway.model.tenant import Channel


def add(commands: "Commands") -> None:
    group = _group(
        commands,
        "channel",
        "connected accounts: web sites, WhatsApp numbers, Telegram bots, Slack workspaces",
    )
    _add_kinds(group)
    listing = _command(group, "list", list_channels, "a tenant's channels")
    listing.add_argument("--tenant", required=True)
    check = _command(group, "check", check_channel, "ask the provider whether a channel's settings work")
    check.add_argument("channel")
    events = _command(group, "events", list_events, "what a provider told about a channel's account")
    events.add_argument("channel")
    change = _command(
        group, "set", set_channel, "change a channel's settings and secrets, or a site's origins"
    )
    change.add_argument("channel")
    change.add_argument("--name")
    change.add_argument("--origin", action="append", metavar="URL", help="all origins anew; repeatable")
    quiet.add(change)
    for setting in {s.name: s for settings in registry.SETTINGS.values() for s in settings}.values():
        _option(change, replace(setting, required=False), change=True)
    rendering = _command(
        group, "rendering", show_rendering, "what each kind of message becomes on each channel"
    )
    rendering.add_argument("--markdown", action="store_true", help="as in docs/channels.md")
    again = _command(
        group, "connect", connect_again, "set an account up at its provider again (webhook, commands)"
    )
    again.add_argument("channel")
    for name, text in (("enable", "let a channel send again"), ("disable", "stop a channel from sending")):
        command = _command(group, name, set_state, text)
        command.add_argument("channel")
        command.set_defaults(state="active" if name == "enable" else "disabled")


def _add_kinds(group: "Commands") -> None:
    adding = group.add_parser("add", help="connect an account", description="Connect an account.")
    kinds = adding.add_subparsers(dest="kind", metavar="KIND", required=True)
    site.add(kinds)
    for kind, settings in registry.SETTINGS.items():
        command = _command(kinds, kind, add_account, _KINDS.get(kind, f"a {kind} account"))
        command.add_argument("--tenant", required=True)
        command.add_argument("--name", help="for your own lists")
        quiet.add(command)
        for setting in settings:
            _option(command, setting)


_SHARED = {"verify_token", "signing_secret"}
"""Secrets that the other side has to be given: one that was made up is told, once."""

_KINDS = {
    "whatsapp": "a WhatsApp Business number (Cloud API)",
    "telegram": "a Telegram bot",
    "slack": "a Slack workspace",
    "webhook": "a system of your own, over signed HTTP",
}


def _option(command: argparse.ArgumentParser, setting: Setting, change: bool = False) -> None:
    """With `change` a flag can be taken off again: `--no-…`."""
    option = "--" + setting.name.replace("_", "-")
    if setting.flag:
        action = argparse.BooleanOptionalAction if change else "store_true"
        command.add_argument(option, action=action, default=None, help=setting.help)
        return
    text = setting.help + ("; `-` reads it from standard input" if setting.secret else "")
    command.add_argument(option, required=setting.required and setting.made is None, help=text)


async def add_account(context: Context, args: argparse.Namespace) -> None:
    """Connect an account of a provider's: its settings are the adapter's own."""
    await context.store.directory.tenant(args.tenant)
    answering = quiet.given(args)
    config, secret_values = _given(args, args.kind)
    made: set[str] = set()
    for setting in registry.SETTINGS[args.kind]:
        kept = secret_values if setting.secret else config
        if setting.made is not None and setting.name not in kept:
            kept[setting.name] = setting.made()
            made.add(setting.name)
    identifier = "ch_" + secrets.token_hex(8)
    draft = Channel(
        identifier,
        args.tenant,
        args.kind,
        "",
        args.name or "",
        system_clock(),
        config=config,
        secrets=secret_values,
    )
    webhook, found = await _connected(context, draft)
    channel = replace(
        draft,
        account=found.account,
        name=args.name or found.name,
        config={**found.config, **answering},
        secrets=found.secrets,
    )
    await context.store.directory.add_channel(channel)
    shown = {"id": identifier, "kind": args.kind, "account": found.account, "webhook": webhook}
    shown |= {n: v for n, v in found.secrets.items() if n == "verify_token" or n in made & _SHARED}
    context.show(shown, lambda: [f"Connected {channel.name} as {identifier}.", *found.steps])


async def _connected(context: Context, draft: Channel) -> tuple[str, Connected]:
    """Set the account up at its provider: the webhook's address, and what it came to. Raises Invalid and Failed."""
    async with registered(context) as built:
        adapters = built.webhooks
        adapter = adapters[draft.kind]
        webhook = registry.webhook_address(draft.kind, context.settings.public_url, draft.id)
        try:
            await _check_account(context, draft, await adapter.account(draft))
            return webhook, await adapter.connect(draft, webhook)
        except Invalid as error:
            raise Invalid("--" + error.field.replace("_", "-"), error.expected) from None
        except SendError as error:
            raise Failed(f"the account can't be used: {error}") from None


async def _check_account(context: Context, draft: Channel, account: str) -> None:
    """Before anything is changed at the provider: a new channel's account must be free, and a channel's own must stay
    the same. Raises Conflict and Failed."""
    if draft.account:
        if account != draft.account:
            raise Failed(
                f"these are another account's ({account}): add it with `channel add {draft.kind}`; nothing was changed"
            )
        return
    try:
        other = await context.store.directory.by_account(draft.kind, account)
    except NotFound:
        return
    raise Conflict(
        f"this {draft.kind} account ({account}) is connected already, as {other.id} of tenant {other.tenant};"
        " nothing was changed"
    )


async def connect_again(context: Context, args: argparse.Namespace) -> None:
    channel = await _channel(context, args.channel)
    if channel.kind == "web":
        raise Failed("a web site needs no setting up: put its tag on your pages")
    await _set_up(context, channel, {}, {})
    context.show({"id": channel.id, "account": channel.account}, lambda: [f"{channel.id} is set up again."])


async def _set_up(
    context: Context, channel: Channel, config: Mapping[str, Any], sealed: Mapping[str, str]
) -> None:
    """Connect again with what was given, and keep that and what connecting changed; no more, for the rest may have been
    renewed meanwhile. Raises Failed for another account's."""
    draft = replace(channel, config={**channel.config, **config}, secrets={**channel.secrets, **sealed})
    _, found = await _connected(context, draft)
    await context.store.directory.keep(
        channel,
        _changed(channel.secrets, found.secrets, sealed),
        _changed(channel.config, found.config, config),
    )


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in after.items() if k in given or k not in before or before[k] != v}


def _given(args: argparse.Namespace, kind: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Config and secrets that were given on the command line. Raises Invalid for an empty one."""
    config: dict[str, Any] = {}
    sealed: dict[str, str] = {}
    for setting in registry.SETTINGS[kind]:
        option = "--" + setting.name.replace("_", "-")
        value = getattr(args, setting.name)
        if setting.flag:
            if value is not None:
                config[setting.name] = value
            continue
        if value is None:
            continue
        value = (secret(value, option) if setting.secret else value) or ""
        if not value.strip():
            hint = ": a channel without its secret can't be activated" if setting.secret else ""
            raise Invalid(option, f"not empty{hint}")
        (sealed if setting.secret else config)[setting.name] = value.strip()
    return config, sealed


async def list_channels(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    channels = await context.store.directory.channels(args.tenant)
    rows = [
        {
            "id": c.id,
            "kind": c.kind,
            "name": c.name,
            "account": c.account,
            "state": c.state,
            "origins": list(c.origins),
            "created": c.created,
        }
        for c in channels
    ]
    context.table(
        rows, ("id", "kind", "name", "state", "created"), "No channels yet: `channel add web --help`"
    )


async def set_state(context: Context, args: argparse.Namespace) -> None:
    channel = await _channel(context, args.channel)
    missing = registry.lacking(channel.kind, channel.secrets)
    if args.state == "active" and missing:
        raise Failed(
            f"{channel.id} lacks {', '.join(missing)}: give them with `channel set {channel.id} --help`"
        )
    await context.store.directory.set_channel(channel, state=args.state)
    if args.state == "active":
        await context.store.open_work.release_channel(channel.tenant, channel.id, system_clock())
    context.show({"id": channel.id, "state": args.state}, lambda: [f"{channel.id} is {args.state}."])


async def set_channel(context: Context, args: argparse.Namespace) -> None:
    channel = await _channel(context, args.channel)
    own = {s.name for s in registry.SETTINGS.get(channel.kind, ())}
    others = {s.name for settings in registry.SETTINGS.values() for s in settings} - own
    if strange := [n for n in sorted(others) if getattr(args, n) is not None]:
        raise Invalid(
            "--" + strange[0].replace("_", "-"), f"nothing: a {channel.kind} channel has no such setting"
        )
    if args.origin and channel.kind != "web":
        raise Invalid("--origin", f"nothing: a {channel.kind} channel has no origins")
    config, sealed = _given(args, channel.kind) if own else ({}, {})
    settings: dict[str, Any] = {f"config.{n}": v for n, v in quiet.given(args).items()}
    if args.origin:
        settings["origins"] = [site.origin(o, "--origin") for o in args.origin]
    if args.name:
        settings["name"] = args.name
    if not (settings or sealed or config):
        raise Invalid("channel set", "at least one option; see --help")
    if sealed or config:
        await _set_up(context, channel, config, sealed)
    if settings:
        await context.store.directory.set_channel(channel, settings=settings)
    names = [*sealed, *config, *(n.removeprefix("config.") for n in settings)]
    context.show({"id": channel.id, "changed": names}, lambda: [f"{channel.id}: changed {', '.join(names)}."])


async def list_events(context: Context, args: argparse.Namespace) -> None:
    channel = await _channel(context, args.channel)
    events = await context.store.of(channel.tenant).events.latest(channel.id, 100)
    rows = [{"at": e.at, "name": e.name, "warning": e.warning, "text": e.text} for e in events]
    context.table(rows, ("at", "name", "text"), "Nothing was told about this account yet.")


async def check_channel(context: Context, args: argparse.Namespace) -> None:
    """Everything that can be wrong, a line each; exit 1 when something is."""
    channel = await _channel(context, args.channel)
    if channel.kind == "web":
        findings: Sequence[Finding] = [Finding("origins", True, ", ".join(channel.origins))]
    else:
        async with registered(context) as built:
            adapters = built.webhooks
            adapter = adapters[channel.kind]
            webhook = registry.webhook_address(channel.kind, context.settings.public_url, channel.id)
            findings = await adapter.check(channel, webhook)
    if channel.state != "active":
        fix = f"when all else is green: `channel enable {channel.id}`"
        findings = [*findings, Finding("state", False, "the channel is disabled", fix)]
    wrong = [f for f in findings if f.ok is False]
    context.show(
        {"id": channel.id, "ok": not wrong, "findings": [asdict(f) for f in findings]},
        lambda: [line for f in findings for line in _told(f)],
    )
    if wrong:
        raise Failed(f"{channel.id}: {len(wrong)} of {len(findings)} not as it should be")


def _told(finding: Finding) -> list[str]:
    mark = {True: "ok ", False: "BAD", None: " ? "}[finding.ok]
    if sys.stdout.isatty():
        color = {True: 32, False: 31, None: 33}[finding.ok]
        mark = f"\x1b[{color}m{mark}\x1b[0m"
    lines = [f"{mark}  {finding.name}: {finding.text}"]
    return [*lines, f"       fix: {finding.fix}"] if finding.fix and not finding.ok else lines


async def show_rendering(context: Context, args: argparse.Namespace) -> None:
    table = rendering.table(registry.CAPABILITIES)
    if args.markdown:
        context.show({"rows": rendering.as_rows(table)}, lambda: rendering.markdown(table))
        return
    context.table(rendering.as_rows(table), ("kind", *registry.CAPABILITIES), "")


async def _channel(context: Context, channel: str) -> Channel:
    try:
        return await context.store.directory.channel(channel)
    except NotFound:
        raise Failed(f"no channel {channel}: `channel list --tenant T` shows them") from None
