"""Drafts over the API: mistakes show before submission; what is submitted is what the provider's rules take."""

from typing import Any

import pytest

from gateway.model.template import TemplateDef
from tests.conftest import WABA, Running, make_tenant
from tests.core.test_api import call, key_of
from tests.providers.graph import Fault

BASE = "/api/v1/templates"
GOOD = {
    "name": "order_ready",
    "language": "en_US",
    "channel": "ch_wa",
    "category": "UTILITY",
    "body": "Hello {{1}}, your order {{2}} is ready to be picked up today.",
    "examples": {"1": "Ana", "2": "A-17"},
    "header": {"kind": "text", "text": "Order {{1}}", "example": "A-17"},
    "footer": "Lumen Bikes",
    "buttons": [
        {
            "kind": "url",
            "text": "Track it",
            "value": "https://shop.example/o/{{1}}",
            "example": "https://shop.example/o/A-17",
        },
        {"kind": "phone", "text": "Call us", "value": "+34600123456"},
        {"kind": "reply", "text": "Thanks"},
    ],
}


async def made(running: Running, headers: dict[str, str], **change: Any) -> dict[str, Any]:
    code, found = await call(running, "POST", BASE, headers, {**GOOD, **change})
    assert code == 200, found
    return dict(found)


async def test_from_a_draft_to_an_approved_template(running: Running) -> None:
    headers = await key_of(running, "acme")
    draft = await made(running, headers, body="{{1}}, it is ready.", examples={})
    address = f"{BASE}/{draft['id']}"
    assert (draft["state"], draft["usable"], draft["account"]) == ("DRAFT", False, WABA)
    _, problems = await call(running, "GET", address + "/lint", headers)
    fields = [p["field"] for p in problems["items"]]
    assert fields == ["body", "examples.1"]
    code, refused = await call(running, "POST", address + "/submit", headers)
    assert (code, refused["errors"][0]["field"]) == (422, "body")
    assert "template lint" in refused["detail"]
    assert running.graph.templates.calls == []
    change = {k: GOOD[k] for k in ("body", "examples")}
    assert (await call(running, "PATCH", address, headers, change))[0] == 200
    assert (await call(running, "GET", address + "/lint", headers))[1]["items"] == []
    code, sent = await call(running, "POST", address + "/submit", headers)
    assert (code, sent["state"], sent["category"]) == (200, "PENDING", "UTILITY")
    [(_, _, body)] = running.graph.templates.calls
    assert body == {
        "name": "order_ready",
        "language": "en_US",
        "category": "UTILITY",
        "parameter_format": "POSITIONAL",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}", "example": {"header_text": ["A-17"]}},
            {"type": "BODY", "text": GOOD["body"], "example": {"body_text": [["Ana", "A-17"]]}},
            {"type": "FOOTER", "text": "Lumen Bikes"},
            {
                "type": "BUTTONS",
                "buttons": [
                    {
                        "type": "URL",
                        "text": "Track it",
                        "url": "https://shop.example/o/{{1}}",
                        "example": ["https://shop.example/o/A-17"],
                    },
                    {"type": "PHONE_NUMBER", "text": "Call us", "phone_number": "+34600123456"},
                    {"type": "QUICK_REPLY", "text": "Thanks"},
                ],
            },
        ],
    }
    assert (await call(running, "POST", address + "/submit", headers))[0] == 409
    # What was written here and what the provider tells of it are the same template.
    running.graph.templates.approve("order_ready")
    _, synced = await call(running, "POST", "/api/v1/channels/ch_wa/templates/sync", headers)
    assert synced == {"seen": 2, "added": 1, "changed": 1, "deleted": 0}
    _, found = await call(running, "GET", address, headers)
    assert (found["state"], found["usable"], found["draft"]) == ("APPROVED", True, {})
    assert {v["key"] for v in found["variables"]} == {"header.1", "1", "2", "button.1", "button.3.payload"}


async def test_named_variables_and_a_category_that_the_provider_changes_at_once(running: Running) -> None:
    headers = await key_of(running, "acme")
    running.graph.templates.categories["order_ready"] = "MARKETING"
    named = {
        "body": "Hello {{first_name}}, your order {{order}} is ready to be picked up.",
        "examples": {"first_name": "Ana", "order": "A-17"},
        "header": {"kind": "text", "text": "For {{customer}}", "example": "Ana"},
        "buttons": [],
    }
    draft = await made(running, headers, **named)
    _, sent = await call(running, "POST", f"{BASE}/{draft['id']}/submit", headers)
    assert (sent["state"], sent["category"]) == ("PENDING", "MARKETING")
    [(_, _, body)] = running.graph.templates.calls
    assert body["parameter_format"] == "NAMED"
    assert body["components"][1]["example"] == {
        "body_text_named_params": [
            {"param_name": "first_name", "example": "Ana"},
            {"param_name": "order", "example": "A-17"},
        ]
    }


async def test_an_authentication_template(running: Running) -> None:
    headers = await key_of(running, "acme")
    parts: dict[str, Any] = {
        "category": "AUTHENTICATION",
        "body": "",
        "examples": {},
        "header": None,
        "footer": "",
        "security": True,
        "expires": 10,
        "buttons": [{"kind": "otp", "text": "Copy it"}],
    }
    draft = await made(running, headers, **parts)
    code, shown = await call(
        running, "POST", f"{BASE}/{draft['id']}/preview", headers, {"values": {"1": "4711"}}
    )
    assert shown["body"] == "4711 is your verification code. For your security, do not share this code."
    assert shown["footer"] == "This code expires in 10 minutes."
    code, sent = await call(running, "POST", f"{BASE}/{draft['id']}/submit", headers)
    assert (code, sent["state"]) == (200, "PENDING"), sent
    assert running.graph.templates.calls[0][2]["components"] == [
        {"type": "BODY", "add_security_recommendation": True},
        {"type": "FOOTER", "code_expiration_minutes": 10},
        {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE", "text": "Copy it"}]},
    ]


async def test_a_change_of_an_approved_template_waits_for_its_approval(running: Running) -> None:
    headers = await key_of(running, "acme")
    running.graph.templates.add("order_ready", body="It is ready.")
    await call(running, "POST", "/api/v1/channels/ch_wa/templates/sync", headers)
    store = running.store.of("acme").templates
    found = await store.find(WABA, "order_ready", "en_US")
    assert found is not None
    address = f"{BASE}/{found.id}"
    _, changed = await call(running, "PATCH", address, headers, {"body": "It is ready for you."})
    assert (changed["state"], changed["body"]) == ("APPROVED", "It is ready.")
    assert changed["draft"] == {"body": "It is ready for you."}
    told: list[str] = []

    async def listen(before: TemplateDef, after: TemplateDef) -> None:
        told.append(after.state)

    running.gateway.templates.on_change(listen)
    code, sent = await call(running, "POST", address + "/submit", headers)
    assert (code, sent["state"], sent["body"], sent["draft"]) == (200, "PENDING", "It is ready for you.", {})
    assert told == ["PENDING"]
    assert running.graph.templates.row("order_ready")["components"][0]["text"] == "It is ready for you."
    # Under review it takes no further changes.
    await call(running, "PATCH", address, headers, {"body": "Now."})
    code, refused = await call(running, "POST", address + "/submit", headers)
    assert code == 409 and "pending" in refused["detail"]
    _, left = await call(running, "POST", address + "/discard", headers)
    assert left["draft"] == {}


async def test_a_media_header_s_sample_is_uploaded(running: Running) -> None:
    headers = await key_of(running, "acme")
    data = b"%PDF-1.4 " + b"x" * 300_000
    _, file = await call(running, "POST", "/api/v1/files?name=invoice.pdf", headers, data)
    parts = {"header": {"kind": "document", "example": file["id"]}, "buttons": []}
    draft = await made(running, headers, **parts)
    code, sent = await call(running, "POST", f"{BASE}/{draft['id']}/submit", headers)
    assert code == 200, sent
    [(handle, taken)] = running.graph.templates.handles.items()
    assert taken == data
    component = running.graph.templates.calls[0][2]["components"][0]
    assert component == {"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": [handle]}}
    assert sent["header"]["example"] == file["id"]


async def test_what_the_provider_refuses_is_told_in_its_words(running: Running) -> None:
    headers = await key_of(running, "acme")
    draft = await made(running, headers)
    running.graph.templates.add("order_ready")
    code, refused = await call(running, "POST", f"{BASE}/{draft['id']}/submit", headers)
    assert (code, refused["code"]) == (502, "whatsapp:100")
    assert "Content in this language already exists" in refused["detail"]
    running.graph.misbehave(Fault.throttle(60, code=80007))
    running.graph.misbehave(Fault.http(500, only="/message_templates"))
    assert (await call(running, "POST", f"{BASE}/{draft['id']}/submit", headers))[0] == 502
    _, found = await call(running, "GET", f"{BASE}/{draft['id']}", headers)
    assert found["state"] == "DRAFT"
    assert (await running.store.directory.channel("ch_wa")).state == "active"


async def test_deleting(running: Running) -> None:
    headers = await key_of(running, "acme")
    running.graph.templates.add("order_ready")
    running.graph.templates.add("order_ready", language="es")
    await call(running, "POST", "/api/v1/channels/ch_wa/templates/sync", headers)
    found = await running.store.of("acme").templates.find(WABA, "order_ready", "es")
    assert found is not None
    code, gone = await call(running, "DELETE", f"{BASE}/{found.id}", headers)
    assert (code, gone["state"], gone["usable"]) == (200, "DELETED", False)
    assert running.graph.templates.calls == [("DELETE", "order_ready", found.remote)]
    assert [r["language"] for r in running.graph.templates.rows if r["name"] == "order_ready"] == ["en_US"]
    draft = await made(running, headers, name="another")
    assert (await call(running, "DELETE", f"{BASE}/{draft['id']}", headers))[0] == 200
    assert (await call(running, "GET", f"{BASE}/{draft['id']}", headers))[0] == 404


async def test_pages(running: Running) -> None:
    headers = await key_of(running, "acme")
    for number in range(7):
        await made(running, headers, name=f"t_{number % 4}", language=("en_US", "es")[number // 4])
    names, after = list[str](), ""
    while True:
        _, page = await call(running, "GET", f"{BASE}?limit=2{after}", headers)
        names += [f"{t['name']} {t['language']}" for t in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}".replace("\x1f", "%1f")
    assert names == sorted(names) and len(set(names)) == 7


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"buttons": [{"kind": "star", "text": "x"}]}, "body.buttons.0.kind"),
        ({"header": {"kind": "text", "words": "x"}}, "body.header.words"),
        ({"category": "FUN"}, "body.category"),
        ({"name": ""}, "name"),
        ({"name": "x\ny"}, "name"),
        ({"body": "x\u0000"}, "body"),
        ({"colour": "red"}, "body.colour"),
        ({"examples": {"1": 5}}, "body.examples.1"),
    ],
)
async def test_what_is_no_draft(running: Running, change: dict[str, Any], field: str) -> None:
    code, refused = await call(running, "POST", BASE, await key_of(running, "acme"), {**GOOD, **change})
    assert code == 422
    assert refused["errors"][0]["field"] == field


async def test_another_tenant_sees_nothing_of_it(running: Running) -> None:
    draft = await made(running, await key_of(running, "acme"))
    await make_tenant(running.store, "beta")
    headers = await key_of(running, "beta")
    one = f"{BASE}/{draft['id']}"
    assert (await call(running, "GET", BASE, headers))[1]["items"] == []
    for method, path, body in (
        ("GET", one, None),
        ("PATCH", one, {"footer": "x"}),
        ("DELETE", one, None),
        ("GET", one + "/lint", None),
        ("POST", one + "/submit", None),
        ("POST", one + "/discard", None),
        ("POST", one + "/preview", {}),
        ("POST", one + "/test", {"channel": "ch_wa", "phone": "34600111222"}),
        ("POST", "/api/v1/channels/ch_wa/templates/sync", None),
        ("POST", BASE, GOOD),
        ("GET", f"{BASE}?channel=ch_wa", None),
    ):
        code, found = await call(running, method, path, headers, body)
        assert (code, found["code"]) == (404, "not_found"), path
    assert running.graph.templates.calls == []
