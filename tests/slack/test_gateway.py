"""Slack through a whole gateway: signed requests in, answers out at the stand-in, and the installation in the browser."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from gateway.commands.context import Context, Failed
from gateway.commands.slack import print_link, print_manifest
from gateway.install import Passes, install_link
from gateway.model.clock import system_clock
from gateway.model.content import Album, Edit, Media, Reply, Text
from gateway.model.errors import Unavailable
from gateway.model.message import Message, Status
from gateway.model.tenant import Channel
from gateway.settings import Settings
from gateway.store import Store
from tests.conftest import MovableClock, ScriptedBrain, make_tenant, serving
from tests.providers.graph_webhooks import jumbled
from tests.providers.slack_api import APP_TOKEN, CLIENT_ID, CLIENT_SECRET, Fault, SlackStandIn
from tests.providers.slack_api_events import (
    BOT,
    BOT_ID,
    DM,
    ROOM,
    SECRET,
    TEAM,
    Sender,
    as_form,
    as_json,
    as_payload,
    command,
    direct,
    event,
    mention,
    pressed,
    signed,
)
from tests.slack.rig import TOKEN

PUBLIC = "https://chat.example.com"


@dataclass
class Whole:
    """A gateway with the workspace `ch_slack` of the tenant `acme`."""

    store: Store
    slack: SlackStandIn
    sender: Sender
    http: aiohttp.ClientSession
    url: str
    brain: ScriptedBrain
    clock: MovableClock
    gateway: Any

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(15):
            while not condition():
                await asyncio.sleep(0.002)

    async def idle(self) -> None:
        await self.until(lambda: self.gateway.work.idle)

    async def said(self, body: dict[str, Any], path: str = "/events") -> None:
        assert await self.sender.send(body, path) == [200]
        await self.idle()

    async def transcript(self) -> list[Message]:
        """All messages of the tenant's conversations, by conversation."""
        store = self.store.of("acme")
        found = (await store.conversations.recent(None, self.clock(), 50)).items
        return [m for c in found for m in (await store.messages.before(c.id, None, 100)).messages]

    async def channel(self, team: str = TEAM) -> Channel:
        found: Channel = await self.store.directory.by_account("slack", team)
        return found


@pytest.fixture
def settings(settings: Settings, slack: SlackStandIn) -> Settings:
    return replace(
        settings,
        public_url=PUBLIC,
        slack_api_url=slack.api,
        slack_client_id=CLIENT_ID,
        slack_client_secret=CLIENT_SECRET,
        slack_signing_secret=SECRET,
    )


async def add_channel(store: Store, team: str = TEAM, tenant: str = "acme", name: str = "ch_slack") -> None:
    config = {"bot_user_id": BOT, "bot_id": BOT_ID}
    secrets = {"bot_token": TOKEN}
    await store.directory.add_channel(
        Channel(name, tenant, "slack", team, "Acme", system_clock(), config=config, secrets=secrets)
    )


@pytest.fixture
async def empty(
    settings: Settings,
    store: Store,
    clock: MovableClock,
    slack: SlackStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Whole]:
    """A gateway without a workspace."""
    monkeypatch.setattr("channels.slack.transfer.PAUSES", [0.0] * 5)
    await make_tenant(store, region="ES")
    await make_tenant(store, "other")
    # A connection to the database that is cancelled while it is being made is never closed; the shortest of these
    # tests end before the gateway's own first looks have theirs, unless there are enough already.
    await asyncio.gather(*(store.directory.refresh() for _ in range(12)))
    brain = ScriptedBrain()
    # Cookies are the test's own business.
    jar = aiohttp.DummyCookieJar()
    async with (
        serving(settings, store, clock, brain) as (gateway, url),
        aiohttp.ClientSession(cookie_jar=jar) as http,
    ):
        yield Whole(
            store, slack, Sender(http, url, now=lambda: clock().timestamp()), http, url, brain, clock, gateway
        )


@pytest.fixture
async def whole(empty: Whole) -> Whole:
    await add_channel(empty.store)
    return empty


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


async def test_the_commands_print_the_manifest_and_a_link(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    context = Context(whole.gateway.settings, whole.store, False)
    await print_manifest(context, Namespace(socket_mode=False, token_rotation=False))
    assert f"request_url: {PUBLIC}/webhooks/slack/events" in capsys.readouterr().out
    await print_link(context, Namespace(tenant="acme"))
    link = capsys.readouterr().out.split()[-1]
    assert (await Browser(whole).open(link.removeprefix(PUBLIC)))[0] == 200
    without = Context(replace(whole.gateway.settings, slack_client_id=None), whole.store, False)
    with pytest.raises(Failed):
        await print_link(without, Namespace(tenant="acme"))


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


# Installing -------------------------------------------------------------------------------------------------


class Browser:
    """What a person's browser does: keeps cookies and follows to Slack and back."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        self.cookies: dict[str, str] = {}

    async def open(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, page and where it leads."""
        method = "GET" if form is None else "POST"
        async with self.whole.http.request(
            method, self.whole.url + path, data=form, cookies=self.cookies, allow_redirects=False
        ) as answer:
            self.cookies |= {name: morsel.value for name, morsel in answer.cookies.items()}
            if answer.content_type == "text/html":
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, await answer.text(), answer.headers.get("Location", "")

    async def consent(self, address: str) -> str:
        """At Slack: say yes; the path that Slack sends back to."""
        async with self.whole.http.get(address, allow_redirects=False) as answer:
            assert answer.status == 302
            back = answer.headers["Location"]
        assert back.startswith(f"{PUBLIC}/slack/oauth?")
        return back.removeprefix(PUBLIC)

    async def install(self, tenant: str = "acme") -> tuple[int, str]:
        link = parse_qs(urlsplit(invitation(self.whole, tenant)).query)["link"][0]
        status, _, address = await self.open("/slack/install", {"link": link})
        assert status == 303
        status, page, _ = await self.open(await self.consent(address))
        return status, page


def invitation(whole: Whole, tenant: str = "acme") -> str:
    return install_link(whole.store, whole.clock, PUBLIC, tenant)


async def test_a_workspace_is_installed_by_a_link_and_answers(empty: Whole) -> None:
    browser = Browser(empty)
    path = invitation(empty).removeprefix(PUBLIC)
    for _ in range(2):  # a mail scanner opens it, too
        status, page, _ = await browser.open(path)
        assert status == 200
        assert "Acme" in page
    status, page = await browser.install()
    assert status == 200, page
    channel = await empty.channel()
    assert (channel.tenant, channel.state, channel.config["bot_user_id"]) == ("acme", "active", BOT)
    assert channel.secrets["bot_token"] == "xoxb-oauth-1"
    await empty.said(direct("echo hello"))
    assert len(empty.slack.made()) == 1


async def test_a_link_works_once(empty: Whole) -> None:
    link = parse_qs(urlsplit(invitation(empty)).query)["link"][0]
    first, second = [await Browser(empty).open("/slack/install", {"link": link}) for _ in range(2)]
    assert (first[0], second[0]) == (303, 400)
    assert "used" in second[1]


async def test_a_state_works_once_in_its_own_browser_and_in_time(empty: Whole) -> None:
    async def begun() -> tuple[Browser, str]:
        browser = Browser(empty)
        link = parse_qs(urlsplit(invitation(empty)).query)["link"][0]
        _, _, address = await browser.open("/slack/install", {"link": link})
        return browser, await browser.consent(address)

    browser, back = await begun()
    assert (await Browser(empty).open(back))[0] == 403
    cookies = dict(browser.cookies)
    assert (await browser.open(back))[0] == 200
    browser.cookies = cookies
    status, page, _ = await browser.open(back)
    assert (status, "finished before" in page) == (400, True)
    browser, back = await begun()
    empty.clock.move(minutes=11)
    status, page, _ = await browser.open(back)
    assert (status, "ten minutes" in page) == (400, True)


async def test_a_made_up_state_is_refused(empty: Whole) -> None:
    for state in ("", "x", "eyJhbGciOiJub25lIn0.eyJ0ZW5hbnQiOiJhY21lIn0.", "ñ" * 10):
        status, _, _ = await Browser(empty).open(f"/slack/oauth?code=x&state={state}")
        assert status == 400
    assert not empty.slack.calls


async def test_a_link_is_no_state_and_a_state_no_link(empty: Whole) -> None:
    keys = empty.store.vault.signing_keys("slack install")
    passes = Passes(keys, empty.clock)
    link, state = passes.link("acme"), passes.state("acme", "b", "")
    assert passes.read("link", state) is None
    assert passes.read("state", link) is None
    assert Passes((b"x" * 32,), empty.clock).read("link", link) is None
    assert (await Browser(empty).open(f"/slack/oauth?code=x&state={link}"))[0] == 400


async def test_installing_again_renews_the_channel(empty: Whole) -> None:
    browser = Browser(empty)
    await browser.install()
    await empty.said(event({"type": "app_uninstalled"}))
    assert (await empty.channel()).state == "disabled"
    assert (await browser.install())[0] == 200
    channel = await empty.channel()
    assert (channel.state, channel.secrets["bot_token"]) == ("active", "xoxb-oauth-2")
    assert len(await empty.store.directory.channels("acme")) == 1


async def test_another_businesss_workspace_is_refused(empty: Whole) -> None:
    await Browser(empty).install()
    status, page = await Browser(empty).install("other")
    assert status == 409
    assert "another business" in page
    assert (await empty.channel()).secrets["bot_token"] == "xoxb-oauth-1"
    assert await empty.store.directory.channels("other") == []


async def test_tokens_that_end_are_kept_with_their_renewal(empty: Whole) -> None:
    empty.slack.rotation = True
    await Browser(empty).install()
    channel = await empty.channel()
    assert channel.secrets["refresh_token"] in empty.slack.refresh_tokens
    empty.clock.move(hours=11)
    await empty.said(direct("echo hello"))
    assert len(empty.slack.made()) == 1
    # Another request finds the new token in the store.
    assert (await empty.channel()).secrets["refresh_token"] != channel.secrets["refresh_token"]


async def test_who_says_no_changes_nothing(empty: Whole) -> None:
    empty.slack.misbehave(Fault("error", method="deny"))
    status, page = await Browser(empty).install()
    assert status == 400
    assert "did not allow" in page
    assert await empty.store.directory.channels("acme") == []


@pytest.mark.parametrize("code", ["bad_client_secret", "invalid_code", "internal_error"])
async def test_slacks_refusal_is_explained_and_holds_no_secret(empty: Whole, code: str) -> None:
    empty.slack.misbehave(Fault.error(code, method="oauth.v2.access"))
    status, page = await Browser(empty).install()
    assert status == 502
    assert code in page
    assert "canary" not in page


async def test_a_signed_in_person_installs_from_the_console(empty: Whole) -> None:
    user = await empty.store.access.create_user("acme", "ana@acme.example", "Ana", empty.clock())
    secret = await empty.store.access.use_link(
        await empty.store.access.create_link(user, empty.clock()), empty.clock()
    )
    browser = Browser(empty)
    assert (await browser.open("/console/slack/install"))[0] == 401
    browser.cookies["parley_session"] = secret or ""
    status, _, address = await browser.open("/console/slack/install")
    assert status == 303
    query = parse_qs(urlsplit(address).query)
    assert query["redirect_uri"] == [f"{PUBLIC}/slack/oauth"]
    assert (await browser.open(await browser.consent(address)))[0] == 200
    assert (await empty.channel()).tenant == "acme"


# Socket Mode ------------------------------------------------------------------------------------------------


async def test_a_machine_without_an_address_reads_over_a_socket(
    settings: Settings, store: Store, clock: MovableClock, slack: SlackStandIn
) -> None:
    await make_tenant(store, region="ES")
    await add_channel(store)
    brain = ScriptedBrain()
    async with serving(replace(settings, slack_app_token=APP_TOKEN), store, clock, brain) as (gateway, _):
        async with asyncio.timeout(15):
            await slack.connected.wait()
            body = direct("echo over the socket")
            first = await slack.envelope(body)
            again = await slack.envelope(body)
            asked = await slack.envelope(command("echo a command"), "slash_commands")
            while not {first, again, asked} <= set(slack.acks) or len(slack.made()) < 2:
                await asyncio.sleep(0.002)
            while not gateway.work.idle:
                await asyncio.sleep(0.002)
    assert sorted(c.text for c in slack.made()) == ["echo a command", "echo over the socket"]
    assert slack.acks[asked]["response_type"] == "ephemeral"
