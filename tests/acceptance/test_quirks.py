"""The quirks that make the thirteen files worth testing, read from their bytes: they hold in the real files and in the look-alikes.

A look-alike that lost its quirk would prove nothing.
"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

CRLF = b"\r\n"


def only_crlf(content: bytes) -> bool:
    """Every line ends with CR and LF."""
    return content.count(CRLF) == content.count(b"\n") == content.count(b"\r") > 0


def document(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_01_dump_is_of_an_engine_that_sqlite_does_not_know(acceptance_data: Path) -> None:
    content = (acceptance_data / "dinpermades_wilayah_jepara.sql").read_bytes()
    assert only_crlf(content)
    assert content.isascii()
    assert content.startswith(b"/*")
    assert b"ENGINE=MyISAM" in content
    assert content.count(b"INSERT INTO") == 1
    assert b"300.2.2-2138 Tahun 2025" in content


def test_02_bps_list_has_no_header_and_an_order_of_its_own(acceptance_data: Path) -> None:
    content = (acceptance_data / "bps_kecamatan_3320.csv").read_bytes()
    rows = [line.split(",") for line in content.decode("ascii").splitlines()]
    codes, names = [row[0] for row in rows], [row[2] for row in rows]
    assert only_crlf(content)
    assert rows[0] == ["3320010", "3320", "KEDUNG"]
    assert codes == sorted(codes)
    assert names.index("TAHUNAN") < names.index("JEPARA")
    assert all(name.isupper() for name in names)


def test_03_boundaries_are_latitude_first_and_of_two_depths(acceptance_data: Path) -> None:
    text = (acceptance_data / "dpupr_batas_kecamatan_jepara.sql").read_text("ascii")
    paths = [json.loads(found) for found in re.findall(r"'(\[\[.*?\]\])'", text)]
    points = [path[0][0] if isinstance(path[0][0][0], float) else path[0][0][0] for path in paths]
    assert {isinstance(path[0][0][0], float) for path in paths} == {True, False}
    assert all(lat < 0 and lng > 100 for lat, lng in points)
    assert not re.search(r"srid|crs|epsg", text, re.IGNORECASE)


def test_04_statistics_begin_with_a_byte_order_mark(acceptance_data: Path) -> None:
    content = (acceptance_data / "dinkes_faskes_jateng.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfWilayah,Tahun,")
    assert only_crlf(content)
    assert "Kode" not in content.decode("utf-8-sig")


def test_05_sheet_keeps_numbers_as_text_and_addresses_as_they_were_typed(acceptance_data: Path) -> None:
    book = load_workbook(acceptance_data / "dinkes_faskes_indonesia_2019.xlsx", read_only=True)
    with closing(book):
        _, *rows = book.worksheets[0].iter_rows(values_only=True)
    assert {tuple(type(cell) for cell in row) for row in rows} == {(*[str] * 8, int)}
    names, addresses = [row[4] for row in rows], [row[5] for row in rows]
    assert any("  " in name for name in names)
    assert any(name.endswith(" ") for name in names)
    assert any(re.search(r"Kec\. Kedung \d{6}$", address) for address in addresses)
    assert any("Kec. Betealit" in address for address in addresses)
    assert addresses.count("-") == sum(row[3] == "DINAS PROVINSI" for row in rows) == 2
    assert [row[2][:5] for row in rows if float(row[7]) > 180] == ["P7602"]
    assert any(row[2].startswith("R3374") and float(row[7]) > 112 for row in rows)
    assert any("PAKIS AJI" in row[4] and "Kec. Mlonggo" in row[5] for row in rows)
    assert any("DONOROJO" in row[4] and row[2].startswith("P3320010") for row in rows)


def test_06_service_nests_its_places_and_lists_its_telephones(acceptance_data: Path) -> None:
    answer = document(acceptance_data, "dinkes_rumahsakit_api.json")
    rows = answer["data"]
    numbers = [row["id"] for row in rows]
    assert answer["count"] == len(rows) == len(set(numbers)) < max(numbers)
    assert {row["email"] for row in rows} == {None}
    assert {row["website"] is None for row in rows} == {True, False}
    assert any(row["nama_rsu"].endswith(" ") for row in rows)
    assert any("(10 lines)" in number for row in rows for number in row["telepon"])
    for row in rows:
        assert str(row["kode_kelurahan"]).startswith(str(row["kode_kecamatan"]))
        assert str(row["kode_kecamatan"]).startswith(str(row["kode_kota"]))
        assert row["shape"] == f"POINT({row['longitude']} {row['latitude']})"


def test_07_database_keeps_code_and_name_in_one_column(acceptance_data: Path) -> None:
    place = f"file:{acceptance_data / 'bappeda_ekonomi_jateng.db'}?mode=ro&immutable=1"
    with closing(sqlite3.connect(place, uri=True)) as connection:
        rows = connection.execute("SELECT kabupaten_kota, tahun, kemiskinan_pct, pdrb FROM ekonomi").fetchall()
    assert all(re.fullmatch(r"33\d\d (KABUPATEN|KOTA) [A-Z ]+", row[0]) for row in rows)
    assert {tuple(type(cell) for cell in row) for row in rows} == {(str, int, float, float)}
    assert any(row[0] == "3320 KABUPATEN JEPARA" and row[1] == 2020 and row[3] < 0 for row in rows)


def test_08_destinations_are_miscounted_and_priced_in_prose(acceptance_data: Path) -> None:
    found = document(acceptance_data, "disparbud_20_destinasi.json")
    rows = found["data_wisata"]
    prices = [row["harga_tiket"] for row in rows]
    assert found["metadata"]["total_destinasi"] == len(rows) - 1
    assert any("\n" in price for price in prices)
    assert any(price.startswith("± Rp ") for price in prices)
    assert "-" in prices
    assert any(price.count("Rp ") == 4 and "WNA" in price for price in prices)
    assert any("–" in row["waktu_buka"] for row in rows)
    assert 0 < sum("is_featured" in row for row in rows) < len(rows)
    assert sum("is_flagship" in row for row in rows) == 1


def test_09_schools_name_their_district_with_a_prefix_and_no_code(acceptance_data: Path) -> None:
    rows = table(acceptance_data, "disdikpora_sekolah.csv")
    assert all(row["Kecamatan/Kota (LN)"] == f"KEC. {row['Nama Kecamatan'].upper()}" for row in rows)
    assert any("," in row["Alamat"] for row in rows)
    assert any("  " in row["Alamat"] for row in rows)
    assert {row["Bentuk Pendidikan"] for row in rows} == {"SD", "MI", "SMP", "MTs", "SPM WUSTHA"}
    assert all(re.fullmatch(r"\d{8}", row["NPSN"]) for row in rows)
    assert b"\r" not in (acceptance_data / "disdikpora_sekolah.csv").read_bytes()


def test_10_budget_has_large_and_negative_sums_and_is_off_by_one_rupiah(acceptance_data: Path) -> None:
    rows = table(acceptance_data, "bpkad_apbd_bulanan.csv")
    assert only_crlf((acceptance_data / "bpkad_apbd_bulanan.csv").read_bytes())
    off = [int(row["SILPA"]) - int(row["pendapatan"]) + int(row["belanja"]) - int(row["pembiayaan"]) for row in rows]
    assert {abs(difference) for difference in off} == {0, 1}
    assert sum(difference != 0 for difference in off) == 2
    assert any(int(row["pembiayaan"]) < 0 for row in rows)
    assert any(int(row["pendapatan"]) == 0 for row in rows)
    assert max(int(row["pendapatan"]) for row in rows) > 2**31


def test_11_prices_number_provinces_in_their_own_way(acceptance_data: Path) -> None:
    text = (acceptance_data / "disperindag_pihps_provinsi.json").read_text("utf-8")
    rows = json.loads(text)
    assert "\n" not in text
    assert re.search(r'"Nilai":\d+\.00,', text)
    assert [row["ProvID"] for row in rows if row["Provinsi"] == "Jawa Tengah"] == [14]
    assert all(re.fullmatch(r"\d\d Jul 20", row["Tanggal"]) for row in rows)
    assert any(row["NilaiDiff"].startswith("-Rp") for row in rows)
    assert {row["stdDevPercentage"] for row in rows} == {None}


def test_12_earthquake_is_a_list_of_texts(acceptance_data: Path) -> None:
    (event,) = document(acceptance_data, "bpbd_bmkg_autogempa.json")
    assert {type(value) for value in event.values()} == {str}
    assert event["Lintang"].endswith(" LS")
    assert event["Bujur"].endswith(" BT")
    assert event["Jam"].endswith(" WIB")
    assert event["Kedalaman"].endswith(" km")
    assert re.fullmatch(r"\d\d (Mei|Agu|Okt|Des) \d{4}", event["Tanggal"])
    assert re.search(r"\bI+-I", event["Dirasakan"])


def test_13_portal_calls_a_picture_a_csv_and_keeps_years_as_keys(acceptance_data: Path) -> None:
    result = document(acceptance_data, "diskominfo_ckan_package_search.json")["result"]
    (package,) = result["results"]
    (resource,) = package["resources"]
    assert (resource["format"], resource["mimetype"]) == ("CSV", "image/png")
    assert resource["name"].endswith(".png")
    assert [extra["key"] for extra in package["extras"]] == ["2023", "2024", "Tahun 2022"]
    assert all(isinstance(extra["value"], str) for extra in package["extras"])
