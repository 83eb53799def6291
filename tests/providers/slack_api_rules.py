"""What Slack accepts, as its reference says: the stand-in refuses everything else.

https://docs.slack.dev/reference/block-kit
https://docs.slack.dev/reference/methods/chat.postMessage
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

TS = re.compile(r"\d{10}\.\d{6}")
_EVENT_TYPE = re.compile(r"[a-z0-9_]{1,255}")
_STRAY = re.compile(r"&(?!(amp|lt|gt);)|<(?![@#!a-z][^<>]*>)")
_EMOJI = re.compile(r"[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?")

SCOPES: Mapping[str, str] = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "reactions.add": "reactions:write",
    "reactions.remove": "reactions:write",
    "reactions.get": "reactions:read",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "files.info": "files:read",
    "conversations.open": "im:write",
    "assistant.threads.setStatus": "chat:write",
}
"""The scope that a method needs."""

_POST = {
    "channel",
    "text",
    "blocks",
    "thread_ts",
    "mrkdwn",
    "metadata",
    "unfurl_links",
    "unfurl_media",
}
_UPDATE = {"channel", "ts", "text", "blocks", "parse", "metadata"}


class Refusal(Exception):
    """`{"ok": false, "error": …}`; `why` goes into `response_metadata.messages`."""

    def __init__(self, error: str, why: str = "", **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.why = why
        self.more = more


def check_post(body: Mapping[str, Any]) -> None:
    _known(body, _POST)
    _said(body, 40_000)
    if "thread_ts" in body and not TS.fullmatch(str(body["thread_ts"])):
        raise Refusal("invalid_arguments", "thread_ts")
    for flag in ("mrkdwn", "unfurl_links", "unfurl_media"):
        if flag in body and not isinstance(body[flag], bool):
            raise Refusal("invalid_arguments", flag)
    metadata = body.get("metadata")
    if metadata is not None:
        if not isinstance(metadata, dict) or set(metadata) != {"event_type", "event_payload"}:
            raise Refusal("invalid_metadata_format")
        if not _EVENT_TYPE.fullmatch(metadata["event_type"]) or not isinstance(
            metadata["event_payload"], dict
        ):
            raise Refusal("invalid_metadata_schema")


def check_update(body: Mapping[str, Any]) -> None:
    _known(body, _UPDATE)
    if not str(body.get("channel", "")).startswith(("C", "D", "G")):
        raise Refusal("channel_not_found")
    _said(body, 4_000)


def check_share(body: Mapping[str, Any]) -> None:
    if set(body) - {"files", "channel_id", "thread_ts", "initial_comment", "blocks"}:
        raise Refusal("invalid_arguments")
    if "initial_comment" in body and "blocks" in body:
        raise Refusal("invalid_arguments", "the blocks would be ignored")
    if "initial_comment" in body or "blocks" in body:
        _said({"text": body.get("initial_comment", ""), "blocks": body.get("blocks", [])}, 40_000)


def check_reaction(body: Mapping[str, Any]) -> None:
    _known(body, {"channel", "timestamp", "name"})
    if not _EMOJI.fullmatch(str(body.get("name", ""))):
        raise Refusal("invalid_name")


def _known(body: Mapping[str, Any], names: set[str]) -> None:
    if odd := set(body) - names:
        raise Refusal("invalid_arguments", f"unknown {sorted(odd)}")
    if not isinstance(body.get("channel"), str) or not body["channel"]:
        raise Refusal("invalid_arguments", "channel")


def _said(body: Mapping[str, Any], most: int) -> None:
    text, blocks = body.get("text", ""), body.get("blocks", [])
    if not isinstance(text, str) or not isinstance(blocks, list):
        raise Refusal("invalid_arguments", "text or blocks")
    if not text.strip() and not blocks:
        raise Refusal("no_text")
    if len(text) > most:
        raise Refusal("msg_too_long")
    if _STRAY.search(text):
        raise Refusal("invalid_arguments", "& < > have to be escaped")
    if len(blocks) > 50:
        raise Refusal("invalid_blocks", "more than 50")
    for block in blocks:
        check = _BLOCKS.get(str(block.get("type"))) if isinstance(block, dict) else None
        if check is None:
            raise Refusal("invalid_blocks", "type")
        check(block)


def _section(block: Mapping[str, Any]) -> None:
    _text(block.get("text"), 3_000, ("mrkdwn", "plain_text"))


def _actions(block: Mapping[str, Any]) -> None:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 25:
        raise Refusal("invalid_blocks", "1 to 25 elements")
    ids = [e.get("action_id") for e in elements]
    if len(set(ids)) != len(ids) or any(not isinstance(i, str) or not 1 <= len(i) <= 255 for i in ids):
        raise Refusal("invalid_blocks", "action_id")
    for element in elements:
        if element.get("type") == "button":
            _button(element)
        elif element.get("type") == "static_select":
            _select(element)
        else:
            raise Refusal("invalid_blocks", "element")


def _button(element: Mapping[str, Any]) -> None:
    _text(element.get("text"), 75, ("plain_text",))
    if len(element.get("value", "")) > 2_000 or len(element.get("url", "")) > 3_000:
        raise Refusal("invalid_blocks", "value or url")


def _select(element: Mapping[str, Any]) -> None:
    _text(element.get("placeholder"), 150, ("plain_text",))
    options = element.get("options")
    if not isinstance(options, list) or not 1 <= len(options) <= 100:
        raise Refusal("invalid_blocks", "1 to 100 options")
    for option in options:
        _text(option.get("text"), 75, ("plain_text",))
        if not 1 <= len(option.get("value", "")) <= 150:
            raise Refusal("invalid_blocks", "value")
        if "description" in option:
            _text(option["description"], 75, ("plain_text",))


def _image(block: Mapping[str, Any]) -> None:
    url, alt = block.get("image_url", ""), block.get("alt_text", "")
    if not str(url).startswith("http") or len(url) > 3_000 or not 1 <= len(alt) <= 2_000:
        raise Refusal("invalid_blocks", "image")


def _text(thing: object, most: int, kinds: tuple[str, ...]) -> None:
    if not isinstance(thing, dict) or thing.get("type") not in kinds:
        raise Refusal("invalid_blocks", "text object")
    text = thing.get("text")
    if not isinstance(text, str) or not 1 <= len(text) <= most:
        raise Refusal("invalid_blocks", f"1 to {most} characters")
    if thing["type"] == "mrkdwn" and ("emoji" in thing or _STRAY.search(text)):
        raise Refusal("invalid_blocks", "mrkdwn")


_BLOCKS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "section": _section,
    "actions": _actions,
    "image": _image,
}
