"""Rules, forms, questions and gaps by API, command line and console."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from brain.answerer import local_answerer
from brain.embed import WordLlamaEmbedder
from gateway.commands import parser
from gateway.model.answers import Answer, AnswerSettings, Ask, FormRule, Submission
from gateway.model.content import Text
from gateway.model.errors import Invalid
from gateway.questions import Questions
from tests.answering.test_turns import Teller, kept, say
from tests.conftest import Running, make_tenant
from tests.consent.test_records import cli
from tests.core.test_api import call, key_of
from tests.core.test_console import fetch, sign_in
from tests.core.test_kinds import hear, only, said

FORMS = {
    "forms": [
        {
            "name": "booking",
            "fields": [
                {"name": "day", "question": "Which day?", "kind": "date"},
                {"name": "room", "question": "Which room?", "kind": "choice", "choices": ["In", "Out"]},
            ],
            "done": "Noted.",
        }
    ]
}
RULES = {
    "rules": [
        {"pattern": "book", "answer": "Gladly.", "form": "booking"},
        {"pattern": "menu", "answer": "What about?", "choices": ["Prices", "Hours"], "when": "open"},
    ]
}


@pytest.fixture
def teller(running: Running, monkeypatch: pytest.MonkeyPatch) -> Teller:
    found = Teller()
    monkeypatch.setattr(running.brain, "answer", found.answer)
    return found


async def test_rules_and_forms_by_api_come_back_as_they_were_put(running: Running) -> None:
    headers = await key_of(running, "acme")
    status, told = await call(running, "PUT", "/api/v1/rules", headers, RULES)
    assert (status, told["errors"][0]["field"]) == (422, "body.rules.0.form")
    assert (await call(running, "PUT", "/api/v1/forms", headers, FORMS))[0] == 200
    assert (await call(running, "PUT", "/api/v1/rules", headers, RULES))[0] == 200
    _, rules = await call(running, "GET", "/api/v1/rules", headers)
    assert [r["pattern"] for r in rules["rules"]] == ["book", "menu"]
    assert rules["rules"][1]["choices"] == ["Prices", "Hours"]
    _, forms = await call(running, "GET", "/api/v1/forms", headers)
    assert forms["forms"][0]["fields"][1]["choices"] == ["In", "Out"]
    # A form that a rule begins can't be taken away.
    assert (await call(running, "PUT", "/api/v1/forms", headers, {"forms": []}))[0] == 409
    assert (await running.store.directory.tenant("acme")).answers.forms[0].name == "booking"


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"pattern": "x"}, "body.rules.0.answer"),
        ({"pattern": "x", "answer": "y", "when": "monday"}, "body.rules.0.when"),
        ({"pattern": "(a+)+b", "answer": "y", "regex": True}, "body.rules.0"),
        ({"pattern": "x", "answer": "y", "choices": ["z" * 21]}, "body.rules.0"),
        ({"pattern": "x", "answer": "y", "choices": ["Yes", "yes!"]}, "body.rules.0"),
        ({"pattern": "x", "answer": "y", "colour": "red"}, "body.rules.0.colour"),
    ],
)
async def test_a_rule_that_would_not_work_is_refused_by_name(
    running: Running, rule: dict[str, Any], field: str
) -> None:
    headers = await key_of(running, "acme")
    status, told = await call(running, "PUT", "/api/v1/rules", headers, {"rules": [rule]})
    assert (status, told["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ({"name": "a", "question": "?", "kind": "choice"}, "choices"),
        ({"name": "a", "question": "?", "choices": ["x"]}, "choices"),
        ({"name": "a", "question": "?", "least": 1}, "least"),
        ({"name": "a", "question": "?", "kind": "number", "least": 3, "most": 2}, "most"),
        ({"name": "a b", "question": "?"}, "name"),
        ({"name": "a", "question": ""}, "question"),
    ],
)
async def test_a_form_that_would_not_work_is_refused_by_name(
    running: Running, field: dict[str, Any], named: str
) -> None:
    headers = await key_of(running, "acme")
    body = {"forms": [{"name": "f", "fields": [field], "done": "ok"}]}
    status, told = await call(running, "PUT", "/api/v1/forms", headers, body)
    assert (status, told["errors"][0]["field"]) == (422, f"body.forms.0.fields.0.{named}")


async def test_rules_and_forms_by_command_go_out_and_in_again(
    running: Running, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "forms.json"
    file.write_text(json.dumps(FORMS))
    await cli(running, capsys, "form", "import", "--tenant", "acme", str(file))
    file.write_text(json.dumps(RULES))
    await cli(running, capsys, "rule", "import", "--tenant", "acme", str(file))
    out = json.loads(await cli(running, capsys, "rule", "export", "--tenant", "acme"))
    file.write_text(json.dumps(out))
    await cli(running, capsys, "rule", "import", "--tenant", "acme", str(file))
    assert json.loads(await cli(running, capsys, "rule", "export", "--tenant", "acme")) == out
    for schema in (("rule", "schema"), ("form", "schema")):
        assert json.loads(await cli(running, capsys, *schema))["type"] == "object"
    wide = ("--choice", "Yes", "--choice", "No", "--when", "closed", "--hand-over")
    await cli(running, capsys, "rule", "add", "--tenant", "acme", "--pattern", "x", "--answer", "y", *wide)
    rule = (await running.store.directory.tenant("acme")).rules[-1]
    assert (rule.choices, rule.when, rule.hand_over) == (("Yes", "No"), "closed", True)
    for bad, field in (("{", "FILE"), ('{"rules": [{"pattern": 1}]}', "rules.0.pattern"), ("[1]", "rules.0")):
        file.write_text(bad)
        with pytest.raises(Invalid) as wrong:
            await cli(running, capsys, "rule", "import", "--tenant", "acme", str(file))
        assert wrong.value.field == field
    with pytest.raises(Invalid):
        await cli(running, capsys, "rule", "import", "--tenant", "acme", str(tmp_path / "none"))


async def test_what_was_filled_in_is_listed_for_its_own_tenant(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    form = FormRule("booking", (Ask("day", "Which day?"),), "Noted.")
    await running.store.directory.set_answers("acme", AnswerSettings(forms=(form,)))
    values = (("day", "2027-01-05"),)
    done = Submission("sub_1", "acme", "booking", running.clock(), "ch_wa", "ct", "cv", values)
    await running.store.of("acme").submissions.put(done)
    out = await cli(running, capsys, "form", "results", "--tenant", "acme", "booking")
    assert "day: 2027-01-05" in out
    path = "/api/v1/forms/booking/submissions"
    _, own = await call(running, "GET", path, await key_of(running, "acme"))
    assert [s["values"] for s in own["items"]] == [{"day": "2027-01-05"}]
    await make_tenant(running.store, "other")
    assert (await call(running, "GET", path, await key_of(running, "other")))[0] == 404


async def test_questions_and_gaps_by_api(running: Running, teller: Teller) -> None:
    teller.answers["hours?"] = Answer(True, "Nine to five.", by="local")
    await say(running, "hours?", "1")
    await say(running, "Do you repair scooters?", "2")
    await kept(running)
    headers = await key_of(running, "acme")
    _, asked = await call(running, "GET", "/api/v1/questions", headers)
    assert [(a["question"], a["known"]) for a in asked["items"]] == [
        ("Do you repair scooters?", False),
        ("hours?", True),
    ]
    path = f"/api/v1/questions/{asked['items'][1]['id']}/thumb"
    assert (await call(running, "PUT", path, headers, {"thumb": "down"}))[0] == 204
    assert (await call(running, "PUT", path, headers, {"thumb": "sideways"}))[0] == 422
    _, bad = await call(running, "GET", "/api/v1/questions?thumb=down", headers)
    assert [a["question"] for a in bad["items"]] == ["hours?"]
    _, gaps = await call(running, "GET", "/api/v1/gaps", headers)
    [gap] = gaps["items"]
    path = f"/api/v1/gaps/{gap['id']}/answer"
    assert (await call(running, "POST", path, headers, {"answer": ""}))[0] == 422
    status, done = await call(running, "POST", path, headers, {"answer": "Yes, since May."})
    assert (status, done["state"]) == (200, "answered")
    assert (await call(running, "GET", "/api/v1/gaps", headers))[1]["items"] == []
    await make_tenant(running.store, "other")
    foreign = await key_of(running, "other")
    assert (await call(running, "POST", path, foreign, {"answer": "x"}))[0] == 404
    assert (await call(running, "GET", "/api/v1/questions", foreign))[1]["items"] == []


async def test_questions_and_gaps_by_command(
    running: Running, teller: Teller, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.commands.question.WordLlamaEmbedder", lambda: running.gateway.embedder)
    await say(running, "Do you repair scooters?", "1")
    await say(running, "Is there parking?", "2")
    await kept(running)
    own = ("--tenant", "acme")
    rows = json.loads(await cli(running, capsys, "gap", "list", *own, "--json"))
    by_question = {r["question"]: r["id"] for r in rows}
    await cli(running, capsys, "gap", "answer", *own, by_question["Do you repair scooters?"], "Yes.")
    await cli(running, capsys, "gap", "dismiss", *own, by_question["Is there parking?"])
    assert "Every question had an answer" in await cli(running, capsys, "gap", "list", *own)
    [document] = await running.store.knowledge.documents("acme")
    assert document.title == "Do you repair scooters?"
    [first, *_] = json.loads(await cli(running, capsys, "question", "list", *own, "--json"))
    await cli(running, capsys, "question", "rate", *own, first["id"], "down")
    assert first["id"] in await cli(running, capsys, "question", "list", *own, "--thumb", "down")
    for words in (("--days", "91"), ("--limit", "0")):
        with pytest.raises(Invalid):
            await cli(running, capsys, "question", "list", *own, *words)
    for group in ("rule", "form", "question", "gap"):
        with pytest.raises(SystemExit) as left:
            parser().parse_args([group, "--help"])
        assert left.value.code == 0


async def test_the_console_answers_a_gap_and_rates_an_answer(running: Running, teller: Teller) -> None:
    evil = "<script>alert(1)</script> Do you repair scooters?"
    teller.answers["hours?"] = Answer(True, "Nine to five.", by="local")
    await say(running, evil, "1")
    await say(running, "hours?", "2")
    await kept(running)
    cookie = await sign_in(running)
    code, page, _ = await fetch(running, "/console/questions", cookie)
    assert code == 200 and "<script" not in page and "&lt;script&gt;" in page
    [token] = set(re.findall(r'name="csrf" value="([^"]+)"', page))
    [gap] = await running.store.of("acme").gaps.of_state("open", 10)
    path = f"/console/questions/{gap.id}"
    assert (await fetch(running, path, cookie, "POST", csrf="x", do="answer", answer="Yes."))[0] == 403
    code, page, _ = await fetch(running, path, cookie, "POST", csrf=token, do="answer", answer="  ")
    assert code == 422 and 'role="alert"' in page
    code, _, answer = await fetch(
        running, path, cookie, "POST", csrf=token, do="answer", answer="Yes, we do."
    )
    assert (code, answer.headers["Location"]) == (303, "/console/questions")
    assert [c.text for c in await running.store.knowledge.chunks("acme")] == ["Yes, we do."]
    _, page, _ = await fetch(running, "/console/questions", cookie)
    assert "Every question had an answer so far" in page
    conversation, messages = await only(running)
    here = f"/console/conversations/{conversation.id}"
    turn = messages[-1].turn or ""
    code, _, _ = await fetch(running, f"{here}/rate", cookie, "POST", csrf=token, asked=turn, thumb="down")
    assert code == 303
    assert (await kept(running))[0].agent_thumb == "down"
    _, page, _ = await fetch(running, here, cookie)
    assert page.count('aria-pressed="true"') == 1
    _, page, _ = await fetch(running, "/console/questions", cookie)
    assert "Nine to five." in page
    await make_tenant(running.store, "other")
    stranger = await sign_in(running, "other", "bo@example.com")
    _, page, _ = await fetch(running, "/console/questions", stranger)
    assert "Nine to five." not in page
    [token] = set(re.findall(r'name="csrf" value="([^"]+)"', page))
    assert (await fetch(running, path, stranger, "POST", csrf=token, do="dismiss"))[0] == 404
    foreign = await fetch(running, f"{here}/rate", stranger, "POST", csrf=token, asked=turn, thumb="up")
    assert foreign[0] == 404


async def test_an_answer_given_to_a_gap_is_what_the_next_customer_hears(running: Running) -> None:
    """The whole way, with the real brain: asked, not known, answered by an agent, asked again."""
    embedder = WordLlamaEmbedder()
    brain = local_answerer(running.store.knowledge, embedder)
    running.brain.answer = brain.answer  # type: ignore[method-assign]
    questions = Questions(running.store, embedder, running.clock)
    await hear(running, said(running, Text("Do you repair electric scooters?"), "1"))
    await kept(running)
    [gap] = await running.store.of("acme").gaps.of_state("open", 10)
    await questions.answer("acme", gap.id, "Yes, every brand, since May.")
    await hear(running, said(running, Text("do you repair electric scooters"), "2"))
    assert "every brand" in str(running.graph.messages()[-1].text)


async def test_an_agents_answer_is_kept_with_its_question_and_without_the_customers_details(
    running: Running, teller: Teller, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.commands.question.WordLlamaEmbedder", lambda: running.gateway.embedder)
    headers = await key_of(running, "acme")
    sender = said(running, Text("Do you repair scooters? My number is 600 111 222"), "1")
    await hear(running, replace(sender, name="Ana Silva"))
    conversation, _ = await only(running)

    async def answered(text: str) -> str:
        path = f"/api/v1/conversations/{conversation.id}/messages"
        body = {"content": {"type": "text", "text": text}}
        _, found = await call(running, "POST", path, headers, body)
        await running.idle()
        return str(found["items"][0]["id"])

    personal = await answered("Dear Ana Silva, yes.")
    status, told = await call(running, "POST", f"/api/v1/messages/{personal}/keep", headers, {})
    assert (status, told["errors"][0]["field"]) == (422, "message")
    good = await answered("Yes, every brand.")
    assert (await call(running, "POST", f"/api/v1/messages/{good}/keep", headers, {}))[0] == 200
    [chunk] = await running.store.knowledge.chunks("acme")
    assert (chunk.question, chunk.text) == ("Do you repair scooters? My number is …", "Yes, every brand.")
    await cli(running, capsys, "question", "keep", "--tenant", "acme", good)  # again: the same document
    assert len(await running.store.knowledge.documents("acme")) == 1
    cookie = await sign_in(running)
    here = f"/console/conversations/{conversation.id}"
    _, page, _ = await fetch(running, here, cookie)
    assert page.count("Teach it to the bot") == 2
    [token] = set(re.findall(r'name="csrf" value="([^"]+)"', page))
    assert (await fetch(running, f"{here}/keep", cookie, "POST", csrf=token, message=good))[0] == 303
    code, page, _ = await fetch(running, f"{here}/keep", cookie, "POST", csrf=token, message=personal)
    assert code == 422 and "Not kept" in page
    assert (await fetch(running, f"{here}/keep", cookie, "POST", csrf="x", message=good))[0] == 403
    assert (await fetch(running, f"{here}/keep", cookie, "POST", csrf=token, message="m_x"))[0] == 404
