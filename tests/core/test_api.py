"""The REST API from the outside: who may call what, what is refused, and what comes back."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.api.routes import PREFIX
from gateway.model.answers import Asked, Gap, Submission
from gateway.model.campaign import Campaign
from gateway.model.conversation import Conversation
from gateway.model.golden import EvalRun, Figures, Golden
from gateway.model.knowledge import Chunk, Collection, Document
from tests.conftest import Running, make_tenant
from tests.core.visitor import Visitor
from tests.providers.graph_webhooks import text_webhook

ACCESS = {
    # Everybody
    "GET /health": "open", "GET /ready": "open", "GET /metrics": "open",
    "GET /widget/v1.js": "open", "GET /widget/app.js": "open", "GET /demo": "open", "GET /demo.css": "open",
    "GET /favicon.ico": "open",
    "GET /api/openapi.json": "open", "GET /api/docs": "open", "GET /console/console.css": "open",
    "GET /console/sign-in": "open", "POST /console/sign-in": "open", "POST /console/sign-out": "open",
    # A signature or the verify token
    "GET /webhooks/whatsapp": "provider", "POST /webhooks/whatsapp": "provider",
    "GET /webhooks/whatsapp/{channel}": "provider", "POST /webhooks/whatsapp/{channel}": "provider",
    "POST /webhooks/telegram/{channel}": "provider", "POST /webhooks/webhook/{channel}": "provider",
    "POST /webhooks/slack/events": "provider", "POST /webhooks/slack/interactivity": "provider",
    "POST /webhooks/slack/commands": "provider",
    # A one-time link, and the state that follows it
    "GET /slack/install": "link", "POST /slack/install": "link", "GET /slack/oauth": "link",
    # An origin and a ticket, or a visitor's token
    "POST /widget/session": "visitor", "GET /widget/ws": "visitor",
    "POST /widget/files": "visitor", "OPTIONS /widget/files": "visitor",
    # A signed address
    "GET /files/{token}": "link",
    # A session
    "GET /console/slack/install": "user", "GET /console": "user",
    "GET /console/conversations/{conversation}": "user", "GET /console/leads": "user",
    "POST /console/conversations/{conversation}/template": "user",
    "POST /console/conversations/{conversation}/rate": "user", "GET /console/questions": "user",
    "POST /console/questions/{gap}": "user", "POST /console/conversations/{conversation}/keep": "user",
    "POST /api/v1/messages/{message}/keep": "key",
    # A key
    "GET /api/v1/conversations": "key", "GET /api/v1/conversations/{conversation}": "key",
    "GET /api/v1/conversations/{conversation}/presence": "key",
    "POST /api/v1/conversations/{conversation}/typing": "key",
    "GET /api/v1/conversations/{conversation}/messages": "key", "PUT /api/v1/conversations/{conversation}/owner": "key",
    "GET /api/v1/leads": "key", "GET /api/v1/channels": "key", "GET /api/v1/documents": "key",
    "POST /api/v1/conversations/{conversation}/messages": "key", "POST /api/v1/files": "key",
    "GET /api/v1/files/{file}": "key", "GET /api/v1/channels/{channel}/events": "key",
    "GET /api/v1/dead-letters": "key", "GET /api/v1/dead-letters/{message}": "key",
    "POST /api/v1/dead-letters/{message}/retry": "key", "POST /api/v1/dead-letters/{message}/discard": "key",
    "POST /api/v1/dead-letters/{message}/confirm": "key",
    "GET /api/v1/templates": "key", "POST /api/v1/templates": "key", "GET /api/v1/templates/{template}": "key",
    "PATCH /api/v1/templates/{template}": "key", "DELETE /api/v1/templates/{template}": "key",
    "GET /api/v1/templates/{template}/lint": "key", "POST /api/v1/templates/{template}/submit": "key",
    "POST /api/v1/templates/{template}/discard": "key", "POST /api/v1/templates/{template}/preview": "key",
    "POST /api/v1/templates/{template}/test": "key", "POST /api/v1/channels/{channel}/templates/sync": "key",
    "GET /api/v1/conversations/{conversation}/templates": "key",
    "GET /api/v1/answers": "key", "PATCH /api/v1/answers": "key", "PUT /api/v1/answers/key": "key",
    "GET /api/v1/answers/spent": "key", "POST /api/v1/answers/ask": "key",
    "GET /api/v1/campaigns": "key", "POST /api/v1/campaigns": "key", "GET /api/v1/campaigns/{campaign}": "key",
    "POST /api/v1/campaigns/{campaign}/prepare": "key", "POST /api/v1/campaigns/{campaign}/start": "key",
    "POST /api/v1/campaigns/{campaign}/pause": "key", "POST /api/v1/campaigns/{campaign}/resume": "key",
    "POST /api/v1/campaigns/{campaign}/cancel": "key", "GET /api/v1/campaigns/{campaign}/results": "key",
    "GET /api/v1/campaigns/{campaign}/recipients": "key", "GET /api/v1/campaigns/{campaign}/errors": "key",
    "GET /api/v1/documents/{document}": "key", "DELETE /api/v1/documents/{document}": "key",
    "POST /api/v1/documents/answer": "key", "GET /api/v1/sources": "key", "POST /api/v1/sources/file": "key",
    "POST /api/v1/sources/text": "key", "POST /api/v1/sources/site": "key", "GET /api/v1/sources/{source}": "key",
    "POST /api/v1/sources/{source}/cancel": "key", "POST /api/v1/sources/{source}/again": "key",
    "DELETE /api/v1/sources/{source}": "key", "GET /api/v1/collections": "key", "POST /api/v1/collections": "key",
    "PUT /api/v1/collections/{collection}": "key", "DELETE /api/v1/collections/{collection}": "key",
    "POST /api/v1/drafts/publish": "key", "POST /api/v1/drafts/discard": "key",
    "GET /api/v1/hours": "key", "PUT /api/v1/hours": "key", "GET /api/v1/rules": "key",
    "PUT /api/v1/rules": "key", "GET /api/v1/forms": "key", "PUT /api/v1/forms": "key",
    "GET /api/v1/forms/{form}/submissions": "key", "GET /api/v1/questions": "key",
    "PUT /api/v1/questions/{asked}/thumb": "key", "GET /api/v1/gaps": "key", "POST /api/v1/gaps/{gap}/answer": "key",
    "POST /api/v1/gaps/{gap}/dismiss": "key",
    "GET /api/v1/contacts/{contact}/decisions": "key",
    "GET /api/v1/goldens": "key", "POST /api/v1/goldens": "key", "DELETE /api/v1/goldens/{golden}": "key",
    "POST /api/v1/questions/{asked}/golden": "key", "POST /api/v1/evaluations": "key", "GET /api/v1/evaluations": "key",
    "GET /api/v1/evaluations/{run}": "key", "POST /api/v1/replays": "key",
    "GET /api/v1/consents": "key", "POST /api/v1/consents": "key", "POST /api/v1/consents/withdrawals": "key",
    "POST /api/v1/consents/imports": "key", "GET /api/v1/consents/contacts/{contact}": "key",
    "GET /api/v1/consents/signals": "key", "POST /api/v1/consents/signals/{signal}": "key",
    "POST /api/v1/consents/{entry}/correction": "key", "GET /api/v1/permission": "key", "PUT /api/v1/permission": "key",
}  # fmt: skip
"""Every route and who may use it. A new route is added here on purpose, or the test fails."""


BODIES: dict[str, Any] = {
    "POST /api/v1/campaigns": {"channel": "ch_wa", "name": "x", "template": "x", "audience": {"filter": {}}},
    "POST /api/v1/consents": {"channel": "ch_wa", "contact": "34600111222", "wording": "Yes."},
    "POST /api/v1/consents/withdrawals": {"channel": "ch_wa", "contact": "34600111222"},
    "POST /api/v1/consents/imports": {"channel": "ch_wa", "csv": "phone,wording,evidence\n", "source": "x"},
    "POST /api/v1/consents/signals/{signal}": {"confirmed": False},
    "POST /api/v1/consents/{entry}/correction": {"state": "granted", "note": "x"},
    "PATCH /api/v1/templates/{template}": {"footer": "x"},
    "POST /api/v1/questions/{asked}/golden": {"must_refuse": True},
    "PUT /api/v1/questions/{asked}/thumb": {"thumb": "up"},
    "POST /api/v1/gaps/{gap}/answer": {"answer": "x"},
    "POST /api/v1/messages/{message}/keep": {},
    "PUT /api/v1/collections/{collection}": {"channels": []},
    "POST /api/v1/templates/{template}/preview": {},
    "POST /api/v1/templates/{template}/test": {"phone": "34600111222", "channel": "ch_wa"},
}
"""What operations are called with that take something of their own."""

NAMED = frozenset(
    {"/api/v1/campaigns", "/api/v1/consents", "/api/v1/consents/withdrawals", "/api/v1/consents/imports"}
)
"""Addresses whose body names the channel: another tenant's is not there."""

OWN = frozenset(
    f"/api/v1/{path}"
    for path in (
        *(
            "files",
            "permission",
            "collections",
            "documents/answer",
            "sources/file",
            "sources/text",
            "sources/site",
        ),
        *("drafts/publish", "drafts/discard", "rules", "forms", "hours"),
        *("goldens", "evaluations", "replays"),
        *("answers", "answers/key", "answers/spent", "answers/ask"),
    )
)
"""Addresses that take whatever comes for whoever sends it, or show only what is theirs."""

NOBODYS = {
    **{"golden": "gq_x", "run": "er_x"},
    **{"form": "booking", "asked": "m_x", "gap": "gap_x"},
    **{"document": "d_x", "source": "s_x", "collection": "x"},
    **{"campaign": "cm_x", "contact": "ct_x", "entry": "ce_x", "signal": "ce_x"},
    **{"conversation": "cv_x", "message": "m_x", "file": "f_x", "channel": "ch_x", "template": "tp_x"},
}


def routes(running: Running) -> Iterator[tuple[str, str]]:
    for route in running.gateway.app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":
            yield route.method, route.resource.canonical


async def key_of(running: Running, tenant: str) -> dict[str, str]:
    _, secret = await running.store.access.create_key(tenant, "test", running.clock())
    return {"Authorization": f"Bearer {secret}"}


async def call(
    running: Running, method: str, path: str, headers: dict[str, str], body: Any = None
) -> tuple[int, Any]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = None if data is None else io.BytesIO(data)  # aiohttp warns of large bodies as plain bytes
    async with running.http.request(method, running.url + path, headers=headers, data=sent) as answer:
        text = await answer.read()
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Request-Id"]
        if answer.status >= 400:
            assert answer.content_type == "application/problem+json", (path, text)
            found = json.loads(text)
            assert set(found) >= {"type", "status", "code", "detail"}
            assert found["status"] == answer.status
        return answer.status, json.loads(text) if text else None


async def one_conversation(running: Running) -> Conversation:
    """A conversation of Acme's with a lead and a message that was given up."""
    async with Visitor(running).open() as tab:
        await tab.ask("unknown canary-4711")
        values = {"name": "Canary Jane", "phone": "600111222", "email": ""}
        await tab.send({"type": "form_reply", "values": values, "to": None})
        await tab.heard()
    [conversation] = await running.conversations()
    return conversation


async def test_every_route_is_listed_with_who_may_use_it(running: Running) -> None:
    assert {f"{m} {p}" for m, p in routes(running)} == set(ACCESS)


async def test_no_route_with_a_key_answers_without_a_good_one(running: Running) -> None:
    key, secret = await running.store.access.create_key("acme", "test", running.clock())
    bad: tuple[dict[str, str], ...] = (
        {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "},
        {"Authorization": f"Basic {secret}"}, {"Authorization": secret}, {"Authorization": f"Bearer {secret}x"},
        {"Authorization": f"Bearer {secret[:-1]}"}, {"Authorization": f"Bearer {key.id}"},
        {"Authorization": 'Bearer {"$ne": 1}'}, {"Authorization": "Bearer \udcff"},
        {"X-Api-Key": secret}, {"Cookie": f"parley_session={secret}"},
    )  # fmt: skip
    for method, path in routes(running):
        if ACCESS[f"{method} {path}"] != "key":
            continue
        for headers in bad:
            address = path.format(**NOBODYS)
            code, found = await call(running, method, address, headers, {"owner": "agent"})
            assert (code, found["code"]) == (401, "key"), (path, headers)
            code, _ = await call(running, method, address + f"?key={secret}", {}, None)
            assert code == 401


async def test_no_key_opens_another_tenants_things(running: Running) -> None:
    conversation = await one_conversation(running)
    file = await call(
        running, "POST", "/api/v1/files?name=canary.txt", await key_of(running, "acme"), b"canary"
    )
    transcript = await running.transcript(conversation.id)
    template = await running.gateway.templates.create("acme", "canary", "en", {"body": "Hello, all of you."})
    [entry] = [e async for e in running.store.of("acme").ledger.all()]
    sending = Campaign("cm_canary", "acme", "ch_wa", "canary", "x", (), running.clock())
    await running.store.of("acme").campaigns.add(sending)
    known = Document("d_canary", "acme", "canary", "canary.md", "x", 1, running.clock())
    await running.store.knowledge.put("acme", known, [Chunk("d_canary-0", "d_canary", 0, "canary")])
    source = await running.gateway.intake.text("acme", "canary", "canary")
    await running.store.knowledge.set_collection(Collection("acme", "canaries"), new=True)
    own, now = running.store.of("acme"), running.clock().replace(microsecond=0)
    asked = Asked("m_canary", "acme", now, "canary?", "ch_web", "ct", conversation.id, False)
    await own.asked.put([asked])
    gap = Gap("gap_canary", "acme", "canary?", 1, now, now)
    await own.gaps.add(gap)
    golden = Golden("gq_canary", "acme", "canary?", now, must_refuse=True)
    await own.goldens.put([golden])
    await own.eval_runs.put(EvalRun("er_canary", "acme", now, 0, "local", Figures()))
    await own.submissions.put(Submission("sub_1", "acme", "canary", now, "ch_web", "ct", conversation.id, ()))
    await make_tenant(running.store, "bolt")
    headers = await key_of(running, "bolt")
    for method, path in routes(running):
        if ACCESS[f"{method} {path}"] != "key":
            continue
        for message in (transcript[0].id, transcript[-1].id):
            address = path.format(
                conversation=conversation.id,
                message=message,
                file=file[1]["id"],
                channel=conversation.channel,
                template=template.id,
                contact=conversation.contact,
                entry=entry.id,
                signal="ce_x",
                campaign=sending.id,
                document=known.id,
                source=source.id,
                collection="canaries",
                form="canary",
                asked=asked.id,
                gap=gap.id,
                golden=golden.id,
                run="er_canary",
            )
            body: Any = {"owner": "agent"} if method == "PUT" else {"content": {"type": "text", "text": "x"}}
            body = BODIES.get(f"{method} {path}", body)
            code, found = await call(running, method, address, headers, body if method != "GET" else None)
            if path in OWN or (method, path) == ("POST", "/api/v1/templates"):
                assert "anary" not in json.dumps(found)
                continue
            if "{" in path or (method == "POST" and path in NAMED):
                assert (code, found["code"]) == (404, "not_found"), path
            else:
                assert (code, found["items"]) == (200, []), path
            assert "anary" not in json.dumps(found)
    assert {d.id for d in await running.store.knowledge.documents("acme")} >= {known.id}
    assert await running.conversations() == (conversation,)
    assert await running.transcript(conversation.id) == transcript
    assert await running.conversations("bolt") == ()
    assert await own.goldens.get(golden.id) == golden
    assert (await own.gaps.get(gap.id), (await own.asked.get(asked.id)) is not None) == (gap, True)
    assert [e async for e in running.store.of("acme").ledger.all()] == [entry]


async def test_ids_that_are_no_ids_are_not_found(running: Running) -> None:
    headers = await key_of(running, "acme")
    for odd in ("%00", "%ED%A0%80", "$ne", "%7B%22$ne%22:1%7D", "..%2f..", "x" * 2000, "%252e%252e", "é"):
        for method, path, body in (
            ("GET", f"/conversations/{odd}", None),
            ("GET", f"/conversations/{odd}/messages", None),
            ("PUT", f"/conversations/{odd}/owner", {"owner": "agent"}),
            ("POST", f"/dead-letters/{odd}/retry", None),
        ):
            assert (await call(running, method, PREFIX + path, headers, body))[0] == 404, path


async def test_what_an_operation_does_not_take_is_refused_by_name(running: Running) -> None:
    conversation = await one_conversation(running)
    headers = await key_of(running, "acme")
    owner = f"/conversations/{conversation.id}/owner"
    messages = f"/conversations/{conversation.id}/messages"
    cases: list[tuple[str, str, Any, str]] = [
        ("GET", "/conversations?tenant=bolt", None, "query.tenant"),
        ("GET", "/channels?limit=1", None, "query.limit"),
        ("GET", f"/conversations/{conversation.id}?x", None, "query.x"),
        ("POST", "/dead-letters/m_x/retry?force=1", None, "query.force"),
        ("GET", "/conversations?limit=0", None, "query.limit"),
        ("GET", "/conversations?limit=201", None, "query.limit"),
        ("GET", "/leads?limit=abc", None, "query.limit"),
        ("GET", "/leads?before=yesterday", None, "query.before"),
        ("GET", "/leads?before=2026-01-01T00:00:00", None, "query.before"),
        ("GET", f"{messages}?before=-1", None, "query.before"),
        ("GET", f"{messages}?before={10**30}", None, "query.before"),
        ("GET", f"{messages}?before[$gt]=0", None, "query.before[$gt]"),
        ("GET", "/dead-letters?limit=201", None, "query.limit"),
        ("PUT", owner, {"owner": "agent", "tenant": "bolt"}, "body.tenant"),
        ("PUT", owner, {"owner": "agent", "_id": "x"}, "body._id"),
        ("PUT", owner, {"owner": "agent", "\ud800": "x"}, "body"),
        ("PUT", owner, {"owner": {"$ne": "bot"}}, "body.owner"),
        ("PUT", owner, {"owner": "admin"}, "body.owner"),
        ("PUT", owner, {"owner": "\ud800"}, "body.owner"),
        ("PUT", owner, {}, "body.owner"),
        ("PUT", owner, [], "body"),
        ("PUT", owner, b"", "body"),
        ("PUT", owner, b"{", "body"),
        ("PUT", owner, b"\xff", "body"),
        ("PUT", owner, b"[" * 200_000, "body"),
        ("PUT", owner, b" " * (1024 * 1024 + 1), "body"),
    ]  # fmt: skip
    for method, path, body, field in cases:
        code, found = await call(running, method, PREFIX + path, headers, body)
        assert code == 422, (path, body if not isinstance(body, bytes) else body[:40], found)
        assert any(e["field"].startswith(field) and e["expected"] for e in found["errors"]), (
            path,
            body,
            found,
        )
    code, found = await call(running, "PUT", PREFIX + owner, {**headers, "Content-Encoding": "gzip"}, b"x")
    assert code in (400, 415, 422)
    [standing] = await running.conversations()
    assert standing == conversation


async def test_extreme_cursors_are_just_empty_pages(running: Running) -> None:
    await one_conversation(running)
    headers = await key_of(running, "acme")
    for path in ("/conversations", "/leads"):
        for before in (
            "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00%2B14:00",
            "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00",
        ):  # fmt: skip
            code, found = await call(running, "GET", f"{PREFIX}{path}?before={before}", headers)
            assert code in (200, 422), (path, before)
            if code == 200:
                assert len(found["items"]) == (1 if before.startswith("9999") else 0)


async def test_pages_follow_each_other_without_gap_or_repetition(running: Running) -> None:
    for n in range(7):
        running.clock.move(seconds=1)
        body = text_webhook(f"3460000000{n}", f"echo {n}", f"wamid.{n}", int(running.clock().timestamp()))
        assert await running.post_whatsapp(body) == 200
        await running.until(lambda n=n: len(running.graph.messages()) == n + 1)  # type: ignore[misc]
        await running.idle()
    headers = await key_of(running, "acme")
    whole: list[Any] = []
    path = f"{PREFIX}/conversations?limit=3"
    sizes = []
    while True:
        code, page = await call(running, "GET", path, headers)
        assert code == 200
        sizes.append(len(page["items"]))
        whole += page["items"]
        if page["next"] is None:
            break
        path = f"{PREFIX}/conversations?limit=3&before={page['next']}"
    assert sizes == [3, 3, 1]
    assert [c["preview"] for c in whole] == [f"echo {n}" for n in reversed(range(7))]
    for n in range(4):
        body = text_webhook("34600000006", f"echo more {n}", f"wamid.m{n}", int(running.clock().timestamp()))
        assert await running.post_whatsapp(body) == 200
    await running.until(lambda: len(running.graph.messages()) == 11)
    await running.idle()
    path = f"{PREFIX}/conversations/{whole[0]['id']}/messages?limit=4"
    code, latest = await call(running, "GET", path, headers)
    assert (len(latest["items"]), latest["more"]) == (4, True)
    seen = latest["items"]
    while latest["more"]:
        code, latest = await call(running, "GET", f"{path}&before={seen[0]['seq']}", headers)
        seen = latest["items"] + seen
    assert len(seen) == len({m["id"] for m in seen}) == 10
    assert [m["seq"] for m in seen] == sorted(m["seq"] for m in seen)


async def test_the_owner_changes_and_comes_back(running: Running) -> None:
    conversation = await one_conversation(running)
    headers = await key_of(running, "acme")
    path = f"{PREFIX}/conversations/{conversation.id}"
    for owner in ("agent", "agent", "queue", "bot"):
        code, found = await call(running, "PUT", f"{path}/owner", headers, {"owner": owner})
        assert (code, found["owner"]) == (200, owner)
        assert (await call(running, "GET", path, headers))[1]["owner"] == owner
    code, found = await call(running, "GET", f"{PREFIX}/leads", headers)
    assert [lead["name"] for lead in found["items"]] == ["Canary Jane"]
    assert found["items"][0]["consent_text"]
    code, found = await call(running, "GET", f"{PREFIX}/channels", headers)
    assert {c["id"] for c in found["items"]} == {"ch_wa", "ch_web"}
    assert "secret" not in json.dumps(found).lower()


async def test_the_openapi_document_is_valid_and_complete(running: Running) -> None:
    code, document = await call(running, "GET", "/api/openapi.json", {})
    assert code == 200
    OpenAPIV31SpecValidator(document).validate()
    described = {f"{m.upper()} {PREFIX}{p}" for p, ms in document["paths"].items() for m in ms}
    assert described == {route for route, who in ACCESS.items() if who == "key"}
    named = [o["operationId"] for ms in document["paths"].values() for o in ms.values()]
    assert len(set(named)) == len(named)
    async with running.http.get(f"{running.url}/api/docs") as page:
        text = await page.text()
        assert page.status == 200
        assert "<script" not in text
        for path in document["paths"]:
            assert path in text


async def test_a_key_of_a_tenant_is_not_shown_and_not_stored(running: Running) -> None:
    key, secret = await running.store.access.create_key("acme", "test", running.clock())
    assert secret not in repr(key)
    assert await running.store.access.key(secret) == key
    assert await running.store.access.key(secret.upper()) is None


@pytest.mark.parametrize(
    "path", ["/api/v2/conversations", "/api/v1/", "/api/v1/tenants", "/nothing", "/.git/config"]
)
async def test_what_is_not_there_is_not_there(running: Running, path: str) -> None:
    headers = await key_of(running, "acme")
    assert (await call(running, "GET", path, headers))[0] == 404
    assert (await call(running, "DELETE", f"{PREFIX}/conversations", headers))[0] == 405
