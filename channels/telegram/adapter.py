"""The Telegram Bot API as a channel: the port's methods over the modules beside this file."""

import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import aiohttp
from loguru import logger

from channels.read import mapping, short_id, word
from channels.telegram import parse, payload, setup
from channels.telegram.api import Api, Call, sequence
from channels.telegram.errors import is_done
from channels.telegram.places import place_of
from gateway.model.capabilities import Capabilities, MediaRule
from gateway.model.content import Album, Content, Deleted, Edit, Media, MediaKind, Reaction, Request
from gateway.model.conversation import Conversation
from gateway.model.errors import NotAuthentic, NotForUs, NotFound, SendError
from gateway.model.lanes import Rate, Rates
from gateway.model.message import Message
from gateway.model.ports import (
    Clock,
    Connected,
    Download,
    Files,
    Finding,
    Outgoing,
    Parsed,
    Sent,
    Setting,
    Take,
)
from gateway.model.tenant import Channel, ChannelKind

SETTINGS: Final = (
    Setting("token", "the bot's token, from @BotFather", secret=True),
    Setting(
        "secret_token",
        "proves that a call is Telegram's; made up for you",
        True,
        made=lambda: secrets.token_urlsafe(32),
    ),
    Setting(
        "poll", "read messages by asking, for a machine without a public address", required=False, flag=True
    ),
)

MB: Final = 1024 * 1024
PICTURE_BYTES: Final = 10 * MB
PICTURE_SIDES: Final = 10_000
KEPT: Final = timedelta(days=3652)
"""How long a file's id is good: Telegram names no end."""

RATES: Final = Rates(account=Rate(25, burst=5), recipient=Rate(1, burst=3))
GROUP_RATES: Final = Rates(account=RATES.account, recipient=Rate(15 / 60, burst=5))
"""30 messages a second a bot, one a second a chat (short bursts pass), 20 a minute a group, counting the bursts.
https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this"""

LOST_FILE: Final = "telegram:400_file_id"

POLL_SECONDS: Final = 50
POLL_TIMEOUT: Final = aiohttp.ClientTimeout(
    total=POLL_SECONDS + 25, sock_connect=5, sock_read=POLL_SECONDS + 15
)
_REMEMBERED_KEYBOARDS: Final = 10_000


def _media() -> Mapping[MediaKind, MediaRule]:
    """https://core.telegram.org/bots/api#sending-files and each method's own page."""
    return {
        "image": MediaRule(PICTURE_BYTES, frozenset({"image/jpeg", "image/png", "image/webp"}), 1024),
        "video": MediaRule(50 * MB, frozenset({"video/mp4"}), 1024),
        "audio": MediaRule(50 * MB, frozenset({"audio/mpeg", "audio/mp4", "audio/m4a", "audio/x-m4a"}), 1024),
        "voice": MediaRule(50 * MB, frozenset({"audio/ogg", "audio/opus"}), 1024),
        "document": MediaRule(50 * MB, caption=1024),
        "sticker": MediaRule(512 * 1024, frozenset({"image/webp", "application/x-tgsticker", "video/webm"})),
    }


class TelegramAdapter:
    """One for the process. `session` is the shared one; `api_url` the Bot API's base address. Read from a channel:
    `account` (the bot's id), `config["username"]`, `config["poll"]`, the secrets `token` and `secret_token`."""

    kind: ChannelKind = "telegram"
    capabilities = Capabilities(
        # One less than Telegram takes: buttons with long ids need an invisible character (see `choices`).
        text_length=payload.TEXT_LENGTH - 1,
        kinds=frozenset({"location", "contacts", "link", "reaction", "edit", "deleted"}),
        requests=frozenset({"location", "phone"}),
        media=_media(),
        album=10,
        buttons=12,
        button_length=64,
        button_text_length=payload.TEXT_LENGTH - 1,
        list_rows=50,
        row_length=64,
        rates=RATES,
        typing=True,
        drafts=True,
    )
    signature_header = "X-Telegram-Bot-Api-Secret-Token"
    signing_secret = "secret_token"  # noqa: S105
    paths: tuple[str, ...] = ("/{channel}",)
    settings: tuple[Setting, ...] = SETTINGS
    pulls_app = False

    def __init__(self, api_url: str, session: aiohttp.ClientSession, clock: Clock, files: Files) -> None:
        self._api = Api(api_url, session, clock)
        self._clock = clock
        self._files = files
        self._keyboards: OrderedDict[tuple[str, str], None] = OrderedDict()

    # Who calls

    def accounts(self, body: bytes) -> Sequence[str]:
        raise NotForUs("every bot has an address of its own")

    def greeting(self, body: bytes) -> str | None:
        return None

    def verify(self, secret: str, headers: Mapping[str, str], body: bytes) -> None:
        given = headers.get(self.signature_header.lower(), "")
        # Bytes on both sides: comparing strings raises on a header that is not ASCII.
        same = hmac.compare_digest(_bytes(secret), _bytes(given))
        if not (same and secret):
            raise NotAuthentic

    def challenge(self, verify_token: str, query: Mapping[str, str]) -> str:
        raise NotAuthentic

    def parse(self, channel: Channel, body: bytes) -> Parsed:
        return parse.parse(channel.account, word(channel.config.get("username")), body, self._clock())

    # Sending

    async def send(self, channel: Channel, message: Outgoing) -> Sent:
        try:
            content, result = await self._hand_over(channel, message)
        except SendError as error:
            if error.code != LOST_FILE or not await self._forget(channel, message.content):
                raise
            content, result = await self._hand_over(channel, message)
        if isinstance(message.content, Edit | Deleted | Reaction):
            # It has no id of its own; that of the message it is about belongs to that message.
            return Sent(f"{message.content.to}#{message.id}")
        sent = [mapping(m) for m in (result if isinstance(result, list) else [result])]
        number = short_id(sent[0].get("message_id")) if sent else ""
        if not number:
            # Taken, as far as the status says, but without the id that answers will name.
            raise SendError(
                "telegram:no_id", "Telegram's answer holds no message id.", True, outcome="unknown"
            )
        await self._remember(channel, content, sent)
        return Sent(place_of(message.address).reference(number))

    async def _hand_over(self, channel: Channel, message: Outgoing) -> tuple[Content, Any]:
        """The content as it went out, and what Telegram made of it."""
        content, sources = await self._sourced(channel, message.content)
        call = self._without_keyboard(
            channel, message, payload.message(replace(message, content=content), sources)
        )
        try:
            result = await self._api.call(channel, call)
        except SendError as error:
            if not is_done(error):
                raise
            result = True
        self._note_keyboard(channel, message, call)
        return content, result

    def rates(self, channel: Channel, address: str) -> Rates:
        return GROUP_RATES if address.startswith("-") else RATES

    async def mark_read(self, channel: Channel, message: Message, address: str, typing: bool) -> None:
        place = place_of(address)
        if query := word(message.extra.get("callback")):
            await self._best(channel, Call("answerCallbackQuery", {"callback_query_id": query}))
        if typing:
            params = {k: v for k, v in place.params().items() if k != "direct_messages_topic_id"}
            await self._best(channel, Call("sendChatAction", params | {"action": "typing"}))
        number = place.number(message.provider_id or "")
        if place.business and number is not None:
            await self._best(channel, Call("readBusinessMessage", place.params() | {"message_id": number}))

    def shows_drafts(self, address: str) -> bool:
        """In private chats only."""
        place = place_of(address)
        return place.chat.isdigit() and not place.business and not place.direct

    async def show_draft(
        self, channel: Channel, conversation: Conversation, turn: Message, text: str
    ) -> None:
        """A draft goes by itself after half a minute, or when a message comes; it can't be taken back.

        https://core.telegram.org/bots/api#sendmessagedraft"""
        if not text or not self.shows_drafts(conversation.address):
            return
        place = place_of(conversation.address)
        # Any number but zero; drafts of one number grow into each other.
        draft = turn.seq % (2**31 - 1) + 1
        params = {**place.params(), "draft_id": draft, "text": text[: self.capabilities.text_length]}
        await self._best(channel, Call("sendMessageDraft", params))

    async def _best(self, channel: Channel, call: Call) -> None:
        try:
            await self._api.call(channel, call)
        except SendError as error:
            if not is_done(error):
                raise

    # Keyboards: what asks for a number or a place stays on the screen until another message takes it away

    def _without_keyboard(self, channel: Channel, message: Outgoing, call: Call) -> Call:
        shown = (channel.id, message.address) in self._keyboards
        if not shown or call.method != "sendMessage" or "reply_markup" in call.params:
            return call
        return replace(call, params={**call.params, "reply_markup": {"remove_keyboard": True}})

    def _note_keyboard(self, channel: Channel, message: Outgoing, call: Call) -> None:
        key = (channel.id, message.address)
        markup = mapping(call.params.get("reply_markup"))
        if isinstance(message.content, Request) and "keyboard" in markup:
            self._keyboards[key] = None
            if len(self._keyboards) > _REMEMBERED_KEYBOARDS:
                self._keyboards.popitem(last=False)
        elif "remove_keyboard" in markup:
            self._keyboards.pop(key, None)

    # Files

    async def _sourced(self, channel: Channel, content: Content) -> tuple[Content, list[payload.Source]]:
        """The content with each file as the kind that Telegram takes it as, and where each file comes from."""
        match content:
            case Media():
                media, source = await self._source(channel, content)
                return media, [source]
            case Album(items=items):
                found = [await self._source(channel, item, album=True) for item in items]
                return Album(tuple(media for media, _ in found)), [source for _, source in found]
            case Edit(content=Media() as media) if media.file or media.url or media.media_id:
                changed, source = await self._source(channel, media)
                return replace(content, content=changed), [source]
        return content, []

    async def _source(
        self, channel: Channel, media: Media, album: bool = False
    ) -> tuple[Media, payload.Source]:
        if media.file is None:
            if not (where := media.media_id or media.url):
                raise SendError("telegram:no_file", "The message names no file.")
            return media, ("", where)
        known = await self._files.uploaded(channel.tenant, media.file, channel.id)
        kind, _, rest = (known or "").partition("/")
        field, _, identifier = rest.partition(":")
        if identifier and kind == media.media and not (album and field == "animation"):
            return media, (field, identifier)
        try:
            opened = await self._files.open(channel.tenant, media.file)
        except NotFound:
            raise SendError("telegram:file_gone", "The file does not exist any more.") from None
        # The name that the customer is to see, where the message has one of its own.
        return _as_taken(media, opened.size, album), replace(opened, name=media.name or opened.name)

    async def _remember(self, channel: Channel, content: Content, sent: Sequence[Mapping[str, Any]]) -> None:
        medias = content.items if isinstance(content, Album) else (content,)
        for media, message in zip(medias, sent, strict=False):
            if isinstance(media, Media) and media.file and (found := _file_of(message)):
                until = self._clock() + KEPT
                name = f"{media.media}/{found}"
                await self._files.remember(channel.tenant, media.file, channel.id, name, until)

    async def _forget(self, channel: Channel, content: Content) -> bool:
        """Forget the ids by which Telegram knew our files (another bot's token was set, say): they are uploaded anew.
        Whether there were any."""
        content = content.content if isinstance(content, Edit) else content
        medias = content.items if isinstance(content, Album) else (content,)
        found = False
        for media in medias:
            if isinstance(media, Media) and media.file:
                known = await self._files.uploaded(channel.tenant, media.file, channel.id)
                if known:
                    await self._files.remember(channel.tenant, media.file, channel.id, known, self._clock())
                    found = True
        return found

    def fetch(self, channel: Channel, media_id: str) -> AbstractAsyncContextManager[Download]:
        return self._api.download(channel, media_id)

    # Setting up

    async def account(self, channel: Channel) -> str:
        return await setup.account(self._api, channel)

    async def connect(self, channel: Channel, webhook: str) -> Connected:
        return await setup.connect(self._api, channel, webhook)

    async def check(self, channel: Channel, webhook: str) -> Sequence[Finding]:
        return await setup.check(self._api, channel, webhook, self._clock)

    # Reading by asking

    def pulls(self, channel: Channel) -> bool:
        return setup.polls(channel)

    async def pull_app(self, take: Take) -> None:
        """Every bot is read by itself."""

    async def pull(self, channel: Channel, take: Take) -> None:
        """An update is confirmed by asking for the one after it, which happens only once it has been taken."""
        params: dict[str, Any] = {
            "timeout": POLL_SECONDS,
            "limit": 100,
            "allowed_updates": list(parse.ALLOWED),
        }
        while True:
            found = await self._api.call(channel, Call("getUpdates", params), POLL_TIMEOUT)
            for update in sequence(found):
                number = mapping(update).get("update_id")
                if type(number) is int:
                    await _take(take, update)
                    params["offset"] = number + 1


async def _take(take: Take, update: object) -> None:
    try:
        await take(json.dumps(update, separators=(",", ":")).encode())
    except (NotForUs, RecursionError):
        # It will be no better the next time, and would keep back all that follow.
        logger.warning("an update of Telegram's can't be read and is passed over")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _as_taken(media: Media, size: int, album: bool) -> Media:
    """A picture that is too large or too long for one goes as a document. In an album that is not possible."""
    if media.media != "image" or album:
        return media
    width, height = media.width or 1, media.height or 1
    ratio = max(width, height) / max(min(width, height), 1) if media.width and media.height else 1
    fits = size <= PICTURE_BYTES and width + height <= PICTURE_SIDES and ratio <= 20
    return media if fits else replace(media, media="document")


def _file_of(message: Mapping[str, Any]) -> str | None:
    """The field and id of the file that a sent message holds: `photo:AgAC…`."""
    for field in payload.METHODS:
        found = message.get(field)
        file = mapping(found[-1] if isinstance(found, list) and found else found)
        # An animation is listed as a document too, and may only be sent again as what it is.
        if (identifier := word(file.get("file_id"))) and not (field == "document" and "animation" in message):
            return f"{field}:{identifier}"
    return None
