"""Every payload file through the parser, by the table; then what the table does not say."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from channels.whatsapp.parse import accounts, parse
from gateway.model.content import Edit, Media, Reply, System, Unsupported, from_doc, to_doc
from gateway.model.errors import NotForUs
from gateway.model.identity import Identity
from gateway.model.ports import InboundMessage, Parsed
from tests.providers.graph_webhooks import PHONE_ID, WABA, text_webhook, webhook
from tests.whatsapp import written
from tests.whatsapp.cases import CASES

FOLDER = Path(__file__).parent.parent / "payloads" / "whatsapp"
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
BSUID = "US.13491208655302741918"


def read(name: str) -> Parsed:
    return parse(PHONE_ID, (FOLDER / f"{name}.json").read_bytes(), NOW, WABA)


def only(name: str) -> InboundMessage:
    (message,) = read(name).messages
    return message


def test_every_file_has_a_row_and_every_row_a_file() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES)
    assert len(CASES) >= 90


@pytest.mark.parametrize("name", CASES)
def test_the_table_holds(name: str) -> None:
    found, case = read(name), CASES[name]
    assert tuple(written.message(message) for message in found.messages) == case.messages
    assert tuple(written.receipt(receipt) for receipt in found.receipts) == case.receipts
    assert tuple(written.event(event) for event in found.events) == case.events
    assert found.ignored == case.ignored


@pytest.mark.parametrize("name", CASES)
def test_what_was_read_can_be_stored(name: str) -> None:
    for message in read(name).messages:
        json.dumps(to_doc(message.content), ensure_ascii=False).encode()
        assert from_doc(to_doc(message.content)) == message.content
        assert message.at.tzinfo is UTC
        json.dumps(dict(message.extra), ensure_ascii=False, allow_nan=False).encode()
        if isinstance(message.content, Unsupported):
            assert json.loads(message.content.raw)
        if not (isinstance(message.content, System) and message.content.event == "moved"):
            assert message.address == message.identity.id
    for event in read(name).events:
        json.dumps(dict(event.data), ensure_ascii=False, allow_nan=False).encode()
        assert event.text.strip()
        assert event.at.tzinfo is UTC


@pytest.mark.parametrize("name", CASES)
def test_the_same_body_again_reads_the_same(name: str) -> None:
    assert read(name) == read(name)


@pytest.mark.parametrize("name", CASES)
def test_another_number_gets_nothing_of_ours(name: str) -> None:
    found = parse("5", (FOLDER / f"{name}.json").read_bytes(), NOW)
    assert not found.messages
    assert not found.receipts


@pytest.mark.parametrize("name", CASES)
def test_another_business_account_gets_no_events_of_ours(name: str) -> None:
    body = (FOLDER / f"{name}.json").read_bytes()
    assert not [e for e in parse("5", body, NOW, "77").events if e.name != "history_refused"]


def test_the_end_of_an_account_counts_only_when_it_is_surely_ours() -> None:
    body = (FOLDER / "event_account_deleted.json").read_bytes()
    assert [event.disable for event in parse(PHONE_ID, body, NOW, WABA).events] == [True]
    unsure = parse(PHONE_ID, body, NOW)
    assert (unsure.events, unsure.ignored) == ((), ("account_update",))


def test_events_that_happen_again_are_told_apart_and_redelivered_ones_are_not() -> None:
    first = (FOLDER / "event_template_paused.json").read_bytes()
    again = first.replace(b"1739321024", b"1739321999")
    ids = {parse(PHONE_ID, body, NOW, WABA).events[0].id for body in (first, first, again)}
    assert len(ids) == 2


# Who ------------------------------------------------------------------------------------------------------

PHONE = Identity("whatsapp", "", "16505551234")
SCOPED = Identity("whatsapp", WABA, BSUID)
NEW_PHONE = Identity("whatsapp", "", "12195555358")
NEW_SCOPED = Identity("whatsapp", WABA, "US.999")


@pytest.mark.parametrize(
    ("name", "identity", "phone", "aliases", "shown"),
    [
        ("text", PHONE, "+16505551234", (), "Sheena Nelson"),
        ("odd_no_contacts", PHONE, "+16505551234", (), None),
        ("odd_no_profile_name", PHONE, "+16505551234", (), None),
        ("odd_bsuid_only", SCOPED, None, (), "Sheena Nelson"),
        ("odd_bsuid_from_null_no_contacts", SCOPED, None, (), None),
        ("odd_bsuid_and_phone", PHONE, "+16505551234", (SCOPED,), "Sheena Nelson"),
        ("contact_request_without_number", SCOPED, "+16505551234", (PHONE,), "Sheena Nelson"),
        ("contact_request_answered", SCOPED, "+16505551234", (PHONE,), "Sheena Nelson"),
        ("contact_shared_by_hand", SCOPED, None, (), "Sheena Nelson"),
        ("system_user_id_changed", SCOPED, None, (NEW_SCOPED,), None),
        ("odd_system_user_id_changed_without_sender", SCOPED, None, (NEW_SCOPED,), None),
        ("system_number_changed", PHONE, "+12195555358", (NEW_PHONE,), None),
        ("system_number_changed_old_form", PHONE, "+12195555358", (NEW_PHONE,), None),
        (
            "system_number_changed_with_user_ids",
            PHONE,
            "+12195555358",
            (SCOPED, Identity("whatsapp", WABA, "US.9988776655443322110"), NEW_PHONE),
            None,
        ),
        ("reaction_by_bsuid", SCOPED, None, (), "Sheena Nelson"),
        ("flow_reply_many_fields", PHONE, "+16505551234", (SCOPED,), "Sheena Nelson"),
        ("event_echo", PHONE, "+16505551234", (), None),
        ("event_echo_to_bsuid", SCOPED, None, (), None),
        ("event_call", PHONE, "+16505551234", (), "Sheena Nelson"),
        ("event_call_by_business", PHONE, "+16505551234", (), None),
        ("event_call_not_taken", SCOPED, None, (), "Sheena Nelson"),
        ("event_user_preferences", PHONE, "+16505551234", (), "Sheena Nelson"),
        ("event_user_preferences_resumed_by_bsuid", SCOPED, None, (), "Sheena Nelson"),
        ("event_history", PHONE, "+16505551234", (), None),
        ("odd_mexican_number", Identity("whatsapp", "", "5215512345678"), "+5215512345678", (), "Lupita"),
        (
            "odd_brazilian_id_differs_from_number",
            Identity("whatsapp", "", "5531988887777"),
            "+5531988887777",
            (),
            "João",
        ),
        ("odd_nul_and_surrogates", PHONE, "+16505551234", (), "Name"),
        ("odd_name_emoji_rtl", PHONE, "+16505551234", (), "\u200fليلى 🌸 👩\u200d👩\u200d👧"),
    ],
)
def test_who_wrote(name: str, identity: Identity, phone: str | None, aliases: Any, shown: str | None) -> None:
    message = only(name)
    assert (message.identity, message.phone, message.aliases) == (identity, phone, aliases)
    assert message.name == shown


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("system_number_changed", "12195555358"),
        ("system_number_changed_with_user_ids", "12195555358"),
        ("system_user_id_changed", "US.999"),
        ("odd_bsuid_and_phone", "16505551234"),
        ("odd_bsuid_only", BSUID),
    ],
)
def test_where_to_answer(name: str, address: str) -> None:
    assert only(name).address == address


def test_a_number_that_stays_visible_is_still_written_to() -> None:
    system = {"type": "user_changed_user_id", "user_id": "US.999", "previous_user_id": BSUID}
    moved = {"from": "16505551234", "id": "wamid.1", "timestamp": "1", "type": "system", "system": system}
    (message,) = parse(PHONE_ID, webhook({"messages": [moved]}), NOW).messages
    assert (message.identity, message.address, message.aliases) == (
        PHONE,
        "16505551234",
        (SCOPED, NEW_SCOPED),
    )


def test_history_knows_both_sides_of_several_chats() -> None:
    found = read("event_history_both_directions").messages
    assert [m.identity.id for m in found] == ["16505551234"] * 3 + ["34600111222", "ES.777"]
    assert [m.author for m in found] == ["customer", "agent", "customer", "agent", "customer"]
    assert all(m.past and m.silent for m in found)
    assert found[3].aliases == (Identity("whatsapp", WABA, "ES.555"),)
    assert [m.extra["history"] for m in found] == ["read", "played", "read", "delivered", "read"]


def test_a_file_of_history_fills_the_placeholder_that_came_before() -> None:
    placeholder = read("event_history_both_directions").messages[2]
    late = read("event_history_file").messages[0]
    assert isinstance(late.content, Edit)
    assert late.content.to == placeholder.provider_id
    assert late.provider_id != placeholder.provider_id
    assert isinstance(late.content.content, Media)
    assert late.past


def test_a_call_s_start_and_end_are_two_messages() -> None:
    assert only("event_call").provider_id != only("event_call_ended").provider_id


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("text_forwarded", {"forwarded": True}),
        ("text_forwarded_often", {"forwarded": True}),
        (
            "text_about_product",
            {"product": {"catalog_id": "194836987003835", "product_retailer_id": "di9ozbzfi4"}},
        ),
        ("flow_reply", {"flow_token": "t"}),
        ("odd_group_image", {"group": "Y2FwaV9ncm91cDo"}),
        ("text", {}),
    ],
)
def test_what_else_was_told(name: str, extra: dict[str, Any]) -> None:
    assert dict(only(name).extra) == extra


def test_the_ad_that_led_here_is_kept_whole() -> None:
    body = json.loads((FOLDER / "text_from_video_ad.json").read_bytes())
    said = body["entry"][0]["changes"][0]["value"]["messages"][0]["referral"]
    assert only("text_from_video_ad").extra["referral"] == said


@pytest.mark.parametrize("listed", ["messages", "message_echoes"])
def test_a_lone_contact_never_makes_one_person_of_two(listed: str) -> None:
    side = "from" if listed == "messages" else "to"
    said = [
        {side: number, "id": f"wamid.{number}", "timestamp": "1", "type": "text", "text": {"body": "hi"}}
        for number in ("16505551234", "34600111222")
    ]
    contact = {"profile": {"name": "Sheena"}, "wa_id": "16505551234", "user_id": BSUID}
    field = "messages" if listed == "messages" else "smb_message_echoes"
    sheena, other = parse(PHONE_ID, webhook({listed: said, "contacts": [contact]}, field=field), NOW).messages
    assert sheena.aliases == (SCOPED,)
    assert (other.name, other.aliases) == (None, ())


def test_each_of_several_senders_has_their_own_name() -> None:
    found = read("odd_two_entries_three_changes_many_messages").messages
    assert [message.name for message in found] == ["Sheena Nelson"] * 3 + ["Pablo"]


@pytest.mark.parametrize("name", ["ñ" * 5_000, "😀" * 2_500, "x" * 65_536, "  spaced  "])
def test_long_names_come_back_byte_for_byte(name: str) -> None:
    body = text_webhook("16505551234", "hi", "wamid.1", 1749416383, name=name)
    assert parse(PHONE_ID, body, NOW).messages[0].name == name


@pytest.mark.parametrize("name", ["x" * 65_537, "", "   ", "\x00"])
def test_a_name_beyond_reason_is_none(name: str) -> None:
    body = text_webhook("16505551234", "hi", "wamid.1", 1749416383, name=name)
    assert parse(PHONE_ID, body, NOW).messages[0].name is None


# When, which, what ----------------------------------------------------------------------------------------

SAID = datetime(2025, 6, 8, 20, 59, 43, tzinfo=UTC)


@pytest.mark.parametrize("name", ["text", "odd_timestamp_number", "odd_timestamp_milliseconds"])
def test_times(name: str) -> None:
    assert only(name).at == SAID


def test_absurd_times_are_the_time_of_arrival() -> None:
    assert {message.at for message in read("odd_timestamp_absurd").messages} == {NOW}


def test_a_message_without_id_gets_one_from_its_content() -> None:
    given = only("odd_no_message_id").provider_id
    assert given.startswith("noid_")
    assert len({message.provider_id for message in read("odd_timestamp_absurd").messages}) == 4


def test_an_id_that_is_too_long_is_replaced() -> None:
    body = text_webhook("16505551234", "hi", "w" * 100_000, 1749416383)
    assert parse(PHONE_ID, body, NOW).messages[0].provider_id.startswith("long_")


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("button_reply", "wamid.OURS"),
        ("list_reply", "wamid.OURS"),
        ("template_button", "wamid.TEMPLATE"),
    ],
)
def test_a_pressed_button_names_the_message_that_offered_it(name: str, to: str) -> None:
    message = only(name)
    assert isinstance(message.content, Reply)
    assert (message.content.to, message.reply_to) == (to, to)


def test_a_quote_is_kept_and_a_forward_is_none() -> None:
    assert only("text_quoting_ours").reply_to
    assert only("text_forwarded").reply_to is None


def test_the_reason_of_an_unsupported_message_is_kept() -> None:
    content = only("unsupported").content
    assert isinstance(content, Unsupported)
    assert content.reason == "whatsapp:131051"


def test_raw_is_at_most_64_kb() -> None:
    message = {"from": "1", "id": "w", "type": "hologram", "hologram": {"caption": "é" * 100_000}}
    (found,) = parse(PHONE_ID, webhook({"messages": [message]}), NOW).messages
    assert isinstance(found.content, Unsupported)
    assert 60_000 < len(found.content.raw.encode()) <= 65_536


def test_prices_are_kept() -> None:
    (receipt,) = read("status_delivered_with_our_id").receipts
    assert json.loads(receipt.detail or "")["pricing"]["category"] == "service"


# Not for us -----------------------------------------------------------------------------------------------

GOOD = text_webhook("16505551234", "hi", "wamid.1", 1749416383)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b"{",
        b"{}",
        b'{"object": "page", "entry": []}',
        b'{"object": ["whatsapp_business_account"]}',
        b"\xff\xfe" + GOOD,
        GOOD.replace(b"hi", b"\xc3\x28"),
        b"[" * 100_000,
        b'{"object":"whatsapp_business_account","entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_what_is_not_whatsapps_is_refused_and_not_quoted(body: bytes) -> None:
    for refuse in (lambda: parse(PHONE_ID, body, NOW), lambda: accounts(body)):
        with pytest.raises(NotForUs) as caught:
            refuse()
        assert len(str(caught.value)) < 60
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("depth", [100, 500, 900])
def test_deep_content_within_a_good_body_is_unsupported(depth: int) -> None:
    body = webhook({"messages": [{"from": "1", "type": "odd", "odd": None}, {"from": "1", "type": "odd2"}]})
    body = body.replace(b'"odd":null', b'"odd":' + b"[" * depth + b"]" * depth)
    found = parse(PHONE_ID, body, NOW).messages
    assert [written.message(message) for message in found] == ["?odd", "?odd2"]
    assert len({message.provider_id for message in found}) == 2


def test_numbers_beyond_reason_are_read() -> None:
    body = GOOD.replace(b'"1749416383"', b"9" * 10_000)
    assert parse(PHONE_ID, body, NOW).messages[0].at == NOW
    assert parse(PHONE_ID, GOOD.replace(b'"1749416383"', b"NaN"), NOW).messages[0].at == NOW
    assert parse(PHONE_ID, GOOD.replace(b'"1749416383"', b"1e999"), NOW).messages[0].at == NOW


def test_accounts_are_named_once_in_order() -> None:
    body = (FOLDER / "odd_other_number_beside_ours.json").read_bytes()
    assert accounts(body) == (PHONE_ID, "999999999999999")
    assert accounts((FOLDER / "odd_change_without_metadata.json").read_bytes()) == ()


def test_what_concerns_a_whole_business_account_names_it() -> None:
    assert accounts((FOLDER / "event_template_status.json").read_bytes()) == (f"waba:{WABA}",)
    body = (FOLDER / "event_account_of_another_client_removed.json").read_bytes()
    assert accounts(body) == ("waba:999000999000999",)
    both = (FOLDER / "odd_message_beside_account_event.json").read_bytes()
    assert accounts(both) == (f"waba:{WABA}", PHONE_ID)
