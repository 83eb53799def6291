"""The console from the outside: who gets in, who stays out, and that what customers write stays text."""

import re
from dataclasses import replace

import aiohttp
import pytest

from gateway.console.pages import COOKIE
from gateway.settings import Settings
from gateway.store.access import LINK_LASTS, SESSION_LASTS, User
from tests.conftest import Running, make_tenant, serving
from tests.core.visitor import Visitor
from tests.providers.graph_webhooks import text_webhook

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}\"'"


async def link_of(running: Running, tenant: str = "acme", email: str = "ana@example.com") -> str:
    access = running.store.access
    user = await access.user_by_email(email) or await access.create_user(tenant, email, EVIL, running.clock())
    return await access.create_link(user, running.clock())


async def fetch(
    running: Running, path: str, cookie: str | None = None, method: str = "GET", **form: str
) -> tuple[int, str, aiohttp.ClientResponse]:
    headers = {"Cookie": f"{COOKIE}={cookie}"} if cookie is not None else {}
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        http.request(
            method, running.url + path, headers=headers, data=form or None, allow_redirects=False
        ) as answer,
    ):
        return answer.status, await answer.text(), answer


async def sign_in(running: Running, tenant: str = "acme", email: str = "ana@example.com") -> str:
    link = await link_of(running, tenant, email)
    code, _, answer = await fetch(running, "/console/sign-in", method="POST", link=link)
    assert code == 303
    return answer.cookies[COOKIE].value


async def test_a_link_signs_in_once_and_following_it_uses_nothing_up(running: Running) -> None:
    link = await link_of(running)
    for _ in range(3):  # a mail scanner
        code, page, _ = await fetch(running, f"/console/sign-in?link={link}")
        assert code == 200
        assert link in page
    code, _, answer = await fetch(running, "/console/sign-in", method="POST", link=link)
    assert (code, answer.headers["Location"]) == (303, "/console")
    flags = answer.headers["Set-Cookie"].lower()
    for flag in ("httponly", "samesite=lax", "path=/console", "max-age="):
        assert flag in flags
    assert "secure" not in flags  # http on a developer's machine; see the next test
    code, page, _ = await fetch(running, "/console/sign-in", method="POST", link=link)
    assert code == 401
    assert "used already" in page
    code, page, _ = await fetch(running, "/console", answer.cookies[COOKIE].value)
    assert code == 200


async def test_over_https_the_cookie_is_secure(running: Running, settings: Settings) -> None:
    public = replace(settings, public_url="https://parley.example")
    async with serving(public, running.store, running.clock, running.brain) as (gateway, url):
        there = replace(running, gateway=gateway, url=url)
        link = await link_of(there)
        _, _, answer = await fetch(there, "/console/sign-in", method="POST", link=link)
        assert answer.cookies[COOKIE]["secure"] is True


async def test_links_and_sessions_end(running: Running) -> None:
    link = await link_of(running)
    cookie = await sign_in(running, email="bo@example.com")
    running.clock.move(seconds=LINK_LASTS.total_seconds() + 1)
    assert (await fetch(running, "/console/sign-in", method="POST", link=link))[0] == 401
    assert (await fetch(running, "/console", cookie))[0] == 200
    running.clock.move(seconds=(SESSION_LASTS - LINK_LASTS).total_seconds())
    assert (await fetch(running, "/console", cookie))[0] == 401


@pytest.mark.parametrize("path", ["/console", "/console/leads", "/console/conversations/cv_x"])
async def test_without_a_session_there_is_only_the_way_to_sign_in(running: Running, path: str) -> None:
    link = await link_of(running)
    _, key = await running.store.access.create_key("acme", "x", running.clock())
    for cookie in (None, "", "x", link, key, "\xff", "%ED%A0%80"):
        code, page, _ = await fetch(running, path, cookie)
        assert code == 401, cookie
        assert "Sign in" in page
        assert "csrf" not in page


async def test_signing_out_needs_the_sessions_own_token(running: Running) -> None:
    cookie = await sign_in(running)
    _, page, _ = await fetch(running, "/console", cookie)
    [token] = re.findall(r'name="csrf" value="([^"]+)"', page)
    for wrong in ("", token[:-1], "x"):
        _, _, answer = await fetch(running, "/console/sign-out", cookie, "POST", csrf=wrong)
        assert "Set-Cookie" not in answer.headers
        assert (await fetch(running, "/console", cookie))[0] == 200
    # A form of another site comes without the cookie (SameSite), and must not take it away either.
    _, _, answer = await fetch(running, "/console/sign-out", None, "POST", csrf=token)
    assert "Set-Cookie" not in answer.headers
    code, _, answer = await fetch(running, "/console/sign-out", cookie, "POST", csrf=token)
    assert code == 303
    assert answer.cookies[COOKIE]["max-age"] == "0"
    assert (await fetch(running, "/console", cookie))[0] == 401


async def test_what_a_customer_writes_is_shown_as_text(running: Running) -> None:
    body = text_webhook(
        "34600111222", f"echo {EVIL}", "wamid.evil", int(running.clock().timestamp()), name=EVIL
    )
    assert await running.post_whatsapp(body) == 200
    await running.until(lambda: len(running.graph.messages()) == 1)
    await running.idle()
    async with Visitor(running).open() as tab:
        await tab.ask(f"unknown {EVIL}")
        values = {"name": EVIL, "phone": "600111222", "email": ""}
        await tab.send({"type": "form_reply", "values": values, "to": None})
        await tab.heard()
    cookie = await sign_in(running)
    pages = ["/console", "/console/leads", "/console/sign-in?link=" + "%3Cscript%3Ealert(1)%3C/script%3E%22"]
    pages += [f"/console/conversations/{c.id}" for c in await running.conversations()]
    for path in pages:
        code, page, answer = await fetch(running, path, cookie)
        assert code == 200
        assert "<script" not in page, path
        assert "<img" not in page, path
        assert "49" not in re.sub(r"\d{3,}|:\d\d|-\d\d", "", page) or "{{7*7}}" in page
        assert "&lt;script&gt;" in page, path
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_another_tenants_things_are_not_there(running: Running) -> None:
    async with Visitor(running).open() as tab:
        await tab.ask("echo canary-4711")
    await make_tenant(running.store, "bolt")
    cookie = await sign_in(running, "bolt", "bo@example.com")
    code, page, _ = await fetch(running, f"/console/conversations/{tab.conversation}", cookie)
    assert code == 404
    assert "canary" not in page
    for path in ("/console", "/console/leads"):
        code, page, _ = await fetch(running, path, cookie)
        assert code == 200
        assert "canary" not in page
        assert tab.conversation not in page


async def test_odd_ids_and_cursors_are_no_faults(running: Running) -> None:
    cookie = await sign_in(running)
    for odd in ("%00", "%ED%A0%80", "$ne", "x" * 2000, "..%2f"):
        assert (await fetch(running, f"/console/conversations/{odd}", cookie))[0] == 404, odd
    for before in (
        "x",
        "0001-01-01T00:00:00%2B00:00",
        "9999-12-31T23:59:59-14:00",
        "2026-01-01",
        "%ED%A0%80",
    ):
        for path in ("/console", "/console/leads"):
            assert (await fetch(running, f"{path}?before={before}", cookie))[0] == 200, before
    async with Visitor(running).open() as tab:
        await tab.ask("echo x")
    for before in ("-1", "9" * 17, "9" * 40, "٣", "x"):
        code, _, _ = await fetch(
            running, f"/console/conversations/{tab.conversation}?before={before}", cookie
        )
        assert code == 200, before


async def test_a_disabled_user_is_out_at_once(running: Running) -> None:
    cookie = await sign_in(running)
    link = await link_of(running)
    users = running.store.access._users
    await users.update_one({"email": "ana@example.com"}, {"$set": {"disabled": True}})
    assert (await fetch(running, "/console", cookie))[0] == 401
    assert (await fetch(running, "/console/sign-in", method="POST", link=link))[0] == 401
    found = await running.store.access.user_by_email(" ANA@example.com ")
    assert found == User(found.id, "acme", "ana@example.com", EVIL, True) if found else False
