"""Answers are what they say: bodies of any shape, the merged view, verification between agreements, HEAD, times, errors."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from app.schemas.registry import get
from tests.integration.api.conftest import agree
from tests.support.documented import parameters_of
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"
VERIFY = "/v1/records/penduduk-verifikasi/verify"
WHY = {"X-Road-UserId": "ID1", "X-Road-Issue": "RM-1", "Simpul-Purpose": "pelayanan_kesehatan"}
PERSON = {"nik": "3320990101900001", "nama": "Siti Contoh Aminah"}
POINTER = re.compile(r"(/([^/~]|~[01])*)*")


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "rsud")


@pytest.fixture(scope="module")
def supervisor(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("supervisor", "dinkes")


@pytest.mark.parametrize("action", ["search", "aggregate"])
@pytest.mark.parametrize("member", ["cursor", "view", "filter", "fields", "sort", "limit", "agencies", "overlap"])
@pytest.mark.parametrize("value", [True, 1, [], {}, [[]], [{}], 1.5, ""])
def test_members_of_any_type_are_refused_by_name_or_taken(
    reader: httpx.Client, action: str, member: str, value: Any
) -> None:
    body = {member: value}
    if action == "aggregate":
        body["aggregates"] = [{"function": "count", "as": "n"}]
    answer = reader.post(f"{LIST}/{action}", json=body)

    assert answer.status_code in {200, 400, 422}, answer.text
    if answer.status_code != 200:
        places = [place["pointer"] for place in answer.json().get("errors", [])]
        assert all(POINTER.fullmatch(place) for place in places)
        assert any(member in place for place in places) or member in answer.json()["detail"]


@pytest.mark.parametrize(
    "params", [{"from": "9999-12-31", "to": "9999-12-31"}, {"to": "0001-01-01"}, {"from": "9999-12-31T23:59:59Z"}]
)
@pytest.mark.parametrize("path", ["/v1/exchanges", "/v1/exchanges/summary"])
def test_ends_of_ranges_are_bounded(supervisor: httpx.Client, path: str, params: dict[str, str]) -> None:
    answer = supervisor.get(path, params=params)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["errors"][0]["pointer"] in {"/from", "/to"}


def test_the_last_years_that_are_taken_answer(supervisor: httpx.Client) -> None:
    params = {"from": "1900-01-01", "to": "9000-12-31"}
    assert supervisor.get("/v1/exchanges", params=params).status_code == 200
    assert supervisor.get("/v1/exchanges/summary", params={**params, "bucket": "week"}).status_code == 200


@pytest.mark.parametrize("kind", ["rest", "ckan"])
@pytest.mark.parametrize(
    "url", ["https://${secret:HOST}/api", "https://host:${env:PORT}/api", "https://host:99999/api", "https://[::1/api"]
)
def test_an_address_that_is_none_is_told_when_it_is_registered(gateway: RunningGateway, kind: str, url: str) -> None:
    source = {"kind": kind, "url": url, **({"resource": "r"} if kind == "ckan" else {})}
    answer = gateway.admin.put(
        "/v1/connectors/dinkes-alamat", json={"connector": "dinkes-alamat", "agency": "dinkes", "source": source}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "manifest_invalid")
    assert answer.json()["errors"][0]["pointer"] == "/source/url"


def test_the_merged_view_is_there_for_get_too(reader: httpx.Client) -> None:
    merged = reader.get(LIST, params={"view": "merged", "limit": 1})
    searched = reader.post(f"{LIST}/search", json={"view": "merged", "limit": 1})
    following = reader.get(merged.links["next"]["url"])

    assert merged.status_code == 200
    assert merged.json()["meta"]["view"] == "merged"
    assert merged.json()["items"] == searched.json()["items"]
    assert following.json()["items"][0] != merged.json()["items"][0]
    assert reader.get(LIST, params={"view": "joined"}).json()["errors"][0]["pointer"] == "/view"
    assert reader.get(LIST, params={"view": "merged", "f": "csv"}).status_code == 406
    at_once = reader.get(LIST, params={"view": "merged"}, headers={"prefer": "respond-async"})
    assert (at_once.status_code, at_once.headers.get("preference-applied")) == (200, None)
    assert at_once.json()["meta"]["view"] == "merged"


def test_verification_with_agreements_of_two_providers_asks_which(
    gateway: RunningGateway, reader: httpx.Client
) -> None:
    gateway.publish(
        {
            "connector": "dinkes-penduduk",
            "agency": "dinkes",
            "schema": "penduduk_verifikasi@1",
            "source": {"kind": "file", "location": "inbox/faskes.csv"},
            "fields": {
                "nik": {"const": "3320990101900001"},
                "nama": "nama",
                "tanggal_lahir": {"const": "1990-01-01", "date": "iso"},
                "status_dasar": {"const": "HIDUP"},
            },
            "accept_rejects": 0.7,
        }
    )
    agree(gateway, "pks-2", "dinkes")
    try:
        both = reader.post(VERIFY, json=PERSON, headers=WHY)
        chosen = reader.post(VERIFY, json=PERSON, headers={**WHY, "Simpul-Agreement": "pks-1"})
    finally:
        assert gateway.admin.post("/v1/agreements/pks-2/revoke", json={"reason": "Uji"}).status_code == 200
        assert gateway.admin.post("/v1/connectors/dinkes-penduduk/retire").status_code == 200

    assert (both.status_code, both.json()["code"]) == (422, "agreement_ambiguous")
    assert both.json()["agreements"] == ["pks-1", "pks-2"]
    assert (chosen.status_code, chosen.json()["hasil"]) == (200, "cocok")


def test_head_answers_as_get_without_the_body(
    gateway: RunningGateway, reader: httpx.Client, supervisor: httpx.Client
) -> None:
    for path in (LIST, f"{LIST}/P1", "/v1/schemas", "/log/checkpoint", "/health/live", f"{LIST}?f=xlsx"):
        got, headed = reader.get(path), reader.head(path)
        assert headed.status_code == got.status_code == 200
        assert headed.content == b""
        assert headed.headers["content-type"] == got.headers["content-type"]
    assert reader.head(f"{LIST}/NOWHERE").status_code == 404
    headed = reader.head(LIST)
    kept = supervisor.get(f"/v1/exchanges/{headed.headers['exchange-id']}").json()["entries"]
    assert [entry["kind"] for entry in kept] == ["intent", "outcome"]
    assert kept[0]["detail"]["request"].startswith("HEAD ")
    assert kept[1]["bytes"] == int(headed.headers["content-length"])


def test_a_closed_field_is_named_where_the_schema_itself_is_open(reader: httpx.Client, gateway: RunningGateway) -> None:
    closed = next(name for name, spec in get("fasilitas_kesehatan").fields.items() if spec.akses != "terbuka")
    answer = reader.get(LIST, params={"fields": closed})

    assert answer.json()["code"] == "agreement_missing"
    assert closed in answer.json()["detail"]
    assert "lets rsud read fasilitas_kesehatan" not in answer.json()["detail"]


def test_a_body_packed_as_nobody_asked_is_named(
    gateway: RunningGateway, reader: httpx.Client, services: SourceServer
) -> None:
    services.more_headers["/rs"] = {"Content-Encoding": "br"}
    try:
        source = next(found for found in reader.get(LIST).json()["sources"] if found["agency"] == "rsud")
    finally:
        services.more_headers.clear()

    assert source["problem"]["code"] == "source_format_error"
    assert "'br'" in source["problem"]["detail"]


def test_times_end_in_z(gateway: RunningGateway, reader: httpx.Client, supervisor: httpx.Client) -> None:
    job = reader.get(LIST, headers={"prefer": "respond-async"})
    for answer in (
        reader.get(LIST),
        job,
        reader.get(job.headers["location"]),
        supervisor.get("/v1/exchanges"),
        supervisor.get("/v1/exchanges/summary", params={"bucket": "day"}),
        reader.get("/status"),
        reader.get("/v1/agencies"),
        gateway.admin.get("/v1/connectors/dinkes-faskes"),
        gateway.admin.get("/v1/connectors/dinkes-faskes/health"),
        gateway.admin.get("/v1/clients"),
        gateway.admin.get("/v1/agreements/pks-1"),
    ):
        assert answer.status_code in {200, 202}, answer.text
        assert re.findall(r"T[0-9:.]+(\+[0-9:]+)", answer.text) == []
        assert re.findall(r'T\d\d:\d\d:\d\d(?:\.\d+)?"', answer.text) == []


@pytest.mark.parametrize("headers", [{"accept": "text/csv"}, {"accept": "application/json;q=0, text/csv"}])
def test_a_door_that_answers_json_alone_says_so(
    reader: httpx.Client, supervisor: httpx.Client, headers: dict[str, str]
) -> None:
    counted = {"aggregates": [{"function": "count", "as": "n"}]}
    asked = [
        reader.post(f"{LIST}/aggregate", json=counted, headers=headers),
        reader.post(f"{LIST}/aggregate", json=counted, params={"f": "csv"}),
        reader.post(f"{LIST}/match", json={"keys": ["P1"]}, headers=headers),
        reader.post("/v1/explain", json={"schema": "fasilitas_kesehatan"}, headers=headers),
        reader.post(VERIFY, json=PERSON, headers={**WHY, **headers}),
        reader.get(f"{LIST}/changes", headers=headers),
        reader.get(f"{LIST}/conflicts", params={"f": "xlsx"}),
    ]

    for answer in asked:
        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
        kept = supervisor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"]
        assert kept[1]["status"] == 406
    both = {"accept": "text/csv, application/json;q=0.5"}
    assert reader.post(f"{LIST}/aggregate", json=counted, headers=both).status_code == 200
    assert reader.post(f"{LIST}/aggregate", json=counted, params={"f": "json"}).status_code == 200


@pytest.mark.parametrize("action", ["search", "aggregate", "match", "verify"])
def test_parameters_that_a_door_does_not_know_are_refused(reader: httpx.Client, action: str) -> None:
    path = VERIFY if action == "verify" else f"{LIST}/{action}"
    bodies = {
        "search": {},
        "aggregate": {"aggregates": [{"function": "count"}]},
        "match": {"keys": ["P1"]},
        "verify": PERSON,
    }
    answer = reader.post(path, params={"limit": "1"}, json=bodies[action], headers=WHY if action == "verify" else {})

    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_unknown")


def test_explain_shows_the_read_of_an_aggregate_and_refuses_what_it_cannot_show(reader: httpx.Client) -> None:
    counted = {"schema": "fasilitas_kesehatan", "aggregates": [{"function": "count"}], "group_by": ["jenis"]}
    shown = reader.post("/v1/explain", json=counted)
    cut = reader.post("/v1/explain", json={**counted, "limit": 5})
    sql = reader.post(
        "/v1/explain", json={"schema": "fasilitas_kesehatan", "sql": "SELECT nama FROM fasilitas_kesehatan"}
    )

    assert shown.status_code == 200
    assert all("limit" not in source["pushed"] for source in shown.json()["sources"])
    assert (cut.status_code, cut.json()["errors"][0]["pointer"]) == (422, "/limit")
    assert (sql.status_code, sql.json()["errors"][0]["pointer"]) == (422, "/sql")


def test_respond_async_works_where_it_is_listed_and_is_not_claimed_elsewhere(
    reader: httpx.Client, services: SourceServer
) -> None:
    later = {"prefer": "respond-async"}
    document = reader.get("/openapi.json").json()
    listed = {
        (method, path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if any("respond-async" in part.get("description", "") for part in parameters_of(document, operation))
    }
    of_facilities = {(method, path.removeprefix(LIST)) for method, path in listed if path.startswith(LIST)}
    jobs = [
        reader.get(LIST, headers=later),
        reader.post(f"{LIST}/search", json={}, headers=later),
        reader.post(f"{LIST}/match", json={"keys": ["P1"]}, headers=later),
        reader.post("/v1/queries", json={"sql": "SELECT nama FROM fasilitas_kesehatan"}, headers=later),
    ]
    others = [reader.get(f"{LIST}/P1", headers=later), reader.get(f"{LIST}/changes", headers=later)]

    assert of_facilities == {("get", ""), ("post", "/search"), ("post", "/match")}
    assert {(job.status_code, job.headers["preference-applied"]) for job in jobs} == {(202, "respond-async")}
    assert {(other.status_code, other.headers.get("preference-applied")) for other in others} == {(200, None)}
    ends = [reader.get(job.headers["location"]).json() for job in jobs]
    while any(found["state"] in {"queued", "running"} for found in ends):
        ends = [reader.get(job.headers["location"]).json() for job in jobs]
    assert {found["state"] for found in ends} == {"done"}
    assert [found["rows"] for found in ends] == [4, 4, 1, 4]


@pytest.mark.parametrize("member", ["name", "network_allow", "env_allow", "disabled"])
def test_null_is_no_change_of_an_agency(gateway: RunningGateway, member: str) -> None:
    answer = gateway.admin.patch("/v1/agencies/dinkes", json={member: None})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{member}")
    assert gateway.admin.patch("/v1/agencies/dinkes", json={"contact": None}).status_code == 200
