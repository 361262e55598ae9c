"""An office with an agent: its folder, its configuration, the real program, and a line to the gateway that can be held."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

AGENT = (sys.executable, "-m", "app.agent")
ROOT = Path(__file__).resolve().parents[2]


class Office:
    """A folder with a configuration for one agency."""

    def __init__(self, folder: Path, url: str, client: Mapping[str, str], agency: str = "dinkes") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = folder / "agen.toml"
        secret = folder / "rahasia.txt"
        secret.write_text(client["client_secret"] + "\n", "utf-8")
        secret.chmod(0o600)
        self.gateway: dict[str, Any] = {
            "url": url, "agency": agency, "client_id": client["client_id"], "secret_file": "rahasia.txt",
        }  # fmt: skip
        self.agent: dict[str, Any] = {}

    def write(self, *schedules: Mapping[str, Any]) -> None:
        """The configuration with these schedules."""
        tables = [("[gateway]", self.gateway), ("[agent]", self.agent), *(("[[schedule]]", one) for one in schedules)]
        text = "\n".join(
            "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in table.items())])
            for head, table in tables
        )
        self.config.write_text(text + "\n", "utf-8")

    def run(self, command: str, *more: str, seconds: float = 90) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        return subprocess.run(
            [*AGENT, command, str(self.config), *more],
            check=False,
            cwd=ROOT,
            env=bare(),
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def start(self, command: str) -> subprocess.Popen[str]:
        """A command that goes on; its lines go to `agen.log`."""
        with (self.folder / "agen.log").open("ab") as log:
            return subprocess.Popen(
                [*AGENT, command, str(self.config)], cwd=ROOT, env=bare(), stdout=log, stderr=log, text=True
            )

    def lines(self) -> list[dict[str, Any]]:
        """What started commands have told so far."""
        file = self.folder / "agen.log"
        return told(file.read_text("utf-8")) if file.exists() else []

    def remembered(self, schedule: str) -> dict[str, Any]:
        """The state of a schedule."""
        found: dict[str, Any] = json.loads((self.folder / "agen.state" / f"{schedule}.json").read_text("utf-8"))
        return found

    def status(self) -> dict[str, dict[str, Any]]:
        """What `status` shows, by schedule."""
        shown = self.run("status", "--json")
        assert shown.returncode == 0, shown.stderr
        return {one["schedule"]: one for one in json.loads(shown.stdout)["schedules"]}


def bare() -> dict[str, str]:
    """The environment of an office: nothing of the test run."""
    kept = ("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE", "SANDI")
    return {name: os.environ[name] for name in kept if name in os.environ}


def told(text: str) -> list[dict[str, Any]]:
    """The lines of an agent."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def until(true: Any, seconds: float = 30) -> None:
    """Waits for something to be so."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not become so"
        time.sleep(0.05)


def ended(process: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> int:
    """Ends a started command; its exit code."""
    process.send_signal(how)
    return process.wait(timeout=15)


class Line:
    """A connection to the gateway that passes so many bytes towards it, and then nothing until `open`."""

    def __init__(self, port: int) -> None:
        self._gateway = port
        self._left: float = float("inf")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.passed = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def hold_after(self, size: int) -> None:
        """So many bytes more."""
        self._left = size

    def open(self) -> None:
        """Everything passes."""
        self._left = float("inf")

    @property
    def held(self) -> bool:
        """Whether nothing passes."""
        return self._left <= 0

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer = self._listener.accept()[0]
                threading.Thread(target=self._pass_on, args=(peer,), daemon=True).start()

    def _pass_on(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer, socket.create_connection(("127.0.0.1", self._gateway), 5) as gateway:
            while True:
                waiting = [gateway] if self.held else [gateway, peer]
                for ready in select.select(waiting, [], [], 0.05)[0]:
                    most = 65536 if ready is gateway else int(min(65536, max(self._left, 1)))
                    content = ready.recv(most)
                    if not content:
                        return
                    if ready is peer:
                        self._left -= len(content)
                        self.passed += len(content)
                    (peer if ready is gateway else gateway).sendall(content)
                if self.held and _gone(peer):
                    return


def _gone(peer: socket.socket) -> bool:
    """Whether the other side ended, although what it sent before may not have been read."""
    look = select.poll()
    look.register(peer, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    return bool(look.poll(0))


@contextlib.contextmanager
def line_to(port: int) -> Iterator[Line]:
    """A line that is there while the context lasts."""
    made = Line(port)
    try:
        yield made
    finally:
        made.close()
