"""Gateways that are each other's sources: real processes, one behind the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.database import upgrade
from app.settings import load_settings
from tests.support.gateway import RunningGateway

SECRET_NAME = "gerbang"
Replicas = tuple[RunningGateway, RunningGateway]


@contextlib.contextmanager
def two_replicas(folder: Path, store: str) -> Iterator[Replicas]:
    """Two gateways of one instance, whose store is this PostgreSQL."""
    environment = {"SIMPUL_DATABASE_URL": store}
    one, other = RunningGateway(folder, environment), RunningGateway(folder, environment)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SIMPUL_DATABASE_URL", store)
        one.init()
        upgrade(load_settings(dir=folder))
    try:
        one.start()
        other.start()
        yield one, other
    finally:
        one.stop()
        other.stop()


def started(folder: Path, **environment: str) -> RunningGateway:
    """A fresh gateway that is up."""
    made = RunningGateway(folder, {"SIMPUL_RATE_PER_MINUTE": "100000", **environment})
    made.init()
    made.start()
    return made


def source_of(asked: RunningGateway, asking: RunningGateway, agency: str, **more: Any) -> dict[str, Any]:
    """The source block by which `agency` of one gateway asks another: a client is made there and its secret stored here."""
    asking.agency(agency)
    asked.agency("tamu")
    name = f"tamu-{agency}"
    body = {"agency": "tamu", "role": "client", "name": "Gerbang lain", "id": name}
    made = asked.admin.post("/v1/clients", json=body)
    assert made.status_code in {201, 409}, made.text
    if made.status_code == 201:
        secret = {"value": made.json()["client_secret"], "agency": agency}
        stored = asking.admin.put(f"/v1/secrets/{SECRET_NAME}", json=secret)
        assert stored.status_code in {200, 201, 204}, stored.text
    client = {"client_id": name, "client_secret": f"${{secret:{SECRET_NAME}}}"}
    return {"kind": "gateway", "url": asked.url, **client, **more}


def manifest_of(source: dict[str, Any], agency: str, connector: str, schema: str) -> dict[str, Any]:
    """A manifest without a mapping: the fields are themselves."""
    return {"connector": connector, "agency": agency, "schema": schema, "title": connector, "source": source}
