"""The story of a chat, as a visitor lives it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Chat, NewContext
from tests.browser.gateway_double import GREETING, SITE, GatewayDouble, Json, Visitor
from tests.browser.test_access import axe

CHOICES = {
    "type": "buttons",
    "text": "What is it about?",
    "choices": [{"id": "repair", "title": "A repair"}, {"id": "rent", "title": "Renting"}],
}
FORM: Json = {
    "type": "form",
    "text": "We call you back.",
    "fields": [
        {"name": "name", "label": "Name", "required": True},
        {"name": "phone", "label": "Phone", "kind": "phone", "required": True},
        {"name": "email", "label": "E-mail", "kind": "email"},
    ],
    "submit": "Call me",
    "cancel": "No, thanks",
    "consent": "We use this to call you back.",
}


def form_with(**changes: Json) -> Json:
    """FORM with keys of its fields changed, by field name."""
    fields = [{**item, **changes.get(str(item["name"]), {})} for item in FORM["fields"]]
    return {**FORM, "fields": fields}


def test_a_chat_from_greeting_to_answer(chat: Chat, gateway: GatewayDouble) -> None:
    def answer(visitor: Visitor, content: Json) -> None:
        visitor.add("bot", {"type": "text", "text": f"You said: {content['text']}"})

    gateway.on_send = answer
    chat.visit(gateway.page()).open()
    expect(chat.panel).to_have_accessible_name("Lumen Bikes")
    expect(chat.bubble(GREETING)).to_be_visible()
    expect(chat.input).to_be_focused()
    chat.write("Is the shop open?")
    expect(chat.bubble("You said: Is the shop open?")).to_be_visible()
    expect(chat.input).to_have_value("")
    expect(chat.input).to_be_focused()
    tick = chat.page.locator(".msg.you .tick")
    expect(tick).to_have_attribute("data-state", "sent")
    expect(tick).to_have_text("Sent")
    assert chat.texts() == [GREETING, "Is the shop open?", "You said: Is the shop open?"]
    session = gateway.sessions[0]
    assert (session["site"], session["token"], session["type"]) == (SITE, None, "text/plain")
    gateway.wait(lambda: bool(gateway.of("seen")), "seen")
    assert gateway.of("delivered")[-1]["upto"] == gateway.of("seen")[-1]["upto"] == 2
    assert gateway.of("typing")
    assert chat.errors == []


def test_no_socket_is_spent_on_who_only_looks(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page())
    expect(chat.launcher).to_be_visible()
    assert gateway.frames == []
    chat.open()
    gateway.wait_connected()
    assert gateway.frames[0] == {"t": "resume", "after": 0}


def test_loading_twice_is_harmless(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page(tags="2")).open()
    gateway.wait_connected()
    expect(chat.page.locator("parley-chat")).to_have_count(1)
    assert len([path for path in gateway.paths if "app.js?v=" in path]) == 1
    assert chat.errors == []


def test_scripts_blocked_leaves_the_page_as_it_is(new_context: NewContext, gateway: GatewayDouble) -> None:
    page = new_context(java_script_enabled=False).new_page()
    page.goto(gateway.page())
    expect(page.locator("parley-chat")).to_have_count(0)
    expect(page.get_by_role("heading", name="Shop")).to_be_visible()


def test_the_page_steers_the_chat(chat: Chat, gateway: GatewayDouble) -> None:
    chat.page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
          const timer = setInterval(() => {
            if (!window.Parley) return;
            clearInterval(timer);
            window.seen = [];
            for (const name of ["open", "close", "message", "unread"]) {
              window.Parley.on(name, (detail) => window.seen.push([name, detail?.text ?? detail ?? null]));
            }
            window.Parley.on("open", () => { throw new Error("the page's own mistake"); });
            window.Parley.open();
          }, 1);
        });"""
    )
    chat.visit(gateway.page())
    expect(chat.panel).to_be_visible()
    gateway.wait_connected()
    gateway.say("hello")
    expect(chat.bubble("hello")).to_be_visible()
    chat.page.evaluate("Parley.toggle()")
    expect(chat.panel).to_be_hidden()
    gateway.say("again")
    expect(chat.badge).to_have_text("1")
    chat.page.evaluate("Parley.toggle(), Parley.close(), Parley.open()")
    expect(chat.badge).to_be_hidden()
    chat.write("mine")
    chat.page.wait_for_function("seen.some(([name, text]) => name === 'message' && text === 'mine')")
    seen = chat.page.evaluate("seen")
    events = [["open", None], ["message", "hello"], ["close", None], ["unread", 1], ["message", "again"]]
    assert [event for event in seen if event != ["unread", 0]][:5] == events
    assert chat.page.evaluate("Object.keys(Parley)") == ["open", "close", "toggle", "on"]


def test_data_open_opens_without_taking_the_focus(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page(open="1"))
    expect(chat.panel).to_be_visible()
    gateway.wait_connected()
    expect(chat.input).not_to_be_focused()
    chat.page.get_by_role("button", name="Close chat").first.click()
    chat.page.reload()
    expect(chat.launcher).to_be_visible()
    expect(chat.panel).to_be_hidden()


def test_buttons_are_pressed_once(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    offered = gateway.say(CHOICES)
    renting = chat.page.get_by_role("button", name="Renting")
    renting.click()
    expect(renting).to_be_disabled()
    expect(chat.page.get_by_role("button", name="A repair")).to_be_disabled()
    gateway.wait(lambda: bool(gateway.of("send")), "the reply")
    expected = {"type": "reply", "id": "rent", "title": "Renting", "to": offered["id"]}
    assert gateway.of("send")[0]["content"] == expected
    expect(chat.page.locator(".msg.you .text")).to_have_text("Renting")
    chat.page.reload()
    gateway.wait_connected()
    expect(renting).to_be_disabled()
    expect(renting).to_have_class(re.compile("pressed"))


def test_buttons_close_when_the_visitor_writes_instead(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say(CHOICES)
    expect(chat.page.get_by_role("button", name="Renting")).to_be_enabled()
    chat.write("Something else")
    expect(chat.page.get_by_role("button", name="Renting")).to_be_disabled()


def test_a_form_with_errors_from_the_server(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    first = gateway.say(FORM)
    name, phone = chat.page.get_by_label("Name"), chat.page.get_by_label("Phone")
    email = chat.page.get_by_label("E-mail")
    assert [name.get_attribute("autocomplete"), name.get_attribute("required")] == ["name", ""]
    assert [phone.get_attribute("autocomplete"), phone.get_attribute("inputmode")] == ["tel", "tel"]
    assert [email.get_attribute("autocomplete"), email.get_attribute("type")] == ["email", "email"]
    expect(chat.page.get_by_text("We use this to call you back.")).to_be_visible()

    chat.page.get_by_role("button", name="Call me").click()
    expect(name).to_be_focused()
    expect(name).to_have_accessible_description("Please fill this in.")
    email.fill("not an address")
    name.fill("Ana")
    phone.fill("12")
    chat.page.get_by_role("button", name="Call me").click()
    expect(email).to_have_attribute("aria-invalid", "true")
    assert gateway.of("send") == []
    email.fill("ana@example.com")
    phone.press("Enter")
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the form's answer")
    values = {"name": "Ana", "phone": "12", "email": "ana@example.com"}
    assert gateway.of("send")[0]["content"] == {"type": "form_reply", "values": values, "to": first["id"]}
    expect(phone).to_be_disabled()
    expect(phone).to_have_value("12")

    second = gateway.say(form_with(phone={"error": "That number is too short.", "value": "12"}))
    phone, name = chat.page.get_by_label("Phone"), chat.page.get_by_label("Name")
    expect(chat.page.locator("form.form:visible")).to_have_count(1)
    visible = chat.page.locator("form.form:visible")
    expect(visible.get_by_label("Phone")).to_have_accessible_description("That number is too short.")
    expect(visible.get_by_label("Phone")).to_have_attribute("aria-invalid", "true")
    expect(visible.get_by_label("Phone")).to_be_focused()
    expect(visible.get_by_label("Name")).to_have_value("Ana")
    visible.get_by_label("Phone").fill("+351 912 345 678")
    visible.get_by_role("button", name="Call me").click()
    gateway.wait(lambda: len(gateway.of("send")) == 2, "the second answer")
    answer = gateway.of("send")[1]["content"]
    assert (answer["to"], answer["values"]["phone"]) == (second["id"], "+351 912 345 678")
    gateway.say("Thank you, Ana.")
    expect(chat.bubble("Thank you, Ana.")).to_be_visible()
    expect(visible).to_have_count(0)


def test_a_form_is_cancelled(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    asked = gateway.say(FORM)
    chat.page.get_by_role("button", name="No, thanks").click()
    gateway.wait(lambda: bool(gateway.of("send")), "the cancellation")
    expected = {"type": "form_reply", "values": {}, "to": asked["id"], "cancelled": True}
    assert gateway.of("send")[0]["content"] == expected
    expect(chat.bubble("Form cancelled")).to_be_visible()


def test_an_answer_is_shown_while_it_is_written_and_the_message_takes_its_place(
    chat: Chat, gateway: GatewayDouble
) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    draft = chat.page.locator(".typing")
    for text in ("We open at nine.", "We open at nine. <b>On Sundays</b> we rest."):
        gateway.send({"t": "typing", "on": True, "text": text})
        expect(draft).to_have_text(text)
    # Another answer is being written in its place: nothing of the first one stays.
    gateway.send({"t": "typing", "on": True, "text": ""})
    expect(draft).to_have_text("Typing…")
    gateway.send({"t": "typing", "on": True, "text": "Nine to five."})
    gateway.say("Nine to five.")
    expect(draft).to_be_hidden()
    expect(chat.bubble("Nine to five.")).to_have_count(1)
    assert chat.errors == []


def test_an_answer_from_documents_can_be_rated_and_that_taken_back(
    chat: Chat, gateway: GatewayDouble
) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say("Hello!")
    gateway.say({"type": "text", "text": "Nine to five.", "sources": [{"title": "Hours"}]})
    up, down = (chat.page.get_by_role("button", name=f"{word} answer") for word in ("Good", "Bad"))
    expect(up).to_have_count(1)  # only what rests on documents
    for button, said in ((up, "up"), (down, "down"), (down, None)):
        before = len(gateway.of("rate"))
        button.click()
        gateway.wait(lambda before=before: len(gateway.of("rate")) > before, "a rating")  # type: ignore[misc]
        assert gateway.of("rate")[-1]["thumb"] == said
        expect(button).to_have_attribute("aria-pressed", "true" if said else "false")
    expect(up).to_have_attribute("aria-pressed", "false")
    assert axe(chat) == []


def test_typing_on_both_sides(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit_frozen(gateway.page()).open()
    gateway.wait_connected()
    gateway.send({"t": "typing", "on": True})
    expect(chat.page.locator(".typing")).to_contain_text("Typing…")
    gateway.say("Here it is.")
    expect(chat.page.locator(".typing")).to_be_hidden()
    chat.input.press_sequentially("hello")
    gateway.wait(lambda: len(gateway.of("typing")) == 1, "typing")
    chat.page.clock.run_for(3100)
    chat.input.press_sequentially(" you")
    gateway.wait(lambda: len(gateway.of("typing")) == 2, "typing again after three seconds")


def test_unread_messages_are_counted_and_seen(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    chat.write("hello")
    expect(chat.page.locator(".tick")).to_have_attribute("data-state", "sent")
    chat.page.keyboard.press("Escape")
    gateway.say("first")
    last = gateway.say("second", sender="agent")
    expect(chat.badge).to_have_text("2")
    expect(chat.launcher).to_have_accessible_name("Open chat, 2 unread")
    gateway.wait(lambda: any(frame["upto"] == last["seq"] for frame in gateway.of("delivered")), "delivered")
    assert all(frame["upto"] < last["seq"] for frame in gateway.of("seen"))
    chat.page.reload()
    expect(chat.badge).to_have_text("2")
    chat.open()
    expect(chat.badge).to_be_hidden()
    gateway.wait(lambda: any(frame["upto"] == last["seq"] for frame in gateway.of("seen")), "seen")
    expect(chat.page.locator(".msg.agent .who")).to_have_text("Our team")


def test_older_messages_are_fetched(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    chat.write("hello")
    expect(chat.page.locator(".tick")).to_have_attribute("data-state", "sent")
    visitor = gateway.visitor()
    for number in range(2, 121):
        visitor.add("bot", {"type": "text", "text": f"message {number}"})
    chat.page.reload()
    expect(chat.bubble("message 120")).to_be_visible()
    expect(chat.page.locator(".msg")).to_have_count(50)
    expect(chat.bubble(GREETING)).to_have_count(0)
    chat.page.get_by_role("button", name="Show earlier messages").press("Enter")
    expect(chat.page.get_by_text("message 21", exact=True)).to_have_count(1)
    chat.page.locator(".scroll").evaluate("node => (node.scrollTop = 0)")
    expect(chat.page.get_by_text("hello", exact=True)).to_have_count(1)
    expect(chat.page.get_by_role("button", name="Show earlier messages")).to_be_hidden()
    assert chat.texts() == [GREETING, "hello", *(f"message {number}" for number in range(2, 121))]


def test_a_message_that_is_too_long(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    counter = chat.page.locator(".counter")
    chat.input.fill("x" * 3799)
    expect(counter).to_be_hidden()
    chat.input.fill("x" * 3990)
    expect(counter).to_have_text("10 characters left")
    chat.input.fill("x" * 4003)
    expect(counter).to_have_text("Too long by 3 characters. Please shorten it.")
    expect(chat.page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    chat.input.press("Enter")
    expect(chat.input).to_have_value("x" * 4003)
    chat.write("x" * 4000)
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the longest message")


def test_what_the_gateway_refuses_can_be_tried_again(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.reject = {"code": "bad_content", "text": "This cannot be sent."}
    chat.write("one")
    expect(chat.bubble("one")).to_contain_text("Not sent.")
    expect(chat.bubble("one")).to_contain_text("This cannot be sent.")
    chat.write("two")
    expect(chat.bubble("two").locator(".tick")).to_have_attribute("data-state", "sent")
    chat.page.get_by_role("button", name="Try again").click()
    expect(chat.bubble("one").locator(".tick")).to_have_attribute("data-state", "sent")
    assert [frame["content"]["text"] for frame in gateway.of("send")] == ["one", "two", "one"]
    gateway.reject = {"code": "bad_content", "text": "No."}
    chat.write("three")
    chat.page.get_by_role("button", name="Remove").click()
    expect(chat.bubble("three")).to_have_count(0)


@pytest.mark.parametrize(
    ("language", "placeholder", "subtitle"),
    [
        ("en", "Write a message…", "Ask us anything"),
        ("es", "Escriba un mensaje…", "Pregúntenos lo que quiera"),
        ("pt", "Escreva uma mensagem…", "Pergunte o que quiser"),
        ("ar", "اكتب رسالة…", "اسألنا ما تشاء"),
    ],
)
def test_languages(
    chat: Chat, gateway: GatewayDouble, language: str, placeholder: str, subtitle: str
) -> None:
    gateway.site["language"] = language
    chat.visit(gateway.page(language=f"{language}-XX")).open()
    expect(chat.input).to_have_attribute("placeholder", placeholder)
    expect(chat.panel).to_contain_text(subtitle)
    assert gateway.sessions[0]["language"] == f"{language}-XX"


def test_sound_is_off_until_asked_for(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    button = chat.page.get_by_role("button", name="Sound for new messages")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    gateway.wait_connected()
    gateway.say("ding")
    expect(chat.bubble("ding")).to_be_visible()
    chat.page.reload()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert chat.errors == []


def test_times_say_the_full_date(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    message = gateway.say("hello")
    time = chat.page.locator(".msg", has_text="hello").last.locator("time")
    expect(time).to_have_attribute("datetime", message["at"].replace("Z", ".000Z"))
    expect(time).to_have_attribute("title", re.compile(r"Friday,? 20 November 2026"))
    expect(time).to_have_text("10:00")
