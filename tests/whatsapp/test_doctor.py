"""The doctor against a stand-in in which one thing at a time is wrong: it finds that thing, and says what to do."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.whatsapp.checks import public
from channels.whatsapp.signature import challenge
from gateway.model.errors import NotAuthentic
from gateway.model.ports import Finding
from gateway.model.tenant import Channel
from tests.providers.graph import Fault, GraphStandIn
from tests.providers.graph_webhooks import WABA
from tests.whatsapp.rig import CHANNEL, SECRET, TOKEN, VERIFY, Rig
from tests.whatsapp.test_payloads import NOW

OURS = "https://gateway.example/webhooks/whatsapp/ch_1"
"""Nothing answers there: whether the address answers can't be told from here."""


@pytest.fixture(autouse=True)
def in_order(rig: Rig) -> None:
    rig.graph.account.callback = OURS


async def found(rig: Rig, channel: Channel = CHANNEL, webhook: str = OURS) -> dict[str, Finding]:
    findings = await rig.adapter.check(channel, webhook)
    names = [finding.name for finding in findings]
    assert len(set(names)) == len(names)
    said = json.dumps([[f.name, f.text, f.fix] for f in findings])
    assert not [secret for secret in (TOKEN, SECRET, VERIFY) if secret in said]
    assert all(finding.fix for finding in findings if finding.ok is False)
    return {finding.name: finding for finding in findings}


def wrong(findings: dict[str, Finding]) -> list[str]:
    return [name for name, finding in findings.items() if finding.ok is False]


async def test_a_channel_in_order_is_green_all_along(rig: Rig) -> None:
    findings = await found(rig)
    assert [name for name, finding in findings.items() if finding.ok is not True] == ["verify token"]
    assert findings["verify token"].ok is None
    assert len(findings) >= 15
    assert "TIER_2K" in findings["messaging limit"].text


@pytest.mark.parametrize(
    ("plant", "line", "says", "fix"),
    [
        (lambda g: setattr(g, "tokens", {}), "access token", "expired or was revoked", "System users"),
        (
            lambda g: setattr(g.account, "valid", False),
            "access token",
            "expired or was revoked",
            "System users",
        ),
        (
            lambda g: setattr(g.account, "expires", int(NOW.timestamp()) + 3 * 86_400),
            "access token",
            "2026-11-24",
            "never expires",
        ),
        (
            lambda g: g.account.scopes.remove("whatsapp_business_messaging"),
            "permissions",
            "whatsapp_business_messaging",
            "whatsapp_business_messaging",
        ),
        (lambda g: setattr(g.account, "targets", ["5"]), "assigned account", WABA, "Assign assets"),
        (
            lambda g: setattr(g.account, "secret", "another"),
            "app secret",
            "is not the one",
            "App settings > Basic",
        ),
        (lambda g: setattr(g.account, "proof_wanted", True), "phone number", "a proof", "Require app secret"),
        (lambda g: setattr(g.account, "numbers", ["5"]), "business account", CHANNEL.account, "API setup"),
        (lambda g: g.account.number.update(status="PENDING"), "phone number", "PENDING", "/register"),
        (lambda g: g.account.number.update(status="BANNED"), "phone number", "BANNED", "WhatsApp Manager"),
        (
            lambda g: g.account.number.update(platform_type="ON_PREMISE"),
            "phone number",
            "not on the Cloud API",
            "/register",
        ),
        (
            lambda g: g.account.number.update(code_verification_status="NOT_VERIFIED"),
            "phone number",
            "never verified",
            "verify the number",
        ),
        (lambda g: g.account.number.update(quality_rating="RED"), "quality", "RED", "fewer templates"),
        (
            lambda g: g.account.number.update(name_status="DECLINED"),
            "display name",
            "DECLINED",
            "display name",
        ),
        (
            lambda g: g.account.number.update(
                health_status={
                    "can_send_message": "BLOCKED",
                    "entities": [
                        {
                            "entity_type": "WABA",
                            "errors": [
                                {
                                    "error_code": 141006,
                                    "error_description": "There is an error with the payment method.",
                                    "possible_solution": "Attach a payment method.",
                                }
                            ],
                        }
                    ],
                }
            ),
            "health",
            "payment method",
            "Attach a payment method.",
        ),
        (lambda g: setattr(g.account, "review", "REJECTED"), "account review", "REJECTED", "another review"),
        (
            lambda g: setattr(g.account, "subscribed", []),
            "webhook subscription",
            "not subscribed",
            "subscribed_apps",
        ),
        (
            lambda g: setattr(g.account, "subscribed", ["77"]),
            "webhook subscription",
            "not subscribed",
            "subscribed_apps",
        ),
        (
            lambda g: setattr(g.account, "callback", "https://old.example/hook"),
            "callback address",
            "https://old.example/hook",
            OURS,
        ),
        (
            lambda g: setattr(g.account, "override", "https://other.example/hook"),
            "callback address",
            "https://other.example/hook",
            OURS,
        ),
        (
            lambda g: g.account.number.update(
                webhook_configuration={"phone_number": "https://third.example/x"}
            ),
            "callback address",
            "https://third.example/x",
            OURS,
        ),
        (
            lambda g: g.account.fields.remove("messages"),
            "webhook fields",
            "`messages`",
            "subscribe to the field",
        ),
        (
            lambda g: g.account.templates.append({"name": "sale", "language": "en", "status": "PAUSED"}),
            "templates",
            "sale (paused)",
            "Message templates",
        ),
    ],
)
async def test_one_thing_that_is_wrong(
    rig: Rig, plant: Callable[[GraphStandIn], Any], line: str, says: str, fix: str
) -> None:
    plant(rig.graph)
    findings = await found(rig)
    assert wrong(findings) == [line]
    assert says in findings[line].text
    assert fix in findings[line].fix


async def test_a_token_without_the_right_to_manage_says_so_everywhere_it_matters(rig: Rig) -> None:
    rig.graph.account.scopes.remove("whatsapp_business_management")
    findings = await found(rig)
    assert "whatsapp_business_management" in findings["permissions"].text
    assert {"permissions", "business account", "account review", "webhook subscription", "templates"} == set(
        wrong(findings)
    )


@pytest.mark.parametrize(
    ("version", "ok"), [("v26.0", True), ("v20.0", False), ("v21.0", False), ("v25.0", True), ("v99.0", None)]
)
async def test_the_api_version(rig: Rig, version: str, ok: bool | None) -> None:
    channel = replace(CHANNEL, config={"waba_id": WABA, "api_version": version})
    line = (await found(rig, channel))["API version"]
    assert line.ok is ok
    assert (ok is not False) or "v26.0" in line.fix


async def test_another_business_account_than_the_token_s(rig: Rig) -> None:
    findings = await found(rig, replace(CHANNEL, config={"waba_id": "77"}))
    assert "77" in findings["business account"].fix
    assert "business account" in wrong(findings)


async def test_a_number_that_the_token_may_not_use(rig: Rig) -> None:
    findings = await found(rig, replace(CHANNEL, account="5"))
    assert {"business account", "phone number"} <= set(wrong(findings))
    assert findings["app secret"].ok is None


async def test_without_a_token_the_rest_is_still_checked(rig: Rig) -> None:
    findings = await found(rig, replace(CHANNEL, secrets={"app_secret": SECRET, "verify_token": VERIFY}))
    assert wrong(findings) == ["access token"]
    assert {"API version", "public address", "verify token"} <= findings.keys()


@pytest.mark.parametrize("fault", [Fault.http(503), Fault("reset"), Fault.throttle(5)])
async def test_when_meta_is_not_well_nothing_is_said_to_be_wrong(rig: Rig, fault: Fault) -> None:
    rig.graph.always(fault)
    findings = await found(rig)
    assert wrong(findings) == []
    assert findings["access token"].ok is None
    rig.graph.always(None)


@pytest.mark.parametrize(
    "garbage", [b"null", b"[]", b'{"data":7}', b'{"data":[[]]}', b'{"data":{"scopes":7}}']
)
async def test_odd_answers_are_survived(rig: Rig, garbage: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=garbage, content_type="application/json")

    async with served(answer) as url:
        adapter = type(rig.adapter)(url, rig.session, lambda: NOW, rig.files)
        assert await adapter.check(CHANNEL, OURS)


# Our own address --------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(handler: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


def gateway(token: str) -> Callable[[web.Request], Any]:
    async def answer(request: web.Request) -> web.Response:
        try:
            return web.Response(text=challenge(token, request.query))
        except NotAuthentic:
            return web.Response(status=401)

    return answer


async def test_our_own_address_answers_the_question(rig: Rig) -> None:
    async with served(gateway(VERIFY)) as url:
        findings = await found(rig, webhook=f"{url}/webhooks/whatsapp/ch_1")
    assert findings["verify token"].ok is True
    assert findings["public address"].ok is False
    assert "PUBLIC_URL" in findings["public address"].fix


async def test_another_verify_token_is_found(rig: Rig) -> None:
    async with served(gateway("another")) as url:
        line = (await found(rig, webhook=f"{url}/webhooks/whatsapp/ch_1"))["verify token"]
    assert line.ok is False
    assert "401" in line.text
    assert "verify token" in line.fix


async def test_another_server_at_our_address_is_found(rig: Rig) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="It works!")

    async with served(answer) as url:
        assert (await found(rig, webhook=url))["verify token"].ok is False


async def test_the_app_wide_address_is_right_too(rig: Rig) -> None:
    rig.graph.account.callback = "https://gateway.example/webhooks/whatsapp"
    assert (await found(rig))["callback address"].ok is True


@pytest.mark.parametrize(
    ("address", "ok"),
    [
        ("https://gateway.example/x", True),
        ("http://gateway.example/x", False),
        ("https://localhost/x", False),
        ("https://192.168.1.7/x", False),
        ("https://gateway.local/x", False),
        ("https://9.9.9.9/x", True),
        ("nonsense", False),
    ],
)
def test_an_address_that_meta_can_call(address: str, ok: bool) -> None:
    assert public(address).ok is ok
