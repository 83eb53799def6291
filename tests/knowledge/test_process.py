"""A real process, killed in the middle of a site: the next one reads it to the end, and nothing is doubled."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.knowledge.site import WebSite

PAGES = 24


async def gateway(folder: Path, *words: str, **more: str) -> Any:
    """One command; its JSON."""
    child = await start(folder, *words, **more)
    out, err = await child.communicate()
    assert child.returncode == 0, err.decode()
    return json.loads(out)


async def start(folder: Path, *words: str, **more: str) -> asyncio.subprocess.Process:
    env = {**os.environ, "DATA_DIR": str(folder), "EGRESS_ALLOW": "127.0.0.0/8", **more}
    # Nobody reads what a running gateway says.
    out = asyncio.subprocess.DEVNULL if words[0] == "run" else asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *words),
        env=env, stdout=out, stderr=out, start_new_session=True,
    )  # fmt: skip


@pytest.mark.timeout(120)
async def test_a_site_survives_kill_9(site: WebSite, tmp_path: Path) -> None:
    site.page("/", "Home", "Welcome.", *(f"/p{n}" for n in range(PAGES)))
    for n in range(PAGES):
        site.page(f"/p{n}", f"Page {n}", f"Text of page {n}.")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    own = ("--tenant", "acme", "--json")
    await gateway(tmp_path, "tenant", "create", "--name", "Acme", "--json")
    made = await gateway(tmp_path, "knowledge", "add", *own, "--site", site.url, "--no-wait")
    first = await start(tmp_path, "run", PORT=port)
    while len(site.paths()) < 20:  # the first sixteen pages are written together
        assert first.returncode is None
        await asyncio.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    await first.wait()
    second = await start(tmp_path, "run", PORT=port)
    try:
        found: dict[str, Any] = {}
        async with asyncio.timeout(60):
            while found.get("state") != "ready":
                await asyncio.sleep(0.5)
                [found] = await gateway(tmp_path, "knowledge", "sources", *own)
        documents = await gateway(tmp_path, "knowledge", "list", *own)
    finally:
        os.killpg(second.pid, signal.SIGKILL)
        await second.wait()
    assert found["id"] == made["id"]
    assert (found["done"], found["problems"]) == (PAGES + 1, 0)
    assert sorted(d["title"] for d in documents) == sorted(["Home", *(f"Page {n}" for n in range(PAGES))])
    assert {d["passages"] for d in documents} == {1}
