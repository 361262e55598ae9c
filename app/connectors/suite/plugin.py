"""A pytest plugin for the tests of a kind in a package of its own: `pytest_plugins = ["app.connectors.suite.plugin"]`."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop that the gateway runs on."""
    return "asyncio"
