"""What is proposed for the columns of a source: from names, from values, from the loaded regions; and never what the values deny."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from app.connectors.diagnosis import Guess
from app.datasets.manifest import parse_manifest
from app.datasets.mapping.codes import CROSSWALK_SCHEMA, REGION_SCHEMA, InMemoryCodeBook
from app.datasets.suggesting.choosing import Suggestion, suggest
from app.datasets.suggesting.document import written
from app.datasets.suggesting.words import alike, concepts
from app.datasets.yaml_text import load_yaml
from app.schemas import registry

REGIONS = [
    ("33", "Jawa Tengah", "provinsi", None),
    ("33.20", "Kabupaten Jepara", "kabupaten", "33"),
    ("33.20.01", "Kedung", "kecamatan", "33.20"),
    ("33.20.08", "Bangsri", "kecamatan", "33.20"),
    ("33.19", "Kabupaten Kudus", "kabupaten", "33"),
    ("33.19.02", "Jati", "kecamatan", "33.19"),
]
CROSSWALK = [("bps", "3320010", "KEDUNG", "kecamatan", "33.20.01"), ("bps", "3320", "JEPARA", "kabupaten", "33.20")]


def _table(schema: pa.Schema, rows: list[tuple[Any, ...]]) -> pa.Table:
    return pa.table({name: [row[at] for row in rows] for at, name in enumerate(schema.names)}, schema=schema)


BOOK = InMemoryCodeBook("test", _table(REGION_SCHEMA, REGIONS), _table(CROSSWALK_SCHEMA, CROSSWALK))


def proposed(schema: str, rows: list[dict[str, Any]], *words: str, read: dict[str, Any] | None = None) -> Suggestion:
    return suggest(registry.get(schema), rows, BOOK, read=read or {}, words=words)


def mapping(schema: str, rows: list[dict[str, Any]], field: str) -> Any:
    return proposed(schema, rows).chosen[field].mapping


@pytest.mark.parametrize(
    ("schema", "field", "name"),
    [
        ("fasilitas_kesehatan", "nama", "nama_faskes"),
        ("fasilitas_kesehatan", "nama", "Nama Puskesmas"),
        ("fasilitas_kesehatan", "alamat", "ADDRESS"),
        ("fasilitas_kesehatan", "telepon", "No. Telp"),
        ("fasilitas_kesehatan", "lng", "Longitude"),
        ("satuan_pendidikan", "bentuk", "Bentuk Pendidikan"),
        ("satuan_pendidikan", "kode_wilayah", "Desa/Kelurahan"),
        ("realisasi_apbd", "tahun", "thang"),
        ("realisasi_apbd", "tanggal_batas", "tgl_cutoff"),
        ("metadata_dataset", "judul", "title"),
    ],
)
def test_names_of_offices_are_known(schema: str, field: str, name: str) -> None:
    found = registry.get(schema)
    assert alike(name, found.fields[field], found) >= 0.7
    assert max(found.fields, key=lambda other: alike(name, found.fields[other], found)) == field


def test_words_of_two_languages_are_one() -> None:
    assert concepts("Jml Penduduk") == concepts("population_count") == {"jumlah", "penduduk"}
    assert concepts("NamaDesa") == concepts("village name")


def test_numbers_are_read_in_the_notation_that_some_value_decides() -> None:
    rows = [
        {"Kecamatan": "Kedung", "Tahun": "2024", "Indikator": "ipm", "Nilai": text}
        for text in ("1.234,5", "7", "12,25")
    ]

    assert mapping("statistik_indikator", rows, "nilai") == {
        "from": "Nilai",
        "number": {"thousands": ".", "decimal": ","},
    }


def test_three_digits_behind_the_point_are_thousands_of_rupiah_and_decimals_of_a_coordinate() -> None:
    prices = [{"tanggal": f"2024-02-0{at}", "komoditas": "Beras", "harga": "Rp 13.500"} for at in (1, 2)]
    spots = [{"id": f"W{at}", "nama": "Pantai", "lintang": "-6.588"} for at in (1, 2)]

    assert mapping("harga_komoditas", prices, "harga")["number"] == {"thousands": ".", "decimal": ",", "prefix": "Rp"}
    assert mapping("destinasi_wisata", spots, "lat") == {"from": "lintang", "number": {}}


@pytest.mark.parametrize(
    ("values", "format_"),
    [
        (["01/02/2024", "15/02/2024"], "%d/%m/%Y"),
        (["01/02/2024", "02/15/2024"], "%m/%d/%Y"),
        (["2024-02-01", "2024-02-15"], "iso"),
        (["1 Agustus 2024", "17 Agt 2024"], "%d %B %Y"),
    ],
)
def test_the_values_decide_the_order_of_day_and_month(values: list[str], format_: str) -> None:
    rows = [{"Tanggal": value, "Komoditas": "Beras", "Harga": "1000"} for value in values]

    assert mapping("harga_komoditas", rows, "tanggal") == {"from": "Tanggal", "date": format_}


def test_english_months_are_told_from_indonesian_ones() -> None:
    rows = [{"Tanggal": value, "Komoditas": "Beras", "Harga": "1000"} for value in ("1 May 24", "20 Aug 24")]

    assert mapping("harga_komoditas", rows, "tanggal") == {"from": "Tanggal", "date": "%d %b %y", "months": "en"}


def test_the_day_and_the_time_of_two_columns_are_one_instant() -> None:
    rows = [{"id": "g1", "Tanggal": "23 Mei 2022", "Jam": "19:32:02 WIB"}]

    found = mapping("kejadian_bencana", rows, "waktu")

    assert found["expr"] == "Tanggal || ' ' || Jam"
    assert found["datetime"]["zone"] == "Asia/Jakarta"


def test_regions_are_looked_up_by_the_names_that_are_loaded_and_by_codes() -> None:
    schools = [("20318001", "KEC. BANGSRI"), ("20318002", "KEC. KEDUNG")]
    names = [{"npsn": npsn, "nama": "SD", "Kec.": name} for npsn, name in schools]
    codes = [{"npsn": "20318001", "nama": "SD 1", "kecamatan": "3320010"}]

    assert mapping("satuan_pendidikan", names, "kode_wilayah") == {
        "from": "Kec.",
        "lookup": {"level": "kecamatan", "parent": "33.20", "strip": ["KEC. "]},
    }
    assert mapping("satuan_pendidikan", codes, "kode_wilayah")["crosswalk"] == {"from": "bps", "level": "kecamatan"}


def test_a_region_that_is_not_loaded_is_null_and_said() -> None:
    rows = [{"npsn": "20318001", "nama": "SD 1", "Kecamatan": name} for name in ("Bangsri", "Soreang")]

    found = proposed("satuan_pendidikan", rows).chosen["kode_wilayah"]

    assert found.mapping["else"] == "null"
    assert any("1 of 2 names" in reason for reason in found.reasons)


def test_regions_in_a_key_keep_the_name_of_those_that_are_not_loaded() -> None:
    rows = [{"Wilayah": name, "Tahun": "2024", "IPM": "70"} for name in ("Jepara", "Sleman")]

    branches = mapping("statistik_indikator", rows, "kode_wilayah")["when"]

    assert branches[0]["if"] == "Wilayah in ('Jepara')"
    assert branches[1] == {"expr": "'asal:' || replace(Wilayah, ' ', '_')"}


def test_values_become_those_of_the_closed_list_and_the_rest_is_told() -> None:
    rows = [{"kode": "A1", "nama": "x", "jenis": kind} for kind in ("PUSKESMAS", "RS Umum", "Dinas Provinsi")]

    found = proposed("fasilitas_kesehatan", rows).chosen["jenis"]

    assert found.mapping["codes"] == {"PUSKESMAS": "puskesmas", "RS Umum": "rs_umum", "Dinas Provinsi": "lainnya"}
    assert any("Dinas Provinsi is taken as lainnya" in reason for reason in found.reasons)


def test_a_column_that_counts_the_rows_is_no_key_where_there_is_a_code() -> None:
    rows = [{"No": str(at), "Kode Puskesmas": f"P{at}", "Nama": "x"} for at in range(1, 9)]

    found = proposed("fasilitas_kesehatan", rows)

    assert found.chosen["kode_faskes"].column == "Kode Puskesmas"
    assert "No" in found.unused


def test_years_and_indicators_that_stand_as_columns_become_rows() -> None:
    years = [{"Kabupaten": "Jepara", "2020": "1", "2021": "2"}]
    indicators = [{"Kabupaten": "Jepara", "Tahun": "2024", "Kemiskinan (%)": "6,6", "IPM": "74,3"}]

    first, second = proposed("statistik_indikator", years), proposed("statistik_indikator", indicators)

    assert first.preparation.read["unpivot"] == {"keep": ["Kabupaten"], "name": "tahun", "value": "nilai"}
    assert first.lacking == ("kode_indikator",)
    assert second.preparation.read["unpivot"]["keep"] == ["Kabupaten", "Tahun"]
    assert second.chosen["satuan"].mapping["codes"] == {"Kemiskinan (%)": "persen", "IPM": "indeks"}


def test_marks_for_no_value_are_stated() -> None:
    rows = [{"Kabupaten": "Jepara", "2020": "1", "2021": "–"}, {"Kabupaten": "Kudus", "2020": "...", "2021": "3"}]

    found = proposed("statistik_indikator", rows)

    assert found.preparation.read["missing"] == ["...", "–"]
    assert found.chosen["nilai"].taken == 2


def test_what_the_texts_around_the_table_say_is_a_constant() -> None:
    found = proposed(
        "fasilitas_kesehatan", [{"Kode Puskesmas": "P1", "Nama": "x"}], "Daftar Puskesmas Kabupaten Jepara"
    )

    assert found.chosen["jenis"].mapping == {"const": "puskesmas"}
    assert found.chosen["kode_wilayah"].mapping == {"const": "33.20"}


def test_members_of_objects_and_both_coordinates_of_one_column_are_found() -> None:
    nested = [{"id": "1", "nama": "x", "lokasi": {"latitude": -6.5, "lon": 110.6}}]
    pair = [{"id": "1", "nama": "x", "koordinat": "-6.5, 110.6"}]

    assert mapping("destinasi_wisata", nested, "lat") == "$.lokasi.latitude"
    assert mapping("destinasi_wisata", nested, "lng") == "$.lokasi.lon"
    found = proposed("destinasi_wisata", pair).chosen
    assert found["lat"].mapping == {"from": "koordinat", "position": {"notation": "latlng", "part": "lat"}}
    assert found["lng"].mapping == {"from": "koordinat", "position": {"notation": "latlng", "part": "lng"}}


def test_a_column_whose_values_are_never_valid_is_not_proposed() -> None:
    rows = [{"npsn": "belum ada", "nama": "SD 1"}, {"npsn": "menyusul", "nama": "SD 2"}]

    assert "npsn" in proposed("satuan_pendidikan", rows).lacking


def test_what_the_manifest_states_is_kept() -> None:
    rows = [{"Kabupaten": "Jepara", "2020": "1", "2021": "x"}]

    found = proposed("statistik_indikator", rows, read={"missing": ["x"]})

    assert found.preparation.read["missing"] == ["x"]


def test_the_manifest_is_read_as_it_is_written() -> None:
    rows = [
        {"Kode": f"P{at}", "Nama Puskesmas": "Puskesmas: # 1", "Rawat Inap": "Ya", "Buka": date(2024, 1, 1)}
        for at in (1, 2)
    ]
    found = proposed("fasilitas_kesehatan", rows, "puskesmas")
    guess = Guess("/source/delimiter", ";", "a semicolon\ncuts the lines")

    text = written(
        {"connector": "dinkes-x", "agency": "dinkes", "title": "Data: # 1"},
        {"kind": "file", "location": "inbox/x.csv", "delimiter": ";"},
        [guess],
        found,
    )

    manifest = parse_manifest(text)
    assert manifest.title == "Data: # 1"
    assert set(manifest.fields) == set(found.chosen)
    assert load_yaml(text)["source"]["delimiter"] == ";"
    assert "# Columns that no field takes: Buka" in text
    assert "delimiter: ;  # a semicolon cuts the lines" in text


def test_where_nothing_is_like_an_identifier_a_column_of_different_values_may_serve() -> None:
    rows = [{"Tanggal": "23 Mei 2022", "Peta": f"2022052319{at}.mmi.jpg", "Jenis": "gempa"} for at in range(3)]

    found = proposed("kejadian_bencana", rows).chosen["id"]

    assert found.mapping == "Peta"
    assert found.score < 0.4
