"""Every payload file through the parser, by the table; then what the table does not say."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from telegram import TelegramObject, Update

from channels.telegram.parse import ALLOWED, DECLARED, parse
from gateway.model.content import Media, Unsupported, from_doc, to_doc
from gateway.model.errors import NotForUs
from gateway.model.identity import Identity
from gateway.model.ports import InboundMessage
from tests.telegram.cases import CASES
from tests.telegram.reading import BOT, FOLDER, NOW, USERNAME, body, effects, only, read

SAID = datetime(2025, 11, 22, 0, 0, tzinfo=UTC)
NOT_TELEGRAMS = {
    "odd_contact_without_anything",
    "odd_document_without_file_id",
    "odd_entities_out_of_range",
    "odd_ids_absurd",
    "odd_ids_as_strings",
    "odd_message_is_a_list",
    "odd_message_without_id",
    "odd_name_missing",
    "odd_photo_sizes_broken",
}
"""Bodies that Telegram can't send and that python-telegram-bot can't read; we can."""
UNHEARD = {"hologram", "hologram_call", "holo_message", "poll_of_the_future"}
OLD = {"all_members_are_administrators", "new_chat_member"}
"""Telegram still sends these, and no longer documents them."""


def test_every_file_has_a_row_and_every_row_a_file() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES)
    assert len(CASES) >= 80


@pytest.mark.parametrize("name", CASES)
def test_the_table_holds(name: str) -> None:
    case = CASES[name]
    assert effects(read(name)) == (list(case.messages), list(case.events), list(case.ignored))


def test_no_two_files_are_the_same_but_for_their_numbers() -> None:
    bodies = [json.loads(body(name)) for name in CASES]
    for doc in bodies:
        doc.pop("update_id", None)
        for value in doc.values():
            if isinstance(value, dict):
                value.pop("message_id", None)
    assert len({json.dumps(doc, sort_keys=True) for doc in bodies}) == len(CASES)


@pytest.mark.parametrize("name", CASES)
def test_what_was_read_can_be_stored(name: str) -> None:
    for message in read(name).messages:
        json.dumps([to_doc(message.content), dict(message.extra)], ensure_ascii=False).encode()
        assert from_doc(to_doc(message.content)) == message.content
        assert message.at.tzinfo is UTC
        if isinstance(message.content, Unsupported) and name != "odd_raw_over_64_kb":
            assert json.loads(message.content.raw)


@pytest.mark.parametrize("name", CASES)
def test_the_same_body_again_reads_the_same(name: str) -> None:
    assert read(name) == read(name)


def test_provider_ids_are_unique_over_all_bodies() -> None:
    ids = [m.provider_id for name in CASES for m in read(name).messages if "migrated" not in name]
    assert len(ids) == len(set(ids))


# The second opinion ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
@pytest.mark.parametrize("name", sorted(set(CASES) - NOT_TELEGRAMS))
def test_python_telegram_bot_knows_every_field(name: str) -> None:
    update = Update.de_json(json.loads(body(name)), None)
    assert unknown(update) <= UNHEARD | OLD


def unknown(node: Any) -> set[str]:
    """The names that python-telegram-bot has no field for."""
    if isinstance(node, list | tuple):
        return set().union(*map(unknown, node))
    if not isinstance(node, TelegramObject):
        return set()
    slots = {s for kind in type(node).__mro__ for s in getattr(kind, "__slots__", ())}
    fields = [getattr(node, s, None) for s in slots if not s.startswith("_")]
    return set(node.api_kwargs) | set().union(*map(unknown, fields))


def test_every_kind_of_update_that_there_is_is_declared() -> None:
    assert set(Update.ALL_TYPES) == set(ALLOWED) | DECLARED
    seen = {key for name in CASES for key in json.loads(body(name))}
    assert set(Update.ALL_TYPES) <= seen


# Who ------------------------------------------------------------------------------------------------------

ANA = Identity("telegram", "", "5512345678")
BEN = Identity("telegram", "", "198765432")


@pytest.mark.parametrize(
    ("name", "identity", "address", "place"),
    [
        ("text", ANA, "5512345678", None),
        ("odd_ids_as_strings", ANA, "5512345678", None),
        ("text_in_private_topic", ANA, "5512345678;topic=31", None),
        ("group_talk", BEN, "-1002233445566", "-1002233445566"),
        ("topic_mention", BEN, "-1009988776655;topic=31", "-1009988776655/31"),
        ("group_reply_thread_is_no_topic", BEN, "-1002233445566", "-1002233445566"),
        ("callback_in_group_topic", BEN, "-1009988776655;topic=31", "-1009988776655/31"),
        ("business_message", ANA, "5512345678;business=bc-AAA", None),
        ("business_message_of_owner", ANA, "5512345678;business=bc-AAA", None),
        ("edited_business_message", ANA, "5512345678;business=bc-AAA", None),
        ("callback_in_business_chat", ANA, "5512345678;business=bc-AAA", None),
        ("direct_message_of_customer", ANA, "-1005556667778;direct=5512345678", "-1005556667778/d5512345678"),
        ("direct_message_of_channel", ANA, "-1005556667778;direct=5512345678", "-1005556667778/d5512345678"),
        (
            "reaction_anonymous",
            Identity("telegram", "chat", "-1002233445566"),
            "-1002233445566",
            "-1002233445566",
        ),
        (
            "group_anonymous_admin",
            Identity("telegram", "chat", "-1002233445566"),
            "-1002233445566",
            "-1002233445566",
        ),
    ],
)
def test_who_wrote_and_where(name: str, identity: Identity, address: str, place: str | None) -> None:
    message = only(name)
    assert (message.identity, message.address) == (identity, address)
    assert message.place == (Identity("telegram", "", place) if place else None)


def test_a_migrated_group_is_told_once_from_both_sides() -> None:
    one, other = only("group_migrated_to"), only("group_migrated_from")
    assert one.provider_id == other.provider_id
    for message in (one, other):
        assert message.place == Identity("telegram", "", "-4011223344")
        assert message.aliases == (Identity("telegram", "", "-1004011223344"),)
        assert message.address == "-1004011223344"
        assert not message.silent


@pytest.mark.parametrize(
    ("name", "phone"),
    [
        ("contact_own", "+34600111222"),
        ("contact_own_with_plus", "+34600111222"),
        ("contact_of_another", None),
        ("contact_not_on_telegram", None),
    ],
)
def test_only_the_senders_own_number_counts(name: str, phone: str | None) -> None:
    assert only(name).phone == phone


def test_the_owner_of_a_business_is_not_the_customer() -> None:
    message = only("business_message_of_owner")
    assert (message.author, message.name, message.language, message.past) == ("agent", None, None, False)
    assert only("business_message_automatic").past


@pytest.mark.parametrize("name", ["ñ" * 5_000, "😀" * 2_500, "x" * 65_000])
def test_long_names_come_back_byte_for_byte(name: str) -> None:
    assert changed("text", "from", {"id": 5512345678, "first_name": name}).name == name


# When, which, what ----------------------------------------------------------------------------------------


def changed(name: str, key: str, value: Any) -> InboundMessage:
    doc = json.loads(body(name))
    doc["message"][key] = value
    (message,) = parse(BOT, USERNAME, json.dumps(doc).encode(), NOW).messages
    return message


def test_times() -> None:
    assert only("text").at == only("odd_ids_as_strings").at == SAID
    assert only("odd_date_in_the_future").at == only("odd_ids_absurd").at == NOW
    assert only("edited_text").at == datetime(2025, 11, 22, 0, 0, 30, tzinfo=UTC)
    # A press has no time of its own.
    assert only("callback").at == NOW


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("command_start_deep_link", {"start": "summer-ad_2026", "username": "anagarcia"}),
        ("text_forwarded_from_person", {"forwarded": True, "username": "anagarcia"}),
        ("text_with_hidden_link", {"links": ["https://acme.example/page"], "username": "anagarcia"}),
        ("text_reply_with_quote", {"quote": "help", "username": "anagarcia"}),
        ("topic_mention", {"group": "Acme forum", "topic": "Returns"}),
        ("callback", {"callback": "4382bfdwdsb323b2d9"}),
        ("reaction_custom", {"custom_emoji": "5368324170671202286"}),
        ("group_other_bot_speaks", {"group": "Acme community", "username": "helper_bot", "bot": True}),
    ],
)
def test_what_else_is_told(name: str, extra: dict[str, Any]) -> None:
    assert only(name).extra == extra


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("text_reply_to_ours", "5512345678:90"),
        ("text_reply_to_another_chat", "-1001112223334:12"),
        ("contact_own", "5512345678:90"),
        ("topic_talk", None),
        ("text", None),
    ],
)
def test_what_is_answered(name: str, to: str | None) -> None:
    assert only(name).reply_to == to


def test_files_are_read_with_their_facts() -> None:
    photo, video, note = (only(name).content for name in ("photo", "video", "video_note"))
    assert isinstance(photo, Media)
    assert isinstance(video, Media)
    assert isinstance(note, Media)
    assert (photo.media_id, photo.width, photo.height, photo.size) == ("AgACAgQAAxkBAAIp3", 1280, 960, 98000)
    assert (video.media_id, video.seconds, video.size, video.name) == (
        "AgACAgQAAxkBAAIv1",
        42,
        26214400,
        "clip.mp4",
    )
    assert (note.width, note.height, note.seconds) == (240, 240, 8)


def test_parts_of_an_album_share_its_name() -> None:
    assert only("album_first").album == only("album_second").album == "5512345678:album13579246810"


def test_a_language_is_the_senders() -> None:
    assert (only("text").language, only("group_talk").language) == ("es", "en-US")


def test_without_a_username_nothing_is_a_mention() -> None:
    (message,) = parse(BOT, "", body("group_mention"), NOW).messages
    assert message.silent


def test_another_bot_is_not_us() -> None:
    for name in ("group_mention", "group_reply_to_ours", "group_text_mention", "command_in_group_to_us"):
        (message,) = parse("1", "other_bot", body(name), NOW).messages
        assert message.silent, name


def test_raw_is_at_most_64_kb() -> None:
    found = only("odd_raw_over_64_kb").content
    assert isinstance(found, Unsupported)
    assert 60_000 < len(found.raw.encode()) <= 65_536


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b'{"update_id": null}',
        b'{"update_id": [1], "message": {}}',
        b'{"object": "whatsapp_business_account", "entry": []}',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_what_is_not_telegrams_is_refused_and_not_quoted(wrong: bytes) -> None:
    with pytest.raises(NotForUs) as caught:
        parse(BOT, USERNAME, wrong, NOW)
    assert len(str(caught.value)) < 60


@pytest.mark.parametrize("depth", [100, 900])
def test_deep_content_within_a_good_body_is_unsupported(depth: int) -> None:
    doc = b'{"update_id":1,"message":{"message_id":1,"from":{"id":5},"chat":{"id":5,"type":"private"},"odd":'
    found = parse(BOT, USERNAME, doc + b"[" * depth + b"]" * depth + b"}}", NOW).messages
    assert [m.content.kind for m in found if isinstance(m.content, Unsupported)] == ["odd"]
