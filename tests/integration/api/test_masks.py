"""Masks of an agreement over HTTP: proposed, checked, applied."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway

TERMS = {
    "provider": "puskesmas",
    "consumer": "rsud",
    "schema": "fasilitas_kesehatan",
    "fields": ["kode_faskes", "nama", "email_kontak"],
    "masks": {"email_kontak": "last4", "nama": "hash"},
    "purposes": ["pelayanan_kesehatan"],
    "basis": "PKS 1",
    "valid_from": "2026-01-01",
    "valid_until": "2030-12-31",
}
WHY = {"Simpul-Purpose": "pelayanan_kesehatan", "X-Road-UserId": "ID198609262015051001", "X-Road-Issue": "RM-1"}


@pytest.mark.parametrize(
    ("field", "mask"), [("kode_faskes", "hash"), ("jenis", "hash"), ("nama", "year-only"), ("lat", "last4")]
)
def test_mask_that_does_not_fit_is_refused_with_its_pointer(gateway: RunningGateway, field: str, mask: str) -> None:
    body: dict[str, Any] = {**TERMS, "provider": "dinkes", "fields": ["*"], "masks": {field: mask}}
    answer = gateway.steward("rsud").post("/v1/agreements", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/masks/{field}"


@pytest.fixture(scope="module")
def hospital(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> httpx.Client:
    """A consumer with two agreements: one provider masks what the other gives as it is."""
    folder = tmp_path_factory.mktemp("masks")
    gateway.agency("puskesmas")
    (folder / "kontak.csv").write_text("kode,nama,jenis,email\nM1,Nama Asli,klinik,orang@faskes.example\n", "utf-8")
    gateway.upload("puskesmas", folder / "kontak.csv")
    manifest = facility_manifest("puskesmas-kontak", "puskesmas", "inbox/kontak.csv")
    gateway.publish({**manifest, "fields": {**manifest["fields"], "email_kontak": "email"}})  # type: ignore[dict-item]
    plainly = {name: value for name, value in TERMS.items() if name != "masks"}
    for body in ({**TERMS, "id": "pks-mask"}, {**plainly, "provider": "dinkes", "id": "pks-plain"}):
        gateway.agree(body)
    return gateway.client("client", "rsud")


def test_masked_values_leave_masked_and_cannot_be_asked_for(hospital: httpx.Client) -> None:
    path, only = "/v1/records/fasilitas-kesehatan", {"agencies": "puskesmas"}

    for text in ("json", "ndjson", "csv"):
        answer = hospital.get(path, params={**only, "f": text, "fields": "kode_faskes,nama,email_kontak"}, headers=WHY)
        assert answer.status_code == 200, answer.text
        assert "Nama Asli" not in answer.text
        assert "orang@" not in answer.text
        assert "****************mple" in answer.text
    refused = hospital.get(path, params={**only, "filter": "email_kontak LIKE 'o%'"}, headers=WHY)
    assert (refused.status_code, refused.json()["code"]) == (403, "field_not_granted")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT kode_faskes FROM fasilitas_kesehatan WHERE email_kontak <> 'x'",
        "SELECT kode_faskes FROM fasilitas_kesehatan WHERE upper(email_kontak) <> 'X'",
        "SELECT kode_faskes FROM fasilitas_kesehatan WHERE email_kontak NOT LIKE 'o%' OR email_kontak IS NULL",
        "SELECT k FROM (SELECT kode_faskes AS k, email_kontak AS n FROM fasilitas_kesehatan) t WHERE n <> 'x'",
        "SELECT kode_faskes FROM fasilitas_kesehatan ORDER BY email_kontak",
        "SELECT email_kontak, count(*) AS n FROM fasilitas_kesehatan GROUP BY email_kontak",
        "SELECT DISTINCT email_kontak FROM fasilitas_kesehatan",
        "SELECT a.kode_faskes FROM fasilitas_kesehatan a JOIN fasilitas_kesehatan b ON a.email_kontak = b.email_kontak",
    ],
    ids=["pushed", "a function", "not pushed", "through a subquery", "order", "group", "distinct", "join"],
)
def test_a_mask_is_minded_however_a_statement_is_written(hospital: httpx.Client, sql: str) -> None:
    refused = hospital.post("/v1/queries", json={"sql": sql}, headers=WHY)
    partial = hospital.post("/v1/queries", json={"sql": sql}, headers={**WHY, "Prefer": "partial=allow"})

    assert (refused.status_code, refused.json()["code"]) == (403, "field_not_granted"), refused.text
    assert "puskesmas" in refused.json()["detail"]
    assert partial.status_code == 200, partial.text
    told = {source["agency"]: source["status"] for source in partial.json()["sources"]}
    assert (told["puskesmas"], told["dinkes"], partial.json()["complete"]) == ("skipped", "ok", False)


def test_a_masked_value_that_decides_nothing_is_shown_masked(hospital: httpx.Client) -> None:
    sql = "SELECT kode_faskes, email_kontak FROM fasilitas_kesehatan WHERE kode_faskes = 'M1'"
    shown = hospital.post("/v1/queries", json={"sql": sql}, headers=WHY)

    assert shown.status_code == 200, shown.text
    assert shown.json()["items"] == [{"kode_faskes": "M1", "email_kontak": "****************mple"}]
