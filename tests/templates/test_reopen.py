"""A person writes again after the window: what is refused, what is offered, and what arrives."""

from typing import Any

import pytest

from gateway.model.conversation import Conversation, Lead
from gateway.model.message import Status, stable_id
from tests.conftest import WABA, Running, make_tenant
from tests.core.test_api import call, key_of
from tests.core.visitor import Visitor
from tests.templates.rig import consent, heard

BODY = "Hello {{1}}, your order {{2}} is ready to be picked up today."


async def ready(running: Running) -> tuple[Conversation, dict[str, str]]:
    """Somebody wrote a day and an hour ago, and left their details; two templates are approved."""
    templates = running.graph.templates
    templates.add("order_ready", body=BODY, examples=["Ana", "A-17"])
    templates.add("order_ready", body="Hola {{1}}, tu pedido {{2}} está listo para recoger hoy.", language="es",
                  examples=["Ana", "A-17"])  # fmt: skip
    templates.add("sale", body="Everything is cheaper today.", category="MARKETING")
    templates.add("waiting", status="PENDING")
    await running.gateway.template_sync.sync(await running.store.directory.channel("ch_wa"))
    talk = await heard(running)
    now = running.clock()
    await running.store.of("acme").conversations.put_lead(
        Lead(
            id=stable_id("ld", "ch_wa", talk.contact), tenant="acme", channel="ch_wa", contact=talk.contact,
            conversation=talk.id, created=now, updated=now, name="Ana Silva", phone="+34600123456",
            phone_kind="mobile", email="ana@example.com", fields={"order": "A-17"},
        )
    )  # fmt: skip
    running.clock.move(hours=25)
    return talk, await key_of(running, "acme")


def path(talk: Conversation, rest: str = "messages") -> str:
    return f"/api/v1/conversations/{talk.id}/{rest}"


async def test_free_text_is_refused_with_what_to_do_and_may_wait(running: Running) -> None:
    talk, headers = await ready(running)
    before = len(running.graph.messages())
    text = {"content": {"type": "text", "text": "It is ready!"}}
    code, refused = await call(running, "POST", path(talk), headers, text)
    assert (code, refused["code"]) == (409, "conflict")
    assert "The service window is closed (closed at " in refused["detail"]
    assert "/templates" in refused["detail"] and "hold" in refused["detail"]
    assert [m.author for m in await running.transcript(talk.id)][-1] == "bot"  # nothing was stored
    _, found = await call(running, "GET", f"/api/v1/conversations/{talk.id}", headers)
    assert found["owner"] == "bot" and found["window"]["open"] is False
    code, held = await call(running, "POST", path(talk), headers, {**text, "hold": True, "key": "k"})
    assert code == 200
    await running.swept()
    message = await stands_by(running, held["items"][0]["id"])
    assert message.status is Status.HELD and len(running.graph.messages()) == before
    # Said again with the same key it is the same message, whether or not it may wait.
    assert (await call(running, "POST", path(talk), headers, {**text, "key": "k"}))[0] == 200
    await heard(running, text="thanks")
    await running.swept()
    assert (await stands_by(running, message.id)).status is Status.SENT


async def stands_by(running: Running, message: str) -> Any:
    return await running.store.of("acme").messages.get(message)


async def test_the_window_is_told(running: Running) -> None:
    talk = await heard(running)
    headers = await key_of(running, "acme")
    _, found = await call(running, "GET", f"/api/v1/conversations/{talk.id}", headers)
    window = found["window"]
    assert window["open"] and 23 * 3600 < window["seconds_left"] <= 24 * 3600
    await consent(running.store, talk, "granted", running.clock())
    _, page = await call(running, "GET", "/api/v1/conversations", headers)
    assert page["items"][0]["consents"]["marketing"]["state"] == "granted"
    running.clock.move(hours=25)
    _, found = await call(running, "GET", f"/api/v1/conversations/{talk.id}", headers)
    assert (found["window"]["open"], found["window"]["seconds_left"]) == (False, 0)


async def test_templates_are_offered_filled_in(running: Running) -> None:
    talk, headers = await ready(running)
    code, found = await call(running, "GET", path(talk, "templates"), headers)
    assert code == 200
    offers = {o["name"]: o for o in found["items"]}
    assert set(offers) == {"order_ready", "sale"}
    order = offers["order_ready"]
    assert (order["language"], order["values"], order["lacking"]) == ("en_US", {"1": "Ana"}, ["2"])
    assert order["shown"]["body"] == "Hello Ana, your order {{2}} is ready to be picked up today."
    assert order["allowed"] and order["reason"] == ""
    assert not offers["sale"]["allowed"]
    assert "has not agreed to marketing" in offers["sale"]["reason"]
    _, few = await call(running, "GET", path(talk, "templates?find=sal"), headers)
    assert [o["name"] for o in few["items"]] == ["sale"]


async def test_a_template_is_sent_with_its_variables(running: Running) -> None:
    talk, headers = await ready(running)
    say = {"template": {"name": "order_ready", "values": {"2": "A-17"}}}
    code, sent = await call(running, "POST", path(talk), headers, say)
    assert code == 200, sent
    assert sent["items"][0]["extra"]["shown"] == "Hello Ana, your order A-17 is ready to be picked up today."
    await running.swept()
    template = running.graph.messages()[-1].body["template"]
    parameters = [{"type": "text", "text": "Ana"}, {"type": "text", "text": "A-17"}]
    assert template == {
        "name": "order_ready",
        "language": {"code": "en_US"},
        "components": [{"type": "body", "parameters": parameters}],
    }
    [talk] = await running.conversations()
    assert (talk.owner, talk.preview) == (
        "agent",
        "Hello Ana, your order A-17 is ready to be picked up today.",
    )
    say["template"]["language"] = "es"
    await call(running, "POST", path(talk), headers, say)
    await running.swept()
    assert running.graph.messages()[-1].body["template"]["language"] == {"code": "es"}


@pytest.mark.parametrize(
    ("say", "code", "field"),
    [
        ({"template": {"name": "order_ready"}}, 422, "values.2"),
        ({"template": {"name": "order_ready", "values": {"2": "a\nb"}}}, 422, "values.2"),
        ({"template": {"name": "order_ready", "values": {"2": "a", "3": "b"}}}, 422, "values.3"),
        ({"template": {"name": "nothing"}}, 422, "template.name"),
        ({"template": {"name": "order_ready", "language": "fr"}}, 422, "template.name"),
        ({"template": {"name": "waiting"}}, 409, None),
        ({}, 422, "body"),
        ({"template": {"name": "sale"}, "content": {"type": "text", "text": "x"}}, 422, "body"),
    ],
)
async def test_what_can_t_be_sent(
    running: Running, say: dict[str, Any], code: int, field: str | None
) -> None:
    talk, headers = await ready(running)
    before = await running.transcript(talk.id)
    answered, refused = await call(running, "POST", path(talk), headers, say)
    assert answered == code, refused
    if field:
        assert refused["errors"][0]["field"] == field
    assert await running.transcript(talk.id) == before


async def test_marketing_by_hand_is_asked_about_as_any(running: Running) -> None:
    talk, headers = await ready(running)
    code, sent = await call(running, "POST", path(talk), headers, {"template": {"name": "sale"}})
    assert code == 200
    await running.swept()
    message = await stands_by(running, sent["items"][0]["id"])
    assert message.status is Status.FAILED and message.failure.code == "permission:no_consent"


async def test_on_another_channel_it_is_plain_content(running: Running) -> None:
    running.graph.templates.add(
        "order_ready", body="Hello {{1}}, your *order* {{2}} is ready today.", examples=["Ana", "A-17"],
        status="PAUSED",
    )  # fmt: skip
    row = running.graph.templates.row("order_ready")
    buttons = [{"type": "QUICK_REPLY", "text": "Thanks"}, {"type": "QUICK_REPLY", "text": "A person"}]
    row["components"] += [{"type": "FOOTER", "text": "Lumen"}, {"type": "BUTTONS", "buttons": buttons}]
    await running.gateway.template_sync.sync(await running.store.directory.channel("ch_wa"))
    async with Visitor(running).open() as tab:
        await tab.ask("echo hello")
        [talk] = await running.conversations()
        headers = await key_of(running, "acme")
        say = {"template": {"name": "order_ready", "values": {"1": "Ana", "2": "A-17"}}}
        code, sent = await call(running, "POST", path(talk), headers, say)
        assert code == 200, sent
    content = sent["items"][0]["content"]
    assert content["type"] == "buttons"
    assert content["text"] == "Hello Ana, your order A-17 is ready today.\n\nLumen"
    assert [c["title"] for c in content["choices"]] == ["Thanks", "A person"]
    _, found = await call(running, "GET", f"/api/v1/conversations/{talk.id}", headers)
    assert found["window"] is None


async def test_a_test_goes_to_one_number(running: Running) -> None:
    _, headers = await ready(running)
    found = await running.store.of("acme").templates.find(WABA, "order_ready", "en_US")
    assert found is not None
    body = {"channel": "ch_wa", "phone": "+34 600 999 888", "values": {"1": "Eva", "2": "B-1"}}
    code, sent = await call(running, "POST", f"/api/v1/templates/{found.id}/test", headers, body)
    assert code == 200, sent
    await running.swept()
    # Nobody there has agreed to anything: it is refused, and says so.
    message = await stands_by(running, sent["items"][0]["id"])
    assert message.failure.code == "permission:no_consent" and message.purpose == "utility"
    talk = await running.store.of("acme").conversations.get(message.conversation)
    assert talk is not None and talk.address == "34600999888"
    await heard(running, "34600999888", "echo hi")  # the same person, the same conversation
    assert len([c for c in await running.conversations() if c.address == "34600999888"]) == 1
    code, sent = await call(running, "POST", f"/api/v1/templates/{found.id}/test", headers, body)
    await running.swept()
    assert running.graph.messages()[-1].body["to"] == "34600999888"
    assert running.graph.messages()[-1].body["type"] == "template"


async def test_a_picture_in_the_header_is_uploaded_once_it_is_sent(running: Running) -> None:
    talk, headers = await ready(running)
    header = {
        "type": "HEADER",
        "format": "IMAGE",
        "example": {"header_handle": ["https://scontent.example/1"]},
    }
    row = running.graph.templates.add("pictured", body="Look at this.")
    row["components"].insert(0, header)
    running.clock.move(minutes=1)
    await running.gateway.template_sync.sync(await running.store.directory.channel("ch_wa"))
    png = b"\x89PNG\r\n\x1a\n" + b"\x00" * 200
    _, file = await call(running, "POST", "/api/v1/files?name=bike.png", headers, png)
    say = {"template": {"name": "pictured", "values": {"header": file["id"]}}}
    code, _ = await call(running, "POST", path(talk), headers, say)
    assert code == 200
    await running.swept()
    sent = running.graph.messages()[-1].body["template"]["components"]
    [parameter] = sent[0]["parameters"]
    assert (sent[0]["type"], parameter["type"]) == ("header", "image")
    assert running.graph.files.known(parameter["image"]["id"])


async def test_foreign_conversations_are_not_there(running: Running) -> None:
    talk, _ = await ready(running)
    await make_tenant(running.store, "beta")
    headers = await key_of(running, "beta")
    assert (await call(running, "GET", path(talk, "templates"), headers))[0] == 404
    assert (await call(running, "POST", path(talk), headers, {"template": {"name": "sale"}}))[0] == 404
