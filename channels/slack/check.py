"""The doctor: everything about the app, the workspace and our own settings that keeps messages from coming or going."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from channels import http
from channels.read import word
from channels.slack import app, signature
from channels.slack.api import Api
from channels.slack.socket import Sockets
from gateway.model.errors import SendError
from gateway.model.ports import Clock, Finding
from gateway.model.tenant import Channel
from gateway.settings import Settings

_AGAIN: Final = "Install the app again: `slack install-link --tenant {tenant}` prints the link."
_CHALLENGE: Final = "parley-check"


class Doctor:
    def __init__(self, settings: Settings, api: Api, clock: Clock) -> None:
        self._settings = settings
        self._api = api
        self._clock = clock

    async def check(self, channel: Channel) -> list[Finding]:
        found = await self._token(channel)
        found.append(self._rotation(channel))
        if self._settings.slack_app_token:
            found.append(await self._socket(self._settings.slack_app_token))
        else:
            found += [self._signing_secret(), await self._address()]
        return [*found, self._manifest()]

    async def _token(self, channel: Channel) -> list[Finding]:
        again = _AGAIN.format(tenant=channel.tenant)
        try:
            answer, granted = await self._api.who(await self._api.token(channel))
        except SendError as error:
            passing = error.retryable and not error.disable_channel
            fix = "Try again in a while." if passing else again
            return [Finding("token", None if passing else False, f"{error.text} ({error.code})", fix)]
        return [self._alive(answer), self._workspace(channel, answer, again), self._scopes(granted, again)]

    def _alive(self, answer: Mapping[str, Any]) -> Finding:
        return Finding(
            "token", True, f"The token works: {word(answer.get('user'))} in {word(answer.get('team'))}."
        )

    def _workspace(self, channel: Channel, answer: Mapping[str, Any], again: str) -> Finding:
        whole = answer.get("is_enterprise_install") is True
        account = word(answer.get("enterprise_id")) if whole else word(answer.get("team_id"))
        if account == channel.account:
            return Finding("workspace", True, f"The token is of the workspace {account}.")
        return Finding(
            "workspace",
            False,
            f"The token is of the workspace {account}, the channel of {channel.account}.",
            again,
        )

    def _scopes(self, granted: frozenset[str], again: str) -> Finding:
        if not granted:
            return Finding("permissions", None, "Slack did not say which permissions the token has.")
        if missing := [s for s in app.SCOPES if s not in granted]:
            fix = (
                f"Add them under OAuth & Permissions > Bot Token Scopes (or paste `slack manifest`). {again}"
            )
            return Finding("permissions", False, f"The token lacks {', '.join(missing)}.", fix)
        return Finding("permissions", True, f"All {len(app.SCOPES)} permissions are granted.")

    def _rotation(self, channel: Channel) -> Finding:
        ends = self._api.expires(channel)
        if ends is None:
            return Finding("token renewal", True, "The token does not expire.")
        if not (self._settings.slack_client_id and self._settings.slack_client_secret):
            fix = "Set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET: Basic Information > App Credentials."
            return Finding(
                "token renewal", False, f"The token ends at {_shown(ends)} and can't be renewed.", fix
            )
        if ends <= self._clock():
            fix = _AGAIN.format(tenant=channel.tenant)
            return Finding("token renewal", False, f"The token ended at {_shown(ends)}.", fix)
        return Finding("token renewal", True, f"The token is renewed before {_shown(ends)}.")

    async def _socket(self, token: str) -> Finding:
        if not token.startswith("xapp-"):
            fix = "Basic Information > App-Level Tokens: make one with connections:write and set SLACK_APP_TOKEN."
            return Finding("socket mode", False, "SLACK_APP_TOKEN is not an app-level token (xapp-…).", fix)
        try:
            await Sockets(self._api, token).address()
        except SendError as error:
            fix = (
                "Switch on Socket Mode in the app's settings, and set SLACK_APP_TOKEN to an app-level token with "
                "connections:write."
            )
            return Finding(
                "socket mode", None if error.retryable else False, f"{error.text} ({error.code})", fix
            )
        return Finding("socket mode", True, "Slack offers a socket; no public address is needed.")

    def _signing_secret(self) -> Finding:
        if self._settings.slack_signing_secret:
            return Finding("signing secret", True, "SLACK_SIGNING_SECRET is set.")
        fix = "Basic Information > App Credentials > Signing Secret: set it as SLACK_SIGNING_SECRET and restart."
        return Finding(
            "signing secret", False, "SLACK_SIGNING_SECRET is not set: nothing of Slack's is read.", fix
        )

    async def _address(self) -> Finding:
        """Ask our own public address what Slack asks a new one, signed as Slack would."""
        url = app.address(self._settings.public_url, "events")
        if not url.startswith("https://"):
            fix = "Set PUBLIC_URL to an https address that Slack reaches, or use Socket Mode with SLACK_APP_TOKEN."
            return Finding("events address", False, f"Slack calls https addresses only, not {url}.", fix)
        return await self.knock(url)

    async def knock(self, url: str) -> Finding:
        body = f'{{"type":"url_verification","challenge":"{_CHALLENGE}"}}'.encode()
        stamp = str(int(self._clock().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature.sign(self._settings.slack_signing_secret or "", stamp, body),
        }
        try:
            reply = await http.call(
                self._api.session, "slack", "POST", url, self._clock(), headers=headers, data=body
            )
        except SendError as error:
            fix = "Check PUBLIC_URL, the name's address, the certificate, and that the gateway runs there."
            return Finding("events address", False, f"{url} does not answer ({error.code}).", fix)
        if reply.status == 401:
            fix = "Start the gateway at that address with this SLACK_SIGNING_SECRET, and check its clock."
            return Finding("events address", False, f"{url} refuses our signature.", fix)
        if reply.body.get("challenge") != _CHALLENGE:
            fix = "Another program answers there, or SLACK_SIGNING_SECRET is not set where the gateway runs."
            return Finding("events address", False, f"{url} answers with status {reply.status}.", fix)
        return Finding("events address", True, f"{url} answers as Slack wants it.")

    def _manifest(self) -> Finding:
        text = "Which events and addresses the app is set to can't be read with a bot token."
        return Finding(
            "app settings", None, text, "Compare App Manifest in the app's settings with `slack manifest`."
        )


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
