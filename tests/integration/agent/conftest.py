"""A gateway with an agency, and offices of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Office
from tests.support.gateway import RunningGateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path_factory.mktemp("gateway") / "instance")
    running.init()
    running.start()
    running.agency("dinkes")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(gateway: RunningGateway) -> dict[str, Any]:
    """The credential of an office."""
    body = {"agency": "dinkes", "role": "steward", "name": "Agen", "id": "dinkes-agen"}
    made = gateway.admin.post("/v1/clients", json=body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


@pytest.fixture
def office(gateway: RunningGateway, client: dict[str, Any], tmp_path: Path) -> Office:
    return Office(tmp_path / "kantor", gateway.url, client)


@pytest.fixture
def inbox(gateway: RunningGateway) -> Callable[[str], bytes]:
    """The bytes of a file in the inbox."""
    return lambda path: (gateway.folder / "agencies" / "dinkes" / "inbox" / path).read_bytes()
