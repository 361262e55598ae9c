"""One row at a time: failures with stable codes and no values, soft findings, and values as they leave."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings

from app.schemas import registry
from app.schemas.arrow import decimal_text
from app.schemas.rules import RULES
from app.schemas.validation import RowFailure, validate_row
from app.schemas.warnings import TEXTS, Surroundings, soft_warnings
from app.schemas.wire import wire_values
from tests.unit.schemas.hostile import example_row, rows_of_schema

SCHEMAS = registry.all_schemas()
FACILITY = registry.get("fasilitas_kesehatan")
SECRET = "3320107201900001"


def rules_of(schema_name, **changes: object):
    schema = registry.get(schema_name)
    return [(found.field, found.rule) for found in validate_row(schema, example_row(schema) | changes)[1]]


@pytest.mark.parametrize(
    ("changes", "failures"),
    [
        ({"nama": None}, [("nama", "missing")]),
        ({"nama": 5}, [("nama", "wrong_type")]),
        ({"nama": "x" * 201}, [("nama", "too_long")]),
        ({"nama": ""}, [("nama", "too_short")]),
        ({"nama": "a\x00"}, [("nama", "control_character")]),
        ({"kode_wilayah": "3320"}, [("kode_wilayah", "pattern")]),
        ({"jenis": "PUSKESMAS"}, [("jenis", "not_in_list")]),
        ({"lat": 110.4}, [("lat", "out_of_range")]),
        ({"lat": float("nan")}, [("lat", "not_finite")]),
        ({"lat": "-6.5"}, [("lat", "wrong_type")]),
        ({"rawat_inap": 1}, [("rawat_inap", "wrong_type")]),
        ({"telepon": ["1"] * 21}, [("telepon", "too_many")]),
        ({"telepon": "1"}, [("telepon", "wrong_type")]),
        ({"telepon": [None]}, [("telepon", "missing")]),
        ({"jumlah": 1}, [("jumlah", "unknown_field")]),
        ({"nama": None, "lat": 200.0}, [("nama", "missing"), ("lat", "out_of_range")]),
    ],
)
def test_failures_carry_the_field_and_a_stable_rule(changes, failures):
    assert rules_of("fasilitas_kesehatan", **changes) == failures


def test_rules_over_several_fields_name_the_field_to_look_at():
    assert rules_of("wilayah", kode_induk="33.20") == [("kode_induk", "parent_mismatch")]
    assert rules_of("wilayah", tingkat="kecamatan") == [("tingkat", "level_mismatch")]
    assert rules_of("wilayah", tingkat="kelurahan") == []
    assert rules_of("realisasi_apbd", silpa=Decimal(1)) == [("silpa", "silpa_mismatch")]
    assert rules_of("realisasi_apbd", silpa=Decimal(1), belanja=None) == []
    swapped = [{"mmi_min": 5, "mmi_max": 4, "tempat": "Kepahiang"}]
    assert rules_of("kejadian_bencana", dirasakan=swapped) == [("dirasakan", "range_order")]
    assert rules_of("harga_komoditas", harga="24950.001") == [("harga", "wrong_type")]
    assert rules_of("harga_komoditas", harga=Decimal("24950.001")) == [("harga", "too_precise")]


def test_a_count_that_could_point_to_somebody_stays_out_of_villages_alone():
    for schema, field in (
        ("penduduk_agregat", "jumlah"),
        ("penerima_bantuan_agregat", "jumlah_kk"),
        ("penerima_bantuan_agregat", "jumlah_jiwa"),
    ):
        for region in ("33.20.10.2001", "dapodik:Desa Parang"):
            refused = [rules_of(schema, kode_wilayah=region, **{field: count}) for count in (1, 4)]
            assert refused == [[(field, "small_cell")]] * 2
            assert [rules_of(schema, kode_wilayah=region, **{field: count}) for count in (0, 5, None)] == [[]] * 3
        assert rules_of(schema, kode_wilayah="33.20.10", **{field: 1}) == []


@pytest.mark.parametrize("age", ["0-4", "17-17", "75+", "100-104"])
def test_ages_and_periods_have_one_form(age):
    assert rules_of("penduduk_agregat", kelompok_umur=age) == []
    for other in ("00-04", "4", "0–4", "75 +", "-4"):
        assert rules_of("penduduk_agregat", kelompok_umur=other) in (
            [("kelompok_umur", "pattern")],
            [("kelompok_umur", "too_short")],
        )
    assert rules_of("penduduk_agregat", kelompok_umur="9-4") == [("kelompok_umur", "range_order")]
    for period in ("2025", "2025-S2", "2025-Q4", "2025-12"):
        assert rules_of("kunjungan_wisata", periode=period) == []
    for period in ("2025-S3", "2025-Q5", "2025-13", "2025-1", "2025-07-01", "Juli 2025"):
        assert [rule for _, rule in rules_of("kunjungan_wisata", periode=period)] in (["pattern"], ["too_long"])


def test_a_date_of_month_precision_is_the_first_of_the_month():
    first, later = dt.date(2026, 3, 1), dt.date(2026, 4, 1)
    assert rules_of("agenda_kegiatan", mulai=first, selesai=later, presisi="bulan") == []
    assert rules_of("agenda_kegiatan", mulai=later, selesai=first) == [("mulai", "range_order")]
    assert rules_of("agenda_kegiatan", mulai=dt.date(2026, 3, 2), presisi="bulan") == [("mulai", "precision_date")]
    assert rules_of("agenda_kegiatan", mulai=first, presisi="tahun") == [("mulai", "precision_date")]
    for presisi in ("hari", "tidak_pasti", None):
        assert rules_of("agenda_kegiatan", mulai=dt.date(2026, 3, 2), presisi=presisi) == []


def test_codes_of_lists_and_islands():
    assert rules_of("kode_referensi", kode_induk="puskesmas") == [("kode_induk", "own_parent")]
    assert rules_of("kode_referensi", berlaku_sampai=dt.date(2024, 1, 1)) == [("berlaku_dari", "range_order")]
    assert rules_of("pulau", kode="33.20.10001") == [("kode", "pattern")]
    assert rules_of("kode_pos", kode_pos="09455") == [("kode_pos", "pattern")]


def test_a_failure_inside_a_list_says_where_and_never_what():
    schema = registry.get("destinasi_wisata")
    _, failures = validate_row(schema, example_row(schema) | {"harga_tiket": [{"rupiah": 1}, {"rupiah": -987654}]})
    assert failures == [RowFailure("harga_tiket", "out_of_range", f"1.rupiah: {RULES['out_of_range']} (ge: 0)")]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_no_failure_repeats_a_value_and_every_rule_is_documented(schema):
    marker = f"{SECRET}\x00"
    for name in schema.fields:
        for value in (marker, [marker], [{marker: marker}], {marker: marker}, object(), 10**400):
            record, failures = validate_row(schema, example_row(schema) | {name: value})
            assert record is None
            assert {found.rule for found in failures} <= set(RULES)
            assert not any(SECRET in found.detail for found in failures)


@pytest.mark.parametrize("values", [None, 5, [], "kode"])
def test_what_is_no_row_at_all_is_a_failure_and_no_crash(values):
    record, failures = validate_row(FACILITY, values)
    assert record is None
    assert [found.rule for found in failures][:1] in (["wrong_type"], ["missing"])


def codes(schema_name, known_regions=None, **changes: object):
    schema = registry.get(schema_name)
    found = soft_warnings(schema, example_row(schema) | changes, Surroundings(known_regions))
    return [(one.field, one.code) for one in found]


def test_the_examples_raise_no_doubt():
    assert [codes(schema.name) for schema in SCHEMAS] == [[]] * len(SCHEMAS)


def test_doubts_never_reject_and_name_field_and_code():
    assert codes("fasilitas_kesehatan", kode_faskes="D3100") == [("kode_faskes", "facility_scheme_unknown")]
    assert codes("fasilitas_kesehatan", lat=110.4, lng=-5.9) == [("lat", "outside_indonesia")]
    assert codes("fasilitas_kesehatan", lat=None) == []
    assert codes("fasilitas_kesehatan", telepon=["0297 312128", "", "(10 lines)"]) == [("telepon", "phone_unusual")]
    assert codes("wilayah", kode="54.01", kode_induk="54", tingkat="kabupaten") == [
        ("kode", "region_unknown"),
        ("kode_induk", "region_unknown"),
    ]
    assert codes("wilayah", tingkat="kelurahan") == [("tingkat", "village_kind_mismatch")]
    assert codes("kode_pos", kode_wilayah="33.20.10") == [("kode_wilayah", "not_a_village")]
    assert codes("kode_pos", kode_wilayah="pos:Karimunjawa") == []
    assert codes("pulau", kode_wilayah="33.19.10") == [("kode_wilayah", "island_elsewhere")]
    assert codes("pulau", kode="33.00.40001", kode_wilayah="33.19") == []
    assert codes("statistik_indikator", kode_wilayah="pihps:99", known_regions=frozenset()) == []
    assert codes("kejadian_bencana", waktu_wib="2022-05-23T12:32:02+07:00") == [("waktu_wib", "time_mismatch")]
    assert codes("kejadian_bencana", waktu_wib="2022-13-99T99:99:99+07:00") == [("waktu_wib", "time_mismatch")]
    assert codes("kejadian_bencana", kode_wilayah=["33.20", "99"]) == [("kode_wilayah", "region_unknown")]


def test_a_nik_is_never_rejected_for_its_region_or_birth_date():
    born = {"tanggal_lahir": dt.date(1991, 1, 1)}
    assert codes("penduduk_verifikasi", **born) == [("tanggal_lahir", "nik_birth_date_mismatch")]
    assert codes("penduduk_verifikasi", nik="5420994101900001") == [("nik", "nik_region_unknown")]
    assert codes("penduduk_verifikasi", known_regions={"33.20.99"}) == []
    assert codes("penduduk_verifikasi", known_regions={"33.21", "33.21.01", "33.20.99"}) == []
    assert codes("penduduk_verifikasi", known_regions={"33.20", "33.20.10"}) == [
        ("nik", "nik_region_unknown"),
        ("kode_wilayah", "region_unknown"),
    ]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_doubts_of_valid_records_are_told_in_both_languages_without_values(schema):
    @settings(max_examples=30)
    @given(rows_of_schema(schema))
    def told(rows):
        for row in rows:
            if validate_row(schema, row)[0] is None:
                continue
            for found in soft_warnings(schema, row):
                own = {rule.code for rule in schema.model.soft_rules}
                assert found.field in schema.fields
                assert found.code in TEXTS or found.code in own
                assert found.detail_id
                assert found.detail_en

    told()


def test_values_leave_with_decimals_as_text_and_objects_as_dicts():
    schema = registry.get("destinasi_wisata")
    record, _ = validate_row(schema, example_row(schema))
    values = wire_values(record)
    assert values["harga_tiket"] == [
        {"kategori": "WNI", "hari": "Hari biasa", "rupiah": 5000, "teks_asli": "WNI (Weekday Rp 5.000)"}
    ]
    values["nama"] = "changed"
    assert record.nama == "Pantai Kartini"
    row = {"tanggal": dt.date(2020, 7, 20), "komoditas": "Telur", "harga": 24950}
    price, _ = validate_row(registry.get("harga_komoditas"), row)
    assert orjson.loads(orjson.dumps(wire_values(price)))["harga"] == "24950"
    assert wire_values(price)["tanggal"] == dt.date(2020, 7, 20)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("24950.00", "24950"),
        ("-1.92", "-1.92"),
        ("7.170000", "7.17"),
        ("0.000001", "0.000001"),
        ("-0.00", "0"),
        ("1E+2", "100"),
        ("100", "100"),
        ("-0.5", "-0.5"),
    ],
)
def test_decimals_are_written_plainly(value, text):
    assert decimal_text(Decimal(value)) == text
