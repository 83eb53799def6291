"""A stand-in for Telegram's Bot API: a real local HTTP server that checks what it is sent, remembers it, delivers
updates to webhooks and to those who ask, and can be told to misbehave.

    async with BotApi() as api:
        api.add_bot(TOKEN, "acme_bot")
        adapter = TelegramAdapter(api.url, …)
        api.misbehave(Fault.error(403, "Forbidden: bot was blocked by the user"))

Rules are in `bot_api_rules`. Uploaded bytes are counted and hashed, not kept.
"""

import asyncio
import itertools
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from tests.providers.bot_api_parts import (
    FIELDS,
    MB,
    PART,
    Bot,
    Fault,
    Recorded,
    StoredFile,
    Upload,
    check_upload,
    read_request,
    shown,
)
from tests.providers.bot_api_rules import Refusal, bad, check

__all__ = ["MB", "Bot", "BotApi", "BotApiThread", "Fault", "Recorded", "StoredFile", "Upload"]

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_PATH = re.compile(r"/bot(\d+:[\w-]+)/([A-Za-z]+)")
_FILE = re.compile(r"/file/bot(\d+:[\w-]+)/(.+)")
T = TypeVar("T")


class BotApi:
    """The server. `gateway` is where webhooks really go: Telegram only takes public https addresses, so the path of
    the one that was set is called there."""

    def __init__(self) -> None:
        self.bots: dict[str, Bot] = {}
        self.calls: deque[Recorded] = deque()
        self.sent: dict[tuple[int, int], dict[str, Any]] = {}
        self.files: dict[str, StoredFile] = {}
        self.blocked: set[int] = set()
        self.unknown: set[int] = set()
        self.migrated: dict[int, int] = {}
        self.answered: list[str] = []
        self.url = ""
        self.gateway = ""
        self.retry = 0.01
        self._faults: deque[Fault] = deque()
        self._paths: dict[str, StoredFile] = {}
        self._ids = itertools.count(1000)
        self._stopping = asyncio.Event()
        self._runner: web.ServerRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._deliveries: set[asyncio.Task[None]] = set()

    # Commands

    def add_bot(self, token: str, username: str = "acme_bot", **me: Any) -> Bot:
        bot = Bot(int(token.partition(":")[0]), username, {"can_join_groups": True, **me})
        self.bots[token] = bot
        return bot

    def misbehave(self, fault: Fault, times: int = 1) -> None:
        self._faults.extend([fault] * times)

    def of(self, method: str) -> list[Recorded]:
        """The calls of a method that were taken."""
        return [call for call in self.calls if call.method == method and call.result is not None]

    def update(self, token: str, update: Mapping[str, Any]) -> int:
        """Something happened: delivered to the bot's webhook, or kept until it asks. Returns the update's id."""
        bot = self.bots[token]
        number = next(bot.numbers)
        bot.updates.append({"update_id": number, **update})
        bot.changed.set()
        if bot.webhook.get("url"):
            self._deliver_soon(bot)
        return number

    def press(self, token: str, message: Mapping[str, Any], data: str, user: Mapping[str, Any]) -> int:
        """The customer presses a button of a message that was sent."""
        query = {
            "id": f"q{next(self._ids)}",
            "from": user,
            "chat_instance": "1",
            "message": message,
            "data": data,
        }
        return self.update(token, {"callback_query": query})

    async def delivered(self) -> None:
        """Until every delivery under way has ended."""
        while self._deliveries:
            await asyncio.gather(*self._deliveries)

    # Life

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._stopping.set()
        for task in self._deliveries:
            task.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        if self._session:
            await self._session.close()
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
        if found := _FILE.fullmatch(request.path):
            return await self._download(request, found[1], found[2])
        path = _PATH.fullmatch(request.path)
        fault = self._next_fault(path[2] if path else "")
        if fault and fault.kind == "reset":
            return _cut(request)
        try:
            if path is None:
                raise Refusal(404, "Not Found")
            params, files = await read_request(request)
            if path[1] not in self.bots:
                raise Refusal(401, "Unauthorized")
            seen = Recorded(
                time.monotonic(), path[1], path[2], params, files, fault=fault.kind if fault else None
            )
            self.calls.append(seen)
            if fault and fault.kind == "hang":
                await self._stopping.wait()
            if fault and fault.kind == "status":
                return web.Response(status=fault.status, text="<html>")
            if fault and fault.kind == "error":
                raise Refusal(fault.status, fault.description, dict(fault.parameters))
            seen.result = await self._answer(path[1], path[2], params, files)
            return self._told(request, seen, fault)
        except Refusal as refusal:
            return _refused(refusal)

    def _told(self, request: web.BaseRequest, seen: Recorded, fault: Fault | None) -> web.StreamResponse:
        match fault.kind if fault else None:
            case "drop":
                return _cut(request)
            case "garbage":
                return web.Response(text="<html>", content_type="text/html")
            case "no_id":
                return web.json_response({"ok": True, "result": {}})
        return web.json_response({"ok": True, "result": seen.result})

    def _next_fault(self, method: str) -> Fault | None:
        for fault in self._faults:
            if fault.method in (None, method):
                self._faults.remove(fault)
                return fault
        return None

    async def _answer(
        self, token: str, method: str, params: Mapping[str, Any], files: Mapping[str, Upload]
    ) -> Any:
        bot, made = self.bots[token], check(method, params)
        if "chat_id" in params:
            self._reach(params["chat_id"])
        match method:
            case "getMe":
                return _me(bot)
            case "setWebhook":
                bot.webhook = dict(params)
                self._deliver_soon(bot)
                return True
            case "deleteWebhook":
                bot.webhook = {}
                return True
            case "getWebhookInfo":
                return _webhook_info(bot)
            case "getUpdates":
                return await self._updates(bot, params)
            case "setMyCommands":
                bot.commands[params.get("language_code", "")] = params["commands"]
                return True
            case "getMyCommands":
                return bot.commands.get(params.get("language_code", ""), [])
            case "getFile":
                return self._file(params["file_id"])
            case "answerCallbackQuery":
                self.answered.append(params["callback_query_id"])
                return True
            case "deleteMessage":
                if self.sent.pop((params["chat_id"], params["message_id"]), None) is None:
                    raise bad("message to delete not found")
                return True
            case "sendMediaGroup":
                return self._album(bot, params, files)
        if method.startswith("edit"):
            return self._edit(method, params, files, made)
        return self._message(bot, method, params, files, made) if method in _SENDING else True

    def _reach(self, chat: int) -> None:
        if chat in self.migrated:
            text = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, text, {"migrate_to_chat_id": self.migrated[chat]})
        if chat in self.blocked:
            kicked = "bot was kicked from the group chat" if chat < 0 else "bot was blocked by the user"
            raise Refusal(403, f"Forbidden: {kicked}")
        if chat in self.unknown:
            raise bad("chat not found")

    # Messages

    def _message(
        self,
        bot: Bot,
        method: str,
        params: Mapping[str, Any],
        files: Mapping[str, Upload],
        made: dict[str, Any],
    ) -> dict[str, Any]:
        self._answers(params)
        field = _field(method)
        if field in FIELDS:
            made |= self._attached(field, params[field], files)
        return self._kept(bot, params, made)

    def _kept(self, bot: Bot, params: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
        chat, number = params["chat_id"], next(self._ids)
        message = {
            "message_id": number,
            "date": int(time.time()),
            "chat": _chat(chat),
            "from": _me(bot),
            **made,
        }
        if "message_thread_id" in params:
            message |= {"message_thread_id": params["message_thread_id"], "is_topic_message": True}
        self.sent[chat, number] = message
        return {key: value for key, value in message.items() if not key.startswith("_")}

    def _answers(self, params: Mapping[str, Any]) -> None:
        reply = params.get("reply_parameters")
        if not reply or reply.get("allow_sending_without_reply") is True:
            return
        if (params["chat_id"], reply["message_id"]) not in self.sent:
            raise bad("message to be replied not found")

    def _album(
        self, bot: Bot, params: Mapping[str, Any], files: Mapping[str, Upload]
    ) -> list[dict[str, Any]]:
        self._answers(params)
        group = str(next(self._ids))
        made = [self._attached(item["type"], item["media"], files) for item in params["media"]]
        return [self._kept(bot, params, {**m, "media_group_id": group}) for m in made]

    def _attached(self, field: str, value: str, files: Mapping[str, Upload]) -> dict[str, Any]:
        if value.startswith(("http://", "https://")):
            return self._stored(field, StoredFile(1000, field))
        if value.startswith("attach://"):
            upload = files.get(value.removeprefix("attach://"))
            if upload is None:
                raise bad("file must be non-empty")
            check_upload(field, upload)
            return self._stored(field, StoredFile(upload.size, field, upload.mime))
        if value not in self.files:
            raise bad("wrong remote file identifier specified: Wrong string length")
        if self.files[value].kind != field:
            raise bad(f"can't use file of type {self.files[value].kind.title()} as {field.title()}")
        return shown(field, value, self.files[value])

    def _stored(self, field: str, stored: StoredFile) -> dict[str, Any]:
        if field == "document" and stored.mime == "image/gif":
            field, stored = "animation", StoredFile(stored.size, "animation", "video/mp4")
        file_id = f"AgAC{next(self._ids)}-{field}"
        self.files[file_id] = stored
        return shown(field, file_id, stored)

    def _edit(
        self, method: str, params: Mapping[str, Any], files: Mapping[str, Upload], made: dict[str, Any]
    ) -> dict[str, Any]:
        message = self.sent.get((params["chat_id"], params["message_id"]))
        if message is None:
            raise bad("message to edit not found")
        if message.get("_keyboard"):
            raise bad("message can't be edited")
        if method == "editMessageText" and "text" not in message:
            raise bad("there is no text in the message to edit")
        if method == "editMessageCaption" and not message.keys() & set(FIELDS):
            raise bad("there is no caption in the message to edit")
        if method == "editMessageMedia":
            made |= self._attached(params["media"]["type"], params["media"]["media"], files)
        gone = {"reply_markup", "entities", "caption", "caption_entities"}
        changed = {k: v for k, v in message.items() if k not in gone} | made
        if {k: v for k, v in message.items() if k != "edit_date"} == changed:
            text = "message is not modified: specified new message content and reply markup are exactly the same as a "
            raise bad(text + "current content and reply markup of the message")
        self.sent[params["chat_id"], params["message_id"]] = changed | {"edit_date": int(time.time())}
        return self.sent[params["chat_id"], params["message_id"]]

    # Files

    def _file(self, file_id: str) -> dict[str, Any]:
        stored = self.files.get(file_id)
        if stored is None:
            raise bad("invalid file_id")
        if stored.size > 20 * MB:
            raise bad("file is too big")
        path = f"{stored.kind}s/file_{len(self._paths)}.bin"
        self._paths[path] = stored
        return {"file_id": file_id, "file_unique_id": "u", "file_size": stored.size, "file_path": path}

    async def _download(self, request: web.BaseRequest, token: str, path: str) -> web.StreamResponse:
        stored = self._paths.get(path)
        fault = self._next_fault("file")
        if fault and fault.kind == "status":
            return web.Response(status=fault.status)
        if token not in self.bots or stored is None or stored.missing:
            return web.json_response({"ok": False, "error_code": 404, "description": "Not Found"}, status=404)
        response = web.StreamResponse(
            headers={"Content-Length": str(stored.size), "Content-Type": stored.mime}
        )
        await response.prepare(request)
        left = stored.size if stored.cut is None else stored.cut
        while left > 0:
            await response.write(b"\x07" * min(left, PART))
            left -= PART
        if stored.cut is not None:
            return _cut(request)
        return response

    # Updates

    async def _updates(self, bot: Bot, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """https://core.telegram.org/bots/api#getupdates: an offset confirms all that is before it."""
        if bot.webhook.get("url"):
            text = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            raise Refusal(409, text)
        if bot.poll is not None:
            bot.poll.set()
        mine = bot.poll = asyncio.Event()
        while bot.updates and bot.updates[0]["update_id"] < params.get("offset", 0):
            bot.confirmed.append(bot.updates.popleft()["update_id"])
        until = asyncio.get_running_loop().time() + params.get("timeout", 0)
        try:
            while not bot.updates and (left := until - asyncio.get_running_loop().time()) > 0:
                bot.changed.clear()
                waits = [asyncio.ensure_future(e.wait()) for e in (bot.changed, mine, self._stopping)]
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
                if mine.is_set():
                    text = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
                    raise Refusal(409, text)
                if self._stopping.is_set():
                    break
        finally:
            if bot.poll is mine:
                bot.poll = None
        return list(itertools.islice(bot.updates, params.get("limit", 100)))

    def _deliver_soon(self, bot: Bot) -> None:
        task = asyncio.ensure_future(self._deliver(bot))
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, bot: Bot) -> None:
        """Deliver what waits, in order, each again until it is taken."""
        async with bot.one:
            while bot.updates and bot.webhook.get("url") and not self._stopping.is_set():
                update = bot.updates.popleft()
                while not await self._delivered(bot, update):
                    await asyncio.sleep(self.retry)

    async def _delivered(self, bot: Bot, update: Mapping[str, Any]) -> bool:
        headers = {SECRET_HEADER: bot.webhook["secret_token"]} if bot.webhook.get("secret_token") else {}
        path = urlsplit(bot.webhook["url"]).path
        assert self._session is not None
        try:
            async with self._session.post(self.gateway + path, json=update, headers=headers) as answer:
                if answer.ok:
                    return True
                bot.last_error = f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except aiohttp.ClientError:
            bot.last_error = "Connection refused"
        bot.last_error_date = int(time.time())
        return False


class BotApiThread:
    """A `BotApi` in a thread with its own event loop, for tests that drive the gateway as another process. Its methods
    that change something are to be called through `call`."""

    def __init__(self, api: BotApi) -> None:
        self.api = api
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bot-api-stand-in", daemon=True)

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call it in the stand-in's own loop."""

        async def called() -> T:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(10)

    def __enter__(self) -> BotApi:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.api.start(), self._loop).result(10)
        return self.api

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self.api.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


_SENDING = frozenset(
    {"sendMessage", "sendLocation", "sendVenue", "sendContact", "sendDocument", "sendSticker"}
) | {f"send{kind}" for kind in ("Photo", "Video", "Animation", "Audio", "Voice", "VideoNote")}


def _field(method: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", method.removeprefix("send")).lower()


def _me(bot: Bot) -> dict[str, Any]:
    return {"id": bot.id, "is_bot": True, "first_name": "Acme", "username": bot.username, **bot.me}


def _chat(chat: int) -> dict[str, Any]:
    return (
        {"id": chat, "type": "private", "first_name": "Ana"}
        if chat > 0
        else {"id": chat, "type": "supergroup", "title": "G"}
    )


def _webhook_info(bot: Bot) -> dict[str, Any]:
    found: dict[str, Any] = {"url": bot.webhook.get("url", ""), "has_custom_certificate": False}
    found["pending_update_count"] = len(bot.updates)
    if bot.last_error:
        found |= {"last_error_date": bot.last_error_date, "last_error_message": bot.last_error}
    keys = ("max_connections", "allowed_updates", "ip_address")
    return found | {key: bot.webhook[key] for key in keys if key in bot.webhook}


def _refused(refusal: Refusal) -> web.Response:
    doc: dict[str, Any] = {"ok": False, "error_code": refusal.status, "description": refusal.description}
    return web.json_response(
        doc | ({"parameters": dict(refusal.parameters)} if refusal.parameters else {}), status=refusal.status
    )


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
