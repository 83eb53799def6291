"""The gateway as a process of its own that reads a bot by asking, killed between taking an update and confirming it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.core.test_cli import ROOT, START, command, environment
from tests.providers.bot_api import BotApi, BotApiThread, Fault
from tests.telegram.rig import ANA, TOKEN

WRITER = {"id": ANA, "is_bot": False, "first_name": "Ana", "language_code": "en"}


def message(number: int, text: str) -> dict[str, Any]:
    chat = {"id": ANA, "type": "private", "first_name": "Ana"}
    said = {"message_id": number, "from": WRITER, "chat": chat, "date": int(time.time()), "text": text}
    return {"message": said}


def until(condition: Callable[[], Any], seconds: float = START) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def running(folder: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "gateway", "run"],
            cwd=ROOT,
            env=environment(folder, PORT="0", **more),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(20)


def told(folder: Path, api: BotApi, *words: str, stdin: str = "") -> Any:
    done = command(folder, *words, "--json", stdin=stdin, TELEGRAM_API_URL=api.url)
    assert TOKEN not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_between_taking_and_confirming_an_update_has_one_effect(tmp_path: Path) -> None:
    thread = BotApiThread(BotApi())
    with thread as api:
        bot = thread.call(api.add_bot, TOKEN)
        told(tmp_path, api, "tenant", "create", "--name", "Acme", "--id", "acme")
        words = ("channel", "add", "telegram", "--tenant", "acme", "--token", "-", "--poll")
        channel = told(tmp_path, api, *words, stdin=TOKEN)
        assert told(tmp_path, api, "channel", "check", channel["id"])["ok"] is True
        with running(tmp_path, TELEGRAM_API_URL=api.url) as process:
            until(lambda: bot.poll is not None)
            # The asking that would confirm the update never gets through.
            thread.call(api.misbehave, Fault("hang", method="getUpdates"))
            number = thread.call(api.update, TOKEN, message(1, "/help"))
            until(lambda: len(api.of("sendMessage")) == 1)
            (talk,) = _conversations(tmp_path, api)
            until(lambda: _statuses(tmp_path, api, talk) == ["sent"])
            process.kill()
        assert bot.confirmed == []
        with running(tmp_path, TELEGRAM_API_URL=api.url):
            until(lambda: bot.confirmed == [number])
            thread.call(api.update, TOKEN, message(2, "/help"))
            until(lambda: len(api.of("sendMessage")) == 2)
            shown = told(tmp_path, api, "conversation", "show", "--tenant", "acme", talk)
            assert len([m for m in shown if m["direction"] == "in"]) == 2
    assert TOKEN not in (tmp_path / "log.txt").read_text()


def _conversations(folder: Path, api: BotApi) -> list[str]:
    return [c["id"] for c in told(folder, api, "conversation", "list", "--tenant", "acme")]


def _statuses(folder: Path, api: BotApi, talk: str) -> list[str]:
    shown = told(folder, api, "conversation", "show", "--tenant", "acme", talk)
    return [m["status"] for m in shown if m["direction"] == "out"]
