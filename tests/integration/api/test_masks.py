"""Masks of an agreement over HTTP: proposed, checked, applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    answer = gateway.admin.post("/v1/agreements", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/masks/{field}"


def test_masked_values_leave_masked_and_cannot_be_asked_for(gateway: RunningGateway, tmp_path: Path) -> None:
    gateway.agency("puskesmas")
    (tmp_path / "kontak.csv").write_text("kode,nama,jenis,email\nM1,Nama Asli,klinik,orang@faskes.example\n", "utf-8")
    gateway.upload("puskesmas", tmp_path / "kontak.csv")
    manifest = facility_manifest("puskesmas-kontak", "puskesmas", "inbox/kontak.csv")
    gateway.publish({**manifest, "fields": {**manifest["fields"], "email_kontak": "email"}})  # type: ignore[dict-item]
    assert gateway.admin.post("/v1/agreements", json={**TERMS, "id": "pks-mask"}).status_code == 201
    for _ in range(2):
        assert gateway.admin.post("/v1/agreements/pks-mask/approve").status_code == 200
    hospital = gateway.client("client", "rsud")
    path, only = "/v1/records/fasilitas-kesehatan", {"agencies": "puskesmas"}

    for text in ("json", "ndjson", "csv"):
        answer = hospital.get(path, params={**only, "f": text, "fields": "kode_faskes,nama,email_kontak"}, headers=WHY)
        assert answer.status_code == 200, answer.text
        assert "Nama Asli" not in answer.text
        assert "orang@" not in answer.text
        assert "****************mple" in answer.text
    refused = hospital.get(path, params={**only, "filter": "email_kontak LIKE 'o%'"}, headers=WHY)
    assert (refused.status_code, refused.json()["code"]) == (403, "field_not_granted")
