"""Slack as a channel: the port's methods over the functions beside this file. One app, many workspaces.

Configuration read from a channel: `account` (the workspace's id, or the organisation's), `config["bot_user_id"]`,
`config["bot_id"]`, `config["expires_at"]` and `config["installed_at"]` (in Unix seconds); secrets `bot_token` and, with
token rotation, `refresh_token`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from channels.read import items, mapping, short_id, word
from channels.slack import app, emoji, parse, payload, signature
from channels.slack.api import Api, App, grant
from channels.slack.check import Doctor
from channels.slack.errors import as_refused
from channels.slack.socket import Sockets
from channels.slack.transfer import Transfer
from gateway.model.capabilities import Capabilities, MediaRule
from gateway.model.content import Album, Deleted, Edit, Media, MediaKind, Reaction
from gateway.model.errors import Invalid, NotAuthentic, SendError
from gateway.model.lanes import Rate, Rates
from gateway.model.message import Message
from gateway.model.ports import (
    Claim,
    Clock,
    Connected,
    Download,
    Files,
    Finding,
    Keep,
    Outgoing,
    Parsed,
    Sent,
    Setting,
    Take,
)
from gateway.model.tenant import Channel, ChannelKind
from gateway.settings import Settings

TEXT: Final = 4000
"""What Slack recommends for one message, and the most that one may be changed to."""

LARGEST: Final = 1024**3
RATES: Final = Rates(account=Rate(5, burst=5), recipient=Rate(1, burst=3))
"""One message a second a channel, short bursts pass; several hundred a minute a workspace.
https://docs.slack.dev/apis/web-api/rate-limits/"""

_MEDIA: Final[tuple[MediaKind, ...]] = ("image", "video", "audio", "voice", "document", "sticker")

SETTINGS: Final = (
    Setting(
        "bot_token",
        "the workspace's bot token (xoxb-…): OAuth & Permissions; without it, install in the browser",
        secret=True,
        required=False,
    ),
)


class SlackAdapter:
    """One for the process. `claim` says which of several processes renews a token; without it there is one."""

    kind: ChannelKind = "slack"
    capabilities = Capabilities(
        text_length=TEXT,
        kinds=frozenset({"link", "reaction", "edit", "deleted"}),
        media={kind: MediaRule(LARGEST, caption=TEXT) for kind in _MEDIA},
        album=10,
        buttons=25,
        button_length=payload.TITLE,
        button_text_length=payload.SECTION,
        list_rows=100,
        row_length=payload.TITLE,
        rates=RATES,
        typing=True,
    )
    signature_header = "X-Slack-Signature"
    signing_secret = "signing_secret"  # noqa: S105 (a name)
    paths: tuple[str, ...] = tuple(app.PATHS.values())
    settings: tuple[Setting, ...] = SETTINGS

    def __init__(
        self,
        settings: Settings,
        session: aiohttp.ClientSession,
        clock: Clock,
        files: Files,
        keep: Keep,
        claim: Claim | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        known = App(
            settings.slack_api_url.rstrip("/"),
            settings.slack_client_id or "",
            settings.slack_client_secret or "",
        )
        self._api = Api(known, session, clock, keep, claim)
        self._transfer = Transfer(self._api, files, clock)
        self._doctor = Doctor(settings, self._api, clock)

    # In

    def accounts(self, body: bytes) -> Sequence[str]:
        return parse.accounts_of(body)

    def greeting(self, body: bytes) -> str | None:
        return parse.greeting(body)

    def verify(self, secret: str, headers: Mapping[str, str], body: bytes) -> None:
        signature.verify(secret, headers, body, self._clock())

    def challenge(self, verify_token: str, query: Mapping[str, str]) -> str:
        raise NotAuthentic  # Slack asks by POST: see `greeting`

    def parse(self, channel: Channel, body: bytes) -> Parsed:
        return parse.parse(channel, body, self._clock())

    # Out

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        match message.content:
            case Media(file=file) as media if file:
                return await self._transfer.send(channel, message, [media])
            case Album(items=media) if all(m.file for m in media):
                return await self._transfer.send(channel, message, media)
            case Reaction(emoji=shown, to=to):
                return await self._react(channel, message, shown, to)
            case Edit(to=to, content=content):
                await self._api.call(channel, "chat.update", payload.change(to, content))
                return _done(message, to)
            case Deleted(to=to):
                return await self._delete(channel, message, to)
        answer = await self._api.call(channel, "chat.postMessage", payload.message(message))
        where, ts = short_id(answer.get("channel")), short_id(answer.get("ts"))
        if not (where and ts):
            raise SendError("slack:no_ts", "Slack's answer holds no message id.", True, outcome="unknown")
        return Sent(f"{where}:{ts}")

    async def _react(self, channel: Channel, message: Outgoing, shown: str, to: str) -> Sent:
        where, ts = payload.place(to)
        if not shown:
            await self._take_back(channel, where, ts)
        elif (name := emoji.name(shown)) is None:
            raise SendError("slack:cannot_send_reaction", "Slack has no name for this emoji.")
        else:
            body = {"channel": where, "timestamp": ts, "name": name}
            await self._once(channel, "reactions.add", body, "slack:already_reacted")
        return _done(message, to)

    async def _take_back(self, channel: Channel, where: str, ts: str) -> None:
        fields = {"channel": where, "timestamp": ts, "full": "true"}
        answer = await self._api.query(channel, "reactions.get", fields)
        bot = word(channel.config.get("bot_user_id"))
        for item in items(mapping(answer.get("message")).get("reactions")):
            users = mapping(item).get("users")
            if isinstance(users, list) and bot in users:
                body = {"channel": where, "timestamp": ts, "name": word(mapping(item).get("name"))}
                await self._once(channel, "reactions.remove", body, "slack:no_reaction")

    async def _delete(self, channel: Channel, message: Outgoing, to: str) -> Sent:
        where, ts = payload.place(to)
        await self._once(channel, "chat.delete", {"channel": where, "ts": ts}, "slack:message_not_found")
        return _done(message, to)

    async def _once(self, channel: Channel, method: str, body: Mapping[str, Any], done: str) -> None:
        """A call that may have been made before: `done` is the error that says so."""
        try:
            await self._api.call(channel, method, body)
        except SendError as error:
            if error.code != done:
                raise

    def rates(self, channel: Channel, address: str) -> Rates:
        return self.capabilities.rates

    async def mark_read(self, channel: Channel, message: Message, address: str, typing: bool) -> None:
        """Slack has no read marks for apps; in a thread it shows that an answer is being written."""
        where, root = payload.place(address)
        if typing and root:
            body = {"channel_id": where, "thread_ts": root, "status": "is typing…"}
            try:
                await self._api.call(channel, "assistant.threads.setStatus", body)
            except SendError as error:
                raise as_refused(error) from None

    def fetch(self, channel: Channel, media_id: str) -> AbstractAsyncContextManager[Download]:
        return self._transfer.fetch(channel, media_id)

    # Connecting

    async def account(self, channel: Channel) -> str:
        return (await self.connect(channel, "")).account  # connecting only asks

    async def connect(self, channel: Channel, webhook: str) -> Connected:
        """With a bot token that a person has: ask Slack whose it is. Without one the workspace is installed in the
        browser, see `install_address` and `installed`."""
        token = channel.secrets.get("bot_token", "").strip()
        if not token.startswith("xoxb-") and not token.startswith("xoxe.xoxb-"):
            link = f"`slack install-link --tenant {channel.tenant}` prints a link that does without"
            raise Invalid("bot_token", f"a bot token (xoxb-…) from OAuth & Permissions; {link}")
        answer, granted = await self._api.who(token)
        missing = [s for s in app.SCOPES if granted and s not in granted]
        steps = (
            (f"The token lacks these permissions, so not everything works: {', '.join(missing)}.",)
            if missing
            else ()
        )
        secrets = {**channel.secrets, "bot_token": token}
        return self._connected(answer, channel.config, secrets, (*steps, *self._steps()))

    def _steps(self) -> tuple[str, ...]:
        if self._settings.slack_app_token:
            return ("Socket Mode is used; the app needs no address.",)
        url = self._settings.public_url
        return (
            "In the app's settings, enter:",
            f"  Event Subscriptions   {app.address(url, 'events')}",
            f"  Interactivity         {app.address(url, 'interactivity')}",
            f"  Slash Commands        {app.address(url, 'commands')}",
            "or paste what `slack manifest` prints under App Manifest.",
        )

    @property
    def installs(self) -> bool:
        """Whether workspaces can be installed in the browser."""
        return bool(self._settings.slack_client_id and self._settings.slack_client_secret)

    def install_address(self, state: str, redirect: str) -> str:
        """Slack's page that asks a person to add the app to their workspace."""
        fields = {
            "client_id": self._settings.slack_client_id or "",
            "scope": ",".join(app.SCOPES),
            "redirect_uri": redirect,
            "state": state,
        }
        return f"{self._api.app.origin}/oauth/v2/authorize?{urlencode(fields)}"

    async def installed(self, code: str, redirect: str) -> Connected:
        """What the person's consent is worth: the workspace and its token. Raises SendError."""
        fields = {"code": code, "redirect_uri": redirect}
        answer = await self._api.form("oauth.v2.access", fields, self._api.app.basic)
        secrets, config = grant(answer, self._clock())
        who, _ = await self._api.who(secrets["bot_token"])
        # A token that does not expire any more leaves no old refresh token behind.
        secrets.setdefault("refresh_token", "")
        config["scopes"] = word(answer.get("scope"))
        return self._connected(who, config, secrets, ())

    def _connected(
        self,
        answer: Mapping[str, Any],
        config: Mapping[str, Any],
        secrets: Mapping[str, str],
        steps: tuple[str, ...],
    ) -> Connected:
        """From what `auth.test` says. Raises SendError when it does not name the workspace."""
        whole = answer.get("is_enterprise_install") is True
        account = short_id(answer.get("enterprise_id") if whole else answer.get("team_id"))
        bot = short_id(answer.get("user_id"))
        if not (account and bot):
            raise SendError("slack:no_answer", "Slack did not say whose the token is.")
        kept = {**config, "bot_user_id": bot, "bot_id": short_id(answer.get("bot_id"))}
        kept |= {"team_url": word(answer.get("url"))[:256], "enterprise": whole}
        kept["installed_at"] = int(self._clock().timestamp())
        return Connected(account, word(answer.get("team"))[:200] or account, kept, secrets, steps)

    async def check(self, channel: Channel, webhook: str) -> Sequence[Finding]:
        return await self._doctor.check(channel)

    # Socket Mode

    @property
    def pulls_app(self) -> bool:
        """Whether the whole app is read over a socket."""
        return bool(self._settings.slack_app_token)

    async def pull_app(self, take: Take) -> None:
        """Read all workspaces' events until cancelled; `take` takes an app-wide body. Raises SendError."""
        await Sockets(self._api, self._settings.slack_app_token or "").run(take)

    def pulls(self, channel: Channel) -> bool:
        return False

    async def pull(self, channel: Channel, take: Take) -> None:
        await self.pull_app(take)


def _done(message: Outgoing, to: str) -> Sent:
    """What has no message of its own at Slack gets an id from the one it is about."""
    return Sent(f"{to}#{message.id}")
