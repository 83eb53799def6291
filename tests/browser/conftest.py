"""One Chromium a worker, one gateway double and one browser context a test."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.browser.gateway_double import GatewayDouble

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

WATCH_POLICY = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""


class _Loop:
    """Playwright's sync interface leaves its event loop marked as running in this thread between calls, which
    would break every async test that a worker runs in between. So it is set only during browser tests."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def leave(self) -> None:
        self._loop = asyncio._get_running_loop() or self._loop
        asyncio._set_running_loop(None)

    def enter(self) -> None:
        asyncio._set_running_loop(self._loop)


@dataclass
class Running:
    playwright: Playwright
    browser: Browser
    loop: _Loop


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    loop = _Loop()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        loop.leave()
        yield Running(playwright, browser, loop)
        loop.enter()
        browser.close()


@pytest.fixture
def browser(running: Running) -> Iterator[Browser]:
    running.loop.enter()
    yield running.browser
    running.loop.leave()


@pytest.fixture
def gateway() -> Iterator[GatewayDouble]:
    double = GatewayDouble()
    double.start()
    yield double
    double.stop()


@dataclass
class Chat:
    """One tab with the widget: what a person sees and can do."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def visit(self, address: str) -> "Chat":
        self.page.goto(address)
        return self

    def visit_frozen(self, address: str) -> "Chat":
        """Visits, then stops the page's clock: from here only `page.clock.run_for` moves it."""
        start = datetime(2026, 11, 20, 9, tzinfo=UTC)
        self.page.clock.install(time=start)
        self.page.goto(address)
        expect(self.launcher).to_be_visible()
        self.page.clock.pause_at(start + timedelta(minutes=2))
        return self

    def open(self) -> "Chat":
        self.launcher.click()
        expect(self.panel).to_be_visible()
        return self

    def write(self, text: str) -> None:
        self.input.fill(text)
        self.input.press("Enter")

    def bubble(self, text: str) -> Locator:
        return self.page.locator(".msg").filter(has_text=text)

    def texts(self) -> list[str]:
        """The texts of all bubbles, top to bottom."""
        return self.page.locator(".msg .text").all_inner_texts()

    @property
    def launcher(self) -> Locator:
        return self.page.locator(".launcher")

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def input(self) -> Locator:
        return self.page.locator("textarea")

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log")

    @property
    def banner(self) -> Locator:
        return self.page.locator(".banner")

    @property
    def badge(self) -> Locator:
        return self.page.locator(".badge")

    @property
    def violations(self) -> list[str]:
        found: list[str] = self.page.evaluate("window.violations")
        return found


NewContext = Callable[..., BrowserContext]


@pytest.fixture
def new_context(browser: Browser, gateway: GatewayDouble) -> Iterator[NewContext]:
    """Makes browser contexts; asks for the gateway so that it outlives them."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        settings = {"viewport": DESKTOP, "locale": "en-GB", "timezone_id": "Europe/Lisbon", **options}
        context = browser.new_context(**settings)
        context.set_default_timeout(15_000)
        context.add_init_script(WATCH_POLICY)
        made.append(context)
        return context

    expect.set_options(timeout=15_000)
    yield make
    for context in made:
        context.close()


@pytest.fixture
def chat(new_context: NewContext) -> Chat:
    """A tab on a desktop."""
    return Chat(new_context().new_page())
