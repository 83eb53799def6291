"""Slack's three kinds of request bodies, whose account each is of, and what every part of them needs.

Events are JSON; interactions a form with the JSON in `payload`; slash commands a form of plain fields. Socket Mode
brings all of them as JSON objects.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from channels.kit import clean_name
from channels.read import items, load, mapping, short_id, word
from gateway.model.content import Content
from gateway.model.errors import NotForUs
from gateway.model.identity import Identity
from gateway.model.message import stable_id
from gateway.model.ports import InboundMessage

_KINDS: Final = frozenset({"event_callback", "url_verification", "app_rate_limited"})
_MOST_FIELDS: Final = 100


def read(body: bytes) -> Mapping[str, Any]:
    """The request as one JSON object: an event, an interaction or a command's fields. Raises NotForUs."""
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b""):
        found: Mapping[str, Any] = load(body)
    else:
        fields = _form(body)
        found = load(fields["payload"].encode("utf-8", "surrogatepass")) if "payload" in fields else fields
    if not word(found.get("type")) and not word(found.get("command")) and "ssl_check" not in found:
        raise NotForUs("not a body of Slack's")
    return found


def _form(body: bytes) -> dict[str, str]:
    try:
        # Percent-encoded bytes that are not UTF-8 become U+FFFD: one bad name does not refuse a command.
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise NotForUs("not a form") from None
    return dict(pairs)


def greeting(body: bytes) -> str | None:
    """The answer to what only asks whether we are here: the challenge of a new events address, or a certificate check."""
    if b"url_verification" not in body and b"ssl_check" not in body:
        return None
    found = read(body)
    if found.get("type") == "url_verification":
        return json.dumps({"challenge": word(found.get("challenge"))})
    return "{}" if "ssl_check" in found and not found.get("command") else None


def accounts(found: Mapping[str, Any]) -> Sequence[str]:
    """Whose the body is: the workspace that the app was installed in, or the organisation if it was installed there.

    An event in a channel shared with another company names both; only the installation that may see it counts.
    """
    allowed = mapping(next(iter(items(found.get("authorizations"))), None))
    source = allowed or found
    whole = source.get("is_enterprise_install") in (True, "true")
    enterprise = short_id(source.get("enterprise_id")) or short_id(mapping(found.get("enterprise")).get("id"))
    team = short_id(source.get("team_id")) or short_id(mapping(found.get("team")).get("id"))
    team = team or short_id(found.get("team_id")) or short_id(mapping(found.get("user")).get("team_id"))
    account = enterprise if whole and enterprise else team or enterprise
    return (account,) if account else ()


@dataclass(frozen=True, slots=True)
class Body:
    """A request for one account. `bot` is our user there, `bot_id` what our messages are signed with; `since` is when the
    app was installed, in Unix seconds."""

    account: str
    found: Mapping[str, Any]
    now: datetime
    bot: str = ""
    bot_id: str = ""
    since: float = 0

    def identity(self, user: str) -> Identity:
        return Identity("slack", self.account, user)

    def thread(self, channel: str, root: str) -> Identity:
        """A thread of a channel is one conversation, whoever speaks in it."""
        return Identity("slack", self.account, f"{channel}:{root}")

    def message(
        self, provider_id: str, user: str, address: str, at: datetime, content: Content, **more: Any
    ) -> InboundMessage:
        given = provider_id or stable_id("noid", json.dumps(self.found, sort_keys=True))
        return InboundMessage(given, self.identity(user), address, at, content, **more)


def is_direct(channel: str) -> bool:
    """Whether the channel is between one person and us."""
    return channel.startswith("D")


def name(user: Mapping[str, Any]) -> str | None:
    """What a person is called, where a body says it at all."""
    profile = mapping(user.get("profile")) or user
    given = (profile.get("display_name"), profile.get("real_name"), user.get("name"), user.get("username"))
    return next(filter(None, (clean_name(word(n)) for n in given)), None)
