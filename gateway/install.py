"""Adding the app to a workspace in the browser (OAuth): who may, and what comes of it.

A person comes from the console, signed in, or with a one-time link that a command printed. Either way they are sent
to the provider with a state that is good for ten minutes, for one use, for this tenant and for this browser; the
provider sends them back with a code, and the code is worth the workspace's token.

The state and the link are signed by us, so nothing is stored until they are used; the store keeps what was used, which
makes both single-use in every process.
"""

import hashlib
import hmac
import html
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import jwt
from aiohttp import web
from loguru import logger

from gateway.model.errors import Conflict, NotFound, SendError, Unavailable
from gateway.model.ports import Clock, Connected
from gateway.model.tenant import Channel
from gateway.store import Store

STATE_LASTS: Final = timedelta(minutes=10)
LINK_LASTS: Final = timedelta(hours=1)
COOKIE: Final = "parley_install"
ROUTE: Final = "/slack/install"
REDIRECT: Final = "/slack/oauth"
CONSOLE: Final = "/console/slack/install"
KEYS: Final = "slack install"
"""The purpose of the keys that links and states are signed with: `store.vault.signing_keys(KEYS)`."""


class Installer(Protocol):
    """What an adapter that can be installed in the browser has besides the contract."""

    @property
    def installs(self) -> bool:
        """Whether the app's client id and secret are set."""

    def install_address(self, state: str, redirect: str) -> str:
        """The provider's page that asks for consent."""

    async def installed(self, code: str, redirect: str) -> Connected:
        """What the code is worth. Raises SendError."""


class _Stop(Exception):
    """Not to be gone on with: a sentence for the person, and the status."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Passes:
    """Signed, single-use, short-lived: the one-time link and the state."""

    def __init__(self, keys: Sequence[bytes], clock: Clock) -> None:
        self._keys = tuple(keys)
        self._clock = clock

    def link(self, tenant: str) -> str:
        return self._sign("link", {"tenant": tenant}, LINK_LASTS)

    def state(self, tenant: str, browser: str, user: str) -> str:
        claims = {"tenant": tenant, "browser": _digest(browser), "user": user}
        return self._sign("state", claims, STATE_LASTS)

    def read(self, kind: str, token: str) -> dict[str, Any] | None:
        """What it says, if it is ours, of this kind and in time."""
        for key in self._keys:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=["HS256"],
                    audience=f"slack-{kind}",
                    options={"require": ["exp", "jti", "tenant"], "verify_exp": False, "verify_iat": False},
                )
            except jwt.InvalidTokenError:
                continue
            # Our own clock decides, which a test can move.
            return claims if int(claims["exp"]) > self._clock().timestamp() else None
        return None

    def _sign(self, kind: str, claims: dict[str, str], lasts: timedelta) -> str:
        expires = int((self._clock() + lasts).timestamp())
        claims = {**claims, "jti": secrets.token_urlsafe(16), "aud": f"slack-{kind}"}
        return jwt.encode({**claims, "exp": expires}, self._keys[0], algorithm="HS256")


def install_link(store: Store, clock: Clock, public_url: str, tenant: str) -> str:
    """A one-time link by which whoever opens it within the hour adds a workspace to the tenant."""
    passes = Passes(store.vault.signing_keys(KEYS), clock)
    return f"{public_url}{ROUTE}?link={passes.link(tenant)}"


class Install:
    """The routes. `session_cookie` is the console's, which is sent below `/console` only."""

    def __init__(
        self, store: Store, installer: Installer, clock: Clock, public_url: str, session_cookie: str
    ) -> None:
        self._store = store
        self._installer = installer
        self._clock = clock
        self._url = public_url.rstrip("/")
        self._secure = public_url.startswith("https://")
        self._session_cookie = session_cookie
        self._passes = Passes(store.vault.signing_keys(KEYS), clock)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(CONSOLE, self._page(self.from_console), allow_head=False),
            web.get(ROUTE, self._page(self.ask), allow_head=False),
            web.post(ROUTE, self._page(self.begin)),
            web.get(REDIRECT, self._page(self.finish), allow_head=False),
        ]

    def _page(
        self, handle: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def page(request: web.Request) -> web.StreamResponse:
            try:
                return await handle(request)
            except _Stop as stop:
                return _html("Slack was not connected", html.escape(str(stop)), stop.status)
            except Unavailable:
                return _html(
                    "Slack was not connected", "The database can't be reached. Try again shortly.", 503
                )

        return page

    async def from_console(self, request: web.Request) -> web.Response:
        """A signed-in person begins at once."""
        secret = request.cookies.get(self._session_cookie, "")
        session = await self._store.access.session(secret, self._clock()) if secret else None
        if session is None:
            raise _Stop("Sign in to the console first.", 401)
        return self._leave(session.tenant, session.user.id)

    async def ask(self, request: web.Request) -> web.Response:
        """The one-time link. Opening it uses nothing up: mail scanners open links, too."""
        link = request.query.get("link", "")
        claims = self._passes.read("link", link)
        if claims is None:
            raise _Stop("This link is not valid any more. Ask for a new one: slack install-link.")
        tenant = await self._tenant(claims)
        form = (
            f'<form method="post" action="{ROUTE}"><input type="hidden" name="link" value="{html.escape(link)}">'
            f"<p>You are about to connect a Slack workspace to {html.escape(tenant)}.</p>"
            "<button>Continue to Slack</button></form>"
        )
        return _html("Connect Slack", form, allowed=self._provider())

    async def begin(self, request: web.Request) -> web.Response:
        try:
            link = (await request.post()).get("link")
        except (ValueError, LookupError):
            link = None
        claims = self._passes.read("link", link) if isinstance(link, str) else None
        if claims is None or not await self._first(claims):
            raise _Stop("This link was used or is not valid any more. Ask for a new one: slack install-link.")
        await self._tenant(claims)
        return self._leave(str(claims["tenant"]), "")

    def _leave(self, tenant: str, user: str) -> web.Response:
        """Off to the provider, with a state that only this browser can come back with."""
        if not self._installer.installs:
            raise _Stop("The operator has not set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET.", 503)
        browser = secrets.token_urlsafe(24)
        state = self._passes.state(tenant, browser, user)
        response = web.Response(status=303, headers={"Cache-Control": "no-store"})
        response.headers["Location"] = self._installer.install_address(state, self._url + REDIRECT)
        response.headers["Content-Security-Policy"] = _policy(self._provider())
        response.set_cookie(
            COOKIE,
            browser,
            httponly=True,
            samesite="Lax",
            secure=self._secure,
            path="/slack",
            max_age=int(STATE_LASTS.total_seconds()),
        )
        return response

    async def finish(self, request: web.Request) -> web.Response:
        """The provider sends the person back."""
        claims = self._passes.read("state", request.query.get("state", ""))
        if claims is None:
            raise _Stop(
                "The installation took longer than ten minutes, or did not begin here. Start it again."
            )
        browser = _digest(request.cookies.get(COOKIE, ""))
        if not hmac.compare_digest(browser, str(claims.get("browser", ""))):
            raise _Stop("The installation began in another browser. Start it again in this one.", 403)
        if not await self._first(claims):
            raise _Stop("The installation was finished before. Start it again if you want to repeat it.")
        if request.query.get("error"):
            raise _Stop("You did not allow the app, so nothing was changed.")
        try:
            found = await self._installer.installed(request.query.get("code", ""), self._url + REDIRECT)
        except SendError as error:
            raise _Stop(f"{error.text} ({error.code})", 502) from None
        tenant = await self._tenant(claims)
        await self._connect(str(claims["tenant"]), found)
        text = f"The workspace {html.escape(found.name)} is connected to {html.escape(tenant)}."
        response = _html("Slack is connected", f"{text} You can close this page.")
        response.del_cookie(COOKIE, path="/slack")
        return response

    async def _connect(self, tenant: str, found: Connected) -> None:
        """A new channel, or the same workspace's own one with its new token. Raises _Stop."""
        directory = self._store.directory
        channel = Channel(
            "ch_" + secrets.token_hex(8),
            tenant,
            "slack",
            found.account,
            found.name,
            self._clock(),
            config=found.config,
            secrets=found.secrets,
        )
        try:
            await directory.add_channel(channel)
        except Conflict:
            known = await directory.by_account("slack", found.account)
            if known.tenant != tenant:
                text = "This workspace is connected to another business here. Disconnect it there first."
                raise _Stop(text, 409) from None
            await directory.keep(known, found.secrets, found.config)
            await directory.set_channel(known, state="active")
            await self._store.open_work.release_channel(tenant, known.id, self._clock())
            channel = known
        logger.bind(tenant=tenant, channel=channel.id).info(
            "a Slack workspace was connected in the browser: {}", found.account
        )

    async def _tenant(self, claims: dict[str, Any]) -> str:
        try:
            return (await self._store.directory.tenant(str(claims["tenant"]))).name
        except NotFound:
            raise _Stop("The business that this was for does not exist any more.", 404) from None

    async def _first(self, claims: dict[str, Any]) -> bool:
        """Whether this pass is used for the first time, by any process."""
        expires = datetime.fromtimestamp(int(claims["exp"]), self._clock().tzinfo)
        return await self._store.access.use_ticket(f"slack:{claims['jti']}", expires)

    def _provider(self) -> str:
        parts = urlsplit(self._installer.install_address("", ""))
        return f"{parts.scheme}://{parts.netloc}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _policy(allowed: str = "") -> str:
    # A browser checks where a form leads also after a redirect.
    return (
        f"default-src 'none'; form-action 'self' {allowed}".strip()
        + "; base-uri 'none'; frame-ancestors 'none'"
    )


def _html(title: str, body: str, status: int = 200, allowed: str = "") -> web.Response:
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title></head><body><main><h1>{title}</h1><div>{body}</div></main></body></html>"
    )
    headers = {
        "Content-Security-Policy": _policy(allowed),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer" if not allowed else "same-origin",
    }
    return web.Response(status=status, text=page, content_type="text/html", headers=headers)
