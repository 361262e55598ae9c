"""The list of schemas: names, keys, and that every declaration is complete in both languages."""

from __future__ import annotations

import datetime as dt

import jsonschema_rs
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import errors
from app.schemas import registry
from app.schemas.arrow import batch_of, rows_of
from app.schemas.base import SharedPart, SharedSchema, field_specs, spec
from app.schemas.checks import compile_checks
from app.schemas.json_schema import wire_json_schema
from app.schemas.types import Nama
from app.schemas.validation import validate_row
from app.schemas.wire import wire_values
from tests.unit.schemas.hostile import example_row, rows_of_schema

SCHEMAS = registry.all_schemas()
each_schema = pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)


def test_the_twenty_schemas_have_the_keys_that_all_agencies_share():
    assert {schema.name: schema.meta.key for schema in SCHEMAS} == {
        "wilayah": ("kode",),
        "wilayah_padanan": ("sistem", "kode_asal"),
        "batas_wilayah": ("kode_wilayah",),
        "fasilitas_kesehatan": ("kode_faskes",),
        "satuan_pendidikan": ("npsn",),
        "destinasi_wisata": ("id",),
        "harga_komoditas": ("tanggal", "kode_wilayah", "pasar", "komoditas"),
        "statistik_indikator": ("kode_indikator", "kode_wilayah", "tahun"),
        "realisasi_apbd": ("kode_pemda", "tahun", "bulan", "kode_akun"),
        "kejadian_bencana": ("id",),
        "metadata_dataset": ("id",),
        "penduduk_verifikasi": ("nik",),
        "kode_pos": ("kode_wilayah", "kode_pos"),
        "pulau": ("kode",),
        "penduduk_agregat": ("kode_wilayah", "periode", "jenis_kelamin", "kelompok_umur", "kategori"),
        "agenda_kegiatan": ("id",),
        "kunjungan_wisata": ("destinasi_id", "periode"),
        "penerima_bantuan_agregat": ("program", "kode_wilayah", "tahun"),
        "lokasi_layanan": ("id",),
        "kode_referensi": ("daftar", "kode"),
    }


def test_only_residents_are_looked_up_only_and_their_subject_is_the_nik():
    personal = [schema for schema in SCHEMAS if schema.meta.lookup_only]
    assert [(schema.name, schema.meta.subject, schema.open_fields) for schema in personal] == [
        ("penduduk_verifikasi", "nik", ())
    ]


@pytest.mark.parametrize("name", ["fasilitas_kesehatan", "fasilitas-kesehatan", "fasilitas_kesehatan@1"])
def test_a_schema_is_found_by_each_of_its_names(name):
    found = registry.get(name)
    assert (found.name, found.meta.slug, found.meta.ref) == (
        "fasilitas_kesehatan",
        "fasilitas-kesehatan",
        "fasilitas_kesehatan@1",
    )


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("fasilitas_kesehatn", "did you mean fasilitas_kesehatan?"),
        ("wilayah@2", "write wilayah@1"),
        ("wilayah@", "write wilayah@1"),
        ("", "there are: wilayah,"),
        ("x" * 100_000, "there are: wilayah,"),
    ],
)
def test_an_unknown_schema_is_answered_with_what_exists(name, advice):
    with pytest.raises(errors.SchemaUnknown) as caught:
        registry.get(name)
    assert advice in caught.value.detail


@each_schema
def test_every_field_is_declared_in_full_and_its_example_is_valid(schema):
    record, failures = validate_row(schema, example_row(schema))
    assert failures == []
    assert record is not None
    for found in schema.fields.values():
        for told in (found, *found.parts.values(), *(found.item.parts.values() if found.item else ())):
            texts = (told.title_id, told.title_en, told.description_id, told.description_en)
            assert all(text and text == text.strip() for text in texts), told.name
            assert told.semantic
    personal = {found.name for found in schema.fields.values() if found.pdp != "none"}
    assert not personal & set(schema.open_fields)


@each_schema
def test_every_satu_data_member_is_filled(schema):
    meta = schema.meta
    members = (meta.judul, meta.definisi, meta.konsep, meta.ukuran, meta.satuan, meta.klasifikasi, meta.frekuensi)
    assert all(members)
    assert all((meta.produsen_data, meta.walidata, meta.pembina, meta.level_penyajian, meta.title_id, meta.title_en))


@each_schema
def test_arrow_has_the_fields_in_order_and_rows_survive_the_way_there_and_back(schema):
    assert schema.arrow.names == list(schema.fields)
    row = example_row(schema)
    assert rows_of(schema, batch_of(schema, [row])) == [row]


def test_arrow_types_follow_the_kinds():
    types = {name: registry.get(name).arrow for name in ("realisasi_apbd", "kejadian_bencana", "batas_wilayah")}
    assert types["realisasi_apbd"].field("silpa").type == pa.decimal128(38, 2)
    assert types["realisasi_apbd"].field("tanggal_batas").type == pa.date32()
    assert types["kejadian_bencana"].field("waktu").type == pa.timestamp("us", tz="UTC")
    assert types["kejadian_bencana"].field("kode_wilayah").type == pa.list_(pa.string())
    assert types["kejadian_bencana"].field("dirasakan").type.value_type == pa.struct(
        [("mmi_min", pa.int64()), ("mmi_max", pa.int64()), ("tempat", pa.string())]
    )
    assert types["batas_wilayah"].field("geometri").type == pa.string()


@each_schema
def test_what_leaves_fits_the_published_schema(schema):
    validator = jsonschema_rs.validator_for(dict(schema.json_schema))
    wire = jsonschema_rs.validator_for(wire_json_schema(schema))

    @settings(max_examples=30)
    @given(rows_of_schema(schema))
    def fits(rows):
        batch = batch_of(schema, rows)
        accepted = compile_checks(schema).run(batch).valid.to_pylist()
        for row, good in zip(rows_of(schema, batch), accepted, strict=True):
            if good:
                record, _ = validate_row(schema, row)
                body = orjson.loads(orjson.dumps(wire_values(record)))
                validator.validate(body)
                wire.validate({name: body[name] for name in list(body)[::2]})

    fits()


def bounded(value, place="#"):
    """Every string, number and array of a JSON Schema has its bounds; yields the places that do not."""
    kinds = value.get("type", []) if isinstance(value.get("type"), list) else [value.get("type")]
    needs = {
        "string": {"maxLength", "pattern"},
        "integer": {"minimum", "maximum", "format"},
        "number": {"minimum", "maximum"},
        "array": {"maxItems", "items"},
        "object": {"additionalProperties", "properties"},
    }
    for kind in kinds:
        if "enum" not in value and not needs.get(kind, set()) <= set(value):
            yield place
    for name, inner in value.get("properties", {}).items():
        yield from bounded(inner, f"{place}/{name}")
    for inner in [value["items"]] if "items" in value else value.get("anyOf", []):
        yield from bounded(inner, f"{place}/items")


@each_schema
def test_every_value_on_the_wire_is_bounded(schema):
    assert list(bounded(wire_json_schema(schema))) == []


def test_queryables_are_the_scalar_fields_and_none_of_a_personal_schema():
    assert "kode_faskes" in registry.get("fasilitas_kesehatan").queryables["properties"]
    assert "telepon" not in registry.get("fasilitas_kesehatan").queryables["properties"]
    assert registry.get("penduduk_verifikasi").queryables["properties"] == {}


def test_keys_are_encoded_parts_joined_by_tildes_and_null_is_empty():
    prices = registry.get("harga_komoditas")
    row = {"tanggal": dt.date(2020, 7, 20), "kode_wilayah": "pihps:12", "pasar": None, "komoditas": "Telur ~ Ayam/é"}
    key = prices.key_of(row)
    assert key == "2020-07-20~pihps%3A12~~Telur%20%7E%20Ayam%2F%C3%A9"
    assert prices.split_key(key) == row | {"tanggal": "2020-07-20", "pasar": ""}
    assert prices.key_values(key) == row


@each_schema
def test_every_key_of_every_valid_record_leads_back_to_its_parts(schema):
    @settings(max_examples=30)
    @given(rows_of_schema(schema))
    def leads_back(rows):
        for row in rows:
            if validate_row(schema, row)[0] is not None:
                assert schema.key_values(schema.key_of(row)) == {name: row[name] for name in schema.meta.key}

    leads_back()


@given(st.text(max_size=40))
def test_two_different_keys_never_look_alike(text):
    crosswalk = registry.get("wilayah_padanan")
    key = crosswalk.key_of({"sistem": "bps", "kode_asal": text})
    assert key.isascii()
    assert crosswalk.split_key(key) == {"sistem": "bps", "kode_asal": text}


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ipm",
        "ipm~33.20",
        "ipm~33.20~2024~x",
        "ipm~33.20~MMXXIV",
        "ipm~33.20~",
        "~33.20~2024",
        "ipm~%ff~2024",
        "ipm~33.20~²",
        "ipm~33.20~" + "9" * 30,
        "i" * 5000 + "~~1",
    ],
)
def test_a_malformed_key_names_the_parts_expected_and_not_the_key(key):
    with pytest.raises(errors.KeyMalformed) as caught:
        registry.get("statistik_indikator").key_values(key)
    assert "{kode_indikator}~{kode_wilayah}~{tahun}" in caught.value.detail
    assert "33.20" not in caught.value.detail


@pytest.mark.parametrize("key", ["2020-13-01~~~Telur", "20200720~~~Telur", "kemarin~~~Telur"])
def test_a_date_in_a_key_is_a_whole_iso_date(key):
    with pytest.raises(errors.KeyMalformed):
        registry.get("harga_komoditas").key_values(key)


def test_a_declaration_that_contradicts_itself_is_refused():
    class Nullable(SharedPart):
        nama: Nama | None = spec("Nama", "Name", "Nama", "Name", example="X")

    class Required(SharedPart):
        nama: Nama = spec("Nama", "Name", "Nama", "Name", example="X", nullable=True)

    class Bare(SharedPart):
        nama: Nama

    class Untyped(SharedPart):
        nama: str = spec("Nama", "Name", "Nama", "Name", example="X")

    class Two(SharedPart):
        nama: Nama | int = spec("Nama", "Name", "Nama", "Name", example="X")

    for model in (Nullable, Required, Bare, Untyped, Two):
        with pytest.raises(TypeError, match=r"^nama: "):
            field_specs(model)


def test_a_record_is_frozen_and_takes_no_other_field():
    record, _ = validate_row(registry.get("wilayah"), {"kode": "33", "nama": "Jawa Tengah"})
    with pytest.raises(ValueError, match="frozen"):
        record.nama = "Lain"
    assert isinstance(record, SharedSchema)
