"""What a customer lives through: an answer from the documents, or an offer, a form and a lead."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from brain.ingest import add_path
from gateway.model.content import Text
from gateway.settings import Settings
from gateway.store import Store
from leads.texts import wording
from tests.conftest import (
    MovableClock,
    Running,
    ScriptedBrain,
    make_site,
    make_tenant,
    make_whatsapp,
    serving,
)
from tests.core.visitor import Tab, Visitor
from tests.providers.graph import GraphStandIn, Recorded
from tests.providers.graph_webhooks import button_message, messages_webhook, text_webhook

SAMPLES = Path(__file__).parent.parent.parent / "samples"
EN = wording("en")
SENDER = "34600111222"
NOW = int(time.time())


@pytest.fixture
async def answering(
    settings: Settings, store: Store, clock: MovableClock, graph: GraphStandIn
) -> AsyncIterator[Running]:
    """A gateway that answers from the sample documents with the real local brain."""
    await make_tenant(store, region="ES")
    await make_whatsapp(store)
    await make_site(store)
    async with serving(settings, store, clock, None) as (gateway, url), aiohttp.ClientSession() as http:
        await add_path(store.knowledge, gateway.embedder, "acme", SAMPLES, clock(), base=SAMPLES)
        yield Running(gateway, url, http, ScriptedBrain(), clock, graph)


async def filled(tab: Tab, form: dict[str, Any], **values: str) -> dict[str, Any]:
    """Send a form's fields: the next message of the bot."""
    await tab.send({"type": "form_reply", "values": values, "to": form["id"]})
    return await tab.heard()


async def test_a_visitor_is_answered_and_then_leaves_their_number(answering: Running) -> None:
    visitor = Visitor(answering)
    async with visitor.open() as tab:
        known = (await tab.ask("How much is a full service?"))["content"]
        assert known["type"] == "text"
        assert "€120" in known["text"]
        assert [s["title"] for s in known["sources"]]
        assert await answering.leads() == ()

        offered = await tab.ask("Do you sell helicopters?")
        assert offered["content"]["type"] == "buttons"
        assert offered["content"]["text"] == f"{EN.unknown} {EN.offer}"
        yes, no = offered["content"]["choices"]
        assert (yes["title"], no["title"]) == (EN.yes, EN.no)

        before = answering.clock()
        await tab.send({"type": "reply", "id": yes["id"], "title": yes["title"], "to": offered["id"]})
        form = await tab.heard()
        assert form["content"]["type"] == "form"
        assert form["content"]["consent"] == EN.consent
        names = [f["name"] for f in form["content"]["fields"]]
        assert names[:2] == ["name", "phone"]
        assert await answering.leads() == ()

        wrong = await filled(tab, form, name="Ana Núñez", phone="12", email="")
        assert wrong["content"]["type"] == "form"
        fields = {f["name"]: f for f in wrong["content"]["fields"]}
        assert fields["phone"]["error"]
        assert fields["name"]["value"] == "Ana Núñez"
        assert await answering.leads() == ()

        thanks = await filled(tab, wrong, name="Ana Núñez", phone="600 111 222", email="ana@example.com")
        assert thanks["content"]["text"] == EN.thanks
        [lead] = await answering.leads()
        assert (lead.name, lead.phone, lead.email) == ("Ana Núñez", "+34600111222", "ana@example.com")
        assert lead.question == "Do you sell helicopters?"
        assert lead.consent_text == EN.consent
        assert lead.consent_at is not None
        assert before - timedelta(seconds=1) <= lead.consent_at <= answering.clock()
        assert lead.conversation == tab.conversation

        # A second form (a second tab had it open) updates the lead, and adds none.
        answering.clock.move(hours=1)
        changed = await filled(tab, wrong, name="Ana N.", phone="+44 20 7946 0958", email="")
        assert changed["content"]["text"] == EN.thanks
        [updated] = await answering.leads()
        assert (updated.id, updated.created) == (lead.id, lead.created)
        assert (updated.name, updated.phone) == ("Ana N.", "+442079460958")
        assert updated.updated > lead.updated
        # The same once more changes nothing.
        same = await filled(tab, wrong, name="Ana N.", phone="+44 20 7946 0958", email="")
        assert same["content"]["text"] == EN.have_details
        assert await answering.leads() == (updated,)
        contact = await answering.store.of("acme").conversations.contact(lead.contact)
        assert contact is not None
        assert contact.phone == "+442079460958"

        # And questions are still answered.
        again = (await tab.ask("Can I bring my dog into the shop?"))["content"]
        assert "dogs" in again["text"]


async def test_a_visitor_who_says_no_is_not_asked_again(running: Running) -> None:
    visitor = Visitor(running)
    async with visitor.open() as tab:
        offered = await tab.ask("unknown one")
        no = offered["content"]["choices"][1]
        await tab.send({"type": "reply", "id": no["id"], "title": no["title"], "to": offered["id"]})
        assert (await tab.heard())["content"]["text"] == EN.declined
        for n in range(2):
            told = await tab.ask(f"unknown two {n}")
            assert (told["content"]["type"], told["content"]["text"]) == ("text", EN.unknown)
        assert (await tab.ask("echo still"))["content"]["text"] == "echo still"
        # Their own change of mind counts: the old button works.
        yes = offered["content"]["choices"][0]
        await tab.send({"type": "reply", "id": yes["id"], "title": yes["title"], "to": offered["id"]})
        form = await tab.heard()
        assert form["content"]["type"] == "form"
        await tab.send({"type": "form_reply", "values": {}, "to": form["id"], "cancelled": True})
        assert (await tab.heard())["content"]["text"] == EN.declined
    assert await running.leads() == ()


async def test_the_widget_speaks_the_visitors_language(running: Running) -> None:
    visitor = Visitor(running)
    ticket = (await visitor.session("es-MX"))["ticket"]
    async with visitor.open(ticket) as tab:
        offered = await tab.ask("desconocido")
        es = wording("es")
        assert offered["content"]["text"] == f"{es.unknown} {es.offer}"
        await tab.send({"type": "reply", "id": "lead:yes", "title": es.yes, "to": offered["id"]})
        assert (await tab.heard())["content"]["consent"] == es.consent


async def test_a_site_can_word_its_own_consent_and_ask_for_more(running: Running) -> None:
    from gateway.model.tenant import ExtraField

    await make_site(
        running.store, "acme", "ch_own",
        consent="I agree to be called by Acme.", ask_email=False, fields=(ExtraField("size", "Frame size", True),),
    )  # fmt: skip
    async with Visitor(running, site="ch_own").open() as tab:
        await tab.ask("unknown")
        await tab.send({"type": "reply", "id": "lead:yes", "title": "Yes", "to": None})
        form = await tab.heard()
        fields = {f["name"]: f for f in form["content"]["fields"]}
        assert form["content"]["consent"] == "I agree to be called by Acme."
        assert "email" not in fields
        [extra] = [n for n, f in fields.items() if f["label"].startswith("Frame size")]
        again = await filled(tab, form, name="Bo", phone="600111222", **{extra: ""})
        assert {f["name"]: f.get("error") for f in again["content"]["fields"]}[extra]
        await filled(tab, again, name="Bo", phone="600111222", **{extra: "54 cm"})
    [lead] = await running.leads()
    assert lead.consent_text == "I agree to be called by Acme."
    assert lead.fields == {"size": "54 cm"}


class Chat:
    """A WhatsApp customer, message by message."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.count = 0

    async def next(self, body: bytes, answers: int = 1) -> list[Recorded]:
        before = len(self.running.graph.messages())
        assert await self.running.post_whatsapp(body) == 200
        await self.running.until(lambda: len(self.running.graph.messages()) >= before + answers)
        await self.running.idle()
        return self.running.graph.messages()[before:]

    async def say(self, text: str, answers: int = 1) -> list[Recorded]:
        self.count += 1
        return await self.next(text_webhook(SENDER, text, f"wamid.q{self.count}", NOW), answers)

    async def press(self, choice: str, title: str, to: str, answers: int = 1) -> list[Recorded]:
        self.count += 1
        message = button_message(SENDER, choice, title, f"wamid.q{self.count}", NOW, to)
        return await self.next(messages_webhook([message]), answers)


async def test_the_same_story_on_whatsapp_step_by_step(running: Running) -> None:
    chat = Chat(running)
    assert [m.text for m in await chat.say("echo known")] == ["echo known"]
    [offered] = await chat.say("Do you sell helicopters?")
    assert offered.body["type"] == "interactive"
    assert offered.text == f"{EN.unknown} {EN.offer}"
    buttons = offered.body["interactive"]["action"]["buttons"]
    assert [b["reply"]["title"] for b in buttons] == [EN.yes, EN.no]
    consent, name = await chat.press("lead:yes", EN.yes, offered.wamid or "", answers=2)
    assert consent.text == EN.consent
    assert EN.ask_name in (name.text or "")
    [phone] = await chat.say("Ana Núñez")
    [confirm] = await chat.say("12 apples is what I want for my")
    assert confirm.text
    assert await running.leads() == ()
    pressed = [
        b["reply"]["id"] for b in phone.body.get("interactive", {}).get("action", {}).get("buttons", [])
    ]
    assert "lead:phone" in pressed
    [email] = await chat.press("lead:phone", "Use it", phone.wamid or "")
    assert EN.ask_email in (email.text or "")
    [thanks] = await chat.say("skip")
    assert thanks.text == EN.thanks
    [lead] = await running.leads()
    assert (lead.name, lead.phone, lead.email) == ("Ana Núñez", "+34600111222", None)
    assert lead.consent_text == EN.consent
    assert lead.question is not None
    assert lead.question.startswith("Do you sell helicopters?")


async def test_on_whatsapp_a_typed_number_or_title_presses_the_button(running: Running) -> None:
    chat = Chat(running)
    await chat.say("unknown thing")
    [declined] = await chat.say(EN.no)
    assert declined.text == EN.declined
    [told] = await chat.say("unknown other")
    assert told.text == EN.unknown
    assert await running.leads() == ()


async def test_what_does_not_fit_buttons_is_numbered_and_the_number_is_understood(running: Running) -> None:
    """A question whose buttons WhatsApp would refuse (too long to go with them) goes out as numbered text."""
    site = await running.store.directory.channel("ch_wa")
    await running.store.directory.set_channel(site, settings={"site.consent": "We keep what you send us."})
    chat = Chat(running)
    [offered] = await chat.say("x" * 10 + " unknown")
    [conversation] = await running.conversations()
    if offered.body["type"] == "text":
        assert "1. " in (offered.text or "")
        assert conversation.pending is not None
    consent, *_ = await chat.say("yes", answers=2)
    assert consent.text == "We keep what you send us."


async def test_a_conversation_reads_in_the_order_it_was_held(running: Running) -> None:
    async with Visitor(running).open() as tab:
        for n in range(5):
            await tab.ask(f"echo {n}")
        found = await running.transcript(tab.conversation)
        assert [m.content for m in found] == [Text(f"echo {n // 2}") for n in range(10)]
        assert [m.seq for m in found] == sorted({m.seq for m in found})
