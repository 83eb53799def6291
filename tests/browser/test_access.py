"""For everybody: keyboard, screen reader, right-to-left, reduced motion, phone and desktop."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Chat, NewContext
from tests.browser.gateway_double import GatewayDouble, Json

AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
FORM: Json = {
    "type": "form",
    "text": "Your details",
    "fields": [
        {"name": "name", "label": "Name", "required": True},
        {"name": "phone", "label": "Phone", "kind": "phone", "error": "Too short", "value": "12"},
        {"name": "email", "label": "E-mail", "kind": "email"},
    ],
    "submit": "Send details",
    "cancel": "No, thanks",
    "consent": "Only to call you back.",
}


def axe(chat: Chat) -> list[str]:
    """The violations that axe-core finds on the whole page, the widget's shadow tree included."""
    chat.page.evaluate(AXE)
    found: dict[str, Any] = chat.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {json.dumps([node['html'] for node in rule['nodes']])}"
        for rule in found["violations"]
    ]


def fill(chat: Chat, gateway: GatewayDouble) -> None:
    gateway.wait_connected()
    chat.write("hello https://lumen.example/mine")
    expect(chat.page.locator(".tick")).to_have_attribute("data-state", "sent")
    sources = [{"title": "Prices", "url": "https://lumen.example/prices", "page": 2}, {"title": "Handbook"}]
    gateway.say({"type": "text", "text": "See https://lumen.example/a", "sources": sources})
    pressed = {"type": "buttons", "text": "Which?", "choices": [{"id": "a", "title": "This"}]}
    gateway.say(pressed)
    chat.page.get_by_role("button", name="This").click()
    expect(chat.page.locator(".tick[data-state=sent]")).to_have_count(2)
    gateway.say({"type": "system", "text": "A person joined."})
    gateway.say(FORM)
    gateway.reject = {"code": "bad_content", "text": "Not this."}
    chat.write("refused")
    expect(chat.page.get_by_role("button", name="Try again")).to_be_visible()
    gateway.say({**pressed, "choices": [{"id": "b", "title": "That"}]}, "agent")
    gateway.send({"t": "typing", "on": True})
    expect(chat.page.locator(".typing")).to_be_visible()


@pytest.mark.parametrize("color", ["#0f5f59", "#ffd400", "#ffffff", "#777777", "#e05a00"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(
    new_context: NewContext, gateway: GatewayDouble, viewport: dict[str, int], color: str
) -> None:
    gateway.site["color"] = color
    context = new_context(viewport=viewport, reduced_motion="reduce")
    chat = Chat(context.new_page()).visit(f"{gateway.page_origin}/demo")
    expect(chat.launcher).to_be_visible()
    assert axe(chat) == []
    chat.open()
    fill(chat, gateway)
    assert axe(chat) == []
    gateway.refuse = 503
    gateway.drop()
    expect(chat.banner).to_contain_text("Reconnecting…")
    assert axe(chat) == []


def test_keyboard_only(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page())
    expect(chat.launcher).to_be_visible()
    keyboard = chat.page.keyboard
    chat.page.locator("#search").focus()
    keyboard.press("Tab")
    expect(chat.launcher).to_be_focused()
    expect(chat.launcher).to_have_attribute("aria-expanded", "false")
    expect(chat.launcher).to_have_css("outline-style", "solid")
    keyboard.press("Enter")
    expect(chat.input).to_be_focused()
    expect(chat.launcher).to_have_attribute("aria-expanded", "true")
    gateway.wait_connected()
    keyboard.type("one")
    keyboard.press("Shift+Enter")
    keyboard.type("two")
    keyboard.press("Enter")
    gateway.wait(lambda: bool(gateway.of("send")), "the message")
    assert gateway.of("send")[0]["content"]["text"] == "one\ntwo"
    gateway.say({"type": "buttons", "text": "Which?", "choices": [{"id": "a", "title": "This"}]})
    choice = chat.page.get_by_role("button", name="This")
    expect(choice).to_be_visible()
    expect(chat.input).to_be_focused()
    keyboard.press("Shift+Tab")
    expect(choice).to_be_focused()
    keyboard.press("Enter")
    expect(chat.input).to_be_focused()
    # A busy machine may make the widget say something twice; an id says it is the same.
    gateway.wait(lambda: len({f["id"] for f in gateway.of("send")}) == 2, "the choice")
    keyboard.press("Escape")
    expect(chat.panel).to_be_hidden()
    expect(chat.launcher).to_be_focused()


def test_every_control_can_be_reached_by_tab(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say(FORM)
    expect(chat.page.get_by_label("Name")).to_be_visible()
    chat.page.get_by_role("button", name="Sound for new messages").focus()
    names = []
    for _ in range(9):
        names.append(chat.page.evaluate(
            """() => {
              const node = document.querySelector("parley-chat").shadowRoot.activeElement;
              return node.getAttribute("aria-label") || node.name || node.id || node.textContent;
            }"""
        ))  # fmt: skip
        chat.page.keyboard.press("Tab")
    assert names == [
        "Sound for new messages", "Close chat", "Messages", "name", "phone", "email", "Send details",
        "No, thanks", "message",
    ]  # fmt: skip


def test_new_messages_do_not_take_the_focus(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    chat.page.locator("#search").focus()
    gateway.say(FORM)
    gateway.say("and a text")
    expect(chat.bubble("and a text")).to_be_visible()
    expect(chat.page.locator("#search")).to_be_focused()
    expect(chat.log).to_have_attribute("aria-live", "polite")


def test_arabic_reads_from_right_to_left(chat: Chat, gateway: GatewayDouble) -> None:
    gateway.site |= {"language": "ar", "title": "لومن", "greeting": "مرحبًا", "position": "left"}
    chat.visit(gateway.page(language="ar")).open()
    gateway.wait_connected()
    chat.write("Hello")
    gateway.say("مرحبًا بك")
    expect(chat.page.locator(".root")).to_have_attribute("dir", "rtl")
    expect(chat.page.locator(".root")).to_have_attribute("lang", "ar")
    theirs, mine = chat.bubble("مرحبًا بك"), chat.bubble("Hello")
    expect(theirs).to_be_visible()
    panel = chat.panel.bounding_box()
    left, right = mine.locator(".body").bounding_box(), theirs.locator(".body").bounding_box()
    assert panel and left and right
    assert left["x"] - panel["x"] < 30
    assert panel["x"] + panel["width"] - right["x"] - right["width"] < 30
    assert panel["x"] < 100
    expect(mine.locator(".text")).to_have_attribute("dir", "auto")
    expect(mine.locator(".text")).to_have_css("direction", "ltr")
    expect(theirs.locator(".text")).to_have_css("direction", "rtl")
    expect(chat.input).to_have_css("direction", "rtl")
    assert axe(chat) == []


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_motion_only_where_it_is_welcome(
    new_context: NewContext, gateway: GatewayDouble, motion: str
) -> None:
    context = new_context(reduced_motion=motion)
    chat = Chat(context.new_page()).visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say("hello")
    gateway.send({"t": "typing", "on": True})
    expect(chat.page.locator(".typing")).to_be_visible()
    moving = chat.page.locator("parley-chat *").evaluate_all(
        """nodes => nodes.filter((node) => {
          const { animationName, transitionDuration } = getComputedStyle(node);
          return animationName !== "none" || transitionDuration.split(", ").some((time) => time !== "0s");
        }).length"""
    )
    assert (moving == 0) is (motion == "reduce")


def test_a_phone_gets_the_whole_screen(new_context: NewContext, gateway: GatewayDouble) -> None:
    context = new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    chat = Chat(context.new_page()).visit(gateway.page())
    chat.launcher.tap()
    expect(chat.panel).to_be_visible()
    expect(chat.launcher).to_be_hidden()
    chat.panel.evaluate("panel => Promise.all(panel.getAnimations().map((animation) => animation.finished))")
    assert chat.panel.bounding_box() == {"x": 0, "y": 0, **PHONE}
    # The keyboard takes its part of the screen; the composer stays above it.
    chat.page.set_viewport_size({"width": 390, "height": 500})
    expect(chat.page.locator(".root")).to_have_attribute("style", re.compile("--height: 500px"))
    box = chat.input.bounding_box()
    assert box and box["y"] + box["height"] <= 500
    chat.page.get_by_role("button", name="Close chat").first.tap()
    expect(chat.launcher).to_be_visible()


def test_a_desktop_gets_a_card(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    chat.panel.evaluate("panel => Promise.all(panel.getAnimations().map((animation) => animation.finished))")
    box = chat.panel.bounding_box()
    assert box and (box["width"], box["height"], box["x"]) == (380, 600, 1280 - 380 - 20)
    gateway.wait_connected()
    chat.page.set_viewport_size({"width": 1280, "height": 480})
    box = chat.panel.bounding_box()
    assert box and box["y"] >= 0


def test_the_demo_page_fits_a_phone(new_context: NewContext, gateway: GatewayDouble) -> None:
    page = new_context(viewport={"width": 320, "height": 640}).new_page()
    page.goto(f"{gateway.page_origin}/demo")
    expect(page.get_by_role("heading", name="Opening hours")).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
