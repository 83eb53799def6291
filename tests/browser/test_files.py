"""Files and formatting in the widget: sent by button, paste and drop, shown as links and pictures, built from text alone."""

from playwright.sync_api import expect

from tests.browser.conftest import Chat
from tests.browser.gateway_double import GatewayDouble
from tests.browser.test_access import axe

PICTURE = {"name": "shop.png", "mimeType": "image/png", "buffer": b"\x89PNG" + b"x" * 3000}

GIVE = """([kind, name, size]) => {
  const shadow = document.querySelector("parley-chat").shadowRoot;
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(size)], name));
  const target = shadow.querySelector(kind === "paste" ? "textarea" : ".panel");
  if (kind === "paste") {
    target.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  } else {
    target.dispatchEvent(new DragEvent("dragover", { dataTransfer: data, bubbles: true, cancelable: true }));
    target.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""


def test_a_file_is_sent_by_the_button(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    with chat.page.expect_file_chooser() as chooser:
        chat.page.get_by_role("button", name="Send a file").click()
    chooser.value.set_files(PICTURE)  # type: ignore[arg-type]
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the file to be said")
    [(name, body, authorization)] = gateway.uploads
    assert (name, body) == ("shop.png", PICTURE["buffer"])
    assert authorization == f"Visitor {gateway.visitor().token}"
    assert gateway.of("send")[0]["content"] == {"type": "media", "file": "f_1"}
    assert chat.errors == []


def test_files_are_sent_by_paste_and_by_drop(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    for number, kind in enumerate(("paste", "drop"), 1):
        chat.page.evaluate(GIVE, [kind, f"{kind}.txt", 500])
        gateway.wait(lambda n=number: len(gateway.of("send")) == n, kind)  # type: ignore[misc]
    assert [name for name, _, _ in gateway.uploads] == ["paste.txt", "drop.txt"]
    assert chat.page.locator(".dropping").count() == 0
    assert chat.errors == []


def test_progress_is_shown_and_the_file_can_be_taken_back(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.hold_upload.clear()
    chat.page.evaluate(GIVE, ["drop", "slow.bin", 200_000])
    expect(chat.page.locator("progress")).to_be_visible()
    expect(chat.bubble("slow.bin")).to_be_visible()
    expect(chat.bubble("slow.bin")).to_contain_text("196 kB")
    gateway.hold_upload.set()
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the file to be said")
    expect(chat.page.locator("progress:visible")).to_have_count(0)


def test_a_refused_file_says_why_and_can_be_tried_again(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.refuse_upload = {"detail": "Please choose a file that is not empty."}
    chat.page.evaluate(GIVE, ["drop", "odd.txt", 10])
    expect(chat.bubble("odd.txt")).to_contain_text("Please choose a file that is not empty.")
    assert gateway.of("send") == []
    chat.page.get_by_role("button", name="Try again").click()
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the file to be said")
    gateway.refuse_upload = {"detail": "No."}
    chat.page.evaluate(GIVE, ["drop", "other.txt", 10])
    chat.page.get_by_role("button", name="Remove").click()
    expect(chat.bubble("other.txt")).to_have_count(0)


def test_a_file_that_is_too_large_is_not_even_sent(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    chat.page.evaluate(GIVE, ["drop", "huge.bin", 25 * 2**20 + 1])
    expect(chat.banner).to_contain_text("At most 25 MB")
    assert gateway.uploads == []


def test_files_are_shown_as_links_and_pictures(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say({
        "type": "media", "media": "document", "name": "offer <b>.pdf", "size": 2_200_000, "link": "/files/abc",
        "caption": "Our offer",
    })  # fmt: skip
    link = chat.page.get_by_role("link", name="offer <b>.pdf")
    expect(link).to_have_attribute("href", f"{gateway.origin}/files/abc")
    expect(link).to_contain_text("2.1 MB")
    expect(chat.bubble("Our offer")).to_be_visible()
    gateway.say(
        {"type": "media", "media": "image", "name": "shop.png", "link": "/files/a", "thumbnail": "/files/b"}
    )
    picture = chat.page.get_by_role("img", name="shop.png")
    expect(picture).to_have_attribute("src", f"{gateway.origin}/files/b")
    gateway.say({"type": "media", "media": "document", "name": "evil", "link": "javascript:alert(1)"})
    expect(chat.bubble("evil")).to_be_visible()
    assert chat.page.locator(".file[href^='javascript']").count() == 0


def test_ones_own_file_gets_its_address_once_the_gateway_has_it(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.complete = {"name": "mine.png", "link": "/files/mine", "thumbnail": "/files/small", "size": 3004}
    chat.page.evaluate(GIVE, ["drop", "mine.png", 3004])
    picture = chat.page.get_by_role("img", name="mine.png")
    expect(picture).to_have_attribute("src", f"{gateway.origin}/files/small")
    expect(chat.page.locator(".msg.you .file")).to_have_count(1)


def test_formatting_is_built_from_text_alone(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    allowed = gateway.site["links"][0]
    gateway.say({
        "type": "text", "text": "**Doors** …", "rich": [
            ["bold", "Doors <img src=x onerror=alert(1)>"], ["text", " until "], ["italic", "six"], ["code", "x()"],
            ["link", "allowed", f"{allowed}/a"], ["link", "elsewhere", "https://evil.example/"],
            ["link", "mail", "mailto:a@b.example"], ["link", "bad", "javascript:alert(1)"], ["odd", "style"],
        ],
    })  # fmt: skip
    bubble = chat.bubble("Doors")
    expect(bubble.locator("strong")).to_have_text("Doors <img src=x onerror=alert(1)>")
    expect(bubble.locator("em")).to_have_text("six")
    expect(bubble.locator("code")).to_have_text("x()")
    assert bubble.locator("img").count() == 0
    assert [a.get_attribute("href") for a in bubble.locator("a").all()] == [
        f"{allowed}/a",
        "mailto:a@b.example",
    ]
    expect(bubble).to_contain_text("elsewhere (https://evil.example/)")


def test_a_list_is_pressed_like_buttons(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.say({
        "type": "list", "text": "Which?", "button": "Choose",
        "choices": [{"id": "a", "title": "Prices", "description": "What it costs"}, {"id": "b", "title": "Hours"}],
    })  # fmt: skip
    expect(chat.page.get_by_role("button", name="Prices")).to_contain_text("What it costs")
    chat.page.get_by_role("button", name="Prices").click()
    gateway.wait(lambda: len(gateway.of("send")) == 1, "the choice")
    assert gateway.of("send")[0]["content"]["id"] == "a"


def test_nothing_about_files_is_hard_to_reach(chat: Chat, gateway: GatewayDouble) -> None:
    chat.visit(gateway.page()).open()
    gateway.wait_connected()
    gateway.hold_upload.clear()
    chat.page.evaluate(GIVE, ["drop", "slow.bin", 200_000])
    expect(chat.page.locator("progress")).to_be_visible()
    gateway.say(
        {"type": "media", "media": "document", "name": "offer.pdf", "size": 100, "link": "/files/abc"}
    )
    gateway.say({"type": "text", "text": "x", "rich": [["bold", "Doors"], ["code", "x"]]})
    expect(chat.bubble("Doors")).to_be_visible()
    assert axe(chat) == []
    gateway.hold_upload.set()
