"""The demo as a process of its own: ten agencies, credentials of all roles, a gateway that serves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.ports import free_port

READY_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo."""

    url: str
    folder: Path
    secrets: dict[str, str]
    """Of each client, the administrator's too."""


@contextlib.contextmanager
def running_demo(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Demo]:
    """The demo in `folder`, which is made; it is stopped afterwards."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    said = folder.with_suffix(".log")
    with said.open("wb") as log:
        command = [*programs.SIMPUL, "demo", "--dir", str(folder), "--port", str(free_port())]
        process = programs.start(command, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
    try:
        ends = time.monotonic() + READY_SECONDS
        while "stop with Ctrl-C" not in said.read_text("utf-8"):
            if process.poll() is not None or time.monotonic() > ends:
                pytest.fail(f"no demo after {READY_SECONDS} s: {said.read_text('utf-8')[-4000:]}")
            time.sleep(0.1)
        credentials = json.loads((folder / "credentials.json").read_text("utf-8"))
        secrets = {client["client_id"]: client["client_secret"] for client in credentials["clients"]}
        yield Demo(credentials["base_url"], folder, secrets)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
