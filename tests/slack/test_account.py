"""The token and its renewal, connecting with one, and the doctor."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from channels.slack.adapter import SlackAdapter
from channels.slack.app import SCOPES
from gateway.model.content import Text
from gateway.model.errors import Invalid, NotAuthentic, SendError, Unavailable
from gateway.model.ports import Finding, Outgoing
from gateway.model.tenant import Channel
from tests.providers.slack_api import ALL_SCOPES, CLIENT_ID, CLIENT_SECRET, Fault, SlackStandIn, Workspace
from tests.providers.slack_api_events import BOT, BOT_ID, DM, TEAM
from tests.slack.rig import (
    CHANNEL,
    NOW,
    TOKEN,
    Moment,
    Rig,
    build,
    clean,
    renewed,
    rotating,
    settings,
    socketed,
)

HOLA = Text("hola")


@pytest.fixture
def turning(slack: SlackStandIn) -> Channel:
    """A channel whose token is to be renewed."""
    slack.rotation = True
    old = slack.add_workspace("xoxe.xoxb-old")
    slack.refresh_tokens["xoxe-1-first"] = old
    return rotating("xoxe.xoxb-old", "xoxe-1-first", timedelta(minutes=90))


# Renewal --------------------------------------------------------------------------------------------------


async def test_a_token_is_renewed_well_before_its_end(rig: Rig, turning: Channel) -> None:
    rig.channel = rotating("xoxe.xoxb-old", "xoxe-1-first", timedelta(hours=3))
    await rig.send(HOLA)
    assert not rig.kept
    rig.channel = turning
    await rig.send(HOLA)
    ((secrets, config),) = rig.kept
    assert secrets["refresh_token"] in rig.slack.refresh_tokens
    assert secrets["bot_token"] in rig.slack.workspaces
    assert config["expires_at"] == int((NOW + timedelta(hours=12)).timestamp())


async def test_a_renewed_token_is_used_before_the_directory_shows_it(rig: Rig, turning: Channel) -> None:
    rig.channel = turning
    await rig.send(HOLA)
    await rig.send(HOLA)
    assert len(rig.kept) == 1
    rig.channel = renewed(turning, *rig.kept[0])
    await rig.send(HOLA)
    assert len(rig.kept) == 1
    rig.clock.now += timedelta(hours=11)
    await rig.send(HOLA)
    assert len(rig.kept) == 2


async def test_a_renewed_token_outlives_a_database_in_trouble(
    slack: SlackStandIn, turning: Channel, rig: Rig
) -> None:
    tried: list[Mapping[str, str]] = []

    async def keep(channel: Channel, secrets: Mapping[str, str], config: Mapping[str, Any]) -> None:
        tried.append(secrets)
        if len(tried) < 3:
            raise Unavailable

    adapter = SlackAdapter(settings(slack), rig.session, rig.clock, rig.files, keep)
    for n in range(4):
        await adapter.send(turning, Outgoing(f"m_{n}", "cv", DM, HOLA, 1, NOW))
    assert len(slack.refresh_tokens) == 1
    assert len(tried) == 3
    assert len({secrets["refresh_token"] for secrets in tried}) == 1


async def test_a_new_installation_is_not_overwritten_by_a_renewal_that_was_not_kept(
    slack: SlackStandIn, turning: Channel, rig: Rig
) -> None:
    kept: list[Mapping[str, str]] = []
    trouble = [Unavailable()]

    async def keep(channel: Channel, secrets: Mapping[str, str], config: Mapping[str, Any]) -> None:
        kept.append(secrets)
        if trouble:
            raise trouble.pop()

    adapter = SlackAdapter(settings(slack), rig.session, rig.clock, rig.files, keep)
    await adapter.send(turning, Outgoing("m_1", "cv", DM, HOLA, 1, NOW))
    slack.add_workspace("xoxe.xoxb-anew")
    anew = rotating("xoxe.xoxb-anew", "xoxe-1-anew", timedelta(hours=12))
    await adapter.send(anew, Outgoing("m_2", "cv", DM, HOLA, 2, NOW))
    assert len(kept) == 1


async def test_fifty_sends_at_once_renew_once(rig: Rig, turning: Channel) -> None:
    rig.channel = turning
    await asyncio.gather(*(rig.send(HOLA) for _ in range(50)))
    assert len(rig.kept) == 1


async def test_two_processes_renew_once(slack: SlackStandIn, turning: Channel) -> None:
    claimed: set[str] = set()

    async def claim(name: str, until: datetime) -> bool:
        first = name not in claimed
        claimed.add(name)
        return first

    async with aiohttp.ClientSession() as session:
        one, two = (build(slack, session, settings(slack), claim) for _ in range(2))
        one.channel = two.channel = turning
        await asyncio.gather(*(rig.send(HOLA) for rig in (one, two) for _ in range(5)))
        assert len(one.kept) + len(two.kept) == 1
        # The one that did not renew goes on with the old token until it reads the new one.
        assert len(slack.made()) == 10
        assert "first" not in "".join(claimed)


async def test_an_ended_token_waits_for_the_process_that_renews_it(
    slack: SlackStandIn, turning: Channel
) -> None:
    async def claim(name: str, until: datetime) -> bool:
        return False

    async with aiohttp.ClientSession() as session:
        rig = build(slack, session, settings(slack), claim)
        rig.channel = rotating("xoxe.xoxb-old", "xoxe-1-first", timedelta(seconds=-1))
        error = await rig.fails(HOLA)
        assert (error.retryable, error.outcome, error.disable_channel) == (True, "refused", False)


async def test_trouble_while_renewing_does_no_harm_before_the_end(rig: Rig, turning: Channel) -> None:
    rig.channel = turning
    rig.slack.misbehave(Fault.http(503, "oauth.v2.access"))
    await rig.send(HOLA)
    rig.channel = rotating("xoxe.xoxb-old", "xoxe-1-first", timedelta(seconds=-1))
    rig.slack.misbehave(Fault("reset", method="oauth.v2.access"))
    error = await rig.fails(HOLA)
    assert (error.retryable, error.outcome) == (True, "refused")
    await rig.send(HOLA)


async def test_a_used_refresh_token_ends_the_channel(rig: Rig, turning: Channel) -> None:
    rig.channel = rotating("xoxe.xoxb-old", "xoxe-1-gone", timedelta(minutes=5))
    error = await rig.fails(HOLA)
    assert (error.code, error.disable_channel) == ("slack:invalid_refresh_token", True)


# Connecting -----------------------------------------------------------------------------------------------


async def test_connecting_with_a_token(rig: Rig) -> None:
    draft = replace(CHANNEL, account="", config={}, secrets={"bot_token": f" {TOKEN} "})
    found = await rig.adapter.connect(draft, "")
    assert (found.account, found.name) == (TEAM, "Acme")
    assert (found.config["bot_user_id"], found.config["bot_id"]) == (BOT, BOT_ID)
    assert found.secrets["bot_token"] == TOKEN
    assert any("https://chat.example.com/webhooks/slack/events" in step for step in found.steps)


async def test_a_token_with_too_few_permissions_says_so(rig: Rig) -> None:
    rig.slack.workspaces[TOKEN].scopes = ALL_SCOPES - {"files:read"}
    found = await rig.adapter.connect(CHANNEL, "")
    assert "files:read" in found.steps[0]


@pytest.mark.parametrize("token", ["", "xoxp-user", "xapp-1-x"])
async def test_what_is_no_bot_token_is_refused(rig: Rig, token: str) -> None:
    with pytest.raises(Invalid) as caught:
        await rig.adapter.connect(replace(CHANNEL, secrets={"bot_token": token}), "")
    assert caught.value.field == "bot_token"
    assert not rig.slack.calls


async def test_an_answer_that_arrives_in_parts_is_read_whole(rig: Rig) -> None:
    rig.slack.misbehave(Fault("halves", method="auth.test"))
    assert (await rig.adapter.connect(CHANNEL, "")).account == TEAM


async def test_connecting_with_a_dead_token_is_an_error(rig: Rig) -> None:
    with pytest.raises(SendError) as caught:
        await rig.adapter.connect(replace(CHANNEL, secrets={"bot_token": "xoxb-dead-canary"}), "")
    assert clean(caught.value).code == "slack:invalid_auth"


# The doctor -----------------------------------------------------------------------------------------------


async def check(rig: Rig, channel: Channel = CHANNEL) -> dict[str, Finding]:
    return {f.name: f for f in await rig.adapter.check(channel, "")}


def red(found: Mapping[str, Finding]) -> set[str]:
    assert all(f.fix for f in found.values() if not f.ok)
    assert "canary" not in str(found)
    return {name for name, f in found.items() if f.ok is False}


async def test_a_sound_installation_over_a_socket_has_no_red_line(slack: SlackStandIn) -> None:
    async with aiohttp.ClientSession() as session:
        found = await check(build(slack, session, socketed(slack)))
    assert red(found) == set()
    assert [f.ok for f in found.values()].count(True) == 5


def test_the_scopes_of_the_stand_in_are_ours() -> None:
    assert set(SCOPES) == ALL_SCOPES


@pytest.mark.parametrize(
    ("broken", "line", "fix"),
    [
        (lambda w: setattr(w, "revoked", "token_revoked"), "token", "install-link"),
        (lambda w: setattr(w, "team", "T0OTHER"), "workspace", "install-link"),
        (lambda w: setattr(w, "scopes", ALL_SCOPES - {"files:write"}), "permissions", "OAuth & Permissions"),
    ],
)
async def test_a_broken_installation_is_found(slack: SlackStandIn, broken: Any, line: str, fix: str) -> None:
    workspace: Workspace = slack.workspaces[TOKEN]
    broken(workspace)
    async with aiohttp.ClientSession() as session:
        found = await check(build(slack, session, socketed(slack)))
    assert red(found) == {line}
    assert fix in found[line].fix


@pytest.mark.parametrize(
    ("more", "line", "fix"),
    [
        ({"slack_app_token": "xoxb-wrong-kind"}, "socket mode", "App-Level Tokens"),
        ({"slack_app_token": "xapp-1-dead-canary"}, "socket mode", "connections:write"),
        ({"public_url": "http://127.0.0.1:8080"}, "events address", "PUBLIC_URL"),
    ],
)
async def test_broken_settings_are_found(
    slack: SlackStandIn, more: dict[str, str], line: str, fix: str
) -> None:
    async with aiohttp.ClientSession() as session:
        found = await check(build(slack, session, settings(slack, **more)))
    assert red(found) == {line}
    assert fix in found[line].fix


async def test_a_missing_signing_secret_is_found(slack: SlackStandIn) -> None:
    async with aiohttp.ClientSession() as session:
        chosen = settings(slack, slack_signing_secret=None, public_url="http://x")
        found = await check(build(slack, session, chosen))
    assert red(found) == {"signing secret", "events address"}


async def test_a_token_that_cant_be_renewed_is_found(slack: SlackStandIn, turning: Channel) -> None:
    async with aiohttp.ClientSession() as session:
        rig = build(slack, session, replace(socketed(slack), slack_client_secret=None))
        soon = rotating("xoxe.xoxb-old", "xoxe-1-first", timedelta(hours=3))
        assert red(await check(rig, soon)) == {"token renewal"}
        rig = build(slack, session, socketed(slack))
        assert red(await check(rig, soon)) == set()


async def test_a_slack_in_trouble_is_no_fault_of_ours(slack: SlackStandIn) -> None:
    slack.misbehave(Fault.http(503), times=5)
    async with aiohttp.ClientSession() as session:
        found = await check(build(slack, session, socketed(slack)))
    assert red(found) == set()
    assert found["token"].ok is None


@pytest.mark.parametrize(
    ("status", "answers", "ok", "text"),
    [
        (200, True, True, "answers as Slack wants"),
        (401, False, False, "refuses our signature"),
        (404, False, False, "status 404"),
        (200, False, False, "status 200"),
    ],
)
async def test_our_own_address_is_asked_as_slack_would(
    rig: Rig, status: int, answers: bool, ok: bool, text: str
) -> None:
    seen: list[SlackAdapter] = [rig.adapter]

    async def events(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            seen[0].verify(settings(rig.slack).slack_signing_secret or "", headers, body)
        except NotAuthentic:
            return web.Response(status=500)
        return web.Response(status=status, text=(rig.adapter.greeting(body) or "") if answers else "{}")

    app = web.Application()
    app.router.add_post("/webhooks/slack/events", events)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/slack/events"
    try:
        finding = await rig.adapter._doctor.knock(url)
    finally:
        await runner.cleanup()
    assert (finding.ok, text in finding.text) == (ok, True)
    gone = await rig.adapter._doctor.knock(url)
    assert gone.ok is False
    assert "PUBLIC_URL" in gone.fix


def test_the_app_is_installed_in_the_browser_only_with_its_credentials(slack: SlackStandIn, rig: Rig) -> None:
    assert rig.adapter.installs
    assert (
        build(slack, rig.session, settings(slack, slack_client_secret=None), moment=Moment()).adapter.installs
        is False
    )
    address = rig.adapter.install_address("state", "https://chat.example.com/slack/oauth")
    assert CLIENT_ID in address
    assert CLIENT_SECRET not in address
