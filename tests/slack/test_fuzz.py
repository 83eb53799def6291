"""Whatever is done to real payloads, parsing ends in a result or in NotForUs."""

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from channels.slack.parse import accounts_of, greeting, parse
from gateway.model.content import to_doc
from gateway.model.errors import NotForUs
from tests.slack.rig import CHANNEL, NOW

FOLDER = Path(__file__).parent.parent / "payloads" / "slack"
BODIES = [path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.stat().st_size < 20_000]
DOCUMENTS = [body for body in BODIES if body.startswith(b"{")]

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["\ud800", "\x00", "", "9" * 400, "$where", "<@U0BOT00001>", "<" * 50, "message", -1, 1e308]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def survives(body: bytes) -> None:
    try:
        found = parse(CHANNEL, body, NOW)
        accounts_of(body)
        greeting(body)
    except NotForUs:
        return
    for message in found.messages:
        json.dumps(to_doc(message.content), ensure_ascii=False).encode()
        json.dumps(dict(message.extra), ensure_ascii=False).encode()
        "".join((message.provider_id, message.address, message.name or "", message.reply_to or "")).encode()
        if message.place:
            message.place.id.encode()
        assert message.provider_id
        assert message.identity.id
        assert message.at.tzinfo is not None
    for receipt in found.receipts:
        (receipt.provider_id + (receipt.message or "")).encode()
    for event in found.events:
        (event.id + event.text + json.dumps(dict(event.data))).encode()
    "".join(found.ignored).encode()
    json.loads(found.answer or "{}")


def spots(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] * bool(path) + [spot for key, child in children for spot in spots(child, (*path, key))]


def put(node: Any, path: tuple[Any, ...], value: Any, drop: bool) -> None:
    for key in path[:-1]:
        node = node[key]
    if drop:
        del node[path[-1]]
    else:
        node[path[-1]] = value


@settings(max_examples=800, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_value_in_any_place(data: st.DataObject) -> None:
    payload = json.loads(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        if places := spots(payload):
            put(payload, data.draw(st.sampled_from(places)), data.draw(JUNK), data.draw(st.booleans()))
    survives(json.dumps(payload).encode())


def test_ten_thousand_bodies_with_broken_bytes() -> None:
    chance = random.Random(26)
    for _ in range(10_000):
        body = bytearray(chance.choice(BODIES))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(body))
            match chance.randrange(4):
                case 0:
                    body[at] ^= 1 << chance.randrange(8)
                case 1:
                    del body[at : at + chance.randint(1, 40)]
                case 2:
                    body[at:at] = bytes([chance.choice(b'"{}[]:,\\u0\x00\xff&=%')])
                case _:
                    body[at:at] = body[: chance.randint(1, 60)]
            body = body or bytearray(b"x")
        survives(bytes(body))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300) | JUNK.map(lambda junk: json.dumps(junk).encode()))
def test_anything_at_all(body: bytes) -> None:
    survives(body)
    survives(b'{"type":"event_callback","team_id":"T0ACME0001","event":' + body + b"}")
    survives(b"payload=" + body)


def test_texts_that_invite_slowness_are_read_quickly() -> None:
    """Each is megabytes of what the patterns for mentions, links and entities look at: a bad one would take minutes."""
    for text in (
        "<" * 500_000,
        "<@U0BOT00001" * 50_000,
        "&amp" * 200_000,
        " <@U0BOT00001>" * 50_000,
        "<a|" * 200_000,
    ):
        said = {"type": "message", "user": "U1", "channel": "D1", "ts": "1749416383.000001", "text": text}
        survives(json.dumps({"type": "event_callback", "team_id": CHANNEL.account, "event": said}).encode())
