"""The tutorial writes a kind in a package of its own: installed, held to the suite, registered, and a gateway answers from it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.support.packages import make_environment, variables
from tests.support.page_programs import parse, run
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "tutorials" / "write-a-connector-kind.md"
MOST_LINES = 100


@pytest.mark.timeout(300)
def test_the_tutorial_ends_with_an_answer_from_its_own_kind(tmp_path: Path) -> None:
    page = parse("docs/tutorials/write-a-connector-kind.md", PAGE.read_text("utf-8"))
    programs = make_environment(tmp_path / "environment")
    folder, port = tmp_path / "page", free_port()
    folder.mkdir()
    environment = {**variables(programs), "SIMPUL_PORT": str(port), "HOME": str(folder)}
    try:
        assert run(page, folder, environment, f"127.0.0.1:{port}") == len(page.steps)
    finally:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((folder / "serve.pid").read_text("utf-8")), signal.SIGTERM)


def test_the_kind_has_less_than_a_hundred_lines_of_code() -> None:
    page = parse("docs/tutorials/write-a-connector-kind.md", PAGE.read_text("utf-8"))
    connector = dict(page.files)["simpul-fixed/simpul_fixed/connector.py"]

    assert len([line for line in connector.splitlines() if line.strip()]) < MOST_LINES
