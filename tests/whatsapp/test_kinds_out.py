"""Every kind of content on its way out: accepted by a Graph API that checks it by the documented rules, and, where pywa
can say the same, the same as pywa would send."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pywa_async.client import WhatsApp
from pywa_async.types.callback import Button, Section, SectionList, SectionRow, URLButton

from channels.degrade import degrade
from channels.whatsapp.graph import API_VERSION
from channels.whatsapp.payload import CAPABILITIES
from channels.whatsapp.payload import message as payload
from gateway.model.content import (
    Buttons,
    Choice,
    Contacts,
    Content,
    Flow,
    Link,
    ListMenu,
    Location,
    Media,
    MediaKind,
    Reaction,
    Request,
    SharedContact,
    Template,
    Text,
)
from gateway.model.errors import Invalid, SendError
from gateway.model.ports import Outgoing
from tests.providers.graph_rules import MIMES, check_message
from tests.providers.graph_webhooks import PHONE_ID
from tests.whatsapp.rig import TOKEN, Rig
from tests.whatsapp.test_payloads import NOW

YES_NO = (Choice("lead:yes", "Yes, please"), Choice("lead:no", "No, thanks"))
ROWS = tuple(Choice(f"row{n}", f"Row {n}", "d" * 80 if n else None) for n in range(10))
LINK = "https://files.example/a"
ANA = SharedContact("Ana Souza", ("+34600111222",), ("ana@example.com",), "Souza SL")

COMPONENTS: tuple[dict[str, Any], ...] = (
    {"type": "header", "parameters": [{"type": "image", "image": {"link": LINK}}]},
    {
        "type": "body",
        "parameters": [
            {"type": "text", "text": "Ana", "parameter_name": "name"},
            {"type": "currency", "currency": {"fallback_value": "$1", "code": "USD", "amount_1000": 1000}},
            {"type": "date_time", "date_time": {"fallback_value": "May 5"}},
        ],
    },
    {
        "type": "button",
        "sub_type": "quick_reply",
        "index": "0",
        "parameters": [{"type": "payload", "payload": "yes"}],
    },
    {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "abc"}]},
    {
        "type": "button",
        "sub_type": "copy_code",
        "index": "2",
        "parameters": [{"type": "coupon_code", "coupon_code": "25OFF"}],
    },
    {
        "type": "button",
        "sub_type": "flow",
        "index": "3",
        "parameters": [{"type": "action", "action": {"flow_token": "t", "flow_action_data": {"a": 1}}}],
    },
    {
        "type": "limited_time_offer",
        "parameters": [{"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1}}],
    },
    {
        "type": "carousel",
        "cards": [
            {
                "card_index": 0,
                "components": [{"type": "header", "parameters": [{"type": "video", "video": {"id": "1"}}]}],
            }
        ],
    },
)


@pytest.mark.parametrize(
    "content",
    [
        Text("😀" * 2_048),
        Text("مرحبا\nhttps://example.com"),
        Text("a\x00\ud800b"),
        Buttons("Shall we?", YES_NO),
        Buttons("x" * 1_024, (*YES_NO, Choice("c" * 256, "t" * 20))),
        ListMenu("Choose", "A button whose label is too long", ROWS),
        Template("hello_world", "en_US"),
        Template("order", "en", COMPONENTS),
        Template(
            "place",
            "pt_BR",
            (
                {
                    "type": "header",
                    "parameters": [
                        {
                            "type": "location",
                            "location": {"latitude": "1", "longitude": "2", "name": "a", "address": "b"},
                        }
                    ],
                },
            ),
        ),
        Media("image", "image/jpeg", url=LINK, caption="c" * 1_024),
        Media("video", "video/mp4", url=LINK),
        Media("audio", "audio/mpeg", url=LINK, caption="an audio has none"),
        Media("voice", "audio/ogg", url=LINK),
        Media("document", "application/pdf", url=LINK, name="offer.pdf", caption="Our offer"),
        Media("sticker", "image/webp", url=LINK, name="no name here"),
        Location(40.78, -73.95),
        Location(-90, 180, "The end", "1 Pole"),
        Contacts((ANA, SharedContact("", ("+1",)), SharedContact("Only a name"))),
        Link("Have a look", "Our shop", "https://shop.example/a?b=c"),
        Request("Where are you?", "location"),
        Request("How can we call you?", "phone"),
        Flow("Sign up here", "Sign up", "6627390910605886"),
        Flow(
            "Sign up here",
            "A label that is too long",
            "sign_up",
            "token",
            "FIRST",
            {"name": "Ana"},
            draft=True,
        ),
        Reaction("👍", "wamid.IN"),
        Reaction("", "wamid.IN"),
    ],
    ids=lambda content: content.type,
)
async def test_what_we_send_follows_the_documented_rules(rig: Rig, content: Content) -> None:
    assert await rig.send(content, reply_to="wamid.Q")


def test_the_table_of_files_is_the_documented_one() -> None:
    kinds: dict[MediaKind, str] = {"voice": "audio"}
    for kind, rule in CAPABILITIES.media.items():
        mimes, most = MIMES[kinds.get(kind, kind)]
        assert rule.mimes <= mimes
        assert rule.most_bytes == most


async def test_every_kind_that_we_declare_is_one_that_we_can_send(rig: Rig) -> None:
    declared: dict[str, Content] = {
        "location": Location(1, 2),
        "contacts": Contacts((ANA,)),
        "link": Link("a", "b", LINK),
        "flow": Flow("a", "b", "1"),
        "reaction": Reaction("👍", "wamid.IN"),
        "template": Template("a", "en"),
    }
    assert declared.keys() == CAPABILITIES.kinds
    for content in declared.values():
        assert degrade(content, CAPABILITIES)[0] == [content]
        assert await rig.send(content)


async def test_a_reaction_quotes_nothing(rig: Rig) -> None:
    said = await rig.sent(Reaction("👍", "wamid.IN"), reply_to="wamid.Q")
    assert said == {"type": "reaction", "reaction": {"message_id": "wamid.IN", "emoji": "👍"}}


@pytest.mark.parametrize("made_up", ["noid_abc", "wacid.1:connect"])
async def test_an_id_that_is_not_theirs_is_not_quoted(rig: Rig, made_up: str) -> None:
    assert "context" not in await rig.sent(Text("hola"), reply_to=made_up)


async def test_a_flow_is_marked_with_our_own_id_unless_it_has_a_token(rig: Rig) -> None:
    for flow, token in ((Flow("a", "b", "1"), "m_1"), (Flow("a", "b", "1", "mine"), "mine")):
        said = await rig.sent(flow)
        assert said["interactive"]["action"]["parameters"]["flow_token"] == token


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (Location(91, 0), "bad_location"),
        (Location(0, float("nan")), "bad_location"),
        (Contacts(()), "bad_contacts"),
        (Contacts((SharedContact("  "),)), "bad_contacts"),
        (Contacts((ANA,) * 258), "bad_contacts"),
        (Media("image", "image/png"), "no_file"),
        (Text(""), "no_text"),
        (Text("\x00\ud800"), "no_text"),
        (Buttons("Shall we?", (Choice("a", " "),)), "no_text"),
        (Buttons("Shall we?", (Choice("a" * 257, "A"),)), "bad_id"),
        (Buttons("Shall we?", (Choice(" a", "A"),)), "bad_id"),
        (ListMenu("Shall we?", "Open", (Choice("a" * 201, "A"),)), "bad_id"),
        (Link("Look", "\x00", LINK), "no_text"),
    ],
)
async def test_what_whatsapp_would_refuse_is_not_even_sent(rig: Rig, content: Content, code: str) -> None:
    error = await rig.fails(content)
    assert (error.code, error.retryable, error.outcome) == (f"whatsapp:{code}", False, "refused")
    assert not rig.graph.requests


# Whatever it is, what the channel is said to show is taken --------------------------------------------------

WORDS = st.text(min_size=0, max_size=40) | st.sampled_from(
    [
        "**bold**",
        "a\x00b",
        "\ud800",
        "👩\u200d👩\u200d👧" * 30,
        "x" * 5_000,
        "- a\n- b",
        "[a](https://b.example)",
        " ",
    ]
)
CHOICES = st.lists(
    st.builds(Choice, st.text("abc:", min_size=1, max_size=6), WORDS, st.none() | WORDS), max_size=12
)
CARDS = st.builds(SharedContact, WORDS, st.lists(WORDS, max_size=2).map(tuple))
ANYTHING = (
    st.builds(Text, WORDS, markup=st.booleans())
    | st.builds(Buttons, WORDS, CHOICES.map(tuple), markup=st.booleans())
    | st.builds(ListMenu, WORDS, WORDS.filter(str.strip), CHOICES.map(tuple), markup=st.booleans())
    | st.builds(Link, WORDS, WORDS, st.just(LINK), markup=st.booleans())
    | st.builds(Request, WORDS, st.sampled_from(["location", "phone"]), markup=st.booleans())
    | st.builds(Location, st.floats(), st.floats(), st.none() | WORDS, st.none() | WORDS)
    | st.builds(Contacts, st.lists(CARDS, max_size=3).map(tuple))
    | st.builds(
        Media,
        st.sampled_from(["image", "video", "audio", "voice", "document", "sticker"]),
        st.sampled_from(["", "image/png", "image/gif", "video/mp4", "audio/ogg", "application/pdf"]),
        url=st.just(LINK),
        name=st.none() | WORDS,
        caption=st.none() | WORDS,
        markup=st.booleans(),
        size=st.none() | st.integers(1, 200 * 2**20),
    )
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(ANYTHING)
def test_what_degrading_leaves_is_within_the_documented_rules(content: Content) -> None:
    try:
        parts, _ = degrade(content, CAPABILITIES)
        bodies = [payload(Outgoing("m_1", "cv_1", "34600111222", part, 1, NOW)) for part in parts]
    except (Invalid, SendError) as refused:
        assert str(refused)
        return
    for body in bodies:
        json.dumps(body, allow_nan=False).encode()
        check_message(body)


# Formatting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("**bold** and *italic* or _italic_", "*bold* and _italic_ or _italic_"),
        ("`code` here", "`code` here"),
        ("see [our shop](https://shop.example)", "see our shop (https://shop.example)"),
        ("[https://shop.example](https://shop.example)", "https://shop.example"),
        ("[write](mailto:a@b.example)", "write (a@b.example)"),
        ("- one\n- two", "- one\n- two"),
        ("2 \\* 3 and 2 * 3 * 4", "2 * 3 and 2 * 3 * 4"),
    ],
)
async def test_markup_becomes_whatsapps_own(rig: Rig, markup: str, shown: str) -> None:
    assert (await rig.sent(Text(markup, markup=True)))["text"]["body"] == shown
    for content in (
        Buttons(markup, YES_NO, markup=True),
        ListMenu(markup, "Menu", YES_NO, markup=True),
        Link(markup, "Open", LINK, markup=True),
        Request(markup, "location", markup=True),
    ):
        assert (await rig.sent(content))["interactive"]["body"]["text"] == shown
    said = await rig.sent(Media("image", "image/png", url=LINK, caption=markup, markup=True))
    assert said["image"]["caption"] == shown


@pytest.mark.parametrize("plain", ["**not bold**", "[a](https://b.example)", "a_b_c", "- x"])
async def test_plain_text_stays_as_it_is(rig: Rig, plain: str) -> None:
    assert (await rig.sent(Text(plain)))["text"]["body"] == plain


# pywa as a witness: what it would have sent is what we send -----------------------------------------------

MENU = ListMenu("Choose", "Menu", (Choice("a", "A", "first"), Choice("b", "B")))
SECTIONS = SectionList(
    "Menu", [Section("", [SectionRow("A", callback_data="a", description="first"), SectionRow("B", "b")])]
)
Say = Callable[[WhatsApp, dict[str, Any]], Awaitable[Any]]


@pytest.mark.parametrize(
    ("content", "say"),
    [
        (Text("hola"), lambda wa, to: wa.send_message(text="hola", preview_url=False, **to)),
        (
            Buttons("Shall we?", YES_NO),
            lambda wa, to: wa.send_message(
                text="Shall we?", buttons=[Button(c.title, c.id) for c in YES_NO], **to
            ),
        ),
        (MENU, lambda wa, to: wa.send_message(text="Choose", buttons=SECTIONS, **to)),
        (
            Link("Look", "Shop", LINK),
            lambda wa, to: wa.send_message(text="Look", buttons=URLButton("Shop", LINK), **to),
        ),
        (Request("Where?", "location"), lambda wa, to: wa.request_location(text="Where?", **to)),
        (Request("Your number?", "phone"), lambda wa, to: wa.request_contact_info(text="Your number?", **to)),
        (
            Location(1.5, 2.5, "Here", "1 Street"),
            lambda wa, to: wa.send_location(
                latitude=1.5, longitude=2.5, name="Here", address="1 Street", **to
            ),
        ),
        (
            Media("image", "image/png", url=LINK, caption="Look"),
            lambda wa, to: wa.send_image(image=LINK, caption="Look", **to),
        ),
        (
            Media("document", "application/pdf", media_id="123", name="a.pdf"),
            lambda wa, to: wa.send_document(document="123", filename="a.pdf", **to),
        ),
        (Media("voice", "audio/ogg", url=LINK), lambda wa, to: wa.send_voice(voice=LINK, **to)),
        (Media("sticker", "image/webp", media_id="123"), lambda wa, to: wa.send_sticker(sticker="123", **to)),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
async def test_pywa_agrees(content: Content, say: Say) -> None:
    bodies: list[dict[str, Any]] = []

    async def witness(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        assert request.url.path == f"/{API_VERSION}/{PHONE_ID}/messages"
        return httpx.Response(
            200, json={"contacts": [{"input": "1", "wa_id": "1"}], "messages": [{"id": "wamid.1"}]}
        )

    to = {"to": "34600111222", "reply_to_message_id": "wamid.Q", "tracker": "m_1", "sender": PHONE_ID}
    async with httpx.AsyncClient(transport=httpx.MockTransport(witness)) as session:
        await say(WhatsApp(PHONE_ID, TOKEN, session=session, skip_duplicate_updates=False), to)
    ours = payload(Outgoing("m_1", "cv_1", "34600111222", content, 1, NOW, reply_to="wamid.Q"))
    assert _bare(bodies[0]) == _bare(ours)


def _bare(node: Any) -> Any:
    """Without the values that say nothing: empty titles and false flags."""
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if value not in ("", False, None)}
    return [_bare(value) for value in node] if isinstance(node, list) else node
