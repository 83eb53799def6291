"""Knowledge over the API and the command line, from the outside."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from brain.ingest import add_file
from tests.conftest import Running, make_tenant
from tests.core.test_api import call, key_of
from tests.core.test_cli import Line
from tests.core.test_cli import line as line
from tests.knowledge.conftest import Vector
from tests.knowledge.office import xlsx
from tests.knowledge.site import WebSite

PREFIX = "/api/v1"


class Caller:
    def __init__(self, running: Running, headers: dict[str, str]) -> None:
        self.running = running
        self._headers = headers

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return await call(self.running, method, PREFIX + path, self._headers, body)

    async def read(self, source: str) -> dict[str, Any]:
        """The source once it is over."""
        async with asyncio.timeout(20):
            while True:
                _, found = await self("GET", f"/sources/{source}")
                if found["state"] in ("ready", "failed", "cancelled"):
                    return dict(found)
                await asyncio.sleep(0.05)


@pytest.fixture
async def api(running: Running, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    yield Caller(running, await key_of(running, "acme"))


async def test_an_upload_is_read_in_the_background_and_shown(api: Caller) -> None:
    data = xlsx({"FAQ": (("Question", "Answer"), ("When are you open?", "From nine to six, every day."))})
    code, source = await api("POST", "/sources/file?name=faq.xlsx", data)
    assert (code, source["kind"], source["name"], source["collection"]) == (200, "file", "faq.xlsx", "main")
    found = await api.read(source["id"])
    assert (found["state"], found["done"], found["changed"], found["errors"]) == ("ready", 1, 1, [])
    _, page = await api("GET", "/documents")
    (document,) = page["items"]
    assert (document["title"], document["source"], document["chunks"]) == ("FAQ", source["id"], 1)
    _, whole = await api("GET", f"/documents/{document['id']}")
    assert [p["question"] for p in whole["passages"]] == ["When are you open?"]
    assert await api("DELETE", f"/documents/{document['id']}") == (204, None)
    assert (await api("GET", f"/documents/{document['id']}"))[0] == 404
    assert (await api("GET", "/documents"))[1]["items"] == []


async def test_a_bad_file_ends_in_its_reason(api: Caller) -> None:
    _, source = await api("POST", "/sources/file?name=scan.pdf", b"%PDF-1.4 not really")
    found = await api.read(source["id"])
    assert found["state"] == "failed"
    assert found["reason"] == "The PDF is damaged and can't be read. Export it again and add the new file."
    assert found["errors"] == [{"origin": "scan.pdf", "reason": found["reason"]}]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/sources/file?name=a.exe", b"x", "name"),
        ("POST", "/sources/file", b"x", "query.name"),
        ("POST", "/sources/file?name=a.txt&collection=none", b"x", "collection"),
        ("POST", "/sources/text", {"title": "", "text": "x"}, "title"),
        ("POST", "/sources/text", {"title": "x", "text": " "}, "text"),
        ("POST", "/sources/text", {"title": "x"}, "body.text"),
        ("POST", "/sources/site", {"address": "http://169.254.169.254/"}, "address"),
        ("POST", "/sources/site", {"address": "shop.example", "depth": 99}, "depth"),
        ("POST", "/sources/site", {"address": "shop.example", "pages": 0}, "pages"),
        ("POST", "/sources/site", {"address": "shop.example", "every": 60}, "every"),
        ("POST", "/documents/answer", {"question": "?", "answer": "x"}, "question"),
        ("POST", "/collections", {"name": " x"}, "name"),
        ("POST", "/collections", {"name": "x", "channels": ["ch_none"]}, "channels"),
        ("GET", "/documents?collection=none", None, "collection"),
        ("GET", "/documents?limit=0", None, "query.limit"),
    ],
)
async def test_wrong_input_names_the_field(
    api: Caller, method: str, path: str, body: Any, field: str
) -> None:
    code, found = await api(method, path, body)
    assert 400 <= code < 500
    assert field in json.dumps(found)


async def test_a_text_as_a_draft_a_collection_and_publishing(api: Caller) -> None:
    assert (await api("POST", "/collections", {"name": "shop", "channels": ["ch_web"]}))[0] == 200
    body = {"title": "Parking", "text": "Behind the house.", "collection": "shop", "draft": True}
    _, source = await api("POST", "/sources/text", body)
    assert (await api.read(source["id"]))["state"] == "ready"
    assert (await api("GET", "/documents"))[1]["items"] == []
    (draft,) = (await api("GET", "/documents?drafts=true"))[1]["items"]
    assert (draft["draft"], draft["collection"]) == (True, "shop")
    assert (await api("GET", f"/documents/{draft['id']}"))[0] == 404
    assert (await api("GET", f"/documents/{draft['id']}?draft=true"))[0] == 200
    assert await api("POST", "/drafts/publish") == (200, {"documents": 1})
    assert len((await api("GET", "/documents?collection=shop"))[1]["items"]) == 1
    code, refused = await api("DELETE", "/collections/shop")
    assert (code, "holds 1 documents" in refused["detail"]) == (409, True)
    assert await api("DELETE", f"/sources/{source['id']}") == (200, {"documents": 1})
    assert await api("DELETE", "/collections/shop") == (204, None)
    code, shown = await api("PUT", "/collections/main", {"channels": ["ch_wa"]})
    assert (code, shown) == (200, {"name": "main", "channels": ["ch_wa"]})


async def test_documents_come_in_pages(api: Caller) -> None:
    store = api.running.store
    for n in range(5):
        await add_file(store.knowledge, Vector(), "acme", f"{n}.md", b"Text.", api.running.clock())
    seen: list[str] = []
    after, page = "", dict[str, Any]()
    for expected in (2, 2, 1):
        _, page = await api("GET", "/documents?limit=2" + after)
        assert len(page["items"]) == expected
        seen += [d["origin"] for d in page["items"]]
        after = f"&after={page['next']}"
    assert page["next"] is None
    assert sorted(seen) == [f"{n}.md" for n in range(5)]


async def test_an_answer_of_a_person(api: Caller) -> None:
    body = {"question": "Do you ship abroad?", "answer": "Yes, within the EU."}
    code, document = await api("POST", "/documents/answer", body)
    assert (code, document["media_type"], document["title"]) == (200, "text/x-answer", "Do you ship abroad?")
    await api("POST", "/documents/answer", {**body, "answer": "No."})
    (found,) = (await api("GET", "/documents"))[1]["items"]
    _, whole = await api("GET", f"/documents/{found['id']}")
    assert [p["text"] for p in whole["passages"]] == ["No."]


async def test_the_command_line_has_it_all(line: Line, tmp_path: Path) -> None:
    await make_tenant(line.store)
    (tmp_path / "a.md").write_text("# Alpha\n\nThe first text.\n\n## Part\n\nMore.")
    (tmp_path / "b.json").write_text('[{"question": "Open?", "answer": "Yes."}]')
    own = ("--tenant", "acme")
    assert await line("knowledge", "collection", "add", *own, "shop") == {"name": "shop", "channels": []}
    added = await line("knowledge", "add", *own, "--collection", "shop", "--draft", str(tmp_path))
    assert [(r["outcome"], r["draft"]) for r in added] == [("added", True)] * 2
    assert await line("knowledge", "list", *own) == []
    drafts = await line("knowledge", "list", *own, "--drafts", "--collection", "shop")
    assert [(d["title"], d["change"]) for d in drafts] == [("Alpha", "written"), ("B", "written")]
    assert await line("knowledge", "publish", *own) == {"documents": 2}
    shown = await line("knowledge", "show", *own, drafts[0]["id"])
    assert [(p["headings"], p["text"]) for p in shown["passages"]] == [
        ([], "The first text."),
        (["Part"], "More."),
    ]
    [text] = await line("knowledge", "add", *own, "--text", "Behind the house.", "--title", "Parking")
    assert (text["outcome"], text["origin"]) == ("added", "text:parking")
    await line("knowledge", "remove", *own, "--draft", text["document"])
    assert await line("knowledge", "discard", *own) == {"documents": 1}
    assert len(await line("knowledge", "list", *own)) == 3
    rows = await line("knowledge", "collection", "list", *own)
    assert [(r["name"], r["documents"]) for r in rows] == [("main", 1), ("shop", 2)]
    assert "holds 2 documents" in await line.fails("knowledge", "collection", "remove", *own, "shop")
    site = ("knowledge", "add", *own, "--site")
    made = await line(*site, "https://shop.example/", "--every", "24h", "--no-wait")
    assert (made["state"], made["every"]) == ("waiting", 86400)
    assert (await line("knowledge", "cancel", *own, made["id"]))["state"] == "cancelled"
    assert (await line("knowledge", "again", *own, made["id"], "--no-wait"))["state"] == "waiting"
    assert [s["id"] for s in await line("knowledge", "sources", *own)] == [made["id"]]
    assert await line("knowledge", "forget", *own, made["id"]) == {"documents": 0}
    assert (await line.fails(*site, "http://10.0.0.1/")).startswith("address")
    assert (await line.fails(*site, "shop.example", "--every", "soon")).startswith("--every")
    assert (await line.fails("knowledge", "add", *own)).startswith("FILE|FOLDER")
    assert (await line.fails("knowledge", "add", *own, "--text", "x")).startswith("--title")
    assert (await line.fails("knowledge", "add", *own, "--collection", "no", str(tmp_path))).startswith(
        "collection"
    )


async def test_a_site_is_read_by_the_command_itself(line: Line) -> None:
    await make_tenant(line.store)
    refused = await line.fails("knowledge", "add", "--tenant", "acme", "--site", "http://127.0.0.1:9/")
    assert "not on the public internet" in refused or "usual ports" in refused
    async with WebSite() as site:
        site.page("/", "Home", "Welcome.", "/b")
        site.page("/b", "B", "More.")
        settings = replace(line.settings, egress_allow=(ip_network("127.0.0.0/8"),))
        made = await Line(settings, line.store, line.capsys)(
            "knowledge", "add", "--tenant", "acme", "--site", site.url
        )
    assert (made["state"], made["done"], made["changed"]) == ("ready", 2, 2)
