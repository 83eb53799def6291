"""`slack`: what the operator of a Slack app needs once: its manifest, and links to add workspaces."""

import argparse

from channels import registry
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.tenant import _command, _group
from gateway.install import install_link
from gateway.model.clock import system_clock


def add(commands: "Commands") -> None:
    group = _group(commands, "slack", "the Slack app: its manifest, and links to add workspaces")
    manifest = _command(group, "manifest", print_manifest, "the app's manifest for this public address")
    manifest.set_defaults(needs_store=False)
    manifest.add_argument("--socket-mode", action="store_true", help="for a machine without a public address")
    manifest.add_argument("--token-rotation", action="store_true", help="tokens that end after 12 hours")
    link = _command(group, "install-link", print_link, "a one-time link that adds a workspace to a tenant")
    link.add_argument("--tenant", required=True)


async def print_manifest(context: Context, args: argparse.Namespace) -> None:
    text = registry.slack_manifest(context.settings.public_url, args.socket_mode, args.token_rotation)
    context.show({"manifest": text}, text.splitlines)


async def print_link(context: Context, args: argparse.Namespace) -> None:
    settings = context.settings
    if not (settings.slack_client_id and settings.slack_client_secret):
        raise Failed(
            "set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET first, or connect with a token: "
            f"channel add slack --tenant {args.tenant} --bot-token -"
        )
    await context.store.directory.tenant(args.tenant)
    link = install_link(context.store, system_clock, settings.public_url, args.tenant)
    context.show({"link": link}, lambda: ["Open this within an hour; it works once:", "", f"  {link}"])
