"""Row 31: files that would be a page, a drawing with a script, or several things at once. Whoever opens their address, or puts it
into a page, in a real browser: no script of theirs runs."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, Request

from tests.browser.conftest import NewContext
from tests.browser.story_gateway import RealGateway

SCRIPT = "document.title='ran';fetch('/health?ran')"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{SCRIPT}"><script>{SCRIPT}</script></svg>'
HTML = f'<!doctype html><html><body onload="{SCRIPT}"><script>{SCRIPT}</script></body></html>'
GIF = b"GIF89a/*" + bytes(6) + f"*/=1;{SCRIPT};".encode()
JPEG = b"\xff\xd8\xff\xe0\x2f\x2a\x4a\x46\x49\x46" + f"*/=1;{SCRIPT};/*".encode() + b"\xff\xd9"
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n"
    + HTML.encode()
    + b"\ntrailer<</Root 1 0 R>>\n%%EOF"
)
EVIL = {
    "drawing.svg": SVG.encode(),
    "drawing.png": SVG.encode(),
    "drawing.xml": b'<?xml version="1.0"?>' + SVG.encode(),
    "page.html": HTML.encode(),
    "page.jpg": HTML.encode(),
    "page.txt": HTML.encode(),
    "page.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><script>{SCRIPT}</script></html>'.encode(),
    "page.mht": f"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n{HTML}".encode(),
    "utf7.txt": b"+ADw-script+AD4-" + SCRIPT.encode() + b"+ADw-/script+AD4-",
    "both.gif": GIF,
    "both.jpg": JPEG,
    "both.pdf": PDF,
    "late.bin": bytes(2000) + HTML.encode(),
    "wide.txt": HTML.encode("utf-16"),
    "code.js": SCRIPT.encode(),
}
AROUND = (
    '<iframe src="{0}"></iframe><iframe sandbox="allow-scripts" src="{0}"></iframe><object data="{0}"></object>'
    '<embed src="{0}"><img src="{0}"><script src="{0}"></script><link rel="stylesheet" href="{0}">'
)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    gateway = RealGateway(tmp_path_factory.mktemp("uploads") / "data")
    gateway.start()
    yield gateway
    gateway.stop()


def uploaded(real: RealGateway, key: str, name: str, data: bytes) -> str | None:
    """The address that the file can be had from; None if it was refused."""
    asked = urllib.request.Request(
        f"{real.url}/api/v1/files?name={name}", data=data, headers={"Authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(asked) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        assert error.code == 422, name
        return None
    return str(found["url"])


def watched(page: Page) -> list[str]:
    """What a script that ran has left: a dialog, or a request."""
    ran: list[str] = []

    def dialog(shown: Dialog) -> None:
        ran.append(shown.message)
        shown.dismiss()

    def request(made: Request) -> None:
        if "?ran" in made.url:
            ran.append(made.url)

    page.on("dialog", dialog)
    page.on("request", request)
    return ran


def test_row_31_no_script_of_an_uploaded_file_runs(real: RealGateway, new_context: NewContext) -> None:
    key = real.command("key", "create", "--tenant", "demo")["key"]
    there = {name: uploaded(real, key, name, data) for name, data in EVIL.items()}
    addresses = [url for url in there.values() if url]
    assert addresses, "nothing was kept, so nothing was shown"
    page = new_context().new_page()
    ran = watched(page)
    page.on("download", lambda download: download.cancel())
    for url in addresses:
        try:
            page.goto(url)
            page.wait_for_load_state()
            assert page.title() != "ran"
        except Exception as error:  # a download is no page
            assert "Download is starting" in str(error) or "ERR_ABORTED" in str(error), error
    # On the gateway's own origin, where a script would have the console's cookie: a page of ours as the frame.
    page.goto(f"{real.url}/demo")
    for url in addresses:
        page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", AROUND.format(url))
    page.wait_for_load_state("networkidle")
    assert page.title() != "ran"
    assert ran == []


def test_the_proof_can_fail(new_context: NewContext, real: RealGateway) -> None:
    """The same page, if it was served as one, does run its script."""
    page = new_context().new_page()
    ran = watched(page)
    page.route(f"{real.url}/evil", lambda route: route.fulfill(body=HTML, content_type="text/html"))
    page.goto(f"{real.url}/evil")
    page.wait_for_load_state("networkidle")
    assert page.title() == "ran" and ran
