"""One gateway for the tests of routes, fields and what is bound."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.isolation.world import CONSUMER, WHY, Caller, World, opened

FIRST_TILE = 256
"""Entries of the log from which on its first tile is whole."""


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everybody at one gateway, and one exchange of the consumer's client under the active agreement."""
    with opened(tmp_path_factory.mktemp("isolation")) as found:
        reader = found.sessions[Caller("client", CONSUMER)]
        read = reader.get("/v1/records/fasilitas-kesehatan", headers={**WHY, "Simpul-Agreement": "pks-active"})
        assert read.status_code == 200, read.text
        found.names["exchange_id"] = read.headers["exchange-id"]
        walidata = Caller("admin", "diskominfo")
        while int(found.sessions[walidata].get("/log/checkpoint").text.splitlines()[1]) < FIRST_TILE:
            found.sessions[Caller("auditor", CONSUMER)].get("/v1/exchanges", params={"limit": 1})
        yield found
