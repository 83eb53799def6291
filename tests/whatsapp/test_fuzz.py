"""Whatever is done to real payloads, parsing ends in a result or in NotForUs."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from channels.whatsapp.parse import accounts, parse
from gateway.model.content import from_doc, to_doc
from gateway.model.errors import NotForUs
from tests.providers.graph_webhooks import PHONE_ID, WABA

FOLDER = Path(__file__).parent.parent / "payloads" / "whatsapp"
BODIES = [path.read_bytes() for path in sorted(FOLDER.iterdir())]
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "\x00", "", "9" * 400, "$where", "wamid.1", "text", -1, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def survives(body: bytes) -> None:
    try:
        found = parse(PHONE_ID, body, NOW, WABA)
        accounts(body)
    except NotForUs:
        return
    for message in found.messages:
        json.dumps(to_doc(message.content), ensure_ascii=False).encode()
        "".join((message.provider_id, message.address, message.name or "", message.reply_to or "")).encode()
        assert message.provider_id
        assert message.identity.id
        assert message.at.tzinfo is not None
        json.dumps(dict(message.extra), ensure_ascii=False, allow_nan=False).encode()
        "".join(alias.id for alias in message.aliases).encode()
        assert from_doc(to_doc(message.content)) == message.content
    for receipt in found.receipts:
        "".join((receipt.provider_id, receipt.message or "", receipt.detail or "")).encode()
    for event in found.events:
        json.dumps(
            [event.id, event.name, event.text, dict(event.data)], allow_nan=False, ensure_ascii=False
        ).encode()
    "".join(found.ignored).encode()


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


@settings(max_examples=600, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_value_in_any_place(data: st.DataObject) -> None:
    payload = json.loads(data.draw(st.sampled_from(BODIES)))
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
                    body[at:at] = bytes([chance.choice(b'"{}[]:,\\u0\x00\xff')])
                case _:
                    body[at:at] = body[: chance.randint(1, 60)]
            body = body or bytearray(b"x")
        survives(bytes(body))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300) | JUNK.map(lambda junk: json.dumps(junk).encode()))
def test_anything_at_all(body: bytes) -> None:
    survives(body)
    survives(b'{"object":"whatsapp_business_account","entry":' + body + b"}")


def test_a_large_body_is_read_whole() -> None:
    message = {"from": "1", "timestamp": "1749416383", "type": "text", "text": {"body": "x"}}
    messages = [message | {"id": f"wamid.{n}"} for n in range(2_000)]
    value = {"metadata": {"phone_number_id": PHONE_ID}, "messages": messages}
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    assert len(parse(PHONE_ID, body, NOW).messages) == 2_000
