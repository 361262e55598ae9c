"""What a whole read tells of quality: regions, positions, the newest record, patterns of persons in open fields."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from app.datasets.mapping.codes import CROSSWALK_SCHEMA, InMemoryCodeBook
from app.datasets.quality import MOST_LOCATIONS, QualityCounter, Yardstick, patterns_in
from app.schemas import registry

LIST = {
    "33.20": "Jepara",
    "33.20.01": "Kedung",
    "33.20.01.2001": "Kedung Malang",
    "33.20.01.2002": "Kalianyar",
    "33.20.10": "Karimunjawa",
    "33.20.10.2001": "Karimunjawa",
    "33.19.01": "Kaliwungu",
}
BOOK = InMemoryCodeBook(
    "1",
    pa.table(
        {
            "kode": list(LIST),
            "nama": list(LIST.values()),
            "tingkat": ["kecamatan"] * len(LIST),
            "kode_induk": [None] * len(LIST),
        },
        schema=pa.schema([(name, pa.string()) for name in ("kode", "nama", "tingkat", "kode_induk")]),
    ),
    CROSSWALK_SCHEMA.empty_table(),
)
BOX = (110.0, -7.1, 111.2, -5.6)


def counted(schema: str, rows: list[dict[str, object]], *, freshness: str | None = None, region: str = "33.20"):
    fields = sorted({name for row in rows for name in row})
    counter = QualityCounter(registry.get(schema), fields, Yardstick(BOOK, region, BOX, freshness))
    for number, row in enumerate(rows):
        found = counter.take({name: row.get(name) for name in fields})
        counter.stands_at(found, f"line {number}")
    nulls = {name: sum(row.get(name) is None for row in rows) for name in fields}
    return counter.document(len(rows), nulls)


def regions(*codes: str | None, region: str = "33.20"):
    rows: list[dict[str, object]] = [{"nama": "x", "kode_wilayah": code} for code in codes]
    return counted("fasilitas_kesehatan", rows, region=region)["regions"]


def levels(found):
    return [(one["level"], one["found"], [region["kode"] for region in one["missing"]]) for one in found["levels"]]


def test_regions_without_a_record_are_named_on_the_levels_that_the_records_reach():
    assert levels(regions("33.20.01")) == [("kecamatan", 1, ["33.20.10"])]
    assert levels(regions("33.20.10.2001", "33.20.01.2002")) == [
        ("kecamatan", 2, []),
        ("desa", 2, ["33.20.01.2001"]),
    ]
    assert levels(regions("33.20", None)) == []
    assert regions("33.20.01")["levels"][0]["missing"] == [{"kode": "33.20.10", "nama": "Karimunjawa"}]


def test_codes_of_elsewhere_unknown_ones_and_none_are_told_apart():
    found = regions("33.20.01", "33.19.01", "33.19.01", "33.20.99", "33", "33.20", None)
    assert {name: found[name] for name in ("without_code", "unknown", "unknown_total", "elsewhere")} == {
        "without_code": 1,
        "unknown": ["33.20.99"],
        "unknown_total": 1,
        "elsewhere": 2,
    }
    assert counted("statistik_indikator", [{"kode_wilayah": "pihps:12"}])["regions"]["without_code"] == 1


def test_a_list_of_regions_counts_each_and_a_region_list_is_judged_by_its_key():
    found = counted("kejadian_bencana", [{"kode_wilayah": ["33.20.01", "33.20.10"]}, {"kode_wilayah": []}])["regions"]
    assert (levels(found), found["without_code"]) == ([("kecamatan", 2, [])], 1)
    assert levels(counted("wilayah", [{"kode": "33.20.01"}])["regions"]) == [("kecamatan", 1, ["33.20.10"])]
    assert counted("satuan_pendidikan", [{"npsn": "20318000"}])["regions"] is None


def test_fields_positions_and_the_newest_record_are_counted():
    rows: list[dict[str, object]] = [
        {"id": "1", "waktu": dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "lat": -6.5, "lng": 110.6},
        {"id": "2", "waktu": dt.datetime(2026, 3, 2, tzinfo=dt.UTC), "lat": 110.6, "lng": -6.5},
        {"id": "3", "waktu": None, "lat": None, "lng": 110.6},
    ]
    found = counted("kejadian_bencana", rows, freshness="waktu")
    assert found["completeness"] == {"id": 1.0, "lat": 0.6667, "lng": 1.0, "waktu": 0.6667}
    assert found["positions"] == {"records": 2, "inside": 1}
    assert found["newest"] == "2026-03-02T00:00:00+00:00"
    day = counted("harga_komoditas", [{"tanggal": dt.date(2026, 3, 2)}], freshness="tanggal")
    assert (day["newest"], day["positions"]) == ("2026-03-03T00:00:00+00:00", None)
    assert counted("harga_komoditas", [], freshness="tanggal")["completeness"] == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("NIK 3320100101900001", {"nik"}),
        ("33.2010.010190.0001", {"nik"}),
        ("nomor 3320109901900001", set()),
        ("9920100101900001", set()),
        ("33201001019000011", set()),
        ("WA 0812-3456-7890", {"phone"}),
        ("+62 812 3456 789", {"phone"}),
        ("(0291) 591492", set()),
        ("2026-11-20 2026-11-21", set()),
        ("Jl. Kartini 12, 59411", set()),
        ("tulis ke budi@contoh.id", {"email"}),
        ("@puskesmas_jepara", set()),
        ("3320100101900001 atau 081234567890", {"nik", "phone"}),
    ],
)
def test_patterns_of_persons(text, found):
    assert patterns_in(text) == found


def test_only_open_fields_are_looked_at_and_no_value_is_kept():
    rows: list[dict[str, object]] = [
        {"nama": f"Pantai {n}", "fasilitas": ["Toilet", "hubungi 081234567890"], "kontak": "081234567890"}
        for n in range(7)
    ]
    found = counted("destinasi_wisata", rows)
    (told,) = found["personal"]
    assert (told["field"], told["pattern"], told["records"], len(told["locations"])) == (
        "fasilitas",
        "phone",
        7,
        MOST_LOCATIONS,
    )
    assert "0812" not in str(found)
    phones: list[dict[str, object]] = [{"telepon": ["081234567890"]}, {"telepon": ["3320100101900001"]}]
    assert [one["pattern"] for one in counted("fasilitas_kesehatan", phones)["personal"]] == ["nik"]
