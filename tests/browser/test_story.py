"""The visitor's story on the real gateway, in a real browser, with the wire cut in the middle."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Chat, NewContext
from tests.browser.story_gateway import RealGateway
from tests.browser.test_access import axe


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    gateway = RealGateway(tmp_path_factory.mktemp("gateway") / "data")
    gateway.start()
    yield gateway
    gateway.stop()


def chat_on(real: RealGateway, new_context: NewContext, size: dict[str, int]) -> Chat:
    chat = Chat(new_context(viewport=size).new_page())
    return chat.visit(f"{real.url}/demo").open()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_visitor_asks_is_answered_loses_the_network_and_leaves_a_lead(
    real: RealGateway, new_context: NewContext, size: dict[str, int]
) -> None:
    name, typed, e164 = {
        1280: ("Ana Ruiz 🚲", "020 7946 0958", "+442079460958"),
        390: ("ليلى", "+34 612 34 56 78", "+34612345678"),
    }[size["width"]]
    chat = chat_on(real, new_context, size)
    page = chat.page

    chat.write("When are you open on Saturday?")
    expect(chat.bubble("9:30 to 16:00")).to_be_visible()
    expect(chat.bubble("Opening hours").last).to_be_visible()  # the source

    real.wire.cut()
    chat.write("Do you insure motorcycles?")
    expect(page.locator(".tick[data-state=sent]")).to_have_count(1)
    real.wire.mend()
    expect(page.locator(".tick[data-state=sent]")).to_have_count(2, timeout=40_000)
    expect(chat.bubble("I don't know that")).to_have_count(1)
    assert axe(chat) == []

    page.get_by_role("button", name="Yes, please").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Phone").fill("1234")
    page.get_by_role("button", name="Send", exact=True).first.click()
    expect(page.get_by_text("too short")).to_be_visible()
    assert axe(chat) == []
    page.get_by_label("Phone").last.fill(typed)
    page.get_by_role("button", name="Send", exact=True).first.click()
    expect(chat.bubble("Thank you!")).to_be_visible()

    page.reload()
    if size is PHONE:  # there the chat covers the page, so a reload shows the page first
        chat.open()
    expect(chat.bubble("Thank you!")).to_be_visible()
    second = Chat(page.context.new_page()).visit(f"{real.url}/demo").open()
    expect(second.bubble("Thank you!")).to_be_visible()

    leads = [x for x in real.command("lead", "list", "--tenant", "demo") if x["phone"] == e164]
    assert len(leads) == 1
    assert leads[0]["name"] == name
    assert leads[0]["question"] == "Do you insure motorcycles?"
    assert leads[0]["consent_text"] and leads[0]["consent_at"]
    key = real.command("key", "create", "--tenant", "demo")["key"]
    asked = urllib.request.Request(f"{real.url}/api/v1/leads", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(asked) as answer:
        assert e164 in [x["phone"] for x in json.load(answer)["items"]]

    desk = new_context(viewport=size).new_page()
    desk.goto(real.command("user", "link", "--email", "demo@example.com")["link"])
    desk.get_by_role("button", name="Sign in").click()
    desk.get_by_role("link", name="Leads").click()
    expect(desk.get_by_text(e164)).to_be_visible()
    assert axe(Chat(desk)) == []
    desk.get_by_role("link", name=name).first.click()
    expect(desk.get_by_text("Do you insure motorcycles?")).to_be_visible()
    assert axe(Chat(desk)) == []


def test_the_first_sign_in_link_works_once(real: RealGateway, new_context: NewContext) -> None:
    page = new_context().new_page()
    page.goto(real.link)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Conversations")).to_be_visible()
    assert axe(Chat(page)) == []
    other = new_context().new_page()
    other.goto(real.link)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("alert")).to_contain_text("used already")
    assert axe(Chat(other)) == []


def test_the_api_page_reads_well(real: RealGateway, new_context: NewContext) -> None:
    page = new_context().new_page()
    page.goto(f"{real.url}/api/docs")
    expect(page.get_by_role("heading", name="Parley API")).to_be_visible()
    assert axe(Chat(page)) == []


def test_folders_are_private(real: RealGateway, tmp_path: Path) -> None:
    data = Path(real._environment["DATA_DIR"])
    assert data.stat().st_mode & 0o077 == 0
    assert (data / "secret.key").stat().st_mode & 0o077 == 0
