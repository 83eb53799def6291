"""The real gateway as a process of its own, as `scripts/run` starts it, behind a wire that can be cut."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Wire:
    """A TCP relay on a port of its own. `cut` drops every connection and refuses new ones until `mend`."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.target = 0
        self._whole = threading.Event()
        self._whole.set()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole.clear()
        for pair in tuple(self._pairs):
            for end in pair:
                self._shut(end)

    def mend(self) -> None:
        self._whole.set()

    def close(self) -> None:
        self._server.close()
        self.cut()

    @staticmethod
    def _shut(end: socket.socket) -> None:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self._whole.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            threading.Thread(target=self._relay, args=(near, far), daemon=True).start()

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
        pair = (near, far)
        self._pairs.add(pair)
        try:
            while True:
                ready, _, _ = select.select(pair, [], [])
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    (far if end is near else near).sendall(data)
        except OSError:
            return
        finally:
            self._pairs.discard(pair)
            near.close()
            far.close()


class RealGateway:
    """`python -m gateway run` on an empty folder. `url` is the wire's address, and the only one that it knows."""

    def __init__(self, data: Path) -> None:
        self.wire = Wire()
        self.url = f"http://127.0.0.1:{self.wire.port}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.wire.target = probe.getsockname()[1]
        self._environment = {
            **os.environ,
            "DATA_DIR": str(data),
            "PORT": str(self.wire.target),
            "PUBLIC_URL": self.url,
        }
        self._process: subprocess.Popen[str] | None = None
        self.link = ""

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "run"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        said = ""
        while "Ctrl-C stops it" not in said:
            line = self._process.stdout.readline()
            assert line, f"the gateway did not start: {said}"
            said += line
        found = re.search(r"Console\s+(\S+)", said)
        assert found, said
        self.link = found[1]

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(40) == 0
        assert self._process.stdout is not None
        self._process.stdout.close()
        self.wire.close()

    def command(self, *words: str) -> Any:
        """What a command prints as JSON, run beside the gateway."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *words, "--json"],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout)
