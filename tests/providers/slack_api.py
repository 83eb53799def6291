"""A stand-in for Slack: a real local HTTP server with the Web API, OAuth, file hosts and Socket Mode, that checks what
it is sent, remembers it, and can be told to misbehave.

    async with SlackStandIn() as slack:
        slack.add_workspace("xoxb-token")
        settings = Settings(slack_api_url=slack.api, …)
        slack.misbehave(Fault.error("ratelimited", retry_after=3))
"""

import asyncio
import base64
import hashlib
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlencode

from aiohttp import WSMsgType, web

from tests.providers.slack_api_events import APP, BOT, BOT_ID, TEAM, ts
from tests.providers.slack_api_rules import (
    SCOPES,
    Refusal,
    check_post,
    check_reaction,
    check_share,
    check_update,
)

ALL_SCOPES = frozenset(
    {
        "app_mentions:read",
        "assistant:write",
        "channels:history",
        "channels:read",
        "chat:write",
        "commands",
        "files:read",
        "files:write",
        "groups:history",
        "groups:read",
        "im:history",
        "im:write",
        "metadata.message:read",
        "mpim:history",
        "reactions:read",
        "reactions:write",
    }
)
CLIENT_ID, CLIENT_SECRET = "1234.5678", "client-secret-canary"
APP_TOKEN = "xapp-1-A0PARLEY01-canary"
LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. `kind`: `status` answers with an HTTP status, `error` with `ok: false`, `hang` never
    answers, `reset` cuts the connection unread, `drop` takes the call and then cuts it, `garbage` takes it and
    answers with what is not JSON, `no_ts` without the message's id, `halves` in two parts. `method`: only for calls of it."""

    kind: Literal["status", "error", "hang", "reset", "drop", "garbage", "no_ts", "halves"]
    status: int = 200
    code: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    extra: tuple[tuple[str, Any], ...] = ()
    method: str = ""

    @classmethod
    def error(cls, code: str, *, method: str = "", retry_after: float | None = None, **extra: Any) -> "Fault":
        headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
        status = 429 if code == "ratelimited" else 200
        return cls("error", status, code, headers, tuple(extra.items()), method)

    @classmethod
    def http(cls, status: int, method: str = "", retry_after: float | None = None) -> "Fault":
        headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
        return cls("status", status, headers=headers, method=method)


@dataclass
class Workspace:
    """One installation."""

    token: str
    team: str = TEAM
    name: str = "Acme"
    bot: str = BOT
    bot_id: str = BOT_ID
    scopes: frozenset[str] = ALL_SCOPES
    revoked: str = ""
    """The error that its token is answered with."""
    locked: bool = False
    """Whether its files are answered with the sign-in page."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call, in order of arrival; `ts` if it made a message."""

    method: str
    team: str
    body: Mapping[str, Any]
    accepted: bool
    ts: str = ""

    @property
    def text(self) -> str:
        return str(self.body.get("text", ""))

    @property
    def id(self) -> str:
        """The sender's own id for the message."""
        return str(self.body.get("metadata", {}).get("event_payload", {}).get("id", ""))


@dataclass
class File:
    id: str
    name: str
    length: int
    received: int = 0
    digest: str = ""
    done: bool = False
    mimetype: str = "application/octet-stream"
    shares: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    mode: str = "hosted"
    body: bytes = b""
    pattern: int = 0
    """This many bytes are made up while they are downloaded."""
    url: str = ""


class SlackStandIn:
    """The server. `rotation`: tokens from OAuth end after 12 hours. `slow_shares`: how many looks with `files.info` it
    takes until an uploaded file is shared."""

    def __init__(self, *, rotation: bool = False, slow_shares: int = 0) -> None:
        self.rotation = rotation
        self.slow_shares = slow_shares
        self.workspaces: dict[str, Workspace] = {}
        self.refresh_tokens: dict[str, Workspace] = {}
        self.codes: dict[str, tuple[Workspace, str]] = {}
        self.installs = itertools.count(1)
        self.next_team = TEAM
        self.calls: deque[Recorded] = deque()
        self.files: dict[str, File] = {}
        self.reactions: dict[tuple[str, str], dict[str, list[str]]] = {}
        self.messages: set[tuple[str, str]] = set()
        self.sockets: list[web.WebSocketResponse] = []
        self.tickets: set[str] = set()
        self.acks: dict[str, Any] = {}
        self.connected = asyncio.Event()
        self.url = ""
        self._numbers = itertools.count(1)
        self._faults: list[Fault] = []
        self._stopping = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    @property
    def api(self) -> str:
        return self.url + "/api"

    # Commands

    def add_workspace(self, token: str, **more: Any) -> Workspace:
        found = Workspace(token, **more)
        self.workspaces[token] = found
        return found

    def add_file(self, name: str, mimetype: str, **more: Any) -> File:
        """A file that a customer has sent."""
        given = f"F{next(self._numbers):08d}"
        found = File(given, name, more.pop("length", 0), mimetype=mimetype, done=True, **more)
        found.length = found.length or found.pattern or len(found.body)
        self.files[given] = found
        return found

    def misbehave(self, fault: Fault, times: int = 1) -> None:
        self._faults.extend([fault] * times)

    def made(self, method: str = "chat.postMessage") -> list[Recorded]:
        """The calls of a method that were taken, in order."""
        return [c for c in self.calls if c.method == method and c.accepted]

    # Life

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._stopping.set()
        for socket in self.sockets:
            await socket.close()
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # Serving

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.startswith("/api/"):
            return await self._api(request, path.removeprefix("/api/"))
        if path == "/oauth/v2/authorize":
            return self._authorize(request)
        if path.startswith("/upload/"):
            return await self._take_upload(request, path.removeprefix("/upload/"))
        if path.startswith("/files/"):
            return await self._give_file(request, path.removeprefix("/files/"))
        if path.startswith("/socket/"):
            return await self._socket(request, path.removeprefix("/socket/"))
        return web.Response(status=404)

    def _fault(self, method: str) -> Fault | None:
        for fault in self._faults:
            if fault.method in ("", method):
                self._faults.remove(fault)
                return fault
        return None

    async def _api(self, request: web.BaseRequest, method: str) -> web.StreamResponse:
        fault = self._fault(method)
        if fault and fault.kind == "reset":
            return _cut(request)
        body = _body(request, await request.read())
        if fault and fault.kind == "hang":
            await self._stopping.wait()
        if fault and fault.kind == "status":
            return web.Response(status=fault.status, headers=dict(fault.headers))
        if fault and fault.kind == "error":
            self.calls.append(Recorded(method, "", body, False))
            return _json(
                {"ok": False, "error": fault.code, **dict(fault.extra)}, fault.status, dict(fault.headers)
            )
        try:
            team, answer, scopes = await self._answer(request, method, body)
        except Refusal as refusal:
            self.calls.append(Recorded(method, "", body, False))
            more = {"response_metadata": {"messages": [f"[ERROR] {refusal.why}"]}} if refusal.why else {}
            return _json({"ok": False, "error": refusal.error, **more, **refusal.more})
        self.calls.append(Recorded(method, team, body, True, str(answer.get("ts", ""))))
        if fault and fault.kind == "drop":
            return _cut(request)
        if fault and fault.kind == "garbage":
            return web.Response(text="<html>", content_type="text/html")
        if fault and fault.kind == "no_ts":
            answer = {k: v for k, v in answer.items() if k != "ts"}
        whole = _json({"ok": True, **answer}, headers={"X-OAuth-Scopes": ",".join(sorted(scopes))})
        return await _in_halves(request, whole) if fault and fault.kind == "halves" else whole

    async def _answer(
        self, request: web.BaseRequest, method: str, body: dict[str, Any]
    ) -> tuple[str, dict[str, Any], frozenset[str]]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if method == "oauth.v2.access":
            return "", self._oauth(scheme, token, body), frozenset()
        if method == "apps.connections.open":
            return "", self._open_socket(token), frozenset()
        workspace = self.workspaces.get(token)
        if scheme != "Bearer" or not token:
            raise Refusal("not_authed")
        if workspace is None:
            raise Refusal("invalid_auth")
        if workspace.revoked:
            raise Refusal(workspace.revoked)
        needed = SCOPES.get(method)
        if needed and needed not in workspace.scopes:
            raise Refusal("missing_scope", needed=needed, provided=",".join(sorted(workspace.scopes)))
        call = self._methods().get(method)
        if call is None:
            raise Refusal("unknown_method")
        return workspace.team, call(workspace, body), workspace.scopes

    def _methods(self) -> Mapping[str, Callable[[Workspace, dict[str, Any]], dict[str, Any]]]:
        return {
            "auth.test": self._test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "conversations.open": self._open,
            "reactions.add": self._react,
            "reactions.remove": self._unreact,
            "reactions.get": self._reactions,
            "files.getUploadURLExternal": self._upload_address,
            "files.completeUploadExternal": self._complete,
            "files.info": self._info,
            "assistant.threads.setStatus": self._status,
        }

    # Methods

    def _test(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": f"https://{workspace.name.lower()}.slack.com/",
            "team": workspace.name,
            "user": "parley",
            "team_id": workspace.team,
            "user_id": workspace.bot,
            "bot_id": workspace.bot_id,
            "is_enterprise_install": False,
        }

    def _post(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        check_post(body)
        channel = _channel(body["channel"])
        stamp = ts()
        self.messages.add((channel, stamp))
        return {"channel": channel, "ts": stamp, "message": {"ts": stamp, "bot_id": workspace.bot_id}}

    def _update(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        check_update(body)
        self._there(body["channel"], body.get("ts"))
        return {"channel": body["channel"], "ts": body["ts"]}

    def _delete(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        self._there(body.get("channel"), body.get("ts"))
        self.messages.discard((body["channel"], body["ts"]))
        return {"channel": body["channel"], "ts": body["ts"]}

    def _there(self, channel: object, stamp: object) -> None:
        if (channel, stamp) not in self.messages:
            raise Refusal("message_not_found")

    def _open(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        if not str(body.get("users", "")).startswith(("U", "W")):
            raise Refusal("user_not_found")
        return {"channel": {"id": _channel(body["users"])}}

    def _react(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        check_reaction(body)
        users = self.reactions.setdefault((body["channel"], body["timestamp"]), {}).setdefault(
            body["name"], []
        )
        if workspace.bot in users:
            raise Refusal("already_reacted")
        users.append(workspace.bot)
        return {}

    def _unreact(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        check_reaction(body)
        users = self.reactions.get((body["channel"], body["timestamp"]), {}).get(body["name"], [])
        if workspace.bot not in users:
            raise Refusal("no_reaction")
        users.remove(workspace.bot)
        return {}

    def _reactions(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        found = self.reactions.get((body["channel"], body["timestamp"]), {})
        shown = [{"name": n, "users": list(u), "count": len(u)} for n, u in found.items() if u]
        return {"type": "message", "message": {"ts": body["timestamp"], "reactions": shown}}

    def _status(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        if set(body) != {"channel_id", "thread_ts", "status"}:
            raise Refusal("invalid_arguments")
        return {}

    # Files

    def _upload_address(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        if not body.get("filename") or not str(body.get("length", "")).isdigit() or int(body["length"]) == 0:
            raise Refusal("missing_argument")
        given = f"F{next(self._numbers):08d}"
        self.files[given] = File(given, body["filename"], int(body["length"]))
        return {"upload_url": f"{self.url}/upload/{given}", "file_id": given}

    async def _take_upload(self, request: web.BaseRequest, given: str) -> web.StreamResponse:
        fault = self._fault("upload")
        if fault and fault.kind == "reset":
            return _cut(request)
        file, digest = self.files[given], hashlib.sha256()
        file.received = 0
        if "Authorization" in request.headers:
            return web.Response(status=400, text="a token does not belong here")
        async for part in request.content.iter_chunked(64 * 1024):
            file.received += len(part)
            digest.update(part)
        file.digest = digest.hexdigest()
        if fault:
            return web.Response(status=fault.status)
        if file.received != file.length:
            return web.Response(status=400, text="length")
        return web.Response(text=f"OK - {file.received}")

    def _complete(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        check_share(body)
        if not isinstance(body.get("files"), list) or not body["files"]:
            raise Refusal("invalid_arguments")
        if not str(body.get("channel_id", "")).startswith(("C", "D", "G")):
            raise Refusal("channel_not_found")
        found = [self.files.get(f.get("id", "")) for f in body["files"]]
        if any(f is None or f.done or f.received != f.length for f in found):
            raise Refusal("file_not_found")
        stamp = ts()
        for file in found:
            assert file is not None
            file.done = True
            share = {"ts": stamp} | ({"thread_ts": body["thread_ts"]} if "thread_ts" in body else {})
            file.shares = {body["channel_id"]: [share]}
        self.messages.add((body["channel_id"], stamp))
        # The real one answers before the file is shared.
        return {"files": [{"id": f["id"], "title": f.get("title", "")} for f in body["files"]]}

    def _info(self, workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
        file = self.files.get(body.get("file", ""))
        if file is None:
            raise Refusal("file_not_found")
        shares = {"private": file.shares} if file.shares else {}
        if shares and self.slow_shares:
            self.slow_shares -= 1
            shares = {}
        described = {
            "id": file.id,
            "name": file.name,
            "mimetype": file.mimetype,
            "size": file.length,
            "mode": file.mode,
            "shares": shares,
        }
        if file.mode != "tombstone":
            described["url_private_download"] = file.url or f"{self.url}/files/{file.id}"
        return {"file": described}

    async def _give_file(self, request: web.BaseRequest, given: str) -> web.StreamResponse:
        fault = self._fault("download")
        if fault and fault.kind == "status":
            return web.Response(status=fault.status, headers=dict(fault.headers))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        workspace = self.workspaces.get(token)
        if given.startswith("moved/"):
            return web.Response(status=302, headers={"Location": f"/files/{given.removeprefix('moved/')}"})
        file = self.files[given]
        if scheme != "Bearer" or workspace is None or workspace.revoked or workspace.locked:
            return web.Response(text=LOGIN_PAGE, content_type="text/html")
        response = web.StreamResponse(
            headers={"Content-Length": str(file.length), "Content-Type": file.mimetype}
        )
        await response.prepare(request)
        async for part in _made(file):
            await response.write(part)
            if fault and fault.kind == "drop":
                return _cut(request)
        await response.write_eof()
        return response

    # Installing

    def _authorize(self, request: web.BaseRequest) -> web.StreamResponse:
        """Slack's page, and a person who says yes (or, with `deny` set, no) at once."""
        query = dict(request.query)
        if query.get("client_id") != CLIENT_ID or not set(query.get("scope", "").split(",")) <= ALL_SCOPES:
            return web.Response(status=400, text="invalid client or scope")
        back = {"state": query["state"]}
        if self._fault("deny"):
            back["error"] = "access_denied"
        else:
            code = f"code.{next(self._numbers)}"
            token = f"xoxb-oauth-{next(self.installs)}"
            scopes = frozenset(query["scope"].split(","))
            self.codes[code] = Workspace(token, self.next_team, scopes=scopes), query["redirect_uri"]
            back["code"] = code
        return web.Response(status=302, headers={"Location": f"{query['redirect_uri']}?{urlencode(back)}"})

    def _oauth(self, scheme: str, credentials: str, body: dict[str, Any]) -> dict[str, Any]:
        given = base64.b64decode(credentials).decode() if scheme == "Basic" else ":"
        if given.partition(":")[0] != CLIENT_ID:
            raise Refusal("invalid_client_id")
        if given.partition(":")[2] != CLIENT_SECRET:
            raise Refusal("bad_client_secret")
        if body.get("grant_type") == "refresh_token":
            workspace = self.refresh_tokens.pop(body.get("refresh_token", ""), None)
            if workspace is None:
                raise Refusal("invalid_refresh_token")
            renewed = Workspace(f"xoxe.xoxb-{next(self._numbers)}", workspace.team, scopes=workspace.scopes)
            return self._grant(renewed)
        workspace, redirect = self.codes.pop(body.get("code", ""), (None, ""))
        if workspace is None:
            raise Refusal("invalid_code")
        if body.get("redirect_uri") != redirect:
            raise Refusal("bad_redirect_uri")
        return self._grant(workspace)

    def _grant(self, workspace: Workspace) -> dict[str, Any]:
        self.workspaces[workspace.token] = workspace
        answer: dict[str, Any] = {
            "access_token": workspace.token,
            "token_type": "bot",
            "scope": ",".join(sorted(workspace.scopes)),
            "bot_user_id": workspace.bot,
            "app_id": APP,
            "team": {"id": workspace.team, "name": workspace.name},
            "enterprise": None,
            "is_enterprise_install": False,
            "authed_user": {"id": "U0ADMIN001"},
        }
        if self.rotation:
            refresh = f"xoxe-1-{next(self._numbers)}"
            self.refresh_tokens[refresh] = workspace
            answer |= {"refresh_token": refresh, "expires_in": 43_200}
        return answer

    # Socket Mode

    def _open_socket(self, token: str) -> dict[str, Any]:
        if token != APP_TOKEN:
            raise Refusal("invalid_auth")
        ticket = f"ticket-canary-{next(self._numbers)}"
        self.tickets.add(ticket)
        return {"url": f"{self.url.replace('http', 'ws', 1)}/socket/{ticket}"}

    async def _socket(self, request: web.BaseRequest, ticket: str) -> web.StreamResponse:
        if ticket not in self.tickets:
            return web.Response(status=408)
        self.tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": APP}})
        self.sockets.append(socket)
        self.connected.set()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                ack = json.loads(message.data)
                self.acks[ack["envelope_id"]] = ack.get("payload")
        return socket

    async def envelope(
        self, payload: Mapping[str, Any], kind: str = "events_api", socket: int = -1, envelope: str = ""
    ) -> str:
        """Send an envelope over one of the sockets; its id."""
        given = envelope or f"envelope-{next(self._numbers)}"
        frame = {"type": kind, "envelope_id": given, "payload": payload}
        await self.sockets[socket].send_json(frame | {"accepts_response_payload": kind != "events_api"})
        return given

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask the app to open another socket."""
        self.connected.clear()
        await self.sockets[-1].send_json(
            {"type": "disconnect", "reason": reason, "debug_info": {"host": "x"}}
        )


async def _made(file: File) -> AsyncIterator[bytes]:
    if file.body:
        yield file.body
    part = bytes(range(256)) * 256
    for start in range(0, file.pattern, len(part)):
        yield part[: min(len(part), file.pattern - start)]


def _channel(address: str) -> str:
    """Where a message to a person goes: their direct message with the app."""
    if address.startswith(("U", "W")):
        return "D" + address[1:]
    if not address.startswith(("C", "D", "G")):
        raise Refusal("channel_not_found")
    return address


def _body(request: web.BaseRequest, raw: bytes) -> dict[str, Any]:
    if request.content_type == "application/json":
        found = json.loads(raw or b"{}")
        return found if isinstance(found, dict) else {}
    return dict(parse_qsl(raw.decode()))


def _json(doc: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(doc).encode(),
        content_type="application/json",
        headers=dict(headers or {}),
    )


async def _in_halves(request: web.BaseRequest, whole: web.Response) -> web.StreamResponse:
    """The same answer, its second half after the first has arrived."""
    assert isinstance(whole.body, bytes)
    half = len(whole.body) // 2
    answer = web.StreamResponse(headers=whole.headers)
    answer.content_length = len(whole.body)
    await answer.prepare(request)
    await answer.write(whole.body[:half])
    for _ in range(50):  # rounds of the loop that the reader is in, too
        await asyncio.sleep(0)
    await answer.write(whole.body[half:])
    return answer


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
