"""Sending, against a Slack that checks what it is sent and misbehaves when told."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from channels import http
from gateway.model.content import (
    Album,
    Buttons,
    Choice,
    Contacts,
    Content,
    Deleted,
    Edit,
    Form,
    Link,
    ListMenu,
    Location,
    Media,
    Reaction,
    Request,
    SharedContact,
    Source,
    System,
    Template,
    Text,
)
from gateway.model.errors import Invalid, SendError
from gateway.model.message import Message, Status
from gateway.model.ports import Outgoing
from tests.providers.slack_api import Fault
from tests.providers.slack_api_events import DM, OUR_ID, ROOM, USER
from tests.slack.rig import CHANNEL, NOW, TOKEN, Rig, clean, digest_of

HOLA = Text("hola")
MANY = "a & b < c > d " * 250
ROWS = tuple(Choice(f"row{n}", f"Row {n}", "d" * 80 if n else None) for n in range(100))
BUTTONS = tuple(Choice(f"b{n}", f"Button {n}") for n in range(25))


async def test_a_text_is_taken_with_our_id(rig: Rig) -> None:
    provider_id = await rig.send(Text("5 < 6 & *not bold*"), f"{ROOM}:1700000000.000100")
    (seen,) = rig.slack.made()
    assert seen.body == {
        "channel": ROOM,
        "thread_ts": "1700000000.000100",
        "text": "5 &lt; 6 &amp; *not bold*",
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "metadata": {"event_type": "parley_message", "event_payload": {"id": OUR_ID}},
    }
    assert provider_id == f"{ROOM}:{seen.ts}"


async def test_markup_becomes_mrkdwn(rig: Rig) -> None:
    text = "**Bold** and *it*, `a<b`, [R&D | x](https://a.example/?a=1&b=2), 2 * 3\n- one"
    await rig.send(Text(text, markup=True))
    (seen,) = rig.slack.made()
    assert (
        seen.text == "*Bold* and _it_, `a&lt;b`, <https://a.example/?a=1&amp;b=2|R&amp;D ¦ x>, 2 * 3\n• one"
    )
    assert "mrkdwn" not in seen.body


@pytest.mark.parametrize(
    "content",
    [
        Text("😀" * 2_000),
        Text("x" * 9_000),
        Text(MANY),
        Text("a\x00\ud800b"),
        Text("answer", (Source("Guide", "https://a.example", 3),), markup=True),
        Buttons("Shall we?", BUTTONS),
        Buttons(MANY[:3_000], BUTTONS[:2]),
        Buttons("**" + "&" * 2_900 + "**", BUTTONS[:2], markup=True),
        Buttons("Too many", (*BUTTONS, Choice("z", "Z"))),
        Buttons("Too long", (Choice("a", "t" * 76), Choice("b", "B"))),
        ListMenu("Choose", "A button " * 40, ROWS),
        ListMenu("Choose", "", ROWS[:1]),
        ListMenu("Too many", "Open", (*ROWS, Choice("z", "Z"))),
        Link("See <here> & there", "Open", "https://a.example/?a=1&b=2"),
        Link("x" * 3_500, "Open", "https://a.example", markup=True),
        Location(41.4, 2.2, "Us", "Street 1"),
        Contacts((SharedContact("Ana", ("+34600111222",)),)),
        Request("Where are you?", "location", "Share"),
        Media("image", url="https://a.example/p.png?a=1&b=2", caption="Look & see"),
        Media("document", url="https://a.example/p.pdf", name="Price <list>"),
    ],
)
async def test_what_we_send_follows_the_documented_rules(rig: Rig, content: Content) -> None:
    assert await rig.shown(content)
    assert len(rig.slack.made()) == len(rig.slack.calls)


@pytest.mark.parametrize("content", [Template("hello", "en"), Form("f", (), "ok", "no"), System("note")])
async def test_what_slack_has_not_is_refused_before_the_call(rig: Rig, content: Content) -> None:
    with pytest.raises(Invalid):
        await rig.shown(content)
    assert (await rig.fails(content)).code == f"slack:cannot_send_{content.type}"
    assert not rig.slack.calls


async def test_ids_that_are_too_long_for_slack_are_refused(rig: Rig) -> None:
    assert (await rig.fails(ListMenu("c", "o", (Choice("x" * 151, "t"),)))).code == "slack:cannot_send_list"
    assert (await rig.fails(Buttons("c", (Choice("x" * 513, "t"),)))).code == "slack:cannot_send_buttons"


async def test_a_person_is_written_to_by_their_id(rig: Rig) -> None:
    assert (await rig.send(HOLA, USER)).startswith(f"{DM}:")


async def test_a_message_is_changed_and_taken_back(rig: Rig) -> None:
    to = await rig.send(Buttons("Shall we?", BUTTONS[:2]))
    assert (await rig.send(Edit(to, Text("Done, *really*", markup=True)))).startswith(to + "#")
    (changed,) = rig.slack.made("chat.update")
    assert changed.body["blocks"] == []
    assert changed.text == "Done, _really_"
    await rig.send(Edit(to, Text("plain *stays* & <as it is>")))
    plain = rig.slack.made("chat.update")[1].body
    assert plain["blocks"][0]["text"]["text"] == "plain *stays* & <as it is>"
    assert plain["text"] == "plain *stays* &amp; &lt;as it is&gt;"
    first = await rig.send(Deleted(to), identifier="m_1")
    # It is gone already: the second time is no error.
    assert await rig.send(Deleted(to), identifier="m_2") != first


async def test_reactions(rig: Rig) -> None:
    to = await rig.send(HOLA)
    place = tuple(to.split(":"))
    await rig.send(Reaction("👍🏽", to))
    await rig.send(Reaction("❤️", to))
    await rig.send(Reaction("❤️", to))
    await rig.send(Reaction(":party-parrot:", to))
    assert set(rig.slack.reactions[place]) == {"+1::skin-tone-4", "heart", "party-parrot"}  # type: ignore[index]
    await rig.send(Reaction("", to))
    assert not any(rig.slack.reactions[place].values())  # type: ignore[index]
    assert (await rig.fails(Reaction("🧿🧿", to))).code == "slack:cannot_send_reaction"


async def test_typing_is_shown_in_threads_only(rig: Rig) -> None:
    message = Message(
        "m", "t", "ch", "cv", "in", "customer", 1, NOW, HOLA, Status.RECEIVED, f"{DM}:1700000000.000100"
    )
    await rig.adapter.mark_read(CHANNEL, message, DM, True)
    await rig.adapter.mark_read(CHANNEL, message, f"{DM}:1700000000.000100", False)
    assert not rig.slack.calls
    await rig.adapter.mark_read(CHANNEL, message, f"{DM}:1700000000.000100", True)
    (seen,) = rig.slack.made("assistant.threads.setStatus")
    assert seen.body["channel_id"] == DM


# Files ----------------------------------------------------------------------------------------------------

SIZE = 300_000


def file(name: str = "f_1", caption: str | None = None, **more: str) -> Media:
    return Media("document", file=name, name=more.get("title"), caption=caption)


async def test_a_file_is_streamed_and_shared_with_its_comment(rig: Rig) -> None:
    rig.files.sizes["f_1"] = SIZE
    rig.slack.slow_shares = 3
    provider_id = await rig.send(file(caption="Price & list", title="list.pdf"), f"{ROOM}:1700000000.000100")
    (stored,) = rig.slack.files.values()
    assert (stored.received, stored.digest, stored.name) == (SIZE, digest_of(SIZE), "list.pdf")
    (seen,) = rig.slack.made("files.completeUploadExternal")
    assert seen.body == {
        "files": [{"id": stored.id, "title": "list.pdf"}],
        "channel_id": ROOM,
        "thread_ts": "1700000000.000100",
        "initial_comment": "Price &amp; list",
    }
    assert provider_id == f"{ROOM}:{stored.shares[ROOM][0]['ts']}"


async def test_a_plain_caption_keeps_its_signs(rig: Rig) -> None:
    rig.files.sizes["f_1"] = SIZE
    await rig.send(file(caption="*as it* stands"))
    (seen,) = rig.slack.made("files.completeUploadExternal")
    assert "initial_comment" not in seen.body
    assert seen.body["blocks"][0]["text"] == {"type": "plain_text", "text": "*as it* stands", "emoji": False}


async def test_a_plain_caption_is_no_quotation(rig: Rig) -> None:
    rig.files.sizes["f_1"] = SIZE
    await rig.send(file(caption="see\n> as it stands"))
    (seen,) = rig.slack.made("files.completeUploadExternal")
    assert seen.body["blocks"][0]["text"]["text"] == "see\n> as it stands"


async def test_several_files_are_one_message(rig: Rig) -> None:
    rig.files.sizes |= {"f_1": 10, "f_2": 20}
    await rig.send(Album((file("f_1", "both"), file("f_2"))), USER)
    (seen,) = rig.slack.made("files.completeUploadExternal")
    assert len(seen.body["files"]) == 2
    assert seen.body["channel_id"] == DM


async def test_a_file_is_uploaded_once_though_sharing_it_fails(rig: Rig) -> None:
    rig.files.sizes["f_1"] = SIZE
    rig.slack.misbehave(Fault.error("ratelimited", method="files.completeUploadExternal", retry_after=2))
    error = await rig.fails(file())
    assert (error.retryable, error.wait, error.outcome) == (True, 2, "refused")
    await rig.send(file())
    assert rig.files.opened == 1
    # Once shared, an upload is used up: the next message has its own.
    await rig.send(file())
    assert rig.files.opened == 2
    assert len(rig.slack.made("files.completeUploadExternal")) == 2


async def test_a_file_whose_message_was_taken_unseen_is_not_sent_again(rig: Rig) -> None:
    rig.files.sizes["f_1"] = SIZE
    rig.slack.misbehave(Fault("drop", method="files.completeUploadExternal"))
    assert (await rig.fails(file())).outcome == "unknown"
    provider_id = await rig.send(file())
    (stored,) = rig.slack.files.values()
    assert provider_id == f"{DM}:{stored.shares[DM][0]['ts']}"
    assert len(rig.slack.made("files.completeUploadExternal")) == 1


async def test_a_file_that_slack_never_shows_is_in_doubt(rig: Rig) -> None:
    rig.files.sizes["f_1"] = SIZE
    rig.slack.slow_shares = 100
    error = await rig.fails(file())
    assert (error.code, error.outcome, error.retryable) == ("slack:not_shared", "unknown", True)


async def test_a_used_up_upload_begins_anew(rig: Rig) -> None:
    rig.files.sizes["f_1"] = SIZE
    rig.slack.misbehave(Fault.error("file_not_found", method="files.completeUploadExternal"))
    assert (await rig.fails(file())).retryable
    await rig.send(file())
    assert rig.files.opened == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset", method="upload"),
        Fault.http(500, "upload"),
        Fault.http(503, "files.getUploadURLExternal"),
    ],
)
async def test_a_failed_upload_is_certainly_not_a_message(rig: Rig, fault: Fault) -> None:
    rig.files.sizes["f_1"] = SIZE
    rig.slack.misbehave(fault)
    error = await rig.fails(file())
    assert (error.retryable, error.outcome) == (True, "refused")
    await rig.send(file())


async def test_a_missing_file_is_said_to_be_missing(rig: Rig) -> None:
    error = await rig.fails(file("f_none"))
    assert (error.code, error.retryable, error.outcome) == ("slack:no_file", False, "refused")


# Trouble --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "retryable", "outcome", "wait"),
    [
        (Fault.error("ratelimited", retry_after=7), "slack:ratelimited", True, "refused", 7),
        (Fault.error("internal_error"), "slack:internal_error", True, "unknown", None),
        (Fault.error("fatal_error"), "slack:fatal_error", True, "unknown", None),
        (Fault.error("service_unavailable"), "slack:service_unavailable", True, "refused", None),
        (Fault.error("msg_too_long"), "slack:msg_too_long", False, "refused", None),
        (Fault.http(429, retry_after=3), "slack:http_429", True, "refused", 3),
        (Fault.http(503), "slack:http_503", True, "refused", None),
        (Fault("reset"), "slack:broken", True, "unknown", None),
        (Fault("drop"), "slack:broken", True, "unknown", None),
        (Fault("garbage"), "slack:no_answer", True, "unknown", None),
        (Fault("no_ts"), "slack:no_ts", True, "unknown", None),
    ],
)
async def test_each_trouble_has_one_decision(
    rig: Rig, fault: Fault, code: str, retryable: bool, outcome: str, wait: float | None
) -> None:
    rig.slack.misbehave(fault)
    error = await rig.fails(HOLA)
    assert (error.code, error.retryable, error.outcome, error.wait) == (code, retryable, outcome, wait)


async def test_a_slack_that_does_not_answer_is_left(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(http.call.__kwdefaults__ or {}, "timeout", aiohttp.ClientTimeout(total=0.05))
    rig.slack.misbehave(Fault("hang"))
    error = await rig.fails(HOLA)
    assert (error.code, error.outcome) == ("slack:timeout", "unknown")


async def test_an_unreachable_slack_took_nothing(rig: Rig) -> None:
    await rig.slack.stop()
    error = await rig.fails(HOLA)
    assert (error.code, error.outcome, error.retryable) == ("slack:connect", "refused", True)


@pytest.mark.parametrize("code", ["invalid_auth", "account_inactive", "token_revoked"])
async def test_a_dead_token_ends_the_channel(rig: Rig, code: str) -> None:
    rig.slack.workspaces[TOKEN].revoked = code
    error = await rig.fails(HOLA)
    assert (error.code, error.disable_channel, error.retryable) == (f"slack:{code}", True, False)


async def test_a_token_that_ended_and_has_no_renewal_ends_the_channel(rig: Rig) -> None:
    rig.slack.workspaces[TOKEN].revoked = "token_expired"
    assert (await rig.fails(HOLA)).disable_channel
    rig.channel = replace(CHANNEL, secrets={"bot_token": TOKEN, "refresh_token": "xoxe-1-x"})
    assert (await rig.fails(HOLA)).retryable


async def test_a_missing_permission_is_named(rig: Rig) -> None:
    rig.slack.workspaces[TOKEN].scopes = frozenset({"files:write"})
    error = await rig.fails(HOLA)
    assert error.disable_channel
    assert "chat:write" in error.text


async def test_a_permission_that_only_some_messages_need_does_not_end_the_channel(rig: Rig) -> None:
    to = await rig.send(HOLA)
    rig.slack.workspaces[TOKEN].scopes = frozenset({"chat:write"})
    rig.files.sizes["f_1"] = SIZE
    for content in (Reaction("👍", to), file()):
        error = await rig.fails(content)
        assert (error.code, error.disable_channel, error.retryable) == ("slack:missing_scope", False, False)


@pytest.mark.parametrize("code", ["no_permission", "access_denied", "enterprise_is_restricted"])
async def test_what_is_refused_of_one_place_leaves_the_others(rig: Rig, code: str) -> None:
    rig.slack.misbehave(Fault.error(code))
    error = await rig.fails(HOLA)
    assert (error.disable_channel, error.blocked, error.outcome) == (False, False, "refused")


async def test_an_address_cannot_break_out_of_its_link(rig: Rig) -> None:
    await rig.send(Media("document", url="https://a.example/x|<!channel>", name="Price|list>"))
    (seen,) = rig.slack.made()
    assert seen.text == "<https://a.example/x%7C&lt;!channel&gt;|Price¦list&gt;>"


async def test_a_wrong_place_is_blocked(rig: Rig) -> None:
    assert (await rig.fails(HOLA, "X1")).blocked


@pytest.mark.parametrize("token", ["", "  ", "xoxb-ñ", "xoxb\n1"])
async def test_a_token_that_is_none_is_not_sent(rig: Rig, token: str) -> None:
    rig.channel = replace(CHANNEL, secrets={"bot_token": token})
    assert (await rig.fails(HOLA)).disable_channel
    assert not rig.slack.calls


async def test_many_at_once_each_get_their_own_id(rig: Rig) -> None:
    sent = await asyncio.gather(*(rig.send(HOLA, identifier=f"m_{n}") for n in range(50)))
    assert len(set(sent)) == 50
    assert {c.id for c in rig.slack.made()} == {f"m_{n}" for n in range(50)}


async def test_outgoing_errors_hold_nothing_of_the_request(rig: Rig) -> None:
    rig.slack.misbehave(Fault.error("invalid_blocks", response_metadata={"messages": ["canary hola"]}))
    with pytest.raises(SendError) as caught:
        await rig.adapter.send(CHANNEL, Outgoing(OUR_ID, "cv", DM, HOLA, 1, NOW))
    clean(caught.value)
