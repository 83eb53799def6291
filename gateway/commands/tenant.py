"""`tenant`, `user`, `key`: businesses, their people, and their programs."""

import argparse
import re
import secrets
from dataclasses import replace

from gateway.commands import permission
from gateway.commands.context import Commands, Context, Failed
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid
from gateway.model.limits import LIMITS, SETTABLE, parse
from gateway.model.tenant import Tenant
from gateway.model.texts import UNSUPPORTED

ID = re.compile(r"^[a-z0-9][a-z0-9-]{1,39}$")
REGION = re.compile(r"^[A-Z]{2}$")
EMAIL = re.compile(r"^[^\s@]+@[^\s@]+\.[^\s@]+$")


def add(commands: "Commands") -> None:
    tenant = _group(commands, "tenant", "businesses")
    make = _command(tenant, "create", create_tenant, "make a tenant")
    make.add_argument("--name", required=True, help="the business's name")
    make.add_argument("--id", help="a short id to use in commands (made from the name without it)")
    make.add_argument("--language", default="en", help="default language: " + ", ".join(UNSUPPORTED))
    make.add_argument("--region", help="default country of phone numbers, such as GB")
    _command(tenant, "list", list_tenants, "all tenants")
    limits = _command(tenant, "limits", tenant_limits, "how much may come in for a tenant, and change that")
    limits.add_argument("tenant")
    limits.add_argument(
        "change",
        nargs="*",
        metavar="NAME=AMOUNT/UNIT",
        help="such as contact=30/minute; contact=default takes it back",
    )

    permission.add(
        _command(tenant, "permission", permission.permission, "what is set about permission, and change that")
    )

    user = _group(commands, "user", "people who use the console")
    make = _command(user, "create", create_user, "make a user and their first sign-in link")
    make.add_argument("--tenant", required=True)
    make.add_argument("--email", required=True)
    make.add_argument("--name")
    link = _command(user, "link", user_link, "make a one-time sign-in link, valid for 30 minutes")
    link.add_argument("--email", required=True)

    key = _group(commands, "key", "keys for the REST API")
    make = _command(key, "create", create_key, "make a key; it is shown once")
    make.add_argument("--tenant", required=True)
    make.add_argument("--name", default="key", help="what it is for")


def _group(commands: "Commands", name: str, text: str) -> "Commands":
    group = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    return group.add_subparsers(dest="action", metavar="ACTION", required=True)


def _command(group: "Commands", name: str, call: object, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = group.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + "."
    )
    command.set_defaults(call=call, needs_store=True)
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


async def create_tenant(context: Context, args: argparse.Namespace) -> None:
    identifier = (
        args.id or re.sub(r"[^a-z0-9]+", "-", args.name.lower()).strip("-")[:32] or secrets.token_hex(4)
    )
    if not ID.match(identifier):
        raise Invalid("--id", "2 to 40 lower-case letters, digits or dashes")
    if args.language not in UNSUPPORTED:
        raise Invalid("--language", "one of " + ", ".join(UNSUPPORTED))
    if args.region and not REGION.match(args.region):
        raise Invalid("--region", "two capital letters, such as GB")
    tenant = Tenant(identifier, args.name, system_clock(), language=args.language, region=args.region)
    await context.store.directory.add_tenant(tenant)
    context.show({"id": tenant.id, "name": tenant.name}, lambda: [f"Made tenant {tenant.id}."])


async def list_tenants(context: Context, args: argparse.Namespace) -> None:
    tenants = await context.store.directory.tenants()
    rows = [
        {"id": t.id, "name": t.name, "language": t.language, "region": t.region, "created": t.created}
        for t in tenants
    ]
    context.table(
        rows, ("id", "name", "language", "region", "created"), "No tenants yet: `tenant create --name …`"
    )


async def tenant_limits(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    own = dict(tenant.limits)
    for change in args.change:
        name, _, value = change.partition("=")
        if name not in SETTABLE:
            raise Invalid(name or change, "one of " + ", ".join(sorted(SETTABLE)))
        try:
            amount, seconds = (0, 0) if value == "default" else parse(value)
        except ValueError as error:
            raise Invalid(name, str(error)) from None
        own.pop(name, None)
        if amount:
            own[name] = str(replace(LIMITS[name], amount=amount, seconds=seconds))
    if args.change:
        await context.store.directory.set_limits(tenant.id, own)
    rows = [
        {"limit": n, "at_most": own.get(n, str(LIMITS[n])), "own": n in own, "what": LIMITS[n].text}
        for n in sorted(SETTABLE)
    ]
    context.table(rows, ("limit", "at_most", "what"), "")


async def create_user(context: Context, args: argparse.Namespace) -> None:
    if not EMAIL.match(args.email):
        raise Invalid("--email", "an address such as ana@example.com")
    await context.store.directory.tenant(args.tenant)
    now = system_clock()
    user = await context.store.access.create_user(args.tenant, args.email, args.name or args.email, now)
    link = _link(context, await context.store.access.create_link(user, now))
    context.show(
        {"id": user.id, "email": user.email, "link": link},
        lambda: [f"Made user {user.email}.", f"Sign in once, within 30 minutes: {link}"],
    )


async def user_link(context: Context, args: argparse.Namespace) -> None:
    user = await context.store.access.user_by_email(args.email)
    if user is None or user.disabled:
        raise Failed(f"no user with the address {args.email}: `user create` makes one")
    link = _link(context, await context.store.access.create_link(user, system_clock()))
    context.show({"link": link}, lambda: [link])


def _link(context: Context, secret: str) -> str:
    return f"{context.settings.public_url}/console/sign-in?link={secret}"


async def create_key(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    key, secret = await context.store.access.create_key(args.tenant, args.name, system_clock())
    context.show(
        {"id": key.id, "tenant": key.tenant, "name": key.name, "key": secret},
        lambda: [secret, "Keep it now: it is not shown again."],
    )
