"""A stand-in for Meta's Graph API: a real local HTTP server that checks what it is sent, remembers it, and
can be told to misbehave.

    async with GraphStandIn(tokens={"token": {"106540352242922"}}) as graph:
        adapter = WhatsAppAdapter(graph.url, …)
        graph.misbehave(Fault.error(131047))

`GraphThread` runs it in a thread of its own for tests that drive the gateway as another process, and
`python -m tests.providers.graph --token T --phone P` runs it alone: it prints its address, shows requests at
`GET /_requests` and takes `{"kind", "status", "code", "seconds", "times"}` at `POST /_faults`.

A fault may be meant for one kind of request only: `Fault.http(500, only="/media")`. Uploads and customers' files are
`graph.files`, what the doctor asks for is `graph.account`.

Rules follow https://developers.facebook.com/documentation/business-messaging/whatsapp/reference and the pages
on interactive messages.
"""

import argparse
import asyncio
import itertools
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

from tests.providers.graph_account import Account
from tests.providers.graph_files import Files
from tests.providers.graph_rules import Refusal, check_message
from tests.providers.graph_templates import Templates

_PATH = re.compile(r"/v\d{1,2}\.\d/(\w{1,64}|upload:\w{1,64})(?:/(\w{1,64}))?")
_LOOKS = ("/message_templates", "fields=quality_rating")
"""What the gateway asks for by itself now and then: a fault that is meant for something else is not to be used up by it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. `kind`: `status` answers with an HTTP status, `error` with a Graph error code,
    `hang` never answers, `reset` cuts the connection unread, `drop` takes the message and then cuts it,
    `slow` answers after `seconds`, `garbage` takes the message and answers with what is not JSON, `no_id`
    without the id."""

    kind: Literal["status", "error", "hang", "reset", "drop", "slow", "garbage", "no_id"]
    status: int = 400
    code: int = 0
    seconds: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()
    extra: tuple[tuple[str, Any], ...] = ()
    only: str = ""
    """Part of the path of the requests that it is for; empty: any."""

    @classmethod
    def error(cls, code: int, status: int = 400, **extra: Any) -> "Fault":
        only = str(extra.pop("only", ""))
        return cls("error", status=status, code=code, extra=tuple(extra.items()), only=only)

    @classmethod
    def http(cls, status: int, retry_after: float | str | None = None, only: str = "") -> "Fault":
        headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
        return cls("status", status=status, headers=headers, only=only)

    @classmethod
    def throttle(cls, retry_after: float | None = None, code: int = 130429) -> "Fault":
        return replace(cls.http(429, retry_after), kind="error", code=code)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request, in order of arrival. `at` is `time.monotonic()`. `accepted` says that the message was
    taken, whether or not the sender was told; then `wamid` is its id."""

    at: float
    phone: str
    token: str
    body: Mapping[str, Any]
    accepted: bool
    wamid: str | None = None
    fault: str | None = None

    @property
    def message(self) -> str | None:
        """The sender's own id for the message."""
        value = self.body.get("biz_opaque_callback_data")
        return value if isinstance(value, str) else None

    @property
    def text(self) -> str | None:
        value = self.body.get("text") or (self.body.get("interactive") or {}).get("body")
        return (value.get("body") or value.get("text")) if isinstance(value, dict) else None


class GraphStandIn:
    """The server. `tokens` says which phone number ids each token may use; without it every token passes.

    `record=False` keeps no requests, for long benchmarks; `accepted` counts in any case. All methods but
    start and stop may be called from another thread.
    """

    def __init__(
        self,
        tokens: Mapping[str, set[str]] | None = None,
        *,
        record: bool = True,
        on_accept: Callable[[Recorded], None] | None = None,
    ) -> None:
        self.tokens = tokens
        self.requests: deque[Recorded] = deque()
        self.reads: deque[Recorded] = deque()
        self.accepted = 0
        self.url = ""
        self.files = Files(lambda: self.url)
        self.account = Account()
        self.templates = Templates(self.account)
        self._record = record
        self._on_accept = on_accept
        self._faults: deque[Fault] = deque()
        self._always: Fault | None = None
        self._ids = itertools.count(1)
        self._stopping = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    # Commands

    def misbehave(self, fault: Fault, times: int = 1) -> None:
        """Apply the fault to the next `times` requests that are not yet spoken for."""
        self._faults.extend([fault] * times)

    def always(self, fault: Fault | None) -> None:
        """Apply the fault to every request from now on; None ends it."""
        self._always = fault

    def messages(self) -> list[Recorded]:
        """The messages that were taken, in order."""
        return [request for request in self.requests if request.accepted]

    # Life

    async def start(self, port: int = 0) -> None:
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._stopping.set()
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
        if request.path.startswith("/_"):
            return await self._control(request)
        fault = self._next_fault(request.path_qs)
        if fault and fault.kind == "reset":
            return _cut(request)
        if fault and fault.kind in ("hang", "slow"):
            await self._wait(fault.seconds if fault.kind == "slow" else None)
        if request.path.startswith("/files/"):
            return (_refusing(fault) if fault else None) or await self.files.serve(request)
        try:
            return await self._answer(request, fault)
        except Refusal as refusal:
            # What is told of templates is written for whoever wrote them.
            told: dict[str, Any] = {"error_user_msg": refusal.details} if refusal.subcode > 2_000_000 else {}
            return _error(refusal.status, refusal.code, refusal.details, subcode=refusal.subcode, **told)

    def _next_fault(self, path: str) -> Fault | None:
        looks = any(part in path for part in _LOOKS)
        for fault in list(self._faults):
            if fault.only in path and (fault.only or not looks):
                self._faults.remove(fault)
                return fault
        always = self._always
        return always if always and always.only in path and (always.only or not looks) else None

    async def _wait(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            pass

    async def _answer(self, request: web.BaseRequest, fault: Fault | None) -> web.StreamResponse:
        token = self._admit(request)
        path = _PATH.fullmatch(request.path)
        if not path:
            raise Refusal(100, "Unsupported request. Object does not exist.", subcode=33)
        name, edge = path[1], path[2] or ""
        if self.templates.knows(request.method, name, edge):
            refused = _refusing(fault) if fault else None
            return refused or _json(await self.templates.answer(request, name, edge))
        if request.method == "GET":
            refused = _refusing(fault) if fault else None
            return refused or _json(self._told(request, name, edge, token))
        self._check_owner(name, token)
        if edge == "media":
            return await self._upload(request, name, fault)
        if edge != "messages":
            raise Refusal(100, "Unsupported post request.", subcode=33)
        return self._message(request, await request.read(), name, token, fault)

    def _admit(self, request: web.BaseRequest) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme == "OAuth" and "/upload:" in request.path:
            scheme = "Bearer"
        known = self.tokens is None or token in self.tokens or "|" in token
        if scheme != "Bearer" or not token or not known:
            raise Refusal(190, "Invalid OAuth access token.", status=401)
        return token

    def _check_owner(self, name: str, token: str) -> None:
        if self.tokens is not None and name not in self.tokens.get(token, ()):
            raise Refusal(100, "Unsupported request. Object does not exist.", subcode=33)

    def _told(self, request: web.BaseRequest, name: str, edge: str, token: str) -> Mapping[str, Any]:
        """The answer to a question: about the token, a file, a number, the account or the app."""
        if name == "debug_token":
            return self.account.debug()
        if not edge and (name in self.files.offers or "phone_number_id" in request.query):
            return self.files.look_up(name)
        numbers = sorted(self.tokens.get(token, ())) if self.tokens is not None else [name]
        if edge or name == self.account.waba:
            return self.account.answer(name, edge, numbers, token)
        self._check_owner(name, token)
        self.account.prove(token, request.query.get("appsecret_proof"))
        return {"id": name, **self.account.number}

    async def _upload(self, request: web.BaseRequest, phone: str, fault: Fault | None) -> web.StreamResponse:
        if fault and (refused := _refusing(fault)):
            return refused
        upload = await self.files.receive(request, phone)
        if fault and fault.kind == "drop":
            return _cut(request)
        if fault and fault.kind == "garbage":
            return web.Response(text="<html>", content_type="text/html")
        return _json({} if fault and fault.kind == "no_id" else {"id": upload.id})

    def _message(
        self, request: web.BaseRequest, raw: bytes, phone: str, token: str, fault: Fault | None
    ) -> web.StreamResponse:
        body = _body(request, raw)
        seen = Recorded(time.monotonic(), phone, token, body, False, fault=fault.kind if fault else None)
        if fault and (answer := _refusing(fault)):
            self._keep(seen)
            return answer
        try:
            check_message(body, self.files.known)
        except Refusal:
            self._keep(seen)
            raise
        if body.get("status") == "read":
            self.reads.append(seen)
            return _json({"success": True})
        return self._accept(request, seen, fault)

    def _accept(self, request: web.BaseRequest, seen: Recorded, fault: Fault | None) -> web.StreamResponse:
        taken = replace(seen, accepted=True, wamid=f"wamid.STANDIN{next(self._ids):010d}")
        self.accepted += 1
        self._keep(taken)
        if self._on_accept:
            self._on_accept(taken)
        match fault.kind if fault else None:
            case "drop":
                return _cut(request)
            case "garbage":
                return web.Response(text="<html>", content_type="text/html")
            case "no_id":
                return _json({"messaging_product": "whatsapp", "contacts": [], "messages": []})
        return _json(_accepted(taken))

    def _keep(self, seen: Recorded) -> None:
        if self._record:
            self.requests.append(seen)

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/_faults" and request.method == "POST":
            wish = await request.json()
            times = int(wish.pop("times", 1))
            wish["headers"] = tuple((str(k), str(v)) for k, v in dict(wish.get("headers", {})).items())
            self.misbehave(Fault(**wish), times)
            return _json({"ok": True})
        seen = [{"at": r.at, "phone": r.phone, "body": r.body, "wamid": r.wamid} for r in self.messages()]
        return _json({"accepted": self.accepted, "messages": seen})


class GraphThread:
    """A `GraphStandIn` in a thread with its own event loop."""

    def __init__(self, graph: GraphStandIn) -> None:
        self.graph = graph
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="graph-stand-in", daemon=True)

    def __enter__(self) -> GraphStandIn:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.graph.start(), self._loop).result(10)
        return self.graph

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self.graph.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _body(request: web.BaseRequest, raw: bytes) -> Mapping[str, Any]:
    if request.content_type != "application/json":
        raise Refusal(100, "The body must be JSON.")
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refusal(100, "The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(100, "The body must be an object.")
    return body


def _refusing(fault: Fault) -> web.Response | None:
    if fault.kind == "status":
        return web.Response(status=fault.status, headers=dict(fault.headers), text="")
    if fault.kind == "error":
        return _error(fault.status, fault.code, "as told", dict(fault.headers), **dict(fault.extra))
    return None


def _error(
    status: int, code: int, details: str, headers: Mapping[str, str] | None = None, **extra: Any
) -> web.Response:
    subcode = extra.pop("subcode", 0)
    error: dict[str, Any] = {
        "message": f"(#{code}) {details}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details},
        "fbtrace_id": "AStandInTrace",
    }
    error |= ({"error_subcode": subcode} if subcode else {}) | extra
    return _json({"error": error}, status, headers)


def _accepted(taken: Recorded) -> dict[str, Any]:
    to, user = taken.body.get("to"), taken.body.get("recipient")
    contact = {"input": to, "wa_id": str(to).removeprefix("+")} if to else {"input": user, "user_id": user}
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": taken.wamid}]}


def _json(doc: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    data = json.dumps(doc).encode()
    return web.Response(
        status=status, body=data, content_type="application/json", headers=dict(headers or {})
    )


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--token")
    options.add_argument("--phone", action="append", default=[])
    options.add_argument("--no-record", action="store_true")
    chosen = options.parse_args()
    tokens = {chosen.token: set(chosen.phone)} if chosen.token else None
    graph = GraphStandIn(tokens, record=not chosen.no_record)
    await graph.start(chosen.port)
    print(graph.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
