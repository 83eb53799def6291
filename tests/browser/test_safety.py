"""Strict policies, hostile texts, links, and browsers that keep nothing."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Chat, NewContext
from tests.browser.gateway_double import GatewayDouble, Json

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
BLOCK_STORAGE = """
for (const name of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });
}
"""


def whole_story(chat: Chat, gateway: GatewayDouble) -> None:
    """Everything the widget can draw, once."""
    gateway.wait_connected()
    chat.write("hello")
    expect(chat.page.locator(".tick")).to_have_attribute("data-state", "sent")
    sources = [{"title": "Prices", "url": "https://lumen.example/prices", "page": 2}]
    gateway.say({"type": "text", "text": "See https://lumen.example/a", "sources": sources})
    fields = [{"name": "phone", "label": "Phone", "kind": "phone", "error": "Too short", "required": True}]
    gateway.say({"type": "form", "text": "Details", "fields": fields, "submit": "Go", "cancel": "No"})
    gateway.say({"type": "system", "text": "A person joined."})
    gateway.say({"type": "buttons", "text": "Which?", "choices": [{"id": "a", "title": "This"}]}, "agent")
    gateway.send({"t": "typing", "on": True})
    expect(chat.page.locator(".typing")).to_be_visible()
    chat.page.get_by_role("button", name="This").click()
    expect(chat.page.locator(".tick[data-state=sent]")).to_have_count(2)


def test_a_strict_policy_is_not_violated(chat: Chat, gateway: GatewayDouble) -> None:
    gateway.site["avatar"] = f"{gateway.origin}/avatar.svg"
    chat.visit(gateway.page(policy=gateway.strict)).open()
    whole_story(chat, gateway)
    expect(chat.page.locator(".face img")).to_be_visible()
    assert chat.violations == []
    assert chat.errors == []
    # The policy is in force: what a page may not do is reported.
    chat.page.evaluate("document.body.setAttribute('style', 'color: red')")
    chat.page.wait_for_function("window.violations.length === 1")


def test_the_demo_page_keeps_to_its_policy(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(f"{gateway.page_origin}/demo").open()
    whole_story(chat, gateway)
    assert chat.violations == []
    assert [line for line in chat.errors if "404" not in line] == []


@pytest.mark.parametrize(
    "content",
    [
        {"type": "text", "text": HOSTILE},
        {"type": "system", "text": HOSTILE},
        {"type": "media", "text": HOSTILE},
        {"type": "text", "text": "x", "sources": [{"title": HOSTILE, "url": "https://lumen.example/<b>"}]},
        {"type": "buttons", "text": HOSTILE, "choices": [{"id": HOSTILE, "title": HOSTILE}]},
        {
            "type": "form",
            "text": HOSTILE,
            "fields": [{"name": '"><img src=x>', "label": HOSTILE, "error": HOSTILE, "value": HOSTILE}],
            "submit": HOSTILE,
            "cancel": HOSTILE,
            "consent": HOSTILE,
        },
    ],
    ids=lambda content: str(content["type"]),
)
def test_markup_is_shown_as_text(chat: Chat, gateway: GatewayDouble, content: Json) -> None:
    gateway.site |= {"title": HOSTILE, "greeting": HOSTILE, "avatar": "javascript:window.hacked=1"}
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say(content)
    gateway.say("done")
    expect(chat.bubble("done")).to_be_visible()
    expect(chat.panel).to_contain_text('onerror="window.hacked=1"')
    expect(chat.page.locator("parley-chat :is(img, script, b)")).to_have_count(0)
    assert chat.page.evaluate("window.hacked") is None
    assert chat.errors == []


def test_what_the_visitor_writes_is_text_too(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    chat.write(HOSTILE)
    expect(chat.page.locator(".msg.you .text")).to_have_text(HOSTILE)
    assert chat.page.evaluate("window.hacked") is None


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see https://lumen.example/a?b=1#c.", ["https://lumen.example/a?b=1#c"]),
        ("(https://lumen.example/a_(b)) and https://lumen.example",
         ["https://lumen.example/a_(b)", "https://lumen.example/"]),
        ("HTTPS://LUMEN.EXAMPLE/Up!", ["https://lumen.example/Up"]),
        ("http://lumen.example/other-scheme", []),
        ("https://lumen.example:8443/other-port", []),
        ("https://lumen.example.evil.test/", []),
        ("https://evil.test/https://lumen.example/", []),
        ("https://lumen.example@evil.test/", []),
        ("https://user:pass@lumen.example/", []),
        ("https://lumen.example\\@evil.test/", ["https://lumen.example/@evil.test/"]),
        ("javascript:alert(1)//https://evil.test", []),
        ("data:text/html,x //lumen.example/a", []),
        ("https://xn--lumen-.example/ https://", []),
    ],
)  # fmt: skip
def test_only_allowed_addresses_become_links(
    chat: Chat, gateway: GatewayDouble, text: str, links: list[str]
) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say(text)
    bubble = chat.page.locator(".msg .text").last
    expect(bubble).to_have_text(text)
    found = bubble.locator("a")
    assert found.evaluate_all("links => links.map((link) => link.href)") == links
    for link in found.all():
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
        assert link.get_attribute("target") == "_blank"


def test_sources_are_a_list_and_link_only_where_allowed(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    sources = [
        {"title": "Allowed", "url": "https://lumen.example/a", "page": 3},
        {"title": "Elsewhere", "url": "https://evil.test/a"},
        {"title": "Script", "url": "javascript:window.hacked=1"},
        {"title": "Data", "url": "data:text/html,<script>1</script>"},
        {"title": "Nowhere"},
    ]
    gateway.say({"type": "text", "text": "As written here.", "sources": sources})
    items = chat.page.get_by_role("list", name="Sources").get_by_role("listitem")
    expect(items).to_have_text(["Allowedp. 3", "Elsewhere", "Script", "Data", "Nowhere"])
    expect(items.get_by_role("link")).to_have_text(["Allowed"])


def test_blocked_storage_costs_only_the_memory(new_context: NewContext, gateway: GatewayDouble) -> None:
    context = new_context()
    context.add_init_script(BLOCK_STORAGE)
    chat = Chat(context.new_page()).visit(gateway.page()).open()
    whole_story(chat, gateway)
    gateway.drop()
    chat.write("after the cut")
    expect(chat.page.locator(".tick[data-state=sent]")).to_have_count(3)
    assert len({session["token"] for session in gateway.sessions[1:]} - {None}) == 1
    assert chat.errors == []


def test_a_malformed_frame_breaks_nothing(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.send({"t": "message", "message": {"id": "odd", "seq": 1, "from": "bot", "at": "never"}})
    gateway.send({"t": "from the future", "what": 1})
    odd = {"id": "m9", "seq": 9, "from": "martian", "at": "no date", "content": {"type": "hologram"}}
    gateway.send({"t": "message", "message": odd})
    expect(chat.bubble("This message cannot be shown here.")).to_be_visible()
    assert chat.errors == []


def test_the_pages_styles_and_shortcuts_stay_outside(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page())
    chat.page.add_style_tag(content="body * { display: none !important; color: red; }")
    chat.page.evaluate("addEventListener('keydown', () => (window.heard = true))")
    chat.open()
    chat.input.press("k")
    assert chat.page.evaluate("window.heard") is None
