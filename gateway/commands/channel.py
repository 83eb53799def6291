"""`channel`: connect a business's accounts, look at them, switch them off and on."""

import argparse
import secrets
from urllib.parse import urlsplit

import aiohttp

from channels import registry
from gateway.commands.context import Commands, Context, Failed, secret
from gateway.commands.tenant import _command, _group
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid, NotFound, SendError
from gateway.model.tenant import Channel, ExtraField, Site
from gateway.model.texts import UNSUPPORTED


def add(commands: "Commands") -> None:
    group = _group(commands, "channel", "connected accounts: web sites, WhatsApp numbers")
    _add_kinds(group)
    listing = _command(group, "list", list_channels, "a tenant's channels")
    listing.add_argument("--tenant", required=True)
    check = _command(group, "check", check_channel, "ask the provider whether a channel's settings work")
    check.add_argument("channel")
    change = _command(group, "set", set_channel, "change a channel's secrets, or a site's origins")
    change.add_argument("channel")
    change.add_argument("--access-token", help="`-` reads it from standard input")
    change.add_argument("--app-secret", help="`-` reads it from standard input")
    change.add_argument("--verify-token", help="`-` reads it from standard input")
    change.add_argument("--origin", action="append", metavar="URL", help="all origins anew; repeatable")
    for name, text in (("enable", "let a channel send again"), ("disable", "stop a channel from sending")):
        command = _command(group, name, set_state, text)
        command.add_argument("channel")
        command.set_defaults(state="active" if name == "enable" else "disabled")


def _add_kinds(group: "Commands") -> None:
    adding = group.add_parser("add", help="connect an account", description="Connect an account.")
    kinds = adding.add_subparsers(dest="kind", metavar="KIND", required=True)
    web = _command(kinds, "web", add_web, "a web site with the chat widget")
    web.add_argument("--tenant", required=True)
    web.add_argument(
        "--origin", action="append", required=True, metavar="URL", help="where the widget may run; repeatable"
    )
    web.add_argument("--name", help="for your own lists")
    web.add_argument("--title", default="Chat", help="shown at the head of the widget")
    web.add_argument("--greeting", help="the first line of an empty chat")
    web.add_argument("--color", default="#1f5eff", help="#rrggbb")
    web.add_argument("--position", choices=("left", "right"), default="right")
    web.add_argument("--avatar", metavar="URL")
    web.add_argument(
        "--language", choices=sorted(UNSUPPORTED), help="fixed; else the visitor's browser decides"
    )
    web.add_argument("--region", help="default country of phone numbers, such as GB")
    web.add_argument("--no-email", action="store_true", help="do not ask leads for an e-mail address")
    web.add_argument(
        "--field", action="append", default=[], metavar="NAME=LABEL", help="a field of your own for leads"
    )
    web.add_argument("--consent", help="your own consent line above the form")
    web.add_argument(
        "--link", action="append", default=[], metavar="URL", help="a further origin that answers may link to"
    )

    whatsapp = _command(kinds, "whatsapp", add_whatsapp, "a WhatsApp Business number (Cloud API)")
    whatsapp.add_argument("--tenant", required=True)
    whatsapp.add_argument("--phone-number-id", required=True)
    whatsapp.add_argument("--waba-id", required=True)
    whatsapp.add_argument("--access-token", required=True, help="`-` reads it from standard input")
    whatsapp.add_argument("--app-secret", required=True, help="`-` reads it from standard input")
    whatsapp.add_argument("--verify-token", help="made up for you without it")
    whatsapp.add_argument("--name")
    whatsapp.add_argument("--api-version", help="such as v23.0")


async def add_web(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    origins = tuple(dict.fromkeys(_origin(o, "--origin") for o in args.origin))
    if len(args.color) != 7 or not args.color.startswith("#") or not _is_hex(args.color[1:]):
        raise Invalid("--color", "a colour such as #1f5eff")
    if args.avatar:
        _origin(args.avatar.rsplit("/", 1)[0], "--avatar")
    site = Site(
        title=args.title,
        greeting=args.greeting,
        color=args.color,
        position=args.position,
        avatar=args.avatar,
        language=args.language,
        region=args.region,
        ask_email=not args.no_email,
        fields=tuple(_field(f) for f in args.field),
        consent=args.consent,
        links=tuple(_origin(x, "--link") for x in args.link),
    )
    identifier = "ch_" + secrets.token_hex(8)
    name = args.name or urlsplit(origins[0]).netloc
    channel = Channel(
        identifier, args.tenant, "web", identifier, name, system_clock(), origins=origins, site=site
    )
    await context.store.directory.add_channel(channel)
    tag = f'<script src="{context.settings.public_url}/widget/v1.js" data-site="{identifier}" async></script>'
    context.show(
        {"id": identifier, "kind": "web", "origins": list(origins), "tag": tag},
        lambda: [f"Connected {name} as {identifier}. Put this on your pages:", "", f"  {tag}"],
    )


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdefABCDEF" for c in text)


def _origin(value: str, option: str) -> str:
    try:
        parts = urlsplit(value if "://" in value else "")
        number = parts.port
    except ValueError:
        parts, number = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(option, "an origin such as https://www.example.com")
    port = f":{number}" if number and (parts.scheme, number) not in (("http", 80), ("https", 443)) else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def _field(value: str) -> ExtraField:
    name, separator, label = value.partition("=")
    required, name = name.endswith("!"), name.removesuffix("!")
    if not separator or not name.isidentifier() or not label.strip():
        raise Invalid("--field", "NAME=LABEL, such as company=Company (a ! after the name makes it required)")
    return ExtraField(name, label.strip(), required)


async def add_whatsapp(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    if not args.phone_number_id.isdigit():
        raise Invalid(
            "--phone-number-id", "digits only: the id from the app's dashboard, not the phone number"
        )
    if not args.waba_id.isdigit():
        raise Invalid("--waba-id", "digits only: the WhatsApp Business account's id")
    values = {
        "access_token": secret(args.access_token, "--access-token"),
        "app_secret": secret(args.app_secret, "--app-secret"),
        "verify_token": secret(args.verify_token, "--verify-token") or secrets.token_urlsafe(24),
    }
    if empty := [n for n, v in values.items() if not (v or "").strip()]:
        raise Invalid(
            "--" + empty[0].replace("_", "-"), "not empty: a channel without its secret can't be activated"
        )
    identifier = "ch_" + secrets.token_hex(8)
    config = {"waba_id": args.waba_id} | ({"api_version": args.api_version} if args.api_version else {})
    channel = Channel(
        identifier,
        args.tenant,
        "whatsapp",
        args.phone_number_id,
        args.name or f"WhatsApp {args.phone_number_id}",
        system_clock(),
        config=config,
        secrets={n: (v or "").strip() for n, v in values.items()},
    )
    await context.store.directory.add_channel(channel)
    webhook = f"{context.settings.public_url}/webhooks/whatsapp/{identifier}"
    context.show(
        {"id": identifier, "kind": "whatsapp", "webhook": webhook, "verify_token": values["verify_token"]},
        lambda: [
            f"Connected as {identifier}. In your app's dashboard, WhatsApp > Configuration, enter:",
            f"  Callback URL   {webhook}",
            f"  Verify token   {values['verify_token']}",
            "and subscribe to the field `messages`.",
        ],
    )


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
    missing = [n for n in registry.SECRETS[channel.kind] if not channel.secrets.get(n)]
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
    given = {n: secret(getattr(args, n), "--" + n.replace("_", "-")) for n in registry.SECRETS["whatsapp"]}
    changed = {n: v.strip() for n, v in given.items() if v is not None}
    if changed and channel.kind != "whatsapp":
        raise Invalid(
            "--" + next(iter(changed)).replace("_", "-"), f"nothing: a {channel.kind} channel has no secrets"
        )
    if args.origin and channel.kind != "web":
        raise Invalid("--origin", f"nothing: a {channel.kind} channel has no origins")
    if not changed and not args.origin:
        raise Invalid("channel set", "at least one option; see --help")
    if empty := [n for n, v in changed.items() if not v]:
        raise Invalid("--" + empty[0].replace("_", "-"), "not empty")
    settings = {"origins": [_origin(o, "--origin") for o in args.origin]} if args.origin else None
    await context.store.directory.set_channel(channel, secrets=changed, settings=settings)
    names = [*changed, *(["origins"] if args.origin else [])]
    context.show({"id": channel.id, "changed": names}, lambda: [f"{channel.id}: changed {', '.join(names)}."])


async def check_channel(context: Context, args: argparse.Namespace) -> None:
    """Whether the provider accepts our settings; exit 1 with the provider's reason when it does not."""
    channel = await _channel(context, args.channel)
    if channel.kind == "web":
        context.show({"id": channel.id, "ok": True}, lambda: [f"ok  origins: {', '.join(channel.origins)}"])
        return
    async with aiohttp.ClientSession() as session:
        adapters = registry.build(context.settings, session, (b"",), system_clock).webhooks
        try:
            found = await adapters[channel.kind].check(channel)
        except SendError as error:
            raise Failed(f"{channel.id}: {error}") from None
    context.show(
        {"id": channel.id, "ok": True, "account": found}, lambda: [f"ok  {channel.kind} answers: {found}"]
    )


async def _channel(context: Context, channel: str) -> Channel:
    try:
        return await context.store.directory.channel(channel)
    except NotFound:
        raise Failed(f"no channel {channel}: `channel list --tenant T` shows them") from None
