"""Sending, against a Graph API that checks what it is sent and misbehaves when told."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import httpx
import pytest
from pywa_async.client import WhatsApp
from pywa_async.types.callback import Button, Section, SectionList, SectionRow

from channels.whatsapp import adapter as adapter_module
from channels.whatsapp.adapter import API_VERSION, WhatsAppAdapter
from channels.whatsapp.payload import message as payload
from gateway.model.content import Buttons, Choice, Content, ListMenu, System, Template, Text
from gateway.model.errors import SendError
from gateway.model.ports import Outgoing
from gateway.model.tenant import Channel
from tests.providers.graph import Fault, GraphStandIn, GraphThread
from tests.providers.graph_webhooks import PHONE_ID
from tests.whatsapp.test_payloads import NOW

TOKEN = "canary-token"
CHANNEL = Channel("ch_1", "t_1", "whatsapp", PHONE_ID, "WA", NOW, secrets={"access_token": TOKEN})
YES_NO = (Choice("lead:yes", "Yes, please"), Choice("lead:no", "No, thanks"))
ROWS = tuple(Choice(f"row{n}", f"Row {n}", "d" * 80 if n else None) for n in range(10))


HOLA = Text("hola")


@dataclass
class Rig:
    graph: GraphStandIn
    adapter: WhatsAppAdapter
    session: aiohttp.ClientSession

    async def send(
        self,
        content: Content = HOLA,
        channel: Channel = CHANNEL,
        to: str = "34600111222",
        reply_to: str | None = None,
    ) -> str:
        outgoing = Outgoing("m_1", "cv_1", to, content, 1, NOW, reply_to=reply_to)
        return (await self.adapter.send(channel, outgoing)).provider_id

    async def fails(self, *args: Any, **more: Any) -> SendError:
        with pytest.raises(SendError) as caught:
            await self.send(*args, **more)
        error = caught.value
        assert TOKEN not in str(error)
        assert "hola" not in str(error)
        # Chained, the library's error would carry the request with its headers into the log.
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
        return error


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with GraphStandIn({TOKEN: {PHONE_ID}}) as graph, aiohttp.ClientSession() as session:
        yield Rig(graph, WhatsAppAdapter(graph.url, session, lambda: NOW), session)


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


@pytest.mark.parametrize(
    "content",
    [
        Text("😀" * 2_048),
        Text("مرحبا\nhttps://example.com"),
        Text("a\x00\ud800b"),
        Buttons("Shall we?", YES_NO),
        Buttons("x" * 1_024, (*YES_NO, Choice("c" * 256, "t" * 20))),
        ListMenu("Choose", "A button whose label is too long", ROWS),
        Template("hello_world", "en_US"),
        Template("order", "en", ({"type": "body", "parameters": [{"type": "text", "text": "1"}]},)),
    ],
)
async def test_what_we_send_follows_the_documented_rules(rig: Rig, content: Content) -> None:
    assert await rig.send(content)


async def test_people_without_a_number_are_written_to_by_their_scoped_id(rig: Rig) -> None:
    await rig.send(to="US.13491208655302741918")
    (seen,) = rig.graph.messages()
    assert "to" not in seen.body
    assert seen.body["recipient"] == "US.13491208655302741918"


@pytest.mark.parametrize("typing", [True, False])
async def test_marking_as_read(rig: Rig, typing: bool) -> None:
    await rig.adapter.mark_read(CHANNEL, "cv_1", "wamid.IN", typing)
    (seen,) = rig.graph.reads
    assert seen.body["message_id"] == "wamid.IN"
    assert ("typing_indicator" in seen.body) is typing


async def test_the_check_names_the_number_and_refuses_a_foreign_one(rig: Rig) -> None:
    assert await rig.adapter.check(CHANNEL) == "15550783881"
    with pytest.raises(SendError) as caught:
        await rig.adapter.check(replace(CHANNEL, account="5"))
    assert caught.value.disable_channel


async def test_what_it_cannot_carry_is_refused_unsent(rig: Rig) -> None:
    error = await rig.fails(System("joined"))
    assert (error.code, error.retryable) == ("whatsapp:cannot_send_system", False)
    assert not rig.graph.requests


@pytest.mark.parametrize("content", [Text(""), Text("x" * 4_097), Buttons("x", (YES_NO[0],) * 2)])
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
        await WhatsAppAdapter(f"{rig.graph.url}/", session, lambda: NOW).check(channel)
    assert paths == [f"/{used}/{PHONE_ID}"]


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
    monkeypatch.setattr(adapter_module, "TIMEOUT", aiohttp.ClientTimeout(sock_read=0.05))
    rig.graph.misbehave(Fault("hang"))
    error = await rig.fails()
    assert (error.code, error.outcome) == ("whatsapp:timeout", "unknown")


async def test_nobody_there_is_refused(rig: Rig) -> None:
    await rig.graph.stop()
    error = await rig.fails()
    assert (error.code, error.outcome, error.retryable) == ("whatsapp:connect", "refused", True)


async def test_a_full_pool_is_refused_not_unknown(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter_module, "TIMEOUT", aiohttp.ClientTimeout(connect=0.05))
    rig.graph.misbehave(Fault("hang"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        narrow = replace(rig, adapter=WhatsAppAdapter(rig.graph.url, session, lambda: NOW), session=session)
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
            rig = Rig(graph, WhatsAppAdapter(graph.url, session, lambda: NOW), session)
            fault = {"kind": "error", "code": 131047}
            async with session.post(f"{graph.url}/_faults", json=fault) as response:
                assert response.status == 200
            assert (await rig.fails()).code == "whatsapp:131047"
            await rig.send()
            async with session.get(f"{graph.url}/_requests") as response:
                assert (await response.json())["accepted"] == 1


# pywa as a witness: what it would have sent is what we send -----------------------------------------------

MENU = ListMenu("Choose", "Menu", (Choice("a", "A", "first"), Choice("b", "B")))
SECTIONS = SectionList(
    "Menu", [Section("", [SectionRow("A", callback_data="a", description="first"), SectionRow("B", "b")])]
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (Text("hola"), {"text": "hola", "preview_url": False}),
        (
            Buttons("Shall we?", YES_NO),
            {"text": "Shall we?", "buttons": [Button(c.title, c.id) for c in YES_NO]},
        ),
        (MENU, {"text": "Choose", "buttons": SECTIONS}),
    ],
)
async def test_pywa_agrees(content: Content, said: dict[str, Any]) -> None:
    bodies: list[dict[str, Any]] = []

    async def witness(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        assert request.url.path == f"/{API_VERSION}/{PHONE_ID}/messages"
        return httpx.Response(
            200, json={"contacts": [{"input": "1", "wa_id": "1"}], "messages": [{"id": "wamid.1"}]}
        )

    async with httpx.AsyncClient(transport=httpx.MockTransport(witness)) as session:
        client = WhatsApp(PHONE_ID, TOKEN, session=session, skip_duplicate_updates=False)
        await client.send_message(
            to="34600111222", reply_to_message_id="wamid.Q", tracker="m_1", sender=PHONE_ID, **said
        )
    ours = payload(Outgoing("m_1", "cv_1", "34600111222", content, 1, NOW, reply_to="wamid.Q"))
    assert _bare(bodies[0]) == _bare(ours)


def _bare(node: Any) -> Any:
    """Without the values that say nothing: empty titles and false flags."""
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if value not in ("", False, None)}
    return [_bare(value) for value in node] if isinstance(node, list) else node
