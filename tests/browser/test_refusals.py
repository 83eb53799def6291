"""What a visitor reads when the gateway says no, and what the site's owner finds in the console."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Chat
from tests.browser.gateway_double import SITE, GatewayDouble

KEY = f"parley:{SITE}:token"


def test_an_origin_that_is_not_allowed(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(f"{gateway.origin}/page").open()
    expect(chat.banner).to_have_text("Chat is not available on this page. Please contact us another way.")
    expect(chat.input).to_be_disabled()
    assert any(f"{gateway.origin} is not an allowed origin" in line for line in chat.errors)
    assert len(gateway.sessions) == 1


def test_an_unknown_site(chat: Chat, gateway: GatewayDouble) -> None:
    gateway.refuse = 404
    chat.visit(gateway.page()).open()
    expect(chat.banner).to_contain_text("Chat is not available")
    assert any("Check data-site" in line for line in chat.errors)


def test_too_many(chat: Chat, gateway: GatewayDouble) -> None:
    # The wait is noted and cut short.
    chat.page.add_init_script(
        """window.waits = [];
        Math.random = () => 0;
        const wait = setTimeout;
        window.setTimeout = (run, time) => {
          if (time < 30000) return wait(run, time);
          window.waits.push(time);
          return wait(run, 100);
        };"""
    )
    gateway.refuse = 429
    chat.visit(gateway.page(open="1"))
    expect(chat.banner).to_contain_text("Many people are writing at the moment.")
    chat.page.wait_for_function("window.waits.length > 0")
    gateway.refuse = None
    gateway.wait_connected()
    expect(chat.banner).to_be_empty()
    assert set(chat.page.evaluate("window.waits")) == {30000}


def test_a_token_that_is_refused_is_forgotten(chat: Chat, gateway: GatewayDouble) -> None:
    chat.page.add_init_script(f"localStorage.getItem('{KEY}') || localStorage.setItem('{KEY}', '\"forged\"')")
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    assert [(session["token"], session["status"]) for session in gateway.sessions] == [
        ("forged", 401),
        (None, 200),
    ]
    chat.write("hello")
    expect(chat.page.locator(".tick")).to_have_attribute("data-state", "sent")


@pytest.mark.parametrize("code", [1012, 1013, 4401])
def test_a_closed_socket_is_opened_again(chat: Chat, gateway: GatewayDouble, code: int) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.drop(code)
    gateway.wait(lambda: len(gateway.of("resume")) == 2, "a second resume")
    expect(chat.banner).to_be_empty()
    tokens = [session["token"] for session in gateway.sessions]
    assert tokens[0] is None
    assert tokens[1] in gateway.visitors


def test_a_site_that_closes(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.drop(4403)
    expect(chat.banner).to_have_text("This chat is closed. Please contact us another way.")
    expect(chat.input).to_be_disabled()
    assert len(gateway.sessions) == 1


def test_slow_down_pauses_and_goes_on(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit_frozen(gateway.page()).open()
    gateway.wait_connected()
    gateway.reject = {"code": "slow_down", "text": "slow down"}
    chat.write("too quick")
    expect(chat.banner).to_have_text("That was quick. Your messages are sent in a moment.")
    expect(chat.bubble("too quick").locator(".tick")).to_have_attribute("data-state", "waiting")
    chat.page.clock.run_for(10_100)
    expect(chat.bubble("too quick").locator(".tick")).to_have_attribute("data-state", "sent")
    expect(chat.banner).to_be_empty()
