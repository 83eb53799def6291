"""The embedded database: SecantusDB as a supervised child process under DATA_DIR.

It is a separate program that we speak to over the wire. It listens on loopback, on a free port of its own
that it keeps for as long as we run, and syncs on every commit. If it dies it is started again on the same port, so
that clients reconnect by themselves. `DATA_DIR/embedded.json` holds its address for commands that run beside us.
One gateway at a time uses a folder: the lock is held by us, not by the child, and the system frees it however we end.

One that hangs is killed and started again; it syncs on every commit, so nothing is lost.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from gateway.store.database import DEFAULT_NAME, EMBEDDED_OPTIONS, Doc

START_SECONDS = 30.0
LOOK_SECONDS = 10.0
"""Between two looks at whether it answers."""
HANG_SECONDS = 60.0
"""A server that answers nobody for so long hangs. An index built over much is the longest that it may rightly take."""
STOP_SECONDS = 15.0
LOG_LIMIT = 10 * 1024 * 1024
_PR_SET_PDEATHSIG = 1


class FolderInUse(Exception):
    """Another process already runs the embedded database of this folder."""


class EmbeddedFailed(Exception):
    """The embedded database did not start; the text says where its log is."""


async def running_uri(data_dir: Path) -> str | None:
    """The address of the embedded database that some other process runs on this folder, if one does. One that is just
    starting is waited for."""
    for _ in range(int(START_SECONDS / 0.1)):
        with contextlib.suppress(FolderInUse):
            _lock(data_dir).close()
            return None
        with contextlib.suppress(OSError, ValueError, KeyError):
            return str(json.loads((data_dir / "embedded.json").read_text(encoding="utf-8"))["uri"])
        await asyncio.sleep(0.1)
    return None


@asynccontextmanager
async def embedded(data_dir: Path, log: Callable[[str], None]) -> AsyncIterator[str]:
    """Run the embedded database; yields its MongoDB address. Raises FolderInUse or EmbeddedFailed."""
    with _lock(data_dir):
        _kill_leftover(data_dir)
        (data_dir / "embedded.json").unlink(missing_ok=True)
        server = _Server(data_dir, _free_port(), log)
        try:
            await server.start()
        except BaseException:
            await server.stop()
            raise
        uri = f"mongodb://127.0.0.1:{server.port}/{DEFAULT_NAME}?{EMBEDDED_OPTIONS}"
        tasks = [asyncio.create_task(server.keep()), asyncio.create_task(server.watch(uri))]
        _write_private(data_dir / "embedded.json", json.dumps({"uri": uri, "pid": server.pid}))
        try:
            yield uri
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.stop()
            (data_dir / "embedded.json").unlink(missing_ok=True)


class _Server:
    def __init__(self, data_dir: Path, port: int, log: Callable[[str], None]) -> None:
        self.port = port
        self._data_dir = data_dir
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        path = self._data_dir / "embedded.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.unlink()
        config = self._data_dir / "embedded.toml"
        config.touch()  # named on the command line, it keeps the server from looking for one elsewhere
        with path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "secantus",
                "--config", str(config),
                "--host", "127.0.0.1", "--port", str(self.port),
                "--storage-path", str(self._data_dir / "db"),
                "--standalone",  # no log of changes: nobody reads it, and every write would be written twice
                "--sync-on-commit", "--cache-size", "128M", "--log-level", "WARNING",
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,  # Ctrl-C is for us; we stop it after our own work is done
                preexec_fn=_die_with_parent(),
            )  # fmt: skip
        await self._ready()

    async def _ready(self) -> None:
        assert self._process is not None
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self._process.returncode is not None:
                break
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        raise EmbeddedFailed(
            f"the embedded database did not start; its log is {self._data_dir / 'embedded.log'}"
        )

    async def keep(self) -> None:
        """Start it again whenever it dies, at once the first time and then with growing pauses."""
        pause = 0.0
        while True:
            assert self._process is not None
            code = await self._process.wait()
            self._log(f"the embedded database ended with {code}; starting it again")
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 2 + 0.2)
            try:
                await self.start()
            except (EmbeddedFailed, OSError) as error:
                self._log(str(error))
                await self.stop()  # one that hangs would otherwise be waited for
            else:
                path = self._data_dir / "embedded.json"
                told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
                _write_private(path, json.dumps({**told, "pid": self.pid}))

    async def watch(self, uri: str) -> None:
        """End a server that hangs, for `keep` to start it again."""
        async with AsyncMongoClient[Doc](uri, serverSelectionTimeoutMS=3_000) as client:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                process = self._process
                try:
                    async with asyncio.timeout(HANG_SECONDS):
                        await _answer(client)
                except TimeoutError:
                    self._log(f"the embedded database has not answered for {HANG_SECONDS:.0f} s; ending it")
                    if process is self._process and process is not None and process.returncode is None:
                        process.kill()

    async def stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answer(client: AsyncMongoClient[Doc]) -> None:
    """Ask until it answers, for as long as the caller lets us: it may just be starting."""
    while True:
        with contextlib.suppress(PyMongoError):
            await client.admin.command("ping")
            return
        await asyncio.sleep(1)


def _die_with_parent() -> Callable[[], None] | None:
    """For the child to call before it becomes the server: on Linux it then dies with us. What the call needs is
    loaded here, for between fork and exec nothing may be loaded."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return set_signal


def _lock(data_dir: Path) -> IO[str]:
    _make_private(data_dir)
    handle = (data_dir / "embedded.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise FolderInUse(
            f"DATA_DIR {data_dir.resolve()} is in use by another running Parley."
            " Stop that one, or set DATA_DIR to another folder."
        ) from None
    return handle


def _kill_leftover(data_dir: Path) -> None:
    """A server whose gateway was killed where the system can't tie it to its parent: it would hold the files."""
    try:
        pid = int(json.loads((data_dir / "embedded.json").read_text(encoding="utf-8"))["pid"])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError, TypeError):
        return
    if b"secantus" in command and str(data_dir / "db").encode() in command:
        with contextlib.suppress(ProcessLookupError):
            for _ in range(200):  # until it is gone, and its hold on the files with it
                os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
