"""An answer that a model writes, as a visitor sees it: the real gateway, a stand-in of Cohere, a real browser. It grows by whole
sentences, cites its source, and where the model breaks off nothing of a broken sentence stays."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Chat, NewContext
from tests.browser.story_gateway import RealGateway
from tests.providers.cohere import Cited, CohereStandIn
from tests.providers.models import Json

QUESTION = "How much is a full service?"
WATCH = """() => {
  const root = [...document.querySelectorAll("*")].find((e) => e.shadowRoot)?.shadowRoot;
  const typing = root.querySelector(".typing");
  window.shown = [];
  new MutationObserver(() => typing.querySelector(".text") && window.shown.push(typing.textContent))
    .observe(typing, { childList: true, subtree: true, characterData: true });
}"""


def write(self: "Model", body: Json) -> Cited:
    """A sentence of the passage that fits best, cited, and a courtesy."""
    first = body["documents"][0]
    lines = [line for line in str(first["data"]["snippet"]).split("\n") if line.strip()]
    wanted = next((line for line in lines if "service" in line.lower()), lines[0]).rstrip(".")
    other = next(line for line in lines if line != wanted).rstrip(".")
    whole = f"{wanted}. {other}."
    text = f"{whole} We're glad to help."
    # What is to break off does so in the middle of the last sentence.
    self.stand_in.after = len(whole.split()) + 2
    return text, [(f"{wanted}.", [first["id"]]), (f"{other}.", [first["id"]])]


@dataclass
class Model:
    """The stand-in on a loop of its own."""

    stand_in: CohereStandIn
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def call(self, change: Callable[[], None]) -> None:
        self.loop.call_soon_threadsafe(change)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    found = Model(CohereStandIn(), loop)
    found.stand_in.write = lambda body: write(found, body)
    found.run(found.stand_in.__aenter__())
    yield found
    found.run(found.stand_in.__aexit__())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Iterator[RealGateway]:
    gateway = RealGateway(tmp_path_factory.mktemp("streaming") / "data")
    gateway._environment["COHERE_API_URL"] = model.stand_in.url
    gateway._environment["COHERE_API_KEY"] = str(model.stand_in.key)
    gateway.start()
    yield gateway
    gateway.stop()


def shown(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.shown")
    return found


def test_a_cited_answer_grows_by_whole_sentences_in_the_widget(
    real: RealGateway, model: Model, new_context: NewContext
) -> None:
    model.stand_in.behave, model.stand_in.always = [], "well"
    chat = Chat(new_context().new_page()).visit(f"{real.url}/demo").open()
    chat.page.evaluate(WATCH)
    chat.write(QUESTION)
    answer = chat.bubble("We're glad to help.").last
    expect(answer).to_be_visible(timeout=20_000)
    expect(answer.locator(".sources li")).not_to_have_count(0)
    expect(chat.page.locator(".typing")).to_be_hidden()
    drafts = [text for text in shown(chat.page) if text]
    assert drafts, "nothing was shown while it was written"
    for text in drafts:
        assert text.rstrip()[-1] in ".!?", text
    assert model.stand_in.wrong == []
    [asked] = [c for c in model.stand_in.calls if c.path == "/v2/chat"][-1:]
    assert asked.body["documents"] and QUESTION in str(asked.body["messages"][-1])
    assert chat.errors == []


@pytest.mark.parametrize(
    ("behaviour", "question"),
    [
        ("truncate", "What does a full service cost?"),
        ("malformed", "What is the price of a full service?"),
        ("500", "How much do you charge for a full service?"),
    ],
)
def test_a_model_that_breaks_off_leaves_no_broken_sentence(
    real: RealGateway, model: Model, new_context: NewContext, behaviour: str, question: str
) -> None:
    # The first model and the smaller one: the local answer is what is left.
    model.stand_in.behave = [behaviour, behaviour]
    model.stand_in.always = behaviour
    try:
        chat = Chat(new_context().new_page()).visit(f"{real.url}/demo").open()
        chat.page.evaluate(WATCH)
        chat.write(question)
        answer = chat.bubble("€").last
        expect(answer).to_be_visible(timeout=20_000)
        expect(answer.locator(".sources li")).not_to_have_count(0)
        drafts = shown(chat.page)
        assert any(drafts) == (behaviour != "500"), drafts
        for text in drafts:
            assert not text or text.rstrip()[-1] in ".!?", text
        expect(chat.page.locator(".typing")).to_be_hidden()
        assert chat.bubble("We're glad to help.").count() == 0
    finally:
        model.stand_in.behave, model.stand_in.always = [], "well"
