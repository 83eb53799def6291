"""A stop from the outside: whatever is queued, whoever owns the conversation and whatever was asked."""

from dataclasses import replace
from datetime import timedelta

import pytest

from consent.keywords import standard
from gateway.model.answers import Answer, Rule
from gateway.model.consent import Entry
from gateway.model.content import Command, Media, Reply, Text
from gateway.model.message import Failure, Status
from gateway.model.permission import Decision, OptIn, Permissions
from gateway.settings import Settings
from tests.conftest import Running
from tests.core.test_bulk import advert
from tests.core.test_kinds import hear, only, said, sent
from tests.providers.graph_webhooks import messages_webhook, text_message
from tests.redis_server import RedisServer

CASES = (
    str,
    str.upper,
    str.title,
    lambda w: f" {w}! ",
    lambda w: f"“{w.upper()}.”",
    lambda w: f"{w} 🙏",
    lambda w: f"\u200b{w}…",
)


async def of(running: Running) -> list[Entry]:
    return [e async for e in running.store.of("acme").ledger.all()]


async def settings(running: Running, **more: object) -> None:
    await running.store.directory.set_permissions("acme", Permissions(**more))  # type: ignore[arg-type]


async def everybody_says(running: Running, texts: dict[str, str], name: str) -> None:
    """One webhook for fifty of them, as the provider does under load."""
    at = int(running.clock().timestamp())
    messages = [text_message(who, text, f"wamid.{name}.{who}", at) for who, text in texts.items()]
    for start in range(0, len(messages), 50):
        assert await running.post_whatsapp(messages_webhook(messages[start : start + 50])) == 200
    await running.idle()


@pytest.mark.usefixtures("quiet")  # else a sweep may send an advert before its STOP has come
async def test_row_53_after_any_known_word_nothing_that_was_queued_leaves(running: Running) -> None:
    words, store = standard("stop"), running.store.of("acme")
    people = {str(34600000000 + n): CASES[n % len(CASES)](word) for n, word in enumerate(words)}
    control = "34699999999"
    await everybody_says(running, dict.fromkeys([*people, control], "echo hello"), "hello")
    for _ in range(10):  # the number's own pace
        running.clock.move(seconds=1)
        await running.swept()
    assert len(sent(running)) == len(people) + 1
    talks = {
        m.body["to"]: (await store.messages.get(str(m.body["biz_opaque_callback_data"])))
        for m in running.graph.messages()
    }
    queued = []
    for found in talks.values():
        assert found is not None
        queued.append(advert(running, found.conversation))
    await running.store.directory.set_channel(
        await running.store.directory.channel("ch_wa"), state="disabled"
    )
    await store.messages.put_bulk(queued, running.clock())  # nothing leaves a disabled channel: they wait
    await running.store.directory.set_channel(await running.store.directory.channel("ch_wa"), state="active")
    before = len(sent(running))
    await everybody_says(running, people, "stop")
    for _ in range(40):
        running.clock.move(seconds=2)
        await running.swept()
    after = sent(running)[before:]
    assert after.count("advert") == 1  # the control's: theirs was to leave, and did
    assert [m.body["to"] for m in running.graph.messages() if m.text == "advert"] == [control]
    confirmed = [m.body["to"] for m in running.graph.messages()[before:] if m.text != "advert"]
    assert sorted(confirmed) == sorted(people)  # each once
    # Whatever comes later: nothing.
    await everybody_says(running, dict.fromkeys(people, "echo are you there"), "later")
    await everybody_says(running, people, "again")
    assert len(sent(running)) == before + len(after)


async def test_a_stop_is_confirmed_once_and_said_twice_adds_nothing(running: Running) -> None:
    await hear(running, said(running, Text("BAJA"), "1"))
    await hear(running, said(running, Text("stop"), "2"))
    assert sent(running) == ["No le enviaré más mensajes. Con /start vuelvo."]
    entries = await of(running)
    assert [(e.purpose, e.state, e.how, e.wording) for e in entries] == [
        ("service", "withdrawn", "keyword", "BAJA"),
        ("marketing", "withdrawn", "keyword", "BAJA"),
    ]
    assert all(e.message and e.address and e.conversation and e.version for e in entries)
    conversation, _ = await only(running)
    assert (conversation.stopped, conversation.language) == (True, "en")


async def test_start_gives_back_what_a_stop_took_and_never_more(running: Running) -> None:
    await settings(running, opt_ins={"news": OptIn("marketing", "Send me news.")})
    await hear(running, said(running, Text("News"), "1"))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("stop"), "2"))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo silence"), "3"))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("Unstop"), "4"))
    running.clock.move(seconds=1)
    await hear(running, said(running, Text("echo back"), "5"))
    assert sent(running)[-1] == "echo back"
    assert "echo silence" not in sent(running)
    conversation, _ = await only(running)
    assert {p: s.state for p, s in conversation.consents.items()} == {
        "service": "granted",
        "marketing": "granted",
    }


async def test_a_stop_while_a_detail_is_asked_for_wins(running: Running) -> None:
    await hear(running, said(running, Text("what does it cost"), "1"))
    await hear(running, said(running, Text("yes"), "2"))
    before = len(sent(running))
    await hear(running, said(running, Text("Cancel"), "3"))
    conversation, _ = await only(running)
    assert conversation.stopped
    assert len(sent(running)) == before + 1


async def test_a_stop_counts_and_is_confirmed_while_a_person_answers(running: Running) -> None:
    for scope in ("all", "marketing"):
        await settings(running, stop_scope=scope)
        who = "3460000000" + str(len(scope))
        identity = said(running, Text("")).identity
        identity = type(identity)(identity.kind, identity.account, who)
        await hear(running, said(running, Command("human"), f"1{scope}", identity=identity, address=who))
        before = len(sent(running))
        await hear(running, said(running, Text("STOP"), f"2{scope}", identity=identity, address=who))
        assert len(sent(running)) == before + 1, scope


async def test_marketing_alone_ends_and_answers_go_on(running: Running) -> None:
    await settings(running, stop_scope="marketing", purposes=("news",))
    await hear(running, said(running, Text("stop"), "1"))
    await hear(running, said(running, Text("echo still there"), "2"))
    assert "advertising" in str(sent(running)[0])
    assert sent(running)[1] == "echo still there"
    assert [(e.purpose, e.state) for e in await of(running)] == [("marketing", "withdrawn")]
    await hear(running, said(running, Text("STOPALL"), "3"))
    await hear(running, said(running, Text("echo nobody"), "4"))
    assert len(sent(running)) == 3
    conversation, _ = await only(running)
    assert conversation.stopped


async def test_the_caption_of_a_picture_is_heard(running: Running) -> None:
    await hear(running, said(running, Media("image", "media-1", None, caption="Stop!"), "1"))
    conversation, _ = await only(running)
    assert conversation.stopped


async def test_a_stop_ends_a_burst_and_stands_alone(running: Running) -> None:
    channel = await running.store.directory.channel("ch_wa")
    await running.store.directory.set_channel(channel, settings={"config.quiet_seconds": 30})
    await hear(
        running,
        said(running, Text("echo one"), "1"),
        said(running, Text("stop"), "2"),
        said(running, Text("echo two"), "3"),
    )
    conversation, _ = await only(running)
    assert conversation.stopped
    running.clock.move(seconds=120)
    await running.swept()
    assert [t for t in sent(running) if t and "two" in t] == []
    assert len(sent(running)) == 2


async def test_over_a_limit_a_typed_stop_is_heard(running: Running) -> None:
    await running.store.directory.set_limits("acme", {"contact": "2/hour"})
    for number in range(5):
        await hear(running, said(running, Text(f"echo {number}"), str(number)))
    await hear(running, said(running, Text("stop"), "last"))
    conversation, _ = await only(running)
    assert conversation.stopped
    assert "any more messages" in str(sent(running)[-1])


async def test_what_looks_like_an_opt_out_is_asked_about_and_only_the_press_counts(running: Running) -> None:
    await hear(running, said(running, Text("please don't text me any more"), "1"))
    conversation, _ = await only(running)
    assert not conversation.stopped
    assert running.brain.asked == []
    asked = running.graph.messages()[-1].body["interactive"]["action"]["buttons"]
    assert [b["reply"]["id"] for b in asked] == ["/stop", "/keep"]
    await hear(running, said(running, Reply("/keep", "No, go on"), "2"))
    assert not (await only(running))[0].stopped
    assert await of(running) == []
    await hear(running, said(running, Reply("/stop", "Yes, stop"), "3"))
    assert (await only(running))[0].stopped
    assert {e.how for e in await of(running)} == {"button"}


async def test_the_brain_may_propose_it_too(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(question: object, listener: object = None) -> Answer:
        return Answer(False, opt_out=True)

    monkeypatch.setattr(running.brain, "answer", answer)
    await hear(running, said(running, Text("I've had enough of this"), "1"))
    asked = running.graph.messages()[-1].body["interactive"]["action"]["buttons"]
    assert [b["reply"]["id"] for b in asked] == ["/stop", "/keep"]
    assert not (await only(running))[0].stopped


async def test_help_is_the_tenants_to_answer_and_a_stop_is_not(running: Running) -> None:
    await hear(running, said(running, Text("¡Ayuda!"), "1"))
    assert "/human" in str(sent(running)[-1])
    await running.store.directory.set_rules("acme", [Rule("help", "Call us."), Rule("stop", "Never.")])
    running.brain.known["Help"] = "Call us."
    await hear(running, said(running, Text("Help"), "2"))
    assert sent(running)[-1] == "Call us."
    await hear(running, said(running, Text("Stop"), "3"))
    assert (await only(running))[0].stopped


async def test_a_turn_that_was_stopped_before_it_committed_confirms_all_the_same(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger has the entry, and a start has even restated the conversation by it."""
    await hear(running, said(running, Text("echo hello"), "0"))
    channel = await running.store.directory.channel("ch_wa")
    store = running.store.of("acme")
    conversation, _ = await only(running)
    real = type(store.conversations).save
    failed: list[object] = []

    async def save(self: object, talk: object) -> object:
        if not failed:
            failed.append(talk)
            await store.ledger.restate(conversation.contact, channel.id)
            raise RuntimeError("killed here")
        return await real(self, talk)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store.conversations), "save", save)
    await hear(running, said(running, Text("stop"), "1"))
    running.clock.move(seconds=30)
    await running.swept()
    assert failed
    assert [t for t in sent(running) if t and "any more" in t] == [
        "You won't get any more messages from me. /start brings me back."
    ]
    assert len(await of(running)) == 2


async def test_what_a_person_queued_before_does_not_leave_after(running: Running) -> None:
    await hear(running, said(running, Text("echo hello"), "0"))
    conversation, _ = await only(running)
    message = advert(running, conversation.id)
    later = running.clock() + timedelta(hours=1)
    await running.store.of("acme").messages.put_bulk([message], running.clock())
    await running.store.of("acme").messages.hold(
        message, later, Failure("permission:quiet_hours", "Later."), Decision("sent", running.clock(), False)
    )
    await hear(running, said(running, Text("STOP"), "1"))
    running.clock.move(hours=2)
    await running.swept()
    found = await running.store.of("acme").messages.get(message.id)
    assert found is not None
    assert found.status in (Status.CANCELLED, Status.FAILED)
    assert "advert" not in sent(running)


class TestRedis:
    @pytest.fixture
    def settings(self, settings: Settings, redis_url: str) -> Settings:
        return replace(settings, redis_url=redis_url)

    async def test_row_11_redis_flushed_and_who_opted_out_gets_nothing(
        self, running: Running, redis_server: RedisServer
    ) -> None:
        await hear(running, said(running, Text("echo hello"), "0"))
        await hear(running, said(running, Text("STOP"), "1"))
        conversation, _ = await only(running)
        before = len(sent(running))
        assert running.gateway.redis is not None
        await running.gateway.redis.flushall()
        await running.store.of("acme").messages.put_bulk([advert(running, conversation.id)], running.clock())
        for number in range(3):
            await hear(running, said(running, Text("echo hello?"), f"2{number}"))
            running.clock.move(seconds=5)
            await running.swept()
        assert len(sent(running)) == before
