"""A person writes again from the console, in a real browser, on a phone and on a desk: choose, fill in, look, send."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from gateway.bootstrap import open_store
from gateway.model.content import Text
from gateway.model.conversation import Conversation
from gateway.model.message import Failure, Message, Status
from gateway.model.permission import Decision
from gateway.model.template import Button, Header, TemplateDef, template_id
from gateway.model.tenant import Channel
from gateway.settings import load
from gateway.store import Store
from tests.browser.conftest import DESKTOP, PHONE, NewContext
from tests.browser.story_gateway import RealGateway
from tests.browser.test_access import axe
from tests.browser.test_console_files import desk_of, in_a_thread

NOW = datetime.now(UTC).replace(microsecond=0)
OPEN, CLOSED = "cv_open", "cv_closed"
WABA = "102290129340398"
REASON = "The service window is closed: the customer's last message is too long ago for free text."
REMEDY = "Send a template; what is held is sent when they write again."


async def seed(store: Store) -> None:
    secrets = {"access_token": "EAAtoken", "app_secret": "s", "verify_token": "v"}
    await store.directory.add_channel(
        Channel("ch_wa", "demo", "whatsapp", "106", "Shop", NOW, config={"waba_id": WABA}, secrets=secrets)
    )
    own = store.of("demo")
    wrote = Conversation(OPEN, "demo", "ch_wa", "ct_1", "34600123456", NOW, name="Ana Silva", language="en")
    # From now, and not from when this module was read: that may be long ago.
    until = datetime.now(UTC) + timedelta(hours=3, minutes=15)
    wrote = replace(wrote, last_in=NOW, last_at=NOW, window_until=until.replace(microsecond=0))
    await own.conversations.create(wrote)
    before = NOW - timedelta(hours=2)
    await own.conversations.create(
        replace(wrote, id=CLOSED, contact="ct_2", last_in=NOW - timedelta(hours=26), window_until=before)
    )
    held = Message(
        id="m_held", tenant="demo", channel="ch_wa", conversation=CLOSED, direction="out", author="agent", seq=5,
        at=NOW, content=Text("Still there?"), status=Status.QUEUED, due=NOW + timedelta(days=6),
    )  # fmt: skip
    await own.messages.put_queued([held])
    decision = Decision("sent", NOW, False, "window_closed", REASON, REMEDY)
    failure = Failure("permission:window_closed", f"{REASON} {REMEDY}")
    await own.messages.hold(held, NOW + timedelta(days=6), failure, decision)
    first = TemplateDef(
        template_id("demo", WABA, "order_ready", "en_US"), "demo", WABA, "order_ready", "en_US", "UTILITY",
        "Hello {{1}}, your order {{2}} is ready to be picked up.", NOW, header=Header("text", "Good news"),
        footer="Lumen Bikes", buttons=(Button("url", "Track it", "https://shop.example/o/{{1}}", "https://shop.example/o/1"),
        Button("reply", "Thanks")), examples={"1": "Ana", "2": "A-17"}, state="APPROVED",
    )  # fmt: skip
    sale = replace(
        first, id="tp_sale", name="sale", category="MARKETING", header=None, buttons=(), body="All cheap."
    )
    for template in (first, replace(sale, id=template_id("demo", WABA, "sale", "en_US"))):
        await own.templates.put(template)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    gateway = RealGateway(tmp_path_factory.mktemp("again") / "data")
    gateway._environment["WHATSAPP_API_URL"] = "http://127.0.0.1:9"  # nobody is there
    gateway.start()

    async def write() -> None:
        async with open_store(load(gateway._environment), say=lambda _: None) as store:
            await seed(store)

    in_a_thread(write)
    yield gateway
    gateway.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_the_page_says_how_long_and_offers_a_template(
    shop: RealGateway, new_context: NewContext, size: dict[str, int], scheme: Any
) -> None:
    chat = desk_of(shop, new_context, viewport=size, color_scheme=scheme)
    page = chat.page
    page.goto(f"{shop.url}/console/conversations/{OPEN}")
    expect(page.locator(".window")).to_contain_text("left.")
    expect(page.locator(".window")).to_contain_text("3 h 1")
    expect(page.get_by_role("heading", name="Write with a template")).to_have_count(0)
    assert axe(chat) == []
    page.goto(f"{shop.url}/console/conversations/{CLOSED}")
    expect(page.locator(".window")).to_contain_text("only a template may be sent")
    expect(page.locator(".transcript")).to_contain_text(f"Held. {REASON} {REMEDY}")
    page.get_by_label("Template", exact=True).select_option(label="order_ready (en_US)")
    page.get_by_role("button", name="Choose").click()
    expect(page.get_by_label("Variable 1 in the text")).to_have_value("Ana")
    expect(page.locator(".seen")).to_contain_text("Hello Ana, your order {{2}} is ready to be picked up.")
    assert axe(chat) == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    page.get_by_label("Variable 2 in the text").fill("B-42")
    page.get_by_label("End of the address of the button").fill("B-42")
    page.get_by_role("button", name="Show it again").click()
    expect(page.locator(".seen")).to_contain_text("Hello Ana, your order B-42 is ready to be picked up.")
    expect(page.locator(".seen")).to_contain_text("https://shop.example/o/B-42")
    expect(page.get_by_label("Variable 2 in the text")).to_have_value("B-42")
    page.get_by_label("Variable 2 in the text").fill("")
    page.get_by_role("button", name="Send the template").click()
    expect(page.get_by_role("alert")).to_contain_text("expected a value for {{2}} in the text")
    assert axe(chat) == []
    assert [e for e in chat.errors if "422" not in e] == []
    assert chat.violations == []


def test_it_is_sent_with_the_keyboard_alone(shop: RealGateway, new_context: NewContext) -> None:
    page = desk_of(shop, new_context).page
    page.goto(f"{shop.url}/console/conversations/{CLOSED}")
    page.get_by_label("Template", exact=True).focus()
    page.keyboard.type("order")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_label("Variable 2 in the text").fill("C-1")
    page.get_by_label("End of the address of the button").fill("C-1")
    page.get_by_label("End of the address of the button").press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".transcript")).to_contain_text("Hello Ana, your order C-1 is ready to be picked up.")
    expect(page.locator(".transcript")).to_contain_text("template order_ready")


def test_what_would_not_be_sent_says_so(shop: RealGateway, new_context: NewContext) -> None:
    page = desk_of(shop, new_context, viewport=PHONE).page
    page.goto(f"{shop.url}/console/conversations/{CLOSED}")
    page.get_by_label("Template", exact=True).select_option(label="sale (en_US): not now")
    page.get_by_role("button", name="Choose").click()
    expect(page.get_by_text("It would not be sent now.")).to_contain_text("has not agreed to marketing")
