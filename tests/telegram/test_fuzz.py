"""Whatever is done to real payloads, parsing ends in a result or in NotForUs."""

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from channels.telegram.parse import parse
from gateway.model.content import from_doc, to_doc
from gateway.model.errors import NotForUs
from tests.telegram.cases import CASES
from tests.telegram.reading import BOT, NOW, USERNAME, body

BODIES = [body(name) for name in sorted(CASES) if name != "odd_raw_over_64_kb"]
DOCS = [doc for doc in BODIES if doc.strip().startswith(b"{")]

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["\ud800", "\x00", "", "9" * 400, "-1001", "private", "/start@acme_bot x", -1, 10**9, 1e308, "~0"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def survives(found_in: bytes) -> None:
    try:
        found = parse(BOT, USERNAME, found_in, NOW)
    except NotForUs:
        return
    for message in found.messages:
        doc = to_doc(message.content)
        json.dumps([doc, dict(message.extra)], ensure_ascii=False).encode()
        assert from_doc(json.loads(json.dumps(doc))) == message.content
        aliases = "".join(a.id for a in message.aliases) + (message.place.id if message.place else "")
        kept = (message.provider_id, message.address, message.name, message.reply_to, message.album, aliases)
        "".join(part or "" for part in kept).encode()
        assert 0 < len(message.provider_id) < 1600
        assert message.identity.id
        assert message.at.tzinfo is not None
    for event in found.events:
        json.dumps([event.id, event.text, dict(event.data)], ensure_ascii=False).encode()
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


@settings(max_examples=800, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_value_in_any_place(data: st.DataObject) -> None:
    payload = json.loads(data.draw(st.sampled_from(DOCS)))
    for _ in range(data.draw(st.integers(1, 3))):
        if places := spots(payload):
            put(payload, data.draw(st.sampled_from(places)), data.draw(JUNK), data.draw(st.booleans()))
    survives(json.dumps(payload).encode())


def test_ten_thousand_bodies_with_broken_bytes() -> None:
    chance = random.Random(26)
    for _ in range(10_000):
        broken = bytearray(chance.choice(BODIES))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(broken))
            match chance.randrange(4):
                case 0:
                    broken[at] ^= 1 << chance.randrange(8)
                case 1:
                    del broken[at : at + chance.randint(1, 40)]
                case 2:
                    broken[at:at] = bytes([chance.choice(b'"{}[]:,\\u0\x00\xff')])
                case _:
                    broken[at:at] = broken[: chance.randint(1, 60)]
            broken = broken or bytearray(b"x")
        survives(bytes(broken))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300) | JUNK.map(lambda junk: json.dumps(junk).encode()))
def test_anything_at_all(junk: bytes) -> None:
    survives(junk)
    for kind in ("message", "callback_query", "message_reaction", "deleted_business_messages"):
        survives(b'{"update_id":1,"' + kind.encode() + b'":' + junk + b"}")
