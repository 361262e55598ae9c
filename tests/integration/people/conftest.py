"""One gateway with two agencies for all cases about people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import RunningGateway
from tests.support.people import PersonAt, close_browsers


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with the agencies dinkes and rsud."""
    folder: Path = tmp_path_factory.mktemp("people")
    running = RunningGateway(folder, {"SIMPUL_DATA_TRACKER": "true"})
    running.init()
    running.start()
    for name in ("dinkes", "rsud"):
        running.agency(name)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def _browsers() -> Iterator[None]:
    yield
    close_browsers()


_MADE = iter(range(10_000))


@pytest.fixture
def steward(gateway: RunningGateway) -> PersonAt:
    """A steward of dinkes with an open account."""
    return PersonAt(gateway, "steward", "dinkes", f"rini{next(_MADE)}@dinkes.example").open()
