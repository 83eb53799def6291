"""The command line as a person uses it: other processes, beside a running gateway and without one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
import pytest

from channels.whatsapp.adapter import WhatsAppAdapter
from gateway import bootstrap
from gateway.commands import parser
from gateway.commands.context import Context
from gateway.model.ports import Connected
from gateway.model.tenant import Channel
from gateway.settings import _PARSERS, Settings
from gateway.store import Store
from tests.conftest import ACCESS_TOKEN, APP_SECRET, ORIGIN, make_tenant, make_whatsapp
from tests.providers.bot_api import BotApi
from tests.providers.graph_webhooks import signed, text_webhook
from tests.telegram.rig import TOKEN

ROOT = Path(__file__).parent.parent.parent
START = 60.0


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if k not in _PARSERS}
    return {**clean, "DATA_DIR": str(data_dir), "HOST": "127.0.0.1", **more}


def command(data_dir: Path, *words: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words],
        cwd=ROOT, env=environment(data_dir, **more), input=stdin, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def told(data_dir: Path, *words: str, stdin: str = "") -> Any:
    """A command's JSON."""
    done = command(data_dir, *words, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass
class Process:
    """A `run` of its own, and every line that it has printed."""

    data_dir: Path
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    said: threading.Condition = field(default_factory=threading.Condition)
    url: str = ""

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.said:
                self.lines.append(line)
                self.said.notify_all()

    def until(self, words: str, seconds: float = START) -> str:
        """The first line with these words in it."""
        with self.said:
            assert self.said.wait_for(lambda: any(words in line for line in self.lines), seconds), self.lines
            return next(line for line in self.lines if words in line)

    def fetch(self, path: str) -> tuple[int, str]:
        with urlopen(self.url + path, timeout=20) as answer:
            return answer.status, answer.read().decode()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


def start(data_dir: Path) -> Process:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "gateway", "run"],
        cwd=ROOT, env=environment(data_dir, PORT="0"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    started = Process(data_dir, process)
    threading.Thread(target=started.read, daemon=True).start()
    return started


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One `run` for the tests of this file that need no other."""
    started = start(tmp_path_factory.mktemp("run"))
    try:
        started.url = started.until("Demo page").split()[-1].removesuffix("/demo")
        started.until("Ctrl-C stops it")
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.wait(20)
        assert started.process.stdout is not None
        started.process.stdout.close()


def test_run_serves_the_demo_and_a_one_time_link(run: Process) -> None:
    assert run.fetch("/health")[0] == run.fetch("/ready")[0] == 200
    assert "ch_demo" in run.fetch("/demo")[1]
    link = run.until("/console/sign-in?link=").split()[-1]
    assert "Sign in" in run.fetch(link.removeprefix(run.url))[1]


def test_commands_work_beside_a_running_gateway(run: Process) -> None:
    folder = run.data_dir
    made = told(folder, "tenant", "create", "--name", "Ácme & Co", "--id", "acme", "--region", "ES")
    assert made == {"id": "acme", "name": "Ácme & Co"}
    assert {t["id"] for t in told(folder, "tenant", "list")} == {"acme", "demo"}
    words = ("channel", "add", "whatsapp", "--tenant", "acme", "--phone-number-id", "123", "--waba-id", "456")
    channel = told(
        folder, *words, "--access-token", "-", "--app-secret", "-", "--verify-token", "-",
        stdin=f"{ACCESS_TOKEN}\n{APP_SECRET}\nmy-verify-token\n",
    )  # fmt: skip
    assert channel["webhook"].endswith(f"/webhooks/whatsapp/{channel['id']}")
    assert channel["verify_token"] == "my-verify-token"
    # The running gateway knows the new channel, by the secret that came from standard input.
    query = "hub.mode=subscribe&hub.verify_token=my-verify-token&hub.challenge=77"
    assert run.fetch(f"/webhooks/whatsapp/{channel['id']}?{query}") == (200, "77")

    async def say() -> None:
        body = text_webhook("34600111222", "hello", "wamid.cli", int(time.time()), account="123")
        async with aiohttp.ClientSession() as http:
            url = f"{run.url}/webhooks/whatsapp/{channel['id']}"
            async with http.post(url, data=body, headers=signed(body, APP_SECRET)) as answer:
                assert answer.status == 200

    asyncio.run(say())
    [conversation] = told(folder, "conversation", "list", "--tenant", "acme")
    shown = told(folder, "conversation", "show", "--tenant", "acme", conversation["id"])
    assert shown[0]["text"] == "hello"
    assert (
        told(folder, "conversation", "owner", "--tenant", "acme", conversation["id"], "agent")["owner"]
        == "agent"
    )
    assert told(folder, "lead", "list", "--tenant", "acme") == []
    assert told(folder, "deadletter", "list", "--tenant", "acme") == []
    key = told(folder, "key", "create", "--tenant", "acme")["key"]

    async def ask() -> Any:
        async with aiohttp.ClientSession() as http:
            headers = {"Authorization": f"Bearer {key}"}
            async with http.get(f"{run.url}/api/v1/conversations", headers=headers) as answer:
                return await answer.json()

    assert [c["owner"] for c in asyncio.run(ask())["items"]] == ["agent"]
    done = command(folder, "doctor")
    assert done.returncode == 0
    assert "tenant acme" in done.stdout


def test_a_second_run_on_the_same_folder_is_refused(run: Process) -> None:
    done = command(run.data_dir, "run", PORT="0")
    assert done.returncode == 1
    assert "in use by another running Parley" in done.stderr
    assert "Traceback" not in done.stderr
    assert run.fetch("/ready")[0] == 200


def test_a_database_that_is_killed_is_started_again_and_the_gateway_recovers(run: Process) -> None:
    pid = json.loads((run.data_dir / "embedded.json").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    run.until("starting it again")
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            if run.fetch("/ready")[0] == 200:
                break
        except OSError:
            continue  # 503 until it is back
    assert run.fetch("/ready")[0] == 200
    assert "demo" in {t["id"] for t in told(run.data_dir, "tenant", "list")}


def test_sigterm_ends_it_cleanly_and_the_folder_is_free(run: Process) -> None:
    started = time.monotonic()
    assert run.stop() == 0
    assert time.monotonic() - started < 30
    assert not any("Traceback" in line for line in run.lines), run.lines
    assert not (run.data_dir / "embedded.json").exists()
    # Without a running gateway a command opens the folder itself, and finds what was there.
    assert "demo" in {t["id"] for t in told(run.data_dir, "tenant", "list")}


# In this process: the same commands over a store that is there already ---------------------------------------


@dataclass
class Line:
    """The command line over a test's own store."""

    settings: Settings
    store: Store
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, *words: str) -> Any:
        args = parser().parse_args([*words, "--json"])
        await args.call(Context(self.settings, self.store, True), args)
        return json.loads(self.capsys.readouterr().out)

    async def fails(self, *words: str) -> str:
        args = parser().parse_args(words)
        with pytest.raises(Exception) as refused:
            await args.call(Context(self.settings, self.store, False), args)
        kinds = (ValueError, TypeError, KeyError, AttributeError, OverflowError, AssertionError)
        assert not isinstance(refused.value, kinds), refused.value
        return str(refused.value)


@pytest.fixture
def line(settings: Settings, store: Store, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(settings, store, capsys)


async def test_tenants_users_and_keys(line: Line) -> None:
    assert (await line("tenant", "create", "--name", "Bikes & Co."))["id"] == "bikes-co"
    assert "exists already" in await line.fails("tenant", "create", "--name", "Bikes Co")
    wrong: tuple[tuple[tuple[str, ...], str], ...] = (
        (("--name", "x", "--id", "UPPER"), "--id"), (("--name", "x", "--id", "a b"), "--id"),
        (("--name", "xx", "--language", "xx"), "--language"), (("--name", "xx", "--region", "gb"), "--region"),
    )  # fmt: skip
    for words, field_name in wrong:
        assert (await line.fails("tenant", "create", *words)).startswith(field_name)
    made = await line("user", "create", "--tenant", "bikes-co", "--email", "Ana@Example.com")
    assert made["email"] == "ana@example.com"
    assert "/console/sign-in?link=" in made["link"]
    assert "exists already" in await line.fails(
        "user", "create", "--tenant", "bikes-co", "--email", "ana@example.com"
    )
    assert (await line.fails("user", "create", "--tenant", "bikes-co", "--email", "nobody")).startswith(
        "--email"
    )
    assert (await line("user", "link", "--email", "ANA@example.com"))["link"] != made["link"]
    assert "user create" in await line.fails("user", "link", "--email", "bo@example.com")
    key = await line("key", "create", "--tenant", "bikes-co", "--name", "crm")
    assert (key["tenant"], key["name"]) == ("bikes-co", "crm")
    assert await line.store.access.key(key["key"])
    needing: tuple[tuple[str, ...], ...] = (
        ("user", "create", "--email", "x@y.zz"), ("key", "create"), ("lead", "list"), ("channel", "list"),
        ("knowledge", "list"), ("rule", "list"), ("conversation", "list"), ("deadletter", "list"),
    )  # fmt: skip
    for asked in needing:
        assert "nobody" in await line.fails(*asked, "--tenant", "nobody"), asked


async def test_channels(line: Line) -> None:
    await make_tenant(line.store)
    web = ("channel", "add", "web", "--tenant", "acme")
    made = await line(*web, "--origin", "https://shop.example:443/page", "--origin", ORIGIN, "--title", "<b>")
    assert made["origins"] == [ORIGIN]
    assert f'data-site="{made["id"]}"' in made["tag"]
    for words, name in (
        (("--origin", "shop.example"), "--origin"), (("--origin", "ftp://x"), "--origin"), (("--origin", "null"), "--origin"),
        (("--origin", "https://x:99999"), "--origin"), (("--origin", "https://[::1"), "--origin"),
        (("--origin", "*"), "--origin"),
        (("--origin", ORIGIN, "--color", "red"), "--color"), (("--origin", ORIGIN, "--field", "x"), "--field"),
        (("--origin", ORIGIN, "--avatar", "javascript:alert(1)"), "--avatar"), (("--origin", ORIGIN, "--link", "x"), "--link"),
    ):  # fmt: skip
        assert (await line.fails(*web, *words)).startswith(name), words
    whatsapp = (
        "channel",
        "add",
        "whatsapp",
        "--tenant",
        "acme",
        "--waba-id",
        "1",
        "--access-token",
        "t",
        "--app-secret",
    )
    assert (await line.fails(*whatsapp, " ", "--phone-number-id", "1")).startswith("--app-secret")
    assert (await line.fails(*whatsapp, "s", "--phone-number-id", "+34 600")).startswith("--phone-number-id")
    first = await line(*whatsapp, "s", "--phone-number-id", "1")
    assert len(first["verify_token"]) >= 24
    assert "connected already" in await line.fails(*whatsapp, "s", "--phone-number-id", "1")
    listed = await line("channel", "list", "--tenant", "acme")
    assert {c["id"] for c in listed} == {made["id"], first["id"]}
    assert "secret" not in json.dumps(listed)
    assert (await line("channel", "disable", first["id"]))["state"] == "disabled"
    assert (await line("channel", "enable", first["id"]))["state"] == "active"
    assert (await line("channel", "check", made["id"]))["ok"] is True
    assert "channel list" in await line.fails("channel", "enable", "ch_none")
    # The stand-in does not know the token: the check says what is wrong.
    assert "not as it should be" in await line.fails("channel", "check", first["id"])


async def test_a_bots_settings_change_one_by_one(line: Line) -> None:
    """What is set is set at the provider and kept; what was renewed meanwhile stays; another's account changes nothing."""
    await make_tenant(line.store)
    await make_tenant(line.store, "bolt")
    other_token = TOKEN.replace("5", "6")
    async with BotApi() as api:
        bot, other = api.add_bot(TOKEN, "acme_bot"), api.add_bot(other_token, "other_bot")
        line.settings = replace(line.settings, telegram_api_url=api.url, public_url="https://gate.example")
        add = ("channel", "add", "telegram", "--token")
        made = await line(*add, TOKEN, "--tenant", "acme")
        assert bot.webhook["url"] == made["webhook"]
        assert "secret_token" not in made
        taken = await line.fails(*add, TOKEN, "--tenant", "bolt", "--poll")
        assert "connected already" in taken
        assert made["id"] in taken
        assert bot.webhook["url"] == made["webhook"]
        assert "another account" in await line.fails("channel", "set", made["id"], "--token", other_token)
        assert (other.webhook, other.commands) == ({}, {})
        assert (await line("channel", "set", made["id"], "--poll"))["changed"] == ["poll"]
        assert not bot.webhook
        channel = await line.store.directory.channel(made["id"])
        assert channel.config["poll"] is True
        assert (await line("channel", "set", made["id"], "--no-poll"))["changed"] == ["poll"]
        assert bot.webhook["url"] == made["webhook"]
        assert (await line.store.directory.channel(made["id"])).config["poll"] is False
        assert "no such setting" in await line.fails("channel", "set", made["id"], "--waba-id", "1")


async def test_setting_up_again_does_not_undo_a_renewed_secret(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_tenant(line.store)
    channel = await make_whatsapp(line.store)
    connect = WhatsAppAdapter.connect

    async def meanwhile(adapter: WhatsAppAdapter, draft: Channel, webhook: str) -> Connected:
        await line.store.directory.keep(channel, {"access_token": "renewed"}, {"told": 2})
        return await connect(adapter, draft, webhook)

    monkeypatch.setattr(WhatsAppAdapter, "connect", meanwhile)
    await line("channel", "connect", channel.id)
    await line("channel", "set", channel.id, "--app-secret", "a-new-app-secret")
    found = await line.store.directory.channel(channel.id)
    assert (found.secrets["access_token"], found.config["told"]) == ("renewed", 2)
    assert found.secrets["app_secret"] == "a-new-app-secret"
    assert found.secrets["verify_token"] == channel.secrets["verify_token"]


async def test_a_secret_that_was_made_is_told_once_and_one_that_was_given_is_not(line: Line) -> None:
    await make_tenant(line.store)
    add = ("channel", "add", "webhook", "--tenant", "acme", "--url", "https://app.example/in")
    made = await line(*add)
    channel = await line.store.directory.channel(made["id"])
    assert made["signing_secret"] == channel.secrets["signing_secret"]
    assert "signing_secret" not in await line(*add, "--signing-secret", made["signing_secret"])


async def test_documents_and_rules(line: Line, tmp_path: Path) -> None:
    await make_tenant(line.store)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "hours.md").write_text(
        "# Opening hours\n\nWe are open from nine to six on weekdays.\n"
    )
    add = ("knowledge", "add", "--tenant", "acme")
    [added] = await line(*add, str(tmp_path / "docs"))
    assert added["outcome"] == "added"
    assert (await line(*add, str(tmp_path / "docs")))[0]["outcome"] != "added"
    assert (await line.fails(*add, str(tmp_path / "none"))).startswith("FILE|FOLDER")
    [document] = await line("knowledge", "list", "--tenant", "acme")
    asked = await line("knowledge", "ask", "--tenant", "acme", "When are you open on weekdays?")
    assert asked["known"] is True
    await line("knowledge", "remove", "--tenant", "acme", document["id"])
    assert "knowledge list" in await line.fails("knowledge", "remove", "--tenant", "acme", document["id"])
    rule = ("rule", "add", "--tenant", "acme", "--pattern")
    assert await line(*rule, "hours", "--answer", "Nine to six") == {"rules": 1}
    assert await line(*rule, "hours", "--answer", "Nine to five") == {"rules": 1}
    assert (await line.fails(*rule, "(a+)+$", "--regex", "--answer", "x")).startswith("--pattern")
    assert (await line.fails(*rule, "(", "--regex", "--answer", "x")).startswith("--pattern")
    assert [r["answer"] for r in await line("rule", "list", "--tenant", "acme")] == ["Nine to five"]
    assert await line("rule", "remove", "--tenant", "acme", "--pattern", "hours") == {"rules": 0}
    assert "rule list" in await line.fails("rule", "remove", "--tenant", "acme", "--pattern", "hours")


async def test_conversations_of_others_and_limits(line: Line) -> None:
    await make_tenant(line.store)
    assert (await line.fails("lead", "list", "--tenant", "acme", "--limit", "0")).startswith("--limit")
    assert (await line.fails("conversation", "list", "--tenant", "acme", "--limit", "1001")).startswith(
        "--limit"
    )
    assert "conversation list" in await line.fails("conversation", "show", "--tenant", "acme", "cv_x")
    assert "cv_x" in await line.fails("conversation", "owner", "--tenant", "acme", "cv_x", "agent")
    assert "deadletter list" in await line.fails("deadletter", "retry", "--tenant", "acme", "m_x")


def _all(found: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for action in found._actions:
        for name, below in (getattr(action, "choices", None) or {}).items() if action.nargs == "A..." else ():
            yield from _all(below, (*words, name))


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    every = list(_all(parser()))
    assert {("run",), ("tenant", "create"), ("channel", "add", "whatsapp"), ("deadletter", "retry")} <= set(
        every
    )
    for words in every:
        with pytest.raises(SystemExit) as ended:
            parser().parse_args([*words, "--help"])
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        assert "usage:" in shown
        assert len(shown.splitlines()) > 4
    for wrong in ([], ["nonsense"], ["tenant"], ["tenant", "create"], ["channel", "add", "fax"]):
        with pytest.raises(SystemExit) as ended:
            parser().parse_args(wrong)
        assert ended.value.code == 2
        assert "usage:" in capsys.readouterr().err


def test_the_wiring_is_in_one_place() -> None:
    assert bootstrap.STOP_SECONDS < 30
