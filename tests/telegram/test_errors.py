"""Every refusal that the Bot API or the way to it can make leads to one decision, and the README lists it."""

import re
from pathlib import Path

import pytest
from loguru import logger

import channels.telegram
from channels.telegram.errors import DECISIONS, UNMAPPED, Decision, decision, is_done, names, send_error

README = (Path(channels.telegram.__file__).parent / "README.md").read_text()

SENTENCES = {
    (401, "Unauthorized"): "token",
    (404, "Not Found"): "not_found",
    (
        409,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first",
    ): "webhook_set",
    (409, "Conflict: terminated by other getUpdates request; make sure that only one runs"): "read_elsewhere",
    (409, "Conflict: something else"): "conflict",
    (413, "Request Entity Too Large"): "file_too_big",
    (429, "Too Many Requests: retry after 5"): "too_many",
    (403, "Forbidden: bot was blocked by the user"): "blocked",
    (403, "Forbidden: user is deactivated"): "deactivated",
    (403, "Forbidden: bot was kicked from the supergroup chat"): "kicked",
    (403, "Forbidden: bot was kicked from the group chat"): "kicked",
    (403, "Forbidden: bot is not a member of the supergroup chat"): "not_member",
    (403, "Forbidden: bot is not a member of the channel chat"): "not_member",
    (403, "Forbidden: bot can't initiate conversation with a user"): "not_started",
    (403, "Forbidden: bot can't send messages to bots"): "to_bot",
    (403, "Forbidden: bot can't send messages to the user"): "cannot_write",
    (403, "Forbidden: the group chat was deleted"): "group_deleted",
    (403, "Forbidden: not enough rights to send text messages to the chat"): "no_rights",
    (400, "Bad Request: chat not found"): "chat_not_found",
    (400, "Bad Request: PEER_ID_INVALID"): "chat_not_found",
    (400, "Bad Request: group chat was upgraded to a supergroup chat"): "moved",
    (400, "Bad Request: group is deactivated"): "group_deactivated",
    (400, "Bad Request: not enough rights to send photos to the chat"): "no_rights",
    (400, "Bad Request: have no rights to send a message"): "no_rights",
    (400, "Bad Request: CHAT_WRITE_FORBIDDEN"): "no_rights",
    (400, "Bad Request: CHAT_SEND_PHOTOS_FORBIDDEN"): "no_rights",
    (400, "Bad Request: VOICE_MESSAGES_FORBIDDEN"): "voice_forbidden",
    (400, "Bad Request: CHAT_ADMIN_REQUIRED"): "admin_required",
    (400, "Bad Request: TOPIC_CLOSED"): "topic_closed",
    (400, "Bad Request: message thread not found"): "topic_gone",
    (400, "Bad Request: BUSINESS_CONNECTION_INVALID"): "business",
    (400, "Bad Request: business connection not found"): "business",
    (400, "Bad Request: ALLOW_PAYMENT_REQUIRED_50"): "paid",
    (400, "Bad Request: user not found"): "user_not_found",
    (400, "Bad Request: message text is empty"): "empty",
    (400, "Bad Request: message is too long"): "too_long",
    (400, "Bad Request: message caption is too long"): "too_long",
    (400, "Bad Request: entities too long"): "entities",
    (400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 3'): "markup",
    (400, "Bad Request: message to be replied not found"): "reply_gone",
    (400, "Bad Request: QUOTE_TEXT_INVALID"): "quote",
    (400, "Bad Request: BUTTON_DATA_INVALID"): "button_data",
    (400, "Bad Request: BUTTON_URL_INVALID"): "button_url",
    (400, "Bad Request: inline keyboard button URL 'http://x' is invalid: Wrong HTTP URL"): "button_url",
    (400, "Bad Request: reply markup is too long"): "buttons",
    (
        400,
        "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
    ): "button_text",
    (400, "Bad Request: phone number can be requested in private chats only"): "private_only",
    (400, "Bad Request: file is too big"): "file_too_big",
    (400, "Bad Request: wrong file_id or the file is temporarily unavailable"): "file_id",
    (400, "Bad Request: wrong remote file identifier specified: Wrong string length"): "file_id",
    (400, "Bad Request: wrong file identifier/HTTP URL specified"): "file_id",
    (400, "Bad Request: invalid file_id"): "file_id",
    (400, "Bad Request: can't use file of type Photo as Document"): "file_kind",
    (400, "Bad Request: file must be non-empty"): "file_empty",
    (400, "Bad Request: PHOTO_INVALID_DIMENSIONS"): "picture_size",
    (400, "Bad Request: IMAGE_PROCESS_FAILED"): "picture",
    (400, "Bad Request: STICKER_INVALID"): "sticker",
    (400, "Bad Request: failed to get HTTP URL content"): "file_url",
    (400, "Bad Request: wrong type of the web page content"): "file_url",
    (400, "Bad Request: WEBPAGE_CURL_FAILED"): "file_url",
    (400, "Bad Request: MEDIA_GROUPED_INVALID"): "album",
    (
        400,
        "Bad Request: message is not modified: specified new message content and reply markup are the same",
    ): "same",
    (400, "Bad Request: message to delete not found"): "deleted",
    (400, "Bad Request: message to edit not found"): "edit_gone",
    (400, "Bad Request: message can't be edited"): "edit_refused",
    (400, "Bad Request: there is no text in the message to edit"): "edit_refused",
    (400, "Bad Request: message can't be deleted for everyone"): "delete_refused",
    (400, "Bad Request: REACTION_INVALID"): "reaction",
    (400, "Bad Request: query is too old and response timeout expired or query ID is invalid"): "press_old",
    (400, "Bad Request: bad webhook: HTTPS url must be provided for webhook"): "webhook",
}
"""What Telegram's server is known to say."""


@pytest.mark.parametrize(("said", "name"), SENTENCES.items())
def test_what_telegram_says_is_known(said: tuple[int, str], name: str) -> None:
    found = decision(*said)
    assert found is not None
    assert found.name == name


def test_every_row_is_met_by_a_sentence() -> None:
    rare = {"file_later"}
    assert {row.name for row in DECISIONS} - rare == set(SENTENCES.values())


def test_the_readme_lists_every_row() -> None:
    for code, row in names().items():
        assert f"| `{code.removeprefix('telegram:')}` | {effect(row)} | {row.text} |" in README


def effect(row: Decision) -> str:
    if row.disable_channel:
        return "channel off"
    if row.blocked:
        return "out of reach"
    if row.done:
        return "done"
    wait = f" after {row.wait:g} s" if row.wait else ""
    return f"again{wait}" if row.retryable else "failed"


def answer(description: str, **parameters: object) -> dict[str, object]:
    return {"ok": False, "description": description, "parameters": parameters}


@pytest.mark.parametrize(
    ("status", "body", "retryable", "wait", "off", "blocked", "moved"),
    [
        (401, answer("Unauthorized"), False, None, True, False, None),
        (404, answer("Not Found"), False, None, False, False, None),
        (403, answer("Forbidden: bot was blocked by the user"), False, None, False, True, None),
        (429, answer("Too Many Requests: retry after 9", retry_after=9), True, 9, False, False, None),
        (429, answer("Too Many Requests"), True, 5, False, False, None),
        (429, answer("Too Many Requests", retry_after="soon"), True, 5, False, False, None),
        (429, answer("Too Many Requests", retry_after=10**9), True, 86_400, False, False, None),
        (429, None, True, None, False, False, None),
        (
            400,
            answer("Bad Request: group chat was upgraded", migrate_to_chat_id=-1005),
            False,
            None,
            False,
            False,
            "-1005",
        ),
        (
            400,
            answer("Bad Request: a new thing", migrate_to_chat_id=-1005),
            False,
            None,
            False,
            False,
            "-1005",
        ),
        (400, answer("Bad Request: a new thing"), True, None, False, False, None),
        (403, answer("Forbidden: a new thing"), True, None, False, False, None),
        (409, answer("Conflict: terminated by other getUpdates request"), True, 15, False, False, None),
        (413, None, False, None, False, False, None),
        (500, answer("Internal Server Error: restart"), True, None, False, False, None),
        (502, None, True, None, False, False, None),
        (400, {}, False, None, False, False, None),
        (400, {"description": 7}, True, None, False, False, None),
        (404, None, False, None, False, False, None),
    ],
)
def test_decisions(
    status: int,
    body: object,
    retryable: bool,
    wait: float | None,
    off: bool,
    blocked: bool,
    moved: str | None,
) -> None:
    error = send_error(status, body, None)
    found = (error.retryable, error.wait, error.disable_channel, error.blocked, error.moved)
    assert found == (retryable, wait, off, blocked, moved)
    assert error.outcome == "refused"


def test_an_unmapped_refusal_is_tried_once_more_and_named_without_what_it_quotes() -> None:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)))
    try:
        said = "Bad Request: strange \"secret canary\" near 'número' <b>x +34600111222 thing"
        error = send_error(400, answer(said), None)
    finally:
        logger.remove(sink)
    assert (error.code, error.text, error.most_attempts) == ("telegram:400", UNMAPPED, 2)
    assert "unmapped Telegram error 400" in lines[0]
    assert "strange" in lines[0]
    for part in ("canary", "número", "+34600"):
        assert part not in lines[0]


def test_what_is_so_already_is_no_refusal() -> None:
    assert is_done(send_error(400, answer("Bad Request: message is not modified: x"), None))
    assert not is_done(send_error(400, answer("Bad Request: message can't be edited"), None))


def test_no_pattern_is_hidden_by_an_earlier_one() -> None:
    for row in DECISIONS:
        for part in row.pattern.split("|"):
            if re.fullmatch(r"[A-Za-z_' ]{5,}", part) and "(" not in row.pattern:
                found = decision(row.status, part)
                assert found is not None
                assert (part, found.name) == (part, row.name)


@pytest.mark.parametrize(
    ("status", "said", "group", "scope"),
    [
        (429, "Too Many Requests: retry after 9", False, "channel"),
        (429, "Too Many Requests: retry after 9", True, "recipient"),
        (500, "Internal Server Error: restart", True, "channel"),
        (400, "Bad Request: a new thing", True, "message"),
        (403, "Forbidden: bot was blocked by the user", False, "message"),
    ],
)
def test_whom_a_refusal_concerns(status: int, said: str, group: bool, scope: str) -> None:
    assert send_error(status, answer(said), None, group).scope == scope
