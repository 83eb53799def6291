"""What the Bot API's refusals mean and what to do about each.

Telegram gives an HTTP status and a sentence that "is subject to change"; sentences are matched by their telling part.
https://core.telegram.org/bots/api#making-requests
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from loguru import logger

from channels.kit import LONGEST_WAIT, http_error
from channels.read import mapping, short_id, word
from gateway.model.errors import SendError

PAGE: Final = "https://core.telegram.org/bots/api#making-requests"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a refusal leads to. `pattern` is searched for in the sentence, ignoring case; `name` is what the message's
    record shows and the README lists. `done`: what was asked for is the case already."""

    status: int
    pattern: str
    name: str
    text: str
    retryable: bool = False
    wait: float | None = None
    blocked: bool = False
    disable_channel: bool = False
    done: bool = False


def _no(name: str, pattern: str, text: str) -> Decision:
    return Decision(400, pattern, name, text)


def _gone(name: str, pattern: str, text: str, status: int = 403) -> Decision:
    return Decision(status, pattern, name, text, blocked=True)


DECISIONS: Final = (
    # The bot itself: a person has to act before anything can be sent.
    Decision(401, "", "token", "The bot's token is not valid any more.", disable_channel=True),
    # A server of one's own may also be too old for a call, so this alone does not end the channel.
    Decision(404, "", "not_found", "Telegram knows no such bot, or no such call."),
    # Somebody else reads the bot's updates.
    Decision(
        409,
        "webhook is active",
        "webhook_set",
        "The bot has a webhook, so it can't be read by asking.",
        True,
        60,
    ),
    Decision(
        409,
        "other getUpdates",
        "read_elsewhere",
        "Another program reads this bot's updates by asking.",
        True,
        15,
    ),
    Decision(409, "", "conflict", "Another program uses this bot in a way that excludes ours.", True, 15),
    # Too much, too fast: the message itself is fine.
    Decision(429, "", "too_many", "Telegram asks us to send less.", True, 5),
    # The recipient.
    _gone("blocked", "bot was blocked by the user", "The customer blocked the bot."),
    _gone("deactivated", "user is deactivated", "The customer's account does not exist any more."),
    _gone("kicked", "bot was kicked", "The bot was removed from the group."),
    _gone("not_member", "bot is not a member", "The bot is not a member of the group."),
    _gone("not_started", "can't initiate conversation", "The customer has not opened a chat with the bot."),
    _gone(
        "to_bot",
        "can't send messages to (bots|the bot)",
        "The recipient is a bot, which can't be written to.",
    ),
    _gone("group_deleted", "the group chat was deleted", "The group was deleted."),
    _gone("cannot_write", "can't send messages to the user", "The customer can't be written to."),
    _gone("chat_not_found", "chat not found|PEER_ID_INVALID", "Telegram knows no such chat.", 400),
    _gone("group_deactivated", "group is deactivated", "The group is deactivated.", 400),
    Decision(
        403, "not enough rights|CHAT_WRITE_FORBIDDEN", "no_rights", "The group does not let the bot write."
    ),
    _no("moved", "upgraded to a supergroup|group chat was migrated", "The group has another address now."),
    _no(
        "no_rights",
        r"not enough rights|have no rights to send|CHAT_WRITE_FORBIDDEN|CHAT_SEND_\w+_FORBIDDEN|CHAT_RESTRICTED",
        "The group does not let the bot send this.",
    ),
    _no("voice_forbidden", "VOICE_MESSAGES_FORBIDDEN", "The customer does not take voice messages."),
    _no(
        "admin_required",
        "CHAT_ADMIN_REQUIRED|need administrator rights",
        "The bot has to be an administrator for this.",
    ),
    _no("topic_closed", "TOPIC_CLOSED", "The topic is closed."),
    _no(
        "topic_gone",
        "message thread not found|TOPIC_DELETED|TOPIC_ID_INVALID",
        "The topic does not exist any more.",
    ),
    _no(
        "business",
        "BUSINESS_CONNECTION_INVALID|business connection not found|BUSINESS_PEER_INVALID|BUSINESS_PEER_USAGE_MISSING",
        "The business account is not connected any more, or the chat is not one of its open ones.",
    ),
    _no("paid", "ALLOW_PAYMENT_REQUIRED|PAYMENT_REQUIRED", "The customer takes only paid messages."),
    _no("user_not_found", "user not found|USER_ID_INVALID", "Telegram knows no such person."),
    # The message.
    _no("empty", "message text is empty|text must be non-empty|MESSAGE_EMPTY", "The message is empty."),
    _no("too_long", "message is too long|MESSAGE_TOO_LONG|caption is too long", "The text is too long."),
    _no("entities", "entities too long|ENTITIES_TOO_LONG", "The text has too much formatting."),
    _no("markup", "can't parse entities", "Telegram could not read the text's formatting."),
    _no("quote", "QUOTE_TEXT_INVALID", "The quoted words are not in the message."),
    _no(
        "reply_gone",
        "message to be replied not found|replied message not found",
        "The message to answer does not exist.",
    ),
    # Buttons.
    _no("button_data", "BUTTON_DATA_INVALID", "What a button carries is not 1 to 64 bytes."),
    _no(
        "button_url",
        "BUTTON_URL_INVALID|button URL|Wrong HTTP URL|unsupported URL protocol",
        "Telegram does not accept the button's address: it has to be a public http or https address.",
    ),
    _no(
        "buttons",
        "REPLY_MARKUP_TOO_LONG|reply markup is too long|BUTTON_TYPE_INVALID",
        "The buttons are too many.",
    ),
    _no("button_text", "text buttons are unallowed|button text", "A button's text is missing."),
    _no(
        "private_only",
        "can be requested in private chats only",
        "This can be asked for in private chats only.",
    ),
    # Files.
    Decision(
        413, "", "file_too_big", "The file is larger than Telegram takes from a bot (50 MB; a picture 10 MB)."
    ),
    _no("file_too_big", "file is too big", "The file is larger than Telegram gives to a bot (20 MB)."),
    _no(
        "file_id",
        "wrong (remote )?file.?id|wrong file identifier|invalid file.?id|FILE_ID_INVALID|FILE_REFERENCE",
        "Telegram does not know the file any more.",
    ),
    Decision(
        400,
        "file is temporarily unavailable",
        "file_later",
        "The file is not available for the moment.",
        True,
    ),
    _no(
        "file_kind",
        "can't use file of type|type of file mismatch",
        "The file is of another kind than it is sent as.",
    ),
    _no(
        "file_empty",
        "file must be non-empty|FILE_PARTS_INVALID|FILE_PART",
        "The file is empty or arrived incomplete.",
    ),
    _no(
        "picture_size",
        "PHOTO_INVALID_DIMENSIONS",
        "The picture's sides are too long or too unequal (10,000 together, 20 to 1).",
    ),
    _no(
        "picture",
        "IMAGE_PROCESS_FAILED|PHOTO_SAVE_FILE_INVALID|PHOTO_INVALID",
        "Telegram could not read the picture.",
    ),
    _no("sticker", "STICKER_|wrong sticker", "Telegram could not read the sticker."),
    _no(
        "file_url",
        "failed to get HTTP URL content|wrong type of the web page content|WEBPAGE_|WEBDOCUMENT_|can't upload file by URL",
        "Telegram could not fetch the file from its address.",
    ),
    _no(
        "album",
        "MEDIA_GROUPED_INVALID|can't use the media of the specified type|must include 2",
        "These files can't be one album.",
    ),
    # Changes of what was sent.
    Decision(400, "message is not modified", "same", "The message says this already.", done=True),
    Decision(400, "message to delete not found", "deleted", "The message is gone already.", done=True),
    _no(
        "edit_gone",
        "message to edit not found|MESSAGE_ID_INVALID|message not found",
        "The message does not exist any more.",
    ),
    _no(
        "edit_refused",
        "message can't be edited|there is no (text|caption|media) in the message|MESSAGE_EDIT_TIME_EXPIRED",
        "This message can't be changed any more, or not this way.",
    ),
    _no(
        "delete_refused", "message can't be deleted", "This message can't be taken back any more (48 hours)."
    ),
    _no(
        "reaction", "REACTION_INVALID|REACTIONS_TOO_MANY|REACTION_EMPTY", "This reaction is not allowed here."
    ),
    Decision(
        400,
        "query is too old|QUERY_ID_INVALID",
        "press_old",
        "The press is too old to be acknowledged.",
        done=True,
    ),
    # The setting up.
    _no(
        "webhook",
        "bad webhook|invalid webhook URL",
        "Telegram does not accept the webhook's address: public, https, port 443, 80, 88 or 8443, a valid certificate.",
    ),
)
"""In the order they are tried. Sentences are for the business's own people and say nothing of the message."""

UNMAPPED: Final = "Telegram gave an answer that Parley does not know."
_COMPILED: Final = tuple((row, re.compile(row.pattern, re.IGNORECASE)) for row in DECISIONS)
_PREFIX: Final = re.compile(r"^(Bad Request|Forbidden|Conflict|Unauthorized): ", re.ASCII)
_QUOTED: Final = re.compile(r"\"[^\"]*\"?|'[^']*'?|<[^>]*>?|\S*\d\S*|\S*[^\x20-\x7e]\S*")


def decision(status: int, description: str) -> Decision | None:
    """The row of a refusal; None for one that has none."""
    said = _PREFIX.sub("", description)
    return next((r for r, pattern in _COMPILED if r.status == status and pattern.search(said)), None)


def send_error(status: int, answer: object, wait: float | None, group: bool = False) -> SendError:
    """The error of an answer that is not `ok`. `wait` is its Retry-After header, in seconds. `group`: what was asked for
    was for a group, which has a limit of its own (20 messages a minute); in a private chat, which we send to far more slowly
    than Telegram allows, it is the bot's: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this"""
    body = mapping(answer)
    description, parameters = word(body.get("description")), mapping(body.get("parameters"))
    if status >= 500 or (status != 413 and not description):
        return http_error("telegram", status, wait)
    moved = short_id(parameters.get("migrate_to_chat_id")) or None
    known = decision(status, description)
    asked = _seconds(parameters.get("retry_after"))
    asked = asked if asked is not None else wait
    if known is None:
        if moved is None:
            # Without what it quotes: that may be a customer's words.
            logger.warning("unmapped Telegram error {}: {}", status, _QUOTED.sub("…", description)[:160])
        found = SendError(f"telegram:{status}", UNMAPPED, True, asked, most_attempts=2, moved=moved)
        return replace(found, retryable=False, most_attempts=None) if moved else found
    return SendError(
        f"telegram:{status}_{known.name}",
        known.text,
        retryable=known.retryable,
        wait=(paused := asked if asked is not None else known.wait),
        scope=("recipient" if group else "channel") if paused else "message",
        blocked=known.blocked and moved is None,
        disable_channel=known.disable_channel,
        moved=moved,
    )


def is_done(error: SendError) -> bool:
    """Whether what was asked for is the case already, so that the refusal is as good as an acceptance."""
    return any(row.done and error.code == f"telegram:{row.status}_{row.name}" for row in DECISIONS)


def _seconds(value: Any) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return min(float(value), LONGEST_WAIT) if fits else None


def names() -> Mapping[str, Decision]:
    """Every code that a message's record may show, with its row."""
    return {f"telegram:{row.status}_{row.name}": row for row in DECISIONS}
