"""Reading records over a real socket, on both stores: answers, refusals in their order, and what the log keeps of them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

PERSON = {"nik": "3320990101900001", "nama": "siti contoh  AMINAH", "tanggal_lahir": "1990-01-01"}
WHY = {"Simpul-Purpose": "pelayanan_kesehatan", "X-Road-UserId": "ID198609262015051001", "X-Road-Issue": "RM-1"}
VERIFY = "/v1/records/penduduk-verifikasi/verify"


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


@pytest.fixture(scope="module")
def hospital(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "rsud")


def entries(gateway: RunningGateway, exchange_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        gateway.client("supervisor", "diskominfo").get(f"/v1/exchanges/{exchange_id}").json()["entries"]
    )
    return found


def test_union_of_two_kinds_is_sorted_and_says_who_gave_what(reader: httpx.Client) -> None:
    answer = reader.get("/v1/records/fasilitas-kesehatan", params={"sort": "-nama"})
    page = answer.json()

    assert [item["nama"] for item in page["items"]] == ["RSUD", "RS Dua", "Puskesmas Satu", "Puskesmas Dua"]
    assert [item["_source"]["agency"] for item in page["items"]] == ["dinkes", "rsud", "dinkes", "dinkes"]
    assert page["complete"] is True
    assert {source["status"] for source in page["sources"]} == {"ok"}
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["content-digest"] == f"sha-256=:{digest}:"


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_give_every_record_once(reader: httpx.Client, limit: int) -> None:
    seen, cursor = [], None
    while True:
        page = reader.get(
            "/v1/records/fasilitas-kesehatan", params={"limit": limit, **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [item["kode_faskes"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert sorted(seen) == ["P1", "P2", "R1", "R2"]
    assert len(seen) == 4


def test_one_source_down_is_said_and_can_be_refused(reader: httpx.Client, services: SourceServer) -> None:
    kept = services.routes["/rs"]
    services.routes["/rs"] = lambda _query, _headers: (500, "text/plain", b"broken")
    try:
        page = reader.get("/v1/records/fasilitas-kesehatan").json()
        strict = reader.get("/v1/records/fasilitas-kesehatan", headers={"Prefer": "partial=never"})
        lookup = reader.get("/v1/records/fasilitas-kesehatan/NOWHERE")
        csv = reader.get("/v1/records/fasilitas-kesehatan", params={"f": "csv"})
    finally:
        services.routes["/rs"] = kept

    assert page["complete"] is False
    assert {source["agency"]: source["status"] for source in page["sources"]} == {"dinkes": "ok", "rsud": "unavailable"}
    assert len(page["items"]) == 3
    assert (strict.status_code, strict.json()["code"]) == (503, "partial_answer_refused")
    assert lookup.status_code == 503
    assert csv.headers["simpul-complete"] == "?0"


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"nma": "x"}, 422, "field_unknown"),
        ({"filter": "nama =="}, 422, "filter_malformed"),
        ({"filter": "nama = 3"}, 422, "type_mismatch"),
        ({"filter": "(" * 1000}, 422, "filter_too_complex"),
        ({"filter": "S_INTERSECTS(nama, BBOX(1,2,3,4))"}, 422, "operator_unsupported"),
        ({"filter-lang": "cql1"}, 422, "operator_unsupported"),
        ({"nama": "a" * 2049}, 422, "type_mismatch"),
        ({"jenis": "hospital"}, 422, "type_mismatch"),
        ({"limit": "0"}, 422, "limit_out_of_range"),
        ({"limit": "1001"}, 422, "limit_out_of_range"),
        ({"cursor": "AAAA"}, 422, "cursor_invalid"),
        ({"sort": "nothing"}, 422, "field_unknown"),
        ({"fields": "nothing"}, 422, "field_unknown"),
        ({"f": "xml"}, 406, "not_acceptable"),
        ({"fields": "email_kontak"}, 403, "agreement_missing"),
        ({"filter": "email_kontak = 'a@b.id'"}, 403, "agreement_missing"),
        ({"sort": "email_kontak"}, 403, "agreement_missing"),
    ],
)
def test_bad_question_is_a_problem_that_names_the_pointer(
    gateway: RunningGateway, reader: httpx.Client, params: dict[str, str], status: int, code: str
) -> None:
    answer = reader.get("/v1/records/fasilitas-kesehatan", params=params)
    problem = answer.json()

    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["detail"]
    kept = entries(gateway, answer.headers["exchange-id"])
    assert [(entry["kind"], entry.get("status")) for entry in kept] == [("intent", None), ("outcome", status)]


def test_verification_answers_and_shows_nothing_of_the_register(
    gateway: RunningGateway, hospital: httpx.Client
) -> None:
    answer = hospital.post(VERIFY, json=PERSON, headers=WHY)

    assert answer.json() == {
        "hasil": "cocok",
        "per_field": {"nama": True, "tanggal_lahir": True},
        "nama_tersamar": "S*** C***** A*****",
        "status_dasar": "HIDUP",
    }
    intent, outcome = entries(gateway, answer.headers["exchange-id"])
    assert (intent["kind"], outcome["kind"]) == ("intent", "outcome")
    assert (outcome["agreement"], outcome["purpose"], outcome["subj_n"]) == ("pks-1", "pelayanan_kesehatan", 2)
    assert outcome["providers"] == ["ID-JEPARA/GOV/disdukcapil"]
    assert intent["detail"]["case"] == "RM-1"
    text = base64.b64decode(outcome["entry"]).decode()
    assert "3320990101900001" not in text
    assert "Aminah" not in text


@pytest.mark.parametrize(
    ("changes", "hasil"),
    [
        ({"nama": "Orang Lain"}, "tidak_cocok"),
        ({"nik": "3320990101900002"}, "tidak_ditemukan"),
        ({"tanggal_lahir": "1990-01-02"}, "tidak_cocok"),
    ],
)
def test_verification_says_no(hospital: httpx.Client, changes: dict[str, str], hasil: str) -> None:
    assert hospital.post(VERIFY, json=PERSON | changes, headers=WHY).json()["hasil"] == hasil


@pytest.mark.parametrize(
    ("missing", "status", "code"),
    [
        ("Simpul-Purpose", 422, "purpose_required"),
        ("X-Road-UserId", 422, "officer_required"),
        ("X-Road-Issue", 422, "officer_required"),
    ],
)
def test_verification_needs_purpose_officer_and_case(
    hospital: httpx.Client, missing: str, status: int, code: str
) -> None:
    answer = hospital.post(VERIFY, json=PERSON, headers={name: value for name, value in WHY.items() if name != missing})

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_403_comes_before_any_look_at_the_body(reader: httpx.Client, hospital: httpx.Client) -> None:
    stranger = reader.post(VERIFY, content=b"not json at all", headers=WHY)
    allowed = hospital.post(VERIFY, content=b"not json at all", headers=WHY)
    wrong = hospital.post(VERIFY, json=PERSON | {"nik": "123"}, headers=WHY)

    assert (stranger.status_code, stranger.json()["rule"]) == (403, "no_agreement")
    assert allowed.status_code == 415
    assert wrong.status_code == 422
    assert "123" not in json.dumps(wrong.json()["errors"])


def test_personal_schema_is_never_listed(hospital: httpx.Client) -> None:
    for path in ("/v1/records/penduduk-verifikasi", "/v1/records/penduduk-verifikasi/3320990101900001"):
        assert hospital.get(path).json()["code"] == "lookup_only"


def test_formats(reader: httpx.Client) -> None:
    csv = reader.get(
        "/v1/records/fasilitas-kesehatan", params={"f": "csv", "fields": "kode_faskes,lat", "sort": "kode_faskes"}
    )
    local = reader.get("/v1/records/fasilitas-kesehatan", params={"f": "csv", "csv": "id", "fields": "kode_faskes,lat"})
    lines = reader.get("/v1/records/fasilitas-kesehatan", headers={"Accept": "application/x-ndjson"})

    assert csv.text.splitlines()[0] == "kode_faskes,lat,_agency,_dataset"
    assert csv.text.splitlines()[-1] == "R2,-6.5,rsud,rsud-rs"
    assert local.content.startswith(b"\xef\xbb\xbf")
    assert "R2;-6,5;rsud" in local.text
    assert len([json.loads(line) for line in lines.text.splitlines()]) == 4


def test_disabled_client_is_out_within_a_second(gateway: RunningGateway) -> None:
    made = gateway.admin.post(
        "/v1/clients", json={"agency": "rsud", "role": "client", "name": "Short", "id": "short-lived"}
    ).json()
    session = gateway.session(made["client_id"], made["client_secret"])
    assert session.get("/v1/schemas").status_code == 200
    gateway.admin.patch("/v1/clients/short-lived", json={"disabled": True})

    assert session.get("/v1/schemas").status_code == 401


def test_auditor_sees_only_exchanges_of_its_agency(
    gateway: RunningGateway, hospital: httpx.Client, reader: httpx.Client
) -> None:
    own = hospital.get("/v1/records/fasilitas-kesehatan", params={"agencies": "rsud"}).headers["exchange-id"]
    foreign = reader.get("/v1/records/fasilitas-kesehatan", params={"agencies": "dinkes"}).headers["exchange-id"]
    auditor = gateway.client("auditor", "rsud")

    assert auditor.get(f"/v1/exchanges/{own}").status_code == 200
    assert auditor.get(f"/v1/exchanges/{foreign}").status_code == 404
    assert gateway.client("supervisor", "diskominfo").get(f"/v1/exchanges/{foreign}").status_code == 200


def test_search_pages_are_fixed_to_a_tree_size(gateway: RunningGateway) -> None:
    supervisor = gateway.client("supervisor", "diskominfo")
    first = supervisor.get("/v1/exchanges", params={"limit": 5}).json()
    second = supervisor.get("/v1/exchanges", params={"limit": 5, "cursor": first["next_cursor"]}).json()

    indexes = [item["index"] for item in first["items"] + second["items"]]
    assert indexes == list(range(indexes[0], indexes[0] - 10, -1))
    assert first["meta"]["tree_size"] == second["meta"]["tree_size"]
    reads = supervisor.get("/v1/exchanges", params={"kind": "audit_read", "limit": 1}).json()["items"]
    assert reads[0]["op"] == "exchange.search"


@pytest.mark.parametrize(
    "params", [{"outcome": "perhaps"}, {"from": "yesterday"}, {"from": "2026-11-20T08:00:00"}, {"nothing": "x"}]
)
def test_bad_search_of_the_log_is_a_problem(gateway: RunningGateway, params: dict[str, str]) -> None:
    assert gateway.client("supervisor", "diskominfo").get("/v1/exchanges", params=params).status_code == 422


def test_openapi_docs_and_health_need_no_token(gateway: RunningGateway) -> None:
    for path in (
        "/openapi.json",
        "/docs",
        "/redoc",
        "/health/live",
        "/health/ready",
        "/status",
        "/.well-known/jwks.json",
        "/problems/token-missing",
    ):
        assert httpx.get(f"{gateway.url}{path}", trust_env=False).status_code == 200, path
    for path in ("/v1/schemas", "/metrics", "/v1/records/wilayah"):
        assert httpx.get(f"{gateway.url}{path}", trust_env=False).status_code == 401, path
