"""What a question would do, told before it is asked."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.integration.api.test_records import entries
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

QUESTION = {"schema": "fasilitas_kesehatan", "filter": "jenis = 'klinik' AND nama > 'Rahasia'", "sort": ["nama"]}


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> httpx.Client:
    file: Path = tmp_path_factory.mktemp("bappeda") / "faskes.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE faskes (kode TEXT PRIMARY KEY NOT NULL, nama TEXT, jenis TEXT)")
        database.execute("INSERT INTO faskes VALUES ('B1', 'Klinik', 'klinik')")
    database.close()
    gateway.agency("bappeda")
    gateway.upload("bappeda", file)
    manifest = facility_manifest("bappeda-faskes", "bappeda")
    gateway.publish({**manifest, "source": {"kind": "sql", "url": "sqlite:inbox/faskes.db", "table": "faskes"}})
    return gateway.client("client", "dinkes")


def test_each_agency_says_what_it_does_and_what_stays(
    gateway: RunningGateway, reader: httpx.Client, services: SourceServer
) -> None:
    before = len(services.asked)
    answer = reader.post("/v1/explain", json=QUESTION)
    found = {source["agency"]: source for source in answer.json()["sources"]}

    assert answer.status_code == 200, answer.text
    assert set(found) >= {"bappeda", "dinkes", "rsud"}
    table = found["bappeda"]
    assert table["text"].startswith("SELECT ")
    assert "ORDER BY" in table["text"]
    assert (table["pushed"], table["residual"]) == (["columns", "filter", "order", "limit"], ["filter"])
    assert any("too much" in reason for reason in table["why"])
    assert table["rows_estimated"] == 0
    service = found["rsud"]
    assert service["rows_estimated"] is None
    assert service["exact"] is False
    assert set(service["residual"]) == {"filter", "order", "limit"}
    assert any("cannot filter" in reason or "mapping" in reason for reason in service["why"])
    assert "Rahasia" not in answer.text
    assert len(services.asked) == before
    kept = entries(gateway, answer.headers["exchange-id"])
    assert [entry["kind"] for entry in kept] == ["intent", "outcome"]
    assert kept[-1]["op"] == "explain"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "validation_failed"),
        ({"schema": "nothing"}, 404, "schema_unknown"),
        ({**QUESTION, "filter": "nma = 1"}, 422, "field_unknown"),
        ({**QUESTION, "nothing": 1}, 422, "validation_failed"),
        ({**QUESTION, "sort": "nama"}, 422, "validation_failed"),
        ({**QUESTION, "aggregates": []}, 422, "validation_failed"),
        ({**QUESTION, "filter": "email_kontak = 'a'"}, 403, "agreement_missing"),
        ({"schema": "penduduk_verifikasi"}, 405, "lookup_only"),
    ],
)
def test_bad_question_is_a_problem(reader: httpx.Client, body: object, status: int, code: str) -> None:
    answer = reader.post("/v1/explain", json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
