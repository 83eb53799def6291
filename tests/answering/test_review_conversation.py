"""What an adversarial reading found in the conversation's part: hours, forms, details left out, notes, the holding line."""

import asyncio
from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from gateway.company import Company
from gateway.handoff import set_owner
from gateway.holding import Holding
from gateway.model.answers import Answer, Ask, Asked, Gap, Hours, Span
from gateway.model.content import Text
from gateway.model.errors import Invalid, Unavailable
from gateway.model.hours import is_open, opens
from gateway.model.redact import redacted
from gateway.questions import Questions
from gateway.store import Store
from leads.form_texts import form_words
from leads.forms import FormContext, check
from tests.conftest import MovableClock, Running, make_tenant
from tests.core.test_kinds import hear, only, said, sent
from tests.knowledge.conftest import Vector


def test_a_day_that_ends_at_midnight_does_not_begin_before_its_start() -> None:
    hours = Hours("UTC", tuple((Span(time(18), time.max),) for _ in range(7)))
    assert not is_open(hours, datetime(2026, 11, 20, 9, tzinfo=UTC))
    assert is_open(hours, datetime(2026, 11, 20, 18, tzinfo=UTC))
    assert is_open(hours, datetime(2026, 11, 20, 23, 59, 59, 999_999, tzinfo=UTC))
    back = opens(hours, datetime(2026, 11, 20, 9, tzinfo=UTC))
    assert back is not None and back.hour == 18


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("600 - 123 - 456", "…"),
        ("+34–600–123–456", "…"),
        ("my IBAN is ES9121000418450200051332", "my IBAN is …"),
        ("+1 (555) 123-4567 please", "… please"),
        ("call 600123456now", "call …now"),
        ("12345678901234567890123456", "…"),
        ("٠٦٠٠١٢٣٤٥٦", "…"),
        ("open on 24/12 from 9 to 17, 25 euros", "open on 24/12 from 9 to 17, 25 euros"),
        ("is model XR2000 better than XR-3000", "is model XR2000 better than XR-3000"),
    ],
)
def test_numbers_of_people_are_left_out_however_they_are_written(text: str, told: str) -> None:
    assert redacted(text) == told


def _field(kind: Any, answer: str) -> tuple[str, bool]:
    context = FormContext(date(2026, 11, 22), "en", "ES")
    value, wrong = check(Ask("x", "?", kind), answer, context, form_words("en"))
    return value, bool(wrong)


def test_a_form_takes_the_digits_of_every_script_and_guesses_no_number() -> None:
    assert _field("number", "٣") == ("3", False)
    assert _field("number", "२") == ("2", False)
    assert _field("date", "٢٢/١١/٢٠٢٦") == ("2026-11-22", False)
    assert _field("number", "1,5") == ("1.5", False)
    # A thousand here is one there; and nothing is infinitely many.
    assert _field("number", "1,500") == ("", True)
    assert _field("number", "9" * 400) == ("", True)


def asked(number: int, question: str, tenant: str = "acme", text: str = "") -> Asked:
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    return Asked(f"m{number}", tenant, at, question, "ch", "co", "cv", False, text=text)


async def _gaps(store: Store, tenant: str = "acme") -> list[Gap]:
    return await store.of(tenant).gaps.of_state("open", 50)


@pytest.fixture
async def questions(store: Store, clock: MovableClock) -> Questions:
    await make_tenant(store)
    await make_tenant(store, "beta")
    return Questions(store, Vector(), clock)


async def test_what_was_written_before_the_database_went_away_is_not_counted_again(
    questions: Questions, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, tenant in enumerate(("acme", "beta")):
        questions.note(asked(number, "Do you sell bicycles?", tenant))
    of = type(store).of

    def away(self: Store, tenant: str) -> Any:
        if tenant == "beta":
            raise Unavailable("away")
        return of(self, tenant)

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "of", away)
        with pytest.raises(Unavailable):
            await questions.write()
    await questions.write()
    assert [g.count for g in await _gaps(store)] == [1]
    assert [g.count for g in await _gaps(store, "beta")] == [1]


async def test_a_writing_that_is_broken_off_loses_no_notes(
    questions: Questions, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.Event()

    async def stuck(*_: object) -> None:
        started.set()
        await asyncio.Event().wait()

    questions.note(asked(1, "Do you sell bicycles?"))
    with monkeypatch.context() as patched:
        patched.setattr("gateway.store.Store.keep_asked", stuck)
        task = asyncio.create_task(questions.write())
        await started.wait()
        task.cancel()
        await asyncio.wait({task})
    await questions.close()
    assert await store.of("acme").asked.get("m1") is not None


async def test_a_note_that_no_database_takes_does_not_take_others_with_it(
    questions: Questions, store: Store
) -> None:
    questions.note(asked(1, "Do you sell bicycles?", text="\ud800"))
    questions.note(asked(2, "Do you sell helmets?"))
    questions.note(asked(3, "Do you sell bells?", "beta"))
    await questions.write()
    assert await store.of("acme").asked.get("m2") is not None
    assert await store.of("beta").asked.get("m3") is not None
    await questions.write()


async def test_nothing_but_a_number_is_no_gap_and_one_burst_makes_one_group(
    questions: Questions, store: Store
) -> None:
    questions.note(asked(1, "600 123 456?"))
    questions.note(asked(2, "Do you sell bicycles?"))
    questions.note(asked(3, "do you sell bicycles"))
    await questions.write()
    assert [(g.question, g.count) for g in await _gaps(store)] == [("Do you sell bicycles?", 2)]


async def test_a_gap_is_not_answered_into_a_collection_that_is_not_there(
    questions: Questions, store: Store
) -> None:
    questions.note(asked(1, "Do you sell bicycles?"))
    await questions.write()
    (gap,) = await _gaps(store)
    with pytest.raises(Invalid, match="collection"):
        await questions.answer("acme", gap.id, "Yes.", "nowhere")
    assert await store.knowledge.documents("acme") == []
    assert len(await _gaps(store)) == 1


async def test_a_draft_that_can_not_be_shown_does_not_break_the_answer() -> None:
    class Shows:
        capabilities = None

        def shows_drafts(self, address: str) -> bool:
            return True

        async def show_draft(self, *_: object) -> None:
            raise ValueError("broken")

    from types import SimpleNamespace

    company = Company.__new__(Company)
    company._drafts = Shows()
    company._mute, company._shown = False, ""
    company._channel = company._conversation = company._message = SimpleNamespace()  # type: ignore[assignment]
    await company.said("Yes.")
    assert company._mute


async def test_the_line_that_holds_is_not_said_for_a_person_who_has_taken_over(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    thinking, taken = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr("gateway.company.HOLDS", 0.05)
    tried = asyncio.Event()
    call = Holding.__call__

    async def told(self: Holding) -> None:
        await taken.wait()
        await call(self)
        tried.set()

    async def slow(*_: object) -> Answer:
        thinking.set()
        await tried.wait()
        return Answer(False)

    monkeypatch.setattr(Holding, "__call__", told)
    await hear(running, said(running, Text("hello?"), "1"))
    before = len(sent(running))
    monkeypatch.setattr(running.brain, "answer", slow)
    task = asyncio.create_task(hear(running, said(running, Text("where is my order?"), "2")))
    await thinking.wait()
    conversation, _ = await only(running)
    await set_owner(running.store.of("acme"), conversation.id, "agent")
    taken.set()
    await task
    assert sent(running)[before:] == []
