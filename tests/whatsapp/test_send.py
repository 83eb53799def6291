"""Sending, against a Graph API that checks what it is sent and misbehaves when told."""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from channels import http
from channels.whatsapp.adapter import WhatsAppAdapter
from channels.whatsapp.graph import API_VERSION
from gateway.model.content import Buttons, Choice, Content, System, Text
from tests.providers.graph import Fault, GraphStandIn, GraphThread
from tests.providers.graph_webhooks import status, statuses_webhook
from tests.whatsapp.rig import CHANNEL, MemoryFiles, Rig, received
from tests.whatsapp.test_payloads import NOW

YES_NO = (Choice("lead:yes", "Yes, please"), Choice("lead:no", "No, thanks"))


async def test_a_text_is_taken_with_our_id(rig: Rig) -> None:
    assert (await rig.send(reply_to="wamid.Q")).startswith("wamid.")
    (seen,) = rig.graph.messages()
    assert seen.body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "34600111222",
        "type": "text",
        "text": {"body": "hola", "preview_url": False},
        "context": {"message_id": "wamid.Q"},
        "biz_opaque_callback_data": "m_1",
    }
    assert (seen.message, seen.text) == ("m_1", "hola")


async def test_people_without_a_number_are_written_to_by_their_scoped_id(rig: Rig) -> None:
    await rig.send(to="US.13491208655302741918")
    (seen,) = rig.graph.messages()
    assert "to" not in seen.body
    assert seen.body["recipient"] == "US.13491208655302741918"


@pytest.mark.parametrize("typing", [True, False])
async def test_marking_as_read(rig: Rig, typing: bool) -> None:
    await rig.adapter.mark_read(CHANNEL, received("wamid.IN"), "34600111222", typing)
    (seen,) = rig.graph.reads
    assert seen.body["message_id"] == "wamid.IN"
    assert ("typing_indicator" in seen.body) is typing


@pytest.mark.parametrize("made_up", ["noid_abc", "pref_abc", "wacid.1:connect"])
async def test_only_their_own_ids_are_marked_as_read(rig: Rig, made_up: str) -> None:
    await rig.adapter.mark_read(CHANNEL, received(made_up), "34600111222", True)
    assert not rig.graph.reads


async def test_what_it_cannot_carry_is_refused_unsent(rig: Rig) -> None:
    error = await rig.fails(System("joined"))
    assert (error.code, error.retryable) == ("whatsapp:cannot_send_system", False)
    assert not rig.graph.requests


@pytest.mark.parametrize("content", [Text("x" * 4_097), Buttons("x", (YES_NO[0],) * 2)])
async def test_the_stand_in_refuses_what_the_api_would(rig: Rig, content: Content) -> None:
    error = await rig.fails(content)
    assert error.code in ("whatsapp:131008", "whatsapp:131009")
    assert not rig.graph.messages()


@pytest.mark.parametrize("token", ["wrong", "", "new\nline", "ünicode"])
async def test_a_bad_token_disables_the_channel(rig: Rig, token: str) -> None:
    error = await rig.fails(channel=replace(CHANNEL, secrets={"access_token": token}))
    assert error.disable_channel
    assert not error.retryable


async def test_an_account_cannot_leave_its_place_in_the_address(rig: Rig) -> None:
    assert (await rig.fails(channel=replace(CHANNEL, account="1/../../x?y#z"))).disable_channel


@pytest.mark.parametrize(
    ("configured", "used"),
    [(None, API_VERSION), ("v24.0", "v24.0"), ("23.0", "v23.0"), ("../x", API_VERSION), (24, API_VERSION)],
)
async def test_the_version_is_the_channels_or_the_newest(rig: Rig, configured: Any, used: str) -> None:
    paths: list[str] = []
    trace = aiohttp.TraceConfig()

    async def note(_session: Any, _context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        paths.append(params.url.path)

    trace.on_request_start.append(note)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        channel = replace(CHANNEL, config={"api_version": configured} if configured else {})
        adapter = WhatsAppAdapter(f"{rig.graph.url}/", session, lambda: NOW, rig.files)
        await adapter.mark_read(channel, received("wamid.IN"), "1", False)
    assert paths == [f"/{used}/{CHANNEL.account}/messages"]


# Faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "retryable", "outcome", "wait", "taken"),
    [
        (Fault.throttle(17), "130429", True, "refused", 17.0, False),
        (Fault.http(429, 3), "http_429", True, "refused", 3.0, False),
        (Fault.http(429, "Sat, 21 Nov 2026 10:02:00 GMT"), "http_429", True, "refused", 120.0, False),
        (Fault.http(429), "http_429", True, "refused", None, False),
        (Fault.http(500), "http_500", True, "refused", None, False),
        (Fault.http(502), "http_502", True, "refused", None, False),
        (Fault.http(302), "http_302", False, "refused", None, False),
        (Fault.error(131047), "131047", False, "refused", None, False),
        (Fault.error(131050), "131050", False, "refused", None, False),
        (Fault.error(190, status=401), "190", False, "refused", None, False),
        (Fault.error(2, status=500, is_transient=True), "2", True, "refused", None, False),
        (Fault.error(5555), "5555", True, "refused", None, False),
        (Fault("reset"), "broken", True, "unknown", None, False),
        (Fault("drop"), "broken", True, "unknown", None, True),
        (Fault("garbage"), "no_id", True, "unknown", None, True),
        (Fault("no_id"), "no_id", True, "unknown", None, True),
    ],
)
async def test_faults(
    rig: Rig, fault: Fault, code: str, retryable: bool, outcome: str, wait: float | None, taken: bool
) -> None:
    rig.graph.misbehave(fault)
    error = await rig.fails()
    assert error.code == f"whatsapp:{code}"
    assert (error.retryable, error.outcome, error.wait) == (retryable, outcome, wait)
    assert bool(rig.graph.messages()) is taken
    # The fault is over, and so is its effect.
    assert await rig.send()


async def test_no_answer_in_time_is_unknown(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT", aiohttp.ClientTimeout(sock_read=0.05))
    rig.graph.misbehave(Fault("hang"))
    error = await rig.fails()
    assert (error.code, error.outcome) == ("whatsapp:timeout", "unknown")


async def test_nobody_there_is_refused(rig: Rig) -> None:
    await rig.graph.stop()
    error = await rig.fails()
    assert (error.code, error.outcome, error.retryable) == ("whatsapp:connect", "refused", True)


async def test_a_full_pool_is_refused_not_unknown(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT", aiohttp.ClientTimeout(connect=0.05))
    rig.graph.misbehave(Fault("hang"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        adapter = WhatsAppAdapter(rig.graph.url, session, lambda: NOW, rig.files)
        narrow = replace(rig, adapter=adapter, session=session)
        first = asyncio.ensure_future(narrow.send())
        await asyncio.sleep(0)
        error = await narrow.fails()
        assert (error.code, error.outcome) == ("whatsapp:connect", "refused")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_many_tenants_share_one_session_without_mixing(rig: Rig) -> None:
    rig.graph.tokens = {f"token-{n}": {f"1{n:03}"} for n in range(50)}
    channels = [
        replace(CHANNEL, account=f"1{n:03}", secrets={"access_token": f"token-{n}"}) for n in range(50)
    ]
    await asyncio.gather(*(rig.send(Text(f"to {channel.account}"), channel) for channel in channels))
    assert {(seen.phone, seen.text) for seen in rig.graph.messages()} == {
        (channel.account, f"to {channel.account}") for channel in channels
    }


async def test_the_stand_in_runs_in_a_thread_and_obeys_over_http() -> None:
    with GraphThread(GraphStandIn()) as graph:
        async with aiohttp.ClientSession() as session:
            files = MemoryFiles()
            rig = Rig(graph, WhatsAppAdapter(graph.url, session, lambda: NOW, files), session, files)
            fault = {"kind": "error", "code": 131047}
            async with session.post(f"{graph.url}/_faults", json=fault) as response:
                assert response.status == 200
            assert (await rig.fails()).code == "whatsapp:131047"
            await rig.send()
            async with session.get(f"{graph.url}/_requests") as response:
                assert (await response.json())["accepted"] == 1


# Codes that nobody has described -----------------------------------------------------------------------------


async def test_an_unmapped_code_is_tried_twice_and_logged_once(rig: Rig, log: list[str]) -> None:
    rig.graph.misbehave(Fault.error(5555), 2)
    errors = [await rig.fails(), await rig.fails()]
    assert [(error.retryable, error.most_attempts) for error in errors] == [(True, 2)] * 2
    assert [line for line in log if "5555" in line] == ["unmapped error code: whatsapp:5555"]


async def test_an_unmapped_code_in_a_receipt_is_logged_once(rig: Rig, log: list[str]) -> None:
    states = [
        status("wamid.1", "failed", 1749416383, recipient="1", code=code) for code in (5556, 5556, 131047)
    ]
    rig.adapter.parse(CHANNEL, statuses_webhook(states))
    assert log == ["unmapped error code: whatsapp:5556"]


async def test_a_number_of_the_higher_level_may_send_faster(rig: Rig) -> None:
    standard = await rig.adapter.connect(CHANNEL, "https://gate.example/x")
    assert standard.config["throughput"] == "STANDARD"
    rig.graph.account.number["throughput"] = {"level": "HIGH"}
    high = await rig.adapter.connect(CHANNEL, "https://gate.example/x")
    rates = [
        rig.adapter.rates(replace(CHANNEL, config=config), "34600111222")
        for config in ({}, standard.config, high.config)
    ]
    assert [r.account.per_second + r.account.burst for r in rates if r.account] == [80, 80, 1000]
    assert len({r.recipient for r in rates}) == 1
    # What Meta does not say leaves it as it is.
    rig.graph.misbehave(Fault.http(500))
    kept = await rig.adapter.connect(replace(CHANNEL, config=high.config), "https://gate.example/x")
    assert kept.config["throughput"] == "HIGH"
