"""Golden questions, runs over them, and real questions asked again: from the store, the command's file, and the API."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from brain.answerer import local_answerer
from brain.embed import Embedder
from brain.ingest import add_file
from gateway.commands.evaluate import read_goldens, replay_lines
from gateway.knowing import Knowing, faults, figures, turned
from gateway.model.answers import Answer, AnswerSettings, Asked, Used
from gateway.model.content import Source
from gateway.model.errors import Invalid, NotFound
from gateway.model.golden import EvalRun, Figures, Golden, Verdict, golden_id
from gateway.store import Store
from gateway.store.goldens import KEPT_RUNS
from tests.brain.conftest import NOW, embedder
from tests.conftest import MovableClock, Running, make_tenant

__all__ = ["embedder"]

LIVE = b"# Salon\n\n## Prices\n\nA haircut costs $20.\n\n## Hours\n\nWe are open from Tuesday to Friday."
DRAFT = LIVE.replace(b"$20", b"$25") + b"\n\n## Parking\n\nParking is free behind the house."


def golden(question: str, *contain: str, tenant: str = "acme", **more: Any) -> Golden:
    return Golden(golden_id(tenant, question), tenant, question, NOW, contain, **more)


def asked(number: int, question: str, clock: MovableClock, **more: Any) -> Asked:
    at = clock() - timedelta(minutes=number)
    return Asked(f"m{number}", "acme", at, question, "ch_web", "c", "v", True, **more)


@pytest.fixture
async def knowing(store: Store, embedder: Embedder, clock: MovableClock) -> Knowing:
    await make_tenant(store)
    await add_file(store.knowledge, embedder, "acme", "salon.md", LIVE, NOW)
    return Knowing(store, local_answerer(store.knowledge, embedder), None, clock)


async def test_a_run_judges_every_question_and_is_kept(knowing: Knowing, store: Store) -> None:
    goldens = [
        golden("How much is a haircut?", "$20"),
        golden("When are you open?", must_cite="salon › hours"),
        golden("What does a haircut cost?", "$99"),
        golden("Do you sell cars?", must_refuse=True),
    ]
    await knowing.add("acme", goldens)
    seen: list[tuple[int, int]] = []
    run = await knowing.evaluate("acme", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    by = {v.question: v for v in run.verdicts}
    assert [by[g.question].right for g in goldens] == [True, True, False, True]
    assert by["What does a haircut cost?"].faults == ("the answer lacks “$99”",)
    assert (by["How much is a haircut?"].rank, by["What does a haircut cost?"].rank) == (1, 0)
    assert by["Do you sell cars?"].rank is None
    assert (run.figures.questions, run.figures.right) == (4, 3)
    assert (run.figures.hit1, run.figures.answered, run.figures.refused) == (0.6667, 0.6667, 1.0)
    assert await store.of("acme").eval_runs.get(run.id) == run
    (listed,) = await store.of("acme").eval_runs.latest(5)
    assert (listed.figures, listed.verdicts) == (run.figures, ())
    assert await store.of("other").eval_runs.get(run.id) is None


async def test_the_same_question_is_one_golden_question(knowing: Knowing, store: Store) -> None:
    await knowing.add("acme", [golden("How much?", "$20")])
    await knowing.add("acme", [golden("  how  MUCH? ", "$30")])
    (kept,) = await store.of("acme").goldens.all()
    assert kept.must_contain == ("$30",)
    assert await store.of("other").goldens.get(kept.id) is None
    assert not await store.of("other").goldens.remove(kept.id)
    assert await store.of("acme").goldens.remove(kept.id)
    with pytest.raises(Invalid):
        await knowing.evaluate("acme")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (golden("q"), "must_contain"),
        (golden("  ", "x"), "question"),
        (golden("q" * 501, "x"), "question"),
        (golden("q", "x", must_refuse=True), "must_refuse"),
        (golden("q", ""), "must_contain"),
        (golden("q", *["x"] * 11), "must_contain"),
        (golden("q", must_cite=" "), "must_cite"),
    ],
)
async def test_what_no_answer_could_be_judged_by_is_refused(
    knowing: Knowing, store: Store, wrong: Golden, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await knowing.add("acme", [golden("fine", "x"), wrong])
    assert refused.value.field == field
    assert await store.of("acme").goldens.all() == []


def test_case_and_spaces_do_not_matter() -> None:
    answer = Answer(True, "It costs\n €40 a Day.", (Source("Rentals › Prices", "https://x.example/r"),))
    assert faults(golden("q", "€40 A DAY", must_cite="rentals"), answer) == []
    assert faults(golden("q", "€40", must_cite="x.example"), answer) == []
    assert faults(golden("q", "€50", must_cite="about"), answer) == [
        "the answer lacks “€50”",
        "it does not cite “about”",
    ]
    assert faults(golden("q", "x"), Answer(False)) == ["it was not answered"]


def test_figures_of_nothing_are_none() -> None:
    assert figures([]) == Figures()
    two = [
        Verdict("a", "q", False, True, "x", right=True, rank=2, seconds=1.0, used=Used(1, 2, 3)),
        Verdict("b", "q", True, False, ""),
    ]
    told = figures(two)
    assert (told.hit1, told.hit3, told.mrr, told.refused, told.tokens, told.money) == (
        0.0,
        1.0,
        0.5,
        0.0,
        3,
        3,
    )


async def test_two_runs_are_compared(knowing: Knowing, store: Store, embedder: Embedder) -> None:
    await knowing.add(
        "acme", [golden("How much is a haircut?", "$20"), golden("When are you open?", "Tuesday")]
    )
    before = await knowing.evaluate("acme")
    await add_file(store.knowledge, embedder, "acme", "salon.md", DRAFT, NOW)
    await store.directory.refresh()
    after = await knowing.evaluate("acme")
    assert after.version > before.version
    (one,) = turned(before, after)
    assert (one.told, one.question) == ("worse", "How much is a haircut?")
    assert turned(after, before)[0].told == "better"
    assert turned(before, before) == []
    less = replace(after, verdicts=after.verdicts[:1])
    assert [t.told for t in turned(less, replace(after, verdicts=()))] == ["gone"]


async def test_old_runs_go(store: Store, clock: MovableClock) -> None:
    await make_tenant(store)
    runs = store.of("acme").eval_runs
    for n in range(KEPT_RUNS + 2):
        await runs.put(EvalRun(f"er_{n}", "acme", clock() + timedelta(seconds=n), 0, "local", Figures()))
    assert len(await runs.latest(1000)) == KEPT_RUNS
    assert await runs.get("er_1") is None


async def test_real_questions_are_asked_again_before_publishing(
    knowing: Knowing, store: Store, embedder: Embedder, clock: MovableClock
) -> None:
    questions = [
        "How much is a haircut?",
        "When are you open?",
        "Is parking free?",
        "how much is  a haircut?",
    ]
    await store.of("acme").asked.put([asked(n, q, clock) for n, q in enumerate(questions)])
    await store.of("acme").asked.put([replace(asked(9, "Old?", clock), at=clock() - timedelta(days=40))])
    same = await knowing.replay("acme")
    assert same.counts == {"no longer answered": 0, "changed": 0, "newly answered": 0, "same": 3}
    await add_file(store.knowledge, embedder, "acme", "salon.md", DRAFT, NOW, draft=True)
    found = await knowing.replay("acme")
    assert found.counts == {"no longer answered": 0, "changed": 1, "newly answered": 1, "same": 1}
    changed, newly, _ = found.differences
    assert (changed.question, changed.count) == ("How much is a haircut?", 2)
    assert "$20" in changed.live.text
    assert "$25" in changed.draft.text
    assert (newly.live.known, newly.draft.known) == (False, True)
    shown = "\n".join(replay_lines(found))
    assert "changed: How much is a haircut? (2 times)" in shown
    assert "When are you open?" not in shown
    assert "When are you open?" in "\n".join(replay_lines(found, same=True))
    await store.knowledge.remove("acme", (await store.knowledge.documents("acme"))[0].id, draft=True)
    gone = await knowing.replay("acme")
    assert gone.counts["no longer answered"] == 2


async def test_a_golden_question_of_a_real_one(knowing: Knowing, store: Store, clock: MovableClock) -> None:
    first = asked(
        1, "Do you cut hair?", clock, sources=(Source("Salon › Prices"),), language="en", thumb="down"
    )
    await store.of("acme").asked.put([first])
    made = await knowing.from_asked("acme", "m1")
    assert (made.must_cite, made.channel, made.language) == ("Salon › Prices", "ch_web", "en")
    assert (await knowing.from_asked("acme", "m1", ["scissors"])).must_contain == ("scissors",)
    assert (await knowing.from_asked("acme", "m1", refuse=True)).must_refuse
    assert len(await store.of("acme").goldens.all()) == 1
    with pytest.raises(NotFound):
        await knowing.from_asked("acme", "m2")


def test_a_file_is_read_with_errors_by_line() -> None:
    lines = (
        '{"question": "a", "must_contain": "x"}\n\nnonsense\n{"question": "b", "extra": 1}\n{"question": "c"}\n'
        '{"question": "d", "must_contain": [1]}\n["e"]\n'
        '{"question": 5, "must_refuse": true}\n{"question": "f", "must_refuse": true}'
    )
    goldens, wrong = read_goldens("acme", lines, as_csv=False)
    assert [(g.question, g.must_contain, g.must_refuse) for g in goldens] == [
        ("a", ("x",), False),
        ("f", (), True),
    ]
    assert [line for line, _ in wrong] == [3, 4, 5, 6, 7, 8]
    table = 'question,must_contain,must_refuse,language\n"a, b",x | y,,en\nc,,yes,\n,z,,\nd,,,\n'
    goldens, wrong = read_goldens("acme", table, as_csv=True)
    assert [(g.question, g.must_contain, g.must_refuse, g.language) for g in goldens] == [
        ("a, b", ("x", "y"), False, "en"),
        ("c", (), True, None),
    ]
    assert [line for line, _ in wrong] == [4, 5]


async def test_the_api(running: Running, embedder: Embedder) -> None:
    _, secret = await running.store.access.create_key("acme", "test", running.clock())
    headers = {"Authorization": f"Bearer {secret}"}
    base = running.url + "/api/v1"
    await running.store.directory.set_answers("acme", AnswerSettings(threshold=0.0))
    await add_file(running.store.knowledge, embedder, "acme", "salon.md", LIVE, NOW)
    await running.store.of("acme").asked.put([asked(1, "How much is a haircut?", running.clock)])
    await running.store.directory.refresh()

    async def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with running.http.request(method, base + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    status, made = await call(
        "POST", "/goldens", {"question": "What does a haircut cost?", "must_contain": ["$20"]}
    )
    assert (status, made["must_contain"]) == (200, ["$20"])
    assert (await call("POST", "/goldens", {"question": "x"}))[0] == 422
    assert (await call("POST", "/questions/m1/golden", {"must_refuse": True}))[0] == 200
    assert (await call("POST", "/questions/m2/golden", {}))[0] == 404
    status, run = await call("POST", "/evaluations", {})
    assert (status, [v["right"] for v in run["verdicts"]]) == (200, [True, False])
    assert (await call("POST", "/evaluations", {"limit": 51}))[0] == 422
    assert (await call("GET", "/evaluations"))[1]["items"][0]["id"] == run["id"]
    assert (await call("GET", f"/evaluations/{run['id']}"))[1] == run
    assert (await call("GET", "/evaluations/er_none"))[0] == 404
    status, replayed = await call("POST", "/replays", {"limit": 5})
    assert (status, replayed["counts"]["same"], replayed["questions"]) == (200, 1, 1)
    assert (await call("DELETE", f"/goldens/{made['id']}"))[0] == 204
    assert (await call("DELETE", f"/goldens/{made['id']}"))[0] == 404
    assert len((await call("GET", "/goldens"))[1]["items"]) == 1
