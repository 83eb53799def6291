"""`template` on the command line: from a file to the provider, and what a person reads on the way."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.commands import parser
from gateway.commands.context import Context, Failed
from gateway.model.errors import Conflict, Invalid, NotFound
from tests.conftest import WABA, Running
from tests.templates.rig import heard

DRAFT = {
    "name": "order_ready",
    "language": "en_US",
    "category": "UTILITY",
    "body": "Hello {{1}}, your order {{2}} is ready.",
    "examples": {"1": "Ana", "2": "A-17"},
    "buttons": [{"kind": "reply", "text": "Thanks"}],
}


class Cli:
    def __init__(self, running: Running, capsys: pytest.CaptureFixture[str]) -> None:
        self._running = running
        self._capsys = capsys

    async def said(self, *words: str) -> str:
        """What a person reads."""
        args = parser().parse_args(["template", *words])
        self._capsys.readouterr()
        await args.call(Context(self._running.gateway.settings, self._running.store, args.json), args)
        return self._capsys.readouterr().out

    async def told(self, *words: str) -> Any:
        return json.loads(await self.said(*words, "--json"))


@pytest.fixture
def cli(running: Running, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(running, capsys)


OWN = ("--tenant", "acme")


async def test_from_a_file_to_the_provider(running: Running, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps({**DRAFT, "body": "{{1}}: {{2}} is ready."}))
    said = await cli.said("create", *OWN, "--channel", "ch_wa", "--file", str(file))
    assert said.startswith("Wrote the draft order_ready (en_US).\nIt would be refused as it is:\n  body: ")
    problems = await cli.told("lint", "order_ready", *OWN)
    assert {p["field"] for p in problems} == {"body"}
    assert all(p["source"] for p in problems)
    with pytest.raises(Invalid):
        await cli.said("submit", "order_ready", *OWN)
    file.write_text(json.dumps({k: DRAFT[k] for k in ("body", "examples")}))
    assert "Changed order_ready" in await cli.said(
        "edit", "order_ready", *OWN, "--file", str(file), "--footer", "Lumen"
    )
    assert "Nothing would be refused" in await cli.said("lint", "order_ready", *OWN)
    shown = await cli.said("preview", "order_ready", *OWN, "--value", "1=Eva")
    assert shown == "Hello Eva, your order A-17 is ready.\nLumen\n[ Thanks ]\n"
    assert await cli.said("submit", "order_ready", *OWN) == "Submitted order_ready (en_US): it is pending.\n"
    assert running.graph.templates.row("order_ready")["components"][-2] == {"type": "FOOTER", "text": "Lumen"}
    running.graph.templates.approve("order_ready", category="MARKETING")
    running.clock.move(hours=1)
    assert await cli.told("sync", "ch_wa") == {"seen": 2, "added": 1, "changed": 1, "deleted": 0}
    rows = await cli.told("list", *OWN, "--state", "APPROVED")
    assert [(r["name"], r["category"]) for r in rows][-1] == ("order_ready", "MARKETING")
    assert "order_ready" in await cli.said("list", *OWN, "--channel", "ch_wa")
    assert (await cli.told("show", "order_ready", *OWN))["variables"] == ["1", "2", "button.1.payload"]
    assert "Deleted order_ready" in await cli.said("delete", "order_ready", *OWN)


async def test_options_alone_make_a_draft_for_other_channels(cli: Cli) -> None:
    made = await cli.told(
        "create", *OWN, "--name", "welcome", "--language", "es", "--body", "Hola {{name}}, ¿qué tal?",
        "--example", "name=Ana", "--header", "Lumen", "--reply", "Bien", "--reply", "Mal", "--category", "utility",
    )  # fmt: skip
    assert (made["state"], made["usable"], made["problems"]) == ("DRAFT", True, [])
    shown = await cli.told("preview", "welcome", *OWN)
    assert (shown["header"], shown["body"]) == ("Lumen", "Hola Ana, ¿qué tal?")
    with pytest.raises(Conflict):
        await cli.said("create", *OWN, "--name", "welcome", "--language", "es", "--body", "x")
    with pytest.raises(Conflict, match="no approval"):
        await cli.said("submit", "welcome", *OWN)
    assert "Deleted" in await cli.said("delete", "welcome", *OWN)


async def test_a_test_goes_to_a_conversation(running: Running, cli: Cli) -> None:
    running.graph.templates.add("order_ready", body="It is ready.")
    await cli.told("sync", "ch_wa")
    talk = await heard(running)
    [sent] = await cli.told("test", "order_ready", *OWN, "--conversation", talk.id)
    await running.swept()
    assert running.graph.messages()[-1].message == sent["id"]
    assert running.graph.messages()[-1].body["template"]["name"] == "order_ready"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("show", "nothing"), Failed),
        (("edit", "nothing", "--body", "x"), Failed),
        (("create", "--name", "x", "--file", "/nowhere"), Invalid),
        (("create", "--name", ""), Invalid),
        (("create", "--name", "x", "--channel", "ch_nowhere"), NotFound),
        (("create", "--name", "x", "--example", "no"), Invalid),
        (("create", "--name", "x", "--category", "fun"), Invalid),
        (("list", "--limit", "0"), Invalid),
    ],
)
async def test_what_goes_wrong_is_said(cli: Cli, words: tuple[str, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        await cli.said(*words, *OWN)


async def test_one_name_in_two_languages(running: Running, cli: Cli) -> None:
    running.graph.templates.add("order_ready")
    running.graph.templates.add("order_ready", language="es")
    await cli.told("sync", "ch_wa")
    with pytest.raises(Invalid, match="one of several"):
        await cli.said("show", "order_ready", *OWN)
    assert (await cli.told("show", "order_ready", *OWN, "--language", "es"))["language"] == "es"
    found = await running.store.of("acme").templates.find(WABA, "order_ready", "en_US")
    assert found is not None
    assert (await cli.told("show", found.id, *OWN))["language"] == "en_US"


async def test_what_the_provider_refuses_is_a_sentence(running: Running, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps({**DRAFT, "body": "Hello {{1}}, your order {{2}} is ready for you."}))
    await cli.said("create", *OWN, "--channel", "ch_wa", "--file", str(file))
    running.graph.templates.add("order_ready")
    with pytest.raises(Failed, match=r"Content in this language already exists\. \(whatsapp:100\)"):
        await cli.said("submit", "order_ready", *OWN)
