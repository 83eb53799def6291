"""A conversation in the console with every kind of message that a customer can send, on a phone and on a desk."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from gateway import media
from gateway.bootstrap import open_store
from gateway.model.consent import Standing
from gateway.model.content import (
    Album,
    Buttons,
    Choice,
    Contacts,
    Content,
    Deleted,
    Edit,
    Link,
    ListMenu,
    Location,
    Media,
    Order,
    OrderItem,
    Reaction,
    SharedContact,
    Source,
    System,
    Text,
    Unsupported,
)
from gateway.model.conversation import Conversation
from gateway.model.file import File
from gateway.model.message import Failure, Message, Status
from gateway.model.tenant import Channel
from gateway.settings import load
from gateway.store import Store, TenantStore
from tests.browser.conftest import PHONE, Chat, NewContext
from tests.browser.story_gateway import RealGateway
from tests.browser.test_access import axe

DESK = {"width": 1280, "height": 900}
NOW = datetime.now(UTC).replace(microsecond=0)
TENANT, CHANNEL, TALK, BEFORE = "demo", "ch_talk", "cv_talk", "cv_before"
LONG = "https://shop.example/" + "averylongpathwithoutanyplacetobreak" * 6
EVIL = "<img src=x onerror=alert(1)>.pdf"


@dataclass
class Writing:
    """Puts messages into a conversation, a minute apart."""

    store: TenantStore
    messages: list[Message] = field(default_factory=list)

    def add(self, content: Content, **more: Any) -> Message:
        number = len(self.messages) + 1
        out = more.pop("out", False)
        message = Message(
            id=f"m_{number}",
            tenant=TENANT,
            channel=CHANNEL,
            conversation=TALK,
            direction="out" if out else "in",
            author=more.pop("author", "bot" if out else "customer"),
            seq=number,
            at=NOW - timedelta(minutes=60 - number),
            content=content,
            status=more.pop("status", Status.READ if out else Status.HANDLED),
            provider_id=f"p_{number}",
        )
        self.messages.append(replace(message, **more))
        return message


@dataclass(frozen=True)
class FilesThere:
    picture: str
    second: str
    offer: str
    pending: str
    failed: str


def picture(width: int, height: int, color: str) -> bytes:
    made = io.BytesIO()
    image = Image.radial_gradient("L").resize((width, height)).convert("RGB")
    Image.blend(image, Image.new("RGB", (width, height), color), 0.6).save(made, "PNG")
    return made.getvalue()


async def bytes_of(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def make_files(store: TenantStore) -> FilesThere:
    async def put(name: str, data: bytes) -> str:
        chunks = bytes_of(data)
        taken = await media.take(store.files, TENANT, CHANNEL, TALK, name, chunks, media.MOST_BYTES, NOW)
        return taken.id

    there = FilesThere(
        await put("shop window.png", picture(900, 600, "teal")),
        await put("tall.png", picture(300, 900, "orange")),
        await put("offer.pdf", b"%PDF-1.4 " + b"x" * 2_200_000),
        "f_pending",
        "f_failed",
    )
    # Due tomorrow: nobody fetches them meanwhile.
    later = File("", TENANT, CHANNEL, "pending", NOW + timedelta(days=1), conversation=TALK)
    lost = replace(later, id=there.failed, name=EVIL)
    await store.files.expect([replace(later, id=there.pending, name="film.mp4"), lost])
    await store.files.failed(lost, "The file is larger than Telegram gives to a bot (20 MB).")
    return there


def incoming(talk: Writing, files: FilesThere) -> None:
    talk.add(Text("Hello!\nDo you have this bike in blue?"), extra={"start": "summer-ad"})
    talk.add(Media("image", "image/png", file=files.picture, caption="This one"))
    album = (
        Media("image", "image/png", file=files.picture, caption="Two of them"),
        Media("image", "image/png", file=files.second),
        Media("document", "application/pdf", file=files.failed, name=EVIL),
    )
    talk.add(Album(album), extra={"forwarded": True})
    talk.add(Media("video", "video/mp4", file=files.pending, name="film.mp4"))
    talk.add(Media("document", "application/pdf", file=files.failed, name=EVIL))
    talk.add(Location(41.1496, -8.6109, "Café Âncora", "Rua de Cima 14, Porto"))
    talk.add(Location(52.52, 13.405))
    talk.add(
        Contacts((SharedContact("Ana Silva", ("+351 910 000 000",), ("ana@shop.example",), "Shop", True),))
    )
    talk.add(Order("c", (OrderItem("LUMEN-CITY", 2, "1190.00", "EUR"),), "Red, please"))
    talk.add(Unsupported("poll", "{}"))
    talk.add(System("identity_changed"))
    talk.add(Text("مرحبا، هل الدراجة 'City 3' متوفرة؟"))
    talk.add(Text(LONG), extra={"referral": {"source_url": "https://ad.example/1"}})


def outgoing(talk: Writing, files: FilesThere) -> None:
    source = (Source("Repairs", page=2),)
    answer = talk.add(Text("We are open **until six**.", source, markup=True), out=True, reply_to="m_1")
    talk.add(Reaction("👍", answer.provider_id or ""))
    talk.add(Reaction("", "p_unknown"))
    choices = (Choice("a", "Prices"), Choice("b", "Opening hours"), Choice("c", "A person, please"))
    talk.add(Buttons("How can I help?", choices), out=True)
    talk.add(ListMenu("Which bike?", "Choose", choices), out=True)
    talk.add(Link("All our prices", "Open", "https://shop.example/prices"), out=True)
    talk.add(
        Media("document", "application/pdf", file=files.offer, name="offer.pdf"), out=True, author="agent"
    )
    talk.add(Media("image", url="https://shop.example/a.png", name="a.png"), out=True)
    talk.add(Text("Are you still there?"), out=True, status=Status.QUEUED)
    corrected = talk.add(Text("It costs 100"), out=True, author="agent")
    talk.add(Edit(corrected.id, Text("It costs 110")), out=True, author="agent")
    talk.add(Deleted(corrected.id), out=True, author="agent")


async def seed(store: Store) -> None:
    own = store.of(TENANT)
    channel = Channel(CHANNEL, TENANT, "telegram", "77", "@lumen_bot", NOW, secrets={"token": "t"})
    await store.directory.add_channel(channel)
    talk = Conversation(
        TALK,
        TENANT,
        CHANNEL,
        "ct_1",
        "77",
        NOW,
        owner="agent",
        name="Ana Silva",
        last_at=NOW,
        preview="Hello",
    )
    await own.conversations.create(
        replace(
            talk, blocked=True, consents={"service": Standing("withdrawn", talk.created, "command", "ce_1")}
        )
    )
    await own.conversations.create(replace(talk, id=BEFORE, name="", merged_into=TALK))
    writing = Writing(own)
    files = await make_files(own)
    incoming(writing, files)
    changed = writing.add(Text("At six?"))
    gone = writing.add(Text("my-secret-word"))
    outgoing(writing, files)
    ours = [m for m in writing.messages if m.direction == "out"]
    theirs = [m for m in writing.messages if m.direction == "in"]
    await own.messages.put_incoming(theirs, NOW, frozenset(m.id for m in theirs))
    await own.messages.put_echoes(ours)
    [unsent] = [m for m in ours if m.status is Status.QUEUED]
    blocked = Failure("telegram:403_blocked", "The customer blocked the bot.")
    await own.messages.end(unsent, Status.QUEUED, Status.FAILED, blocked)
    assert await own.amendments.amend(changed.id, Text("At seven?"), NOW)
    assert await own.amendments.amend(gone.id, None, NOW)


def in_a_thread(work: Any) -> None:
    """Playwright has this thread's event loop."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    if failed:
        raise failed[0]
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    gateway = RealGateway(tmp_path_factory.mktemp("gateway") / "data")
    gateway.start()

    async def write() -> None:
        async with open_store(load(gateway._environment), say=lambda _: None) as store:
            await seed(store)

    in_a_thread(write)
    yield gateway
    gateway.stop()


def desk_of(real: RealGateway, new_context: NewContext, **options: Any) -> Chat:
    chat = Chat(new_context(**options).new_page())
    chat.page.goto(real.command("user", "link", "--email", "demo@example.com")["link"])
    chat.page.get_by_role("button", name="Sign in").click()
    expect(chat.page.get_by_role("heading", name="Conversations")).to_be_visible()
    return chat


def said(page: Page) -> Sequence[str]:
    return [" ".join(text.split()) for text in page.locator(".transcript > li").all_inner_texts()]


def loaded(page: Page) -> list[int]:
    """The pictures' widths, once they have been looked at: the ones further down are fetched only then."""
    pictures = page.locator(".transcript img")
    for number in range(pictures.count()):
        pictures.nth(number).scroll_into_view_if_needed()
        page.wait_for_function("n => document.querySelectorAll('.transcript img')[n].complete", arg=number)
    return [int(pictures.nth(n).evaluate("p => p.naturalWidth")) for n in range(pictures.count())]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_kind_of_message_can_be_read(
    real: RealGateway, new_context: NewContext, size: dict[str, int], scheme: str
) -> None:
    chat = desk_of(real, new_context, viewport=size, color_scheme=scheme)
    page = chat.page
    page.goto(f"{real.url}/console/conversations/{TALK}")
    shown = said(page)
    for number, wanted in {
        1: "came by summer-ad",
        2: "shop window.png image",
        3: "forwarded",
        4: "film.mp4 is being fetched",
        5: f"{EVIL} could not be had: The file is larger than Telegram gives to a bot (20 MB).",
        6: "Café Âncora Rua de Cima 14, Porto · 41.14960, -8.61090",
        7: "Location 52.52000, 13.40500",
        8: "Ana Silva, Shop · +351 910 000 000 · ana@shop.example their own",
        9: "2 × LUMEN-CITY · 1190.00 EUR Red, please",
        10: "poll: a kind of message that can't be shown",
        11: "identity changed",
        13: "from an ad",
        14: "At seven? edited",
        15: "taken back by its author",
        16: "in answer to “Hello! Do you have this bike in blue?” We are open until six. Source: Repairs, page 2",
        17: "👍 to “We are open until six.”",
        18: "took back the reaction to an earlier message",
        19: "How can I help? Prices Opening hours A person, please",
        20: "Which bike? Prices Opening hours A person, please",
        21: "All our prices Open",
        22: "offer.pdf document 2.1 MB",
        23: "a.png",
        24: "failed · The customer blocked the bot. (telegram:403_blocked)",
        26: "changed “It costs 100” to It costs 110",
        27: "took back “It costs 100”",
    }.items():
        assert wanted in shown[number - 1], number
    assert "my-secret-word" not in page.content()
    assert all(width > 0 for width in loaded(page))
    assert len(loaded(page)) == 3
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    assert axe(chat) == []
    assert chat.errors == []
    assert chat.violations == []


def test_what_was_said_before_an_edit_is_a_press_away(real: RealGateway, new_context: NewContext) -> None:
    page = desk_of(real, new_context).page
    page.goto(f"{real.url}/console/conversations/{TALK}")
    expect(page.get_by_text("At six?")).to_be_hidden()
    page.get_by_text("edited", exact=True).press("Enter")
    expect(page.get_by_text("At six?")).to_be_visible()


def test_a_file_comes_as_a_download(real: RealGateway, new_context: NewContext) -> None:
    page = desk_of(real, new_context).page
    page.goto(f"{real.url}/console/conversations/{TALK}")
    with page.expect_download() as download:
        page.get_by_role("link", name="offer.pdf").click()
    assert download.value.suggested_filename == "offer.pdf"


def test_a_customer_out_of_reach_and_one_who_goes_on_elsewhere_say_so(
    real: RealGateway, new_context: NewContext
) -> None:
    chat = desk_of(real, new_context, viewport=PHONE)
    page = chat.page
    page.goto(f"{real.url}/console/conversations/{BEFORE}")
    expect(page.get_by_text("No messages.")).to_be_visible()
    assert axe(chat) == []
    page.get_by_role("link", name="open it").click()
    notes = page.locator(".notes li")
    expect(notes).to_have_count(2)
    expect(notes.first).to_contain_text("can't be reached")
    expect(notes.last).to_contain_text("asked not to be written to")
