"""Exports over HTTP: whole answers in every format, with length and digest, recorded as what they are."""

from __future__ import annotations

import base64
import hashlib
import io
import json

import httpx
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

PATH = "/v1/records/fasilitas-kesehatan"
FORMS = ("ndjson", "csv", "xlsx", "parquet", "arrow", "geojson")


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


def keys(form: str, content: bytes) -> list[str]:
    match form:
        case "ndjson":
            return [json.loads(line)["kode_faskes"] for line in content.splitlines()]
        case "csv":
            return [line.split(",")[0] for line in content.decode().splitlines()[1:]]
        case "xlsx":
            return [
                row[0] for row in openpyxl.load_workbook(io.BytesIO(content))["Data"].iter_rows(2, values_only=True)
            ]
        case "parquet":
            return pq.read_table(io.BytesIO(content)).column("kode_faskes").to_pylist()
        case "arrow":
            return pa.ipc.open_stream(content).read_all().column("kode_faskes").to_pylist()
        case _:
            return [found["properties"]["kode_faskes"] for found in json.loads(content)["features"]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["f", "accept", "search"])
def test_every_format_holds_the_whole_answer(reader: httpx.Client, form: str, how: str) -> None:
    types = {
        "ndjson": "application/x-ndjson",
        "csv": "text/csv",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "parquet": "application/vnd.apache.parquet",
        "arrow": "application/vnd.apache.arrow.stream",
        "geojson": "application/geo+json",
    }
    if how == "f":
        answer = reader.get(PATH, params={"f": form})
    elif how == "accept":
        answer = reader.get(PATH, headers={"accept": types[form]})
    else:
        answer = reader.post(f"{PATH}/search", json={}, headers={"accept": types[form]})

    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(types[form])
    assert sorted(keys(form, answer.content)) == ["P1", "P2", "R1", "R2"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["content-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["simpul-complete"] == "?1"


def test_an_export_is_recorded_as_one(gateway: RunningGateway, reader: httpx.Client) -> None:
    answer = reader.get(PATH, params={"f": "parquet"})
    auditor = gateway.client("supervisor", "dinkes")

    found = auditor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"]
    outcome = next(entry for entry in found if entry["kind"] == "outcome")

    assert [entry["kind"] for entry in found] == ["intent", "outcome"]
    assert (outcome["op"], outcome["rows"], outcome["bytes"]) == ("export", 4, len(answer.content))


def test_limit_asks_for_a_page(reader: httpx.Client) -> None:
    first = reader.get(PATH, params={"f": "ndjson", "limit": 3})
    following = first.links["next"]["url"]
    second = reader.get(following)

    assert [len(keys("ndjson", page.content)) for page in (first, second)] == [3, 1]


@pytest.mark.parametrize("sort", ["nama", "-nama", "lat,-kode_faskes"])
def test_a_sorted_export_has_the_order_of_pages(reader: httpx.Client, sort: str) -> None:
    page = reader.get(PATH, params={"sort": sort}).json()["items"]
    export = reader.get(PATH, params={"sort": sort, "f": "ndjson"})

    assert keys("ndjson", export.content) == [item["kode_faskes"] for item in page]


def test_filter_and_fields_hold_for_exports(reader: httpx.Client) -> None:
    answer = reader.get(PATH, params={"f": "csv", "fields": "kode_faskes,nama", "filter": "jenis = 'rumah_sakit'"})

    assert answer.text.splitlines()[0] == "kode_faskes,nama,_agency,_dataset"
    assert sorted(keys("csv", answer.content)) == ["R1", "R2"]


@pytest.mark.parametrize("form", FORMS)
def test_a_source_that_is_down_is_said_in_every_format(reader: httpx.Client, services: SourceServer, form: str) -> None:
    route = services.routes["/rs"]
    services.routes["/rs"] = lambda _query, _headers: (503, "text/plain", b"down")
    try:
        answer = reader.get(PATH, params={"f": form})
        strict = reader.get(PATH, params={"f": form}, headers={"prefer": "partial=never"})
    finally:
        services.routes["/rs"] = route

    assert answer.headers["simpul-complete"] == "?0"
    assert sorted(keys(form, answer.content)) == ["P1", "P2", "R1"]
    assert (strict.status_code, strict.json()["code"]) == (503, "partial_answer_refused")
    # the circuit of the source stays closed for the next test
    for _ in range(2):
        reader.get(PATH)


def test_a_format_nobody_offers(reader: httpx.Client) -> None:
    assert reader.get(PATH, params={"f": "dbf"}).json()["code"] == "not_acceptable"
