"""Connecting a bot, who may call us, and the doctor with every fault planted once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from channels.telegram.adapter import SETTINGS, TelegramAdapter
from channels.telegram.parse import ALLOWED
from channels.telegram.setup import COMMANDS
from gateway.model.errors import Invalid, NotAuthentic, NotForUs, SendError
from gateway.model.ports import Finding
from gateway.model.tenant import Channel
from tests.providers.bot_api import Bot, Fault
from tests.telegram.reading import NOW
from tests.telegram.rig import CHANNEL, HOOK, SECRET, TOKEN, Rig, clean, with_config

DRAFT = replace(CHANNEL, account="", name="", config={})


# Connecting -----------------------------------------------------------------------------------------------


async def test_a_bot_is_connected(rig: Rig) -> None:
    found = await rig.adapter.connect(DRAFT, HOOK)
    assert (found.account, found.name, found.config) == (
        CHANNEL.account,
        "@acme_bot",
        {"username": "acme_bot"},
    )
    assert found.secrets == CHANNEL.secrets
    assert rig.bot.webhook == {
        "url": HOOK,
        "secret_token": SECRET,
        "allowed_updates": list(ALLOWED),
        "max_connections": 40,
        "drop_pending_updates": False,
    }
    assert set(rig.bot.commands) == {"", "es", "pt", "ar"}
    for language, commands in COMMANDS.items():
        assert [c["command"] for c in rig.bot.commands[language]] == list(commands)
        assert set(commands) == {"start", "help", "stop", "human", "language"}
    steps = " ".join(found.steps)
    for part in ("https://t.me/acme_bot?start=", "/setprivacy", "Business Mode"):
        assert part in steps
    assert TOKEN not in steps


async def test_what_a_bot_can_already_is_no_step(rig: Rig) -> None:
    rig.bot.me |= {"can_read_all_group_messages": True, "can_connect_to_business": True}
    assert len((await rig.adapter.connect(DRAFT, HOOK)).steps) == 2
    rig.bot.me["can_join_groups"] = False
    assert "/setjoingroups" in " ".join((await rig.adapter.connect(DRAFT, HOOK)).steps)


async def test_a_bot_to_be_asked_has_no_webhook(rig: Rig) -> None:
    rig.bot.webhook = {"url": "https://other.example/x"}
    found = await rig.adapter.connect(replace(DRAFT, config={"poll": True}), "http://localhost:8080/x")
    assert rig.bot.webhook == {}
    assert found.config == {"poll": True, "username": "acme_bot"}
    assert rig.adapter.pulls(replace(CHANNEL, config=found.config))
    assert not rig.adapter.pulls(CHANNEL)


@pytest.mark.parametrize(
    "webhook",
    [
        "http://gate.example/x",
        "https://gate.example:8080/x",
        "https://:1/x",
        "https://gate.example:x/",
        "gate",
        "",
    ],
)
async def test_an_address_that_telegram_would_not_call_names_the_way_out(rig: Rig, webhook: str) -> None:
    with pytest.raises(Invalid) as caught:
        await rig.adapter.connect(DRAFT, webhook)
    assert caught.value.field == "poll"
    assert "https" in caught.value.expected or "port 443" in caught.value.expected
    assert not rig.api.calls


@pytest.mark.parametrize("port", ["", ":443", ":80", ":88", ":8443"])
async def test_addresses_that_telegram_calls(rig: Rig, port: str) -> None:
    assert await rig.adapter.connect(DRAFT, f"https://gate.example{port}/x")


@pytest.mark.parametrize(
    ("secrets", "field"),
    [
        ({"token": "x", "secret_token": SECRET}, "token"),
        ({"token": "", "secret_token": SECRET}, "token"),
        ({"token": "123:abc", "secret_token": SECRET}, "token"),
        ({"token": TOKEN + "/x", "secret_token": SECRET}, "token"),
        ({"token": "99:AAunheard-of-token-of-thirty-five-ch", "secret_token": SECRET}, "token"),
        ({"token": TOKEN, "secret_token": "short"}, "secret_token"),
        ({"token": TOKEN, "secret_token": "with spaces and ünicode"}, "secret_token"),
        ({"token": TOKEN}, "secret_token"),
    ],
)
async def test_what_a_person_gave_is_checked(rig: Rig, secrets: Mapping[str, str], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        await rig.adapter.connect(replace(DRAFT, secrets=secrets), HOOK)
    assert caught.value.field == field
    assert not any(value and value in str(caught.value) for value in secrets.values() if len(value) > 5)


async def test_a_fault_while_connecting_is_told(rig: Rig) -> None:
    rig.api.misbehave(Fault("status", 502, method="setWebhook"))
    with pytest.raises(SendError) as caught:
        await rig.adapter.connect(DRAFT, HOOK)
    assert clean(caught.value).retryable


def test_a_secret_is_made_that_telegram_takes() -> None:
    made = {s.name: s.made() for s in SETTINGS if s.made}
    assert len(made["secret_token"]) >= 40
    assert made["secret_token"].replace("-", "").replace("_", "").isalnum()
    assert {s.name for s in SETTINGS if s.required and s.made is None} == {"token"}


# Who calls ------------------------------------------------------------------------------------------------

HEADER = "x-telegram-bot-api-secret-token"


def test_the_secret_is_compared(rig: Rig) -> None:
    rig.adapter.verify(SECRET, {HEADER: SECRET}, b"{}")
    for secret, headers in (
        (SECRET, {}),
        (SECRET, {HEADER: ""}),
        (SECRET, {HEADER: SECRET + "x"}),
        (SECRET, {HEADER: SECRET[:-1]}),
        (SECRET, {HEADER: SECRET.upper()}),
        (SECRET, {HEADER: "ünicode \udcff"}),
        ("", {HEADER: ""}),
        ("", {}),
    ):
        with pytest.raises(NotAuthentic):
            rig.adapter.verify(secret, headers, b"{}")


def test_there_is_no_app_wide_address(rig: Rig) -> None:
    assert TelegramAdapter.paths == ("/{channel}",)
    with pytest.raises(NotForUs):
        rig.adapter.accounts(b"{}")
    with pytest.raises(NotAuthentic):
        rig.adapter.challenge("x", {"hub.verify_token": "x"})
    assert rig.adapter.greeting(b"{}") is None


# The doctor -----------------------------------------------------------------------------------------------


async def test_a_healthy_bot_is_all_green(rig: Rig) -> None:
    await rig.adapter.connect(DRAFT, HOOK)
    findings = await rig.adapter.check(CHANNEL, HOOK)
    assert [f.name for f in findings if f.ok is not True] == []
    assert {f.name for f in findings} == {
        *("token", "address", "webhook", "waiting", "deliveries", "updates", "menu", "groups", "business"),
    }


async def test_a_healthy_bot_that_is_asked_is_all_green(rig: Rig) -> None:
    channel = with_config(poll="true")
    await rig.adapter.connect(channel, "")
    assert [f for f in await rig.adapter.check(channel, "") if f.ok is not True] == []


def _error(said: str) -> Callable[[Bot], None]:
    def plant(bot: Bot) -> None:
        bot.last_error, bot.last_error_date = said, int(NOW.timestamp()) - 60

    return plant


def _webhook(**changes: Any) -> Callable[[Bot], None]:
    return lambda bot: bot.webhook.update(changes)


PLANTED: dict[str, tuple[Callable[[Bot], None], str, str]] = {
    "no webhook": (lambda bot: bot.webhook.clear(), "webhook", "channel connect"),
    "another webhook": (_webhook(url="https://other.example/secret-path"), "webhook", "channel connect"),
    "kinds missing": (_webhook(allowed_updates=["message"]), "updates", "channel connect"),
    "no menu": (lambda bot: bot.commands.clear(), "menu", "channel connect"),
    "half a menu": (lambda bot: bot.commands.update(es=[]), "menu", "channel connect"),
    "renamed": (lambda bot: setattr(bot, "username", "new_name_bot"), "token", "channel connect"),
    "many waiting": (
        lambda bot: bot.updates.extend({"update_id": n} for n in range(101)),
        "waiting",
        "Parley runs",
    ),
    "secret differs": (
        _error("Wrong response from the webhook: 401 Unauthorized"),
        "deliveries",
        "channel connect",
    ),
    "not found": (_error("Wrong response from the webhook: 404 Not Found"), "deliveries", "channel connect"),
    "redirect": (_error("Wrong response from the webhook: 302 Found"), "deliveries", "PUBLIC_URL"),
    "too large": (
        _error("Wrong response from the webhook: 413 Request Entity Too Large"),
        "deliveries",
        "proxy",
    ),
    "server fault": (
        _error("Wrong response from the webhook: 503 Service Unavailable"),
        "deliveries",
        "/ready",
    ),
    "certificate": (
        _error("SSL error {error:0A000086:SSL routines::certificate verify failed}"),
        "deliveries",
        "chain",
    ),
    "name": (_error("Failed to resolve host: Name or service not known"), "deliveries", "DNS"),
    "closed port": (_error("Connection refused"), "deliveries", "149.154.160.0/20"),
    "slow": (_error("Read timeout expired"), "deliveries", "149.154.160.0/20"),
    "unheard of": (_error("Something else entirely"), "deliveries", "channel connect"),
}


@pytest.mark.parametrize("planted", PLANTED)
async def test_the_doctor_finds_a_planted_fault_and_names_the_fix(rig: Rig, planted: str) -> None:
    plant, name, fix = PLANTED[planted]
    await rig.adapter.connect(DRAFT, HOOK)
    plant(rig.bot)
    wrong = [f for f in await rig.adapter.check(CHANNEL, HOOK) if f.ok is False]
    assert name in [f.name for f in wrong]
    assert fix in next(f.fix for f in wrong if f.name == name)
    assert "secret-path" not in str(wrong)


@pytest.mark.parametrize(
    ("channel", "hook", "name"),
    [
        (CHANNEL, "http://localhost:8080/x", "address"),
        (CHANNEL, "https://gate.example:8080/x", "address"),
        (replace(CHANNEL, account="5"), HOOK, "token"),
        (replace(CHANNEL, secrets={"token": "x"}), HOOK, "token"),
        (replace(CHANNEL, secrets={"token": "9:AAunheard-of-token-of-thirty-five-ch"}), HOOK, "token"),
        (with_config(poll=True), HOOK, "webhook"),
    ],
)
async def test_the_doctor_finds_what_is_wrong_on_our_side(
    rig: Rig, channel: Channel, hook: str, name: str
) -> None:
    await rig.adapter.connect(DRAFT, HOOK)
    wrong = [f for f in await rig.adapter.check(channel, hook) if f.ok is False]
    assert name in [f.name for f in wrong]
    assert all(f.fix for f in wrong)


async def test_an_old_failure_that_is_over_is_green(rig: Rig) -> None:
    await rig.adapter.connect(DRAFT, HOOK)
    rig.bot.last_error, rig.bot.last_error_date = "Connection refused", int(NOW.timestamp()) - 7200
    assert found(await rig.adapter.check(CHANNEL, HOOK), "deliveries").ok


async def test_the_doctor_never_raises(rig: Rig) -> None:
    for method in ("getMe", "getWebhookInfo", "getMyCommands"):
        for fault in (Fault("status", 500), Fault("reset"), Fault("garbage"), Fault("no_id")):
            rig.api.misbehave(replace(fault, method=method))
            findings = await rig.adapter.check(CHANNEL, HOOK)
            assert findings
            assert TOKEN not in str(findings)
            assert not rig.api._faults


@pytest.mark.parametrize("status", [401, 404])
async def test_a_token_that_telegram_does_not_know(rig: Rig, status: int) -> None:
    said = "Unauthorized" if status == 401 else "Not Found"
    rig.api.misbehave(Fault.error(status, said, "getMe"), 2)
    (only,) = await rig.adapter.check(CHANNEL, HOOK)
    assert (only.ok, "--token" in only.fix) == (False, True)
    with pytest.raises(Invalid):
        await rig.adapter.connect(DRAFT, HOOK)


async def test_a_provider_that_is_away_is_not_red(rig: Rig) -> None:
    adapter = TelegramAdapter("http://127.0.0.1:1", rig.session, lambda: NOW, rig.files)
    (only,) = await adapter.check(CHANNEL, HOOK)
    assert only.ok is None


def found(findings: Sequence[Finding], name: str) -> Finding:
    return next(f for f in findings if f.name == name)


async def test_connecting_again_mends_everything(rig: Rig) -> None:
    await rig.adapter.connect(DRAFT, HOOK)
    for planted in ("no webhook", "kinds missing", "no menu"):
        PLANTED[planted][0](rig.bot)
        await rig.adapter.connect(CHANNEL, HOOK)
        assert [f.name for f in await rig.adapter.check(CHANNEL, HOOK) if f.ok is False] == []


async def test_a_thousand_channels_cost_nothing_each(rig: Rig) -> None:
    # There is one adapter and one pool, whatever the number of bots: nothing is kept a channel.
    start = time.monotonic()
    before = set(vars(rig.adapter))
    for n in range(1000):
        rig.adapter.parse(replace(CHANNEL, id=f"ch_{n}", account=str(n)), b'{"update_id": 1}')
    assert set(vars(rig.adapter)) == before
    assert time.monotonic() - start < 10
