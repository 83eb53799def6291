"""The installation of a workspace in the browser, through a whole gateway."""

import asyncio
from argparse import Namespace
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.commands.context import Context, Failed
from gateway.commands.slack import print_link, print_manifest
from gateway.install import Passes, install_link
from gateway.settings import Settings
from gateway.store import Store
from tests.conftest import MovableClock, ScriptedBrain, make_tenant, serving
from tests.providers.slack_api import APP_TOKEN, Fault, SlackStandIn
from tests.providers.slack_api_events import (
    BOT,
    command,
    direct,
    event,
)
from tests.slack.whole import PUBLIC, Whole, add_channel


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


async def test_a_late_word_of_an_earlier_installation_does_not_end_the_new_one(empty: Whole) -> None:
    await Browser(empty).install()
    now = int(empty.clock().timestamp())
    await empty.said(event({"type": "app_uninstalled"}, event_time=now - 60))
    assert (await empty.channel()).state == "active"
    await empty.said(event({"type": "app_uninstalled"}, event_time=now + 1))
    assert (await empty.channel()).state == "disabled"


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
