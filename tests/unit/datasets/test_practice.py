"""Synthetic records: valid by every schema itself, distinct, the same each time; and what their magic keys are."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import pytest

from app.datasets.practice.records import CASES, EACH, PracticeImpossible, synthetic
from app.datasets.practice.values import REGION
from app.extensions import CONTRACT
from app.schemas.base import RowRule, SchemaMeta, SharedSchema, spec
from app.schemas.constraints import TextRule
from app.schemas.definition import SchemaDef
from app.schemas.registry import all_schemas, get, schema_of_package
from app.schemas.types import RupiahTakNegatif, Tanggal
from app.schemas.validation import validate_row

SCHEMAS = pytest.mark.parametrize("schema", all_schemas(), ids=lambda schema: schema.name)


@SCHEMAS
def test_every_record_is_valid_and_has_its_own_key(schema: SchemaDef) -> None:
    made = synthetic(schema)
    for records in (made.first, made.second):
        assert len({record.key for record in records}) == len(records) == EACH
        for record in records:
            assert validate_row(schema, record.values)[1] == []
            assert record.key == schema.key_of(record.values)
    shared = {record.key for record in made.first} & {record.key for record in made.second}
    assert shared == {made.keys["disagree"]}


@SCHEMAS
def test_the_agencies_disagree_about_one_key(schema: SchemaDef) -> None:
    made = synthetic(schema)
    (one,) = [record for record in made.first if record.key == made.keys["disagree"]]
    (other,) = [record for record in made.second if record.key == made.keys["disagree"]]
    assert one.values != other.values


@SCHEMAS
def test_each_case_has_its_own_key_and_those_without_a_record_have_none(schema: SchemaDef) -> None:
    made = synthetic(schema)
    assert set(made.keys) == set(CASES)
    assert len(set(made.keys.values())) == len(CASES)
    held = {record.key for record in (*made.first, *made.second)}
    assert {case for case, key in made.keys.items() if key in held} == {"found", "disagree", "slow"}
    for key in made.keys.values():
        schema.key_values(key)  # one that a request may name


@SCHEMAS
def test_what_is_invented_lies_where_nothing_is(schema: SchemaDef) -> None:
    regions = [name for name, spec in schema.fields.items() if spec.semantic in {"KodeWilayah", "KodeWilayahAtauAsal"}]
    made = synthetic(schema)
    for record in (*made.first, *made.second):
        assert all(record.values[name] is None or record.values[name].startswith(REGION) for name in regions)


JenisAlat = Annotated[str, TextRule(semantic="JenisAlat", max_length=6, enum=("bor", "gergaji"))]
NomorAlat = Annotated[str, TextRule(semantic="NomorAlat", max_length=9, pattern=r"^AL-[0-9]{4}$")]


class Alat(SharedSchema):
    """As a package would bring it."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="alat", version=1, key=("nomor",), title_id="Alat", title_en="Tools", judul="Alat", definisi="Alat",
        definition_en="Tools", konsep="Alat", ukuran="Jumlah", satuan="Unit", klasifikasi="Jenis", frekuensi="Tahunan",
        produsen_data="Dinas", level_penyajian="Alat",
    )  # fmt: skip
    row_rules: ClassVar[tuple[RowRule, ...]] = (
        RowRule(
            field="selesai",
            code="range_order",
            needs=("mulai", "selesai"),
            holds=lambda values: bool(values["mulai"] <= values["selesai"]),
        ),
    )
    contract: ClassVar[int | None] = CONTRACT

    nomor: NomorAlat = spec("Nomor", "Number", "Nomor", "Number", example="AL-0007")
    jenis: JenisAlat = spec("Jenis", "Kind", "Jenis", "Kind", example="bor")
    harga: RupiahTakNegatif | None = spec("Harga", "Price", "Harga", "Price", example="125000", nullable=True)
    mulai: Tanggal = spec("Mulai", "From", "Mulai", "From", example="2025-06-01")
    selesai: Tanggal | None = spec("Selesai", "To", "Selesai", "To", example="2025-01-01", nullable=True)


def test_a_schema_of_a_package_has_practice_too() -> None:
    """Its examples do not even fit each other: the end is before the beginning."""
    schema = schema_of_package("alat", Alat)
    made = synthetic(schema)
    for record in (*made.first, *made.second):
        assert validate_row(schema, record.values)[1] == []
    assert made.keys["found"] == "AL-0007"
    assert len(set(made.keys.values())) == len(CASES)


class TanpaLatihan(Alat):
    """No value of its key but the example is valid."""

    meta: ClassVar[SchemaMeta] = replace(Alat.meta, name="tanpa_latihan")
    contract: ClassVar[int | None] = CONTRACT
    nomor: Annotated[str, TextRule(semantic="Tetap", max_length=7, pattern=r"^AL-0007$")] = spec(
        "Nomor", "Number", "Nomor", "Number", example="AL-0007"
    )


def test_a_schema_that_no_record_fits_says_so() -> None:
    with pytest.raises(PracticeImpossible, match="no field of the key of tanpa_latihan"):
        synthetic(schema_of_package("tanpa_latihan", TanpaLatihan))


def test_references_between_schemas_hold() -> None:
    def values(name: str, field: str) -> set[str]:
        made = synthetic(get(name))
        return {record.values[field] for record in (*made.first, *made.second)}

    villages = values("wilayah", "kode")
    assert values("fasilitas_kesehatan", "kode_wilayah") <= villages
    assert values("batas_wilayah", "kode_wilayah") == villages
    assert values("kunjungan_wisata", "destinasi_id") == values("destinasi_wisata", "id")


def test_persons_are_born_as_their_number_says() -> None:
    made = synthetic(get("penduduk_verifikasi"))
    assert made.keys["found"] == "3320990101900001"
    for record in (*made.first, *made.second):
        assert record.values["nik"].startswith("332099")
        assert record.warnings == ()
