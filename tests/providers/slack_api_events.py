"""Slack's requests as it builds, signs and repeats them, for tests that play the provider."""

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp

TEAM = "T0ACME0001"
APP = "A0PARLEY01"
BOT = "U0BOT00001"
BOT_ID = "B0BOT00001"
USER = "U0CUST0001"
DM = "D0CUST0001"
ROOM = "C0ROOM0001"
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
OUR_ID = "m_abcdefghijklmnopqrstuvwx"

_counter = itertools.count(1)


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """The headers that Slack sends with a body."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    kind = "application/json" if body[:1] == b"{" else "application/x-www-form-urlencoded"
    return {"Content-Type": kind, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


def ts(at: float | None = None) -> str:
    """A message's time, which is its id: never the same twice."""
    return f"{int(time.time() if at is None else at)}.{next(_counter):06d}"


def event(inner: Mapping[str, Any], *, team: str = TEAM, bot: str = BOT, **more: Any) -> dict[str, Any]:
    """An event in its wrapper."""
    number = next(_counter)
    return {
        "token": "XXYYZZ",
        "team_id": team,
        "api_app_id": APP,
        "event": dict(inner),
        "type": "event_callback",
        "event_id": f"Ev{number:09d}",
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": team,
                "user_id": bot,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": f"4-{number}",
    } | more


def direct(text: str, *, user: str = USER, channel: str = DM, **more: Any) -> dict[str, Any]:
    """A direct message to the app."""
    stamp = ts()
    said = {"type": "message", "user": user, "ts": stamp, "text": text, "team": TEAM, "channel": channel}
    return event(said | {"event_ts": stamp, "channel_type": "im"} | more)


def mention(text: str, *, user: str = USER, channel: str = ROOM, **more: Any) -> dict[str, Any]:
    """Somebody names the app in a channel."""
    stamp = ts()
    said = {"type": "app_mention", "user": user, "ts": stamp, "text": f"<@{BOT}> {text}", "team": TEAM}
    return event(said | {"channel": channel, "event_ts": stamp} | more)


def pressed(value: str, title: str, channel: str, message: str, *, user: str = USER) -> dict[str, Any]:
    stamp = ts()
    return {
        "type": "block_actions",
        "user": {"id": user, "username": "ana", "name": "ana", "team_id": TEAM},
        "api_app_id": APP,
        "token": "XXYYZZ",
        "container": {"type": "message", "message_ts": message, "channel_id": channel, "is_ephemeral": False},
        "trigger_id": f"{stamp}.trigger",
        "team": {"id": TEAM, "domain": "acme"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel, "name": "directmessage"},
        "message": {"type": "message", "user": BOT, "ts": message, "bot_id": BOT_ID, "text": "…"},
        "response_url": "https://hooks.slack.com/actions/T0ACME0001/1/x",
        "actions": [
            {
                "action_id": "parley:0",
                "block_id": "b1",
                "text": {"type": "plain_text", "text": title, "emoji": True},
                "value": value,
                "type": "button",
                "action_ts": stamp,
            }
        ],
    }


def command(text: str, *, user: str = USER, name: str = "/parley") -> dict[str, str]:
    return {
        "token": "XXYYZZ",
        "team_id": TEAM,
        "team_domain": "acme",
        "channel_id": ROOM,
        "channel_name": "general",
        "user_id": user,
        "user_name": "ana",
        "command": name,
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
        "response_url": "https://hooks.slack.com/commands/1/2/3",
        "trigger_id": f"{ts()}.command",
    }


def as_json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def as_payload(body: Mapping[str, Any]) -> bytes:
    """An interaction's form."""
    return urlencode({"payload": json.dumps(body)}).encode()


def as_form(fields: Mapping[str, str]) -> bytes:
    return urlencode(fields).encode()


@dataclass
class Sender:
    """Slack as the caller: signs, and repeats what was not acknowledged, at most three times."""

    http: aiohttp.ClientSession
    url: str
    secret: str = SECRET
    now: Callable[[], float] = time.time

    async def post(self, path: str, body: bytes, **headers: str) -> tuple[int, str]:
        async with self.http.post(
            f"{self.url}/webhooks/slack{path}",
            data=body,
            headers={**signed(body, self.secret, self.now()), **headers},
        ) as answer:
            return answer.status, await answer.text()

    async def send(self, body: Mapping[str, Any], path: str = "/events") -> list[int]:
        """One event; the statuses of all attempts. The pauses between them are left out."""
        data, found = as_json(body), []
        for attempt in range(4):
            again = (
                {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_error"} if attempt else {}
            )
            status, _ = await self.post(path, data, **again)
            found.append(status)
            if status == 200:
                break
        return found
