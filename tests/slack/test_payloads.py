"""Every payload file through the parser, by the table; then what the table does not say."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from channels.slack.parse import accounts_of, greeting, parse
from gateway.model.content import (
    Album,
    Command,
    Deleted,
    Edit,
    FormReply,
    Media,
    Reaction,
    Reply,
    System,
    Text,
    Unsupported,
    from_doc,
    to_doc,
)
from gateway.model.errors import NotForUs
from gateway.model.identity import Identity
from gateway.model.ports import ChannelEvent, InboundMessage, Parsed
from tests.providers.slack_api_events import (
    BOT,
    DM,
    ROOM,
    TEAM,
    USER,
    as_form,
    as_json,
    as_payload,
    command,
    direct,
    mention,
    pressed,
)
from tests.slack.cases import CASES, LOREM
from tests.slack.rig import CHANNEL, CONFIG, NOW

FOLDER = Path(__file__).parent.parent / "payloads" / "slack"
SAID = datetime(2025, 6, 8, 20, 59, 43, tzinfo=UTC)


def body_of(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def read(name: str) -> Parsed:
    return parse(CHANNEL, body_of(name), NOW)


def only(name: str) -> InboundMessage:
    (message,) = read(name).messages
    return message


def written(message: InboundMessage) -> str:
    return ("=" if message.known_only else "") + ("~" if message.silent else "") + _content(message.content)


def _content(content: object) -> str:
    match content:
        case Text(text=text):
            return f"text {text}"
        case Reply(id=choice, title=title):
            return f"reply {choice} {title}"
        case Unsupported(kind=kind):
            return f"?{kind}"
        case Media(media=media, name=name, caption=caption):
            return " ".join(filter(None, (media, name or "-", caption)))
        case Album(items=items):
            return "album " + " | ".join(_content(m) for m in items)
        case Edit(to=to, content=changed):
            return f"edit {to} {_content(changed).removeprefix('text ')}"
        case Deleted(to=to):
            return f"deleted {to}"
        case Reaction(emoji=emoji):
            return f"reaction {emoji}"
        case System(event=event):
            return f"system {event}"
        case Command(name=name, argument=argument):
            return f"command {name} {argument}".strip()
        case FormReply(cancelled=True):
            return "form cancelled"
        case FormReply(values=values):
            return "form " + " ".join(f"{k}={v}" for k, v in sorted(values.items()))
    raise AssertionError(content)


def happened(event: ChannelEvent) -> str:
    return event.name + ("!" if event.disable else "?" if event.warning else "")


def test_every_file_has_a_row_and_every_row_a_file() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(CASES)
    assert len(CASES) >= 70


@pytest.mark.parametrize("name", CASES)
def test_the_table_holds(name: str) -> None:
    found, case = read(name), CASES[name]
    assert tuple(written(message) for message in found.messages) == case.messages
    assert tuple(f"{r.status.label}={r.message}" for r in found.receipts) == case.receipts
    assert tuple(happened(event) for event in found.events) == case.events
    assert found.ignored == case.ignored
    assert found.answer == case.answer


@pytest.mark.parametrize("name", CASES)
def test_what_was_read_can_be_stored(name: str) -> None:
    for message in read(name).messages:
        json.dumps(to_doc(message.content), ensure_ascii=False).encode()
        json.dumps(dict(message.extra), ensure_ascii=False).encode()
        assert from_doc(to_doc(message.content)) == message.content
        assert message.at.tzinfo is UTC
        assert message.provider_id
        assert message.identity.account == TEAM


@pytest.mark.parametrize("name", CASES)
def test_the_same_body_again_reads_the_same(name: str) -> None:
    assert read(name) == read(name)


@pytest.mark.parametrize("name", CASES)
def test_another_workspace_gets_nothing_of_ours(name: str) -> None:
    assert parse(replace(CHANNEL, account="T0STRANGER"), body_of(name), NOW) == Parsed()


@pytest.mark.parametrize("name", [n for n in CASES if n.endswith(".json")])
def test_an_interaction_reads_the_same_as_a_form(name: str) -> None:
    found = json.loads(body_of(name))
    if found.get("user") and found.get("type") != "event_callback" and "event" not in found:
        assert parse(CHANNEL, urlencode({"payload": json.dumps(found)}).encode(), NOW) == read(name)


def test_a_button_is_called_what_it_shows() -> None:
    press = pressed("yes", "Terms &amp; prices &lt;now&gt;", DM, "1749416383.000001")
    (message,) = parse(CHANNEL, as_payload(press), NOW).messages
    assert message.content == Reply("yes", "Terms & prices <now>", f"{DM}:1749416383.000001")


def test_a_command_reads_the_same_over_a_socket() -> None:
    fields = command("hours?")
    assert parse(CHANNEL, as_form(fields), NOW) == parse(CHANNEL, as_json(fields), NOW)


# Who, where, when -----------------------------------------------------------------------------------------

PERSON = Identity("slack", TEAM, USER)


@pytest.mark.parametrize(
    ("name", "address", "place"),
    [
        ("text.json", DM, None),
        ("text_in_dm_thread.json", f"{DM}:1749416383.000001", None),
        ("mention_in_thread.json", f"{ROOM}:1749416383.000001", f"{ROOM}:1749416383.000001"),
        ("thread_reply_to_us.json", f"{ROOM}:1749416383.000001", f"{ROOM}:1749416383.000001"),
        ("button.json", DM, None),
        ("button_in_channel_thread.json", f"{ROOM}:1749416383.000001", f"{ROOM}:1749416383.000001"),
        ("button_in_a_window.json", USER, None),
        ("command_over_socket.json", USER, None),
        ("message_action.json", USER, None),
        ("form_sent.json", USER, None),
        ("assistant_thread_started.json", f"{DM}:1749416383.000006", None),
        ("app_home_messages_opened.json", DM, None),
        ("edit.json", DM, None),
    ],
)
def test_where_an_answer_goes(name: str, address: str, place: str | None) -> None:
    message = only(name)
    assert message.address == address
    assert message.place == (Identity("slack", TEAM, place) if place else None)
    assert message.identity == PERSON


def test_a_mention_begins_a_thread_of_its_own() -> None:
    message = only("mention.json")
    ts = message.provider_id.partition(":")[2]
    assert message.place == Identity("slack", TEAM, f"{ROOM}:{ts}")
    assert message.address == f"{ROOM}:{ts}"


def test_a_mention_comes_twice_and_is_one_message() -> None:
    body = mention("hours?")
    again = {
        **body,
        "event_id": "EvOTHER",
        "event": {**body["event"], "type": "message", "channel_type": "channel"},
    }
    first, second = (parse(CHANNEL, as_json(b), NOW).messages[0] for b in (body, again))
    assert (first.provider_id, first.content) == (second.provider_id, second.content)


def test_a_message_is_known_by_its_place_and_time_and_what_happens_by_its_event() -> None:
    assert only("text.json").provider_id.startswith(f"{DM}:1749416383.")
    assert only("text.json").at.replace(microsecond=0) == SAID
    assert only("reaction.json").provider_id.startswith("Ev")
    assert only("edit.json").provider_id.startswith("Ev")
    assert only("odd_no_event_id.json").provider_id.startswith("noid_")
    assert only("odd_ts_absurd.json").at == NOW


def test_opening_the_chat_greets_once() -> None:
    first = only("app_home_messages_opened.json")
    body = json.loads(body_of("app_home_messages_opened.json"))
    body["event_id"], body["event"]["event_ts"] = "EvLATER", "1749999999.000001"
    (second,) = parse(CHANNEL, as_json(body), NOW).messages
    assert first.provider_id == second.provider_id
    assert not first.silent


def test_a_choice_names_the_message_that_offered_it() -> None:
    content = only("button.json").content
    assert isinstance(content, Reply)
    assert content.to == only("button.json").reply_to == f"{DM}:1749416383.000002"


def test_people_of_other_companies_are_marked() -> None:
    assert only("external_person_in_shared_channel.json").extra == {"external": "T0EXTERNAL"}
    assert only("shared_message.json").extra == {"forwarded": True}
    assert only("text_in_dm_thread.json").extra == {"thread": "1749416383.000001"}


def test_a_file_says_what_slack_says() -> None:
    assert only("file_image.json").content == Media(
        "image",
        "image/png",
        "F0FILE0001",
        name="roof.png",
        caption="the roof",
        size=123456,
        width=1920,
        height=1080,
    )
    video = only("file_video.json").content
    assert isinstance(video, Media)
    assert video.seconds == 61


def test_an_organisations_channel_gets_its_workspaces_messages() -> None:
    channel = replace(CHANNEL, account="E0ACME0001")
    (message,) = parse(channel, body_of("org_installation.json"), NOW).messages
    assert message.identity == Identity("slack", "E0ACME0001", USER)
    assert len(parse(channel, body_of("command_from_org_form.form"), NOW).messages) == 1


def test_without_a_known_bot_the_event_says_who_we_are() -> None:
    channel = replace(CHANNEL, config={})
    (message,) = parse(channel, body_of("mention.json"), NOW).messages
    assert written(message) == "text what are your hours?"
    assert parse(channel, body_of("our_own_message.json"), NOW).messages == ()


def test_a_huge_text_is_kept_whole() -> None:
    content = only("odd_huge_text.json").content
    assert isinstance(content, Text)
    assert content.text == LOREM.strip()


# Accounts, greetings, refusals ----------------------------------------------------------------------------


def test_accounts() -> None:
    assert accounts_of(body_of("text.json")) == (TEAM,)
    assert accounts_of(body_of("org_installation.json")) == ("E0ACME0001",)
    assert accounts_of(body_of("app_uninstalled.json")) == (TEAM,)
    assert accounts_of(body_of("button_form.form")) == (TEAM,)
    assert accounts_of(body_of("certificate_check_form.form")) == ()


def test_a_shared_channel_speaks_to_the_installation_that_sees_it() -> None:
    body = direct("hi") | {"team_id": "T0ELSEWHERE"}
    assert accounts_of(as_json(body)) == (TEAM,)


def test_greetings() -> None:
    assert greeting(body_of("odd_challenge_in_events.json")) == '{"challenge": "3eZbrw1aB"}'
    assert greeting(body_of("certificate_check_form.form")) == "{}"
    for name in CASES:
        if name not in ("odd_challenge_in_events.json", "certificate_check_form.form"):
            assert greeting(body_of(name)) is None
    assert greeting(as_json(direct("url_verification ssl_check"))) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b"{",
        b"{}",
        b"payload=",
        b"payload=7",
        b"payload=%7B",
        b"a=1&b=2",
        b'{"object": "page", "entry": []}',
        b'{"type": ["event_callback"]}',
        b"\xff\xfe" + as_json(direct("x")),
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"&".join(b"a=1" for _ in range(1_000)),
    ],
)
def test_what_is_not_slacks_is_refused_and_not_quoted(body: bytes) -> None:
    for refuse in (lambda: parse(CHANNEL, body, NOW), lambda: accounts_of(body)):
        with pytest.raises(NotForUs) as caught:
            refuse()
        assert len(str(caught.value)) < 60
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_bodies_of_the_stand_in_read_as_meant() -> None:
    assert written(parse(CHANNEL, as_json(direct("hi")), NOW).messages[0]) == "text hi"
    assert written(parse(CHANNEL, as_payload(pressed("a", "A", DM, "1.2")), NOW).messages[0]) == "reply a A"
    assert CONFIG["bot_user_id"] == BOT
