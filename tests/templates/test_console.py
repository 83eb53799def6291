"""The console's conversation page: the countdown, what was held and why, and the form that writes with a template."""

import re

from gateway.model.message import Status
from gateway.model.template import template_id
from tests.conftest import WABA, Running, make_tenant
from tests.core.test_console import fetch, sign_in
from tests.templates.rig import CUSTOMER, heard
from tests.templates.test_reopen import ready

ORDER = template_id("acme", WABA, "order_ready", "en_US")
SALE = template_id("acme", WABA, "sale", "en_US")


def csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


async def test_the_countdown(running: Running) -> None:
    talk = await heard(running)
    cookie = await sign_in(running)
    address = f"/console/conversations/{talk.id}"
    _, page, _ = await fetch(running, address, cookie)
    assert re.search(r"Free text until (\d{4}-\d\d-\d\d )?\d\d:\d\d UTC, 23 h \d+ min left\.", page)
    assert "Write with a template" not in page
    running.clock.move(hours=23, minutes=30)
    _, page, _ = await fetch(running, address, await sign_in(running, email="b@example.com"))
    assert re.search(r"Free text until (\d{4}-\d\d-\d\d )?\d\d:\d\d UTC, (2|3)\d min left\.", page)
    running.clock.move(hours=1)
    _, page, _ = await fetch(running, address, await sign_in(running, email="c@example.com"))
    assert re.search(r"Closed since (\d{4}-\d\d-\d\d )?\d\d:\d\d UTC: only a template may be sent\.", page)
    assert "No template can be used here yet" in page


async def test_from_the_choice_to_the_customer(running: Running) -> None:
    talk, _ = await ready(running)
    cookie, address = await sign_in(running), f"/console/conversations/{talk.id}"
    _, page, _ = await fetch(running, f"{address}?template={ORDER}", cookie)
    assert 'name="value.1" value="Ana"' in page and 'name="value.2" value=""' in page
    assert "Hello Ana, your order {{2}} is ready to be picked up today." in page
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key
    form = {"csrf": csrf(page), "template": ORDER, "key": key[1], "value.1": "Eva", "value.2": "<b>A-17</b>"}
    code, page, _ = await fetch(running, f"{address}/template", cookie, "POST", **form, do="preview")
    assert code == 200
    assert "Hello Eva, your order &lt;b&gt;A-17&lt;/b&gt; is ready" in page
    before = len(running.graph.messages())
    form["value.2"] = "A-17"
    for _ in range(2):  # a double click
        code, _, answer = await fetch(running, f"{address}/template", cookie, "POST", **form, do="send")
        assert (code, answer.headers["Location"]) == (303, address)
    await running.swept()
    assert len(running.graph.messages()) == before + 1
    assert running.graph.messages()[-1].body["to"] == CUSTOMER
    _, page, _ = await fetch(running, address, cookie)
    assert "Hello Eva, your order A-17 is ready to be picked up today." in page
    assert "template order_ready" in page


async def test_what_is_missing_is_said_and_kept(running: Running) -> None:
    talk, _ = await ready(running)
    cookie, address = await sign_in(running), f"/console/conversations/{talk.id}"
    _, page, _ = await fetch(running, f"{address}?template={ORDER}", cookie)
    # A customer's name is known: an empty field means that it is to be filled in.
    form = {"csrf": csrf(page), "template": ORDER, "value.1": "Eva", "value.2": " "}
    code, page, _ = await fetch(running, f"{address}/template", cookie, "POST", **form, do="send")
    assert code == 422
    assert "2: expected a value for {{2}} in the text." in page and 'value="Eva"' in page
    form["template"] = "tp_gone"
    code, page, _ = await fetch(running, f"{address}/template", cookie, "POST", **form, do="send")
    assert code == 409 and "choose another" in page


async def test_marketing_says_that_it_would_not_be_sent(running: Running) -> None:
    talk, _ = await ready(running)
    cookie = await sign_in(running)
    _, page, _ = await fetch(running, f"/console/conversations/{talk.id}?template={SALE}", cookie)
    assert "It would not be sent now. The customer has not agreed to marketing messages." in page


async def test_a_held_and_a_refused_message_say_why_and_what_to_do(running: Running) -> None:
    talk, _ = await ready(running)
    desk = running.gateway.desk
    [held] = await desk.say("acme", talk.id, {"type": "text", "text": "Still there?"}, hold=True)
    await desk.say_template("acme", talk.id, "sale")
    await running.swept()
    stands = await running.store.of("acme").messages.get(held.id)
    assert stands is not None and stands.status is Status.HELD
    _, page, _ = await fetch(running, f"/console/conversations/{talk.id}", await sign_in(running))
    assert "Held. The service window is closed: the customer&#39;s last message is too long ago" in page
    assert "Send a template; what is held is sent when they write again." in page
    assert "The customer has not agreed to marketing messages." in page
    assert "Record their consent with its proof" in page


async def test_only_the_session_s_own_form_sends(running: Running) -> None:
    talk, _ = await ready(running)
    cookie, address = await sign_in(running), f"/console/conversations/{talk.id}/template"
    _, page, _ = await fetch(running, f"/console/conversations/{talk.id}", cookie)
    form = {"template": ORDER, "value.1": "x", "value.2": "y", "do": "send"}
    assert (await fetch(running, address, cookie, "POST", **form))[0] == 403
    assert (await fetch(running, address, cookie, "POST", **form, csrf="x"))[0] == 403
    assert (await fetch(running, address, None, "POST", **form, csrf=csrf(page)))[0] == 401
    headers = {"Cookie": f"parley_session={cookie}", "Origin": "https://evil.example"}
    data = {**form, "csrf": csrf(page)}
    async with running.http.post(running.url + address, data=data, headers=headers) as answer:
        assert answer.status == 403
    await make_tenant(running.store, "beta")
    other = await sign_in(running, "beta", "eve@example.com")
    _, page, _ = await fetch(running, "/console", other)
    assert (await fetch(running, address, other, "POST", **form, csrf=csrf(page)))[0] in (404, 409)
    await running.swept()
    assert [r for r in running.graph.messages() if r.body["type"] == "template"] == []
