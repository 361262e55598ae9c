"""The thirteen files, real or look-alike, each registered through the HTTP API of a running gateway by a manifest alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.facts import facts_of
from tests.support.acceptance_files import real_files, write_lookalikes
from tests.support.acceptance_gateway import gateway_with_files
from tests.support.gateway import RunningGateway


@pytest.fixture(scope="session")
def acceptance_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the files: the real ones where they are, else look-alikes."""
    return real_files() or write_lookalikes(tmp_path_factory.mktemp("lookalikes"))


@pytest.fixture(scope="session")
def facts() -> dict[str, Any]:
    """What is expected of the set in use."""
    return facts_of(real=real_files() is not None)


@pytest.fixture(scope="session")
def file_gateway(acceptance_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with all thirteen files registered, checked and published."""
    with gateway_with_files(acceptance_data, tmp_path_factory.mktemp("acceptance")) as (gateway, _):
        yield gateway


@pytest.fixture(scope="session")
def reader(file_gateway: RunningGateway) -> httpx.Client:
    """An agency's application that reads open data."""
    return file_gateway.client("client", "bappeda")


@pytest.fixture(scope="session")
def source_url(file_gateway: RunningGateway) -> str:
    """Address of the server that stands for the agencies' services."""
    found = file_gateway.admin.get("/v1/connectors/bpbd-gempa").json()["manifest"]["source"]["url"]
    return str(found).rpartition("/")[0]
