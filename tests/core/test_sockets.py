"""The edge towards browsers: who gets a socket, what they may say on it, and what they can see."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import aiohttp
import jwt
import pytest

from channels.web.hub import QUEUE
from gateway.sockets import FLOOD, FLOOD_END, MAX_FRAME, PAGE
from gateway.store.vault import Vault
from tests.conftest import KEY, ORIGIN, Running, make_site, make_tenant
from tests.core.visitor import PROTOCOL, Visitor

SIGNING = Vault([KEY]).signing_keys("visitor")[0]


@pytest.fixture
def visitor(running: Running) -> Visitor:
    return Visitor(running)


# The session (row 39, and the table of errors in docs/widget-protocol.md) ----------------------------------


async def test_a_session_holds_what_the_widget_needs(running: Running, visitor: Visitor) -> None:
    found = await visitor.session("pt-BR")
    assert set(found) == {"token", "ticket", "socket", "site"}
    assert found["socket"] == running.url.replace("http", "ws") + "/widget/ws"
    assert set(found["site"]) == {"title", "greeting", "color", "position", "avatar", "language", "links"}
    assert found["site"]["language"] == "pt"
    assert found["site"]["links"] == [ORIGIN]
    again = await visitor.session("xx")
    assert again["site"]["language"] == "en"
    assert again["ticket"] != found["ticket"]
    subject = [jwt.decode(f["token"], options={"verify_signature": False})["sub"] for f in (found, again)]
    assert subject[0] == subject[1]


async def test_each_error_of_a_session_has_its_status(running: Running, visitor: Visitor) -> None:
    good = {"site": "ch_web", "token": None, "language": "en"}
    shapes: tuple[Any, ...] = (
        b"", b"{", b"[]", b"null", b"7", b"\xff", b"[" * 4000, b'{"site":' * 500,
        {}, {"site": 7}, {"site": {"$ne": 1}}, {**good, "token": 7}, {**good, "language": []},
        b'{"site":"ch_web"}' + b" " * 5000,
    )  # fmt: skip
    for wrong in shapes:
        assert (await visitor.post(wrong))[0] == 400, wrong
    for site in ("ch_nobody", "", "ch_wa", "\x00", "\ud800", "$ne", "x" * 3000):
        code, answer = await visitor.post({**good, "site": site})
        assert (code, answer["code"]) == (404, "no_site"), site
    for token in ("x", "a.b.c", "\ud800", "é", "." * 500):
        code, answer = await visitor.post({**good, "token": token})
        assert (code, answer["code"]) == (401, "token"), token
    await make_site(running.store, "acme", "ch_shut")
    shut = await running.store.directory.channel("ch_shut")
    await running.store.directory.set_channel(shut, state="disabled")
    assert (await visitor.post({**good, "site": "ch_shut"}))[0] == 404
    # Keys that nobody asked for change nothing.
    more = {**good, "tenant": "bolt", "visitor": "v1", "_id": "x", "role": "agent"}
    code, found = await visitor.post(more)
    assert code == 200
    assert jwt.decode(found["token"], options={"verify_signature": False})["sub"].startswith("v")


BAD_ORIGINS = (
    None, "", "null", "https://shop.example.evil.test", "http://shop.example", "https://shop.example:8443",
    "https://SHOP.example", "https://shop.example/", "https://evil.test", "https://xshop.example", "*",
)  # fmt: skip


async def test_only_the_sites_own_origins_get_a_session_or_a_socket(
    running: Running, visitor: Visitor
) -> None:
    for origin in BAD_ORIGINS:
        stranger = Visitor(running, origin=origin)
        code, answer = await stranger.post({"site": "ch_web", "token": None, "language": "en"})
        assert (code, answer["code"]) == (403, "origin"), origin
        ticket = (await visitor.session())["ticket"]
        assert await stranger.refused(ticket) == 403, origin
    assert not running.gateway.channels.web.hub._rooms


# The ticket (rows 16, 37, 39) ------------------------------------------------------------------------------


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _resigned(token: str, algorithm: str, **header: Any) -> str:
    head, body, _ = token.split(".")
    old = json.loads(base64.urlsafe_b64decode(head + "=="))
    start = f"{_part({**old, 'alg': algorithm, **header})}.{body}"
    if algorithm == "none":
        return start + "."
    made = hmac.new(SIGNING, start.encode(), getattr(hashlib, algorithm.replace("HS", "sha"))).digest()
    return f"{start}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def _tampered(token: str) -> Iterator[tuple[str, str]]:
    """What is not this token any more, though somebody hopes that it passes for it."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    yield "alg none", _resigned(token, "none")
    yield "alg None", _resigned(token, "none", alg="None")
    yield "another hash", _resigned(token, "HS512")
    yield "HS384", _resigned(token, "HS384")
    yield "no signature", f"{head}.{body}."
    yield "cut", f"{head}.{body}"
    yield "bit flipped", f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield "other claims", f"{head}.{_part({**claims, 'sub': 'v' + '0' * 24})}.{signature}"
    for what, changed in (
        ("audience", {"aud": "parley/ticket/elsewhere"}),
        ("no audience", {"aud": None}),
        ("expired", {"exp": claims["iat"] - 3600, "iat": claims["iat"] - 7200}),
        ("not yet", {"iat": claims["iat"] + 3600, "exp": claims["exp"] + 3600}),
        ("odd times", {"iat": "x", "exp": "y"}),
        ("no times", {"iat": None, "exp": None}),
        ("no subject", {"sub": None}),
    ):
        made = {k: v for k, v in {**claims, **changed}.items() if v is not None}
        kind = jwt.get_unverified_header(token)["typ"]
        yield what, jwt.encode(made, SIGNING, "HS256", headers={"typ": kind})
    yield "no type", jwt.encode(claims, SIGNING, "HS256")
    yield (
        "another key",
        jwt.encode(claims, b"x" * 32, "HS256", headers={"typ": jwt.get_unverified_header(token)["typ"]}),
    )
    yield (
        "the key's text",
        jwt.encode(claims, KEY, "HS256", headers={"typ": jwt.get_unverified_header(token)["typ"]}),
    )
    yield "empty", ""


async def test_no_forged_ticket_opens_a_socket(running: Running, visitor: Visitor) -> None:
    found = await visitor.session()
    for what, forged in _tampered(found["ticket"]):
        assert await visitor.refused(forged) == 401, what
    assert await visitor.refused(found["token"]) == 401  # a visitor token is not a ticket
    assert await visitor.refused(None) == 401
    claims = jwt.decode(found["ticket"], options={"verify_signature": False})
    for site in ("ch_nobody", "ch_wa"):
        made = jwt.encode({**claims, "site": site}, SIGNING, "HS256", headers={"typ": "ticket+jwt"})
        assert await visitor.refused(made) == 401
    # The ticket itself still serves: none of the attempts used it up.
    async with visitor.open(found["ticket"]):
        pass


async def test_no_forged_visitor_token_brings_anybodys_history(running: Running, visitor: Visitor) -> None:
    async with visitor.open() as tab:
        await tab.say("my secret order is 4711")
    token = str(visitor.token)
    found = await visitor.session()
    for what, forged in [*_tampered(token), ("a ticket", found["ticket"])]:
        if not forged:
            continue
        code, answer = await visitor.post({"site": "ch_web", "token": forged, "language": "en"})
        assert (code, answer["code"]) == (401, "token"), what
    await make_tenant(running.store, "bolt")
    await make_site(running.store, "bolt", "ch_bolt")
    elsewhere = Visitor(running, site="ch_bolt")
    assert (await elsewhere.post({"site": "ch_bolt", "token": token, "language": "en"}))[0] == 401


async def test_a_ticket_opens_one_socket_once(running: Running, visitor: Visitor) -> None:
    ticket = (await visitor.session())["ticket"]
    attempts = await asyncio.gather(*(visitor.refused(ticket) for _ in range(4)))
    assert sorted(attempts) == [101, 401, 401, 401]
    running.clock.move(minutes=3)
    assert await visitor.refused(ticket) == 401


async def test_clocks_may_differ_by_seconds_and_not_by_a_minute(running: Running, visitor: Visitor) -> None:
    """Row 16: 10 s of skew are accepted, 60 s refused; a ticket of 60 s is dead after 60 s and the leeway."""
    tokens = running.gateway.channels.web.tokens

    def ticket(ahead: float) -> str:
        return tokens.ticket("ch_web", "v1", "en", running.clock() + timedelta(seconds=ahead))

    assert await visitor.refused(ticket(10)) == 101
    assert await visitor.refused(ticket(60)) == 401
    assert await visitor.refused(ticket(-70)) == 101
    assert await visitor.refused(ticket(-120)) == 401
    old = (await visitor.session())["token"]
    running.clock.move(days=181)
    assert (await visitor.post({"site": "ch_web", "token": old, "language": "en"}))[0] == 401


async def test_a_ticket_is_for_its_own_site(running: Running, visitor: Visitor) -> None:
    await make_site(running.store, "acme", "ch_other", origins=("https://other.example",))
    ticket = (await visitor.session())["ticket"]
    assert await Visitor(running, origin="https://other.example").refused(ticket) == 403
    site = await running.store.directory.channel("ch_web")
    ticket = (await visitor.session())["ticket"]
    await running.store.directory.set_channel(site, state="disabled")
    assert await visitor.refused(ticket) == 401


async def test_what_is_no_websocket_or_another_protocol_is_not_upgraded(
    running: Running, visitor: Visitor
) -> None:
    async with running.http.get(f"{running.url}/widget/ws", headers={"Origin": ORIGIN}) as answer:
        assert answer.status == 426
    ticket = (await visitor.session())["ticket"]
    for protocols in ([ticket], [ticket, PROTOCOL], ["parley.v2", ticket], [PROTOCOL, ticket, "x"]):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await running.http.ws_connect(
                f"{running.url}/widget/ws", protocols=protocols, headers={"Origin": ORIGIN}
            )
    async with visitor.open(ticket) as tab:
        assert tab.socket.protocol == PROTOCOL  # and the ticket is not echoed


# Frames (rows 27, 29) --------------------------------------------------------------------------------------


async def test_a_frame_that_is_not_understood_is_answered_by_name(visitor: Visitor) -> None:
    identifier = "a-good-id"
    send: dict[str, Any] = {"t": "send", "id": identifier, "content": {"type": "text", "text": "x"}}
    cases: list[tuple[Any, str, bool]] = [
        ("{", "JSON", False),
        ("[" * 20_000, "", False),
        ("7", "", False),
        ({"t": "launch"}, "", False),
        ({**send, "content": {"type": "text"}}, "text", True),
        ({**send, "content": {"type": "text", "text": "x" * 4001}}, "text", True),
        ({**send, "content": {"type": "text", "text": {"$ne": 1}}}, "text", True),
        ({**send, "content": {"type": "media", "url": "x"}}, "content", True),
        ({**send, "tenant": "bolt"}, "tenant", True),
        ({**send, "_id": "x"}, "_id", True),
        ({"t": "resume", "after": -1}, "after", False),
        ({"t": "resume", "after": "1"}, "after", False),
        ({"t": "resume", "after": 2**60}, "after", False),
        ({"t": "more", "before": {"$gt": 0}}, "before", False),
        ({**send, "id": "short"}, "id", True),
        ({"t": "ping", "\ud800": 1}, "", False),
    ]
    for start in range(0, len(cases), 12):
        async with visitor.open(resume=False) as tab:
            for frame, field, answers in cases[start : start + 12]:
                error = await tab.error(frame)
                assert error["code"] in ("bad_frame", "not_json"), frame
                assert field in error["text"], (frame, error)
                assert ("id" in error) == answers, (frame, error)
            await tab.put({"t": "ping"})
            await tab.next("pong")


async def test_nul_and_lone_surrogates_do_not_break_the_conversation(
    running: Running, visitor: Visitor
) -> None:
    odd = "a\x00b\ud800c"
    contents: list[dict[str, Any]] = [
        {"type": "text", "text": "a\x00b"},
        {"type": "text", "text": odd},
        {"type": "text", "text": "\x00"},
        {"type": "reply", "id": "x\ud800", "title": "\x00t"},
        {"type": "reply", "id": "x", "title": "t", "to": "m_\ud800"},
        {"type": "reply", "id": "x", "title": "t", "to": "m_\x00"},
        {"type": "form_reply", "values": {"na\x00me": odd}, "to": "m_\ud800"},
        {"type": "form_reply", "values": {"$where.x": "{'$ne': 1}", "": ""}, "to": None},
    ]
    async with visitor.open() as tab:
        for n, content in enumerate(contents):
            await tab.put({"t": "send", "id": f"odd-one-{n}", "content": content})
            while (frame := await tab.next())["t"] not in ("ack", "error"):
                pass
            assert frame["id"] == f"odd-one-{n}"
        assert not tab.socket.closed
        await running.idle()
        for message in await running.transcript(tab.conversation):
            assert message.failure is None, message
        page = await tab.resume(0)
        assert page["messages"][0]["content"]["text"] == "ab"
        assert "\\ud800" not in json.dumps(page)


async def test_binary_large_and_compressed_frames_are_not_taken(running: Running, visitor: Visitor) -> None:
    async with visitor.open() as tab:
        await tab.socket.send_bytes(b"\x00\x01")
        assert await tab.closed() == 1003
    async with visitor.open() as tab:
        await tab.put("x" * (MAX_FRAME + 1))
        assert await tab.closed() == 1009
    async with visitor.open() as tab:
        assert not tab.socket.compress
    # A client that insists: the extension is not granted, and a frame marked as compressed is an error.
    ticket = (await visitor.session())["ticket"]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rsplit(":", 1)[1]))
    writer.write(
        (
            "GET /widget/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: {ORIGIN}\r\n"
            f"Sec-WebSocket-Protocol: {PROTOCOL}, {ticket}\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        ).encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head
    assert b"permessage-deflate" not in head
    writer.write(b"\xc1\x81\x00\x00\x00\x00x")  # a final text frame with RSV1 set
    rest = await asyncio.wait_for(reader.read(), 20)
    assert b"\x03\xea" in rest  # closed with 1002, protocol error
    writer.close()
    await writer.wait_closed()


async def test_a_flood_is_slowed_and_then_ended(running: Running, visitor: Visitor) -> None:
    async with visitor.open(resume=False) as tab:
        for _ in range(FLOOD):
            await tab.put({"t": "ping"})
        for _ in range(FLOOD):
            await tab.next("pong")
        error = await tab.error({"t": "send", "id": "one-too-many", "content": {"type": "text", "text": "x"}})
        assert (error["code"], error["id"]) == ("slow_down", "one-too-many")
        assert await running.transcript(tab.conversation) == ()
        for _ in range(FLOOD_END):
            if tab.socket.closed:
                break
            await tab.put({"t": "ping"})
        assert await tab.closed() == 1008


# What is said ----------------------------------------------------------------------------------------------


async def test_the_same_id_sent_again_has_one_effect_and_the_same_acknowledgement(
    running: Running, visitor: Visitor
) -> None:
    async with visitor.open() as tab:
        first = await tab.say("echo once", "the-same-id")
        answer = await tab.heard()
        assert (answer["from"], answer["content"]["text"]) == ("bot", "echo once")
        again = await tab.say("echo once", "the-same-id")
        assert again == first
        assert first["client_id"] == "the-same-id"
        # Even with another text: what was stored stands.
        assert await tab.say("echo other", "the-same-id") == first
        await running.idle()
        assert len(await running.transcript(tab.conversation)) == 2
    # The id is the visitor's own: another visitor's message with it is another message.
    async with Visitor(running).open() as other:
        assert (await other.say("echo mine", "the-same-id"))["id"] != first["id"]


async def test_two_tabs_see_the_same_conversation(running: Running, visitor: Visitor) -> None:
    async with visitor.open() as one, visitor.open() as two:
        assert one.conversation == two.conversation
        said = await one.say("echo hello")
        assert await two.heard() == said
        answers = [await one.heard(), await two.heard()]
        assert answers[0] == answers[1]
        assert answers[0]["seq"] > said["seq"]
        # The tab that said it is told once, by the acknowledgement.
        assert [f["message"]["id"] for f in one.seen if f["t"] == "message"] == [answers[0]["id"]]


async def test_a_cursor_brings_what_was_missed_and_more_brings_what_is_older(
    running: Running, visitor: Visitor
) -> None:
    async with visitor.open() as tab:
        assert tab.seen[-1] == {"t": "messages", "messages": [], "more": False, "older": False}
        first = await tab.say("echo 0")
        cursor = (await tab.heard())["seq"]
    running.clock.move(minutes=10)
    for n in range(1, 4):
        async with visitor.open(resume=False) as tab:
            for m in range(9):
                await tab.ask(f"echo {n}.{m}")
    async with visitor.open(resume=False) as tab:
        missed = await tab.resume(cursor)
        # What came just before the cursor may be repeated; the widget knows it by its id.
        said = [
            m["content"]["text"] for m in missed["messages"] if m["from"] == "visitor" and m["seq"] > cursor
        ]
        assert said == [f"echo {n}.{m}" for n in range(1, 4) for m in range(9)]
        seqs = [m["seq"] for m in missed["messages"]]
        assert seqs == sorted(set(seqs))
        assert (missed["more"], missed["older"]) == (False, False)
        latest = await tab.resume(0)
        assert (len(latest["messages"]), latest["more"], latest["older"]) == (PAGE, True, False)
        assert latest["messages"][-1] == missed["messages"][-1]
        await tab.put({"t": "more", "before": latest["messages"][0]["seq"]})
        older = await tab.next("messages")
        assert (older["more"], older["older"]) == (False, True)
        assert older["messages"][0] == first
        whole = [*older["messages"], *latest["messages"]]
        assert len(whole) == len({m["id"] for m in whole}) == 56
        assert (await tab.resume(seqs[-1]))["more"] is False
        await tab.put({"t": "more", "before": 0})
        assert (await tab.next("messages"))["messages"] == []


async def test_cursors_move_receipts_of_ones_own_messages_only(running: Running, visitor: Visitor) -> None:
    async with visitor.open() as tab, Visitor(running).open() as other:
        answer = await tab.ask("echo hello")
        await other.put({"t": "seen", "upto": answer["seq"]})
        await other.put({"t": "ping"})
        await other.next("pong")
        await running.idle()  # the record of the sending follows what the tab was shown
        assert (await running.transcript(tab.conversation))[1].status.label == "sent"
        for name in ("delivered", "seen", "delivered"):
            await tab.put({"t": name, "upto": answer["seq"]})
        await tab.put({"t": "ping"})
        await tab.next("pong")
        assert (await running.transcript(tab.conversation))[1].status.label == "read"


async def test_visitors_never_see_each_other(running: Running, visitor: Visitor) -> None:
    await make_tenant(running.store, "bolt")
    await make_site(running.store, "bolt", "ch_bolt")
    others = [Visitor(running), Visitor(running, site="ch_bolt")]
    async with visitor.open() as mine, others[0].open() as same_site, others[1].open() as other_tenant:
        answer = await mine.ask("echo canary-4711")
        for tab in (same_site, other_tenant):
            assert tab.conversation != mine.conversation
            await tab.put({"t": "more", "before": 2**53})
            await tab.next("messages")
            await tab.resume(1)
            reply = await tab.send({"type": "reply", "id": "lead:yes", "title": "x", "to": answer["id"]})
            assert reply["content"]["to"] == answer["id"]
            await running.idle()
            assert "canary-4711" not in json.dumps(tab.seen)


async def test_a_reader_that_does_not_keep_up_is_closed_and_can_resume(
    running: Running, visitor: Visitor
) -> None:
    async with visitor.open() as tab:
        answer = await tab.ask("echo hello")
        hub = running.gateway.channels.web.hub
        # Published in one go, as if the network took none of them meanwhile.
        for n in range(QUEUE + 50):
            hub.publish(tab.conversation, {"t": "typing", "on": bool(n % 2)})
        assert await tab.closed() == 1013
        assert len([f for f in tab.seen if f["t"] == "typing"]) <= QUEUE + 1
    async with visitor.open(resume=False) as tab:
        page = await tab.resume(answer["seq"])
        assert [m["id"] for m in page["messages"]][-1] == answer["id"]


async def test_a_server_that_stops_says_so(running: Running, visitor: Visitor) -> None:
    async with visitor.open() as tab, Visitor(running).open() as other:
        stopping = asyncio.create_task(running.gateway.app.shutdown())
        assert await tab.closed() == 1012
        assert await other.closed() == 1012
        await stopping
