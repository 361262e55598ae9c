"""A gateway of its own for the tests in which programs of others judge the served log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import RunningGateway


@pytest.fixture
def served(tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path / "instance")
    running.init()
    yield running
    running.stop()
