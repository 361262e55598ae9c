"""Answers of the record routes are what the document says of them, no more and no less."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from app.main import build_openapi
from tests.integration.api.test_answers_fit import JSON, faults
from tests.integration.api.test_audit import HEADERS, PERSON
from tests.support.documented import answer_of
from tests.support.gateway import RunningGateway

LIST = "/v1/records/fasilitas-kesehatan"
WHOLE = build_openapi()
PATHS = WHOLE["paths"]
Asked = tuple[str, str, httpx.Response]


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


def asked(reader: httpx.Client, gateway: RunningGateway) -> Iterator[Asked]:
    """Method, template and answer of each kind of question."""
    yield "get", LIST, reader.get(LIST)
    yield "get", LIST, reader.get(LIST, params={"limit": 1})
    yield "get", LIST, reader.get(LIST, params={"view": "merged"})
    yield "get", LIST, reader.get(LIST, params={"limit": 1, "count": "exact"})
    yield "post", f"{LIST}/search", reader.post(f"{LIST}/search", json={"limit": 1, "count": "estimated"})
    yield "post", f"{LIST}/search", reader.post(f"{LIST}/search", json={"filter": "jenis = 'puskesmas'"})
    yield "get", f"{LIST}/{{key}}", reader.get(f"{LIST}/P1")
    groups = {"group_by": ["jenis"], "aggregates": [{"function": "count", "as": "n"}]}
    yield "post", f"{LIST}/aggregate", reader.post(f"{LIST}/aggregate", json=groups)
    yield "get", f"{LIST}/changes", reader.get(f"{LIST}/changes")
    yield "get", f"{LIST}/conflicts", reader.get(f"{LIST}/conflicts")
    keys = {"keys": ["P1", "X", {"key": "R1", "values": {"nama": "rsud"}}, 7], "fields": ["nama"]}
    yield "post", f"{LIST}/match", reader.post(f"{LIST}/match", json=keys)
    yield "post", "/v1/explain", reader.post("/v1/explain", json={"schema": "fasilitas_kesehatan", "sort": ["nama"]})
    sql = {"sql": "SELECT jenis, count(*) AS n FROM fasilitas_kesehatan GROUP BY jenis", "overlap": "accept"}
    yield "post", "/v1/queries", reader.post("/v1/queries", json=sql)
    job = reader.post("/v1/queries", json=sql, headers={"prefer": "respond-async"})
    yield "post", "/v1/queries", job
    while job.json()["state"] in {"queued", "running"}:
        time.sleep(0.05)
        job = reader.get(f"/v1/jobs/{job.json()['id']}")
    yield "get", "/v1/jobs/{job}", job
    yield "get", "/v1/jobs/{job}/result", reader.get(f"/v1/jobs/{job.json()['id']}/result")
    places = reader.get(LIST, params={"f": "geojson"})
    yield "get", LIST, places
    path, register = "/v1/records/penduduk-verifikasi/verify", gateway.client("client", "rsud")
    headers = {**HEADERS, "X-Road-Issue": "RM-2026-000777"}
    yield "post", path, register.post(path, json=PERSON, headers=headers)
    path = "/v1/records/penduduk-verifikasi/match"
    persons = [{"key": PERSON["nik"], "values": {"nama": PERSON["nama"]}}, {"key": "1", "values": {"nama": "x"}}]
    yield "post", path, register.post(path, json={"keys": persons}, headers=headers)


def test_every_answer_fits_its_component(gateway: RunningGateway, reader: httpx.Client) -> None:
    seen = set[str]()
    for method, path, answer in asked(reader, gateway):
        assert answer.is_success, (path, answer.text)
        declared = answer_of(WHOLE, PATHS[path][method]["responses"][str(answer.status_code)])
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in declared["content"], (path, kind)
        found = faults({"content": {JSON: declared["content"][kind]}}, answer.json())
        assert found == [], (path, found, answer.text[:1000])
        seen.add(f"{method} {path}")
    general = {
        f"{m} {p}"
        for p, item in PATHS.items()
        for m in item
        if p.startswith((LIST, "/v1/queries", "/v1/jobs", "/v1/explain"))
    }
    assert general - seen == {"delete /v1/jobs/{job}"}


def test_every_header_that_is_sent_is_documented(gateway: RunningGateway, reader: httpx.Client) -> None:
    plain = {"content-type", "content-length", "date", "server", "vary", "cache-control", "x-content-type-options",
             "content-disposition"}  # fmt: skip
    for method, path, answer in asked(reader, gateway):
        declared = answer_of(WHOLE, PATHS[path][method]["responses"][str(answer.status_code)])["headers"]
        assert set(answer.headers) - plain <= {name.lower() for name in declared}, path
        if path.startswith("/v1/records"):
            assert {"exchange-id", "content-digest", "ratelimit", "link"} <= set(answer.headers), path
