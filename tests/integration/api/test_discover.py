"""A file as an office sends it: discover says how it has to be read, proposes a manifest, and that manifest passes its check."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
import xlsxwriter
import yaml

from tests.support.gateway import RunningGateway
from tests.support.programs import simpul
from tests.support.sources import SourceServer

HEAD = "No;Kode Puskesmas;Nama Puskesmas;Rawat Inap;Lintang;Bujur\r\n"
CENTRES = "".join(
    f"{at};P332001{at:04d};Puskesmas  {at};{'Ya' if at % 2 else 'Tidak'};-6,5{at:02d};110,6{at:02d}\r\n"
    for at in range(1, 9)
)


def discovered(gateway: RunningGateway, name: str, file: Path, **draft: Any) -> dict[str, Any]:
    gateway.upload("dinkes", file)
    body = {
        "connector": name,
        "agency": "dinkes",
        "source": {"kind": "file", "location": f"inbox/{file.name}"},
        **draft,
    }
    made = gateway.admin.put(f"/v1/connectors/{name}", json=body)
    assert made.status_code in {200, 201}, made.text
    answer = gateway.admin.post(f"/v1/connectors/{name}/discover")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


def checked(gateway: RunningGateway, name: str, manifest: str) -> dict[str, Any]:
    """The proposed manifest, sent as it is, and the report of its check."""
    tag = gateway.admin.get(f"/v1/connectors/{name}").headers["etag"]
    headers = {"If-Match": tag, "content-type": "application/yaml"}
    answer = gateway.admin.put(f"/v1/connectors/{name}", content=manifest.encode(), headers=headers)
    assert answer.status_code == 201, answer.text
    report = gateway.admin.post(f"/v1/connectors/{name}/check").json()
    assert report["passed"], report["steps"]
    assert isinstance(report["mapping"], dict)
    return report["mapping"]


def test_titles_delimiter_encoding_total_and_footnote_of_a_csv(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "puskesmas-kantor.csv"
    text = f"PEMERINTAH KABUPATEN\r\nDaftar Puskesmas\r\n\r\n{HEAD}{CENTRES};;JUMLAH;;;\r\nSumber: Bidang Pelayanan – 2024;;;;;\r\n"
    file.write_bytes(text.encode("cp1252"))

    found = discovered(gateway, "kantor-csv", file)

    source = yaml.safe_load(found["manifest"])["source"]
    assert source == {
        "kind": "file",
        "location": "inbox/puskesmas-kantor.csv",
        "delimiter": ";",
        "encoding": "cp1252",
        "skip": 3,
        "stop_at": "JUMLAH",
    }
    assert {guess["pointer"] for guess in found["guesses"]} == {
        f"/source/{name}" for name in source.keys() - {"kind", "location"}
    }
    assert found["schemas"][0]["schema"] == "fasilitas_kesehatan@1"
    mapped = checked(gateway, "kantor-csv", found["manifest"])
    assert (mapped["rows"], mapped["mapped"]) == (8, 8)


def test_two_header_rows_counted_columns_hidden_and_empty_sheets(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "penduduk-kantor.xlsx"
    with xlsxwriter.Workbook(file) as book:
        book.add_worksheet("Petunjuk").write(0, 0, "Isi dengan benar")
        sheet = book.add_worksheet("Data 2024")
        sheet.write(0, 0, "Jumlah Penduduk Kabupaten Tahun 2024")
        sheet.merge_range(2, 0, 3, 0, "No")
        sheet.merge_range(2, 1, 3, 1, "Kecamatan")
        sheet.merge_range(2, 2, 2, 4, "Penduduk (Jiwa)")
        sheet.write_row(3, 2, ["Laki-laki", "Perempuan", "Jumlah"])
        sheet.write_row(4, 0, ["(1)", "(2)", "(3)", "(4)", "(5)"])
        for at, name in enumerate(("Kedung", "Pecangaan", "Welahan"), 1):
            sheet.write_row(4 + at, 0, [at, name, 1000 + at, 1100 + at, 2100 + 2 * at])
        sheet.write_row(8, 1, ["Jumlah", 3006, 3306, 6312])
        sheet.write(9, 0, "Sumber: BPS")
        book.add_worksheet("Lama").hide()

    found = discovered(gateway, "kantor-xlsx", file, schema="statistik_indikator@1")

    manifest = yaml.safe_load(found["manifest"])
    assert manifest["source"]["sheet"] == "Data 2024"
    assert manifest["source"]["header"] == {"rows": [3, 4], "skip": 1}
    assert manifest["source"]["stop_at"] == "Jumlah"
    assert manifest["read"]["unpivot"]["keep"] == ["No", "Kecamatan"]
    assert manifest["fields"]["tahun"] == {"const": 2024}
    assert any("Lama" in text for text in found["notes"])
    mapped = checked(gateway, "kantor-xlsx", found["manifest"])
    assert (mapped["rows"], mapped["mapped"], mapped["rejected"]) == (9, 9, 0)


def test_section_rows_are_left_out_and_stay_as_a_column(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "sekolah-kantor.csv"
    lines = ["Kecamatan,Desa,NPSN,Nama Sekolah"]
    for at, name in enumerate(("KEDUNG", "BANGSRI")):
        lines.append(f"KECAMATAN {name},,,")
        lines += [f",Desa {row},203180{at}{row},SD {row}" for row in range(5)]
    file.write_text("\n".join(lines) + "\n")

    found = discovered(gateway, "kantor-bagian", file)

    manifest = yaml.safe_load(found["manifest"])
    assert manifest["source"]["fill_down"] == ["Kecamatan"]
    assert manifest["read"]["rows_without"] == ["Desa"]
    mapped = checked(gateway, "kantor-bagian", found["manifest"])
    assert (mapped["rows"], mapped["mapped"], mapped["skipped_blank"]) == (10, 10, 2)
    shown = gateway.admin.post("/v1/connectors/kantor-bagian/preview").json()["items"]
    assert shown[0]["raw"]["Kecamatan"] == "KECAMATAN KEDUNG"


def test_records_deep_in_a_document_and_personal_columns(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "sekolah-dalam.json"
    nik = "3320011201800001"
    records = [
        {
            "npsn": f"2031800{at}",
            "nama": f"SD {at}",
            "lokasi": {"lat": -6.5, "lon": 110.6},
            "nik_kepala": nik,
            "catatan": f"hub {nik}",
        }
        for at in (1, 2)
    ]
    file.write_text(json.dumps({"meta": {"jumlah": 2}, "hasil": {"data": records}}))

    found = discovered(gateway, "kantor-json", file)

    manifest = yaml.safe_load(found["manifest"])
    assert manifest["source"]["record_path"] == "$.hasil.data[*]"
    assert manifest["schema"] == "satuan_pendidikan@1"
    assert manifest["fields"]["lng"] == "$.lokasi.lon"
    assert nik not in json.dumps(found)
    assert any("nik_kepala" in text for text in found["notes"])
    assert any("catatan" in text for text in found["notes"])
    checked(gateway, "kantor-json", found["manifest"])


def test_geojson_under_another_name(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "wisata-peta.json"
    features = [{"type": "Feature", "properties": {"id": "W1", "nama": "Pantai"}, "geometry": None}]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))

    found = discovered(gateway, "kantor-peta", file, schema="destinasi_wisata@1")

    assert yaml.safe_load(found["manifest"])["source"]["format"] == "geojson"
    checked(gateway, "kantor-peta", found["manifest"])


def test_a_file_without_a_header_is_told_by_its_values(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "tanpa-kepala.csv"
    file.write_text("20318001,SD 1 Kedung,Negeri\n20318002,SD 2 Kedung,Swasta\n")

    found = discovered(gateway, "kantor-kepala", file, schema="satuan_pendidikan@1")

    manifest = yaml.safe_load(found["manifest"])
    assert manifest["source"]["header"] is False
    assert manifest["fields"]["npsn"] == "column_1"
    assert manifest["fields"]["status"]["codes"] == {"Negeri": "NEGERI", "Swasta": "SWASTA"}
    checked(gateway, "kantor-kepala", found["manifest"])


def test_what_the_manifest_states_is_not_guessed_again(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "dinyatakan.csv"
    file.write_text("Kode;Nama\nA1;Satu\n")
    source = {"kind": "file", "location": "inbox/dinyatakan.csv", "delimiter": ",", "header": True}

    found = discovered(gateway, "kantor-nyata", file, source=source)

    assert found["guesses"] == []
    assert [column["name"] for column in found["columns"]] == ["Kode;Nama"]


def test_suggest_ranks_the_columns_of_each_field_for_any_schema(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "usul.csv"
    file.write_text(HEAD + CENTRES)
    discovered(gateway, "kantor-usul", file)

    answer = gateway.admin.post("/v1/connectors/kantor-usul/suggest", params={"schema": "fasilitas_kesehatan"}).json()

    fields = {field["field"]: field for field in answer["fields"]}
    assert fields["kode_faskes"]["chosen"]["column"] == "Kode Puskesmas"
    assert fields["kode_faskes"]["required"] is True
    assert fields["lat"]["chosen"]["mapping"] == {"from": "Lintang", "number": {"decimal": ","}}
    assert fields["lat"]["chosen"]["taken"] == fields["lat"]["chosen"]["tried"] == 8
    assert answer["unused"] == ["No"]
    assert gateway.admin.post("/v1/connectors/kantor-usul/suggest?schema=tidak_ada").status_code == 404
    assert gateway.admin.get("/v1/connectors/kantor-usul").json()["latest_revision"] == 1


@pytest.mark.parametrize("written", ["stdout", "file"])
def test_a_connector_is_new_by_one_command(gateway: RunningGateway, tmp_path: Path, written: str) -> None:
    file = tmp_path / f"dinkes_baru-{written}.csv"
    file.write_text(HEAD + CENTRES)
    secret = gateway.admin.post(
        "/v1/clients", json={"id": f"st-{written}", "agency": "dinkes", "role": "steward", "name": "S"}
    ).json()
    variables = {
        "SIMPUL_URL": gateway.url,
        "SIMPUL_CLIENT_ID": secret["client_id"],
        "SIMPUL_CLIENT_SECRET": secret["client_secret"],
    }
    command = ["connector", "new", str(file), "--agency", "dinkes", "--schema", "fasilitas_kesehatan"]
    out = tmp_path / "m.yaml"

    done = simpul(*command, *(["--out", str(out)] if written == "file" else []), variables=variables)

    assert done.returncode == 0, done.stderr
    manifest = yaml.safe_load(out.read_text() if written == "file" else done.stdout)
    assert manifest["connector"] == f"dinkes-baru-{written}"
    assert manifest["schema"] == "fasilitas_kesehatan@1"
    checked(gateway, manifest["connector"], out.read_text() if written == "file" else done.stdout)
    again = simpul(*command, variables=variables)
    assert again.returncode != 0
    assert "already" in again.stderr


def test_a_service_of_a_known_make_is_read_to_its_end(gateway: RunningGateway) -> None:
    rows = [{"kode_faskes": f"P332001{at:04d}", "nama": f"Puskesmas {at}", "jenis": "puskesmas"} for at in range(1, 26)]

    def answer(query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
        page = int(query.get("page", "1"))
        meta = {"current_page": page, "last_page": 3, "total": 25}
        links = {"next": f"/api?page={page + 1}" if page < 3 else None}
        document = {"data": rows[(page - 1) * 10 : page * 10], "links": links, "meta": meta}
        return 200, "application/json", json.dumps(document).encode()

    server = SourceServer()
    server.routes["/api"] = answer
    body = {"connector": "layanan-laravel", "agency": "dinkes", "source": {"kind": "rest", "url": f"{server.url}/api"}}
    try:
        assert gateway.admin.put("/v1/connectors/layanan-laravel", json=body).status_code in {200, 201}
        found = gateway.admin.post("/v1/connectors/layanan-laravel/discover").json()

        assert yaml.safe_load(found["manifest"])["source"] == {**body["source"], "paging": {"preset": "laravel"}}
        assert "as Laravel writes them" in found["manifest"]
        assert [guess["pointer"] for guess in found["guesses"]] == ["/source/paging"]
        mapped = checked(gateway, "layanan-laravel", found["manifest"])
        assert (mapped["rows"], mapped["mapped"]) == (25, 25)
    finally:
        server.close()


def test_html_tables_called_xls_are_read_as_what_they_are(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "puskesmas-lapor.xls"
    lines = [line.split(";") for line in (HEAD + CENTRES).splitlines()]
    rows = "".join("<tr>" + "".join(f"<td>{cell}" for cell in line) + "</tr>" for line in lines)
    head = "<html><head><meta charset=utf-8></head><body><table><tr><td>DINAS KESEHATAN</td></tr></table>"
    file.write_text(f"{head}<table id='data'>{rows}</table></body></html>")

    found = discovered(gateway, "lapor-html", file)

    source = yaml.safe_load(found["manifest"])["source"]
    assert source == {"kind": "file", "location": "inbox/puskesmas-lapor.xls", "sheet": "data"}
    assert any("HTML tables" in text for text in found["notes"])
    mapped = checked(gateway, "lapor-html", found["manifest"])
    assert (mapped["rows"], mapped["mapped"]) == (8, 8)


def test_what_no_kind_reads_is_refused_at_its_upload_with_what_to_do(gateway: RunningGateway, tmp_path: Path) -> None:
    for name, content, said in (
        ("a.csv", b"%PDF-1.7 x", "the file is a PDF document, which is not read; a PDF keeps no cells"),
        ("a.sql", b"-- MySQL dump 10.13\n", "load it into a database and use kind sql"),
    ):
        answer = gateway.admin.put(f"/v1/agencies/dinkes/files/{name}", content=content)
        assert answer.status_code == 422, answer.text
        assert said in answer.json()["detail"]
        assert answer.json()["errors"][0]["pointer"] == "/body"
    listed = gateway.admin.get("/v1/agencies/dinkes/files").json()["items"]
    assert not [file for file in listed if file["path"] in {"a.csv", "a.sql"}]
    body = {
        "connector": "basis-data",
        "agency": "dinkes",
        "source": {"kind": "file", "location": "inbox/faskes.db"},
    }
    refused = gateway.admin.put("/v1/connectors/basis-data", json=body)
    assert refused.status_code == 422
    assert "kind: sql with url: sqlite:inbox/faskes.db" in refused.text


def test_a_zipped_shapefile_is_uploaded_and_its_layer_encoding_and_fields_are_proposed(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    squares = [shapely.box(110.5 + at / 10, -6.7, 110.6 + at / 10, -6.6).wkb for at in range(3)]
    names = np.array(["Kedung", "Pecangaan", "Café"], dtype=object)
    for layer, count in (("batas_kecamatan", 3), ("kantor", 1)):
        columns = [np.array([f"33.20.0{at}" for at in range(1, count + 1)], dtype=object), names[-count:]]
        pyogrio.raw.write(
            tmp_path / f"{layer}.shp", np.array(squares[:count], dtype=object), columns, ["kode_wil", "nama"],
            geometry_type="Polygon", crs="EPSG:4326", encoding="CP1252",
        )  # fmt: skip
    file = tmp_path / "batas-kantor.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for part in tmp_path.glob("*.[sdpc]*"):
            if part.suffix in {".shp", ".shx", ".dbf", ".prj", ".cpg"}:
                archive.write(part, part.name)

    found = discovered(gateway, "batas-kantor", file, schema="batas_wilayah@1")

    source = yaml.safe_load(found["manifest"])["source"]
    assert source == {
        "kind": "file",
        "location": "inbox/batas-kantor.zip",
        "sheet": "batas_kecamatan",
        "encoding": "cp1252",
    }
    mapped = checked(gateway, "batas-kantor", found["manifest"])
    assert (mapped["rows"], mapped["mapped"]) == (3, 3)
