"""What a button carries: at most 64 bytes, while an id of ours may be longer.

A short id is the button's data as it is. In place of a longer one stands `~` and the button's number, and the ids
themselves go along in the message: as the address of a link on an invisible character, which Telegram sends back with
the message that was pressed on. So any process can read a press, and nothing has to be kept.
https://core.telegram.org/bots/api#inlinekeyboardbutton
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from channels.read import items, mapping, short_id, word
from gateway.model.content import Choice, Reply

DATA_BYTES: Final = 64
MOST_HIDDEN: Final = 8000
"""Characters of the hidden link. Telegram takes about 9,500 for all the formatting of a message."""

HIDDEN: Final = "\u200b"
_CARRIER: Final = "https://ids.invalid/#"
_NUMBERED: Final = re.compile(r"~(\d{1,3})", re.ASCII)


def data_of(choices: Sequence[Choice]) -> list[str]:
    """What each choice's button carries."""
    return [c.id if _fits(c.id) else f"~{n}" for n, c in enumerate(choices)]


def hidden(choices: Sequence[Choice]) -> str | None:
    """The address of the hidden link, if any id needs one."""
    if all(_fits(choice.id) for choice in choices):
        return None
    ids = json.dumps([choice.id for choice in choices], separators=(",", ":")).encode()
    return _CARRIER + base64.urlsafe_b64encode(ids).decode().rstrip("=")


def _fits(choice: str) -> bool:
    return 0 < len(choice.encode("utf-8", "surrogatepass")) <= DATA_BYTES and not _NUMBERED.fullmatch(choice)


def pressed(data: str, message: Mapping[str, Any], to: str | None) -> Reply:
    """The choice that was pressed on a message. Its title is the button's text, where Telegram still has the message."""
    title = _title(data, message) or data
    if match := _NUMBERED.fullmatch(data):
        ids = _hidden_ids(message)
        number = int(match[1])
        data = ids[number] if number < len(ids) else data
    return Reply(short_id(data), title, to)


def _title(data: str, message: Mapping[str, Any]) -> str:
    rows = mapping(message.get("reply_markup")).get("inline_keyboard")
    for row in rows if isinstance(rows, list) else ():
        for button in map(mapping, items(row)):
            if word(button.get("callback_data")) == data:
                return word(button.get("text"))
    return ""


def _hidden_ids(message: Mapping[str, Any]) -> list[str]:
    for entity in map(mapping, items(message.get("entities"))):
        url = word(entity.get("url"))
        if not url.startswith(_CARRIER):
            continue
        coded = url.removeprefix(_CARRIER)
        try:
            ids = json.loads(base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)))
        except (ValueError, binascii.Error, RecursionError):
            return []
        return [word(i) for i in ids] if isinstance(ids, list) else []
    return []
