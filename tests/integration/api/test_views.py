"""Aggregates, the merged view and the list of disagreements over HTTP, recorded as every exchange is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.integration.api.test_records import entries
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

BASE = "/v1/records/fasilitas-kesehatan"
COUNT = {"aggregates": [{"function": "count"}]}


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A third agency that holds P1 and R1 too, and says otherwise about P1."""
    folder: Path = tmp_path_factory.mktemp("bps")
    (folder / "faskes.csv").write_text("kode,nama,jenis\nP1,Puskesmas I,klinik\nR1,RSUD,rumah_sakit\n", "utf-8")
    gateway.agency("bps")
    gateway.upload("bps", folder / "faskes.csv")
    gateway.publish(facility_manifest("bps-faskes", "bps"))
    yield gateway.client("client", "dinkes")
    gateway.admin.post("/v1/connectors/bps-faskes/suspend")


def test_counts_by_group_say_that_agencies_overlap(gateway: RunningGateway, reader: httpx.Client) -> None:
    body = {"group_by": ["jenis"], "aggregates": [{"function": "count", "as": "jumlah"}], "having": "jumlah >= 2"}
    answer = reader.post(f"{BASE}/aggregate", json=body)
    found = answer.json()

    assert answer.status_code == 200, answer.text
    assert found["items"] == [{"jenis": "puskesmas", "jumlah": 2}, {"jenis": "rumah_sakit", "jumlah": 3}]
    assert found["complete"] is True
    assert found["meta"]["overlap"] == {"schema": "fasilitas_kesehatan", "keys": 2, "agencies": ["bps", "dinkes"]}
    kept = entries(gateway, answer.headers["exchange-id"])
    assert [entry["kind"] for entry in kept] == ["intent", "outcome"]
    assert kept[-1]["op"] == "aggregate"
    assert "group_by=jenis" in kept[-1]["q"]


def test_merged_view_counts_each_key_once(reader: httpx.Client) -> None:
    assert reader.post(f"{BASE}/aggregate", json=COUNT).json()["items"] == [{"count": 6}]
    assert reader.post(f"{BASE}/aggregate", json={**COUNT, "view": "merged"}).json()["items"] == [{"count": 4}]
    only = {**COUNT, "view": "merged", "filter": "jenis = 'rumah_sakit'"}
    assert reader.post(f"{BASE}/aggregate", json=only).json()["items"] == [{"count": 2}]


def test_sum_over_overlapping_keys_needs_a_word(reader: httpx.Client) -> None:
    body = {"aggregates": [{"function": "avg", "field": "lat"}]}
    refused = reader.post(f"{BASE}/aggregate", json=body)

    assert (refused.status_code, refused.json()["code"]) == (422, "overlap_refused")
    for more in ({"overlap": "accept"}, {"view": "merged"}, {"agencies": ["rsud"]}):
        answer = reader.post(f"{BASE}/aggregate", json={**body, **more})
        assert answer.json()["items"] == [{"avg_lat": -6.5}], answer.text


def test_missing_agency_makes_an_aggregate_fail_unless_allowed(reader: httpx.Client, services: SourceServer) -> None:
    kept = services.routes["/rs"]
    services.routes["/rs"] = lambda _query, _headers: (500, "text/plain", b"broken")
    try:
        strict = reader.post(f"{BASE}/aggregate", json=COUNT)
        loose = reader.post(f"{BASE}/aggregate", json=COUNT, headers={"Prefer": "partial=allow"})
    finally:
        services.routes["/rs"] = kept

    assert (strict.status_code, strict.json()["code"]) == (503, "partial_answer_refused")
    assert loose.json()["complete"] is False
    assert loose.headers["simpul-complete"] == "?0"
    assert loose.json()["items"] == [{"count": 5}]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "validation_failed"),
        ([], 422, "validation_failed"),
        ({**COUNT, "nothing": 1}, 422, "validation_failed"),
        ({**COUNT, "view": "x"}, 422, "validation_failed"),
        ({**COUNT, "filter": "nma = 1"}, 422, "field_unknown"),
        ({"aggregates": [{"function": "max", "field": "email_kontak"}]}, 403, "agreement_missing"),
        ({**COUNT, "group_by": ["email_kontak"]}, 403, "agreement_missing"),
    ],
)
def test_bad_aggregate_is_a_problem(reader: httpx.Client, body: object, status: int, code: str) -> None:
    answer = reader.post(f"{BASE}/aggregate", json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_personal_schema_has_neither(reader: httpx.Client) -> None:
    for answer in (
        reader.post("/v1/records/penduduk-verifikasi/aggregate", json=COUNT),
        reader.get("/v1/records/penduduk-verifikasi/conflicts"),
    ):
        assert answer.status_code in {403, 404, 405}, answer.text


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_merged_records_say_whose_each_field_is(reader: httpx.Client, limit: int) -> None:
    items, cursor = [], None
    while True:
        body = {"view": "merged", "limit": limit, **({"cursor": cursor} if cursor else {})}
        page = reader.post(f"{BASE}/search", json=body).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert [item["kode_faskes"] for item in items] == ["P1", "P2", "R1", "R2"]
    assert [[source["agency"] for source in item["_sources"]] for item in items] == [
        ["bps", "dinkes"],
        ["dinkes"],
        ["bps", "dinkes"],
        ["rsud"],
    ]
    assert items[0]["_provenance"]["nama"] == {"agency": "bps", "dataset": "bps-faskes", "rule": "most_complete"}
    assert items[1]["_provenance"]["nama"]["rule"] == "only"


def test_merged_view_filters_the_merged_record_and_gives_the_fields_asked_for(reader: httpx.Client) -> None:
    body = {"view": "merged", "filter": "jenis = 'klinik'", "fields": ["nama"]}
    items = reader.post(f"{BASE}/search", json=body).json()["items"]

    assert [{name for name in item if name[0] != "_"} for item in items] == [{"nama"}]
    assert (
        reader.post(f"{BASE}/search", json={"view": "merged", "filter": "jenis = 'puskesmas'"}).json()["items"][0][
            "kode_faskes"
        ]
        == "P2"
    )


def test_merged_view_is_sorted_by_key_and_json(reader: httpx.Client) -> None:
    sorted_else = reader.post(f"{BASE}/search", json={"view": "merged", "sort": ["nama"]})
    csv = reader.post(f"{BASE}/search?f=csv", json={"view": "merged"})

    assert (sorted_else.status_code, sorted_else.json()["errors"][0]["pointer"]) == (422, "/sort")
    assert csv.status_code == 406


def test_disagreements_are_listed_with_every_side(gateway: RunningGateway, reader: httpx.Client) -> None:
    answer = reader.get(f"{BASE}/conflicts")
    found = answer.json()

    assert [item["id"] for item in found["items"]] == ["P1"]
    assert {one["field"] for one in found["items"][0]["fields"]} == {"nama", "jenis"}
    sides = found["items"][0]["fields"][0]["values"]
    assert {one["agency"]: one["value"] for one in sides} == {"bps": "Puskesmas I", "dinkes": "Puskesmas Satu"}
    assert entries(gateway, answer.headers["exchange-id"])[-1]["op"] == "records.conflicts"
    assert reader.get(f"{BASE}/conflicts", params={"nothing": "1"}).status_code == 422
