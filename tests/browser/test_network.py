"""What the widget does when network, gateway or another tab fails it. Nothing said is lost or doubled."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Chat, NewContext
from tests.browser.gateway_double import GREETING, GatewayDouble


def unsent(chat: Chat) -> int:
    count: int = chat.page.evaluate(
        "Object.keys(localStorage).filter((key) => key.includes(':unsent:')).length"
    )
    return count


def sent_ticks(chat: Chat, count: int) -> None:
    expect(chat.page.locator(".tick[data-state=sent]")).to_have_count(count)


def test_a_queued_message_survives_offline_a_dead_gateway_and_a_reload(
    chat: Chat, gateway: GatewayDouble
) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    chat.write("before")
    sent_ticks(chat, 1)

    chat.page.context.set_offline(True)
    expect(chat.banner).to_contain_text("Reconnecting…")
    chat.write("while offline")
    pending = chat.bubble("while offline").locator(".tick")
    expect(pending).to_have_attribute("data-state", "waiting")
    expect(pending).to_have_text("Waiting to be sent")

    gateway.refuse = 503
    gateway.drop()
    chat.page.context.set_offline(False)
    chat.page.reload()
    expect(chat.bubble("while offline")).to_be_visible()
    expect(pending).to_have_attribute("data-state", "waiting")
    assert unsent(chat) == 1

    gateway.refuse = None
    chat.page.evaluate("dispatchEvent(new Event('online'))")
    expect(pending).to_have_attribute("data-state", "sent")
    expect(chat.banner).to_be_empty()
    sent_ticks(chat, 2)
    assert chat.texts() == [GREETING, "before", "while offline"]
    assert unsent(chat) == 0
    assert [message["content"]["text"] for message in gateway.visitor().messages] == [
        "before",
        "while offline",
    ]


def test_a_lost_acknowledgement_doubles_nothing(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.lose_acks = True
    chat.write("once")
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the first try")
    expect(chat.bubble("once").locator(".tick")).to_have_attribute("data-state", "waiting")
    gateway.lose_acks = False
    gateway.drop()
    sent_ticks(chat, 1)
    assert chat.texts() == [GREETING, "once"]
    assert len(gateway.visitor().messages) == 1
    assert unsent(chat) == 0


def test_an_acknowledgement_that_never_comes_is_asked_for_again(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit_frozen(gateway.page()).open()
    gateway.wait_connected()
    gateway.lose_acks = True
    chat.write("hello?")
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the first try")
    gateway.lose_acks = False
    chat.page.clock.run_for(10_100)
    sent_ticks(chat, 1)
    first, second = gateway.of("send")
    assert first["id"] == second["id"]
    assert len(gateway.visitor().messages) == 1


def test_repeats_are_dropped_and_order_is_by_seq(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    chat.page.evaluate("window.events = []; Parley.on('message', ({ text }) => events.push(text)); 0")
    first = gateway.say("first")
    visitor = gateway.visitor()
    second = visitor.add("bot", {"type": "text", "text": "second"})
    third = visitor.add("bot", {"type": "text", "text": "third"})
    for message in (third, first, second, third, first):
        gateway.send({"t": "message", "message": message})
    gateway.send({"t": "messages", "messages": [first, second, third], "more": False, "older": False})
    gateway.say("last")
    expect(chat.bubble("last")).to_be_visible()
    assert chat.texts() == [GREETING, "first", "second", "third", "last"]
    assert chat.page.evaluate("events") == ["first", "third", "second", "last"]


def test_what_was_missed_is_fetched_after_a_cut(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say("seen before")
    expect(chat.bubble("seen before")).to_be_visible()
    visitor = gateway.visitor()
    for number in range(1, 121):
        visitor.add("agent", {"type": "text", "text": f"missed {number}"})
    gateway.drop()
    expect(chat.bubble("missed 120")).to_be_visible()
    assert chat.texts() == [GREETING, "seen before", *(f"missed {number}" for number in range(1, 121))]
    assert [frame["after"] for frame in gateway.of("resume")] == [0, 1, 51, 101]


def test_two_tabs_are_one_conversation(new_context: NewContext, gateway: GatewayDouble) -> None:
    context = new_context()
    one = Chat(context.new_page()).visit(gateway.page()).open()
    gateway.wait_connected()
    two = Chat(context.new_page()).visit(gateway.page()).open()
    gateway.wait_connected(2)
    one.write("from one")
    expect(two.bubble("from one")).to_be_visible()
    two.write("from two")
    expect(one.bubble("from two")).to_be_visible()
    gateway.say("to both")
    for tab in (one, two):
        expect(tab.bubble("to both")).to_be_visible()
        sent_ticks(tab, 2)
        assert tab.texts() == [GREETING, "from one", "from two", "to both"]


def test_two_tabs_share_a_queue_without_a_fight(new_context: NewContext, gateway: GatewayDouble) -> None:
    context = new_context()
    tabs = [Chat(context.new_page()), Chat(context.new_page())]
    for count, tab in enumerate(tabs, 1):
        tab.visit(gateway.page()).open()
        gateway.wait_connected(count)
    gateway.refuse = 503
    gateway.drop()
    for number, tab in enumerate(tabs, 1):
        expect(tab.banner).to_contain_text("Reconnecting…")
        tab.write(f"queued in {number}")
    assert unsent(tabs[0]) == 2
    gateway.refuse = None
    for tab in tabs:
        tab.page.evaluate("dispatchEvent(new Event('online'))")
    for tab in tabs:
        sent_ticks(tab, 2)
    stored = sorted(message["content"]["text"] for message in gateway.visitor().messages)
    assert stored == ["queued in 1", "queued in 2"]
    assert unsent(tabs[0]) == 0


def test_a_burst_stays_below_the_gateways_limit(chat: Chat, gateway: GatewayDouble) -> None:
    gateway.refuse = 503
    chat.visit(gateway.page()).open()
    expect(chat.banner).to_contain_text("Reconnecting…")
    texts = [f"number {number}" for number in range(1, 26)]
    for text in texts:
        chat.write(text)
    gateway.refuse = None
    chat.page.evaluate("dispatchEvent(new Event('online'))")
    expect(chat.page.locator(".tick[data-state=sent]")).to_have_count(25, timeout=40_000)
    assert [message["content"]["text"] for message in gateway.visitor().messages] == texts
    assert len(gateway.of("send")) == 25


def test_the_queue_is_bounded(chat: Chat, gateway: GatewayDouble) -> None:
    gateway.refuse = 503
    chat.visit(gateway.page()).open()
    expect(chat.banner).to_contain_text("Reconnecting…")
    for number in range(50):
        chat.write(f"number {number}")
    chat.write("one too many")
    expect(chat.banner).to_contain_text("Too many messages are waiting.")
    expect(chat.input).to_have_value("one too many")
    assert unsent(chat) == 50


def test_a_silent_network_is_noticed(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit_frozen(gateway.page()).open()
    gateway.wait_connected()
    chat.page.clock.run_for(25_100)
    gateway.wait(lambda: len(gateway.of("ping")) == 1, "a ping")
    gateway.say("alive")
    expect(chat.bubble("alive")).to_be_visible()
    gateway.mute, gateway.refuse = True, 503
    chat.page.clock.run_for(25_100)
    gateway.wait(lambda: len(gateway.of("ping")) == 2, "a second ping")
    chat.page.clock.run_for(10_100)
    expect(chat.banner).to_contain_text("Reconnecting…")
    gateway.mute, gateway.refuse = False, None
    chat.page.evaluate("dispatchEvent(new Event('online'))")
    expect(chat.banner).to_be_empty()
    gateway.wait(lambda: len(gateway.of("resume")) == 2, "a second resume")


@pytest.mark.parametrize("hangs_up", [False, True], ids=["no session", "socket closed at once"])
def test_tries_grow_apart(chat: Chat, gateway: GatewayDouble, hangs_up: bool) -> None:
    waits = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
    # The longest that chance allows, noted and cut short.
    chat.page.add_init_script(
        f"""window.waits = [];
        Math.random = () => 1;
        const wait = setTimeout;
        window.setTimeout = (run, time) => {{
          if (!{waits}.includes(time)) return wait(run, time);
          window.waits.push(time);
          return wait(run, 1);
        }};"""
    )
    gateway.hang_up, gateway.refuse = hangs_up, None if hangs_up else 503
    chat.visit(gateway.page(open="1"))
    chat.page.wait_for_function(f"window.waits.length >= {len(waits)}")
    assert chat.page.evaluate(f"window.waits.slice(0, {len(waits)})") == waits


def test_coming_back_online_hurries(chat: Chat, gateway: GatewayDouble) -> None:
    gateway.refuse = 503
    chat.visit_frozen(gateway.page()).open()
    expect(chat.banner).to_contain_text("Reconnecting…")
    gateway.refuse = None
    # The clock stands still: no timer can be what connects.
    chat.page.evaluate("dispatchEvent(new Event('online'))")
    gateway.wait_connected()
    expect(chat.banner).to_be_empty()
