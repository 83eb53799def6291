"""Every payload file through the parser, by the table; then what the table does not say."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from channels.whatsapp.parse import accounts, parse
from gateway.model.content import Reply, Text, Unsupported, from_doc, to_doc
from gateway.model.conversation import Identity
from gateway.model.errors import NotForUs
from gateway.model.message import Receipt
from gateway.model.ports import InboundMessage, Parsed
from tests.providers.graph_webhooks import PHONE_ID, WABA, text_webhook, webhook
from tests.whatsapp.cases import CASES

FOLDER = Path(__file__).parent.parent / "payloads" / "whatsapp"
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
BSUID = "US.13491208655302741918"


def read(name: str) -> Parsed:
    return parse(PHONE_ID, (FOLDER / f"{name}.json").read_bytes(), NOW)


def only(name: str) -> InboundMessage:
    (message,) = read(name).messages
    return message


def written(message: InboundMessage) -> str:
    silent = "~" if message.silent else ""
    match message.content:
        case Text(text=text):
            return f"{silent}text {text}"
        case Reply(id=choice, title=title):
            return f"{silent}reply {choice} {title}"
        case Unsupported(kind=kind):
            return f"{silent}?{kind}"
    return f"{silent}{message.content.type}"


def noted(receipt: Receipt) -> str:
    failed = f":{receipt.failure.code}" if receipt.failure else ""
    return receipt.status.label + failed + (f"={receipt.message}" if receipt.message else "")


def test_every_file_has_a_row_and_every_row_a_file() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES)
    assert len(CASES) >= 40


@pytest.mark.parametrize("name", CASES)
def test_the_table_holds(name: str) -> None:
    found, case = read(name), CASES[name]
    assert tuple(written(message) for message in found.messages) == case.messages
    assert tuple(noted(receipt) for receipt in found.receipts) == case.receipts
    assert found.ignored == case.ignored


@pytest.mark.parametrize("name", CASES)
def test_what_was_read_can_be_stored(name: str) -> None:
    for message in read(name).messages:
        json.dumps(to_doc(message.content), ensure_ascii=False).encode()
        assert from_doc(to_doc(message.content)) == message.content
        assert message.at.tzinfo is UTC
        assert message.address == message.identity.id
        if isinstance(message.content, Unsupported):
            assert json.loads(message.content.raw)


@pytest.mark.parametrize("name", CASES)
def test_the_same_body_again_reads_the_same(name: str) -> None:
    assert read(name) == read(name)


@pytest.mark.parametrize("name", CASES)
def test_another_number_gets_nothing_of_ours(name: str) -> None:
    found = parse("5", (FOLDER / f"{name}.json").read_bytes(), NOW)
    assert not found.messages
    assert not found.receipts


# Who ------------------------------------------------------------------------------------------------------

PHONE = Identity("whatsapp", "", "16505551234")
SCOPED = Identity("whatsapp", WABA, BSUID)


@pytest.mark.parametrize(
    ("name", "identity", "phone", "aliases", "shown"),
    [
        ("text", PHONE, "+16505551234", (), "Sheena Nelson"),
        ("odd_no_contacts", PHONE, "+16505551234", (), None),
        ("odd_no_profile_name", PHONE, "+16505551234", (), None),
        ("odd_bsuid_only", SCOPED, None, (), "Sheena Nelson"),
        ("odd_bsuid_from_null_no_contacts", SCOPED, None, (), None),
        ("odd_bsuid_and_phone", PHONE, "+16505551234", (SCOPED,), "Sheena Nelson"),
        ("contact_request_without_number", SCOPED, None, (), "Sheena Nelson"),
        ("system_user_id_changed", SCOPED, None, (), None),
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
    message = {"from": "1", "id": "w", "type": "image", "image": {"caption": "é" * 100_000}}
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
    assert [written(message) for message in found] == ["?odd", "?odd2"]
    assert len({message.provider_id for message in found}) == 2


def test_numbers_beyond_reason_are_read() -> None:
    body = GOOD.replace(b'"1749416383"', b"9" * 10_000)
    assert parse(PHONE_ID, body, NOW).messages[0].at == NOW
    assert parse(PHONE_ID, GOOD.replace(b'"1749416383"', b"NaN"), NOW).messages[0].at == NOW
    assert parse(PHONE_ID, GOOD.replace(b'"1749416383"', b"1e999"), NOW).messages[0].at == NOW


def test_accounts_are_named_once_in_order() -> None:
    body = (FOLDER / "odd_other_number_beside_ours.json").read_bytes()
    assert accounts(body) == (PHONE_ID, "999999999999999")
    assert accounts((FOLDER / "event_template_status.json").read_bytes()) == ()
