"""Slack through a whole gateway: signed requests in, answers out at the stand-in."""

import asyncio
from typing import Any

import pytest

from gateway.model.content import Album, Edit, Media, Reply, Text
from gateway.model.errors import Unavailable
from gateway.model.message import Status, message_id
from tests.providers.graph_webhooks import jumbled
from tests.providers.slack_api import Fault
from tests.providers.slack_api_events import (
    BOT,
    BOT_ID,
    DM,
    ROOM,
    SECRET,
    TEAM,
    as_form,
    as_json,
    as_payload,
    command,
    direct,
    event,
    mention,
    pressed,
    signed,
    ts,
)
from tests.slack.rig import TOKEN
from tests.slack.whole import Whole

# Conversations --------------------------------------------------------------------------------------------


async def test_a_direct_message_is_answered(whole: Whole) -> None:
    await whole.said(direct("echo hello & <https://a.example|us>"))
    (sent,) = whole.slack.made()
    assert (sent.body["channel"], sent.text) == (DM, "echo hello &amp; us (https://a.example)")
    assert "thread_ts" not in sent.body
    (_, answer) = await whole.transcript()
    assert (answer.status, answer.provider_id) == (Status.SENT, f"{DM}:{sent.ts}")
    assert sent.id == answer.id


async def test_a_mention_is_answered_in_its_thread_and_the_thread_is_one_conversation(whole: Whole) -> None:
    first = mention("echo one")
    root = first["event"]["ts"]
    await whole.said(first)
    await whole.said(mention("echo two", user="U0OTHER001", thread_ts=root))
    await whole.said(mention("echo elsewhere"))
    one, two, elsewhere = whole.slack.made()
    assert (one.body["channel"], one.body["thread_ts"]) == (ROOM, root)
    assert two.body["thread_ts"] == root
    assert elsewhere.body["thread_ts"] != root
    found = (await whole.store.of("acme").conversations.recent(None, whole.clock(), 50)).items
    assert len(found) == 2


def in_thread(text: str, root: str, **more: Any) -> dict[str, Any]:
    """Something said in a thread of the room without naming the app."""
    stamp = ts()
    said = {
        "type": "message",
        "user": "U0CUST0001",
        "text": text,
        "team": TEAM,
        "ts": stamp,
        "thread_ts": root,
    }
    return event(said | {"channel": ROOM, "channel_type": "channel", "event_ts": stamp} | more)


def edited(said: dict[str, Any], text: str) -> dict[str, Any]:
    before = said["event"]
    after = {**before, "text": text, "edited": {"user": before["user"], "ts": before["ts"]}}
    change = {"type": "message", "subtype": "message_changed", "message": after, "previous_message": before}
    return event({**change, "channel": ROOM, "channel_type": "channel", "ts": ts(), "event_ts": ts()})


async def test_who_began_a_thread_with_a_mention_need_not_name_the_app_again(whole: Whole) -> None:
    first = mention("echo one")
    root = first["event"]["ts"]
    await whole.said(first)
    follow_up = in_thread("echo two", root, parent_user_id="U0CUST0001")
    await whole.said(follow_up)
    two = whole.slack.made()[1]
    assert (two.text, two.body["thread_ts"]) == ("echo two", root)
    await whole.said(edited(follow_up, "echo three"))
    assert any(m.content == Text("echo three") for m in await whole.transcript())
    assert len(whole.slack.made()) == 2


async def test_other_peoples_threads_are_not_stored(whole: Whole) -> None:
    strange = in_thread("echo lunch?", ts(), parent_user_id="U0OTHER001")
    await whole.said(strange)
    await whole.said(edited(strange, "echo dinner?"))
    assert not whole.slack.made()
    assert not await whole.transcript()
    stored = message_id("ch_slack", f"{ROOM}:{strange['event']['ts']}")
    assert await whole.store.of("acme").messages.get(stored) is None


async def test_whatever_comes_twice_has_one_effect(whole: Whole) -> None:
    body = mention("echo once")
    again = {
        **body,
        "event_id": "EvOTHER",
        "event": {**body["event"], "type": "message", "channel_type": "channel"},
    }
    await asyncio.gather(*(whole.sender.send(b) for b in (body, again) for _ in range(4)))
    press = as_payload(pressed("lead:no", "No", DM, "1749416383.000001"))
    await asyncio.gather(*(whole.sender.post("/interactivity", press) for _ in range(4)))
    await whole.idle()
    assert len([c for c in whole.slack.made() if c.body["channel"] == ROOM]) == 1
    incoming = [m for m in await whole.transcript() if m.direction == "in"]
    assert [m.content for m in incoming if isinstance(m.content, Reply)] == [
        Reply("lead:no", "No", f"{DM}:1749416383.000001")
    ]
    assert len(incoming) == 2


async def test_what_comes_doubled_and_out_of_order_is_answered_once_each(whole: Whole) -> None:
    people = [direct(f"echo {n}", user=f"U0MANY{n:04d}", channel=f"D0MANY{n:04d}") for n in range(8)]
    bodies = jumbled(people, seed=7)
    assert await asyncio.gather(*(whole.sender.send(b) for b in bodies)) == [[200]] * 16
    await whole.until(lambda: len(whole.slack.made()) >= 8)
    await whole.idle()
    assert sorted(c.text for c in whole.slack.made()) == [f"echo {n}" for n in range(8)]


async def test_what_could_not_be_stored_is_not_acknowledged_and_comes_again(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, failures = whole.gateway.inbox.put, [Unavailable(), Unavailable()]

    async def shaky(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return await put(*args)

    monkeypatch.setattr(whole.gateway.inbox, "put", shaky)
    assert await whole.sender.send(direct("echo hello")) == [503, 503, 200]
    await whole.idle()
    assert len(whole.slack.made()) == 1


async def test_a_command_is_answered_at_once_and_in_the_persons_own_chat(whole: Whole) -> None:
    status, text = await whole.sender.post("/commands", as_form(command("echo a question")))
    assert status == 200
    assert "ephemeral" in text
    await whole.idle()
    (sent,) = whole.slack.made()
    assert sent.body["channel"] == "U0CUST0001"


async def test_an_edit_changes_the_stored_message(whole: Whole) -> None:
    body = direct("echo rooms in May")
    await whole.said(body)
    before = body["event"]
    after = {**before, "text": "rooms in June", "edited": {"user": before["user"], "ts": before["ts"]}}
    change = {"type": "message", "subtype": "message_changed", "message": after, "previous_message": before}
    await whole.said(event({**change, "channel": DM, "channel_type": "im", "ts": "1.2", "event_ts": "1.2"}))
    changed = [m for m in await whole.transcript() if m.content == Text("rooms in June")]
    assert len(changed) == 1
    assert changed[0].original == Text("echo rooms in May")
    assert any(isinstance(m.content, Edit) for m in await whole.transcript())


async def test_files_are_fetched(whole: Whole) -> None:
    pictures = [whole.slack.add_file(f"{n}.png", "image/png", pattern=70_000) for n in range(2)]
    files = [{"id": p.id, "name": p.name, "mimetype": p.mimetype, "size": p.length} for p in pictures]
    await whole.said(direct("look", subtype="file_share", files=files))

    async def fetched() -> list[Media]:
        """The files of the stored message, once all of them are here."""
        items = [i for m in await whole.transcript() if isinstance(m.content, Album) for i in m.content.items]
        found = [await whole.store.of("acme").files.get(m.file or "") for m in items]
        return items if found and all(f.state == "ready" for f in found if f) else []

    async with asyncio.timeout(15):
        while not (items := await fetched()):
            await asyncio.sleep(0.01)
    assert [(m.media, m.caption) for m in items] == [("image", "look"), ("image", None)]


async def test_our_own_message_is_evidence_of_what_we_never_heard_of(whole: Whole) -> None:
    whole.slack.misbehave(Fault("drop", method="chat.postMessage"))
    assert await whole.sender.send(direct("echo hello")) == [200]
    await whole.until(lambda: len(whole.slack.made()) >= 1)
    sent = whole.slack.made()[0]
    metadata = {"event_type": "parley_message", "event_payload": {"id": sent.id}}
    echo = {
        "type": "message",
        "user": BOT,
        "bot_id": BOT_ID,
        "ts": sent.ts,
        "text": sent.text,
        "metadata": metadata,
    }
    assert await whole.sender.send(
        event({**echo, "channel": DM, "channel_type": "im", "event_ts": sent.ts})
    ) == [200]
    await whole.idle()
    (answer,) = [m for m in await whole.transcript() if m.direction == "out"]
    assert answer.status == Status.SENT
    assert answer.id == sent.id


# Requests that are not Slack's -----------------------------------------------------------------------------


async def test_only_slacks_own_requests_of_now_are_read(whole: Whole) -> None:
    body = as_json(direct("echo hello"))
    for headers in (signed(body, "wrong"), signed(body, SECRET, whole.clock().timestamp() - 301), {}):
        async with whole.http.post(
            whole.url + "/webhooks/slack/events", data=body, headers=headers
        ) as answer:
            assert (answer.status, await answer.text()) == (401, "")
    assert not await whole.transcript()


async def test_a_new_address_is_greeted(whole: Whole) -> None:
    status, text = await whole.sender.post("/events", b'{"type":"url_verification","challenge":"c1"}')
    assert (status, text) == (200, '{"challenge": "c1"}')


async def test_a_strangers_workspace_is_passed_over(whole: Whole) -> None:
    assert await whole.sender.send(event({"type": "message"}, team="T0STRANGER")) == [200]
    assert await whole.sender.send({"type": "nonsense", "team": {"id": TEAM}}) == [200]
    assert (await whole.sender.post("/events", b"{}"))[0] == 400


# The end of an installation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ended", [{"type": "app_uninstalled"}, {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [BOT]}}]
)
async def test_an_uninstalled_app_ends_the_channel(whole: Whole, ended: dict[str, Any]) -> None:
    await whole.said(event(ended))
    assert (await whole.channel()).state == "disabled"
    await whole.said(direct("echo anybody?"))
    assert not whole.slack.made()


async def test_a_dead_token_ends_the_channel(whole: Whole) -> None:
    whole.slack.workspaces[TOKEN].revoked = "account_inactive"
    await whole.said(direct("echo hello"))
    assert (await whole.channel()).state == "disabled"
