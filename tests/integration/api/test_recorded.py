"""Every exchange is recorded and closed, whatever is asked: an answer with an Exchange-Id has an intent and an outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import FACILITIES, facility_manifest
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"
VERIFY = "/v1/records/penduduk-verifikasi/verify"
WHY = {"X-Road-UserId": "ID1", "X-Road-Issue": "RM-1"}
PERSON = {"nik": "3320990101900001", "nama": "Siti Contoh Aminah"}
PROVIDED = {"dinkes", "rsud"}


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "rsud")


@pytest.fixture(scope="module")
def supervisor(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("supervisor", "dinkes")


def recorded(supervisor: httpx.Client, answer: httpx.Response) -> list[dict[str, Any]]:
    """The two entries of an answer: its intent, and what closed it with the status that was sent."""
    found = supervisor.get(f"/v1/exchanges/{answer.headers['exchange-id']}")
    assert found.status_code == 200, found.text
    kept: list[dict[str, Any]] = found.json()["entries"]
    assert len(kept) == 2
    assert kept[0]["kind"] == "intent"
    assert kept[1]["status"] == answer.status_code
    return kept


@pytest.mark.parametrize("agencies", ["", "dinkes,", "A B", "x" * 300, ",", "dinkes,,rsud", "Dinkes", "../dinkes"])
@pytest.mark.parametrize("path", [LIST, f"{LIST}/P1", f"{LIST}/changes", f"{LIST}/conflicts"])
def test_agencies_that_are_no_ids_are_told(
    reader: httpx.Client, supervisor: httpx.Client, path: str, agencies: str
) -> None:
    answer = reader.get(path, params={"agencies": agencies})

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["errors"][0]["pointer"].startswith("/agencies/")
    assert answer.json()["errors"][0]["code"] == "agency_id"
    recorded(supervisor, answer)


@pytest.mark.parametrize("action", ["search", "aggregate"])
@pytest.mark.parametrize("agencies", [[""], ["dinkes", "A B"], ["x" * 300]])
def test_agencies_in_a_body_are_bound_too(
    reader: httpx.Client, supervisor: httpx.Client, action: str, agencies: list[str]
) -> None:
    body: dict[str, Any] = {"agencies": agencies}
    if action == "aggregate":
        body["aggregates"] = [{"function": "count", "as": "n"}]
    answer = reader.post(f"{LIST}/{action}", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["errors"][0]["pointer"] == f"/agencies/{len(agencies) - 1}"
    recorded(supervisor, answer)


def test_an_agency_that_does_not_exist_is_told_with_the_nearest_name(
    reader: httpx.Client, supervisor: httpx.Client
) -> None:
    answer = reader.get(LIST, params={"agencies": "dinkez"})

    assert answer.status_code == 422
    assert "did you mean dinkes" in answer.json()["detail"]
    intent, outcome = recorded(supervisor, answer)
    assert "dinkez" not in str(outcome.get("sources"))
    assert intent["detail"]["request"] == "GET /v1/records/{schema}?agencies"
    assert "dinkez" not in str([intent, outcome])


def test_a_look_up_takes_agencies(reader: httpx.Client, supervisor: httpx.Client) -> None:
    mine = reader.get(f"{LIST}/P1", params={"agencies": "dinkes"})
    other = reader.get(f"{LIST}/P1", params={"agencies": "rsud"})

    assert [item["_source"]["agency"] for item in mine.json()["items"]] == ["dinkes"]
    assert {source["agency"] for source in mine.json()["sources"]} == {"dinkes"}
    assert other.status_code == 404
    assert recorded(supervisor, other)[1]["providers"] == ["ID-JEPARA/GOV/rsud"]


@pytest.mark.parametrize("params", [{"limit": "1"}, {"agency": "dinkes"}, {"filter": "x"}])
def test_a_look_up_refuses_parameters_that_it_does_not_know(
    reader: httpx.Client, supervisor: httpx.Client, params: dict[str, str]
) -> None:
    answer = reader.get(f"{LIST}/P1", params=params)

    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_unknown")
    recorded(supervisor, answer)


def test_a_named_agency_that_provides_nothing_is_said_to_be_skipped(reader: httpx.Client) -> None:
    listed = reader.get(LIST, params={"agencies": "dinkes,disdukcapil"}).json()
    looked_up = reader.get(f"{LIST}/NOWHERE", params={"agencies": "dinkes,disdukcapil"})

    assert listed["complete"] is False
    assert {source["agency"]: source["status"] for source in listed["sources"]} == {
        "dinkes": "ok",
        "disdukcapil": "skipped",
    }
    assert looked_up.status_code == 404
    assert {source["agency"] for source in looked_up.json()["sources"]} == {"dinkes", "disdukcapil"}


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("search", {"filter": "nama = 'Puskesmas Satu'", "limit": 5}),
        ("search", {"filter": {"op": "=", "args": [{"property": "nama"}, "Puskesmas Satu"]}}),
        ("aggregate", {"filter": "nama = 'RSUD'", "aggregates": [{"function": "count", "as": "n"}]}),
        ("match", {"keys": ["P1", "P9"], "fields": ["nama"]}),
    ],
)
def test_what_was_asked_stands_in_the_detail(
    reader: httpx.Client, supervisor: httpx.Client, action: str, body: dict[str, Any]
) -> None:
    intent, outcome = recorded(supervisor, reader.post(f"{LIST}/{action}", json=body))

    assert intent["detail"]["asked"] == body
    assert "asked" not in outcome["detail"]
    assert "Puskesmas Satu" not in intent["q"]


def test_what_was_asked_to_be_explained_uploaded_and_verified_stands_in_the_detail(
    reader: httpx.Client, supervisor: httpx.Client
) -> None:
    explained = {"schema": "fasilitas_kesehatan", "filter": "jenis = 'puskesmas'"}
    upload = "key,nama\r\nP1,Puskesmas Satu\r\n"
    why = {**WHY, "Simpul-Purpose": "pelayanan_kesehatan"}

    assert recorded(supervisor, reader.post("/v1/explain", json=explained))[0]["detail"]["asked"] == explained
    answer = reader.post(f"{LIST}/match", content=upload, headers={"content-type": "text/csv"})
    assert recorded(supervisor, answer)[0]["detail"]["asked"] == upload
    assert recorded(supervisor, reader.post(VERIFY, json=PERSON, headers=why))[0]["detail"]["asked"] == PERSON


def test_a_large_question_stands_there_by_size_digest_and_what_is_small(
    reader: httpx.Client, supervisor: httpx.Client
) -> None:
    body = {"keys": [f"P{number:09}" for number in range(9000)], "fields": ["nama"]}
    asked = recorded(supervisor, reader.post(f"{LIST}/match", json=body))[0]["detail"]["asked"]

    assert asked["bytes"] > 65_536
    assert len(asked["sha256"]) == 64
    assert asked["counts"] == {"keys": 9000, "fields": 1}


def test_a_purpose_in_the_body_counts(reader: httpx.Client, supervisor: httpx.Client) -> None:
    without = reader.post(VERIFY, json=PERSON, headers=WHY)
    inside = reader.post(VERIFY, json={**PERSON, "purpose": "pelayanan_kesehatan"}, headers=WHY)
    other = reader.post(
        VERIFY,
        json={**PERSON, "purpose": "pelayanan_kesehatan"},
        headers={**WHY, "Simpul-Purpose": "penelitian"},
    )

    assert (without.status_code, without.json()["code"]) == (422, "purpose_required")
    assert inside.status_code == 200
    assert recorded(supervisor, inside)[0]["purpose"] == "pelayanan_kesehatan"
    assert other.status_code in {403, 422}  # the header stands; the body does not replace it


def test_a_suspended_source_is_missing_and_said_to_be(
    gateway: RunningGateway, supervisor: httpx.Client, tmp_path: Path
) -> None:
    """Of an agency of its own, because what an agency retired is told for ever to those who name it."""
    gateway.agency("dinsos")
    (tmp_path / "faskes.csv").write_text(FACILITIES, "utf-8")
    gateway.upload("dinsos", tmp_path / "faskes.csv")
    for name in ("dinsos-faskes", "dinsos-lain"):
        gateway.publish(facility_manifest(name, "dinsos"))
    reader = gateway.client("client", "rsud")
    assert gateway.admin.post("/v1/connectors/dinsos-lain/suspend").status_code == 200

    listed = reader.get(LIST)
    counted = reader.post(f"{LIST}/aggregate", json={"aggregates": [{"function": "count", "as": "n"}]})
    looked_up = reader.get(f"{LIST}/NOWHERE")
    exported = reader.get(LIST, params={"f": "ndjson"})
    stated = {source["dataset"]: source for source in listed.json()["sources"]}["dinsos-lain"]

    assert listed.json()["complete"] is False
    assert (stated["status"], stated["problem"]["code"]) == ("unavailable", "source_suspended")
    assert counted.status_code == 503
    assert looked_up.status_code == 503
    assert (exported.status_code, exported.headers["simpul-complete"]) == (200, "?0")
    recorded(supervisor, looked_up)
    assert gateway.admin.post("/v1/connectors/dinsos-lain/retire").status_code == 200
    assert reader.get(f"{LIST}/NOWHERE").status_code == 404
    named = reader.get(LIST, params={"agencies": "dinsos"}).json()
    assert named["complete"] is False
    assert {source["dataset"]: source["status"] for source in named["sources"]} == {
        "dinsos-faskes": "ok",
        "dinsos-lain": "unavailable",
    }
    assert reader.get(f"{LIST}/NOWHERE", params={"agencies": "dinsos"}).status_code == 503
    assert gateway.admin.post("/v1/connectors/dinsos-faskes/retire").status_code == 200


def test_suspending_the_only_provider_is_no_empty_answer(
    gateway: RunningGateway, services: SourceServer, supervisor: httpx.Client
) -> None:
    services.json("/sekolah", b'{"data": [{"npsn": "20318123", "nama": "SDN 1"}]}')
    gateway.publish(
        {
            "connector": "dinkes-sekolah",
            "agency": "dinkes",
            "schema": "satuan_pendidikan@1",
            "source": {"kind": "rest", "url": f"{services.url}/sekolah", "record_path": "$.data[*]"},
            "fields": {"npsn": "npsn", "nama": "nama", "bentuk": {"const": "SD"}, "status": {"const": "NEGERI"}},
        }
    )
    reader = gateway.client("client", "rsud")
    assert gateway.admin.post("/v1/connectors/dinkes-sekolah/suspend").status_code == 200

    for answer in (
        reader.get("/v1/records/satuan-pendidikan"),
        reader.get("/v1/records/satuan-pendidikan/20318123"),
        reader.post("/v1/records/satuan-pendidikan/aggregate", json={"aggregates": [{"function": "count", "as": "n"}]}),
    ):
        assert answer.status_code == 503, answer.text
        assert answer.json()["sources"][0]["dataset"] == "dinkes-sekolah"
        recorded(supervisor, answer)
    assert gateway.admin.post("/v1/connectors/dinkes-sekolah/retire").status_code == 200
