"""What the steward is shown is what will happen: check maps the whole source, preview shows rejects, drafts in both forms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway

PRICES = {
    "tanggal": {"from": "tanggal", "date": "%d/%m/%Y"},
    "pasar": "pasar",
    "komoditas": "komoditas",
    "harga": {"from": "harga", "number": {}, "else": "null"},
}


def manifest(name: str, location: str, **more: Any) -> dict[str, Any]:
    source = {"kind": "file", "location": location}
    return {
        "connector": name,
        "agency": "dinkes",
        "schema": "harga_komoditas@1",
        "source": source,
        "fields": PRICES,
        **more,
    }


def checked(gateway: RunningGateway, folder: Path, content: str, document: dict[str, Any]) -> dict[str, Any]:
    file = folder / Path(document["source"]["location"]).name
    file.write_text(content, "utf-8")
    gateway.upload("dinkes", file)
    answer = gateway.admin.put(f"/v1/connectors/{document['connector']}", json=document)
    assert answer.status_code in {200, 201}, answer.text
    report = gateway.admin.post(f"/v1/connectors/{document['connector']}/check").json()
    assert isinstance(report, dict)
    return report


def prices(*dates: str, extra: str = "") -> str:
    lines = [f"{day},Pasar {place},Beras,1000,x" for place, day in enumerate(dates)]
    return "\n".join(["tanggal,pasar,komoditas,harga,catatan", *lines, extra]) + "\n"


def step(report: dict[str, Any]) -> dict[str, Any]:
    found = report["steps"][-1]
    assert found["name"] == "map"
    return dict(found)


def test_a_check_maps_the_whole_file(gateway: RunningGateway, tmp_path: Path) -> None:
    bad = "12/01/2024,Pasar 1,Beras,mahal,x\n12/01/2024,Pasar 1,Beras,9,x\nragged\n31/02/2024,Pasar 9,Beras,9,x\n"
    good = [f"{1 + n % 28:02}/{1 + n // 28 % 12:02}/2024" for n in range(300)]
    report = checked(gateway, tmp_path, prices(*good, extra=bad), manifest("uji-periksa", "inbox/harga-utuh.csv"))
    assert report["passed"] is True
    mapping = report["mapping"]
    counts = {name: mapping[name] for name in ("rows", "mapped", "rejected", "duplicate_keys", "bounded")}
    assert counts == {"rows": 304, "mapped": 301, "rejected": 3, "duplicate_keys": 1, "bounded": None}
    assert [(found["field"], found["rule"], found["records"], found["places"]) for found in mapping["rejects"]] == [
        ("", "ragged_row", 1, ["inbox/harga-utuh.csv, line 304"]),
        ("tanggal", "duplicate_key", 1, ["inbox/harga-utuh.csv, line 303"]),
        ("tanggal", "not_a_date", 1, ["inbox/harga-utuh.csv, line 305"]),
    ]
    assert mapping["nulled"] == [{"field": "harga", "rule": "not_a_number", "records": 1}]
    assert mapping["null_share"] == {"tanggal": 0, "pasar": 0, "komoditas": 0, "harga": round(1 / 301, 4)}
    assert mapping["columns"] == ["tanggal", "pasar", "komoditas", "harga", "catatan"]
    assert step(report)["note"] == "304 records read, 301 mapped, 3 rejected"
    kept = gateway.admin.get("/v1/connectors/uji-periksa").json()["check"]
    assert kept["report"]["mapping"] == mapping


def test_a_check_fails_when_everything_is_rejected_and_says_that_the_other_order_of_day_and_month_fits(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    report = checked(
        gateway, tmp_path, prices("01/25/2024", "02/26/2024", "03/27/2024"), manifest("uji-bulan", "inbox/bulan.csv")
    )
    assert report["passed"] is False
    problem = step(report)["problem"]
    assert problem["code"] == "mapping_rejects"
    assert problem["detail"].startswith(
        "every one of 3 records is rejected. Most often tanggal: not_a_date (3 records, first at "
    )
    assert "tanggal: 3 of 3 rejected dates fit %m/%d/%Y" in problem["detail"]
    assert report["mapping"]["hints"] == [
        "tanggal: 3 of 3 rejected dates fit %m/%d/%Y; is the day behind the month there?"
    ]
    assert gateway.admin.post("/v1/connectors/uji-bulan/publish").status_code == 409


def test_a_check_asks_for_accept_rejects_above_the_share(gateway: RunningGateway, tmp_path: Path) -> None:
    text = prices("01/02/2024", "02/02/2024", "03/02/2024", "x")
    report = checked(gateway, tmp_path, text, manifest("uji-bagian", "inbox/bagian.csv"))
    assert report["passed"] is False
    assert "1 of 4 records are rejected (25.0%, at most 10.0% are accepted)" in step(report)["problem"]["detail"]
    assert "state accept_rejects: 0.25 in the manifest" in step(report)["problem"]["detail"]
    assert (
        checked(gateway, tmp_path, text, manifest("uji-bagian", "inbox/bagian.csv", accept_rejects=0.25))["passed"]
        is True
    )
    assert (
        checked(gateway, tmp_path, text, manifest("uji-bagian", "inbox/bagian.csv", accept_rejects=0.2))["passed"]
        is False
    )
    answer = gateway.admin.put(
        "/v1/connectors/uji-bagian", json=manifest("uji-bagian", "inbox/b.csv", accept_rejects=1)
    )
    assert answer.json()["errors"][0]["pointer"] == "/accept_rejects"


def test_25_a_path_that_stands_in_no_record_fails_the_check_and_one_through_no_object_rejects(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    records = [{"kode": f"F{n}", "nama": "Klinik", "lokasi": {"lat": -6.5, "lng": 110.6}} for n in range(3)]
    document = facility_manifest("uji-jalur", "dinkes") | {
        "source": {"kind": "file", "location": "inbox/f.json"},
        "fields": {
            "kode_faskes": "kode",
            "nama": "nama",
            "jenis": {"const": "klinik"},
            "lat": "$.lokasi.lintang",
            "lng": "$.lokasi.lng",
        },
    }
    report = checked(gateway, tmp_path, json.dumps(records), document)
    assert report["passed"] is False
    assert step(report)["problem"]["detail"] == "$.lokasi.lintang (/fields/lat) stands in none of 3 records"
    assert report["mapping"]["paths_never_found"] == [{"pointer": "/fields/lat", "path": "$.lokasi.lintang"}]
    records[1]["lokasi"] = "Jepara"
    document["fields"]["lat"] = "$.lokasi.lat"
    document["accept_rejects"] = 0.5
    report = checked(gateway, tmp_path, json.dumps(records), document)
    assert report["passed"] is True
    assert {(found["field"], found["rule"]) for found in report["mapping"]["rejects"]} == {
        ("lat", "not_an_object"),
        ("lng", "not_an_object"),
    }
    document["fields"]["lng"] = "$.lokasi[0]"
    report = checked(gateway, tmp_path, json.dumps(records), document)
    assert report["mapping"]["paths_never_found"] == [{"pointer": "/fields/lng", "path": "$.lokasi[0]"}]


def test_a_preview_shows_rejected_rows_where_they_stand(gateway: RunningGateway, tmp_path: Path) -> None:
    text = "kode,nama,jenis\nF1,Satu,klinik\nragged\nF1,Kembar,klinik\nF3,,klinik\nF4,Empat,klinik\n"
    document = facility_manifest("uji-pratinjau", "dinkes", "inbox/pratinjau.csv")
    checked(gateway, tmp_path, text, document)
    shown = gateway.admin.post("/v1/connectors/uji-pratinjau/preview").json()
    found = [
        (row["place"].rpartition(" ")[2], row["mapped"] is not None, [r["rule"] for r in row["rejects"]])
        for row in shown["items"]
    ]
    assert found == [
        ("2", True, []),
        ("3", False, ["ragged_row"]),
        ("4", False, ["duplicate_key"]),
        ("5", False, ["missing"]),
        ("6", True, []),
    ]
    assert shown["items"][2]["raw"] == {"kode": "F1", "nama": "Kembar", "jenis": "klinik"}
    assert shown["summary"]["rejected"] == 3
    assert len(gateway.admin.post("/v1/connectors/uji-pratinjau/preview?limit=2").json()["items"]) == 2


def test_a_preview_masks_what_is_personal_and_shows_the_rest(gateway: RunningGateway, tmp_path: Path) -> None:
    text = (
        "kode,nama,NIK Pemilik,HP,catatan,lain\n"
        "F1,Klinik Satu,3320010101800001,0812345678901,hubungi budi@contoh.id,lantai 2\n"
        "F2,Klinik Dua,-,,nik 3320010101800002,2024\n"
    )
    document = facility_manifest("uji-samar", "dinkes", "inbox/samar.csv")
    document["fields"] = {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "klinik"}}
    checked(gateway, tmp_path, text, document)
    rows = gateway.admin.post("/v1/connectors/uji-samar/preview").json()["items"]
    assert rows[0]["raw"] == {
        "kode": "F1",
        "nama": "Klinik Satu",
        "NIK Pemilik": "#…# (9-16)",
        "HP": "#…# (9-16)",
        "catatan": "h…d (17-32)",
        "lain": "lantai 2",
    }
    assert (rows[1]["raw"]["catatan"], rows[1]["raw"]["lain"]) == ("n…# (17-32)", "2024")
    for private in ("3320010101800001", "3320010101800002", "budi@contoh.id", "0812345678901"):
        assert private not in json.dumps(rows)


def test_a_preview_masks_the_columns_that_a_personal_field_is_made_of(gateway: RunningGateway, tmp_path: Path) -> None:
    text = "id,depan,belakang,kota,nama,lat\n1,Sri,Lestari,Jepara,Pantai,-6.5\n"
    document = {
        "connector": "uji-dibuat",
        "agency": "dinkes",
        "schema": "destinasi_wisata@1",
        "source": {"kind": "file", "location": "inbox/dibuat.csv"},
        "fields": {
            "id": "id",
            "nama": "nama",
            "pengelola_nama": {"from": ["depan", "belakang"], "join": " "},
            "kontak": {"expr": "upper(kota)"},
            "lat": {"from": "lat", "number": {}},
        },
    }
    checked(gateway, tmp_path, text, document)
    row = gateway.admin.post("/v1/connectors/uji-dibuat/preview").json()["items"][0]
    assert row["raw"] == {
        "id": "1",
        "depan": "… (1-4)",
        "belakang": "L…i (5-8)",
        "kota": "J…a (5-8)",
        "nama": "Pantai",
        "lat": "-6.5",
    }
    assert row["mapped"]["pengelola_nama"] == "S…i (9-16)"


@pytest.mark.parametrize("form", ["application/json", "application/yaml"])
@pytest.mark.parametrize("kind", [{}, {"kind": "connector"}])
def test_a_draft_is_accepted_in_both_forms(gateway: RunningGateway, form: str, kind: dict[str, str]) -> None:
    name = f"uji-draf-{form[-4:]}-{len(kind)}"
    source = {"kind": "file", "location": "inbox/faskes.csv"}
    for more in ({}, {"schema": "fasilitas_kesehatan@1"}):
        document = {**kind, "connector": name, "agency": "dinkes", "source": source, **more}
        content = json.dumps(document) if form.endswith("json") else yaml.safe_dump(document)
        answer = gateway.admin.put(f"/v1/connectors/{name}", content=content, headers={"content-type": form})
        assert answer.status_code in {200, 201}, answer.text
        assert answer.json()["state"] == "draft"
        assert gateway.admin.post(f"/v1/connectors/{name}/discover").status_code == 200
        assert gateway.admin.post(f"/v1/connectors/{name}/check").json()["passed"] is True
    wrong = {**kind, "connector": name, "agency": "dinkes"}
    content = json.dumps(wrong) if form.endswith("json") else yaml.safe_dump(wrong)
    answer = gateway.admin.put(f"/v1/connectors/{name}", content=content, headers={"content-type": form})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/source"]


def test_apply_takes_the_manifest_that_put_takes_and_a_draft_ends_well(gateway: RunningGateway, tmp_path: Path) -> None:
    draft = {"connector": "uji-terap", "agency": "dinkes", "source": {"kind": "file", "location": "inbox/faskes.csv"}}
    whole = facility_manifest("uji-terap", "dinkes")
    client, secret = gateway.credential
    environment = {**os.environ, "SIMPUL_URL": gateway.url, "SIMPUL_CLIENT_ID": client, "SIMPUL_CLIENT_SECRET": secret}

    def applied(document: dict[str, Any]) -> tuple[int, str]:
        (tmp_path / "m.yaml").write_text(yaml.safe_dump(document), "utf-8")
        command = [
            sys.executable,
            "-c",
            "from app.cli.main import main; main()",
            "apply",
            "-f",
            str(tmp_path / "m.yaml"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
        return done.returncode, done.stdout + done.stderr

    for document, said in (
        (draft, "+ connector uji-terap revision 1 is a draft: its source answers, fields are missing"),
        ({"kind": "connector", **draft}, "  connector uji-terap as before (revision 1)"),
        (whole, "~ connector uji-terap revision 2 published"),
        ({"kind": "connector", **whole}, "  connector uji-terap as before (revision 2)"),
    ):
        code, printed = applied(document)
        assert (code, printed.splitlines()[0]) == (0, said), printed
