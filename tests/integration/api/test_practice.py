"""`Simpul-Mode: uji`: every door answers from synthetic records, marked, and meets nothing of the real data in either direction."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from app.datasets.practice.records import CASES, synthetic
from app.schemas.registry import all_schemas, get
from tests.integration.api.conftest import furnish
from tests.integration.api.test_asserted import DOORS, asked
from tests.integration.api.test_recorded import LIST, VERIFY, WHY, recorded
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

UJI = {"Simpul-Mode": "uji"}
OFFICER = {**UJI, **WHY, "Simpul-Purpose": "pelayanan_kesehatan"}
AGENCIES = {"uji-dinas-satu", "uji-dinas-dua"}
FACILITIES = synthetic(get("fasilitas_kesehatan")).keys
PERSONS = synthetic(get("penduduk_verifikasi")).keys
LISTED = [schema for schema in all_schemas() if not schema.meta.lookup_only]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, services: SourceServer) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("practice")
    running = RunningGateway(folder / "instance")
    running.init()
    running.start()
    furnish(running, folder, services)
    running.agency("baru")
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    """Of an agency without any agreement."""
    return gateway.client("client", "baru")


@pytest.fixture(scope="module")
def supervisor(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("supervisor", "dinkes")


def agencies(answer: httpx.Response) -> set[str]:
    return {source["agency"] for source in answer.json()["sources"]}


@pytest.mark.parametrize("schema", LISTED, ids=lambda schema: schema.name)
def test_every_schema_is_listed_looked_up_and_counted(reader: httpx.Client, schema: Any) -> None:
    path, headers = f"/v1/records/{schema.meta.slug}", {**UJI, "Simpul-Purpose": "pelayanan_kesehatan"}
    listed = reader.get(path, params={"limit": "1000"}, headers=headers)
    found = reader.get(f"{path}/{synthetic(schema).keys['found']}", headers=headers)
    counted = reader.post(f"{path}/aggregate", json={"aggregates": [{"function": "count", "as": "n"}]}, headers=headers)

    assert (listed.status_code, found.status_code, counted.status_code) == (200, 200, 200), listed.text[:500]
    assert listed.json()["mode"] == found.json()["mode"] == counted.json()["mode"] == "uji"
    assert listed.headers["simpul-mode"] == "uji"
    assert len(listed.json()["items"]) == 100
    assert agencies(listed) == agencies(found) == AGENCIES
    assert counted.json()["items"] == [{"n": 100}]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
def test_every_door_marks_answer_and_entry(
    reader: httpx.Client, supervisor: httpx.Client, services: SourceServer, door: tuple[str, str, dict[str, Any]]
) -> None:
    before = len(services.asked)
    answer = asked(reader, door, **UJI)

    if door[1].endswith("/P1"):
        assert answer.status_code == 404
    else:
        assert answer.status_code == 200, answer.text
    assert answer.headers["simpul-mode"] == "uji"
    if "json" in answer.headers["content-type"]:
        assert answer.json()["mode"] == "uji"
    for entry in recorded(supervisor, answer):
        assert entry["mode"] == "uji"
        assert "agreement" not in entry
        assert not {name.rpartition("/")[2] for name in entry.get("providers", ())} - AGENCIES
    receipt = supervisor.get(f"/v1/exchanges/{answer.headers['exchange-id']}/receipt")
    assert receipt.status_code == 200
    assert len(services.asked) == before


def test_practice_is_found_in_the_log(reader: httpx.Client, supervisor: httpx.Client) -> None:
    answer = reader.get(LIST, headers=UJI)
    found = supervisor.get("/v1/exchanges", params={"mode": "uji", "limit": "100"}).json()["items"]
    assert answer.headers["exchange-id"] in {one["exchange_id"] for one in found}


@pytest.mark.parametrize("form", ["ndjson", "csv", "xlsx", "parquet", "arrow", "geojson"])
def test_every_form_is_marked(reader: httpx.Client, form: str) -> None:
    answer = reader.get(LIST, params={"f": form}, headers=UJI)
    assert (answer.status_code, answer.headers["simpul-mode"]) == (200, "uji"), answer.text
    if form == "csv":
        assert {row["_agency"] for row in csv.DictReader(io.StringIO(answer.text))} == AGENCIES
    elif form == "parquet":
        assert set(pq.read_table(io.BytesIO(answer.content))["_agency"].to_pylist()) == AGENCIES
    elif form == "geojson":
        assert (answer.json()["mode"], answer.json()["type"]) == ("uji", "FeatureCollection")


def test_pages_go_on_and_no_cursor_crosses(reader: httpx.Client) -> None:
    for path in (LIST, f"{LIST}/conflicts", f"{LIST}/changes"):
        name = "since" if path.endswith("changes") else "cursor"
        practised = reader.get(path, params={"limit": "1"}, headers=UJI).json()["next_cursor"]
        real = reader.get(path, params={"limit": "1"}).json()["next_cursor"]
        if practised is not None:
            assert reader.get(path, params={"limit": "1", name: practised}, headers=UJI).status_code == 200
            assert reader.get(path, params={"limit": "1", name: practised}).json()["code"] == "cursor_invalid"
        if real is not None:
            assert reader.get(path, params={"limit": "1", name: real}).status_code == 200
            crossed = reader.get(path, params={"limit": "1", name: real}, headers=UJI)
            assert (crossed.json()["code"], crossed.json()["mode"]) == ("cursor_invalid", "uji")
    seen, cursor = list[str](), ""
    while True:
        more: dict[str, str] = {"cursor": cursor} if cursor else {}
        page = reader.get(LIST, params={"limit": "30", **more}, headers=UJI).json()
        seen += [f"{item['_source']['agency']} {item['_source']['id']}" for item in page["items"]]
        cursor = page["next_cursor"] or ""
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 100


def test_real_and_synthetic_records_never_meet(reader: httpx.Client) -> None:
    real = reader.get(LIST, params={"limit": "1000"})
    practised = reader.get(LIST, params={"limit": "1000"}, headers=UJI)
    assert not agencies(real) & AGENCIES
    assert "mode" not in real.json()
    assert "simpul-mode" not in real.headers
    assert real.headers["etag"] != practised.headers["etag"]
    assert reader.get(LIST, params={"agencies": "uji-dinas-satu"}).status_code == 422
    assert reader.get(LIST, params={"agencies": "dinkes"}, headers=UJI).status_code == 422
    crossed = reader.get(LIST, params={"limit": "1000"}, headers={**UJI, "If-None-Match": real.headers["etag"]})
    assert crossed.status_code == 200


def test_what_is_required_in_reality_is_required_here(reader: httpx.Client) -> None:
    body = {"nik": PERSONS["found"], "nama": "Siti Contoh Aminah"}
    assert reader.post(VERIFY, json=body, headers=UJI).json()["code"] == "purpose_required"
    purpose = {**UJI, "Simpul-Purpose": "pelayanan_kesehatan"}
    assert reader.post(VERIFY, json=body, headers=purpose).json()["code"] == "officer_required"
    assert (
        reader.post(VERIFY, json=body, headers={**OFFICER, "Simpul-Purpose": "x"}).json()["code"] == "purpose_unknown"
    )
    assert reader.get("/v1/records/penduduk-verifikasi", headers=OFFICER).json()["code"] == "lookup_only"
    assert reader.get(LIST, params={"fields": "email_kontak"}, headers=UJI).json()["code"] == "purpose_required"
    assert reader.get(LIST, params={"warna": "merah"}, headers=UJI).status_code == 422
    named = reader.get(LIST, headers={**UJI, "Simpul-Agreement": "pks-1", "Simpul-Purpose": "pelayanan_kesehatan"})
    assert (named.status_code, named.json()["rule"]) == (403, "agreement_unknown")


def test_an_agreement_that_waits_for_signatures_may_be_named(gateway: RunningGateway, reader: httpx.Client) -> None:
    terms = {
        "id": "pks-menunggu", "provider": "disdukcapil", "consumer": "baru", "schema": "penduduk_verifikasi", "fields": ["*"],
        "purposes": ["pelayanan_kesehatan"], "basis": "UU 17/2023", "valid_from": "2026-01-01", "valid_until": "2030-12-31",
    }  # fmt: skip
    gateway.agree(terms, steps=1)
    headers = {**OFFICER, "Simpul-Agreement": "pks-menunggu"}
    answer = reader.post(VERIFY, json={"nik": PERSONS["found"]}, headers=headers)
    assert (answer.status_code, answer.json()["hasil"]) == (200, "cocok"), answer.text
    assert (
        reader.post(VERIFY, json={"nik": PERSONS["found"]}, headers={**headers, "Simpul-Mode": ""}).status_code == 400
    )


def test_persons_are_verified_and_matched(reader: httpx.Client) -> None:
    good = {"nik": PERSONS["found"], "nama": "siti contoh aminah", "tanggal_lahir": "1990-01-01"}
    answer = reader.post(VERIFY, json=good, headers=OFFICER).json()
    assert (answer["mode"], answer["hasil"], answer["nama_tersamar"]) == ("uji", "cocok", "S*** C***** A*****")
    assert reader.post(VERIFY, json={**good, "nama": "Lain"}, headers=OFFICER).json()["hasil"] == "tidak_cocok"
    keys = [{"key": PERSONS[case], "values": {"nama": "Siti Contoh Aminah"}} for case in ("found", "not_found")]
    found = reader.post("/v1/records/penduduk-verifikasi/match", json={"keys": keys}, headers=OFFICER).json()
    assert [one["status"] for one in found["items"]] == ["matched", "unmatched"]


def test_each_case_is_played_for_a_person(reader: httpx.Client) -> None:
    def ask(case: str) -> tuple[httpx.Response, float]:
        begun = time.monotonic()
        answer = reader.post(VERIFY, json={"nik": PERSONS[case]}, headers=OFFICER)  # type: ignore[index]
        assert answer.json()["mode"] == "uji"
        return answer, time.monotonic() - begun

    played = {case: ask(case) for case in CASES}
    told = {
        case: (answer.status_code, answer.json().get("hasil") or answer.json()["code"])
        for case, (answer, _) in played.items()
    }
    assert told == {
        "found": (200, "cocok"),
        "not_found": (200, "tidak_ditemukan"),
        "disagree": (503, "all_sources_failed"),
        "slow": (200, "cocok"),
        "down": (503, "partial_answer_refused"),
        "refused": (403, "agreement_missing"),
        "quota": (429, "agreement_quota_spent"),
    }
    assert played["slow"][1] >= 2 > played["found"][1]
    assert played["refused"][0].json()["rule"] == "no_agreement"
    assert played["quota"][0].json()["rule"] == "quota_requests"
    assert int(played["quota"][0].headers["retry-after"]) >= 1


@pytest.mark.parametrize("schema", LISTED, ids=lambda schema: schema.name)
def test_each_case_is_played_for_a_key(reader: httpx.Client, schema: Any) -> None:
    headers, keys = {**UJI, "Simpul-Purpose": "pelayanan_kesehatan"}, synthetic(schema).keys

    def ask(case: str) -> httpx.Response:
        return reader.get(f"/v1/records/{schema.meta.slug}/{keys[case]}", headers=headers)  # type: ignore[index]

    cases = [case for case in CASES if case != "slow" or schema.name == "fasilitas_kesehatan"]
    answers = {case: ask(case) for case in cases}
    told = {case: answer.status_code for case, answer in answers.items()}
    expected = {"found": 200, "disagree": 200, "slow": 200, "down": 503, "not_found": 404, "refused": 403, "quota": 429}
    assert told == {case: expected[case] for case in cases}
    one, other = answers["disagree"].json()["items"]
    assert {one["_source"]["agency"], other["_source"]["agency"]} == AGENCIES
    assert [name for name in schema.fields if one[name] != other[name]]
    assert answers["refused"].json()["code"] == "agreement_missing"
    disagreements = reader.get(f"/v1/records/{schema.meta.slug}/conflicts", headers=headers).json()["items"]
    assert [found["id"] for found in disagreements] == [keys["disagree"]]


def test_a_source_that_is_down_stays_as_it_is_and_is_told_in_lists(reader: httpx.Client) -> None:
    for _ in range(8):  # more than open a real circuit
        assert reader.get(f"{LIST}/{FACILITIES['down']}", headers=UJI).status_code == 503
    assert reader.get(f"{LIST}/{FACILITIES['found']}", headers=UJI).status_code == 200
    partial = reader.get(LIST, params={"kode_faskes": FACILITIES["down"]}, headers=UJI)
    assert (partial.status_code, partial.json()["complete"]) == (200, False)
    assert {one["agency"]: one["status"] for one in partial.json()["sources"]} == {
        "uji-dinas-satu": "unavailable",
        "uji-dinas-dua": "ok",
    }
    strict = reader.get(LIST, params={"kode_faskes": FACILITIES["down"]}, headers={**UJI, "Prefer": "partial=never"})
    assert strict.status_code == 503


def test_refusals_are_played_where_keys_are_matched(reader: httpx.Client) -> None:
    def match(*cases: str) -> httpx.Response:
        return reader.post(f"{LIST}/match", json={"keys": [FACILITIES[case] for case in cases]}, headers=UJI)  # type: ignore[index]

    assert [one["status"] for one in match("found", "not_found").json()["items"]] == ["matched", "unmatched"]
    assert match("found", "refused").status_code == 403
    assert match("found", "quota").status_code == 429


def test_a_job_of_practice_is_one_of_practice_alone(reader: httpx.Client, supervisor: httpx.Client) -> None:
    again = {"Prefer": "respond-async", "Idempotency-Key": "satu-kunci"}
    made = reader.get(LIST, params={"f": "geojson"}, headers={**UJI, **again})
    real = reader.get(LIST, params={"f": "geojson"}, headers=again)
    assert (made.status_code, real.status_code) == (202, 202), real.text
    assert (made.json()["mode"], made.json()["id"] != real.json()["id"]) == ("uji", True)
    repeated = reader.get(LIST, params={"f": "geojson"}, headers={**UJI, **again})
    assert (repeated.json()["id"], repeated.headers["idempotency-replayed"]) == (made.json()["id"], "true")
    job = f"/v1/jobs/{made.json()['id']}"
    ends = time.monotonic() + 30
    while (shown := reader.get(job, headers=UJI).json())["state"] in {"queued", "running"} and time.monotonic() < ends:
        time.sleep(0.05)
    assert (shown["state"], shown["mode"]) == ("done", "uji"), shown
    result = reader.get(f"{job}/result", headers=UJI)
    assert (result.status_code, result.json()["mode"], result.headers["simpul-mode"]) == (200, "uji", "uji")
    assert shown["result"]["digest"] == result.headers["content-digest"]
    for entry in supervisor.get(f"/v1/exchanges/{shown['result']['exchange_id']}").json()["entries"]:
        assert entry["mode"] == "uji"
    for path, headers in ((job, {}), (f"{job}/result", {}), (f"/v1/jobs/{real.json()['id']}", UJI)):
        crossed = reader.get(path, headers=headers)
        assert (crossed.status_code, crossed.json()["code"]) == (404, "job_unknown")
    assert reader.delete(job).status_code == 404
    assert reader.delete(job, headers=UJI).status_code == 204


def test_sql_runs_over_synthetic_records(reader: httpx.Client) -> None:
    sql = "SELECT _agency, count(*) AS n FROM fasilitas_kesehatan GROUP BY _agency ORDER BY _agency"
    found = reader.post("/v1/queries", json={"sql": sql}, headers=UJI).json()
    assert (found["mode"], found["items"]) == ("uji", [{"_agency": name, "n": 50} for name in sorted(AGENCIES)])


def test_the_mode_is_one_word_once(gateway: RunningGateway, reader: httpx.Client) -> None:
    twice = reader.get(LIST, headers=[("Simpul-Mode", "uji"), ("Simpul-Mode", "uji")])
    assert (twice.status_code, twice.json()["code"]) == (400, "header_repeated")
    for mode in ("UJI", "Uji", "uji,uji", "uji;q=1", "uj"):
        answer = reader.get(LIST, headers={"Simpul-Mode": mode})
        assert (answer.status_code, answer.json()["code"]) == (400, "mode_unknown"), mode
    for method, path in (
        ("GET", "/v1/agencies"),
        ("GET", "/v1/access"),
        ("POST", "/v1/agencies"),
        ("GET", "/v1/exchanges"),
    ):
        answer = gateway.admin.request(method, path, headers=UJI)
        assert answer.json()["code"] in {"mode_unknown", "role_forbidden"}, path
    assert httpx.get(f"{gateway.url}{LIST}", headers=UJI).status_code == 401


def test_no_real_agency_takes_an_invented_name(gateway: RunningGateway) -> None:
    for name in AGENCIES:
        answer = gateway.admin.post("/v1/agencies", json={"id": name, "name": "Dinas"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "reserved")


def test_practice_leaves_no_trace_in_health_and_quarantine(gateway: RunningGateway, reader: httpx.Client) -> None:
    before = gateway.admin.get("/v1/connectors/dinkes-faskes/health").json()
    reader.get(LIST, headers=UJI)
    after = gateway.admin.get("/v1/connectors/dinkes-faskes/health").json()
    assert before.get("last_success_at") == after.get("last_success_at")


def test_who_was_asked_about_in_practice_is_told_so(reader: httpx.Client, supervisor: httpx.Client) -> None:
    reader.post(VERIFY, json={"nik": "3320010101900001"}, headers=OFFICER)
    body = {"subject": {"id_type": "nik", "value": "3320010101900001"}}
    found = supervisor.post("/v1/subject-usage", json=body, headers={"X-Road-Issue": "P-1"}).json()["items"]
    assert {(one["mode"], tuple(one["roles"])) for one in found} == {("uji", ("asked",))}


def test_practice_uses_nothing_of_a_real_agreement(gateway: RunningGateway) -> None:
    gateway.agree({
        "id": "pks-satu", "provider": "disdukcapil", "consumer": "dinkes", "schema": "penduduk_verifikasi", "fields": ["*"],
        "purposes": ["pelayanan_kesehatan"], "basis": "UU 17/2023", "valid_from": "2026-01-01", "valid_until": "2030-12-31",
        "quota": {"requests": 1},
    })  # fmt: skip
    client = gateway.client("client", "dinkes")
    headers = {**OFFICER, "Simpul-Agreement": "pks-satu"}
    for _ in range(3):
        assert client.post(VERIFY, json={"nik": PERSONS["found"]}, headers=headers).status_code == 200
    left = [
        one["quota"]["requests"]["left"]
        for one in client.get("/v1/access").json()["items"]
        if one["agreement"] == "pks-satu"
    ]
    assert left == [1]
    real = {name: value for name, value in headers.items() if name != "Simpul-Mode"}
    statuses = [client.post(VERIFY, json={"nik": PERSONS["found"]}, headers=real).status_code for _ in range(2)]
    assert statuses == [200, 429]
