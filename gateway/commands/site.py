"""`channel add web`: a web site with the chat widget."""

import argparse
import secrets
from urllib.parse import urlsplit

from gateway.commands import quiet
from gateway.commands.context import Commands, Context
from gateway.commands.tenant import _command
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid
from gateway.model.tenant import Channel, ExtraField, Site
from gateway.model.texts import UNSUPPORTED


def add(kinds: "Commands") -> None:
    web = _command(kinds, "web", add_web, "a web site with the chat widget")
    web.add_argument("--tenant", required=True)
    web.add_argument(
        "--origin", action="append", required=True, metavar="URL", help="where the widget may run; repeatable"
    )
    web.add_argument("--name", help="for your own lists")
    quiet.add(web)
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
        "--marketing", help="the wording of an optional box in the form that agrees to marketing"
    )
    web.add_argument(
        "--link", action="append", default=[], metavar="URL", help="a further origin that answers may link to"
    )


async def add_web(context: Context, args: argparse.Namespace) -> None:
    await context.store.directory.tenant(args.tenant)
    answering = quiet.given(args)
    origins = tuple(dict.fromkeys(origin(o, "--origin") for o in args.origin))
    if len(args.color) != 7 or not args.color.startswith("#") or not _is_hex(args.color[1:]):
        raise Invalid("--color", "a colour such as #1f5eff")
    if args.avatar:
        origin(args.avatar.rsplit("/", 1)[0], "--avatar")
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
        marketing=args.marketing,
        links=tuple(origin(x, "--link") for x in args.link),
    )
    identifier = "ch_" + secrets.token_hex(8)
    name = args.name or urlsplit(origins[0]).netloc
    channel = Channel(
        identifier,
        args.tenant,
        "web",
        identifier,
        name,
        system_clock(),
        origins=origins,
        site=site,
        config=answering,
    )
    await context.store.directory.add_channel(channel)
    tag = f'<script src="{context.settings.public_url}/widget/v1.js" data-site="{identifier}" async></script>'
    context.show(
        {"id": identifier, "kind": "web", "origins": list(origins), "tag": tag},
        lambda: [f"Connected {name} as {identifier}. Put this on your pages:", "", f"  {tag}"],
    )


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdefABCDEF" for c in text)


def origin(value: str, option: str) -> str:
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
