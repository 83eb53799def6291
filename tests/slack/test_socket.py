"""Socket Mode: what is confirmed, what is not, and moving from one socket to the next."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from loguru import logger

from gateway.model.errors import NotForUs, SendError, Unavailable
from tests.providers.slack_api import Fault, SlackStandIn
from tests.providers.slack_api_events import DM, command, direct, pressed
from tests.slack.rig import Rig, build, settings, socketed


@dataclass
class Taker:
    """What `take` was given; it can be told to fail, to answer and to wait."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    answer: str | None = None
    gate: asyncio.Event | None = None
    asked: int = 0

    async def __call__(self, body: bytes) -> str | None:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.bodies.append(json.loads(body))
        return self.answer


@dataclass
class Reading:
    slack: SlackStandIn
    rig: Rig
    taker: Taker
    task: asyncio.Task[None]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.002)

    async def acked(self, *envelopes: str) -> None:
        await self.until(lambda: set(envelopes) <= set(self.slack.acks))


@pytest.fixture
async def reading(slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reading]:
    monkeypatch.setattr("channels.slack.socket.AGAIN", 0.0)
    async with aiohttp.ClientSession() as session:
        rig, taker = build(slack, session, socketed(slack)), Taker()
        task = asyncio.create_task(rig.adapter.pull_app(taker))
        async with asyncio.timeout(10):
            await slack.connected.wait()
        yield Reading(slack, rig, taker, task)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, SendError):
            await task


async def test_the_app_is_read_only_with_its_token(slack: SlackStandIn, rig: Rig) -> None:
    assert rig.adapter.pulls_app is False
    assert build(slack, rig.session, socketed(slack)).adapter.pulls_app is True


async def test_an_envelope_is_taken_and_then_confirmed(reading: Reading) -> None:
    reading.taker.gate = asyncio.Event()
    body = direct("hi")
    envelope = await reading.slack.envelope(body)
    await reading.until(lambda: reading.taker.asked == 1)
    assert not reading.slack.acks
    reading.taker.gate.set()
    await reading.acked(envelope)
    assert reading.taker.bodies == [body]
    assert reading.slack.acks[envelope] is None


async def test_a_commands_answer_goes_with_the_confirmation(reading: Reading) -> None:
    reading.taker.answer = '{"response_type": "ephemeral", "text": "💬"}'
    asked = await reading.slack.envelope(command("help"), "slash_commands")
    happened = await reading.slack.envelope(direct("hi"))
    await reading.acked(asked, happened)
    assert reading.slack.acks[asked] == {"response_type": "ephemeral", "text": "💬"}
    # Events take no answer.
    assert reading.slack.acks[happened] is None


async def test_interactions_come_as_they_are(reading: Reading) -> None:
    body = pressed("lead:yes", "Yes", DM, "1749416383.000001")
    await reading.acked(await reading.slack.envelope(body, "interactive"))
    assert reading.taker.bodies == [body]


async def test_what_could_not_be_stored_is_not_confirmed(reading: Reading) -> None:
    reading.taker.errors = [Unavailable(), NotForUs()]
    lost = await reading.slack.envelope(direct("one"))
    odd = await reading.slack.envelope(direct("two"))
    fine = await reading.slack.envelope(direct("three"))
    await reading.acked(odd, fine)
    assert lost not in reading.slack.acks
    # Slack sends it again.
    await reading.slack.envelope(direct("one"), envelope=lost)
    await reading.acked(lost)


async def test_envelopes_are_taken_in_order(reading: Reading) -> None:
    sent = [await reading.slack.envelope(direct(f"m{n}")) for n in range(30)]
    await reading.acked(*sent)
    assert [b["event"]["text"] for b in reading.taker.bodies] == [f"m{n}" for n in range(30)]


async def test_a_new_socket_is_opened_while_the_old_one_ends(reading: Reading) -> None:
    await reading.slack.disconnect("refresh_requested")
    async with asyncio.timeout(10):
        await reading.slack.connected.wait()
    assert len(reading.slack.sockets) == 2
    # What is under way on the old one still arrives.
    old = await reading.slack.envelope(direct("old"), socket=0)
    new = await reading.slack.envelope(direct("new"), socket=1)
    await reading.acked(old, new)
    await reading.slack.sockets[0].close()
    late = await reading.slack.envelope(direct("late"))
    await reading.acked(late)
    assert not reading.task.done()


async def test_an_old_socket_that_breaks_is_nobodys_trouble(reading: Reading) -> None:
    await reading.slack.disconnect()
    async with asyncio.timeout(10):
        await reading.slack.connected.wait()
    reading.taker.errors = [ValueError("canary")]
    await reading.slack.envelope(direct("old"), socket=0)
    await reading.until(lambda: reading.slack.sockets[0].closed)
    await reading.acked(await reading.slack.envelope(direct("new")))


async def test_a_socket_that_breaks_is_replaced(reading: Reading) -> None:
    for _ in range(3):
        reading.slack.connected.clear()
        await reading.slack.sockets[-1].close()
        async with asyncio.timeout(10):
            await reading.slack.connected.wait()
    await reading.acked(await reading.slack.envelope(direct("hi")))


async def test_frames_that_are_nothing_are_passed_over(reading: Reading) -> None:
    socket = reading.slack.sockets[-1]
    for frame in (
        "",
        "Ping from applink-1",
        "[]",
        "7",
        '{"type": "hologram"}',
        '{"type": ["hello"]}',
        "{" * 1_000,
    ):
        await socket.send_str(frame)
    await socket.send_bytes(b"\x00\xff")
    await socket.send_json({"type": "events_api", "envelope_id": ["x"], "payload": "text"})
    await reading.acked(await reading.slack.envelope(direct("hi")))


async def test_socket_mode_switched_off_is_said(reading: Reading) -> None:
    await reading.slack.disconnect("link_disabled")
    with pytest.raises(SendError) as caught:
        await asyncio.wait_for(reading.task, 10)
    assert caught.value.code == "slack:socket_mode_not_enabled"


async def test_leaving_leaves_nothing_behind(reading: Reading) -> None:
    await reading.slack.disconnect()
    async with asyncio.timeout(10):
        await reading.slack.connected.wait()
    reading.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading.task
    assert [t for t in asyncio.all_tasks() if t.get_name() == "slack socket"] == []
    await reading.until(lambda: all(s.closed for s in reading.slack.sockets))


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.error("invalid_auth"), "slack:invalid_auth"),
        (Fault.error("ratelimited", retry_after=9), "slack:ratelimited"),
        (Fault("reset"), "slack:broken"),
        (Fault.http(500), "slack:http_500"),
    ],
)
async def test_a_refused_socket_is_an_error_for_the_caller(
    slack: SlackStandIn, fault: Fault, code: str
) -> None:
    slack.misbehave(fault)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(SendError) as caught:
            await build(slack, session, socketed(slack)).adapter.pull_app(Taker())
    assert (caught.value.code, caught.value.outcome) == (code, "refused")


async def test_the_token_and_the_ticket_stay_out_of_the_log(slack: SlackStandIn) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level=0)
    try:
        async with aiohttp.ClientSession() as session:
            rig = build(slack, session, socketed(slack))
            taker = Taker(errors=[Unavailable(), NotForUs()])
            task = asyncio.create_task(rig.adapter.pull_app(taker))
            async with asyncio.timeout(10):
                await slack.connected.wait()
                await slack.envelope(direct("canary"))
                await slack.envelope(direct("canary"))
                last = await slack.envelope(direct("fine"))
                while last not in slack.acks:
                    await asyncio.sleep(0.002)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        logger.remove(sink)
    assert len(lines) == 2
    assert "canary" not in "".join(lines)


async def test_a_socket_on_a_strange_host_is_not_opened(
    slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack, "_open_socket", lambda token: {"url": "wss://wss.evil.example/link"})
    async with aiohttp.ClientSession() as session:
        with pytest.raises(SendError) as caught:
            await build(slack, session, socketed(slack)).adapter.pull_app(Taker())
    assert caught.value.code == "slack:foreign_host"
    assert settings(slack).slack_app_token is None
