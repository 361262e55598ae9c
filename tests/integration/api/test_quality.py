"""Quality over HTTP: what checks measured, drift, freshness, history; the table of rejects for the office."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway
from tests.support.programs import SIMPUL, run

REGIONS = "kode,nama\n33,Jawa Tengah\n33.20,Jepara\n" + "".join(f"33.20.{n:02d},Kecamatan {n}\n" for n in range(1, 17))
HEAD = "kode,nama,jenis,wilayah,lintang,bujur,alamat\n"


@pytest.fixture(scope="module")
def instance(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> RunningGateway:
    file: Path = tmp_path_factory.mktemp("kode") / "wilayah.csv"
    file.write_text(REGIONS, "utf-8")
    done = run([*SIMPUL, "codes", "load", str(file), "--dir", str(gateway.folder)], env=gateway.environment)
    assert done.returncode == 0, done.stderr
    return gateway


def register(gateway: RunningGateway, folder: Path, name: str, content: str) -> None:
    upload(gateway, folder, name, content)
    manifest = facility_manifest(name, "dinkes", f"inbox/{name}.csv")
    fields = {
        **manifest["fields"],
        "kode_wilayah": "wilayah",
        "lat": {"from": "lintang", "number": {}},
        "lng": {"from": "bujur", "number": {}},
        "alamat": "alamat",
    }
    sent = gateway.admin.put(
        f"/v1/connectors/{name}",
        json={**manifest, "fields": fields, "accept_rejects": 0.9},
        headers={"If-None-Match": "*"},
    )
    assert sent.status_code == 201, sent.text


def upload(gateway: RunningGateway, folder: Path, name: str, content: str) -> None:
    (folder / f"{name}.csv").write_text(content, "utf-8")
    gateway.upload("dinkes", folder / f"{name}.csv")


def quality(gateway: RunningGateway, name: str, **params: str) -> dict[str, Any]:
    found = gateway.client("steward", "dinkes").get(f"/v1/connectors/{name}/quality", params=params)
    assert found.status_code == 200, found.text
    document = found.json()
    assert isinstance(document, dict)
    return document


def check(gateway: RunningGateway, name: str) -> dict[str, Any]:
    document = gateway.admin.post(f"/v1/connectors/{name}/check").json()
    assert isinstance(document, dict)
    return document


def test_a_check_measures_and_the_report_tells_what_is_missing(instance: RunningGateway, tmp_path: Path) -> None:
    rows = "".join(f"F{n},Klinik {n},klinik,33.20.{n:02d},-6.6,110.7,Jl. {n}\n" for n in range(1, 16))
    rows += "F90,Luar,klinik,33.19.01,-7.9,110.7,hubungi 0812-3456-7890\nF91,Kosong,klinik,,-6.6,110.7,\nF92,Salah,warung,33.20.01,-6.6,110.7,x\n"
    register(instance, tmp_path, "mutu-satu", HEAD + rows)
    before = quality(instance, "mutu-satu")
    assert (before["at"], before["measured"], before["history"], before["drift"]) == (None, None, [], None)

    assert check(instance, "mutu-satu")["passed"]
    found = quality(instance, "mutu-satu")
    measured = found["measured"]
    assert (measured["rows"], measured["mapped"], measured["rejected"]) == (18, 17, 1)
    assert measured["rejects"] == [{"field": "jenis", "rule": "not_in_list", "records": 1}]
    assert measured["reject_share"] == 0.0556
    assert measured["completeness"]["kode_wilayah"] == 0.9412
    assert "rawat_inap" in measured["unmapped"]
    (level,) = measured["regions"].pop("levels")
    assert (level["level"], level["expected"], level["found"]) == ("kecamatan", 16, 15)
    assert level["missing"] == [{"kode": "33.20.16", "nama": "Kecamatan 16"}]
    assert measured["regions"] == {
        "within": "33.20", "without_code": 1, "unknown": [], "unknown_total": 0, "elsewhere": 1,
    }  # fmt: skip
    assert measured["positions"] == {"records": 17, "inside": 16}
    assert measured["personal"] == [
        {"field": "alamat", "pattern": "phone", "records": 1, "locations": ["inbox/mutu-satu.csv, line 17"]}
    ]
    assert "0812" not in str(found)
    assert (found["freshness"], found["reads"]["rejected_rows"]) == (None, None)


def test_columns_that_came_went_or_changed_since_the_check_before_are_named(
    instance: RunningGateway, tmp_path: Path
) -> None:
    row = "F1,Satu,klinik,33.20.01,-6.6,110.7,Jl. 1"
    register(instance, tmp_path, "mutu-geser", f"{HEAD}{row}\n")
    check(instance, "mutu-geser")
    upload(instance, tmp_path, "mutu-geser", f"{HEAD.strip()},keterangan\n{row},baru\n")
    check(instance, "mutu-geser")
    found = quality(instance, "mutu-geser")
    assert (found["drift"]["added"], found["drift"]["removed"], found["drift"]["changed"]) == (["keterangan"], [], [])
    assert found["drift"]["since"] == found["history"][1]["at"]
    upload(
        instance, tmp_path, "mutu-geser", "kode,nama,jenis,wilayah,lintang,bujur\nF1,Satu,klinik,33.20.01,-6.6,110.7\n"
    )
    assert not check(instance, "mutu-geser")["passed"]
    found = quality(instance, "mutu-geser")
    assert (found["passed"], found["measured"]) == (False, None)
    assert set(found["drift"]["removed"]) == {"alamat", "keterangan"}
    assert [point["columns"] for point in found["history"]] == [6, 8, 7]
    assert len(quality(instance, "mutu-geser", limit="1")["history"]) == 1


def test_freshness_is_held_against_its_promise_at_the_moment_of_the_question(
    instance: RunningGateway, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    lines = [f"B{n},{(now - timedelta(days=n)):%Y-%m-%dT%H:%M:%SZ}" for n in (3, 5)]
    upload(instance, tmp_path, "mutu-baru", "id,waktu\n" + "\n".join(lines) + "\n")
    manifest = {
        "connector": "mutu-baru",
        "agency": "dinkes",
        "schema": "kejadian_bencana@1",
        "source": {"kind": "file", "location": "inbox/mutu-baru.csv"},
        "fields": {"id": "id", "waktu": {"from": "waktu", "datetime": ["iso"]}},
        "freshness": {"field": "waktu", "slo": "2d"},
    }
    sent = instance.admin.put("/v1/connectors/mutu-baru", json=manifest, headers={"If-None-Match": "*"})
    assert sent.status_code == 201, sent.text
    assert check(instance, "mutu-baru")["passed"]
    found = quality(instance, "mutu-baru")["freshness"]
    assert (found["field"], found["slo_seconds"], found["kept"]) == ("waktu", 172_800, False)
    assert 3 * 86_400 <= found["age_seconds"] < 3 * 86_400 + 600


def test_the_table_for_the_office_names_the_columns_of_the_source_and_no_value(
    instance: RunningGateway, tmp_path: Path
) -> None:
    content = HEAD + "F1,Satu,klinik,,,,\nF2,,warung,,,,\n=F3,Tiga,warung,,,,\n"
    register(instance, tmp_path, "mutu-karantina", content)
    check(instance, "mutu-karantina")
    published = instance.admin.post("/v1/connectors/mutu-karantina/publish")
    assert published.status_code == 200, published.text
    instance.admin.post("/v1/connectors/mutu-karantina/join")
    instance.client("client", "dinkes").get("/v1/records/fasilitas-kesehatan", params={"agencies": "dinkes"})
    answer = instance.client("steward", "dinkes").get("/v1/connectors/mutu-karantina/quarantine/template")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["exchange-id"]
    head, *lines = csv.reader(io.StringIO(answer.text))
    assert head == [
        "lokasi", "kolom_sumber", "field", "aturan", "yang_perlu_dilakukan", "nilai_tersamar", "nilai_perbaikan",
    ]  # fmt: skip
    assert [(line[0], line[1], line[2]) for line in lines[:2]] == [
        ("inbox/mutu-karantina.csv, line 3", "nama", "nama"),
        ("inbox/mutu-karantina.csv, line 3", "jenis", "jenis"),
    ]
    assert all(line[3] and line[4] and line[6] == "" for line in lines)
    assert "warung" not in answer.text
    rejected = quality(instance, "mutu-karantina")["reads"]
    assert rejected["rejected_rows"] == len({line[0] for line in lines})
    instance.admin.post("/v1/connectors/mutu-karantina/retire")


@pytest.mark.parametrize("path", ["quality", "quarantine/template"])
def test_quality_is_for_the_agency_s_own_stewards(instance: RunningGateway, tmp_path: Path, path: str) -> None:
    asked = f"/v1/connectors/mutu-satu/{path}"
    assert instance.client("steward", "rsud").get(asked).status_code in (403, 404)
    assert instance.client("client", "dinkes").get(asked).status_code == 403
    assert instance.admin.get("/v1/connectors/mutu-satu/quality?limit=431").status_code == 422
