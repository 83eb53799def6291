"""The marketing box of a form: there to be ticked by whoever wants to, and by nobody else."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Chat, NewContext
from tests.browser.gateway_double import GatewayDouble, Json
from tests.browser.test_access import FORM, axe

WORDS = "Yes, send me offers, at most two a month."
BOX: Json = {"name": "marketing", "label": WORDS, "kind": "checkbox", "required": False}


def form(**box: str) -> Json:
    fields = [{"name": "name", "label": "Name", "required": True}, {**BOX, **box}]
    return {**FORM, "fields": fields}


def test_it_is_unticked_and_what_is_not_ticked_is_not_sent_as_such(
    chat: Chat, gateway: GatewayDouble
) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say(form())
    box = chat.page.get_by_role("checkbox", name=WORDS)
    expect(box).not_to_be_checked()
    assert box.get_attribute("required") is None
    chat.page.get_by_label("Name").fill("Ana")
    chat.page.get_by_role("button", name="Send details").click()
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the form's answer")
    assert gateway.of("send")[0]["content"]["values"] == {"name": "Ana", "marketing": ""}


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_is_ticked_by_key_or_by_its_words_and_read_out(
    gateway: GatewayDouble, new_context: NewContext, viewport: dict[str, int]
) -> None:
    chat = Chat(new_context(viewport=viewport).new_page()).visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say(form())
    box = chat.page.get_by_role("checkbox", name=WORDS)
    assert axe(chat) == []
    chat.page.get_by_label("Name").fill("Ana")
    chat.page.keyboard.press("Tab")
    expect(box).to_be_focused()
    chat.page.keyboard.press("Space")
    expect(box).to_be_checked()
    chat.page.get_by_text(WORDS).click()
    expect(box).not_to_be_checked()
    chat.page.get_by_text(WORDS).click()
    assert axe(chat) == []
    chat.page.get_by_role("button", name="Send details").click()
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the form's answer")
    assert gateway.of("send")[0]["content"]["values"] == {"name": "Ana", "marketing": "yes"}
    gateway.say(form(value="yes"))  # sent back for an error elsewhere: the tick is theirs
    again = chat.page.locator("form.form:visible").get_by_role("checkbox", name=WORDS)
    expect(again).to_be_checked()
